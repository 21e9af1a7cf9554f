"""The manager's questions to the history. Read only: what a turn changes is committed in `inbox.complete`."""

from __future__ import annotations

from dataclasses import replace

from bot.messages import ChatKey
from bot.ports import ButtonRow, Entry, Exchange, Report
from storage.moving import home
from storage.records import load_entry, load_report
from storage.statements import HISTORY, LEDGER
from storage.transaction import Transaction


def line(tip: int | None, limit: int) -> Transaction[list[Entry]]:
    if tip is None:
        return []
    rows = yield HISTORY["line"], {"tip": tip, "limit": limit}
    return [load_entry(row) for row in rows]


def _entry(id: int) -> Transaction[Entry | None]:
    rows = yield HISTORY["entry"], {"id": id}
    return load_entry(rows[0]) if rows else None


def answers(turn: int) -> Transaction[list[Entry]]:
    return [load_entry(row) for row in (yield HISTORY["answers_of"], {"turn": turn})]


def exchange(chat: str, message: str) -> Transaction[Exchange | None]:
    chat = yield from home(chat)
    rows = yield HISTORY["turn_of_answer"], {"chat": chat, "message": message}
    if rows:
        found = yield from _exchange(chat, rows[0]["turn"], rows[0]["number"])
        several = yield from answers(rows[0]["turn"])
        if found is None or len(several) < 2:
            return found
        return replace(found, answer=several[min(rows[0]["slot"], len(several) - 1)])  # they are in the slots' order
    rows = yield HISTORY["turn_of_question"], {"chat": chat, "message": message}
    return (yield from _exchange(chat, rows[0]["turn"])) if rows else None


def last(chat: str, head: int | None) -> Transaction[Exchange | None]:
    if head is None:
        return None
    rows = yield HISTORY["turn_of_entry"], {"id": head}
    if not rows:
        return None
    return (yield from _exchange((yield from home(chat)), rows[0]["turn"]))


def asked(turn: int) -> Transaction[Entry | None]:
    rows = yield HISTORY["turn_entries"], {"turn": turn}
    if not rows or rows[0]["question"] is None:
        return None
    return (yield from _entry(rows[0]["question"]))


def last_turn(chat: str, question: int) -> Transaction[int | None]:
    rows = yield HISTORY["last_turn_of_question"], {"chat": (yield from home(chat)), "question": question}
    return int(rows[0]["id"]) if rows else None


def _exchange(chat: str, turn: int, piece: int | None = None) -> Transaction[Exchange | None]:
    rows = yield HISTORY["turn_entries"], {"turn": turn}
    if not rows:
        return None
    question = (yield from _entry(rows[0]["question"])) if rows[0]["question"] is not None else None
    answer = (yield from _entry(rows[0]["answer"])) if rows[0]["answer"] is not None else None
    latest = yield HISTORY["latest_question"], {"chat": chat}
    return Exchange(turn, question, answer, bool(latest) and latest[0]["id"] == turn, piece)


def report(chat: str) -> Transaction[Report | None]:
    rows = yield HISTORY["latest_report"], {"chat": (yield from home(chat))}
    if not rows:
        return None
    finished, first, seconds = load_report(rows[0]["report"])
    turn = rows[0]["id"]
    calls = yield LEDGER["cost_of_turns"], {"turn": turn, "job": finished.job or turn}
    return Report(turn, finished, cost=int(calls[0]["cost"]), first=first, seconds=seconds)


def button(id: str) -> Transaction[ButtonRow | None]:
    rows = yield HISTORY["button"], {"id": id}
    if not rows:
        return None
    row = rows[0]
    chat = ChatKey.parse(row["chat"])
    return ButtonRow(row["id"], chat, row["person"], row["action"], row["expires"], bool(row["used"]))
