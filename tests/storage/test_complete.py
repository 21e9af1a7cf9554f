"""A turn ends in one commit or not at all; what it leaves behind is exactly what was told."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from bot.errors import FencedOut, Superseded
from bot.messages import Answered, Asked, Button, Finish, Finished, Media, Piece, Rewound, Shown, Spent, Usage
from bot.ports import ButtonRow, Final, Report
from storage import Store
from storage.records import load_piece
from tests.storage.saying import (
    AWAY,
    BOB,
    HOME,
    ask,
    bodies,
    claims,
    conversation,
    edited,
    exchange,
    head_of,
    only_claim,
    opened,
    outcome,
    payloads,
    pieces,
    reset,
    said,
    stop,
)

# --- one commit --------------------------------------------------------------------------------------------------------


async def test_a_completed_turn_frees_the_chat_and_is_not_claimed_again(store: Store) -> None:
    await ask(store, "1")
    assert not await claims(store)


async def test_a_claim_completes_once_and_a_repeat_only_tells_what_is_still_to_be_shown(store: Store) -> None:
    await store.accept([said("1")])
    claim = await only_claim(store)
    first, second = await store.complete(claim, outcome(*exchange("1", "re 1", None), pieces=pieces(claim, "a", "b")))
    await store.shown(HOME, [replace(first, id="p1")])
    again = outcome(*exchange("1", "twice", None), pieces=pieces(claim, "c"))
    assert await store.complete(claim, again) == [second]
    assert await conversation(store, await head_of(store, "2")) == ["1", "re 1"]


async def test_a_claim_that_another_attempt_took_over_cannot_complete(url: str) -> None:
    async with opened(url) as store:
        await store.accept([said("1")])
        late = await only_claim(store)
    async with opened(url) as store:
        again = await only_claim(store)
        with pytest.raises(FencedOut):
            await store.complete(late, outcome(*exchange("1", "late", None)))
        with pytest.raises(FencedOut):
            await store.bury(late, [late.rows[0].id], "late")
        with pytest.raises(FencedOut):
            await store.replace(late, 1)
        await store.complete(again, outcome(*exchange("1", "again", None)))
        assert await conversation(store, await head_of(store, "2")) == ["1", "again"]


async def test_fifty_workers_with_the_same_claim_complete_it_once(store: Store) -> None:
    await store.accept([said("1")])
    claim = await only_claim(store)
    tries = [store.complete(claim, outcome(*exchange("1", str(number), None))) for number in range(50)]
    results = await asyncio.gather(*tries, return_exceptions=True)
    assert results == [[]] * 50
    assert len(await conversation(store, await head_of(store, "2"))) == 2


async def test_a_commit_that_fails_in_its_middle_leaves_nothing_behind(store: Store) -> None:
    await store.accept([said("1")])
    claim = await only_claim(store)
    unstorable = Asked(text="2", author="Ann", parent=object())  # type: ignore[arg-type]  # no database takes it
    with pytest.raises(Exception, match=r"."):
        await store.complete(claim, outcome(*exchange("1", "lost", None), unstorable, pieces=pieces(claim, "lost")))
    assert not await store.take()
    await store.complete(claim, outcome(*exchange("1", "kept", None), pieces=pieces(claim, "kept")))
    assert bodies([final for _, final in await store.waiting(HOME)]) == ["kept"]
    assert await conversation(store, await head_of(store, "2")) == ["1", "kept"]


# --- overtaken ---------------------------------------------------------------------------------------------------------


async def test_a_stopped_turn_completes_as_stopped_only_and_keeps_what_was_said(store: Store) -> None:
    await store.accept([said("1")])
    claim = await only_claim(store)
    await stop(store, "2")
    with pytest.raises(Superseded):
        await store.complete(claim, outcome(*exchange("1", "whole", None), pieces=pieces(claim, "whole")))
    assert not await store.take()
    await store.complete(claim, outcome(*exchange("1", "half", None), reason=Finish.STOPPED))
    assert await conversation(store, await head_of(store, "3")) == ["1", "half"]


async def test_a_turn_from_before_a_reset_completes_as_stopped_and_writes_no_history(store: Store) -> None:
    await ask(store, "1")
    await store.accept([said("2")])
    claim = await only_claim(store)
    await reset(store, "3")
    with pytest.raises(Superseded):
        await store.complete(claim, outcome(*exchange("2", "whole", claim.head)))
    shown = await store.complete(
        claim, outcome(*exchange("2", "half", claim.head), reason=Finish.STOPPED, pieces=pieces(claim, "half"))
    )
    assert bodies(shown) == ["half"]
    assert await head_of(store, "4") is None
    assert await store.asked(claim.turn) is None


async def test_a_stop_ends_no_later_turn(store: Store) -> None:
    await store.accept([said("1")])
    claim = await only_claim(store)
    await stop(store, "2")
    await store.complete(claim, outcome(reason=Finish.STOPPED))
    await ask(store, "3")


# --- history and head --------------------------------------------------------------------------------------------------


async def test_the_head_moves_to_the_answer(store: Store) -> None:
    await ask(store, "1")
    await ask(store, "2")
    assert await conversation(store, await head_of(store, "3")) == ["1", "re 1", "2", "re 2"]


async def test_a_question_without_an_answer_leaves_the_head_and_can_be_asked_again(store: Store) -> None:
    first = await ask(store, "1")
    await store.accept([said("2")])
    failed = await only_claim(store)
    await store.complete(failed, outcome(Asked(text="2", author="Ann", parent=failed.head), reason=Finish.FAILED))
    head = await head_of(store, "3")
    assert await conversation(store, head) == ["1", "re 1"]
    asked = await store.asked(failed.turn)
    assert asked is not None and (asked.text, asked.parent, asked.author, asked.turn) == ("2", head, "Ann", failed.turn)
    assert first.turn != failed.turn


async def test_an_answer_as_delivered_is_kept_where_none_is_given(store: Store) -> None:
    await store.accept([said("1")])
    claim = await only_claim(store)
    await store.complete(claim, outcome(Asked(text="1", author="", parent=None), Answered(), text="as shown"))
    assert await conversation(store, await head_of(store, "2")) == ["1", "as shown"]


async def test_a_question_asked_once_more_gets_a_sibling_answer(store: Store) -> None:
    first = await ask(store, "1")
    question = await store.asked(first.turn)
    assert question is not None
    await store.accept([said("2", command=True)])
    claim = await only_claim(store)
    again = Asked(text="1", author="Ann", parent=None, stored=question.id)
    await store.complete(claim, outcome(again, Answered(text="other")))
    head = await head_of(store, "3")
    assert await conversation(store, head) == ["1", "other"]
    last = await store.last(HOME, head)
    assert last is not None and last.question == question and last.turn == claim.turn


async def test_the_conversation_goes_back_by_undo(store: Store) -> None:
    await ask(store, "1")
    back = await head_of(store, "2")
    await ask(store, "3")
    await store.accept([said("4", command=True)])
    claim = await only_claim(store)
    await store.complete(claim, outcome(Rewound(back), reason=Finish.COMMAND))
    assert await head_of(store, "5") == back


async def test_half_a_surrogate_pair_of_a_model_does_not_lose_the_answer(store: Store) -> None:
    await store.accept([said("1")])
    claim = await only_claim(store)
    await store.complete(claim, outcome(*exchange("1", "so \ud83d", None), pieces=pieces(claim, "so \ud83d")))
    ((_, final),) = await store.waiting(HOME)
    assert final.piece.body == "so \ufffd"
    assert await conversation(store, await head_of(store, "2")) == ["1", "so \ufffd"]


# --- pieces, buttons, money, report ------------------------------------------------------------------------------------


async def test_the_final_pieces_stand_where_their_previews_stood(store: Store) -> None:
    await store.accept([said("1")])
    claim = await only_claim(store)
    for number in range(3):
        await store.sent(HOME, claim.turn, 0, number, f"p{number}")
    finals = await store.complete(claim, outcome(pieces=pieces(claim, "one", "two")))
    assert [(final.id, final.piece.body, final.surplus) for final in finals] == [
        ("p0", "one", False),
        ("p1", "two", False),
        ("p2", "", True),
    ]


async def test_a_piece_comes_back_exactly_as_it_was_given(store: Store) -> None:
    await store.accept([said("1")])
    claim = await only_claim(store)
    buttons = ((Button("好", "a"), Button("B", "b")), (Button("C", "c"),))
    media = Media("f.ogg", "audio/ogg", "a fox", 2, 1.5, "AA==")
    piece = Piece("body\n<b>&", '[{"type": "bold"}]', media, buttons)
    given = Final(claim.turn, 2, 0, piece)
    assert await store.complete(claim, outcome(pieces=[given])) == [given]
    assert [final for _, final in await store.waiting(HOME)] == [given]


def test_a_piece_of_an_earlier_version_is_read() -> None:
    written = '["body", "", ["f.png", "image/png", "a fox", 2], []]'
    assert load_piece(written) == Piece("body", media=Media("f.png", "image/png", "a fox", 2))


async def test_only_a_commands_reply_is_whole(store: Store) -> None:
    await store.accept([said("1")])
    claim = await only_claim(store)
    [final] = await store.complete(claim, outcome(pieces=pieces(claim, "an answer")))
    assert not final.whole
    await store.accept([said("2", command=True)])
    claim = await only_claim(store)
    [final] = await store.complete(claim, outcome(reason=Finish.COMMAND, pieces=pieces(claim, "help")))
    assert final.whole


async def test_buttons_are_found_by_their_id_and_work_once(store: Store) -> None:
    await store.accept([said("1")])
    row = ButtonRow("x", HOME, BOB, "again:1", 99.5)
    await store.complete(await only_claim(store), outcome(buttons=[row]))
    assert await store.button("x") == row
    assert await store.button("y") is None
    await store.accept([said("2")])
    await store.complete(await only_claim(store), outcome(Spent("x")))
    assert await store.button("x") == replace(row, used=True)


async def test_the_call_is_settled_in_the_same_commit(store: Store) -> None:
    await store.accept([said("1")])
    claim = await only_claim(store)
    call = await store.reserve(turn=claim.turn, chat=HOME, model="glm", cost=500, day="d", limit=1000)
    await stop(store, "2")
    with pytest.raises(Superseded):
        await store.complete(claim, outcome(call=call, cost=120))
    assert await store.spent("d") == 500
    await store.complete(claim, outcome(call=call, cost=120, reason=Finish.STOPPED))
    assert await store.spent("d") == 120


async def test_a_turn_that_is_over_calls_no_model_any_more(store: Store) -> None:
    """Its worker was paused, and wakes when another has made the turn: nobody would settle the call."""
    await store.accept([said("1")])
    claim = await only_claim(store)
    await store.complete(claim, outcome())
    with pytest.raises(FencedOut):
        await store.reserve(turn=claim.turn, chat=HOME, model="glm", cost=500, day="d", limit=1000)
    assert await store.spent("d") == 0


async def test_the_report_is_that_of_the_last_turn_that_asked_a_model(store: Store) -> None:
    assert await store.report(HOME) is None
    await store.accept([said("1")])
    claim = await only_claim(store)
    finished = Finished(
        reason=Finish.FAILED, usage=Usage(10, 20, 5, 1, True), model="glm", request_id="r", status=429, code="1302",
        vendor_message="busy", cost=7,
    )  # fmt: skip
    await store.complete(claim, replace(outcome(), finished=finished))
    await head_of(store, "2")
    await ask(store, "3", chat=AWAY)
    assert await store.report(HOME) == Report(claim.turn, finished, cost=0, first=0.5, seconds=2.5)


async def test_the_report_counts_all_calls_of_its_turn_and_of_the_work_whose_end_it_is(store: Store) -> None:
    async def call(turn: int, cost: int, paid: int | None = None) -> None:
        call = await store.reserve(turn=turn, chat=HOME, model="glm", cost=cost, day="d", limit=1_000_000)
        if paid is not None and call is not None:
            await store.settle(call, paid)

    await store.accept([said("1")])
    ordering = await only_claim(store)
    await call(ordering.turn, 1, 1)  # what was heard
    await call(ordering.turn, 20)  # as dear as it may get: it was cut off
    await store.complete(ordering, outcome())
    await call(0, 777, 777)  # the doctor's, which belongs to no turn
    assert (await _report(store)).cost == 21
    await store.accept([said("2")])
    delivering = await only_claim(store)
    await call(delivering.turn, 900, 300)  # its speech
    finished = replace(outcome().finished, job=ordering.turn, cost=20)
    await store.complete(delivering, replace(outcome(), finished=finished))
    assert (await _report(store)).cost == 321


async def _report(store: Store) -> Report:
    report = await store.report(HOME)
    assert report is not None
    return report


# --- dead letters ------------------------------------------------------------------------------------------------------


async def test_a_claim_whose_every_row_is_buried_is_closed(store: Store) -> None:
    await store.accept([said("1"), said("2"), said("3", author=BOB)])
    claim = await only_claim(store)
    await store.bury(claim, [row.id for row in claim.rows], "unreadable")
    assert payloads(await only_claim(store)) == ["3"]


async def test_the_others_of_a_claim_stay_and_nothing_behind_them_is_forgotten(store: Store) -> None:
    await store.accept([said("1"), said("2"), said("3", author=BOB)])
    claim = await only_claim(store)
    await store.bury(claim, [claim.rows[0].id], "unreadable")
    assert not await claims(store)
    await store.complete(claim, outcome(*exchange("2", "two", None)))
    assert payloads(await only_claim(store)) == ["3"]


async def test_rows_buried_one_by_one_or_twice_count_once(store: Store) -> None:
    await store.accept([said("1"), said("2"), said("3", command=True), said("4", command=True)])
    claim = await only_claim(store)
    first, second = (row.id for row in claim.rows)
    await store.bury(claim, [first], "unreadable")
    await store.bury(claim, [first], "unreadable")
    await store.bury(claim, [first, second], "left")
    for behind in ("3", "4"):
        claim = await only_claim(store)
        assert payloads(claim) == [behind]
        await store.complete(claim, outcome())


async def test_a_turn_that_killed_us_too_often_is_answered_and_dead(store: Store) -> None:
    await store.accept([said("1")])
    claim = await only_claim(store)
    finals = await store.complete(
        claim, outcome(reason=Finish.FAILED, dead="broke down 3 times", pieces=pieces(claim, "sorry"))
    )
    assert bodies(finals) == ["sorry"]
    assert not await claims(store)


# --- an answer in the place of another ---------------------------------------------------------------------------------


async def test_an_edited_question_takes_over_the_messages_of_its_answer(store: Store) -> None:
    await store.accept([said("1")])
    before = await only_claim(store)
    for number in range(3):
        await store.sent(HOME, before.turn, 0, number, f"p{number}")
    await store.shown(
        HOME, await store.complete(before, outcome(*exchange("1", "long", None), pieces=pieces(before, "a", "b", "c")))
    )
    await store.accept([edited("2", "m1", "better")])
    claim = await only_claim(store)
    assert await store.replace(claim, before.turn) == [Shown(0, 0, "p0"), Shown(0, 1, "p1"), Shown(0, 2, "p2")]
    finals = await store.complete(claim, outcome(*exchange("better", "short", None), pieces=pieces(claim, "short")))
    assert [(final.id, final.piece.body, final.surplus) for final in finals] == [
        ("p0", "short", False),
        ("p1", "", True),
        ("p2", "", True),
    ]
    await store.shown(HOME, finals)
    assert not await store.waiting(HOME)


async def test_what_was_not_yet_shown_of_a_replaced_answer_never_is(store: Store) -> None:
    await store.accept([said("1")])
    before = await only_claim(store)
    await store.sent(HOME, before.turn, 0, 0, "p0")
    await store.complete(before, outcome(*exchange("1", "long", None), pieces=pieces(before, "a", "b")))
    await store.accept([edited("2", "m1", "better")])
    claim = await only_claim(store)
    assert await store.replace(claim, before.turn) == [Shown(0, 0, "p0")]
    assert not await store.waiting(HOME)


async def test_taking_over_again_after_a_crash_changes_nothing(url: str) -> None:
    async with opened(url) as store:
        await store.accept([said("1")])
        before = await only_claim(store)
        await store.sent(HOME, before.turn, 0, 0, "p0")
        await store.shown(HOME, await store.complete(before, outcome(pieces=pieces(before, "a"))))
        await store.accept([edited("2", "m1", "better")])
        claim = await only_claim(store)
        await store.replace(claim, before.turn)
        await store.sent(HOME, claim.turn, 0, 1, "p1")
    async with opened(url) as store:
        again = await only_claim(store)
        both = [Shown(0, 0, "p0"), Shown(0, 1, "p1")]
        assert list(again.shown) == both
        assert await store.replace(again, before.turn) == both
