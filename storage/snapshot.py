"""A whole SQLite database as one closed file: written beside its place, checked, synced, and only then renamed into it.

What needs such a file lives elsewhere: `migrating` (the database as it was before a migration), `backup` (the operator's own).
"""

from __future__ import annotations

import errno
import fcntl
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from bot.errors import StorageRefused

DAMAGED = (sqlite3.Error, UnicodeDecodeError)  # what opening or reading a database may raise that is none, or not whole


def open_to_read(path: Path, *, still: bool = False) -> sqlite3.Connection:
    """Exactly one connection may write or checkpoint (https://sqlite.org/wal.html, "WAL-reset bug"): this one does neither.
    `still`: nobody else has it open, so that it may lie where nothing can be written, and nothing is left beside it."""
    lone = still and not path.with_name(path.name + "-wal").exists()
    mode = "mode=ro&immutable=1" if lone else "mode=ro"
    return sqlite3.connect(f"{path.absolute().as_uri()}?{mode}", uri=True, isolation_level=None)


def take(source: sqlite3.Connection, path: Path) -> None:
    """Write what `source` sees at this instant to `path`, which it replaces; others go on writing meanwhile. Raises
    StorageRefused, with nothing left behind; a kill leaves at most `….part`, which the next try clears away."""
    part = path.with_name(path.name + ".part")
    try:
        with _made(part):
            with closing(sqlite3.connect(part, isolation_level=None)) as target:
                source.backup(target)
                # The copy says of itself that it has a log beside it, as its source has; a backup is one file.
                target.execute("PRAGMA journal_mode=DELETE")
                check(target)
            hand_over(part)
            sync(part)
            part.replace(path)
            sync(path.parent)
    except (BlockingIOError, FileExistsError) as error:
        raise StorageRefused(f"Another program is writing {path} just now: try again when it has ended.") from error
    except (OSError, *DAMAGED) as error:
        reason = error.strerror if isinstance(error, OSError) else told(error)
        raise StorageRefused(f"Cannot write a copy of the database to {path} ({reason}).") from error


def told(error: Exception) -> str:
    """What SQLite says: of a damaged database it may quote what is no text, which Python then cannot read."""
    return error.object.decode("utf-8", "replace") if isinstance(error, UnicodeDecodeError) else str(error)


@contextmanager
def _made(part: Path) -> Iterator[None]:
    """A new, empty file, ours alone as long as it has this name; gone when the block fails. Raises BlockingIOError or
    FileExistsError while another process makes it: one would rename what the other has half written."""
    with suppress(FileNotFoundError), _locked(part, 0):  # whoever left it is gone
        part.unlink()
    with _locked(part, os.O_CREAT | os.O_EXCL):
        try:
            _clear_beside(part)
            yield
        except BaseException:
            part.unlink(missing_ok=True)
            _clear_beside(part)
            raise


@contextmanager
def _locked(part: Path, flags: int) -> Iterator[None]:
    """Whoever unlinks or renames a file of this name holds its lock."""
    descriptor = os.open(part, flags | os.O_RDWR | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if not os.path.samestat(os.fstat(descriptor), part.lstat()):
            raise BlockingIOError(errno.EWOULDBLOCK, "another process was faster")
        yield
    finally:
        os.close(descriptor)


def hand_over(path: Path) -> None:
    """What root makes in another's directory is that other's: the account of systemd's DynamicUser, which nobody can become,
    opens it at the next start."""
    directory = path.parent.stat()
    if os.geteuid() == 0 and directory.st_uid != 0:
        os.chown(path, directory.st_uid, directory.st_gid, follow_symlinks=False)  # a link of theirs may lead anywhere


def check(connection: sqlite3.Connection) -> None:
    """Read every page and every index: seconds for 300 MB. Raises sqlite3.DatabaseError with what is wrong first."""
    verdict: str = connection.execute("PRAGMA integrity_check(1)").fetchone()[0]
    if verdict != "ok":
        raise sqlite3.DatabaseError(" ".join(verdict.split()))


def _clear_beside(part: Path) -> None:
    """What SQLite may have left: a log that is found would be applied to the new file."""
    for suffix in ("-journal", "-wal", "-shm"):
        part.with_name(part.name + suffix).unlink(missing_ok=True)


def sync(path: Path) -> None:
    """Of a directory: its names, so that a rename outlives a power cut."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
