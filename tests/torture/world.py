"""Magpie as one process or several, between the stand-ins, with a crowd of people: what campaigns torture.

Every setting that is a secret is one that stands nowhere else, and the log tells all that it ever tells.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp

from bot.simulator import Simulator
from bot.simulator.backend import Script
from tests.postgres import Postgres, postgres
from tests.process import END, Magpie
from tests.product import on_discord, on_telegram, until, with_glm, with_qwen
from tests.servers.discord import DiscordServer
from tests.servers.telegram import TelegramServer
from tests.torture import checker_collect as collect
from tests.torture.checker_run import Run, Shown
from tests.torture.crowd import Mouth, OnDiscord, OnPage, OnTelegram, Person, cards_of, tell

TELEGRAM_TOKEN = "987654321:AAH-canary_telegram_0123456789abcde"
DISCORD_TOKEN = "canary-discord-6f1e0c"
MODEL_KEY = "c0ffee5b9d3f4a0f8e7d6c5b4a392817.CanaryVendorKey7"
OPENAI_KEY = "sk-canary-openai-31c5"
PAGE_TOKEN = "canary-page-password-77d1"
DATABASE_PASSWORD = "canary-database-b80a"
REST = 90.0  # seconds in which everything must have come to rest once nobody disturbs it
LINES = 40  # of a log that tells of a breakdown


@dataclass(kw_only=True)
class World:
    """`kills` are instants by time.monotonic(); `wrong` is what went wrong by the way."""

    directory: Path
    url: str
    workers: Sequence[Magpie]
    models: Simulator
    chance: random.Random
    telegram: TelegramServer | None = None
    discord: DiscordServer | None = None
    browser: aiohttp.ClientSession | None = None
    database: Postgres | None = None
    people: list[Person] = field(default_factory=list)
    kills: list[float] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    async def connected(self) -> None:
        if self.discord is not None:
            server = self.discord
            await server.wait_for(lambda: server.connected, 30)

    async def rest(self, seconds: float = REST) -> None:
        """Wait until everything said is accepted and nothing is under way; what is not by then is for the checker to tell."""
        deadline, calm = time.monotonic() + seconds, 0
        while calm < 2 and time.monotonic() < deadline:
            calm = calm + 1 if await self._is_calm() else 0
            await asyncio.sleep(0.15)

    async def _is_calm(self) -> bool:
        stored = await collect.stored(self.url)
        known = {(row.chat, row.message) for row in stored.accepted}
        return not (
            stored.leftovers
            or self.models.running
            or (self.telegram is not None and self.telegram.pending)
            or any(row.state in ("queued", "taken") for row in stored.accepted)
            or any(piece.state in ("queued", "surplus") for piece in stored.queued)
            or any(
                one.message and (one.chat, one.message) not in known for person in self.people for one in person.asked
            )
        )

    async def run(self) -> Run:
        """Everything that is left behind, once the processes have been asked to end."""
        shown = await self._shown_on_page()
        for worker in self.workers:
            await self._end(worker)
        stored = await collect.stored(self.url, everything=True)
        for worker in self.workers:
            if "Traceback" in (said := worker.said()):
                lines = said[said.index("Traceback") :].splitlines()[:LINES]
                self.wrong.append("something broke down:\n" + "\n".join(lines))
        if self.telegram is not None:
            shown += collect.seen_on_telegram(self.telegram)
        if self.discord is not None:
            shown += collect.seen_on_discord(self.discord)
        return Run(
            asked=[one for person in self.people for one in person.asked],
            shown=shown,
            called=collect.called(self.models),
            stored=stored,
            kills=self.kills,
            canaries={person.mouth.chat: person.canary for person in self.people},
            secrets=self._secrets(),
            places=self._places(shown, stored.text),
        )

    async def _end(self, worker: Magpie) -> None:
        """One that does not end in time is wrong as well, and all the more is to be judged what it left behind."""
        try:
            code = await worker.end()
        except TimeoutError:
            await worker.kill()
            self.wrong.append(f"asked to end, it was still there after {END:g} s")
        else:
            if code:
                self.wrong.append(f"asked to end, it ended with {code}")

    async def _shown_on_page(self) -> list[Shown]:
        if self.browser is None:
            return []
        cards: list[dict[str, Any]] = []
        for person in self.people:
            chat = person.mouth.chat.removeprefix("web:")
            cards += [{**card, "chat": chat} for card in await cards_of(self.browser, chat)]
        return collect.seen_on_page(cards)

    def _secrets(self) -> dict[str, str]:
        return {
            "TELEGRAM_BOT_TOKEN": TELEGRAM_TOKEN,
            "DISCORD_BOT_TOKEN": DISCORD_TOKEN,
            "ZHIPUAI_API_KEY and DASHSCOPE_API_KEY": MODEL_KEY,
            "the secret half of ZHIPUAI_API_KEY": MODEL_KEY.partition(".")[2],
            "OPENAI_API_KEY": OPENAI_KEY,
            "WEB_TOKEN": PAGE_TOKEN,
            "STORAGE_URL's password": DATABASE_PASSWORD,
        }

    def _places(self, shown: Sequence[Shown], rows: str) -> dict[str, bytes]:
        places = collect.files(self.directory)
        places["the database's rows"] = rows.encode()
        places["the chats"] = "\n".join(message.text for message in shown).encode()
        places["the vendors' logs"] = collect.said_to_models(self.models)
        if self.telegram is not None:
            places["Telegram's log"] = collect.said_to_telegram(self.telegram)
        if self.discord is not None:
            places["Discord's log"] = collect.said_to_discord(self.discord)
        return places


@asynccontextmanager
async def world(
    directory: Path,
    chance: random.Random,
    *,
    on: Sequence[str],
    people: int = 20,
    workers: int = 1,
    storage: str = "",
    program: str = "bot",
    script: Script = tell,
    first_token: float = 0.05,
    per_token: float = 0.02,
    **environment: str,
) -> AsyncIterator[World]:
    """`on` names the platforms, over which the people spread evenly: telegram, discord, web. `storage` as in STORAGE_URL (its
    password becomes ours); SQLite without one, and then there is one worker."""
    _make(directory)
    async with AsyncExitStack() as stack:
        models = Simulator(
            script=script,
            first_token=first_token,
            per_token=per_token,
            picture=0.2,
            keep_calls=100_000,
            api_key=MODEL_KEY,
        )
        await stack.enter_async_context(models)
        telegram = await stack.enter_async_context(TelegramServer(TELEGRAM_TOKEN)) if "telegram" in on else None
        discord = await stack.enter_async_context(DiscordServer(token=DISCORD_TOKEN)) if "discord" in on else None
        settings = _settings(models, telegram, discord) | environment
        if storage:
            settings["STORAGE_URL"] = storage = _with_password(storage)
        first = directory / "data0"
        running = [
            await stack.enter_async_context(Magpie(directory / f"data{number}", settings, program=program))
            for number in range(workers)
        ]
        browser = None
        if "web" in on:
            url = running[0].url
            jar = aiohttp.CookieJar(unsafe=True)
            browser = aiohttp.ClientSession(url, cookie_jar=jar, headers={"Origin": url})
            await stack.enter_async_context(browser)
            async with browser.post("/login", json={"token": PAGE_TOKEN}) as response:
                assert response.status == 200, await response.text()
        made = World(
            directory=directory,
            url=storage or f"sqlite:///{first / 'magpie.db'}",
            workers=running,
            models=models,
            chance=chance,
            telegram=telegram,
            discord=discord,
            browser=browser,
        )
        for number in range(people):
            person_on(made, on[number % len(on)])
        await made.connected()
        yield made


def _make(directory: Path) -> None:
    directory.mkdir(parents=True, exist_ok=True)


def _settings(models: Simulator, telegram: TelegramServer | None, discord: DiscordServer | None) -> dict[str, str]:
    settings = {
        **with_glm(models),
        **with_qwen(models),
        "OPENAI_API_KEY": OPENAI_KEY,
        "OPENAI_BASE_URL": f"{models.origin}/nobody/v1",
        "CHAT_MODEL": "glm-4-flashx-250414",
        "DAILY_BUDGET": "1000000",
        "WEB_TOKEN": PAGE_TOKEN,
        "LOG_LEVEL": "DEBUG",
    }
    settings |= on_telegram(telegram) if telegram else {}
    return settings | (on_discord(discord) if discord else {})


def _with_password(url: str) -> str:
    parts = urlsplit(url)
    place = parts.netloc.rpartition("@")[2]
    return parts._replace(netloc=f"{parts.username}:{DATABASE_PASSWORD}@{place}").geturl()


@asynccontextmanager
async def empty_database(*, wanted: bool) -> AsyncIterator[tuple[str, Postgres | None]]:
    """A PostgreSQL of one's own and the URL of an empty database there; "" and None where none is wanted: SQLite."""
    if not wanted:
        yield "", None
        return
    with postgres() as server:
        async with server.database() as url:
            yield url, server


def person_on(made: World, platform: str) -> Person:
    """Somebody new, in a chat of their own."""
    number = len(made.people)
    mouth: Mouth
    if platform == "telegram" and made.telegram is not None:
        mouth = OnTelegram(made.telegram, number)
    elif platform == "discord" and made.discord is not None:
        mouth = OnDiscord(made.discord, number)
    elif platform == "web" and made.browser is not None:
        mouth = OnPage(made.browser, number)
    else:
        raise ValueError(f"{platform} is not part of this world")
    person = Person(number, mouth, random.Random(made.chance.random()))
    made.people.append(person)
    return person


async def settled(condition: Callable[[], object], seconds: float = 30.0) -> bool:
    """Whether it became true in this time."""
    try:
        await until(condition, seconds)
    except TimeoutError:
        return False
    return True


async def passed(over: asyncio.Event, seconds: float) -> bool:
    """A pause of so many seconds, unless it is over before; whether it is."""
    try:
        async with asyncio.timeout(seconds):
            return await over.wait()
    except TimeoutError:
        return False
