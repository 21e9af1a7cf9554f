"""Estimates come from above; costs follow the tiers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.messages import ChatKey, Usage
from bot.models import catalog, costs
from bot.ports import Line, ModelCard, PicturePrompt, Prompt, SpeechPrompt, VideoPrompt

CARDS = catalog.load()
CHAT = ChatKey("web", "1")
PLUS = CARDS["qwen3-max"]  # [[32_000, 2.5, 10], [128_000, 4, 16], [256_000, 7, 28]]


def prompt(card: ModelCard, *lines: Line, output: int = 1_000) -> Prompt:
    return Prompt(card=card, lines=lines, output=output, chat=ChatKey("web", "1"), turn=1)


@pytest.mark.parametrize(
    ("text", "real"),
    [  # tokens as byte-pair encodings of the vendors' kind count them
        ("Please explain how photosynthesis works in simple words.", 10),
        ("请用简单的话解释光合作用是怎样进行的。", 14),
        ("3.14159265358979323846264338327950288", 37),
        ("def f(x):\n    return {k: v for k, v in x.items()}\n", 24),
        ("😀😃😄", 4),
    ],
)
def test_a_text_is_counted_from_above(text: str, real: int) -> None:
    assert real <= costs.tokens(text) <= 3 * real


@given(st.text(), st.text())
def test_more_text_never_counts_less(one: str, other: str) -> None:
    assert costs.tokens(one) <= costs.tokens(one + other) <= costs.tokens(one) + costs.tokens(other)


def test_the_tier_follows_the_prompt() -> None:
    assert costs.cost(PLUS, Usage(prompt=1_000, completion=100)) == 2_500 + 1_000
    assert costs.cost(PLUS, Usage(prompt=100_000, completion=100)) == 400_000 + 1_600
    assert costs.cost(PLUS, Usage(prompt=300_000, completion=1)) == 2_100_000 + 28  # beyond the last: the last


def test_free_costs_nothing_and_pictures_by_the_piece() -> None:
    assert costs.cost(CARDS["glm-4.7-flash"], Usage(prompt=10**6, completion=10**6)) == 0
    asked = PicturePrompt(card=CARDS["cogview-4-250304"], text="a fox", chat=ChatKey("web", "1"), turn=1)
    assert costs.picture_estimate(asked) == 60_000


def test_several_pictures_cost_several_times_as_much() -> None:
    asked = PicturePrompt(card=CARDS["cogview-4-250304"], text="a fox", chat=CHAT, turn=1, count=3)
    assert costs.order_estimate(asked) == costs.picture_estimate(asked) == 180_000


@pytest.mark.parametrize(("ordered", "lengths", "seconds"), [(10, (5, 10), 10), (0, (5, 10), 5), (0, (), 15)])
def test_a_video_costs_by_its_length_or_by_the_piece(ordered: int, lengths: tuple[int, ...], seconds: int) -> None:
    card = ModelCard(name="v", vendor="qwen", kind="video", per_second=0.6, per_picture=0.1, seconds=lengths)
    asked = VideoPrompt(card=card, text="a fox", chat=CHAT, turn=1, seconds=ordered)
    assert costs.order_estimate(asked) == 100_000 + 600_000 * seconds


def test_speech_costs_by_its_length_and_by_its_characters() -> None:
    hears = ModelCard(name="h", vendor="qwen", kind="hear", per_second=0.000_25)
    speaks = ModelCard(name="s", vendor="glm", kind="speak", per_picture=0.2)
    assert costs.speech_estimate(SpeechPrompt(card=hears, chat=CHAT, turn=1, seconds=8.0)) == 2_000
    assert costs.speech_estimate(SpeechPrompt(card=hears, chat=CHAT, turn=1)) == 75_000  # as long as may be
    assert costs.speech_estimate(SpeechPrompt(card=speaks, chat=CHAT, turn=1, text="x" * 250)) == 50_000
    assert costs.speech_estimate(SpeechPrompt(card=speaks, chat=CHAT, turn=1, text="x")) == 200


@given(st.text(max_size=200), st.integers(1, 4_000), st.integers(0, 4_000))
def test_an_answer_within_its_limit_never_costs_more_than_was_held_back(text: str, output: int, written: int) -> None:
    asked = prompt(PLUS, Line("user", text), output=output)
    usage = Usage(prompt=costs.prompt_tokens(asked), completion=min(written, output))
    assert costs.cost(PLUS, usage) <= costs.chat_estimate(asked)


def test_pictures_count_as_the_most_that_one_may_take() -> None:
    seen = prompt(CARDS["qwen3-vl-flash"], Line("user", "?", ("one", "two")))
    assert costs.prompt_tokens(seen) > 2 * costs.PICTURE_TOKENS


def test_no_prompt_counts_more_than_the_window() -> None:
    assert costs.prompt_tokens(prompt(PLUS, Line("user", "字" * 500_000))) == PLUS.window
