"""What the tests of the models share: models opened on the simulator, a purse, kept pictures, and recorded responses."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from io import BytesIO

import aiohttp
from PIL import Image

from bot.errors import ModelError, StorageError, Unreadable
from bot.messages import ChatKey, Finished, Text, Thought
from bot.models import Limits, ModelSettings, Roster, open_models
from bot.ports import Kind, Ledger, Line, Made, ModelCard, PicturePrompt, Prompt, Said, Submitted
from bot.simulator import Simulator

CHAT = ChatKey("web", "1")
Parts = list[Said]
QUICK = Limits(pace=0.01)  # the waits between tries, a hundred times shorter
VENDORS = ("glm", "qwen", "qwen3-vl-flash")  # one chat model for each way of asking


class Purse:
    """A ledger in memory: the port's contract in few lines. `rows` are [model, cost, state]."""

    def __init__(self) -> None:
        self.rows: list[tuple[str, int, str]] = []

    async def reserve(
        self, *, turn: int, chat: ChatKey, model: str, cost: int, day: str, limit: int, job_fence: int | None = None
    ) -> int | None:
        if cost and sum(row[1] for row in self.rows) + cost > limit:
            return None
        self.rows.append((model, cost, "reserved"))
        return len(self.rows) - 1

    async def settle(self, call: int, cost: int, *, estimated: bool = False) -> None:
        model, _, state = self.rows[call]
        if state == "reserved":
            self.rows[call] = (model, cost, "estimated" if estimated else "settled")

    async def spent(self, day: str) -> int:
        return sum(row[1] for row in self.rows)


@dataclass
class Shelf:
    """Kept pictures, by name."""

    pictures: dict[str, bytes] = field(default_factory=dict)
    away: bool = False

    async def keep(self, data: bytes, mime: str) -> str:
        self.pictures[str(len(self.pictures))] = data
        return str(len(self.pictures) - 1)

    async def load(self, name: str) -> bytes:
        if self.away:
            raise StorageError("the store is away")
        if name not in self.pictures:
            raise Unreadable(name)
        return self.pictures[name]


def png(width: int = 32, height: int = 32) -> bytes:
    out = BytesIO()
    Image.new("RGB", (width, height), "red").save(out, "PNG")
    return out.getvalue()


@dataclass
class Asker:
    """Models that are set up, and short ways to ask them."""

    models: Roster
    shelf: Shelf
    session: aiohttp.ClientSession

    def card(self, name: str, kind: Kind = "chat") -> ModelCard:
        card = self.models.find(name, kind)
        assert isinstance(card, ModelCard), card
        return card

    async def ask(self, name: str, text: str = "hello", **more: object) -> Parts:
        return await self.answer(self.prompt(name, text, **more))

    def prompt(self, name: str, text: str = "hello", **more: object) -> Prompt:
        values: dict[str, object] = {"lines": (Line("user", text),), "output": 1_000, "chat": CHAT, "turn": 1, **more}
        return Prompt(card=self.card(name), **values)  # type: ignore[arg-type]  # Prompt's own fields, by name

    async def answer(self, prompt: Prompt) -> Parts:
        parts: Parts = []
        async with aclosing(self.models.chat(prompt.card).generate(prompt)) as answer:
            async for part in answer:
                parts.append(part)
        return parts

    async def refused(self, name: str, text: str = "hello", **more: object) -> ModelError:
        """The error of a question that must fail."""
        try:
            parts = await self.ask(name, text, **more)
        except ModelError as error:
            return error
        raise AssertionError(f"it answered: {parts}")

    async def draw(self, name: str, text: str = "a red fox", **more: object) -> Made:
        """What comes of an order, however long that takes."""
        card = self.card(name, "image")
        values: dict[str, object] = {"text": text, "chat": CHAT, "turn": 1, **more}
        prompt = PicturePrompt(card=card, **values)  # type: ignore[arg-type]  # its own fields, by name
        background = self.models.background(card)
        taken = await background.submit(prompt)
        async with asyncio.timeout(10):
            while isinstance(taken, Submitted):
                if made := await background.look(card, taken.task):
                    return made
                await asyncio.sleep(0.01)
        return taken


@dataclass
class Rig(Asker):
    """GLM and Qwen on a simulator."""

    sim: Simulator

    @property
    def calls(self) -> int:
        return len(self.sim.log)


@asynccontextmanager
async def open_rig(
    *,
    ledger: Ledger | None = None,
    budget: int = 5_000_000,
    limits: Limits = QUICK,
    first_token: float = 0.0,
    per_token: float = 0.0,
    picture: float = 0.0,
    key: str = "",
) -> AsyncIterator[Rig]:
    """GLM and Qwen on a simulator of their own."""
    shelf = Shelf()
    async with (
        Simulator(first_token=first_token, per_token=per_token, picture=picture, task=0.05) as sim,
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session,
    ):
        settings = ModelSettings(
            session=session,
            ledger=ledger or Purse(),
            files=shelf,
            zhipu_key=key or sim.api_key,
            zhipu_url=sim.glm_url,
            dashscope_key=key or sim.api_key,
            dashscope_url=sim.dashscope_url,
            daily_budget=budget,
            limits=limits,
        )
        yield Rig(open_models(settings), shelf, session, sim)


def text_of(parts: Parts) -> str:
    return "".join(part.delta for part in parts if isinstance(part, Text))


def thought_of(parts: Parts) -> str:
    return "".join(part.delta for part in parts if isinstance(part, Thought))


def end_of(parts: Parts) -> Finished:
    """The one end, which must be the last part."""
    ends = [part for part in parts if isinstance(part, Finished)]
    assert len(ends) == 1 and parts[-1] is ends[0], parts
    return ends[0]


@asynccontextmanager
async def recorded(
    blocks: Sequence[bytes], *, status: int = 200, content_type: str = "text/event-stream", whole: bool = True
) -> AsyncIterator[str]:
    """A server on a real socket that answers every request with these writes and then ends the response properly, or
    (`whole` False) drops the connection. Gives its origin."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            length = next(
                (int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")), 0
            )
            await reader.readexactly(length)
            writer.write(f"HTTP/1.1 {status} X\r\nContent-Type: {content_type}\r\n".encode())
            writer.write(b"Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n")
            for block in blocks:
                writer.write(f"{len(block):x}\r\n".encode() + block + b"\r\n")
                await writer.drain()
                await asyncio.sleep(0)
            if whole:
                writer.write(b"0\r\n\r\n")
                await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            return
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        yield f"http://127.0.0.1:{port}"
