"""Which exchange is refused: found among any others, in few probes."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Literal

from hypothesis import given
from hypothesis import strategies as st

from bot.conversation.refusals import MOST, Guilty, find_guilty
from bot.ports import Entry


def entries(count: int) -> list[Entry]:
    """As many exchanges."""
    said = []
    for number in range(count):
        said += [entry(2 * number, "user"), entry(2 * number + 1, "assistant")]
    return said


def entry(id: int, role: Literal["user", "assistant"]) -> Entry:
    return Entry(
        id=id, parent=id - 1 if id else None, turn=id, epoch=0, role=role, text=f"{role} {id}", author="", files=()
    )


class Filter:
    """A vendor that refuses whatever holds one of these entries."""

    def __init__(self, *guilty: int, question: bool = False) -> None:
        self._guilty = set(guilty)
        self._question = question
        self.probes = 0
        self.refused: list[Sequence[Entry]] = []

    async def passes(self, history: Sequence[Entry]) -> bool:
        self.probes += 1
        taken = not self._question and self._guilty.isdisjoint(one.id for one in history)
        if not taken:
            self.refused.append(history)
        return taken


def find(history: Sequence[Entry], vendor: Filter) -> Guilty | None:
    return asyncio.run(find_guilty(history, vendor.passes))


@given(st.data())
def test_the_guilty_exchange_is_found_and_nothing_else_is_left_out(data: st.DataObject) -> None:
    history = entries(data.draw(st.integers(1, MOST)))
    at = data.draw(st.integers(0, len(history) - 1))
    vendor = Filter(at)
    found = find(history, vendor)
    assert found and [one.id for one in found.entries] == [at - at % 2, at - at % 2 + 1]
    assert [*found.rest] == [one for one in history if one not in found.entries]
    assert vendor.probes <= 6


@given(st.data())
def test_in_a_long_history_the_oldest_ones_are_taken_as_one_and_the_rest_is_taken_again(data: st.DataObject) -> None:
    history = entries(data.draw(st.integers(MOST, 50)))
    vendor = Filter(data.draw(st.integers(0, len(history) - 1)))
    found = find(history, vendor)
    assert found and vendor.probes <= 6
    assert asyncio.run(vendor.passes(found.rest))
    assert len(found.entries) <= 2 * (50 - MOST + 1)
    assert found.entries[0] == history[0] or len(found.entries) == 2


@given(st.integers(1, 50))
def test_a_question_that_is_refused_by_itself_costs_one_probe(count: int) -> None:
    vendor = Filter(question=True)
    assert find(entries(count), vendor) is None
    assert vendor.probes == 1


@given(st.integers(1, 50))
def test_where_everything_is_taken_when_asked_again_nothing_is_left_out(count: int) -> None:
    history = entries(count)
    vendor = Filter()
    assert find(history, vendor) == Guilty((), tuple(history))
    assert vendor.probes <= 6


@given(st.integers(1, 50), st.data())
def test_what_is_left_out_was_itself_refused(count: int, data: st.DataObject) -> None:
    history = entries(count)
    vendor = Filter(data.draw(st.integers(0, len(history) - 1)))
    found = find(history, vendor)
    assert found and any(set(found.entries) <= set(part) for part in vendor.refused)


@given(st.sets(st.integers(0, 59), min_size=1, max_size=4))
def test_of_several_the_latest_is_found_first(guilty: set[int]) -> None:
    history = entries(30)
    found = find(history, Filter(*guilty))
    assert found and max(guilty) in [one.id for one in found.entries]


def test_what_was_said_before_the_first_question_belongs_together() -> None:
    history = [entry(0, "assistant"), entry(1, "assistant"), *entries(3)[2:]]
    found = find(history, Filter(1))
    assert found and [one.id for one in found.entries] == [0, 1]
