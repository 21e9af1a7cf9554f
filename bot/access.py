"""Who may use the bot: closed to everyone but the owners and those on the list."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Mapping

from bot.messages import PAGE_OWNER

DAY = 86_400.0  # seconds
REMEMBERED = 10_000  # strangers: beyond these the longest known is forgotten, and may be told once more


class Access:
    """ports.Gatekeeper. `moves` tells which key a group had before it moved, so that a list which names the old one goes on
    to admit it."""

    def __init__(
        self,
        admins: frozenset[str],
        allowed: frozenset[str],
        moves: Mapping[str, str] | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._admins = admins | {PAGE_OWNER}
        self._allowed = allowed | self._admins
        self._clock = clock
        self._told: OrderedDict[str, float] = OrderedDict()
        for old, new in (moves or {}).items():
            self.moved(old, new)

    def moved(self, old: str, new: str) -> None:
        """A chat has a new key: who was admitted by the old one is by the new."""
        if old in self._allowed:
            self._allowed |= {new}

    def admits(self, platform: str, person: str, *places: str) -> bool:
        return "*" in self._allowed or any(f"{platform}:{id}" in self._allowed for id in (person, *places))

    def owns(self, platform: str, person: str) -> bool:
        return f"{platform}:{person}" in self._admins

    def turn_away(self, platform: str, person: str) -> bool:
        name, now = f"{platform}:{person}", self._clock()
        if now - self._told.get(name, float("-inf")) < DAY:
            return False
        self._told.pop(name, None)
        self._told[name] = now
        if len(self._told) > REMEMBERED:
            self._told.popitem(last=False)
        return True
