"""Money is held back before it is spent: no day passes its limit, and its sum is always that of its calls."""

from __future__ import annotations

import asyncio
import tempfile
from dataclasses import dataclass
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from bot.ports import Ledger
from storage import Store, open_store
from tests.storage.saying import HOME, opened

DAY = "2026-11-22"


async def reserve(ledger: Ledger, cost: int, *, limit: int = 300, day: str = DAY) -> int | None:
    return await ledger.reserve(turn=1, chat=HOME, model="glm", cost=cost, day=day, limit=limit)


async def test_fifty_calls_at_once_with_money_for_three_are_three(store: Store) -> None:
    calls = await asyncio.gather(*(reserve(store, 100) for _ in range(50)))
    assert len({call for call in calls if call is not None}) == 3
    assert calls.count(None) == 47
    assert await store.spent(DAY) == 300


async def test_the_limit_itself_may_be_reached(store: Store) -> None:
    assert await reserve(store, 301) is None
    assert await reserve(store, 300) is not None
    assert await reserve(store, 1) is None


async def test_what_costs_nothing_always_passes(store: Store) -> None:
    assert await reserve(store, 0, limit=0) is not None
    await reserve(store, 300)
    assert await reserve(store, 0) is not None
    assert await store.spent(DAY) == 300


async def test_a_call_is_settled_once(store: Store) -> None:
    call = await reserve(store, 200)
    assert call is not None
    await store.settle(call, 50)
    await store.settle(call, 70)
    await store.settle(call, 0, estimated=True)
    assert await store.spent(DAY) == 50
    assert await reserve(store, 250) is not None


async def test_a_call_may_turn_out_dearer_than_estimated(store: Store) -> None:
    call = await reserve(store, 200)
    assert call is not None
    await store.settle(call, 450)
    assert await store.spent(DAY) == 450
    assert await reserve(store, 1) is None


async def test_an_estimate_is_not_settled_again(store: Store) -> None:
    call = await reserve(store, 200)
    assert call is not None
    await store.settle(call, 120, estimated=True)
    await store.settle(call, 10)
    assert await store.spent(DAY) == 120


async def test_a_call_cut_off_by_a_crash_stays_counted(url: str) -> None:
    async with opened(url) as store:
        await reserve(store, 200)
    async with opened(url) as store:
        assert await store.spent(DAY) == 200


async def test_a_call_of_yesterday_is_settled_with_yesterday(store: Store) -> None:
    call = await reserve(store, 200, day="2026-11-21")
    assert call is not None
    await reserve(store, 100)
    await store.settle(call, 10)
    assert (await store.spent("2026-11-21"), await store.spent(DAY), await store.spent("2026-11-23")) == (10, 100, 0)


async def test_settling_what_was_never_reserved_changes_nothing(store: Store) -> None:
    await store.settle(4711, 10)
    assert await store.spent(DAY) == 0


@dataclass(frozen=True, slots=True)
class Reserving:
    day: str
    cost: int


@dataclass(frozen=True, slots=True)
class Settling:
    which: int
    cost: int
    estimated: bool


MONEY = st.integers(0, 500)
STEPS = st.lists(
    st.builds(Reserving, st.sampled_from(["a", "b"]), MONEY)
    | st.builds(Settling, st.integers(0, 20), MONEY, st.booleans()),
    max_size=25,
)


@settings(max_examples=25)
@given(STEPS)
def test_a_days_sum_is_that_of_its_calls_and_no_call_passes_the_limit(steps: list[Reserving | Settling]) -> None:
    asyncio.run(_account(steps))


async def _account(steps: list[Reserving | Settling], limit: int = 1000) -> None:
    calls: dict[int, Reserving] = {}
    settled: set[int] = set()
    with tempfile.TemporaryDirectory() as folder:
        async with open_store(f"sqlite:///{Path(folder) / 'magpie.db'}") as store:
            for step in steps:
                if isinstance(step, Reserving):
                    before = _sum(calls, step.day)
                    call = await reserve(store, step.cost, limit=limit, day=step.day)
                    assert (call is None) == (step.cost > 0 and before + step.cost > limit)
                    if call is not None:
                        calls[call] = step
                elif step.which < len(calls):
                    call = list(calls)[step.which]
                    await store.settle(call, step.cost, estimated=step.estimated)
                    if call not in settled:
                        settled.add(call)
                        calls[call] = Reserving(calls[call].day, step.cost)
                for day in "ab":
                    assert await store.spent(day) == _sum(calls, day)


def _sum(calls: dict[int, Reserving], day: str) -> int:
    return sum(call.cost for call in calls.values() if call.day == day)
