"""Whether this process is ready: what `/healthz` tells. That it is alive needs no look: `/livez` answers by itself.

Being ready is not being alive. A database that does not answer and a platform that was not heard for minutes make a process
unready, and a restart heals neither; so whoever restarts what is dead has to look at `/livez`.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping

from bot.errors import StorageError
from bot.ports import Cursors, Hearing, Platform

log = logging.getLogger(__name__)

STORE_SECONDS = 2.0  # for one cheap statement
FRESH = 1.0  # seconds that a verdict stands, however many ask
# Seconds of silence from a platform until we count as deaf. A quiet poll ends after 11 s, one whose connection died silently
# 20 s after it began, and the next try is at most 8 s away (`telegram_poll`): minutes are more than the ordinary weather.
DEAF = 300.0


class Readiness:
    """Started, the database answers, and no platform that we listen to has been silent for `deaf` seconds."""

    def __init__(
        self,
        store: Cursors,
        platforms: Mapping[str, Platform],
        started: Callable[[], bool],
        *,
        deaf: float = DEAF,
        fresh: float = FRESH,
    ) -> None:
        self._store = store
        self._platforms = platforms
        self._started = started
        self._deaf = deaf
        self._fresh = fresh
        self._verdict = False
        self._why = ""
        self._until = float("-inf")
        self._looking = asyncio.Lock()

    async def __call__(self) -> bool:
        if not self._started():
            return False
        async with self._looking:  # those who ask meanwhile share the answer
            if time.monotonic() >= self._until:
                self._verdict = await self._look()
                self._until = time.monotonic() + self._fresh
            return self._verdict

    async def _look(self) -> bool:
        why = "" if await self._answers() else "the database does not answer"
        silent = unheard(self._platforms, self._deaf)
        if silent:
            why = f"not heard for long: {', '.join(silent)}"
        if why != self._why:  # told once, not at every probe
            log.warning("Not ready: %s", why) if why else log.info("Ready again.")
        self._why = why
        return not why

    async def _answers(self) -> bool:
        try:
            async with asyncio.timeout(STORE_SECONDS):
                await self._store.notes("ready/")
        except (StorageError, TimeoutError):
            return False
        return True


def unheard(platforms: Mapping[str, Platform], seconds: float) -> list[str]:
    """The platforms that we listen to and have not heard for so long."""
    since = time.monotonic() - seconds
    return [
        name
        for name, platform in platforms.items()
        if isinstance(platform, Hearing) and platform.heard_at is not None and platform.heard_at < since
    ]
