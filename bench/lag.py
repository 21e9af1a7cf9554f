"""How late an event loop runs: a task that wants to wake every 10 ms and writes down when it really did.

Only where BENCH_LAG names a file for it, so that nothing is measured twice: the sampling itself costs some CPU.
"""

from __future__ import annotations

import array
import asyncio
import contextlib
import os
import signal
import time
from collections.abc import Coroutine
from pathlib import Path

EVERY = 0.01  # seconds
MOST = 200_000  # samples: half an hour


async def sampled(main: Coroutine[None, None, None]) -> None:
    """Run `main` to its end, or to SIGTERM where it does not handle that itself; then write the samples."""
    path = os.environ.get("BENCH_LAG")
    if not path:
        return await main
    file, samples = Path(path), array.array("d")
    sampler = asyncio.create_task(_sample(samples))
    working = asyncio.ensure_future(main)
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, working.cancel)  # Magpie puts its own in its place
    try:
        with contextlib.suppress(asyncio.CancelledError):
            await working
    finally:
        sampler.cancel()
        file.write_bytes(samples.tobytes())  # noqa: ASYNC240 -- the loop is about to end


async def _sample(samples: array.array[float]) -> None:
    """Pairs: when it woke (CLOCK_MONOTONIC, the same for all processes of a machine), by how many seconds too late."""
    while len(samples) < 2 * MOST:
        due = time.monotonic() + EVERY
        await asyncio.sleep(EVERY)
        now = time.monotonic()
        samples.extend((now, now - due))


def read(path: Path, began: float, ended: float) -> list[float]:
    """The lateness in seconds of every sample taken between two instants."""
    samples = array.array("d")
    samples.frombytes(path.read_bytes())
    pairs = zip(samples[::2], samples[1::2], strict=True)
    return [late for when, late in pairs if began <= when <= ended]
