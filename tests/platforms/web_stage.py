"""A small real house around the page: a board in memory, files on disk, an intake that keeps what it accepts.

By hand: `python -m tests.platforms.web_stage --port 8080` serves a page that answers with a fixed text.
"""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import aiohttp

from bot.documents import is_document
from bot.errors import StorageError
from bot.files import FileStore
from bot.lanes import subject_of
from bot.messages import Address, Button, ChatKey, Edited, Event, Media, Message, Piece, Pressed
from bot.phrases import Phrase
from bot.platforms.web import Banner, WebPlatform
from bot.ports import Card, MenuEntry

CHAT = "/api/chats/chat1"
MENU = (
    MenuEntry("help", Phrase("What I can do", "我能做什么")),
    MenuEntry("image", Phrase("Draw a picture", "画一张图"), Phrase("what to draw", "画什么"), required=True),
    MenuEntry(
        "model",
        Phrase("Choose the model", "选择模型"),
        Phrase("name", "名称"),
        choices=lambda typed: [name for name in ("glm-4-flash", "qwen-plus", "qwen-max") if typed in name],
    ),
    MenuEntry("reset", Phrase("Begin a new conversation", "开始新的对话")),
)


class MemoryBoard:
    def __init__(self) -> None:
        self.cards: dict[tuple[str, str], Card] = {}
        self.version = 0
        self.broken = False

    async def put(self, card: Card, turn: int = 0) -> int:
        self._check()
        self.version += 1
        old = self.cards.get((card.chat, card.id))
        created = old.created if old else card.created
        self.cards[card.chat, card.id] = replace(card, version=self.version, created=created)
        return self.version

    async def since(self, chat: str, version: int, limit: int) -> Sequence[Card]:
        self._check()
        found = [card for card in self.cards.values() if card.chat == chat and card.version > version]
        return sorted(found, key=lambda card: card.version)[:limit]

    async def card(self, chat: str, id: str) -> Card | None:
        self._check()
        return self.cards.get((chat, id))

    async def chats(self) -> Sequence[tuple[str, str, float]]:
        self._check()
        last: dict[str, float] = {}
        title: dict[str, str] = {}
        for card in sorted(self.cards.values(), key=lambda card: card.created):
            last[card.chat] = card.created
            if card.role == "person" and not title.get(card.chat):
                title[card.chat] = subject_of(card.body)[:80]
        return sorted(((chat, title.get(chat, ""), at) for chat, at in last.items()), key=lambda row: -row[2])

    def _check(self) -> None:
        if self.broken:
            raise StorageError("the disk is full")


class MemoryIntake:
    """Keeps each event once, as the inbox does."""

    def __init__(self) -> None:
        self.events: dict[str, Event] = {}
        self.arrived = asyncio.Event()
        self.broken = False

    async def accept(self, events: Sequence[Event]) -> None:
        if self.broken:
            raise StorageError("the disk is full")
        for event in events:
            self.events.setdefault(event.event, event)
        self.arrived.set()

    async def until(self, count: int) -> list[Event]:
        async with asyncio.timeout(10):
            while len(self.events) < count:
                self.arrived.clear()
                await self.arrived.wait()
        return list(self.events.values())


@dataclass
class Stage:
    """What stays when the server is gone; `serve` may be used again with the same port."""

    files: FileStore
    board: MemoryBoard = field(default_factory=MemoryBoard)
    intake: MemoryIntake = field(default_factory=MemoryIntake)
    revived: list[int] = field(default_factory=list)

    @asynccontextmanager
    async def serve(
        self,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        token: str | None = None,
        public_url: str = "",
        banner: Banner = Banner(),  # noqa: B008 # frozen
        ready: bool = True,
        figures: bytes | None = None,
        dead: Collection[int] | None = None,
    ) -> AsyncIterator[WebPlatform]:
        async def is_ready() -> bool:
            return ready

        async def scraped() -> bytes:
            return figures or b""

        async def revive(ids: Sequence[int]) -> Sequence[int]:
            if unknown := [id for id in ids if id not in (dead or ())]:
                return unknown
            self.revived += ids
            return []

        web = WebPlatform(
            host=host,
            port=port,
            board=self.board,
            files=self.files,
            menu=MENU,
            banner=banner,
            ready=is_ready,
            figures=None if figures is None else scraped,
            revive=None if dead is None else revive,
            readable=is_document,
            token=token,
            public_url=public_url,
        )
        async with asyncio.TaskGroup() as group:
            listening = group.create_task(web.listen(self.intake))
            async with asyncio.timeout(10):
                await web.started.wait()
            try:
                yield web
            finally:
                listening.cancel()

    def address(self, chat: str) -> Address:
        return Address(ChatKey("web", chat))


@dataclass
class Client:
    """What the page's script does, without the page."""

    web: WebPlatform
    session: aiohttp.ClientSession

    async def call(self, method: str, path: str, **options: Any) -> tuple[int, Any]:
        async with self.session.request(method, self.web.url + path, **options) as response:
            return response.status, await response.json()

    async def say(self, text: str, id: str = "message-0001", **more: Any) -> int:
        return (await self.call("POST", f"{CHAT}/messages", json={"id": id, "text": text, **more}))[0]


@asynccontextmanager
async def client(stage: Stage) -> AsyncIterator[Client]:
    async with stage.serve() as web, aiohttp.ClientSession(headers={"Origin": web.url}) as session:
        yield Client(web, session)


STOP_BUTTON = ((Button("Stop", "stop.abcdef"),),)


async def stream(
    web: WebPlatform, to: Address, nonce: str, markdown: str, *, step: int = 40, wait: float = 0.1
) -> None:
    """An answer as delivery shows it: a growing preview with a stop button, then the final piece."""
    piece = replace(web.layout("thinking …")[0], buttons=STOP_BUTTON)
    message = await web.send(to, piece, nonce)
    for end in range(step, len(markdown), step):
        await asyncio.sleep(wait)
        await web.edit(to, message, replace(web.layout(markdown[:end])[0], buttons=STOP_BUTTON))
    await web.edit(to, message, web.layout(markdown)[0])


async def answer(web: WebPlatform, intake: MemoryIntake, markdown: str, picture: Media | None = None) -> None:
    """Answer whatever is accepted, in order, until cancelled."""
    done = 0
    while True:
        for event in (await intake.until(done + 1))[done:]:
            done += 1
            said = web.read(event.payload)
            match said:
                case Pressed(address=to) | Edited(message=Message(address=to)) | Message(address=to):
                    await web.working(to)
                    await stream(web, to, f"{done}.0.0.0", markdown)
            if picture is not None:
                await web.send(to, Piece("", media=picture, buttons=((Button("Again", "b1"),),)), f"{done}.1.0.0")


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=8080)
    port = parser.parse_args().port
    text = (Path(__file__).parent / "web_sample.md").read_text()
    banner = Banner(simulated=True, variables=("ZHIPUAI_API_KEY", "DASHSCOPE_API_KEY"))
    with TemporaryDirectory() as directory:
        stage = Stage(FileStore(Path(directory)))
        async with stage.serve(port=port, banner=banner) as web:
            await answer(web, stage.intake, text)


if __name__ == "__main__":
    asyncio.run(main())
