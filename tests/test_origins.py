"""A complaint about what nobody closed names the test that opened it."""

import asyncio

import aiohttp

HEADERS = b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n"  # and no body: the connection stays in use


async def test_connections_and_sessions_say_where_and_in_which_test_they_were_opened() -> None:
    ended = asyncio.Event()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(HEADERS)
        await reader.read()
        writer.close()
        await writer.wait_closed()
        ended.set()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        host, port = server.sockets[0].getsockname()
        async with aiohttp.ClientSession() as session, session.get(f"http://{host}:{port}/") as response:
            for opened in (session, response.connection):
                assert "opened by tests/test_origins.py:" in repr(opened)
                assert "during tests/test_origins.py::test_connections_and_sessions" in repr(opened)
        await ended.wait()
