"""The whole of Magpie in this process, from its settings to its sockets, and the people who talk to it.

As started by its operator, in a process of its own, it is in `process.py`; here nothing but the start of Python is left out.
"""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any
from uuid import uuid4

import aiohttp

from bot import app, phrases
from bot.settings import load_settings
from bot.simulator import Call, Question, Reply, Simulator
from bot.simulator.backend import Script
from bot.turns.answer import CURSOR
from tests.process import START, free_port
from tests.servers.discord import DiscordServer
from tests.servers.discord_state import Channel
from tests.servers.discord_state import User as DiscordUser
from tests.servers.discord_view import Shown
from tests.servers.telegram import Chat, Message, TelegramServer, User

STOP = ("Stop", "停止")
ENOUGH = 20.0  # seconds for anything that is to happen


def on_telegram(server: TelegramServer) -> dict[str, str]:
    return {"TELEGRAM_BOT_TOKEN": server.token, "TELEGRAM_API_URL": server.url, "ALLOWED": "*"}


def on_discord(server: DiscordServer) -> dict[str, str]:
    return {"DISCORD_BOT_TOKEN": server.token, "DISCORD_API_URL": server.api_url, "ALLOWED": "*"}


def with_glm(models: Simulator) -> dict[str, str]:
    return {"ZHIPUAI_API_KEY": models.api_key, "ZHIPUAI_BASE_URL": models.glm_url}


def with_qwen(models: Simulator) -> dict[str, str]:
    return {"DASHSCOPE_API_KEY": models.api_key, "DASHSCOPE_HTTP_BASE_URL": models.dashscope_url}


@asynccontextmanager
async def magpie(directory: Path, *environment: dict[str, str]) -> AsyncIterator[Page]:
    """Runs it on `directory` until the block is left, which ends it as a crash would. Yields its page."""
    port = free_port()
    environ = {"DATA_DIR": str(directory / "data"), "WEB_PORT": str(port), "WEB_TOKEN": "a-password-for-the-page"}
    for more in environment:
        environ |= more
    settings = load_settings(environ, dotenv=directory / "none.env")
    url = f"http://127.0.0.1:{port}"
    jar = aiohttp.CookieJar(unsafe=True)
    async with aiohttp.ClientSession(url, cookie_jar=jar, headers={"Origin": url}) as browser:
        running = asyncio.create_task(app.run(settings))  # no group: a failing test shall show its own error alone
        page = Page(browser, url)
        try:
            await page.log_in(environ["WEB_TOKEN"])
            yield page
        finally:
            running.cancel()
            await asyncio.wait([running])
    if not running.cancelled():
        running.result()


@dataclass
class House:
    """Magpie between the stand-ins, with both vendors set up."""

    directory: Path
    telegram: TelegramServer
    models: Simulator
    page: Page

    def person(self, name: str = "Ann", language: str = "en") -> Person:
        return Person.alone(self.telegram, name, language)

    @property
    def asked(self) -> list[Call]:
        """The calls of models, lists and tasks apart."""
        return [call for call in self.models.log if call.method == "POST" and call.body]


@asynccontextmanager
async def house(
    directory: Path,
    *environment: dict[str, str],
    script: Script | None = None,
    floods: bool = False,
    first_token: float = 0.0,
    per_token: float = 0.0,
) -> AsyncIterator[House]:
    async with (
        TelegramServer(floods=floods) as server,
        Simulator(script=script, first_token=first_token, per_token=per_token, picture=0.0) as models,
        magpie(directory, on_telegram(server), with_glm(models), with_qwen(models), *environment) as page,
    ):
        yield House(directory, server, models, page)


@dataclass
class DiscordHouse:
    """Magpie between Discord's stand-in and both vendors."""

    discord: DiscordServer
    models: Simulator
    page: Page

    def member(self, name: str = "ann") -> Member:
        return Member.alone(self.discord, name)


@asynccontextmanager
async def house_on_discord(
    directory: Path,
    *environment: dict[str, str],
    script: Script | None = None,
    limits: bool = False,
    first_token: float = 0.0,
    per_token: float = 0.0,
) -> AsyncIterator[DiscordHouse]:
    async with (
        DiscordServer(limits=limits) as server,
        Simulator(script=script, first_token=first_token, per_token=per_token, picture=0.0) as models,
        magpie(directory, on_discord(server), with_glm(models), with_qwen(models), *environment) as page,
    ):
        await server.wait_for(lambda: server.connected and server.commands(), ENOUGH)
        yield DiscordHouse(server, models, page)


def repeat(question: Question) -> Reply:
    """A model that says back what it was told last."""
    return Reply(text=f"You said: {question.user_turns[-1].text}")


async def undisturbed(house: House) -> None:
    """Another chat goes on as if nothing had happened."""
    neighbour = house.person("Neighbour")
    assert (await neighbour.ask("and me?")).text == "You said: and me?"


def said(call: Call) -> list[str]:
    """What a chat model was told: the texts of its prompt, whichever vendor's, without the system's."""
    lines = call.body.get("messages") or call.body["input"]["messages"]
    return [_text(line["content"]) for line in lines if line["role"] != "system"]


def _text(content: str | list[dict[str, Any]]) -> str:
    if isinstance(content, str):
        return content
    return "".join(str(part.get("text", "")) for part in content)


def pictures(call: Call) -> int:
    """How many pictures a chat model was shown."""
    lines = call.body.get("messages") or call.body["input"]["messages"]
    parts = [part for line in lines if isinstance(line["content"], list) for part in line["content"]]
    return sum("image" in part or "image_url" in part for part in parts)


def change(directory: Path, statement: str) -> None:
    """Alters what is stored while nothing runs: how a test lets time pass."""
    with closing(sqlite3.connect(directory / "data" / "magpie.db")) as store, store:
        store.execute(statement)


def rows(directory: Path, query: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(directory / "data" / "magpie.db")) as store:
        return store.execute(query).fetchall()


async def until(condition: Callable[[], object], seconds: float = ENOUGH) -> None:
    """For what tells nobody when it becomes true."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


@dataclass
class Person:
    """Somebody in one Telegram chat."""

    server: TelegramServer
    user: User
    chat: Chat
    thread: int | None = None

    @classmethod
    def alone(cls, server: TelegramServer, name: str = "Ann", language: str = "en") -> Person:
        user = server.user(name, language_code=language)
        return cls(server, user, server.private(user))

    def say(self, text: str, **context: Any) -> Message:
        if self.thread is not None:
            context["thread"] = self.thread
        return self.server.say(self.chat, self.user, text, **context)

    def press(self, message: Message, button: str) -> None:
        self.server.press(message, button, self.user)

    @property
    def shown(self) -> list[Message]:
        """What the bot has said here, as it stands now."""
        said = [message for message in self.server.messages(self.chat) if message.from_bot]
        return said if self.thread is None else [message for message in said if message.thread == self.thread]

    @property
    def texts(self) -> list[str]:
        return [message.text or message.caption for message in self.shown]

    async def hears(self, count: int = 1, seconds: float = ENOUGH) -> list[str]:
        """The bot's texts, once there are `count` and none is still being written."""
        await self.server.wait_for(
            lambda: len(self.shown) >= count and all(map(_settled, self.shown)), timeout=seconds, chat=self.chat
        )
        return self.texts

    async def ask(self, text: str, seconds: float = ENOUGH, **context: Any) -> Message:
        """Say it and wait for the answer: its last message."""
        count = len(self.shown)
        self.say(text, **context)
        await self.hears(count + 1, seconds)
        return self.shown[-1]

    async def pressed(self, message: Message, button: str) -> Message:
        """Press it and wait for what it brings."""
        count = len(self.shown)
        self.press(message, button)
        await self.hears(count + 1)
        return self.shown[-1]

    async def sees(self, condition: Callable[[list[str]], object], seconds: float = ENOUGH) -> list[str]:
        await self.server.wait_for(lambda: condition(self.texts), timeout=seconds, chat=self.chat)
        return self.texts


def _settled(message: Message) -> bool:
    writing = message.text.endswith(CURSOR.strip()) or set(message.buttons) & set(STOP)
    return not (writing or _waits(message.text, message.buttons))


@dataclass
class Member:
    """Somebody in one Discord channel."""

    server: DiscordServer
    user: DiscordUser
    channel: Channel

    @classmethod
    def alone(cls, server: DiscordServer, name: str = "ann") -> Member:
        user = server.user(name)
        return cls(server, user, server.dm(user))

    @property
    def shown(self) -> list[Shown]:
        return [one for one in self.server.messages(self.channel) if one.author == self.server.bot]

    @property
    def texts(self) -> list[str]:
        return [one.content for one in self.shown]

    async def hears(self, count: int = 1, seconds: float = ENOUGH) -> list[str]:
        def done() -> bool:
            return len(self.shown) >= count and all(map(_stands, self.shown))

        await self.server.wait_for(done, seconds)
        return self.texts

    async def ask(self, text: str, seconds: float = ENOUGH, **context: Any) -> Shown:
        count = len(self.shown)
        self.server.say(self.channel, self.user, text, **context)
        await self.hears(count + 1, seconds)
        return self.shown[-1]

    async def slash(self, name: str, /, **options: object) -> Shown:
        count = len(self.shown)
        self.server.slash(self.channel, self.user, name, options)
        await self.hears(count + 1)
        return self.shown[-1]


def _stands(one: Shown) -> bool:
    writing = one.thinking or one.content.endswith(CURSOR.strip())
    labels = [button.label for button in one.buttons]
    return not (writing or set(labels) & set(STOP) or _waits(one.content, labels))


def _waits(text: str, labels: Sequence[str]) -> bool:
    """Whether this is the line that waits for a picture or video; a question asked for later gets a message of its own."""
    cancelled = {phrases.jobs.CANCEL.en, phrases.jobs.CANCEL.zh} & set(labels)
    return bool(cancelled) and not text.startswith(("Task ", "任务"))


class Page:
    """A browser on the page."""

    def __init__(self, browser: aiohttp.ClientSession, url: str) -> None:
        self._browser = browser
        self.url = url

    async def log_in(self, token: str) -> None:
        """As soon as the bot listens."""
        async with asyncio.timeout(START):
            while True:
                try:
                    async with self._browser.get("/healthz") as response:
                        if response.status == 200:
                            break
                except aiohttp.ClientError:
                    pass  # not listening yet: that is what is being waited for
                await asyncio.sleep(0.02)
        async with self._browser.post("/login", json={"token": token}) as response:
            assert response.status == 200

    async def say(self, text: str, chat: str = "chat", **fields: object) -> dict[str, Any]:
        """One message; its id, or the problem that the page shows. `status` is HTTP's."""
        message = {"id": f"browser-{uuid4().hex[:12]}", "text": text, **fields}
        return await self.post(f"/api/chats/{chat}/messages", message)

    async def post(self, path: str, body: object, method: str = "POST") -> dict[str, Any]:
        async with self._browser.request(method, path, json=body) as response:
            return {**await response.json(), "status": response.status}

    async def get(self, path: str) -> tuple[int, str]:
        """HTTP's status and the body."""
        async with self._browser.get(path) as response:
            return response.status, await response.text()

    async def upload(self, data: bytes, mime: str, chat: str = "chat") -> dict[str, Any]:
        path = f"/api/chats/{chat}/files"
        async with self._browser.post(path, data=BytesIO(data), headers={"Content-Type": mime}) as response:
            return {**await response.json(), "status": response.status}

    async def cards(
        self, ready: Callable[[Sequence[dict[str, Any]]], object], chat: str = "chat", seconds: float = ENOUGH
    ) -> list[dict[str, Any]]:
        """The bot's messages, in order, once they are `ready`."""
        cards: dict[str, dict[str, Any]] = {}
        async with asyncio.timeout(seconds), self._browser.get(f"/api/chats/{chat}/events") as response:
            async for line in response.content:
                if not line.startswith(b"data: ["):
                    continue
                cards |= {card["id"]: card for card in json.loads(line[6:])}
                said = [card for card in cards.values() if card["role"] == "bot" and not card["removed"]]
                said.sort(key=lambda card: [int(part) for part in card["id"].split(".")])
                if ready(said):
                    return said
        raise AssertionError("the page's stream ended")

    async def ask(self, text: str, chat: str = "chat", **fields: object) -> str:
        """Say it and wait until one answer more stands; its text."""
        before = len(await self.cards(lambda _: True, chat)) if await self._known(chat) else 0
        said = await self.say(text, chat, **fields)
        assert said["status"] == 200, said
        cards = await self.cards(lambda said: len(said) > before and all(card["done"] for card in said), chat)
        return str(cards[-1]["body"])

    async def _known(self, chat: str) -> bool:
        async with self._browser.get("/api/chats") as response:
            return chat in [one["id"] for one in await response.json()]
