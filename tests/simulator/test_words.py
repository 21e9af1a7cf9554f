from hypothesis import given
from hypothesis import strategies as st

from bot.simulator.words import Question, Reply, Said, count_tokens, pieces, shorten


@given(st.text())
def test_pieces_joined_are_the_text(text: str) -> None:
    assert "".join(pieces(text)) == text


@given(st.text(min_size=1))
def test_no_piece_is_empty_or_long(text: str) -> None:
    assert all(1 <= len(piece) <= 7 or piece.isspace() for piece in pieces(text))


def test_chinese_counts_by_character_and_other_text_by_four() -> None:
    assert count_tokens("喜鹊停在枝头") == 6
    assert count_tokens("magpies!") == 2
    assert count_tokens("") == 0


def question(max_tokens: int = 100, stop: tuple[str, ...] = ()) -> Question:
    return Question(model="m", said=(Said(role="user", text="hi"),), max_tokens=max_tokens, stop=stop)


@given(st.text(), st.text(), st.integers(min_value=1, max_value=50))
def test_a_reply_never_exceeds_max_tokens_and_says_when_it_was_cut(thought: str, text: str, most: int) -> None:
    reply = Reply(thought=thought, text=text)
    whole = list(reply.deltas())
    short = shorten(reply, question(most))
    assert list(short.deltas()) == whole[:most]
    assert short.finish == ("length" if len(whole) > most else "stop")


def test_a_stop_word_ends_the_text_before_it() -> None:
    assert shorten(Reply(text="one two three"), question(stop=("two",))).text == "one "
