"""SQLite by aiosqlite: the embedded default. One connection, one thread, one writer that commits in groups.

Everything that waits while a commit runs becomes the next commit: one hop into the connection's thread and one sync for
all of it. That makes synchronous=FULL affordable, and with it the promise that what was accepted survives a power cut.
"""

from __future__ import annotations

import asyncio
import fcntl
import logging
import sqlite3
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import IO, Any, TypeVar

import aiosqlite

from bot.errors import StorageError, StorageRefused
from storage.inbox import INBOX
from storage.transaction import Transaction

T = TypeVar("T")
log = logging.getLogger(__name__)

OLDEST = (3, 35, 0)  # RETURNING
LOCK_PATIENCE = 5.0  # seconds: the lock of a process that was just killed may live for a moment
BATCH = 500  # transactions that share a commit
PRAGMAS = """
PRAGMA journal_mode=WAL;
PRAGMA synchronous=FULL;
PRAGMA fullfsync=ON;
PRAGMA busy_timeout=10000;
PRAGMA wal_autocheckpoint=1000;
PRAGMA journal_size_limit=67108864;
PRAGMA cache_size=-16000;
"""


@asynccontextmanager
async def open_sqlite(path: Path) -> AsyncIterator[SQLite]:
    """Lock, open and migrate the database. Raises StorageRefused with what to do."""
    if sqlite3.sqlite_version_info < OLDEST:
        raise StorageRefused(f"SQLite {sqlite3.sqlite_version} is too old: Magpie needs 3.35 or newer.")
    with await _locked(path), _translated(path):
        connection = _Connection(lambda: _connect(path), 64)
        async with connection:
            await connection.hop(_prepare)
            database = SQLite(connection)
            async with asyncio.TaskGroup() as tasks:
                writer = tasks.create_task(database.write(), name="sqlite writer")
                try:
                    yield database
                finally:
                    writer.cancel()


class _Connection(aiosqlite.Connection):
    """aiosqlite's connection, which hops into its thread for each statement; ours hops once for a whole function."""

    async def hop(self, work: Callable[[sqlite3.Connection], T]) -> T:
        result: T = await self._execute(work, self._conn)  # type: ignore[no-untyped-call]  # aiosqlite leaves it untyped
        return result


@dataclass(slots=True)
class _Job:
    transaction: Transaction[Any]
    done: asyncio.Future[Any]


class SQLite:
    """A `storage.store.Database`."""

    worker = "sqlite"  # the lock file sees to it that there is no other

    def __init__(self, connection: _Connection) -> None:
        self._connection = connection
        self._jobs: list[_Job] = []
        self._work = asyncio.Event()

    async def run(self, transaction: Transaction[T]) -> T:
        job = _Job(transaction, asyncio.get_running_loop().create_future())
        self._jobs.append(job)
        self._work.set()
        result: T = await job.done
        return result

    async def write(self) -> None:
        """Commit what waits, for ever. Cancelled, it first finishes the batch that is under way."""
        while True:
            await self._work.wait()
            self._work.clear()
            while self._jobs:
                batch, self._jobs = self._jobs[:BATCH], self._jobs[BATCH:]
                await self._commit(batch)

    async def _commit(self, batch: list[_Job]) -> None:
        try:
            results = await self._connection.hop(lambda connection: _commit(connection, batch))
        except sqlite3.Error as error:
            failure = StorageError(f"SQLite: {error}")
            failure.__cause__ = error
            results = [failure] * len(batch)
        except asyncio.CancelledError:
            for job in batch:
                job.done.cancel()
            raise
        for job, result in zip(batch, results, strict=True):
            if job.done.cancelled():
                continue
            if isinstance(result, BaseException):
                job.done.set_exception(result)
            else:
                job.done.set_result(result)


def _commit(connection: sqlite3.Connection, batch: Sequence[_Job]) -> list[Any]:
    """In the connection's thread: all transactions of the batch in one commit, each undone alone if it fails. A result per
    transaction: its value or its exception. Raises sqlite3.Error when the commit itself fails: nothing happened."""
    results: list[Any] = []
    connection.execute("BEGIN IMMEDIATE")
    try:
        for job in batch:
            connection.execute("SAVEPOINT one")
            try:
                results.append(_drive(connection, job.transaction))
            except Exception as error:  # whatever it is, it belongs to whoever asked for this transaction
                if not connection.in_transaction:
                    raise  # SQLite itself rolled everything back: disk full, I/O error, no memory
                connection.execute("ROLLBACK TO one")
                results.append(_own_error(error))
            connection.execute("RELEASE one")
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    return results


def _own_error(error: Exception) -> Exception:
    if isinstance(error, sqlite3.OperationalError | sqlite3.DatabaseError) and not isinstance(
        error, sqlite3.IntegrityError | sqlite3.ProgrammingError
    ):
        translated = StorageError(f"SQLite: {error}")
        translated.__cause__ = error
        return translated
    return error


def _drive(connection: sqlite3.Connection, transaction: Transaction[T]) -> T:
    try:
        step = next(transaction)
        while True:
            statement, values = step
            step = transaction.send(connection.execute(statement.sql, values).fetchall())
    except StopIteration as stop:
        result: T = stop.value
        return result


# --- opening -----------------------------------------------------------------------------------------------------------


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None, cached_statements=256)
    connection.row_factory = sqlite3.Row
    return connection


def _prepare(connection: sqlite3.Connection) -> None:
    connection.executescript(PRAGMAS)
    migrate(connection)
    connection.execute(INBOX["free_all_chats"].sql)


def migrate(connection: sqlite3.Connection) -> None:
    """Bring the schema up to date, one numbered file per transaction. Raises StorageRefused for a newer one."""
    files = sorted(
        (entry for entry in resources.files("storage").joinpath("schema").iterdir() if entry.name.endswith(".sql")),
        key=lambda entry: entry.name,
    )
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    if version > len(files):
        raise StorageRefused(
            f"The database was written by a newer Magpie (schema {version}; this one knows {len(files)}). "
            "Update Magpie, or restore the backup that you made before the update."
        )
    for number, file in enumerate(files[version:], start=version + 1):
        script = file.read_text("utf-8")
        connection.executescript(f"BEGIN IMMEDIATE; {script}; PRAGMA user_version = {number}; COMMIT;")


async def _locked(path: Path) -> Any:
    """An exclusive lock beside the database, held while the context lasts. Raises StorageRefused."""
    deadline = time.monotonic() + LOCK_PATIENCE
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock = path.with_name(path.name + ".lock").open("a")
    except OSError as error:
        raise StorageRefused(
            f"Cannot write to {path.parent} ({error.strerror}): set DATA_DIR to a directory that Magpie may write."
        ) from error
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return _released(lock)
        except BlockingIOError:
            if time.monotonic() > deadline:
                lock.close()
                raise StorageRefused(
                    f"Another Magpie is running on {path}. Stop it first, or give this one its own DATA_DIR."
                ) from None
            await asyncio.sleep(0.1)


@contextmanager
def _released(lock: IO[str]) -> Any:
    with lock:
        yield


@contextmanager
def _translated(path: Path) -> Any:
    try:
        yield
    except sqlite3.Error as error:
        raise StorageRefused(
            f"{path} cannot be used ({error}). If it is damaged, move it away and restore a backup; Magpie leaves it untouched."
        ) from error
