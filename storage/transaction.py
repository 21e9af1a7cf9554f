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

T = TypeVar("T")

Value = str | int | float | None
Values = Mapping[str, Value]
Record = Mapping[str, Any]  # a driver's row: the columns' types are those of the schema


@dataclass(frozen=True, slots=True)
class Statement:
    name: str
    sql: str


Step = tuple[Statement, Values]
Transaction = Generator[Step, Sequence[Record], T]
Making = Callable[[], Transaction[T]]


def storable(values: Values) -> Values:
    """With U+FFFD for what a database refuses, as models cut it and people paste it: half of a surrogate pair, and U+0000. No
    message is to be lost for it."""
    return {name: _clean(value) if isinstance(value, str) else value for name, value in values.items()}


def _clean(text: str) -> str:
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace").replace("\0", "\ufffd")


_HEADER = re.compile(r"^-- name: (\w+)$", re.MULTILINE)


def statements(file: str) -> dict[str, Statement]:
    """The named statements of `queries/<file>`."""
    text = resources.files("storage").joinpath("queries", file).read_text("utf-8")
    parts = _HEADER.split(text)[1:]
    return {name: Statement(name, sql.strip()) for name, sql in zip(parts[::2], parts[1::2], strict=True)}
