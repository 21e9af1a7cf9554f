"""Markdown as Telegram shows it: whatever a model writes, and wherever it is cut off, can be sent and loses no word."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.messages import Media, Piece
from bot.platforms.telegram_layout import THOUGHTS, caption, layout
from bot.platforms.telegram_text import units
from bot.text import columns
from tests.servers.telegram_rules import MAX_TEXT, check_utf8, formatted, is_blank


def entities(piece: Piece) -> list[dict[str, Any]]:
    return json.loads(piece.marks) if piece.marks else []


def styled(piece: Piece) -> list[tuple[str, str]]:
    """(kind, text) of each entity, as Telegram reads its offsets."""
    data = piece.body.encode("utf-16-le")
    return [
        (one["type"], data[2 * one["offset"] : 2 * (one["offset"] + one["length"])].decode("utf-16-le"))
        for one in entities(piece)
    ]


def check(piece: Piece) -> None:
    """What the stand-in accepts, and what it would drop or change without a word."""
    marks = entities(piece)
    check_utf8(piece.body)
    text, stored = formatted(piece.body, marks, MAX_TEXT, "too long")
    assert text == piece.body, "Telegram would change the text"
    assert not is_blank(text)
    assert len(marks) <= 100
    assert len(stored) == len(marks), "Telegram would drop an entity"
    spans = [(one["offset"], one["offset"] + one["length"], one["type"]) for one in marks]
    for number, (start, end, kind) in enumerate(spans):
        for other_start, other_end, _ in spans[number + 1 :]:
            inside = start <= other_start and other_end <= end
            assert other_start >= end or inside, "entities cross"
            assert not (inside and kind in ("code", "pre")), "an entity inside code"


def words(text: str) -> list[str]:
    return re.findall(r"w\d+w", text)


TOKENS = st.sampled_from(
    [
        *(
            "*",
            "**",
            "***",
            "_",
            "__",
            "~~",
            "`",
            "``",
            "```",
            "~~~",
            "||",
            "|",
            "---",
            "===",
            "# ",
            "## ",
            "> ",
            "- ",
            "+ ",
        ),
        *(
            "1. ",
            "[",
            "]",
            "(",
            ")",
            "](",
            "http://a.b",
            "<b>",
            "</b>",
            "<!--",
            "$",
            "$$",
            "\\",
            "\\(",
            "&",
            "&amp;",
            "!",
        ),
        *(
            "：**",
            "**“",
            "中文",
            "重点",
            "😀",
            "👩\u200d👩\u200d👧",
            "e\u0301",
            "\u202e",
            "\x00",
            "\x07",
            "\ud83d",
            "\udc4d",
        ),
        *("\u200b", "[^1]", "[x]:", "]:", ",", " ", "  ", "    ", "\n", "\n\n", "\t", "\r\n", "\n```py\n", "\n```\n"),
        *("\n| a | b |\n|---|---|\n", "| x | y |\n"),
    ]
)
SOUP = st.lists(st.one_of(TOKENS, st.integers(0, 9999).map(lambda n: f"w{n}w")), max_size=60).map("".join)
BLOCK = st.sampled_from(
    [
        "A paragraph of **bold** words and `code`, w1w. " * 8 + "\n\n",
        "这是一段中文，**重点：**在这里。" * 30 + "\n\n",
        "```python\n" + "def f(a_b, *c):  # w2w\n    return a_b ** 2\n" * 20 + "```\n",
        "```\n" + "x" * 300 + "\n" * 3,
        "| name | price |\n|---|---|\n" + "| a thing w3w | **9** |\n" * 40 + "\n",
        "- item *one*\n  - item w4w\n" * 25,
        "# Head w5w\n\n> quoted _words_\n\n",
        "😀👍🏽" * 200,
        "no spaces " + "y" * 900 + " ",
        "__init__ <div>w6w</div> [link](http://a.b/c_d) " * 12 + "\n",
        "**b** `c` " * 60 + "\n",
    ]
)
LONG = st.lists(st.one_of(BLOCK, SOUP), max_size=30).map("".join)


@given(SOUP)
@settings(max_examples=400)
def test_any_soup_of_markup_can_be_sent(text: str) -> None:
    for piece in layout(text):
        check(piece)


@given(LONG)
@settings(max_examples=60)
def test_long_answers_come_in_messages_that_can_be_sent(text: str) -> None:
    for piece in layout(text):
        check(piece)


@given(LONG, st.data())
@settings(max_examples=80)
def test_a_message_never_changes_once_the_next_one_exists(text: str, data: st.DataObject) -> None:
    shown: tuple[Piece, ...] = ()
    cuts = data.draw(st.lists(st.integers(0, len(text)), max_size=12))
    for end in sorted((*cuts, len(text))):
        now = layout(text[:end])
        settled = shown[:-1]
        assert now[: len(settled)] == settled
        shown = now


@given(
    st.lists(
        st.sampled_from(["w1w", "w2w", "w3w", "**w4w**", "`w5w`", "<b>w6w</b>", "\n", "\n\n", "- ", "| "]),
        max_size=3000,
    )
)
@settings(max_examples=60)
def test_no_word_is_lost(tokens: list[str]) -> None:
    text = " ".join(tokens)
    assert words(" ".join(piece.body for piece in layout(text))) == words(text)


@given(st.text(max_size=9000))
@settings(max_examples=60)
def test_plain_text_is_shown_as_it_is(text: str) -> None:
    text = re.sub(r"[^\w\s，。😀]|\s[-+\d=]|^[-+\d=]|_|  |\t", "x", text)
    visible = "".join("".join(piece.body for piece in layout(text)).split()).replace("…", "")
    assert visible == "".join(re.sub("[\x00-\x1f\u2028-\u202e]", " ", text).split())


def test_every_prefix_of_a_streamed_answer_can_be_shown() -> None:
    answer = (
        "# Title\n\nSome **bold** and `code`.\n\n```py\nprint('hi')\n```\n\n| a | b |\n|---|---|\n| 1 | **2** |\n\n"
        "> quote\n\n- [x] done\n1. one\n   - nested\n\n$x^2$ <think>hm</think> [l](http://a.b/c_(d)) 重点**：这**是😀 ~~no~~"
    )
    for end in range(len(answer) + 1):
        for piece in layout(answer[:end]):
            check(piece)


def test_markup_becomes_entities() -> None:
    (piece,) = layout("# Head\n\n**bold** `code` [link](https://a.b/c)\n\n```py\nx = 1\n```")
    assert piece.body == "Head\n\nbold code link\n\nx = 1"
    assert styled(piece) == [
        ("bold", "Head"),
        ("bold", "bold"),
        ("code", "code"),
        ("text_link", "link"),
        ("pre", "x = 1"),
    ]
    assert entities(piece)[-1]["language"] == "py"


def test_html_tags_and_link_definitions_stay_visible() -> None:
    (piece,) = layout("<think>hm</think> `<i>`\n\n[1]: a note\n\n<https://a.b>")
    assert piece.body == "<think>hm</think> <i>\n\n[1]: a note\n\nhttps://a.b"


def test_bold_text_with_chinese_punctuation_is_bold() -> None:
    (piece,) = layout("**重点：**这是**“关键”**的")
    assert [text for _, text in styled(piece)] == ["重点：", "“关键”"]


@pytest.mark.parametrize(
    "url",
    ["javascript:alert(1)", "file:///etc/passwd", "/relative", "http://localhost:8000", "http://[", "data:text/html,x"],
)
def test_links_that_telegram_would_refuse_are_plain(url: str) -> None:
    (piece,) = layout(f"[here]({url}) **x**")
    assert piece.body == "here x"
    assert "text_link" not in piece.marks


def test_the_limit_counts_utf16_units() -> None:
    assert [units(piece.body) for piece in layout("a" * 4096)] == [4096]
    assert [units(piece.body) for piece in layout("a" * 4097)] == [4096, 1]
    pieces = layout("😀" * 10_000)
    assert [units(piece.body) for piece in pieces] == [4096] * 4 + [3616]
    assert "".join(piece.body for piece in pieces) == "😀" * 10_000


def test_a_cut_code_block_goes_on_as_one_of_the_same_language() -> None:
    pieces = layout("```rust\n" + "let x = 1;\n" * 1000 + "```\n\nand then")
    assert len(pieces) == 3
    for piece in pieces:
        assert entities(piece)[0] | {"length": 0} == {"type": "pre", "offset": 0, "length": 0, "language": "rust"}
    assert pieces[-1].body.endswith("and then")
    assert sum(piece.body.count("let x = 1;") for piece in pieces) == 1000


def test_a_cut_table_goes_on_under_its_header() -> None:
    pieces = layout("| city | people |\n|---|---|\n" + "| Hangzhou | 12000000 |\n" * 400)
    assert len(pieces) > 1
    assert all(piece.body.startswith("city") for piece in pieces)


def test_a_tables_columns_stand_below_each_other_whatever_is_written_in_them() -> None:
    rows = ["| 平台 | 流式 |", "|---|---|", "| Telegram | **编辑**消息 |", "| 网页 | [推送](https://a.b/推) |"]
    (piece,) = layout("\n".join(["**表格**", "", *rows, "", "**好**"]))
    check(piece)
    assert [kind for kind, _ in styled(piece)] == ["bold", "pre", "bold"]
    (_, title), (_, table), (_, end) = styled(piece)
    assert (title, end) == ("表格", "好")
    cells = [re.split(r"[|+]", row) for row in table.split("\n")]
    assert {columns(first) for first, _ in cells} == {9}
    assert [second.strip() for _, second in cells] == ["流式", "---------", "编辑消息", "推送"]


def test_a_table_that_grows_beyond_a_message_is_shown_as_it_was_written() -> None:
    (piece,) = layout("| a | b |\n|---|---|\n" + "| 1 | 2 |\n" * 100 + f"| {'x' * 200} | 3 |")
    check(piece)
    assert piece.body.startswith("| a | b |")


def test_dense_formatting_moves_on_to_the_next_message_in_time() -> None:
    pieces = layout("**b** and `c` in a line\n" * 150)
    assert len(pieces) > 1
    for piece in pieces:
        assert len(entities(piece)) == 2 * piece.body.count("b and c")


@pytest.mark.parametrize(
    "text", ["", " \n", "\u200b\u200d", "<!-- -->", "```\n```", "[](http://a.b)", "\x00", "\ud800"]
)
def test_what_shows_nothing_still_makes_a_message(text: str) -> None:
    (piece,) = layout(text)
    check(piece)


def test_halves_of_surrogate_pairs_and_control_characters_are_replaced() -> None:
    (piece,) = layout("a\ud83d\ude00b\ud83dc\x00d\x1be\u202ef\rg **x**")
    assert piece.body == "a😀b\ufffdcd e" + "f\ng x"


def test_a_huge_paste_is_laid_out_in_bounded_time() -> None:
    pieces = layout("一些文字 and **words** `here`\n" * 8000)
    assert sum(piece.body.count("words") for piece in pieces) == 8000


def test_a_caption_is_shortened_with_its_entities() -> None:
    (piece,) = layout("**" + "😀" * 600 + "** end")
    text, marks = caption(replace(piece, media=Media("f.png", "image/png", "x")))
    assert units(text) <= 1024
    assert text.endswith("…")
    formatted(text, json.loads(marks), 1024, "too long")


def test_a_picture_without_a_caption_has_none() -> None:
    (piece,) = layout("")
    assert caption(replace(piece, media=Media("f.png", "image/png"))) == ("", "")


# --- thoughts ----------------------------------------------------------------------------------------------------------


@given(st.one_of(SOUP, LONG, st.text(max_size=6000)), st.one_of(SOUP, LONG), st.booleans())
@settings(max_examples=150)
def test_whatever_is_thought_can_be_sent_above_whatever_is_said(thoughts: str, text: str, thinking: bool) -> None:
    pieces = layout(text, thoughts, thinking)
    for piece in pieces:
        check(piece)
    quotes = [one for one in entities(pieces[0]) if one["offset"] == 0 and one["type"].endswith("blockquote")]
    assert all(one["length"] < THOUGHTS for one in quotes[:1])


@given(LONG, st.one_of(SOUP, LONG), st.data())
@settings(max_examples=60)
def test_a_message_below_thoughts_never_changes_once_the_next_one_exists(
    text: str, thoughts: str, data: st.DataObject
) -> None:
    shown: tuple[Piece, ...] = ()
    for end in sorted((*data.draw(st.lists(st.integers(0, len(text)), max_size=8)), len(text))):
        now = layout(text[:end], thoughts)
        settled = shown[:-1]
        assert now[: len(settled)] == settled
        shown = now


def test_thoughts_are_quoted_as_plain_text_and_folded_once_they_are_complete() -> None:
    said = "💭 *hm* [so](http://a.b) <i>"
    (piece,) = layout("**yes**", said[2:])
    assert styled(piece) == [("expandable_blockquote", said), ("bold", "yes")]
    assert piece.body == f"{said}\nyes"
    (piece,) = layout("thinking …", said[2:], True)
    assert styled(piece) == [("blockquote", said)]


def test_thoughts_alone_are_a_message_and_blank_ones_are_none() -> None:
    (piece,) = layout("", "hm")
    assert styled(piece) == [("expandable_blockquote", "💭 hm")]
    assert layout("so", " \u200b\n") == layout("so")


def test_long_thoughts_keep_their_beginning_and_their_end() -> None:
    pieces = layout("😀" * 4000, f"first {'😀 words ' * 2000}last")
    quote = styled(pieces[0])[0][1]
    assert quote.startswith("💭 first")
    assert quote.endswith("last")
    assert "\n[…]\n" in quote
    assert THOUGHTS - 200 < units(quote) < THOUGHTS
    assert [units(piece.body) > 4000 for piece in pieces] == [True, True, False]


def test_a_message_full_of_formats_keeps_the_quote() -> None:
    (piece,) = layout("`c` " * 99 + "`d`", "hm")
    assert [kind for kind, _ in styled(piece)] == ["expandable_blockquote", *["code"] * 99]
