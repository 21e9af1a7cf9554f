"""What a person is shown before a call: the same value, and nothing hidden in it."""

from __future__ import annotations

import html
import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot import phrases
from bot.conversation.consent import arguments_of, exact
from bot.platforms import discord_layout, telegram_layout, web_render

TEXTS = st.text(st.characters(), max_size=30)  # surrogates included: JSON may hold them
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=10,
)
HIDDEN = "\u202e\u2066\u200b\u200d\u00ad\ufeff\U000e0041\U000e0100\ufe0f\u3164\u115f\u2800\u034f\x1b\x7f\u2028\ue000"


@given(st.dictionaries(TEXTS, VALUES, max_size=5), st.booleans())
def test_it_is_the_same_value_and_all_of_it_is_seen(value: dict[str, object], ascii_only: bool) -> None:
    shown = exact(json.dumps(value, ensure_ascii=ascii_only))
    assert json.loads(shown) == value
    assert all(one.isprintable() or one == "\n" for one in shown)
    assert "```" not in shown


@pytest.mark.parametrize("hidden", HIDDEN)
def test_what_the_eye_misses_is_escaped(hidden: str) -> None:
    shown = exact(json.dumps({"a": f"x{hidden}y"}, ensure_ascii=False))
    assert hidden not in shown and json.loads(shown) == {"a": f"x{hidden}y"}


def test_what_people_write_stays_as_it_is() -> None:
    assert (
        exact('{"城市": "北京", "say": "it\'s `ok` — é 🐦"}') == '{\n  "城市": "北京",\n  "say": "it\'s `ok` — é 🐦"\n}'
    )


@pytest.mark.parametrize("text", ["", " ", "{}", " {} "])
def test_nothing_is_an_empty_object(text: str) -> None:
    assert arguments_of(text) == {} and exact(text) == "{}"


@pytest.mark.parametrize(
    "text", ["[]", "null", "1", '"{}"', "{", '{"a": NaN}', '{"a": -Infinity}', "[" * 100_000, "{} {}"]
)
def test_what_is_no_object_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        exact(text)


ODD = [
    {"a": "```\n# Head\n``` **b** _c_ [d](https://e.example) <script> & ||x|| @everyone ~~~", "b": [1, {"c": None}]},
    {"text": "\n".join(f"{number}: `x` 喜鹊 ~~~~ <b>" for number in range(2_000))},
    {"text": "`" * 9 + "x" * 20_000 + "\u202e" + "```\n```"},
    {},
]


@pytest.mark.parametrize("platform", ["telegram", "discord", "web"])
@pytest.mark.parametrize("value", ODD)
def test_every_platform_shows_all_of_it(platform: str, value: dict[str, object]) -> None:
    shown = exact(json.dumps(value))
    markdown = phrases.answering.CONSENT.format(tool="desk__mail", arguments=shown).to("en")
    if platform == "web":
        bodies = [html.unescape(re.sub("<[^>]*>", "", web_render.render(markdown)))]
    elif platform == "telegram":
        bodies = [piece.body for piece in telegram_layout.layout(markdown)]
    else:
        bodies = [
            re.sub("^```(json)?$", "", piece.body, flags=re.MULTILINE) for piece in discord_layout.layout(markdown)
        ]
    assert _dense(shown) in _dense("".join(bodies))


def _dense(text: str) -> str:
    """Without spaces and line ends, which may change where a message ends."""
    return "".join(text.split())
