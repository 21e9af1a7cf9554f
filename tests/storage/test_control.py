"""What overtakes: stop, reset, leave; and a chat that moves to another key."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bot.errors import FencedOut, Superseded
from bot.messages import Address, ChatKey, Configured, Finish, Piece
from bot.ports import ButtonRow, Overtaken
from storage import Store
from tests.storage.saying import (
    ANN,
    AWAY,
    BOB,
    HOME,
    SILENTLY,
    ask,
    bodies,
    claims,
    control,
    conversation,
    edited,
    exchange,
    head_of,
    only_claim,
    opened,
    outcome,
    payloads,
    pieces,
    replying,
    reset,
    said,
    stop,
    waiting_control,
)

NEW = ChatKey("telegram", "-100")

# --- stop --------------------------------------------------------------------------------------------------------------


async def test_control_events_come_oldest_first_and_wait_in_no_queue_of_turns(store: Store) -> None:
    await store.accept([said("1"), control("2", chat=AWAY), control("3")])
    assert [(row.payload, chat) for row, chat in await store.control_rows(10)] == [("2", AWAY), ("3", HOME)]
    assert [row.payload for row, _ in await store.control_rows(1)] == ["2"]


async def test_stop_names_the_running_turn(store: Store) -> None:
    assert await stop(store, "0") == Overtaken()
    await store.accept([said("1"), said("a", chat=AWAY)])
    running = {claim.chat: claim.turn for claim in await claims(store)}
    assert await stop(store, "2") == Overtaken(turn=running[HOME])
    assert not await store.control_rows(10)


async def test_a_stop_button_stops_its_own_turn_and_no_other(store: Store) -> None:
    first = await ask(store, "1")
    await store.accept([said("2")])
    second = await only_claim(store)
    assert await stop(store, "3", key=first.stop_key) == Overtaken()
    assert await stop(store, "4", key="stop.forged") == Overtaken()
    assert await stop(store, "5", key=second.stop_key, person=BOB) == Overtaken()
    assert await stop(store, "6", key=second.stop_key, person=ANN) == Overtaken(turn=second.turn)


async def test_a_stop_acts_once(store: Store) -> None:
    await store.accept([said("1")])
    first = await only_claim(store)
    row = await waiting_control(store, "2")
    assert await store.stop(row, HOME, "", "", replying("stopped")) == Overtaken(turn=first.turn, shows=True)
    await store.complete(first, outcome(reason=Finish.STOPPED))
    await store.accept([said("3")])
    second = await only_claim(store)
    assert await store.stop(row, HOME, "", "", replying("stopped")) == Overtaken()
    await store.complete(second, outcome())
    assert bodies([final for _, final in await store.waiting(HOME)]) == ["stopped"]


async def test_the_reply_knows_what_happened_and_is_shown_like_a_commands(store: Store) -> None:
    row = await waiting_control(store, "1")
    heard: list[Overtaken] = []

    def reply(overtaken: Overtaken) -> tuple[Address, tuple[Piece, ...]]:
        heard.append(overtaken)
        return Address(HOME, reply_to="m1"), (Piece("one"), Piece("two"))

    await store.stop(row, HOME, "", "", reply)
    assert heard == [Overtaken()]
    waiting = await store.waiting(HOME)
    assert [(address.reply_to, final.piece.body, final.whole) for address, final in waiting] == [
        ("m1", "one", True),
        ("m1", "two", True),
    ]


async def test_a_control_event_that_cannot_be_read_is_closed(store: Store) -> None:
    await store.dismiss(await waiting_control(store, "1"), "no command")
    assert not await store.control_rows(10)


# --- reset -------------------------------------------------------------------------------------------------------------


async def test_reset_begins_a_new_conversation(store: Store) -> None:
    before = await ask(store, "1")
    assert await reset(store, "2") == Overtaken()
    assert await head_of(store, "3") is None
    after = await ask(store, "4")
    assert after.epoch == before.epoch + 1


async def test_reset_closes_what_waited_before_it_and_only_that(store: Store) -> None:
    await store.accept([said("1")])
    running = await only_claim(store)
    await store.accept([said("2"), said("3", author=BOB), said("a", chat=AWAY)])
    row = await waiting_control(store, "4")
    await store.accept([said("5")])
    assert await store.reset(row, HOME, SILENTLY) == Overtaken(turn=running.turn, closed=2)
    await store.complete(running, outcome(reason=Finish.STOPPED))
    assert {claim.chat: payloads(claim) for claim in await claims(store)} == {HOME: ["5"], AWAY: ["a"]}


async def test_a_reset_acts_once(store: Store) -> None:
    row = await waiting_control(store, "1")
    await store.reset(row, HOME, replying("new"))
    await ask(store, "2")
    assert await store.reset(row, HOME, replying("new")) == Overtaken()
    assert await conversation(store, await head_of(store, "3")) == ["2", "re 2"]
    assert len(await store.waiting(HOME)) == 1


async def test_reset_of_a_chat_never_heard_of(store: Store) -> None:
    assert await reset(store, "1") == Overtaken()
    await ask(store, "2")


async def test_an_interrupted_turn_is_reset_too(url: str) -> None:
    async with opened(url) as store:
        await store.accept([said("1")])
        await only_claim(store)
        row = await waiting_control(store, "2")
    async with opened(url) as store:
        assert not await claims(store)
        await store.reset(row, HOME, SILENTLY)
        again = await only_claim(store)
        with pytest.raises(Superseded):
            await store.complete(again, outcome(*exchange("1", "old", None)))
        await store.complete(again, outcome(*exchange("1", "old", None), reason=Finish.STOPPED))
        assert await head_of(store, "3") is None


# --- leave -------------------------------------------------------------------------------------------------------------


async def test_leaving_stops_the_turn_and_drops_what_was_to_be_shown(store: Store) -> None:
    await store.accept([said("1")])
    done = await only_claim(store)
    await store.complete(done, outcome(pieces=pieces(done, "late")))
    await store.accept([said("2")])
    running = await only_claim(store)
    assert await store.leave(HOME, "kicked") == Overtaken(turn=running.turn)
    assert not await store.take()
    with pytest.raises(Superseded):
        await store.complete(running, outcome())
    assert await store.leave(AWAY, "kicked") == Overtaken()


# --- move --------------------------------------------------------------------------------------------------------------


async def test_moving_an_unknown_chat_redirects_what_comes_later(store: Store) -> None:
    await store.move(HOME, NEW)
    await store.accept([said("1")])
    assert (await only_claim(store)).chat == NEW
    assert await store.moves() == {str(HOME): str(NEW)}


async def test_everything_moves_along(store: Store) -> None:
    await store.accept([said("1")])
    claim = await only_claim(store)
    await store.sent(HOME, claim.turn, 0, 0, "p0")
    left = outcome(
        *exchange("1", "one", None), Configured("model", "qwen"), pieces=pieces(claim, "one"),
        buttons=[ButtonRow("x", HOME, ANN, "again:1", 99.0)],
    )  # fmt: skip
    await store.complete(claim, left)
    await store.accept([said("2")])
    await store.move(HOME, NEW)
    await store.move(HOME, NEW)
    assert await store.take() == [NEW]
    [(address, final)] = await store.waiting(NEW)
    assert (address.chat, final.id) == (NEW, "p0")
    button = await store.button("x")
    assert button is not None and button.chat == NEW
    for key in (NEW, HOME):
        asked, answered = await store.exchange(key, "m1"), await store.exchange(key, "p0")
        assert asked is not None and answered is not None
        assert (asked.piece, replace(answered, piece=None)) == (None, asked)
        assert (await store.report(key)) is not None
    moved = await only_claim(store)
    assert (moved.chat, moved.model, moved.seq, payloads(moved)) == (NEW, "qwen", 2, ["2"])
    assert await conversation(store, moved.head) == ["1", "one"]


async def test_a_running_turn_completes_after_the_move(store: Store) -> None:
    await store.accept([said("1")])
    claim = await only_claim(store)
    await store.sent(HOME, claim.turn, 0, 0, "p0")
    await store.move(HOME, NEW)
    await store.sent(HOME, claim.turn, 0, 1, "p1")
    await store.complete(claim, outcome(*exchange("1", "one", None), pieces=pieces(claim, "a", "b", "c")))
    assert await store.take() == [NEW]
    assert [(address.chat, final.id) for address, final in await store.waiting(NEW)] == [
        (NEW, "p0"),
        (NEW, "p1"),
        (NEW, ""),
    ]
    assert [address.chat for address, _ in await store.waiting(HOME)] == [NEW] * 3
    assert await conversation(store, await head_of(store, "2")) == ["1", "one"]


async def test_the_event_that_tells_of_the_move_ends_with_it(store: Store) -> None:
    await ask(store, "1")
    await store.accept([said("2", command=True), said("3")])
    claim = await only_claim(store)
    await store.move(HOME, NEW, claim)
    with pytest.raises(FencedOut):
        await store.move(HOME, NEW, claim)
    after = await only_claim(store)
    assert (after.chat, payloads(after)) == (NEW, ["3"])
    assert await conversation(store, after.head) == ["1", "re 1"]


async def test_the_event_may_be_told_in_the_new_chat(store: Store) -> None:
    await ask(store, "1")
    await store.accept([said("2", chat=NEW, command=True)])
    await store.move(HOME, NEW, await only_claim(store))
    await store.accept([said("3")])
    after = await only_claim(store)
    assert (after.chat, await conversation(store, after.head)) == (NEW, ["1", "re 1"])


async def test_a_turn_of_the_old_key_ends_where_two_chats_become_one(store: Store) -> None:
    """Its messages are answered by another turn, and its call stays estimated."""
    await ask(store, "1", chat=NEW)
    await store.accept([said("2")])
    claim = await only_claim(store)
    call = await store.reserve(turn=claim.turn, chat=HOME, model="glm", cost=500, day="d", limit=1000)
    assert call is not None
    await store.move(HOME, NEW)
    with pytest.raises(FencedOut):
        await store.complete(claim, outcome(call=call, cost=1))
    with pytest.raises(FencedOut):
        await store.reserve(turn=claim.turn, chat=HOME, model="glm", cost=500, day="d", limit=1000)
    await store.settle(call, 1)
    assert await store.spent("d") == 500
    again = await only_claim(store)
    assert again.turn != claim.turn and payloads(again) == ["2"]


async def test_what_waits_to_be_shown_is_shown_where_two_chats_become_one(store: Store) -> None:
    await ask(store, "1", chat=NEW)
    await store.accept([said("2")])
    claim = await only_claim(store)
    await store.complete(claim, outcome(pieces=pieces(claim, "a")))
    await store.move(HOME, NEW)
    assert bodies([final for _, final in await store.waiting(NEW)]) == ["a"]
    await store.accept([said("3")])
    assert payloads(await only_claim(store)) == ["3"]


async def test_two_chats_that_were_both_known_become_one(store: Store) -> None:
    await ask(store, "old")
    for number in range(3):
        await ask(store, f"new{number}", chat=NEW)
    await store.accept([said("1"), said("2", author=BOB, chat=NEW), said("3")])
    await store.move(HOME, NEW)
    await store.move(HOME, NEW)
    for expected in ("1", "2", "3"):
        claim = await only_claim(store)
        assert (claim.chat, payloads(claim)) == (NEW, [expected])
        await store.complete(claim, outcome(*exchange(expected, "yes", claim.head)))
    assert not await claims(store)
    told = await conversation(store, await head_of(store, "4"))
    assert told[:2] == ["new0", "re new0"] and told[-2:] == ["3", "yes"]


async def test_turns_running_in_both_chats_are_each_answered_once(store: Store) -> None:
    await ask(store, "0")
    await store.accept([said("1"), said("2", chat=NEW)])
    running = {claim.chat: claim for claim in await claims(store)}
    await store.move(HOME, NEW)
    with pytest.raises(FencedOut):
        await store.complete(running[HOME], outcome(*exchange("1", "old", None)))
    assert not await claims(store)
    await store.complete(running[NEW], outcome(*exchange("2", "new", None)))
    again = await only_claim(store)
    assert (again.chat, payloads(again)) == (NEW, ["1"])
    await store.complete(again, outcome())
    assert not await claims(store)


async def test_a_turn_of_the_merged_chat_can_be_stopped(store: Store) -> None:
    for number in range(3):
        await ask(store, f"old{number}")
    await store.accept([said("1", chat=NEW)])
    running = await only_claim(store)
    await store.move(HOME, NEW)
    assert await stop(store, "2", chat=NEW) == Overtaken(turn=running.turn)
    with pytest.raises(Superseded):
        await store.complete(running, outcome())
    await store.complete(running, outcome(reason=Finish.STOPPED))
    await ask(store, "3", chat=NEW)


async def test_what_the_control_lane_read_under_the_old_key_acts_on_the_new_one(store: Store) -> None:
    await store.accept([said("1")])
    running = await only_claim(store)
    first, second = await waiting_control(store, "2"), await waiting_control(store, "3")
    await store.move(HOME, NEW)
    assert await store.stop(first, HOME, "", "", replying("stopped")) == Overtaken(turn=running.turn, shows=True)
    assert await store.reset(second, HOME, replying("new")) == Overtaken(turn=running.turn, shows=True)
    assert await store.leave(HOME, "kicked") == Overtaken(turn=running.turn)
    await store.complete(running, outcome(reason=Finish.STOPPED, pieces=pieces(running, "half")))
    assert await store.take() == [NEW]
    assert await head_of(store, "4") is None


async def test_an_edit_finds_its_message_after_the_move(store: Store) -> None:
    await store.accept([said("1")])
    running = await only_claim(store)
    await store.move(HOME, NEW)
    assert await store.accept([edited("2", "m1", "better")]) == [running.turn]


async def test_a_chat_that_moves_again_is_found_by_its_first_key(store: Store) -> None:
    await ask(store, "1")
    await store.move(HOME, AWAY)
    await store.move(AWAY, NEW)
    await store.accept([said("2")])
    assert (await only_claim(store)).chat == NEW
    assert await store.moves() == {str(HOME): str(NEW), str(AWAY): str(NEW)}


async def test_a_chat_that_moves_back_is_found_by_both_keys(store: Store) -> None:
    await ask(store, "1")
    await store.move(HOME, NEW)
    await store.move(NEW, HOME)
    await store.accept([said("2"), said("3", chat=NEW)])
    claim = await only_claim(store)
    assert (claim.chat, payloads(claim)) == (HOME, ["2", "3"])
    assert await conversation(store, claim.head) == ["1", "re 1"]


async def test_a_turn_that_was_stopped_or_reset_before_a_crash_comes_back_as_stopped(url: str) -> None:
    async with opened(url) as store:
        await store.accept([said("1"), said("a", chat=AWAY), said("b", chat=NEW)])
        assert [claim.stopped for claim in await claims(store)] == [False] * 3
        await stop(store, "2")
        await store.accept([control("3", chat=AWAY)])
        ((row, chat),) = await store.control_rows(10)
        await store.reset(row, chat, SILENTLY)
    async with opened(url) as store:
        assert {claim.chat: claim.stopped for claim in await claims(store)} == {HOME: True, AWAY: True, NEW: False}
