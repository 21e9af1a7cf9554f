"""Qwen's file alone, without the policies around it, on a simulator that keeps tasks for a moment."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import aiohttp

from bot.errors import ModelError
from bot.models.dashscope import DashScope
from bot.models.vendor import Linked, Streamed
from bot.ports import Line, ModelCard, Order, PicturePrompt, Prompt, SpeechPrompt, ToolCard, VideoPrompt
from bot.simulator import Simulator
from tests.models.rig import CHAT, Shelf

CHATS = ModelCard(name="qwen-plus", vendor="qwen", kind="chat", thinks="switch", tools=True, searches=True)
SEES = ModelCard(
    name="qwen3.5-flash", vendor="qwen", kind="chat", api="multimodal", vision=True, thinks="switch", tools=True
)
DRAWS = ModelCard(name="z-image-turbo", vendor="qwen", kind="image", api="multimodal", sizes=("1024x1024",), seed=True)
DRAWS_FOUR = ModelCard(name="wan2.6-t2i", vendor="qwen", kind="image", sizes=("1280x1280",), most=4)
DRAWS_LATER = ModelCard(
    name="wan2.2-t2i-flash", vendor="qwen", kind="image", sizes=("1024x1024", "1440x810"), task=True, most=4, seed=True
)
EDITS = ModelCard(name="qwen-image-edit-plus", vendor="qwen", kind="image", edits=3, most=6)
EDITS_LATER = ModelCard(
    name="wan2.5-i2i-preview", vendor="qwen", kind="image", sizes=("1280x1280",), edits=3, most=4, task=True
)
FILMS = ModelCard(name="wan2.6-t2v", vendor="qwen", kind="video", sizes=("1280x720", "1920x1080"), seconds=(5, 10, 15))
ANIMATES = ModelCard(
    name="wan2.6-i2v", vendor="qwen", kind="video", sizes=("1280x720", "1920x1080"), seconds=(5, 10, 15), animates=True
)
HEARS = ModelCard(name="qwen3-asr-flash", vendor="qwen", kind="hear")
SPEAKS = ModelCard(name="qwen3-tts-flash", vendor="qwen", kind="speak", voices=("Cherry", "Ethan"))
WEATHER = ToolCard(
    name="get_weather",
    description="The weather of a city.",
    parameters='{"type": "object", "properties": {"city": {"type": "string"}}}',
)


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
class Qwen:
    vendor: DashScope
    sim: Simulator
    shelf: Shelf
    session: aiohttp.ClientSession

    async def stream(self, prompt: Prompt) -> list[Streamed]:
        return [part async for part in self.vendor.stream(prompt)]

    async def task(self, order: Order) -> str:
        """The id of an order that is done later."""
        task = await self.vendor.submit(order)
        assert isinstance(task, str)
        return task

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

    def submitted(self, path: str = "/services/") -> int:
        """How many requests came there."""
        return sum(path in call.path for call in self.sim.log)


@asynccontextmanager
async def open_qwen(*, task: float = 0.05, picture: float = 0.0, obeys: bool = False) -> AsyncIterator[Qwen]:
    shelf = Shelf()
    async with (
        Simulator(first_token=0.0, per_token=0.0, picture=picture, task=task, obeys=obeys) as sim,
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session,
    ):
        yield Qwen(DashScope(session, shelf, key=sim.api_key, url=sim.dashscope_url), sim, shelf, session)
