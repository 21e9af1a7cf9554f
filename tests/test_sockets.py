"""Calls go over sockets that notice when the other end is gone. That the kernel then ends a connection after 20 s was seen in a
network namespace whose loopback drops everything; a test of that would need root."""

from __future__ import annotations

import asyncio
import socket
import sys

import aiohttp
import pytest

from bot.sockets import GONE, watchful_socket
from tests.servers.telegram import TelegramServer

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the options have other names elsewhere")


async def test_a_connection_asks_whether_it_lives_and_ends_when_nothing_is_acknowledged() -> None:
    made: list[socket.socket] = []

    def kept(address: tuple[int, int, int, str, object]) -> socket.socket:
        made.append(watchful_socket(address))
        return made[-1]

    connector = aiohttp.TCPConnector(socket_factory=kept)
    async with TelegramServer() as server, aiohttp.ClientSession(connector=connector) as session:
        async with session.get(f"{server.url}/bot{server.token}/getMe") as response:
            assert response.status == 200
        connection = made[0]
        assert connection.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
        assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == GONE * 1000
        idle, each, tries = (
            connection.getsockopt(socket.IPPROTO_TCP, option)
            for option in (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT)
        )
        assert idle + each * tries <= GONE
    await asyncio.sleep(0)  # the connector's sockets close in the next round of the loop
