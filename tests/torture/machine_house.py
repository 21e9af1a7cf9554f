"""What the state machine drives: the real engines, managers, deliveries and budgets of one or more workers on one real store,
between a window that all of them share and a vendor that says back what it was asked. A worker can be killed at any instant.
"""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar, cast

from yarl import URL

from bot.background.runner import Runner
from bot.background.steps import Pauses, Steps
from bot.errors import Gone, ModelError, Trouble
from bot.manager import ConversationManager
from bot.messages import (
    Address,
    Attachment,
    Author,
    ChatKey,
    Edited,
    Finish,
    Finished,
    Incoming,
    Left,
    Message,
    Moved,
    Piece,
    Pressed,
    Text,
    Thought,
    Usage,
)
from bot.models import Limits
from bot.models.budget import Budget
from bot.models.guarded import Guarded
from bot.models.offers import Offered
from bot.models.vendor import Linked
from bot.ports import (
    Background,
    ChatModel,
    Hit,
    Intake,
    Kind,
    ModelCard,
    Order,
    Prompt,
    SpeechModel,
    SpeechPrompt,
    Unknown,
)
from bot.ports.store import Topic
from bot.turns.delivery import Delivery
from bot.turns.engine import Engine
from bot.turns.fleet import Alone, Fleet
from storage.store import Database, Store
from tests.conversations import KeptFiles
from tests.window import Window

T = TypeVar("T")
LIMIT = 50_000_000  # millionths of a CNY a day: more than a walk can spend
NOWHERE = URL("http://vendor.invalid")
PAUSES = Pauses(first=0.02, longest=0.05, again=0.01, most_again=0.05, idle=0.05, watch=0.02, store=0.01, rate=10_000.0)
SLOW, FAILS = "slow", "fails"  # words in a question that the vendor understands
CARDS = (
    ModelCard(
        name="glm-said",
        vendor="glm",
        kind="chat",
        window=32_000,
        output=500,
        price=((32_000, 3, 14),),
        default=True,
        later=True,
    ),
    ModelCard(name="qwen-said", vendor="qwen", kind="chat", window=32_000, output=500, default=True),
)


# --- the vendor ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Asked:
    """A prompt that reached the vendor: for which turn, and its lines but for the system's."""

    turn: int
    lines: tuple[str, ...]


@dataclass
class Echo:
    """models.vendor.Vendor: says back the last line, in a few words and at its own pace, or fails if it is told to."""

    chance: random.Random
    asked: list[Asked] = field(default_factory=list)
    repeated: list[str] = field(default_factory=list)  # orders that came again, though their task was asked after
    _tasks: dict[str, tuple[Prompt, float]] = field(default_factory=dict)  # with when it is done
    _looked: set[int] = field(default_factory=set)  # whose task was asked after, by turn

    async def stream(self, prompt: Prompt) -> AsyncGenerator[Text | Thought | Finished, None]:
        lines = tuple(line.text for line in prompt.lines[1:])
        self.asked.append(Asked(prompt.turn, lines))
        await self._think(lines[-1])
        words = f"re[{lines[-1]}]".split(" ")
        for number, word in enumerate(words):
            yield Text(word if number == 0 else f" {word}")
            await self._think(lines[-1])
        usage = Usage(prompt=sum(map(len, lines)), completion=len(words))
        yield Finished(reason=Finish.STOP, usage=usage, model=prompt.card.name)

    async def _think(self, question: str) -> None:
        await asyncio.sleep(self.chance.random() * (0.08 if SLOW in question else 0.002))
        if FAILS in question and self.chance.random() < 0.5:
            raise ModelError(Trouble.REFUSED if self.chance.random() < 0.2 else Trouble.BAD_REQUEST, vendor="glm")

    # --- questions that are answered later -----------------------------------------------------------------------------

    async def submit(self, order: Order) -> str | Linked:
        assert isinstance(order, Prompt)
        lines = tuple(line.text for line in order.lines[1:])
        if order.turn in self._looked:
            self.repeated.append(f"{lines[-1]} was ordered again, though its task was known")
        self.asked.append(Asked(order.turn, lines))
        await self._think(lines[-1])
        task = f"task-{len(self._tasks)}"
        self._tasks[task] = order, time.monotonic() + self.chance.random() * (0.3 if SLOW in lines[-1] else 0.01)
        return task

    async def look(self, card: ModelCard, task: str) -> Linked | None:
        order, ready = self._tasks[task]
        self._looked.add(order.turn)
        if time.monotonic() < ready:
            return None
        text = f"re[{order.lines[-1].text}]"
        usage = Usage(prompt=sum(len(line.text) for line in order.lines), completion=len(text))
        return Linked(finished=Finished(reason=Finish.STOP, usage=usage, model=card.name), host=NOWHERE, text=text)

    async def cancel(self, card: ModelCard, task: str) -> None:
        """What it took on it finishes."""

    async def transcribe(self, prompt: SpeechPrompt) -> tuple[str, Finished]:
        raise ModelError(Trouble.NO_MODEL, vendor="glm")

    async def speak(self, prompt: SpeechPrompt) -> tuple[bytes, Finished]:
        raise ModelError(Trouble.NO_MODEL, vendor="glm")

    async def search(self, query: str, count: int) -> Sequence[Hit]:
        raise ModelError(Trouble.NO_MODEL, vendor="glm")


class Both:
    """ports.Models and ports.Offers over two cards, each behind the real policies and the real budget."""

    simulated = False

    def __init__(self, store: Store, vendor: Echo) -> None:
        async def opened() -> Echo:
            return vendor

        budget, limits = Budget(store, LIMIT), Limits(pace=0.001)
        self._guarded = Guarded("glm", opened, budget, limits)
        self._offered = Offered("glm", opened, budget, limits, admission=self._guarded.admission)

    def cards(self) -> Sequence[ModelCard]:
        return CARDS

    def find(self, name: str, kind: Kind = "chat") -> ModelCard | Unknown:
        return next((card for card in CARDS if name in (card.name, card.vendor) and kind == "chat"), Unknown())

    def pick(self, kind: Kind, *, vendor: str = "", vision: bool = False) -> ModelCard | None:
        return next((card for card in CARDS if kind == "chat" and vendor in ("", card.vendor) and not vision), None)

    def chat(self, card: ModelCard) -> ChatModel:
        return self._guarded

    def background(self, card: ModelCard) -> Background:
        return self._offered

    def speech(self, card: ModelCard) -> SpeechModel:
        return self._offered

    def searching(self) -> None:
        return None

    def fallback(self) -> ModelCard | None:
        return None


# --- a worker ------------------------------------------------------------------------------------------------------------


class Seat:
    """One worker's view of the window. Once the worker is dead nothing more reaches it."""

    def __init__(self, window: Window) -> None:
        self.name, self.traits = window.name, window.traits
        self.dead = False
        self._window = window

    async def listen(self, intake: Intake) -> None:
        """Its people speak through the machine."""

    def read(self, payload: str) -> Incoming:
        said = json.loads(payload)
        chat, id = ChatKey.parse(said["chat"]), said["message"]
        author = Author(said["author"], said["author"])
        match said["kind"]:
            case "press":
                return Pressed(said["text"], author, Address(chat, group=True))
            case "left":
                return Left(chat)
            case "moved":
                return Moved(chat, ChatKey.parse(said["text"]))
            case kind:
                message = Message(
                    id=id, author=author, address=Address(chat, reply_to=id, group=True), text=said["text"], at=said["at"],
                    replies_to=said["replies_to"], quote=said["quote"], quoted=said["quoted"],
                )  # fmt: skip
                return Edited(message) if kind == "edit" else message

    def layout(self, markdown: str, thoughts: str = "", thinking: bool = False, /) -> tuple[Piece, ...]:
        return self._window.layout(markdown, thoughts, thinking)

    async def send(self, to: Address, piece: Piece, nonce: str) -> str:
        return await self._alive(lambda: self._window.send(to, piece, nonce))

    async def edit(self, to: Address, message: str, piece: Piece) -> None:
        await self._alive(lambda: self._window.edit(to, message, piece))

    async def remove(self, to: Address, message: str) -> None:
        await self._alive(lambda: self._window.remove(to, message))

    async def working(self, to: Address) -> None:
        await self._alive(lambda: self._window.working(to))

    async def fetch(self, attachment: Attachment, limit: int) -> bytes:
        raise Gone(attachment.ref)

    async def _alive(self, call: Callable[[], Awaitable[T]]) -> T:
        """A call takes a moment on its way there and one on its way back: the worker may die in either."""
        await self._moment()
        result = await call()
        await self._moment()
        return result

    async def _moment(self) -> None:
        await asyncio.sleep(0)
        if self.dead:
            raise asyncio.CancelledError


class Mortal:
    """A database of which a dead worker has nothing more: storage.store.Database."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.dead = False

    async def run(self, *arguments: Any, **named: Any) -> Any:
        if self.dead:
            raise asyncio.CancelledError
        result = await self.database.run(*arguments, **named)
        if self.dead:
            raise asyncio.CancelledError
        return result

    def __getattr__(self, name: str) -> Any:
        return getattr(self.database, name)


class Worker:
    """A process, as far as a task can play one."""

    def __init__(self, url: str, window: Window, vendor: Echo) -> None:
        self._url, self._window, self._vendor = url, window, vendor
        self._life: asyncio.Task[None] | None = None
        self._up = asyncio.Event()
        self._seat: Seat
        self._database: Mortal
        self.engine: Engine

    @property
    def alive(self) -> bool:
        return self._life is not None

    async def start(self) -> None:
        self._up.clear()
        self._life = asyncio.get_running_loop().create_task(self._live())
        up = asyncio.get_running_loop().create_task(self._up.wait())
        await asyncio.wait((self._life, up), return_when=asyncio.FIRST_COMPLETED)
        up.cancel()
        if self._life.done():
            self._life.result()

    async def kill(self) -> None:
        """kill -9: nothing more reaches the store or the window."""
        if self._life is not None:
            self._database.dead = self._seat.dead = True
            self._life.cancel()
            with suppress(asyncio.CancelledError):
                await self._life
            self._life = None

    def check(self) -> None:
        """Raises what has ended a worker that should be alive."""
        if self._life is not None and self._life.done():
            self._life.result()

    async def _live(self) -> None:
        async with opened(self._url) as database:
            self._database, self._seat = Mortal(database), Seat(self._window)
            store = Store(cast(Database, self._database))
            platforms = {self._seat.name: self._seat}
            fleet = Fleet(store) if store.lease else Alone()

            async def moving(old: ChatKey, new: ChatKey) -> None:
                await store.move(old, new)

            delivery = Delivery(store, platforms, moving, fleet.may_act)
            both, files = Both(store, self._vendor), KeptFiles()
            manager = ConversationManager(
                history=store, models=both, platforms=platforms, files=files, jobs=store, offers=both
            )
            steps = Steps(store, both, both, files, manager.prompt_of, ended=lambda: self.engine.look(), pauses=PAUSES)
            runner = Runner(store, steps, may_act=fleet.may_act)
            self.engine = Engine(
                inbox=store, control=store, platforms=platforms, handler=manager, delivery=delivery,
                moved=lambda old, new: None, ordered=runner.look, fleet=fleet,
            )  # fmt: skip
            store.subscribe(Topic.WORK, self.engine.look)
            store.subscribe(Topic.SHOW, self.engine.look_for_outboxes)
            store.subscribe(Topic.STOP, fleet.hurry)
            store.subscribe(Topic.STOP, runner.look)
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(fleet.run(self.engine.heard))
                await fleet.begun()
                self._up.set()
                tasks.create_task(runner.run())
                await self.engine.run()


def opened(url: str) -> AbstractAsyncContextManager[Database]:
    """As `storage.open_store`, but for the database itself."""
    if url.startswith("postgresql://"):
        from storage.postgres import open_postgres

        return cast(AbstractAsyncContextManager[Database], open_postgres(url))
    from storage.sqlite import open_sqlite

    return cast(AbstractAsyncContextManager[Database], open_sqlite(Path(url.removeprefix("sqlite:///"))))
