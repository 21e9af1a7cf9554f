"""SQLite's schema through the years: which version a database has, whether it may be used, and how it is brought up to date."""

from __future__ import annotations

import logging
import re
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import closing, contextmanager
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path

from bot.errors import StorageRefused
from storage import snapshot

log = logging.getLogger(__name__)

EXAMINED_WHOLLY = 30_000_000  # bytes of a database whose indexes are compared with their tables, too: under a second
EXAMINED = 300_000_000  # bytes of a database that is read through at each start
KEPT = 3  # copies of the database as it was before a migration
RESTORED = ".restored"  # ends the name of a backup that is about to take the database's place


def migrations() -> list[Traversable]:
    """`schema/0001_….sql` and so on: the n-th makes schema n of schema n - 1."""
    files = resources.files("storage").joinpath("schema").iterdir()
    return sorted((file for file in files if file.name.endswith(".sql")), key=lambda file: file.name)


def schema_version(connection: sqlite3.Connection) -> int:
    """0 of an empty file. Raises StorageRefused for a newer one than this program knows."""
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    refuse_newer(version, len(migrations()))
    return version


def refuse_newer(version: int, known: int) -> None:
    """Raises StorageRefused."""
    if version > known:
        raise StorageRefused(
            f"The database was written by a newer Magpie (schema {version}; this one knows {known}). "
            "Update Magpie, or restore the backup that you made before the update."
        )


@contextmanager
def opened(path: Path, *, still: bool = False) -> Iterator[tuple[sqlite3.Connection, int]]:
    """A database of ours, to read (`snapshot.open_to_read`), and its schema. Raises StorageRefused when it is none or cannot be
    read, and for what goes wrong while it is."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):  # a pipe would be waited for
            raise StorageRefused(f"{path} is no file; nothing was changed.")
        with path.open("rb"):
            pass
    except FileNotFoundError as error:
        raise StorageRefused(f"There is no database at {path}: is it the right place? Nothing was changed.") from error
    except OSError as error:
        raise StorageRefused(f"{path} cannot be read ({error.strerror}); nothing was changed.") from error
    try:
        with closing(snapshot.open_to_read(path, still=still)) as connection:
            yield connection, _identify(connection, path)
    except snapshot.DAMAGED as error:
        raise StorageRefused(
            f"{path} is no database of Magpie, or it is damaged ({snapshot.told(error)}); nothing was changed."
        ) from error


def _identify(connection: sqlite3.Connection, path: Path) -> int:
    """The version of a database that must be ours, whole or not."""
    found = _tables(connection)
    if "inbox" not in found:
        raise StorageRefused(f"{path} is no database of Magpie; nothing was changed.")
    version = schema_version(connection)
    with closing(sqlite3.connect(":memory:")) as blank:
        for file in migrations()[:version]:
            blank.executescript(file.read_text("utf-8"))
        missing = sorted(_tables(blank) - found)
    if missing or not version:
        lacks = f" (it lacks {', '.join(missing)})" if missing else ""
        raise StorageRefused(f"{path} is no database of Magpie{lacks}; nothing was changed.")
    return version


def _tables(connection: sqlite3.Connection) -> set[str]:
    return {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}


def examine(path: Path) -> None:
    """Refuse a damaged or newer database before anything is written to it: a read-only connection leaves even its log as it is.
    Reads the whole file, half a second for 300 MB; of larger ones only the version."""
    if path.with_name(path.name + RESTORED).exists():
        raise StorageRefused(f"A restore of {path} was interrupted: run `magpie restore` again before anything else.")
    size = path.stat().st_size if path.exists() else 0
    if not size:
        return
    if path.with_name(path.name + "-journal").exists():
        _undo(path)
    with closing(snapshot.open_to_read(path)) as connection:
        schema_version(connection)
        if size > EXAMINED:
            return
        check = "integrity_check" if size <= EXAMINED_WHOLLY else "quick_check"
        verdict: str = connection.execute(f"PRAGMA {check}(1)").fetchone()[0]
    if verdict != "ok":
        raise sqlite3.DatabaseError(" ".join(verdict.split()))


def _undo(path: Path) -> None:
    """A crash before the database was in WAL mode (at the very first start, or the first one of a restored backup) leaves a
    journal beside it. SQLite rolls it back when it reads first, and must be allowed to write for that."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA user_version").fetchone()


def migrate(connection: sqlite3.Connection, path: Path) -> None:
    """Bring the schema up to date, one numbered file per transaction: a kill at any instant leaves a whole schema, and the next
    start goes on from there. Raises StorageRefused for a newer schema, and where there is no room to keep the old one."""
    version = schema_version(connection)
    pending = migrations()[version:]
    if version and pending:
        _keep(connection, path, version + 1)
    for number, file in enumerate(pending, start=version + 1):
        script = file.read_text("utf-8")
        connection.executescript(f"BEGIN IMMEDIATE; {script}; PRAGMA user_version = {number}; COMMIT;")


def _keep(connection: sqlite3.Connection, path: Path, number: int) -> None:
    """The database as it is now, `….before-<number>`, beside it. The last few stay."""
    kept = path.with_name(f"{path.name}.before-{number}")
    try:
        snapshot.take(connection, kept)
    except StorageRefused as error:
        raise StorageRefused(
            f"The database must be brought from schema {number - 1} to {len(migrations())}, and is copied before that. {error} "
            f"Make room for about {path.stat().st_size / 1e6:.0f} MB in {path.parent} and start again; nothing was changed."
        ) from error
    log.info("The database is brought up to date; as it was, it is kept as %s.", kept)
    named = re.compile(re.escape(path.name) + r"\.before-([0-9]+)")
    found = {int(match[1]): file for file in path.parent.iterdir() if (match := named.fullmatch(file.name))}
    for old in sorted(found)[:-KEPT]:
        found[old].unlink()
