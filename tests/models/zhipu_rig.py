"""GLM's file alone: its models, and short ways to say what it is asked."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager

import aiohttp

from bot.models.zhipu import Zhipu
from bot.ports import Line, ModelCard, PicturePrompt, Prompt, SpeechPrompt, VideoPrompt
from bot.simulator import Simulator
from tests.models.alone import Alone, open_alone
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


def open_glm(*, task: float = 0.05, obeys: bool = False) -> AbstractAsyncContextManager[Alone]:
    return open_alone(_opened, task=task, obeys=obeys)


def _opened(session: aiohttp.ClientSession, shelf: Shelf, sim: Simulator) -> Zhipu:
    return Zhipu(session, shelf, key=sim.api_key, url=sim.glm_url)
