"""DashScope's protocol: through the real SDK's Aio classes, and raw where the wire itself matters."""

import asyncio
import base64
import io
import json
import re
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from dashscope.utils.oss_utils import OssUtils

from bot.simulator import Fault, Reply, Simulator
from bot.simulator.errors import DASHSCOPE
from tests.simulator.asking import (
    MULTIMODAL,
    STREAM,
    Generation,
    ImageSynthesis,
    Json,
    MultiModalConversation,
    png,
    qwen,
    user,
)

IMAGES = "/services/aigc/text2image/image-synthesis"
WEATHER: Json = {
    "type": "function",
    "function": {"name": "get_weather", "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}},
}


def sdk(sim: Simulator, http: aiohttp.ClientSession) -> Json:
    return {"api_key": sim.api_key, "base_address": sim.dashscope_url, "session": http}


async def stream(sim: Simulator, http: aiohttp.ClientSession, text: str = "hi", **more: Any) -> list[Any]:
    asked = {"model": "qwen-plus", "incremental_output": True, "result_format": "message"} | more
    asked.setdefault("messages", [user(text)])
    got = await Generation.call(stream=True, **asked, **sdk(sim, http))
    return [event async for event in got]


async def refused(answer: aiohttp.ClientResponse) -> tuple[int, str]:
    body = await answer.json()
    assert set(body) == {"code", "message", "request_id"}
    return answer.status, body["code"]


async def test_the_sdk_gets_a_whole_answer(sim: Simulator, http: aiohttp.ClientSession) -> None:
    got = await Generation.call(
        model="qwen-plus", messages=[user("My name is Ann")], result_format="message", **sdk(sim, http)
    )
    assert got.status_code == 200
    assert "**Ann**" in got.output.choices[0].message.content
    assert got.output.choices[0].finish_reason == "stop"
    assert got.usage.total_tokens == got.usage.input_tokens + got.usage.output_tokens
    assert sim.log[-1].usage.output_tokens == got.usage.output_tokens


async def test_the_sdk_gets_increments_with_usage_so_far_on_each(sim: Simulator, http: aiohttp.ClientSession) -> None:
    got = await stream(sim, http, "你好")
    assert "".join(event.output.choices[0].message.content for event in got).startswith("你好")
    assert {event.output.choices[0].finish_reason for event in got[:-1]} == {"null"}
    assert got[-1].output.choices[0].finish_reason == "stop"
    used = [event.usage.output_tokens for event in got]
    assert used == [*range(1, len(got)), len(got) - 1]


async def test_without_increments_every_event_repeats_the_text(sim: Simulator, http: aiohttp.ClientSession) -> None:
    sim.say(Reply(chunks=("a", "b", "c")), Reply(chunks=("a", "b")))
    got = await stream(sim, http, incremental_output=None)
    assert [event.output.choices[0].message.content for event in got] == ["a", "ab", "abc", "abc"]
    text = await stream(sim, http, model="qwen-max", incremental_output=None, result_format=None)
    assert [event.output.text for event in text] == ["a", "ab", "ab"]


async def test_thoughts_come_first_and_count_as_reasoning(sim: Simulator, http: aiohttp.ClientSession) -> None:
    got = await stream(sim, http, enable_thinking=True)
    messages = [event.output.choices[0].message for event in got]
    thoughts = [at for at, message in enumerate(messages) if message.get("reasoning_content")]
    texts = [at for at, message in enumerate(messages) if message.content]
    assert max(thoughts) < min(texts)
    assert got[-1].usage["output_tokens_details"]["reasoning_tokens"] == len(thoughts)


async def test_the_stream_is_framed_as_the_reference_shows(sim: Simulator, http: aiohttp.ClientSession) -> None:
    sim.say(Reply(chunks=("春", "天")))
    async with qwen(sim, http, headers=STREAM, incremental_output=True, result_format="message") as answer:
        assert answer.headers["Content-Type"] == "text/event-stream;charset=UTF-8"
        raw = (await answer.read()).decode()
    events = raw.split("\n\n")
    assert events.pop() == ""
    for number, event in enumerate(events, 1):
        assert re.fullmatch(rf"id:{number}\nevent:result\n:HTTP_STATUS/200\ndata:\{{.*\}}", event), event
    assert '"content":"春"' in events[0]
    assert '"finish_reason":"null"' in events[0]


async def test_the_header_and_not_the_body_selects_the_stream(sim: Simulator, http: aiohttp.ClientSession) -> None:
    async with qwen(sim, http, stream=True) as answer:
        assert answer.content_type == "application/json"


async def test_tool_calls_stream_in_fragments(sim: Simulator, http: aiohttp.ClientSession) -> None:
    got = await stream(sim, http, "What is the weather in Oslo?", tools=[WEATHER])
    calls = [call for event in got for call in event.output.choices[0].message.get("tool_calls") or []]
    assert [bool(call["id"]) for call in calls] == [True] + [False] * (len(calls) - 1)
    assert json.loads("".join(call["function"]["arguments"] for call in calls)) == {"city": "Oslo"}
    assert got[-1].output.choices[0].finish_reason == "tool_calls"


async def test_a_named_tool_is_always_called(sim: Simulator, http: aiohttp.ClientSession) -> None:
    choice = {"type": "function", "function": {"name": "get_weather"}}
    async with qwen(sim, http, tools=[WEATHER], tool_choice=choice, result_format="message") as answer:
        message = (await answer.json())["output"]["choices"][0]["message"]
    assert message["tool_calls"][0]["function"]["name"] == "get_weather"


async def test_a_multimodal_model_sees_and_answers_in_lists(sim: Simulator, http: aiohttp.ClientSession) -> None:
    parts = [{"image": "data:image/png;base64," + png(64, 48)}, {"text": "What is it?"}]
    asked = {"model": "qwen3-vl-plus", "messages": [{"role": "user", "content": parts}]}
    got = await MultiModalConversation.call(**asked, **sdk(sim, http))
    assert "64 × 48" in got.output.choices[0].message.content[0]["text"]
    assert got.usage["image_tokens"] > 0
    events = await MultiModalConversation.call(stream=True, incremental_output=True, **asked, **sdk(sim, http))
    contents = [event.output.choices[0].message.content async for event in events]
    assert "64 × 48" in "".join(part["text"] for content in contents for part in content)
    assert contents[-1] == []


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ({"model": "gpt-4"}, "ModelNotFound"),
        ({"model": "qwen3-vl-plus"}, "InvalidParameter"),  # served at the other endpoint
        ({"model": "qwen-image"}, "InvalidParameter"),
        ({"messages": [{"role": "assistant", "content": "hi"}]}, "InvalidParameter"),
        ({"messages": [user("")]}, "InvalidParameter"),
        ({"messages": [user("hi"), {"role": "tool", "content": "x", "tool_call_id": "1"}]}, "InvalidParameter"),
        ({"messages": [{"role": "user", "content": [{"text": "hi"}]}]}, "InvalidParameter"),
        ({"temperature": 2.0}, "InvalidParameter"),
        ({"top_p": 0}, "InvalidParameter"),
        ({"max_tokens": 32 * 1024 + 1}, "InvalidParameter"),
        ({"seed": -1}, "InvalidParameter"),
        ({"result_format": "json"}, "InvalidParameter"),
        ({"enable_thinking": True, "headers": STREAM}, "InvalidParameter"),  # needs incremental_output
        ({"enable_thinking": True, "model": "qwen-max"}, "InvalidParameter"),
        ({"model": "qwen3-32b"}, "InvalidParameter"),  # thinks by default, hence streams only
        ({"response_format": {"type": "json_object"}}, "InvalidParameter"),  # nobody said json
        ({"tool_choice": "required", "tools": [WEATHER]}, "InvalidParameter"),
        ({"messages": [user("字" * 33_000)], "model": "qwen-max"}, "InvalidParameter"),
        ({"headers": {"X-DashScope-Async": "enable"}}, "AccessDenied"),
    ],
)
async def test_a_wrong_request_is_refused_in_the_vendors_shape(
    sim: Simulator, http: aiohttp.ClientSession, asked: Json, code: str
) -> None:
    async with qwen(sim, http, **asked) as answer:
        assert await refused(answer) == (DASHSCOPE[code].status, code)
    assert sim.log[-1].usage.output_tokens == 0


@pytest.mark.parametrize(
    "content",
    [
        "plain text",
        [{"text": "a", "image": "https://example.com/a.png"}],
        [{"image": "/etc/hosts"}],
        [{"image": "oss://dashscope-instant/a.png"}],
        [{"image": "data:image/png;base64,bm8="}],
        [{"image": "data:image/png;base64," + png(5, 5)}],
        [{"text": 1}],
        [{"something": "else"}],
    ],
)
async def test_wrong_multimodal_content_is_refused(
    sim: Simulator, http: aiohttp.ClientSession, content: object
) -> None:
    messages = [{"role": "user", "content": content}]
    async with qwen(sim, http, model="qwen-vl-plus", messages=messages, path=MULTIMODAL) as answer:
        assert await refused(answer) == (400, "InvalidParameter")


async def test_a_wrong_key_is_refused(sim: Simulator, http: aiohttp.ClientSession) -> None:
    for headers in ({"Authorization": "Bearer sk-wrong"}, {"Authorization": ""}):
        async with qwen(sim, http, headers=headers) as answer:
            assert await refused(answer) == (401, "InvalidApiKey")


async def test_a_synchronous_picture_is_a_link_in_a_content_list(sim: Simulator, http: aiohttp.ClientSession) -> None:
    messages = [{"role": "user", "content": [{"text": "a red fox"}]}]
    got = await MultiModalConversation.call(model="qwen-image", messages=messages, size="1664*928", **sdk(sim, http))
    async with http.get(got.output.choices[0].message.content[0]["image"]) as answer:
        data = await answer.read()
    assert data[16:24] == (1664).to_bytes(4) + (928).to_bytes(4)
    assert (got.usage["image_count"], sim.log[0].usage.images) == (1, 1)


@pytest.mark.parametrize(
    ("model", "size"),
    [("qwen-image", "1024*1024"), ("wan2.6-t2i", "1024*1024"), ("z-image-turbo", "4096*4096"), ("qwen-image", "1x1")],
)
async def test_each_picture_model_has_its_own_sizes(
    sim: Simulator, http: aiohttp.ClientSession, model: str, size: str
) -> None:
    messages = [{"role": "user", "content": [{"text": "fox"}]}]
    async with qwen(sim, http, model=model, messages=messages, path=MULTIMODAL, size=size) as answer:
        assert await refused(answer) == (400, "InvalidParameter")


async def submit(sim: Simulator, http: aiohttp.ClientSession, **parameters: Any) -> str:
    got = await ImageSynthesis.async_call(model="wan2.2-t2i-flash", prompt="a red fox", **parameters, **sdk(sim, http))
    assert got.output.task_status == "PENDING"
    return str(got.output.task_id)


async def states(sim: Simulator, http: aiohttp.ClientSession, task: str) -> list[Json]:
    """Every answer about a task until it ends."""
    seen: list[Json] = []
    async with asyncio.timeout(5):
        while not seen or seen[-1]["output"]["task_status"] in {"PENDING", "RUNNING"}:
            headers = {"Authorization": f"Bearer {sim.api_key}"}
            async with http.get(f"{sim.dashscope_url}/tasks/{task}", headers=headers) as answer:
                seen.append(await answer.json())
            await asyncio.sleep(0.005)
    return seen


async def test_a_task_waits_runs_and_succeeds(sim: Simulator, http: aiohttp.ClientSession) -> None:
    seen = await states(sim, http, await submit(sim, http, n=2))
    statuses = [state["output"]["task_status"] for state in seen]
    assert list(dict.fromkeys(statuses)) == ["PENDING", "RUNNING", "SUCCEEDED"]
    output = seen[-1]["output"]
    assert [set(result) for result in output["results"]] == [{"url", "orig_prompt", "actual_prompt"}] * 2
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}", output["end_time"])
    assert seen[-1]["usage"] == {"image_count": 2}
    async with http.get(output["results"][1]["url"]) as answer:
        assert answer.content_type == "image/png"


async def test_the_sdk_waits_for_a_task(sim: Simulator, http: aiohttp.ClientSession) -> None:
    got = await ImageSynthesis.call(model="wan2.2-t2i-flash", prompt="fox", **sdk(sim, http))
    assert got.output.task_status == "SUCCEEDED"


async def test_tasks_fail_in_part_or_whole_or_never_end(sim: Simulator, http: aiohttp.ClientSession) -> None:
    sim.fail(Fault(path=IMAGES, task="partial"))
    partial = (await states(sim, http, await submit(sim, http, n=3)))[-1]
    assert partial["output"]["task_metrics"] == {"TOTAL": 3, "SUCCEEDED": 1, "FAILED": 2}
    assert ["url" in result for result in partial["output"]["results"]] == [True, False, False]
    sim.fail(Fault(path=IMAGES, task="FAILED", code="InternalError.Algo"))
    failed = (await states(sim, http, await submit(sim, http)))[-1]
    assert (failed["output"]["task_status"], failed["output"]["code"]) == ("FAILED", "InternalError.Algo")
    assert "usage" not in failed
    sim.fail(Fault(path=IMAGES, task="UNKNOWN"))
    assert (await states(sim, http, await submit(sim, http)))[-1]["output"]["task_status"] == "UNKNOWN"
    assert (await states(sim, http, "no-such-task"))[-1]["output"]["task_status"] == "UNKNOWN"
    sim.fail(Fault(path=IMAGES, task="never"))
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.3):
            await states(sim, http, await submit(sim, http))


async def test_a_pending_task_can_be_cancelled_and_no_other(http: aiohttp.ClientSession) -> None:
    async with Simulator(picture=30) as sim:
        task = await submit(sim, http)
        headers = {"Authorization": f"Bearer {sim.api_key}"}
        url = f"{sim.dashscope_url}/tasks/{task}/cancel"
        async with http.post(url, headers=headers) as answer:
            assert answer.status == 200
        assert (await states(sim, http, task))[-1]["output"]["task_status"] == "CANCELED"
        async with http.post(url, headers=headers) as answer:
            assert await refused(answer) == (400, "UnsupportedOperation")


async def test_tasks_need_the_asynchronous_header(sim: Simulator, http: aiohttp.ClientSession) -> None:
    body = {"model": "wan2.2-t2i-flash", "input": {"prompt": "fox"}}
    headers = {"Authorization": f"Bearer {sim.api_key}"}
    async with http.post(sim.dashscope_url + IMAGES, json=body, headers=headers) as answer:
        assert await refused(answer) == (403, "AccessDenied")


async def test_whatever_is_uploaded_is_in_the_log(sim: Simulator, http: aiohttp.ClientSession, tmp_path: Path) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text("a secret")
    url, _ = await asyncio.to_thread(
        OssUtils.upload, "qwen-vl-plus", str(secret), sim.api_key, base_address=sim.dashscope_url
    )
    assert url.startswith("oss://")
    (upload,) = sim.uploads
    assert (upload.filename, upload.content) == ("secret.txt", b"a secret")
    async with http.post(sim.origin + "/oss", data={"key": "x", "file": io.BytesIO(b"unsigned")}) as answer:
        assert answer.status == 403
    assert sim.log[-1].vendor == "oss"


async def test_an_uploaded_picture_can_be_asked_about(
    sim: Simulator, http: aiohttp.ClientSession, tmp_path: Path
) -> None:
    picture = tmp_path / "picture.png"
    picture.write_bytes(base64.b64decode(png(64, 48)))
    url, _ = await asyncio.to_thread(
        OssUtils.upload, "qwen-vl-plus", str(picture), sim.api_key, base_address=sim.dashscope_url
    )
    messages = [{"role": "user", "content": [{"image": url}, {"text": "?"}]}]
    headers = {"X-DashScope-OssResourceResolve": "enable"}
    async with qwen(sim, http, model="qwen-vl-plus", messages=messages, headers=headers, path=MULTIMODAL) as answer:
        assert "64 × 48" in (await answer.json())["output"]["choices"][0]["message"]["content"][0]["text"]
