"""The engine's transactions: accept, claim, complete, bury. Order, fences, epochs and deduplication are decided here."""

from __future__ import annotations

import dataclasses
import secrets
from collections.abc import Collection, Sequence

from bot.errors import FencedOut, Superseded
from bot.lanes import STOP_PREFIX, Lane
from bot.messages import ChatKey, Event, Finish, Piece, Shown
from bot.ports import Claim, Final, Outcome, Row
from storage.changes import Changes
from storage.ledger import settle
from storage.moving import move
from storage.records import dump_address, dump_piece, dump_report, load_final
from storage.statements import HISTORY, INBOX, LEDGER, OUTBOX
from storage.transaction import Record, Transaction, Value, together

MOST_ROWS = 100  # that one turn answers: the rest waits for the next
LONGEST_SETTLE = 1.0  # seconds that a claim may wait for the rest of an album


def accept(events: Sequence[Event], now: float) -> Transaction[list[int]]:
    """Insert what is new; the turns that an edit of their question stops."""
    if any(event.moves_to for event in events):
        return (yield from _accept(events, now))
    chats: dict[ChatKey, list[Event]] = {}
    for event in events:
        chats.setdefault(event.chat, []).append(event)
    stopped = yield from together([_accept(said, now) for said in chats.values()])
    return [turn for turns in stopped for turn in turns]


def _accept(events: Sequence[Event], now: float) -> Transaction[list[int]]:
    stopped: list[int] = []
    for event in events:
        values: dict[str, Value] = {
            "platform": event.platform,
            "bot": event.bot,
            "event": event.event,
            "chat": str(event.chat),
            "author": event.author,
            "lane": event.lane.value,
            "joins": event.joins,
            "message": event.message,
            "digest": event.digest,
            "payload": event.payload,
            "said": event.at,
            "now": now,
        }
        new = yield INBOX["insert_event"], values
        if not new:
            continue
        chat: str = new[0]["chat"]
        if event.moves_to:
            yield from move(chat, str(event.moves_to))
            chat = str(event.moves_to)
        if event.edits and (yield from _is_settled_edit(event, chat, new[0]["id"], stopped)):
            continue
        if event.lane is Lane.TURN:
            yield INBOX["add_pending"], {"chat": chat, "now": now, "ready": now + min(event.settle, LONGEST_SETTLE)}
    return stopped


def _is_settled_edit(event: Event, chat: str, row: int, stopped: list[int]) -> Transaction[bool]:
    """True when the edit needs no turn: it changes nothing, or what it edits still waits and now says the new text. What
    waits in the other lane (a message edited into /stop) waits no more, and the edit takes its own place."""
    found = yield INBOX["row_of_message"], {"chat": chat, "message": event.message, "id": row}
    if not found:
        return False
    original = found[0]
    if original["digest"] == event.digest:
        yield INBOX["close_row"], {"id": row, "state": "merged", "error": "same text"}
        return True
    if original["state"] == "queued" and original["lane"] != event.lane.value:
        yield INBOX["close_row"], {"id": original["id"], "state": "merged", "error": "edited into another lane"}
        yield INBOX["less_pending"], {"chat": chat, "done": int(event.lane is Lane.CONTROL)}
        return False
    amended: dict[str, Value] = {"payload": event.payload, "digest": event.digest, "message": event.message}
    yield INBOX["amend_message"], {"chat": chat, "id": row, **amended}
    if original["state"] == "queued":
        yield INBOX["close_row"], {"id": row, "state": "merged", "error": "replaced a waiting message"}
        return True
    if original["state"] == "taken":
        rows = yield INBOX["stop_turn"], {"chat": chat, "turn": original["turn"]}
        stopped.extend(r["turn"] for r in rows)
    return False


def claim(worker: str, limit: int, now: float) -> Transaction[tuple[list[Claim], float | None]]:
    yield INBOX["clock_set_back"], {"now": now, "horizon": now + LONGEST_SETTLE}
    chats = yield INBOX["ready_chats"], {"now": now, "limit": limit, "worker": worker}
    claims = yield from together([_claim(chat, worker, now) for chat in chats])
    later = (yield INBOX["next_ready"], {"now": now})[0]["ready"]
    return [claim for claim in claims if claim], None if later is None else later - now


def _claim(chat: Record, worker: str, now: float) -> Transaction[Claim | None]:
    if chat["turn"] is not None:
        return (yield from _reopen_turn(chat, worker))
    claim = yield from _open_turn(chat, worker, now)
    if claim is None:
        yield INBOX["count_pending"], {"chat": chat["chat"]}
    return claim


def release(worker: str, kept: Collection[int]) -> Transaction[None]:
    """Give back the chats of turns that nobody makes: they were claimed by a commit of which we were never told."""
    owned = yield INBOX["owned_chats"], {"worker": worker}
    for chat in owned:
        if chat["turn"] not in kept:
            yield INBOX["disown_chat"], {"chat": chat["chat"], "worker": worker}


def _open_turn(chat: Record, worker: str, now: float) -> Transaction[Claim | None]:
    waiting = yield INBOX["waiting_rows"], {"chat": chat["chat"], "limit": MOST_ROWS}
    if not waiting:
        return None
    rows = [waiting[0]]
    for row in waiting[1:]:
        if not row["joins"] or row["joins"] != rows[0]["joins"]:
            break
        rows.append(row)
    stop_key, seq = STOP_PREFIX + secrets.token_urlsafe(9), chat["seq"] + 1
    values: dict[str, Value] = {
        "chat": chat["chat"],
        "seq": seq,
        "epoch": chat["epoch"],
        "author": rows[0]["author"],
        "stop_key": stop_key,
        "model": chat["model"] or "",
        "now": now,
    }
    turn = (yield INBOX["insert_turn"], values)[0]["id"]
    for row in rows:
        yield INBOX["take_row"], {"id": row["id"], "turn": turn}
    more = len(rows) < len(waiting)
    return (yield from _own(chat, worker, turn, seq, chat["epoch"], 1, stop_key, chat["model"], rows, (), more=more))


def _reopen_turn(chat: Record, worker: str) -> Transaction[Claim | None]:
    """A crash interrupted it: the same rows, the same model, the messages that were already sent."""
    rows = yield INBOX["taken_rows"], {"turn": chat["turn"]}
    turn = (yield INBOX["reopen_turn"], {"turn": chat["turn"]})[0]
    yield LEDGER["give_up_calls"], {"turn": chat["turn"]}
    shown = yield OUTBOX["shown_pieces"], {"turn": chat["turn"]}
    known = tuple(Shown(row["slot"], row["number"], row["message"]) for row in shown)
    return (
        yield from _own(
            chat,
            worker,
            chat["turn"],
            turn["seq"],
            turn["epoch"],
            turn["attempts"],
            turn["stop_key"],
            turn["model"],
            rows,
            known,
            stopped=chat["stop"] >= turn["seq"] or chat["epoch"] != turn["epoch"],
        )
    )


def _own(
    chat: Record,
    worker: str,
    turn: int,
    seq: int,
    epoch: int,
    attempt: int,
    stop_key: str,
    model: str | None,
    rows: Sequence[Record],
    shown: tuple[Shown, ...],
    *,
    stopped: bool = False,
    more: bool = True,
) -> Transaction[Claim]:
    fence = chat["fence"] + 1
    yield (
        INBOX["own_chat"],
        {"chat": chat["chat"], "worker": worker, "fence": fence, "seq": max(seq, chat["seq"]), "turn": turn},
    )
    return Claim(
        chat=ChatKey.parse(chat["chat"]),
        turn=turn,
        seq=seq,
        fence=fence,
        epoch=epoch,
        attempt=attempt,
        stop_key=stop_key,
        model=model or "",
        system=chat["system"] or "",
        think=chat["think"] or "",
        voice=chat["voice"] or "",
        head=chat["head"],
        rows=tuple(load_row(row) for row in rows),
        shown=shown,
        stopped=stopped,
        more=more,
    )


def load_row(row: Record) -> Row:
    return Row(row["id"], row["platform"], row["payload"], row["said"])


def count_attempt(claim: Claim) -> Transaction[None]:
    yield from guard(claim)
    yield INBOX["count_attempt"], {"turn": claim.turn, "attempt": claim.attempt}


def complete(claim: Claim, outcome: Outcome, now: float) -> Transaction[list[Final]]:
    """Everything that a turn leaves behind, or nothing: the fence, the epoch and the stop are checked in the same commit."""
    try:
        chat, state = yield from guard(claim)
    except FencedOut:
        done = yield INBOX["finished_turn"], {"turn": claim.turn, "fence": claim.fence}
        if not done:
            raise
        # It was committed when we tried before, and only the answer was lost on its way.
        waiting = yield OUTBOX["piece_waits"], {"turn": claim.turn}
        return [load_final(row) for row in waiting]
    current = state["epoch"] == claim.epoch
    if outcome.finished.reason is not Finish.STOPPED and (not current or state["stop"] >= claim.seq):
        raise Superseded(f"turn {claim.turn} was stopped or reset")
    changes = outcome.changes if current else ()
    history = Changes(chat, claim, now)
    yield from history.apply(changes, outcome.text, outcome.author)
    finals = yield from _queue(chat, claim.turn, outcome)
    for button in outcome.buttons:
        owned: dict[str, Value] = {
            "chat": chat,
            "person": button.person,
            "action": button.action,
            "expires": button.expires,
        }
        yield HISTORY["insert_button"], {"id": button.id, **owned}
    if outcome.finished.call is not None:
        yield from settle(outcome.finished.call, outcome.finished.cost, outcome.finished.usage.estimated)
    yield LEDGER["give_up_calls"], {"turn": claim.turn}
    head = history.head if history.moved else state["head"]
    yield from finish(claim, chat, outcome, (history.question, history.answer), head, now)
    return finals


def _queue(chat: str, turn: int, outcome: Outcome) -> Transaction[list[Final]]:
    """The pieces, and the previews that they do not need, on their way; with the messages that stand for them already."""
    finals = []
    whole = outcome.finished.reason is Finish.COMMAND
    for final in outcome.pieces:
        place: dict[str, Value] = {"chat": chat, "turn": turn, "slot": final.slot, "number": final.number}
        row = (yield OUTBOX["queue_piece"], {**place, "piece": dump_piece(final.piece)})[0]
        finals.append(dataclasses.replace(final, id=row["message"], generation=row["generation"], whole=whole))
    surplus = yield OUTBOX["mark_surplus"], {"turn": turn}
    finals.extend(
        Final(turn, row["slot"], row["number"], Piece(""), row["message"], row["generation"], surplus=True)
        for row in surplus
    )
    return finals


def guard(claim: Claim) -> Transaction[tuple[str, Record]]:
    """The chat's key as it now is and its row, if the claim still holds. Raises FencedOut."""
    rows = yield INBOX["chat_state"], {"chat": str(claim.chat)}
    if not rows or rows[0]["fence"] != claim.fence or rows[0]["turn"] != claim.turn:
        raise FencedOut(f"turn {claim.turn} of {claim.chat} belongs to another worker now")
    return rows[0]["chat"], rows[0]


def finish(
    claim: Claim, chat: str, outcome: Outcome, entries: tuple[int | None, int | None], head: int | None, now: float
) -> Transaction[None]:
    state = "dead" if outcome.dead else "done"
    rows = yield INBOX["finish_rows"], {"turn": claim.turn, "state": state, "error": outcome.dead or None}
    asked_a_model = outcome.finished.reason is not Finish.COMMAND and outcome.finished.model
    values: dict[str, Value] = {
        "turn": claim.turn,
        "state": outcome.finished.reason.value,
        "address": dump_address(outcome.address),
        "question": entries[0],
        "answer": entries[1],
        "report": dump_report(outcome.finished, outcome.first, outcome.seconds) if asked_a_model else None,
        "fence": claim.fence,
        "now": now,
    }
    yield INBOX["finish_turn"], values
    yield INBOX["free_chat"], {"chat": chat, "done": len(rows), "now": now, "head": head}


def bury(claim: Claim, rows: Sequence[int], why: str, now: float) -> Transaction[None]:
    chat, state = yield from guard(claim)
    for row in rows:
        closed = yield INBOX["close_row"], {"id": row, "state": "dead", "error": why}
        yield INBOX["less_pending"], {"chat": chat, "done": len(closed)}
    left = yield INBOX["taken_rows"], {"turn": claim.turn}
    if left:
        return
    yield from finish_unanswered(claim, "dead", now)
    yield INBOX["free_chat"], {"chat": chat, "done": 0, "now": now, "head": state["head"]}


def finish_unanswered(claim: Claim, state: str, now: float) -> Transaction[None]:
    """The turn is over, and nothing of it enters the history."""
    nothing: dict[str, Value] = {"address": "", "question": None, "answer": None, "report": None}
    yield INBOX["finish_turn"], {**nothing, "turn": claim.turn, "state": state, "fence": claim.fence, "now": now}


def companions(claim: Claim, message: str, row: int) -> Transaction[list[Row]]:
    chat, _ = yield from guard(claim)
    rows = yield INBOX["companions"], {"chat": chat, "message": message, "id": row}
    return [load_row(found) for found in rows]


def replace(claim: Claim, earlier: int) -> Transaction[list[Shown]]:
    yield from guard(claim)
    yield OUTBOX["forget_unsent"], {"earlier": earlier}
    yield OUTBOX["adopt_pieces"], {"turn": claim.turn, "earlier": earlier}
    rows = yield OUTBOX["shown_pieces"], {"turn": claim.turn}
    return [Shown(row["slot"], row["number"], row["message"]) for row in rows]
