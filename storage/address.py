"""What a STORAGE_URL names: which database, how it is opened, and how it may be shown."""

from __future__ import annotations

import re
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit, urlunsplit

from bot.errors import SettingsError

if TYPE_CHECKING:  # the store is built on what finds its database here
    from storage.store import Database

POSTGRES = ("postgresql://", "postgres://")


def open_database(url: str, *, patience: float = 5.0) -> AbstractAsyncContextManager[Database]:
    """The driver. `patience`: seconds for which a SQLite that another process has is waited for. Raises SettingsError;
    StorageRefused when it is entered."""
    path = sqlite_path(url)
    if path is None:
        from storage.postgres import open_postgres

        return open_postgres(url)
    from storage.sqlite import open_sqlite

    return open_sqlite(path, patience)


def sqlite_path(url: str) -> Path | None:
    """`sqlite:///relative/path`, `sqlite:////absolute/path`; None for PostgreSQL. Raises SettingsError."""
    if url.startswith(POSTGRES):
        return None
    if not re.match(r"sqlite:///.", url):
        told = "sqlite:///path/to/magpie.db or postgresql://user:password@host:5432/database"
        raise SettingsError((f"'{shown(url)}' is no STORAGE_URL: write {told}.",))
    return Path(url.removeprefix("sqlite:///"))


def shown(url: str) -> str:
    """Without its password. The commands of PostgreSQL take it as it is, and ask for the password."""
    if url.startswith("sqlite:"):
        return url
    scheme, slashes, _ = url.partition("://")
    try:
        parts = urlsplit(url)
    except ValueError:
        return f"{scheme}://…"
    misread = "@" not in parts.netloc and "@" in parts.path + parts.query + parts.fragment
    if not slashes or misread:  # a sign in the password that ends the host, or no URL at all
        return f"{scheme}://…" if slashes else "…"
    user, at, host = parts.netloc.rpartition("@")
    query = re.sub(r"(?i)\b(ssl)?password=[^&]*&?", "", parts.query).rstrip("&")
    return urlunsplit((parts.scheme, user.partition(":")[0] + at + host, parts.path, query, ""))
