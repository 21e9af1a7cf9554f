"""Kept files (pictures, videos, sound) in the database, for processes that share it. On disk, and what they are, is the matter
of `bot/files.py`."""

from __future__ import annotations

from storage.statements import FILES
from storage.transaction import Transaction


def keep(name: str, data: bytes) -> Transaction[None]:
    """A name stands for its content: one that is there stays."""
    yield FILES["keep_file"], {"name": name, "data": data}


def load(name: str) -> Transaction[bytes | None]:
    rows = yield FILES["file"], {"name": name}
    return bytes(rows[0]["data"]) if rows else None


def names(after: str, most: int) -> Transaction[list[str]]:
    rows = yield FILES["names_after"], {"after": after, "most": most}
    return [row["name"] for row in rows]
