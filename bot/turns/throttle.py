"""The way out of one chat: who may call the platform there now, and how soon again."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field

SLOWEST = 8.0  # how much slower previews may get after floods
FORGET_FLOOD = 300.0  # seconds after which a chat's previews are as fast as before


@dataclass(slots=True)
class Throttle:
    """The way out of one chat. `tokens` may be negative: a final text waits for none but is counted. Nothing is called before
    `closed_until`, no preview before `resting_until`."""

    refill: float
    burst: int
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    tokens: float = 0.0
    counted: float = field(default_factory=time.monotonic)
    last: float = 0.0
    closed_until: float = 0.0
    resting_until: float = 0.0
    flooded: float = float("-inf")
    slower: float = 1.0
    users: int = 0

    def __post_init__(self) -> None:
        self.tokens = float(self.burst)

    def spend(self) -> None:
        self._grow()
        self.tokens -= 1
        self.last = time.monotonic()

    def wait(self) -> float:
        """Seconds until a preview may be shown."""
        self._grow()
        now, step = time.monotonic(), self.refill * self.slower
        missing = max(0.0, 1 - self.tokens) * step
        return max(missing, self.last + step / 2 - now, self.closed_until - now, self.resting_until - now, 0.0)

    def flood(self, seconds: float) -> None:
        now = time.monotonic()
        self.closed_until = max(self.closed_until, now + seconds)
        self.flooded = now
        self.slower = min(self.slower * 2, SLOWEST)

    def _grow(self) -> None:
        now = time.monotonic()
        if now - self.flooded > FORGET_FLOOD:
            self.slower = 1.0
        self.tokens = min(float(self.burst), self.tokens + (now - self.counted) / (self.refill * self.slower))
        self.counted = now
