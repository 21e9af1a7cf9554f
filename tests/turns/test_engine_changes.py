"""What changes under the engine: edited questions, chats that are left or move."""

from __future__ import annotations

from pathlib import Path

import pytest

from bot import phrases
from bot.errors import ChatMoved
from bot.lanes import Lane
from bot.messages import ChatKey, Text
from tests.stage import Gate, house, until

HOME = ChatKey("window", "1")
AWAY = ChatKey("window", "2")
OUR_FAULT = phrases.OUR_FAULT.en
STOPPED = f"*({phrases.STOPPED.en})*"


# --- edits -------------------------------------------------------------------------------------------------------------


async def test_an_edit_without_a_change_is_ignored(tmp_path: Path) -> None:
    async with house(tmp_path) as home:
        message = await home.say(HOME, "same")
        await home.shows(HOME, "re: same")
        await home.edit(HOME, message, "same")
        await home.shows(HOME, "re: same")
        assert len(home.script.turns) == 1


async def test_an_edit_replaces_a_message_that_still_waits(tmp_path: Path) -> None:
    async with house(tmp_path) as home:
        gate = Gate()
        home.script.on("first", gate, Text("1"))
        await home.say(HOME, "first")
        await gate.reached.wait()
        await home.say(HOME, "two", author="2")
        message = await home.say(HOME, "thre", author="2")
        await home.edit(HOME, message, "three")
        gate.open.set()
        await home.shows(HOME, "1", "re: two + three")


async def test_an_edit_of_the_running_question_asks_anew_in_the_same_messages(tmp_path: Path) -> None:
    async with house(tmp_path) as home:
        gate = Gate()
        home.script.on("wrong", Text("x" * 90), gate)
        message = await home.say(HOME, "wrong")
        await until(lambda: len(home.window.standing(HOME)) == 3)
        before = home.window.ids(HOME)
        await home.edit(HOME, message, "right")
        await home.shows(HOME, "re: right")
        assert home.window.ids(HOME) == before[:1]
        assert await home.history(HOME) == ["right", "re: right"]


async def test_an_edit_of_the_last_answered_question_edits_its_answer(tmp_path: Path) -> None:
    async with house(tmp_path) as home:
        home.script.on("long", Text("y" * 130))
        await home.say(HOME, "first")
        await home.shows(HOME, "re: first")
        message = await home.say(HOME, "long")
        await home.shows(HOME, "re: first", "y" * 40, "y" * 40, "y" * 40, "y" * 10)
        before = home.window.ids(HOME)
        await home.edit(HOME, message, "short")
        await home.shows(HOME, "re: first", "re: short")
        assert home.window.ids(HOME) == before[:2]
        assert await home.history(HOME) == ["first", "re: first", "short", "re: short"]


# --- leaving, moving ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("lane", [Lane.TURN, Lane.CONTROL])
async def test_leaving_drops_what_was_to_be_shown(tmp_path: Path, lane: Lane) -> None:
    async with house(tmp_path) as home:
        home.window.closed.add(HOME)
        gate = Gate()
        if lane is Lane.CONTROL:
            home.script.on("hello", gate)
        await home.say(HOME, "hello")
        if lane is Lane.CONTROL:
            await gate.reached.wait()
        await home.engine.accept([home.event("left", HOME, lane=lane)])
        await home.shows(HOME)
        await until(lambda: len(home.script.ended) == 1)
        assert home.query("SELECT DISTINCT state FROM outbox") == [("dropped",)]


async def test_being_locked_out_ends_the_call_of_the_model(tmp_path: Path) -> None:
    async with house(tmp_path) as home:
        gate = Gate()
        home.script.on("hello", Text("some"), gate)
        home.window.closed.add(HOME)
        await home.say(HOME, "hello")
        await until(lambda: home.script.ended)
        await home.shows(HOME)
        assert home.query("SELECT DISTINCT state FROM outbox") == [("dropped",)]
        assert not gate.open.is_set()


async def test_a_chat_moves_by_its_event(tmp_path: Path) -> None:
    async with house(tmp_path) as home:
        await home.say(HOME, "before")
        await home.shows(HOME, "re: before")
        home.window.moved[HOME] = AWAY
        await home.engine.accept([home.event("moved", HOME, str(AWAY))])
        await until(lambda: home.renamed == [(str(HOME), str(AWAY))])
        await home.say(AWAY, "after")
        await home.shows(AWAY, "re: after")
        assert await home.history(AWAY) == ["before", "re: before", "after", "re: after"]


@pytest.mark.parametrize("during", ["preview", "final"])
@pytest.mark.parametrize("told", ["before", "after", "never"])
async def test_a_chat_moves_under_an_answer(tmp_path: Path, during: str, told: str) -> None:
    async with house(tmp_path) as home:
        gate = Gate()
        home.script.on("before", gate, Text("one answer")) if during == "preview" else None
        home.script.on("before", Text("one answer"), gate) if during == "final" else None
        await home.say(HOME, "before")
        await gate.reached.wait()
        if during == "final":
            await until(lambda: home.window.standing(HOME))
            home.window.fail("edit", ChatMoved(AWAY))
            for call in home.window.calls:
                call.chat = AWAY  # the platform takes the messages along
        home.window.moved[HOME] = AWAY
        event = home.event("moved", HOME, str(AWAY))
        if told == "before":
            await home.engine.accept([event])
        gate.open.set()
        await home.shows(AWAY, "one answer")
        if told == "after":
            await home.engine.accept([event])
        await home.say(AWAY, "more")
        await home.shows(AWAY, "one answer", "re: more")
        assert await home.history(AWAY) == ["before", "one answer", "more", "re: more"]


async def test_what_waits_to_be_shown_moves_along(tmp_path: Path) -> None:
    async with house(tmp_path) as home:
        held = home.window.hold("send")
        await home.say(HOME, "/first")
        await held.caught.wait()
        await until(lambda: home.query("SELECT 1 FROM outbox WHERE state = 'queued'"))
        await home.engine.accept([home.event("moved", HOME, str(AWAY))])
        await until(lambda: home.renamed)
        home.window.moved[HOME] = AWAY
        await home.say(AWAY, "second")
        held.release.set()
        await home.shows(AWAY, "re: /first", "re: second")
