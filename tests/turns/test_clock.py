"""Clocks that jump by a day, forwards and back, while people talk."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from bot.messages import ChatKey
from tests.stage import house

HOME = ChatKey("window", "1")
DAY = 86_400.0


@pytest.mark.parametrize("jump", [DAY, -DAY])
async def test_what_waits_over_a_jump_is_answered_in_its_order(tmp_path: Path, jump: float) -> None:
    async with house(tmp_path) as home:
        await home.say(HOME, "before")
        home.flaws.clock = lambda: time.time() + jump
        await home.say(HOME, "after")
        await home.shows(HOME, "re: before", "re: after")
        home.flaws.clock = time.time
        await home.say(HOME, "and back")
        await home.shows(HOME, "re: before", "re: after", "re: and back")
