"""Tools of MCP servers over streamable HTTP: on real sockets, strict about the protocol, and some that misbehave."""

from __future__ import annotations

import asyncio
import json
import logging
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest

from bot.ports.tools import MOST_RESULT
from bot.tools.mcp_servers import Endpoint, Server
from tests.servers.mcp_http import HttpServer
from tests.tools.mcp_box import HURRIED, PATIENT, ROOT, call, running, said, until, up

KEY = "sesame-0123456789"


def at(url: str, *, timeout: float = 10, key: str = "") -> Server:
    return Server(name="s", reach=Endpoint(url, (("X-Key", key),) if key else ()), timeout=timeout)


@pytest.fixture(params=[True, False], ids=["events", "json"])
def web(request: pytest.FixtureRequest) -> HttpServer:
    return HttpServer(stream=request.param)


async def test_a_servers_tools_are_listed_and_called(web: HttpServer) -> None:
    async with web.open() as url, running(at(url)) as box:
        await up(box)

        assert {"s__echo", "s__note"} <= {card.name for card in box.cards()}
        assert said(await call(box, "echo", '{"text": "喜鹊\\n\\n来了"}')) == "echo: 喜鹊\n\n来了"
        assert "[An image (image/png, about 72 bytes), not shown here]" in said(await call(box, "parts"))
        assert (await call(box, "fail")).failed
        refused = await call(box, "echo", "{}")

    assert refused.failed and "arguments are missing: text" in refused.text


async def test_when_we_leave_the_session_is_ended(web: HttpServer) -> None:
    async with web.open() as url:
        async with running(at(url)) as box:
            await up(box)

        assert len(web.ended) == 1 and not web.sessions


async def test_headers_of_the_file_are_sent_and_never_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "bot")
    web = HttpServer(key=KEY)
    async with web.open() as url:
        async with running(at(url, key=KEY)) as box:
            await up(box)
            assert said(await call(box, "echo", '{"text": "in"}')) == "echo: in"
        async with running(at(f"{url}?token={KEY}", key="wrong-key-0")) as box:
            await until(lambda: box.states()[0].trouble)
            assert box.states()[0].trouble == "it answered HTTP 401"

    assert KEY not in caplog.text


@pytest.mark.parametrize("last", [False, True])
async def test_of_50_megabytes_the_beginning_is_read(web: HttpServer, last: bool) -> None:
    async with web.open() as url, running(at(url)) as box:
        await up(box)
        result = await call(box, "huge", json.dumps({"bytes": 50_000_000, "last": last}))
        again = await call(box, "echo", '{"text": "still here"}')

    assert len(result.text) <= MOST_RESULT
    assert said(result).startswith("abcdefghi abcdefghi") and "[Cut here: of " in result.text
    assert said(again) == "echo: still here"


async def test_more_than_any_result_ends_the_connection(caplog: pytest.LogCaptureFixture) -> None:
    web = HttpServer(stream=False)
    async with web.open() as url, running(at(url, timeout=60)) as box:
        await up(box)
        result = await call(box, "huge", '{"bytes": 70000000}')
        await until(lambda: "more than 64 MB in one answer" in caplog.text)
        await up(box)

    assert result.failed and "was lost" in result.text


@pytest.mark.parametrize("tool", ["unreadable", "half_pair"])
async def test_an_answer_that_cannot_be_read_is_told_at_once(web: HttpServer, tool: str) -> None:
    async with web.open() as url, running(at(url, timeout=60)) as box:
        await up(box)
        result = await call(box, tool)
        again = await call(box, "echo", '{"text": "still here"}')

    assert result.failed and "cannot be read" in result.text
    assert said(again) == "echo: still here"


async def test_a_stream_that_chatters_is_heard_and_one_that_floods_is_left(caplog: pytest.LogCaptureFixture) -> None:
    web = HttpServer()
    async with web.open() as url, running(at(url, timeout=60)) as box:
        await up(box)
        chatter, flood = await call(box, "chatter"), await call(box, "flood")
        await until(lambda: "it floods us with messages" in caplog.text)
        await up(box)

    assert said(chatter) == "said enough"
    assert flood.failed and "was lost" in flood.text


@pytest.mark.parametrize("tool", ["hang", "wrong_id"])
async def test_a_call_without_an_answer_ends_and_the_server_is_told(web: HttpServer, tool: str) -> None:
    async with web.open() as url, running(at(url, timeout=1)) as box:
        await up(box)
        result = await call(box, tool)
        await up(box)
        heard = json.loads(said(await call(box, "heard")))

    assert result.failed and "gave no answer within 1 seconds" in result.text
    assert len(heard) == 1


async def test_a_session_that_the_server_has_forgotten_is_begun_anew(web: HttpServer) -> None:
    async with web.open() as url, running(at(url, timeout=60)) as box:
        await up(box)
        web.sessions.clear()
        async with asyncio.timeout(5):
            lost = await call(box, "echo", '{"text": "?"}')
        await until(lambda: not box.cards())
        await up(box)

        assert lost.failed and "was lost" in lost.text
        assert said(await call(box, "echo", '{"text": "back"}')) == "echo: back"


@pytest.mark.parametrize(
    ("mode", "trouble"),
    [
        ("redirect", "it answered HTTP 307"),
        ("broken", "it answered HTTP 503"),
        ("packed", "it sends packed answers, which were not asked for"),
        ("hang", "it did not say within 1 seconds what it can do"),
        ("old", "Unsupported protocol version from the server: 1999-01-01"),
    ],
)
async def test_a_server_that_never_gets_going_is_tried_again(mode: str, trouble: str) -> None:
    web = HttpServer(mode, stream=False)
    async with web.open() as url, running(at(url, key=KEY), times=replace(HURRIED, start=1)) as box:
        await until(lambda: box.states()[0].trouble)

        assert box.states()[0].trouble == trouble
        assert box.cards() == ()
    assert web.keys_elsewhere == []


async def test_a_far_server_is_reached_through_the_proxy_and_a_near_one_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    web = HttpServer()
    async with web.open() as url:
        monkeypatch.setenv("http_proxy", url.removesuffix("/mcp"))  # it takes what a proxy is asked as well
        async with running(at("http://mcp.example/mcp")) as box:
            await up(box)
        monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
        async with running(at(url)) as box:
            await up(box)


async def test_a_server_that_comes_later_is_found() -> None:
    web = HttpServer()
    async with web.open() as url:
        port = int(url.rpartition(":")[2].partition("/")[0])
    async with running(at(url)) as box:
        await until(lambda: box.states()[0].trouble)
        assert box.states()[0].trouble == "it cannot be reached (ConnectError)"
        async with web.open(port):
            await up(box)
            assert said(await call(box, "echo", '{"text": "here"}')) == "echo: here"


async def test_a_server_that_hangs_does_not_hold_up_the_end() -> None:
    web = HttpServer()
    async with web.open() as url:
        async with running(at(url)) as box:
            await up(box)
            web.mode = "hang"
            began = time.monotonic()

        assert time.monotonic() - began < 2 * PATIENT.grace


async def test_what_a_server_asks_of_us_is_refused_there_as_well() -> None:
    # Over HTTP our answers go out as requests of their own; the call itself stays open meanwhile.
    web = HttpServer()
    async with web.open() as url, running(at(url)) as box:
        await up(box)
        answers = json.loads(said(await call(box, "ask")))

    assert answers.pop("ping") == "done"
    assert set(answers.values()) == {-32601} and len(answers) == 4


@contextmanager
def fast() -> Iterator[str]:
    command = [sys.executable, "-m", "tests.servers.mcp_fast", "http"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        try:
            yield f"http://127.0.0.1:{process.stdout.readline().strip()}/mcp"
        finally:
            process.terminate()


async def test_the_servers_of_the_mcp_package_itself() -> None:
    with fast() as url:
        async with running(at(url)) as box:
            await up(box)
            cards = {card.name: card for card in box.cards()}
            result = await call(box, "add", '{"one": 20, "two": 22}')

    assert cards["s__add"].read_only and not cards["s__forget"].read_only
    assert said(result) == "42"
