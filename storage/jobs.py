"""The transactions of work in the background: ordered and cancelled with a turn's commit, done step by step by who holds it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence

from bot.errors import FencedOut
from bot.messages import ENDED, ChatKey, Ordered
from bot.ports import Job, JobState
from storage.ledger import hold_back, settle
from storage.moving import home
from storage.statements import INBOX, JOBS, OUTBOX
from storage.transaction import Record, Transaction, Value

LONGEST_PAUSE = 120.0  # seconds between two steps
SHARE = 8  # jobs of a chat that may be at a step at a time


def order(turn: int, chat: str, epoch: int, author: str, ordered: Ordered, now: float) -> Transaction[None]:
    values: dict[str, Value] = {
        "id": turn,
        "chat": chat,
        "epoch": epoch,
        "author": author,
        "kind": ordered.kind,
        "model": ordered.model,
        "ordered": ordered.order,
        "patience": ordered.patience,
        "now": now,
    }
    yield JOBS["insert_job"], values


def cancel(chat: str, job: int, now: float) -> Transaction[None]:
    yield JOBS["cancel_job"], {"id": job, "chat": chat, "now": now}


def claim(worker: str, limit: int, now: float) -> Transaction[tuple[list[Job], float | None]]:
    yield JOBS["due_set_back"], {"now": now, "horizon": now + LONGEST_PAUSE}
    rows: list[Record] = []
    while len(rows) < limit and (found := (yield from _next_due(limit - len(rows), now))):
        for row in found:
            yield JOBS["hold_job"], {"id": row["id"], "worker": worker, "fence": row["fence"] + 1}
        rows += found
    later = (yield JOBS["next_due"], {"now": now})[0]["due"]
    return [load_job(row, row["fence"] + 1) for row in rows], None if later is None else later - now


def _next_due(limit: int, now: float) -> Transaction[list[Record]]:
    """Of each chat only as many as its share allows: one whose answers take minutes must not hold up all others."""
    rows = yield JOBS["due_jobs"], {"now": now, "limit": limit, "share": SHARE}
    if not rows:
        return []
    held = Counter(row["chat"] for row in (yield JOBS["held_chats"], {}))
    found: list[Record] = []
    for row in rows:
        held[row["chat"]] += 1
        if held[row["chat"]] <= SHARE:
            found.append(row)
    return found


def release(worker: str, held: Collection[int]) -> Transaction[None]:
    """Give back those that nobody is at: they were claimed by a commit of which we were never told."""
    rows = yield JOBS["held_jobs"], {"worker": worker}
    for row in rows:
        if row["id"] not in held:
            yield JOBS["give_back_job"], {"id": row["id"], "worker": worker}


def unwanted(worker: str) -> Transaction[list[int]]:
    rows = yield JOBS["unwanted_jobs"], {"worker": worker}
    return [row["id"] for row in rows]


def reserve(
    fence: int, job: int, chat: str, model: str, cost: int, day: str, limit: int, now: float
) -> Transaction[int | None]:
    """As `ledger.reserve`, for a job, which is being submitted from now on. What a crash left reserved stays counted."""
    rows = yield JOBS["submittable_job"], {"id": job, "fence": fence}
    if not rows:
        raise FencedOut(f"job {job} is over, or another worker's")
    if rows[0]["call"] is not None:
        yield from settle(rows[0]["call"], None, estimated=True)
    call = yield from hold_back(job, chat, model, cost, day, limit, now)
    if call is not None:
        yield JOBS["submitting_job"], {"id": job, "fence": fence, "call": call}
    return call


def put_off(worker: str, job: Job, due: float, now: float, *, task: str = "", again: bool = False) -> Transaction[None]:
    """Free until `due` seconds from now. With a `task` the vendor has it; `again`: it surely has not."""
    held = yield from _held(worker, job)
    state = JobState.RUNNING if task else JobState.QUEUED if again else JobState(held["state"])
    values: dict[str, Value] = {
        "id": job.id,
        "task": task or held["task"],
        "state": state.value,
        "due": now + min(due, LONGEST_PAUSE),
        "waits": min(due, LONGEST_PAUSE),
        "tries": 0 if task else held["tries"] + 1,
    }
    yield JOBS["free_job"], values


def end(worker: str, job: Job, state: JobState, result: str, cost: int | None, now: float) -> Transaction[None]:
    """Its last commit: the ledger, the state, and the event that tells its chat, unless nobody wants to hear of it."""
    held = yield from _held(worker, job)
    if held["call"] is not None:
        yield from settle(held["call"], cost, estimated=cost is None)
    if held["state"] == JobState.CANCELLING:
        state = JobState.CANCELLED
    yield JOBS["end_job"], {"id": job.id, "state": state.value, "result": result, "now": now}
    if state is JobState.CANCELLED:
        return
    chat = yield from home(held["chat"])
    told = yield OUTBOX["shown_pieces"], {"turn": job.id}
    where = f"@{told[0]['message']}" if told else ""
    values: dict[str, Value] = {
        "platform": ChatKey.parse(chat).platform,
        "bot": "",
        "event": f"job {job.id}",
        "chat": chat,
        "author": held["author"],
        "lane": "turn",
        "joins": "",
        "message": "",
        "digest": "",
        "payload": f"{ENDED}{job.id}{where} {held['ordered']}",
        "said": now,
        "now": now,
    }
    if (yield INBOX["insert_event"], values):
        yield INBOX["add_pending"], {"chat": chat, "now": now, "ready": now}


def _held(worker: str, job: Job) -> Transaction[Record]:
    rows = yield JOBS["held_job"], {"id": job.id, "worker": worker, "fence": job.fence}
    if not rows:
        raise FencedOut(f"job {job.id} is over, or another worker's")
    held: Record = rows[0]
    return held


def job(id: int) -> Transaction[Job | None]:
    rows = yield JOBS["job"], {"id": id}
    return load_job(rows[0]) if rows else None


def of_chat(chat: str, limit: int, *, open_only: bool) -> Transaction[Sequence[Job]]:
    named = "open_jobs_of_chat" if open_only else "jobs_of_chat"
    rows = yield JOBS[named], {"chat": (yield from home(chat)), "limit": limit}
    return [load_job(row) for row in rows]


def load_job(row: Record, fence: int | None = None) -> Job:
    return Job(
        id=row["id"],
        chat=ChatKey.parse(row["chat"]),
        epoch=row["epoch"],
        kind=row["kind"],
        model=row["model"],
        state=JobState(row["state"]),
        order=row["ordered"],
        fence=row["fence"] if fence is None else fence,
        created=row["created"],
        patience=row["patience"],
        task=row["task"],
        call=row["call"],
        cost=row["cost"] or 0,
        tries=row["tries"],
        result=row["result"],
        ended=row["ended"],
    )
