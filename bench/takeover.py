"""How long the chats of a killed worker wait for another: two real processes on one PostgreSQL, of which one is killed in the
middle of its answers, again and again."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from pathlib import Path

from bench.measure import median
from bench.processes import Model
from tests.postgres import Postgres
from tests.process import Magpie
from tests.servers.telegram import Chat, TelegramServer, User

PEOPLE = 6
PATIENCE = 60.0  # seconds for all answers


@dataclass(frozen=True, slots=True)
class Takeover:
    """Seconds from the kill until all are answered, beyond what the same answers take undisturbed; of each kill."""

    late: tuple[float, ...]

    @property
    def median(self) -> float:
        return median(self.late)


class _Crowd:
    def __init__(self, server: TelegramServer) -> None:
        self._server = server
        self._people: list[tuple[User, Chat]] = []
        for number in range(PEOPLE):
            user = server.user(f"person{number}")
            self._people.append((user, server.private(user)))

    async def ask(self, meanwhile: float = 0.0, strike: Magpie | None = None) -> float:
        """Seconds until everybody has an answer; with `strike`, from the kill `meanwhile` seconds after the questions."""
        before = [self._finished(chat) for _, chat in self._people]
        for user, chat in self._people:
            self._server.say(chat, user, "tell me something")
        began = time.monotonic()
        if strike is not None:
            await asyncio.sleep(meanwhile)
            began = time.monotonic()
            await strike.kill()
        await self._server.wait_for(
            lambda: all(self._finished(chat) > n for n, (_, chat) in zip(before, self._people, strict=True)),
            timeout=PATIENCE,
        )
        return time.monotonic() - began

    def _finished(self, chat: Chat) -> int:
        """Answers that stand: those being made end with a cursor."""
        texts = [message.text for message in self._server.messages(chat.id) if message.from_bot]
        return sum(not text.endswith("▌") and len(text) > 20 for text in texts)


async def takeover(server: Postgres, model: Model, folder: Path, kills: int) -> Takeover:
    async with TelegramServer() as telegram, server.database() as url:
        environment = {
            "TELEGRAM_BOT_TOKEN": telegram.token,
            "TELEGRAM_API_URL": telegram.url,
            "ZHIPUAI_API_KEY": model.key,
            "ZHIPUAI_BASE_URL": model.glm_url,
            "ALLOWED": "*",
            "STORAGE_URL": url,
        }
        async with Magpie(folder / "one", environment) as one, Magpie(folder / "two", environment) as two:
            crowd = _Crowd(telegram)
            usual = median([await crowd.ask() for _ in range(3)])
            late = []
            for number in range(kills):
                victim = (one, two)[number % 2]
                late.append(max(0.0, await crowd.ask(usual / 2, victim) - usual / 2))
                await victim.start()
                await crowd.ask()
            return Takeover(tuple(late))
