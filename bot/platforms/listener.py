"""An HTTP listener of our own: an address, and uvicorn on it for as long as the block runs. What is served, and who may ask for
it, is the application's matter."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from bot.errors import SettingsError

CONNECTIONS = 500  # beyond, a request gets 503
HEAD_SECONDS = 5.0  # that a connection may stand without a whole request, and as many again
GRACE = 1  # seconds for requests under way when the server ends


async def bind(what: str, host: str, port: int, variables: tuple[str, str]) -> socket.socket:
    """A socket for `serving`; `port` 0 takes a free one. Raises SettingsError, which names the variable (of host or port) to
    change; `what` cannot listen then."""
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(host or "0.0.0.0", port, type=socket.SOCK_STREAM)
        family, kind, protocol, _, address = min(found)  # IPv4 before IPv6 where a name has both
        listener = socket.socket(family, kind, protocol)
    except OSError as error:
        raise SettingsError((f"{variables[0]}: {host!r} is no address of this machine ({error.strerror})",)) from error
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
    except OSError as error:
        listener.close()
        why = f"{what} cannot listen on {host}:{port} ({error.strerror}): free it, or choose another port"
        raise SettingsError((f"{variables[1]}: {why}",)) from error
    listener.setblocking(False)
    return listener


@asynccontextmanager
async def serving(app: ASGIApp, listener: socket.socket) -> AsyncIterator[None]:
    """Serves until the block ends; requests under way then have `GRACE` seconds."""
    server = _server(app)
    await server.startup([listener])
    try:
        yield
    finally:
        await server.shutdown([listener])


class _Protocol(H11Protocol):
    """uvicorn waits for ever for the head of a request: whoever opens `CONNECTIONS` of them and says nothing would shut the
    listener for everyone, without a password. Here a connection that stands at the same place twice in a row is closed."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn writes it
        super().connection_made(transport)
        self._served: object = self  # what was served when we looked last; none yet
        self._look = self.loop.call_later(HEAD_SECONDS, self._close_if_idle)

    def connection_lost(self, exc: Exception | None) -> None:
        self._look.cancel()
        super().connection_lost(exc)

    def _close_if_idle(self) -> None:
        serving = self.cycle is not None and not self.cycle.response_complete
        if not serving and self._served is self.cycle:
            self.transport.close()
            return
        self._served = self if serving else self.cycle
        self._look = self.loop.call_later(HEAD_SECONDS, self._close_if_idle)


def _server(app: ASGIApp) -> uvicorn.Server:
    """uvicorn without its own loop, signals and lifespan: it ends with the task that runs it. Nothing of it depends on
    the tick of its `main_loop` once it writes no Date header."""
    config = uvicorn.Config(
        app,
        http=_Protocol,
        ws="none",
        lifespan="off",
        access_log=False,
        log_config=None,
        log_level=logging.ERROR,  # its warnings are what strangers send: a line each, as many as they like
        date_header=False,
        server_header=False,
        timeout_graceful_shutdown=GRACE,
        limit_concurrency=CONNECTIONS,
        proxy_headers=False,
    )
    config.load()
    server = uvicorn.Server(config)
    server.lifespan = config.lifespan_class(config)
    return server
