"""Work in the background: what it is to the manager that orders it, and to the runner that gets it done."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal, Protocol

from bot.messages import ChatKey


class JobState(StrEnum):
    """QUEUED until a worker begins; SUBMITTING from right before the vendor is asked until its answer is kept; RUNNING while
    the vendor works on it; CANCELLING until the vendor was told. The others are ends: UNSURE is that of an order which a
    crash cut off, and of which nobody knows whether the vendor took it, and bills it."""

    QUEUED = "queued"
    SUBMITTING = "submitting"
    RUNNING = "running"
    CANCELLING = "cancelling"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"
    UNSURE = "unsure"


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """`id` is that of the turn that ordered it. `order` and `result` are as `bot/messages/orders.py` writes them. `task` is
    the vendor's id, `call` the ledger's row, `cost` what it holds back (millionths of a CNY). Times are Unix seconds,
    `patience` is how many seconds of waiting it has left; `fence` grows with each claim, `tries` with each step in a row that
    came to nothing."""

    id: int
    chat: ChatKey
    epoch: int
    kind: Literal["chat", "image", "video"]
    model: str
    state: JobState
    order: str
    fence: int
    created: float
    patience: float
    task: str = ""
    call: int | None = None
    cost: int = 0
    tries: int = 0
    result: str = ""
    ended: float | None = None


class Jobs(Protocol):
    """For the manager; read only: it orders and cancels by changes that are committed with its answer."""

    async def job(self, id: int) -> Job | None: ...

    async def jobs(self, chat: ChatKey, limit: int, *, open_only: bool = False) -> Sequence[Job]:
        """The chat's latest, newest first; `open_only`: those that have not ended."""


class JobQueue(Protocol):
    """For the runner. Each change is refused (FencedOut) when another worker has the job by now, or it has ended."""

    async def claim_jobs(self, limit: int) -> tuple[Sequence[Job], float | None]:
        """Take up to `limit` jobs whose next step is due, oldest first. And in how many seconds the next one is, None for
        no other."""

    async def release_jobs(self, held: Collection[int]) -> None:
        """After a claim that failed and may yet have been committed: those of ours that are none of these are free again."""

    async def cancelled_jobs(self) -> Sequence[int]:
        """Those of ours, claimed, that nobody wants any more."""

    async def submitted(self, job: Job, task: str, due: float) -> None:
        """The vendor has it: RUNNING, and free until `due` seconds from now."""

    async def put_off(self, job: Job, due: float, *, again: bool = False) -> None:
        """Nothing came of this step: free until `due` seconds from now. `again`: what was being submitted surely was not."""

    async def end_job(self, job: Job, state: JobState, result: str, *, cost: int | None = None) -> None:
        """One commit: how it ended, what it cost (None: what was held back stays, as an estimate) and, unless it was cancelled,
        an event in its chat that reads as `Ended`."""
