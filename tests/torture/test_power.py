"""The short form of the campaign on power cuts, and whether it would find a database that is not synced."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.torture import power
from tests.torture.part import Effort
from tests.torture.vfs import MISSING, Disk, Noted, wrapped

pytestmark = pytest.mark.skipif(bool(MISSING), reason=MISSING)


async def test_what_was_acknowledged_survives_a_power_cut_at_any_instant(tmp_path: Path) -> None:
    tally = await power.torture(Effort(seconds=0, seed=20261122, scratch=tmp_path))
    assert tally.wrong == []
    assert tally.tried["power: images"] == power.SHORTEST


@pytest.mark.parametrize(("synchronous", "lost"), [("FULL", False), ("NORMAL", True)])
def test_a_commit_is_lost_exactly_where_it_is_not_synced(tmp_path: Path, synchronous: str, lost: bool) -> None:
    disk = Disk(tmp_path, recording=True)
    with wrapped(disk), closing(sqlite3.connect(tmp_path / "magpie.db", isolation_level=None)) as database:
        database.execute("PRAGMA journal_mode=WAL")
        database.execute(f"PRAGMA synchronous={synchronous}")
        database.execute("CREATE TABLE t (x)")
        for number in range(5):
            database.execute("INSERT INTO t VALUES (?)", (number,))
            disk.remember(Noted(f"accepted {number}"))
        crashed = list(disk.deeds)
    found = False
    for image in power.Record(crashed).images(
        lambda place: True, Effort(seconds=0, seed=1, scratch=tmp_path).chance("")
    ):
        if image.accepted:
            found |= image.accepted > _rows(tmp_path / "image", image.files)
    assert found is lost


def _rows(directory: Path, files: power.Files) -> int:
    directory.mkdir(exist_ok=True)
    for old in directory.iterdir():
        old.unlink()
    for name, content in files.items():
        (directory / name).write_bytes(content)
    with closing(sqlite3.connect(directory / "magpie.db")) as database:
        if not database.execute("SELECT * FROM sqlite_master").fetchall():
            return 0
        count: int = database.execute("SELECT count(*) FROM t").fetchone()[0]
        return count
