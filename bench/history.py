"""What a long history costs a turn: its own chat's, and that of all the others."""

from __future__ import annotations

import asyncio
import json
import random
import sqlite3
from dataclasses import dataclass
from pathlib import Path

from bench.engine import WORDS, Quiet
from bench.turns import Took, asked, created, medians

OLD_MESSAGES = 100  # of each chat with a long history


@dataclass(frozen=True, slots=True)
class Turns:
    """A turn in an empty database, and in one full of history, there in a chat that is new and in one with OLD_MESSAGES
    messages behind it."""

    messages: int
    chats: int
    empty: Took
    new: Took
    old: Took
    megabytes: float


async def history(folder: Path, messages: int, turns: int) -> Turns:
    chats = max(1, messages // OLD_MESSAGES)
    await asyncio.to_thread(fill, await created(folder / "full.db"), chats)
    megabytes = (folder / "full.db").stat().st_size / 1e6
    took: dict[str, list[Took]] = {"empty": [], "new": [], "old": []}
    async with asked(folder / "empty.db") as empty, asked(folder / "full.db") as full:
        old = random.Random(1).choices(range(chats), k=turns)
        for number in range(turns):
            took["empty"].append(await empty(f"new{number}"))
            took["new"].append(await full(f"new{number}"))
            took["old"].append(await full(str(old[number])))
    return Turns(messages, chats, medians(took["empty"]), medians(took["new"]), medians(took["old"]), megabytes)


def fill(path: Path, chats: int) -> None:
    """A database as OLD_MESSAGES // 2 turns in each chat leave it: every table that grows with them is filled."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("BEGIN")
    per_chat = OLD_MESSAGES // 2
    for turn in range(per_chat):  # the chats take turns, as in life: a chat's rows lie far apart
        base = turn * chats
        rows = [(base + chat + 1, f"{Quiet.name}:{chat}", turn) for chat in range(chats)]
        connection.executemany(_INBOX, ((key, str(id), str(id), WORDS, id) for id, key, _ in rows))
        connection.executemany(_TURNS, ((id, key, n + 1, f"stop.{id}", 2 * id - 1, 2 * id) for id, key, n in rows))
        connection.executemany(
            _MESSAGES,
            (
                row
                for id, key, n in rows
                for row in (
                    (2 * id - 1, key, 2 * (id - chats) if n else None, id, "user", WORDS),
                    (2 * id, key, 2 * id - 1, id, "assistant", WORDS * 4),
                )
            ),
        )
        connection.executemany(_OUTBOX, ((key, id, json.dumps({"body": WORDS}), str(id)) for id, key, _ in rows))
        connection.executemany(
            _LEDGER, ((f"2026-{turn // 28 + 1:02d}-{turn % 28 + 1:02d}", key, id) for id, key, _ in rows)
        )
    last = (per_chat - 1) * chats
    connection.executemany(
        "INSERT INTO chats (chat, fence, seq, head) VALUES (?, ?, ?, ?)",
        ((f"{Quiet.name}:{chat}", per_chat, per_chat, 2 * (last + chat + 1)) for chat in range(chats)),
    )
    connection.execute("COMMIT")
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()


_INBOX = (
    "INSERT INTO inbox (platform, bot, event, chat, author, lane, joins, message, digest, payload, said, received, state, turn)"
    f" SELECT '{Quiet.name}', '1', ?2, ?1, '1', 'turn', '', ?3, '', ?4, 1.0, 1.0, 'done', ?5"
)
_TURNS = (
    "INSERT INTO turns (id, chat, seq, epoch, state, stop_key, question, answer, report, started, ended)"
    " VALUES (?, ?, ?, 0, 'stop', ?, ?, ?, '{}', 1.0, 2.0)"
)
_MESSAGES = (
    "INSERT INTO messages (id, chat, epoch, parent, turn, role, text, created) VALUES (?, ?, 0, ?, ?, ?, ?, 1.0)"
)
_OUTBOX = "INSERT INTO outbox (chat, turn, slot, number, piece, message, state) VALUES (?, ?, 0, 0, ?, ?, 'sent')"
_LEDGER = (
    "INSERT INTO ledger (day, chat, turn, model, cost, state, created) VALUES (?, ?, ?, 'instant', 100, 'settled', 1.0)"
)
