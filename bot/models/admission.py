"""Whether a model may be asked now: one breaker for a vendor's account, and one gate for each of its models."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Self

from bot.errors import ModelError, Trouble
from bot.models.breaker import Breaker, Call
from bot.models.gate import Gate, Ticket
from bot.models.tries import Limits
from bot.ports import ModelCard

MOST_GATES = 100  # kept for models that nobody asks: `/model openai/...` may name any


class Admission:
    """For all models of one vendor's account. `clock` gives monotonic seconds."""

    def __init__(self, vendor: str, limits: Limits, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._vendor = vendor
        self._limits = limits
        self._clock = clock
        self._breaker = Breaker(vendor, clock=clock)
        self._gates: dict[str, Gate] = {}

    def visit(self, card: ModelCard, *, background: bool = False) -> Visit:
        """For one call and all its tries. Background work lets people go first."""
        limits = self._limits
        ticket = self._gate(card).ticket(background=background, longest=limits.queue, every=limits.notice)
        return Visit(card, self._breaker, ticket)

    def _gate(self, card: ModelCard) -> Gate:
        if card.name not in self._gates:
            if len(self._gates) >= MOST_GATES:
                self._gates = {name: gate for name, gate in self._gates.items() if not gate.idle}
            self._gates[card.name] = Gate(self._vendor, card.name, clock=self._clock)
        return self._gates[card.name]


class Visit:
    """One call's way to the vendor. Each try is one `with visit:`, inside which `place` (or `enter`) is awaited first; the
    vendor is asked after it, and `answered` or `failed` tell what came of it. Whatever happens, the end of the `with` makes
    room for the next. `with`, `place` and `enter` raise ModelError, of which the vendor knows nothing: while the breaker is
    open, and after too long a wait."""

    def __init__(self, card: ModelCard, breaker: Breaker, ticket: Ticket) -> None:
        self._card = card
        self._breaker = breaker
        self._ticket = ticket
        self._call: Call | None = None
        self.alive = False

    @property
    def queued(self) -> float:
        """Seconds in the queue, in all tries."""
        return self._ticket.waited

    def __enter__(self) -> Self:
        self._breaker.check(self._card)  # nobody need queue for a vendor that is not asked
        self._ticket.__enter__()
        self.alive = False
        return self

    def __exit__(self, *_: object) -> None:
        if self._call:
            self._call.end()
            self._call = None
        self._ticket.__exit__()

    async def place(self) -> int:
        """0 when the vendor may be asked; else the place in the queue, which has changed since the last time."""
        place = await self._ticket.place()
        if not place:
            self._call = self._breaker.begin(self._card)  # it may have been closed while this one waited
        return place

    async def enter(self) -> None:
        """For those who have nobody to tell their place."""
        while await self.place():
            pass

    def answered(self) -> None:
        """The first part of an answer came, or all of it."""
        if self._call:
            self.alive = True
            self._ticket.take()
            self._call.succeeded()

    def failed(self, error: ModelError) -> None:
        if error.trouble is Trouble.BUSY:
            self._ticket.refuse()
        if self._call:
            self._call.failed(error)
