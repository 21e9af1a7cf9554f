"""Splitting Markdown: pieces fit, lose nothing, stay what they are while the text grows, and each is whole in itself."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bot.text import abridged, cells, clean, fence_after, newest, split, tables, well_formed

WORDS = ["word ", "一段中文文字。", "A sentence. ", "\n", "\n\n", "- item\n", "## Head\n", "x = 1\n", "a" * 90, "\t"]
MARKS = [
    "|",
    "`",
    "~",
    "[",
    "`code` ",
    "**bold words** ",
    "<@123456>",
    "[text](https://example.org/a/b)",
    "https://example.org/x ",
]
BLOCKS = ["```python\n", "```\n", "~~~\n", "````md\n", "| a | b |\n", "|---|---|\n", "| 1 | 2 |\n"]
LETTERS = ["👩\u200d👩\u200d👧\u200d👦", "🇩🇪", "e\u0301"]
BITS = st.sampled_from([*WORDS, *MARKS, *BLOCKS, *LETTERS])
MARKDOWN = st.lists(BITS | st.text(max_size=12), max_size=120).map("".join).map(well_formed)
LIMITS = st.integers(128, 400)


def shown(text: str, limit: int) -> list[str]:
    return [str(fragment) for fragment in split(text, limit)]


@given(MARKDOWN, LIMITS)
def test_every_piece_fits(text: str, limit: int) -> None:
    assert all(len(piece) <= limit for piece in shown(text, limit))


@given(MARKDOWN, LIMITS)
def test_nothing_is_lost_or_doubled(text: str, limit: int) -> None:
    assert "".join(fragment.body for fragment in split(text, limit)) == text


@settings(max_examples=300)
@given(MARKDOWN, st.lists(BITS, min_size=1, max_size=20).map("".join), LIMITS)
@example("```\n" + "x" * 118, "\n```", 128)
@example("a" * 116 + "\n``", "`", 128)
def test_more_text_changes_no_piece_but_the_last(text: str, more: str, limit: int) -> None:
    before, after = split(text, limit), split(text + more, limit)
    assert len(after) >= len(before)
    assert after[: len(before) - 1] == before[:-1]


@given(MARKDOWN, LIMITS)
def test_every_piece_closes_the_code_that_it_opens(text: str, limit: int) -> None:
    for piece in shown(text, limit):
        fence = ""
        for line in piece.split("\n"):
            fence = fence_after(fence, line)
        assert fence == ""


@given(st.text(alphabet=st.characters(), max_size=300))
def test_no_text_whatever_breaks_it(text: str) -> None:
    pieces = split(well_formed(text), 128)
    "".join(str(piece) for piece in pieces).encode()  # which no text with half a character allows
    assert "".join(piece.body for piece in pieces) == well_formed(text)


def test_a_short_text_stays_as_it_is() -> None:
    assert shown("Hello **you**.", 2000) == ["Hello **you**."]
    assert shown("", 2000) == [""]


def test_code_goes_on_in_its_language() -> None:
    code = "```python\n" + "".join(f"line_{n} = {n}\n" for n in range(40)) + "```\nDone."
    first, second, *_ = shown(code, 300)
    assert first.startswith("```python\nline_0")
    assert first.endswith("\n```")
    assert second.startswith("```python\nline_")


def test_a_table_goes_on_under_its_header_and_no_row_is_torn() -> None:
    rows = [f"| row {n} | {'x' * 20} |" for n in range(20)]
    pieces = shown("\n".join(["| name | value |", "|------|-------|", *rows]), 250)
    assert len(pieces) > 1
    assert all(piece.startswith("| name | value |\n|------|-------|\n| row") for piece in pieces)
    assert [line for piece in pieces for line in piece.split("\n") if line.startswith("| row")] == rows


@pytest.mark.parametrize(
    ("text", "end"),
    [
        ("a " * 60 + "\n\n" + "b " * 60, "a \n\n"),  # a block rather than a word
        ("a " * 60 + "\n# Head\n" + "b " * 60, "a \n"),  # a heading stays with what it heads
        ("a " * 60 + "\n\n# Head\n\n" + "b " * 60, "a \n\n"),
        ("- one two\n" * 40, "two\n"),  # a list between its items
        ("Some words here. " * 30, "here."),  # a paragraph between its sentences
        ("这是一个很长的句子没有空格。" * 30, "。"),
        ("word " * 60, "word "),
    ],
)
def test_it_cuts_where_a_reader_would(text: str, end: str) -> None:
    assert split(text, 160)[0].body.endswith(end)


@pytest.mark.parametrize("unit", ["👩‍👩‍👧‍👦", "🇩🇪", "👍🏽", "e\u0301", "각", "❤️"])
def test_no_character_is_torn(unit: str) -> None:
    for shift in range(len(unit)):
        for fragment in split("x" * shift + unit * 200, 128)[:-1]:
            assert (len(fragment.body.lstrip("x"))) % len(unit) == 0


@pytest.mark.parametrize(
    "link", ["[some text](https://example.org/a_b?c=d)", "https://example.org/a/b/c?d=e", "<@123456789012345678>"]
)
def test_no_link_is_torn(link: str) -> None:
    for shift in range(60):
        pieces = shown("字" * (60 + shift) + link + "字" * 300, 128)
        assert sum(link in piece for piece in pieces) == 1


def test_broken_surrogates_are_mended_and_a_half_at_the_end_is_held_back() -> None:
    assert well_formed("a\ud83d\ude00b") == "a😀b"
    assert well_formed("a\ud83db\udc00c") == "a\ufffdb\ufffdc"
    assert well_formed("abc\ud83d") == "abc"
    assert well_formed("a\0b\r\nc\rd") == "ab\nc\nd"


def test_text_is_made_fit_for_every_wire_and_store() -> None:
    assert clean("\ud83d\ude00 \ud800 end \ud83d") == "😀 \ufffd end \ufffd"
    assert clean("a\0b") == "a\ufffdb" and clean("喜\0鹊") == "喜\ufffd鹊"


@given(st.text())
def test_text_that_is_fit_stays_the_same_object(text: str) -> None:
    if "\0" not in text:
        assert clean(text) is text


def test_tables_in_code_are_code() -> None:
    lines = ["| a |", "|---|", "| 1 |", "", "```", "| b |", "|---|", "```", "| c |", "no delimiter"]
    assert list(tables(lines)) == [(0, 3)]


@pytest.mark.parametrize("prefix", ["", "> ", "- ", "1. "])
def test_short_rows_of_a_table_count_as_many_cells_as_its_header(prefix: str) -> None:
    rows = [f"{prefix}{'a|' * 100}", f"{prefix}{'-|' * 100}", *["1", "\u3000"] * 50]
    assert all(10_000 <= cells(end.join(rows)) < 11_000 for end in ("\n", "\r\n", "\r"))
    assert cells("\n".join([*rows, "", *["no row"] * 100])) == cells("\n".join(rows))


def test_what_is_no_table_has_no_cells() -> None:
    assert cells("") == cells("a | b\n---\n- c\n") == cells("1\n" * 10_000) == 0


@given(MARKDOWN, st.lists(BITS, max_size=20).map("".join), LIMITS)
def test_another_limit_for_the_first_fragment_changes_no_other_rule(text: str, more: str, limit: int) -> None:
    fragments = split(text, 400, limit)
    assert "".join(fragment.body for fragment in fragments) == text
    assert all(len(str(fragment)) <= (400 if number else limit) for number, fragment in enumerate(fragments))
    assert split(text + well_formed(more), 400, limit)[: len(fragments) - 1] == fragments[:-1]


@given(st.text() | MARKDOWN, st.integers(40, 400))
def test_an_abridged_text_keeps_its_beginning_and_end_and_fits(text: str, limit: int) -> None:
    double = abridged(text, limit, lambda character: 1 + (character > "m"))
    assert sum(1 + (character > "m") for character in double) <= limit
    short = abridged(text, limit)
    assert len(short) <= limit
    if short != text:
        head, _, tail = short.partition("\n[…]\n")
        assert text.startswith(head)
        assert text.endswith(tail)


def test_what_is_cut_short_begins_and_ends_with_whole_words() -> None:
    assert abridged("one two three four five six seven eight", 30) == "one two\n[…]\nseven eight"
    assert newest("one two three four", 12) == "… three four"
    assert newest("one two", 12) == "one two"
