"""The short form of the campaign on cut streams, and whether it would find what it looks for."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from bot.errors import ModelError, Trouble
from bot.messages import Finish, Finished, Text
from tests.models.rig import Parts
from tests.torture import cuts
from tests.torture.cuts import Case, Wrong
from tests.torture.part import Effort
from tests.torture.tapes import Step, Tape


async def test_a_cut_stream_gives_its_exact_beginning_and_is_marked_as_cut(tmp_path: Path) -> None:
    tally = await cuts.torture(Effort(seconds=0, seed=20261122, scratch=tmp_path))
    assert tally.wrong == []
    assert tally.tried.total() == cuts.SHORTEST


TAPE = Tape("t", "glm", False, b"x" * 30, (Step(10, "one ", "", ""), Step(20, "two", "", ""), Step(30, "", "", "stop")))


@pytest.mark.parametrize(
    ("at", "text", "reason"),
    [
        (25, "one two", Finish.STOP),  # it counts as complete
        (25, "one ", Finish.CUT),  # text is lost
        (15, "one two", Finish.CUT),  # text was guessed
        (15, "one t", Finish.CUT),
        (15, "one \ufffd", Finish.CUT),
        (30, "one ", Finish.STOP),
    ],
)
def test_a_wrong_end_of_a_cut_stream_is_found(at: int, text: str, reason: Finish) -> None:
    parts: Parts = [Text(text), Finished(reason=reason)]
    with pytest.raises(Wrong):
        cuts.judge_parts(Case(TAPE, "closed", at), at, parts)


@pytest.mark.parametrize(("at", "text", "reason"), [(25, "one two", Finish.CUT), (30, "one two", Finish.STOP)])
def test_a_right_end_of_a_cut_stream_is_taken(at: int, text: str, reason: Finish) -> None:
    parts: Parts = [Text(text), Finished(reason=reason)]
    cuts.judge_parts(Case(TAPE, "closed", at), at, parts)
    with pytest.raises(Wrong, match="end"):
        cuts.judge_parts(Case(TAPE, "closed", at), at, [*parts, parts[-1]])


def test_an_error_is_taken_only_before_the_first_text() -> None:
    error = ModelError(Trouble.CUT, vendor="glm", model="m")
    cuts.judge_refusal(Case(TAPE, "closed", 5), 5, error)
    with pytest.raises(Wrong, match="lost"):
        cuts.judge_refusal(Case(TAPE, "closed", 15), 15, error)
    with pytest.raises(Wrong, match="told as"):
        cuts.judge_refusal(Case(TAPE, "closed", 5), 5, ModelError(Trouble.NO_MONEY, vendor="glm", model="m"))


def test_what_may_begin_a_mark_may_be_kept_back() -> None:
    tape = replace(TAPE, steps=(Step(10, "a <", "", ""), *TAPE.steps[1:]))
    cuts.judge_parts(Case(tape, "closed", 15), 15, [Text("a "), Finished(reason=Finish.CUT)])
