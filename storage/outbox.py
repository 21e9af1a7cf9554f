"""Delivery's transactions: which messages stand at the platform, and what is still to be shown."""

from __future__ import annotations

from collections.abc import Sequence

from bot.errors import FencedOut
from bot.messages import Address, ChatKey
from bot.ports import Final
from storage.records import load_address, load_final
from storage.statements import OUTBOX
from storage.transaction import Transaction, Value


def may_show(worker: str, chat: str) -> Transaction[str]:
    """The chat's key as it now is. Raises FencedOut when its outbox is another's to show."""
    rows = yield OUTBOX["may_show"], {"chat": chat, "worker": worker}
    if not rows:
        raise FencedOut(f"{chat} is shown by another worker now")
    return str(rows[0]["chat"])


def sent(worker: str, chat: str, turn: int, slot: int, number: int, message: str) -> Transaction[None]:
    chat = yield from may_show(worker, chat)
    values: dict[str, Value] = {"turn": turn, "slot": slot, "number": number, "message": message}
    yield OUTBOX["record_preview"], {"chat": chat, **values}


def shown(worker: str, chat: str, finals: Sequence[Final]) -> Transaction[None]:
    chat = yield from may_show(worker, chat)
    for final in finals:
        where: dict[str, Value] = {"turn": final.turn, "slot": final.slot, "number": final.number}
        if final.surplus:
            yield OUTBOX["piece_removed"], where
        else:
            yield OUTBOX["piece_shown"], {**where, "message": final.id, "generation": final.generation}
    yield OUTBOX["all_shown"], {"chat": chat}


def gone(worker: str, chat: str, final: Final) -> Transaction[None]:
    chat = yield from may_show(worker, chat)
    done = "piece_removed" if final.surplus else "piece_gone"
    yield OUTBOX[done], {"turn": final.turn, "slot": final.slot, "number": final.number}
    yield OUTBOX["all_shown"], {"chat": chat}


def drop(worker: str, chat: str, finals: Sequence[Final], why: str) -> Transaction[None]:
    chat = yield from may_show(worker, chat)
    for final in finals:
        where: dict[str, Value] = {"turn": final.turn, "slot": final.slot, "number": final.number}
        yield OUTBOX["piece_dropped"], {**where, "error": why}
    yield OUTBOX["all_shown"], {"chat": chat}


def waiting(worker: str, chat: str) -> Transaction[list[tuple[Address, Final]]]:
    shown = yield OUTBOX["may_show"], {"chat": chat, "worker": worker}
    if not shown:
        return []
    chat = shown[0]["chat"]
    rows = yield OUTBOX["waiting_pieces"], {"chat": chat}
    return [(load_address(chat, row["address"]), load_final(row)) for row in rows]


def take(worker: str) -> Transaction[list[ChatKey]]:
    orphans = yield OUTBOX["unshown_chats"], {}
    for row in orphans:
        yield OUTBOX["show_by"], {"chat": row["chat"], "worker": worker}
    rows = yield OUTBOX["chats_to_show"], {"worker": worker}
    return [ChatKey.parse(row["chat"]) for row in rows]


def standing(turn: int) -> Transaction[list[Final]]:
    return [load_final(row) for row in (yield OUTBOX["standing_pieces"], {"turn": turn})]
