"""The product for as long as one likes, with a little of every fault all the time: what it holds (memory, descriptors, tasks)
must not grow, and in the end everything must have come to rest as if nothing had happened.

The first half warms it up: caches fill, connections open, the allocator takes what it needs. Then everybody is silent until all
is at rest, and once more in the end: between the two rests nothing may have been added. Meanwhile a look every few seconds
gives the slopes of the second half.
"""

from __future__ import annotations

import asyncio
import logging
import random
import shutil
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp

from tests.servers.proxy import FaultProxy
from tests.torture.checker import check
from tests.torture.checker_money import wrong_money
from tests.torture.checker_run import Run
from tests.torture.crowd import Person, cards_of
from tests.torture.drizzle import Drizzle
from tests.torture.gauges import Gauges, look, slope, watched
from tests.torture.part import Effort, Tally
from tests.torture.world import PAGE_TOKEN, World, empty_database, passed, world

log = logging.getLogger(__name__)

PEOPLE, FEW = 30, 9
THINKS = 1.0  # seconds between two acts of a person, on average
LOOK = 2.0  # seconds
SILENCE = 6.0  # seconds at rest before a look: connections that browsers left are closed after 5
SHORTEST = 2.0  # seconds
STOPPING = frozenset({"stop", "reset", "edit"})
JUDGED = 60.0  # seconds of a scene, from which on it is said what grows: before, it is still warming up


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    name: str
    workers: int = 1
    postgres: bool = False


SCENES = (Scene(name="SQLite"), Scene(name="two workers on PostgreSQL", workers=2, postgres=True))


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """Something that a process holds. So much `more` of it may come over the second half, however long that is: between the two
    rests, and by the lower end of its slope."""

    name: str
    of: Callable[[Gauges], float]
    more: float


HELD = (
    # SQLite's cache is filled up to 16 MB as the database grows; the allocator's gaps were 7 MB after 3,500 messages, with what
    # is in use unchanged.
    Held(name="RSS, MB", of=lambda gauges: gauges.rss, more=26.0),
    # What leaks in Python leaks here: a turn that is kept would be hundreds of blocks. Of 550,000, up to 50,000 were seen to be
    # garbage that was not collected yet, and after a collection none had been added by 3,500 messages.
    Held(name="memory blocks, thousands", of=lambda gauges: gauges.blocks, more=60.0),
    # Idle connections stay in their pools for half a minute: a dozen more or less.
    Held(name="descriptors", of=lambda gauges: gauges.descriptors, more=20),
    Held(name="tasks", of=lambda gauges: gauges.tasks, more=4),
)


async def torture(effort: Effort) -> Tally:
    """Both scenes, half of the time each; with no time at all SQLite alone, a few seconds."""
    tally = Tally()
    scenes = SCENES if effort.seconds else SCENES[:1]
    for scene in scenes:
        place = effort.scratch / scene.name.replace(" ", "-")
        seconds = max(SHORTEST, effort.seconds / len(scenes))
        found = await soak(scene, place, effort.chance(scene.name), seconds, PEOPLE if effort.seconds else FEW)
        found.wrong = [f"{scene.name}, seed {effort.seed}: {sentence}" for sentence in found.wrong]
        tally.add(found)
        if not found.wrong:
            shutil.rmtree(place)
    return tally


async def soak(scene: Scene, directory: Path, chance: random.Random, seconds: float, people: int) -> Tally:
    """One scene, from an empty store to the judgement; what grows is judged where there was time to see it."""
    tally = Tally()
    async with _place(scene, directory, chance, people) as (made, drizzle):
        await _quiet(made)
        await _talk(made, drizzle, seconds / 2)
        before = await _rest(made, seconds)
        async with AsyncExitStack() as stack:
            looking = [watched(worker, PAGE_TOKEN, LOOK) for worker in made.workers]
            seen = [await stack.enter_async_context(one) for one in looking]
            await _talk(made, drizzle, seconds / 2)
        after = await _rest(made, seconds)
        run = await made.run()
        tally.wrong += [*made.wrong, *_judged(run, drizzle)]
    tally.tried[f"things said, {scene.name}"] += len(run.asked)
    tally.tried[f"calls of vendors, {scene.name}"] += len(run.called)
    tally.tried.update({f"{kind}, {scene.name}": count for kind, count in drizzle.struck.items()})
    tally.tried[f"previews left over, {scene.name}"] += sum(message.writing for message in run.shown)
    for number in range(scene.workers):
        name = f"{scene.name}, worker {number}" if scene.workers > 1 else scene.name
        for held in HELD:
            figures, wrong = _grown(held, name, before[number], after[number], seen[number])
            tally.figures |= figures
            tally.wrong += wrong if seconds >= JUDGED else []
    return tally


def _judged(run: Run, drizzle: Drizzle) -> list[str]:
    """A send whose answer is lost leaves what a kill would have left."""
    unheard = replace(run, kills=drizzle.lost)
    money = set(wrong_money(unheard))
    return [*(sentence for sentence in check(unheard) if sentence not in money), *_wrong_money(run, len(drizzle.cut))]


def _wrong_money(run: Run, cut: int) -> Iterator[str]:
    """Chat by chat: a turn that is stopped as it begins may have reserved for a call that never got to the vendor, and so may
    a commit of which nobody was told."""
    owned = [
        (next((chat for chat, word in run.canaries.items() if word in call.prompt), ""), call) for call in run.called
    ]
    for chat in ("", *run.canaries):
        stops = sum(one.chat == chat and one.kind in STOPPING for one in run.asked)
        booked = tuple(row for row in run.stored.booked if (row.chat if row.chat in run.canaries else "") == chat)
        yield from wrong_money(
            replace(
                run,
                called=[call for owner, call in owned if owner == chat],
                stored=replace(run.stored, booked=booked),
                kills=[0.0] * (cut + stops),
            )
        )


def _grown(
    held: Held, name: str, before: Gauges, after: Gauges, seen: Sequence[Gauges]
) -> tuple[dict[str, float], list[str]]:
    added = held.of(after) - held.of(before)
    middle, least = slope([(one.at, held.of(one)) for one in seen])
    lasted = seen[-1].at - seen[0].at
    figures = {
        f"{name}: {held.name}, at rest after the first half": held.of(before),
        f"{name}: {held.name}, at rest in the end": held.of(after),
        f"{name}: {held.name}, slope per minute": 60 * middle,
    }
    wrong = []
    if added > held.more:
        wrong.append(f"{name}: {added:g} more {held.name} at rest than {lasted:.0f} s before")
    if least * lasted > held.more:
        wrong.append(f"{name}: {held.name} grows by {60 * middle:.3g} a minute, and surely by {60 * least:.3g}")
    return figures, wrong


# --- what happens ------------------------------------------------------------------------------------------------------


async def _talk(made: World, drizzle: Drizzle, seconds: float) -> None:
    over = asyncio.Event()
    async with drizzle.falling(), asyncio.TaskGroup() as crowd:
        for person in made.people:
            crowd.create_task(_act(person, over, made.chance))
        crowd.create_task(_read(made, over))
        await asyncio.sleep(seconds)
        over.set()


async def _act(person: Person, over: asyncio.Event, chance: random.Random) -> None:
    while not await passed(over, chance.expovariate(1 / THINKS)):  # how people pause
        await person.act()


async def _read(made: World, over: asyncio.Event) -> None:
    """A browser that opens one chat after the other, and leaves it again."""
    assert made.browser is not None
    chats = [person.mouth.chat for person in made.people if person.mouth.chat.startswith("web:")]
    while not await passed(over, made.chance.expovariate(1 / THINKS)):
        try:
            await cards_of(made.browser, made.chance.choice(chats).removeprefix("web:"))
        except aiohttp.ClientError as error:
            log.info("soak: the page does not open just now: %s", error)


async def _quiet(made: World) -> None:
    """Everyone is known before the first fault: nothing tells a bot of Discord's private chats that it has not heard of."""
    for person in made.people:
        await person.ask()
    await made.rest()


async def _rest(made: World, seconds: float) -> list[Gauges]:
    await made.rest()
    await asyncio.sleep(min(SILENCE, seconds / 10))
    return [await look(worker, PAGE_TOKEN) for worker in made.workers]


# --- where -------------------------------------------------------------------------------------------------------------


@asynccontextmanager
async def _place(
    scene: Scene, directory: Path, chance: random.Random, people: int
) -> AsyncIterator[tuple[World, Drizzle]]:
    async with AsyncExitStack() as stack:
        storage, server = await stack.enter_async_context(empty_database(wanted=scene.postgres))
        database: FaultProxy | Path = directory / "data0" / "magpie.db"
        if server is not None:
            database = await stack.enter_async_context(FaultProxy("127.0.0.1", server.port, chance))
            parts = urlsplit(storage)
            storage = parts._replace(netloc=parts.netloc.replace(str(parts.port), str(database.port))).geturl()
        made = await stack.enter_async_context(
            world(
                directory,
                chance,
                on=["telegram", "discord", "web"],
                people=people,
                workers=scene.workers,
                storage=storage,
                LOG_LEVEL="INFO",  # hours at DEBUG would fill the disk
            )
        )
        yield (
            made,
            Drizzle(
                chance=chance,
                models=made.models,
                telegram=made.telegram,
                discord=made.discord,
                database=database,
            ),
        )
