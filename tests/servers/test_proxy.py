"""The proxy by which links are broken: what each fault does to a client and a server that know nothing of it."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest

from tests.servers.proxy import Cut, FaultProxy, Garbage, HalfOpen, Latency, Refuse, Reset, SlowLoris, Way

SOON = 5.0  # seconds for what must happen
NEVER = 0.2  # seconds in which what must not happen would have happened

Client = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Echo:
    """A server that says each byte back; `heard` is all that reached it."""

    def __init__(self) -> None:
        self.heard = b""
        self.open = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.open += 1
        try:
            while data := await reader.read(65_536):
                self.heard += data
                writer.write(data)
                await writer.drain()
        except OSError:
            pass  # a reset is one of the things that are tested
        finally:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()
            self.open -= 1

    async def all_left(self) -> None:
        async with asyncio.timeout(SOON):
            while self.open:  # noqa: ASYNC110  # it learns it from the kernel
                await asyncio.sleep(0.01)


class Proxy(FaultProxy):
    """One that makes clients, too."""

    clients: list[Client]

    async def connected(self) -> Client:
        self.clients.append(await asyncio.open_connection("127.0.0.1", self.port))
        return self.clients[-1]


@asynccontextmanager
async def proxied(seed: int = 1) -> AsyncIterator[tuple[Echo, Proxy]]:
    echo, clients = Echo(), list[Client]()
    server = await asyncio.start_server(echo.serve, "127.0.0.1", 0)
    try:
        async with Proxy("127.0.0.1", server.sockets[0].getsockname()[1], random.Random(seed)) as proxy:
            proxy.clients = clients
            yield echo, proxy
    finally:
        server.close()
        for _, writer in clients:
            writer.close()
            with suppress(OSError):  # it was reset
                await writer.wait_closed()
        await echo.all_left()


async def said(client: Client, data: bytes) -> bytes:
    """What comes back for it."""
    client[1].write(data)
    async with asyncio.timeout(SOON):
        return await client[0].readexactly(len(data))


async def silent(client: Client, data: bytes) -> bool:
    try:
        async with asyncio.timeout(NEVER):
            client[1].write(data)
            await client[0].read(1)
    except TimeoutError:
        return True
    return False


async def until_reset(client: Client) -> bytes:
    """What was heard before the connection was reset."""
    heard = b""
    with pytest.raises(ConnectionResetError):
        async with asyncio.timeout(SOON):
            while data := await client[0].read(1000):
                heard += data
    return heard


async def test_without_a_fault_all_bytes_pass_and_so_does_the_end() -> None:
    async with proxied() as (echo, proxy):
        client = await proxy.connected()
        data = random.Random(0).randbytes(3_000_000)
        client[1].write(data)
        client[1].write_eof()
        async with asyncio.timeout(SOON):
            assert await client[0].read(-1) == data
        assert echo.heard == data


async def test_leaving_closes_everything() -> None:
    async with proxied() as (_, proxy):
        clients = [await proxy.connected() for _ in range(3)]
        for client in clients:
            await said(client, b"hello")
        await proxy.impose(HalfOpen())
        assert proxy.open == 3
    async with asyncio.timeout(SOON):
        for client in clients:
            assert await client[0].read(-1) == b""


async def test_latency_delays_both_ways_and_ends_with_the_fault() -> None:
    async with proxied() as (_, proxy):
        client = await proxy.connected()
        async with proxy.suffering(Latency(seconds=0.1)):
            began = time.monotonic()
            await said(client, b"hello")
            assert time.monotonic() - began >= 0.2
        await proxy.impose(Latency(seconds=60))
        client[1].write(b"late")
        await asyncio.sleep(0.05)
        await proxy.heal()
        async with asyncio.timeout(SOON):
            assert await client[0].readexactly(4) == b"late"


async def test_reset_strikes_open_and_new_connections() -> None:
    async with proxied() as (_, proxy):
        client = await proxy.connected()
        await said(client, b"hello")
        async with proxy.suffering(Reset()):
            assert await until_reset(client) == b""
            assert await until_reset(await proxy.connected()) == b""
        assert await said(await proxy.connected(), b"again") == b"again"


async def test_half_open_connections_stay_so_and_new_ones_work_afterwards() -> None:
    async with proxied() as (echo, proxy):
        old = await proxy.connected()
        await said(old, b"hello")
        async with proxy.suffering(HalfOpen()):
            new = await proxy.connected()
            assert await silent(old, b"lost")
            assert await silent(new, b"lost")
        assert await silent(old, b"lost")
        assert echo.heard == b"hello"
        assert await said(await proxy.connected(), b"again") == b"again"


async def test_half_open_one_way() -> None:
    async with proxied() as (echo, proxy):
        client = await proxy.connected()
        await said(client, b"hello")
        async with proxy.suffering(HalfOpen(ways=frozenset({Way.ANSWERS}))):
            assert await silent(client, b"heard")
        assert echo.heard == b"helloheard"


@pytest.mark.parametrize("after", [0, 1, 7, 5000])
async def test_a_cut_leaves_exactly_so_many_bytes(after: int) -> None:
    async with proxied() as (echo, proxy):
        client = await proxy.connected()
        await said(client, b"hello")
        async with proxy.suffering(Cut(after=after)):
            client[1].write(b"x" * 9000)
            assert len(await until_reset(client)) == after
        await proxy.impose(Cut(after=3, way=Way.REQUESTS))
        other, before = await proxy.connected(), len(echo.heard)
        other[1].write(b"abcdef")
        await until_reset(other)
        assert echo.heard[before:] in (b"", b"a", b"ab", b"abc"), "what was written right before a reset may be lost"


async def test_slow_loris_gives_byte_by_byte() -> None:
    async with proxied() as (_, proxy):
        client = await proxy.connected()
        async with proxy.suffering(SlowLoris(pause=0.02)):
            began = time.monotonic()
            await said(client, b"0123456789")
            assert time.monotonic() - began >= 0.18
            client[1].write(b"x" * 100_000)
        async with asyncio.timeout(SOON):
            assert await client[0].readexactly(100_000) == b"x" * 100_000


async def test_garbage_replaces_answers_or_goes_before_them_by_the_seed() -> None:
    async def heard(inserted: bool) -> bytes:
        async with proxied(seed=5) as (echo, proxy):
            client = await proxy.connected()
            async with proxy.suffering(Garbage(inserted=inserted)):
                client[1].write(b"hello")
                async with asyncio.timeout(SOON):
                    answer = await client[0].read(1000)
            assert echo.heard == b"hello"
            return answer

    replaced, inserted = await heard(False), await heard(True)
    assert len(replaced) == 5 and replaced != b"hello"
    assert inserted.endswith(b"hello") and len(inserted) > 5
    assert (replaced, inserted) == (await heard(False), await heard(True))


async def test_refuse_closes_the_port_and_opens_the_same_again() -> None:
    async with proxied() as (_, proxy):
        client, port = await proxy.connected(), proxy.port
        await said(client, b"hello")
        async with proxy.suffering(Refuse()):
            await until_reset(client)
            with pytest.raises(ConnectionRefusedError):
                await proxy.connected()
        assert proxy.port == port
        assert await said(await proxy.connected(), b"again") == b"again"
