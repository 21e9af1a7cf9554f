"""A walk through what becomes of orders when the process is killed, whatever it was just doing: nothing is lost, delivered
twice, or paid for twice. Magpie runs as its operator starts it, in a process of its own, on every platform; the checker of
the torture looks at what is left.

What orders are when nothing happens is in `test_walk_orders.py`.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random
from typing import Any

import pytest

from bot.simulator import Fault, Simulator
from tests.product import Person as OneOnTelegram
from tests.product import change, house, magpie, on_telegram, repeat, rows, said, until, with_glm
from tests.servers.telegram import TelegramServer
from tests.torture.checker import check
from tests.torture.checker_collect import stored
from tests.torture.checker_run import Called, Run, Worked
from tests.torture.crowd import Person
from tests.torture.ways import texts
from tests.torture.world import World, empty_database, person_on, world

PLATFORMS = ("telegram", "discord", "web")
ENOUGH = 30.0  # seconds for anything that is to happen


@asynccontextmanager
async def one_person(directory: Path, platform: str, **options: Any) -> AsyncIterator[tuple[World, Person]]:
    """Known to the bot already: nothing tells it of a private chat on Discord that was opened while it was away."""
    async with world(directory / "world", Random(1), on=[platform], people=0, **options) as made:
        person = person_on(made, platform)
        await person.ask()
        await made.rest()
        yield made, person


async def works(made: World, *states: str) -> list[Worked]:
    """All that was ordered, once it has come to these states."""
    deadline = time.monotonic() + ENOUGH
    while True:
        found = list((await stored(made.url)).worked)
        if [work.state for work in found] == list(states):
            return found
        assert time.monotonic() < deadline, found
        await asyncio.sleep(0.05)


async def kill(made: World) -> None:
    await made.workers[0].kill()
    made.kills.append(time.monotonic())
    await made.workers[0].start()
    await made.connected()


async def judged(made: World) -> Run:
    """What is left, once it has come to rest, in which nothing is wrong."""
    await made.rest()
    run = await made.run()
    assert [*made.wrong, *check(run)] == []
    return run


def orders(run: Run) -> Counter[str]:
    """How often each model was asked for what somebody ordered."""
    names = [one.name for one in run.asked if one.kind in ("later", "picture", "video")]
    return Counter(call.model for call in run.called if any(name in call.prompt for name in names) and _counts(call))


def _counts(call: Called) -> bool:
    return bool(call.prompt_tokens or call.pictures or call.seconds)


# --- killed in the middle ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("platform", PLATFORMS)
async def test_what_the_vendor_is_making_goes_on_and_is_delivered_once(tmp_path: Path, platform: str) -> None:
    async with one_person(tmp_path, platform) as (made, ann):
        await ann.ask_later()
        await ann.film()
        await ann.draw("wan2.2-t2i-flash")
        tasks = [work.task for work in await works(made, "running", "running", "running")]
        await kill(made)
        run = await judged(made)
    assert [work.state for work in run.stored.worked] == ["done"] * 3
    assert [work.task for work in run.stored.worked] == tasks
    assert orders(run) == {"glm-4-flashx-250414": 1, "cogvideox-flash": 1, "wan2.2-t2i-flash": 1}


@pytest.mark.parametrize("platform", PLATFORMS)
async def test_what_was_being_handed_over_is_ordered_anew_where_it_is_free_and_else_by_a_press(
    tmp_path: Path, platform: str
) -> None:
    async with one_person(tmp_path, platform) as (made, ann):
        made.models.fail(Fault(hang=True, times=3, when=lambda body: ann.canary in str(body)))
        await ann.draw()
        await ann.ask_later()
        await ann.draw("cogview-4-250304")
        await until(lambda: len(made.models.running) == 3)
        await works(made, "submitting", "submitting", "submitting")
        await kill(made)
        await works(made, "done", "done", "unsure")
        await made.rest()
        assert paid(made) == 1
        assert await shows(made, ann, "it may be billed. So I do not order it again unasked.")
        await ann.mouth.press("Order again")
        await works(made, "done", "done", "unsure", "done")
        await made.rest()
        assert paid(made) == 2


def paid(made: World) -> int:
    return sum(call.model == "cogview-4-250304" for call in made.models.log)


async def shows(made: World, person: Person, text: str) -> bool:
    return any(text in shown for shown in await texts(made, person.mouth.chat))


async def test_what_is_being_delivered_stands_once(tmp_path: Path) -> None:
    async with one_person(tmp_path, "telegram") as (made, ann):
        assert made.telegram is not None
        held = made.telegram.hold("editMessageMedia", when=_always)
        await ann.draw()
        await until(held.caught.is_set)
        await made.workers[0].kill()
        made.kills.append(time.monotonic())
        held.release.set()
        await made.workers[0].start()
        run = await judged(made)
    assert sum(message.picture for message in run.shown) == 1


def _always(parameters: Mapping[str, Any]) -> bool:
    return True


async def test_what_was_cancelled_right_before_stays_cancelled(tmp_path: Path) -> None:
    async with one_person(tmp_path, "telegram") as (made, ann):
        made.models.fail(Fault(path="videos", task="never"))
        await ann.film()
        await works(made, "running")
        await ann.cancel()
        await kill(made)
        await works(made, "cancelled")
        run = await judged(made)
    assert [message.text for message in run.shown][1:] == ["(cancelled)"]


async def test_a_worker_that_dies_over_an_order_leaves_it_to_the_other(tmp_path: Path) -> None:
    async with (
        empty_database(wanted=True) as (storage, _),
        one_person(tmp_path, "telegram", workers=2, storage=storage) as (made, ann),
    ):
        made.models.fail(Fault(hang=True, when=lambda body: ann.canary in str(body)))
        await ann.draw()
        await ann.film()
        await until(lambda: made.models.running)
        (order,) = made.models.running
        for worker in made.workers:
            await worker.kill()
            made.kills.append(time.monotonic())
            if order not in made.models.running:
                break  # it was this one's
            await worker.start()
        await works(made, "done", "done")
        await worker.start()
        run = await judged(made)
    assert (sum(one.picture for one in run.shown), sum(one.video for one in run.shown)) == (1, 1)


# --- nobody waits for ever, nor for what is forgotten ----------------------------------------------------------------------


@pytest.mark.parametrize(("order", "button"), [("/later why?", "Ask again"), ("/video a fox", "Try again")])
async def test_what_is_not_ready_in_time_is_given_up_with_a_button(tmp_path: Path, order: str, button: str) -> None:
    async with TelegramServer() as server, Simulator(task=0.0, script=repeat) as models:
        settings = on_telegram(server), with_glm(models)
        ann = OneOnTelegram.alone(server)
        models.fail(Fault(task="never"))
        async with magpie(tmp_path, *settings):
            ann.say(order)
            await until(lambda: rows(tmp_path, "SELECT 1 FROM jobs WHERE state = 'running'"))
        change(tmp_path, "UPDATE jobs SET patience = 1")
        async with magpie(tmp_path, *settings):
            await ann.sees(lambda texts: texts[-1] == "It was not ready in time, so I gave up on it.")
            ann.press(ann.shown[-1], button)
            await until(lambda: rows(tmp_path, "SELECT state FROM jobs")[1:] or len(ann.shown) == 3)


async def test_a_reset_takes_the_answers_for_later_along_and_leaves_the_pictures(tmp_path: Path) -> None:
    async with house(tmp_path, script=repeat) as here:
        ann = here.person()
        ann.say("/later what is my name?")
        ann.say("/image a fox --model wan2.2-t2i-flash")
        await until(lambda: len(rows(tmp_path, "SELECT 1 FROM jobs WHERE state = 'running'")) == 2)
        ann.say("/reset")
        await until(lambda: any(shown.media for shown in ann.shown))
        await until(lambda: rows(tmp_path, "SELECT state FROM jobs ORDER BY id") == [("cancelled",), ("done",)])
        assert not any("You said" in text for text in ann.texts)
        await ann.ask("who am I?")
        assert said(here.asked[-1]) == ["who am I?"]
