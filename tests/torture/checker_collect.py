"""Collects a run from where it left its traces: stand-ins, the page, the store, files and logs of the processes."""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import asyncpg

from bot import phrases
from bot.simulator import Call, Simulator
from bot.turns.answer import CURSOR
from tests.product import STOP
from tests.servers.discord import DiscordServer
from tests.servers.telegram import Message, TelegramServer
from tests.torture.checker_run import Accepted, Booked, Called, Queued, Shown, Stored, Worked

INBOX = (
    "SELECT inbox.id, inbox.chat, inbox.message, inbox.state, inbox.error, turns.state "
    "FROM inbox LEFT JOIN turns ON turns.id = inbox.turn ORDER BY inbox.id"
)
LEDGER = "SELECT chat, model, cost, state FROM ledger ORDER BY id"
OUTBOX = "SELECT chat, turn, state, error FROM outbox ORDER BY id"
RUNNING = "SELECT chat, id FROM turns WHERE state = 'running' ORDER BY id"
JOBS = "SELECT chat, kind, model, state, ordered, task FROM jobs ORDER BY id"
QUERIES = (INBOX, LEDGER, OUTBOX, RUNNING, JOBS)
TABLES = "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
TAG = re.compile(r"<(?:[^>]*? (?:alt|aria-label)=\"([^\"]*)\")?[^>]*>")  # what a picture or a video shows stays
CANCEL = frozenset((phrases.jobs.CANCEL.en, phrases.jobs.CANCEL.zh))
SEARCH = "web_search"  # no model
OPEN = ("queued", "submitting", "running", "cancelling")


# --- what stands at the platforms --------------------------------------------------------------------------------------


def seen_on_telegram(server: TelegramServer) -> list[Shown]:
    sent = {(call.chat_id, call.message_id): call.at for call in server.log if call.method.startswith("send")}
    return [
        Shown(
            chat=f"telegram:{chat.id}",
            id=str(message.id),
            text=message.text or message.caption,
            writing=_is_preview(message),
            picture=message.media is not None and message.media.kind == "photo",
            video=message.media is not None and message.media.kind == "video",
            waiting=bool(set(message.buttons) & CANCEL),
            at=sent.get((chat.id, message.id), 0.0),
        )
        for chat in server.state.chats.values()
        for message in server.messages(chat)
        if message.from_bot
    ]


def _is_preview(message: Message) -> bool:
    text = message.text or message.caption
    return text.endswith(CURSOR.strip()) or bool(set(message.buttons) & set(STOP))


def seen_on_discord(server: DiscordServer) -> list[Shown]:
    return [
        Shown(
            chat=f"discord:{channel.id}",
            id=str(message.id),
            text=message.text,
            writing=message.thinking
            or message.content.endswith(CURSOR.strip())
            or any(button.label in STOP for button in message.buttons),
            picture=any(one.content_type.startswith("image/") for one in message.attachments),
            video=any(one.content_type.startswith("video/") for one in message.attachments),
            waiting=any(button.label in CANCEL for button in message.buttons),
        )
        for channel in server.world.channels.values()
        for message in server.messages(channel)
        if message.author == server.bot
    ]


def seen_on_page(cards: Iterable[dict[str, Any]]) -> list[Shown]:
    """`cards` as the browser got them, each with its chat's id added as `chat`."""
    said = [card for card in cards if card["role"] == "bot" and not card["removed"]]
    said.sort(key=lambda card: [int(part) for part in card["id"].split(".")])
    return [
        Shown(
            chat=f"web:{card['chat']}",
            id=card["id"],
            text=TAG.sub(lambda tag: f" {tag[1] or ''} ", card["body"]),
            writing=not card["done"],
            picture="<img" in card["body"],
            video="<video" in card["body"],
            waiting=any(label in CANCEL for row in card["buttons"] for label, _ in row),
        )
        for card in said
    ]


# --- what the vendors were asked ---------------------------------------------------------------------------------------


def called(simulator: Simulator) -> list[Called]:
    looked = _looked(simulator)
    return [
        Called(
            model=call.model or SEARCH,
            prompt=prompt_of(call),
            began=call.began,
            complete=call.ended is not None and call.disconnected is None,
            prompt_tokens=call.usage.input_tokens,
            completion_tokens=call.usage.output_tokens,
            pictures=call.usage.images + call.usage.videos,
            seconds=call.usage.seconds,
            characters=call.usage.characters,
            looked=looked.get(call.began, 0.0),
        )
        for call in simulator.log
        if call.method == "POST" and (call.model or call.path.endswith("/web_search")) and not _is_upload(call)
    ]


def _is_upload(call: Call) -> bool:
    """Of a file that a later call speaks of: it costs nothing."""
    return bool(call.uploads) and not call.path.endswith("/transcriptions")


def _looked(simulator: Simulator) -> Mapping[float, float]:
    """When each task was first asked after, by when the call began that ordered it."""
    looks: dict[str, float] = {}
    for call in simulator.log:
        if call.method == "GET" and call.vendor != "pictures":
            looks.setdefault(call.path.rpartition("/")[2], call.began)
    orders = [call for call in simulator.log if call.method == "POST" and call.model]
    return {
        call.began: looks[task.id]
        for task in simulator.tasks
        for call in orders
        if task.id in looks
        and call.model == task.model
        and call.began <= task.submitted <= (call.ended or task.submitted)
    }


def prompt_of(call: Call) -> str:
    """All that the body says, whatever its vendor's shape."""
    return json.dumps(call.body, ensure_ascii=False)


# --- what is stored ----------------------------------------------------------------------------------------------------


async def stored(url: str, *, everything: bool = False) -> Stored:
    """`url` as in STORAGE_URL. `everything`: all rows as text, too, where no file can be read for them."""
    if url.startswith("sqlite:///"):
        with closing(sqlite3.connect(f"file:{url.removeprefix('sqlite:///')}?mode=ro", uri=True, timeout=30)) as lite:
            return _stored([lite.execute(query).fetchall() for query in QUERIES])
    connection = await asyncpg.connect(url)
    try:
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            found = [await connection.fetch(query) for query in QUERIES]
            text = await _dump(connection) if everything else ""
    finally:
        await connection.close()
    return _stored(found, text)


def _stored(found: Sequence[Sequence[Any]], text: str = "") -> Stored:
    inbox, ledger, outbox, running, jobs = found
    worked = [
        Worked(chat=chat, kind=kind, model=model, state=state, order=order, task=task or "")
        for chat, kind, model, state, order, task in jobs
    ]
    return Stored(
        accepted=tuple(
            Accepted(id=id, chat=chat, message=message, state=state, error=error or "", turn=turn or "")
            for id, chat, message, state, error, turn in inbox
        ),
        booked=tuple(Booked(chat=chat, model=model, cost=cost, state=state) for chat, model, cost, state in ledger),
        queued=tuple(
            Queued(chat=chat, turn=turn, state=state, error=error or "") for chat, turn, state, error in outbox
        ),
        worked=tuple(worked),
        leftovers=(
            *(f"{chat}: turn {id} runs for ever" for chat, id in running),
            *(f"{job.chat}: an order is {job.state} for ever: {job.order}" for job in worked if job.state in OPEN),
        ),
        text=text,
    )


async def _dump(connection: asyncpg.Connection) -> str:
    tables = [row[0] for row in await connection.fetch(TABLES)]
    rows = [await connection.fetch(f'SELECT t::text FROM "{table}" t') for table in tables]
    return "\n".join(row[0] for table in rows for row in table)


# --- where a secret might stand ----------------------------------------------------------------------------------------


def files(directory: Path) -> dict[str, bytes]:
    """Everything below the directory, by name."""
    return {str(path.relative_to(directory)): path.read_bytes() for path in directory.rglob("*") if path.is_file()}


def said_to_telegram(server: TelegramServer) -> bytes:
    """All that the bot sent, the token in its addresses apart, and all that it was answered."""
    return "\n".join(f"{call.method} {call.params} {call.result} {call.error}" for call in server.log).encode()


def said_to_discord(server: DiscordServer) -> bytes:
    """All calls and frames, but for the identification, which carries the token."""
    calls = [f"{call.path} {call.query} {call.payload}" for call in server.log]
    frames = [
        f"{frame.event} {frame.data}" for frame in server.frames if not (frame.direction == "in" and frame.op in (2, 6))
    ]
    return "\n".join([*calls, *frames]).encode()


def said_to_models(simulator: Simulator) -> bytes:
    """All bodies; the key in their headers apart."""
    return "\n".join(f"{call.path} {prompt_of(call)}" for call in simulator.log).encode()
