"""Previews: the newest state only, paced by the chat's lane, never the final text first, and never in the way of it."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bot.errors import PlatformError, Rejected, RetryLater, Revoked, Unreachable, Unsure
from bot.messages import Address, Button, ChatKey, Finish, Finished, Media, Notice, Piece, Text, Withdraw
from bot.turns import delivery, preview
from bot.turns import throttle as throttles
from bot.turns.answer import CURSOR, TEASER, Answer, teaser
from bot.turns.delivery import Delivery
from bot.turns.throttle import Throttle
from tests.stage import Gate, house, until
from tests.window import Window

HOME = ChatKey("window", "1")
AWAY = ChatKey("window", "2")
STOP = Button("Stop", "stop.1")
WIDE = 3000


# --- previews ----------------------------------------------------------------------------------------------------------


async def test_a_preview_shows_the_newest_state_with_cursor_and_stop(tmp_path: Path) -> None:
    async with house(tmp_path, Window(width=WIDE)) as home:
        first, second, third = Gate(), Gate(), Gate()
        held = home.window.hold("edit")
        home.script.on("q", Text("a"), first, Text("b"), second, *[Text(letter) for letter in "cdefgh"], third)
        await home.say(HOME, "q")
        await until(lambda: home.window.standing(HOME) == ["a" + CURSOR])
        assert home.window.stop_button(HOME) == home.script.turns[0].stop_key
        first.open.set()
        await held.caught.wait()
        second.open.set()
        await third.reached.wait()
        held.release.set()
        await until(lambda: home.window.standing(HOME) == ["abcdefgh" + CURSOR])
        third.open.set()
        await home.shows(HOME, "abcdefgh")
        assert [call.body for call in home.window.calls] == [
            "a" + CURSOR,
            "ab" + CURSOR,
            "abcdefgh" + CURSOR,
            "abcdefgh",
        ]
        assert home.window.stop_button(HOME) == ""


async def test_previews_are_paced_but_the_final_text_waits_for_none(tmp_path: Path) -> None:
    async with house(tmp_path, Window(width=WIDE, private=(60.0, 1))) as home:
        gate = Gate()
        home.script.on("q", Text("a"), gate, Text("b"))
        await home.say(HOME, "q")
        await until(lambda: home.window.standing(HOME))
        gate.open.set()
        await home.shows(HOME, "ab")
        assert [call.kind for call in home.window.calls] == ["send", "edit"]


async def test_nothing_is_shown_while_our_lease_may_be_over(tmp_path: Path) -> None:
    async with house(tmp_path, Window(width=WIDE)) as home:
        more, end = Gate(), Gate()
        home.script.on("q", Text("a"), more, Text("b"), end)
        await home.say(HOME, "q")
        await until(lambda: home.window.standing(HOME) == ["a" + CURSOR])
        home.leased = False
        more.open.set()
        await asyncio.sleep(3 * delivery.LOOK)  # in which a preview would have been shown
        assert home.window.standing(HOME) == ["a" + CURSOR]
        end.open.set()
        async with asyncio.timeout(5):
            while not await home.store.waiting(HOME):  # noqa: ASYNC110  # the turn is being completed
                await asyncio.sleep(0.01)
        await asyncio.sleep(3 * delivery.LOOK)  # likewise the answer
        assert home.window.standing(HOME) == ["a" + CURSOR]
        home.leased = True
        await home.shows(HOME, "ab")


async def test_groups_have_their_own_pace(tmp_path: Path) -> None:
    async with house(tmp_path, Window(width=WIDE, private=(0.001, 3), group=(60.0, 1))) as home:
        gates = [Gate(), Gate()]
        home.script.on("q", Text("a"), gates[0], Text("b"), gates[1])
        await home.say(HOME, "q", group=True)
        await home.say(AWAY, "q")
        gates[0].open.set()
        await until(lambda: home.window.standing(AWAY) == ["ab" + CURSOR])
        assert len(home.window.made("edit", HOME)) == 0
        gates[1].open.set()
        await home.shows(HOME, "ab")


async def test_silence_lights_working_until_there_is_something(tmp_path: Path) -> None:
    async with house(tmp_path) as home:
        gate = Gate()
        home.script.on("q", gate, Text("a"))
        began = time.monotonic()
        await home.say(HOME, "q")
        await until(lambda: home.window.made("working"))
        assert time.monotonic() - began >= preview.SILENCE * 0.9
        gate.open.set()
        await home.shows(HOME, "a")


@pytest.mark.parametrize("error", [Unreachable(), Unsure(), Rejected(), Revoked(), RetryLater(0.1)])
async def test_a_working_that_fails_is_nobodys_business(tmp_path: Path, error: PlatformError) -> None:
    async with house(tmp_path) as home:
        gate = Gate()
        home.window.fail("working", error)
        home.script.on("q", gate, Text("a"))
        await home.say(HOME, "q")
        await until(lambda: home.window.made("working"))
        gate.open.set()
        await home.shows(HOME, "a")


async def test_a_chat_found_closed_while_the_model_is_silent_ends_its_call(tmp_path: Path) -> None:
    async with house(tmp_path) as home:
        home.window.closed.add(HOME)
        home.script.on("q", Gate())
        await home.say(HOME, "q")
        await until(lambda: home.script.ended)
        await home.shows(HOME)


@pytest.mark.parametrize("error", [Unreachable(), Unsure(), Rejected(), Revoked(), RetryLater(0.2)])
@pytest.mark.parametrize("kind", ["send", "edit"])
async def test_a_preview_may_fail_in_every_way(tmp_path: Path, error: PlatformError, kind: str) -> None:
    async with house(tmp_path, Window(width=WIDE)) as home:
        first, second = Gate(), Gate()
        home.script.on("q", Text("a"), first, Text("b"), second, Text("c"))
        home.window.fail(kind, error)
        await home.say(HOME, "q")
        if kind == "edit":
            await until(lambda: home.window.standing(HOME))
        first.open.set()
        await until(lambda: any(call.error for call in home.window.calls))
        second.open.set()
        await home.shows(HOME, "abc")


async def test_a_preview_that_failed_does_not_hold_up_the_final_text(tmp_path: Path) -> None:
    async with house(tmp_path, Window(width=WIDE)) as home:
        gate = Gate()
        home.script.on("q", Text("a"), gate, Text("b"))
        home.window.fail("send", Unreachable())
        began = time.monotonic()
        await home.say(HOME, "q")
        await until(lambda: home.window.calls)
        gate.open.set()
        await home.shows(HOME, "ab")
        assert time.monotonic() - began < preview.DROPPED


async def test_a_preview_that_was_taken_although_it_failed_is_at_worst_one_orphan(tmp_path: Path) -> None:
    async with house(tmp_path, Window(width=WIDE)) as home:
        gate = Gate()
        home.script.on("q", Text("a"), gate, Text("b"))
        home.window.fail("send", Unsure(), taken=True)
        await home.say(HOME, "q")
        await until(lambda: home.window.standing(HOME))
        gate.open.set()
        await home.shows(HOME, "a" + CURSOR, "ab")


@pytest.mark.parametrize("idempotent", [False, True])
@pytest.mark.parametrize("during", ["preview", "final"])
async def test_a_message_deleted_under_an_answer_comes_again_whole(
    tmp_path: Path, idempotent: bool, during: str
) -> None:
    async with house(tmp_path, Window(width=WIDE, idempotent=idempotent)) as home:
        gate, last = Gate(), Gate()
        home.script.on("q", Text("a"), gate, Text("b"), last, Text("c"))
        await home.say(HOME, "q")
        await until(lambda: home.window.standing(HOME))
        if during == "final":
            gate.open.set()
            await until(lambda: home.window.standing(HOME) == ["ab" + CURSOR])
        home.window.delete(HOME)
        gate.open.set()
        if during == "preview":
            await until(lambda: home.window.standing(HOME) == ["ab" + CURSOR])
        last.open.set()
        await home.shows(HOME, "abc")
        nonces = [call.nonce for call in home.window.made("send")]
        assert len(set(nonces)) == len(nonces) == 2


async def test_drafts_are_no_messages_and_the_answer_is_sent_whole(tmp_path: Path) -> None:
    async with house(tmp_path, Window(width=WIDE, drafting=True)) as home:
        gate = Gate()
        home.script.on("q", Text("a"), gate, Text("b"))
        await home.say(HOME, "q")
        await until(lambda: home.window.made("draft"))
        gate.open.set()
        await home.shows(HOME, "ab")
        assert [call.body for call in home.window.made("send")] == ["ab"]
        assert home.window.made("draft")[0].buttons == []
        assert home.window.made("edit") == []


async def test_pieces_roll_over_and_each_begins_with_a_preview(tmp_path: Path) -> None:
    async with house(tmp_path) as home:
        gate = Gate()
        home.script.on("q", Text("x" * 50), gate, Text("y" * 50))
        await home.say(HOME, "q")
        await until(lambda: len(home.window.standing(HOME)) == 2)
        gate.open.set()
        await home.shows(HOME, "x" * 40, "x" * 10 + "y" * 30, "y" * 20)
        sends = home.window.made("send")
        assert [call.body.endswith(CURSOR) for call in sends] == [True] * 3
        assert [bool(call.reply_to) for call in sends] == [True, False, False]
        assert len({call.nonce for call in sends}) == 3


async def test_what_is_withdrawn_vanishes(tmp_path: Path) -> None:
    async with house(tmp_path) as home:
        gate = Gate()
        home.script.on("q", Text("z" * 90), gate, Withdraw(), Text("no"))
        await home.say(HOME, "q")
        await until(lambda: len(home.window.standing(HOME)) == 3)
        before = home.window.ids(HOME)
        gate.open.set()
        await home.shows(HOME, "no")
        assert home.window.ids(HOME) == before[:1]


async def test_a_picture_is_never_sent_first_either(tmp_path: Path) -> None:
    async with house(tmp_path, Window(width=WIDE)) as home:
        home.script.on("q", Notice("drawing"), Media("f.png", "image/png", caption="a fox"))
        await home.say(HOME, "q")
        await until(lambda: home.window.pieces(HOME) and home.window.pieces(HOME)[0].media)
        await home.shows(HOME, "a fox")
        (sent,) = home.window.made("send")
        assert sent.piece.media is None
        assert sent.body.endswith(CURSOR)


async def test_a_voice_note_follows_its_text_and_is_sent_whole(tmp_path: Path) -> None:
    async with house(tmp_path, Window(width=WIDE)) as home:
        gate = Gate()
        spoken = Media("f.ogg", "audio/ogg", "aloud", slot=1, seconds=2.5, waveform="AA==")
        home.script.on("q", Text("said"), Notice("speaking"), gate, spoken)
        await home.say(HOME, "q")
        await until(lambda: "said\n\nspeaking" + CURSOR in home.window.standing(HOME))
        gate.open.set()
        await until(lambda: len(home.window.pieces(HOME)) == 2)
        first, second = home.window.pieces(HOME)
        assert (first.body, second.media) == ("said", spoken)
        assert [call.piece.media for call in home.window.made("send")] == [None, spoken]
        assert not [call for call in home.window.made("edit") if call.piece.media]


async def test_a_commands_reply_is_sent_whole(tmp_path: Path) -> None:
    async with house(tmp_path, Window(width=WIDE, private=(60.0, 1))) as home:
        lane = home.delivery._taken(Address(HOME))
        lane.spend()  # no preview may go before
        home.script.on("/help", Text("help"), Finished(reason=Finish.COMMAND))
        await home.say(HOME, "/help")
        await home.shows(HOME, "help")
        assert [(call.kind, call.body) for call in home.window.calls] == [("send", "help")]


# --- the lane ----------------------------------------------------------------------------------------------------------


def test_a_lane_saves_up_a_burst_and_spaces_what_it_lets_through() -> None:
    lane = Throttle(1.0, 3)
    assert lane.wait() == 0
    lane.spend()
    assert 0.4 < lane.wait() <= 0.5
    lane.spend()
    lane.spend()
    assert 0.9 < lane.wait() <= 1.0
    lane.spend()  # a final text does not wait, but counts
    assert 1.9 < lane.wait() <= 2.0


def test_a_lane_gets_slower_with_each_flood_up_to_a_limit_and_forgives() -> None:
    lane = Throttle(1.0, 1)
    lane.spend()
    for times in (2, 4, 8, 8):
        lane.flood(0.0)
        assert times - 0.3 < lane.wait() <= times
    lane.flood(30)
    assert lane.wait() > 29
    lane.flooded -= throttles.FORGET_FLOOD + 1
    lane.closed_until = 0.0
    assert lane.wait() <= 1.0


async def test_throttles_are_bounded_but_never_forget_a_retry_after(tmp_path: Path) -> None:
    async with house(tmp_path) as home:
        flooded = home.delivery._taken(Address(HOME))
        flooded.users -= 1
        flooded.flood(60)
        used = home.delivery._taken(Address(AWAY))
        for number in range(delivery.MOST_THROTTLES * 2):
            with home.delivery.throttle(Address(ChatKey("window", f"x{number}"))):
                pass
        assert len(home.delivery._throttles) <= delivery.MOST_THROTTLES
        assert home.delivery._throttles[HOME] is flooded
        assert home.delivery._throttles[AWAY] is used


async def test_a_lane_learns_that_several_people_read(tmp_path: Path) -> None:
    async with house(tmp_path, Window(private=(1.0, 3), group=(3.0, 2))) as home:
        lane = home.delivery._taken(Address(HOME))
        assert (lane.refill, lane.burst) == (1.0, 3)
        assert home.delivery._taken(Address(HOME, group=True)) is lane
        assert (lane.refill, lane.burst) == (3.0, 2)
        lane.spend()
        lane.spend()
        assert 2.9 < lane.wait() <= 3.0


async def test_a_lane_follows_its_chat(tmp_path: Path) -> None:
    async with house(tmp_path) as home:
        lane = home.delivery._taken(Address(HOME))
        home.delivery.follow(HOME, AWAY)
        assert home.delivery._taken(Address(AWAY)) is lane


# --- the first send ----------------------------------------------------------------------------------------------------

SPOILED = st.text(alphabet="ab ▌", max_size=30)
BODIES = st.one_of(SPOILED, SPOILED.map(lambda text: text + CURSOR), st.text(min_size=900, max_size=1100))
EXACT = st.integers(990, 1010).map(lambda size: ("x" * size)[: size - len(CURSOR)] + CURSOR)


@example("x" * TEASER + CURSOR)
@given(st.one_of(BODIES, EXACT).filter(str.strip))
def test_a_first_send_of_the_outbox_is_never_the_final_text(body: str) -> None:
    first = teaser(Piece(body, marks="m"))
    assert first.body != body
    assert first.body.endswith(CURSOR)
    assert first.marks == ""


@example(["x" * TEASER + CURSOR])
@given(st.lists(st.one_of(BODIES, EXACT), min_size=1, max_size=4).filter(lambda texts: "".join(texts).strip()))
def test_a_first_send_of_a_preview_is_never_the_final_text_of_what_is_known(deltas: list[str]) -> None:
    answer, layout = Answer("thinking"), Window(width=1500).layout
    for delta in deltas:
        answer.add(Text(delta))
    finals = answer.final(layout, {})
    for place, piece in answer.preview(layout, STOP).items():
        assert teaser(piece).body != finals[place].body


async def test_the_id_of_a_first_send_is_stored_before_any_edit(tmp_path: Path) -> None:
    async with house(tmp_path, Window(width=WIDE)) as home:
        stored = home.flaws.hold("before sent")
        home.script.on("q", Text("a"), Text("b"))
        await home.say(HOME, "q")
        await stored.reached.wait()
        await asyncio.sleep(0)
        await until(lambda: home.script.ended)
        assert [call.kind for call in home.window.calls] == ["send"]
        stored.open.set()
        await home.shows(HOME, "ab")


async def test_only_one_preview_can_be_on_its_way(tmp_path: Path) -> None:
    async with house(tmp_path, Window(width=WIDE)) as home:
        held = home.window.hold("send", late=True)
        home.script.on("q", Text("a"), Text("b"))
        await home.say(HOME, "q")
        await held.caught.wait()
        await until(lambda: home.script.ended)
        assert isinstance(home.delivery, Delivery)
        held.release.set()
        await home.shows(HOME, "ab")
        assert len(home.window.made("send")) == 1
