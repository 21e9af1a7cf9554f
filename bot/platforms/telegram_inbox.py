"""Updates into the intake, however they came: whose they are, whether those may use the bot, and what is answered at once
(a press, a stranger). Each update is kept by Telegram until `accept` returns."""

from __future__ import annotations

import asyncio
import logging
import zlib
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, TypeVar

from telegram.error import TelegramError

from bot.errors import PlatformError, StorageError, Unreadable
from bot.messages import Event
from bot.platforms import telegram_read
from bot.platforms.telegram_read import Ignored, Keyed
from bot.platforms.telegram_text import Me
from bot.platforms.telegram_transport import ANSWER, Api
from bot.ports import Cursors, Gatekeeper, Intake

ERRANDS = 100  # small calls that may be under way at once beside the receiving; more are not made
REMEMBERED = 500  # groups, albums and uploaded files that are kept in mind
ALBUM = "telegram/album/"

_log = logging.getLogger(__name__)
T = TypeVar("T")


class Errands:
    """Small calls beside the receiving, made only while `may` says so. What fails is not repeated."""

    def __init__(self, tasks: asyncio.TaskGroup, may: Callable[[], bool]) -> None:
        self._tasks, self._may = tasks, may
        self._running = 0

    def start(self, errand: Callable[[], Awaitable[object]]) -> None:
        if self._running < ERRANDS:
            self._running += 1
            self._tasks.create_task(self._run(errand))

    async def _run(self, errand: Callable[[], Awaitable[object]]) -> None:
        try:
            if self._may():
                async with asyncio.timeout(ANSWER):
                    await errand()
        except (TelegramError, PlatformError, StorageError, Unreadable, TimeoutError) as error:
            _log.debug("Telegram errand: %s", error)
        finally:
            self._running -= 1


@asynccontextmanager
async def errands(may: Callable[[], bool] = lambda: True) -> AsyncIterator[Errands]:
    """A PlatformError of the block leaves it as such, not in a group."""
    fatal: PlatformError | None = None
    async with asyncio.TaskGroup() as tasks:
        try:
            yield Errands(tasks, may)
        except PlatformError as error:
            fatal = error
    if fatal is not None:
        raise fatal


class UpdateInbox:
    """`me` is to be set before anything comes in; `hint_due`: privacy mode is on, which is explained when it first matters.
    `turn_away` tells a stranger, by their event, that the bot is closed."""

    def __init__(
        self, api: Api, gate: Gatekeeper, cursors: Cursors, me: Me, turn_away: Callable[[Event], Awaitable[None]]
    ) -> None:
        self.me = me
        self.hint_due = False
        self._api, self._gate, self._cursors, self._turn_away = api, gate, cursors, turn_away
        self._moved: OrderedDict[str, str] = OrderedDict()  # new id of a group → its old one

    def sort(self, updates: Sequence[Any]) -> list[Keyed]:
        """Those that may be for us, with their keys."""
        keyed = [one for update in updates if (one := self._key(update)) is not None]
        for one in keyed:
            self._explain_privacy(one)
        return keyed

    async def accept(self, keyed: Sequence[Keyed], intake: Intake, errands: Errands) -> None:
        """Commit what is addressed to us by someone who may; the others get their line. Raises StorageError: all of it is to
        be tried again."""
        albums = await self._our_albums(keyed)
        ours = [one for one in keyed if one.addressed or one.album in albums]
        admitted = [one.event for one in ours if self._admits(one)]
        if admitted:
            await intake.accept(admitted)
        for one in ours:
            if one.press:
                answer = {"callback_query_id": one.press}
                errands.start(partial(self._api.call, "answerCallbackQuery", answer))
            due = (one.private or one.command) and one.event.message and not self._admits(one)
            if due and self._gate.turn_away("telegram", one.person):
                errands.start(partial(self._turn_away, one.event))

    def _admits(self, one: Keyed) -> bool:
        if one.place != one.event.chat.chat:  # it moves: admitted by its old id until the gate knows the new one
            remember(self._moved, one.place, one.event.chat.chat)
        places = one.place, self._moved.get(one.place, one.place)
        return one.always or self._gate.admits("telegram", one.person, *places)

    async def _our_albums(self, keyed: Sequence[Keyed]) -> Collection[str]:
        """Of a group's album only one message says that it is meant for us. The others may come later, and to another process:
        so the last few albums are notes in the store, each in a place given by its id."""
        ours = {one.album for one in keyed if one.album and one.addressed}
        grouped = {one.album for one in keyed if one.album and one.addressed and not one.private}
        if grouped:
            await self._cursors.note({_album_note(album): album for album in grouped})
        for album in {one.album for one in keyed if one.album} - ours:
            if (await self._cursors.notes(_album_note(album))).get(_album_note(album)) == album:
                ours.add(album)
        return ours

    def _key(self, update: Any) -> Keyed | None:
        """None for what is not ours and for what cannot be keyed: nobody waits for either."""
        if not telegram_read.has_id(update):
            _log.warning("Telegram sent an update without an id: passed over")
            return None
        try:
            return telegram_read.key(update, self.me)
        except Ignored:
            return None
        except Unreadable as error:
            _log.warning("Telegram update %d passed over: %s", update["update_id"], error)
            return None

    def _explain_privacy(self, one: Keyed) -> None:
        if self.hint_due and not one.private:
            self.hint_due = False
            _log.info(
                "Telegram's privacy mode is on for @%s: in groups it is told only commands, replies to it and messages that "
                "name it, which is all that it needs. If it misses any: write /setprivacy to @BotFather, choose @%s, press "
                "Disable, then remove the bot from the group and add it again.",
                self.me.name,
                self.me.name,
            )


def remember(memory: OrderedDict[str, T], name: str, value: T) -> None:
    memory[name] = value
    while len(memory) > REMEMBERED:
        memory.popitem(last=False)


def _album_note(album: str) -> str:
    return f"{ALBUM}{zlib.crc32(album.encode()) % REMEMBERED}"
