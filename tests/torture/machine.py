"""The state machine: everything that people, platforms and operators do, by chance, with kills in between, on SQLite with one
worker and on PostgreSQL with two. A walk that breaks a promise is made again with fewer and fewer steps, as far as time allows.

`machine_house.py` is what walks, `machine_walk.py` the steps, `machine_checks.py` the promises.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from uuid import uuid4

from tests.postgres import Postgres, postgres
from tests.torture.machine_checks import broken
from tests.torture.machine_walk import Step, Walk, steps
from tests.torture.part import Effort, Tally

WALK = 250  # steps: then another begins with an empty store
SHRINKING = 60.0  # seconds for one broken walk
MOST_BROKEN = 5  # walks: they tell enough

Outcome = list[str]
Make = Callable[[Sequence[Step]], Awaitable[Outcome]]


async def torture(effort: Effort) -> Tally:
    """Walks for as long as is given, at least one on each store."""
    tally = Tally()
    until = time.monotonic() + effort.seconds
    with postgres() as server:
        number = 0
        while number < 2 or (time.monotonic() < until and len(tally.wrong) < MOST_BROKEN):
            await one_walk(tally, effort, number, WALK, server if number % 2 else None, shrinking=SHRINKING)
            number += 1
    tally.figures["steps"] = tally.tried["steps"]
    return tally


async def one_walk(
    tally: Tally, effort: Effort, number: int, count: int, server: Postgres | None, *, shrinking: float = 0.0
) -> None:
    """The walk of this number: on PostgreSQL with two workers, or on SQLite with one; sends are idempotent in every other."""
    chance = effort.chance(f"walk {number}")
    workers = 2 if server else 1
    made = steps(chance, count, workers=workers)
    make = partial(walked, effort.scratch, server, workers, number // 2 % 2 == 1, effort.seed + number, tally)
    wrong = await make(made)
    tally.tried["walks"] += 1
    if wrong:
        store = "PostgreSQL, two workers" if server else "SQLite"
        least, wrong = await _shrunk(make, made, wrong, time.monotonic() + shrinking)
        told = "; ".join(_told(step) for step in least)
        tally.wrong.append(
            f"walk {number} of seed {effort.seed} on {store}: {'; '.join(wrong[:3])}. {len(least)} steps: {told}"
        )


async def walked(
    scratch: Path,
    server: Postgres | None,
    workers: int,
    idempotent: bool,
    seed: int,
    tally: Tally,
    made: Sequence[Step],
) -> Outcome:
    """Make these steps on an empty store, rest, and see what is broken."""
    async with AsyncExitStack() as stack:
        url = f"sqlite:///{scratch / uuid4().hex}.db"
        if server:
            url = await stack.enter_async_context(server.database())
        walk = Walk(url, workers, idempotent=idempotent, seed=seed)
        try:
            await stack.enter_async_context(walk.begun())
            for step in made:
                await walk.take(step)
                tally.tried["steps"] += 1
            await walk.rest()
            wrong = await broken(walk)
        except Exception as error:  # noqa: BLE001  # whatever ends a walk is what this looks for
            wrong = [f"{type(error).__name__}: {error}"[:1_000]]
    tally.tried["events"] += len(walk.log)
    tally.tried["calls of the vendor"] += len(walk.vendor.asked)
    tally.tried["kills"] += walk.kills
    return wrong


async def _shrunk(make: Make, made: Sequence[Step], wrong: Outcome, until: float) -> tuple[Sequence[Step], Outcome]:
    """Fewer steps that break the same promise: ever smaller parts are left out. What hangs on an instant may not come again."""
    promise, size = _promise(wrong), len(made) // 2
    while size and time.monotonic() < until:
        for start in range(0, len(made), size):
            if time.monotonic() > until:
                break
            fewer = [*made[:start], *made[start + size :]]
            found = await make(fewer) if fewer else []
            if found and _promise(found) == promise:
                made, wrong = fewer, found
                break
        else:
            size //= 2
    return made, wrong


def _promise(wrong: Outcome) -> str:
    return wrong[0].partition(":")[0]


def _told(step: Step) -> str:
    word = f" {step.word}" if step.word else ""
    return f"{step.kind}{word} in {step.chat} by {step.person} on {step.worker} ({step.pick:.3f}, {step.wait:.3f})"
