"""One step of background work: what is done for a job that was claimed, by the state in which it was found.

The vendor is asked once a step; what comes of it is committed before the step ends. Money is held back inside
`Background.submit` and settled by the job's last commit.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Awaitable, Callable
from contextlib import aclosing, suppress
from dataclasses import dataclass

from bot import metrics
from bot.errors import BudgetSpent, FencedOut, ModelError, StorageError, Trouble, Unreadable
from bot.insist import RETRY, insist
from bot.messages import Finish, Finished, Text
from bot.messages.orders import WorkOrder, WorkResult
from bot.ports import (
    Files,
    Job,
    JobQueue,
    JobState,
    Made,
    ModelCard,
    Models,
    Offers,
    PicturePrompt,
    Prompt,
    Source,
    Sources,
    Submitted,
    VideoPrompt,
)

log = logging.getLogger(__name__)

Prompts = Callable[[Job, WorkOrder], Awaitable[Prompt]]
Progress = Callable[[Job, JobState], Awaitable[None]]

# What `WorkResult.error` says besides a Trouble. With BUDGET `code` is when it opens again, "" for never.
DEADLINE, BUDGET, NO_MODEL, LOST_FILE, OUR_FAULT = "deadline", "budget", "no model", "lost file", "our fault"

# The same order may be taken the next time.
PASSING = frozenset({Trouble.BUSY, Trouble.OVERLOADED, Trouble.FAULT, Trouble.UNREACHABLE, Trouble.SILENT})
# Of a look they say nothing about the task: the account, or the way to it, is out of order.
LOOK_AGAIN = PASSING | {Trouble.CUT, Trouble.BAD_KEY, Trouble.NO_MONEY, Trouble.QUOTA}
BROKEN_OFF = {Finish.CUT: Trouble.CUT.value, Finish.REFUSED: Trouble.REFUSED.value}

SUBMISSIONS = 8  # steps in a row of which nothing came, before the vendor took it
BREAKDOWNS = 5  # likewise, when it was our own fault
TELLING = 5.0  # seconds that showing progress may take


@dataclass(frozen=True, slots=True, kw_only=True)
class Pauses:
    """Seconds. Between two looks at a task: at first `first`, then `growth` times as long each, at most `longest` (`video`);
    after a step that came to nothing `again`, twice as long each time, at most `most_again`. The runner looks for due jobs at
    least every `idle` and for cancelled ones every `watch`; `store`: after it could not commit. `grace`: so long an order that
    is being handed over is not cut off, or nobody could tell the vendor that it is not wanted. `rate`: steps a second."""

    first: float = 2.0
    growth: float = 1.5
    longest: float = 15.0
    video: float = 20.0
    again: float = 2.0
    most_again: float = 60.0
    idle: float = 5.0
    watch: float = 1.0
    store: float = RETRY[0]
    grace: float = 10.0
    rate: float = 25.0

    def look(self, job: Job, age: float) -> float:
        """Until the next one, of a job that was ordered `age` seconds ago: a wait that grows with the age grows by a factor
        each time, and needs no counter."""
        longest = self.video if job.kind == "video" else self.longest
        return min(max(self.first, (self.growth - 1) * age), longest)

    def back_off(self, job: Job) -> float:
        return min(self.again * 2.0 ** min(job.tries, 30), self.most_again)


class Steps:
    """`prompts` builds the prompt of a question that is answered later; `progress` shows how far a job is, and may fail;
    `ended` is told that an end waits in some chat to be told of; `clock` gives Unix seconds."""

    def __init__(
        self,
        queue: JobQueue,
        offers: Offers,
        models: Models,
        files: Files,
        prompts: Prompts,
        *,
        progress: Progress | None = None,
        ended: Callable[[], None] = lambda: None,
        pauses: Pauses | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.pauses = pauses or Pauses()
        self._queue = queue
        self._offers = offers
        self._models = models
        self._files = files
        self._prompts = prompts
        self._progress = progress
        self._ended = ended
        self._clock = clock
        self._uncut: dict[tuple[int, int], float] = {}  # by job and fence: until when, by the loop's clock

    def may_be_cut(self, job: Job) -> bool:
        """Not while it is handed over, unless that takes long, nor while what came of it is being committed."""
        return self._uncut.get((job.id, job.fence), 0.0) <= asyncio.get_running_loop().time()

    def _do_not_cut(self, job: Job, seconds: float = math.inf) -> None:
        self._uncut[job.id, job.fence] = asyncio.get_running_loop().time() + seconds

    async def step(self, job: Job) -> None:
        """Raises nothing but CancelledError."""
        try:
            await self._bounded(job, self._step(job))
        finally:
            self._uncut.pop((job.id, job.fence), None)

    async def call_off(self, job: Job) -> None:
        """Nobody wants it any more. Nobody knows what the vendor takes for what it did: the estimate stays."""
        await self._bounded(job, self._call_off(job))

    async def _bounded(self, job: Job, step: Awaitable[None]) -> None:
        try:
            await step
        except FencedOut as error:
            log.info("%s", error)
            await self._let_go(job)
        except Exception:  # the boundary: whatever it was, all other jobs go on
            log.exception("A step of job %d broke down", job.id)
            with suppress(FencedOut):
                if job.tries + 1 >= BREAKDOWNS:
                    await self._end(job, JobState.FAILED, WorkResult(error=OUR_FAULT, cost=job.cost))
                else:
                    await self._put_off(job)

    async def _let_go(self, job: Job) -> None:
        """Another's, over, or not wanted any more: only then is it still ours, and to be ended."""
        with suppress(FencedOut):
            await self._end(job, JobState.CANCELLED, WorkResult(cost=job.cost))

    async def _step(self, job: Job) -> None:
        card = self._models.find(job.model, job.kind)
        if job.state is JobState.CANCELLING:
            await self._call_off(job)
        elif not isinstance(card, ModelCard):
            await self._end(job, JobState.FAILED, WorkResult(error=NO_MODEL, cost=job.cost))
        elif job.state is JobState.SUBMITTING and not (card.free or job.kind == "chat"):
            await self._end(job, JobState.UNSURE, WorkResult(cost=job.cost))
        elif job.patience <= 0:
            await self._tell_vendor(job)
            await self._end(job, JobState.FAILED, WorkResult(error=DEADLINE, cost=job.cost))
        elif job.state is JobState.RUNNING:
            await self._look(job, card)
        else:
            await self._submit(job, card)

    async def _call_off(self, job: Job) -> None:
        await self._tell_vendor(job)
        await self._end(job, JobState.CANCELLED, WorkResult(cost=job.cost))

    async def _tell_vendor(self, job: Job) -> None:
        card = self._models.find(job.model, job.kind)
        if job.task and isinstance(card, ModelCard):
            with suppress(ModelError):
                await self._offers.background(card).cancel(card, job.task)

    # --- handing it over -----------------------------------------------------------------------------------------------

    async def _submit(self, job: Job, card: ModelCard) -> None:
        try:
            made = await self._handed_over(job, card, WorkOrder.load(job.order, job.chat))
        except ModelError as error:
            if error.trouble in PASSING and (card.free or error.unbilled) and job.tries + 1 < SUBMISSIONS:
                log.info("Job %d, try %d: %s", job.id, job.tries + 1, error)
                await self._put_off(job, error.retry_after or 0.0, again=True)
            else:
                await self._refused(job, error, free=error.unbilled)
        except BudgetSpent as error:
            log.warning("Job %d: %s", job.id, error)
            opens = f"{error.opens:%H:%M}" if error.opens else ""
            await self._end(job, JobState.FAILED, WorkResult(error=BUDGET, code=opens))
        except StorageError as error:  # then nothing was asked
            log.error("Job %d waits for the store: %s", job.id, error)
            await self._put_off(job, again=True)
        except Unreadable as error:
            log.warning("Job %d: %s", job.id, error)
            await self._end(job, JobState.FAILED, WorkResult(error=LOST_FILE, vendor_message=str(error)))
        else:
            await self._taken(job, made)

    async def _taken(self, job: Job, made: Submitted | Made) -> None:
        self._do_not_cut(job)
        if isinstance(made, Made):  # there is no task from which it could be had again
            await insist(lambda: self._finish(job, made))
        else:
            await insist(lambda: self._queue.submitted(job, made.task, self.pauses.first))
            await self._show(job, JobState.RUNNING)

    async def _handed_over(self, job: Job, card: ModelCard, order: WorkOrder) -> Submitted | Made:
        prompt = await self._prompt(job, card, order)
        if isinstance(prompt, Prompt) and not card.later:
            return await self._streamed(prompt)
        self._do_not_cut(job, self.pauses.grace)
        return await self._offers.background(card).submit(prompt)

    async def _prompt(self, job: Job, card: ModelCard, order: WorkOrder) -> Prompt | PicturePrompt | VideoPrompt:
        match job.kind:
            case "chat":
                return await self._prompts(job, order)
            case "image":
                return PicturePrompt(
                    card=card,
                    text=order.text,
                    chat=job.chat,
                    turn=job.id,
                    size=order.size,
                    count=order.count,
                    pictures=order.pictures,
                    seed=order.seed,
                    job_fence=job.fence,
                )
            case "video":
                return VideoPrompt(
                    card=card,
                    text=order.text,
                    chat=job.chat,
                    turn=job.id,
                    picture=next(iter(order.pictures), ""),
                    size=order.size,
                    seconds=order.seconds,
                    job_fence=job.fence,
                )

    async def _streamed(self, prompt: Prompt) -> Made:
        """Of a vendor that answers nothing later: the answer is read to its end here, and after a crash asked for again."""
        written: list[str] = []
        sources: tuple[Source, ...] = ()
        finished = Finished(reason=Finish.CUT, model=prompt.card.name)
        async with aclosing(self._models.chat(prompt.card).generate(prompt)) as parts:
            async for part in parts:
                if isinstance(part, Text):
                    written.append(part.delta)
                elif isinstance(part, Sources):
                    sources += part.found
                elif isinstance(part, Finished):
                    finished = part
        return Made(finished=finished, text="".join(written), sources=sources)

    # --- looking after it ----------------------------------------------------------------------------------------------

    async def _look(self, job: Job, card: ModelCard) -> None:
        try:
            made = await self._offers.background(card).look(card, job.task)
        except ModelError as error:
            if error.trouble in LOOK_AGAIN and not error.begun:
                log.info("Job %d: %s", job.id, error)
                await self._put_off(job, error.retry_after or 0.0)
            else:  # an HTTP status is about the question here: the task may have been done all the same
                await self._refused(job, error, free=error.unbilled)
            return
        self._do_not_cut(job)
        if made is None:
            pause = self.pauses.look(job, max(0.0, self._clock() - job.created))
            await insist(lambda: self._queue.submitted(job, job.task, pause))
            await self._show(job, JobState.RUNNING)
            return
        try:
            await self._finish(job, made)
        except StorageError as error:  # the vendor keeps it for a day
            log.error("What came of job %d is fetched again: %s", job.id, error)
            await self._put_off(job)

    # --- how a step ends -----------------------------------------------------------------------------------------------

    async def _finish(self, job: Job, made: Made) -> None:
        """Raises StorageError."""
        finished = made.finished
        kept = [(await self._files.keep(one.data, one.mime), one.mime) for one in made.files if one.data]
        # Where nobody told what was used, what was held back stays.
        cost = finished.cost or (None if finished.usage.estimated else 0)
        result = WorkResult(
            text=made.text,
            sources=tuple((one.number, one.title, one.url) for one in made.sources),
            files=tuple(kept),
            links=tuple(one.link for one in made.files if one.link),
            missing=made.missing,
            why=made.why,
            error=BROKEN_OFF.get(finished.reason, ""),
            code=finished.code,
            vendor_message=finished.vendor_message,
            cost=job.cost if cost is None else cost,
            prompt=finished.usage.prompt,
            completion=finished.usage.completion,
        )
        await self._end(job, JobState.DONE, result, cost)

    async def _refused(self, job: Job, error: ModelError, *, free: bool) -> None:
        log.warning("Job %d: %s", job.id, error)
        result = WorkResult(
            error=error.trouble.value,
            code=error.code,
            vendor_message=error.vendor_message,
            cost=0 if free else job.cost,
        )
        await self._end(job, JobState.FAILED, result, 0 if free else None)

    async def _put_off(self, job: Job, least: float = 0.0, *, again: bool = False) -> None:
        due = max(self.pauses.back_off(job), least)
        await insist(lambda: self._queue.put_off(job, due, again=again))

    async def _end(self, job: Job, state: JobState, result: WorkResult, cost: int | None = None) -> None:
        """`cost` None: what was held back stays."""
        await insist(lambda: self._queue.end_job(job, state, result.dump(), cost=cost))
        metrics.job_ended(job.kind, state.value)
        self._ended()
        if job.task:  # what was made at once was counted where it was made
            metrics.spent(job.model, job.cost if cost is None else cost)

    async def _show(self, job: Job, state: JobState) -> None:
        if self._progress is None:
            return
        try:
            async with asyncio.timeout(TELLING):
                await self._progress(job, state)
        except TimeoutError:
            log.info("The progress of job %d could not be shown in time", job.id)
        except Exception:  # the boundary: a job without visible progress is a job
            log.exception("The progress of job %d cannot be shown", job.id)
