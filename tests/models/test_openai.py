"""Any OpenAI-compatible service."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import aiohttp
import pytest

from bot.errors import ModelError, Trouble
from bot.messages import Finish, Usage
from bot.models import ModelSettings, open_models
from bot.models.openai import OpenAI
from bot.ports import Line, ToolCall, ToolCard
from bot.simulator import Fault, Reply
from bot.simulator import ToolCall as Called
from tests.models.rig import QUICK, Asker, Parts, Purse, Shelf, end_of, png, recorded, text_of, thought_of
from tests.servers.openai import OpenAIServer

MODEL = "openai/llama3.2"
WEATHER = ToolCard(
    name="get_weather",
    description="The weather of a city.",
    parameters='{"type": "object", "properties": {"city": {"type": "string"}}}',
)


@asynccontextmanager
async def open_service(api_key: str = "", key: str | None = None) -> AsyncIterator[tuple[OpenAIServer, Asker]]:
    async with OpenAIServer(api_key=api_key) as server, aiohttp.ClientSession() as session:
        shelf = Shelf()
        settings = ModelSettings(
            session=session,
            ledger=Purse(),
            files=shelf,
            openai_key=api_key if key is None else key,
            openai_url=server.url,
            limits=QUICK,
        )
        yield server, Asker(open_models(settings), shelf, session)


async def test_an_answer_with_its_usage() -> None:
    async with open_service("sk-1") as (server, rig):
        server.say("Hello 喜鹊.")
        parts = await rig.ask(MODEL, seed=5)
        end = end_of(parts)
        assert (text_of(parts), end.reason, end.model) == ("Hello 喜鹊.", Finish.STOP, MODEL)
        assert end.usage.completion > 0 and not end.usage.estimated and end.request_id
        body = server.log[-1].body
        assert (body["model"], body["seed"], body["stream_options"]) == ("llama3.2", 5, {"include_usage": True})


async def test_thoughts_in_either_form() -> None:
    async with open_service() as (server, rig):
        server.say(Reply(text="Yes.", thought="hm"), Reply(text="<think>hm</think>Yes."))
        for name in ("openai/deepseek-reasoner", MODEL):
            parts = await rig.ask(name)
            assert (thought_of(parts), text_of(parts)) == ("hm", "Yes.")


@pytest.mark.parametrize(
    ("code", "trouble"),
    [
        ("invalid_request_error", Trouble.BAD_REQUEST),
        ("context_length_exceeded", Trouble.TOO_LONG),
        ("content_filter", Trouble.REFUSED),
        ("invalid_api_key", Trouble.BAD_KEY),
        ("insufficient_balance", Trouble.NO_MONEY),
        ("model_not_found", Trouble.NO_MODEL),
        ("insufficient_quota", Trouble.NO_MONEY),
        ("rate_limit_exceeded", Trouble.BUSY),
        ("server_error", Trouble.FAULT),
        ("overloaded", Trouble.OVERLOADED),
    ],
)
async def test_every_code(code: str, trouble: Trouble) -> None:
    async with open_service() as (server, rig):
        server.fail(Fault(vendor="openai", code=code, times=None))
        error = await rig.refused(MODEL)
        assert (error.trouble, error.code, error.vendor) == (trouble, code, "openai")


@pytest.mark.parametrize(
    ("status", "body", "trouble"),
    [
        (
            402,
            b'{"error":{"message":"Insufficient Balance","type":"unknown_error","code":"invalid_request_error"}}',
            "NO_MONEY",
        ),
        (
            400,
            b'{"object":"error","message":"This model\'s maximum context length is 8192 tokens","code":400}',
            "TOO_LONG",
        ),
        (404, b'{"error":{"message":"model \\"x\\" not found, try pulling it first","type":"api_error"}}', "NO_MODEL"),
        (500, b'{"error":"llama runner process has terminated"}', "FAULT"),
        (502, b"<html>", "FAULT"),
        (307, b"", "BAD_REQUEST"),
    ],
)
async def test_refusals_as_deepseek_vllm_and_ollama_word_them(status: int, body: bytes, trouble: str) -> None:
    async with open_service() as (_, rig), recorded([body] if body else [], status=status) as origin:
        with pytest.raises(ModelError) as caught:
            await read(rig, origin)
        assert caught.value.trouble is Trouble[trouble]


async def read(rig: Asker, origin: str) -> Parts:
    parts: Parts = []
    async for part in OpenAI(rig.session, Shelf(), key="", url=f"{origin}/v1").stream(rig.prompt(MODEL)):
        parts.append(part)
    return parts


async def test_a_wrong_key() -> None:
    async with open_service("sk-right", key="sk-wrong") as (_, rig):
        assert (await rig.refused(MODEL)).trouble is Trouble.BAD_KEY


@pytest.mark.parametrize("fault", [Fault(bytewise=True), Fault(crlf=True), Fault(comments=True)])
async def test_any_slicing(fault: Fault) -> None:
    async with open_service() as (server, rig):
        server.say("喜鹊 ✨ text")
        server.fail(fault)
        assert text_of(await rig.ask(MODEL)) == "喜鹊 ✨ text"


async def test_a_cut_stream() -> None:
    async with open_service() as (server, rig):
        server.say(Reply(text="one two", chunks=("one ", "two")))
        server.fail(Fault(cut=True, after_chunks=1))
        parts = await rig.ask(MODEL)
        assert (text_of(parts), end_of(parts).reason) == ("one ", Finish.CUT)


async def test_an_error_inside_the_stream() -> None:
    event = (
        b'data: {"choices":[{"delta":{"content":"a"}}]}\n\ndata: {"error":{"message":"died","code":"server_error"}}\n\n'
    )
    async with open_service() as (_, rig), recorded([event]) as origin:
        with pytest.raises(ModelError) as caught:
            await read(rig, origin)
        assert caught.value.trouble is Trouble.FAULT


async def test_usage_that_contradicts_itself_counts_as_none() -> None:
    event = b'data: {"choices":[{"delta":{"content":"a"},"finish_reason":"stop"}],"usage":{"prompt_tokens":0}}\n\n'
    async with open_service() as (_, rig), recorded([event]) as origin:
        assert end_of(await read(rig, origin)).usage == Usage(estimated=True)


async def test_pictures_in() -> None:
    async with open_service() as (server, rig):
        await rig.shelf.keep(png(), "image/png")
        prompt = rig.prompt(MODEL, lines=(Line("user", "?", ("0",)),))
        assert end_of(await rig.answer(prompt)).reason is Finish.STOP
        assert server.log[-1].body["messages"][0]["content"] == "?"
        assert end_of(await rig.answer(replace(prompt, card=replace(prompt.card, vision=True)))).reason is Finish.STOP
        assert server.log[-1].body["messages"][0]["content"][0]["image_url"]["url"].startswith("data:image/png;base64,")


async def test_functions_are_offered_asked_for_and_answered() -> None:
    async with open_service() as (server, rig):
        parts = await rig.ask(MODEL, "The weather in Oslo?", tools=(WEATHER,))
        (call,) = [part for part in parts if isinstance(part, ToolCall)]
        assert parts[-2] is call and end_of(parts).reason is Finish.TOOLS
        assert (call.name, json.loads(call.arguments)) == ("get_weather", {"city": "Oslo"})
        lines = (
            Line("user", "The weather in Oslo?"),
            Line("assistant", "", calls=(call,)),
            Line("tool", "12 degrees", call=call.id),
        )
        again = await rig.ask(MODEL, lines=lines, tools=(WEATHER,))
        assert "12 degrees" in text_of(again) and end_of(again).reason is Finish.STOP
        told, result = server.log[-1].body["messages"][1:]
        assert told["tool_calls"][0] == {
            "id": call.id,
            "type": "function",
            "function": {"name": "get_weather", "arguments": call.arguments},
        }
        assert result == {"role": "tool", "content": "12 degrees", "tool_call_id": call.id}


async def test_a_call_cut_off_by_length_is_none() -> None:
    async with open_service() as (server, rig):
        server.say(Reply(text="Let me", tool_calls=(Called("c1", "get_weather", '{"city": "Os'),), finish="length"))
        parts = await rig.ask(MODEL, tools=(WEATHER,))
        assert end_of(parts).reason is Finish.LENGTH
        assert not [part for part in parts if isinstance(part, ToolCall)]


async def test_a_service_that_asks_for_functions_and_names_none_is_cut() -> None:
    event = b'data: {"choices":[{"delta":{"content":"a"},"finish_reason":"tool_calls"}]}\n\ndata: [DONE]\n\n'
    async with open_service() as (_, rig), recorded([event]) as origin:
        assert end_of(await read(rig, origin)).reason is Finish.CUT
