"""The power fails: at every instant of a ten-turn script, with what was not synced yet lost, torn or in disorder.

All that SQLite does to its files is recorded. For each prefix of that record the files are made as a disk may hold them then,
and the real store opens them: the file must be sound, and hold all that was acknowledged before.
"""

from __future__ import annotations

import asyncio
import random
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from bot.errors import StorageRefused
from storage import open_store
from tests.stage import House
from tests.torture.part import Effort, Tally
from tests.torture.ten_turns import TURNS, Talk, Wrong, answer, comes, fresh, judge, opened, stage
from tests.torture.vfs import MISSING, SECTOR, Deed, Deleted, Disk, Noted, Synced, Truncated, Wrote, wrapped

PASSES = 16  # over the record, each with other prefixes: however little time there is, all parts of it are seen
AT_ONCE = 3
SHORTEST = 120  # images of the shortest form
FIRST_SESSION = 2  # turns before the database is closed and opened again
GOES_ON = 40  # one image in so many is also worked on with to the end

Files = dict[str, bytes]


@dataclass(frozen=True, slots=True)
class Image:
    """The files as they are after the power failed, and what had been acknowledged by then."""

    name: str
    files: Files
    accepted: int
    answered: frozenset[int]


# --- how unsynced writes end up ----------------------------------------------------------------------------------------------

Chooser = Callable[
    [random.Random, int, int], list[bool]
]  # (chance, sectors, sectors of the last write) → which were written


def _nothing(chance: random.Random, sectors: int, last: int) -> list[bool]:
    return [False] * sectors


def _everything(chance: random.Random, sectors: int, last: int) -> list[bool]:
    return [True] * sectors


def _torn(chance: random.Random, sectors: int, last: int) -> list[bool]:
    return [True] * (sectors - last) + [chance.random() < 0.5 for _ in range(last)]


def _some(chance: random.Random, sectors: int, last: int) -> list[bool]:
    return [chance.random() < 0.5 for _ in range(sectors)]


def _most(chance: random.Random, sectors: int, last: int) -> list[bool]:
    return [chance.random() < 0.9 for _ in range(sectors)]


def _latest(chance: random.Random, sectors: int, last: int) -> list[bool]:
    first = chance.randint(0, sectors)
    return [sector >= first for sector in range(sectors)]


PATTERNS: tuple[tuple[str, Chooser, bool], ...] = (
    ("nothing", _nothing, False),
    ("everything", _everything, False),
    ("the last write torn", _torn, False),
    ("half of the sectors", _some, False),
    ("most of the sectors", _most, False),
    ("the latest sectors", _latest, False),
    ("half of the sectors, the others rubbish", _some, True),
)


@dataclass(slots=True)
class _File:
    """What is surely on the disk (None: no such file), and what was done since."""

    durable: bytearray | None = None
    pending: list[Wrote | Truncated | Deleted] = field(default_factory=list)

    def sync(self) -> None:
        self.durable = self.after([True] * self.sectors(), None)
        self.pending.clear()

    def sectors(self) -> int:
        return sum(_sectors(deed) for deed in self.pending)

    def after(self, written: Sequence[bool], rubbish: random.Random | None) -> bytearray | None:
        """The file if just these sectors of its pending deeds were written. With `rubbish`, space that was added and not
        written holds anything."""
        content = None if self.durable is None else bytearray(self.durable)
        flags = iter(written)
        for deed in self.pending:
            match deed:
                case Deleted():
                    if not next(flags):
                        return content  # the old file is still there, and what came after is about another one
                    content = None
                case Truncated(_, size):
                    if next(flags) and content is not None:
                        content = content[:size].ljust(size, b"\0")
                case Wrote(_, offset, data):
                    content = _written(content, offset, data, [next(flags) for _ in range(_sectors(deed))], rubbish)
        return content


def _sectors(deed: Wrote | Truncated | Deleted) -> int:
    if not isinstance(deed, Wrote):
        return 1
    return (deed.offset + len(deed.data) - 1) // SECTOR - deed.offset // SECTOR + 1


def _written(
    content: bytearray | None, offset: int, data: bytes, flags: Sequence[bool], rubbish: random.Random | None
) -> bytearray | None:
    if content is None and not any(flags):
        return None
    content = bytearray() if content is None else content
    start = offset
    for flag in flags:
        end = min((start // SECTOR + 1) * SECTOR, offset + len(data))
        if flag or (rubbish and start >= len(content)):
            if start > len(content):
                content.extend(bytes(start - len(content)))
            content[start:end] = (
                data[start - offset : end - offset] if flag or not rubbish else rubbish.randbytes(end - start)
            )
        start = end
    return content


class Record:
    """Plays the deeds again, and gives the images of those prefixes that are asked for."""

    def __init__(self, deeds: Sequence[Deed]) -> None:
        self._deeds = deeds
        self._seen: set[tuple[int, str, tuple[bool, ...]]] = set()

    def images(self, wanted: Callable[[int], bool], chance: random.Random) -> Iterator[Image]:
        files: dict[str, _File] = {}
        accepted, answered, syncs = 0, set[int](), 0
        for place, deed in enumerate(self._deeds):
            match deed:
                case Noted(text):
                    number = int(text.rpartition(" ")[2])
                    accepted = max(accepted, number + 1)
                    if text.startswith("answered"):
                        answered.add(number)
                case Synced(name):
                    files.setdefault(name, _File(bytearray())).sync()
                    for (
                        file
                    ) in files.values():  # the file system's own journal keeps the order of what happens to names
                        if any(isinstance(one, Deleted) for one in file.pending):
                            file.sync()
                    syncs += 1
                case Wrote(name) | Truncated(name) | Deleted(name):
                    files.setdefault(name, _File()).pending.append(deed)
                    if isinstance(deed, Deleted) and deed.durably:
                        files[name].sync()
            if wanted(place):
                made = self._made(files, syncs, deed, chance)
                yield from (
                    Image(f"after deed {place}, {how}", kept, accepted, frozenset(answered)) for how, kept in made
                )

    def _made(
        self, files: Mapping[str, _File], syncs: int, deed: Deed, chance: random.Random
    ) -> Iterator[tuple[str, Files]]:
        """One image a pattern, without those that were there before."""
        last = _sectors(deed) if isinstance(deed, Wrote) else 1
        pending = {name: file for name, file in files.items() if file.pending}
        for how, choose, rubbish in PATTERNS:
            chosen = {name: choose(chance, file.sectors(), last) for name, file in pending.items()}
            flags = tuple(flag for name in sorted(chosen) for flag in chosen[name])
            key = (syncs, "rubbish" if rubbish else "", flags)
            if key in self._seen:
                continue
            self._seen.add(key)
            kept = {name: file.after(chosen.get(name, ()), chance if rubbish else None) for name, file in files.items()}
            yield how, {name: bytes(content) for name, content in kept.items() if content is not None}


# --- the campaign ------------------------------------------------------------------------------------------------------------


async def torture(effort: Effort) -> Tally:
    tally = Tally()
    if MISSING:
        return tally
    deeds = await recorded(effort.scratch / "recorded")
    tally.figures["power: deeds recorded"] = len(deeds)
    chance = effort.chance("power")
    images = _all_images(deeds, chance)
    end = time.monotonic() + effort.seconds if effort.seconds else float("inf")
    most = len(deeds) * len(PATTERNS) if effort.seconds else SHORTEST

    async def work(worker: int) -> None:
        nonlocal most
        directory = effort.scratch / f"image{worker}"
        while most > 0 and time.monotonic() < end and (image := next(images, None)):
            most -= 1
            try:
                await _judged(directory, image, goes_on=most % GOES_ON == 0)
                tally.tried["power: images"] += 1
            except Wrong as error:
                tally.wrong.append(f"power: {image.name} ({image.accepted} accepted): {error}")
            except Exception as error:  # noqa: BLE001  # a breakdown is a finding, the others go on
                tally.wrong.append(f"power: {image.name}: it broke down: {error!r}")

    async with asyncio.TaskGroup() as tasks:
        for worker in range(AT_ONCE):
            tasks.create_task(work(worker))
    return tally


async def recorded(directory: Path) -> list[Deed]:
    """All that happens to the files from the first start on, with the notes of what was acknowledged."""
    disk = Disk(fresh(directory), recording=True)

    def note(text: str) -> None:
        disk.remember(Noted(text))

    with wrapped(disk):
        house = stage(directory, note)
        talk = Talk(house, note)
        for turns in (FIRST_SESSION, TURNS):
            await opened(house)
            await talk.to_the_end(turns)
            await house.drain(5)
    judge(directory / "magpie.db")
    return disk.deeds


def _all_images(deeds: Sequence[Deed], chance: random.Random) -> Iterator[Image]:
    record = Record(deeds)
    for remainder in chance.sample(range(PASSES), PASSES):
        yield from record.images(lambda place, remainder=remainder: place % PASSES == remainder, chance)  # type: ignore[misc]


async def _judged(directory: Path, image: Image, *, goes_on: bool) -> None:
    """Raises Wrong."""
    path = fresh(directory, image.files) / "magpie.db"
    try:
        async with open_store(f"sqlite:///{path}"):
            pass
    except StorageRefused as error:
        raise Wrong(f"the start was refused with: {error}") from error
    _look(path, image)
    if goes_on:
        await _worked_on(directory)


async def _worked_on(directory: Path) -> None:
    """The platform delivers everything once more, and the bot does what is left."""
    house = stage(directory)
    await opened(house)
    try:
        talk = Talk(house)
        for number in range(TURNS):
            await talk.say(number)
            await comes(partial(_done, house, number + 1), f"the end of turn {number}")
        await talk.at_rest()
        await house.drain(5)
    finally:
        await house.crash()
    judge(directory / "magpie.db")


def _done(house: House, turns: int) -> bool:
    return int(house.query("SELECT count(*) FROM inbox WHERE state = 'done'")[0][0]) >= turns


def _look(path: Path, image: Image) -> None:
    with closing(sqlite3.connect(path)) as database:
        verdict = database.execute("PRAGMA integrity_check").fetchone()[0]
        events = [event for (event,) in database.execute("SELECT event FROM inbox ORDER BY id")]
        answers = [
            text for (text,) in database.execute("SELECT text FROM messages WHERE role = 'assistant' ORDER BY id")
        ]
    if verdict != "ok":
        raise Wrong(f"integrity_check: {verdict}")
    if len(events) < image.accepted or events != [f"e{number}" for number in range(1, len(events) + 1)]:
        raise Wrong(f"the inbox holds {events}")
    if answers != [answer(number) for number in range(len(answers))] or len(answers) <= max(image.answered, default=-1):
        raise Wrong(f"{len(answers)} answers are there instead of {sorted(image.answered)}")
