"""A chat that changes its key: every row of the old one follows, and who still names the old one finds the new."""

from __future__ import annotations

from storage.statements import LEDGER, MOVING, PLATFORMS
from storage.transaction import Transaction, Value


def home(chat: str) -> Transaction[str]:
    """The key under which the chat is kept: it may have moved since the caller heard of it."""
    moved = yield MOVING["moved_to"], {"chat": chat}
    return str(moved[0]["new"]) if moved else chat


def move(told: str, new: str) -> Transaction[None]:
    """Rename every row. When both keys were in use, the new one keeps its conversation and takes what waits in the old."""
    old = yield from home(told)
    if old == new or (old != told and (yield from home(new)) == old):
        return  # told again
    for step in ("redirect_moves", "forget_move", "insert_move"):
        yield PLATFORMS[step], {"old": old, "new": new}
    old_rows = yield MOVING["chat_row"], {"chat": old}
    new_rows = yield MOVING["chat_row"], {"chat": new}
    shift = 0
    if old_rows and new_rows:
        before = old_rows[0]
        if before["turn"] is not None:
            for ending in (MOVING["requeue_rows"], MOVING["end_turn"], LEDGER["give_up_calls"]):
                yield ending, {"turn": before["turn"]}
        # Turns are numbered per chat: the old key's go behind the new one's, where a turn may be running.
        shift = new_rows[0]["seq"]
        values: dict[str, Value] = {name: before[name] for name in ("pending", "head", "seq", "shown_by")}
        yield MOVING["merge_chat"], {"new": new, **values}
        yield MOVING["delete_chat"], {"old": old}
    elif old_rows:
        yield MOVING["rename_chat"], {"old": old, "new": new}
    yield MOVING["move_turns"], {"old": old, "new": new, "shift": shift}
    for table in ("inbox", "messages", "outbox", "buttons", "settings", "jobs"):
        yield MOVING[f"move_{table}"], {"old": old, "new": new}
    yield MOVING["delete_settings"], {"old": old}
