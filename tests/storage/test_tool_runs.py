"""Runs of tools: a row before each begins and its result after it, so that a repeated turn knows what it did."""

from __future__ import annotations

import pytest

from bot.errors import FencedOut
from bot.ports import Source
from storage import Store
from tests.storage.saying import only_claim, outcome, said


async def turn(store: Store) -> int:
    await store.accept([said("1")])
    return (await only_claim(store)).turn


async def test_a_run_is_there_before_it_begins_and_has_its_result_after(store: Store) -> None:
    id = await turn(store)
    begun = await store.begin_run(id, 0, "weather", '{"city": "北京"}')
    assert begun.fresh and begun.state == "begun"
    await store.end_run(id, 0, "sunny")
    [run] = await store.runs(id)
    assert (run.name, run.arguments, run.state, run.result) == ("weather", '{"city": "北京"}', "done", "sunny")


async def test_the_pages_that_a_result_rests_on_are_kept_with_it(store: Store) -> None:
    id = await turn(store)
    pages = (Source(1, 'Nests, "all" of 北京 \ud800', "https://n.example/"), Source(2, "", "https://e.example/"))
    await store.begin_run(id, 0, "search_web", "{}")
    await store.end_run(id, 0, "[1] Nests", sources=pages)
    assert (await store.begin_run(id, 0, "search_web", "{}")).sources == pages
    assert [run.sources for run in await store.runs(id)] == [pages]


async def test_a_repeated_turn_finds_what_it_has_done(store: Store) -> None:
    id = await turn(store)
    await store.begin_run(id, 0, "weather", "{}")
    await store.end_run(id, 0, "no such city", failed=True)
    again = await store.begin_run(id, 0, "weather", "{}")
    assert (again.fresh, again.state, again.result) == (False, "failed", "no such city")


async def test_one_that_was_cut_off_is_known_as_such(store: Store) -> None:
    id = await turn(store)
    await store.begin_run(id, 0, "weather", "{}")
    again = await store.begin_run(id, 0, "weather", "{}")
    assert (again.fresh, again.state) == (False, "begun")


async def test_where_the_model_asks_for_something_else_what_followed_is_forgotten(store: Store) -> None:
    id = await turn(store)
    for number in range(3):
        await store.begin_run(id, number, "weather", f"{number}")
    assert (await store.begin_run(id, 1, "clock", "{}")).fresh
    assert [run.name for run in await store.runs(id)] == ["weather", "clock"]


async def test_a_turn_that_is_over_calls_nothing(store: Store) -> None:
    await store.accept([said("1")])
    claim = await only_claim(store)
    await store.begin_run(claim.turn, 0, "weather", "{}")
    await store.complete(claim, outcome())
    with pytest.raises(FencedOut):
        await store.begin_run(claim.turn, 1, "weather", "{}")
    with pytest.raises(FencedOut):
        await store.end_run(claim.turn, 0, "late")
