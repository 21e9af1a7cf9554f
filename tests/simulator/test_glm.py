"""GLM's protocol: through the real SDK, and raw where the wire itself matters."""

import asyncio
import json
import time
from collections.abc import Iterator
from typing import Any

import aiohttp
import jwt
import pytest

from bot.simulator import Reply, Simulator, ToolCall
from bot.simulator.errors import GLM
from tests.simulator.asking import Json, glm, png, user, zhipuai

WEATHER: Json = {
    "type": "function",
    "function": {"name": "get_weather", "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}},
}
CALL: Json = {"id": "call_1", "type": "function", "function": {"name": "get_weather", "arguments": "{}"}}


CLIENTS: list[zhipuai.ZhipuAI] = []  # to be closed: the SDK leaves its sockets to the garbage collector


def client(sim: Simulator, key: str = "", *, signed: bool = False) -> Any:
    made = zhipuai.ZhipuAI(
        api_key=key or sim.api_key, base_url=sim.glm_url, max_retries=0, disable_token_cache=not signed
    )
    CLIENTS.append(made)
    return made


@pytest.fixture(autouse=True)
def clients_are_closed() -> Iterator[None]:
    yield
    while CLIENTS:
        CLIENTS.pop().close()


async def complete(sim: Simulator, **more: Any) -> Any:
    body: dict[str, Any] = {"model": "glm-4-flash", "messages": [user("My name is Ann")]} | more
    return await asyncio.to_thread(lambda: client(sim).chat.completions.create(**body))


async def chunks(sim: Simulator, **more: Any) -> list[Any]:
    body: dict[str, Any] = {"model": "glm-4-flash", "messages": [user("你好")], "stream": True} | more
    return await asyncio.to_thread(lambda: list(client(sim).chat.completions.create(**body)))


async def error(sim: Simulator, http: aiohttp.ClientSession, **body: Any) -> tuple[int, str]:
    async with glm(sim, http, **body) as answer:
        said = (await answer.json())["error"]
    assert isinstance(said["message"], str)
    assert set(said) == {"code", "message"}
    return answer.status, said["code"]


async def test_the_sdk_gets_a_whole_answer_with_its_usage(sim: Simulator) -> None:
    answer = await complete(sim)
    assert "**Ann**" in answer.choices[0].message.content
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage.prompt_tokens + answer.usage.completion_tokens == answer.usage.total_tokens
    assert sim.log[-1].usage.output_tokens == answer.usage.completion_tokens


async def test_the_sdk_gets_thoughts_first_and_usage_on_the_last_chunk(sim: Simulator) -> None:
    got = await chunks(sim, model="glm-4.7-flash")
    thoughts = [at for at, chunk in enumerate(got) if chunk.choices[0].delta.reasoning_content]
    texts = [at for at, chunk in enumerate(got) if chunk.choices[0].delta.content]
    assert max(thoughts) < min(texts)
    assert "喜鹊" in "".join(got[at].choices[0].delta.content for at in texts)
    assert [chunk.usage is not None for chunk in got] == [False] * (len(got) - 1) + [True]
    assert got[-1].choices[0].finish_reason == "stop"
    assert got[-1].usage.completion_tokens == len(got) - 1 == sim.log[-1].chunks


async def test_thinking_follows_the_switch_where_the_model_has_one(sim: Simulator) -> None:
    async def thinks(model: str, **more: Any) -> bool:
        return bool((await complete(sim, model=model, **more)).choices[0].message.reasoning_content)

    assert await thinks("glm-4.7-flash")
    assert not await thinks("glm-4.7-flash", thinking={"type": "disabled"})
    assert await thinks("glm-5.3", thinking={"type": "disabled"})
    assert not await thinks("glm-4-flash", thinking={"type": "enabled"})


async def test_the_stream_is_framed_as_the_reference_shows(sim: Simulator, http: aiohttp.ClientSession) -> None:
    sim.say(Reply(chunks=("春", "天")))
    async with glm(sim, http, stream=True, model="glm-4-flash") as answer:
        raw = (await answer.read()).decode()
        assert answer.content_type == "text/event-stream"
    events = raw.split("\n\n")
    assert events.pop() == ""
    assert events.pop() == "data: [DONE]"
    assert "春" in events[0]  # UTF-8, not escaped
    parsed = [json.loads(event.removeprefix("data: ")) for event in events]
    assert [chunk["choices"][0]["delta"]["role"] for chunk in parsed] == ["assistant"] * 3
    assert ["finish_reason" in chunk["choices"][0] for chunk in parsed] == [False, False, True]
    assert ["usage" in chunk for chunk in parsed] == [False, False, True]
    assert {chunk["id"] for chunk in parsed} == {parsed[0]["id"]}


async def test_a_tool_call_comes_whole_or_with_tool_stream_in_fragments(sim: Simulator) -> None:
    more: Json = {"model": "glm-4.7", "messages": [user("What is the weather in Oslo?")], "tools": [WEATHER]}
    whole = [chunk for chunk in await chunks(sim, **more) if chunk.choices[0].delta.tool_calls]
    assert len(whole) == 1
    call = whole[0].choices[0].delta.tool_calls[0]
    assert (call.function.name, json.loads(call.function.arguments)) == ("get_weather", {"city": "Oslo"})
    got = await chunks(sim, **more, extra_body={"tool_stream": True})
    parts = [call for chunk in got for call in chunk.choices[0].delta.tool_calls or []]
    assert len(parts) > 1
    assert [bool(part.id) for part in parts] == [True] + [False] * (len(parts) - 1)
    assert json.loads("".join(part.function.arguments for part in parts)) == {"city": "Oslo"}
    assert got[-1].choices[0].finish_reason == "tool_calls"


async def test_a_tools_result_is_answered(sim: Simulator) -> None:
    messages = [
        user("What is the weather?"),
        {"role": "assistant", "content": None, "tool_calls": [CALL]},
        {"role": "tool", "content": "sunny", "tool_call_id": "call_1"},
    ]
    answer = await complete(sim, messages=messages, tools=[WEATHER])
    assert "sunny" in answer.choices[0].message.content


@pytest.mark.parametrize("prefix", ["", "data:image/png;base64,"])
async def test_a_picture_may_be_bare_base64_or_a_data_url(
    sim: Simulator, http: aiohttp.ClientSession, prefix: str
) -> None:
    parts = [
        {"type": "image_url", "image_url": {"url": prefix + png(64, 48)}},
        {"type": "text", "text": "What is it?"},
    ]
    async with glm(sim, http, model="glm-4.6v-flash", messages=[{"role": "user", "content": parts}]) as answer:
        assert "64 × 48" in (await answer.json())["choices"][0]["message"]["content"]


def picture(url: str) -> list[Json]:
    return [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": url}}]}]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"model": None}, "1213"),
        ({"model": "gpt-4"}, "1211"),
        ({"model": "cogview-3-flash"}, "1211"),
        ({"messages": []}, "1213"),
        ({"messages": "hi"}, "1214"),
        ({"messages": [user("")]}, "1213"),
        ({"messages": [{"role": "assistant", "content": "hi"}]}, "1214"),
        ({"messages": [{"role": "system", "content": "hi"}]}, "1214"),
        ({"messages": [user("hi"), {"role": "assistant", "content": "hi"}]}, "1214"),
        ({"messages": [user("hi"), {"role": "tool", "content": "x", "tool_call_id": "call_1"}]}, "1214"),
        ({"messages": [user("hi"), {"role": "assistant", "tool_calls": [CALL]}, user("?")]}, "1214"),
        ({"messages": [{"role": "developer", "content": "hi"}]}, "1214"),
        ({"temperature": 1.1}, "1214"),
        ({"temperature": "hot"}, "1214"),
        ({"top_p": 0}, "1214"),
        ({"max_tokens": 0}, "1214"),
        ({"max_tokens": 131_073}, "1214"),
        ({"user_id": "abc"}, "1214"),
        ({"user_id": "x" * 129}, "1214"),
        ({"request_id": "x" * 65}, "1214"),
        ({"stop": ["a", "b"]}, "1214"),
        ({"stop": "a"}, "1214"),
        ({"thinking": {"type": "on"}}, "1214"),
        ({"tools": [WEATHER], "tool_choice": "required"}, "1214"),
        ({"tools": [WEATHER] * 129}, "1214"),
        ({"messages": picture(png(9, 9))}, "1210"),  # to a model that cannot see
        ({"model": "glm-4.6v-flash", "messages": picture("/etc/hosts")}, "1210"),
        ({"model": "glm-4.6v-flash", "messages": picture("bm8gcGljdHVyZQ==")}, "1210"),
        ({"messages": [user("字" * 140_000)]}, "1261"),
    ],
)
async def test_a_wrong_request_is_refused_in_the_vendors_shape(
    sim: Simulator, http: aiohttp.ClientSession, body: Json, code: str
) -> None:
    assert await error(sim, http, **body) == (GLM[code].status, code)
    assert (sim.log[-1].status, sim.log[-1].code) == (GLM[code].status, code)
    assert sim.log[-1].usage.output_tokens == 0


async def test_json_nulls_as_the_sdk_sends_them_are_accepted(sim: Simulator, http: aiohttp.ClientSession) -> None:
    names = ("request_id", "user_id", "temperature", "top_p", "stop", "tools", "tool_choice", "thinking")
    async with glm(sim, http, **dict.fromkeys(names)) as answer:
        assert answer.status == 200


async def test_a_body_that_is_no_json_object_is_refused(sim: Simulator, http: aiohttp.ClientSession) -> None:
    headers = {"Authorization": f"Bearer {sim.api_key}"}
    for body in (b"{", b"[]", b"\xff"):
        async with http.post(f"{sim.glm_url}/chat/completions", data=body, headers=headers) as answer:
            assert (answer.status, (await answer.json())["error"]["code"]) == (400, "1210")


async def test_keys_raw_or_signed_are_accepted_and_wrong_ones_refused(sim: Simulator) -> None:
    def ask(key: str, *, signed: bool) -> None:
        client(sim, key, signed=signed).chat.completions.create(model="glm-4-flash", messages=[user("hi")])

    await asyncio.to_thread(ask, sim.api_key, signed=True)
    assert sim.log[-1].headers["Authorization"].startswith("Bearer ey")
    for signed in (False, True):
        with pytest.raises(zhipuai.APIAuthenticationError) as caught:
            await asyncio.to_thread(ask, "another.key", signed=signed)
        assert caught.value.response.json()["error"]["code"] == "1000"


async def test_no_key_and_an_expired_token_have_codes_of_their_own(sim: Simulator, http: aiohttp.ClientSession) -> None:
    name, secret = sim.api_key.split(".")
    expired = jwt.encode({"api_key": name, "exp": int(time.time() - 60) * 1000}, secret, algorithm="HS256")
    for headers, code in (({}, "1001"), ({"Authorization": f"Bearer {expired}"}, "1003")):
        async with http.post(f"{sim.glm_url}/chat/completions", json={}, headers=headers) as answer:
            assert (answer.status, (await answer.json())["error"]["code"]) == (401, code)


async def test_max_tokens_and_stop_are_obeyed(sim: Simulator) -> None:
    got = await chunks(sim, max_tokens=3)
    assert (len(got), got[-1].choices[0].finish_reason) == (4, "length")
    sim.say("one two three")
    assert (await complete(sim, stop=["two"])).choices[0].message.content == "one "


async def test_scripted_replies_come_in_their_own_chunks(sim: Simulator) -> None:
    call = ToolCall("call_9", "f", "{}")
    sim.say(Reply(chunks=("a", "bc", "")), Reply(tool_calls=(call,), finish="tool_calls"))
    assert [chunk.choices[0].delta.content for chunk in await chunks(sim)] == ["a", "bc", "", ""]
    assert (await complete(sim)).choices[0].message.tool_calls[0].id == "call_9"


async def test_an_asynchronous_chat_is_a_task(sim: Simulator) -> None:
    sdk = client(sim)
    body: dict[str, Any] = {"model": "glm-4-flash", "messages": [user("hi")]}
    task: Any = await asyncio.to_thread(lambda: sdk.chat.asyncCompletions.create(**body))
    assert task.task_status == "PROCESSING"
    deadline = time.monotonic() + 5
    result: Any = task
    while result.task_status == "PROCESSING":
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)
        result = await asyncio.to_thread(lambda: sdk.chat.asyncCompletions.retrieve_completion_result(task.id))
    assert result.task_status == "SUCCESS"
    assert "simulator" in result.choices[0].message.content


async def test_a_picture_is_drawn_at_the_size_asked_for(sim: Simulator, http: aiohttp.ClientSession) -> None:
    made: Any = await asyncio.to_thread(
        lambda: client(sim).images.generations(model="cogview-3-flash", prompt="a red fox", size="768x1344")
    )
    async with http.get(made.data[0].url) as answer:
        data = await answer.read()
    assert (data[:8], data[16:24]) == (b"\x89PNG\r\n\x1a\n", (768).to_bytes(4) + (1344).to_bytes(4))
    assert sim.log[0].usage.images == 1


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"model": "glm-4-flash"}, "1211"),
        ({"prompt": " "}, "1213"),
        ({"size": "1000x1000"}, "1214"),
        ({"size": "256x256"}, "1214"),
        ({"size": "2048x2048"}, "1214"),
        ({"size": "1024*1024"}, "1214"),
        ({"size": "axb"}, "1214"),
        ({"model": "glm-image", "size": "1040x1040"}, "1214"),
        ({"quality": "best"}, "1214"),
    ],
)
async def test_an_impossible_picture_is_refused(
    sim: Simulator, http: aiohttp.ClientSession, body: Json, code: str
) -> None:
    whole = {"model": "cogview-4", "prompt": "fox", "size": "1024x1024"} | body
    headers = {"Authorization": f"Bearer {sim.api_key}"}
    async with http.post(f"{sim.glm_url}/images/generations", json=whole, headers=headers) as answer:
        assert (answer.status, (await answer.json())["error"]["code"]) == (400, code)
    assert sim.log[-1].usage.images == 0


async def test_an_unknown_path_has_the_vendors_code(sim: Simulator, http: aiohttp.ClientSession) -> None:
    headers = {"Authorization": f"Bearer {sim.api_key}"}
    async with http.post(f"{sim.glm_url}/nonsense", json={}, headers=headers) as answer:
        assert (await answer.json())["error"]["code"] == "1222"
