"""The short form of the campaign on a PostgreSQL that dies: once, in the middle of turns."""

from __future__ import annotations

import random
from pathlib import Path

from tests.torture.outage import haunt


async def test_a_death_of_postgresql_in_the_middle_of_turns_is_a_delay_and_nothing_else(tmp_path: Path) -> None:
    tally = await haunt(tmp_path / "world", random.Random(20261122), deaths=1, people=4)
    assert tally.wrong == []
    assert tally.tried["outage: deaths of PostgreSQL"] == 1
