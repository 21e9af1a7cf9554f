"""Calls to Telegram that have to succeed, whatever the network does, and polling by them: raw updates, batch after batch. What
they mean and who keeps them is not decided here."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from collections.abc import Callable
from typing import Any

from telegram.error import BadRequest, Conflict, InvalidToken, TelegramError

from bot.platforms.telegram_read import KINDS, has_id
from bot.platforms.telegram_transport import ANSWER, Api, Flood, translated

BATCH = 100  # updates per call, Telegram's most
LONGEST = 50  # seconds that Telegram holds a poll at most
# Seconds without a finished poll after which its connection is given up: one that died without a word cannot be told from one
# on which nobody writes. With the longest wait between tries it is how long we may be deaf once the network is back.
SILENCE = 20.0
LONGEST_WAIT = 8.0  # seconds
RIVAL = 5.0  # seconds, at least, between tries while another program polls
HELD = 0.1  # seconds between looks whether we may call

_log = logging.getLogger(__name__)


class Patience:
    """Waits between tries, longer and longer, and tells the log once when trouble begins and once when it ends."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._tries = 0

    async def wait(self, why: str, at_least: float = 0.0) -> None:
        if not self._tries:
            _log.warning("%s: %s; I keep trying", self._what, why)
        self._tries += 1
        longest = min(LONGEST_WAIT, 0.25 * 2 ** min(self._tries, 8))
        await asyncio.sleep(max(at_least, longest * random.uniform(0.5, 1.0)))

    def over(self) -> None:
        if self._tries:
            _log.info("%s: works again, after %d failed tries", self._what, self._tries)
        self._tries = 0


class Caller:
    """Calls that are made until they succeed, and only while `may` says so: a process that was paused may find, when it goes
    on, that another one has its duty."""

    def __init__(self, api: Api, may: Callable[[], bool] = lambda: True, what: str = "Telegram") -> None:
        self._api = api
        self._may = may
        self._patience = Patience(what)
        self._conflicts = 0

    async def insist(self, method: str, parameters: dict[str, Any] | None = None, seconds: float = ANSWER) -> Any:
        """The result of the call. Raises Revoked."""
        while True:
            while not self._may():  # noqa: ASYNC110 -- a lease that runs out tells nobody
                await asyncio.sleep(HELD)
            try:
                result = await self._api.call(method, parameters, seconds)
            except TelegramError as error:
                await self._after(method, error)
            else:
                self._patience.over()
                return result

    async def _after(self, method: str, error: TelegramError) -> None:
        match error:
            case InvalidToken():
                raise translated(error) from None
            case Flood():
                await self._patience.wait(error.message, error.seconds)
            case Conflict():
                await self._after_conflict(error)
            case BadRequest():
                await self._patience.wait(f"{method} is refused ({error.message[:200]})")
            case _:
                await self._patience.wait(f"no connection ({error.message[:100]})")

    async def _after_conflict(self, error: Conflict) -> None:
        self._conflicts += 1
        if not self._may():
            return  # with whoever took over from us
        if "webhook" in error.message.lower():
            with contextlib.suppress(TelegramError):
                await self._api.call("deleteWebhook")
            await self._patience.wait("a webhook is set for this bot and gets its messages; I remove it")
        elif self._conflicts == 1:
            await asyncio.sleep(HELD)  # it may be the last poll of whoever had the duty before us
        else:
            rival = (
                "another program receives this bot's messages with the same token (409); stop it, or give it its own"
            )
            await self._patience.wait(rival, RIVAL)


class Poller:
    """getUpdates in a loop. It starts without an offset: Telegram may begin anew with its ids, and what was not confirmed
    comes again."""

    def __init__(self, caller: Caller, silence: float = SILENCE) -> None:
        self._caller = caller
        self._silence = silence
        self._offset: int | None = None
        self._patience = Patience("Telegram")

    async def batch(self) -> list[Any]:
        """The next updates, none after a quiet while. It confirms those of the batch before: ask only when they are kept.
        Raises Revoked."""
        hold = max(1, min(LONGEST, int(self._silence * 5 / 9)))
        parameters: dict[str, Any] = {"limit": BATCH, "timeout": hold, "allowed_updates": list(KINDS)}
        if self._offset is not None:
            parameters["offset"] = self._offset
        updates = await self._caller.insist("getUpdates", parameters, self._silence)
        if not isinstance(updates, list):
            await self._patience.wait("an answer to getUpdates that is no list")
            return []
        if ids := [update["update_id"] for update in updates if has_id(update)]:
            self._offset = max(ids) + 1
        elif updates:
            await self._patience.wait("updates without an id, which cannot be confirmed")
            return updates
        self._patience.over()
        return updates
