"""What every driver does alike, below the store: many transactions share a commit, and each answers for itself alone."""

from __future__ import annotations

import asyncio
import sqlite3
from functools import partial

import asyncpg

from storage.address import open_database
from storage.store import Store
from storage.transaction import Statement, Transaction

INSERT = Statement("insert", "INSERT INTO notes (name, value) VALUES (:name, '')")


class Oops(Exception):
    pass


def failing(name: str) -> Transaction[None]:
    yield INSERT, {"name": name}
    raise Oops(name)


def twice(name: str) -> Transaction[None]:
    yield INSERT, {"name": name}
    yield INSERT, {"name": name}


async def test_a_failing_transaction_undoes_only_itself(url: str) -> None:
    async with open_database(url) as database:
        store = Store(database)
        first, raised, second, refused, third = await asyncio.gather(
            store.note({"a": "1"}),
            database.run(partial(failing, "b")),
            store.note({"c": "1"}),
            database.run(partial(twice, "d")),
            store.note({"e": "1"}),
            return_exceptions=True,
        )
        assert (first, second, third) == (None, None, None)
        assert isinstance(raised, Oops)
        assert isinstance(refused, sqlite3.IntegrityError | asyncpg.UniqueViolationError)
        assert await store.notes("") == {"a": "1", "c": "1", "e": "1"}
