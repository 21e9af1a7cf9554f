"""What a STORAGE_URL says: which database it names, and how it may be shown."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from bot.errors import SettingsError

POSTGRES = ("postgresql://", "postgres://")


def sqlite_path(url: str) -> Path | None:
    """`sqlite:///relative/path`, `sqlite:////absolute/path`; None for PostgreSQL. Raises SettingsError."""
    if url.startswith(POSTGRES):
        return None
    if not re.match(r"sqlite:///.", url):
        raise SettingsError(
            (f"{shown(url) or 'nothing'} names no database: write sqlite:///path/to/magpie.db or postgresql://…",)
        )
    return Path(url.removeprefix("sqlite:///"))


def shown(url: str) -> str:
    """Without its password. The commands of PostgreSQL take it as it is, and ask for the password."""
    try:
        parts = urlsplit(url)
        netloc = parts.netloc
    except ValueError:
        return url.partition("://")[0] + "://…"
    user, at, host = netloc.rpartition("@")
    query = re.sub(r"(?i)(^|&)password=[^&]*", "", parts.query)
    if parts.scheme == "sqlite":
        return url
    return urlunsplit((parts.scheme, user.partition(":")[0] + at + host, parts.path, query, ""))
