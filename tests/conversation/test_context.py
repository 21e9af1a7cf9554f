"""What a model is shown: always legal, always within its window, the newest kept."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.conversation.context import (
    PICTURE_TOKENS,
    Question,
    fit,
    halved,
    joined,
    marked,
    output_of,
    room_of,
    speaker_of,
    system_prompt,
    tokens,
    words,
)
from bot.messages import Address, Author, ChatKey, Message
from bot.ports import Entry, Line, ModelCard

TEXTS = st.text(max_size=300)
CARDS = st.builds(
    ModelCard,
    name=st.just("m"),
    vendor=st.just("glm"),
    kind=st.just("chat"),
    window=st.integers(0, 20_000),
    output=st.integers(0, 20_000),
    vision=st.booleans(),
    thinks=st.sampled_from(["never", "switch", "always"]),
)
FILES = st.lists(st.sampled_from(["a.png", "b.png"]), max_size=2, unique=True).map(tuple)
QUESTIONS = st.builds(Question, text=TEXTS, author=st.sampled_from(["", "Ann"]), files=FILES)


@st.composite
def histories(draw: st.DrawFn) -> list[Entry]:
    """Any sequence of entries, also those that a sound history never has."""
    entries = draw(
        st.lists(
            st.tuples(st.sampled_from(["user", "assistant"]), TEXTS, st.sampled_from(["", "Bob"]), FILES), max_size=12
        )
    )
    return [
        Entry(id=at, parent=at - 1 or None, turn=at, epoch=0, role=role, text=text, author=author, files=files)  # type: ignore[arg-type] # sampled from the two roles
        for at, (role, text, author, files) in enumerate(entries, 1)
    ]


def card(window: int = 8_000, *, vision: bool = False) -> ModelCard:
    return ModelCard(name="m", vendor="glm", kind="chat", window=window, output=1_000, vision=vision)


def talk(*texts: str, files: tuple[str, ...] = ()) -> list[Entry]:
    """Question, answer, question, answer …"""
    return [
        Entry(
            id=at, parent=at - 1 or None, turn=at, epoch=0, role="user" if at % 2 else "assistant", text=text,
            files=files if at % 2 else (),
        )
        for at, text in enumerate(texts, 1)
    ]  # fmt: skip


def shown(lines: Sequence[Line] | None) -> list[tuple[str, str]]:
    assert lines is not None
    return [(line.role, line.text) for line in lines[1:]]


# --- always ------------------------------------------------------------------------------------------------------------


@given(CARDS, TEXTS, histories(), QUESTIONS, st.integers(0, 10_000))
def test_a_prompt_is_legal_and_fits(
    model: ModelCard, system: str, history: list[Entry], question: Question, room: int
) -> None:
    lines = fit(model, system, history, question, room)
    if lines is None:
        assert fit(model, system, [], question, room) is None
        return
    assert [line.role for line in lines] == ["system", *(["user", "assistant"] * len(lines))][: len(lines)]
    assert lines[-1].role == "user"
    assert all(line.text or line.files or line is lines[-1] for line in lines[1:])
    assert sum(map(tokens, lines)) <= room
    assert model.vision or not any(line.files for line in lines)
    assert not any(line.files for line in lines if line.role != "user")


@given(CARDS, histories(), QUESTIONS, st.integers(0, 10_000))
def test_more_room_never_shows_less(model: ModelCard, history: list[Entry], question: Question, room: int) -> None:
    narrow, wide = fit(model, "", history, question, room), fit(model, "", history, question, room + 500)
    if narrow is not None:
        assert wide is not None
        assert sum(len(line.text) for line in wide) >= sum(len(line.text) for line in narrow)


@given(CARDS, histories(), QUESTIONS)
def test_half_a_prompt_is_legal_and_smaller(model: ModelCard, history: list[Entry], question: Question) -> None:
    lines = fit(model, "s", history, question, 1_000_000)
    assert lines is not None
    half = halved(lines)
    if half is None:
        assert len(lines) == 2
        return
    assert half[0] == lines[0]
    assert half[-1] == lines[-1]
    assert [line.role for line in half[1:]] == ["user", "assistant", *(["user", "assistant"] * len(half))][
        : len(half) - 1
    ]
    assert sum(map(tokens, half[1:])) < sum(map(tokens, lines[1:]))


@given(CARDS)
def test_prompt_and_answer_share_the_window(model: ModelCard) -> None:
    assert output_of(model) >= 1
    assert room_of(model) + output_of(model) == (model.window or 8_192)


@given(st.lists(st.text(max_size=200), max_size=5))
def test_joining_loses_no_word(texts: list[str]) -> None:
    together = joined([said(text) for text in texts])
    for text in texts:
        for word in text.encode("utf-8", "ignore").decode().replace("\0", "").split():
            assert word in together


@given(st.text())
def test_a_name_stays_on_one_line_and_speaks_for_nobody_else(name: str) -> None:
    assert ":" not in speaker_of(name)
    assert len(speaker_of(name).splitlines()) <= 1
    assert len(speaker_of(name)) <= 64


# --- what is shown -----------------------------------------------------------------------------------------------------


def test_the_newest_is_kept() -> None:
    history = talk("q1", "a1 " * 200, "q2", "a2")
    lines = fit(card(), "", history, Question("q3"), 60)
    assert shown(lines) == [("user", "q2"), ("assistant", "a2"), ("user", "q3")]


def test_an_answer_does_not_stay_without_its_question() -> None:
    lines = fit(card(), "", talk("q1 " * 200, "a1"), Question("q2"), 60)
    assert shown(lines) == [("user", "q2")]


def test_an_empty_answer_is_left_out_and_its_question_joins_the_next() -> None:
    lines = fit(card(), "", talk("q1", ""), Question("q2"), 1_000)
    assert shown(lines) == [("user", "q1\n\nq2")]


def test_speakers_are_named() -> None:
    lines = fit(card(), "", [], Question("hi", "Ann: and\nBob"), 1_000)
    assert shown(lines) == [("user", "Ann and Bob: hi")]


def test_a_drawing_is_told_in_words_not_as_a_command() -> None:
    lines = fit(card(), "", talk("/image a fox", "[picture: a fox]"), Question("nicer"), 1_000)
    assert shown(lines)[0] == ("user", "Draw a picture: a fox")


def test_only_the_last_pictures_are_shown_again() -> None:
    history = talk("q1", "a1", "q2", "a2", "q3", "a3", files=("fox.png",))
    lines = fit(card(60_000, vision=True), "", history, Question("q4"), 30_000)
    assert lines is not None
    assert [line.files for line in lines if line.role == "user"] == [(), ("fox.png",), ("fox.png",), ()]
    assert shown(lines)[0] == ("user", "[picture]\nq1")


def test_a_model_that_sees_nothing_is_told_of_pictures() -> None:
    lines = fit(card(), "", talk("what is it?", "a fox", files=("fox.png", "owl.png")), Question("sure?"), 1_000)
    assert shown(lines)[0] == ("user", "[picture]\n[picture]\nwhat is it?")


# --- estimates ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "least", "most"), [("喜鹊" * 50, 100, 110), ("magpie " * 50, 60, 125), ("сорока" * 10, 20, 60)]
)
def test_tokens_are_estimated_by_script(text: str, least: int, most: int) -> None:
    assert least <= tokens(Line("user", text)) <= most


def test_pictures_cost_tokens() -> None:
    assert tokens(Line("user", "", ("fox.png",))) >= PICTURE_TOKENS


def test_the_answer_of_a_huge_model_takes_no_huge_share() -> None:
    huge = ModelCard(name="m", vendor="glm", kind="chat", window=200_000, output=128_000)
    assert output_of(huge) == 8_192


# --- what was said -----------------------------------------------------------------------------------------------------


def said(text: str, quote: str = "", quoted: str = "") -> Message:
    here = Address(ChatKey("web", "1"))
    return Message(id="1", author=Author("1", "Ann"), address=here, text=text, at=0.0, quote=quote, quoted=quoted)


def test_the_pieces_of_a_long_paste_close_up() -> None:
    assert joined([said("a" * 4096), said("b" * 4096), said("c")]) == "a" * 4096 + "b" * 4096 + "c"


def test_a_cut_before_a_surrogate_pair_closes_up_too() -> None:
    assert joined([said("a" * 4095), said("😀 b")]) == "a" * 4095 + "😀 b"


def test_the_cut_is_counted_in_utf_16() -> None:
    assert joined([said("😀" * 2048), said("b")]) == "😀" * 2048 + "b"


def test_messages_stand_on_lines_of_their_own() -> None:
    assert joined([said("one"), said(""), said("two")]) == "one\ntwo"


def test_a_quote_comes_first() -> None:
    assert joined([said("so?", "line 1\nline 2", "Bob")]) == "> Bob: line 1\n> line 2\n\nso?"


# --- what is told ------------------------------------------------------------------------------------------------------


def test_the_system_prompt_tells_the_day_the_company_and_the_chats_instructions() -> None:
    told = system_prompt(date(2026, 11, 22), group=True, draws=True, instructions="Rhyme.")
    assert "Sunday, 2026-11-22" in told
    assert "Several people" in told
    assert "/image" in told
    assert told.endswith("\n\nRhyme.")


def test_a_mark_stands_outside_of_code() -> None:
    assert marked("text", "cut") == "\n\n*cut*"
    assert marked("```\ncode", "cut") == "\n```\n\n*cut*"
    assert marked("```\ncode\n```", "cut") == "\n\n*cut*"


def test_first_words_fit_a_line() -> None:
    assert words("a\nb") == "a b"
    assert len(words("word " * 100)) <= 60
