"""kill -9 of the whole process group at random instants, while twenty people talk; then everything must come to rest as if
nothing had happened. With two workers on one database, one of them is killed, paused (as a swapped-out machine would be) or
replaced.
"""

from __future__ import annotations

import asyncio
import logging
import random
import shutil
import signal
import time
from dataclasses import dataclass, field
from pathlib import Path

from tests.torture.checker import check
from tests.torture.crowd import Person
from tests.torture.part import Effort, Tally
from tests.torture.world import World, empty_database, world

log = logging.getLogger(__name__)

ROUND = 12  # kills between two judgements
LIVES = 1.5  # seconds: the longest that a process lives before the next strike
DOWN = 0.3  # seconds: the longest that it is down
THINKS = 1.5  # seconds between two acts of a person, on average
PAUSE = (5.0, 10.0)  # seconds, longer than a worker's lease
AFTERMATH = 1.0  # seconds after a pause in which what it interrupted may still arrive


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """Where it happens. `postgres`: on a real PostgreSQL, with two workers."""

    name: str
    on: tuple[str, ...]
    postgres: bool = False
    strikes: tuple[str, ...] = field(default=("kill",))


SCENES = (
    Scene(name="Telegram on SQLite", on=("telegram",)),
    Scene(name="Discord on SQLite", on=("discord",)),
    Scene(name="the page on SQLite", on=("web",)),
    Scene(
        name="two workers on PostgreSQL",
        on=("telegram", "discord"),
        postgres=True,
        strikes=("kill", "kill", "kill", "pause", "roll"),
    ),
)


async def torture(effort: Effort) -> Tally:
    """One scene after the other, round and round; each at least once."""
    tally, end, number = Tally(), time.monotonic() + effort.seconds, 0
    while number < len(SCENES) or time.monotonic() < end:
        scene, kills = SCENES[number % len(SCENES)], ROUND if effort.seconds else 1
        place = effort.scratch / f"round{number}"
        found = await haunt(scene, place, effort.chance(f"{scene.name} {number}"), kills)
        found.wrong = [f"{scene.name}, seed {effort.seed}, round {number}: {sentence}" for sentence in found.wrong]
        tally.add(found)
        log.info("kills, round %d: %s, %d wrong", number, dict(found.tried), len(found.wrong))
        if not found.wrong:
            shutil.rmtree(place)  # hours of logs at DEBUG would fill the disk
        number += 1
    return tally


async def haunt(scene: Scene, directory: Path, chance: random.Random, kills: int, people: int = 20) -> Tally:
    """One round on one scene, from an empty store to the judgement."""
    tally = Tally()
    async with empty_database(wanted=scene.postgres) as (storage, _):
        opened = world(
            directory, chance, on=scene.on, people=people, workers=2 if scene.postgres else 1, storage=storage
        )
        async with opened as made:
            over = asyncio.Event()
            await _greet(made)
            async with asyncio.TaskGroup() as crowd:
                for person in made.people:
                    crowd.create_task(_talk(person, over, chance))
                for _ in range(kills):
                    await asyncio.sleep(
                        chance.uniform(0.0, LIVES)
                    )  # the instant of the strike, not a wait for something
                    strike = chance.choice(scene.strikes)
                    await _strike(made, strike)
                    tally.tried[f"{strike}, {scene.name}"] += 1
                over.set()
            await made.rest()
            run = await made.run()
            wrong = [*made.wrong, *check(run)]
    tally.tried[f"things said, {scene.name}"] += len(run.asked)
    tally.tried[f"calls of vendors, {scene.name}"] += len(run.called)
    tally.tried[f"previews left over, {scene.name}"] += sum(message.writing for message in run.shown)
    tally.wrong += wrong
    return tally


async def _greet(made: World) -> None:
    """Everyone is known before the first strike: nothing tells a bot of Discord's private chats that were opened while it was
    away."""
    for person in made.people:
        await person.ask()
    await made.rest()


async def _talk(person: Person, over: asyncio.Event, chance: random.Random) -> None:
    while not over.is_set():
        await person.act()
        await asyncio.sleep(chance.expovariate(1 / THINKS))  # how people pause


async def _strike(made: World, kind: str) -> None:
    worker = made.chance.choice(made.workers)
    match kind:
        case "kill":
            await worker.kill()
            made.kills.append(time.monotonic())
            await asyncio.sleep(made.chance.uniform(0.0, DOWN))
            await worker.start()
        case "pause":
            made.kills.append(time.monotonic())
            worker.send_signal(signal.SIGSTOP)
            await asyncio.sleep(made.chance.uniform(*PAUSE))
            worker.send_signal(signal.SIGCONT)
            await asyncio.sleep(AFTERMATH)
            made.kills.append(time.monotonic())
        case "roll":
            if code := await worker.end():
                made.wrong.append(f"asked to end in the middle, it ended with {code}")
            await worker.start()
    await asyncio.wait_for(made.connected(), 60)
