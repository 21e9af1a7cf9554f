"""Qwen's file alone: its models, and short ways to say what it is asked."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager

import aiohttp

from bot.models.dashscope import DashScope
from bot.ports import Line, ModelCard, PicturePrompt, Prompt, SpeechPrompt, ToolCard, VideoPrompt
from bot.simulator import Simulator
from tests.models.alone import Alone, open_alone
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


def open_qwen(*, task: float = 0.05, picture: float = 0.0, obeys: bool = False) -> AbstractAsyncContextManager[Alone]:
    return open_alone(_opened, task=task, picture=picture, obeys=obeys)


def _opened(session: aiohttp.ClientSession, shelf: Shelf, sim: Simulator) -> DashScope:
    return DashScope(session, shelf, key=sim.api_key, url=sim.dashscope_url)
