"""`magpie copy FROM TO`: everything that one store holds into another, empty one, whichever databases they are.

Tables, columns and keys are read from the schema itself. Rows go in batches in the order of their keys; how far each table is
stands among the target's notes, in the same commit as the batch, so that a copy that was killed goes on where it stopped.
As long as such a note is there no Magpie starts on the target (`refuse_unfinished`). In the end both sides are read through
and compared.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import cached_property, partial

from bot.errors import StorageRefused
from storage import platforms
from storage.address import open_database, shown, sqlite_path
from storage.copying_files import Folder, InTable, OnDisk, Side, copy_files
from storage.migrating import migrations, opened
from storage.statements import COPYING, FLEET, PLATFORMS
from storage.store import Database
from storage.transaction import Statement, Transaction, Value, Values, storable

LIVE = frozenset({"workers", "duties"})  # who is alive and does what: it means nothing elsewhere
FILES = "files"  # this table has a way of its own, `copying_files`
ROWS = 500  # of one commit
VALUES = 900  # of one statement: SQLite before 3.32 takes 999
PROGRESS = "copying/"  # begins the names of our notes
SOURCE = PROGRESS + "from"

Row = tuple[Value, ...]
Tell = Callable[[str], None]


@dataclass(frozen=True)
class Table:
    """`key`: the columns of its primary key. `numbered`: the database gives it, counting up."""

    name: str
    columns: tuple[str, ...]
    key: tuple[str, ...]
    numbered: bool

    @cached_property
    def first_page(self) -> Statement:
        return self._page("")

    @cached_property
    def next_page(self) -> Statement:
        after = ", ".join(f":{column}" for column in self.key)
        return self._page(f"WHERE ({', '.join(self.key)}) > ({after})")

    def _page(self, where: str) -> Statement:
        columns, key = ", ".join(self.columns), ", ".join(self.key)
        return Statement("page", f"SELECT {columns} FROM {self.name} {where} ORDER BY {key} LIMIT :most")

    def insert(self, rows: int) -> Statement:
        row = ", ".join(f":{column}_{{0}}" for column in self.columns)
        values = ", ".join(f"({row.format(number)})" for number in range(rows))
        return Statement("insert", f"INSERT INTO {self.name} ({', '.join(self.columns)}) VALUES {values}")

    @cached_property
    def count_on(self) -> Statement:
        """PostgreSQL's counter: behind what was written with numbers of its own."""
        [column] = self.key
        counter = f"pg_get_serial_sequence('{self.name}', '{column}')"
        behind = f"coalesce(max({column}), 1), max({column}) IS NOT NULL"
        return Statement("count_on", f"SELECT setval({counter}, {behind}) AS last FROM {self.name}")


def tables() -> list[Table]:
    """Those of the newest schema, but for what is `LIVE`, and the kept files."""
    with closing(sqlite3.connect(":memory:")) as blank:
        for file in migrations():
            blank.executescript(file.read_text("utf-8"))
        names = [name for (name,) in blank.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")]
        return [_table(blank, name) for name in names if name not in LIVE | {FILES}]


def _table(blank: sqlite3.Connection, name: str) -> Table:
    info = blank.execute("SELECT name, type, pk FROM pragma_table_info(?)", (name,)).fetchall()
    key = sorted((place, column, kind) for column, kind, place in info if place)
    return Table(
        name,
        tuple(column for column, _, _ in info),
        tuple(column for _, column, _ in key),
        numbered=[kind for _, _, kind in key] == ["INTEGER"],
    )


# --- the copy ----------------------------------------------------------------------------------------------------------


async def copy(source_url: str, target_url: str, tell: Tell, files: Folder | None = None) -> None:
    """Both are brought to the newest schema first. `files`: those of the side that is a SQLite; None: they stay where they
    are, as they do when both are. Raises StorageRefused, with the source as it was: while a Magpie runs on
    either, when the target holds anything else, and when what arrived is not what is there. Raises SettingsError for a wrong
    URL."""
    name = _name(source_url)
    if name == _name(target_url):
        raise StorageRefused(f"FROM and TO are the same database, {name}.")
    path = sqlite_path(source_url)
    if path is not None:
        with opened(path):
            pass  # before anything is written to what may be another program's
    async with open_database(source_url) as source, open_database(target_url) as target:
        await _alone(source, name)
        await _alone(target, _name(target_url))
        every = tables()
        await source.run(refuse_unfinished)
        if not await source.run(partial(_any_rows, every)):
            raise StorageRefused(f"{name} holds nothing: is it the right one?")
        progress = await target.run(partial(_begin, every, name))
        for table in every:
            await _fill(source, target, table, progress.get(table.name))
            tell(f"{table.name}: copied")
        ours, theirs = (_files(url, side, files) for url, side in ((source_url, source), (target_url, target)))
        if ours and theirs:
            tell(f"files: {await copy_files(ours, theirs)}, the same on both sides")
        for table in every:
            tell(f"{table.name}: {await _compare(source, target, table)} rows, the same on both sides")
        counting = sqlite_path(target_url) is None
        await target.run(partial(_finish, [table for table in every if table.numbered and counting]), chats=None)


def _files(url: str, side: Database, folder: Folder | None) -> Side | None:
    if sqlite_path(url) is None:
        return InTable(side)
    return OnDisk(folder) if folder else None


def _name(url: str) -> str:
    path = sqlite_path(url)
    return shown(url) if path is None else f"sqlite:///{path.absolute()}"


async def _alone(side: Database, name: str) -> None:
    await side.run(
        partial(platforms.notes, PROGRESS), urgent=True
    )  # the clock of PostgreSQL is known when this is done
    alive = await side.run(partial(_living, side.now()))
    if alive:
        raise StorageRefused(
            f"Magpie runs on {name}, on {', '.join(alive)}: stop it first. One that was killed counts for some seconds more."
        )


async def _fill(source: Database, target: Database, table: Table, reached: Row | None) -> None:
    async for rows in _pages(source, table, reached):
        await target.run(partial(_write, table, rows))


async def _pages(side: Database, table: Table, after: Row | None = None) -> AsyncIterator[Sequence[Values]]:
    """Without our own notes: they are no part of what is copied."""
    while True:
        rows = await side.run(partial(_read, table, after))
        if not rows:
            return
        yield [row for row in rows if not (table.name == "notes" and str(row["name"]).startswith(PROGRESS))]
        after = _key(table, rows[-1])


async def _compare(source: Database, target: Database, table: Table) -> int:
    """How many rows there are on both sides. Raises StorageRefused."""
    ours, theirs = await _digest(source, table), await _digest(target, table)
    if ours != theirs:
        raise StorageRefused(
            f"The copy differs in {table.name} ({ours[0]} rows, {theirs[0]} arrived): did FROM change meanwhile? "
            "Empty TO and copy again."
        )
    return ours[0]


async def _digest(side: Database, table: Table) -> tuple[int, int]:
    """How many rows, and the sum of their hashes: the order of texts is a database's own matter."""
    count = total = 0
    async for rows in _pages(side, table):
        for row in rows:
            text = json.dumps([*storable(row).values()])
            total += int.from_bytes(hashlib.sha256(text.encode()).digest(), "big")
        count += len(rows)
    return count, total % 2**256


# --- transactions ------------------------------------------------------------------------------------------------------


def refuse_unfinished() -> Transaction[None]:
    """Raises StorageRefused for a database into which a copy is not finished."""
    notes = yield from platforms.notes(PROGRESS)
    if SOURCE in notes:
        raise StorageRefused(
            f"It holds half of a copy of {notes[SOURCE]}: finish it with the same `magpie copy` as before, "
            "or give an empty database."
        )


def _living(now: float) -> Transaction[list[str]]:
    rows = yield COPYING["living_workers"], {"now": now}
    return [row["host"] for row in rows]


def _any_rows(every: Sequence[Table]) -> Transaction[str]:
    """The name of the first table that holds any; "" when all are empty."""
    for table in every:
        if (yield table.first_page, {"most": 1}):
            return table.name
    return ""


def _begin(every: Sequence[Table], source: str) -> Transaction[dict[str, Row]]:
    """The key that each table has reached. Raises StorageRefused when the target holds anything but a part of this copy."""
    notes = yield from platforms.notes(PROGRESS)
    if notes.get(SOURCE) == source:
        return {name.removeprefix(PROGRESS): tuple(json.loads(key)) for name, key in notes.items() if name != SOURCE}
    yield from refuse_unfinished()
    if name := (yield from _any_rows(every)):
        raise StorageRefused(f"TO is not empty (there are rows in {name}): nothing was copied. Give an empty database.")
    yield PLATFORMS["set_note"], {"name": SOURCE, "value": source}
    return {}


def _read(table: Table, after: Row | None) -> Transaction[list[Values]]:
    if after is None:
        rows = yield table.first_page, {"most": ROWS}
    else:
        rows = yield table.next_page, {"most": ROWS, **dict(zip(table.key, after, strict=True))}
    return [{column: row[column] for column in table.columns} for row in rows]


def _write(table: Table, rows: Sequence[Values]) -> Transaction[None]:
    for chunk in _chunks(rows, VALUES // len(table.columns)):
        values = {f"{column}_{number}": value for number, row in enumerate(chunk) for column, value in row.items()}
        yield table.insert(len(chunk)), storable(values)  # as PostgreSQL takes it
    if rows:
        reached = json.dumps(_key(table, rows[-1]))
        yield PLATFORMS["set_note"], {"name": PROGRESS + table.name, "value": reached}


def _chunks(rows: Sequence[Values], size: int) -> Iterator[Sequence[Values]]:
    for start in range(0, len(rows), size):
        yield rows[start : start + size]


def _key(table: Table, row: Values) -> Row:
    return tuple(row[column] for column in table.key)


def _finish(counting: Sequence[Table]) -> Transaction[None]:
    for table in counting:
        yield table.count_on, {}
    yield FLEET["free_all"], {}  # by workers that the target has never known
    yield FLEET["free_all_jobs"], {}
    yield COPYING["forget_progress"], {}
