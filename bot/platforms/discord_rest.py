"""Discord's REST API over the shared session: one call, one answer, one error of our own.

discord.py's client sleeps inside a call for as long as a 429 says (minutes, at worst) and cannot be cancelled there without
blocking every later call. Here a limit is an error that the caller can plan with: a call that must not be made yet raises
RetryLater without being made.
"""

from __future__ import annotations

import asyncio
import io
import json
import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import aiohttp

from bot import metrics
from bot.errors import Forbidden, Gone, PlatformError, Rejected, RetryLater, Revoked, Unreachable

log = logging.getLogger(__name__)

OFFICIAL_API = "https://discord.com/api/v10"
USER_AGENT = "DiscordBot (https://github.com/magpie-bot/magpie, 0.1)"  # the form that Discord's reference demands
# Seconds that a call waits for its limit by itself: a growing answer's quick first edits use up their 5 in 5 s a little early,
# and that is no flood.
PATIENCE = (
    0.8  # less than the margin by which a lease is left: whoever waits longer asks again whether it may still act
)
SECONDS, UPLOAD_SECONDS = 15.0, 60.0
BANNED_SECONDS = 20.0  # Cloudflare's ban tells no time; it begins anew at 10,000 refused calls in ten minutes
MOST_LIMITS = 512
EVERYTHING = "*"  # the global limit

NO_PINGS: Mapping[str, object] = {
    "parse": [],
    "replied_user": False,
}  # as "allowed_mentions": without it, everything in a text pings
SUPPRESS_EMBEDS = 1 << 2  # "flags": no preview of a link, which Discord would fetch the moment that a model writes it
UNKNOWN_MESSAGE = 10008


class NoWebhook(Gone):
    """An interaction that is not acknowledged, or never will be."""


# By Discord's own error codes; what is not here goes by the HTTP status.
_BY_CODE: Mapping[int, type[PlatformError]] = {
    UNKNOWN_MESSAGE: Gone,
    10003: Forbidden,  # unknown channel
    10004: Forbidden,  # unknown guild
    10015: NoWebhook,
    10062: Gone,  # unknown interaction
    50005: Gone,  # a message of another user: surely not ours any more
    50027: Gone,  # invalid webhook token: likewise the interaction's
    50083: Forbidden,  # the thread is archived and locked
    40060: Rejected,  # already acknowledged
}
_BY_STATUS: Mapping[int, type[PlatformError]] = {401: Revoked, 403: Forbidden}


@dataclass(frozen=True, slots=True)
class Upload:
    name: str
    mime: str
    data: bytes


class Rest:
    """Calls below `api_url`. Each raises the PlatformErrors of `bot.errors`, and nothing else."""

    def __init__(self, session: aiohttp.ClientSession, api_url: str, token: str) -> None:
        self.api_url = api_url.rstrip("/")
        self._session = session
        self._authorization = f"Bot {token}"
        self._open_again: dict[str, float] = {}  # by limit: the monotonic time before which no call may be made

    async def call(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        limit: str = "",
        query: Mapping[str, str] | None = None,
        files: Sequence[Upload] = (),
        authorized: bool = True,
        seconds: float = SECONDS,
    ) -> Any:
        """The answer's JSON, None for an empty one. `limit` names what is limited together (route and channel), "" what is
        called once. An interaction's calls (`authorized=False`) carry their right in the path, outside the global limit."""
        await self._wait(limit, authorized)
        headers = {"User-Agent": USER_AGENT}
        if authorized:
            headers["Authorization"] = self._authorization
        data: aiohttp.FormData | bytes | None = None
        if files:
            data, seconds = _form(body, files), max(seconds, UPLOAD_SECONDS)
        elif body is not None:
            data = json.dumps(body).encode()
            headers["Content-Type"] = "application/json"
        try:
            async with self._session.request(
                method,
                self.api_url + path,
                data=data,
                params=query,
                headers=headers,
                timeout=aiohttp.ClientTimeout(total=seconds),
                allow_redirects=False,
            ) as response:
                raw = await response.read()
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            # a path may hold an interaction's token, and so may the error's text
            raise Unreachable(f"{method} {limit or 'call'}: {type(error).__name__}") from None
        self._note(limit, response)
        if response.status < 300:
            return _parsed(raw)
        raise self._error(response, raw, limit, authorized)

    async def _wait(self, limit: str, authorized: bool) -> None:
        until = time.monotonic() + PATIENCE
        while wait := max(self._left(limit), self._left(EVERYTHING) if authorized else 0.0):
            if time.monotonic() + wait > until:
                raise RetryLater(wait)
            await asyncio.sleep(wait)

    def _left(self, limit: str) -> float:
        return max(0.0, self._open_again.get(limit, 0.0) - time.monotonic())

    def _close(self, limit: str, seconds: float) -> None:
        now = time.monotonic()
        if len(self._open_again) >= MOST_LIMITS:
            self._open_again = {name: until for name, until in self._open_again.items() if until > now}
        self._open_again[limit] = max(self._open_again.get(limit, 0.0), now + seconds)

    def _note(self, limit: str, response: aiohttp.ClientResponse) -> None:
        if limit and response.headers.get("X-RateLimit-Remaining") == "0":
            self._close(limit, _number(response.headers.get("X-RateLimit-Reset-After")))

    def _error(self, response: aiohttp.ClientResponse, raw: bytes, limit: str, authorized: bool) -> PlatformError:
        status = response.status
        try:
            told = json.loads(raw)
            code, message = int(told.get("code") or 0), str(told.get("message"))
        except (ValueError, AttributeError, TypeError):
            told, code, message = None, 0, "no JSON"
        if status == 429:
            return self._too_many(response, told, limit)
        what = f"{response.method} {limit or 'call'}: HTTP {status}, code {code}: {message}"
        if status >= 500 or (told is None and status in _BY_STATUS):
            return Unreachable(what)  # without its JSON it is not Discord who refuses, but somebody on the way
        if code in _BY_CODE:
            return _BY_CODE[code](what)
        if status == 401 and not authorized:
            return Gone(what)
        return _BY_STATUS.get(status, Rejected)(what + (f" {told.get('errors')}" if told and "errors" in told else ""))

    def _too_many(self, response: aiohttp.ClientResponse, told: Any, limit: str) -> RetryLater:
        """Discord's own 429 is JSON; Cloudflare's is a page, and bans this address from every call."""
        metrics.rate_limited("discord")
        if isinstance(told, dict) and "retry_after" in told:
            seconds, everything = float(told["retry_after"]), bool(told.get("global"))
        else:
            seconds, everything = _number(response.headers.get("Retry-After")) or BANNED_SECONDS, True
            log.error("Discord's Cloudflare turns this address away for now; waiting %g s.", seconds)
        if everything or limit:
            self._close(EVERYTHING if everything else limit, seconds)
        return RetryLater(seconds)


def _form(body: object, files: Sequence[Upload]) -> aiohttp.FormData:
    form = aiohttp.FormData(quote_fields=False)  # Discord wants the brackets of files[0] as they are
    form.add_field("payload_json", json.dumps(body), content_type="application/json")
    for number, file in enumerate(files):
        # as a stream: large plain bytes would be sent in one go, and aiohttp warns of it
        form.add_field(f"files[{number}]", io.BytesIO(file.data), filename=file.name, content_type=file.mime)
    return form


def _parsed(raw: bytes) -> Any:
    try:
        return json.loads(raw) if raw else None
    except ValueError:  # somebody between us and Discord answers in its place
        raise Unreachable("an answer that is no JSON") from None


def _number(text: str | None) -> float:
    try:
        return float(text or 0)
    except ValueError:
        return 0.0
