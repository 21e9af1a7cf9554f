"""The transactions of runs of tools: each is a row before it runs, and has its result after it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import astuple

from bot.errors import FencedOut
from bot.ports import Source, ToolRun
from storage.statements import LEDGER, TOOL_RUNS
from storage.transaction import Record, Transaction, Value


def begin(turn: int, number: int, name: str, arguments: str, state: str, now: float) -> Transaction[ToolRun]:
    yield from _running(turn)
    rows = yield TOOL_RUNS["run"], {"turn": turn, "number": number}
    if rows and (rows[0]["name"], rows[0]["arguments"]) == (name, arguments):
        return _load(rows[0])
    yield TOOL_RUNS["forget_runs"], {"turn": turn, "number": number}
    values: dict[str, Value] = {"turn": turn, "number": number, "name": name, "arguments": arguments, "state": state}
    yield TOOL_RUNS["insert_run"], {**values, "now": now}
    return ToolRun(turn=turn, number=number, name=name, arguments=arguments, state=state, fresh=True)


def end(turn: int, number: int, result: str, state: str, sources: Sequence[Source]) -> Transaction[None]:
    yield from _running(turn)
    pages = json.dumps([astuple(one) for one in sources]) if sources else ""
    yield TOOL_RUNS["end_run"], {"turn": turn, "number": number, "result": result, "state": state, "sources": pages}


def _running(turn: int) -> Transaction[None]:
    if (yield LEDGER["turn_over"], {"turn": turn}):
        raise FencedOut(f"turn {turn} is over: another worker has made it")


def runs(turn: int) -> Transaction[Sequence[ToolRun]]:
    return [_load(row) for row in (yield TOOL_RUNS["runs"], {"turn": turn})]


def _load(row: Record) -> ToolRun:
    return ToolRun(
        turn=row["turn"],
        number=row["number"],
        name=row["name"],
        arguments=row["arguments"],
        state=row["state"],
        result=row["result"],
        sources=tuple(Source(*one) for one in json.loads(row["sources"] or "[]")),
    )
