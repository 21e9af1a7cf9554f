"""One process among several: a heartbeat keeps us alive, a lease says whether we may act, duties are what only one may do.

Whoever loses its lease (it was paused, or cut off from the database) is taken for dead by the others, who share out its chats:
it drops all that it was doing and begins again as a new worker. What it still tries under the old name the store refuses.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from bot.errors import StorageError
from bot.insist import insist
from bot.ports import Beat, Workers

log = logging.getLogger(__name__)

BEAT = 1.0  # seconds between heartbeats
MARGIN = 1.0  # seconds before the end of a lease from which nothing is sent any more: a call under way has left by then
LAST_WORD = 1.0  # seconds to give a duty back
GAP = 2.0  # seconds without a heartbeat after which we have not been here all the time


class LeaseLost(Exception):
    """Others have taken over what was ours."""


class Alone:
    """The only process of its store: nothing can be lost, every duty is ours. Implements `ports.Duties`."""

    def may_act(self) -> bool:
        return True

    def holds(self, name: str) -> bool:
        return True

    async def perform(self, name: str, work: Callable[[], Awaitable[None]]) -> None:
        await work()

    async def run(self, heard: Callable[[Beat], None]) -> None:
        """There is nobody to hear of."""

    async def begun(self) -> None:
        """At once."""

    @asynccontextmanager
    async def life(self) -> AsyncIterator[None]:
        """For ever."""
        yield

    async def lapse(self) -> None:
        """Never."""
        await asyncio.Event().wait()

    def hurry(self) -> None:
        """There is nothing to be looked for."""


class Fleet:
    """This process as a worker. Implements `ports.Duties`."""

    def __init__(self, workers: Workers, clock: Callable[[], float] | None = None) -> None:
        self._workers = workers
        self._clock = clock or _awake
        self._lease = workers.lease or 0.0
        self._until = 0.0  # until then we may act, by our clock
        self._since: float | None = None  # how long our heartbeats have come without a gap
        self._last = 0.0
        self._alive = asyncio.Event()
        self._lapsed = asyncio.Event()
        self._over = asyncio.Event()
        self._over.set()
        self._beaten = asyncio.Condition()
        self._hurry = asyncio.Event()
        self._held: set[str] = set()
        self._lives = 0

    def may_act(self) -> bool:
        """Whether anything may be sent at this instant: checked by the clock, which a pause does not stop."""
        return self._clock() < self._until

    def hurry(self) -> None:
        """Beat now: there is something to be learned."""
        self._hurry.set()

    async def begun(self) -> None:
        """Wait until we are a worker."""
        await self._alive.wait()

    @asynccontextmanager
    async def life(self) -> AsyncIterator[None]:
        """What is done as one worker: another life begins only when all of it has come to its end, so that nothing of it is
        done under the new name."""
        await self._alive.wait()
        self._over.clear()
        try:
            yield
        finally:
            self._over.set()

    async def lapse(self) -> None:
        """Wait for the end of this life. Raises LeaseLost."""
        await self._lapsed.wait()
        raise LeaseLost

    async def run(self, heard: Callable[[Beat], None]) -> None:
        """Live until cancelled, from lease to lease. `heard` is told what each heartbeat learns."""
        while True:
            await self._over.wait()
            await insist(self._workers.enrol)
            self._lives += 1
            self._lapsed.clear()
            self._since = None
            try:
                await self._live(heard)
            finally:
                self._until = 0.0
                self._held.clear()
                self._alive.clear()
                self._lapsed.set()
            log.warning("Taken for dead by other workers: what was under way is theirs now. Beginning again.")

    async def _live(self, heard: Callable[[Beat], None]) -> None:
        """Until others have shared out what was ours."""
        while True:
            began = self._clock()
            try:
                beat = await self._workers.beat(reap=self._steady(began))
            except StorageError as error:
                log.error("No heartbeat: %s", error)
            else:
                if not beat.alive:
                    return
                self._until = began + self._lease - MARGIN
                new = self._since is None or beat.jumped or began - self._last > GAP
                self._since = began if new else self._since
                self._last = began
                if beat.freed:
                    log.warning("Workers taken for dead: %d. Their chats go to others.", beat.freed)
                self._alive.set()
                heard(beat)
                async with self._beaten:
                    self._beaten.notify_all()
            await self._pause()

    def _steady(self, now: float) -> bool:
        """After an outage of the database, or a jump of its clock, all leases are over: nobody is taken for dead before all
        could have come back."""
        return self._since is not None and now - self._last <= GAP and now - self._since >= self._lease

    async def _pause(self) -> None:
        try:
            async with asyncio.timeout(BEAT):
                await self._hurry.wait()
        except TimeoutError:
            pass  # it is time for the next one
        self._hurry.clear()

    # --- duties --------------------------------------------------------------------------------------------------------

    def holds(self, name: str) -> bool:
        return name in self._held and self.may_act()

    async def perform(self, name: str, work: Callable[[], Awaitable[None]]) -> None:
        while True:
            await self._win(name)
            try:
                if await self._work(work):
                    return
            finally:
                if name in self._held:  # else it is no longer ours to give
                    self._held.discard(name)
                    await self._leave(name)

    async def _win(self, name: str) -> None:
        await self.begun()
        while True:
            try:
                life = self._lives
                if self.may_act() and await self._workers.take_duty(name) and life == self._lives:
                    self._held.add(name)  # by the name that we still bear
                    return
            except StorageError as error:
                log.error("Cannot take %s yet: %s", name, error)
            async with self._beaten:
                await self._beaten.wait()

    async def _work(self, work: Callable[[], Awaitable[None]]) -> bool:
        """True when it came to its end; False when the duty was lost."""
        async with asyncio.TaskGroup() as tasks:
            working = tasks.create_task(_kept(work))
            losing = tasks.create_task(self._lapsed.wait())
            await asyncio.wait((working, losing), return_when=asyncio.FIRST_COMPLETED)
            done = working.done()
            working.cancel()
            losing.cancel()
        if not done:
            return False
        error = working.result()
        if error is not None:
            raise error
        return True

    async def _leave(self, name: str) -> None:
        try:
            async with asyncio.timeout(LAST_WORD):
                await self._workers.leave_duty(name)
        except (StorageError, TimeoutError) as error:
            log.warning("%s goes to another worker only when our lease is over: %s", name, error)


async def _kept(work: Callable[[], Awaitable[None]]) -> Exception | None:
    """Its error, kept from the task group, which would wrap it."""
    try:
        await work()
    except Exception as error:  # noqa: BLE001  # raised again by `perform`
        return error
    return None


def _awake() -> float:
    """Seconds, also those in which the machine slept, where the system counts them."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()
