"""Answers of the vendors as they go over the wire, recorded once and played as often and as badly as one likes."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Literal

import aiohttp

from bot.models import Limits, ModelSettings, open_models
from bot.simulator import Call, Reply, Simulator
from tests.models.rig import Asker, Purse, Shelf
from tests.servers.openai import OpenAIServer

KEY = "0123456789abcdef0123456789abcdef.SixteenLettersOK"
MODELS = ("glm", "qwen", "qwen3-vl-flash", "openai/llama3.2")  # one for each way of asking
ONE_TRY = Limits(tries=0.0)  # a failure is told at once

ANSWERS: tuple[Reply, ...] = (
    Reply(text="你好！喜鹊说：“一句不丢”。", thought="问好。", chunks=("你", "好！", "喜鹊说：", "“一句", "不丢”。")),
    Reply(text="👩‍👩‍👧‍👦 🇨🇳 ✨é — ok 𠮷", chunks=("👩‍👩‍👧", "‍👦 🇨", "🇳 ✨", "e\u0301 — ok", " 𠮷")),
    Reply(
        text='```python\nif a < b:\n\tprint("\\u559c \\\\")\n```\n- <|no box|> & <b>',
        chunks=("```python\nif a <", " b:\n\t", 'print("\\u559c \\\\")', "\n```\n- <", "|no", " box|> & <", "b>"),
    ),
    Reply(text="\n\nIt ends here,", finish="length"),
    Reply(
        text="\n\n".join(f"{n}. 喜鹊 keeps every word." * 3 for n in range(8)),
        chunks=tuple(f"{n}. 喜鹊 keeps every word." * 3 + "\n\n" * (n < 7) for n in range(8)),
    ),
)


@dataclass(frozen=True, slots=True)
class Step:
    """What an event brings: it is complete in the first `end` bytes of the tape, its last line break included."""

    end: int
    text: str
    thought: str
    finish: str


@dataclass(frozen=True, slots=True)
class Tape:
    """The body of a streamed answer. `steps` are its events, as read here and not by the code under test."""

    name: str
    model: str
    think: bool
    body: bytes
    steps: tuple[Step, ...]

    @property
    def text(self) -> str:
        return "".join(step.text for step in self.steps)

    @property
    def thought(self) -> str:
        return "".join(step.thought for step in self.steps)


async def record() -> list[Tape]:
    """Every answer by every way of asking. What the clients send is sent again by hand, so that the bytes can be kept."""
    tapes = []
    async with (
        Simulator(first_token=0, per_token=0, api_key=KEY) as sim,
        OpenAIServer(api_key=KEY) as other,
        aiohttp.ClientSession() as session,
    ):
        asker = _asker(session, sim.glm_url, sim.dashscope_url, other.url)
        for model in MODELS:
            server: Simulator | OpenAIServer = other if model.startswith("openai") else sim
            origin = other.url.removesuffix("/v1") if server is other else sim.origin
            for number, answer in enumerate(ANSWERS):
                think = bool(answer.thought)
                server.say(answer, answer)
                await asker.ask(model, think=think)
                body = await _again(session, origin, server.log[-1])
                tapes.append(Tape(f"{model} {number}", model, think, body, tuple(_steps(body))))
    return tapes


async def _again(session: aiohttp.ClientSession, origin: str, call: Call) -> bytes:
    headers = {
        name: value for name, value in call.headers.items() if name.lower() in ("authorization", "x-dashscope-sse")
    }
    async with session.post(origin + call.path, json=call.body, headers=headers) as response:
        assert response.status == 200, await response.text()
        return await response.read()


def _steps(body: bytes) -> Iterator[Step]:
    end = 0
    for line in body.splitlines(keepends=True):
        end += len(line)
        payload = line.removeprefix(b"data:").strip()
        if line.startswith(b"data:") and payload != b"[DONE]":
            yield _step(end, json.loads(payload))


def _step(end: int, chunk: dict[str, Any]) -> Step:
    choice = ((chunk.get("output") or chunk).get("choices") or [{}])[0]
    said = choice.get("delta") or choice.get("message") or {}
    content = said.get("content") or ""
    text = content if isinstance(content, str) else "".join(part["text"] for part in content)
    finish = choice.get("finish_reason")
    return Step(end, text, said.get("reasoning_content") or "", "" if finish in (None, "null") else finish)


# --- playing -----------------------------------------------------------------------------------------------------------------

HEAD = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream;charset=UTF-8\r\n"
    b"X-Request-Id: r-1\r\nTransfer-Encoding: chunked\r\n\r\n"
)
Ending = Literal["kept", "closed", "reset"]


@dataclass(slots=True)
class Deck:
    """What the player's server sends to whoever asks: these writes, one after the other has been read, and then the end."""

    url: str = ""
    writes: Sequence[bytes] = ()
    ending: Ending = "kept"

    def whole(self, *blocks: bytes) -> None:
        """A response that ends as it should, in these chunks."""
        framed = [b"%x\r\n%b\r\n" % (len(block), block) for block in blocks if block]
        self.writes, self.ending = [HEAD + (framed[0] if framed else b""), *framed[1:], b"0\r\n\r\n"], "kept"

    def broken(self, body: bytes, at: int, ending: Ending) -> None:
        """The response up to a byte, counted from its very first one."""
        self.writes, self.ending = [wire(body)[:at]], ending


def wire(body: bytes) -> bytes:
    """The whole response as it goes over the wire, in one chunk."""
    return HEAD + b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)


def body_bytes(body: bytes, at: int) -> int:
    """How many bytes of the body are among the first `at` bytes on the wire."""
    return min(max(at - wire(body).index(body), 0), len(body))


class _Player(asyncio.Protocol):
    def __init__(self, deck: Deck) -> None:
        self._deck = deck
        self._transport: asyncio.Transport
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, found, body = self._received.partition(b"\r\n\r\n")
        if found and len(body) >= _length(head):
            self._received = b""
            self._send(list(self._deck.writes), self._deck.ending)

    def _send(self, left: list[bytes], ending: Ending) -> None:
        """Each write is read by the other side, which lives in the same loop, before the next one is made."""
        if self._transport.is_closing():
            return
        if left:
            self._transport.write(left.pop(0))
            _after_reading(lambda: self._send(left, ending))
        elif ending == "closed":
            self._transport.close()
        elif ending == "reset":
            connection = self._transport.get_extra_info("socket")
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self._transport.abort()


def _length(head: bytes) -> int:
    fields = (line.split(b":", 1) for line in head.lower().split(b"\r\n")[1:])
    return next((int(value) for name, value in fields if name == b"content-length"), 0)


def _after_reading(then: Callable[[], None], turns: int = 2) -> None:
    loop = asyncio.get_running_loop()
    loop.call_soon(then if turns == 0 else lambda: _after_reading(then, turns - 1))


@asynccontextmanager
async def player() -> AsyncIterator[tuple[Deck, Asker]]:
    """A server that plays, and the real clients of all vendors, which think that it is theirs."""
    deck = Deck()
    server = await asyncio.get_running_loop().create_server(lambda: _Player(deck), "127.0.0.1", 0)
    async with server, aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        deck.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        yield deck, _asker(session, f"{deck.url}/api/paas/v4", f"{deck.url}/api/v1", f"{deck.url}/v1")


def _asker(session: aiohttp.ClientSession, glm: str, qwen: str, openai: str) -> Asker:
    shelf = Shelf()
    settings = ModelSettings(
        session=session, ledger=Purse(), files=shelf, zhipu_key=KEY, zhipu_url=glm, dashscope_key=KEY, dashscope_url=qwen,
        openai_key=KEY, openai_url=openai, daily_budget=10**15, limits=ONE_TRY,
    )  # fmt: skip
    return Asker(open_models(settings), shelf, session)
