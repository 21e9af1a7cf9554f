"""Webhook delivery: updates by POST, one after the other, each until it was taken with a 2xx."""

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

SECRET_HEADER = "X-Telegram-Bot-Api-Secret-Token"
FIRST_RETRY = 0.05  # seconds; doubled up to LAST_RETRY (the real one waits longer)
LAST_RETRY = 1.0


class Webhook:
    def __init__(self, state: State) -> None:
        self._state = state
        self._url = ""
        self._secret: str | None = None
        self._error: tuple[int, str] | None = None
        self._task: asyncio.Task[None] | None = None

    def set(self, params: Mapping[str, Any]) -> bool:
        """Plain http is taken for loopback addresses, as a local Bot API server does."""
        url = str(params.get("url", ""))
        parts = urlsplit(url)
        loopback = parts.hostname in ("127.0.0.1", "localhost", "::1")
        if url and parts.scheme != "https" and not (parts.scheme == "http" and loopback):
            bad("bad webhook: An HTTPS URL must be provided for webhook")
        secret = params.get("secret_token")
        if secret is not None and not re.fullmatch(r"[A-Za-z0-9_-]{1,256}", str(secret)):
            bad("secret token contains unallowed characters")
        self._cancel()
        updates = self._state.updates
        updates.allow(params.get("allowed_updates"))
        if params.get("drop_pending_updates"):
            updates.pending.clear()
        self._url, self._secret, self._error = url, secret, None
        updates.webhook_active = bool(url)
        if url:
            updates.start_webhook()
            # kept and cancelled here: it lives from one setWebhook to the next
            self._task = asyncio.get_running_loop().create_task(self._deliver())
        return True

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
            info["max_connections"] = 40
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

    async def _deliver(self) -> None:
        updates = self._state.updates
        headers = {"Content-Type": "application/json"}
        if self._secret is not None:
            headers[SECRET_HEADER] = self._secret
        retry = FIRST_RETRY
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=60)) as session:
            while True:
                updates.arrived.clear()
                if not updates.pending:
                    await updates.arrived.wait()
                    continue
                update = updates.pending[0]
                if await self._post(session, update.body, headers):
                    updates.confirm(update.id + 1)
                    self._state.changed()
                    retry = FIRST_RETRY
                else:
                    await asyncio.sleep(retry)
                    retry = min(2 * retry, LAST_RETRY)

    async def _post(self, session: aiohttp.ClientSession, body: str, headers: dict[str, str]) -> bool:
        try:
            async with session.post(self._url, data=body.encode(), headers=headers) as response:
                if response.ok:
                    return True
                problem = f"Wrong response from the webhook: {response.status} {response.reason}"
        except (aiohttp.ClientError, TimeoutError) as error:
            problem = f"Connection failed: {error}"
        self._error = (int(time.time()), problem)
        return False
