"""How many calls of a model its vendor takes at once, learned from its refusals, and the queue of those that wait.

Nobody tells the limit of an account: free GLM models take a handful of calls, others hundreds. So a gate begins wide open and
learns by BUSY (GLM's 1302, Qwen's Throttling): what went through beside the refused calls is what the vendor takes. Much
later it tries one more. A vendor may also say BUSY for calls by the minute; who waits how long after that is `tries.py`'s.
"""

from __future__ import annotations

import asyncio
import bisect
import itertools
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from bot import metrics
from bot.errors import ModelError, Trouble

Clock = Callable[[], float]  # monotonic seconds

MOST = 512  # calls at once, before anything is learned
SUCCESSES = 5  # answers at the limit before one more is tried, and
PATIENCE, MOST_PATIENCE = 30.0, 600.0  # seconds since the limit changed; longer each time that one more was too many
QUEUE = "queue"  # our code for a wait that was too long


@dataclass(slots=True)
class _Burst:
    """One occasion on which the vendor refused calls. `before`: the limit until then; `size`: the calls under way; `taken`: how
    many of them it surely took; `open`: those of which nothing is known yet."""

    before: int
    size: int
    taken: int
    open: set[Ticket]

    def limit(self) -> int:
        """What the vendor takes, as far as is known. Where it took none of several calls, that was no limit of how many at
        once, but a little less cannot hurt; of a single call there is nothing to learn."""
        others = self.taken + len(self.open)
        return min(self.before, others or (self.size - 1) or self.before)


class Gate:
    """Of one model on one account. First come, first served, background work last."""

    def __init__(self, vendor: str, model: str, *, most: int = MOST, clock: Clock = time.monotonic) -> None:
        self.vendor, self.model, self.limit = vendor, model, most
        self._most = most
        self._clock = clock
        self._numbers = itertools.count()
        self._inside: set[Ticket] = set()
        self._waiting: list[Ticket] = []  # sorted by Ticket.order
        self._burst: _Burst | None = None
        self._successes = 0
        self._changed = clock()
        self._patience = PATIENCE
        self._trying = False  # the last change was one more

    @property
    def in_flight(self) -> int:
        return len(self._inside)

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    @property
    def idle(self) -> bool:
        """There is nobody, and nothing that would be forgotten."""
        return not self._inside and not self._waiting and self.limit == self._most

    def ticket(self, *, background: bool = False, longest: float = 300.0, every: float = 2.0) -> Ticket:
        """For one call and all its tries. Seconds: `longest` to wait in all, `every` between two tellings of the place."""
        return Ticket(self, (background, next(self._numbers)), longest, every)

    # --- what tickets do -----------------------------------------------------------------------------------------------

    def _join(self, ticket: Ticket) -> None:
        bisect.insort(self._waiting, ticket, key=_order)
        self._admit()

    def _place(self, ticket: Ticket) -> int:
        return bisect.bisect_left(self._waiting, ticket.order, key=_order) + 1

    def _leave(self, ticket: Ticket) -> None:
        if ticket not in self._inside:
            del self._waiting[self._place(ticket) - 1]
        else:
            self._inside.remove(ticket)
            self._took(ticket)  # unless it said that it was refused
        self._admit()

    def _accepted(self, ticket: Ticket) -> None:
        self._took(ticket)
        if self.limit >= self._most or len(self._inside) < self.limit:
            return
        self._successes += 1
        if self._successes >= SUCCESSES and self._clock() - self._changed >= self._patience:
            if self._trying:  # the one before stood
                self._patience = PATIENCE
            self._trying = True
            self._set(self.limit + 1)

    def _refused(self, ticket: Ticket) -> None:
        burst = self._burst
        if burst is None or ticket not in burst.open:
            # All that are under way now belong to this occasion; the refusals among them do not count one by one.
            unknown = {one for one in self._inside if not one.accepted or one is ticket}
            burst = _Burst(self.limit, len(self._inside), len(self._inside) - len(unknown), unknown)
            self._burst = burst
            if burst.size > 1:
                self._patience = min(2 * self._patience, MOST_PATIENCE) if self._trying else PATIENCE
                self._trying = False
        burst.open.remove(ticket)
        self._learn(burst)

    def _took(self, ticket: Ticket) -> None:
        burst = self._burst
        if burst and ticket in burst.open:
            burst.open.remove(ticket)
            burst.taken += 1
            self._learn(burst)

    def _learn(self, burst: _Burst) -> None:
        if not burst.open:
            self._burst = None
        if burst.limit() != self.limit:
            self._set(burst.limit())

    def _set(self, limit: int) -> None:
        self.limit = limit
        self._successes = 0
        self._changed = self._clock()
        self._admit()

    def _admit(self) -> None:
        while self._waiting and len(self._inside) < self.limit:
            ticket = self._waiting.pop(0)
            self._inside.add(ticket)
            ticket.let_in.set()
        metrics.gate(self.model, in_flight=len(self._inside), limit=self.limit, waiting=len(self._waiting))


class Ticket:
    """A call's right to one place inside, for as long as `with ticket:` lasts. It is entered again for each try, with the same
    number: who was refused goes before those who came later."""

    def __init__(self, gate: Gate, order: tuple[bool, int], longest: float, every: float) -> None:
        self.order = order
        self.let_in = asyncio.Event()
        self.accepted = False
        self.waited = 0.0  # seconds, in all tries
        self._gate = gate
        self._longest = longest
        self._every = every
        self._told = 0

    def __enter__(self) -> None:
        self.let_in.clear()
        self.accepted = False
        self._told = 0
        self._gate._join(self)

    def __exit__(self, *_: object) -> None:
        self._gate._leave(self)

    async def place(self) -> int:
        """Waits until the call is let in (0), or its place in the queue has another number than was told last. Raises
        ModelError (BUSY) when it has waited too long."""
        clock = self._gate._clock
        while not self.let_in.is_set():
            left = self._longest - self.waited
            if left <= 0:
                raise _too_long(self._gate, self.waited)
            began = clock()
            with suppress(TimeoutError):
                async with asyncio.timeout(min(self._every, left)):
                    await self.let_in.wait()
            self.waited += clock() - began
            if not self.let_in.is_set() and (place := self._gate._place(self)) != self._told:
                self._told = place
                return place
        return 0

    def take(self) -> None:
        """The vendor took the call: it began to answer, or had another reason to refuse it."""
        if not self.accepted:
            self.accepted = True
            self._gate._accepted(self)

    def refuse(self) -> None:
        """The vendor said BUSY."""
        self._gate._refused(self)


def _order(ticket: Ticket) -> tuple[bool, int]:
    return ticket.order


def _too_long(gate: Gate, waited: float) -> ModelError:
    error = ModelError(
        Trouble.BUSY,
        vendor=gate.vendor,
        model=gate.model,
        code=QUEUE,
        vendor_message=f"waited {waited:.0f} s in the queue",
    )
    error.unbilled = True
    return error
