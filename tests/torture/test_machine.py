"""A thousand steps of the state machine, and that it would notice."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.postgres import Postgres, postgres
from tests.stage import until
from tests.torture import machine_checks
from tests.torture.machine import one_walk
from tests.torture.machine_checks import facts
from tests.torture.machine_house import SLOW
from tests.torture.machine_walk import Step, Walk
from tests.torture.part import Effort, Tally

STEP = Step(kind="send", chat=0, person=0, worker=0, pick=0.5, word="", wait=0.0)


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    with postgres() as running:
        yield running


@pytest.mark.parametrize("number", [0, 2])
async def test_whatever_people_and_operators_do_the_promises_hold(tmp_path: Path, number: int) -> None:
    tally = Tally()
    await one_walk(tally, Effort(seconds=0, seed=1, scratch=tmp_path), number, 425, None)
    assert tally.wrong == []
    assert tally.tried["steps"] == 425 and tally.tried["kills"] and tally.tried["calls of the vendor"] > 50


async def test_and_with_two_workers_on_one_postgresql(tmp_path: Path, server: Postgres) -> None:
    tally = Tally()
    await one_walk(tally, Effort(seconds=0, seed=1, scratch=tmp_path), 1, 150, server)
    assert tally.wrong == [] and tally.tried["kills"]


async def test_an_edit_of_what_was_retried_may_be_stopped_by_a_reset(tmp_path: Path) -> None:
    """The messages of the retry are then those of the edit, which says that it was stopped."""
    walk = Walk(f"sqlite:///{tmp_path / 'magpie.db'}", 1, idempotent=True, seed=1)
    async with walk.begun():
        for kind in ("send", "retry"):
            await walk.take(replace(STEP, kind=kind))
            await walk.rest()
        asked = len(walk.vendor.asked)
        await walk.take(replace(STEP, kind="edit", word=SLOW))
        await until(lambda: len(walk.vendor.asked) > asked)
        await walk.take(replace(STEP, kind="reset"))
        await walk.rest()
        assert await machine_checks.broken(walk) == []
        assert {row.finish for row in (await facts(walk)).rows.values()} >= {"stopped"}


async def test_the_checks_notice_what_is_wrong(tmp_path: Path) -> None:
    walk = Walk(f"sqlite:///{tmp_path / 'magpie.db'}", 1, idempotent=True, seed=1)
    async with walk.begun():
        for step in (STEP, replace(STEP, chat=1), replace(STEP, kind="reset")):
            await walk.take(step)
            await walk.rest()
        assert await machine_checks.broken(walk) == []
        known = await facts(walk)
        first, second = walk.log[0], walk.log[1]
        row = known.rows[first.event]
        [sent] = [one for one in known.sent if one.turn == row.turn]
        asked = walk.vendor.asked[0]
        walk.vendor.asked.append(replace(asked, lines=(f"{first.token} {second.token}",)))
        assert list(machine_checks._apart(walk, known)) != []
        walk.vendor.asked.pop()
        for rows in ({}, known.rows | {first.event: replace(row, state="dead")}):
            assert list(machine_checks._settled(walk, replace(known, rows=rows))) != []
        assert list(machine_checks._shown(walk, replace(known, sent=[replace(sent, body="another")]))) != []
        assert list(machine_checks._shown(walk, replace(known, sent=[]))) != []
        assert list(machine_checks._answered(walk, replace(known, sent=[]))) != []
        assert list(machine_checks._counted(walk, replace(known, rows={"e": replace(row, state="closed")}))) != []
        assert list(machine_checks._marked(walk, replace(known, sent=[replace(sent, finish="stopped")]))) != []
        assert list(machine_checks._money(walk, replace(known, days={"2026-11-22": 1}))) != []
