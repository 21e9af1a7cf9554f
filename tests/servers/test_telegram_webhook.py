"""The Telegram stand-in's webhook: what it refuses, in which order it delivers, and how it repeats."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from itertools import pairwise

import aiohttp
import pytest
from aiohttp import web

from tests.servers.telegram import TelegramServer
from tests.servers.telegram_client import Bot


@asynccontextmanager
async def hook(receive: Callable[[web.BaseRequest], Awaitable[web.Response]]) -> AsyncIterator[str]:
    """Listens; its URL."""
    runner = web.ServerRunner(web.Server(receive), access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/hook"
    finally:
        await runner.cleanup()


@pytest.fixture
async def bot() -> AsyncIterator[Bot]:
    """A bot at Telegram's own server."""
    async with TelegramServer() as server, aiohttp.ClientSession() as session:
        yield Bot(server, session)


@pytest.fixture
async def own() -> AsyncIterator[TelegramServer]:
    """A Bot API server of one's own."""
    async with TelegramServer(local=True) as server:
        yield server


async def test_a_webhook_gets_updates_in_order_until_taken(own: TelegramServer) -> None:
    texts: list[str] = []
    refusals = [500, 404, 302]
    ann = own.user("Ann")
    chat = own.private(ann)

    async def receive(request: web.BaseRequest) -> web.Response:
        assert request.headers["X-Telegram-Bot-Api-Secret-Token"] == "s3cret"
        if refusals:
            return web.Response(status=refusals.pop(), headers={"Location": "/elsewhere"})
        texts.append(json.loads(await request.read())["message"]["text"])
        own.state.changed()
        return web.Response()

    async with hook(receive) as url, aiohttp.ClientSession() as session:
        bot = Bot(own, session)
        assert await bot("setWebhook", url=url, secret_token="s3cret", max_connections=500) is True
        refusal = await bot.refused("getUpdates")
        assert refusal.startswith("Conflict: can't use getUpdates method while webhook is active; use deleteWebhook")
        own.say(chat, ann, "a")
        own.say(chat, ann, "b")
        await own.wait_for(lambda: texts == ["a", "b"])
        await own.wait_for(lambda: not own.pending)
        info = await bot("getWebhookInfo")
        assert (info["url"], info["max_connections"]) == (url, 100)
        assert info["last_error_message"].startswith("Wrong response from the webhook: 500")
        await bot("deleteWebhook")
        assert await bot("getUpdates") == []


async def test_a_webhook_gets_several_chats_at_once_up_to_its_connections(own: TelegramServer) -> None:
    at_once: list[int] = []
    under_way: list[int] = []
    go = asyncio.Event()

    async def receive(request: web.BaseRequest) -> web.Response:
        update = json.loads(await request.read())
        chat = update["message"]["chat"]["id"]
        assert chat not in under_way, "one chat's updates come one after the other"
        under_way.append(chat)
        at_once.append(len(under_way))
        own.state.changed()
        await go.wait()
        under_way.remove(chat)
        return web.Response()

    async with hook(receive) as url, aiohttp.ClientSession() as session:
        await Bot(own, session)("setWebhook", url=url, max_connections=3)
        for _ in range(5):
            ann = own.user()
            for text in "ab":
                own.say(own.private(ann), ann, text)
        await own.wait_for(lambda: max(at_once, default=0) == 3)
        go.set()
        await own.wait_for(lambda: not own.pending)
    assert len(at_once) == 10
    assert max(at_once) == 3


async def test_a_webhook_that_says_when_is_asked_again_then(own: TelegramServer) -> None:
    times: list[float] = []

    async def receive(request: web.BaseRequest) -> web.Response:
        times.append(time.monotonic())
        return web.Response(status=503 if len(times) < 3 else 200, headers={"Retry-After": "1"})

    async with hook(receive) as url, aiohttp.ClientSession() as session:
        await Bot(own, session)("setWebhook", url=url)
        own.push_raw({"unknown": {}})
        await own.wait_for(lambda: not own.pending)
    assert [round(later - before) for before, later in pairwise(times)] == [1, 1]


async def test_set_webhook_ends_a_poll(bot: Bot) -> None:
    poll = asyncio.create_task(bot.refused("getUpdates", timeout=30))
    await asyncio.sleep(0.1)
    await bot("setWebhook", url="https://example.org/hook")
    assert await poll == "Conflict: terminated by setWebhook request"


@pytest.mark.parametrize(
    ("params", "refusal"),
    [
        ({"url": "http://127.0.0.1/hook"}, "bad webhook: An HTTPS URL must be provided for webhook"),
        ({"url": "https://example.org:8081/hook"}, "bad webhook: Webhook can be set up only on ports"),
        ({"url": "https://example.org", "secret_token": "not+base64/url="}, "secret token contains unallowed"),
        ({"url": "https://example.org", "secret_token": "x" * 257}, "secret token is too long"),
    ],
)
async def test_a_webhook_that_the_real_one_refuses(bot: Bot, params: dict[str, str], refusal: str) -> None:
    assert refusal in await bot.refused("setWebhook", **params)
    assert (await bot("getWebhookInfo"))["url"] == ""
