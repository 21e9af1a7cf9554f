"""Two answers that grow at the same time, and what is kept of one that is stopped, from the engine to the chat."""

from __future__ import annotations

from pathlib import Path

from bot.messages import Answered, Buttons, ChatKey, Choice, Text
from bot.turns.answer import CURSOR
from tests.stage import Gate, house, until
from tests.window import Window

HOME = ChatKey("window", "1")
KEEP = Buttons(((Choice("Keep", "keep:1:0::glm"),),), slot=0)


async def test_each_has_its_turn_however_fast_the_other_one_grows(tmp_path: Path) -> None:
    async with house(tmp_path, Window(width=3000)) as home:
        first, second, third = Gate(), Gate(), Gate()
        home.script.on(
            "q",
            Text("a", 0),
            Text("b", 1),
            first,
            Text("1", 0),
            Text("1", 1),
            second,
            Text("2", 0),
            Text("2", 1),
            third,
        )
        await home.say(HOME, "q")
        await until(lambda: home.window.standing(HOME) == ["a" + CURSOR, "b" + CURSOR])
        before = len(home.window.calls)
        held = home.window.hold("edit")
        first.open.set()
        await held.caught.wait()
        second.open.set()
        await third.reached.wait()
        held.release.set()
        await until(lambda: home.window.standing(HOME) == ["a12" + CURSOR, "b12" + CURSOR])
        assert [call.body for call in home.window.calls[before:]] == ["a1" + CURSOR, "b12" + CURSOR, "a12" + CURSOR]
        third.open.set()
        await home.shows(HOME, "a12", "b12")


async def test_of_two_that_are_stopped_the_finished_one_is_kept_and_the_other_marked(tmp_path: Path) -> None:
    async with house(tmp_path, Window(width=3000)) as home:
        gate = Gate()
        home.script.on("q", Text("a", 0), Text("b", 1), Answered(text="a", moves=False), KEEP, gate)
        await home.say(HOME, "q")
        await gate.reached.wait()
        await home.say(HOME, "/stop")
        await until(lambda: "*(stopped)*" in "".join(home.window.standing(HOME)))
        await until(lambda: home.window.standing(HOME)[:2] == ["a", "b\n\n*(stopped)*"])
        assert await home.history(HOME) == []
        assert [entry.text for entry in await home.store.answers(home.script.turns[0].id)] == ["a"]


async def test_of_two_that_are_stopped_half_none_is_taken_for_the_answer(tmp_path: Path) -> None:
    async with house(tmp_path, Window(width=3000)) as home:
        gate = Gate()
        home.script.on("q", Text("a", 0), Text("b", 1), gate)
        await home.say(HOME, "q")
        await gate.reached.wait()
        await home.say(HOME, "/stop")
        await until(lambda: home.window.standing(HOME)[:2] == ["a\n\n*(stopped)*", "b\n\n*(stopped)*"])
        assert await home.history(HOME) == []
        assert await home.store.answers(home.script.turns[0].id) == []


async def test_a_line_in_front_of_what_is_stopped_is_not_taken_for_the_answer(tmp_path: Path) -> None:
    async with house(tmp_path, Window(width=3000)) as home:
        first, second = Gate(), Gate()
        home.script.on("q", Text("*I read it in parts.* ", aside=True), first)
        home.script.on("r", Text("*I read it in parts.* ", aside=True), Text("So"), second)
        await home.say(HOME, "q")
        await first.reached.wait()
        await home.say(HOME, "/stop")
        await until(lambda: "stopped" in "".join(home.window.standing(HOME)))
        await home.say(HOME, "r")
        await second.reached.wait()
        await home.say(HOME, "/stop")
        await until(lambda: "So\n\n*(stopped)*" in "".join(home.window.standing(HOME)))
        assert await home.history(HOME) == ["r", "So"]
