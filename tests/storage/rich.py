"""A store with a row of every kind in every table, for what moves, keeps and migrates data.

`python -m tests.storage.rich FILE.sql` writes it as SQL: `fixtures/` holds what each released schema left behind.
"""

from __future__ import annotations

import asyncio
import sqlite3
import sys
import tempfile
from contextlib import closing
from functools import cache
from pathlib import Path

from bot.messages import Answered, Asked, ChatKey, Configured, Finish, Ordered
from bot.ports import ButtonRow, Card, JobState, Source
from storage import Store, open_store
from tests.storage.saying import (
    ANN,
    AWAY,
    BOB,
    HOME,
    ask,
    claims,
    control,
    edited,
    exchange,
    only_claim,
    outcome,
    pieces,
    reset,
    said,
    stop,
)

GROUP = ChatKey("telegram", "-100200", "7")
SERVER = ChatKey("discord", "900719925474099312")
PAGE = ChatKey("web", "main")
TEXTS = ("你好，喜鹊！", "🐦‍⬛ café\nsecond line", 'it\'s "quoted" \\ 100 % -- ; DROP TABLE inbox', "x" * 5000, " ")


async def fill(store: Store) -> None:
    await _conversations(store)
    await _interrupted(store)
    await _money(store)
    await _platforms(store)
    await _background(store)


async def _conversations(store: Store) -> None:
    for number, text in enumerate(TEXTS):
        for chat in (HOME, GROUP, SERVER):
            await ask(store, f"{chat.chat}.{number}", chat=chat, reply=text)
    await store.accept([said("shown", chat=GROUP)])
    claim = await only_claim(store)
    await store.sent(GROUP, claim.turn, 0, 0, "501")
    await store.sent(GROUP, claim.turn, 0, 2, "503")
    button = ButtonRow("key1", GROUP, ANN, "again", 4e9, False)
    finals = await store.complete(
        claim,
        outcome(
            Asked(text="shown", author="Ann", parent=claim.head, files=("0a.png", "0b.jpg")),
            Answered(text=TEXTS[1]),
            Configured("model", "qwen-max"),
            Configured("system", TEXTS[2]),
            pieces=pieces(claim, "first 喜", "second"),
            buttons=[button],
        ),
    )
    await store.shown(GROUP, finals[:1])
    await store.drop(GROUP, finals[1:2], "kicked")
    await store.accept([edited("edit", "mshown", "shown, but otherwise", chat=GROUP)])
    claim = await only_claim(store)
    await store.complete(claim, outcome(*exchange("shown, but otherwise", "again", claim.head)))
    await store.move(AWAY, ChatKey("telegram", "-100999"))
    await ask(store, "moved", chat=AWAY)


async def _interrupted(store: Store) -> None:
    """Dead letters, a reset, a stop, and what still waits or runs."""
    await store.accept([said("unreadable", chat=SERVER, author=BOB)])
    claim = await only_claim(store)
    await store.bury(claim, [row.id for row in claim.rows], "cannot be read: no such field\n'text'")
    await store.accept([said("poison", "a message that broke it 🐦", chat=GROUP)])
    claim = await only_claim(store)
    await store.complete(
        claim, outcome(reason=Finish.FAILED, pieces=pieces(claim, "Sorry."), dead="broke down 10 times")
    )
    await store.accept([said("closed", chat=GROUP)])
    await reset(store, "reset", chat=GROUP)
    await store.accept([said("stopped", chat=HOME)])
    claim = await only_claim(store)
    await stop(store, "stop", chat=HOME)
    await store.complete(claim, outcome(*exchange("stopped", "half an", claim.head), reason=Finish.STOPPED))
    await store.accept([said("running", chat=HOME), said("too", chat=HOME, author=BOB, command=True)])
    await claims(store)
    await store.accept([said("waiting", chat=GROUP), control("later", chat=GROUP)])


async def _money(store: Store) -> None:
    for day in ("2026-11-21", "2026-11-22"):
        for cost, settled in ((0, 0), (1200, 1100), (90_000, None), (500, 700)):
            call = await store.reserve(turn=0, chat=HOME, model="glm-4-plus", cost=cost, day=day, limit=5_000_000)
            if call is not None and settled is not None:
                await store.settle(call, settled, estimated=settled == 700)


async def _background(store: Store) -> None:
    """A job that is done, one that the vendor has, one that was ordered just now; and calls of tools."""
    for number in range(3):
        await store.accept([said(f"job {number}", command=True, chat=PAGE)])
        claim = await only_claim(store)
        await store.begin_run(claim.turn, 0, "weather", '{"city": "北京"}')
        await store.end_run(claim.turn, 0, TEXTS[0], sources=(Source(1, TEXTS[0], "https://n.example/"),))
        order = Ordered(kind="video", model="cogvideox-flash", order='{"text": "喜鹊"}', patience=600.0)
        await store.complete(claim, outcome(order))
        if number < 2:
            [job], _ = await store.claim_jobs(1)
            await store.reserve(
                turn=job.id, chat=PAGE, model=job.model, cost=7, day="2026-11-22", limit=5_000_000, job_fence=job.fence
            )
            if number:
                await store.submitted(job, "task-喜", 60.0)
            else:
                await store.end_job(job, JobState.DONE, TEXTS[1], cost=5)
                [told], _ = await store.claim(1)
                await store.complete(told, outcome())


async def _platforms(store: Store) -> None:
    await store.note({"telegram.offset": "12", "discord.session": '{"id": "é"}', "copied": "no"})
    for chat in ("main", "c2"):
        for number, text in enumerate(TEXTS):
            card = Card(
                chat=chat, id=f"{chat}-{number}", role=("person", "bot")[number % 2], body=text, created=1.5 + number,
                buttons=((("stop", "Stop"), ("retry", "Again")),), files=("0a.png",) if number else (),
                removed=number == 3,
            )  # fmt: skip
            await store.put(card)
    await ask(store, "page", chat=PAGE)


@cache
def database() -> bytes:
    """A whole database file, made once."""

    async def filled(path: Path) -> None:
        async with open_store(f"sqlite:///{path}") as store:
            await fill(store)

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "magpie.db"
        asyncio.run(filled(path))  # the last connection leaves no log behind
        return path.read_bytes()


def _write(file: Path) -> None:
    with tempfile.NamedTemporaryFile() as copy:
        copy.write(database())
        copy.flush()
        with closing(sqlite3.connect(copy.name)) as connection:
            version = connection.execute("PRAGMA user_version").fetchone()[0]
            lines = [f"-- Schema {version}, by tests/storage/rich.py.", *connection.iterdump()]
            file.write_text("\n".join(lines) + f"\nPRAGMA user_version = {version};\n", "utf-8")


if __name__ == "__main__":
    _write(Path(sys.argv[1]))
