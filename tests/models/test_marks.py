"""Marks are taken out wherever a stream is cut."""

from hypothesis import given
from hypothesis import strategies as st

from bot.messages import Text, Thought
from bot.models.marks import Marks


def read(*deltas: str) -> tuple[str, str]:
    """(thoughts, text) of an answer that came in these deltas."""
    marks = Marks()
    parts = [part for delta in deltas for part in marks.feed(delta)] + marks.end()
    return (
        "".join(part.delta for part in parts if isinstance(part, Thought)),
        "".join(part.delta for part in parts if isinstance(part, Text)),
    )


def test_a_leading_thought_is_told_apart() -> None:
    assert read("<think>so\nhm</think>\n\nYes.") == ("so\nhm", "Yes.")
    assert read("\n<think></think>Yes.") == ("", "Yes.")


def test_boxes_vanish_and_their_content_stays() -> None:
    assert read("It is <|begin_of_box|>42<|end_of_box|>.") == ("", "It is 42.")


def test_a_mark_that_the_answer_is_about_stays() -> None:
    assert read("Write <think> and </think> around it; a < b") == ("", "Write <think> and </think> around it; a < b")


def test_what_looked_like_a_mark_at_the_end_is_not_lost() -> None:
    assert read("a <|begin_of") == ("", "a <|begin_of")
    assert read("<thi") == ("", "<thi")
    assert read("<think>unfinished </thi") == ("unfinished </thi", "")


MARKED = st.lists(
    st.sampled_from(
        ["<think>", "</think>", "<|begin_of_box|>", "<|end_of_box|>", "<", "|>", " ", "\n", "喜鹊", "text"]
    ),
    max_size=12,
).map("".join)


@given(MARKED, st.data())
def test_any_slicing_reads_the_same(answer: str, data: st.DataObject) -> None:
    cuts = sorted(data.draw(st.sets(st.integers(0, len(answer)), max_size=8)))
    slices = [answer[a:b] for a, b in zip([0, *cuts], [*cuts, len(answer)], strict=True)]
    assert read(*slices) == read(answer)
