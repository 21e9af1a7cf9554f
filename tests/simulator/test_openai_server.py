"""The stand-in for OpenAI-compatible servers."""

import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from bot.simulator import Fault, Reply
from bot.simulator.errors import OPENAI
from tests.servers.openai import OpenAIServer
from tests.simulator.asking import Json, png, user


@pytest.fixture
async def server() -> AsyncIterator[OpenAIServer]:
    async with OpenAIServer(api_key="sk-test") as running:
        yield running


def ask(server: OpenAIServer, http: aiohttp.ClientSession, **body: Any) -> Any:
    body = {"model": "llama3.2", "messages": [user("hi")]} | body
    return http.post(f"{server.url}/chat/completions", json=body, headers={"Authorization": "Bearer sk-test"})


async def events(server: OpenAIServer, http: aiohttp.ClientSession, **body: Any) -> list[Json]:
    async with ask(server, http, stream=True, **body) as answer:
        assert answer.content_type == "text/event-stream"
        raw = (await answer.read()).decode()
    parts = raw.split("\n\n")
    assert parts[-2:] == ["data: [DONE]", ""]
    return [json.loads(part.removeprefix("data: ")) for part in parts[:-2]]


async def test_models_are_listed(server: OpenAIServer, http: aiohttp.ClientSession) -> None:
    async with http.get(f"{server.url}/models", headers={"Authorization": "Bearer sk-test"}) as answer:
        assert "llama3.2" in [model["id"] for model in (await answer.json())["data"]]


async def test_a_whole_answer(server: OpenAIServer, http: aiohttp.ClientSession) -> None:
    async with ask(server, http, messages=[user("My name is Ann")]) as answer:
        body = await answer.json()
    assert "**Ann**" in body["choices"][0]["message"]["content"]
    assert body["usage"]["completion_tokens"] == server.log[-1].usage.output_tokens


async def test_usage_comes_last_without_choices_and_only_if_asked_for(
    server: OpenAIServer, http: aiohttp.ClientSession
) -> None:
    server.say(Reply(chunks=("a", "b")), Reply(chunks=("a", "b")))
    got = await events(server, http, stream_options={"include_usage": True})
    assert [chunk["usage"] for chunk in got[:-1]] == [None] * (len(got) - 1)
    assert (got[-1]["choices"], got[-1]["usage"]["completion_tokens"]) == ([], 2)
    assert got[0]["choices"][0]["delta"] == {"role": "assistant", "content": ""}
    assert got[-2]["choices"][0]["finish_reason"] == "stop"
    plain = await events(server, http)
    assert all("usage" not in chunk for chunk in plain)
    assert [chunk["choices"][0]["delta"].get("content") for chunk in plain] == ["", "a", "b", None]


async def test_reasoning_comes_first_as_deepseek_sends_it(server: OpenAIServer, http: aiohttp.ClientSession) -> None:
    deltas = [chunk["choices"][0]["delta"] for chunk in await events(server, http, model="deepseek-reasoner")]
    thoughts = [at for at, delta in enumerate(deltas) if "reasoning_content" in delta]
    assert thoughts
    assert max(thoughts) < min(at for at, delta in enumerate(deltas) if delta.get("content"))


async def test_tool_calls_come_in_fragments(server: OpenAIServer, http: aiohttp.ClientSession) -> None:
    function = {"name": "get_weather", "parameters": {"type": "object", "properties": {"city": {}}}}
    tools = [{"type": "function", "function": function}]
    got = await events(server, http, messages=[user("The weather in Oslo?")], tools=tools)
    calls = [call for chunk in got for call in chunk["choices"][0]["delta"].get("tool_calls", [])]
    assert ["id" in call for call in calls] == [True] + [False] * (len(calls) - 1)
    assert json.loads("".join(call["function"]["arguments"] for call in calls)) == {"city": "Oslo"}
    assert got[-1]["choices"][0]["finish_reason"] == "tool_calls"


async def test_a_picture_comes_as_a_data_url(server: OpenAIServer, http: aiohttp.ClientSession) -> None:
    part = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + png(64, 48)}}
    async with ask(server, http, messages=[{"role": "user", "content": [part]}]) as answer:
        assert "64 × 48" in (await answer.json())["choices"][0]["message"]["content"]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"model": "gpt-9"}, "model_not_found"),
        ({"messages": []}, "invalid_request_error"),
        ({"messages": [{"role": "developer", "content": "x"}]}, "invalid_request_error"),
        ({"messages": [{"role": "tool", "content": "x", "tool_call_id": "1"}]}, "invalid_request_error"),
        ({"temperature": 3}, "invalid_request_error"),
        ({"max_tokens": 0}, "invalid_request_error"),
        ({"stream_options": {"include_usage": True}}, "invalid_request_error"),
        ({"messages": [user("字" * 140_000)]}, "context_length_exceeded"),
    ],
)
async def test_a_wrong_request_is_refused_in_the_usual_shape(
    server: OpenAIServer, http: aiohttp.ClientSession, body: Json, code: str
) -> None:
    async with ask(server, http, **body) as answer:
        error = (await answer.json())["error"]
        assert answer.status == OPENAI[code].status
    assert set(error) == {"message", "type", "param", "code"}
    assert error["code"] == code


async def test_a_wrong_key_is_refused_and_none_needed_without_one(
    server: OpenAIServer, http: aiohttp.ClientSession
) -> None:
    async with http.get(f"{server.url}/models") as answer:
        assert (answer.status, (await answer.json())["error"]["code"]) == (401, "invalid_api_key")
    async with OpenAIServer() as unlocked, http.get(f"{unlocked.url}/models") as answer:
        assert answer.status == 200


async def test_it_fails_as_scripted(server: OpenAIServer, http: aiohttp.ClientSession) -> None:
    server.fail(Fault(code="insufficient_balance"))
    async with ask(server, http) as answer:
        assert answer.status == 402
    server.fail(Fault(code="server_error", after_chunks=1))
    async with ask(server, http, stream=True) as answer:
        assert b'"type": "server_error"' in await answer.read()
