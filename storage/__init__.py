"""The stores. `open_store` is the only door; which database stands behind it is told by the URL."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from bot.errors import SettingsError
from storage.store import Store as Store


@asynccontextmanager
async def open_store(url: str) -> AsyncIterator[Store]:
    """`sqlite:///relative/path` or `sqlite:////absolute/path`. Raises SettingsError, StorageRefused."""
    scheme, _, rest = url.partition("://")
    if scheme != "sqlite" or not rest.startswith("/") or not rest[1:]:
        raise SettingsError((f"STORAGE_URL: write sqlite:///path/to/magpie.db, not {scheme}://…",))
    from storage.sqlite import open_sqlite

    async with open_sqlite(Path(rest[1:])) as database:
        yield Store(database)
