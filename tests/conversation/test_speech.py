"""What of an answer is said aloud, and in which portions. How it is heard and spoken is seen in `test_walk_voice.py`."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.conversation.speech import MOST_AT_ONCE, MOST_SPOKEN, is_recording, pieces, quote, speakable
from bot.messages import Attachment


@pytest.mark.parametrize(
    ("markdown", "said"),
    [
        ("**Paris** is *the* capital.", "Paris is the capital."),
        ("# Heading\n\nText", "Heading. Text"),
        ("- one\n- two\n- [x] three", "one. two. three"),
        ("> quoted\n\nand said", "quoted. and said"),
        ("See [the page](https://example.com/a_b) for `code`.", "See the page for code."),
        ("Look: https://example.com/x?y=1 there", "Look: there"),
        ("Before\n\n```py\nprint('never said')\n```\n\nAfter", "Before. After"),
        ("Before\n\n```py\nnever closed", "Before."),
        ("| a | b |\n|---|---|\n| 1 | 2 |", "a, b. 1, 2"),
        ("Rome[1] fell.[12]", "Rome fell."),
        ("snake_case stays, _this_ does not", "snake_case stays, this does not"),
        ("你好。**世界**！", "你好。世界！"),
        ("第一行\n第二行", "第一行. 第二行"),
        ("```\nonly code\n```", ""),
        ("---", ""),
        ("", ""),
    ],
)
def test_what_is_said_of_an_answer(markdown: str, said: str) -> None:
    assert speakable(markdown) == said


def test_nobody_listens_for_ever() -> None:
    said = speakable("This is a sentence. " * 200)
    assert len(said) <= MOST_SPOKEN
    assert said.endswith("sentence.…")


@pytest.mark.parametrize(
    "mark", ["[", "[a](", "`", "```\n", "| ", " ", "- x\n", "_", "-", "a\n", "\u3000\n", "[12", "http://", "*", "<"]
)
def test_a_row_of_marks_without_end_holds_nobody_up(mark: str) -> None:
    began = time.process_time()
    pieces(speakable(f"a{mark * (60_000 // len(mark))}b"))
    pieces(speakable(f"{mark * (60_000 // len(mark))}x"))
    assert time.process_time() - began < 1.0, "it took a minute once"


def test_portions_end_with_sentences() -> None:
    text = speakable("This is a sentence. " * 45)
    portions = pieces(text)
    assert len(portions) == 2
    assert all(portion.endswith(".") for portion in portions)
    assert " ".join(portions) == text


@given(st.text(alphabet="ab 。.!?\n*_|`[]()#>-中", max_size=3_000))
def test_every_portion_is_what_a_vendor_takes(markdown: str) -> None:
    said = speakable(markdown)
    assert len(said) <= MOST_SPOKEN
    assert all(portion.strip() and len(portion) <= MOST_AT_ONCE for portion in pieces(said))
    assert "`" not in said


@given(st.text(max_size=3_000))
def test_a_quote_is_one_paragraph(text: str) -> None:
    lines = quote(text).splitlines()
    assert bool(lines) is bool(text.strip())
    assert all(line.startswith("> 🎤 ") for line in lines)


def test_what_is_a_recording() -> None:
    assert is_recording(Attachment("voice", "x"))
    assert is_recording(Attachment("file", "x", "song.mp3", "audio/mpeg"))
    assert not is_recording(Attachment("file", "x", "notes.txt", "text/plain"))
    assert not is_recording(Attachment("video", "x", "", "video/mp4"))
