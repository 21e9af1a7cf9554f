"""What the tests of background work share: a runner on a real store, and a vendor that outlives it and is strict about what
it is asked."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from itertools import count
from typing import Any, cast

from bot.background.runner import Runner
from bot.background.steps import Pauses, Steps
from bot.errors import BudgetSpent, ModelError, StorageError, Trouble
from bot.messages import Address, Author, Cancelled, ChatKey, Finish, Finished, Ordered, Text, Thought, Usage
from bot.messages.orders import WorkOrder, WorkResult
from bot.ports import (
    Fetched,
    Job,
    JobState,
    Kind,
    Line,
    Made,
    ModelCard,
    Order,
    PicturePrompt,
    Prompt,
    Said,
    SearchModel,
    SpeechModel,
    Submitted,
    Unknown,
)
from bot.turns.fleet import Fleet
from storage.store import Database, Store
from tests.conversations import KeptFiles
from tests.storage.saying import HOME, outcome, said
from tests.torture.machine_house import Mortal, opened

DAY, LIMIT = "2026-11-22", 1_000_000
PICTURE = b"\x89PNG\r\n\x1a\n"
DEADLINE = 10.0
QUICK = Pauses(
    first=0.02, longest=0.05, video=0.05, again=0.01, most_again=0.05, idle=0.05, watch=0.02, store=0.01, rate=10_000
)

PAINTER = ModelCard(name="painter", vendor="glm", kind="image", per_picture=0.1, task=True, most=4)
CHALK = ModelCard(name="chalk", vendor="glm", kind="image", task=True)  # free
FILMER = ModelCard(name="filmer", vendor="qwen", kind="video", per_second=0.02, seconds=(5,))
THINKER = ModelCard(name="thinker", vendor="glm", kind="chat", later=True, price=((1_000, 1, 1),))
TALKER = ModelCard(name="talker", vendor="qwen", kind="chat", price=((1_000, 1, 1),))
CARDS = {card.name: card for card in (PAINTER, CHALK, FILMER, THINKER, TALKER)}


def cost_of(order: Order) -> int:
    """What is held back for it."""
    if isinstance(order, PicturePrompt):
        return round(order.card.per_picture * 1_000_000) * order.count
    return 100_000


def made(pictures: int = 1, missing: int = 0, cost: int = 100_000) -> Made:
    """Pictures that are all different."""
    return Made(
        finished=Finished(reason=Finish.STOP, usage=Usage(pictures=pictures), cost=cost * pictures),
        files=tuple(Fetched(PICTURE + bytes([number]), "image/png") for number in range(pictures)),
        missing=missing,
        why="refused" if missing else "",
    )


def trouble(
    kind: Trouble, *, status: int = 0, unbilled: bool = False, begun: bool = False, wait: float | None = None
) -> ModelError:
    error = ModelError(kind, vendor="glm", status=status, code="77", vendor_message="no", retry_after=wait)
    error.unbilled, error.begun = unbilled, begun
    return error


@dataclass
class Moment:
    """A call of the vendor: `reached` when one is made, and it goes on while `go` is set."""

    reached: asyncio.Event = field(default_factory=asyncio.Event)
    go: asyncio.Event = field(default_factory=asyncio.Event)
    under_way: int = 0
    most: int = 0

    def __post_init__(self) -> None:
        self.go.set()

    async def pass_by(self) -> None:
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        self.reached.set()
        try:
            await self.go.wait()
        finally:
            self.under_way -= 1


@dataclass
class Vendor:
    """What it is scripted to answer, in order, and then: to a new order a task, to a look "not yet"."""

    submits: deque[ModelError | Made] = field(default_factory=deque)
    looks: deque[ModelError | Made | None] = field(default_factory=deque)
    parts: deque[Said | ModelError] = field(default_factory=deque)  # of one streamed answer
    asked: list[Order] = field(default_factory=list)
    tasks: dict[str, Order] = field(default_factory=dict)
    looked: list[str] = field(default_factory=list)
    cancelled: list[str] = field(default_factory=list)
    submitting: Moment = field(default_factory=Moment)
    looking: Moment = field(default_factory=Moment)
    writing: Moment = field(default_factory=Moment)
    limit: int = LIMIT


class Desk:
    """The vendor as one process sees it: `ports.Background`, `ports.Offers`, and the chat model of `ports.Models`."""

    def __init__(self, vendor: Vendor, store: Store) -> None:
        self._vendor = vendor
        self._store = store
        self.names = dict(CARDS)

    async def submit(self, order: Order) -> Submitted | Made:
        vendor = self._vendor
        cost = 0 if order.card.free else cost_of(order)
        call = await self._reserve(order, cost)
        vendor.asked.append(order)
        await vendor.submitting.pass_by()
        came = vendor.submits.popleft() if vendor.submits else None
        if isinstance(came, ModelError):
            await self._store.settle(call, 0 if came.unbilled else cost, estimated=not came.unbilled)
            raise came
        if came is not None:
            return came
        task = f"task-{len(vendor.tasks)}"
        vendor.tasks[task] = order
        return Submitted(task, call, cost)

    async def _reserve(self, order: Order, cost: int) -> int:
        assert order.job_fence is not None, "an order in the background bears its fence"
        call = await self._store.reserve(
            turn=order.turn,
            chat=order.chat,
            model=order.card.name,
            cost=cost,
            day=DAY,
            limit=self._vendor.limit,
            job_fence=order.job_fence,
        )
        if call is None:
            raise BudgetSpent(None)
        return call

    async def look(self, card: ModelCard, task: str) -> Made | None:
        vendor = self._vendor
        assert vendor.tasks[task].card == card, "a task of another model"
        assert task not in vendor.cancelled, "a look at what was cancelled"
        vendor.looked.append(task)
        await vendor.looking.pass_by()
        came = vendor.looks.popleft() if vendor.looks else None
        if isinstance(came, ModelError):
            raise came
        return came

    async def cancel(self, card: ModelCard, task: str) -> None:
        assert self._vendor.tasks[task].card == card
        self._vendor.cancelled.append(task)

    async def generate(self, prompt: Prompt) -> AsyncGenerator[Said, None]:
        await self._reserve(prompt, cost_of(prompt))
        self._vendor.asked.append(prompt)
        await self._vendor.writing.pass_by()
        while self._vendor.parts:
            part = self._vendor.parts.popleft()
            if isinstance(part, ModelError):
                raise part
            yield part

    def background(self, card: ModelCard) -> Desk:
        return self

    def chat(self, card: ModelCard) -> Desk:
        return self

    def speech(self, card: ModelCard) -> SpeechModel:
        raise NotImplementedError

    def searching(self) -> SearchModel | None:
        return None

    def fallback(self) -> ModelCard | None:
        return None

    @property
    def simulated(self) -> bool:
        return False

    def cards(self) -> Sequence[ModelCard]:
        return list(self.names.values())

    def find(self, name: str, kind: Kind = "chat") -> ModelCard | Unknown:
        card = self.names.get(name)
        return card if card and card.kind == kind else Unknown()

    def pick(self, kind: Kind, *, vendor: str = "", vision: bool = False) -> ModelCard | None:
        return None


class FullDisk(KeptFiles):
    """Which takes nothing the first `times`."""

    def __init__(self, times: int) -> None:
        super().__init__()
        self.times = times

    async def keep(self, data: bytes, mime: str) -> str:
        if self.times:
            self.times -= 1
            raise StorageError("the disk is full")
        return await super().keep(data, mime)


async def asked_of(job: Job, order: WorkOrder) -> Prompt:
    card = CARDS[job.model]
    lines = (Line("user", order.text),)
    return Prompt(card=card, lines=lines, output=100, chat=job.chat, turn=job.id, job_fence=job.fence)


@dataclass
class Life:
    """A process with a runner, from its start to its end or its death."""

    store: Store
    vendor: Vendor
    desk: Desk
    runner: Runner
    mortal: Any
    shown: list[tuple[int, str]]
    files: KeptFiles
    numbers: count[int]
    woken: asyncio.Event  # there is an end to be told
    task: asyncio.Task[None] | None = None

    async def order(self, card: ModelCard = PAINTER, *, patience: float = 600.0, pictures: int = 1, n: int = 0) -> int:
        """A turn orders it: the number of both."""
        order = WorkOrder(
            author=Author("1", "Ann"),
            address=Address(HOME),
            language="en",
            text="a cat",
            model=card.name,
            count=pictures,
        )
        kind: Any = card.kind
        ordered = Ordered(kind=kind, model=card.name, order=order.dump(), patience=patience)
        chat = ChatKey("telegram", f"1{n:04}") if n else HOME
        turn = await self._turn(outcome(ordered), chat)
        self.runner.look()
        return turn

    async def cancel(self, job: int, *, tell: bool = True) -> None:
        await self._turn(outcome(Cancelled(job)), HOME)
        if tell:
            self.runner.look()

    async def _turn(self, ends: Any, chat: ChatKey) -> int:
        await self.store.accept([said(f"event-{id(self)}-{next(self.numbers)}", chat=chat, command=True)])
        deadline = time.monotonic() + DEADLINE
        while not (claims := (await self.store.claim(1))[0]):  # its row may be another commit's for a moment
            assert time.monotonic() < deadline
            await asyncio.sleep(0.005)
        [claim] = claims
        await self.store.complete(claim, ends)
        return claim.turn

    async def job(self, id: int) -> Job:
        job = await self.store.job(id)
        assert job is not None
        return job

    async def ended(self, id: int) -> Job:
        job = await self.until(lambda job: job.ended is not None, id)
        assert job.state not in (JobState.QUEUED, JobState.RUNNING)
        return job

    async def until(self, holds: Callable[[Job], bool], id: int) -> Job:
        deadline = time.monotonic() + DEADLINE
        while not holds(job := await self.job(id)):
            assert time.monotonic() < deadline, job
            await asyncio.sleep(0.005)
        return job

    async def reach(self, moment: Moment) -> None:
        async with asyncio.timeout(DEADLINE):
            await moment.reached.wait()

    async def spent(self) -> int:
        return await self.store.spent(DAY)

    async def told(self) -> list[str]:
        """The events that wait in the chat, which the engine was woken for."""
        async with asyncio.timeout(DEADLINE):
            await self.woken.wait()
        return [row.payload.partition(" {")[0] for claim in (await self.store.claim(10))[0] for row in claim.rows]

    async def kill(self) -> None:
        """kill -9: nothing more reaches the store."""
        self.mortal.dead = True
        await self.end()

    async def end(self) -> None:
        if self.task is not None:
            self.task.cancel()
            with suppress(asyncio.CancelledError):
                await self.task
            self.task = None


@asynccontextmanager
async def living(
    url: str,
    vendor: Vendor,
    *,
    files: KeptFiles | None = None,
    prompts: Any = asked_of,
    pauses: Pauses = QUICK,
    at_once: int = 32,
    over: Callable[[Database], Database] = lambda database: database,
) -> AsyncIterator[Life]:
    """`over` puts something around the database."""
    async with opened(url) as database:
        mortal = Mortal(over(database))
        store = Store(cast(Database, mortal))
        desk = Desk(vendor, store)
        files = files or KeptFiles()
        shown: list[tuple[int, str]] = []

        async def progress(job: Job, state: str) -> None:
            shown.append((job.id, state))

        fleet, woken = Fleet(store) if store.lease else None, asyncio.Event()
        steps = Steps(store, desk, desk, files, prompts, progress=progress, ended=woken.set, pauses=pauses)
        runner = Runner(store, steps, at_once=at_once, **({"may_act": fleet.may_act} if fleet else {}))
        life = Life(store, vendor, desk, runner, mortal, shown, files, count(1), woken)

        async def live() -> None:
            async with asyncio.TaskGroup() as tasks:
                if fleet:
                    tasks.create_task(fleet.run(lambda beat: runner.look()))
                    await fleet.begun()
                tasks.create_task(runner.run())

        life.task = asyncio.get_running_loop().create_task(live())
        try:
            if fleet:
                await fleet.begun()
            yield life
        finally:
            await life.end()


async def eventually(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + DEADLINE
    while not holds():
        assert time.monotonic() < deadline, "it never came to that"
        await asyncio.sleep(0.005)


def result_of(job: Job) -> WorkResult:
    return WorkResult.load(job.result)


def streamed(*texts: str, reason: Finish = Finish.STOP, cost: int = 40) -> deque[Said | ModelError]:
    end = Finished(reason=reason, usage=Usage(prompt=3, completion=4), cost=cost)
    return deque([Thought("hm"), *map(Text, texts), end])
