"""One process among several: which duties are ours, and whether we may still act at all."""

from __future__ import annotations

from collections.abc import Awaitable, Callable


class Alone:
    """The only process of its store: every duty is ours. Implements `ports.Duties`."""

    async def perform(self, name: str, work: Callable[[], Awaitable[None]]) -> None:
        await work()

    def holds(self, name: str) -> bool:
        return True
