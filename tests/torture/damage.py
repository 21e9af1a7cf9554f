"""Damaged databases: copies of a sound one in which bytes were flipped, sectors overwritten, pages lost, ends cut off.

The start refuses such a file with a sentence and leaves it as it is, or it works, sound by SQLite's full check, and answers.
What is damaged in a person's own words nobody can see.
"""

from __future__ import annotations

import copy
import random
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

from bot.errors import StorageRefused
from bot.phrases import STORAGE
from tests.stage import House
from tests.torture.part import Effort, Tally
from tests.torture.ten_turns import CHAT, Talk, Wrong, comes, fresh, opened, stage
from tests.torture.vfs import SECTOR
from tests.window import Window

PAGE = 4096  # bytes, SQLite's default
SHORTEST = 48  # copies of the shortest form
DATABASE, LOG = "magpie.db", "magpie.db-wal"
QUESTION = "still there?"
CLEAR = ("magpie.db cannot be used (", "The database was written by a newer Magpie (")


@dataclass(frozen=True, slots=True)
class Sound:
    """A database as it was left: closed in order, or by a crash, with its log beside it; and what people see of it."""

    name: str
    files: dict[str, bytes]
    window: Window


# --- the damage --------------------------------------------------------------------------------------------------------------

Damage = Callable[[random.Random, bytearray], str]  # says what it did


def _flip(chance: random.Random, content: bytearray) -> str:
    place, bit = _page(chance, content) + chance.randrange(PAGE), chance.randrange(8)
    place = min(place, len(content) - 1)
    content[place] ^= 1 << bit
    return f"bit {bit} of byte {place} flipped"


def _flip_in_head(chance: random.Random, content: bytearray) -> str:
    """Of a page, where its structure stands."""
    place = min(_page(chance, content) + chance.randrange(100), len(content) - 1)
    content[place] ^= 1 << chance.randrange(8)
    return f"byte {place} flipped"


def _overwrite(chance: random.Random, content: bytearray) -> str:
    place = _page(chance, content) + chance.randrange(PAGE // SECTOR) * SECTOR
    length = min(SECTOR * chance.randint(1, 8), len(content) - place)
    content[place : place + length] = chance.randbytes(length)
    return f"{length} bytes at {place} overwritten"


def _clear(chance: random.Random, content: bytearray) -> str:
    place = _page(chance, content)
    length = min(PAGE, len(content) - place)
    content[place : place + length] = bytes(length)
    return f"the page at {place} cleared"


def _page(chance: random.Random, content: bytearray) -> int:
    """Where a page begins: every other time one of the few that are no mere text, but part of a table or an index
    (https://sqlite.org/fileformat2.html#b_tree_pages)."""
    pages = range(0, len(content) - PAGE + 1, PAGE)
    trees = [page for page in pages if content[page] in (2, 5, 10, 13)]
    return chance.choice(trees if trees and chance.random() < 0.5 else pages)


def _swap(chance: random.Random, content: bytearray) -> str:
    """Two pages, as of a file that was put together wrongly."""
    first, second = (chance.randrange(len(content) // PAGE) * PAGE for _ in range(2))
    one, other = content[first : first + PAGE], content[second : second + PAGE]
    content[first : first + PAGE], content[second : second + PAGE] = other, one
    return f"the pages at {first} and {second} exchanged"


def _cut(chance: random.Random, content: bytearray) -> str:
    size = chance.randrange(1, len(content))
    del content[size:]
    return f"cut to {size} bytes"


DAMAGES: tuple[Damage, ...] = (_flip, _flip_in_head, _overwrite, _clear, _swap, _cut)

# --- the campaign ------------------------------------------------------------------------------------------------------------


async def torture(effort: Effort) -> Tally:
    tally = Tally()
    masters = await sound(effort.scratch / "sound")
    end = time.monotonic() + effort.seconds if effort.seconds else float("inf")
    number = 0
    while time.monotonic() < end and (effort.seconds or number < SHORTEST):
        chance = effort.chance(f"damage {number}")
        master = masters[number % len(masters)]
        victim = chance.choice(sorted(master.files))
        content = bytearray(master.files[victim])
        what = f"{master.name}, {victim}: {DAMAGES[number // len(masters) % len(DAMAGES)](chance, content)}"
        try:
            came = await _tried(effort.scratch / "copy", master, {**master.files, victim: bytes(content)})
            tally.tried[f"damage: {came}"] += 1
        except Wrong as error:
            tally.wrong.append(f"damage {number}: {what}: {error}")
        except Exception as error:  # noqa: BLE001  # a breakdown is a finding, the others go on
            tally.wrong.append(f"damage {number}: {what}: it broke down: {error!r}")
        number += 1
    return tally


async def sound(directory: Path) -> list[Sound]:
    house = stage(fresh(directory))
    await opened(house)
    await Talk(house).to_the_end()
    crashed = {name: (directory / name).read_bytes() for name in (DATABASE, LOG)}
    await house.drain(5)
    closed = {DATABASE: (directory / DATABASE).read_bytes()}
    return [Sound("closed", closed, house.window), Sound("crashed", crashed, house.window)]


async def _tried(directory: Path, master: Sound, files: dict[str, bytes]) -> str:
    """What came of it. Raises Wrong."""
    house = stage(fresh(directory, files), window=copy.deepcopy(master.window))
    try:
        await house.open()
    except StorageRefused as error:
        if not any(clear in str(error) for clear in CLEAR):
            raise Wrong(f"refused with: {error}") from error
        if any((directory / name).read_bytes() != content for name, content in files.items()):
            raise Wrong(f"refused ({error}), but a file was changed") from error
        return "refused"
    try:
        await _answers(house)
        await house.drain(5)
    finally:
        await house.crash()
    with closing(sqlite3.connect(directory / DATABASE)) as database:
        verdict = database.execute("PRAGMA integrity_check").fetchone()[0]
    if verdict != "ok":
        raise Wrong(f"it works, but integrity_check says: {verdict}")
    return "works"


async def _answers(house: House) -> None:
    """A new question in the same chat. Where the end of the log is lost, an older one may be asked together with it. Raises
    Wrong."""
    event = house.event("message", CHAT, QUESTION, message="new")
    await house.engine.accept([replace(event, event="new")])
    await comes(lambda: _said(house), "an answer")
    if STORAGE.en in _said(house):
        raise Wrong(f"it works, but to the next question it says: {STORAGE.en}")


def _said(house: House) -> list[str]:
    return [text for text in house.window.standing(CHAT) if text == STORAGE.en or text.endswith(QUESTION)]
