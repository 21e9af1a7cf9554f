"""What people write before the words of an order, and what models can do of it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.commands.wishes import MOST, RATIOS, Kind, Wish, counted, scaled, shape_of, shaped, sized, suited, worded
from bot.errors import Declined
from bot.ports import ModelCard
from tests.conversations import GLM_IMAGE, GLM_VIDEO, QWEN_EDIT, QWEN_IMAGE

PIECES = st.sampled_from(
    [
        *(
            "1024x768",
            "512 × 512",
            "wide",
            "方",
            "x4",
            "x",
            "5s",
            "10秒",
            "--model a",
            "—model=b",
            "--",
            "a fox",
            "in 3x3",
        ),
        *("square dance", "\n"),
    ]
)
WORDS = st.lists(st.one_of(PIECES, st.text(max_size=8)), max_size=8).map(" ".join)
KINDS = st.sampled_from(["image", "video"])


@pytest.mark.parametrize(
    ("said", "wish"),
    [
        ("a red fox", Wish(prompt="a red fox")),
        ("1024x768 a fox", Wish(prompt="a fox", size="1024x768")),
        ("1024 × 768 a fox", Wish(prompt="a fox", size="1024x768")),
        ("x4 wide a fox", Wish(prompt="a fox", size="wide", count=4)),
        ("竖 x2 一只狐狸", Wish(prompt="一只狐狸", size="tall", count=2)),
        ("SQUARE a fox", Wish(prompt="a fox", size="square")),
        ("--model cogview-4 x2 a fox", Wish(prompt="a fox", count=2, model="cogview-4")),
        ("x2 a fox --model cogview-4", Wish(prompt="a fox", count=2, model="cogview-4")),
        ("a fox —model=cogview-4 in snow", Wish(prompt="a fox in snow", model="cogview-4")),
        ("a fox in snow 1920x1080", Wish(prompt="a fox in snow", size="1920x1080")),
        ("a grid of 3x3", Wish(prompt="a grid of 3x3")),
        ("a grid of 100x100", Wish(prompt="a grid of 100x100")),
        ("a BMW X4", Wish(prompt="a BMW X4")),
        ("x2 x4 a fox", Wish(prompt="x4 a fox", count=2)),
        ("widely known", Wish(prompt="widely known")),
        ("5s of fame", Wish(prompt="5s of fame")),
        ("1024x768", Wish(size="1024x768")),
        ("x999999999 a fox", Wish(prompt="a fox", count=999_999_999)),
    ],
)
def test_options_may_come_in_any_order(said: str, wish: Wish) -> None:
    assert Wish.read(said, "image") == wish


@pytest.mark.parametrize("said", ["5s 1280x720 a fox", "1280x720 5 s a fox", "1280x720 5秒 a fox"])
def test_a_video_has_a_length(said: str) -> None:
    assert Wish.read(said, "video") == Wish(prompt="a fox", size="1280x720", seconds=5)


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("a fox --ar 16:9", "I do not know “--ar”. It goes: `/image [WxH|wide|tall|square]"),
        ("--count 4 a fox", "I do not know “--count”"),
        ("a fox --model", "Which model?"),
        ("--model --model x a fox", "Which model?"),
    ],
)
def test_an_option_that_is_none_is_explained(said: str, told: str) -> None:
    with pytest.raises(Declined, match=told.partition("[")[0].replace("?", "[?]")):
        Wish.read(said, "image")


@given(WORDS, KINDS)
def test_what_the_history_keeps_reads_as_the_same(said: str, kind: Kind) -> None:
    try:
        wish = Wish.read(said, kind)
    except Declined:
        return
    again = Wish.read(wish.command(kind).removeprefix(f"/{kind}"), kind)
    assert again == replace(wish, model="")


@given(st.text())
def test_nothing_that_people_write_breaks_it(said: str) -> None:
    try:
        wish = Wish.read(said, "image")
    except Declined:
        return
    assert wish.prompt == wish.prompt.strip()


# --- what a model can do -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("card", "shape", "size"),
    [
        (QWEN_IMAGE, "wide", "1664x928"),
        (QWEN_IMAGE, "square", "1328x1328"),
        (GLM_IMAGE, "wide", "1360x768"),
        (GLM_IMAGE, "tall", "768x1360"),
        (GLM_IMAGE, "square", "1024x1024"),
        (GLM_VIDEO, "tall", "720x1280"),
    ],
)
def test_a_shape_becomes_the_models_size(card: ModelCard, shape: str, size: str) -> None:
    assert sized(card, shape) == size


RULES = st.tuples(st.integers(1, 600), st.integers(600, 4096), st.sampled_from([1, 8, 16, 32]), st.integers(1, 2**24))


@given(RULES, st.sampled_from(sorted(RATIOS)))
def test_a_computed_size_is_within_the_rule_and_has_the_shape(rule: tuple[int, int, int, int], shape: str) -> None:
    card = replace(GLM_IMAGE, size_rule=rule)
    size = shaped(card, shape)
    if size:
        assert sized(card, size) == size
        assert shape_of(size) in (shape, "square"), "a narrow rule may leave no other room"


def test_a_shape_that_a_model_has_not_is_declined_with_its_sizes() -> None:
    with pytest.raises(Declined, match=r"qwen-image cannot draw tall[.] It draws: 1328x1328, 1664x928"):
        sized(QWEN_IMAGE, "tall")


def test_a_model_that_chooses_the_size_says_so() -> None:
    with pytest.raises(Declined, match="qwen-edit chooses the size itself: leave 512x512 out"):
        sized(QWEN_EDIT, "512x512")


@given(st.integers(0, 10**9), st.integers(1, 10), st.booleans())
def test_so_many_pictures_as_the_house_and_the_model_draw(count: int, most: int, task: bool) -> None:
    card = replace(GLM_IMAGE, most=most, task=task)
    allowed = min(most, MOST) if task else MOST
    try:
        assert counted(card, count) == count <= allowed
    except Declined as refusal:
        assert count == 0 or count > allowed
        assert f"1 to {allowed}" in refusal.phrase.en


@given(WORDS)
def test_another_model_is_asked_only_for_what_it_can(said: str) -> None:
    try:
        wish = Wish.read(said, "image")
    except Declined:
        return
    for card in (QWEN_IMAGE, QWEN_EDIT, GLM_IMAGE):
        fit = suited(card, wish)
        assert (fit.prompt, fit.model) == (wish.prompt, card.name)
        counted(card, fit.count)
        if fit.size not in RATIOS:
            sized(card, fit.size)


SIDES = st.integers(10, 10_000)


@given(st.integers(1, 500), st.integers(0, 5_000), SIDES, SIDES)
def test_a_picture_is_scaled_into_what_a_model_takes_or_nothing_can_be_done(
    low: int, more: int, width: int, height: int
) -> None:
    high = low + more
    found = scaled((low, high), width, height)
    if low <= min(width, height) and max(width, height) <= high:
        assert found == (width, height), "it fits"
    elif found is None:
        assert max(width, height) / min(width, height) > high / (low + 1)
    else:
        assert all(low <= side <= high for side in found)
        assert abs(found[0] * height - found[1] * width) <= max(width, height), "its shape stays, but for half a pixel"


def test_a_small_picture_grows_and_a_large_one_shrinks() -> None:
    assert scaled((384, 3072), 100, 80) == (480, 384)
    assert scaled((360, 2000), 2048, 1024) == (2000, 1000)
    assert scaled((384, 3072), 2000, 100) is None


def test_a_long_description_is_refused_where_its_vendor_refuses_it_and_else_remarked_on() -> None:
    assert worded(QWEN_EDIT, "x" * 800) is None and worded(GLM_IMAGE, "x" * 9_000) is None
    remark = worded(QWEN_EDIT, "x" * 801)
    assert remark and remark.en.startswith("Of your 801 characters, qwen-edit may read no more than the first 800")
    with pytest.raises(Declined, match="glm-video takes a description of at most 512 characters; yours has 513"):
        worded(GLM_VIDEO, "x" * 513)
