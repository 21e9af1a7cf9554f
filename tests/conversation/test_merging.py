"""Several streams as one: everything in order, and nothing stays open."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.conversation.merging import AHEAD, merged
from bot.errors import FencedOut


class Source:
    """Streams of numbers; `open` are those that were begun and not ended, `given` counts what they gave."""

    def __init__(self) -> None:
        self.open = 0
        self.given = 0

    async def numbers(self, *items: int | Exception, end: bool = True) -> AsyncGenerator[int, None]:
        self.open += 1
        try:
            for item in items:
                await asyncio.sleep(0)
                if isinstance(item, Exception):
                    raise item
                self.given += 1
                yield item
            if not end:
                await asyncio.Event().wait()
        finally:
            self.open -= 1


@given(st.lists(st.lists(st.integers(0, 99), max_size=200), max_size=4))
@settings(max_examples=50)
def test_everything_comes_each_stream_in_its_order(streams: list[list[int]]) -> None:
    async def read() -> list[int]:
        source = Source()
        tagged = [source.numbers(*(number * 10 + at for number in one)) for at, one in enumerate(streams)]
        return [item async for item in merged(*tagged)]

    items = asyncio.run(read())
    assert [[item // 10 for item in items if item % 10 == at] for at in range(len(streams))] == streams


async def test_neither_waits_for_the_other() -> None:
    source = Source()
    found: set[int] = set()
    async with (
        asyncio.timeout(5),
        aclosing(merged(source.numbers(1, end=False), source.numbers(2, end=False))) as items,
    ):
        async for item in items:
            found.add(item)
            if len(found) == 2:
                break
    assert source.open == 0


async def test_closing_it_closes_all() -> None:
    source = Source()
    async with asyncio.timeout(5), aclosing(merged(*(source.numbers(*range(1000)) for _ in range(3)))) as items:
        async for _ in items:
            break
    assert source.open == 0


async def test_nobody_runs_far_ahead_of_a_slow_reader() -> None:
    source = Source()
    async with (
        asyncio.timeout(5),
        aclosing(merged(source.numbers(*range(1000)), source.numbers(*range(1000)))) as items,
    ):
        await anext(items)
        for _ in range(500):
            await asyncio.sleep(0)
        assert AHEAD <= source.given <= AHEAD + 3
    assert source.open == 0


async def test_a_cancelled_reader_leaves_nothing_open() -> None:
    source = Source()

    async def read() -> None:
        async with aclosing(merged(source.numbers(1, end=False), source.numbers(2, end=False))) as items:
            async for _ in items:
                pass

    task = asyncio.create_task(read())
    async with asyncio.timeout(5):
        while source.given < 2:  # noqa: ASYNC110  # a source of numbers has no event
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert source.open == 0


async def test_an_error_of_ours_ends_all_and_arrives_as_it_was() -> None:
    source = Source()
    with pytest.raises(FencedOut):
        async with (
            asyncio.timeout(5),
            aclosing(merged(source.numbers(1, FencedOut()), source.numbers(2, end=False))) as items,
        ):
            async for _ in items:
                pass
    assert source.open == 0
