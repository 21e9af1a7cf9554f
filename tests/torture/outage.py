"""PostgreSQL dies in the middle of turns, `kill -9`, and comes back: a delay, and nothing else.

Two workers, and people on Telegram and Discord who go on talking meanwhile; the one checker judges what is left behind.
"""

from __future__ import annotations

import asyncio
import random
import shutil
import time
from pathlib import Path

from tests.postgres import START, Postgres, postgres
from tests.torture.checker import check
from tests.torture.crowd import Person
from tests.torture.part import Effort, Tally
from tests.torture.world import World, world

ROUND = 6  # deaths between two judgements
ALIVE = (0.3, 3.0)  # seconds between two deaths: turns take about one
DEAD = (0.0, 4.0)  # seconds; a worker's lease is 3
AFTERMATH = 2.0  # seconds after its return in which what was interrupted may still arrive
THINKS = 1.5  # seconds between two acts of a person, on average
PEOPLE = 12


async def torture(effort: Effort) -> Tally:
    """Round after round, at least one."""
    tally, end, number = Tally(), time.monotonic() + effort.seconds, 0
    while not number or time.monotonic() < end:
        place = effort.scratch / f"round{number}"
        found = await haunt(place, effort.chance(f"outage {number}"), ROUND if effort.seconds else 2, PEOPLE)
        found.wrong = [f"outage, seed {effort.seed}, round {number}: {sentence}" for sentence in found.wrong]
        tally.add(found)
        if not found.wrong:
            await asyncio.to_thread(shutil.rmtree, place)
        number += 1
    return tally


async def haunt(directory: Path, chance: random.Random, deaths: int, people: int) -> Tally:
    """One round, from an empty database to the judgement."""
    tally = Tally()
    with postgres() as server:
        async with server.database() as url:
            opened = world(directory, chance, on=("telegram", "discord"), people=people, workers=2, storage=url)
            async with opened as made:
                for person in made.people:  # nothing tells a bot of private chats that were opened while it was away
                    await person.ask()
                await made.rest()
                over = asyncio.Event()
                async with asyncio.TaskGroup() as crowd:
                    for person in made.people:
                        crowd.create_task(_talk(person, over, chance))
                    for _ in range(deaths):
                        await asyncio.sleep(
                            chance.uniform(*ALIVE)
                        )  # the instant of the death, not a wait for something
                        await _die(made, server, chance)
                        tally.tried["outage: deaths of PostgreSQL"] += 1
                    over.set()
                await made.rest()
                run = await made.run()
                tally.wrong += [*made.wrong, *check(run)]
    tally.tried["outage: things said"] += len(run.asked)
    tally.tried["outage: calls of vendors"] += len(run.called)
    tally.tried["outage: previews left over"] += sum(message.writing for message in run.shown)
    return tally


async def _talk(person: Person, over: asyncio.Event, chance: random.Random) -> None:
    while not over.is_set():
        await person.act()
        await asyncio.sleep(chance.expovariate(1 / THINKS))  # how people pause


async def _die(made: World, server: Postgres, chance: random.Random) -> None:
    """A send whose id cannot be stored is as lost as one of a killed bot: the death counts as a kill of each worker. So does
    the return, when chats whose worker's lease is over go to the other."""
    server.kill()
    made.kills += [time.monotonic()] * len(made.workers)
    await asyncio.sleep(chance.uniform(*DEAD))
    await _start(server)
    await asyncio.sleep(AFTERMATH)
    made.kills += [time.monotonic()] * len(made.workers)


async def _start(server: Postgres) -> None:
    deadline = time.monotonic() + START
    while True:
        try:
            return await asyncio.to_thread(server.start)
        except AssertionError:  # what it left running still holds its memory
            if time.monotonic() > deadline:
                raise
        await asyncio.sleep(0.1)
