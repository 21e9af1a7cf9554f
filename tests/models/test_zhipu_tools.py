"""GLM asks for functions, searches the web, and thinks: what is sent, and what is made of the answer."""

import json
from collections.abc import Sequence

import aiohttp
import pytest

from bot.errors import ModelError, Trouble
from bot.messages import Finish, Finished, Text, Thought
from bot.models.vendor import Streamed
from bot.models.zhipu import Zhipu
from bot.ports import Line, Source, Sources, ToolCall, ToolCard
from bot.simulator import Found, Reply
from bot.simulator import ToolCall as Asked
from tests.models.rig import Shelf, recorded
from tests.models.zhipu_rig import chat, open_glm

WEATHER = ToolCard(
    name="weather",
    description="The weather now.",
    parameters='{"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}',
)


def text_of(parts: Sequence[Streamed]) -> str:
    return "".join(part.delta for part in parts if isinstance(part, Text))


def end_of(parts: Sequence[Streamed]) -> Finished:
    assert isinstance(parts[-1], Finished)
    return parts[-1]


def calls_of(parts: Sequence[Streamed]) -> list[ToolCall]:
    return [part for part in parts if isinstance(part, ToolCall)]


async def read(*chunks: dict[str, object], done: bool = True) -> list[Streamed]:
    """One try, of a response recorded as these chunks."""
    blocks = [b"data: " + json.dumps(chunk).encode() + b"\n\n" for chunk in chunks]
    async with (
        recorded([*blocks, *([b"data: [DONE]\n\n"] if done else [])]) as origin,
        aiohttp.ClientSession() as session,
    ):
        vendor = Zhipu(session, Shelf(), key="a.b", url=f"{origin}/v4")
        return [part async for part in vendor.stream(chat(tools=(WEATHER,)))]


def chunk(finish: str | None = None, **delta: object) -> dict[str, object]:
    choice: dict[str, object] = {"index": 0, "delta": {"role": "assistant", **delta}}
    return {"id": "r-1", "choices": [choice | ({"finish_reason": finish} if finish else {})]}


def fragment(index: int, arguments: str, call_id: str = "", name: str = "") -> dict[str, object]:
    head = {"id": call_id, "type": "function"} if call_id else {}
    return {"index": index, **head, "function": {"arguments": arguments, **({"name": name} if name else {})}}


async def test_a_whole_round_with_a_function() -> None:
    async with open_glm() as glm:
        question = Line("user", "What is the weather in Oslo?")
        first = await glm.stream(chat(lines=(question,), tools=(WEATHER,)))
        (call,) = calls_of(first)
        assert (call.name, json.loads(call.arguments)) == ("weather", {"city": "Oslo"})
        assert first[-2:] == [call, end_of(first)]
        assert end_of(first).reason is Finish.TOOLS
        tools = glm.body["tools"]
        assert tools == [
            {
                "type": "function",
                "function": {
                    "name": "weather",
                    "description": "The weather now.",
                    "parameters": json.loads(WEATHER.parameters),
                },
            }
        ]
        lines = (question, Line("assistant", "", calls=(call,)), Line("tool", "-3 °C, snow", call=call.id))
        second = await glm.stream(chat(lines=lines, tools=(WEATHER,)))
        assert "-3 °C, snow" in text_of(second)
        assert (calls_of(second), end_of(second).reason) == ([], Finish.STOP)
        told = {"name": "weather", "arguments": call.arguments}
        assert glm.sim.log[-1].body["messages"][1:] == [
            {"role": "assistant", "content": "", "tool_calls": [{"id": call.id, "type": "function", "function": told}]},
            {"role": "tool", "content": "-3 °C, snow", "tool_call_id": call.id},
        ]


async def test_several_functions_at_once_come_in_their_order() -> None:
    async with open_glm() as glm:
        asked = (Asked("c1", "weather", '{"city": "Oslo"}'), Asked("c2", "weather", '{"city": "Rome"}'))
        glm.sim.say(Reply(text="I look.", tool_calls=asked, finish="tool_calls"))
        parts = await glm.stream(chat(tools=(WEATHER,)))
        assert text_of(parts) == "I look."
        assert calls_of(parts) == [
            ToolCall("c1", "weather", '{"city": "Oslo"}'),
            ToolCall("c2", "weather", '{"city": "Rome"}'),
        ]


async def test_fragments_are_merged_by_their_index() -> None:
    parts = await read(
        chunk(tool_calls=[fragment(0, "", "c1", "weather"), fragment(1, '{"ci', "c2", "weather")]),
        chunk(tool_calls=[fragment(1, 'ty": "Rome"}')]),
        chunk(tool_calls=[fragment(0, '{"city":')]),
        chunk(tool_calls=[fragment(0, ' "Oslo"}')]),
        chunk("tool_calls", content=""),
    )
    assert [json.loads(call.arguments)["city"] for call in calls_of(parts)] == ["Oslo", "Rome"]


async def test_a_call_without_an_index_or_with_an_empty_id_is_one() -> None:
    bare = {"id": "c1", "type": "function", "function": {"name": "weather", "arguments": "{}"}}
    for first in (bare, {**bare, "index": 0, "extra": 1}, {**bare, "index": None}):
        parts = await read(chunk(tool_calls=[first]), chunk("tool_calls", content=""))
        assert calls_of(parts) == [ToolCall("c1", "weather", "{}")]
    later = {"index": 0, "id": "", "function": {"name": "", "arguments": "}"}}
    parts = await read(
        chunk(tool_calls=[fragment(0, "{", "c1", "weather")]),
        chunk(tool_calls=[later]),
        chunk("tool_calls", content=""),
    )
    assert calls_of(parts) == [ToolCall("c1", "weather", "{}")]


@pytest.mark.parametrize("odd", ["x", [7], {"a": 1}, [{"index": 0}], [{"index": 0, "function": None}]])
async def test_calls_of_another_shape_are_none(odd: object) -> None:
    parts = await read(chunk(tool_calls=odd), chunk("tool_calls", content=""))
    assert (calls_of(parts), end_of(parts).reason) == ([], Finish.CUT)


async def test_a_name_that_is_no_text_cuts() -> None:
    with pytest.raises(ModelError) as caught:
        await read(chunk(tool_calls=[{"index": 0, "function": {"name": 7}}]), chunk("tool_calls", content=""))
    assert caught.value.trouble is Trouble.CUT


@pytest.mark.parametrize("finish", ["length", "sensitive", "network_error", "stop", None])
async def test_no_function_is_asked_for_when_the_answer_ended_otherwise(finish: str | None) -> None:
    parts = await read(chunk(tool_calls=[fragment(0, "{}", "c1", "weather")]), chunk(finish, content=""))
    assert calls_of(parts) == []
    assert end_of(parts).reason is not Finish.TOOLS


async def test_half_a_call_is_an_answer_that_broke_off() -> None:
    parts = await read(chunk(tool_calls=[fragment(0, "{}", "c1")]), chunk("tool_calls", content=""))
    assert (calls_of(parts), end_of(parts).reason, end_of(parts).code) == ([], Finish.CUT, "tool_calls")


async def test_the_vendors_own_tools_are_its_own_affair() -> None:
    own = {"index": 0, "id": "c0", "type": "mcp", "mcp": {"server_label": "x"}}
    parts = await read(chunk(tool_calls=[own]), chunk(content="done"), chunk("stop", content=""))
    assert (calls_of(parts), text_of(parts), end_of(parts).reason) == ([], "done", Finish.STOP)


async def test_no_tools_are_sent_when_there_are_none() -> None:
    async with open_glm() as glm:
        await glm.stream(chat())
        assert "tools" not in glm.body


async def test_the_vendor_searches_and_its_sources_are_numbered() -> None:
    async with open_glm() as glm:
        pages = (Found("Fjords", "https://a.example/1", "deep"), Found("", "https://b.example/2", "cold", site="B"))
        glm.sim.find(*pages)
        parts = await glm.stream(chat("What is a fjord?", search=True))
        assert glm.body["tools"] == [
            {"type": "web_search", "web_search": {"enable": True, "search_engine": "search_std", "search_result": True}}
        ]
        (sources,) = [part for part in parts if isinstance(part, Sources)]
        assert sources.found == (Source(1, "Fjords", "https://a.example/1"), Source(2, "B", "https://b.example/2"))
        assert "deep [1]" in text_of(parts)


async def test_footnotes_are_written_as_their_numbers_wherever_they_are_cut() -> None:
    text = "It is [ref_1][ref_12]. A [link](x), [ref_ no, [re"
    for size in (1, 2, 3, 5, len(text)):
        cut = [text[at : at + size] for at in range(0, len(text), size)]
        parts = await read(*(chunk(content=piece) for piece in cut), chunk("stop", content=""))
        assert text_of(parts) == "It is [1][12]. A [link](x), [ref_ no, [re"


@pytest.mark.parametrize(
    "odd",
    [
        "x",
        [1],
        [{"title": "no link"}],
        [{"link": "javascript:alert(1)", "title": "x"}],
        [{"link": "https://a.example/" + "x" * 3_000}],
        {"link": "https://a.example"},
    ],
)
async def test_odd_results_of_a_search_are_left_out(odd: object) -> None:
    parts = await read({**chunk(content="a"), "web_search": odd}, chunk("stop", content=""))
    assert text_of(parts) == "a"
    assert not [part for part in parts if isinstance(part, Sources)]


async def test_a_page_that_is_told_twice_is_one_source() -> None:
    page = {"title": " a\n b ", "link": "https://a.example", "refer": "ref_7"}
    parts = await read(
        {**chunk(content="a"), "web_search": [page]}, {**chunk("stop", content=""), "web_search": [page]}
    )
    assert [part for part in parts if isinstance(part, Sources)] == [Sources((Source(7, "a b", "https://a.example"),))]


async def test_thoughts_are_apart_and_follow_the_switch() -> None:
    async with open_glm() as glm:
        for think, kind in ((True, "enabled"), (False, "disabled")):
            parts = await glm.stream(chat(think=think))
            assert glm.body["thinking"] == {"type": kind}
            assert any(isinstance(part, Thought) for part in parts) is think
        glm.sim.say(Reply(text="<think>hm</think><|begin_of_box|>42<|end_of_box|>"))
        parts = await glm.stream(chat())
        assert (text_of(parts), [part for part in parts if isinstance(part, Thought)]) == ("42", [Thought("hm")])


async def test_thoughts_of_a_round_with_functions_are_not_told_again() -> None:
    async with open_glm() as glm:
        first = await glm.stream(chat("What is the weather in Oslo?", tools=(WEATHER,), think=True))
        assert any(isinstance(part, Thought) for part in first)
        (call,) = calls_of(first)
        lines = (Line("user", "?"), Line("assistant", "", calls=(call,)), Line("tool", "snow", call=call.id))
        await glm.stream(chat(lines=lines, tools=(WEATHER,), think=True))
        assert all("reasoning_content" not in message for message in glm.sim.log[-1].body["messages"])
