"""The adapters' transactions: notes that survive a restart, and the page's board."""

from __future__ import annotations

import json
from collections.abc import Mapping

from bot.errors import FencedOut
from bot.lanes import subject_of
from bot.ports import Card
from storage.records import dump_names, load_card
from storage.statements import FLEET, PLATFORMS
from storage.transaction import Transaction

TITLE = 80  # characters of what a chat is about at first: they name it in the list


def notes(prefix: str) -> Transaction[dict[str, str]]:
    rows = yield PLATFORMS["notes"], {"prefix": prefix}
    return {row["name"]: row["value"] for row in rows}


def note(values: Mapping[str, str]) -> Transaction[None]:
    for name, value in values.items():
        yield PLATFORMS["set_note"], {"name": name, "value": value}


def keep(name: str, value: str) -> Transaction[str]:
    return str((yield PLATFORMS["keep_note"], {"name": name, "value": value})[0]["value"])


def put(worker: str, card: Card, turn: int, *, alone: bool) -> Transaction[int]:
    """`alone`: there are no other workers. What nobody shows any more, whoever lives may change: a task's progress, buttons
    that go."""
    if turn:
        shown = yield PLATFORMS["turn_shown_by"], {"turn": turn}
        by = shown[0]["shown_by"] if shown else worker
        if by != worker and (by or not (alone or (yield FLEET["own_lease"], {"worker": worker}))):
            raise FencedOut(f"turn {turn} is shown by another worker now")
    title = subject_of(card.body)[:TITLE] if card.role == "person" else ""
    board = yield PLATFORMS["next_version"], {"chat": card.chat, "title": title, "created": card.created}
    version = board[0]["version"]
    values = {
        "chat": card.chat,
        "id": card.id,
        "version": version,
        "role": card.role,
        "body": card.body,
        "media": card.media,
        "mime": card.mime,
        "buttons": json.dumps(card.buttons, ensure_ascii=False),
        "files": dump_names(card.files),
        "done": int(card.done),
        "removed": int(card.removed),
        "created": card.created,
    }
    yield PLATFORMS["put_card"], values
    return int(version)


def since(chat: str, version: int, limit: int) -> Transaction[list[Card]]:
    rows = yield PLATFORMS["cards_since"], {"chat": chat, "version": version, "limit": limit}
    return [load_card(row) for row in rows]


def card(chat: str, id: str) -> Transaction[Card | None]:
    rows = yield PLATFORMS["card"], {"chat": chat, "id": id}
    return load_card(rows[0]) if rows else None


def board_chats() -> Transaction[list[tuple[str, str, float]]]:
    rows = yield PLATFORMS["board_chats"], {}
    return [(row["chat"], row["title"], row["changed"]) for row in rows]


def moves() -> Transaction[dict[str, str]]:
    rows = yield PLATFORMS["all_moves"], {}
    return {row["old"]: row["new"] for row in rows}
