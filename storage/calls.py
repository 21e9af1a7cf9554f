"""The transactions of tool calls: each is a row before it runs, and has its result after it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import astuple

from bot.errors import FencedOut
from bot.ports import Call, Source
from storage.ledger import LEDGER
from storage.transaction import Record, Transaction, Value, statements

CALLS = statements("calls.sql")


def begin(turn: int, number: int, name: str, arguments: str, state: str, now: float) -> Transaction[Call]:
    yield from _running(turn)
    rows = yield CALLS["call"], {"turn": turn, "number": number}
    if rows and (rows[0]["name"], rows[0]["arguments"]) == (name, arguments):
        return _load(rows[0])
    yield CALLS["forget_calls"], {"turn": turn, "number": number}
    values: dict[str, Value] = {"turn": turn, "number": number, "name": name, "arguments": arguments, "state": state}
    yield CALLS["insert_call"], {**values, "now": now}
    return Call(turn=turn, number=number, name=name, arguments=arguments, state=state, fresh=True)


def end(turn: int, number: int, result: str, state: str, sources: Sequence[Source]) -> Transaction[None]:
    yield from _running(turn)
    pages = json.dumps([astuple(one) for one in sources]) if sources else ""
    yield CALLS["end_call"], {"turn": turn, "number": number, "result": result, "state": state, "sources": pages}


def _running(turn: int) -> Transaction[None]:
    if (yield LEDGER["turn_over"], {"turn": turn}):
        raise FencedOut(f"turn {turn} is over: another worker has made it")


def calls(turn: int) -> Transaction[Sequence[Call]]:
    return [_load(row) for row in (yield CALLS["calls"], {"turn": turn})]


def _load(row: Record) -> Call:
    return Call(
        turn=row["turn"],
        number=row["number"],
        name=row["name"],
        arguments=row["arguments"],
        state=row["state"],
        result=row["result"],
        sources=tuple(Source(*one) for one in json.loads(row["sources"] or "[]")),
    )
