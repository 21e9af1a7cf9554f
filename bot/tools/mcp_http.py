"""An MCP server that is reached by streamable HTTP: the mcp package's client, over connections that bound what comes in."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from urllib.request import getproxies, proxy_bypass

import httpx
from mcp.client.streamable_http import streamablehttp_client

from bot.tools.mcp_bounds import MOST_LINE, Heard, Line, Lines, Say, parse
from bot.tools.mcp_lost import ServerLost, Times
from bot.tools.mcp_servers import Endpoint

CONNECT = 20.0  # seconds
QUIET = 900.0  # seconds without a byte after which a stream is given up; calls have limits of their own
MOST_BODY = 64_000_000  # bytes of one response
DATA = b"data:"
UNHEARD = b'{"jsonrpc":"2.0","method":"notifications/unheard"}'  # for what concerns nobody: counted, and forgotten


@asynccontextmanager
async def http(endpoint: Endpoint, times: Times) -> AsyncIterator[tuple[Heard, Say]]:
    """The two ends of a conversation. What goes wrong later is raised in the body, in a group."""

    def client(
        headers: dict[str, str] | None = None, timeout: httpx.Timeout | None = None, auth: httpx.Auth | None = None
    ) -> httpx.AsyncClient:
        # Redirects are not followed: the headers, which may hold a key, would go along.
        transport = _Bounded(httpx.AsyncHTTPTransport(proxy=_proxy(endpoint.url)), times.grace)
        return httpx.AsyncClient(headers=headers, timeout=timeout, auth=auth, transport=transport, trust_env=False)

    async with streamablehttp_client(
        endpoint.url, dict(endpoint.headers), CONNECT, QUIET, httpx_client_factory=client
    ) as (heard, say, _):
        yield heard, say


def _proxy(url: str) -> str | None:
    """That of the environment; none leads to this machine."""
    parts = httpx.URL(url)
    near = parts.host in ("localhost", "127.0.0.1", "::1") or proxy_bypass(parts.host)
    return None if near else getproxies().get(parts.scheme)


class _Bounded(httpx.AsyncBaseTransport):
    """`goodbye`: seconds for the request that ends a session; we do not go later because a server is hung."""

    def __init__(self, inner: httpx.AsyncBaseTransport, goodbye: float) -> None:
        self._inner = inner
        self._goodbye = goodbye

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        request.headers["accept-encoding"] = "identity"
        async with asyncio.timeout(self._goodbye if request.method == "DELETE" else None):
            response = await self._inner.handle_async_request(request)
        assert isinstance(response.stream, httpx.AsyncByteStream)
        if response.headers.get("content-encoding", "identity") != "identity":  # it may unpack to anything
            await response.aclose()
            raise ServerLost("it sends packed answers, which were not asked for")
        kind = response.headers.get("content-type", "").lower()
        stream = _Body(response.stream, events=kind.startswith("text/event-stream"))
        return httpx.Response(
            response.status_code, headers=response.headers, stream=stream, extensions=response.extensions
        )

    async def aclose(self) -> None:
        await self._inner.aclose()


class _Body(httpx.AsyncByteStream):
    """Each event, or the whole body if it is none of events, is one message, bounded as a line of a child process is, and put
    right where it cannot be read: the package would log it, whole, and answer nobody. Raises ServerLost."""

    def __init__(self, inner: httpx.AsyncByteStream, *, events: bool) -> None:
        self._inner = inner
        self._events = events

    async def __aiter__(self) -> AsyncIterator[bytes]:
        body = Lines()
        async with aclosing(self._chunks()) as chunks:
            if self._events:
                async for event in _events(chunks):
                    yield event
                return
            async for chunk in chunks:
                body.add(chunk)
        yield _readable(body.take())

    async def _chunks(self) -> AsyncGenerator[bytes, None]:
        length = 0
        async for chunk in self._inner:
            length += len(chunk)
            if length > MOST_BODY:
                raise ServerLost(f"it sends more than {MOST_BODY // 1_000_000} MB in one answer")
            yield chunk

    async def aclose(self) -> None:
        await self._inner.aclose()


async def _events(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Of each event its data, on one line; what else an event may hold, nobody here asks for."""
    lines, data = Lines(MOST_LINE + 100), Lines()  # a line that is too long is so without its field's name as well
    begun = False
    async for chunk in chunks:
        for line in lines.feed(chunk):
            if line.head.startswith(DATA):
                begun = True
                data.add(line.head[len(DATA) :])
                data.add(line.tail)
            elif begun and not line.head.strip():
                begun = False
                yield DATA + _readable(data.take()) + b"\n\n"


def _readable(line: Line) -> bytes:
    message = parse(line)
    return message.model_dump_json(by_alias=True, exclude_unset=True).encode() if message else UNHEARD
