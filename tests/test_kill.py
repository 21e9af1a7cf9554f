"""kill -9 under load: nothing lost, nothing answered twice, in order, whatever the instant.

Half of the kills strike at a random moment; the other half right after the platform took a final text, while its answer to us
is held back: the one moment in which a bot that forgets message ids answers twice. That such a bot fails here is proved, too.
"""

from __future__ import annotations

import asyncio
import json
import random
import re
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

from bot.answer import CURSOR
from bot.simulator import Question, Reply, Simulator
from tests.process import Magpie
from tests.servers.discord import DiscordServer
from tests.servers.telegram import Chat, TelegramServer, User

CHATS = 6
KILLS = 10  # on Telegram; half as many on Discord and under the page: twenty in all
PASSWORD = "a-password-for-the-page"
WHOLE = re.compile(r"(Answer to q\d+\.\d+:( word){12} end\.\s*)+")
NAMED = re.compile(r"Answer to (q\d+\.\d+):")


def echo(question: Question) -> Reply:
    """Answers each question of the last message by its name: those that waited together come as one."""
    names = re.findall(r"q\d+\.\d+", question.user_turns[-1].text)
    return Reply(
        chunks=tuple(chunk for name in names for chunk in (f"Answer to {name}:", *[" word"] * 12, " end.\n\n"))
    )


class Talk:
    """People who keep asking, one question after the other in each chat, however often the bot dies."""

    def __init__(self, server: TelegramServer) -> None:
        self.server = server
        self.people: list[tuple[User, Chat]] = []
        for number in range(CHATS):
            user = server.user(f"person{number}")
            self.people.append((user, server.private(user)))
        self.asked: dict[int, list[str]] = {chat.id: [] for _, chat in self.people}

    def ask_everywhere(self) -> None:
        for number, (user, chat) in enumerate(self.people):
            name = f"q{number}.{len(self.asked[chat.id])}"
            self.asked[chat.id].append(name)
            self.server.say(chat, user, f"{name} please")

    def answers(self, chat: int) -> list[str]:
        """The questions that whole answers in this chat name, in the order in which they stand."""
        texts = [message.text for message in self.server.messages(chat) if message.from_bot]
        return [name for text in texts if WHOLE.fullmatch(text) for name in NAMED.findall(text)]

    def orphans(self) -> int:
        shown = (message.text for chat in self.asked for message in self.server.messages(chat) if message.from_bot)
        return sum(text.endswith(CURSOR.strip()) for text in shown)

    async def all_answered(self, seconds: float = 60) -> None:
        def done() -> bool:
            return all(set(self.answers(chat)) >= set(asked) for chat, asked in self.asked.items())

        await self.server.wait_for(done, timeout=seconds)

    def twice(self) -> list[str]:
        counts = Counter(name for chat in self.asked for name in self.answers(chat))
        return [name for name, count in counts.items() if count > 1]


@asynccontextmanager
async def telegram(directory: Path, program: str = "bot") -> AsyncIterator[tuple[Talk, Magpie]]:
    async with TelegramServer() as server, Simulator(script=echo, first_token=0.05, per_token=0.03) as models:
        environment = {
            "TELEGRAM_BOT_TOKEN": server.token,
            "TELEGRAM_API_URL": server.url,
            "ZHIPUAI_API_KEY": models.api_key,
            "ZHIPUAI_BASE_URL": models.glm_url,
            "ALLOWED": "*",
        }
        async with Magpie(directory / "data", environment, program=program) as magpie:
            yield Talk(server), magpie


def is_final(parameters: Mapping[str, Any]) -> bool:
    return bool(WHOLE.fullmatch(str(parameters.get("text", ""))))


async def kill_while_final_is_held(talk: Talk, magpie: Magpie) -> None:
    """Strike when the platform has shown the final text and we have not yet heard of it."""
    held = talk.server.hold("editMessageText", when=is_final)
    async with asyncio.timeout(30):
        await held.caught.wait()
    await magpie.kill()
    held.release.set()


async def test_kills_on_telegram_lose_nothing_and_answer_nothing_twice(tmp_path: Path) -> None:
    chance = random.Random(20261122)
    async with telegram(tmp_path) as (talk, magpie):
        for number in range(KILLS):
            talk.ask_everywhere()
            if number % 2:
                await asyncio.sleep(chance.uniform(0.0, 1.2))  # the instant of the kill, not a wait for something
                await magpie.kill()
            else:
                await kill_while_final_is_held(talk, magpie)
            talk.ask_everywhere()
            await magpie.start()
        await talk.all_answered()
        assert await magpie.end() == 0
    assert talk.twice() == []
    for chat, asked in talk.asked.items():
        assert talk.answers(chat) == asked, "out of order"
    assert talk.orphans() <= KILLS * CHATS, "more previews left over than sends were under way"
    assert "Traceback" not in magpie.said()


async def test_a_build_that_forgets_its_message_ids_is_found_out(tmp_path: Path) -> None:
    async with telegram(tmp_path, program="tests.forgetful") as (talk, magpie):
        talk.ask_everywhere()
        await kill_while_final_is_held(talk, magpie)
        await magpie.start()
        await talk.server.wait_for(talk.twice, timeout=60)


class DiscordTalk:
    """People who keep asking in private channels of a Discord stand-in."""

    def __init__(self, server: DiscordServer) -> None:
        self.server = server
        self.people = [server.user(f"person{number}") for number in range(CHATS)]
        self.channels = [server.dm(user) for user in self.people]
        self.asked: list[list[str]] = [[] for _ in self.people]

    def ask_everywhere(self) -> None:
        for number, (user, channel) in enumerate(zip(self.people, self.channels, strict=True)):
            name = f"q{number}.{len(self.asked[number])}"
            self.asked[number].append(name)
            self.server.say(channel, user, f"{name} please")

    def texts(self) -> list[list[str]]:
        bot = self.server.bot.id
        return [[m.content for m in self.server.messages(channel) if m.author.id == bot] for channel in self.channels]

    def answers(self) -> list[list[str]]:
        return [
            [name for text in texts if WHOLE.fullmatch(text) for name in NAMED.findall(text)] for texts in self.texts()
        ]

    async def all_answered(self) -> None:
        await self.server.wait_for(
            lambda: [sorted(set(a)) for a in self.answers()] == [sorted(a) for a in self.asked], 60
        )


async def test_kills_on_discord_lose_nothing_answer_nothing_twice_and_leave_no_preview(tmp_path: Path) -> None:
    chance = random.Random(4)
    async with (
        DiscordServer() as server,
        Simulator(script=echo, first_token=0.05, per_token=0.03) as models,
    ):
        environment = {
            "DISCORD_BOT_TOKEN": server.token,
            "DISCORD_API_URL": server.api_url,
            "ZHIPUAI_API_KEY": models.api_key,
            "ZHIPUAI_BASE_URL": models.glm_url,
            "ALLOWED": "*",
        }
        talk = DiscordTalk(server)
        async with Magpie(tmp_path / "data", environment) as magpie:
            await server.wait_for(lambda: server.connected, 30)
            for number in range(KILLS // 2):
                talk.ask_everywhere()
                if number % 2:
                    await asyncio.sleep(chance.uniform(0.3, 1.2))  # the instant of the kill, not a wait for something
                    await magpie.kill()
                else:
                    held = server.hold(
                        "PATCH /channels/{channel}/messages/{message}",
                        matching=lambda body: isinstance(body, dict) and is_final({"text": body.get("content", "")}),
                    )
                    async with asyncio.timeout(30):
                        await held.reached.wait()
                    await magpie.kill()
                    held.release()
                talk.ask_everywhere()  # nobody hears this: it must be caught up with
                await magpie.start()
                await server.wait_for(lambda: server.connected, 30)
            await talk.all_answered()
            assert await magpie.end() == 0
        assert talk.answers() == talk.asked, "twice, lost, or out of order"
        assert not [text for texts in talk.texts() for text in texts if not WHOLE.fullmatch(text)], (
            "a preview left over"
        )
        assert "Traceback" not in magpie.said()


class PageTalk:
    """Browsers that say each message again, under the same id, until the server has it."""

    def __init__(self, magpie: Magpie, browser: aiohttp.ClientSession) -> None:
        self.magpie = magpie
        self.browser = browser
        self.asked: dict[str, list[str]] = {f"chat{number}": [] for number in range(CHATS)}

    async def log_in(self) -> None:
        async with self.browser.post(f"{self.magpie.url}/login", json={"token": PASSWORD}) as response:
            assert response.status == 200

    async def ask_everywhere(self) -> None:
        async with asyncio.TaskGroup() as browsers:
            for number, (chat, asked) in enumerate(self.asked.items()):
                name = f"q{number}.{len(asked)}"
                asked.append(name)
                browsers.create_task(self._say(chat, name))

    async def _say(self, chat: str, name: str) -> None:
        message = {"id": f"browser-{name.replace('.', '-')}", "text": f"{name} please"}
        url = f"{self.magpie.url}/api/chats/{chat}/messages"
        async with asyncio.timeout(60):
            while True:
                try:
                    async with self.browser.post(url, json=message) as response:
                        if response.status == 200:
                            return
                except aiohttp.ClientError:
                    pass  # the server is dead just now: the browser tries again
                await asyncio.sleep(0.05)

    async def answered(self, chat: str) -> list[str]:
        """What the page shows once nothing is missing: the questions that whole answers name, in order."""
        cards: dict[str, dict[str, Any]] = {}
        async with asyncio.timeout(60), self.browser.get(f"{self.magpie.url}/api/chats/{chat}/events") as response:
            async for line in response.content:
                if not line.startswith(b"data: ["):
                    continue
                cards |= {card["id"]: card for card in json.loads(line[6:])}
                shown = [card for card in cards.values() if card["role"] == "bot" and not card["removed"]]
                shown.sort(key=lambda card: int(card["id"].partition(".")[0]))
                names = [name for card in shown if card["done"] for name in NAMED.findall(card["body"])]
                if len(names) >= len(self.asked[chat]) and all(card["done"] for card in shown):
                    return names
        raise AssertionError("the stream ended before everything was answered")


async def test_kills_under_the_page_lose_nothing_and_answer_nothing_twice(tmp_path: Path) -> None:
    chance = random.Random(8)
    jar = aiohttp.CookieJar(unsafe=True)
    async with Simulator(script=echo, first_token=0.05, per_token=0.03) as models:
        environment = {
            "DASHSCOPE_API_KEY": models.api_key,
            "DASHSCOPE_HTTP_BASE_URL": models.dashscope_url,
            "WEB_TOKEN": PASSWORD,
        }
        async with (
            Magpie(tmp_path / "data", environment) as magpie,
            aiohttp.ClientSession(cookie_jar=jar, headers={"Origin": magpie.url}) as browser,
        ):
            talk = PageTalk(magpie, browser)
            await talk.log_in()
            for _ in range(KILLS // 2):
                async with asyncio.TaskGroup() as tasks:
                    tasks.create_task(talk.ask_everywhere())
                    await asyncio.sleep(chance.uniform(0.0, 1.0))  # the instant of the kill, not a wait for something
                    await magpie.kill()
                    await magpie.start()
            await talk.ask_everywhere()
            assert {chat: await talk.answered(chat) for chat in talk.asked} == talk.asked
            assert await magpie.end() == 0
        assert "Traceback" not in magpie.said()
