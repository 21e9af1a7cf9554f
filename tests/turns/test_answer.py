"""The state of one answer: whatever parts come, in whatever order, what is shown is what they add up to."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from bot.messages import Button, Buttons, Choice, Finish, Finished, Media, Notice, Part, Piece, Text, Thought, Withdraw
from bot.turns.answer import CURSOR, GLIMPSE, LONGEST_WITH_CURSOR, SETTLED, TEASER, Answer, teaser

WIDTH = 7
STOP = Button("Stop", "stop.1")
FOX = Media("fox.png", "image/png", caption="a fox")
THINKING = "thinking"


def layout(markdown: str, thoughts: str = "", thinking: bool = False, /) -> tuple[Piece, ...]:
    """Prefix-stable, and at least one piece, as every platform's is. The thoughts are the marks of the first one."""
    starts = range(0, max(1, len(markdown)), WIDTH)
    first, *rest = [Piece(markdown[start : start + WIDTH]) for start in starts]
    return (replace(first, marks=f"{thoughts}{' …' if thinking else ''}" if thoughts else ""), *rest)


def answer_of(*parts: Part) -> Answer:
    answer = Answer(THINKING)
    for part in parts:
        answer.add(part)
    return answer


def bodies(answer: Answer, slot: int = 0) -> list[str]:
    return [piece.body for place, piece in sorted(answer.final(layout, {}).items()) if place[0] == slot]


# --- one by one --------------------------------------------------------------------------------------------------------


def test_nothing_is_shown_of_nothing() -> None:
    assert answer_of().preview(layout, STOP) == {}
    assert answer_of().final(layout, {}) == {}
    assert answer_of(Text(" \n")).preview(layout, STOP) == {}
    assert answer_of(Text(" \n")).final(layout, {}) == {}


def test_what_has_no_caption_stands_without_a_word() -> None:
    def signed(markdown: str, thoughts: str = "", thinking: bool = False, /) -> tuple[Piece, ...]:
        return layout(markdown or "…", thoughts, thinking)  # as where an empty message is refused

    bare = replace(FOX, caption="")
    assert answer_of(FOX, bare).final(signed, {}) == {(0, 0): Piece("a fox", media=FOX), (0, 1): Piece("", media=bare)}


def test_that_it_thinks_is_said_until_there_is_text_and_never_in_the_end() -> None:
    thought = answer_of(Thought("hm"))
    assert "".join(piece.body for _, piece in sorted(thought.preview(layout, STOP).items())) == THINKING + CURSOR
    assert thought.final(layout, {}) == {(0, 0): Piece("", marks="hm")}
    assert bodies(answer_of(Thought("hm"), Text("so"))) == ["so"]
    assert answer_of(Thought(" \n")).final(layout, {}) == {}


def test_the_newest_thoughts_are_shown_as_they_come_and_all_of_them_above_the_answer() -> None:
    answer = answer_of(Thought("first "), Thought("word " * GLIMPSE), Thought("last"))
    shown = answer.preview(layout, STOP)[0, 0].marks
    assert shown.endswith("word last …")
    assert "first" not in shown
    assert len(shown) < GLIMPSE + 10
    answer.add(Text("so"))
    whole = f"first {'word ' * GLIMPSE}last"
    assert answer.preview(layout, STOP)[0, 0] == Piece("so" + CURSOR, whole, buttons=((STOP,),))
    assert answer.final(layout, {}) == {(0, 0): Piece("so", whole)}


def test_lines_in_front_of_the_answer_are_shown_and_are_nothing_that_it_said() -> None:
    answer = answer_of(Text("*Another model answers.*\n\n", aside=True), Text("Yes, "), Text("it is."))
    assert answer.text == "*Another model answers.*\n\nYes, it is."
    assert answer.said == "Yes, it is."
    assert answer_of(Text("*Aside.*", aside=True)).said == answer_of(Withdraw()).said == ""


def test_thoughts_are_no_part_of_the_answer() -> None:
    answer = answer_of(Thought("a"), Text("b"), Thought("c"), Text("d"), Finished(reason=Finish.STOP))
    assert answer.text == "bd"


def test_thoughts_of_another_try_are_another_paragraph() -> None:
    answer = answer_of(Thought("a"), Thought("b"), Notice("again"), Thought("c"), Thought("d"), Text("so"))
    assert answer.final(layout, {}) == {(0, 0): Piece("so", "ab\n\ncd")}


def test_thoughts_may_come_after_a_line_to_people_but_not_above_half_an_answer() -> None:
    answer = answer_of(Text("*Aside.*"), Thought("hm"), Text("x" * SETTLED), Thought("more"))
    assert answer.final(layout, {})[0, 0].marks == "hm"


def test_a_notice_takes_the_place_of_the_word_below_the_thoughts() -> None:
    answer = answer_of(Thought("hm"), Notice("wait"))
    assert answer.preview(layout, STOP) == {(0, 0): Piece("wait" + CURSOR, "hm …", buttons=((STOP,),))}


def test_each_slot_has_its_own_thoughts() -> None:
    answer = answer_of(Thought("one"), Thought("two", slot=1), Text("1"), Text("2", slot=1))
    assert answer.final(layout, {}) == {(0, 0): Piece("1", "one"), (1, 0): Piece("2", "two")}


def test_a_notice_goes_with_the_next_part_and_stays_where_the_turn_ends_on_it() -> None:
    assert bodies(answer_of(Notice("wait"))) == ["wait"]
    assert bodies(answer_of(Notice("wait"), Notice("still"))) == ["still"]
    assert bodies(answer_of(Notice("wait"), Text("done"))) == ["done"]
    assert bodies(answer_of(Notice("wait"), Thought("hm"))) == [""]
    assert bodies(answer_of(Notice("wait"), FOX)) == ["a fox"]


def test_a_notice_in_the_middle_of_an_answer_stands_below_it_while_it_lasts() -> None:
    answer = answer_of(Text("Let me look. "), Notice("looks"))
    assert "".join(piece.body for piece in answer.preview(layout, STOP).values()) == f"Let me look.\n\nlooks{CURSOR}"
    assert "".join(bodies(answer)) == "Let me look. "
    answer.add(Text("Rain."))
    assert "".join(piece.body for piece in answer.preview(layout, STOP).values()) == f"Let me look. Rain.{CURSOR}"


def test_what_is_withdrawn_leaves_nothing_of_its_slot_alone() -> None:
    answer = answer_of(Thought("hm"), Text("bad"), FOX, Text("other", slot=1), Withdraw())
    assert (bodies(answer), bodies(answer, 1)) == ([], ["other"])
    assert answer.text == ""


def test_a_picture_stands_before_the_text_with_its_caption() -> None:
    pieces = answer_of(Text("later"), FOX).final(layout, {})
    assert pieces == {(0, 0): Piece("a fox", media=FOX), (0, 1): Piece("later")}


def test_buttons_stand_under_the_last_piece_of_their_slot() -> None:
    rows = ((Choice("Again", "again"),),)
    answer = answer_of(Text("x" * 10), Text("y", slot=1), Buttons(rows), Finished(reason=Finish.STOP))
    assert answer.buttons == {0: Buttons(rows)}
    made = {0: ((Button("Again", "b1"),),)}
    assert {place for place, piece in answer.final(layout, made).items() if piece.buttons} == {(0, 1)}


def test_a_cursor_never_makes_a_piece_too_long() -> None:
    long = Piece("x" * (LONGEST_WITH_CURSOR + 1))
    preview = answer_of(Text("…")).preview(lambda markdown, thoughts="", thinking=False: (long,), STOP)
    assert preview == {(0, 0): replace(long, buttons=((STOP,),))}


def test_a_teaser_is_short_and_keeps_the_button() -> None:
    teased = teaser(Piece("x" * 1900 + CURSOR, marks="m", buttons=((STOP,),)))
    assert teased == Piece("x" * TEASER + CURSOR, buttons=((STOP,),))
    assert teaser(Piece("short" + CURSOR, "m", buttons=((STOP,),))) == Piece("short" + CURSOR, "m", buttons=((STOP,),))
    assert teaser(Piece("a fox", media=FOX)) == Piece("…" + CURSOR)


# --- any sequence ------------------------------------------------------------------------------------------------------

SLOTS = st.integers(0, 2)
WORDS = st.text(alphabet="ab \n▌", max_size=12)
PARTS: st.SearchStrategy[Part] = st.one_of(
    st.builds(Text, WORDS, SLOTS),
    st.builds(Thought, WORDS, SLOTS),
    st.builds(Notice, WORDS, SLOTS),
    st.builds(Withdraw, SLOTS),
    st.builds(lambda slot: replace(FOX, slot=slot), SLOTS),
    st.builds(lambda slot: Buttons((), slot), SLOTS),
)


def since_withdrawn(parts: Sequence[Part], slot: int) -> Sequence[Part]:
    own = [part for part in parts if not isinstance(part, Finished) and part.slot == slot]
    last = max((index for index, part in enumerate(own) if isinstance(part, Withdraw)), default=-1)
    return own[last + 1 :]


def thoughts(parts: Sequence[Part]) -> list[str]:
    """Their words: between tries and rounds there are new paragraphs."""
    return "".join(f"{part.delta} " for part in parts if isinstance(part, Thought)).split()


def texts(parts: Sequence[Part]) -> str:
    return "".join(part.delta for part in parts if isinstance(part, Text))


@given(st.lists(PARTS, max_size=25))
def test_the_finished_answer_is_all_its_text_and_pictures_slot_by_slot(parts: list[Part]) -> None:
    answer = answer_of(*parts)
    for slot in range(3):
        own = since_withdrawn(parts, slot)
        pieces = [piece for place, piece in sorted(answer.final(layout, {}).items()) if place[0] == slot]
        pictures = [piece for piece in pieces if piece.media]
        assert len(pictures) == sum(isinstance(part, Media) for part in own)
        assert pieces[: len(pictures)] == pictures
        said = "".join(piece.body for piece in pieces[len(pictures) :])
        if texts(own).strip():
            assert said == texts(own)
        elif pictures or not pieces or (thoughts(own) and not said):
            assert said == ""
        else:
            last = [part for part in own if not isinstance(part, Buttons)][-1]
            assert isinstance(last, Notice)
            assert said == last.text
    assert answer.text == texts(since_withdrawn(parts, 0))


@given(st.lists(PARTS, max_size=25))
def test_all_thoughts_stand_above_the_text_once_and_in_order(parts: list[Part]) -> None:
    answer = answer_of(*parts)
    for slot in range(3):
        own = since_withdrawn(parts, slot)
        marks = [piece.marks for place, piece in sorted(answer.final(layout, {}).items()) if place[0] == slot]
        assert "".join("".join(marks).split()) == "".join(thoughts(own))
        assert sum(map(bool, marks)) <= 1


@given(st.lists(PARTS, max_size=25))
def test_places_have_no_gaps(parts: list[Part]) -> None:
    answer = answer_of(*parts)
    for places in (answer.final(layout, {}), answer.preview(layout, STOP)):
        for slot in range(3):
            assert sorted(number for own, number in places if own == slot) == list(
                range(sum(own == slot for own, _ in places))
            )


@given(st.lists(PARTS, max_size=25))
def test_the_last_piece_of_what_grows_has_cursor_and_button_and_nothing_else_does(parts: list[Part]) -> None:
    answer = answer_of(*parts)
    places = answer.preview(layout, STOP)
    lasts = {max(place for place in places if place[0] == slot) for slot, _ in places}
    growing = {place for place in lasts if place[0] in answer.unfinished} if answer.several else set()
    growing = growing or set(sorted(places)[-1:])
    for place, piece in places.items():
        assert piece.buttons == (((STOP,),) if place in growing else ())
        if place in growing:
            assert piece.body.endswith(CURSOR)


def test_of_two_answers_a_finished_one_is_shown_as_it_stays() -> None:
    choice = Buttons(((Choice("Keep", "keep"),),), slot=0)
    answer = answer_of(Text("one", 0), Text("two", 1), choice)
    assert answer.preview(layout, STOP) == {
        (0, 0): Piece("one"),
        (1, 0): Piece("two" + CURSOR, buttons=((STOP,),)),
    }


@given(st.lists(PARTS, max_size=25))
def test_a_preview_differs_from_its_final_only_by_what_goes_away(parts: list[Part]) -> None:
    """So that the last edit is small, and pieces that rolled over stand already."""
    answer = answer_of(*parts)
    preview, final = answer.preview(layout, STOP), answer.final(layout, {})
    stripped: Callable[[Piece], Piece] = lambda piece: replace(piece, body=piece.body.removesuffix(CURSOR), buttons=())  # noqa: E731
    said = {slot: [part for part in since_withdrawn(parts, slot) if not isinstance(part, Buttons)] for slot in range(3)}
    spoken = {slot for slot, own in said.items() if texts(own).strip() and not isinstance(own[-1], Notice)}
    for place, piece in final.items():
        assert place[0] not in spoken or preview[place] == piece or stripped(preview[place]) == piece


@given(st.lists(WORDS, min_size=1, max_size=20))
def test_how_a_text_is_cut_into_deltas_makes_no_difference(deltas: list[str]) -> None:
    whole, pieces = answer_of(Text("".join(deltas))), answer_of()
    for delta in deltas:
        pieces.add(Text(delta))
        pieces.preview(layout, STOP)
    assert whole.preview(layout, STOP) == pieces.preview(layout, STOP)
    assert whole.final(layout, {}) == pieces.final(layout, {})
