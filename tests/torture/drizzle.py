"""A little of every fault, all the time: each call of a platform or a vendor fails or is late by the same small chance, and for
the same small share of the time the gateway is cut, or the store is.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import sqlite3
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from bot.simulator import Fault as ModelFault
from bot.simulator import Simulator
from tests.servers.discord import DiscordServer
from tests.servers.proxy import FaultProxy, Latency, Reset
from tests.servers.telegram import TelegramServer
from tests.torture.breaking import DISCORD_ROUTES, ENDLESS

SHARE = 0.01  # of calls, and of the time
LATE = 1.0  # seconds: what is late is so by this much, and so soon may be tried again what is refused
SPELL = 0.2  # seconds for which the store is cut off or late
PLANNED = 300  # faults of one route of Discord: more than any run meets
VENDORS: Mapping[str, tuple[str, str]] = {
    "glm": ("500", "1302"),
    "dashscope": ("InternalError", "Throttling.RateQuota"),
}


@dataclass(kw_only=True)
class Drizzle:
    """Of a world's stand-ins, those that are there. `database`: the proxy before PostgreSQL, or SQLite's file. `struck` counts
    by kind; `lost` are the instants (time.monotonic()) at which Telegram did as it was told and could not say so, `cut` those
    at which the store's connections broke, perhaps with a commit that nobody was told of."""

    chance: random.Random
    models: Simulator
    telegram: TelegramServer | None
    discord: DiscordServer | None
    database: FaultProxy | Path
    struck: dict[str, int] = field(default_factory=dict)
    lost: list[float] = field(default_factory=list)
    cut: list[float] = field(default_factory=list)

    @asynccontextmanager
    async def falling(self) -> AsyncIterator[None]:
        """Until the context is left: then all are well again."""
        self._on_models()
        if self.telegram is not None:
            self._on_telegram(self.telegram)
        if self.discord is not None:
            self._on_discord(self.discord)
        async with asyncio.TaskGroup() as tasks:
            beside = [tasks.create_task(one) for one in self._by_time()]
            try:
                yield
            finally:
                for task in beside:
                    task.cancel()
                self.models.heal()
                if self.telegram is not None:
                    self.telegram.faults.clear()
                if self.discord is not None:
                    self.discord.heal()
        if isinstance(self.database, FaultProxy):
            await self.database.heal()

    def _strikes(self, kind: str, share: float) -> bool:
        if self.chance.random() >= share:
            return False
        self._count(kind)
        return True

    def _count(self, kind: str) -> None:
        self.struck[kind] = self.struck.get(kind, 0) + 1

    # ── by call

    def _when(self, kind: str, share: float) -> Callable[[object], bool]:
        return lambda _: self._strikes(kind, share)

    def _on_models(self) -> None:
        for vendor, (broken, busy) in VENDORS.items():
            for kind, fault in {
                "500": ModelFault(vendor=vendor, code=broken),
                "429": ModelFault(vendor=vendor, code=busy, retry_after=LATE),
                "502 of a gateway": ModelFault(vendor=vendor, body=b"<html>Bad Gateway</html>", status=502),
                "cut": ModelFault(vendor=vendor, cut=True, after_chunks=2),
                "slow": ModelFault(vendor=vendor, drip=LATE / 10_000),
            }.items():
                self.models.fail(replace(fault, times=None, when=self._when(f"{vendor}: {kind}", SHARE / 5)))

    def _on_telegram(self, server: TelegramServer) -> None:
        each = SHARE / 5

        def unheard(_: object) -> bool:
            if not self._strikes("telegram: done, and the answer lost", each):
                return False
            self.lost.append(time.monotonic())
            return True

        server.fail("*", ENDLESS, status=502, when=self._when("telegram: 502", each))
        server.fail("*", ENDLESS, retry_after=round(LATE), when=self._when("telegram: 429", each))
        server.drop("*", ENDLESS, effect=False, when=self._when("telegram: cut", each))
        server.drop("*", ENDLESS, effect=True, when=unheard)
        server.hold("*", seconds=LATE, times=ENDLESS, when=self._when("telegram: late", each))

    def _on_discord(self, server: DiscordServer) -> None:
        """By what it can be told: after so many good calls. How many is drawn as if each call had its chance."""
        for route in DISCORD_ROUTES:
            at = 0
            for _ in range(PLANNED):
                at += 1 + int(self.chance.expovariate(SHARE))
                match self.chance.randrange(4):
                    case 0:
                        server.fail(route, status=502, skip=at)
                    case 1:
                        server.rate_limit(route, LATE, skip=at)
                    case 2:
                        server.reset(route, skip=at)
                    case _:
                        server.reset(route, when="after", skip=at)

    # ── by time

    def _by_time(self) -> list[Coroutine[None, None, None]]:
        spells = [self._now_and_then(self._cut_database)]
        if self.discord is not None:
            spells.append(self._now_and_then(self._cut_gateway))
        return spells

    async def _now_and_then(self, spell: Callable[[], Coroutine[None, None, None]]) -> None:
        """For this share of the time."""
        while True:
            await asyncio.sleep(self.chance.expovariate(SHARE / SPELL))
            await spell()

    async def _cut_gateway(self) -> None:
        assert self.discord is not None
        self._count("gateway: closed")
        self.discord.close_gateway(self.chance.choice((4000, None)))

    async def _cut_database(self) -> None:
        if isinstance(self.database, Path):
            self._count("SQLite: locked")
            await asyncio.to_thread(_lock, self.database)
            return
        late = self.chance.random() < 0.5
        if not late:
            self.cut.append(time.monotonic())
        self._count(f"PostgreSQL: {'late' if late else 'cut'}")
        async with self.database.suffering(Latency(seconds=SPELL) if late else Reset()):
            await asyncio.sleep(SPELL)


def _lock(path: Path) -> None:
    """As somebody does who looks into the database with a tool that writes."""
    # busy writing, it lets nobody else lock it: then there is no lock this time
    with (
        contextlib.closing(sqlite3.connect(path, timeout=LATE, isolation_level=None)) as other,
        contextlib.suppress(sqlite3.OperationalError),
    ):
        other.execute("BEGIN IMMEDIATE")
        time.sleep(SPELL)
        other.execute("ROLLBACK")
