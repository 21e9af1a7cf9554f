"""Links are broken while people talk: what is owed comes once they are whole again. All pairs at length: `make torture`."""

from __future__ import annotations

from pathlib import Path

from tests.torture.links import torture
from tests.torture.part import Effort


async def test_what_is_owed_comes_when_a_link_is_whole_again(tmp_path: Path) -> None:
    tally = await torture(Effort(seconds=0, seed=20261122, scratch=tmp_path))
    assert tally.wrong == []
    assert set(tally.tried) == {"telegram reset", "glm cut", "gateway reset", "qwen 5xx"}
