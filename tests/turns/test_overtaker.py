"""The control lane on the real house: [Stop], /stop and /reset overtake, act once, and leave nothing of the old behind."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Literal

import pytest

from bot import phrases
from bot.lanes import STOP_PREFIX, Lane, lane_of
from bot.messages import (
    Address,
    Answered,
    Author,
    Buttons,
    Change,
    ChatKey,
    Choice,
    Finish,
    Finished,
    Notice,
    Ordered,
    Part,
    Replaces,
    Text,
)
from bot.messages.orders import WorkOrder
from bot.ports import JobState
from tests.stage import Gate, House, house, until
from tests.window import Window

HOME = ChatKey("window", "1")
AWAY = ChatKey("window", "2")
STOPPED = f"*({phrases.STOPPED.en})*"
RESET = phrases.RESET.en
CANCELLED = phrases.jobs.CANCELLED_LINE.en
WIDE = 400
ORDER = WorkOrder(author=Author("1", "Ann"), address=Address(HOME), language="en", text="a fox", model="m")


def closed(count: int) -> str:
    return phrases.RESET_CLOSED.format(reset=phrases.RESET, count=count).en


def cancelled(count: int, said: str = RESET) -> str:
    return phrases.RESET_CANCELLED.format(reset=said, count=count).en


async def running(home: House, *, says: str = "so far") -> Gate:
    """A question whose answer stands half."""
    gate = Gate()
    home.script.on("question", Text(says), gate, Text(" the rest"))
    await home.say(HOME, "question")
    await gate.reached.wait()
    if says:
        await until(lambda: home.window.stop_button(HOME))
    return gate


# --- stop --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("person", ["1", "owner"])
async def test_the_asker_and_the_owner_stop_an_answer_and_keep_what_was_shown(tmp_path: Path, person: str) -> None:
    async with house(tmp_path, Window(width=WIDE)) as home:
        await running(home)
        before = home.window.ids(HOME)
        await home.press(HOME, home.window.stop_button(HOME), author=person)
        await home.shows(HOME, f"so far\n\n{STOPPED}")
        assert home.window.ids(HOME) == before
        assert home.window.stop_button(HOME) == ""
        assert home.script.ended == [home.script.turns[0].id]
        assert await home.history(HOME) == ["question", "so far"]


@pytest.mark.parametrize("person", ["1", "owner"])
async def test_a_typed_stop_is_the_askers_and_the_owners_as_well(tmp_path: Path, person: str) -> None:
    async with house(tmp_path, Window(width=WIDE)) as home:
        await running(home)
        await home.say(HOME, "/stop", author=person, group=True)
        await home.shows(HOME, f"so far\n\n{STOPPED}")


async def test_another_persons_typed_stop_leaves_the_answer_alone_and_says_so(tmp_path: Path) -> None:
    async with house(tmp_path, Window(width=WIDE)) as home:
        gate = await running(home)
        await home.say(HOME, "/stop", author="2", group=True)
        await until(lambda: phrases.jobs.NOTHING_OF_YOURS.en in home.window.standing(HOME))
        gate.open.set()
        await home.shows(HOME, "so far the rest", phrases.jobs.NOTHING_OF_YOURS.en)


async def test_another_persons_press_does_nothing(tmp_path: Path) -> None:
    async with house(tmp_path, Window(width=WIDE)) as home:
        gate = await running(home)
        await home.press(HOME, home.window.stop_button(HOME), author="2")
        await until(lambda: home.query("SELECT 1 FROM inbox WHERE lane = 'control' AND state = 'done'"))
        gate.open.set()
        await home.shows(HOME, "so far the rest")


async def test_a_press_in_another_chat_does_nothing(tmp_path: Path) -> None:
    async with house(tmp_path, Window(width=WIDE)) as home:
        gate = await running(home)
        await home.press(AWAY, home.window.stop_button(HOME))
        await until(lambda: home.query("SELECT 1 FROM inbox WHERE lane = 'control' AND state = 'done'"))
        gate.open.set()
        await home.shows(HOME, "so far the rest")


async def test_a_press_twice_and_after_the_end_is_harmless(tmp_path: Path) -> None:
    async with house(tmp_path, Window(width=WIDE)) as home:
        await running(home)
        button = home.window.stop_button(HOME)
        await home.press(HOME, button)
        await home.press(HOME, button)
        await home.shows(HOME, f"so far\n\n{STOPPED}")
        gate = Gate()
        home.script.on("next", Text("and "), gate, Text("on"))
        await home.say(HOME, "next")
        await gate.reached.wait()
        await home.press(HOME, button)
        await until(lambda: not home.query("SELECT 1 FROM inbox WHERE lane = 'control' AND state = 'queued'"))
        gate.open.set()
        await home.shows(HOME, f"so far\n\n{STOPPED}", "and on")


async def test_the_handler_may_tidy_up_although_the_stop_comes_twice(tmp_path: Path) -> None:
    async with house(tmp_path, Window(width=WIDE)) as home:
        await running(home)
        turn = home.script.turns[0].id
        home.engine._end(turn)
        home.engine._end(turn)
        reader = home.engine._running[turn].reader
        assert reader
        assert reader.cancelling() == 1
        await home.shows(HOME, f"so far\n\n{STOPPED}")


async def test_stop_with_nothing_running_says_so(tmp_path: Path) -> None:
    async with house(tmp_path) as home:
        await home.say(HOME, "/stop")
        await home.shows(HOME, phrases.NOTHING_RUNS.en)


def order(kind: Literal["chat", "image"], patience: float = 600.0) -> tuple[Ordered, Finished]:
    return Ordered(kind=kind, model="m", order="{}", patience=patience), Finished(reason=Finish.COMMAND)


async def test_stop_with_nothing_running_cancels_what_was_last_ordered(tmp_path: Path) -> None:
    async with house(tmp_path) as home:
        home.script.on("*", Text("ordered"), *order("image"))
        await home.say(HOME, "first")
        await home.say(HOME, "second")
        await home.shows(HOME, "ordered", "ordered")
        await home.say(HOME, "/stop")
        await home.shows(HOME, "ordered", CANCELLED, phrases.jobs.TASK_CANCELLED.en)
        assert home.query("SELECT state FROM jobs ORDER BY id") == [("queued",), ("cancelling",)]


def waited_for(kind: Literal["chat", "image"]) -> list[Part | Change]:
    """What is shown of an order: a line with its button."""
    return [Notice("being made …"), Buttons(((Choice("Cancel", "cancel:1"),),)), *order(kind)]


@pytest.mark.parametrize(("said", "reply"), [("/stop", phrases.jobs.TASK_CANCELLED.en), ("/reset", cancelled(1))])
async def test_the_line_of_a_task_that_is_cancelled_says_so_and_has_no_button(
    tmp_path: Path, said: str, reply: str
) -> None:
    async with house(tmp_path, Window(width=WIDE)) as home:
        home.script.on("why?", *waited_for("chat"))
        await home.say(HOME, "why?")
        await home.shows(HOME, "being made …")
        assert home.window.pieces(HOME)[0].buttons
        line = home.window.ids(HOME)[0]
        await home.say(HOME, said)
        await home.shows(HOME, CANCELLED, reply)
        assert home.window.ids(HOME)[0] == line
        assert not home.window.pieces(HOME)[0].buttons


async def test_a_reset_tells_messages_that_waited_from_tasks_that_are_cancelled(tmp_path: Path) -> None:
    async with house(tmp_path, Window(width=WIDE)) as home:
        home.script.on("why?", *waited_for("chat"))
        for _ in range(2):
            await home.say(HOME, "why?")
        await home.shows(HOME, "being made …", "being made …")
        gate = await running(home)
        for words in ("one", "two", "three"):
            await home.say(HOME, words)
        await home.say(HOME, "/reset")
        reply = cancelled(2, closed(3))
        await until(lambda: reply in home.window.standing(HOME))
        gate.open.set()
        assert "not be answered: 3. Questions" in reply and reply.endswith("cancelled: 2.")


async def test_a_line_that_is_just_being_sent_says_in_the_end_that_it_was_cancelled(tmp_path: Path) -> None:
    async with house(tmp_path) as home:
        home.script.on("draw", *waited_for("image"))
        sending = home.window.hold("send", lambda call: call.body == "being made …")
        await home.say(HOME, "draw")
        await sending.caught.wait()
        await home.say(HOME, "/stop")
        await until(lambda: home.query("SELECT state FROM jobs") == [("cancelling",)])
        sending.release.set()
        await home.shows(HOME, CANCELLED, phrases.jobs.TASK_CANCELLED.en)


async def test_a_line_that_another_turn_has_taken_over_stays_that_turns(tmp_path: Path) -> None:
    async with house(tmp_path) as home:
        home.script.on("draw", *waited_for("image"))
        home.script.on("again", Replaces(1), Text("something else"), Finished(reason=Finish.COMMAND))
        await home.say(HOME, "draw")
        await home.shows(HOME, "being made …")
        await home.say(HOME, "again")
        await home.shows(HOME, "something else")
        await home.say(HOME, "/stop")
        await home.shows(HOME, "something else", phrases.jobs.TASK_CANCELLED.en)


@pytest.mark.parametrize("person", ["1", "owner"])
async def test_in_a_group_the_orderer_and_the_owner_cancel_a_task_and_nobody_else(tmp_path: Path, person: str) -> None:
    async with house(tmp_path, Window(width=WIDE)) as home:
        home.script.on("a fox", *waited_for("image"))
        home.script.on("a cat", *waited_for("image"))
        await home.say(HOME, "a fox", author="1", group=True)
        await home.shows(HOME, "being made …")
        await home.say(HOME, "/stop", author="2", group=True)
        await home.shows(HOME, "being made …", phrases.jobs.NOTHING_OF_YOURS.en)
        await home.say(HOME, "a cat", author="3" if person == "1" else "1", group=True)
        await home.shows(HOME, "being made …", phrases.jobs.NOTHING_OF_YOURS.en, "being made …")
        await home.say(HOME, "/stop", author=person, group=True)
        await until(lambda: phrases.jobs.TASK_CANCELLED.en in home.window.standing(HOME))
        states = home.query("SELECT state FROM jobs ORDER BY id")
        assert states == ([("cancelling",), ("queued",)] if person == "1" else [("queued",), ("cancelling",)])


async def test_a_turn_that_is_stopped_orders_nothing(tmp_path: Path) -> None:
    async with house(tmp_path, Window(width=WIDE)) as home:
        ordered, finished = order("image")
        gate = Gate()
        home.script.on("draw", ordered, Notice("drawing …"), gate, finished)
        await home.say(HOME, "draw")
        await gate.reached.wait()
        await home.say(HOME, "/stop")
        await home.shows(HOME, STOPPED)
        assert home.query("SELECT id FROM jobs") == []


@pytest.mark.parametrize("said", ["/stop", "/reset"])
async def test_an_order_that_is_stopped_before_it_is_stored_has_no_button_to_cancel_it(
    tmp_path: Path, said: str
) -> None:
    async with house(tmp_path, Window(width=WIDE)) as home:
        home.script.on("draw", *waited_for("image"))
        edge = home.flaws.hold("before complete")
        await home.say(HOME, "draw")
        await edge.reached.wait()
        await home.say(HOME, said)
        await until(lambda: home.query("SELECT 1 FROM inbox WHERE lane = 'control' AND state = 'done'"))
        edge.open.set()
        await until(lambda: STOPPED in home.window.standing(HOME))
        assert not any(piece.buttons for piece in home.window.pieces(HOME))
        assert home.query("SELECT 1 FROM jobs UNION ALL SELECT 1 FROM buttons") == []


async def test_reset_counts_the_answers_that_are_awaited(tmp_path: Path) -> None:
    async with house(tmp_path, Window(width=WIDE)) as home:
        home.script.on("why?", Text("ordered why?"), *order("chat"))
        home.script.on("a fox", Text("ordered a fox"), *order("image"))
        await home.say(HOME, "why?")
        await home.say(HOME, "a fox")
        await home.shows(HOME, "ordered why?", "ordered a fox")
        await home.say(HOME, "/reset")
        await home.shows(HOME, CANCELLED, "ordered a fox", cancelled(1))
        assert home.query("SELECT state FROM jobs ORDER BY id") == [("cancelling",), ("queued",)]


async def test_stop_before_anything_was_shown(tmp_path: Path) -> None:
    async with house(tmp_path) as home:
        await running(home, says="")
        await home.say(HOME, "/stop")
        await home.shows(HOME, STOPPED)
        assert home.query("SELECT head FROM chats") == [(None,)]


@pytest.mark.parametrize("point", ["after claim", "before complete"])
async def test_a_stop_at_the_edges_of_a_turn(tmp_path: Path, point: str) -> None:
    async with house(tmp_path, Window(width=WIDE)) as home:
        edge = home.flaws.hold(point)
        await home.say(HOME, "question")
        await edge.reached.wait()
        await home.say(HOME, "/stop")
        await until(lambda: home.query("SELECT 1 FROM inbox WHERE lane = 'control' AND state = 'done'"))
        edge.open.set()
        if point == "after claim":
            await home.shows(HOME, STOPPED)
            assert home.script.turns == []
        else:
            await home.shows(HOME, f"re: question\n\n{STOPPED}")
        await home.say(HOME, "next")
        await until(lambda: "re: next" in home.window.standing(HOME))


async def test_a_stop_in_the_instant_in_which_the_turn_begins(tmp_path: Path) -> None:
    """The reader is cancelled before its first step; the turn must end nevertheless."""
    async with house(tmp_path) as home:
        home.script.on("question", Gate())

        async def strike() -> None:
            while not home.engine._running:  # noqa: ASYNC110  # the very next step of the loop is meant
                await asyncio.sleep(0)
            for turn in list(home.engine._running):
                home.engine._end(turn)

        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(strike())
            await home.say(HOME, "question")
        await home.shows(HOME, STOPPED)


async def test_a_stop_said_while_the_bot_was_dead(tmp_path: Path) -> None:
    async with house(tmp_path, Window(width=WIDE)) as home:
        await running(home)
        await home.crash()
        await home.open(home.event("message", HOME, "/stop"))
        # What the dead bot had shown is not known any more, but nobody is asked again.
        await home.shows(HOME, STOPPED)
        assert len(home.script.turns) == 1


async def test_stop_is_silent_about_a_sentence_that_only_begins_like_its_button() -> None:
    assert lane_of(STOP_PREFIX + "Aq3_-x0bTTye") is Lane.CONTROL
    assert lane_of("stop. I mean it, that is enough") is Lane.TURN


@pytest.mark.parametrize("said", ["/stop", "/reset"])
@pytest.mark.parametrize("dies", [False, True])
async def test_what_was_made_in_the_background_is_told_all_the_same(tmp_path: Path, said: str, dies: bool) -> None:
    """It is paid, and nobody could have it told again."""
    async with house(tmp_path, Window(width=WIDE)) as home:
        ordered, finished = order("image")
        gate = Gate()
        home.script.on("draw", replace(ordered, order=ORDER.dump()), Text("drawing …"), finished)
        home.script.on("job *", gate, Text("the picture"), finished)
        await home.say(HOME, "draw")
        await home.shows(HOME, "drawing …")
        [job], _ = await home.store.claim_jobs(1)
        await home.store.end_job(job, JobState.DONE, "", cost=0)
        home.engine.look()
        await gate.reached.wait()
        if dies:
            await home.crash()
            gate.open.set()
            await home.open(home.event("message", HOME, said))
        else:
            await home.say(HOME, said)
            await until(lambda: home.query("SELECT 1 FROM inbox WHERE lane = 'control' AND state = 'done'"))
            gate.open.set()
        await until(lambda: "the picture" in home.window.standing(HOME))


# --- reset -------------------------------------------------------------------------------------------------------------


async def test_reset_begins_anew_and_counts_what_it_closes(tmp_path: Path) -> None:
    async with house(tmp_path, Window(width=WIDE)) as home:
        await home.say(HOME, "old")
        await home.shows(HOME, "re: old")
        await running(home)
        await home.say(HOME, "waits", author="2")
        await home.say(HOME, "waits too", author="3")
        await home.say(HOME, "/reset")
        await home.say(HOME, "new")
        await home.shows(HOME, "re: old", f"so far\n\n{STOPPED}", closed(2), "re: new")
        assert home.script.texts == ["old", "question", "new"]
        old, _, new = home.script.turns
        assert new.epoch == old.epoch + 1
        assert home.script.histories[new.id] == []
        assert await home.history(HOME) == ["new", "re: new"]


POINTS = [
    "before claim",
    "after claim",
    "handler",
    "before sent",
    "after sent",
    "before complete",
    "after complete",
    "final",
]


@pytest.mark.parametrize("point", POINTS)
async def test_nothing_of_the_old_conversation_reaches_the_new_one(tmp_path: Path, point: str) -> None:
    async with house(tmp_path, Window(width=WIDE)) as home:
        gate = Gate()
        home.script.on("old question", Text("old "), gate, Text("answer"), Answered())
        if point == "final":
            caught = home.window.hold("edit", lambda call: call.body == "old answer")
            reached, open = caught.caught, caught.release
        elif point == "handler":
            reached, open = gate.reached, asyncio.Event()
        else:
            flaw = home.flaws.hold(point)
            reached, open = flaw.reached, flaw.open
        if point == "before claim":
            home.engine.look()  # nobody waits for a claim yet
        await home.say(HOME, "old question")
        if point in ("before complete", "after complete", "final"):
            await until(lambda: home.window.standing(HOME))
            gate.open.set()
        await reached.wait()
        await home.engine.accept([home.event("message", HOME, "/reset"), home.event("message", HOME, "new")])
        if point not in ("final",):
            await until(lambda: home.query("SELECT 1 FROM inbox WHERE lane = 'control' AND state = 'done'"))
        gate.open.set()
        open.set()
        await until(lambda: "re: new" in home.window.standing(HOME))
        await until(lambda: not home.query("SELECT 1 FROM inbox WHERE state IN ('queued', 'taken')"))
        new = next(turn for turn in home.script.turns if turn.said[0].text == "new")  # type: ignore[index]  # a message
        assert home.script.histories[new.id] == []
        assert await home.history(HOME) == ["new", "re: new"]
        shown = home.window.standing(HOME)
        reply = next(body for body in shown if body in (RESET, closed(1)))
        assert shown.index(reply) < shown.index("re: new")


async def test_a_reset_while_the_bot_was_dead_is_seen_first(tmp_path: Path) -> None:
    async with house(tmp_path, Window(width=WIDE)) as home:
        await home.say(HOME, "old")
        await home.shows(HOME, "re: old")
        await running(home)
        await home.crash()
        await home.open(
            home.event("message", HOME, "waits", author="5"),
            home.event("message", HOME, "/reset"),
            home.event("message", HOME, "new"),
        )
        await until(lambda: "re: new" in home.window.standing(HOME))
        assert home.script.texts == ["old", "question", "new"]
        assert await home.history(HOME) == ["new", "re: new"]
        assert closed(1) in home.window.standing(HOME)


async def test_a_reset_between_two_crashes_is_not_forgotten(tmp_path: Path) -> None:
    async with house(tmp_path, Window(width=WIDE)) as home:
        gate = await running(home)
        await home.crash()
        committed = home.flaws.hold("after reset")
        await home.open(home.event("message", HOME, "/reset"))
        await committed.reached.wait()
        await home.crash()
        gate.open.set()
        await home.open()
        await home.shows(HOME, STOPPED, RESET)
        assert len(home.script.turns) == 1


async def test_a_store_that_does_not_commit_delays_the_lane(tmp_path: Path) -> None:
    async with house(tmp_path, Window(width=WIDE)) as home:
        home.flaws.fails["reset"] = 1
        await home.say(HOME, "/reset")
        await home.say(HOME, "new")
        await home.shows(HOME, RESET, "re: new")


# --- what goes wrong ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("payload", ["unreadable", "[]"])
async def test_a_control_event_that_cannot_be_read_blocks_nobody(tmp_path: Path, payload: str) -> None:
    async with house(tmp_path, start=False) as home:
        poison = home.event("message", HOME, "/stop")
        object.__setattr__(poison, "payload", payload)
        await home.open(poison, home.event("message", HOME, "here"), home.event("message", AWAY, "/stop"))
        await home.shows(HOME, "re: here")
        await home.shows(AWAY, phrases.NOTHING_RUNS.en)
        assert home.query("SELECT state FROM inbox WHERE id = 1") == [("dead",)]


async def test_a_bug_in_a_reply_blocks_nobody(tmp_path: Path) -> None:
    window = Window(width=WIDE)
    window.broken_layout = lambda markdown: markdown == RESET
    async with house(tmp_path, window) as home:
        await home.say(HOME, "/reset")
        await home.say(HOME, "here")
        await home.shows(HOME, "re: here")


async def test_a_bug_in_showing_a_reply_ends_nothing_else(tmp_path: Path) -> None:
    class Buggy(Window):
        async def send(self, *arguments: object) -> str:
            raise ZeroDivisionError("a bug in the adapter")

    async with house(tmp_path, Window(), Buggy("buggy")) as home:
        there = ChatKey("buggy", "1")
        await home.say(there, "/stop")
        await home.say(there, "hello")
        await until(lambda: home.query("SELECT 1 FROM turns WHERE chat = 'buggy:1' AND state = 'stop'"))
        await home.say(HOME, "here")
        await home.shows(HOME, "re: here")
        await home.crash()
        await home.open()
        await home.say(HOME, "still")
        await home.shows(HOME, "re: here", "re: still")
