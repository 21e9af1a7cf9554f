"""Named crash points: the process dies right before and right after every commit, every send, edit and removal, and around
every vendor's call. For each point somebody does what must pass by it; then the process is started again, and everything must
come to rest. A point that is never passed is as wrong as a broken invariant.
"""

from __future__ import annotations

import asyncio
import logging
import random
import shutil
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from tests.crashing import points
from tests.torture import ways
from tests.torture.checker import check
from tests.torture.part import Effort, Tally
from tests.torture.ways import Passing, Way
from tests.torture.world import empty_database, person_on, world

log = logging.getLogger(__name__)

PASSED = 30.0  # seconds in which the point must be passed
OFTEN = 3  # of the points that one answer passes several times, one of the first so many is taken
SLOW = 0.05  # seconds between two chunks: an answer takes long enough for somebody to break in
PASSED_OFTEN = frozenset(
    f"{side} {name}.edit"
    for side in ("before", "after")
    for name in ("telegram", "web")  # on Discord pieces are sent whole: one edit is sure
)
PROGRAM = "tests.crashing"


@dataclass(slots=True)
class Fuse:
    """What the mined process reads: at which point it is to die, and when. The file is gone once it did."""

    file: Path
    armed: asyncio.Event = field(default_factory=asyncio.Event)

    def arm(self, point: str, count: int) -> None:
        fresh = self.file.with_suffix(".new")
        fresh.write_text(f"{point} {count}", "ascii")
        fresh.rename(self.file)  # at once as a whole
        self.armed.set()

    def cut(self) -> bool:
        """Whether it went off; it no longer can."""
        blown = self.armed.is_set() and not self.file.exists()
        self.file.unlink(missing_ok=True)
        self.armed = asyncio.Event()
        return blown


# Where the people are; the last is Telegram on PostgreSQL.
PLACES = {"telegram": "telegram", "discord": "discord", "web": "web", "postgres": "telegram"}

WAYS: Mapping[str, tuple[str, Way]] = {
    **{
        f"store.{commit}": ("telegram", ways.ask)
        for commit in ("accept", "claim", "complete", "sent", "shown", "reserve")
    },
    "store.count_attempt": ("telegram", ways.interrupted),
    "store.settle": ("telegram", ways.fail),
    "store.stop": ("telegram", ways.stop),
    "store.reset": ("telegram", ways.reset),
    "store.replace": ("telegram", ways.shorten),
    "store.gone": ("telegram", ways.delete),
    "store.drop": ("telegram", ways.forbid),
    "store.leave": ("telegram", ways.leave),
    "store.bury": ("telegram", ways.leave),
    "store.dismiss": ("telegram", ways.garble),
    "store.retry_dead": ("telegram", ways.retry_garbled),
    "store.move": ("telegram", ways.migrate),
    "store.note": ("discord", ways.ask_again),
    "store.put": ("web", ways.ask),
    **{f"telegram.{call}": ("telegram", ways.ask) for call in ("send", "edit")},
    **{f"discord.{call}": ("discord", ways.ask_again) for call in ("send", "edit")},
    **{f"web.{call}": ("web", ways.ask) for call in ("send", "edit")},
    "telegram.remove": ("telegram", ways.shorten),
    "discord.remove": ("discord", ways.shorten),
    "web.remove": ("web", ways.redraw),
    "store.take": ("telegram", ways.restart),
    "store.due": ("telegram", ways.run_out_of_money),
    **{f"store.{commit}": ("postgres", ways.restart) for commit in ("enrol", "beat", "take_duty")},
    "store.keep_file": ("postgres", ways.draw),
    "store.resign": ("postgres", ways.retire),
    "store.leave_duty": ("postgres", ways.lose_the_duty),
    "store.release": ("postgres", ways.lose_the_database),
    "glm.stream": ("telegram", ways.ask),
    **{f"store.{commit}": ("telegram", ways.ask_later) for commit in ("claim_jobs", "submitted", "end_job")},
    "store.put_off": ("telegram", ways.wait_for_a_busy_vendor),
    "store.release_jobs": ("postgres", ways.lose_the_database_with_work),
    **{f"store.{commit}": ("telegram", ways.ask_tool) for commit in ("begin_run", "end_run")},
    **{f"glm.{call}": ("telegram", ways.ask_later) for call in ("submit", "look")},
    **{f"qwen.{call}": ("telegram", ways.film_with_qwen) for call in ("submit", "look")},
    "glm.cancel": ("telegram", ways.cancel),
    "qwen.cancel": ("telegram", ways.cancel_with_qwen),
    "glm.transcribe": ("telegram", ways.say_aloud),
    "qwen.transcribe": ("telegram", ways.say_aloud_to_qwen),
    "glm.speak": ("telegram", ways.listen),
    "qwen.speak": ("telegram", ways.listen_to_qwen),
    "glm.search": ("telegram", ways.look_up),
    "qwen.stream": ("telegram", ways.ask_qwen),
}


def way_of(point: str) -> tuple[str, Way]:
    return WAYS[point.partition(" ")[2]]


async def torture(effort: Effort) -> Tally:
    """Every point once, and then again in another order, as often as the time allows."""
    tally, end, number = Tally(), time.monotonic() + effort.seconds, 0
    while not number or time.monotonic() < end:
        for platform in PLACES:
            chosen = [point for point in points() if way_of(point)[0] == platform]
            chance = effort.chance(f"points {number}")
            chance.shuffle(chosen)
            place = effort.scratch / f"{platform}{number}"
            found = await pass_by(chosen, place, chance)
            found.wrong = [f"points on {platform}, seed {effort.seed}, round {number}: {one}" for one in found.wrong]
            tally.add(found)
            log.info("points, round %d: %d on %s, %d wrong", number, len(chosen), platform, len(found.wrong))
            if not found.wrong:
                shutil.rmtree(place)
        number += 1
    tally.figures["different crash points"] = len(points())
    return tally


async def pass_by(chosen: Sequence[str], directory: Path, chance: random.Random) -> Tally:
    """One after the other, in one world; all of them in one place."""
    tally, fuse = Tally(), Fuse(directory / "point")
    (place,) = {way_of(point)[0] for point in chosen}
    unheard: list[str] = []
    async with empty_database(wanted=place == "postgres") as (storage, server):
        opened = world(
            directory,
            chance,
            on=[PLACES[place]],
            people=0,
            storage=storage,
            program=PROGRAM,
            per_token=SLOW,
            CRASH_POINT=str(fuse.file),
        )
        async with opened as made:
            made.database = server
            for point in chosen:
                count = chance.randint(1, OFTEN) if point in PASSED_OFTEN else 1
                person = person_on(made, PLACES[place])
                passing = Passing(made, person, partial(fuse.arm, point, count), unheard)
                if not await _pass(passing, way_of(point)[1], fuse):
                    tally.wrong.append(f"{point} was never passed")
                tally.tried["crash points passed"] += 1
            await made.rest()
            run = await made.run()  # it finds some of what went wrong by the way
            tally.wrong += _heard([*made.wrong, *check(run)], unheard)
    return tally


async def _pass(one: Passing, way: Way, fuse: Fuse) -> bool:
    """Whether the process died there. Whatever was being done goes on beside it: a browser insists until it is heard."""
    made, worker = one.made, one.made.workers[0]
    async with asyncio.TaskGroup() as people:
        people.create_task(_do(way, one))
        try:
            async with asyncio.timeout(PASSED):
                await fuse.armed.wait()
                await worker.ended()
        except TimeoutError:
            await worker.kill()
        passed = fuse.cut()
        made.kills.append(time.monotonic())
        await worker.start()
        await made.connected()
    return passed


async def _do(way: Way, one: Passing) -> None:
    await way(one)


def _heard(sentences: Iterable[str], unheard: Sequence[str]) -> list[str]:
    about = tuple(f"{chat}{mark}" for chat in unheard for mark in ":,")
    return [sentence for sentence in sentences if not sentence.startswith(about)]
