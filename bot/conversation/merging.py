"""Several streams as one, read at the same time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import TypeVar

from bot.errors import MagpieError

T = TypeVar("T")

AHEAD = 64  # items that the streams may be ahead of whoever reads: then they wait

Stream = AsyncGenerator[T, None]


class _End:
    """A stream has nothing more."""


async def merged(*streams: Stream[T]) -> Stream[T]:
    """Their items as they come, each stream's in its order, until all have ended. Closing it closes them all, and so does a
    MagpieError in one of them, which is raised here."""
    queue: asyncio.Queue[T | _End | MagpieError] = asyncio.Queue(AHEAD)
    failure: MagpieError | None = None
    async with asyncio.TaskGroup() as tasks:
        pumps = [tasks.create_task(_pump(stream, queue)) for stream in streams]
        left = len(pumps)
        # A group wraps whatever leaves it, cancellation apart: neither a failure nor the closing of this generator may.
        try:
            while left and failure is None:
                item = await queue.get()
                if isinstance(item, _End):
                    left -= 1
                elif isinstance(item, MagpieError):
                    failure = item
                else:
                    yield item
        except GeneratorExit:
            left = 0
        for pump in pumps:
            pump.cancel()
    if failure is not None:
        raise failure


async def _pump(stream: Stream[T], queue: asyncio.Queue[T | _End | MagpieError]) -> None:
    try:
        async with aclosing(stream) as items:
            async for item in items:
                await queue.put(item)
    except MagpieError as error:
        await queue.put(error)
    else:
        await queue.put(_End())
