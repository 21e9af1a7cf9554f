"""A limit on each wait for the next part of a stream, for a tenth of what `asyncio.timeout` around each of them costs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import TypeVar

T = TypeVar("T")


async def in_time(
    parts: AsyncGenerator[T, None], *, first: float, idle: float, total: float
) -> AsyncGenerator[T, None]:
    """The same parts. Seconds: `first` for the first one, `idle` for each further one, `total` for all of them; only the wait
    for a part is timed, never what the caller does with it. Raises TimeoutError. Closes `parts`."""
    alarm = _Alarm(first, total)
    async with aclosing(parts):
        try:
            while True:
                alarm.set()
                try:
                    part = await anext(parts)
                except StopAsyncIteration:
                    return
                except asyncio.CancelledError:
                    if alarm.ended_it():
                        raise TimeoutError from None
                    raise
                alarm.rest()
                yield part
                alarm.allow(idle)
        finally:
            alarm.close()


class _Alarm:
    """One timer for the whole stream. It is never moved: when it rings, it looks how long the present wait has lasted, and
    cancels the task or sleeps for what is left. Cancellation is counted as asyncio.Timeout counts it."""

    def __init__(self, limit: float, total: float) -> None:
        self._loop = asyncio.get_running_loop()
        self._end = self._loop.time() + total
        self._limit = limit
        self._since: float | None = None
        self._task = asyncio.current_task()  # who reads the stream: asked for each part, this alone would cost 2 %
        self._cancelling = 0
        self._rang = False
        self._timer = self._loop.call_later(min(limit, total), self._ring)

    def allow(self, limit: float) -> None:
        """The limit from now on."""
        if limit != self._limit:
            self._limit = limit
            self._timer.cancel()
            self._timer = self._loop.call_later(limit, self._ring)

    def set(self) -> None:
        """A wait begins. Raises TimeoutError when the time for all of them is over."""
        self._cancelling = self._task.cancelling() if self._task else 0
        self._since = self._loop.time()
        if self._since >= self._end:
            raise TimeoutError

    def rest(self) -> None:
        self._since = None

    def ended_it(self) -> bool:
        """Whether the cancellation that just came was ours, and nobody else's at the same time."""
        self._since = None
        return self._rang and self._task is not None and self._task.uncancel() <= self._cancelling

    def close(self) -> None:
        self._timer.cancel()

    def _ring(self) -> None:
        now = self._loop.time()
        until = now + self._limit if self._since is None else min(self._since + self._limit, self._end)
        if until > now:
            self._timer = self._loop.call_at(until, self._ring)
        elif self._task is not None:
            self._rang = True
            self._task.cancel()
