"""The runner of background work: which jobs are at a step, when the next ones are due, and whom nobody wants any more.

Between two steps a job is a row of the store and nothing else: ten thousand that wait cost nothing here. A step claims it
(under a new fence), does one thing in `steps.py`, and frees it again until its next one is due, or ends it:

    QUEUED ──reserve──▶ SUBMITTING ──task id──▶ RUNNING ──look──▶ DONE
      ▲ ◀──surely not taken──┘ │                  │ ▲ not yet       └▶ FAILED: the vendor's no, the deadline, a fault of ours
      │                        ├──made at once──▶ DONE, FAILED
      │                        └──found by a claim (a crash cut it off)──▶ submitted anew (free, chat), or UNSURE
      └─ any of them, cancelled ─▶ CANCELLING ──vendor told──▶ CANCELLED

A task whose id is stored is never submitted again. Whatever a step does without holding its job (another worker has it, it has
ended) the store refuses.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress

from bot import logs
from bot.background.steps import Steps
from bot.errors import StorageError
from bot.ports import Job, JobQueue

log = logging.getLogger(__name__)


class Runner:
    """At most `at_once` jobs at a step. `may_act`: whether we hold our lease."""

    def __init__(
        self,
        queue: JobQueue,
        steps: Steps,
        *,
        may_act: Callable[[], bool] = lambda: True,
        at_once: int = 32,
    ) -> None:
        self._queue = queue
        self._steps = steps
        self._may_act = may_act
        self._at_once = at_once
        self._pauses = steps.pauses
        self._free = at_once
        self._running: dict[int, tuple[Job, asyncio.Task[None]]] = {}
        self._arrived = asyncio.Event()
        self._concern = asyncio.Event()
        self._busy, self._quiet = asyncio.Event(), asyncio.Event()
        self._quiet.set()
        self._timer: asyncio.TimerHandle | None = None
        self._draining = False

    def look(self) -> None:
        """There may be work, or something that nobody wants any more."""
        self._arrived.set()
        self._concern.set()

    async def run(self) -> None:
        """Until cancelled or drained. What is at a step when cancelled, the next start finds."""
        self._arrived.set()
        try:
            async with asyncio.TaskGroup() as tasks:
                watching = tasks.create_task(self._watch(), name="unwanted jobs")
                await self._claim_all(tasks)
                await self._quiet.wait()
                watching.cancel()
        finally:
            if self._timer:
                self._timer.cancel()

    async def drain(self, seconds: float) -> None:
        """Claim no more, and give the steps under way so long: of an order that is cut off nobody knows whether it was
        taken."""
        self._draining = True
        self._arrived.set()
        try:
            async with asyncio.timeout(seconds):
                await self._quiet.wait()
        except TimeoutError:
            log.warning("Jobs left in the middle of a step: %d", self._at_once - self._free)

    # --- which are due -------------------------------------------------------------------------------------------------

    async def _claim_all(self, tasks: asyncio.TaskGroup) -> None:
        unsure = False
        while True:
            await self._arrived.wait()
            self._arrived.clear()
            if self._draining:
                return
            if not self._free:
                continue  # the end of a step looks again
            if not self._may_act():
                self._wake_in(self._pauses.watch)
                continue
            try:
                if unsure:
                    await self._queue.release_jobs(frozenset(self._running))
                    unsure = False
                jobs, later = await self._queue.claim_jobs(self._free)
            except StorageError as error:
                log.error("Cannot claim background work: %s", error)
                unsure = True  # it may have been committed
                self._wake_in(self._pauses.store)
                continue
            for job in jobs:
                self._begin(job, tasks)
            self._wake_in(self._pauses.idle if later is None else min(later, self._pauses.idle))
            if jobs:  # thousands that are due at once must not crowd out the turns
                await asyncio.sleep(len(jobs) / self._pauses.rate)

    def _begin(self, job: Job, tasks: asyncio.TaskGroup) -> None:
        self._free -= 1
        self._quiet.clear()
        self._busy.set()
        tasks.create_task(self._work(job), name=f"job {job.id}")

    def _wake_in(self, seconds: float) -> None:
        """What was known of the next time is known better now."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(seconds, self._arrived.set)

    # --- one of them ---------------------------------------------------------------------------------------------------

    async def _work(self, job: Job) -> None:
        logs.about(platform=job.chat.platform, chat=str(job.chat), turn=job.id)
        try:
            async with asyncio.TaskGroup() as tasks:
                step = tasks.create_task(self._steps.step(job))
                self._running[job.id] = job, step
            if step.cancelled():  # by `_watch` alone: a shutdown would have ended this, too
                await self._steps.call_off(job)
        finally:
            if self._running.get(job.id, (None,))[0] is job:  # freed for an instant, it may have been claimed again
                del self._running[job.id]
            self._free += 1
            if self._free == self._at_once:
                self._busy.clear()
                self._quiet.set()
            self._arrived.set()  # only the store knows when its next step is due

    # --- which are not wanted ------------------------------------------------------------------------------------------

    async def _watch(self) -> None:
        """Look for them every second while something runs, and whenever there is reason to."""
        while True:
            await self._busy.wait()
            with suppress(TimeoutError):
                async with asyncio.timeout(self._pauses.watch):
                    await self._concern.wait()
            self._concern.clear()
            if not self._running:
                continue
            try:
                unwanted = await self._queue.cancelled_jobs()
            except StorageError as error:
                log.error("Cannot look for cancelled jobs: %s", error)
                continue
            for id in unwanted:
                job, step = self._running.get(id, (None, None))
                if job and step and self._steps.may_be_cut(job):
                    step.cancel()
