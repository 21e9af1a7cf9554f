"""What a transaction is, whatever the database: a generator that yields statements and receives their rows.

The logic of every commit is written once, in the modules beside this one; a driver (`sqlite.py`, `postgres.py`) runs the
generator inside a real transaction. A generator raises before its first change or not at all, and can be made anew: what a
driver is given is how to make it. The statements stand in `queries/`, each with a name.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any, TypeVar

from bot.text import clean

T = TypeVar("T")

# Begins the key of a board on the page, for which transactions take turns as they do for a chat.
BOARD = "board "

Value = str | int | float | bytes | None
Values = Mapping[str, Value]
Record = Mapping[str, Any]  # a driver's row: the columns' types are those of the schema


@dataclass(frozen=True, slots=True)
class Statement:
    name: str
    sql: str


Step = tuple[Statement, Values]


class Pipeline(list[Step]):
    """Several at once, of which none needs another's rows; what comes back are their rows, in the same order."""


# Receives the rows of a step; of steps, a sequence of such sequences.
Transaction = Generator[Step | Pipeline, Sequence[Any], T]
TransactionFactory = Callable[[], Transaction[T]]


def together(parts: Sequence[Transaction[T]]) -> Transaction[list[T]]:
    """Parts of one transaction that touch nothing of each other, in step: a driver for which each step is a journey makes one
    for all of them."""
    results: dict[int, T] = {}
    steps: dict[int, Step] = {}

    def advance(number: int, rows: Sequence[Record] | None) -> None:
        try:
            step = next(parts[number]) if rows is None else parts[number].send(rows)
        except StopIteration as stop:
            results[number] = stop.value
            steps.pop(number, None)
        else:
            assert not isinstance(step, Pipeline), "parts have no parts"
            steps[number] = step

    for number in range(len(parts)):
        advance(number, None)
    while steps:
        waiting = list(steps)
        found = yield Pipeline(steps.values())
        for number, rows in zip(waiting, found, strict=True):
            advance(number, rows)
    return [results[number] for number in range(len(parts))]


def storable(values: Values) -> Values:
    return {name: clean(value) if isinstance(value, str) else value for name, value in values.items()}


_HEADER = re.compile(r"^-- name: (\w+)$", re.MULTILINE)


def statements(file: str) -> dict[str, Statement]:
    """The named statements of `queries/<file>`."""
    text = resources.files("storage").joinpath("queries", file).read_text("utf-8")
    parts = _HEADER.split(text)[1:]
    return {name: Statement(name, sql.strip()) for name, sql in zip(parts[::2], parts[1::2], strict=True)}
