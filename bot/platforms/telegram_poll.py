"""Raw updates, batch after batch, whatever the network does. What they mean and who keeps them is not decided here."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from typing import Any

from telegram.error import Conflict, InvalidToken, TelegramError

from bot.platforms.telegram_read import KINDS
from bot.platforms.telegram_transport import Api, Flood, translated

BATCH = 100  # updates per call, Telegram's most
LONGEST = 50  # seconds that Telegram holds a poll at most
SILENCE = 90.0  # seconds without a finished poll after which its connection is given up (half-open TCP)
RIVAL = 5.0  # seconds, at least, between tries while another program polls

_log = logging.getLogger(__name__)


class Patience:
    """Waits between tries, longer and longer up to 30 s, and tells the log once when trouble begins and once when it ends."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._tries = 0

    async def wait(self, why: str, at_least: float = 0.0) -> None:
        if not self._tries:
            _log.warning("%s: %s; I keep trying", self._what, why)
        self._tries += 1
        longest = min(30.0, 0.25 * 2 ** min(self._tries, 8))
        await asyncio.sleep(max(at_least, longest * random.uniform(0.5, 1.0)))

    def over(self) -> None:
        if self._tries:
            _log.info("%s: works again, after %d failed tries", self._what, self._tries)
        self._tries = 0


class Poller:
    """getUpdates in a loop. It starts without an offset: Telegram may begin anew with its ids, and what was not confirmed
    comes again."""

    def __init__(self, api: Api, silence: float = SILENCE) -> None:
        self._api = api
        self._silence = silence
        self._patience = Patience("Telegram")

    async def insist(self, method: str, parameters: dict[str, Any] | None = None) -> Any:
        """The result of a call that has to succeed before anything else. Raises Revoked."""
        while True:
            try:
                result = await self._api.call(method, parameters)
            except TelegramError as error:
                await self._after(error)
            else:
                self._patience.over()
                return result

    async def batch(self, offset: int | None) -> list[Any]:
        """The next updates, none after a quiet while; `offset` confirms all before it. Raises Revoked."""
        hold = max(1, min(LONGEST, int(self._silence * 5 / 9)))
        parameters: dict[str, Any] = {"limit": BATCH, "timeout": hold, "allowed_updates": list(KINDS)}
        if offset is not None:
            parameters["offset"] = offset
        while True:
            try:
                result = await self._api.call("getUpdates", parameters, self._silence)
            except TelegramError as error:
                await self._after(error)
                continue
            if isinstance(result, list):
                self._patience.over()
                return result
            await self._patience.wait("an answer to getUpdates that is no list")

    async def stuck(self) -> None:
        """Wait before asking again: the last batch had nothing that can be confirmed."""
        await self._patience.wait("updates without an id, which cannot be confirmed")

    async def _after(self, error: TelegramError) -> None:
        if isinstance(error, InvalidToken):
            raise translated(error) from None
        if isinstance(error, Flood):
            await self._patience.wait(error.message, error.seconds)
        elif isinstance(error, Conflict) and "webhook" in error.message.lower():
            with contextlib.suppress(TelegramError):
                await self._api.call("deleteWebhook")
            await self._patience.wait("a webhook is set for this bot and gets its messages; I remove it")
        elif isinstance(error, Conflict):
            rival = (
                "another program receives this bot's messages with the same token (409); stop it, or give it its own"
            )
            await self._patience.wait(rival, RIVAL)
        else:
            await self._patience.wait(f"no connection ({error.message[:100]})")
