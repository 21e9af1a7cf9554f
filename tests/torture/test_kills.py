"""The short form of the campaign of kills: a few on each platform, and one at the worst of all moments."""

from __future__ import annotations

import asyncio
import random
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.process import END
from tests.torture.checker import check
from tests.torture.checker_run import Run
from tests.torture.kills import SCENES, Scene, haunt
from tests.torture.world import World, person_on, world

KILLS = 2
PEOPLE = 5


@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: str(scene.name))
async def test_kills_lose_nothing_and_double_nothing(scene: Scene, tmp_path: Path) -> None:
    tally = await haunt(scene, tmp_path / "world", random.Random(20261122), KILLS, PEOPLE)
    assert tally.wrong == []
    assert sum(tally.tried[f"{strike}, {scene.name}"] for strike in set(scene.strikes)) == KILLS


async def killed_while_the_final_text_is_held(made: World) -> Run:
    """The platform has shown the final text, and we have not heard of it: the one moment in which a bot that forgets its
    message ids answers twice."""
    assert made.telegram is not None
    person = person_on(made, "telegram")

    def is_final(parameters: Mapping[str, Any]) -> bool:
        return str(parameters.get("text", "")).endswith(f"{person.asked[-1].name}z")

    held = made.telegram.hold("editMessageText", when=is_final)
    await person.ask()
    async with asyncio.timeout(30):
        await held.caught.wait()
    await made.workers[0].kill()
    held.release.set()
    await made.workers[0].start()
    await made.rest()
    return await made.run()


async def test_a_kill_while_the_final_text_is_held_doubles_nothing(tmp_path: Path) -> None:
    async with world(tmp_path / "world", random.Random(1), on=["telegram"], people=0) as made:
        assert check(await killed_while_the_final_text_is_held(made)) == []


async def test_a_process_that_does_not_end_when_asked_is_judged_all_the_same(tmp_path: Path) -> None:
    async with world(tmp_path / "world", random.Random(1), on=["telegram"], people=1) as made:
        await made.people[0].ask()
        await made.rest()
        made.workers[0].send_signal(signal.SIGSTOP)  # it hears nothing any more
        run = await made.run()
        assert made.wrong == [f"asked to end, it was still there after {END:g} s"]
        assert check(run) == []
