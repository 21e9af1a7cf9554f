"""Scripted misbehaviour, as a client sees it on the wire and through the SDKs."""

import asyncio
import json
import time
from typing import Any

import aiohttp
import pytest

from bot.simulator import Fault, Reply, Simulator
from bot.simulator.errors import DASHSCOPE, GLM
from bot.simulator.faults import parse_fault
from tests.simulator.asking import STREAM, Generation, glm, qwen, until, user, zhipuai

WORDS = ("春天", "来了", ", the ", "magpie ", "sings")


def texts(raw: bytes) -> str:
    """The content of a GLM stream, as a tolerant parser reads it."""
    events = [line[6:] for line in raw.decode().splitlines() if line.startswith("data: ")]
    parsed = [json.loads(event) for event in events if event != "[DONE]"]
    return "".join(chunk["choices"][0]["delta"]["content"] for chunk in parsed)


@pytest.mark.parametrize("code", GLM)
async def test_every_documented_glm_error_has_its_status_and_shape(
    sim: Simulator, http: aiohttp.ClientSession, code: str
) -> None:
    sim.fail(Fault(vendor="glm", code=code))
    async with glm(sim, http) as answer:
        body = await answer.json()
        assert answer.status == GLM[code].status
    assert body["error"]["code"] == code
    assert body["error"]["message"]
    assert ("contentFilter" in body) == (code == "1301")
    async with glm(sim, http) as answer:
        assert answer.status == 200


@pytest.mark.parametrize("code", DASHSCOPE)
async def test_every_documented_dashscope_error_has_its_status_and_shape(
    sim: Simulator, http: aiohttp.ClientSession, code: str
) -> None:
    sim.fail(Fault(vendor="dashscope", code=code))
    got = await Generation.call(
        model="qwen-plus", messages=[user("hi")], api_key=sim.api_key, base_address=sim.dashscope_url, session=http
    )
    assert (got.status_code, got.code, got.message) == (DASHSCOPE[code].status, code, DASHSCOPE[code].message)


async def test_a_fault_hits_only_the_calls_that_it_names(sim: Simulator, http: aiohttp.ClientSession) -> None:
    sim.fail(Fault(vendor="dashscope", code="Throttling", times=None))
    sim.fail(Fault(vendor="glm", path="/images/", code="1301", times=None))
    sim.fail(Fault(vendor="glm", code="1305", times=2, when=lambda body: body["model"] == "glm-4-plus"))
    statuses = []
    for model in ("glm-4-flash", "glm-4-plus", "glm-4-plus", "glm-4-plus"):
        async with glm(sim, http, model=model) as answer:
            statuses.append(answer.status)
    assert statuses == [200, 429, 429, 200]
    async with qwen(sim, http) as answer:
        assert answer.status == 429
    sim.heal()
    async with qwen(sim, http) as answer:
        assert answer.status == 200


async def test_what_a_user_writes_never_triggers_a_fault(sim: Simulator, http: aiohttp.ClientSession) -> None:
    for text in ("fail", "1301", "cut=true,times=*", "DataInspectionFailed", "--fault hang"):
        async with glm(sim, http, messages=[user(text)]) as answer:
            assert answer.status == 200


async def test_retry_after_comes_when_scripted(sim: Simulator, http: aiohttp.ClientSession) -> None:
    sim.fail(Fault(vendor="glm", code="1302", retry_after=7))
    async with glm(sim, http) as answer:
        assert (answer.status, answer.headers["Retry-After"]) == (429, "7")
    sim.fail(Fault(vendor="glm", code="1302"))
    async with glm(sim, http) as answer:
        assert "Retry-After" not in answer.headers


async def test_a_gateways_page_may_come_instead(sim: Simulator, http: aiohttp.ClientSession) -> None:
    sim.fail(Fault(status=502, body=b"<html>Bad Gateway</html>"))
    async with glm(sim, http) as answer:
        assert (answer.status, answer.content_type) == (502, "text/html")


@pytest.mark.parametrize("reason", ["sensitive", "network_error", "length", "model_context_window_exceeded"])
async def test_a_glm_stream_may_end_early_with_a_reason(
    sim: Simulator, http: aiohttp.ClientSession, reason: str
) -> None:
    sim.say(Reply(chunks=WORDS))
    sim.fail(Fault(finish=reason, after_chunks=2))
    async with glm(sim, http, stream=True) as answer:
        raw = await answer.read()
    assert texts(raw) == "春天来了"
    assert f'"finish_reason":"{reason}"'.encode() in raw


async def test_an_error_in_the_middle_of_a_stream_reaches_both_sdks(
    sim: Simulator, http: aiohttp.ClientSession
) -> None:
    def ask() -> list[str]:
        client = zhipuai.ZhipuAI(api_key=sim.api_key, base_url=sim.glm_url, max_retries=0)
        got: list[str] = []
        answer: Any = client.chat.completions.create(model="glm-4-flash", messages=[user("hi")], stream=True)
        with pytest.raises(zhipuai.APIResponseError) as caught:
            got.extend(chunk.choices[0].delta.content for chunk in answer)
        client.close()
        assert caught.value.json_data == {"code": "1234", "message": GLM["1234"].message.replace("{}", "")}
        return got

    sim.say(Reply(chunks=WORDS), Reply(chunks=WORDS))
    sim.fail(Fault(vendor="glm", code="1234", after_chunks=3))
    assert await asyncio.to_thread(ask) == list(WORDS[:3])
    sim.fail(Fault(vendor="dashscope", code="DataInspectionFailed", after_chunks=3))
    events = await Generation.call(
        model="qwen-plus",
        messages=[user("hi")],
        stream=True,
        incremental_output=True,
        api_key=sim.api_key,
        base_address=sim.dashscope_url,
        session=http,
    )
    seen = [event async for event in events]
    assert [event.status_code for event in seen] == [200, 200, 200, 400]
    assert seen[-1].code == "DataInspectionFailed"
    assert sim.log[-1].chunks == 3


@pytest.mark.parametrize("chunks", [0, 1, 3])
async def test_a_stream_may_be_cut_after_some_chunks(sim: Simulator, http: aiohttp.ClientSession, chunks: int) -> None:
    sim.say(Reply(chunks=WORDS))
    sim.fail(Fault(cut=True, after_chunks=chunks))
    async with glm(sim, http, stream=True) as answer:
        raw = bytearray()
        with pytest.raises(aiohttp.ClientPayloadError):
            async for data in answer.content.iter_any():
                raw += data
    assert texts(bytes(raw)) == "".join(WORDS[:chunks])
    assert b"[DONE]" not in raw


@pytest.mark.parametrize("size", [0, 1, 200, 333])
async def test_any_answer_may_be_cut_after_some_bytes(sim: Simulator, http: aiohttp.ClientSession, size: int) -> None:
    for stream in (True, False):
        sim.fail(Fault(cut=True, after_bytes=size))
        async with glm(sim, http, stream=stream, messages=[user("a long story")]) as answer:
            raw = bytearray()
            with pytest.raises(aiohttp.ClientPayloadError):
                async for data in answer.content.iter_any():
                    raw += data
        assert len(raw) == size


async def test_a_connection_may_be_cut_before_any_answer(sim: Simulator, http: aiohttp.ClientSession) -> None:
    sim.fail(Fault(cut=True))
    with pytest.raises(aiohttp.ServerDisconnectedError):
        async with glm(sim, http):
            pass


@pytest.mark.parametrize("after", [None, 0, 2])
async def test_a_call_may_hang_for_ever(sim: Simulator, http: aiohttp.ClientSession, after: int | None) -> None:
    sim.say(Reply(chunks=WORDS))
    sim.fail(Fault(hang=True, after_chunks=after))
    raw = bytearray()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.3), glm(sim, http, stream=True) as answer:
            async for data in answer.content.iter_any():
                raw += data
    assert (texts(bytes(raw)) == "".join(WORDS[:after])) if after else not raw
    await until(lambda: sim.log[-1].disconnected is not None)
    assert sim.log[-1].status == (0 if after is None else 200)


@pytest.mark.parametrize(
    "fault",
    [Fault(bytewise=True), Fault(crlf=True), Fault(comments=True), Fault(bytewise=True, crlf=True, comments=True)],
)
async def test_odd_framing_changes_no_content(sim: Simulator, http: aiohttp.ClientSession, fault: Fault) -> None:
    sim.say(Reply(chunks=WORDS))
    sim.fail(fault)
    async with glm(sim, http, stream=True) as answer:
        raw = await answer.read()
    assert texts(raw) == "".join(WORDS)
    assert (b"\r\n\r\n" in raw) == fault.crlf
    assert (b": keep-alive" in raw) == fault.comments


async def test_an_answer_may_drip(sim: Simulator, http: aiohttp.ClientSession) -> None:
    sim.fail(Fault(drip=0.05))
    began = time.monotonic()
    async with glm(sim, http, stream=True) as answer:
        assert await answer.content.readexactly(6) == b"data: "
    assert time.monotonic() - began > 0.2


async def test_usage_may_be_missing(sim: Simulator, http: aiohttp.ClientSession) -> None:
    sim.fail(Fault(no_usage=True, times=4))
    for ask in (glm(sim, http), glm(sim, http, stream=True), qwen(sim, http), qwen(sim, http, headers=STREAM)):
        async with ask as answer:
            assert b'"usage"' not in await answer.read()


async def test_an_answer_may_be_empty_or_all_thought(sim: Simulator, http: aiohttp.ClientSession) -> None:
    sim.fail(Fault(empty=True))
    async with glm(sim, http) as answer:
        assert (await answer.json())["choices"][0]["message"]["content"] == ""
    sim.fail(Fault(only_thought=True))
    async with glm(sim, http) as answer:
        message = (await answer.json())["choices"][0]["message"]
    assert message["content"] == ""
    assert message["reasoning_content"]


async def test_a_stream_may_never_end(sim: Simulator, http: aiohttp.ClientSession) -> None:
    sim.fail(Fault(endless=True))
    async with glm(sim, http, stream=True) as answer:
        await answer.content.readexactly(300_000)
    await until(lambda: sim.log[-1].disconnected is not None)
    assert sim.log[-1].usage.output_tokens == sim.log[-1].chunks > 1_000


async def test_too_many_calls_at_once_are_refused(http: aiohttp.ClientSession) -> None:
    async with Simulator(first_token=0.3, per_token=0, max_in_flight=3) as sim:

        async def ask() -> int:
            async with glm(sim, http) as answer:
                return int(answer.status)

        statuses = await asyncio.gather(*(ask() for _ in range(5)))
        assert sorted(statuses) == [200, 200, 200, 429, 429]
        assert {call.code for call in sim.log} == {"", "1302"}
        async with qwen(sim, http) as answer:
            assert answer.status == 200


def test_faults_can_be_written_on_the_command_line() -> None:
    assert parse_fault("vendor=glm,code=1302,times=3") == Fault(vendor="glm", code="1302", times=3)
    assert parse_fault("path=chat, cut, after_chunks=5,times=*") == Fault(
        path="chat", cut=True, after_chunks=5, times=None
    )
    assert parse_fault("drip=0.5") == Fault(drip=0.5)
    assert parse_fault("picture=huge") == Fault(picture="huge")
    for wrong in ("nonsense", "code=1302", "vendor=glm,code=9", "picture=ugly", "times=x", "when=1"):
        with pytest.raises(ValueError, match=r"."):
            parse_fault(wrong)
