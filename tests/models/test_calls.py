"""Functions that a model asks for: any way of cutting them up gives them back whole."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.models.calls import MOST_CALLS, MOST_WRITTEN, Calls, offered, told
from bot.ports import ToolCall, ToolCard


def fragment(index: int, arguments: str, call_id: str = "", name: str = "") -> dict[str, object]:
    return {"index": index, "id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}


def whole(*fragments: object) -> list[ToolCall]:
    calls = Calls()
    for one in fragments:
        calls.feed([one])
    return calls.whole()


@given(arguments=st.lists(st.text(), min_size=1, max_size=4), data=st.data())
def test_fragments_are_merged_by_their_index(arguments: list[str], data: st.DataObject) -> None:
    first = [fragment(at, "", f"c{at}", f"f{at}") for at in range(len(arguments))]
    rest = [(at, letter) for at, text in enumerate(arguments) for letter in text]
    order = sorted(range(len(arguments)), key=lambda _: data.draw(st.integers()))
    shuffled = [fragment(at, letter) for which in order for at, letter in rest if at == which]
    assert whole(*first, *shuffled) == [ToolCall(f"c{at}", f"f{at}", text) for at, text in enumerate(arguments)]


def test_what_is_told_again_is_what_was_asked_for() -> None:
    calls = [ToolCall("a", "f", "{}"), ToolCall("b", "g", '{"x": 1}')]
    assert whole(*({"index": at, **one} for at, one in enumerate(told(calls)))) == calls


def test_an_id_that_repeats_is_the_same_call_and_a_new_one_is_another() -> None:
    assert whole(fragment(0, "{", "a", "f"), fragment(0, "}", "a", "f")) == [ToolCall("a", "f", "{}")]
    assert whole(fragment(0, "{}", "a", "f"), fragment(0, "{}", "b", "g")) == [
        ToolCall("a", "f", "{}"),
        ToolCall("b", "g", "{}"),
    ]


def test_a_service_without_ids_gets_some() -> None:
    bare = {"function": {"name": "f", "arguments": "{}"}}
    assert whole({"index": 0, **bare}, {"index": 1, **bare}) == [
        ToolCall("call_0", "f", "{}"),
        ToolCall("call_1", "f", "{}"),
    ]


def test_half_a_call_is_none() -> None:
    assert whole(fragment(0, "{}", "a")) == []
    assert whole(fragment(0, "{}", "a", "f"), fragment(1, "{}", "b")) == []


@pytest.mark.parametrize(
    "odd",
    [
        "x",
        [1],
        [None],
        [{"function": "f"}],
        [{"function": {"name": 1}}],
        [{"function": {"arguments": {"city": "Oslo"}}}],
    ],
)
def test_another_shape_is_refused(odd: object) -> None:
    with pytest.raises(ValueError, match="tool"):
        Calls().feed(odd)


@pytest.mark.parametrize("nothing", [None, [], [{"function": None}], ""])
def test_nothing_is_nothing(nothing: object) -> None:
    calls = Calls()
    calls.feed(nothing)
    assert calls.whole() == []


def test_an_endless_call_ends() -> None:
    calls = Calls()
    with pytest.raises(ValueError, match="end"):
        for _ in range(MOST_WRITTEN // 1_000 + 1):
            calls.feed([fragment(0, "x" * 1_000, "a", "f")])
    with pytest.raises(ValueError, match="end"):
        Calls().feed([fragment(at, "", f"c{at}", "f") for at in range(MOST_CALLS + 1)])


def test_a_tool_is_offered_with_its_schema() -> None:
    schema = {"type": "object", "properties": {"city": {"type": "string"}}}
    (tool,) = offered([ToolCard(name="weather", description="The weather.", parameters=json.dumps(schema))])
    assert tool == {
        "type": "function",
        "function": {"name": "weather", "description": "The weather.", "parameters": schema},
    }
