"""A TCP proxy that breaks what goes through it, as networks do, by chances that are given to it.

    async with FaultProxy("127.0.0.1", server_port, random.Random(7)) as proxy:
        ...  # clients connect to proxy.port
        await proxy.impose(Reset())
        await proxy.heal()

It knows no protocol: a 429 or a wrong answer is the stand-ins' own matter. One fault at a time, on all connections alike; it
strikes those that are open and those that come while it lasts.
"""

from __future__ import annotations

import asyncio
import random
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from enum import Enum
from types import TracebackType
from typing import Self

MOST = 512  # connections at once, so that a client that never closes any is refused instead of followed
CHUNK = 65_536  # bytes read at once
AT_ONCE_RST = struct.pack("ii", 1, 0)  # SO_LINGER with no time: closing sends RST


class Way(Enum):
    """Which stream of a connection."""

    REQUESTS = "client to server"
    ANSWERS = "server to client"


BOTH = frozenset(Way)


@dataclass(frozen=True, slots=True, kw_only=True)
class Latency:
    """Each chunk, both ways, is late by `seconds` and by chance up to `jitter` more."""

    seconds: float
    jitter: float = 0.0


@dataclass(frozen=True, slots=True)
class Reset:
    """RST on what is open and on what comes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HalfOpen:
    """What goes `ways` is swallowed, and nobody is told: no RST, no FIN. A connection that lived through it stays so for ever,
    as when a router has forgotten it."""

    ways: frozenset[Way] = BOTH


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """RST after `after` more bytes on each connection's `way`."""

    after: int
    way: Way = Way.ANSWERS


@dataclass(frozen=True, slots=True, kw_only=True)
class SlowLoris:
    """The server's answers come byte by byte, `pause` seconds apart."""

    pause: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Garbage:
    """A `share` of the chunks of the server's answers are random bytes instead, or have some put before them (`inserted`)."""

    share: float = 1.0
    inserted: bool = False


@dataclass(frozen=True, slots=True)
class Refuse:
    """The port is closed to new connections, the open ones are reset."""


Fault = Latency | Reset | HalfOpen | Cut | SlowLoris | Garbage | Refuse


class Link:
    """One connection through the proxy."""

    def __init__(self, client: asyncio.StreamWriter, server: asyncio.StreamWriter) -> None:
        self.ends = (client, server)
        self.swallowed: frozenset[Way] = frozenset()  # for ever
        self.passed = dict.fromkeys(Way, 0)  # bytes since the present fault began

    def reset(self) -> None:
        for end in self.ends:
            reset(end)

    async def close(self) -> None:
        for end in self.ends:
            end.close()
        for end in self.ends:
            with suppress(OSError):
                await end.wait_closed()


class FaultProxy:
    """`host` and `port` of the server; a `host` with a slash is the path of its Unix socket. `struck` counts what the present
    fault has done so far: chunks that it changed, held up or swallowed, connections that it cut."""

    def __init__(self, host: str, port: int, chance: random.Random) -> None:
        self._upstream = (host, port)
        self._chance = chance
        self._fault: Fault | None = None
        self._changed = asyncio.Event()
        self._links: set[Link] = set()
        self._tasks = asyncio.TaskGroup()
        self._server: asyncio.Server | None = None
        self._running: set[asyncio.Task[None]] = set()
        self.port = 0
        self.struck = 0

    async def __aenter__(self) -> Self:
        await self._tasks.__aenter__()
        await self._listen(_bound(0))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close_port()
        for link in self._links:
            for end in link.ends:
                end.transport.abort()  # what is not sent yet is not waited for
        for task in self._running:
            task.cancel()
        # The group takes a cancellation for its own business; any other error is its user's, and shall be seen as it is.
        cancelled = isinstance(error, asyncio.CancelledError)
        await self._tasks.__aexit__(*((kind, error, trace) if cancelled else (None, None, None)))

    @property
    def open(self) -> int:
        """How many connections go through it now."""
        return len(self._links)

    async def impose(self, fault: Fault) -> None:
        """From now on, until `heal` or another fault."""
        await self.heal()
        self._fault, self.struck = fault, 0
        for link in self._links:
            link.passed = dict.fromkeys(Way, 0)
            if isinstance(fault, HalfOpen):
                link.swallowed |= fault.ways
        if isinstance(fault, Refuse):
            self._close_port()
        if isinstance(fault, Reset | Refuse):
            for link in tuple(self._links):
                self._cut(link)

    async def heal(self) -> None:
        """What was not lost goes on at once."""
        closed = self._server is None
        self._fault = None
        self._changed.set()  # whoever is being held up looks again
        self._changed = asyncio.Event()
        if closed:
            await self._listen(_bound(self.port))

    @asynccontextmanager
    async def suffering(self, fault: Fault) -> AsyncIterator[None]:
        await self.impose(fault)
        try:
            yield
        finally:
            await self.heal()

    # ── the port

    async def _listen(self, port: socket.socket) -> None:
        self._server = await asyncio.start_server(self._accept, sock=port)
        self.port = port.getsockname()[1]

    def _close_port(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(self._links) >= MOST or isinstance(self._fault, Reset | Refuse):
            self.struck += 1
            reset(writer)
            return
        task = self._tasks.create_task(self._serve(reader, writer))
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def _serve(self, client_reader: asyncio.StreamReader, client: asyncio.StreamWriter) -> None:
        try:
            server_reader, server = await self._connect()
        except OSError:
            reset(client)  # the server itself is not there
            return
        link = Link(client, server)
        if isinstance(self._fault, HalfOpen):
            link.swallowed = self._fault.ways
        self._links.add(link)
        try:
            async with asyncio.TaskGroup() as ways:
                ways.create_task(self._pump(link, Way.REQUESTS, client_reader, server))
                ways.create_task(self._pump(link, Way.ANSWERS, server_reader, client))
        finally:
            await link.close()
            self._links.discard(link)

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        host, port = self._upstream
        return await (asyncio.open_unix_connection(host) if "/" in host else asyncio.open_connection(host, port))

    # ── one stream

    async def _pump(self, link: Link, way: Way, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(CHUNK):
                await self._pass(link, way, data, writer)
            if way in link.swallowed:
                return  # its end is swallowed as well
            writer.write_eof()
        except OSError:
            if not link.swallowed:
                link.reset()

    async def _pass(self, link: Link, way: Way, data: bytes, writer: asyncio.StreamWriter) -> None:
        """Hand `data` on, as the present fault allows."""
        while data:
            data = await self._part(link, way, data, writer)
            await writer.drain()

    async def _part(self, link: Link, way: Way, data: bytes, writer: asyncio.StreamWriter) -> bytes:
        """Hand the beginning of `data` on; the rest."""
        if way in link.swallowed:
            self.struck += 1
            return b""
        match self._fault:
            case Latency(seconds=seconds, jitter=jitter):
                await self._hold_up(seconds + self._chance.uniform(0, jitter))
                if way in link.swallowed:
                    return data
            case Cut(after=after, way=cut) if cut is way:
                writer.write(data[: max(0, after - link.passed[way])])
                link.passed[way] += len(data)
                if link.passed[way] >= after:
                    await _flushed(writer)
                    self._cut(link)
                return b""
            case SlowLoris(pause=pause) if way is Way.ANSWERS:
                writer.write(data[:1])
                await self._hold_up(pause)
                return data[1:]
            case Garbage(share=share, inserted=inserted) if way is Way.ANSWERS and self._chance.random() < share:
                self.struck += 1
                noise = self._chance.randbytes(self._chance.randint(1, 64) if inserted else len(data))
                data = noise + data if inserted else noise
        writer.write(data)
        return b""

    async def _hold_up(self, seconds: float) -> None:
        self.struck += 1
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._changed.wait()

    def _cut(self, link: Link) -> None:
        self.struck += 1
        link.reset()


def reset(writer: asyncio.StreamWriter) -> None:
    """RST instead of FIN; what was not sent yet is lost."""
    connection = writer.get_extra_info("socket")
    if connection is not None and connection.family != socket.AF_UNIX:
        with suppress(OSError):  # it is closed already
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, AT_ONCE_RST)
    writer.transport.abort()


async def _flushed(writer: asyncio.StreamWriter) -> None:
    """Until all that was written is the kernel's: `drain` waits for the high-water mark alone."""
    while writer.transport.get_write_buffer_size() and not writer.is_closing():  # noqa: ASYNC110  # asyncio tells nobody
        await asyncio.sleep(0.001)


def _bound(port: int) -> socket.socket:
    bound = socket.create_server(("127.0.0.1", port), backlog=MOST)
    bound.setblocking(False)
    return bound
