"""The engine on its stores, without network: how many messages it gets through, and what it adds to a lone one.

Nothing here is a stand-in for the store or the engine: only the platform and the model are small objects that take no time.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from bench.measure import median
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
    Part,
    Piece,
    Text,
    Turn,
)
from bot.ports import Handler, Intake, Traits
from bot.turns.delivery import Delivery
from bot.turns.engine import Engine
from bot.turns.fleet import Alone, Fleet
from storage import Store, open_store

THINKING = 0.05  # seconds that a model takes in the burst
POLL = 100  # events that one poll of Telegram brings at most
WORDS = "Magpies keep every word that they were told, and never tell one twice. "
MODEL = "instant"


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


class Slow:
    """ports.Handler: a question and an answer for the history, without reading it."""

    async def answer(self, turn: Turn) -> AsyncGenerator[Part | Change, None]:
        assert isinstance(turn.said, tuple)
        yield Asked(text=turn.said[0].text, author="", parent=turn.head)
        await asyncio.sleep(THINKING)
        yield Text(WORDS)
        yield Answered()
        yield Finished(reason=Finish.STOP, model=MODEL)


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


def event(number: int, chat: str, text: str = WORDS) -> Event:
    payload = json.dumps({"chat": chat, "id": str(number), "text": f"{text}{number}"})
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
