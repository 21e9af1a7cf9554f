"""The manager's view of a conversation: its line, its exchanges by the platform's messages, its latest question."""

from __future__ import annotations

from dataclasses import replace

from bot.messages import Answered, Asked, Finish, Rewound
from bot.ports import Entry
from storage import Store
from tests.storage.saying import (
    AWAY,
    HOME,
    ask,
    conversation,
    edited,
    exchange,
    head_of,
    only_claim,
    outcome,
    pieces,
    reset,
    said,
)


async def test_a_line_begins_with_the_oldest_and_keeps_the_newest(store: Store) -> None:
    for event in "123":
        await ask(store, event)
    head = await head_of(store, "4")
    assert await conversation(store, head) == ["1", "re 1", "2", "re 2", "3", "re 3"]
    assert [entry.text for entry in await store.line(head, 3)] == ["re 2", "3", "re 3"]
    assert await store.line(None, 10) == []
    assert await store.line(4711, 10) == []


async def test_an_entry_tells_what_was_said(store: Store) -> None:
    await store.accept([said("1")])
    claim = await only_claim(store)
    asked = Asked(text="1", author="Ann", parent=None, files=("a.png", "b.jpg"))
    await store.complete(claim, outcome(asked, Answered(text="one", files=("c.png",))))
    head = await head_of(store, "2")
    question, answer = await store.line(head, 10)
    assert question == Entry(question.id, None, claim.turn, 0, "user", "1", "Ann", ("a.png", "b.jpg"))
    assert answer == Entry(answer.id, question.id, claim.turn, 0, "assistant", "one", "", ("c.png",))
    assert head == answer.id


async def test_an_exchange_is_found_by_its_question_and_by_each_piece_of_its_answer(store: Store) -> None:
    turn = await _shown(store, "1", "p1", "p2")
    found = await store.exchange(HOME, "m1")
    assert found is not None and found.question is not None and found.answer is not None
    assert (found.turn, found.question.text, found.answer.text, found.latest) == (turn, "1", "re 1", True)
    for piece, message in enumerate(("p1", "p2")):
        assert await store.exchange(HOME, message) == replace(found, piece=piece)
    assert await store.exchange(HOME, "m2") is None
    assert await store.exchange(HOME, "") is None
    assert await store.exchange(AWAY, "m1") is None


async def test_of_several_answers_each_is_found_by_its_own_messages(store: Store) -> None:
    await store.accept([said("1")])
    claim = await only_claim(store)
    asked = Asked(text="1", author="", parent=None)
    both = [Answered(text=text, moves=False) for text in ("one", "two")]
    shown = (*pieces(claim, "p0", "p1"), *pieces(claim, "q0", slot=1))
    finals = await store.complete(claim, outcome(asked, *both, pieces=shown))
    await store.shown(HOME, [replace(final, id=final.piece.body) for final in finals])
    found = {message: await store.exchange(HOME, message) for message in ("p0", "p1", "q0", "m1")}
    told = {message: one.answer.text for message, one in found.items() if one and one.answer}
    assert told == {"p0": "one", "p1": "one", "q0": "two", "m1": "two"}
    assert [entry.text for entry in await store.answers(claim.turn)] == ["one", "two"]
    assert await head_of(store, "2") is None


async def test_each_message_of_a_joined_question_finds_it(store: Store) -> None:
    await store.accept([said("1"), said("2")])
    await store.complete(await only_claim(store), outcome(*exchange("1 2", "both", None)))
    assert await store.exchange(HOME, "m1") == await store.exchange(HOME, "m2") is not None


async def test_an_exchange_is_the_latest_until_another_question(store: Store) -> None:
    await _shown(store, "1", "p1")
    await head_of(store, "2")
    first = await store.exchange(HOME, "m1")
    assert first is not None and first.latest
    await _shown(store, "3", "p3")
    first, second = await store.exchange(HOME, "p1"), await store.exchange(HOME, "p3")
    assert first is not None and second is not None
    assert (first.latest, second.latest) == (False, True)
    await _shown(store, "4", "p4", chat_is_away=True)
    second = await store.exchange(HOME, "p3")
    assert second is not None and second.latest


async def test_a_question_that_failed_is_an_exchange_without_an_answer(store: Store) -> None:
    await store.accept([said("1")])
    claim = await only_claim(store)
    await store.complete(claim, outcome(Asked(text="1", author="", parent=None), reason=Finish.FAILED))
    found = await store.exchange(HOME, "m1")
    assert found is not None and found.question is not None
    assert (found.question.text, found.answer, found.latest) == ("1", None, True)


async def test_after_an_edit_the_message_is_the_edited_question(store: Store) -> None:
    first = await _shown(store, "1", "p1")
    await store.accept([edited("2", "m1", "better")])
    claim = await only_claim(store)
    before = await store.exchange(HOME, "m1")
    assert before is not None and before.turn == first
    await store.replace(claim, first)
    sibling = outcome(*exchange("better", "best", None), pieces=pieces(claim, "best"))
    await store.shown(HOME, await store.complete(claim, sibling))
    after = await store.exchange(HOME, "m1")
    assert after is not None and after.question is not None and after.answer is not None
    assert (after.turn, after.question.text, after.answer.text, after.latest) == (claim.turn, "better", "best", True)
    assert await store.exchange(HOME, "p1") == replace(after, piece=0)
    assert await conversation(store, await head_of(store, "3")) == ["better", "best"]


async def test_after_a_retry_each_answer_finds_its_own_turn_and_both_the_same_question(store: Store) -> None:
    first = await _shown(store, "1", "p1")
    question = await store.asked(first)
    assert question is not None
    await store.accept([said("2", command=True)])
    claim = await only_claim(store)
    again = Asked(text="1", author="Ann", parent=None, stored=question.id)
    shown = await store.complete(claim, outcome(again, Answered(text="other"), pieces=pieces(claim, "other")))
    await store.sent(HOME, claim.turn, 0, 0, "p2")
    assert len(shown) == 1
    old, new = await store.exchange(HOME, "p1"), await store.exchange(HOME, "p2")
    assert old is not None and new is not None and old.answer is not None and new.answer is not None
    assert old.question == new.question == question
    assert (old.answer.text, new.answer.text, old.latest, new.latest) == ("re 1", "other", False, True)
    assert await store.last(HOME, await head_of(store, "3")) == replace(new, piece=None)


async def test_the_last_exchange_is_that_at_the_head(store: Store) -> None:
    await ask(store, "1")
    back = await head_of(store, "2")
    await ask(store, "3")
    last = await store.last(HOME, await head_of(store, "4"))
    assert last is not None and last.question is not None and last.question.text == "3"
    await store.accept([said("5", command=True)])
    await store.complete(await only_claim(store), outcome(Rewound(back), reason=Finish.COMMAND))
    last = await store.last(HOME, await head_of(store, "6"))
    assert last is not None and last.question is not None and last.question.text == "1"
    assert await store.last(HOME, None) is None
    assert await store.last(HOME, 4711) is None


async def test_what_was_asked_before_a_reset_is_known_as_such(store: Store) -> None:
    await ask(store, "1")
    await reset(store, "2")
    await ask(store, "3")
    before, after = await store.exchange(HOME, "m1"), await store.exchange(HOME, "m3")
    assert before is not None and before.question is not None
    assert after is not None and after.question is not None
    assert (before.question.epoch, after.question.epoch) == (0, 1)
    assert after.question.parent is None


async def test_a_turn_that_asked_nothing_asked_nothing(store: Store) -> None:
    await store.accept([said("1", command=True)])
    claim = await only_claim(store)
    await store.complete(claim, outcome(reason=Finish.COMMAND))
    assert await store.asked(claim.turn) is None
    assert await store.asked(4711) is None
    assert await store.exchange(HOME, "m1") is None


async def _shown(store: Store, event: str, *messages: str, chat_is_away: bool = False) -> int:
    """An exchange whose answer stands at the platform as these messages; its turn."""
    chat = AWAY if chat_is_away else HOME
    await store.accept([said(event, chat=chat)])
    claim = await only_claim(store)
    for number, message in enumerate(messages):
        await store.sent(chat, claim.turn, 0, number, message)
    answer = outcome(*exchange(event, f"re {event}", claim.head), pieces=pieces(claim, *messages))
    await store.shown(chat, await store.complete(claim, answer))
    return claim.turn
