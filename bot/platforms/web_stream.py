"""Server-Sent Events: one open stream per tab, which follows what the board says about one chat.

The board is the truth, so that any process can stream what another one wrote; a signal in this process only saves the
wait for the next look. A stream is resumed after the version that the browser saw last (Last-Event-ID).
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from bot.errors import StorageError
from bot.lanes import subject_of
from bot.ports import Board, Card

log = logging.getLogger(__name__)

BATCH = 200  # cards in one event
LOOK = 1.0  # seconds between looks at the board when nothing signals
KEEP_ALIVE = 15.0  # seconds; proxies close what is silent for 60
RETRY = 1000  # milliseconds that a browser waits before it comes back


@dataclass(eq=False, slots=True)
class _Tab:
    chat: str
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    working: bool = False
    ended: str = ""


class Streams:
    """The open streams. At most `limit`: a new one ends the oldest, whose tab is told to come back when it is looked at."""

    def __init__(self, board: Board, limit: int = 32) -> None:
        self._board = board
        self._limit = limit
        self._tabs: list[_Tab] = []
        self._closed = False

    def changed(self, chat: str) -> None:
        for tab in self._of(chat):
            tab.wake.set()

    def look(self) -> None:
        """Another process may have written on any board."""
        for tab in self._tabs:
            tab.wake.set()

    def working(self, chat: str) -> None:
        for tab in self._of(chat):
            tab.working = True
            tab.wake.set()

    def close(self) -> None:
        """End all streams now and those that come later at once."""
        self._closed = True
        for tab in self._tabs:
            self._end(tab, "restart")

    async def follow(self, chat: str, after: int) -> AsyncIterator[str]:
        """The events of one stream. `cards`: messages as they stand now; `live`: nothing older is missing; `working`: an
        answer is being made; `parted`: a newer tab took the place; `restart`: the server ends."""
        tab = self._open(chat)
        try:
            yield f"retry: {RETRY}\n\n"
            live, spoke = False, time.monotonic()
            while not tab.ended:
                tab.wake.clear()
                event = ""
                cards = await self._since(chat, after)
                if cards:
                    after = cards[-1].version
                    event = f"id: {after}\nevent: cards\ndata: {_dump(cards)}\n\n"
                elif cards is not None and not live:
                    live, event = True, "event: live\ndata: {}\n\n"
                elif tab.working:
                    tab.working, event = False, "event: working\ndata: {}\n\n"
                elif time.monotonic() - spoke > KEEP_ALIVE:
                    event = ": still here\n\n"
                if event:
                    spoke = time.monotonic()
                    yield event
                else:
                    await _signal(tab.wake)
            yield f"event: {tab.ended}\ndata: {{}}\n\n"
        finally:
            if tab in self._tabs:
                self._tabs.remove(tab)

    def _open(self, chat: str) -> _Tab:
        tab = _Tab(chat)
        if self._closed:
            tab.ended = "restart"
        elif len(self._tabs) >= self._limit:
            self._end(self._tabs.pop(0), "parted")
        self._tabs.append(tab)
        return tab

    @staticmethod
    def _end(tab: _Tab, why: str) -> None:
        tab.ended = why
        tab.wake.set()

    def _of(self, chat: str) -> list[_Tab]:
        return [tab for tab in self._tabs if tab.chat == chat]

    async def _since(self, chat: str, version: int) -> Sequence[Card] | None:
        """None: the store cannot tell now; the next look may."""
        try:
            return await self._board.since(chat, version, BATCH)
        except StorageError as error:
            log.warning("the page's board cannot be read: %s", error)
            return None


async def _signal(wake: asyncio.Event) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(LOOK):
            await wake.wait()


def _dump(cards: Sequence[Card]) -> str:
    shown = ("id", "role", "body", "created", "buttons", "done", "removed", "files")
    told = [{name: getattr(card, name) for name in shown} | {"subject": _subject(card)} for card in cards]
    return json.dumps(told, ensure_ascii=False)


def _subject(card: Card) -> str:
    """What the chat may be named after."""
    return subject_of(card.body) if card.role == "person" else ""
