"""DashScope's ears, voice and web search: through the real SDK, and raw where the wire itself matters."""

import base64
import io
import json
import wave
from typing import Any

import aiohttp
import pytest

from bot.simulator import Reply, Simulator
from bot.simulator.sounds import length, speech
from bot.simulator.words import Found
from tests.simulator.asking import MULTIMODAL, STREAM, Generation, Json, MultiModalConversation, qwen, user


def sdk(sim: Simulator, http: aiohttp.ClientSession) -> Json:
    return {"api_key": sim.api_key, "base_address": sim.dashscope_url, "session": http}


def audio(data: bytes, mime: str = "audio/wav") -> Json:
    return {"audio": f"data:{mime};base64,{base64.b64encode(data).decode()}"}


def ten_minutes() -> bytes:
    """Of silence, at 8000 bytes a second."""
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(1)
        file.setframerate(8_000)
        file.writeframes(bytes(600 * 8_000))
    return out.getvalue()


async def refused(answer: aiohttp.ClientResponse) -> None:
    body = await answer.json()
    assert set(body) == {"code", "message", "request_id"}
    assert (answer.status, body["code"]) == (400, "InvalidParameter"), body


# --- ears --------------------------------------------------------------------------------------------------------------


async def test_the_sdk_has_speech_understood(sim: Simulator, http: aiohttp.ClientSession) -> None:
    sim.hear("What time is it?")
    messages = [{"role": "system", "content": [{"text": ""}]}, {"role": "user", "content": [audio(speech("x" * 50))]}]
    got = await MultiModalConversation.call(
        model="qwen3-asr-flash", messages=messages, asr_options={"enable_itn": False}, **sdk(sim, http)
    )
    message = got.output.choices[0].message
    assert message.content == [{"text": "What time is it?"}]
    assert message.annotations[0]["type"] == "audio_info"
    assert (got.usage["seconds"], sim.log[-1].usage.seconds) == (3, 3.0)


@pytest.mark.parametrize(
    "messages",
    [
        [user("hi")],
        [{"role": "user", "content": [{"text": "hi"}]}],
        [{"role": "user", "content": [audio(speech("a")), audio(speech("b"))]}],
        [{"role": "user", "content": [audio(speech("a"))]}] * 2,
        [{"role": "user", "content": [audio(b"no sound")]}],
        [{"role": "user", "content": [audio(speech("a"), "text/plain")]}],
        [{"role": "user", "content": [{"audio": "/etc/hosts"}]}],
    ],
)
async def test_what_cannot_be_heard_is_refused(sim: Simulator, http: aiohttp.ClientSession, messages: Any) -> None:
    async with qwen(sim, http, model="qwen3-asr-flash", messages=messages, path=MULTIMODAL) as answer:
        await refused(answer)
    assert sim.log[-1].usage.seconds == 0


@pytest.mark.parametrize("data", [bytes(8 * 1024 * 1024), ten_minutes()], ids=["large", "long"])
async def test_what_is_too_much_to_be_heard_is_refused(
    sim: Simulator, http: aiohttp.ClientSession, data: bytes
) -> None:
    message = {"role": "user", "content": [audio(data)]}
    body = json.dumps({"model": "qwen3-asr-flash", "input": {"messages": [message]}}).encode()
    headers = {"Authorization": f"Bearer {sim.api_key}"}
    async with http.post(sim.dashscope_url + MULTIMODAL, data=io.BytesIO(body), headers=headers) as answer:
        await refused(answer)
    assert sim.log[-1].usage.seconds == 0


# --- voice -------------------------------------------------------------------------------------------------------------


async def test_the_sdk_has_a_text_spoken(sim: Simulator, http: aiohttp.ClientSession) -> None:
    got = await MultiModalConversation.call(
        model="qwen3-tts-flash", text="你好", voice="Cherry", language_type="Chinese", **sdk(sim, http)
    )
    assert got.output.audio.data == "" and got.usage["characters"] == sim.log[-1].usage.characters == 2
    async with http.get(got.output.audio.url) as answer:
        assert answer.content_type == "audio/wav"
        assert length(await answer.read()) == pytest.approx(0.12)


async def test_a_streamed_voice_is_bare_samples_and_its_link_comes_last(
    sim: Simulator, http: aiohttp.ClientSession
) -> None:
    events = await MultiModalConversation.call(
        model="qwen3-tts-flash", text="Hello there", voice="Ethan", stream=True, **sdk(sim, http)
    )
    outputs = [event.output async for event in events]
    assert b"".join(base64.b64decode(output.audio.data) for output in outputs) == speech("Hello there")[44:]
    assert [bool(output.audio.url) for output in outputs] == [False] * (len(outputs) - 1) + [True]
    assert [output.finish_reason for output in outputs] == ["null"] * (len(outputs) - 1) + ["stop"]


@pytest.mark.parametrize(
    "given",
    [
        {"text": ""},
        {"text": "x" * 601},
        {"text": 5},
        {"voice": "Nobody"},
        {"voice": None},
        {"language_type": "Klingon"},
    ],
)
@pytest.mark.parametrize("headers", [{}, STREAM])
async def test_what_cannot_be_said_is_refused(
    sim: Simulator, http: aiohttp.ClientSession, given: Json, headers: dict[str, str]
) -> None:
    body = {"model": "qwen3-tts-flash", "input": {"text": "hi", "voice": "Cherry"} | given}
    headers = {"Authorization": f"Bearer {sim.api_key}", **headers}
    async with http.post(sim.dashscope_url + MULTIMODAL, json=body, headers=headers) as answer:
        await refused(answer)
    assert sim.log[-1].usage.characters == 0


# --- search ------------------------------------------------------------------------------------------------------------


async def searched(sim: Simulator, http: aiohttp.ClientSession, **options: Any) -> list[Any]:
    got = await Generation.call(
        model="qwen-plus",
        messages=[user("Who won?")],
        result_format="message",
        incremental_output=True,
        stream=True,
        enable_search=True,
        search_options=options,
        **sdk(sim, http),
    )
    return [event.output async for event in got]


async def test_a_search_tells_its_sources_where_they_are_wanted(sim: Simulator, http: aiohttp.ClientSession) -> None:
    sim.find(Found("A match", "https://example.org/1", site="Example"))
    outputs = await searched(sim, http, enable_source=True)
    assert outputs[-1].search_info["search_results"] == [
        {"index": 1, "title": "A match", "url": "https://example.org/1", "site_name": "Example", "icon": ""}
    ]
    assert all(output.get("search_info") is None for output in await searched(sim, http, forced_search=True))


async def test_what_no_search_takes_is_refused(sim: Simulator, http: aiohttp.ClientSession) -> None:
    for parameters in (
        {"enable_search": "yes"},
        {"enable_search": True, "search_options": "all"},
        {"enable_search": True, "search_options": {"forced_search": 1}},
    ):
        async with qwen(sim, http, **parameters) as answer:
            await refused(answer)


# --- functions ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["", "with space", "x" * 65, "名"])
async def test_a_function_needs_a_name_that_it_can_have(sim: Simulator, http: aiohttp.ClientSession, name: str) -> None:
    tool = {"type": "function", "function": {"name": name, "parameters": {}}}
    async with qwen(sim, http, tools=[tool], result_format="message") as answer:
        await refused(answer)


async def test_scripted_answers_come_first(sim: Simulator, http: aiohttp.ClientSession) -> None:
    sim.say(Reply(text="Two.", found=(Found("A page", "https://example.org/"),)))
    outputs = await searched(sim, http, enable_source=True)
    assert "".join(output.choices[0].message.content for output in outputs) == "Two."
    assert outputs[-1].search_info["search_results"][0]["title"] == "A page"
