"""Which of the bot's shards this process holds: how many there are, who asks for which, and when one may identify itself.

A shard is a part of the bot's servers with a gateway connection of its own. Each is a duty: the process that has it keeps the
connection, and another takes it over. A takeover begins a new session and reads from the history what was missed. Resuming
the other's session would tell us no servers, roles and channels, which decide what is meant for the bot, and its sequence
would have to be committed with every event.

It does no harm when two processes hold one shard for a moment: Discord tells both everything, and the inbox takes it once.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

import yarl

from bot.errors import Forbidden, PlatformError, Rejected, RetryLater, Revoked, StorageError
from bot.platforms.discord_limits import Limits
from bot.platforms.discord_rest import Rest
from bot.ports import Cursors, Duties

log = logging.getLogger(__name__)

SPARED_STARTS = 10  # of the sessions that Discord allows in a day: who begins one too many has the token reset
ATTEMPTS_AT_MOST = 60.0  # seconds between two attempts
MOST_COURTESY = 4  # shards held, for each of which the others are left a while (`Limits.courtesy`) before we ask again
PROMPT = (
    5.0  # seconds: a shard that we get only later has been somebody's meanwhile, and others are waiting for it again
)

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Shard:
    """Number `id` of `count`."""

    id: int
    count: int

    def hears(self, guild: str) -> bool:
        """Whether Discord tells it of this server; "" stands for private chats, which are shard 0's."""
        return (int(guild or 0) >> 22) % self.count == self.id


class TooManyServers(Exception):
    """Discord closed a shard because it has too many servers."""


class Starts:
    """New sessions of this process, and what they have in common: see `turn`. `reads_content`: whether to ask for the
    message-content intent, until Discord has refused it. `pause`: seconds between two that follow each other."""

    def __init__(self, rest: Rest, duties: Duties, application: str, tasks: asyncio.TaskGroup, pause: float) -> None:
        self.reads_content = True
        self._rest = rest
        self._duties = duties
        self._application = application
        self._tasks = tasks
        self._pause = pause
        self._one_by_one: defaultdict[int, asyncio.Lock] = defaultdict(asyncio.Lock)

    @asynccontextmanager
    async def turn(self, shard: Shard) -> AsyncIterator[yarl.URL]:
        """Wait until this shard may identify: shards with the same remainder by `max_concurrency` go one in five seconds, those
        of other processes too. Gives the gateway's address. Raises PlatformError: RetryLater when the day's sessions are used
        up."""
        told = await self._rest.call("GET", "/gateway/bot", limit="gateway")
        limits = told["session_start_limit"]
        if limits["remaining"] <= SPARED_STARTS:
            log.error("Discord allows no more new sessions for %d minutes", limits["reset_after"] / 60_000)
            raise RetryLater(limits["reset_after"] / 1000)
        granted, sent = asyncio.Event(), asyncio.Event()
        queueing = self._tasks.create_task(self._queue(shard.id % limits["max_concurrency"], granted, sent))
        try:
            await granted.wait()
            yield yarl.URL(told["url"])
        finally:
            sent.set()
            if not granted.is_set():
                queueing.cancel()

    async def _queue(self, remainder: int, granted: asyncio.Event, sent: asyncio.Event) -> None:
        async def occupy() -> None:
            granted.set()
            await sent.wait()
            await asyncio.sleep(self._pause)

        async with self._one_by_one[remainder]:
            await self._duties.perform(f"discord/{self._application}/identify/{remainder}", occupy)


@dataclass(frozen=True, slots=True)
class Tenure:
    """A shard while it is ours. `holds` tells whether it still is: a process that was paused learns it before it acts."""

    shard: Shard
    holds: Callable[[], bool]
    starts: Starts


class Shards:
    """The number of shards is one for the whole fleet: the first process takes what Discord recommends and notes it down. It
    changes when Discord refuses a shard for too many servers, or when the note is emptied; all processes then begin anew within
    a minute. Until then some servers are heard twice, by the shards of either number, which are duties of their own."""

    def __init__(self, rest: Rest, cursors: Cursors, duties: Duties, limits: Limits) -> None:
        self._rest = rest
        self._cursors = cursors
        self._duties = duties
        self._limits = limits
        self._held = 0

    async def run(self, serve: Callable[[Tenure], Awaitable[None]]) -> None:
        """Hold shards and `serve` each until cancelled. Raises, maybe in a group, what no retry can heal."""
        application = await insist(self._application)
        refused = 0
        while True:
            count = await insist(partial(self._agree, application, refused))
            refused = 0
            try:
                async with asyncio.TaskGroup() as tasks:
                    starts = Starts(self._rest, self._duties, application, tasks, self._limits.identify)
                    tasks.create_task(self._watch(application, count))
                    for id in range(count):
                        tasks.create_task(self._hold(application, Shard(id, count), starts, serve))
            except* TooManyServers:
                log.warning("Discord: the bot is in too many servers for %d connections", count)
                refused = count
            except* _Renumbered:
                log.info("Discord: the number of connections has changed")

    async def _application(self) -> str:
        try:
            return str((await self._rest.call("GET", "/applications/@me"))["id"])
        except Revoked:
            raise Revoked("Discord does not accept DISCORD_BOT_TOKEN") from None

    # --- how many ------------------------------------------------------------------------------------------------------

    async def _agree(self, application: str, refused: int) -> int:
        """The number noted down, else Discord's; more than were `refused`. One process at a time decides."""
        count = 0

        async def decide() -> None:
            nonlocal count
            count = await self._noted(application)
            if count <= refused:
                count = int((await self._rest.call("GET", "/gateway/bot", limit="gateway"))["shards"])
                if count <= refused:
                    raise Rejected(f"Discord finds {refused} shards too few, and recommends {count}")
                await self._cursors.note({_note(application): str(count)})

        await self._duties.perform(f"discord/{application}/shards", decide)
        return count

    async def _noted(self, application: str) -> int:
        """0 while there is none."""
        value = (await self._cursors.notes(_note(application))).get(_note(application), "")
        return int(value) if value.isdecimal() else 0

    async def _watch(self, application: str, count: int) -> None:
        while True:
            await asyncio.sleep(self._limits.renumbered)
            try:
                noted = await self._noted(application)
            except StorageError as error:
                log.warning("Discord: the number of connections cannot be read: %s", error)
            else:
                if noted != count:
                    raise _Renumbered

    # --- which are ours ------------------------------------------------------------------------------------------------

    async def _hold(
        self, application: str, shard: Shard, starts: Starts, serve: Callable[[Tenure], Awaitable[None]]
    ) -> None:
        """Ask for the shard again and again. Who already holds some passes one by, and comes back for it when the others have
        had their chance: with equal processes each gets its share, and a lone one has all of them in the end."""
        name = f"discord/{application}/{shard.id}/{shard.count}"
        tenure = Tenure(shard, partial(self._duties.holds, name), starts)
        spared, asked = 0, 0.0  # shards held when we last left the others their chance, and when that was over

        async def work() -> None:
            if self._held and (self._held > spared or time.monotonic() - asked > PROMPT):
                return
            self._held += 1
            log.info("Discord: shard %d of %d is ours", shard.id, shard.count)
            try:
                await serve(tenure)
            finally:
                self._held -= 1

        while True:
            asked = time.monotonic()
            await self._duties.perform(name, work)
            spared = self._held
            await asyncio.sleep(self._limits.courtesy * min(spared, MOST_COURTESY))


class _Renumbered(Exception):
    """Another process has changed the number of shards."""


def _note(application: str) -> str:
    return f"discord/shards/{application}"


async def insist(ask: Callable[[], Awaitable[T]]) -> T:
    """Its answer, once there is one. Raises what no retry can heal."""
    pause = 1.0
    while True:
        try:
            return await ask()
        except (Revoked, Rejected, Forbidden):
            raise
        except (PlatformError, StorageError) as error:
            log.warning("Discord: not reachable yet: %s", error)
        await asyncio.sleep(pause)
        pause = min(pause * 2, ATTEMPTS_AT_MOST)
