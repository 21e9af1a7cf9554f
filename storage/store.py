"""The store: the ports of the house over any database that can run a transaction."""

from __future__ import annotations

import socket
from collections.abc import Callable, Collection, Sequence
from functools import partial
from importlib.metadata import version
from typing import Protocol, TypeVar

from bot.messages import Address, ChatKey, Event, Piece, Shown
from bot.ports import (
    Backlog,
    Beat,
    ButtonRow,
    Card,
    Claim,
    Entry,
    Exchange,
    Final,
    Job,
    JobState,
    Outcome,
    Overtaken,
    Replying,
    Report,
    Row,
    Source,
    ToolRun,
    Topic,
)
from storage import (
    backlog,
    control,
    dead,
    files,
    fleet,
    history,
    inbox,
    jobs,
    ledger,
    moving,
    outbox,
    platforms,
    tool_runs,
)
from storage.transaction import BOARD, TransactionFactory

T = TypeVar("T")


class Database(Protocol):
    """A driver. `worker` is who we are among those that share the database; `lease`: seconds for which a heartbeat keeps a
    worker alive, None where there can be only one; `others`: how many there are, as far as we know."""

    worker: str
    lease: float | None
    others: int

    def renew(self) -> str:
        """Another worker from now on."""

    def now(self) -> float:
        """The database's clock, Unix seconds."""

    def subscribe(self, topic: Topic, heard: Callable[[], None]) -> None:
        """See Workers.subscribe."""

    async def run(
        self,
        make: TransactionFactory[T],
        *,
        chats: Sequence[str] | None = (),
        tells: Sequence[Topic] = (),
        urgent: bool = False,
    ) -> T:
        """Commit the transaction before it returns; an error inside leaves nothing of it behind. `chats`: the keys of those
        that it changes, None when any may be among them; `tells`: what other workers are to look at; `urgent`: not behind
        others.

        Raises StorageError when it cannot commit now, and what the transaction itself raises.
        """


class Store:
    """Inbox, Control, History, Outbox, Workers, Ledger, Jobs, JobQueue, ToolRuns, Cursors, Board and SharedFiles: `bot/ports/`
    says what each call does. `due` and `backlog` are for the operator's rooms (`alarms.AlarmBook`, `metrics.Queues`); what the
    wiring alone asks says it here: `moves`, `keep`, `retry_dead`."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._run = database.run
        self.lease = database.lease

    # Inbox

    async def accept(self, events: Sequence[Event]) -> Sequence[int]:
        chats = {str(event.chat) for event in events} | {str(event.moves_to) for event in events if event.moves_to}
        tells = [Topic.WORK]
        if any(event.edits for event in events):
            tells.append(Topic.STOP)
        if any(event.moves_to for event in events):
            tells.append(Topic.MOVED)
        return await self._run(partial(inbox.accept, events, self._now), chats=tuple(chats), tells=tells)

    async def claim(self, limit: int) -> tuple[Sequence[Claim], float | None]:
        return await self._run(partial(inbox.claim, self._worker, limit, self._now), chats=None)

    async def release(self, turns: Collection[int]) -> None:
        await self._run(partial(inbox.release, self._worker, turns), chats=None)

    async def count_attempt(self, claim: Claim) -> None:
        await self._run(partial(inbox.count_attempt, claim), chats=[str(claim.chat)])

    async def complete(self, claim: Claim, outcome: Outcome) -> Sequence[Final]:
        return await self._run(partial(inbox.complete, claim, outcome, self._now), chats=[str(claim.chat)])

    async def bury(self, claim: Claim, rows: Sequence[int], why: str) -> None:
        await self._run(partial(inbox.bury, claim, rows, why, self._now), chats=[str(claim.chat)])

    async def companions(self, claim: Claim, message: str, row: Row) -> Sequence[Row]:
        return await self._run(partial(inbox.companions, claim, message, row.id), chats=[str(claim.chat)])

    async def replace(self, claim: Claim, turn: int) -> Sequence[Shown]:
        return await self._run(partial(inbox.replace, claim, turn), chats=[str(claim.chat)])

    async def retry_dead(self, ids: Sequence[int]) -> Sequence[int]:
        """Queue dead letters again, all or none; those that are unknown, if any."""
        return await self._run(partial(dead.revive, ids, self._now), chats=None, tells=[Topic.WORK])

    # Control

    async def control_rows(self, limit: int) -> Sequence[tuple[Row, ChatKey]]:
        return await self._run(partial(control.waiting, limit))

    async def stop(
        self, row: Row, chat: ChatKey, key: str, person: str, reply: Replying, cancelled: Piece | None = None
    ) -> Overtaken:
        stop = partial(control.stop, self._worker, row.id, str(chat), key, person, reply, cancelled, self._now)
        return await self._run(stop, chats=[str(chat)], tells=[Topic.STOP, Topic.SHOW])

    async def reset(self, row: Row, chat: ChatKey, reply: Replying, cancelled: Piece | None = None) -> Overtaken:
        reset = partial(control.reset, self._worker, row.id, str(chat), reply, cancelled, self._now)
        return await self._run(reset, chats=[str(chat)], tells=[Topic.STOP, Topic.SHOW])

    async def dismiss(self, row: Row, why: str) -> None:
        await self._run(partial(control.dismiss, row.id, why))

    async def leave(self, chat: ChatKey, why: str) -> Overtaken:
        return await self._run(partial(control.leave, str(chat), why, self._now), chats=[str(chat)], tells=[Topic.STOP])

    async def move(self, old: ChatKey, new: ChatKey, claim: Claim | None = None) -> None:
        if claim is None:
            move: TransactionFactory[None] = partial(moving.move, str(old), str(new))
        else:
            move = partial(control.move_claimed, claim, str(old), str(new), self._now)
        await self._run(move, chats=[str(old), str(new)], tells=[Topic.MOVED, Topic.WORK])

    async def moves(self) -> dict[str, str]:
        """Old keys and the new ones, so that an allow-list that names an old one goes on to work."""
        return await self._run(platforms.moves)

    # History

    async def line(self, tip: int | None, limit: int) -> Sequence[Entry]:
        return [] if tip is None else await self._run(partial(history.line, tip, limit))

    async def exchange(self, chat: ChatKey, message: str) -> Exchange | None:
        return await self._run(partial(history.exchange, str(chat), message))

    async def last(self, chat: ChatKey, head: int | None) -> Exchange | None:
        return await self._run(partial(history.last, str(chat), head))

    async def asked(self, turn: int) -> Entry | None:
        return await self._run(partial(history.asked, turn))

    async def last_turn(self, chat: ChatKey, question: int) -> int | None:
        return await self._run(partial(history.last_turn, str(chat), question))

    async def answers(self, turn: int) -> Sequence[Entry]:
        return await self._run(partial(history.answers, turn))

    async def report(self, chat: ChatKey) -> Report | None:
        return await self._run(partial(history.report, str(chat)))

    async def button(self, id: str) -> ButtonRow | None:
        return await self._run(partial(history.button, id))

    # Outbox

    async def sent(self, chat: ChatKey, turn: int, slot: int, number: int, message: str) -> None:
        sent = partial(outbox.sent, self._worker, str(chat), turn, slot, number, message)
        await self._run(sent, chats=[str(chat)])

    async def shown(self, chat: ChatKey, finals: Sequence[Final]) -> None:
        await self._run(partial(outbox.shown, self._worker, str(chat), finals), chats=[str(chat)])

    async def gone(self, chat: ChatKey, final: Final) -> None:
        await self._run(partial(outbox.gone, self._worker, str(chat), final), chats=[str(chat)])

    async def drop(self, chat: ChatKey, finals: Sequence[Final], why: str) -> None:
        await self._run(partial(outbox.drop, self._worker, str(chat), finals, why), chats=[str(chat)])

    async def waiting(self, chat: ChatKey) -> Sequence[tuple[Address, Final]]:
        return await self._run(partial(outbox.waiting, self._worker, str(chat)), chats=[str(chat)])

    async def take(self) -> Sequence[ChatKey]:
        return await self._run(partial(outbox.take, self._worker), chats=None)

    async def standing(self, turn: int) -> Sequence[Final]:
        return await self._run(partial(outbox.standing, turn))

    # Workers

    async def enrol(self) -> None:
        worker = self._database.renew()
        enrol = partial(
            fleet.enrol, worker, socket.gethostname(), version("magpie-bot"), self._database.now, self.lease or 0.0
        )
        await self._run(enrol, urgent=True)

    async def beat(self, *, reap: bool) -> Beat:
        beat = partial(fleet.beat, self._worker, self._database.now, self.lease or 0.0, reap=reap)
        told = await self._run(beat, chats=None, urgent=True)
        self._database.others = told.others
        return told

    async def resign(self) -> None:
        await self._run(partial(fleet.resign, self._worker), chats=None, tells=[Topic.WORK, Topic.SHOW], urgent=True)

    async def take_duty(self, name: str) -> bool:
        return await self._run(partial(fleet.take_duty, self._worker, name), urgent=True)

    async def leave_duty(self, name: str) -> None:
        await self._run(partial(fleet.leave_duty, self._worker, name), urgent=True)

    def subscribe(self, topic: Topic, heard: Callable[[], None]) -> None:
        self._database.subscribe(topic, heard)

    async def due(self, cause: str, every: float) -> bool:
        """True once in `every` seconds for this cause, for all workers together."""
        return await self._run(partial(fleet.due, cause, every, self._now))

    async def backlog(self) -> Backlog:
        return await self._run(partial(backlog.backlog, self._now))

    # Ledger

    async def reserve(
        self, *, turn: int, chat: ChatKey, model: str, cost: int, day: str, limit: int, job_fence: int | None = None
    ) -> int | None:
        if job_fence is None:
            reserve = partial(ledger.reserve, turn, str(chat), model, cost, day, limit, self._now)
        else:
            reserve = partial(jobs.reserve, job_fence, turn, str(chat), model, cost, day, limit, self._now)
        return await self._run(reserve, chats=[str(chat)])  # not beside the commit that ends the turn

    async def settle(self, call: int, cost: int, *, estimated: bool = False) -> None:
        await self._run(partial(ledger.settle, call, cost, estimated))

    async def spent(self, day: str) -> int:
        return await self._run(partial(ledger.spent, day))

    # Jobs and JobQueue

    async def job(self, id: int) -> Job | None:
        return await self._run(partial(jobs.job, id))

    async def jobs(self, chat: ChatKey, limit: int, *, open_only: bool = False) -> Sequence[Job]:
        return await self._run(partial(jobs.of_chat, str(chat), limit, open_only=open_only))

    async def claim_jobs(self, limit: int) -> tuple[Sequence[Job], float | None]:
        return await self._run(partial(jobs.claim, self._worker, limit, self._now), chats=None)

    async def release_jobs(self, held: Collection[int]) -> None:
        await self._run(partial(jobs.release, self._worker, held), chats=None)

    async def cancelled_jobs(self) -> Sequence[int]:
        return await self._run(partial(jobs.unwanted, self._worker))

    async def submitted(self, job: Job, task: str, due: float) -> None:
        await self._run(partial(jobs.put_off, self._worker, job, due, self._now, task=task), chats=[str(job.chat)])

    async def put_off(self, job: Job, due: float, *, again: bool = False) -> None:
        await self._run(partial(jobs.put_off, self._worker, job, due, self._now, again=again), chats=[str(job.chat)])

    async def end_job(self, job: Job, state: JobState, result: str, *, cost: int | None = None) -> None:
        end = partial(jobs.end, self._worker, job, state, result, cost, self._now)
        await self._run(end, chats=[str(job.chat)], tells=[Topic.WORK])

    # ToolRuns

    async def begin_run(self, turn: int, number: int, name: str, arguments: str, *, state: str = "begun") -> ToolRun:
        return await self._run(partial(tool_runs.begin, turn, number, name, arguments, state, self._now))

    async def end_run(
        self, turn: int, number: int, result: str, *, failed: bool = False, sources: Sequence[Source] = ()
    ) -> None:
        await self._run(partial(tool_runs.end, turn, number, result, "failed" if failed else "done", sources))

    async def runs(self, turn: int) -> Sequence[ToolRun]:
        return await self._run(partial(tool_runs.runs, turn))

    # Cursors

    async def notes(self, prefix: str) -> dict[str, str]:
        return await self._run(partial(platforms.notes, prefix))

    async def note(self, values: dict[str, str]) -> None:
        await self._run(partial(platforms.note, values))

    async def keep(self, name: str, value: str) -> str:
        """The note as whoever came first wrote it: all workers then go by the same."""
        return await self._run(partial(platforms.keep, name, value))

    # Board

    async def put(self, card: Card, turn: int = 0) -> int:
        return await self._run(
            partial(platforms.put, self._worker, card, turn, alone=self.lease is None),
            chats=[f"{BOARD}{card.chat}"],
            tells=[Topic.BOARD],
        )

    async def since(self, chat: str, version: int, limit: int) -> Sequence[Card]:
        return await self._run(partial(platforms.since, chat, version, limit))

    async def card(self, chat: str, id: str) -> Card | None:
        return await self._run(partial(platforms.card, chat, id))

    async def chats(self) -> Sequence[tuple[str, str, float]]:
        return await self._run(platforms.board_chats)

    # Files

    async def keep_file(self, name: str, data: bytes) -> None:
        await self._run(partial(files.keep, name, data))

    async def load_file(self, name: str) -> bytes | None:
        return await self._run(partial(files.load, name))

    @property
    def _worker(self) -> str:
        return self._database.worker

    @property
    def _now(self) -> float:
        return self._database.now()
