"""The engine on its stores, without network: how many messages it gets through, and what a long history costs.

Nothing here is a stand-in for the store or the engine: only the platform and the model are small objects that take no time.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import random
import sqlite3
import time
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.measure import median
from bot.delivery import Delivery
from bot.engine import Engine
from bot.files import FileStore
from bot.fleet import Alone, Fleet
from bot.manager import ConversationManager
from bot.messages import (
    Address,
    Answered,
    Asked,
    Attachment,
    Author,
    Change,
    ChatKey,
    Event,
    Finish,
    Finished,
    Message,
    Notice,
    Part,
    Piece,
    Text,
    Thought,
    Turn,
    Usage,
)
from bot.ports import ChatModel, Handler, ImageModel, Intake, Kind, ModelCard, Prompt, Traits, Unknown
from storage import Store, open_store

THINKING = 0.05  # seconds that a model takes in the burst
POLL = 100  # events that one poll of Telegram brings at most
OLD_MESSAGES = 100  # of each chat with a long history
WORDS = "Magpies keep every word that they were told, and never tell one twice. "
CARD = ModelCard(name="instant", vendor="bench", kind="chat", window=128_000, output=4_000)


class Quiet:
    """A platform where everything succeeds at once; sends are not idempotent, as on Telegram. Counts whole answers."""

    name = "quiet"
    traits = Traits(idempotent=False)

    def __init__(self) -> None:
        self._ids = itertools.count(1)
        self.answered = 0
        self.changed = asyncio.Event()
        self._expected: dict[str, asyncio.Event] = {}

    async def listen(self, intake: Intake) -> None:
        raise NotImplementedError("events are handed to the engine directly")

    def read(self, payload: str) -> Message:
        said = json.loads(payload)
        address = Address(ChatKey(self.name, said["chat"]))
        return Message(id=said["id"], author=Author("1", "Ann"), address=address, text=said["text"], at=time.time())

    def layout(self, markdown: str, thoughts: str = "", thinking: bool = False, /) -> tuple[Piece, ...]:
        return (Piece(markdown),)

    async def send(self, to: Address, piece: Piece, nonce: str) -> str:
        return str(next(self._ids))

    async def edit(self, to: Address, message: str, piece: Piece) -> None:
        if not piece.body.endswith("▌"):
            self.answered += 1
            self.changed.set()
            if to.chat.chat in self._expected:
                self._expected.pop(to.chat.chat).set()

    def expect(self, chat: str) -> asyncio.Event:
        """Set when the chat's answer stands."""
        self._expected[chat] = asyncio.Event()
        return self._expected[chat]

    async def remove(self, to: Address, message: str) -> None: ...

    async def working(self, to: Address) -> None: ...

    async def fetch(self, attachment: Attachment, limit: int) -> bytes:
        raise NotImplementedError("nobody sends files here")

    async def until(self, answered: int) -> None:
        while self.answered < answered:
            self.changed.clear()
            await self.changed.wait()


class Instant:
    """ports.Models and ports.ChatModel: one model that says its line at once."""

    simulated = False

    def cards(self) -> Sequence[ModelCard]:
        return (CARD,)

    def find(self, name: str, kind: Kind = "chat") -> ModelCard | Unknown:
        return CARD if kind == "chat" else Unknown()

    def pick(self, kind: Kind, *, vendor: str = "", vision: bool = False) -> ModelCard | None:
        return CARD if kind == "chat" else None

    def chat(self, card: ModelCard) -> ChatModel:
        return self

    def image(self, card: ModelCard) -> ImageModel:
        raise NotImplementedError("it cannot draw")

    def fallback(self) -> ModelCard | None:
        return None

    async def generate(self, prompt: Prompt) -> AsyncGenerator[Text | Thought | Notice | Finished, None]:
        yield Text(WORDS)
        yield Finished(reason=Finish.STOP, usage=Usage(prompt=100, completion=20), model=CARD.name)


class Slow:
    """ports.Handler: a question and an answer for the history, without reading it."""

    async def answer(self, turn: Turn) -> AsyncGenerator[Part | Change, None]:
        assert isinstance(turn.said, tuple)
        yield Asked(text=turn.said[0].text, author="", parent=turn.head)
        await asyncio.sleep(THINKING)
        yield Text(WORDS)
        yield Answered()
        yield Finished(reason=Finish.STOP, model=CARD.name)


@asynccontextmanager
async def running(store: Store, handler: Handler, platform: Quiet) -> AsyncIterator[Engine]:
    async def moving(old: ChatKey, new: ChatKey) -> None:
        await store.move(old, new)

    def moved(old: str, new: str) -> None: ...

    platforms = {platform.name: platform}
    fleet = Fleet(store) if store.lease else Alone()
    engine = Engine(
        inbox=store,
        control=store,
        platforms=platforms,
        handler=handler,
        delivery=Delivery(store, platforms, moving, fleet.may_act),
        moved=moved,
        fleet=fleet,
    )
    async with asyncio.TaskGroup() as tasks:
        work = tasks.create_task(engine.run()), tasks.create_task(fleet.run(engine.heard))
        try:
            await fleet.begun()
            yield engine
            await engine.drain(10)
        finally:
            for task in work:
                task.cancel()


def event(number: int, chat: str) -> Event:
    payload = json.dumps({"chat": chat, "id": str(number), "text": f"{WORDS}{number}"})
    key = ChatKey(Quiet.name, chat)
    return Event(
        platform=Quiet.name,
        bot="1",
        event=str(number),
        chat=key,
        author="1",
        payload=payload,
        at=time.time(),
        message=str(number),
    )


# --- the burst ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Burst:
    """`seconds` from the first accepted message to the last answer shown; `cpu` is that of the process."""

    messages: int
    chats: int
    seconds: float
    cpu: float

    @property
    def per_second(self) -> float:
        return self.messages / self.seconds


async def burst(url: str, messages: int, chats: int) -> Burst:
    """All messages at once, in polls of 100, the chats in turn; each is a turn of its own."""
    platform = Quiet()
    events = [event(number, str(number % chats)) for number in range(messages)]
    async with (
        open_store(url) as store,
        running(store, Slow(), platform) as engine,
    ):
        spent, began = time.process_time(), time.monotonic()
        async with asyncio.timeout(120):
            for first in range(0, messages, POLL):
                await engine.accept(events[first : first + POLL])
            await platform.until(messages)
        seconds, cpu = time.monotonic() - began, time.process_time() - spent
    return Burst(messages, chats, seconds, cpu)


async def paced(url: str, messages: int, per_second: float) -> float:
    """Median milliseconds that a turn takes beyond its model's time, while lone messages come at this pace."""
    platform = Quiet()
    took: list[float] = []
    async with open_store(url) as store, running(store, Slow(), platform) as engine, asyncio.TaskGroup() as tasks:
        for number in range(messages):
            tasks.create_task(_timed(engine, platform, number, took))
            await asyncio.sleep(1 / per_second)
    return (median(took[messages // 10 :]) - THINKING) * 1000


async def _timed(engine: Engine, platform: Quiet, number: int, took: list[float]) -> None:
    began = time.monotonic()
    shown = platform.expect(f"paced{number}")
    await engine.accept([event(number, f"paced{number}")])
    async with asyncio.timeout(30):
        await shown.wait()
    took.append(time.monotonic() - began)


# --- a long history ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Turns:
    """Median milliseconds of a lone turn, from accept to the answer shown, the model taking no time: in an empty database,
    and in one full of history, there for a chat that is new and for one with OLD_MESSAGES messages behind it."""

    messages: int
    chats: int
    empty: float
    new: float
    old: float
    megabytes: float


async def history(folder: Path, messages: int, turns: int) -> Turns:
    """Three kinds of turns in turn, so that whatever else the machine does meets all alike."""
    chats = max(1, messages // OLD_MESSAGES)
    await asyncio.to_thread(fill, await _created(folder / "full.db"), chats)
    megabytes = (folder / "full.db").stat().st_size / 1e6
    took: dict[str, list[float]] = {"empty": [], "new": [], "old": []}
    async with _asked(folder, "empty.db") as empty, _asked(folder, "full.db") as full:
        old = random.Random(1).choices(range(chats), k=turns)
        for number in range(turns):
            took["empty"].append(await empty(f"new{number}"))
            took["new"].append(await full(f"new{number}"))
            took["old"].append(await full(str(old[number])))
    medians = {kind: median(times[turns // 10 :]) * 1000 for kind, times in took.items()}
    return Turns(messages, chats, medians["empty"], medians["new"], medians["old"], megabytes)


async def _created(path: Path) -> Path:
    async with open_store(f"sqlite:///{path}"):
        return path


class _Asking:
    """Asks one question and waits for the answer."""

    def __init__(self, engine: Engine, platform: Quiet) -> None:
        self._engine, self._platform = engine, platform
        self._numbers = itertools.count(10**9)

    async def __call__(self, chat: str) -> float:
        began, before = time.monotonic(), self._platform.answered
        async with asyncio.timeout(30):
            await self._engine.accept([event(next(self._numbers), chat)])
            await self._platform.until(before + 1)
        return time.monotonic() - began


@asynccontextmanager
async def _asked(folder: Path, name: str) -> AsyncIterator[_Asking]:
    platform = Quiet()
    async with open_store(f"sqlite:///{folder / name}") as store:
        manager = ConversationManager(history=store, models=Instant(), platforms={}, files=FileStore(folder / "files"))
        async with running(store, manager, platform) as engine:
            yield _Asking(engine, platform)


def fill(path: Path, chats: int) -> None:
    """A database as OLD_MESSAGES // 2 turns in each chat leave it: every table that grows with them is filled."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("BEGIN")
    per_chat = OLD_MESSAGES // 2
    for turn in range(per_chat):  # the chats take turns, as in life: a chat's rows lie far apart
        base = turn * chats
        rows = [(base + chat + 1, f"{Quiet.name}:{chat}", turn) for chat in range(chats)]
        connection.executemany(_INBOX, ((key, str(id), str(id), WORDS, id) for id, key, _ in rows))
        connection.executemany(_TURNS, ((id, key, n + 1, f"stop.{id}", 2 * id - 1, 2 * id) for id, key, n in rows))
        connection.executemany(
            _MESSAGES,
            (
                row
                for id, key, n in rows
                for row in (
                    (2 * id - 1, key, 2 * (id - chats) if n else None, id, "user", WORDS),
                    (2 * id, key, 2 * id - 1, id, "assistant", WORDS * 4),
                )
            ),
        )
        connection.executemany(_OUTBOX, ((key, id, json.dumps({"body": WORDS}), str(id)) for id, key, _ in rows))
        connection.executemany(
            _LEDGER, ((f"2026-{turn // 28 + 1:02d}-{turn % 28 + 1:02d}", key, id) for id, key, _ in rows)
        )
    last = (per_chat - 1) * chats
    connection.executemany(
        "INSERT INTO chats (chat, fence, seq, head) VALUES (?, ?, ?, ?)",
        ((f"{Quiet.name}:{chat}", per_chat, per_chat, 2 * (last + chat + 1)) for chat in range(chats)),
    )
    connection.execute("COMMIT")
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()


_INBOX = (
    "INSERT INTO inbox (platform, bot, event, chat, author, lane, joins, message, digest, payload, said, received, state, turn)"
    f" SELECT '{Quiet.name}', '1', ?2, ?1, '1', 'turn', '', ?3, '', ?4, 1.0, 1.0, 'done', ?5"
)
_TURNS = (
    "INSERT INTO turns (id, chat, seq, epoch, state, stop_key, question, answer, report, started, ended)"
    " VALUES (?, ?, ?, 0, 'stop', ?, ?, ?, '{}', 1.0, 2.0)"
)
_MESSAGES = (
    "INSERT INTO messages (id, chat, epoch, parent, turn, role, text, created) VALUES (?, ?, 0, ?, ?, ?, ?, 1.0)"
)
_OUTBOX = "INSERT INTO outbox (chat, turn, slot, number, piece, message, state) VALUES (?, ?, 0, 0, ?, ?, 'sent')"
_LEDGER = (
    "INSERT INTO ledger (day, chat, turn, model, cost, state, created) VALUES (?, ?, ?, 'instant', 100, 'settled', 1.0)"
)
