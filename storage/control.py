"""The transactions of what overtakes: stop, reset, leave, move."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from bot.messages import ChatKey, Piece
from bot.ports import Claim, Overtaken, Replying, Row
from storage.inbox import finish_unanswered, guard, load_row
from storage.moving import home, move
from storage.records import dump_address, dump_piece
from storage.statements import INBOX, JOBS, OUTBOX
from storage.transaction import Record, Transaction, Value


def waiting(limit: int) -> Transaction[list[tuple[Row, ChatKey]]]:
    rows = yield INBOX["control_rows"], {"limit": limit}
    return [(load_row(row), ChatKey.parse(row["chat"])) for row in rows]


def stop(
    worker: str, row: int, chat: str, key: str, person: str, reply: Replying, cancelled: Piece | None, now: float
) -> Transaction[Overtaken]:
    if not (yield from _close(row)):
        return Overtaken()
    chat = yield from home(chat)
    done = yield from _stop_running(chat, key, person)
    if not (done.turn or key):
        done = yield from _cancel_latest(chat, person, cancelled, now)
    return (yield from _reply(worker, chat, reply, done, now))


def reset(
    worker: str, row: int, chat: str, reply: Replying, cancelled: Piece | None, now: float
) -> Transaction[Overtaken]:
    if not (yield from _close(row)):
        return Overtaken()
    chat = yield from home(chat)
    running = yield from _stop_running(chat)
    closed = yield INBOX["close_waiting"], {"chat": chat, "before": row}
    unwanted = yield JOBS["cancel_answers"], {"chat": chat, "now": now}
    yield from _rewrite_lines(unwanted, cancelled)
    yield INBOX["begin_epoch"], {"chat": chat, "closed": len(closed)}
    done = Overtaken(turn=running.turn, closed=len(closed), jobs=len(unwanted))
    return (yield from _reply(worker, chat, reply, done, now))


def _close(row: int) -> Transaction[bool]:
    """False when another worker was faster: it has acted and replied, and what runs by now is another turn."""
    closed = yield INBOX["close_row"], {"id": row, "state": "done", "error": None}
    return bool(closed)


def _stop_running(chat: str, key: str = "", person: str = "") -> Transaction[Overtaken]:
    running = yield INBOX["running_turn"], {"chat": chat, "key": key, "person": person}
    if not running:
        return Overtaken()
    yield INBOX["stop_turn"], {"chat": chat, "turn": running[0]["id"]}
    return Overtaken(turn=running[0]["id"])


def _cancel_latest(chat: str, person: str, cancelled: Piece | None, now: float) -> Transaction[Overtaken]:
    """Nothing runs that people wait for: what goes on in the background is meant."""
    open_jobs = yield JOBS["latest_open_job"], {"chat": chat, "person": person}
    if not open_jobs:
        return Overtaken()
    yield JOBS["cancel_job"], {"id": open_jobs[0]["id"], "chat": chat, "now": now}
    yield from _rewrite_lines(open_jobs, cancelled)
    return Overtaken(jobs=1)


def _rewrite_lines(jobs: Sequence[Record], cancelled: Piece | None) -> Transaction[None]:
    """What waits for their results, buttons and all, says that none will come."""
    if cancelled is not None:
        piece = dump_piece(cancelled)
        for job in jobs:
            yield OUTBOX["rewrite_last"], {"turn": job["id"], "piece": piece}


def _reply(worker: str, chat: str, reply: Replying, done: Overtaken, now: float) -> Transaction[Overtaken]:
    address, pieces = reply(done)
    if not pieces:
        return done
    numbered = (yield INBOX["next_seq"], {"chat": chat})[0]
    values: dict[str, Value] = {
        "chat": chat,
        "seq": numbered["seq"],
        "epoch": numbered["epoch"],
        "address": dump_address(address),
    }
    turn = (yield INBOX["insert_done_turn"], {**values, "now": now})[0]["id"]
    for number, piece in enumerate(pieces):
        numbered_piece: dict[str, Value] = {"turn": turn, "slot": 0, "number": number, "piece": dump_piece(piece)}
        yield OUTBOX["queue_piece"], {"chat": chat, **numbered_piece}
    shown_by = (yield OUTBOX["show_by"], {"chat": chat, "worker": worker})[0]["shown_by"]
    return replace(done, shows=shown_by == worker)


def dismiss(row: int, why: str) -> Transaction[None]:
    yield INBOX["close_row"], {"id": row, "state": "dead", "error": why}


def leave(chat: str, why: str, now: float) -> Transaction[Overtaken]:
    chat = yield from home(chat)
    done = yield from _stop_running(chat)
    yield JOBS["cancel_all"], {"chat": chat, "now": now}
    yield OUTBOX["drop_chat_pieces"], {"chat": chat, "error": why}
    return done


def move_claimed(claim: Claim, old: str, new: str, now: float) -> Transaction[None]:
    """The move that the claim's own event tells of: the claim ends with it."""
    chat, state = yield from guard(claim)
    rows = yield INBOX["finish_rows"], {"turn": claim.turn, "state": "done", "error": None}
    yield from finish_unanswered(claim, "moved", now)
    yield INBOX["free_chat"], {"chat": chat, "done": len(rows), "now": now, "head": state["head"]}
    yield from move(old, new)
