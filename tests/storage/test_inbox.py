"""What is accepted is accepted once and in order, and claimed chat by chat: the longest waiting first, one turn at a time."""

from __future__ import annotations

import asyncio
import time

from bot.lanes import Lane
from bot.messages import ChatKey, Configured, Finish, Shown
from bot.ports import Claim
from storage import Store
from tests.storage.saying import (
    AWAY,
    BOB,
    HOME,
    SILENTLY,
    ask,
    claims,
    control,
    edited,
    exchange,
    only_claim,
    opened,
    outcome,
    payloads,
    said,
    stop,
    waiting_control,
)

# --- accept ------------------------------------------------------------------------------------------------------------


async def test_a_repeated_event_is_one_row(store: Store) -> None:
    await store.accept([said("1"), said("1")])
    await store.accept([said("1"), said("2")])
    assert payloads(await only_claim(store)) == ["1", "2"]


async def test_an_event_repeated_at_the_same_time_is_one_row(store: Store) -> None:
    await asyncio.gather(*(store.accept([said("1")]) for _ in range(50)))
    assert payloads(await only_claim(store)) == ["1"]


async def test_an_event_repeated_after_its_answer_and_a_restart_is_known(url: str) -> None:
    async with opened(url) as store:
        await ask(store, "1")
    async with opened(url) as store:
        await store.accept([said("1")])
        assert not await claims(store)


async def test_the_same_event_id_of_another_bot_or_platform_is_another_event(store: Store) -> None:
    elsewhere = ChatKey("discord", "10")
    await store.accept([said("1"), said("1", bot="c"), said("1", chat=elsewhere)])
    taken = {claim.chat: payloads(claim) for claim in await claims(store)}
    assert taken == {HOME: ["1", "1"], elsewhere: ["1"]}


async def test_five_hundred_chats_accepted_at_once_are_all_there(store: Store) -> None:
    chats = [ChatKey("telegram", str(number)) for number in range(500)]
    await asyncio.gather(*(store.accept([said(chat.chat, chat=chat)]) for chat in chats))
    assert {claim.chat: payloads(claim) for claim in await claims(store, 1000)} == {c: [c.chat] for c in chats}


async def test_rows_tell_what_the_event_told(store: Store) -> None:
    await store.accept([said("1", "Grüße 喜鹊 🐦 ‮rtl")])
    [row] = (await only_claim(store)).rows
    assert (row.platform, row.payload, row.at) == ("telegram", "Grüße 喜鹊 🐦 ‮rtl", 1.0)


async def test_half_a_surrogate_pair_is_accepted_with_a_mark_in_its_place(store: Store) -> None:
    await store.accept([said("1", "cut \ud83d off"), said("2", "whole \ud83d\ude00")])
    assert payloads(await only_claim(store)) == ["cut \ufffd off", "whole 😀"]


# --- edits -------------------------------------------------------------------------------------------------------------


async def test_an_edit_of_a_waiting_message_replaces_it_each_time(store: Store) -> None:
    await store.accept([said("1"), said("2")])
    for event, text in (("3", "once"), ("4", "twice"), ("5", "thrice")):
        assert await store.accept([edited(event, "m1", text)]) == []
    claim = await only_claim(store)
    assert payloads(claim) == ["thrice", "2"]
    await store.complete(claim, outcome())
    assert not await claims(store)


async def test_an_edit_without_a_change_is_none(store: Store) -> None:
    await store.accept([said("1", "hi"), edited("2", "m1", "hi")])
    claim = await only_claim(store)
    assert payloads(claim) == ["hi"]
    assert await store.accept([edited("3", "m1", "hi")]) == []
    await store.complete(claim, outcome())
    await store.accept([edited("4", "m1", "hi")])
    assert not await claims(store)


async def test_an_edit_of_the_running_question_names_the_turn_that_must_end(store: Store) -> None:
    await store.accept([said("1")])
    claim = await only_claim(store)
    assert await store.accept([edited("2", "m1", "better")]) == [claim.turn]
    await store.complete(claim, outcome(reason=Finish.STOPPED))
    assert payloads(await only_claim(store)) == ["better"]


async def test_an_edit_of_an_edit_that_waits_replaces_it(store: Store) -> None:
    await store.accept([said("1")])
    claim = await only_claim(store)
    await store.accept([edited("2", "m1", "better")])
    await store.accept([edited("3", "m1", "best")])
    await store.complete(claim, outcome(reason=Finish.STOPPED))
    assert payloads(await only_claim(store)) == ["best"]


async def test_editing_back_to_the_first_text_is_a_change_too(store: Store) -> None:
    await ask(store, "1")
    for event, text in (("2", "other"), ("3", "1")):
        await store.accept([edited(event, "m1", text)])
        claim = await only_claim(store)
        assert payloads(claim) == [text]
        await store.complete(claim, outcome())


async def test_an_edit_tells_what_was_answered_together_with_its_message(store: Store) -> None:
    await store.accept([said("1", "one"), said("2", "two"), said("3", "three")])
    (first,), _ = await store.claim(9)
    await store.complete(first, outcome(*exchange("one two three", "answer", None)))
    for event, message, text, together in (
        ("4", "m2", "zwei", ["one", "zwei", "three"]),
        ("5", "m1", "eins", ["eins", "zwei", "three"]),
        ("6", "m2", "deux", ["eins", "deux", "three"]),
    ):
        await store.accept([edited(f"{event}.0", message, "replaced while it waited")])
        await store.accept([edited(event, message, text)])
        (again,), _ = await store.claim(9)
        rows = await store.companions(again, message, again.rows[0])
        assert [row.payload for row in rows] == together, event
        await store.complete(again, outcome(*exchange(" ".join(together), "answer", None)))
    await store.accept([edited("7", "m99", "who knows")])
    (unknown,), _ = await store.claim(9)
    assert await store.companions(unknown, "m99", unknown.rows[0]) == []


async def test_an_edit_of_an_unknown_message_is_a_row_like_any(store: Store) -> None:
    await store.accept([edited("1", "m99", "who knows")])
    assert payloads(await only_claim(store)) == ["who knows"]


async def test_a_waiting_message_edited_into_a_stop_waits_no_more_and_overtakes(store: Store) -> None:
    await store.accept([said("1"), said("2", author=BOB)])
    running = await only_claim(store)
    await store.accept([edited("3", "m2", "/stop", lane=Lane.CONTROL)])
    [(row, chat)] = await store.control_rows(10)
    assert (row.payload, chat) == ("/stop", HOME)
    await store.stop(row, chat, "", "", SILENTLY)
    await store.complete(running, outcome(reason=Finish.STOPPED))
    assert not await claims(store)


async def test_a_waiting_reset_edited_into_a_question_is_a_question(store: Store) -> None:
    await store.accept([control("1"), edited("2", "m1", "why?")])
    assert not await store.control_rows(10)
    assert payloads(await only_claim(store)) == ["why?"]


# --- settling ----------------------------------------------------------------------------------------------------------


async def test_an_album_waits_for_its_rest_by_a_second_at_most_and_no_longer(store: Store) -> None:
    began = time.time()
    await store.accept([said("1", settle=30)])
    none, later = await store.claim(10)
    assert not none
    assert later is not None and 0.9 - (time.time() - began) <= later <= 1
    await asyncio.sleep(0.5)
    await store.accept([said("2", settle=1)])
    none, sooner = await store.claim(10)
    assert not none and sooner is not None and sooner < 0.5
    await asyncio.sleep(sooner + 0.01)
    assert payloads(await only_claim(store)) == ["1", "2"]


async def test_settling_delays_no_other_chat(store: Store) -> None:
    await store.accept([said("1", settle=1), said("2", chat=AWAY)])
    assert payloads(await only_claim(store)) == ["2"]


async def test_an_album_behind_a_running_turn_settles_too(store: Store) -> None:
    await store.accept([said("1")])
    running = await only_claim(store)
    await store.accept([said("2", settle=1)])
    await store.complete(running, outcome())
    none, later = await store.claim(10)
    assert not none
    assert later is not None and later > 0


# --- claim -------------------------------------------------------------------------------------------------------------


async def test_a_chat_has_one_turn_at_a_time(store: Store) -> None:
    await store.accept([said("1")])
    running = await only_claim(store)
    await store.accept([said("2")])
    assert not await claims(store)
    await store.complete(running, outcome())
    assert payloads(await only_claim(store)) == ["2"]


async def test_what_one_person_has_waiting_is_one_turn_up_to_anothers_message(store: Store) -> None:
    await store.accept([said("1"), said("2"), said("3", author=BOB), said("4")])
    assert await _turn_by_turn(store) == [["1", "2"], ["3"], ["4"]]


async def test_a_command_is_a_turn_of_its_own(store: Store) -> None:
    await store.accept([said("1"), said("2", command=True), said("3", command=True), said("4"), said("5")])
    assert await _turn_by_turn(store) == [["1"], ["2"], ["3"], ["4", "5"]]


async def test_a_turn_answers_a_hundred_rows_and_leaves_the_rest(store: Store) -> None:
    await store.accept([said(str(number)) for number in range(230)])
    assert [len(rows) for rows in await _turn_by_turn(store)] == [100, 100, 30]


async def test_the_longest_waiting_chats_are_claimed_first(store: Store) -> None:
    chats = [ChatKey("telegram", str(number)) for number in (5, 3, 9, 1)]
    for chat in chats:
        await store.accept([said(chat.chat, chat=chat)])
    first, second = await claims(store, 2), await claims(store, 2)
    assert [claim.chat for claim in (*first, *second)] == chats


async def test_a_flooding_chat_starves_nobody(store: Store) -> None:
    flood = [said(f"f{number}", command=True) for number in range(20)]
    await store.accept(flood)
    quiet = [ChatKey("telegram", f"q{number}") for number in range(5)]
    for chat in quiet:
        await store.accept([said(chat.chat, chat=chat)])
    order = []
    for _ in range(7):
        [claim] = await claims(store, 1)
        order.append(claim.chat)
        await store.complete(claim, outcome())
    assert order == [HOME, *quiet, HOME]


async def test_nothing_is_claimed_while_a_control_event_of_the_chat_waits(store: Store) -> None:
    await store.accept([said("1"), control("2"), said("3", chat=AWAY)])
    assert payloads(await only_claim(store)) == ["3"]
    await stop(store, "4")
    assert not await claims(store)
    [(row, chat)] = await store.control_rows(10)
    await store.dismiss(row, "no command")
    assert chat == HOME
    assert payloads(await only_claim(store)) == ["1"]


async def test_numbers_of_a_claim_grow(store: Store) -> None:
    first, second = await ask(store, "1"), await ask(store, "2")
    assert (first.seq, second.seq) == (1, 2)
    assert second.fence > first.fence and second.turn > first.turn and second.stop_key != first.stop_key
    assert first.stop_key.startswith("stop.")
    assert (first.attempt, second.attempt) == (1, 1)


async def test_the_chats_settings_come_with_the_claim(store: Store) -> None:
    await store.accept([said("1")])
    settings = Configured("model", "qwen"), Configured("system", "Be brief.")
    await store.complete(await only_claim(store), outcome(*settings))
    await store.accept([said("2"), said("3", chat=AWAY)])
    here, there = sorted(await claims(store), key=lambda claim: claim.chat.chat)
    assert (here.model, here.system, there.model, there.system) == ("qwen", "Be brief.", "", "")
    await store.complete(here, outcome(Configured("model", "")))
    await store.accept([said("4")])
    assert (await only_claim(store)).model == ""


# --- a crash in the middle ---------------------------------------------------------------------------------------------


async def test_an_interrupted_turn_is_given_again_as_it_was(url: str) -> None:
    async with opened(url) as store:
        await ask(store, "0")
        await store.accept([said("a", chat=AWAY)])
        await store.complete(await only_claim(store), outcome(Configured("model", "qwen")))
        await store.accept([said("1"), said("2")])
        before = await only_claim(store)
        await store.sent(HOME, before.turn, 0, 0, "p0")
        await store.sent(HOME, before.turn, 0, 1, "p1")
        await store.accept([said("3")])
    async with opened(url) as store:
        again = await only_claim(store)
        assert _same(again) == _same(before)
        assert (again.attempt, again.fence) == (2, before.fence + 1)
        assert again.shown == (Shown(0, 0, "p0"), Shown(0, 1, "p1"))
        await store.complete(again, outcome())
        assert payloads(await only_claim(store)) == ["3"]


async def test_an_attempt_counts_once_it_is_begun(url: str) -> None:
    async with opened(url) as store:
        await store.accept([said("1")])
        await only_claim(store)
    for _ in range(2):
        async with opened(url) as store:
            assert (await only_claim(store)).attempt == 2
    for attempt in (2, 3, 4):
        async with opened(url) as store:
            claim = await only_claim(store)
            assert claim.attempt == attempt
            await store.count_attempt(claim)


async def test_a_running_turn_keeps_its_model_over_a_restart(url: str) -> None:
    async with opened(url) as store:
        await store.accept([said("1")])
        await store.complete(await only_claim(store), outcome(Configured("model", "qwen")))
        await store.accept([said("2")])
        assert (await only_claim(store)).model == "qwen"
        await store.accept([said("x", chat=AWAY)])
        other = await only_claim(store)
        await store.complete(other, outcome(Configured("model", "glm")))
    async with opened(url) as store:
        assert (await only_claim(store)).model == "qwen"


async def test_a_turn_stopped_before_the_crash_stays_stopped_after_it(url: str) -> None:
    async with opened(url) as store:
        await store.accept([said("1")])
        await only_claim(store)
        row = await waiting_control(store, "2")
    async with opened(url) as store:
        assert not await claims(store)
        await store.stop(row, HOME, "", "", SILENTLY)
        again = await only_claim(store)
        await store.complete(again, outcome(*exchange("1", "half", None), reason=Finish.STOPPED))
        assert not await claims(store)


async def _turn_by_turn(store: Store) -> list[list[str]]:
    turns = []
    while found := await claims(store):
        for claim in found:
            turns.append(payloads(claim))
            await store.complete(claim, outcome())
    return turns


def _same(claim: Claim) -> tuple[object, ...]:
    """What a claim has in common with the same turn's next attempt."""
    return claim.chat, claim.turn, claim.seq, claim.epoch, claim.stop_key, claim.model, claim.head, claim.rows
