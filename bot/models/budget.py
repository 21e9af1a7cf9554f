"""The day's money: what a call may cost is held back before it, in the ledger's own commit."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, time, timedelta

from bot.errors import BudgetSpent
from bot.messages import ChatKey
from bot.ports import Ledger, ModelCard


@dataclass(frozen=True, slots=True)
class Reserved:
    """Money held back for one call, in millionths of a CNY; its row in the ledger."""

    call: int
    cost: int = 0


@dataclass(frozen=True, slots=True)
class Budget:
    """`limit` in millionths of a CNY per local day; None: no money is at stake (the simulator)."""

    ledger: Ledger
    limit: int | None

    async def reserve(
        self, card: ModelCard, cost: int, *, chat: ChatKey, turn: int, job_fence: int | None = None
    ) -> Reserved:
        """`job_fence`: `turn` is a background job's number, held under this fence; it is being submitted from now on. Raises
        BudgetSpent, StorageError, FencedOut."""
        day = datetime.now().astimezone().date()
        limit = 0 if self.limit is None else self.limit
        # At least one millionth: with DAILY_BUDGET=0 no paid model may be called, however little it asks.
        cost = 0 if card.free or self.limit is None else max(cost, 1)
        if cost > limit:
            raise BudgetSpent(None)
        call = await self.ledger.reserve(
            turn=turn, chat=chat, model=card.name, cost=cost, day=day.isoformat(), limit=limit, job_fence=job_fence
        )
        if call is None:
            raise BudgetSpent(datetime.combine(day + timedelta(days=1), time.min).astimezone())
        return Reserved(call, cost)

    async def release(self, reserved: Reserved, *, cost: int | None = None) -> None:
        """The call failed and no turn will settle it. `cost` None: nobody knows what it cost, so the estimate stays."""
        known = cost is not None
        await self.ledger.settle(reserved.call, cost if cost is not None else reserved.cost, estimated=not known)
