"""What must hold for any bytes at all: each target takes some and raises when it does not. For Hypothesis, for a
coverage-guided fuzzer (`fuzz_guided.py`), and for whoever has bytes that once went wrong.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import cast

import aiohttp

from bot import files
from bot.errors import Unreadable
from bot.lanes import STOP_PREFIX, Lane, command_of, lane_of
from bot.messages import Piece
from bot.models.sse import data_lines
from bot.platforms import discord_layout, discord_read, telegram_layout, telegram_read, web_payload, web_render
from bot.platforms.telegram_text import Me, units
from bot.text import split, well_formed

TELEGRAM_LIMIT = 4_096  # UTF-16 units
ME = Me(42, "magpie_bot")


def markdown(data: bytes) -> None:
    """Any text can be shown everywhere, in messages that are taken and, but for the last, never change while it grows."""
    text = data.decode("utf-8", "surrogateescape")
    whole, half = well_formed(text), well_formed(text)[: len(text) // 2]
    fragments = [str(one) for one in split(whole, 200)]
    assert all(len(one) <= 200 for one in fragments)
    assert "".join(one.body for one in split(whole, 200)) == whole
    assert [str(one) for one in split(half, 200)][:-1] == fragments[: len(split(half, 200)) - 1]
    for layout, length, limit in (
        (telegram_layout.layout, units, TELEGRAM_LIMIT),
        (discord_layout.layout, len, discord_layout.LIMIT),
    ):
        pieces = layout(text)
        assert pieces and all(piece.body.strip() and length(piece.body) <= limit for piece in pieces)
        _stable(layout, half, whole)
    web_render.render(text).encode()


def _stable(layout: Callable[[str], tuple[Piece, ...]], half: str, whole: str) -> None:
    before, after = layout(half), layout(whole)
    assert before[:-1] == after[: len(before) - 1]


def updates(data: bytes) -> None:
    """Whatever JSON Telegram sends is keyed and then read, or refused as such."""
    try:
        update = json.loads(data)
    except (ValueError, RecursionError):
        return
    if isinstance(update, dict):
        try:
            telegram_read.read(telegram_read.key({"update_id": 1, **update}, ME).event.payload, ME, lambda _: False)
        except (telegram_read.Ignored, Unreadable):
            return


def payloads(data: bytes) -> None:
    """What waits in the inbox is read or a dead letter, whatever has become of it."""
    text = data.decode("utf-8", "surrogateescape")
    readers: tuple[Callable[[], object], ...] = (
        lambda: telegram_read.read(text, ME, lambda _: False),
        lambda: discord_read.incoming(text, lambda _: False),
        lambda: web_payload.read(text),
    )
    for read in readers:
        try:
            read()
        except Unreadable:
            continue


@dataclass
class Body:
    """The body of a response, in the blocks in which it came: as much of aiohttp's as `data_lines` asks of it."""

    blocks: list[bytes]
    taken: int = field(default=0)

    @property
    def content(self) -> Body:
        return self

    async def iter_any(self) -> AsyncIterator[bytes]:
        for block in self.blocks[self.taken :]:
            self.taken += 1
            yield block

    def at_eof(self) -> bool:
        return self.taken == len(self.blocks)

    async def readany(self) -> bytes:
        self.taken += 1
        return self.blocks[self.taken - 1]


def stream(data: bytes) -> None:
    """A stream says the same however the network cuts it. The first byte says how."""
    width, body = (data[0] % 7 + 1 if data else 1), data[1:]
    blocks = [body[start : start + width] for start in range(0, len(body), width)]
    assert asyncio.run(_said([body])) == asyncio.run(_said(blocks))


async def _said(blocks: list[bytes]) -> list[bytes]:
    return [line async for line in data_lines(cast(aiohttp.ClientResponse, Body(blocks)))]


def buttons(data: bytes) -> None:
    """What somebody says that one of our buttons carried: it overtakes only as a stop key or a command that does."""
    text = data.decode("utf-8", "surrogateescape")
    command = command_of(text)
    if lane_of(text) is Lane.CONTROL:
        assert text.startswith(STOP_PREFIX) or (command is not None and command[0] in ("stop", "reset"))
    if command is not None:
        assert text.startswith("/") and command[0].isidentifier() and len(command[1]) < len(text)


def file_names(data: bytes) -> None:
    """A name that is let through stays in its directory."""
    name = data.decode("utf-8", "surrogateescape")
    if files.NAME.fullmatch(name) or web_payload.FILE_NAME.fullmatch(name):
        path = PurePosixPath("/kept") / name
        assert path.parent == PurePosixPath("/kept") and path.name == name and name.isascii() and "\\" not in name


TARGETS: dict[str, Callable[[bytes], None]] = {
    one.__name__: one for one in (markdown, updates, payloads, stream, buttons, file_names)
}
