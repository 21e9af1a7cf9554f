"""SQLite by aiosqlite: the embedded default. One connection, one thread, one writer that commits in groups.

Everything that waits while a commit runs becomes the next commit: one hop into the connection's thread and one sync for
all of it. That makes synchronous=FULL affordable, and with it the promise that what was accepted survives a power cut.
"""

from __future__ import annotations

import asyncio
import fcntl
import logging
import os
import re
import sqlite3
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, Any, TypeVar

import aiosqlite

from bot import metrics
from bot.errors import InUse, StorageError, StorageRefused
from bot.ports import Topic
from storage import snapshot
from storage.migrating import examine, migrate
from storage.statements import FLEET
from storage.transaction import Pipeline, Step, Transaction, TransactionFactory, storable

T = TypeVar("T")
log = logging.getLogger(__name__)

OLDEST = (3, 35, 0)  # RETURNING
LOCK_PATIENCE = 5.0  # seconds: the lock of a process that was just killed may live for a moment
UNREADABLE = "Could not decode to UTF-8"  # begins what sqlite3 says of a damaged text
READS = re.compile(r"(\s*--.*\n)*\s*(SELECT|WITH)\b")
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
async def open_sqlite(path: Path, patience: float = LOCK_PATIENCE) -> AsyncIterator[SQLite]:
    """Lock, open and migrate the database. Raises StorageRefused with what to do."""
    if sqlite3.sqlite_version_info < OLDEST:
        raise StorageRefused(f"SQLite {sqlite3.sqlite_version} is too old: Magpie needs 3.35 or newer.")
    async with AsyncExitStack() as stack:
        stack.enter_context(await locked(path, patience))
        with _translated(path):
            await asyncio.to_thread(examine, path)
            _close_to_others(path)
            connection = _Connection(lambda: _connect(path), 64)
            await stack.enter_async_context(connection)
            await connection.hop(lambda opened: _prepare(opened, path))
        database = SQLite(connection)
        # Awaited below. No TaskGroup: it would wrap every error of those who use the store into a group.
        writer = asyncio.create_task(database.write(), name="sqlite writer")
        try:
            yield database
        finally:
            database.close()
            await writer


class _Connection(aiosqlite.Connection):
    """aiosqlite's connection, which hops into its thread for each statement; ours hops once for a whole function."""

    async def hop(self, work: Callable[[sqlite3.Connection], T]) -> T:
        result: T = await self._execute(work, self._conn)  # type: ignore[no-untyped-call]  # aiosqlite leaves it untyped
        return result


@dataclass(slots=True)
class _Pending:
    make: TransactionFactory[Any]
    done: asyncio.Future[Any]


class _Broken(Exception):
    """A transaction raised after its first change: without a savepoint, nothing but all of the batch can be undone."""


class SQLite:
    """A `storage.store.Database`."""

    worker = "sqlite"  # the lock file sees to it that there is no other
    lease: float | None = None
    others = 0

    def __init__(self, connection: _Connection) -> None:
        self._connection = connection
        self._pending: list[_Pending] = []
        self._work = asyncio.Event()
        self._closed = False

    def renew(self) -> str:
        return self.worker

    def now(self) -> float:
        return time.time()

    def subscribe(self, topic: Topic, heard: Callable[[], None]) -> None:
        """There is nobody else to hear of."""

    async def run(
        self,
        make: TransactionFactory[T],
        *,
        chats: Sequence[str] | None = (),
        tells: Sequence[Topic] = (),
        urgent: bool = False,
    ) -> T:
        """One writer: whatever a transaction names, it is alone."""
        if self._closed:
            raise StorageError("The store is closed.")
        pending = _Pending(make, asyncio.get_running_loop().create_future())
        self._pending.append(pending)
        self._work.set()
        result: T = await pending.done
        return result

    def close(self) -> None:
        """Take no more; `write` ends when all that was taken is committed."""
        self._closed = True
        self._work.set()

    async def write(self) -> None:
        """Commit what waits, until closed."""
        try:
            while self._pending or not self._closed:
                await self._work.wait()
                self._work.clear()
                while self._pending:
                    batch, self._pending = self._pending[:BATCH], self._pending[BATCH:]
                    await self._commit(batch)
        finally:
            self._closed = True
            _fail(self._pending, "The store is closed.")

    async def _commit(self, batch: list[_Pending]) -> None:
        try:
            with metrics.COMMITS.time():
                results = await self._connection.hop(lambda connection: _commit(connection, batch))
        except sqlite3.Error as error:
            _fail(batch, f"SQLite: {error}", error)
            return
        except BaseException:  # cancelled, or a bug: nobody waits for ever, and whether it was committed is not known
            _fail(batch, "The store was closed in the middle of a commit.")
            raise
        for pending, result in zip(batch, results, strict=True):
            if pending.done.cancelled():
                continue
            if isinstance(result, BaseException):
                pending.done.set_exception(result)
            else:
                pending.done.set_result(result)


def _fail(batch: Sequence[_Pending], why: str, cause: BaseException | None = None) -> None:
    for pending in batch:
        if not pending.done.done():
            failure = StorageError(why)
            failure.__cause__ = cause
            pending.done.set_exception(failure)


def _commit(connection: sqlite3.Connection, batch: Sequence[_Pending]) -> list[Any]:
    """In the connection's thread: all transactions of the batch in one commit, each undone alone if it fails. A result per
    transaction: its value or its exception. Raises sqlite3.Error when the commit itself fails: nothing happened."""
    try:
        return _run(connection, batch, apart=False)
    except _Broken:  # seldom: a savepoint each would cost a sixth of a burst
        return _run(connection, batch, apart=True)


def _run(connection: sqlite3.Connection, batch: Sequence[_Pending], *, apart: bool) -> list[Any]:
    """`apart`: with a savepoint for each transaction; else raises _Broken, and nothing happened, where one is missed."""
    results: list[Any] = []
    connection.execute("BEGIN IMMEDIATE")
    try:
        for pending in batch:
            before = connection.total_changes
            if apart:
                connection.execute("SAVEPOINT one")
            try:
                results.append(_drive(connection, pending.make()))
            except Exception as error:  # whatever it is, it belongs to whoever asked for this transaction
                if not connection.in_transaction:
                    raise  # SQLite itself rolled everything back: disk full, I/O error, no memory
                if apart:
                    connection.execute("ROLLBACK TO one")
                elif connection.total_changes != before:
                    raise _Broken from error
                results.append(_own_error(error))
            if apart:
                connection.execute("RELEASE one")
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    return results


def _own_error(error: Exception) -> Exception:
    ours = sqlite3.IntegrityError | sqlite3.ProgrammingError  # a mistake in a statement: trying again is no use
    if isinstance(error, sqlite3.DatabaseError) and not isinstance(error, ours):
        translated = StorageError(f"SQLite: {error}")
        translated.__cause__ = error
        return translated
    return error


def _drive(connection: sqlite3.Connection, transaction: Transaction[T]) -> T:
    try:
        step = next(transaction)
        while True:
            if isinstance(step, Pipeline):
                step = transaction.send([_execute(connection, one) for one in step])
            else:
                step = transaction.send(_execute(connection, step))
    except StopIteration as stop:
        result: T = stop.value
        return result


def _execute(connection: sqlite3.Connection, step: Step) -> list[sqlite3.Row]:
    statement, values = step
    try:
        return connection.execute(statement.sql, values).fetchall()
    except UnicodeEncodeError:
        return connection.execute(statement.sql, storable(values)).fetchall()
    except sqlite3.OperationalError as error:
        if not str(error).startswith(UNREADABLE):
            raise
        return _read_damaged(connection, step)


def _read_damaged(connection: sqlite3.Connection, step: Step) -> list[sqlite3.Row]:
    """What is read, with U+FFFD where it is damaged. SQLite's own error would fail each turn of the chat, and quote the
    text."""
    statement, values = step
    if not READS.match(statement.sql):
        raise StorageError(f"SQLite: a damaged text stands in the way of {statement.name}")
    connection.text_factory = partial(str, encoding="utf-8", errors="replace")
    try:
        return connection.execute(statement.sql, values).fetchall()
    finally:
        connection.text_factory = str


# --- opening -----------------------------------------------------------------------------------------------------------


def _close_to_others(path: Path) -> None:
    """Also what an older start left readable. A file that belongs to another account is for its owner to close."""
    for suffix in ("", "-wal", "-shm", ".lock"):
        kept = path.with_name(path.name + suffix)
        if kept.exists() and not kept.is_symlink() and kept.stat().st_uid == os.geteuid():
            kept.chmod(0o600)


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None, cached_statements=256)
    connection.row_factory = sqlite3.Row
    return connection


def _prepare(connection: sqlite3.Connection, path: Path) -> None:
    connection.executescript(PRAGMAS)
    migrate(connection, path)
    connection.execute(FLEET["free_all"].sql)
    connection.execute(FLEET["free_all_jobs"].sql)


async def locked(path: Path, patience: float = LOCK_PATIENCE) -> Any:
    """An exclusive lock beside the database, held while the context lasts. Raises StorageRefused, InUse after `patience`
    seconds."""
    deadline = time.monotonic() + patience
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        # No link is followed: whoever may write here must not lead root's hand elsewhere.
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW
        lock = os.fdopen(os.open(path.with_name(path.name + ".lock"), flags, 0o600), "a")
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
                raise InUse(
                    f"Another Magpie is running on {path}. Stop it first, or give this one its own DATA_DIR."
                ) from None
            await asyncio.sleep(0.1)
        except OSError as error:
            lock.close()
            raise StorageRefused(
                f"Cannot lock {path} ({error.strerror}): put DATA_DIR on a disk of this machine."
            ) from error


@contextmanager
def _released(lock: IO[str]) -> Any:
    with lock:
        yield


@contextmanager
def _translated(path: Path) -> Any:
    try:
        yield
    except snapshot.DAMAGED as error:
        raise StorageRefused(
            f"{path} cannot be used ({snapshot.told(error)}). If it is damaged, move it away and restore a backup; "
            "Magpie leaves it untouched."
        ) from error
