"""PostgreSQL by asyncpg: for many workers. It does the locking, the ordering, the durability and the wake-up.

Everything that waits while a commit runs becomes the next commit, as in `sqlite.py`. Here its transactions move in step: what
all of them ask for next is one pipelined round trip for each kind of statement. Transactions of one chat take turns, and
their chats' rows are locked before the first step, in the order of their keys: per chat everything is serial, between workers
as well.

Beside it: `batch` (running a commit), `postgres_open` (the first connection: what can be wrong with it, and the schema).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import secrets
import socket
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import asyncpg

from bot import metrics
from bot.errors import StorageError
from bot.ports import Topic
from storage.batch import NotCommitted, PendingTransaction, Retry, commit
from storage.postgres_open import LOST, connect, prepare, told
from storage.transaction import TransactionFactory

T = TypeVar("T")
log = logging.getLogger(__name__)

COMMITTERS = 2  # connections that commit: while one waits for the disk the other goes on
BATCH = 500  # transactions that share a commit
GIVE_WAY = 0.01, 0.05  # seconds, before a commit that stood in others' way is tried again
TRIES = 3  # of a commit that surely left nothing behind: a deadlock, a connection lost before its end
LEASE = 3.0  # seconds for which a heartbeat keeps a worker alive
RECONNECT = (0.1, 2.0)  # seconds between attempts: the first wait and the longest
ENDING = 2.0  # seconds for what was handed in, when the store is closed
CHANNEL = "magpie"
BROKEN = (asyncpg.PostgresError, *LOST)  # whatever is wrong with a connection: another one is made


@asynccontextmanager
async def open_postgres(url: str) -> AsyncIterator[Postgres]:
    """Connect and migrate. Raises StorageRefused with what to do."""
    await prepare(url)
    database = Postgres(url)
    # Awaited below. No TaskGroup: it would wrap every error of those who use the store into a group.
    tasks = [
        asyncio.create_task(database.serve(queue, listens=queue is database.urgent), name="postgres")
        for queue in (database.urgent, *[database.ordinary] * COMMITTERS)
    ]
    try:
        yield database
    finally:
        database.close()
        await asyncio.wait(tasks, timeout=ENDING)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class _Queue:
    """What waits for a commit."""

    def __init__(self) -> None:
        self._pending: list[PendingTransaction] = []
        self._some = asyncio.Event()
        self.closed = False

    def put(self, batch: Sequence[PendingTransaction]) -> None:
        self._pending += batch
        self._some.set()

    def put_again(
        self, batch: Sequence[PendingTransaction], why: str, *, alone: bool = False, last: bool = False
    ) -> None:
        """After a commit of which surely nothing happened; `alone`: from now on each in a commit of its own. One that was
        tried often enough fails: `why`."""
        for pending in batch:
            pending.tries += 1
            pending.alone |= alone
            if last or pending.tries >= TRIES:
                pending.fail(StorageError(f"PostgreSQL: {why}"))
        self.put([pending for pending in batch if not pending.done.done()])

    def close(self) -> None:
        self.closed = True
        self._some.set()

    async def take(self) -> list[PendingTransaction]:
        """The next batch; empty when closed."""
        while not self._pending and not self.closed:
            self._some.clear()
            await self._some.wait()
        size = next((number for number, pending in enumerate(self._pending[:BATCH]) if pending.alone), BATCH) or 1
        batch, self._pending = self._pending[:size], self._pending[size:]
        return batch

    def take_all(self) -> list[PendingTransaction]:
        batch, self._pending = self._pending, []
        return batch


class Postgres:
    """A `storage.store.Database`. `others`: how many more workers there are, as far as we know."""

    lease: float | None = LEASE

    def __init__(self, url: str) -> None:
        self.worker = ""
        self.others = 1
        self.ordinary, self.urgent = _Queue(), _Queue()
        self._url = url
        self._offset = time.time() - time.monotonic()  # what the database's clock is ahead of our monotonic one
        self._ours: set[int] = set()  # the server's processes that serve us: their wake-ups are our own
        self._heard: dict[str, list[Callable[[], None]]] = {topic: [] for topic in Topic}
        self.renew()

    def renew(self) -> str:
        """Another worker from now on: whatever the old one still does is refused."""
        self.worker = f"{socket.gethostname()}-{secrets.token_hex(6)}"
        return self.worker

    def now(self) -> float:
        """The database's clock, as of the last heartbeat: that of this machine may be wrong, or jump."""
        return time.monotonic() + self._offset

    def subscribe(self, topic: Topic, heard: Callable[[], None]) -> None:
        self._heard[topic].append(heard)

    async def run(
        self,
        make: TransactionFactory[T],
        *,
        chats: Sequence[str] | None = (),
        tells: Sequence[Topic] = (),
        urgent: bool = False,
    ) -> T:
        queue = self.urgent if urgent else self.ordinary
        if queue.closed:
            raise StorageError("The store is closed.")
        pending = PendingTransaction(make, chats, tells, asyncio.get_running_loop().create_future())
        queue.put([pending])
        result: T = await pending.done
        return result

    def close(self) -> None:
        """Take no more; what was taken is committed."""
        self.ordinary.close()
        self.urgent.close()

    # --- one connection ------------------------------------------------------------------------------------------------

    async def serve(self, queue: _Queue, *, listens: bool) -> None:
        """Commit what the queue holds until it is closed, over as many connections as it takes."""
        wait = RECONNECT[0]
        while True:
            try:
                connection = await connect(self._url)
            except BROKEN as error:
                # Of those who wait each has its tries: one connection that is cut while it is made means nothing yet.
                queue.put_again(queue.take_all(), f"it cannot be reached: {told(error)}", last=queue.closed)
                if queue.closed:
                    return
                log.warning("PostgreSQL cannot be reached: %s", told(error))
                await asyncio.sleep(wait)
                wait = min(wait * 2, RECONNECT[1])
                continue
            pid = connection.get_server_pid()
            self._ours.add(pid)
            try:
                if await self._work(connection, queue, listens=listens):
                    return
                wait = RECONNECT[0]
            finally:
                self._ours.discard(pid)
                connection.terminate()

    async def _work(self, connection: asyncpg.Connection[Any], queue: _Queue, *, listens: bool) -> bool:
        """True when the queue is closed and empty; False when the connection is lost."""
        try:
            if listens:
                await self._listen(connection)
            while batch := await queue.take():
                try:
                    # Also finds out a connection that was lost while nobody asked anything of it.
                    if listens or connection.is_closed():
                        await self._read_clock(connection)
                except BROKEN:
                    queue.put(batch)
                    raise
                if not await self._commit(connection, batch, queue):
                    return False
        except BROKEN as error:
            log.warning("PostgreSQL: connection lost: %s", told(error))
            return False
        with contextlib.suppress(*BROKEN):
            await connection.close(timeout=1.0)
        return True

    async def _commit(
        self, connection: asyncpg.Connection[Any], batch: Sequence[PendingTransaction], queue: _Queue
    ) -> bool:
        """False when the connection is of no use any more."""
        try:
            with metrics.COMMITS.time():
                await commit(connection, batch, self.others > 0)
            return True
        except Retry:
            queue.put_again(batch, "other transactions were in the way", alone=True)
            await asyncio.sleep(random.uniform(*GIVE_WAY))  # else we may be first again at what the others wait for
            return True
        except NotCommitted as error:  # nothing of it happened: another connection may do better
            queue.put_again(batch, str(error))
            log.warning("PostgreSQL: connection lost: %s", error)
            return False
        except LOST as error:  # in the middle of COMMIT: nobody knows
            for pending in batch:
                pending.fail(StorageError(f"PostgreSQL: connection lost in a commit: {told(error)}"))
            raise
        except Exception as error:  # a bug: it belongs to whoever asked for it, and ends nothing else
            log.exception("PostgreSQL: a commit of %d broke down", len(batch))
            if len(batch) == 1:
                batch[0].fail(error)
            else:
                queue.put_again(batch, "a commit broke down", alone=True)
            return False
        except BaseException:  # cancelled: nobody waits for ever
            for pending in batch:
                pending.fail(StorageError("The store was closed in the middle of a commit."))
            raise

    async def _read_clock(self, connection: asyncpg.Connection[Any]) -> None:
        """With each heartbeat: whichever clock jumps, workers agree."""
        before = time.monotonic()
        clock: float = await connection.fetchval("SELECT extract(epoch FROM clock_timestamp())::float8")
        self._offset = clock - (before + time.monotonic()) / 2

    async def _listen(self, connection: asyncpg.Connection[Any]) -> None:
        def hear(_: object, pid: int, channel: str, payload: object) -> None:
            if pid not in self._ours:
                for heard in self._heard.get(str(payload), ()):  # a newer version may tell of more
                    heard()

        await connection.add_listener(CHANNEL, hear)
        for topic in Topic:  # whatever was told while nobody listened
            for heard in self._heard[topic]:
                heard()
