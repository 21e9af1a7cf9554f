"""Five of the crash points, in the order in which an answer passes them; and that every point has a way that leads past it."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from storage import Store
from tests.crashing import COMMITS, points
from tests.torture.points import PLACES, pass_by, way_of

FIVE = [
    "after store.accept",  # it is ours, and the platform does not know
    "begun glm.stream",  # a model is being paid
    "after telegram.send",  # the preview stands, its id is not stored
    "before store.complete",  # answered, and not committed
    "after telegram.edit",  # shown, and not committed
]


async def test_five_crash_points_lose_nothing_and_double_nothing(tmp_path: Path) -> None:
    tally = await pass_by(FIVE, tmp_path / "world", random.Random(5))
    assert tally.wrong == []
    assert tally.tried["crash points passed"] == len(FIVE)


async def test_work_is_claimed_while_the_database_is_away_so_that_it_must_be_released(tmp_path: Path) -> None:
    tally = await pass_by(["after store.release_jobs"], tmp_path / "world", random.Random(5))
    assert tally.wrong == []


@pytest.mark.parametrize("point", points())
def test_a_way_leads_past_every_point(point: str) -> None:
    assert way_of(point)[0] in PLACES


# fmt: off
READING = [
    "answers", "asked", "backlog", "button", "cancelled_jobs", "card", "chats", "companions", "control_rows",
    "exchange", "job", "jobs", "last", "last_turn", "line", "load_file", "moves", "notes", "report", "runs", "since", "spent",
    "standing", "subscribe", "waiting",
]
# fmt: on
# The page's password: as long as it is not kept, nobody was told it.
BY_HAND = ["keep"]


def test_every_commit_of_the_store_has_its_points() -> None:
    methods = {name for name, value in vars(Store).items() if not name.startswith("_") and callable(value)}
    assert methods == {*COMMITS, *READING, *BY_HAND}
