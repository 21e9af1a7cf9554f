"""Cutting a long text into parts."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.documents.parts import parts

texts = st.lists(
    st.sampled_from(
        ["[page 1]", "[slide 22]", "# Title", "A word.", "一句话。", "x" * 30, " ", "\n", "\n\n", "\t", "é"]
    )
).map("".join) | st.text(max_size=300)


def without_space(text: str) -> str:
    return "".join(text.split())


@given(texts, st.integers(1, 80))
def test_nothing_is_lost_but_white_space(text: str, size: int) -> None:
    assert without_space("".join(parts(text, size))) == without_space(text)


@given(texts, st.integers(1, 80))
def test_no_part_is_too_long_or_empty(text: str, size: int) -> None:
    assert all(0 < len(part) <= size for part in parts(text, size))


@given(texts, st.integers(1, 80))
def test_what_stands_within_a_part_is_not_touched(text: str, size: int) -> None:
    at = 0
    for part in parts(text, size):
        at = text.index(part, at) + len(part)


def test_a_short_text_is_one_part_and_an_empty_one_none() -> None:
    assert parts("one\n\ntwo", 100) == ["one\n\ntwo"]
    assert parts(" \n", 100) == []


def test_a_mark_of_a_page_is_the_best_place() -> None:
    page = "\n\n".join(f"Paragraph {number} of this page." for number in range(6))
    text = "\n\n".join(f"[page {number}]\n{page}" for number in range(1, 7))

    found = parts(text, 2 * len(page) + 60)

    assert len(found) == 3
    assert all(re.match(r"\[page [135]\]\n", part) for part in found)


def test_then_paragraphs_then_sentences_then_words() -> None:
    assert parts("one two\n\nthree four", 12) == ["one two", "three four"]
    assert parts("One is. Two are here.", 12) == ["One is.", "Two are", "here."]
    assert parts("一二三四。五六七八", 6) == ["一二三四。", "五六七八"]
    assert parts("aaaa bbbb cccc", 10) == ["aaaa bbbb", "cccc"]
    assert parts("abcdefghij", 4) == ["abcd", "efgh", "ij"]


def test_a_part_is_at_least_half_full() -> None:
    assert parts("a\n\n" + "b c " * 10, 18)[0] == "a\n\n" + "b c " * 3 + "b c"


def test_a_size_that_is_none() -> None:
    with pytest.raises(ValueError, match="0 characters"):
        parts("text", 0)
