"""What the campaigns of the disk let the bot do: ten questions, one after the other, to the real engine over the real store.

Whoever asks behaves as a platform does: an event that was not accepted is handed in again, one that was is not.
"""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from functools import partial
from pathlib import Path

from bot.errors import StorageError, StorageRefused
from bot.messages import ChatKey, Text
from bot.turns.answer import CURSOR
from tests.stage import House, Script
from tests.window import Call, Window

Note = Callable[[str], None]

CHAT = ChatKey("window", "1")
TURNS = 10
HOLD_UP = 30.0  # seconds for one turn, whatever the disk does meanwhile
LENGTH = (
    90_000  # characters of every other answer: the log grows so long that it is copied into the database on the way
)
# Of a start: the second where a file that was only half made is brought up to date.
REFUSALS = ("magpie.db cannot be used (", "Cannot write a copy of the database")
REFUSED_BECAUSE = ("SQLite: disk I/O error", "SQLite: database or disk is full", "SQLite: unable to open database file",
                   "SQLite: locking protocol", "SQLite: database is locked")  # fmt: skip


class Wrong(Exception):
    """A promise was broken; the sentence tells which."""


def fresh(directory: Path, files: Mapping[str, bytes] | None = None) -> Path:
    """The directory, with these files and nothing else."""
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    for name, content in (files or {}).items():
        directory.joinpath(name).write_bytes(content)
    return directory


def answer(number: int) -> str:
    return f"Answer {number}." + " long" * (LENGTH // 5 if number % 2 else 0)


class _Witness(Window):
    """Tells of each whole answer before it is shown: by then it was committed."""

    def __init__(self, note: Note) -> None:
        super().__init__(width=10 * LENGTH)
        self._note = note

    async def before(self, call: Call) -> None:
        if call.body.startswith("Answer") and not call.body.endswith(CURSOR):
            self._note(f"answered {call.body.partition('.')[0].removeprefix('Answer ')}")
        await super().before(call)


def stage(directory: Path, note: Note = lambda text: None, *, window: Window | None = None) -> House:
    """Nothing is opened yet. `note` is told of what the store has promised to keep: "answered 3". `window` is one in which
    something stands already."""
    script = Script()
    for number in range(TURNS):
        script.on(f"question {number}", Text(answer(number)[:5]), Text(answer(number)[5:]))
    return House(directory / "magpie.db", {"window": window or _Witness(note)}, script, 1000)


async def opened(house: House) -> None:
    """Start until it is not refused any more. Raises Wrong for a refusal that does not say what is the matter."""
    deadline = time.monotonic() + HOLD_UP
    while time.monotonic() < deadline:
        try:
            return await house.open()
        except StorageRefused as error:
            if not any(sentence in str(error) for sentence in REFUSALS):
                raise Wrong(f"the start was refused with: {error}") from error
            await asyncio.sleep(0.02)
    raise Wrong("the start is refused for ever")


async def comes(condition: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + HOLD_UP
    while not condition():
        if time.monotonic() > deadline:
            raise Wrong(f"{what}: not within {HOLD_UP:g} s")
        await asyncio.sleep(0.005)


class Talk:
    """Ten questions and their answers. It can be taken up again after a crash: what was accepted is not said again."""

    def __init__(self, house: House, note: Note = lambda text: None) -> None:
        """`note` is told of what was accepted: "accepted 3"."""
        self._house = house
        self._note = note
        self._events = [house.event("message", CHAT, f"question {number}") for number in range(TURNS)]
        self.accepted = 0

    async def to_the_end(self, until: int = TURNS) -> None:
        """Ask and wait until the whole answer stands, again and again; then until nothing is left to be shown. Raises Wrong."""
        for number in range(until):
            if number >= self.accepted:
                await self.say(number)
            await comes(partial(self._stands, answer(number)), f"answer {number}")
        await self.at_rest()

    def _stands(self, text: str) -> bool:
        return text in self._house.window.standing(CHAT)

    async def at_rest(self) -> None:
        """Until nothing is left to be shown. Raises Wrong."""
        deadline = time.monotonic() + HOLD_UP
        while time.monotonic() < deadline:
            try:
                if not await self._house.store.waiting(CHAT):
                    return
            except StorageError:
                pass  # the disk is not well yet
            await asyncio.sleep(0.02)
        raise Wrong("not everything is marked as shown")

    async def say(self, number: int) -> None:
        """Until it is accepted. Raises Wrong."""
        deadline = time.monotonic() + HOLD_UP
        while time.monotonic() < deadline:
            try:
                await self._house.engine.accept([self._events[number]])
                self._note(f"accepted {number}")
                self.accepted = number + 1
                return
            except StorageError as error:
                if not str(error).startswith(REFUSED_BECAUSE):
                    raise Wrong(f"accept failed with: {error}") from error
                await asyncio.sleep(0.02)
        raise Wrong("nothing is accepted any more")


def judge(path: Path, turns: int = TURNS) -> None:
    """What must be in the file when all is done and nothing has it open: each question once, answered once, in order. Raises
    Wrong."""
    with closing(sqlite3.connect(path)) as database:
        verdict = database.execute("PRAGMA integrity_check").fetchone()[0]
        strays = database.execute("PRAGMA foreign_key_check").fetchall()
        inbox = database.execute("SELECT state, count(*) FROM inbox GROUP BY state").fetchall()
        said = database.execute("SELECT role, text FROM messages ORDER BY id").fetchall()
        unshown = database.execute("SELECT count(*) FROM outbox WHERE state <> 'sent'").fetchone()[0]
    if verdict != "ok" or strays:
        raise Wrong(f"integrity_check: {verdict} {strays}")
    if inbox != [("done", turns)]:
        raise Wrong(f"the inbox holds {inbox} instead of {turns} done")
    expected = [line for n in range(turns) for line in (("user", f"question {n}"), ("assistant", answer(n)))]
    if said != expected:
        raise Wrong(f"the history holds {[(role, text[:20]) for role, text in said]}")
    if unshown:
        raise Wrong(f"{unshown} pieces were never marked as shown")
