"""The short form of the campaign on damaged databases."""

from __future__ import annotations

from pathlib import Path

from tests.torture import damage
from tests.torture.part import Effort


async def test_a_damaged_database_is_refused_untouched_or_works(tmp_path: Path) -> None:
    tally = await damage.torture(Effort(seconds=0, seed=20261122, scratch=tmp_path))
    assert tally.wrong == []
    assert tally.tried["damage: refused"] and tally.tried["damage: works"]
