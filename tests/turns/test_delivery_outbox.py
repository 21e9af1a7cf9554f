"""The outbox: in order, whole, and until it stands, whatever the platform and the store say."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from bot.errors import ChatMoved, Forbidden, PlatformError, Rejected, RetryLater, Revoked, Unreachable, Unsure
from bot.messages import Address, Button, Buttons, ChatKey, Choice, Closes, Finish, Finished, Piece, Text
from bot.turns.answer import CURSOR
from bot.turns.delivery import Delivery
from storage import open_store
from tests.stage import Gate, House, house, until
from tests.storage.saying import only_claim, outcome, pieces, said
from tests.window import Window

HOME = ChatKey("window", "1")
AWAY = ChatKey("window", "2")
STOP = Button("Stop", "stop.1")
WIDE = 3000


# --- the outbox --------------------------------------------------------------------------------------------------------


async def test_no_preview_is_shown_before_a_retry_after_has_ended_and_only_this_chat_waits(tmp_path: Path) -> None:
    async with house(tmp_path, Window(width=WIDE)) as home:
        begin, end = Gate(), Gate()
        home.script.on("q", Text("a"), begin, Text("b"), end)
        await home.say(HOME, "q")
        await until(lambda: home.window.standing(HOME))
        home.window.fail("edit", RetryLater(0.4), when=lambda call: call.body == "ab" + CURSOR)
        await waits_alone(home, begin, "ab" + CURSOR)
        end.open.set()
        await home.shows(HOME, "ab")


async def test_no_answer_is_shown_before_a_retry_after_has_ended_and_only_this_chat_waits(tmp_path: Path) -> None:
    async with house(tmp_path, Window(width=WIDE)) as home:
        begin = Gate()
        home.script.on("q", Text("a"), begin, Text("b"))
        await home.say(HOME, "q")
        await until(lambda: home.window.standing(HOME))
        home.window.fail("edit", RetryLater(0.4), when=lambda call: call.body == "ab")
        await waits_alone(home, begin, "ab")


async def waits_alone(home: House, begin: Gate, shown: str) -> None:
    """What the platform refuses once for 0.4 seconds stands after these, while another chat is answered meanwhile."""
    began = time.monotonic()
    begin.open.set()
    await until(lambda: home.window.made("edit", HOME))
    await home.say(AWAY, "hello")
    await home.shows(AWAY, "re: hello")
    assert time.monotonic() - began < 0.4
    await until(lambda: home.window.standing(HOME) == [shown])
    assert time.monotonic() - began >= 0.4


async def test_a_later_answer_waits_behind_an_earlier_one_and_is_shown_once(tmp_path: Path) -> None:
    async with house(tmp_path, Window(width=WIDE)) as home:
        home.window.fail("edit", RetryLater(0.5), when=lambda call: call.body == "re: one")
        await home.say(HOME, "one")
        await until(lambda: home.window.made("edit"))
        await home.say(HOME, "two")
        await until(lambda: home.query("SELECT count(*) FROM turns WHERE ended IS NOT NULL") == [(2,)])
        assert home.window.standing(HOME) != ["re: one"]
        await home.shows(HOME, "re: one", "re: two")
        assert len(home.window.made("send")) == 2


@pytest.mark.parametrize("error", [Unreachable(), Unsure(), Revoked()])
@pytest.mark.parametrize("idempotent", [False, True])
async def test_the_final_text_is_sent_until_it_stands(tmp_path: Path, error: PlatformError, idempotent: bool) -> None:
    async with house(tmp_path, Window(width=WIDE, idempotent=idempotent)) as home:
        home.window.fail("send", error, error)
        home.window.fail("edit", error)
        await home.say(HOME, "q")
        await home.shows(HOME, "re: q")


@pytest.mark.parametrize("idempotent", [False, True])
async def test_a_final_send_that_was_taken_although_it_failed(tmp_path: Path, idempotent: bool) -> None:
    """Where sends are not idempotent, what is left over is visibly a preview."""
    async with house(tmp_path, Window(width=WIDE, idempotent=idempotent, private=(60.0, 1))) as home:
        home.delivery._taken(Address(HOME)).spend()  # no preview: the outbox sends first
        home.window.fail("send", Unsure(), taken=True)
        await home.say(HOME, "q")
        await home.shows(HOME, *([] if idempotent else ["re: q" + CURSOR]), "re: q")


async def test_a_piece_that_can_never_be_shown_lets_the_others_go_on(tmp_path: Path) -> None:
    async with house(tmp_path) as home:
        home.script.on("q", Text("x" * 40 + "y" * 40 + "z"))
        home.window.fail("send", Rejected("too odd"), when=lambda call: call.body.startswith("y"))
        home.window.fail("edit", Rejected("too odd"), when=lambda call: call.body == "y" * 40)
        await home.say(HOME, "q")
        await until(lambda: "z" in home.window.standing(HOME))
        await until(lambda: not home.query("SELECT 1 FROM outbox WHERE state = 'queued'"))
        await home.say(HOME, "next")
        await until(lambda: "re: next" in home.window.standing(HOME))


async def test_a_closed_chat_gets_nothing_more_and_is_forgotten(tmp_path: Path) -> None:
    async with house(tmp_path, Window(width=WIDE, private=(60.0, 1))) as home:
        home.delivery._taken(Address(HOME)).spend()
        home.window.fail("send", Forbidden("blocked"))
        await home.say(HOME, "q")
        await until(lambda: home.query("SELECT error FROM outbox") == [("forbidden: blocked",)])
        await home.say(HOME, "back")
        await home.shows(HOME, "re: back")


async def test_after_a_start_what_was_answered_is_shown_first(tmp_path: Path) -> None:
    async with house(tmp_path, Window(width=WIDE)) as home:
        home.window.fail("edit", Unreachable(), when=lambda call: call.body == "re: one")
        await home.say(HOME, "one")
        await until(lambda: home.window.made("edit"))
        await home.crash()
        home.window.fail("edit", RetryLater(0.3), when=lambda call: call.body == "re: one")
        await home.open(home.event("message", HOME, "two"))
        await home.shows(HOME, "re: one", "re: two")
        assert len(home.script.turns) == 2
    assert home.delivery._throttles[HOME].users == 0


async def test_pieces_that_are_found_in_the_store_just_now_are_not_sent_once_more(tmp_path: Path) -> None:
    """The way out of the chat is given free in the very instant in which the turn is completed, and another waits for it."""
    window = Window(width=WIDE)
    async with open_store(f"sqlite:///{tmp_path / 'magpie.db'}") as store:
        delivery, address = Delivery(store, {HOME.platform: window}, store.move), Address(HOME)
        await store.accept([said("1", chat=HOME)])
        claim = await only_claim(store)
        finals = await store.complete(claim, outcome(pieces=pieces(claim, "an answer")))
        with delivery.throttle(address) as throttle:
            await throttle.lock.acquire()
            showing = asyncio.create_task(delivery.show(address))
            await asyncio.sleep(0)  # now it waits
            throttle.lock.release()
        await delivery.finish(address, finals, {})
        await showing
    assert window.standing(HOME) == ["an answer"]
    assert len(window.made("send")) == 1


async def test_a_start_on_a_full_disk_waits_for_it(tmp_path: Path) -> None:
    async with house(tmp_path, start=False) as home:
        home.flaws.fails["take"] = 1
        await home.open(home.event("message", HOME, "hello"))
        await home.shows(HOME, "re: hello")


@pytest.mark.parametrize("transaction", ["gone", "drop", "waiting", "move", "shown"])
async def test_a_store_that_does_not_commit_delays_what_is_shown(tmp_path: Path, transaction: str) -> None:
    async with house(tmp_path, Window(width=WIDE)) as home:
        gate = Gate()
        home.script.on("q", Text("a"), gate, Text("b"))
        await home.say(HOME, "q")
        await until(lambda: home.window.standing(HOME))
        chat, expected = HOME, ["ab"]
        final = lambda call: call.body == "ab"  # noqa: E731
        match transaction:
            case "gone":
                home.window.delete(HOME)
            case "drop":
                home.window.fail("edit", Rejected("odd"), when=final)
                expected = ["ab" + CURSOR]
            case "move":
                chat = AWAY
                home.window.fail("edit", ChatMoved(AWAY))
                home.window.moved[HOME] = AWAY
                for call in home.window.calls:
                    call.chat = AWAY
            case _:
                home.window.fail("edit", Unreachable(), when=final)
        home.flaws.fails[transaction] = 1
        gate.open.set()
        await until(lambda: home.flaws.fails[transaction] == 0)
        if transaction == "drop":
            await until(lambda: home.query("SELECT state FROM outbox") == [("dropped",)])
        else:
            await home.shows(chat, *expected)


async def test_an_edit_waits_until_it_is_known_where_the_old_answer_stands(tmp_path: Path) -> None:
    """It stands, but the store was not told its id yet: a new answer under a nonce of its own would be the second."""
    async with house(tmp_path, Window(idempotent=True)) as home:
        home.flaws.fails["shown"] = 1
        question = await home.say(HOME, "old")
        await until(lambda: home.window.standing(HOME) == ["re: old"])
        await home.edit(HOME, question, "new")
        await home.shows(HOME, "re: new")
        assert len(home.window.made("send")) == 1


# --- beside the outbox -------------------------------------------------------------------------------------------------


async def test_a_preview_that_comes_after_the_answer_does_not_stay(tmp_path: Path) -> None:
    """Of a worker that had the turn before, and was about to send it when its lease ended."""
    async with house(tmp_path) as home:
        await home.say(HOME, "q")
        await home.shows(HOME, "re: q")
        [(turn, message)] = home.query("SELECT turn, message FROM outbox")
        await home.window.edit(Address(HOME), message, Piece("re:" + CURSOR))
        await home.delivery.show_again(Address(HOME), turn, 0.0)
        assert home.window.standing(HOME) == ["re: q"]


async def test_no_answer_waits_for_one_that_is_shown_once_more(tmp_path: Path) -> None:
    async with house(tmp_path, Window(private=(60.0, 1))) as home, asyncio.TaskGroup() as tasks:  # a preview a minute
        await home.say(HOME, "q")
        await home.shows(HOME, "re: q")
        [(turn,)] = home.query("SELECT turn FROM outbox")
        again = tasks.create_task(home.delivery.show_again(Address(HOME), turn, 0.0))
        await home.say(HOME, "more")
        await until(lambda: home.window.standing(HOME) == ["re: q", "re: more"])
        again.cancel()


async def test_how_far_work_is_stands_in_the_message_that_waits_with_its_buttons(tmp_path: Path) -> None:
    async with house(tmp_path) as home:
        home.script.on(
            "q", Text("waiting"), Buttons(((Choice("Cancel", "cancel:1"),),)), Finished(reason=Finish.COMMAND)
        )
        await home.say(HOME, "q")
        await home.shows(HOME, "waiting")
        [(turn,)] = home.query("SELECT turn FROM outbox")
        await home.delivery.retouch(Address(HOME), turn, Piece("half of it"))
        [piece] = home.window.pieces(HOME)
        assert (piece.body, [button.label for row in piece.buttons for button in row]) == ("half of it", ["Cancel"])
        await home.delivery.retouch(Address(HOME), turn + 1, Piece("somebody else's"))
        assert home.window.standing(HOME) == ["half of it"]


async def test_how_far_work_is_stands_in_no_message_that_waits_no_more(tmp_path: Path) -> None:
    async with house(tmp_path) as home:
        await home.say(HOME, "q")
        await home.shows(HOME, "re: q")
        [(turn,)] = home.query("SELECT turn FROM outbox")
        await home.delivery.retouch(Address(HOME), turn, Piece("half of it"))
        assert home.window.standing(HOME) == ["re: q"]


# --- buttons that have nothing more to do ------------------------------------------------------------------------------

RETRY = Buttons(((Choice("Retry", "again:1"),),))


async def test_the_buttons_of_an_earlier_answer_go_once_a_later_one_stands(tmp_path: Path) -> None:
    async with house(tmp_path, Window(width=WIDE)) as home:
        home.script.on("one", Text("first"), RETRY)
        await home.say(HOME, "one")
        await home.shows(HOME, "first")
        [(turn,)] = home.query("SELECT max(id) FROM turns")
        home.script.on("two", Closes(turn), Text("second"))
        await home.say(HOME, "two")
        await until(lambda: home.window.pieces(HOME) == [Piece("first"), Piece("second")])


async def test_a_message_that_somebody_removed_does_not_come_back_without_its_buttons(tmp_path: Path) -> None:
    async with house(tmp_path, Window(width=WIDE)) as home:
        home.script.on("one", Text("first"), RETRY)
        await home.say(HOME, "one")
        await home.shows(HOME, "first")
        [(turn,)] = home.query("SELECT max(id) FROM turns")
        home.window.delete(HOME)
        home.script.on("two", Closes(turn), Text("second"))
        await home.say(HOME, "two")
        await home.shows(HOME, "second")
        await home.say(HOME, "three")
        await home.shows(HOME, "second", "re: three")


async def test_no_answer_waits_for_the_buttons_of_an_earlier_one(tmp_path: Path) -> None:
    async with house(tmp_path, Window(width=WIDE, private=(60.0, 1))) as home:  # a preview a minute
        home.script.on("one", Text("first"), RETRY)
        await home.say(HOME, "one")
        await home.shows(HOME, "first")
        [(turn,)] = home.query("SELECT max(id) FROM turns")
        home.script.on("two", Closes(turn), Text("second"))
        await home.say(HOME, "two")
        await until(lambda: home.window.standing(HOME) == ["first", "second"])
        await home.say(HOME, "three")
        await until(lambda: home.window.standing(HOME) == ["first", "second", "re: three"])
