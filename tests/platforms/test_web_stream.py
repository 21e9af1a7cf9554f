"""The page's streams: what stands on the board, whoever wrote it, in every tab, in order and once."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest

from bot.files import FileStore
from bot.messages import Piece
from bot.platforms.web_stream import Streams
from tests.platforms.web_stage import CHAT, STOP_BUTTON, Client, MemoryBoard, Stage, client


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(FileStore(tmp_path))


@asynccontextmanager
async def follow(page: Client, after: str = "0", **headers: str) -> AsyncIterator[AsyncIterator[tuple[str, str, str]]]:
    """(event, id, data) as an EventSource reads them."""

    async def read(response: aiohttp.ClientResponse) -> AsyncIterator[tuple[str, str, str]]:
        fields: dict[str, str] = {}
        async for raw in response.content:
            line = raw.decode().rstrip("\n")
            if line:
                name, _, value = line.partition(": ")
                fields[name] = value
            else:
                if "event" in fields:
                    yield fields["event"], fields.get("id", ""), fields["data"]
                fields = {}

    url = f"{page.web.url}{CHAT}/events?after={after}"
    async with page.session.get(url, headers=headers) as response, asyncio.timeout(10):
        assert response.headers["content-type"].startswith("text/event-stream")
        yield read(response)


async def test_the_stream_tells_what_was_then_what_comes(stage: Stage) -> None:
    async with client(stage) as page:
        await page.say("hello")
        async with follow(page) as events:
            name, version, data = await anext(events)
            assert (name, version) == ("cards", "1") and json.loads(data)[0]["body"] == "hello"
            assert (await anext(events))[0] == "live"
            await page.web.working(stage.address("chat1"))
            assert (await anext(events))[0] == "working"
            await page.web.working(stage.address("other"))
            began = time.monotonic()
            await page.web.send(stage.address("chat1"), Piece("<p>hi</p>", buttons=STOP_BUTTON), "1.0.0.0")
            name, version, data = await anext(events)
            assert time.monotonic() - began < 0.5
            [card] = json.loads(data)
            assert (name, version, card["id"], card["done"]) == ("cards", "2", "1.0.0.0", False)
            await page.web.remove(stage.address("chat1"), "1.0.0.0")
            assert json.loads((await anext(events))[2])[0]["removed"] is True


@pytest.mark.parametrize("way", ["header", "query"])
async def test_a_stream_goes_on_where_it_broke_off(stage: Stage, way: str) -> None:
    async with client(stage) as page:
        for n in range(1, 4):
            await page.say(f"text {n}", f"message-000{n}")
        headers = {"Last-Event-ID": "2"} if way == "header" else {}
        async with follow(page, "0" if way == "header" else "2", **headers) as events:
            _, version, data = await anext(events)
            assert version == "3" and [card["body"] for card in json.loads(data)] == ["text 3"]


async def test_what_another_process_writes_is_streamed_too(stage: Stage) -> None:
    async with client(stage) as page, follow(page) as events:
        assert (await anext(events))[0] == "live"
        async with stage.serve() as other:
            await other.send(stage.address("chat1"), Piece("<p>from afar</p>"), "1.0.0.0")
            assert "from afar" in (await anext(events))[2]


async def test_a_long_chat_comes_whole(stage: Stage) -> None:
    async with client(stage) as page:
        for n in range(450):
            await page.web.send(stage.address("chat1"), Piece(f"<p>{n}</p>"), f"{n}.0.0.0")
        seen: list[str] = []
        async with follow(page) as events:
            async for name, _, data in events:
                if name == "live":
                    break
                seen += [card["id"] for card in json.loads(data)]
    assert seen == [f"{n}.0.0.0" for n in range(450)]


async def test_a_new_stream_beyond_the_limit_ends_the_oldest(stage: Stage) -> None:
    board = MemoryBoard()
    streams = Streams(board, limit=2)
    first, second, third = (streams.follow("c", 0) for _ in range(3))
    for one in (first, second, third):
        assert "retry" in await anext(one)
    assert "parted" in [event async for event in first][-1]
    assert "live" in await anext(second)
    streams.close()
    assert "restart" in [event async for event in second][-1]
    assert "restart" in [event async for event in third][-1]
    assert "restart" in [event async for event in streams.follow("c", 0)][-1]


async def test_a_stream_outlives_a_store_in_trouble(stage: Stage) -> None:
    async with client(stage) as page:
        stage.board.broken = True
        async with follow(page) as events:
            await asyncio.sleep(0.1)
            stage.board.broken = False
            assert (await anext(events))[0] == "live"
