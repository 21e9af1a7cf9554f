"""Telegram's webhook: a listener that serves nothing else, and the one duty of telling Telegram where it is.

Every process listens; what comes is judged and kept like what is polled (`telegram_inbox`). Telegram repeats an update
until it is answered with a 2xx, for a day, and sends a chat's updates one after the other: an update that can never be taken
must get its 200, or the chat behind it is deaf.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, urlsplit

from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from bot.errors import StorageError
from bot.platforms.telegram_poll import Caller
from bot.platforms.telegram_read import KINDS

SECRET = "X-Telegram-Bot-Api-Secret-Token"
BODY = 1_000_000  # bytes; an update has some ten thousand at most
BODY_SECONDS = 10.0  # for the whole of it to arrive
AGAIN = "1"  # Retry-After in seconds: without one Telegram waits longer each time, up to two minutes
DELIVERIES = 40  # at once, over all processes; Telegram's default
CHECK = 30.0  # seconds between looks whether the webhook stands and is reached: a few before it is taken for deaf

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Webhook:
    """`url` is what Telegram calls; where it leads, HTTPS ended and the path kept, we listen on `host` and `port`."""

    url: str
    host: str
    port: int


def secret_of(token: str) -> str:
    """What proves to us that it is Telegram who calls: every process derives it from the bot's token."""
    return hmac.new(token.encode(), b"magpie telegram webhook, secret v1", hashlib.sha256).hexdigest()


def same_url(told: str, ours: str) -> bool:
    """Telegram tells a URL with its host in lower case, and a path where it was given none."""
    one, other = urlsplit(told), urlsplit(ours)
    return (one.scheme, one.netloc.lower(), one.path or "/") == (other.scheme, other.netloc.lower(), other.path or "/")


class Receiver:
    """The ASGI application. `take` keeps one update, of whatever shape, or raises StorageError."""

    def __init__(self, url: str, secret: str, take: Callable[[Any], Awaitable[None]]) -> None:
        self._path = unquote(urlsplit(url).path) or "/"
        self._secret = secret.encode()
        self._take = take
        self._failing = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            response = await self._answer(Request(scope, receive))
            await response(scope, receive, send)

    async def _answer(self, request: Request) -> Response:
        """Nothing is read, and nothing told, before it is clear that it is Telegram."""
        if request.scope["path"] != self._path:
            return _refusal(404)
        if request.method != "POST":
            return _refusal(405, allow="POST")
        if not self._trusts(request.headers):
            _log.debug("A request to the webhook without the right secret was refused")
            return _refusal(403)
        try:
            async with asyncio.timeout(BODY_SECONDS):
                body = await _body(request)
        except (TimeoutError, ClientDisconnect):
            return _refusal(408)
        return _refusal(413) if body is None else await self._keep(body)

    def _trusts(self, headers: Headers) -> bool:
        given = headers.getlist(SECRET)
        return len(given) == 1 and hmac.compare_digest(given[0].encode("latin-1"), self._secret)

    async def _keep(self, body: bytes) -> Response:
        try:
            update = json.loads(body)
        except (json.JSONDecodeError, UnicodeDecodeError):  # damaged on its way: the next try may be whole
            return _refusal(400)
        except (ValueError, RecursionError) as error:  # sound, but beyond what is ever read: it would only come again
            _log.warning("Telegram sent an update that cannot be read (%s): passed over", type(error).__name__)
            return Response()
        try:
            await self._take(update)
        except StorageError as error:
            if not self._failing:
                _log.warning("Telegram's messages wait for the storage: %s; Telegram keeps trying", error)
            self._failing = True
            return Response(status_code=503, headers={"retry-after": AGAIN})
        if self._failing:
            _log.info("Telegram's messages wait for the storage: works again")
        self._failing = False
        return Response()


def _refusal(status: int, **headers: str) -> Response:
    return Response(status_code=status, headers={"connection": "close", **headers})


async def _body(request: Request) -> bytes | None:
    """None when it is too long, which its head may tell already."""
    length = request.headers.get("content-length", "0")
    if not length.isdecimal() or int(length) > BODY:  # the server has refused what is no number
        return None
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > BODY:
            return None
    return bytes(body)


async def keep_set(caller: Caller, url: str, secret: str, heard: Callable[[], None], every: float = CHECK) -> None:
    """Set the webhook and look every so many seconds whether it stands and Telegram reaches it, which is `heard`. For ever;
    raises Revoked. It is set in any case: Telegram does not tell which secret stands there now."""
    wanted = {
        "url": url,
        "secret_token": secret,
        "allowed_updates": list(KINDS),
        "max_connections": DELIVERIES,
        "drop_pending_updates": False,
    }
    await caller.insist("setWebhook", wanted)
    failed = int(time.time())
    while True:
        await asyncio.sleep(every)
        info = _info(await caller.insist("getWebhookInfo"))
        if not same_url(info.url, url):
            _log.warning("Telegram's webhook was changed by another program that has the bot's token; I set it again")
            await caller.insist("setWebhook", wanted)
        elif info.failed > failed and info.waiting:
            _log.warning("Telegram cannot deliver to the webhook (%s): %d updates wait", info.why, info.waiting)
        else:
            heard()
        failed = max(failed, info.failed)


@dataclass(frozen=True, slots=True)
class _Info:
    """`failed`: when a delivery failed last, in Unix seconds, and `why`; `waiting`: updates to be delivered."""

    url: str
    failed: int
    why: str
    waiting: int


def _info(told: Any) -> _Info:
    told = told if isinstance(told, dict) else {}
    failed, waiting = told.get("last_error_date"), told.get("pending_update_count")
    return _Info(
        url=str(told.get("url") or ""),
        failed=failed if isinstance(failed, int) else 0,
        why=str(told.get("last_error_message") or "no reason told")[:200],
        waiting=waiting if isinstance(waiting, int) else 0,
    )
