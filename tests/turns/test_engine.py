"""The engine on the real store: order, bounds, fairness, errors, and nothing left behind."""

from __future__ import annotations

import asyncio
import resource
from pathlib import Path

import pytest

from bot import phrases
from bot.errors import ModelError, StorageError, Trouble
from bot.messages import (
    Buttons,
    ChatKey,
    Choice,
    Pressed,
    Text,
)
from tests.stage import Gate, house, until
from tests.window import Window

HOME = ChatKey("window", "1")
AWAY = ChatKey("window", "2")
OUR_FAULT = phrases.OUR_FAULT.en
STOPPED = f"*({phrases.STOPPED.en})*"


# --- order, bounds, fairness -------------------------------------------------------------------------------------------


async def test_many_chats_at_once_each_in_order_and_one_at_a_time(tmp_path: Path) -> None:
    async with house(tmp_path, at_once=50) as home:
        chats = [ChatKey("window", str(number)) for number in range(500)]
        for round in range(3):
            await home.engine.accept(
                [home.event("message", chat, f"q{round}", author=f"{chat.chat}.{round}") for chat in chats]
            )
        for chat in chats:
            await until(lambda chat=chat: len(home.window.standing(chat)) == 3, f"{chat} misses answers")  # type: ignore[misc]
        await until(lambda: not home.script.at_once.total())
        for chat in chats:
            await home.shows(chat, "re: q0", "re: q1", "re: q2")
        assert home.script.most_at_once <= 50
        assert home.script.most_in_one_chat == 1
        assert await home.history(chats[0]) == ["q0", "re: q0", "q1", "re: q1", "q2", "re: q2"]


async def test_a_chats_next_turn_waits_for_the_end_of_its_last(tmp_path: Path) -> None:
    async with house(tmp_path) as home:
        gate = Gate()
        home.script.on("one", gate, Text("first"))
        await home.say(HOME, "one", author="a")
        await until(lambda: home.script.at_once[HOME])
        await home.say(HOME, "two", author="b")
        await home.say(AWAY, "hello")  # claimed no sooner than what was said before it could be
        await home.shows(AWAY, "re: hello")
        assert len(home.script.turns) == 2
        gate.open.set()
        await home.shows(HOME, "first", "re: two")
        assert home.script.most_in_one_chat == 1


async def test_what_the_same_person_has_waiting_becomes_one_turn(tmp_path: Path) -> None:
    async with house(tmp_path, start=False) as home:
        await home.open(
            home.event("message", HOME, "one", author="a"),
            home.event("message", HOME, "two", author="a"),
            home.event("message", HOME, "three", author="b"),
            home.event("message", HOME, "/info", author="b"),
            home.event("message", HOME, "four", author="b"),
        )
        await home.shows(HOME, "re: one + two", "re: three", "re: /info", "re: four")


async def test_a_chat_that_never_rests_does_not_starve_another(tmp_path: Path) -> None:
    async with house(tmp_path, at_once=1) as home:
        gate = Gate()
        home.script.on("first", gate)
        await home.say(HOME, "first")
        await gate.reached.wait()
        await home.engine.accept([home.event("message", HOME, f"more {n}", author=str(n)) for n in range(20)])
        await home.say(AWAY, "me too")
        gate.open.set()
        await home.shows(AWAY, "re: me too")
        assert home.script.texts.index("me too") <= 2


async def test_no_more_turns_at_once_than_allowed(tmp_path: Path) -> None:
    async with house(tmp_path, at_once=3) as home:
        gate = Gate()
        home.script.on("*", gate, Text("done"))
        chats = [ChatKey("window", str(number)) for number in range(9)]
        await home.engine.accept([home.event("message", chat, "go") for chat in chats])
        await until(lambda: home.script.at_once.total() == 3)
        gate.open.set()
        for chat in chats:
            await home.shows(chat, "done")
        assert home.script.most_at_once == 3


async def test_a_chat_that_may_not_be_shown_anything_takes_no_slot(tmp_path: Path) -> None:
    async with house(tmp_path, at_once=1) as home:
        held = home.window.hold("send", lambda call: call.chat == HOME)
        await home.say(HOME, "/held")  # so short that no preview goes before
        await held.caught.wait()
        await home.say(AWAY, "hello")
        await home.shows(AWAY, "re: hello")
        held.release.set()
        await home.shows(HOME, "re: /held")


# --- what goes wrong ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("payload", ["unreadable", "[]", '{"kind": "of a new kind"}'])
async def test_what_cannot_be_read_is_a_dead_letter_and_blocks_nobody(tmp_path: Path, payload: str) -> None:
    async with house(tmp_path, start=False) as home:
        poison = home.event("message", HOME, "poison", author="x")
        object.__setattr__(poison, "payload", payload)
        await home.open(poison, home.event("message", HOME, "after", author="x"), home.event("message", AWAY, "other"))
        await home.shows(HOME, "re: after")
        await home.shows(AWAY, "re: other")
        assert [state for (state,) in home.query("SELECT state FROM inbox ORDER BY id")] == ["dead", "done", "done"]


async def test_an_unknown_error_becomes_a_sentence_and_the_chat_goes_on(tmp_path: Path) -> None:
    async with house(tmp_path) as home:
        home.script.on("break", Text("half"), ZeroDivisionError("a bug"))
        await home.say(HOME, "break")
        await home.shows(HOME, f"half\n\n{OUR_FAULT}"[:40], f"half\n\n{OUR_FAULT}"[40:])
        await home.say(HOME, "on")
        await until(lambda: "re: on" in home.window.standing(HOME))
        assert await home.history(HOME) == ["on", "re: on"]


async def test_a_typed_error_is_told_in_the_persons_language(tmp_path: Path) -> None:
    async with house(tmp_path, Window(width=500)) as home:
        home.script.on("*", ModelError(Trouble.NO_MONEY, vendor="glm"))
        event = home.event("message", HOME, "你好", language="zh")
        await home.engine.accept([event])
        await home.shows(HOME, phrases.TROUBLE["no money"].zh)


async def test_a_handler_that_ends_without_an_end_is_not_silent(tmp_path: Path) -> None:
    async with house(tmp_path, Window(width=500)) as home:
        home.script.on("cancelled", Text("half"), asyncio.CancelledError())  # type: ignore[arg-type]
        await home.say(HOME, "cancelled")
        await home.shows(HOME, f"half\n\n{OUR_FAULT}")


async def test_a_bug_in_the_layout_costs_the_answer_but_not_the_chat(tmp_path: Path) -> None:
    window = Window(width=500)
    window.broken_layout = lambda markdown: "evil" in markdown
    async with house(tmp_path, window) as home:
        await home.say(HOME, "evil")
        await home.shows(HOME, OUR_FAULT)
        await home.say(HOME, "good")
        await home.shows(HOME, OUR_FAULT, "re: good")
        assert home.query("SELECT state, error FROM inbox ORDER BY id") == [("dead", "broke down"), ("done", None)]


async def test_a_chat_whose_platform_is_not_set_up_waits_for_it(tmp_path: Path) -> None:
    gone = ChatKey("gone", "1")
    async with house(tmp_path, start=False) as home:
        await home.open(
            home.event("message", gone, "there"),
            home.event("message", gone, "/stop"),
            home.event("message", HOME, "here"),
        )
        await home.shows(HOME, "re: here")
        await home.crash()
        home.windows = {**home.windows, "gone": Window("gone")}
        await home.open()
        await home.shows(gone, "re: there")


@pytest.mark.parametrize("transaction", ["claim", "complete", "sent", "shown"])
async def test_a_store_that_does_not_commit_is_tried_again(tmp_path: Path, transaction: str) -> None:
    async with house(tmp_path) as home:
        home.flaws.fails[transaction] = 2
        await home.say(HOME, "hello")
        await home.shows(HOME, "re: hello")
        assert home.flaws.fails[transaction] == 0
        assert len(home.window.made("send")) == 1
        assert len(home.script.turns) == 1


async def test_a_handler_that_cannot_read_the_store_is_asked_again(tmp_path: Path) -> None:
    async with house(tmp_path) as home:
        await home.say(HOME, "first")
        await home.shows(HOME, "re: first")
        home.flaws.fails["line"] = 2
        await home.say(HOME, "hello")
        await home.shows(HOME, "re: first", "re: hello")
        assert home.flaws.fails["line"] == 0
        assert await home.history(HOME) == ["first", "re: first", "hello", "re: hello"]


async def test_a_handler_is_not_asked_again_once_it_has_shown_something(tmp_path: Path) -> None:
    """A model may have been paid for it."""
    async with house(tmp_path, Window(width=500)) as home:
        home.script.on("draw", Text("drawn"), StorageError("disk full"))
        await home.say(HOME, "draw")
        await home.shows(HOME, f"drawn\n\n{phrases.STORAGE.en}")
        assert len(home.script.turns) == 1


async def test_accepting_is_refused_as_a_whole_while_the_store_does_not_commit(tmp_path: Path) -> None:
    async with house(tmp_path) as home:
        home.flaws.fails["accept"] = 1
        event = home.event("message", HOME, "hello")
        with pytest.raises(StorageError):
            await home.engine.accept([event])
        await home.engine.accept([event])
        await home.engine.accept([event])
        await home.shows(HOME, "re: hello")


# --- buttons -----------------------------------------------------------------------------------------------------------


async def test_buttons_stand_under_the_last_piece_and_belong_to_the_asker(tmp_path: Path) -> None:
    async with house(tmp_path) as home:
        rows = Buttons(((Choice("Again", "again:1"),), (Choice("All", "all", anyone=True),)))
        home.script.on("q", Text("x" * 50), rows)
        await home.say(HOME, "q", author="7")
        await home.shows(HOME, "x" * 40, "x" * 10)
        first, last = home.window.pieces(HOME)
        assert first.buttons == ()
        ids = [button.id for row in last.buttons for button in row]
        stored = [await home.store.button(id) for id in ids]
        assert [(row.person, row.action, row.chat) for row in stored if row] == [
            ("7", "again:1", HOME),
            ("", "all", HOME),
        ]
        await home.press(HOME, ids[0], author="7")
        await until(lambda: isinstance(home.script.turns[-1].said, Pressed))


# --- leaks -------------------------------------------------------------------------------------------------------------


def _resident() -> int:
    """Bytes of this process that are in memory now: the peak may be another test's."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def _open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


async def test_two_thousand_stopped_turns_leave_nothing_behind(tmp_path: Path) -> None:
    async with house(tmp_path) as home:
        home.script.on("*", Gate())

        async def round(number: int) -> None:
            chats = [ChatKey("window", f"{number}.{n}") for n in range(100)]
            await home.engine.accept([home.event("message", chat, "hang") for chat in chats])
            await until(lambda: home.script.at_once.total() == 100)
            await home.engine.accept([home.event("message", chat, "/stop") for chat in chats])
            await until(lambda: not home.script.at_once.total())
            await until(lambda: not home.query("SELECT 1 FROM outbox WHERE state = 'queued'"))
            await until(lambda: not home.query("SELECT 1 FROM chats WHERE owner IS NOT NULL"))

        await round(0)
        await until(lambda: len(asyncio.all_tasks()) < 10)
        tasks, files, memory = len(asyncio.all_tasks()), _open_files(), _resident()
        for number in range(1, 20):
            await round(number)
        await until(lambda: len(asyncio.all_tasks()) <= tasks)
        assert _open_files() <= files
        assert home.engine._running == {}
        assert home.engine._to_end == set()
        assert len(home.script.ended) == 2000
        assert _resident() - memory < 60_000_000  # bytes
