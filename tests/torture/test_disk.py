"""The short form of the campaign on failing disks, and of the disk itself."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from bot.errors import StorageRefused
from storage import open_store
from tests.storage.saying import said
from tests.torture import disk
from tests.torture.part import Effort
from tests.torture.vfs import MISSING, Disk, Fault, wrapped

pytestmark = pytest.mark.skipif(bool(MISSING), reason=MISSING)


async def test_a_disk_that_fails_costs_nothing_but_time(tmp_path: Path) -> None:
    tally = await disk.torture(Effort(seconds=0, seed=20261122, scratch=tmp_path))
    assert tally.wrong == []
    assert tally.tried.total() > disk.SHORTEST


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        (Fault("write", 1), "disk I/O error"),
        (Fault("write", 1, short=True), "disk I/O error"),
        (Fault("write", 1, full=True), "database or disk is full"),
        (Fault("sync", 1), "disk I/O error"),
    ],
)
def test_a_fault_reaches_who_commits_and_is_over_when_it_is_over(tmp_path: Path, fault: Fault, told: str) -> None:
    drive = Disk(tmp_path)
    with wrapped(drive), closing(sqlite3.connect(tmp_path / "a.db", isolation_level=None)) as database:
        database.execute("PRAGMA journal_mode=WAL")
        database.execute("PRAGMA synchronous=FULL")
        database.execute("CREATE TABLE t (x)")
        drive.done.clear()
        drive.fault = fault
        with pytest.raises(sqlite3.OperationalError, match=told):
            database.execute("INSERT INTO t VALUES (1)")
        assert drive.failed == 1
        database.execute("INSERT INTO t VALUES (2)")
    with closing(sqlite3.connect(tmp_path / "a.db")) as database:
        assert database.execute("SELECT x FROM t").fetchall() == [(2,)]


def test_a_disk_elsewhere_is_left_alone(tmp_path: Path) -> None:
    here, elsewhere = tmp_path / "here", tmp_path / "elsewhere"
    here.mkdir()
    elsewhere.mkdir()
    drive = Disk(here, fault=Fault("write", 1, seconds=60))
    with wrapped(drive), closing(sqlite3.connect(elsewhere / "a.db", isolation_level=None)) as database:
        database.execute("CREATE TABLE t (x)")
    assert not drive.done


@pytest.mark.parametrize("restored", [False, True])
async def test_a_start_that_broke_off_before_the_log_was_in_use_is_made_good(tmp_path: Path, restored: bool) -> None:
    """At the very first start, and at the first one of a restored backup: its journal stays behind, as after a crash."""
    path = tmp_path / "magpie.db"
    if restored:
        async with open_store(f"sqlite:///{path}") as store:
            await store.accept([said("kept")])
        with closing(sqlite3.connect(path)) as database:
            database.execute("PRAGMA journal_mode=DELETE")
    with wrapped(Disk(tmp_path, fault=Fault("delete", 1))), pytest.raises(StorageRefused, match="disk I/O error"):
        async with open_store(f"sqlite:///{path}"):
            pass
    assert path.with_name("magpie.db-journal").exists()
    async with open_store(f"sqlite:///{path}") as store:
        claims, _ = await store.claim(10)
        assert [row.payload for claim in claims for row in claim.rows] == ["kept"] * restored
