"""The store: the ports of the house over any database that can run a transaction."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Protocol, TypeVar

from bot.messages import Address, ChatKey, Event, Shown
from bot.ports import (
    ButtonRow,
    Card,
    Claim,
    Entry,
    Exchange,
    Final,
    Outcome,
    Overtaken,
    Replying,
    Report,
    Row,
)
from storage import control, history, inbox, ledger, moving, outbox, platforms
from storage.transaction import Transaction

T = TypeVar("T")


class Database(Protocol):
    """A driver. `run` commits the transaction before it returns; an error inside leaves nothing of it behind."""

    worker: str

    async def run(self, transaction: Transaction[T]) -> T:
        """Raises StorageError when it cannot commit now, and what the transaction itself raises."""


class Store:
    """Inbox, Control, History, Outbox, Ledger, Cursors and Board: `bot/ports/store.py` says what each call does."""

    def __init__(self, database: Database) -> None:
        self._run = database.run
        self._worker = database.worker

    # Inbox

    async def accept(self, events: Sequence[Event]) -> Sequence[int]:
        return await self._run(inbox.accept(events, time.time()))

    async def claim(self, limit: int) -> tuple[Sequence[Claim], float | None]:
        return await self._run(inbox.claim(self._worker, limit, time.time()))

    async def retry(self, claim: Claim) -> None:
        await self._run(inbox.retry(claim))

    async def complete(self, claim: Claim, outcome: Outcome) -> Sequence[Final]:
        return await self._run(inbox.complete(claim, outcome, time.time()))

    async def bury(self, claim: Claim, rows: Sequence[int], why: str) -> None:
        await self._run(inbox.bury(claim, rows, why, time.time()))

    async def companions(self, claim: Claim, message: str, row: Row) -> Sequence[Row]:
        return await self._run(inbox.companions(claim, message, row.id))

    async def replace(self, claim: Claim, turn: int) -> Sequence[Shown]:
        return await self._run(inbox.replace(claim, turn))

    # Control

    async def control(self, limit: int) -> Sequence[tuple[Row, ChatKey]]:
        return await self._run(control.waiting(limit))

    async def stop(self, row: Row, chat: ChatKey, key: str, person: str, reply: Replying) -> Overtaken:
        return await self._run(control.stop(row.id, str(chat), key, person, reply, time.time()))

    async def reset(self, row: Row, chat: ChatKey, reply: Replying) -> Overtaken:
        return await self._run(control.reset(row.id, str(chat), reply, time.time()))

    async def dismiss(self, row: Row, why: str) -> None:
        await self._run(control.dismiss(row.id, why))

    async def leave(self, chat: ChatKey, why: str) -> Overtaken:
        return await self._run(control.leave(str(chat), why))

    async def move(self, old: ChatKey, new: ChatKey, claim: Claim | None = None) -> None:
        if claim is None:
            await self._run(moving.move(str(old), str(new)))
        else:
            await self._run(control.move_claimed(claim, str(old), str(new), time.time()))

    async def moves(self) -> dict[str, str]:
        """Old keys and the new ones, so that an allow-list that names an old one goes on to work."""
        return await self._run(platforms.moves())

    # History

    async def line(self, tip: int | None, limit: int) -> Sequence[Entry]:
        return [] if tip is None else await self._run(history.line(tip, limit))

    async def exchange(self, chat: ChatKey, message: str) -> Exchange | None:
        return await self._run(history.exchange(str(chat), message))

    async def last(self, chat: ChatKey, head: int | None) -> Exchange | None:
        return await self._run(history.last(str(chat), head))

    async def asked(self, turn: int) -> Entry | None:
        return await self._run(history.asked(turn))

    async def entry(self, id: int) -> Entry | None:
        return await self._run(history.entry(id))

    async def report(self, chat: ChatKey) -> Report | None:
        return await self._run(history.report(str(chat)))

    async def button(self, id: str) -> ButtonRow | None:
        return await self._run(history.button(id))

    # Outbox

    async def sent(self, chat: ChatKey, turn: int, slot: int, number: int, message: str) -> None:
        await self._run(outbox.sent(str(chat), turn, slot, number, message))

    async def shown(self, finals: Sequence[Final]) -> None:
        await self._run(outbox.shown(finals))

    async def gone(self, final: Final) -> None:
        await self._run(outbox.gone(final))

    async def drop(self, finals: Sequence[Final], why: str) -> None:
        await self._run(outbox.drop(finals, why))

    async def waiting(self, chat: ChatKey) -> Sequence[tuple[Address, Final]]:
        return await self._run(outbox.waiting(str(chat)))

    async def waiting_chats(self) -> Sequence[ChatKey]:
        return await self._run(outbox.chats())

    # Ledger

    async def reserve(self, *, turn: int, chat: ChatKey, model: str, cost: int, day: str, limit: int) -> int | None:
        return await self._run(ledger.reserve(turn, str(chat), model, cost, day, limit, time.time()))

    async def settle(self, call: int, cost: int, *, estimated: bool = False) -> None:
        await self._run(ledger.settle(call, cost, estimated))

    async def spent(self, day: str) -> int:
        return await self._run(ledger.spent(day))

    # Cursors

    async def notes(self, prefix: str) -> dict[str, str]:
        return await self._run(platforms.notes(prefix))

    async def note(self, values: dict[str, str]) -> None:
        await self._run(platforms.note(values))

    # Board

    async def put(self, card: Card) -> int:
        return await self._run(platforms.put(card))

    async def since(self, chat: str, version: int, limit: int) -> Sequence[Card]:
        return await self._run(platforms.since(chat, version, limit))

    async def card(self, chat: str, id: str) -> Card | None:
        return await self._run(platforms.card(chat, id))

    async def chats(self) -> Sequence[tuple[str, str, float]]:
        return await self._run(platforms.board_chats())
