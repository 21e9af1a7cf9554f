"""The short forms of load and soak: few people, a few seconds. What is fair, and what grows, needs more time to be told."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.torture import load, soak
from tests.torture.gauges import slope
from tests.torture.part import Effort


async def test_many_chats_at_once_are_all_answered_once_and_in_order_also_beside_a_flooder(tmp_path: Path) -> None:
    tally = await load.torture(Effort(seconds=0, seed=20261122, scratch=tmp_path))
    assert tally.wrong == []
    crowd = load.SHORTEST
    assert tally.tried[f"answers, {crowd.chats:,} chats at once"] == load.QUESTIONS * crowd.chats
    assert tally.tried[f"answers to {crowd.people} people beside a flooder"] >= crowd.people
    assert tally.tried["messages of a flooder"] > crowd.people


async def test_a_little_of_every_fault_leaves_nothing_behind(tmp_path: Path) -> None:
    tally = await soak.torture(Effort(seconds=0, seed=20261122, scratch=tmp_path))
    assert tally.wrong == []
    assert tally.tried["things said, SQLite"] > soak.FEW


# --- what says that something grows ------------------------------------------------------------------------------------


@given(st.randoms(use_true_random=False), st.floats(0.5, 5.0))
def test_what_grows_is_told_from_noise_also_with_wild_points(chance: random.Random, rise: float) -> None:
    points = [(float(at), rise * at + chance.uniform(-2, 2)) for at in range(40)]
    points[chance.randrange(40)] = (7.5, 1000.0)

    middle, least = slope(points)

    assert middle == pytest.approx(rise, abs=0.2)
    assert 0 < least <= middle


@given(st.randoms(use_true_random=False))
def test_a_sawtooth_does_not_grow(chance: random.Random) -> None:
    teeth, began = chance.uniform(3, 9), chance.uniform(0, 9)

    assert slope([(float(at), (at + began) % teeth) for at in range(60)])[1] * 60 < teeth


def test_few_points_have_no_slope() -> None:
    assert slope([(0.0, 1.0), (1.0, 100.0)]) == (0.0, float("-inf"))
