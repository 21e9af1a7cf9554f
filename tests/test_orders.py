"""Orders and results of background work are read as they were written."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.errors import Unreadable
from bot.messages import ENDED, Address, Author, ChatKey, Ended
from bot.messages.orders import WorkOrder, WorkResult, read_ended

words = st.text(max_size=40)
keys = st.text(st.characters(exclude_characters=":", exclude_categories=["Cs"]), min_size=1, max_size=12)
chats = st.builds(ChatKey, keys, keys, keys)
whole = st.integers(-(2**53), 2**53)
orders = st.builds(
    WorkOrder,
    author=st.builds(Author, words, words, st.booleans()),
    address=st.builds(Address, chats, words, words, st.booleans()),
    language=st.sampled_from(["en", "zh"]),
    text=words,
    model=words,
    size=words,
    count=whole,
    pictures=st.lists(words, max_size=3).map(tuple),
    seed=st.none() | whole,
    seconds=whole,
    think=words,
    system=words,
    parent=st.none() | whole,
)
results = st.builds(
    WorkResult,
    text=words,
    sources=st.lists(st.tuples(whole, words, words), max_size=3).map(tuple),
    files=st.lists(st.tuples(words, words), max_size=3).map(tuple),
    links=st.lists(words, max_size=3).map(tuple),
    missing=whole,
    why=words,
    error=words,
    code=words,
    vendor_message=words,
    cost=whole,
    prompt=whole,
    completion=whole,
)


@given(orders)
def test_an_order_reads_as_it_was_written(order: WorkOrder) -> None:
    assert WorkOrder.load(order.dump()) == order


@given(orders, chats)
def test_an_order_follows_its_chat(order: WorkOrder, chat: ChatKey) -> None:
    assert WorkOrder.load(order.dump(), chat) == replace(order, address=replace(order.address, chat=chat))


@given(results)
def test_a_result_reads_as_it_was_written(result: WorkResult) -> None:
    assert WorkResult.load(result.dump()) == result


def test_a_result_that_was_written_before_it_had_sources_is_read() -> None:
    old = {name: value for name, value in json.loads(WorkResult(text="so").dump()).items() if name != "sources"}
    assert WorkResult.load(json.dumps(old)) == WorkResult(text="so")


def test_no_result_yet_reads_as_an_empty_one() -> None:
    assert WorkResult.load("") == WorkResult()


@given(orders, st.integers(0, 2**53))
def test_the_event_of_an_end_names_its_job_and_speaks_to_whoever_ordered_it(order: WorkOrder, job: int) -> None:
    spoken = replace(order, address=replace(order.address, via=""))
    for payload in (f"{ENDED}{job} {spoken.dump()}", f"{ENDED}{job}@77 {spoken.dump()}"):
        assert read_ended(payload) == Ended(job, order.author, spoken.address, order.language)


@given(orders, st.integers(0, 2**53))
def test_the_end_of_what_an_interaction_ordered_replies_to_what_was_said_to_it(order: WorkOrder, job: int) -> None:
    pressed = replace(order, address=replace(order.address, via="application:1:token"))
    where = replace(order.address, reply_to="77", via="")
    assert read_ended(f"{ENDED}{job}@77 {pressed.dump()}") == Ended(job, order.author, where, order.language)
    nowhere = replace(where, reply_to="")  # it was not shown yet
    assert read_ended(f"{ENDED}{job} {pressed.dump()}") == Ended(job, order.author, nowhere, order.language)


@given(words.filter(lambda text: not text.startswith(ENDED)))
def test_any_other_payload_is_no_end(payload: str) -> None:
    assert read_ended(payload) is None


@given(
    st.recursive(
        st.none() | st.booleans() | whole | words, lambda inner: st.lists(inner) | st.dictionaries(words, inner)
    )
)
def test_what_is_no_order_is_unreadable(value: object) -> None:
    for read in (WorkOrder.load, lambda text: read_ended(f"{ENDED}7 {text}")):
        with pytest.raises(Unreadable):
            read(json.dumps(value))


@pytest.mark.parametrize("payload", [ENDED, f"{ENDED}x {{}}", f"{ENDED}-1 {{}}", f"{ENDED}7"])
def test_an_event_of_an_end_without_its_parts_is_unreadable(payload: str) -> None:
    with pytest.raises(Unreadable):
        read_ended(payload)


@pytest.mark.parametrize("text", ["{", "[]", "7", '{"files": 3}', '{"files": [["one"]]}', '{"strange": 1}'])
def test_what_is_no_result_is_unreadable(text: str) -> None:
    with pytest.raises(Unreadable):
        WorkResult.load(text)
