"""Databases of every released schema come through an update with all their rows, also when it is killed at every step."""

from __future__ import annotations

import hashlib
import logging
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from storage import open_store
from storage.migrating import KEPT, migrate, migrations
from storage.sqlite import PRAGMAS, open_sqlite
from tests.storage.killing import kills
from tests.storage.rich import GROUP, TEXTS
from tests.storage.saying import claims, payloads

FIXTURES = sorted((Path(__file__).parent / "fixtures").glob("*.sql"))
ROOT = Path(__file__).parents[2]
NEWEST = len(migrations())
OLDER = [pytest.param(file, id=file.stem) for file in FIXTURES if int(file.stem) < NEWEST]
Rows = dict[str, list[tuple[object, ...]]]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "magpie.db"


def test_every_released_schema_is_among_the_fixtures() -> None:
    """When a schema is followed by the next, add what it left: `python -m tests.storage.rich`, with the program of before."""
    assert {int(file.stem) for file in FIXTURES} >= set(range(1, NEWEST))


@pytest.mark.parametrize("fixture", OLDER)
def test_an_old_database_comes_through_with_all_its_rows(fixture: Path, path: Path) -> None:
    _build(path, fixture)
    before = _rows(path)
    _migrate(path)
    after = _rows(path, {table: _columns(path, table, before) for table in before})
    assert after == before
    assert _version(path) == NEWEST


@pytest.mark.parametrize("fixture", OLDER)
def test_an_update_that_is_killed_at_any_step_ends_as_one_that_is_not(fixture: Path, tmp_path: Path) -> None:
    whole, path, old = tmp_path / "whole.db", tmp_path / "magpie.db", tmp_path / "old.db"
    _build(old, fixture)
    shutil.copy(old, whole)
    _migrate(whole)
    expected, before = _digest(whole), _digest(old)
    shutil.copy(old, path)
    first_copy = path.with_name(f"magpie.db.before-{int(fixture.stem) + 1}")
    killed = 0
    for killed in kills(lambda: _migrate(path)):
        assert _version(path) in range(int(fixture.stem), NEWEST + 1)
        if first_copy.exists():
            assert _digest(first_copy) == before
        _migrate(path)
        assert _digest(path) == expected, f"killed before step {killed}"
        assert not [file.name for file in tmp_path.iterdir() if ".part" in file.name], f"killed before step {killed}"
        for file in path.parent.glob(path.name + "*"):
            file.unlink()
        shutil.copy(old, path)
    assert killed > 10  # the update itself is a dozen statements and more
    assert _digest(path) == expected


@pytest.mark.parametrize("fixture", OLDER)
def test_an_update_that_is_killed_again_and_again_comes_to_its_end(fixture: Path, path: Path) -> None:
    """As `kill -9` by an impatient supervisor: nothing is put right between two of them."""
    _build(path, fixture)
    before = _rows(path)
    for _ in kills(lambda: _migrate(path)):
        pass
    assert _version(path) == NEWEST
    assert _rows(path, {table: _columns(path, table, before) for table in before}) == before


@pytest.mark.parametrize("fixture", [pytest.param(file, id=file.stem) for file in FIXTURES])
async def test_the_program_works_on_with_what_an_old_database_holds(fixture: Path, path: Path) -> None:
    _build(path, fixture)
    async with open_store(f"sqlite:///{path}") as store:
        [running] = await claims(store)
        assert (payloads(running), running.attempt) == (["running"], 2)
        assert [row.payload for row, _ in await store.control_rows(10)] == ["later"]
        background = 0 if int(fixture.stem) < 3 else 5 + 7
        assert (await store.spent("2026-11-22")) == 1100 + 90_000 + 700 + background
        assert (await store.moves()) == {"telegram:20": "telegram:-100999"}
        assert {(key, title) for key, title, _ in await store.chats()} == {("main", TEXTS[0]), ("c2", TEXTS[0])}
        button = await store.button("key1")
        assert button is not None and button.chat == GROUP


# --- the copy of before ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fixture", OLDER)
async def test_the_database_is_kept_as_it_was_before(
    fixture: Path, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    _build(path, fixture)
    before = _digest(path)
    async with open_sqlite(path):
        pass
    kept = path.with_name(f"magpie.db.before-{int(fixture.stem) + 1}")
    assert _digest(kept) == before
    assert kept.stat().st_mode & 0o777 == 0o600
    assert str(kept) in caplog.text
    assert sorted(file.name for file in path.parent.iterdir()) == ["magpie.db", kept.name, "magpie.db.lock"]


async def test_a_new_database_and_one_that_is_up_to_date_are_not_copied(path: Path) -> None:
    for _ in range(2):
        async with open_sqlite(path):
            pass
        assert _kept(path) == []


def test_the_last_few_copies_stay(path: Path) -> None:
    for number in range(-5, 2):  # of schemas that are long gone
        path.with_name(f"magpie.db.before-{number + 5}").touch()
    beside = path.with_name("magpie.db.before-me")
    beside.touch()
    _build(path, FIXTURES[0])
    if NEWEST == 1:
        pytest.skip("there is nothing to migrate yet")
    _migrate(path)
    assert len(_kept(path)) == KEPT + 1
    assert beside in _kept(path)


@pytest.mark.parametrize("fixture", OLDER[:1])
def test_without_room_for_the_copy_nothing_is_begun(fixture: Path, path: Path) -> None:
    """The process may write no file that is half as large as the database."""
    _build(path, fixture)
    before = _digest(path)
    code = """
import asyncio, resource, sys
from pathlib import Path
from storage.sqlite import open_sqlite
async def main():
    async with open_sqlite(path):
        pass
path = Path(sys.argv[1])
size = path.stat().st_size // 2
resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
asyncio.run(main())
"""
    ended = subprocess.run(
        [sys.executable, "-c", code, path], cwd=ROOT, capture_output=True, text=True, timeout=30, check=False
    )
    assert "StorageRefused" in ended.stderr
    assert "Make room for about" in ended.stderr
    assert "nothing was changed" in ended.stderr
    assert _digest(path) == before
    assert sorted(file.name for file in path.parent.iterdir()) == ["magpie.db", "magpie.db.lock"]


# --- helpers -----------------------------------------------------------------------------------------------------------


def _build(path: Path, fixture: Path) -> None:
    with closing(sqlite3.connect(path)) as database:
        database.executescript(fixture.read_text("utf-8"))
        database.execute("PRAGMA journal_mode=WAL")


def _migrate(path: Path) -> None:
    """As `open_sqlite` does it, without its thread."""
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        database.executescript(PRAGMAS)
        migrate(database, path)


def _version(path: Path) -> int:
    with closing(sqlite3.connect(path)) as database:
        version: int = database.execute("PRAGMA user_version").fetchone()[0]
        return version


def _kept(path: Path) -> list[Path]:
    return sorted(path.parent.glob(f"{path.name}.before-*"))


def _columns(path: Path, table: str, before: Rows) -> str:
    """Those that the table had before: a migration may add, and must not take away."""
    return ", ".join(str(name) for name in before[table][0])


def _rows(path: Path, columns: dict[str, str] | None = None) -> Rows:
    """Of each table its columns' names, then its rows."""
    with closing(sqlite3.connect(path)) as database:
        tables = columns or dict.fromkeys(_tables(database), "*")
        found: Rows = {}
        for table, named in tables.items():
            cursor = database.execute(f"SELECT {named} FROM {table} ORDER BY 1, 2")
            names = tuple(column[0] for column in cursor.description)
            found[table] = [names, *cursor]
        return found


def _tables(database: sqlite3.Connection) -> Iterator[str]:
    for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name"):
        yield str(name)


def _digest(path: Path) -> str:
    """Of the schema, its version and all rows."""
    with closing(sqlite3.connect(path)) as database:
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        text = "\n".join(database.iterdump()) + str(database.execute("PRAGMA user_version").fetchone())
    return hashlib.sha256(text.encode()).hexdigest()
