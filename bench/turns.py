"""A lone turn with the real manager, from its accept to the answer shown, the model taking no time. Turns that are compared are
taken in turn, so that whatever else the machine does meets all alike."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.engine import MODEL, WORDS, Quiet, event, running
from bench.measure import median
from bot.files import FileStore
from bot.manager import ConversationManager
from bot.messages import Finish, Finished, Text, Usage
from bot.ports import ChatModel, Kind, ModelCard, Prompt, Toolbox, Unknown
from bot.turns.engine import Engine
from storage import Store, open_store

CARD = ModelCard(name=MODEL, vendor="bench", kind="chat", window=128_000, output=4_000, tools=True)


class Instant:
    """ports.ChatModel: says its line at once."""

    async def generate(self, prompt: Prompt) -> AsyncGenerator[Text | Finished, None]:
        yield Text(WORDS)
        yield Finished(reason=Finish.STOP, usage=Usage(prompt=100, completion=20), model=CARD.name)


class OnlyModel:
    """ports.Models of one chat model."""

    simulated = False

    def __init__(self, model: ChatModel) -> None:
        self._model = model

    def cards(self) -> Sequence[ModelCard]:
        return (CARD,)

    def find(self, name: str, kind: Kind = "chat") -> ModelCard | Unknown:
        return CARD if kind == "chat" else Unknown()

    def pick(self, kind: Kind, *, vendor: str = "", vision: bool = False) -> ModelCard | None:
        return CARD if kind == "chat" else None

    def chat(self, card: ModelCard) -> ChatModel:
        return self._model

    def fallback(self) -> ModelCard | None:
        return None


@dataclass(frozen=True, slots=True)
class Took:
    """Milliseconds: by the clock, and of our process's CPU."""

    wall: float
    cpu: float


def medians(took: Sequence[Took]) -> Took:
    """Without the first tenth, which is the warming up."""
    counted = took[len(took) // 10 :]
    return Took(median([one.wall for one in counted]), median([one.cpu for one in counted]))


class Asking:
    """Asks one question and waits for the answer."""

    def __init__(self, engine: Engine, platform: Quiet) -> None:
        self._engine, self._platform = engine, platform
        self._numbers = itertools.count(10**9)

    async def __call__(self, chat: str, text: str = WORDS) -> Took:
        before = self._platform.answered
        spent, began = time.process_time(), time.monotonic()
        async with asyncio.timeout(30):
            await self._engine.accept([event(next(self._numbers), chat, text)])
            await self._platform.until(before + 1)
        wall, cpu = time.monotonic() - began, time.process_time() - spent
        return Took(wall * 1000, cpu * 1000)


@asynccontextmanager
async def asked(path: Path) -> AsyncIterator[Asking]:
    """A database and the instant model."""
    async with open_store(f"sqlite:///{path}") as store, asking(store, Instant(), path.parent) as it:
        yield it


@asynccontextmanager
async def asking(store: Store, model: ChatModel, folder: Path, toolbox: Toolbox | None = None) -> AsyncIterator[Asking]:
    platform, files = Quiet(), FileStore(folder / "files")
    manager = ConversationManager(
        history=store, models=OnlyModel(model), platforms={}, files=files, toolbox=toolbox, runs=store
    )
    async with running(store, manager, platform) as engine:
        yield Asking(engine, platform)


async def created(path: Path) -> Path:
    """An empty database."""
    async with open_store(f"sqlite:///{path}"):
        return path
