"""Markdown as Discord shows it: pieces that fit, tables that can be read, and nothing that changes behind a reader's back."""

from hypothesis import given, settings
from hypothesis import strategies as st

from bot.messages import Piece
from bot.platforms.discord_layout import LIMIT, THOUGHTS, layout, render, subtext
from bot.text import columns

ROW = "| one | two | three four five |\n"
TEXTS = [
    "Some words in a sentence. ",
    "一段中文。",
    "\n",
    "\n\n",
    "- item\n",
    "#### Head\n",
    "x = 1\n",
    "word " * 100,
    "x" * 700,
]
MARKS = ["```py\n", "```\n", "~~~\n", "````\n", "`", "||", "@everyone ", "![a](https://example.org/x.png)"]
TABLES = ["| a | b |\n|---|---|\n", ROW, ROW * 20, "| 长 | 一二三 |\n"]
BITS = st.sampled_from([*TEXTS, *MARKS, *TABLES, "\ud83d", "\ude00", "\0", "\r\n"])
MARKDOWN = st.lists(BITS, max_size=60).map("".join)


def bodies(markdown: str) -> list[str]:
    return [piece.body for piece in layout(markdown)]


@given(MARKDOWN)
def test_there_is_a_piece_and_each_fits(markdown: str) -> None:
    pieces = bodies(markdown)
    assert pieces
    assert all(0 < len(piece.strip()) <= len(piece) <= LIMIT for piece in pieces)
    assert all(piece.encode() for piece in pieces)


@settings(max_examples=200)
@given(MARKDOWN, st.lists(BITS, min_size=1, max_size=10).map("".join))
def test_more_text_changes_no_piece_but_the_last(markdown: str, more: str) -> None:
    before, after = bodies(markdown), bodies(markdown + more)
    assert after[: len(before) - 1] == before[:-1]


def test_an_answer_as_it_grows_keeps_its_first_messages() -> None:
    code = "".join(f"    print({number})\n" for number in range(60))
    answer = (
        "Some words. " * 40 + "\n\n```python\ndef f():\n" + code + "```\n\n| a | b |\n|--|--|\n" + "| 1 | 2 |\n" * 20
    ) * 4
    last = bodies("")
    for end in range(0, len(answer), 50):
        pieces = bodies(answer[:end])
        assert pieces[: len(last) - 1] == last[:-1]
        last = pieces
    assert len(last) > 3


def test_nothing_to_say_is_still_a_message() -> None:
    assert bodies("") == bodies(" \n\0 ") == ["…"]


def test_a_narrow_table_stands_in_columns() -> None:
    table = "Prices:\n\n| 模型 | price |\n|---|--:|\n| **glm** | 1 |\n| qwen-plus | `0.8` |\n\nThat is all."
    assert render(table) == (
        "Prices:\n\n```\n模型       price\n─────────  ─────\nglm        1\nqwen-plus  0.8\n```\n\nThat is all."
    )


def test_a_wide_table_becomes_a_list() -> None:
    table = f"| name | what it does |\n|---|---|\n| a | {'long words ' * 6}|\n| b | short |"
    assert render(table) == f"- **a** · what it does: {'long words ' * 6}".rstrip() + "\n- **b** · what it does: short"


def test_links_in_a_table_stay_links() -> None:
    assert render("| a | b |\n|---|---|\n| x | [y](https://example.org) |") == "- **x** · b: [y](https://example.org)"


def test_a_table_without_room_stays_as_it_was_written() -> None:
    table = "| a long header | another long header |\n|---|---|\n" + "| 1 | 2 |\n" * 150
    text = table + "x" * (LIMIT - len(table))
    assert render(text) == text


def test_pipes_in_cells_stay_in_their_cells() -> None:
    assert render("| a | b |\n|---|---|\n| x \\| y | z |") == "```\na      b\n─────  ─\nx | y  z\n```"


def test_deep_headings_and_pictures_are_flattened_outside_of_code_only() -> None:
    text = "##### Head\n![alt](https://example.org/x.png)\n```\n##### code\n```"
    assert render(text) == "### Head\n[alt](https://example.org/x.png)\n```\n##### code\n```"


def test_only_fences_that_discord_knows_are_left() -> None:
    assert render("~~~py\nx\n~~~") == "```py\nx\n```"
    assert render("````md\n```\nx\n```\n````") == "```md\n`\u200b``\nx\n`\u200b``\n```"


def test_width_counts_columns() -> None:
    assert [columns(text) for text in ("abc", "模型", "e\u0301", "ａ")] == [3, 4, 1, 2]


# --- thoughts ----------------------------------------------------------------------------------------------------------


@settings(max_examples=200)
@given(st.one_of(MARKDOWN, st.text(max_size=3000)), MARKDOWN)
def test_thoughts_fit_above_the_first_message(thoughts: str, markdown: str) -> None:
    pieces = [piece.body for piece in layout(markdown, thoughts)]
    assert all(0 < len(piece.strip()) <= len(piece) <= LIMIT for piece in pieces)
    above = subtext(thoughts)
    assert len(above) <= THOUGHTS
    assert pieces[0].startswith(above.rstrip())
    assert all(line.startswith("-# ") for line in above.removesuffix("\n").split("\n") if above)


@settings(max_examples=200)
@given(MARKDOWN, MARKDOWN, st.lists(BITS, min_size=1, max_size=10).map("".join))
def test_more_text_below_thoughts_changes_no_piece_but_the_last(thoughts: str, markdown: str, more: str) -> None:
    before, after = layout(markdown, thoughts), layout(markdown + more, thoughts)
    assert after[: len(before) - 1] == before[:-1]


def test_thoughts_are_small_plain_lines() -> None:
    (piece,) = layout("**yes**", "one *two*\n\n  # <@123> @everyone https://a.b\n")
    assert piece.body == ("-# 💭 one \\*two\\*\n-# \\# \\<\\@123\\> \\@everyone https\\://a.b\n**yes**")


def test_thoughts_alone_are_a_message_and_blank_ones_are_none() -> None:
    assert layout("", "hm") == (Piece("-# 💭 hm"),)
    assert layout("so", " \n ") == layout("so")


def test_long_thoughts_keep_their_beginning_and_their_end() -> None:
    (piece,) = layout("x" * 700, f"first {'*_words_* ' * 500}\nlast")
    above, _, text = piece.body.rpartition("\n")
    assert text == "x" * 700
    assert above.startswith("-# 💭 first")
    assert above.endswith("\n-# last")
    assert "\n-# \\[…\\]\n" in above
    assert THOUGHTS - 100 < len(above) <= THOUGHTS
