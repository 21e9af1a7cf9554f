"""Files that are no database of ours, are newer or damaged, or cannot be written: refused with a sentence, left untouched."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from bot.errors import SettingsError, StorageRefused
from storage import open_store
from storage.sqlite import open_sqlite
from tests.storage.saying import said


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "magpie.db"


async def test_a_store_begins_from_nothing_or_an_empty_file(tmp_path: Path) -> None:
    fresh = tmp_path / "a" / "b" / "magpie.db"
    async with open_store(f"sqlite:///{fresh}") as store:
        await store.accept([said("1")])
    empty = tmp_path / "empty.db"
    empty.touch()
    async with open_store(f"sqlite:///{empty}") as store:
        await store.accept([said("1")])
    assert (fresh.parent.stat().st_mode & 0o777) == 0o700


async def test_a_lock_that_is_a_link_leads_nowhere(path: Path) -> None:
    elsewhere = path.with_name("elsewhere")
    path.with_name("magpie.db.lock").symlink_to(elsewhere)
    with pytest.raises(StorageRefused, match="Cannot write to"):
        await _opened(path)
    assert not elsewhere.exists()


async def test_a_newer_database_is_refused_with_a_sentence_and_left_untouched(path: Path) -> None:
    with closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA user_version = 99")
    with _untouched(path), pytest.raises(StorageRefused, match=r"newer Magpie \(schema 99; .*Update Magpie"):
        await _opened(path)


async def test_a_file_that_is_no_database_is_refused_and_left_untouched(path: Path) -> None:
    Path.write_bytes(path, b"My diary. " * 1000)
    with _untouched(path), pytest.raises(StorageRefused, match=r"cannot be used \(file is not a database\)"):
        await _opened(path)


@pytest.mark.parametrize("damage", ["schema", "pages", "cut", "no text"])
async def test_a_damaged_database_is_refused_and_left_untouched(path: Path, damage: str) -> None:
    await _fill(path)
    _damage(path, damage)
    with _untouched(path), pytest.raises(StorageRefused, match=r"cannot be used .*restore a backup"):
        await _opened(path)


async def test_a_damaged_database_keeps_the_log_of_its_last_commits(path: Path) -> None:
    await _fill(path)
    async with open_store(f"sqlite:///{path}") as store:
        await store.accept([said("newest")])
        crashed = [(file, file.read_bytes()) for file in _files(path)]
    for file, content in crashed:
        file.write_bytes(content)
    _damage(path, "pages")
    with _untouched(path), pytest.raises(StorageRefused, match="cannot be used"):
        await _opened(path)


@pytest.mark.parametrize("where", ["file/data/magpie.db", "/proc/magpie/magpie.db"])
async def test_a_directory_that_cannot_be_written_is_named(tmp_path: Path, where: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StorageRefused, match=r"Cannot write to .*: set DATA_DIR to a directory that Magpie may write"):
        await _opened(tmp_path / where)


async def test_an_address_of_no_known_database_is_refused_by_its_variable() -> None:
    for url in ("mysql://localhost/x", "sqlite://relative.db", "sqlite:///", "magpie.db", ""):
        with pytest.raises(SettingsError, match="STORAGE_URL"):
            async with open_store(url):
                pass


# --- helpers -----------------------------------------------------------------------------------------------------------


async def _opened(path: Path) -> None:
    async with open_sqlite(path):
        pass


@contextmanager
def _untouched(path: Path) -> Iterator[None]:
    """Neither the database nor its log changes."""
    before = [file.read_bytes() if file.exists() else b"" for file in _files(path)]
    yield
    assert [file.read_bytes() if file.exists() else b"" for file in _files(path)] == before


def _files(path: Path) -> tuple[Path, Path]:
    return path, path.with_name(path.name + "-wal")


async def _fill(path: Path) -> None:
    async with open_store(f"sqlite:///{path}") as store:
        await store.accept([said(str(number), "x" * 300) for number in range(2000)])


def _damage(path: Path, where: str) -> None:
    content = bytearray(path.read_bytes())
    middle = len(content) // 2 // 4096 * 4096
    match where:
        case "schema":
            content[100:4096] = os.urandom(3996)
        case "pages":
            content[middle : middle + 40_960] = os.urandom(40_960)
        case "cut":
            del content[middle:]
        case "no text":  # a word of the schema, which SQLite then quotes
            content[:] = content.replace(b"TEXT NOT NULL", b"TEXT NOT N\xd5LL", 1)
    path.write_bytes(content)


async def test_what_an_older_start_left_readable_is_closed_and_nothing_beside_it_is_touched(tmp_path: Path) -> None:
    path, copy = tmp_path / "magpie.db", tmp_path / "magpie.db.copy"
    async with open_store(f"sqlite:///{path}"):
        pass
    copy.write_bytes(path.read_bytes())
    for file in (path, copy):
        file.chmod(0o644)
    async with open_store(f"sqlite:///{path}"):
        pass
    assert copy.stat().st_mode & 0o777 == 0o644
    for file in (path, path.with_name("magpie.db.lock")):
        assert file.stat().st_mode & 0o777 == 0o600
