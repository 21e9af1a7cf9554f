"""The house on a stage: the real engine, delivery and SQLite store, a window for a platform, and a handler that plays a script.

It can be stopped as a crash would (nothing is finished, nothing is committed after it) and opened again on the same file.
"""

from __future__ import annotations

import asyncio
import fnmatch
import itertools
import json
import sqlite3
import time
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from bot.errors import StorageError
from bot.lanes import Lane, lane_of
from bot.messages import (
    Answered,
    Asked,
    Change,
    ChatKey,
    Edited,
    Ended,
    Event,
    Finish,
    Finished,
    Message,
    Part,
    Replaces,
    Text,
    Turn,
)
from bot.phrases import Language
from bot.ports import Topic
from bot.turns.delivery import Delivery
from bot.turns.engine import Engine
from storage.sqlite import SQLite, open_sqlite
from storage.store import Store
from storage.transaction import TransactionFactory
from tests.window import Window

T = TypeVar("T")
PATIENCE = 20.0  # seconds until a condition that does not come is a failure


async def until(condition: Callable[[], object], what: str = "") -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, what or "what was waited for did not come"
        await asyncio.sleep(0.003)


# --- the handler -------------------------------------------------------------------------------------------------------


class Gate:
    """A place in a script: `reached` tells that the handler is there, `open` lets it go on."""

    def __init__(self) -> None:
        self.reached = asyncio.Event()
        self.open = asyncio.Event()


Item = Part | Change | Gate | Exception


class Script:
    """ports.Handler. Answers a text by the items told with `on`; any other text by "re: <text>". Remembers all it saw."""

    def __init__(self) -> None:
        self.turns: list[Turn] = []
        self.ended: list[int] = []  # turns whose iterator was closed or came to its end
        self.histories: dict[int, list[str]] = {}  # turn → the conversation that a model would have been asked with
        self.at_once: Counter[ChatKey] = Counter()
        self.most_at_once = 0
        self.most_in_one_chat = 0
        self.store: Store | None = None
        self._scripts: list[tuple[str, list[Item]]] = []

    def on(self, pattern: str, *items: Item) -> None:
        """What is said to a text of this pattern. Without a Finished the usual end follows."""
        self._scripts.insert(0, (pattern, list(items)))

    @property
    def texts(self) -> list[str]:
        return [text_of(turn) for turn in self.turns]

    async def answer(self, turn: Turn) -> AsyncGenerator[Part | Change, None]:
        assert self.store is not None
        self.turns.append(turn)
        self.at_once[turn.chat] += 1
        self.most_at_once = max(self.most_at_once, self.at_once.total())
        self.most_in_one_chat = max(self.most_in_one_chat, self.at_once[turn.chat])
        try:
            parent = turn.head
            if isinstance(turn.said, Edited):
                exchange = await self.store.exchange(turn.chat, turn.said.message.id)
                if exchange and exchange.question:
                    yield Replaces(exchange.turn)
                    parent = exchange.question.parent
            text = text_of(turn)
            self.histories[turn.id] = [entry.text for entry in await self.store.line(parent, 100)]
            yield Asked(text=text, author=turn.author.id, parent=parent)
            for item in self._items(text):
                match item:
                    case Gate():
                        item.reached.set()
                        await item.open.wait()
                    case Exception():
                        raise item
                    case _:
                        yield item
        finally:
            self.at_once[turn.chat] -= 1
            self.ended.append(turn.id)

    def _items(self, text: str) -> list[Item]:
        items = next((items for pattern, items in self._scripts if fnmatch.fnmatchcase(text, pattern)), None)
        items = [Text(f"re: {text}")] if items is None else items
        if any(isinstance(item, Finished | Exception) for item in items):
            return items
        return [*items, Answered(), Finished(reason=Finish.STOP, model="m")]


def text_of(turn: Turn) -> str:
    match turn.said:
        case Edited(message):
            return message.text
        case tuple() as messages:
            return " + ".join(message.text for message in messages if isinstance(message, Message))
        case Ended(job):
            return f"job {job}"
        case pressed:
            return pressed.button


# --- the store ---------------------------------------------------------------------------------------------------------


class Flawed:
    """The real database, whose transactions (by their names) can fail, be held before they run or after they have committed."""

    def __init__(self, flaws: Flaws, database: SQLite) -> None:
        self.worker = database.worker
        self.lease = database.lease
        self.others = database.others
        self.renew = database.renew
        self.subscribe = database.subscribe
        self._flaws = flaws
        self._database = database
        self.dead = False

    def now(self) -> float:
        return self._flaws.clock()

    async def run(
        self,
        make: TransactionFactory[T],
        *,
        chats: Sequence[str] | None = (),
        tells: Sequence[Topic] = (),
        urgent: bool = False,
    ) -> T:
        name = make.func.__name__ if isinstance(make, partial) else make.__name__
        if self.dead:
            raise asyncio.CancelledError
        if self._flaws.fails[name] > 0:
            self._flaws.fails[name] -= 1
            raise StorageError(f"no {name} now")
        await self._flaws.pass_by(f"before {name}")
        result: T = await self._database.run(make, chats=chats, tells=tells, urgent=urgent)
        if not _found_nothing(name, result):
            await self._flaws.pass_by(f"after {name}")
        return result


def _found_nothing(name: str, result: object) -> bool:
    """A claim that took no turn is nobody's edge: they come at any time."""
    return name == "claim" and isinstance(result, tuple) and not result[0]


@dataclass(slots=True)
class Flaws:
    """`fails["complete"] = 2`: the next two do not commit. `hold("after complete")`: the next one is held there. `clock`:
    what the store takes for the time."""

    fails: Counter[str] = field(default_factory=Counter)
    gates: dict[str, Gate] = field(default_factory=dict)
    clock: Callable[[], float] = time.time

    def hold(self, point: str) -> Gate:
        self.gates[point] = Gate()
        return self.gates[point]

    async def pass_by(self, point: str) -> None:
        gate = self.gates.pop(point, None)
        if gate:
            gate.reached.set()
            await gate.open.wait()


# --- the house ---------------------------------------------------------------------------------------------------------


class House:
    """`open`, `crash`, `drain`; between them people `say`, `press`, `edit`. `window` is the first of its windows."""

    def __init__(self, path: Path, windows: Mapping[str, Window], script: Script, at_once: int) -> None:
        self.windows = windows
        self.window = next(iter(windows.values()))
        self.script = script
        self.flaws = Flaws()
        self.renamed: list[tuple[str, str]] = []
        self.leased = True  # whether we may act, as a worker among others is told by its clock
        self.path = path
        self.store: Store
        self.engine: Engine
        self.delivery: Delivery
        self._at_once = at_once
        self._database: Flawed
        self._life: asyncio.Task[None] | None = None
        self._numbers = itertools.count(1)

    async def open(self, *events: Event) -> None:
        """Start; `events` were accepted while nothing ran yet."""
        for window in self.windows.values():
            window.dead = False
        opened = asyncio.Event()
        self._life = asyncio.get_running_loop().create_task(self._live(opened, events))
        waiting = asyncio.get_running_loop().create_task(opened.wait())
        await asyncio.wait((self._life, waiting), return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        if not opened.is_set():
            self._life.result()

    async def _live(self, opened: asyncio.Event, events: tuple[Event, ...]) -> None:
        async def moving(old: ChatKey, new: ChatKey) -> None:
            await self.store.move(old, new)
            self.renamed.append((str(old), str(new)))

        async with open_sqlite(self.path) as database:
            self._database = Flawed(self.flaws, database)
            self.store = self.script.store = Store(self._database)
            self.delivery = Delivery(self.store, self.windows, moving, lambda: self.leased)
            self.engine = Engine(
                inbox=self.store,
                control=self.store,
                platforms=self.windows,
                handler=self.script,
                delivery=self.delivery,
                moved=lambda old, new: self.renamed.append((old, new)),
                at_once=self._at_once,
            )
            if events:
                await self.engine.accept(events)
            opened.set()
            await self.engine.run()

    async def crash(self) -> None:
        """kill -9, as far as a task can play it: nothing more reaches the store or the platform."""
        if self._life is None:
            return
        self._database.dead = True
        for window in self.windows.values():
            window.dead = True
        await self.close()

    async def close(self) -> None:
        if self._life:
            self._life.cancel()
            with suppress(asyncio.CancelledError):
                await self._life
            self._life = None

    async def drain(self, seconds: float) -> None:
        """As a SIGTERM does it."""
        await self.engine.drain(seconds)
        await self.close()

    # people

    def event(
        self,
        kind: str,
        chat: ChatKey,
        text: str = "",
        *,
        author: str = "1",
        message: str = "",
        language: Language = "en",
        group: bool = False,
        ago: float = 0.0,
        lane: Lane | None = None,
    ) -> Event:
        number = next(self._numbers)
        at, message = time.time() - ago, message or (f"m{number}" if kind == "message" else "")
        payload = {
            "kind": kind, "chat": str(chat), "text": text, "author": author, "message": message, "language": language,
            "group": group, "at": at,
        }  # fmt: skip
        joins = author if kind == "message" and not text.startswith("/") else ""
        return Event(
            platform=chat.platform, bot="b", event=f"e{number}", chat=chat, author=author, payload=json.dumps(payload), at=at,
            lane=lane or lane_of(text), message=message, joins=joins, edits=kind == "edit", digest=text,
        )  # fmt: skip

    async def say(self, chat: ChatKey, text: str, *, author: str = "1", group: bool = False) -> str:
        """The message's id."""
        event = self.event("message", chat, text, author=author, group=group)
        await self.engine.accept([event])
        return event.message

    async def press(self, chat: ChatKey, button: str, *, author: str = "1") -> None:
        await self.engine.accept([self.event("press", chat, button, author=author)])

    async def edit(self, chat: ChatKey, message: str, text: str) -> None:
        await self.engine.accept([self.event("edit", chat, text, message=message, lane=Lane.TURN)])

    # looking

    async def shows(self, chat: ChatKey, *bodies: str) -> None:
        """Wait until exactly this stands in the chat, and nothing is left to be done or shown."""
        window = self.windows[chat.platform]
        deadline = time.monotonic() + PATIENCE
        while window.standing(chat) != list(bodies) or not await self.at_rest(chat):
            assert time.monotonic() < deadline, f"{window.standing(chat)} stands instead of {list(bodies)}"
            await asyncio.sleep(0.005)

    async def at_rest(self, chat: ChatKey) -> bool:
        rows = self.query("SELECT 1 FROM inbox WHERE chat = ? AND state IN ('queued', 'taken')", str(chat))
        return not rows and not await self.store.waiting(chat)

    async def history(self, chat: ChatKey) -> list[str]:
        head = self.query("SELECT head FROM chats WHERE chat = ?", str(chat))[0][0]
        return [entry.text for entry in await self.store.line(head, 100)]

    def query(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        """Ask the file itself."""
        connection = sqlite3.connect(self.path)
        try:
            found = connection.execute(sql, values).fetchall()
            connection.commit()
            return found
        finally:
            connection.close()


@asynccontextmanager
async def house(
    directory: Path, *windows: Window, script: Script | None = None, at_once: int = 1000, start: bool = True
) -> AsyncIterator[House]:
    shown = windows or (Window(),)
    made = House(directory / "magpie.db", {window.name: window for window in shown}, script or Script(), at_once)
    if start:
        await made.open()
    try:
        yield made
    finally:
        await made.crash()
    for window in shown:
        assert window.impatient == [], "called before a RetryAfter had ended"
    assert made.script.most_in_one_chat <= 1, "two turns at once in one chat"
