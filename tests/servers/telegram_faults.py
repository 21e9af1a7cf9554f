"""What goes wrong on purpose: scripted refusals, held and dropped answers, and Telegram's flood limits."""

from __future__ import annotations

import asyncio
import math
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.servers.telegram_rules import Refusal

Params = Mapping[str, Any]
When = Callable[[Params], bool]


def always(params: Params) -> bool:
    return True


@dataclass(slots=True, eq=False, kw_only=True)
class Fault:
    """Strikes the next `times` calls of `method` ("*": any) whose parameters satisfy `when`."""

    method: str
    times: int = 1
    when: When = always
    struck: int = 0


@dataclass(slots=True, eq=False, kw_only=True)
class Failure(Fault):
    """The call has no effect and this is the answer."""

    refusal: Refusal


@dataclass(slots=True, eq=False, kw_only=True)
class Hold(Fault):
    """The call takes effect; its answer waits for `release` or `seconds`. `caught` is set when the effect is there."""

    seconds: float = math.inf
    caught: asyncio.Event = field(default_factory=asyncio.Event)
    release: asyncio.Event = field(default_factory=asyncio.Event)

    async def wait(self) -> None:
        try:
            async with asyncio.timeout(None if math.isinf(self.seconds) else self.seconds):
                await self.release.wait()
        except TimeoutError:
            return


@dataclass(slots=True, eq=False, kw_only=True)
class Drop(Fault):
    """The connection breaks instead of an answer, after the call took effect or before."""

    effect: bool


class Faults:
    def __init__(self) -> None:
        self._rules: list[Fault] = []
        self.deaf_until = 0.0

    def add(self, fault: Fault) -> None:
        self._rules.append(fault)

    def clear(self) -> None:
        self.deaf_until = 0.0
        for rule in self._rules:
            if isinstance(rule, Hold):
                rule.release.set()
        self._rules.clear()

    def strike(self, method: str, params: Params) -> Fault | None:
        """The first scripted fault for this call, counted down."""
        for rule in self._rules:
            if rule.method in ("*", method) and rule.when(params):
                rule.struck += 1
                if rule.struck >= rule.times:
                    self._rules.remove(rule)
                return rule
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class FloodLimits:
    """Telegram's real ones are elastic and undocumented; these are its FAQ's figures with a small burst."""

    private_burst: float = 4
    private_per_second: float = 1
    group_per_minute: int = 20
    overall_per_second: int = 30


@dataclass(slots=True)
class _Bucket:
    tokens: float
    at: float


class Floods:
    """Counts what writes into chats; remembers every 429 until its time is over."""

    def __init__(self, limits: FloodLimits | None) -> None:
        self._enforced = limits is not None
        self._limits = limits or FloodLimits()
        self._until: dict[int | str, float] = {}
        self._private: dict[int, _Bucket] = {}
        self._group: dict[int, deque[float]] = {}
        self._overall: deque[float] = deque()

    def punish(self, key: int | str, seconds: int) -> None:
        """Calls to this chat (or of this method, if it has no chat) are too early for `seconds`."""
        self._until[key] = time.monotonic() + seconds

    def remaining(self, key: int | str) -> int:
        """Whole seconds that a RetryAfter still runs; 0 for none."""
        if not self._until or (until := self._until.get(key)) is None:
            return 0
        return max(math.ceil(until - time.monotonic()), 0)

    def count(self, chat_id: int, weight: int) -> int:
        """Takes `weight` messages' worth; returns the retry_after, 0 when allowed."""
        if not self._enforced:
            return 0
        now = time.monotonic()
        while self._overall and self._overall[0] <= now - 1:
            self._overall.popleft()
        if len(self._overall) >= self._limits.overall_per_second:
            return 1
        wait = self._count_group(chat_id, weight, now) if chat_id < 0 else self._count_private(chat_id, weight, now)
        if not wait:
            self._overall.extend([now] * weight)
        return wait

    def _count_private(self, chat_id: int, weight: int, now: float) -> int:
        limits = self._limits
        bucket = self._private.setdefault(chat_id, _Bucket(limits.private_burst, now))
        gained = (now - bucket.at) * limits.private_per_second
        bucket.tokens, bucket.at = min(limits.private_burst, bucket.tokens + gained), now
        if bucket.tokens < 1:
            return math.ceil((1 - bucket.tokens) / limits.private_per_second)
        bucket.tokens -= weight
        return 0

    def _count_group(self, chat_id: int, weight: int, now: float) -> int:
        window = self._group.setdefault(chat_id, deque())
        while window and window[0] <= now - 60:
            window.popleft()
        if len(window) >= self._limits.group_per_minute:
            return math.ceil(window[0] + 60 - now)
        window.extend([now] * weight)
        return 0
