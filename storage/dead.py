"""`magpie dead`: the messages that were given up, and another try for one of them."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from bot.ports import Topic
from storage import migrating
from storage.address import open_database, sqlite_path
from storage.statements import DEAD, INBOX
from storage.transaction import Record, Transaction

PATIENCE = 0.5  # seconds for the lock of a SQLite: whoever has it can be asked instead


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """`received` in Unix seconds; `author` is the platform's id; `payload` is what was said, as the platform gave it."""

    id: int
    platform: str
    chat: str
    author: str
    payload: str
    received: float
    why: str


async def letters(url: str) -> list[DeadLetter]:
    """The oldest first; also while Magpie runs. Raises StorageRefused, SettingsError."""
    path = sqlite_path(url)
    if path is None:
        async with open_database(url) as database:
            return await database.run(_letters)
    with migrating.opened(path) as (connection, _):
        connection.row_factory = sqlite3.Row
        return [_letter(row) for row in connection.execute(DEAD["letters"].sql)]


async def retry(url: str, ids: Sequence[int], now: float) -> list[int]:
    """Queue them again, all or none of them; those that are unknown, if any. Raises StorageRefused, SettingsError; InUse when a
    Magpie runs on this SQLite: it alone writes, and has the same transaction (`Store.retry_dead`)."""
    async with open_database(url, patience=PATIENCE) as database:
        return await database.run(partial(revive, ids, now), chats=None, tells=(Topic.WORK,))


def _letters() -> Transaction[list[DeadLetter]]:
    rows = yield DEAD["letters"], {}
    return [_letter(row) for row in rows]


def _letter(row: Record) -> DeadLetter:
    return DeadLetter(
        row["id"], row["platform"], row["chat"], row["author"], row["payload"], row["received"], row["error"] or ""
    )


def revive(ids: Sequence[int], now: float) -> Transaction[list[int]]:
    """Those that are unknown; if there are any, nothing is changed."""
    rows = yield DEAD["letters"], {}
    known = {row["id"] for row in rows}
    unknown = [id for id in ids if id not in known]
    if unknown:
        return unknown
    for id in dict.fromkeys(ids):
        revived = yield DEAD["revive"], {"id": id}
        for row in revived:
            if row["lane"] == "turn":
                yield INBOX["add_pending"], {"chat": row["chat"], "now": now, "ready": now}
    return []
