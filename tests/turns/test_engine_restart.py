"""The engine when it ends: a crash at any point, a drain, and what the next start makes of it."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from bot import phrases
from bot.messages import (
    ChatKey,
    Configured,
    Text,
)
from bot.turns.answer import CURSOR
from tests.stage import Gate, house, text_of, until
from tests.window import Window

HOME = ChatKey("window", "1")
AWAY = ChatKey("window", "2")
OUR_FAULT = phrases.OUR_FAULT.en
STOPPED = f"*({phrases.STOPPED.en})*"


# --- crashes -----------------------------------------------------------------------------------------------------------

POINTS = [
    "before claim",
    "after claim",
    "handler",
    "before sent",
    "after sent",
    "edit",
    "before complete",
    "after complete",
    "final",
    "final taken",
    "before shown",
    "after shown",
]


def _is_final(body: str) -> bool:
    return body.startswith("re: a long") and CURSOR not in body


@pytest.mark.parametrize("idempotent", [False, True])
@pytest.mark.parametrize("point", POINTS)
async def test_a_crash_anywhere_leaves_one_answer_in_the_messages_already_sent(
    tmp_path: Path, point: str, idempotent: bool
) -> None:
    async with house(tmp_path, Window(idempotent=idempotent), start=False) as home:
        gate, shown = Gate(), Gate()
        home.script.on("question", Text("re: a lo"), gate, Text("ng answer"), shown)
        window = home.window
        if point in ("edit", "final", "final taken"):
            held = window.hold(
                "edit", lambda call: _is_final(call.body) == point.startswith("final"), late=point == "final taken"
            )
            caught = held.caught
        elif point == "handler":
            caught = gate.reached
        else:
            caught = home.flaws.hold(point).reached
        await home.open()
        await home.say(HOME, "question")
        if point != "handler" and "claim" not in point and "sent" not in point:
            await until(lambda: window.standing(HOME))
        if "sent" not in point:
            gate.open.set()
        if point == "edit":
            await shown.reached.wait()
        else:
            shown.open.set()
        await caught.wait()
        before = window.ids(HOME)
        await home.crash()
        gate.open.set()
        shown.open.set()
        await home.open()
        orphans = 1 if point == "before sent" and not idempotent else 0
        await home.shows(HOME, *["re: a lo" + CURSOR] * orphans, "re: a long answer")
        if not orphans:
            assert window.ids(HOME)[: len(before)] == before
        assert await home.history(HOME) == ["question", "re: a long answer"]
        assert len(home.script.turns) <= (1 if "complete" in point and "after" in point else 2)


async def test_a_turn_that_kills_the_process_again_and_again_is_given_up(tmp_path: Path) -> None:
    async with house(tmp_path, Window(width=500)) as home:
        gate = Gate()
        home.script.on("poison", Text("I die"), gate)
        await home.say(HOME, "poison")
        await until(lambda: home.window.standing(HOME))
        await home.crash()
        await home.open()
        await until(lambda: len(home.script.turns) == 2)
        assert home.query("SELECT attempts FROM turns") == [(2,)]
        await home.crash()
        home.query("UPDATE turns SET attempts = 10")
        await home.open()
        await home.say(HOME, "next")
        await home.shows(HOME, phrases.POISON.en, "re: next")
        assert len(home.script.turns) == 3  # twice the poison, and the next
        assert home.query("SELECT state FROM inbox ORDER BY id") == [("dead",), ("done",)]


async def test_a_stop_ends_the_pause_before_another_attempt(tmp_path: Path) -> None:
    async with house(tmp_path) as home:
        gate = Gate()
        home.script.on("question", Text("half"), gate)
        await home.say(HOME, "question")
        await until(lambda: home.window.standing(HOME))
        await home.crash()
        home.query("UPDATE turns SET attempts = 6")
        await home.open()
        await until(lambda: home.query("SELECT 1 FROM chats WHERE owner IS NOT NULL"))
        await home.say(HOME, "/stop")
        await home.shows(HOME, STOPPED)
        assert len(home.script.turns) == 1


async def test_the_model_and_the_stop_key_outlive_a_crash(tmp_path: Path) -> None:
    async with house(tmp_path) as home:
        home.script.on("choose", Configured("model", "glm-x"))
        gate = Gate()
        home.script.on("question", gate)
        await home.say(HOME, "choose")
        await until(lambda: len(home.script.ended) == 1)
        await home.say(HOME, "question")
        await gate.reached.wait()
        await home.crash()
        gate.open.set()
        await home.open()
        await until(lambda: len(home.script.turns) == 3)
        first, second = home.script.turns[1:]
        assert (first.model, first.stop_key, first.id, first.seq) == (
            second.model,
            second.stop_key,
            second.id,
            second.seq,
        )
        assert first.model == "glm-x"
        assert (first.attempt, second.attempt) == (1, 2)
        assert second.fence > first.fence


async def test_what_was_said_long_ago_is_late(tmp_path: Path) -> None:
    async with house(tmp_path, start=False) as home:
        await home.open(home.event("message", HOME, "old", ago=3700), home.event("message", AWAY, "new", ago=3500))
        await until(lambda: len(home.script.turns) == 2)
        assert {text_of(turn): turn.late for turn in home.script.turns} == {"old": True, "new": False}


# --- drain -------------------------------------------------------------------------------------------------------------


async def test_draining_finishes_what_is_under_way_and_begins_nothing(tmp_path: Path) -> None:
    async with house(tmp_path) as home:
        gate = Gate()
        home.script.on("first", Text("fir"), gate, Text("st"))
        await home.say(HOME, "first")
        await gate.reached.wait()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(home.drain(10))
            await asyncio.sleep(0)
            await home.say(AWAY, "later")
            gate.open.set()
        assert home.window.standing(HOME) == ["first"]
        assert home.window.standing(AWAY) == []
        await home.open()
        await home.shows(AWAY, "re: later")


@pytest.mark.parametrize("call", ["send", "edit"])
async def test_what_is_not_finished_in_time_goes_on_in_the_same_messages(tmp_path: Path, call: str) -> None:
    async with house(tmp_path) as home:
        first, second = Gate(), Gate()
        home.script.on("question", Text("ans"), first, Text("wer"), second)
        held = home.window.hold(call, late=True)
        await home.say(HOME, "question")
        await first.reached.wait()
        if call == "edit":
            await until(lambda: home.window.standing(HOME))
        first.open.set()
        await held.caught.wait()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(home.drain(0.05))
            await until(lambda: home.script.ended)  # the handler was let go, the call is still under way
            held.release.set()
        assert len(home.window.standing(HOME)) == 1
        second.open.set()
        await home.open()
        await home.shows(HOME, "answer")
        assert len(home.window.made("send")) == 1
        assert home.script.turns[-1].attempt == 2
