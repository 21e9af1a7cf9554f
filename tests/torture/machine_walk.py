"""A walk through everything that people, platforms and operators do, by chance, step after step, and what it is known by: each
text carries a word of its own that names its chat. What must hold in the end is told in `machine_checks.py`.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import random
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, closing, suppress
from dataclasses import dataclass, field
from typing import Any

from bot import phrases
from bot.lanes import Lane, lane_of
from bot.messages import ChatKey, Event
from tests.torture.machine_house import FAILS, SLOW, Echo, Worker
from tests.window import Window

CHATS, PEOPLE = 3, 2
QUIET = 40.0  # seconds until all that was begun must have ended
TURNS_A_SECOND = 0.03  # seconds that a step waits at most, and four of five do not

KINDS = {
    "send": 30, "burst": 6, "edit": 12, "reply": 4, "quote": 2, "later": 4, "cancel": 2, "reset": 4, "model": 3, "stop": 5,
    "stop button": 5, "press": 5, "undo": 3, "retry": 3, "again": 4, "delete": 2, "kick": 1, "invite": 3, "migrate": 1,
    "kill": 3, "kill while accepting": 2, "wait": 3,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Step:
    """What is done, where and by whom; `pick` chooses among what there is at that moment; then `wait` seconds pass."""

    kind: str
    chat: int
    person: int
    worker: int
    pick: float
    word: str
    wait: float


def steps(chance: random.Random, count: int, *, workers: int) -> list[Step]:
    return [
        Step(
            kind=chance.choices(list(KINDS), list(KINDS.values()))[0],
            chat=chance.randrange(CHATS),
            person=chance.randrange(PEOPLE),
            worker=chance.randrange(workers),
            pick=chance.random(),
            word=chance.choice(("", "", SLOW, SLOW, FAILS)),
            wait=chance.random() * TURNS_A_SECOND if chance.random() < 0.2 else 0.0,
        )
        for _ in range(count)
    ]


@dataclass(slots=True)
class Said:
    """Something that was accepted. `order` is that of acceptance; `token` the word of its own, "" for none; `message` the
    platform's id of what it is about; `edits`: it is an edit of that."""

    order: int
    chat: int
    kind: str
    event: str
    message: str
    token: str = ""
    edits: bool = False


@dataclass(slots=True)
class Place:
    """A chat: its key now and those that it had; `disturbed`: somebody deleted answers in it, or put the bot out."""

    key: ChatKey
    old: list[ChatKey] = field(default_factory=list)
    disturbed: bool = False

    @property
    def keys(self) -> list[ChatKey]:
        return [*self.old, self.key]


class Walk:
    """`take` does a step; `rest` waits until nothing is left to be done. `log` is all that was accepted."""

    def __init__(self, url: str, workers: int, *, idempotent: bool, seed: int) -> None:
        self.url = url
        self.window = Window(idempotent=idempotent, width=60)
        self.vendor = Echo(random.Random(seed))
        self.workers = [Worker(url, self.window, self.vendor) for _ in range(workers)]
        self.places = [Place(ChatKey("window", f"{number}")) for number in range(CHATS)]
        self.log: list[Said] = []
        self.kills = 0
        self._numbers = itertools.count(1)
        self._events: list[Event] = []

    async def take(self, step: Step) -> None:
        await self._do(step)
        if step.wait:
            await asyncio.sleep(step.wait)

    async def _do(self, step: Step) -> None:
        place, worker = self.places[step.chat], self.workers[step.worker]
        match step.kind:
            case "send":
                await self._say(step, self._text(step))
            case "burst":
                for _ in range(2 + int(step.pick * 3)):
                    await self._say(step, self._text(step))
            case "edit":
                await self._edit(step)
            case "reply" | "quote":
                await self._reply(step)
            case "reset" | "undo" | "retry" | "stop":
                await self._say(step, f"/{step.kind}")
            case "model":
                await self._say(step, f"/model {'qwen' if step.pick < 0.5 else 'glm'}")
            case "stop button":
                if found := [button for button in self._buttons(place) if lane_of(button) is Lane.CONTROL]:
                    await self._accept(step, self._event(step, "press", text=found[-1]))
            case "later":
                await self._say(step, f"/later {self._text(step)}")
            case "cancel":
                if found := self._buttons(place, phrases.jobs.CANCEL.en):
                    await self._accept(step, self._event(step, "press", text=_picked(found, step.pick)))
            case "press":
                if found := self._buttons(place):
                    await self._accept(step, self._event(step, "press", text=_picked(found, step.pick)))
            case "again":
                if self._events:
                    event = _picked(self._events[-20:], step.pick)
                    await self._engine(step).accept([event])
            case "delete":
                if answers := [(key, number) for key in place.keys for number, _ in enumerate(self.window.ids(key))]:
                    self.window.delete(*_picked(answers, step.pick))
                    place.disturbed = True
            case "kick":
                place.disturbed = True
                self.window.closed.add(place.key)
                await self._accept(step, self._event(step, "left"))
            case "invite":
                self.window.closed.discard(place.key)
            case "migrate":
                await self._migrate(step)
            case "kill":
                await self._kill(worker)
            case "kill while accepting":
                await self._kill_while_accepting(step, worker)
            case _:
                await asyncio.sleep(0.1)

    def _buttons(self, place: Place, label: str = "") -> list[str]:
        """What the buttons carry that now stand in a chat, all or those of this label."""
        pieces = [piece for key in place.keys for piece in self.window.pieces(key)]
        buttons = [button for piece in pieces for row in piece.buttons for button in row]
        return [button.id for button in buttons if label in ("", button.label)]

    # --- people --------------------------------------------------------------------------------------------------------

    def _text(self, step: Step) -> str:
        return f"c{step.chat}t{next(self._numbers)} {step.word}".strip()

    async def _say(self, step: Step, text: str, *, replies_to: str = "", quote: str = "") -> None:
        await self._accept(step, self._event(step, "message", text=text, replies_to=replies_to, quote=quote))

    async def _edit(self, step: Step) -> None:
        """Mostly the latest message of the chat, at times an older one; now and then to the same text."""
        mine = [said for said in self.log if said.chat == step.chat and said.kind == "message" and said.token]
        if mine:
            said = mine[-1] if step.pick < 0.7 else _picked(mine, step.pick)
            await self._accept(step, self._event(step, "edit", text=self._text(step), message=said.message))

    async def _reply(self, step: Step) -> None:
        ids = [id for key in self.places[step.chat].keys for id in self.window.ids(key)]
        if not ids:
            return
        if step.kind == "reply":
            await self._say(step, self._text(step), replies_to=_picked(ids, step.pick))
        else:
            await self._say(step, self._text(step), quote="what somebody said")

    async def _migrate(self, step: Step) -> None:
        """Told by the platform's events, in the old chat and in the new one, and by its errors."""
        place = self.places[step.chat]
        old, new = place.key, ChatKey("window", f"{step.chat}-{next(self._numbers)}")
        self.window.moved |= dict.fromkeys((old, *place.old), new)
        if old in self.window.closed:
            self.window.closed.add(new)
        place.old.append(old)
        place.key = new
        for _ in range(2):
            event = self._event(step, "moved", text=str(new), chat=old, moves_to=new)
            await self._accept(step, event)

    # --- the operator --------------------------------------------------------------------------------------------------

    async def _kill(self, worker: Worker) -> None:
        self.kills += 1
        await worker.kill()
        await worker.start()

    async def _kill_while_accepting(self, step: Step, worker: Worker) -> None:
        """The platform has not heard that it was taken: it comes again."""
        event = self._event(step, "message", text=self._text(step))
        accepting = asyncio.get_running_loop().create_task(worker.engine.accept([event]))
        for _ in range(int(step.pick * 6)):
            await asyncio.sleep(0)
        await self._kill(worker)
        accepting.cancel()
        with suppress(asyncio.CancelledError):
            await accepting
        await self._accept(step, event)

    # --- events --------------------------------------------------------------------------------------------------------

    def _event(
        self,
        step: Step,
        kind: str,
        *,
        text: str = "",
        message: str = "",
        chat: ChatKey | None = None,
        moves_to: ChatKey | None = None,
        replies_to: str = "",
        quote: str = "",
    ) -> Event:
        number, chat = next(self._numbers), chat or self.places[step.chat].key
        message = message or (f"m{number}" if kind == "message" else "")
        author, at = f"{step.person + 1}", time.time()
        said = {"kind": kind, "chat": str(chat), "text": text, "author": author, "message": message, "at": at}
        payload = json.dumps(said | {"replies_to": replies_to, "quote": quote, "quoted": "Somebody" if quote else ""})
        joins = author if kind == "message" and not text.startswith("/") else ""
        return Event(
            platform="window", bot="b", event=f"e{number}", chat=chat, author=author, payload=payload, at=at,
            lane=lane_of(text) if kind != "edit" else lane_of(""), message=message, joins=joins, edits=kind == "edit",
            digest=text, moves_to=moves_to,
        )  # fmt: skip

    async def _accept(self, step: Step, event: Event) -> None:
        await self._engine(step).accept([event])
        said = json.loads(event.payload)
        command, text = "", said["text"]
        if text.startswith("/"):
            command, _, text = text[1:].partition(" ")
        kind = command or said["kind"]
        token = text.split(" ")[0] if kind in ("message", "edit", "later") and text.startswith("c") else ""
        self.log.append(Said(len(self.log), step.chat, kind, event.event, event.message, token, event.edits))
        self._events.append(event)

    def _engine(self, step: Step) -> Any:
        worker = self.workers[step.worker]
        worker.check()
        return worker.engine

    # --- the end -------------------------------------------------------------------------------------------------------

    async def rest(self) -> None:
        """Wait until nothing is left to be done or shown."""
        deadline = time.monotonic() + QUIET
        busy = (
            "SELECT 'inbox', chat, state FROM inbox WHERE state IN ('queued', 'taken') UNION ALL "
            "SELECT 'outbox', chat, state FROM outbox WHERE state IN ('queued', 'surplus') UNION ALL "
            "SELECT 'jobs', chat, state FROM jobs WHERE ended IS NULL UNION ALL "
            "SELECT 'chats', chat, owner FROM chats WHERE owner IS NOT NULL OR turn IS NOT NULL OR pending <> 0"
        )
        while waiting := await self.rows(busy):
            for worker in self.workers:
                worker.check()
            assert time.monotonic() < deadline, f"this waits for ever: {waiting[:10]}"
            await asyncio.sleep(0.02)

    async def rows(self, query: str) -> Sequence[Sequence[Any]]:
        """Asks the database itself."""
        if self.url.startswith("postgresql://"):
            import asyncpg

            connection = await asyncpg.connect(self.url)
            try:
                return [tuple(row) for row in await connection.fetch(query)]
            finally:
                await connection.close()
        import sqlite3

        with closing(sqlite3.connect(self.url.removeprefix("sqlite:///"))) as database:
            return database.execute(query).fetchall()

    @asynccontextmanager
    async def begun(self) -> AsyncIterator[Walk]:
        try:
            for worker in self.workers:
                await worker.start()
            yield self
        finally:
            for worker in self.workers:
                await worker.kill()


def _picked(things: Sequence[Any], pick: float) -> Any:
    return things[int(pick * len(things))]
