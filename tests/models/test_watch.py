"""Waits for parts end in time, and nothing else does."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

import pytest

from bot.models.watch import in_time


async def slowly(*seconds: float) -> AsyncGenerator[int, None]:
    for number, pause in enumerate(seconds):
        await asyncio.sleep(pause)
        yield number


async def read(parts: AsyncGenerator[int, None], *, pause: float = 0) -> list[int]:
    found = []
    async with aclosing(parts):
        async for part in parts:
            found.append(part)
            await asyncio.sleep(pause)
    return found


async def test_parts_in_time_pass() -> None:
    assert await read(in_time(slowly(0.05, 0.01, 0.01), first=1, idle=0.5, total=5)) == [0, 1, 2]


async def test_the_first_part_may_be_late_by_a_limit_of_its_own() -> None:
    assert await read(in_time(slowly(0.2, 0), first=5, idle=0.1, total=5)) == [0, 1]
    with pytest.raises(TimeoutError):
        await read(in_time(slowly(5), first=0.05, idle=5, total=5))


async def test_a_gap_ends_it() -> None:
    parts = in_time(slowly(0, 0, 5), first=60, idle=0.05, total=5)
    found = []
    with pytest.raises(TimeoutError):
        async for part in parts:
            found.append(part)  # noqa: PERF401 - what came before the error counts
    assert found == [0, 1]


async def test_an_endless_stream_ends_at_the_total() -> None:
    with pytest.raises(TimeoutError):
        await read(in_time(slowly(*[0.01] * 1_000), first=1, idle=1, total=0.1))


async def test_a_reader_that_is_slower_than_the_total_ends_it_at_its_next_wait() -> None:
    with pytest.raises(TimeoutError):
        await read(in_time(slowly(*[0] * 10), first=60, idle=60, total=0.1), pause=0.05)


async def test_a_slow_reader_is_not_the_streams_fault() -> None:
    assert await read(in_time(slowly(0, 0, 0), first=0.05, idle=0.05, total=5), pause=0.1) == [0, 1, 2]


async def test_cancellation_from_outside_passes_as_such() -> None:
    task = asyncio.ensure_future(read(in_time(slowly(5), first=5, idle=5, total=5)))
    await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_the_caller_is_usable_after_a_timeout() -> None:
    with pytest.raises(TimeoutError):
        await read(in_time(slowly(5), first=0.01, idle=1, total=5))
    task = asyncio.current_task()
    assert task is not None and task.cancelling() == 0
    await asyncio.sleep(0)  # no cancellation is left over


async def test_an_outer_timeout_keeps_its_own() -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05) as outer:
            await read(in_time(slowly(5), first=1, idle=1, total=5))
    assert outer.expired()
