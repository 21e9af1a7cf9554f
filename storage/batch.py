"""One commit of many transactions on PostgreSQL. Which connection runs it, and what follows a failure, is `postgres`'s
matter."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import asyncpg

from bot.errors import StorageError
from bot.ports import Topic
from bot.text import clean
from storage.dialect import numbered, tagged
from storage.postgres_open import LOST, told
from storage.transaction import BOARD, Pipeline, Record, Step, Transaction, TransactionFactory, Values

# Every chat of the batch, in the order of their keys: no two batches wait for each other.
LOCK = """
SELECT chat FROM chats WHERE chat = ANY($1::text[]) OR chat IN (SELECT new FROM moves WHERE old = ANY($1::text[]))
ORDER BY chat FOR UPDATE
"""
LOCK_BOARDS = "SELECT chat FROM boards WHERE chat = ANY($1::text[]) ORDER BY chat FOR UPDATE"
IN_THE_WAY = asyncpg.DeadlockDetectedError, asyncpg.SerializationError, asyncpg.LockNotAvailableError


class NotCommitted(Exception):
    """The connection was lost before the end: surely nothing happened."""


class Retry(Exception):
    """Nothing happened, and it may go better another time, or alone."""


class _Broken(Exception):
    """A transaction raised after its first change: all of the batch is undone with it."""

    def __init__(self, error: Exception) -> None:
        self.error = error


@dataclass(slots=True)
class PendingTransaction:
    """A transaction that somebody waits for. `chats`: the keys of those that it changes, None for any of them."""

    make: TransactionFactory[Any]
    chats: Sequence[str] | None
    tells: Sequence[Topic]
    done: asyncio.Future[Any]
    tries: int = 0
    alone: bool = False  # it may be what broke a commit down

    def fail(self, error: BaseException) -> None:
        if not self.done.done():
            self.done.set_exception(error)


@dataclass(slots=True)
class _Running:
    pending: PendingTransaction
    transaction: Transaction[Any]
    step: Step | Pipeline
    rows: list[Sequence[Record]] = field(default_factory=list)
    changed: bool = False

    def steps(self) -> Sequence[Step]:
        return self.step if isinstance(self.step, Pipeline) else (self.step,)


@dataclass(slots=True)
class _Results:
    """What each of the batch is told, once the commit stands."""

    values: list[tuple[PendingTransaction, Any]] = field(default_factory=list)
    errors: list[tuple[PendingTransaction, BaseException]] = field(default_factory=list)

    def tell(self) -> None:
        for pending, value in self.values:
            if not pending.done.done():
                pending.done.set_result(value)
        for pending, error in self.errors:
            pending.fail(error)


async def commit(connection: asyncpg.Connection[Any], batch: Sequence[PendingTransaction], company: bool) -> None:
    """All of the batch in one transaction; each is told its result. With `company`, other workers are told of it.

    Raises Retry and NotCommitted: nothing happened and nobody was told anything; what `LOST` names: nobody knows.
    """
    results = _Results()
    try:
        await connection.execute("BEGIN")
        keys = sorted({key for pending in batch for key in pending.chats or ()})
        if chats := [key for key in keys if not key.startswith(BOARD)]:
            await connection.fetch(LOCK, chats)
        if boards := [key.removeprefix(BOARD) for key in keys if key.startswith(BOARD)]:
            await connection.fetch(LOCK_BOARDS, boards)
        for wave in _waves(batch):
            await _advance(connection, wave, results)
    except IN_THE_WAY as error:
        await _roll_back(connection)
        raise Retry from error
    except LOST as error:  # some of them are PostgresErrors, too
        raise NotCommitted(told(error)) from error
    except asyncpg.PostgresError as error:
        await _roll_back(connection)
        if len(batch) > 1:
            raise Retry from error  # alone, each meets its own error
        batch[0].fail(_own_error(error))
        return
    except _Broken as error:
        await _roll_back(connection)
        if len(batch) > 1:
            raise Retry from error
        batch[0].fail(error.error)
        return
    except BaseException:
        connection.terminate()
        raise
    topics = {topic for pending in batch for topic in pending.tells} if company else ()
    try:
        await connection.execute("".join(f"NOTIFY magpie, '{topic}'; " for topic in topics) + "COMMIT")
    except LOST:
        raise
    except asyncpg.PostgresError as error:  # refused, so nothing of it happened
        if len(batch) > 1:
            raise Retry from error
        batch[0].fail(_own_error(error))
        return
    results.tell()


async def _roll_back(connection: asyncpg.Connection[Any]) -> None:
    try:
        await connection.execute("ROLLBACK")
    except LOST as error:
        raise NotCommitted(told(error)) from error


def _own_error(error: asyncpg.PostgresError) -> Exception:
    ours = asyncpg.IntegrityConstraintViolationError, asyncpg.SyntaxOrAccessError, asyncpg.DataError
    if isinstance(error, ours) and not isinstance(error, asyncpg.InsufficientPrivilegeError):
        # A mistake in a statement: trying again is no use. What people said is in its values, and must not reach a log.
        error.detail = None
        if isinstance(error, asyncpg.DataError):
            return TypeError("a value of another type than its column")
        return error
    translated = StorageError(f"PostgreSQL: {error}")
    translated.__cause__ = error
    return translated


def _waves(batch: Sequence[PendingTransaction]) -> Iterable[list[PendingTransaction]]:
    """Those that may move in step: of each chat one at a time, in their order; one that may change any chat goes alone."""
    left = list(batch)
    while left:
        wave, later, busy = list[PendingTransaction](), list[PendingTransaction](), set[str]()
        for index, pending in enumerate(left):
            if pending.chats is None:
                if not wave and not later:
                    wave, later = [pending], left[1:]
                else:
                    later += left[index:]
                break
            if busy.isdisjoint(pending.chats):
                wave.append(pending)
            else:
                later.append(pending)
            busy.update(pending.chats)
        # New rows come in the order of their keys as well.
        yield sorted(wave, key=lambda pending: min(pending.chats or ("",)))
        left = later


async def _advance(connection: asyncpg.Connection[Any], wave: Sequence[PendingTransaction], results: _Results) -> None:
    running = [one for pending in wave if (one := _begin(pending, results))]
    while running:
        groups: dict[str, list[tuple[_Running, int, Values]]] = {}
        for one in running:
            steps = one.steps()
            one.rows = [()] * len(steps)
            for place, (statement, values) in enumerate(steps):
                groups.setdefault(statement.sql, []).append((one, place, values))
        for sql, members in groups.items():
            prepared = _prepared(sql)
            rows = await _execute(connection, prepared, [values for _, _, values in members])
            for (one, place, _), its in zip(members, rows, strict=True):
                one.changed |= prepared.changes
                one.rows[place] = its
        running = [one for one in running if _continue(one, results)]


def _begin(pending: PendingTransaction, results: _Results) -> _Running | None:
    transaction = pending.make()
    try:
        return _Running(pending, transaction, next(transaction))
    except StopIteration as stop:
        results.values.append((pending, stop.value))
    except Exception as error:  # noqa: BLE001  # whatever it is, it belongs to whoever asked for this transaction
        results.errors.append((pending, error))
    return None


def _continue(one: _Running, results: _Results) -> bool:
    try:
        one.step = one.transaction.send(one.rows if isinstance(one.step, Pipeline) else one.rows[0])
        return True
    except StopIteration as stop:
        results.values.append((one.pending, stop.value))
    except Exception as error:  # as above
        if one.changed:
            raise _Broken(error) from error
        results.errors.append((one.pending, error))
    return False


@dataclass(frozen=True, slots=True)
class _Prepared:
    """A statement in PostgreSQL's words, the names of its values in their order, and what it does."""

    sql: str
    names: tuple[str, ...]
    returns: bool
    changes: bool


@cache
def _prepared(sql: str) -> _Prepared:
    own, names = numbered(sql)
    text, returns = tagged(own, len(names) + 1)
    return _Prepared(text, names, returns, changes=not own.upper().startswith(("SELECT", "WITH")))


async def _execute(
    connection: asyncpg.Connection[Any], prepared: _Prepared, values: Sequence[Values]
) -> Sequence[Sequence[Record]]:
    """The rows of each."""
    arguments = [_arguments(prepared.names, one) for one in values]
    if not prepared.returns:
        await connection.executemany(prepared.sql, arguments)
        return [()] * len(values)
    found: list[list[Record]] = [[] for _ in values]
    for row in await connection.fetchmany(prepared.sql, [(*one, index) for index, one in enumerate(arguments)]):
        found[row["batch_index"]].append(row)
    return found


def _arguments(names: Sequence[str], values: Values) -> tuple[Any, ...]:
    return tuple([clean(value) if isinstance(value, str) else value for value in map(values.__getitem__, names)])
