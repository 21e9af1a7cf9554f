"""A thousand chats at once, and one person who floods the bot beside fifty who do not.

Everybody is on Telegram; the model begins after a moment and then speaks word by word. The stand-ins take a core of the same
machine, so each figure stands beside what the product itself used.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import statistics
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial

from bench.measure import percentile
from tests.servers.telegram import Chat, TelegramServer
from tests.torture.checker import check
from tests.torture.crowd import Person, tell
from tests.torture.gauges import Gauges, look, watched
from tests.torture.part import Effort, Tally
from tests.torture.world import PAGE_TOKEN, World, passed, person_on, world

log = logging.getLogger(__name__)

CHATS, QUESTIONS = 1000, 2
PEOPLE = 50
THINKS = 3.0  # seconds between an answer and the next question, on average
FIRST_TOKEN, PER_TOKEN, WORDS = 0.4, 0.025, 40  # seconds, seconds, words of an answer: as a small, fast model speaks
PATIENCE = 180.0  # seconds for one answer
PHASE = 20.0  # seconds with the flooder, and as many without
FAIR = 1.2  # times as long may others wait beside a flooder
LOOK = 1.0  # seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Crowd:
    """How many talk at once, how many of them go on beside the flooder, and how; `pace` is the model's, in times of what is
    usual."""

    chats: int = CHATS
    people: int = PEOPLE
    thinks: float = THINKS
    phase: float = PHASE
    pace: float = 1.0


SHORTEST = Crowd(chats=40, people=8, thinks=0.2, phase=0.5, pace=5.0)


async def torture(effort: Effort) -> Tally:
    """First the thousand, then for the rest of the time some of them beside the flooder. With no time at all a few people, and
    nothing is said of what is fair."""
    crowd, end = Crowd() if effort.seconds else SHORTEST, time.monotonic() + effort.seconds
    opened = world(
        effort.scratch / "world",
        effort.chance("load"),
        on=["telegram"],
        people=crowd.chats,
        script=partial(tell, short=WORDS, at_once=1),
        first_token=FIRST_TOKEN / crowd.pace,
        per_token=PER_TOKEN / crowd.pace,
        LOG_LEVEL="INFO",
    )
    async with opened as made:
        tally = await at_once(made, crowd)
        tally.add(await beside_a_flooder(made, crowd, end))
        run = await made.run()
    tally.wrong += [*made.wrong, *check(run), *(unfair(tally.figures) if effort.seconds else ())]
    return tally


# --- a thousand --------------------------------------------------------------------------------------------------------


async def at_once(made: World, crowd: Crowd) -> Tally:
    """All ask in the same instant, and again as soon as they are answered."""
    tally = Tally()
    with _undisturbed():
        async with watched(made.workers[0], PAGE_TOKEN, LOOK) as seen:
            began, own = time.monotonic(), time.process_time()
            async with asyncio.TaskGroup() as talks:
                told = [talks.create_task(_ask_on(made, person, QUESTIONS)) for person in made.people]
            seconds, own = time.monotonic() - began, time.process_time() - own
    await made.rest()
    waits = [wait for one in told for wait in one.result()]
    tally.tried[f"answers, {crowd.chats:,} chats at once"] += len(waits)
    name = f"{crowd.chats:,} chats: "
    tally.figures |= {
        f"{name}seconds for {QUESTIONS} answers each": seconds,
        f"{name}answers per second": len(waits) / seconds,
        f"{name}first text, median seconds": percentile([wait.first for wait in waits], 50),
        f"{name}first text, p95 seconds": percentile([wait.first for wait in waits], 95),
        f"{name}whole answer, median seconds": percentile([wait.full for wait in waits], 50),
        f"{name}whole answer, p95 seconds": percentile([wait.full for wait in waits], 95),
        f"{name}RSS before, MB": seen[0].rss,
        f"{name}RSS at most, MB": max(one.rss for one in seen),
        f"{name}loop lag, p50 at most seconds": seen[-1].lag(seen[0], 50),
        f"{name}loop lag, p95 at most seconds": seen[-1].lag(seen[0], 95),
        f"{name}cores used by the bot": seen[-1].busy(seen[0]),
        f"{name}cores used by the stand-ins": own / seconds,
    }
    return tally


# --- a flooder ---------------------------------------------------------------------------------------------------------


@dataclass(slots=True, kw_only=True)
class Phase:
    """What people waited while it lasted, and what both sides used."""

    seconds: float
    waits: list[Wait] = field(default_factory=list)
    said: int = 0
    began: Gauges
    ended: Gauges
    stand_ins: float

    @property
    def p95(self) -> float:
        return percentile([wait.full for wait in self.waits], 95)


async def beside_a_flooder(made: World, crowd: Crowd, end: float) -> Tally:
    """Phases with and without him in turn, at least one of each, until `end` (time.monotonic()); medians over the phases of a
    kind."""
    tally, calm, flooded = Tally(), list[Phase](), list[Phase]()
    people, flooder = made.people[: crowd.people], person_on(made, "telegram")
    while not calm or time.monotonic() + 2 * crowd.phase < end:
        calm.append(await _phase(made, people, crowd, crowd.phase))
        flooded.append(await _phase(made, people, crowd, crowd.phase, flooder))
        await made.rest()
        log.info("load, phases %d: p95 %.2f s, flooded %.2f s", len(calm), calm[-1].p95, flooded[-1].p95)
    for name, phases in (("alone", calm), ("beside a flooder", flooded)):
        tally.tried[f"answers to {crowd.people} people {name}"] += sum(len(phase.waits) for phase in phases)
        tally.figures |= {
            f"{crowd.people} people {name}: p95 seconds": statistics.median(phase.p95 for phase in phases),
            f"{crowd.people} people {name}: cores used by the bot": _median(
                [phase.ended.busy(phase.began) for phase in phases]
            ),
            f"{crowd.people} people {name}: cores used by the stand-ins": _median(
                [phase.stand_ins for phase in phases]
            ),
            f"{crowd.people} people {name}: loop lag, p95 at most seconds": _median(
                [phase.ended.lag(phase.began, 95) for phase in phases]
            ),
        }
    tally.tried["messages of a flooder"] += sum(phase.said for phase in flooded)
    tally.figures["flooder: messages per second"] = _median([phase.said / phase.seconds for phase in flooded])
    ratios = [b.p95 / a.p95 for a, b in zip(calm, flooded, strict=True)]
    tally.figures[RATIO] = _median(ratios)
    return tally


RATIO = "beside a flooder: p95, times that without him"


def unfair(figures: dict[str, float]) -> list[str]:
    if figures[RATIO] <= FAIR:
        return []
    return [f"beside a flooder others wait {figures[RATIO]:.2f} times as long: {figures}"]


async def _phase(
    made: World, people: Sequence[Person], crowd: Crowd, seconds: float, flooder: Person | None = None
) -> Phase:
    """Everybody asks, waits for the answer and thinks; whoever asked when the time is over still waits for the answer."""
    over, waits, said = asyncio.Event(), list[Wait](), 0

    async def talk(person: Person) -> None:
        while not await passed(over, made.chance.uniform(0, 2 * crowd.thinks)):
            waits.extend(await _ask_on(made, person, 1))

    async def flood(person: Person) -> None:
        nonlocal said
        while not over.is_set() or said <= len(people):  # on a busy machine a short phase would have no flood
            await _once_more(made, person)
            said += 1

    began, own, start = await look(made.workers[0], PAGE_TOKEN), time.process_time(), time.monotonic()
    with _undisturbed():
        async with asyncio.TaskGroup() as talks:
            for person in people:
                talks.create_task(talk(person))
            if flooder:
                talks.create_task(flood(flooder))
            await asyncio.sleep(seconds)
            over.set()
    lasted, own = time.monotonic() - start, time.process_time() - own
    ended = await look(made.workers[0], PAGE_TOKEN)
    return Phase(seconds=seconds, waits=waits, said=said, began=began, ended=ended, stand_ins=own / lasted)


async def _once_more(made: World, flooder: Person) -> None:
    """As fast as the bot takes it: at Telegram itself all people's messages wait in one queue, where he would be in everybody's
    way before the bot could know of it."""
    assert made.telegram is not None
    await flooder.mouth.say(f"more, more, {flooder.canary}")
    last = made.telegram.pending[-1]
    while last in made.telegram.pending:  # noqa: ASYNC110  # the stand-in tells nobody what a poll confirms
        await asyncio.sleep(0.002)


# --- one question ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Wait:
    """Seconds from a question to the first of its answer, and to the whole of it."""

    first: float
    full: float


async def _ask_on(made: World, person: Person, questions: int) -> list[Wait]:
    """One after the other; what is not answered in time is missing, and for the checker to explain."""
    assert made.telegram is not None
    place = made.telegram.state.chats[int(person.mouth.chat.removeprefix("telegram:"))]
    waits = []
    for _ in range(questions):
        began = time.monotonic()
        await person.ask()
        called = person.asked[-1].name
        try:  # each answer begins with the chat's canary
            first = await _shown(made.telegram, place, person.canary, began)
            full = await _shown(made.telegram, place, f"{called}z", began, whole=True)
        except TimeoutError:
            made.wrong.append(f"{person.mouth.chat}: no answer to {called} within {PATIENCE:g} s")
            break
        waits.append(Wait(first, full))
    return waits


async def _shown(server: TelegramServer, place: Chat, word: str, since: float, *, whole: bool = False) -> float:
    """Seconds until the last message here holds the word, or ends with it: then it is no preview any more."""

    def stands() -> bool:
        last = server.messages(place)[-1]
        return last.from_bot and (last.text.endswith(word) if whole else word in last.text)

    await server.wait_for(stands, timeout=PATIENCE, chat=place)
    return time.monotonic() - since


def _median(values: Sequence[float]) -> float:
    return statistics.median(values) if values else 0.0


@contextmanager
def _undisturbed() -> Iterator[None]:
    """The stand-ins' logs only grow: looking through them for garbage again and again would be most of what they cost."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
