"""The disk fails: the Nth write, read, sync … of a ten-turn script, for every N, once or for a while; and the database is
locked by somebody else for longer than one likes.

Whatever happens, each of the ten questions is answered once and in order, the failure is told in a sentence, and the file is
sound when it is opened again. After every other fault the bot is started anew at once, as its owner may do.
"""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
import time
from collections.abc import Awaitable, Callable
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

from bot.turns.answer import CURSOR
from tests.stage import House
from tests.torture.part import Effort, Tally
from tests.torture.ten_turns import CHAT, TURNS, Talk, Wrong, answer, comes, fresh, judge, opened, stage
from tests.torture.vfs import KINDS, MISSING, Disk, Fault, Kind, wrapped

AT_ONCE = 16  # runs side by side: most of their time they wait for the next try
A_WHILE = 0.3  # seconds that a fault lasts which is not over at once
LOCKS = (1.0, 5.0, 15.0)  # seconds; SQLite itself waits for 10
LATE = 12.0  # seconds after a lock until everything is as before
SHORTEST = 40  # faults of the shortest form
EIO, ENOSPC = Fault("write", 1), Fault("write", 1, full=True)
WAYS = (EIO, ENOSPC, replace(EIO, short=True), replace(ENOSPC, short=True))  # in which a write fails


@dataclass(frozen=True, slots=True)
class Case:
    """A fault, and what follows: the bot goes on, or is `restarted` at once."""

    fault: Fault
    restarted: bool = False

    @property
    def lasting(self) -> bool:
        return self.fault.seconds > 0

    def __str__(self) -> str:
        fault = self.fault
        words = {"short": fault.short, "for a while": self.lasting, "restarted": self.restarted}
        return ", ".join(
            [
                f"{fault.kind} {fault.number}",
                "disk full" if fault.full else "I/O error",
                *(w for w, on in words.items() if on),
            ]
        )


async def torture(effort: Effort) -> Tally:
    tally = Tally()
    if MISSING:
        return tally
    counts = await operations(effort.scratch / "healthy")
    tally.figures["disk: operations of the script"] = sum(counts.values())
    left = cases(counts)
    chance = effort.chance("disk")
    chance.shuffle(left)
    left.sort(key=_turn)
    left = left if effort.seconds else chance.sample(left, SHORTEST)
    end = time.monotonic() + effort.seconds if effort.seconds else float("inf")
    tally.figures["disk: faults there are"] = len(left)
    left.reverse()
    with wrapped() as add:

        async def work(worker: int) -> None:
            while left and time.monotonic() < end:
                case = left.pop()
                await _tried(tally, case, _faulty(case, add), effort.scratch / f"run{worker}")

        async with asyncio.TaskGroup() as tasks:
            for worker in range(AT_ONCE):
                tasks.create_task(work(worker))
            for seconds in LOCKS if effort.seconds else LOCKS[:1]:
                where = effort.scratch / f"lock{seconds:g}"
                tasks.create_task(_tried(tally, f"a lock of {seconds:g} s", _locked_out(seconds), where))
    return tally


def cases(counts: dict[Kind, int]) -> list[Case]:
    """Every operation of the script with every way in which it can fail, once; some of them for a while."""
    found = []
    for kind, count in counts.items():
        for number in range(1, count + 1):
            for place, way in enumerate(WAYS if kind == "write" else WAYS[:1]):
                fault = replace(way, kind=kind, number=number)
                found.append(Case(fault, restarted=(number // len(WAYS) + place) % 2 == 0))
                if (number + place) % 10 == 0 or kind == "sync":
                    found.append(Case(replace(fault, seconds=A_WHILE)))
    return found


def _turn(case: Case) -> int:
    """First each operation fails in one way, then in the others."""
    if case.fault.kind != "write":
        return int(case.lasting)
    number = case.fault.number
    first = replace(WAYS[number % len(WAYS)], number=number)
    return int(case.fault != first)


async def operations(directory: Path) -> dict[Kind, int]:
    """How many of each kind the script needs on a healthy disk."""
    disk = Disk(fresh(directory))
    with wrapped(disk):
        house = stage(directory)
        await opened(house)
        await Talk(house).to_the_end()
        await house.drain(5)
    judge(directory / "magpie.db")
    return {kind: disk.done[kind] for kind in KINDS}


Trial = Callable[[Path], Awaitable[str]]  # gets an empty directory, gives what was tried; raises Wrong


async def _tried(tally: Tally, case: object, trial: Trial, directory: Path) -> None:
    fresh(directory)
    try:
        tally.tried[f"disk: {await trial(directory)}"] += 1
    except Wrong as error:
        tally.wrong.append(f"disk: {case}: {error}")
    except Exception as error:  # noqa: BLE001  # a breakdown is a finding, the others go on
        tally.wrong.append(f"disk: {case}: it broke down: {error!r}")
    finally:
        shutil.rmtree(directory, ignore_errors=True)


# --- faults ------------------------------------------------------------------------------------------------------------------


def _faulty(case: Case, add: Callable[[Disk], None]) -> Trial:
    async def trial(directory: Path) -> str:
        disk = Disk(directory, fault=case.fault)
        add(disk)
        house = stage(directory)
        await opened(house)
        try:
            await _talk(house, disk, restart=case.restarted)
            await house.drain(5)
        finally:
            await house.crash()
        disk.fault = None  # a script that read less than the healthy one may not meet it before; the judge must not
        judge(directory / "magpie.db")
        _look(house, previews=int(case.restarted))
        if not disk.failed:
            return "faults that were not reached"
        return f"{case.fault.kind} faults{', restarted' * case.restarted}{', for a while' * case.lasting}"

    return trial


async def _talk(house: House, disk: Disk, *, restart: bool) -> None:
    talk = Talk(house)
    talking = asyncio.create_task(talk.to_the_end())
    if restart:
        await comes(lambda: disk.failed or talking.done(), "the fault or the end")
    if restart and not talking.done():
        await house.crash()
        talking.cancel()
        await asyncio.wait([talking])
        await opened(house)
        await talk.to_the_end()
    else:
        await talking


def _look(house: House, *, previews: int) -> None:
    """At the chat: all answers, in order, once. Raises Wrong."""
    standing = house.window.standing(CHAT)
    if sum(text.endswith(CURSOR) for text in standing) > previews:
        raise Wrong("a preview was left over")
    if [text for text in standing if not text.endswith(CURSOR)] != [answer(number) for number in range(TURNS)]:
        raise Wrong(f"in the chat stands {[text[:20] for text in standing]}")


# --- locks -------------------------------------------------------------------------------------------------------------------


def _locked_out(seconds: float) -> Trial:
    """A backup, or somebody who looks at the database with another program and forgets to let it go."""

    async def trial(directory: Path) -> str:
        house = stage(directory)
        await opened(house)
        try:
            talking = asyncio.create_task(Talk(house).to_the_end())
            await comes(lambda: answer(1) in house.window.standing(CHAT), "answer 1")
            with closing(sqlite3.connect(directory / "magpie.db", isolation_level=None)) as other:
                other.execute("BEGIN IMMEDIATE")
                await asyncio.sleep(seconds)
                other.execute("ROLLBACK")
            try:
                async with asyncio.timeout(LATE):
                    await talking
            except TimeoutError:
                raise Wrong(f"{LATE:g} s after the lock not everything is answered") from None
            await house.drain(5)
        finally:
            await house.crash()
        judge(directory / "magpie.db")
        _look(house, previews=0)
        return "locks"

    return trial
