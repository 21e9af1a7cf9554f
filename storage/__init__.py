"""The stores. `open_store` is the only door; which database stands behind it is told by the URL."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from storage.address import open_database
from storage.copying import refuse_unfinished
from storage.store import Store as Store


@asynccontextmanager
async def open_store(url: str) -> AsyncIterator[Store]:
    """`sqlite:///relative/path`, `sqlite:////absolute/path` or `postgresql://user:password@host:port/database`. Raises
    SettingsError, StorageRefused."""
    async with open_database(url) as database:
        await database.run(refuse_unfinished)
        yield Store(database)
