"""GLM's file alone, without the policies around it, on a simulator that keeps tasks for a moment."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import aiohttp

from bot.errors import ModelError
from bot.models.vendor import Linked, Streamed
from bot.models.zhipu import Zhipu
from bot.ports import Line, ModelCard, Order, PicturePrompt, Prompt, SpeechPrompt, VideoPrompt
from bot.simulator import Simulator
from tests.models.rig import CHAT, Shelf

CHATS = ModelCard(
    name="glm-4.7-flash", vendor="glm", kind="chat", thinks="switch", tools=True, searches=True, later=True
)
DRAWS = ModelCard(name="cogview-3-flash", vendor="glm", kind="image", sizes=("1024x1024", "768x1344"))
DRAWS_LATER = ModelCard(name="glm-image", vendor="glm", kind="image", sizes=("1280x1280",), task=True, per_picture=0.1)
FILMS = ModelCard(name="cogvideox-3", vendor="glm", kind="video", sizes=("1280x720",), seconds=(5, 10), animates=True)
HEARS = ModelCard(name="glm-asr-2512", vendor="glm", kind="hear")
SPEAKS = ModelCard(name="glm-tts", vendor="glm", kind="speak", voices=("tongtong", "jam"))


def chat(text: str = "hello", card: ModelCard = CHATS, **more: object) -> Prompt:
    values: dict[str, object] = {"lines": (Line("user", text),), "output": 1_000, **more}
    return Prompt(card=card, chat=CHAT, turn=1, **values)  # type: ignore[arg-type]  # its own fields, by name


def picture(text: str = "a red fox", card: ModelCard = DRAWS, **more: object) -> PicturePrompt:
    return PicturePrompt(card=card, text=text, chat=CHAT, turn=1, **more)  # type: ignore[arg-type]  # likewise


def video(text: str = "a red fox runs", card: ModelCard = FILMS, **more: object) -> VideoPrompt:
    return VideoPrompt(card=card, text=text, chat=CHAT, turn=1, **more)  # type: ignore[arg-type]  # likewise


def sound(card: ModelCard = HEARS, **more: object) -> SpeechPrompt:
    return SpeechPrompt(card=card, chat=CHAT, turn=1, **more)  # type: ignore[arg-type]  # likewise


@dataclass
class Glm:
    vendor: Zhipu
    sim: Simulator
    shelf: Shelf
    session: aiohttp.ClientSession

    async def stream(self, prompt: Prompt) -> list[Streamed]:
        return [part async for part in self.vendor.stream(prompt)]

    async def made(self, order: Order) -> Linked:
        """What comes of an order, however long that takes."""
        taken = await self.vendor.submit(order)
        return taken if isinstance(taken, Linked) else await self.waited(order.card, taken)

    async def waited(self, card: ModelCard, task: str) -> Linked:
        deadline = time.monotonic() + 5
        while (linked := await self.vendor.look(card, task)) is None:
            assert time.monotonic() < deadline, "the task never ended"
            await asyncio.sleep(0.01)
        return linked

    async def refused(self, order: Order) -> ModelError:
        """The error of an order that must come to nothing."""
        try:
            linked = await self.made(order)
        except ModelError as error:
            return error
        raise AssertionError(f"it was made: {linked}")

    async def fetch(self, link: str) -> bytes:
        async with self.session.get(link) as answer:
            assert answer.status == 200
            return await answer.read()

    @property
    def body(self) -> dict[str, object]:
        """Of the newest request, without the fields that are not set."""
        return {name: value for name, value in self.sim.log[-1].body.items() if value is not None}


@asynccontextmanager
async def open_glm(*, task: float = 0.05, obeys: bool = False) -> AsyncIterator[Glm]:
    shelf = Shelf()
    async with (
        Simulator(first_token=0.0, per_token=0.0, picture=0.0, task=task, obeys=obeys) as sim,
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session,
    ):
        yield Glm(Zhipu(session, shelf, key=sim.api_key, url=sim.glm_url), sim, shelf, session)
