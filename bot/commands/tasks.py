"""/tasks and /task: what runs, or ran, in the background of a chat; and the button that cancels it."""

from __future__ import annotations

from bot import phrases
from bot.commands.command import reply
from bot.commands.ordering import waiting
from bot.conversation import context
from bot.conversation.desk import Desk, Parts
from bot.errors import Unreadable
from bot.messages import Cancelled, Choice, Finish, Finished, Message, Replaces, Text, Turn
from bot.messages.orders import WorkOrder
from bot.phrases import Language, Phrase
from bot.ports import Job, JobState

LISTED = 10
LONGEST_ID = 18  # digits: any store can look for it


async def tasks(desk: Desk, turn: Turn, message: Message, argument: str, /) -> Parts:
    if argument:
        return await task(desk, turn, message, argument)
    found = await desk.recent_jobs(turn, LISTED)
    lines = [phrases.jobs.TASKS.to(turn.language), "", *(f"- {_line(desk, turn, job)}" for job in found)]
    return reply(turn, "\n".join(lines) if found else phrases.jobs.TASKS_NONE)


async def task(desk: Desk, turn: Turn, message: Message, argument: str, /) -> Parts:
    if not argument:
        return reply(turn, phrases.jobs.TASK_WHAT)
    id = argument.strip().lstrip("#")
    job = await desk.job(int(id)) if id.isdecimal() and len(id) <= LONGEST_ID else None
    if job is None or job.chat != turn.chat:
        return reply(turn, phrases.jobs.TASK_NONE.format(id=context.words(id)))
    return _shown(desk, turn, job)


def _shown(desk: Desk, turn: Turn, job: Job) -> Parts:
    """Only who ordered it, or an owner, gets the button."""
    order = _order(job)
    whose = turn.author.owner or (order is not None and order.author.id == turn.author.id)
    running = job.ended is None and job.state is not JobState.CANCELLING
    cancel = Choice(phrases.jobs.CANCEL.to(turn.language), f"cancel:{job.id}:told")
    told = f"{_line(desk, turn, job)}\n\n{phrases.INFO_MODEL.to(turn.language)}{phrases.COLON.to(turn.language)}`{job.model}`"
    return reply(turn, told, rows=[[cancel]] if whose and running else [])


async def cancel(desk: Desk, turn: Turn, rest: str) -> Parts:
    """[Cancel]: the line that waits for the result says so. `told`: pressed elsewhere, where people look for an answer."""
    id, _, told = rest.partition(":")
    job = await desk.job(int(id))
    if job is None:
        return reply(turn, phrases.BUTTON_OLD)
    if job.ended is not None and job.state is not JobState.CANCELLED:
        state = phrases.jobs.STATES[job.state.value]
        return reply(turn, phrases.jobs.TASK_OVER.format(id=job.id, state=state))
    return _cancelled(turn, job, told=bool(told))


async def _cancelled(turn: Turn, job: Job, *, told: bool) -> Parts:
    yield Replaces(job.id)
    yield Cancelled(job.id)
    yield Text(phrases.jobs.CANCELLED_LINE.to(turn.language))
    if told:
        yield Text(phrases.jobs.TASK_CANCELLED_ID.format(id=job.id).to(turn.language), slot=1)
    yield Finished(reason=Finish.COMMAND)


# --- in words ----------------------------------------------------------------------------------------------------------


def progress_text(job: Job, now: float, language: Language) -> str:
    """The line that waits for the result, with how far it is. `now` in Unix seconds. Raises Unreadable."""
    state = phrases.jobs.STATES[job.state.value]
    line = waiting(job.id, job.kind, WorkOrder.load(job.order, job.chat))
    return phrases.jobs.PROGRESS.format(waiting=line, state=state, age=_age(now - job.created)).to(language)


def _line(desk: Desk, turn: Turn, job: Job) -> str:
    order = _order(job)
    line = phrases.jobs.TASK_LINE.format(
        id=job.id,
        kind=phrases.jobs.KINDS[job.kind],
        words=context.words(order.text) if order else "…",
        state=phrases.jobs.STATES[job.state.value],
        age=_age(desk.clock() - job.created),
    )
    return line.to(turn.language)


def _order(job: Job) -> WorkOrder | None:
    try:
        return WorkOrder.load(job.order, job.chat)
    except Unreadable:  # of another version: it can be cancelled all the same
        return None


def _age(seconds: float) -> Phrase:
    whole = max(0, int(seconds))
    for most, unit, phrase in (
        (100, 1, phrases.jobs.SECONDS),
        (5_400, 60, phrases.jobs.MINUTES),
        (172_800, 3_600, phrases.jobs.HOURS),
    ):
        if whole < most:
            return phrase.format(count=whole // unit)
    return phrases.jobs.DAYS.format(count=whole // 86_400)
