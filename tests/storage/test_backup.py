"""Backups are whole, also of a database that is written to meanwhile; a restore puts one in its place or changes nothing."""

from __future__ import annotations

import asyncio
import fcntl
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from bot.errors import SettingsError, StorageRefused
from storage import open_store
from storage.backup import backup, restore
from storage.migrating import RESTORED, migrations
from storage.snapshot import hand_over, open_to_read
from tests.storage.killing import kills
from tests.storage.rich import database
from tests.storage.saying import claims, payloads, said

ROOT = Path(__file__).parents[2]
POSTGRES = "postgresql://magpie:hush@db.example.org:5432/magpie?sslmode=require"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "magpie.db"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Where the backup goes."""
    return tmp_path / "kept.db"


def _url(path: Path) -> str:
    return f"sqlite:///{path}"


def _fill(path: Path) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(database())


def _accept(path: Path, *events: str) -> None:
    async def accepted() -> None:
        async with open_store(_url(path)) as store:
            await store.accept([said(event) for event in events])

    asyncio.run(accepted())


def _restore(path: Path, file: Path) -> list[str]:
    return asyncio.run(restore(_url(path), file))


def _starts(path: Path) -> None:
    """Or raises what stops it; what was interrupted goes on."""

    async def started() -> None:
        async with open_store(_url(path)) as store:
            assert payloads((await claims(store))[0]) == ["running"]

    asyncio.run(started())


# --- backup ------------------------------------------------------------------------------------------------------------


def test_a_backup_is_one_file_for_its_owner_alone_with_every_row(path: Path, file: Path) -> None:
    _fill(path)
    [told] = backup(_url(path), file)
    assert _rows(file) == _rows(path)
    assert file.stat().st_mode & 0o777 == 0o600
    assert sorted(beside.name for beside in file.parent.iterdir()) == ["data", "kept.db"]
    assert file.read_bytes()[18] == 1  # it needs no log beside it
    assert f"{path} is backed up to {file}: schema {len(migrations())}" in told
    assert f"{len(_rows(path)['inbox'])} messages, the newest of 20" in told


async def test_a_backup_while_twenty_write_is_consistent_and_as_new_as_its_beginning(path: Path, file: Path) -> None:
    """Each writer accepts in threes: a backup holds whole threes, and all that was acknowledged before it began."""
    acknowledged: set[str] = set()
    async with open_store(_url(path)) as store, asyncio.timeout(60):
        stop = asyncio.Event()

        async def write(lane: int) -> None:
            number = 0
            while not stop.is_set():
                three = [said(f"{lane}.{number}.{part}", "x" * 200) for part in range(3)]
                await store.accept(three)
                acknowledged.update(event.event for event in three)
                number += 1

        async with asyncio.TaskGroup() as tasks:
            for lane in range(20):
                tasks.create_task(write(lane))
            for round in range(5):
                while len(acknowledged) < 1500 * (round + 1):  # noqa: ASYNC110  # the writers tell nobody
                    await asyncio.sleep(0.005)
                before = set(acknowledged)
                await asyncio.to_thread(backup, _url(path), file, replace=True)
                assert before <= _events(file)
                assert len(_events(file)) % 3 == 0
            stop.set()
    assert len(_events(path)) == len(acknowledged)


def test_a_backup_that_is_killed_at_any_step_leaves_none_or_a_whole_one(path: Path, file: Path) -> None:
    _fill(path)
    expected = _rows(path)
    killed = []
    for step in kills(lambda: _done(backup(_url(path), file))):
        killed.append(step)
        if file.exists():
            assert _rows(file) == expected
            file.unlink()
    assert len(killed) > 5
    assert _rows(file) == _rows(path) == expected
    assert sorted(beside.name for beside in file.parent.iterdir()) == ["data", "kept.db"]


def test_a_file_that_is_there_stays_unless_it_is_to_be_replaced(path: Path, file: Path) -> None:
    _fill(path)
    file.write_text("my only backup")
    with pytest.raises(StorageRefused, match=r"is there already and was left alone: .* --replace"):
        backup(_url(path), file)
    assert file.read_text() == "my only backup"
    backup(_url(path), file, replace=True)
    assert _rows(file) == _rows(path)
    before = path.read_bytes()
    with pytest.raises(StorageRefused, match="is the database itself"):
        backup(_url(path), path, replace=True)
    assert path.read_bytes() == before


@pytest.mark.parametrize("suffix", ["-wal", "-shm", "-journal", ".lock", RESTORED])
def test_a_backup_takes_no_name_that_belongs_to_the_database(path: Path, tmp_path: Path, suffix: str) -> None:
    _fill(path)
    (tmp_path / "elsewhere").symlink_to(path.parent)
    with pytest.raises(StorageRefused, match="or belongs to it"):
        backup(_url(path), tmp_path / "elsewhere" / f"magpie.db{suffix}", replace=True)
    assert not path.with_name(f"magpie.db{suffix}").exists()


@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo])
def test_what_is_no_file_is_neither_replaced_nor_read(path: Path, file: Path, make: Callable[[Path], None]) -> None:
    _fill(path)
    make(file)
    before = file.lstat()
    with pytest.raises(StorageRefused, match="left alone: name a file"):
        backup(_url(path), file, replace=True)
    with pytest.raises(StorageRefused, match="is no file; nothing was changed"):
        _restore(path, file)
    assert os.path.samestat(file.lstat(), before)


def test_of_two_backups_into_one_file_at_once_the_second_is_refused(path: Path, file: Path) -> None:
    _fill(path)
    part = file.with_name(file.name + ".part")
    with part.open("w") as first:
        first.write("half a backup")
        first.flush()
        fcntl.flock(first, fcntl.LOCK_EX)
        with pytest.raises(StorageRefused, match="Another program is writing"):
            backup(_url(path), file)
        assert part.read_text() == "half a backup"
    backup(_url(path), file)  # whoever left it is gone
    assert _rows(file) == _rows(path)
    assert not part.exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_what_root_hands_over_is_never_what_a_link_leads_to(tmp_path: Path) -> None:
    theirs, roots = tmp_path / "data", tmp_path / "shadow"
    theirs.mkdir()
    os.chown(theirs, 65534, 65534)
    roots.touch()
    (theirs / "magpie.db.lock").symlink_to(roots)
    hand_over(theirs / "magpie.db.lock")
    assert (roots.stat().st_uid, (theirs / "magpie.db.lock").lstat().st_uid) == (0, 65534)


def test_what_cannot_be_backed_up_is_told(path: Path, file: Path) -> None:
    with pytest.raises(StorageRefused, match=r"There is no database at .*magpie\.db: is it the right place"):
        backup(_url(path), file)
    _fill(path)
    for place in (file / "x.db", Path("/proc/magpie/x.db")):
        with pytest.raises(StorageRefused, match=r"Cannot write a copy .* \(No such file or directory\)"):
            backup(_url(path), place)
    with pytest.raises(SettingsError, match="write sqlite:///path"):
        backup("mysql://root:hush@localhost/x", file)
    assert not file.exists()


def test_without_room_a_backup_is_refused_and_leaves_nothing(path: Path, file: Path) -> None:
    _fill(path)
    before = _rows(path)
    code = """
import resource, sys
from pathlib import Path
from storage.backup import backup
path, file = map(Path, sys.argv[1:])
size = path.stat().st_size // 2
resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
backup(f"sqlite:///{path}", file)
"""
    ended = subprocess.run(
        [sys.executable, "-c", code, path, file], cwd=ROOT, capture_output=True, text=True, timeout=30, check=False
    )
    assert f"StorageRefused: Cannot write a copy of the database to {file}" in ended.stderr
    assert [beside.name for beside in file.parent.iterdir()] == ["data"]
    assert _rows(path) == before


def test_a_damaged_database_makes_no_backup(path: Path, file: Path) -> None:
    _accept(path, *(str(number) for number in range(2000)))
    content = bytearray(path.read_bytes())
    middle = len(content) // 2 // 4096 * 4096
    content[middle : middle + 40_960] = bytes(40_960)
    path.write_bytes(content)
    with pytest.raises(StorageRefused, match=r"Cannot write a copy .*\((Tree|row|database disk image|\*\*\*)"):
        backup(_url(path), file)
    assert not file.exists()


def test_postgresql_is_backed_up_by_its_own_tool_without_its_password(file: Path) -> None:
    with pytest.raises(StorageRefused) as refused:
        backup(POSTGRES, file)
    address = "'postgresql://magpie@db.example.org:5432/magpie?sslmode=require'"
    assert f"pg_dump --format=custom --file={file} {address}" in str(refused.value)
    assert "hush" not in str(refused.value)


def test_postgresql_is_restored_by_its_own_tool_without_its_password(file: Path) -> None:
    with pytest.raises(StorageRefused, match=r"pg_restore .*--dbname='postgresql://magpie@db\.example\.org") as refused:
        asyncio.run(restore(POSTGRES, file))
    assert "hush" not in str(refused.value)


# --- restore -----------------------------------------------------------------------------------------------------------


def test_a_restored_database_is_the_backup_and_the_old_one_is_kept(path: Path, file: Path) -> None:
    _fill(path)
    backup(_url(path), file)
    then = _rows(path)
    _accept(path, "after the backup")
    now = _rows(path)

    first, second = _restore(path, file)

    assert _rows(path) == then
    [old] = path.parent.glob("magpie.db.replaced-*")
    assert _rows(old) == now
    assert path.stat().st_mode & 0o777 == 0o600
    assert f"{path} is restored from {file}: schema" in first
    assert second == f"What was there is kept as {old}."
    assert file.exists()
    _starts(path)


def test_what_a_crash_left_in_the_log_is_kept_with_the_old_and_meets_no_new(path: Path, file: Path) -> None:
    """A foreign log that is found beside a database would be read as its own."""
    _fill(path)
    backup(_url(path), file)
    then = _rows(path)
    for each, content in asyncio.run(_crashed(path)):
        each.write_bytes(content)

    lines = _restore(path, file)

    assert _rows(path) == then
    old = next(each for each in path.parent.glob("magpie.db.replaced-*") if not each.name.endswith("-wal"))
    assert any(line.endswith(f"{old}-wal.") for line in lines)
    assert "only in the log" in _events(old)


def test_a_backup_brings_a_lost_database_back(path: Path, file: Path) -> None:
    _fill(path)
    backup(_url(path), file)
    rows = _rows(path)
    shutil.rmtree(path.parent)
    [told] = _restore(path, file)
    assert "restored" in told
    assert _rows(path) == rows


@pytest.mark.parametrize("damage", ["pages", "schema"])
def test_a_damaged_database_is_kept_as_it_is(path: Path, file: Path, damage: str) -> None:
    _fill(path)
    backup(_url(path), file)
    rows = _rows(path)
    content = bytearray(path.read_bytes())
    start = 100 if damage == "schema" else 8192
    content[start : start + 4000] = b"?" * 4000
    path.write_bytes(content)
    with pytest.raises(StorageRefused, match="restore a backup"):
        _starts(path)
    _restore(path, file)
    assert _rows(path) == rows
    [old] = path.parent.glob("magpie.db.replaced-*")
    assert old.read_bytes() == bytes(content)


def test_a_restore_that_is_killed_at_any_step_loses_neither_database(path: Path, file: Path) -> None:
    _fill(path)
    backup(_url(path), file)
    then = _rows(path)
    _accept(path, "after the backup")
    now, content = _rows(path), path.read_bytes()
    killed = []
    for step in kills(lambda: _done(_restore(path, file))):
        killed.append(step)
        interrupted = path.with_name(path.name + RESTORED).exists()
        if interrupted:  # whatever stands there, no start on it
            with pytest.raises(StorageRefused, match=r"restore of .* was interrupted"):
                _starts(path)
        else:
            assert _rows(path) in (then, now)
        kept = list(path.parent.glob("magpie.db.replaced-*"))
        assert now in [_rows(each) for each in (*kept, path) if each.exists()]
        _restore(path, file)
        assert _rows(path) == then
        for each in path.parent.iterdir():
            each.unlink()
        path.write_bytes(content)
    assert len(killed) > 8
    assert _rows(path) == then


def test_an_older_backup_is_restored_and_brought_up_to_date_at_the_next_start(path: Path, file: Path) -> None:
    if len(migrations()) == 1:
        pytest.skip("there is no older one yet")
    with closing(sqlite3.connect(file)) as connection:
        connection.executescript((Path(__file__).parent / "fixtures" / "0001.sql").read_text("utf-8"))
    lines = _restore(path, file)
    assert "older version: the next start brings it up to date" in lines[-1]
    _starts(path)
    assert path.with_name("magpie.db.before-2").exists()


def test_a_copy_by_hand_without_its_log_is_restored_with_a_warning(path: Path, file: Path) -> None:
    _fill(path)
    shutil.copy(path, file)  # of a stopped Magpie this is whole, of a running one it is not: the file cannot tell
    lines = _restore(path, file)
    assert "without its kept.db-wal: its newest messages may be missing" in lines[-1]
    assert sorted(each.name for each in file.parent.iterdir()) == ["data", "kept.db"]


# --- what is no backup -------------------------------------------------------------------------------------------------


def _diary(file: Path) -> None:
    file.write_bytes(b"My diary. " * 1000)


def _cut(file: Path) -> None:
    with file.open("r+b") as opened:
        opened.truncate(file.stat().st_size // 2)


def _cut_to_its_header(file: Path) -> None:
    with file.open("r+b") as opened:
        opened.truncate(60)


def _torn(file: Path) -> None:
    with file.open("r+b") as opened:
        opened.seek(8192)
        opened.write(b"?" * 9000)


def _empty(file: Path) -> None:
    file.write_bytes(b"")


def _of_another_program(file: Path) -> None:
    file.unlink()
    with closing(sqlite3.connect(file)) as connection:
        connection.executescript("CREATE TABLE moz_places (id INTEGER PRIMARY KEY); PRAGMA user_version = 77")


def _of_another_program_with_our_words(file: Path) -> None:
    file.unlink()
    with closing(sqlite3.connect(file)) as connection:
        connection.executescript("CREATE TABLE inbox (id INTEGER PRIMARY KEY); PRAGMA user_version = 1")


def _newer(file: Path) -> None:
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("PRAGMA user_version = 99")


def _missing(file: Path) -> None:
    file.unlink()


def _a_directory(file: Path) -> None:
    file.unlink()
    file.mkdir()


BAD: list[tuple[Callable[[Path], None], str]] = [
    (_diary, r"no database of Magpie, or it is damaged \(file is not a database\); nothing was changed"),
    (_cut, r"damaged \(.*malformed.*\); nothing was changed|damaged \(.*\); nothing was changed"),
    (_cut_to_its_header, r"damaged \(.*\); nothing was changed"),
    (_torn, r"damaged \(.*\); nothing was changed"),
    (_empty, r"is no database of Magpie; nothing was changed"),
    (_of_another_program, r"is no database of Magpie; nothing was changed"),
    (_of_another_program_with_our_words, r"is no database of Magpie \(it lacks board, buttons, .*\); nothing was"),
    (_newer, r"written by a newer Magpie \(schema 99; .*Update Magpie"),
    (_missing, r"There is no database at .*kept\.db: is it the right place\? Nothing was changed"),
    (_a_directory, r"is no file; nothing was changed"),
]


@pytest.mark.parametrize(("spoil", "said"), [pytest.param(spoil, why, id=spoil.__name__) for spoil, why in BAD])
def test_a_file_that_is_no_good_changes_nothing(
    path: Path, file: Path, spoil: Callable[[Path], None], said: str
) -> None:
    _fill(path)
    backup(_url(path), file)
    spoil(file)
    before = {each.name: each.read_bytes() for each in path.parent.iterdir()}
    with pytest.raises(StorageRefused, match=said):
        _restore(path, file)
    assert {each.name: each.read_bytes() for each in path.parent.iterdir()} == before


def test_restores_in_the_same_second_keep_all_that_was_there(path: Path, file: Path) -> None:
    _fill(path)
    backup(_url(path), file)

    async def twice() -> None:
        for _ in range(3):
            await restore(_url(path), file)

    asyncio.run(twice())
    assert len(list(path.parent.glob("magpie.db.replaced-*"))) == 3


def test_the_database_is_no_backup_of_itself(path: Path) -> None:
    _fill(path)
    with pytest.raises(StorageRefused, match="is the database itself"):
        _restore(path, path)
    assert _events(path)


# --- helpers -----------------------------------------------------------------------------------------------------------


def _done(lines: list[str]) -> None:
    assert lines


async def _crashed(path: Path) -> list[tuple[Path, bytes]]:
    """The files as they are when Magpie has just accepted a message and is killed."""
    async with open_store(_url(path)) as store:
        await store.accept([said("only in the log")])
        return [(each, each.read_bytes()) for each in _beside(path)]


def _beside(path: Path) -> list[Path]:
    return sorted(path.parent.glob("magpie.db*"))


def _rows(path: Path) -> dict[str, list[str]]:
    with closing(open_to_read(path, still=True)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {table: sorted(map(repr, connection.execute(f"SELECT * FROM {table}"))) for table in tables}


def _events(path: Path) -> set[str]:
    with closing(open_to_read(path)) as connection:
        return {event for (event,) in connection.execute("SELECT event FROM inbox")}
