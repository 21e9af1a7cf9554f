"""Delivery's transactions: which messages stand at the platform, and what is still to be shown."""

from __future__ import annotations

from collections.abc import Sequence

from bot.messages import Address, ChatKey
from bot.ports import Final
from storage.inbox import OUTBOX
from storage.moving import home
from storage.records import load_address, load_final
from storage.transaction import Transaction, Value


def sent(chat: str, turn: int, slot: int, number: int, message: str) -> Transaction[None]:
    values: dict[str, Value] = {"turn": turn, "slot": slot, "number": number, "message": message}
    yield OUTBOX["record_preview"], {"chat": chat, **values}


def shown(finals: Sequence[Final]) -> Transaction[None]:
    for final in finals:
        where: dict[str, Value] = {"turn": final.turn, "slot": final.slot, "number": final.number}
        if final.surplus:
            yield OUTBOX["piece_removed"], where
        else:
            yield OUTBOX["piece_shown"], {**where, "message": final.id}


def gone(final: Final) -> Transaction[None]:
    done = "piece_removed" if final.surplus else "piece_gone"
    yield OUTBOX[done], {"turn": final.turn, "slot": final.slot, "number": final.number}


def drop(finals: Sequence[Final], why: str) -> Transaction[None]:
    for final in finals:
        where: dict[str, Value] = {"turn": final.turn, "slot": final.slot, "number": final.number}
        yield OUTBOX["piece_dropped"], {**where, "error": why}


def waiting(chat: str) -> Transaction[list[tuple[Address, Final]]]:
    chat = yield from home(chat)
    rows = yield OUTBOX["waiting_pieces"], {"chat": chat}
    return [(load_address(chat, row["address"]), load_final(row)) for row in rows]


def chats() -> Transaction[list[ChatKey]]:
    rows = yield OUTBOX["waiting_chats"], {}
    return [ChatKey.parse(row["chat"]) for row in rows]
