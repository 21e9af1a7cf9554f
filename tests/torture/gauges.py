"""What a running Magpie tells of itself at /metrics, and whether any of it grows without end."""

from __future__ import annotations

import asyncio
import math
import statistics
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import combinations

import aiohttp

from tests.figures import parse
from tests.process import Magpie

LAG = "magpie_loop_lag_seconds"
SURE = 2.576  # standard deviations: 99 %
LATEST = 20.0  # seconds for one scrape; a loop under full load answers late
FEWEST = 5  # points of which a slope can be told


@dataclass(frozen=True, slots=True, kw_only=True)
class Gauges:
    """One process at one instant: `at` by time.monotonic(), `rss` in MB (1,000,000 bytes), `blocks` of Python's memory in
    thousands, `cpu` in seconds so far; `lags` counts how late its loop came back, cumulative by the upper bound in seconds."""

    at: float
    rss: float
    blocks: float
    descriptors: float
    tasks: float
    cpu: float
    lags: Mapping[float, float]

    def lag(self, since: Gauges, percent: int) -> float:
        """The bucket's upper bound below which so many of the loop's wake-ups since then were, in seconds."""
        grown = {bound: count - since.lags.get(bound, 0.0) for bound, count in self.lags.items()}
        wanted = max(grown.values(), default=0.0) * percent / 100
        return min((bound for bound, count in grown.items() if count >= wanted), default=0.0)

    def busy(self, since: Gauges) -> float:
        """How much of one core it used since then."""
        return (self.cpu - since.cpu) / max(self.at - since.at, 1e-9)


async def look(worker: Magpie, password: str) -> Gauges:
    """`password`: the page's."""
    headers = {"Authorization": f"Bearer {password}"}
    async with (
        asyncio.timeout(LATEST),
        aiohttp.ClientSession(headers=headers) as scraper,
        scraper.get(f"{worker.url}/metrics") as response,
    ):
        assert response.status == 200, await response.text()
        figures = parse(await response.text())
    return Gauges(
        at=time.monotonic(),
        rss=figures["process_resident_memory_bytes"] / 1e6,
        blocks=figures["python_memory_blocks"] / 1000,
        descriptors=figures["process_open_fds"],
        tasks=figures["magpie_tasks"],
        cpu=figures["process_cpu_seconds_total"],
        lags={
            float(name.split('"')[1]): value for name, value in figures.items() if name.startswith(f"{LAG}_bucket{{le=")
        },
    )


@asynccontextmanager
async def watched(worker: Magpie, password: str, every: float) -> AsyncIterator[list[Gauges]]:
    """What it tells every so many seconds while the context lasts, its end included."""
    seen = [await look(worker, password)]

    async def keep_looking() -> None:
        while True:
            await asyncio.sleep(every)
            seen.append(await look(worker, password))

    async with asyncio.TaskGroup() as tasks:
        looking = tasks.create_task(keep_looking())
        yield seen
        looking.cancel()
    seen.append(await look(worker, password))


def slope(points: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """Theil and Sen's: the median of the slopes of all pairs, which a few wild points do not move; and the lower end of its
    99 % interval (Sen 1968), below which nothing grows that is noise. Points are (when, what); too few have no slope."""
    slopes = sorted((b[1] - a[1]) / (b[0] - a[0]) for a, b in combinations(points, 2) if a[0] != b[0])
    count = len(points)
    if count < FEWEST or not slopes:
        return 0.0, -math.inf
    spread = SURE * math.sqrt(count * (count - 1) * (2 * count + 5) / 18)
    lowest = int((len(slopes) - spread) / 2)
    return statistics.median(slopes), slopes[lowest] if lowest >= 0 else -math.inf
