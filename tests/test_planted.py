"""The short form of `make plant`: every bug still has its place in the product, and one is planted and found."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.planted.bug import ROOT, Bug, Edit, NoPlace, edited
from tests.planted.catalog import BUGS, ROOMS
from tests.planted.runs import judge


@pytest.mark.parametrize("bug", BUGS.values(), ids=lambda bug: str(bug.name))
def test_a_bug_has_its_place_and_its_finders(bug: Bug) -> None:
    for file in {edit.file for edit in bug.edits}:
        text = edited(bug.edits, file)
        assert text != (ROOT / file).read_text("utf-8")
        if file.endswith(".py"):
            compile(text, file, "exec", dont_inherit=True)
    for test in bug.found_by:
        file, _, name = test.partition("::")
        assert f"def {name.partition('[')[0]}(" in (ROOT / file).read_text("utf-8")


def test_bugs_have_names_of_their_own() -> None:
    assert len(BUGS) == sum(len(room.BUGS) for room in ROOMS) >= 20


def test_a_bug_whose_place_is_gone_is_told() -> None:
    with pytest.raises(NoPlace, match="0 times"):
        edited([Edit("bot/lanes.py", "what never stood there", "")], "bot/lanes.py")


def test_a_bug_is_found_in_a_run_of_pytest_and_in_a_process_and_who_does_not_find_it_is_told(tmp_path: Path) -> None:
    here, there = (
        "tests/test_logs.py::test_a_secret_is_blacked_out_in_a_traceback",
        BUGS["token-in-the-log"].found_by[0],
    )
    blind = "tests/test_logs.py::test_the_form_is_chosen_once"
    verdict = judge(replace(BUGS["token-in-the-log"], found_by=(here, there, blind)), tmp_path)
    assert {one.test for one in verdict.found} == {here, there}
    assert verdict.trouble == (f"not found by {blind}",)
