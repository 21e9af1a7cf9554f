"""Webhook delivery: updates by POST, a chat's one after the other, several chats' at once, each until a 2xx."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import aiohttp

from tests.servers.telegram_rules import Json, bad
from tests.servers.telegram_state import State
from tests.servers.telegram_updates import Update

SECRET_HEADER = "X-Telegram-Bot-Api-Secret-Token"
PORTS = (None, 443, 80, 88, 8443)
CONNECTIONS, MOST_CONNECTIONS = 40, 100  # the default, and what any larger number becomes
# Seconds until the second try after the first, which is made at once; doubled each time up to LAST_RETRY. A Retry-After goes
# before. The real one waits 2 s, up to 2 minutes.
FIRST_RETRY, LAST_RETRY = 0.05, 1.0
TIMEOUT = 60.0  # seconds for an answer


def _plain(url: str) -> str:
    """As TDLib writes a URL that it has read."""
    parts = urlsplit(url)
    return (
        f"{parts.scheme}://{parts.netloc.lower()}{parts.path or '/'}{url.partition('?')[1]}{parts.query}" if url else ""
    )


class Webhook:
    """`local`: as a Bot API server of one's own started with --local, which calls http and any port."""

    def __init__(self, state: State, *, local: bool = False) -> None:
        self._state = state
        self._local = local
        self._url = ""
        self._connections = CONNECTIONS
        self._secret: str | None = None
        self._error: tuple[int, str] | None = None
        self._task: asyncio.Task[None] | None = None

    def set(self, params: Mapping[str, Any]) -> bool:
        url = str(params.get("url", ""))
        self._check_url(url)
        secret = params.get("secret_token")
        self._check_secret(secret)
        connections = params.get("max_connections", CONNECTIONS)
        self._cancel()
        updates = self._state.updates
        updates.allow(params.get("allowed_updates"))
        if params.get("drop_pending_updates"):
            updates.pending.clear()
        self._url, self._secret, self._error = _plain(url), secret or None, None
        self._connections = min(max(connections if isinstance(connections, int) else CONNECTIONS, 1), MOST_CONNECTIONS)
        updates.webhook_active = bool(url)
        if url:
            updates.start_webhook()
            # kept and cancelled here: it lives from one setWebhook to the next
            self._task = asyncio.get_running_loop().create_task(self._deliver())
        return True

    def _check_url(self, url: str) -> None:
        if not url or (self._local and url.startswith(("http://", "https://"))):
            return
        parts = urlsplit(url)
        if parts.scheme != "https":
            bad("bad webhook: An HTTPS URL must be provided for webhook")
        if parts.port not in PORTS:
            bad("bad webhook: Webhook can be set up only on ports 80, 88, 443 or 8443")

    @staticmethod
    def _check_secret(secret: object) -> None:
        if secret is None or secret == "":
            return
        if len(str(secret)) > 256:
            bad("secret token is too long")
        if not re.fullmatch(r"[A-Za-z0-9_-]+", str(secret)):
            bad("secret token contains unallowed characters")

    async def delete(self, params: Mapping[str, Any]) -> bool:
        self.set({"url": "", "drop_pending_updates": params.get("drop_pending_updates")})
        return True

    def info(self) -> Json:
        updates = self._state.updates
        info: Json = {
            "url": self._url,
            "has_custom_certificate": False,
            "pending_update_count": len(updates.pending),
        }
        if self._url:
            info["max_connections"] = self._connections
        if updates.allowed:
            info["allowed_updates"] = updates.allowed
        if self._error is not None:
            info["last_error_date"], info["last_error_message"] = self._error
        return info

    def _cancel(self) -> None:
        if self._task is not None:
            self._task.cancel()

    async def stop(self) -> None:
        self._cancel()
        if self._task is not None:
            await asyncio.wait([self._task])
            self._task = None

    def resume(self) -> None:
        """After a stop of the server the webhook is still set."""
        if self._url and self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._deliver())

    async def _deliver(self) -> None:
        """The first update of each queue that has none under way."""
        updates = self._state.updates
        headers = {"Content-Type": "application/json"}
        if self._secret is not None:
            headers[SECRET_HEADER] = self._secret
        busy: dict[str, Update] = {}  # queue → the update under way
        slots = asyncio.Semaphore(self._connections)
        timeout = aiohttp.ClientTimeout(total=TIMEOUT)
        async with aiohttp.ClientSession(timeout=timeout, headers=headers) as session, asyncio.TaskGroup() as tasks:
            while True:
                updates.arrived.clear()
                for update in tuple(updates.pending):
                    if update.queue not in busy:
                        busy[update.queue] = update
                        tasks.create_task(self._insist(session, update, slots, busy))
                await updates.arrived.wait()

    async def _insist(
        self, session: aiohttp.ClientSession, update: Update, slots: asyncio.Semaphore, busy: dict[str, Update]
    ) -> None:
        wait, tries = FIRST_RETRY, 0
        while True:
            async with slots:
                asked = await self._post(session, update.body)
            if asked is None:
                break
            await asyncio.sleep(asked or (wait if tries else 0.0))
            if tries:
                wait = min(2 * wait, LAST_RETRY)
            tries += 1
        del busy[update.queue]
        self._state.updates.taken(update)
        self._state.changed()

    async def _post(self, session: aiohttp.ClientSession, body: str) -> float | None:
        """None when it was taken; else the Retry-After in seconds, 0 for none."""
        asked = 0.0
        try:
            async with session.post(self._url, data=body.encode(), allow_redirects=False) as response:
                if response.status // 100 == 2:
                    return None
                problem = f"Wrong response from the webhook: {response.status} {response.reason}"
                told = response.headers.get("Retry-After", "")
                asked = float(min(int(told), 3600)) if told.isdecimal() else 0.0
        except (aiohttp.ClientError, TimeoutError) as error:
            problem = f"Connection failed: {error}"
        self._error = (int(time.time()), problem)
        return asked
