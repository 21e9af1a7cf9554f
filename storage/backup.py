"""`magpie backup` and `magpie restore`: the whole SQLite database as one file, and back. PostgreSQL has its own tools for that.

Kept files (pictures, videos, voice notes) are not in it. They lie in DATA_DIR/files, named by their content: one is written
before the message that names it and never changes, so a copy of that directory that is made after the backup holds all that
the backup names, and only what is new has to be copied each time.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import sqlite3
import time
from pathlib import Path

from bot.errors import StorageRefused
from storage import migrating, snapshot
from storage.address import shown, sqlite_path
from storage.sqlite import locked


def backup(url: str, file: Path, *, replace: bool = False) -> list[str]:
    """Copy the database into `file` as it is at this instant, whether Magpie runs or not. What was done, in lines. Raises
    StorageRefused; a file that is there already stays unless `replace`."""
    path = sqlite_path(url)
    if path is None:
        raise StorageRefused(f"PostgreSQL backs itself up: pg_dump --format=custom --file={file} '{shown(url)}'")
    if _same(file, path) or _belongs_to(file, path):
        raise StorageRefused(f"{file} is the database itself, or belongs to it: name another file.")
    if not replace and _there(file):
        raise StorageRefused(f"{file} is there already and was left alone: name another file, or add --replace.")
    if replace and _there(file) and not file.is_file():
        raise StorageRefused(f"{file} is a directory or a device and was left alone: name a file.")
    with migrating.opened(path) as (connection, version):
        snapshot.take(connection, file)
        told = _contents(connection)
    return [f"{path} is backed up to {file}: schema {version}, {_size(file)}, {told}."]


async def restore(url: str, file: Path) -> list[str]:
    """Put a backup in the database's place and keep the one that was there. What was done, in lines. Raises StorageRefused,
    with nothing changed: when the file is no backup of ours, is damaged or newer, and while Magpie runs."""
    path = sqlite_path(url)
    if path is None:
        command = f"pg_restore --clean --if-exists --no-owner --single-transaction --dbname='{shown(url)}' {file}"
        raise StorageRefused(f"PostgreSQL restores itself, while Magpie is stopped: {command}")
    await asyncio.to_thread(_check, path, file)
    with await locked(path):
        return await asyncio.to_thread(_put, path, file)


def _check(path: Path, file: Path) -> None:
    with migrating.opened(file, still=True) as (connection, _):
        if _same(file, path):
            raise StorageRefused(f"{file} is the database itself: name a backup of it.")
        snapshot.check(connection)


def _put(path: Path, file: Path) -> list[str]:
    """Under the lock. Until the last rename `….restored` is there, and no Magpie starts beside it (`migrating.examine`): a kill
    in between is no start on half of the old database."""
    fresh = path.with_name(path.name + migrating.RESTORED)
    with migrating.opened(file, still=True) as (connection, version):
        snapshot.take(connection, fresh)
        lines = [f"{path} is restored from {file}: schema {version}, {_contents(connection)}."]
    kept = _free(path.with_name(f"{path.name}.replaced-{time.strftime('%Y%m%d-%H%M%S')}"))
    try:
        for suffix in ("-wal", ""):
            old = path.with_name(path.name + suffix)
            if suffix and old.exists() and not old.stat().st_size:
                old.unlink()
            elif old.exists():
                old.rename(kept.with_name(kept.name + suffix))
                lines.append(f"What was there is kept as {kept}{suffix}.")
        path.with_name(path.name + "-shm").unlink(missing_ok=True)
        snapshot.hand_over(path.with_name(path.name + ".lock"))
        fresh.rename(path)
        snapshot.sync(path.parent)
    except OSError as error:
        raise StorageRefused(
            f"{path} cannot be replaced ({error.strerror}): make it writable, run this again."
        ) from error
    if _may_miss_its_log(file):
        lines.append(f"{file} was copied by hand, without its {file.name}-wal: its newest messages may be missing.")
    if version < len(migrating.migrations()):
        lines.append("It is of an older version: the next start brings it up to date, and keeps it as it is now, too.")
    return lines


def _free(path: Path) -> Path:
    """It, or with a number: of two restores in one second neither may lose what the other has kept."""
    names = itertools.chain([path], (path.with_name(f"{path.name}.{number}") for number in itertools.count(2)))
    return next(name for name in names if not name.exists() and not name.with_name(f"{name.name}-wal").exists())


def _there(file: Path) -> bool:
    try:
        return file.exists()
    except OSError:  # in a directory that is closed to us: whoever writes tells
        return False


def _same(file: Path, path: Path) -> bool:
    try:
        return file.samefile(path)
    except OSError:  # one is not there, or not to be seen: whoever opens it tells
        return False


def _belongs_to(file: Path, path: Path) -> bool:
    """Whether it has a name that we or SQLite look for beside the database, whether it is there or not."""
    suffixes = ("-wal", "-shm", "-journal", ".lock", migrating.RESTORED)
    return os.path.realpath(file) in {os.path.realpath(path) + suffix for suffix in suffixes}


def _may_miss_its_log(file: Path) -> bool:
    """Of a database in WAL mode (byte 18 of its header, https://sqlite.org/fileformat2.html) what was last written may stand
    in a second file. `snapshot.take` leaves none."""
    with file.open("rb") as opened:
        header = opened.read(20)
    return header[18:19] == b"\2" and not file.with_name(file.name + "-wal").exists()


def _contents(connection: sqlite3.Connection) -> str:
    messages, newest = connection.execute("SELECT count(*), max(received) FROM inbox").fetchone()
    if not messages:
        return "no messages yet"
    return f"{messages} messages, the newest of {time.strftime('%Y-%m-%d %H:%M:%S', time.localtime(newest))}"


def _size(file: Path) -> str:
    return f"{file.stat().st_size / 1e6:.1f} MB"
