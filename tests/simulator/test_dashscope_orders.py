"""DashScope's changed pictures, videos and tasks: through the real SDK, and raw where the wire itself matters."""

import asyncio
from typing import Any

import aiohttp
import pytest
from dashscope.aigc.video_synthesis import AioVideoSynthesis

from bot.simulator import Fault, Simulator
from bot.simulator.errors import DASHSCOPE
from bot.simulator.films import length
from tests.simulator.asking import MULTIMODAL, ImageSynthesis, Json, MultiModalConversation, png, qwen

DRAW = "/services/aigc/text2image/image-synthesis"
EDIT = "/services/aigc/image2image/image-synthesis"
FILM = "/services/aigc/video-generation/video-synthesis"
LATER = {"X-DashScope-Async": "enable"}
VideoSynthesis: Any = AioVideoSynthesis


def data(width: int, height: int) -> str:
    return "data:image/png;base64," + png(width, height)


def sdk(sim: Simulator, http: aiohttp.ClientSession) -> Json:
    return {"api_key": sim.api_key, "base_address": sim.dashscope_url, "session": http}


def post(sim: Simulator, http: aiohttp.ClientSession, path: str, body: Json, **headers: str) -> Any:
    given = {"Authorization": f"Bearer {sim.api_key}", **LATER} | headers
    return http.post(sim.dashscope_url + path, json=body, headers=given)


async def ended(sim: Simulator, http: aiohttp.ClientSession, answer: aiohttp.ClientResponse) -> Json:
    """What becomes of the task that this answer began."""
    assert answer.status == 200, await answer.text()
    return await waited(sim, http, (await answer.json())["output"]["task_id"])


async def waited(sim: Simulator, http: aiohttp.ClientSession, task: str) -> Json:
    headers = {"Authorization": f"Bearer {sim.api_key}"}
    async with asyncio.timeout(5):
        while True:
            async with http.get(f"{sim.dashscope_url}/tasks/{task}", headers=headers) as state:
                body: Json = await state.json()
            if body["output"]["task_status"] not in {"PENDING", "RUNNING"}:
                return body
            await asyncio.sleep(0.005)


async def refused(answer: aiohttp.ClientResponse, code: str = "InvalidParameter") -> None:
    body = await answer.json()
    assert set(body) == {"code", "message", "request_id"}
    assert (answer.status, body["code"]) == (DASHSCOPE[code].status, code), body


# --- changing pictures -------------------------------------------------------------------------------------------------


async def test_the_sdk_has_pictures_changed(sim: Simulator, http: aiohttp.ClientSession) -> None:
    content = [{"image": data(400, 400)}, {"image": data(600, 400)}, {"text": "put them together"}]
    messages = [{"role": "user", "content": content}]
    got = await MultiModalConversation.call(model="qwen-image-edit-plus", messages=messages, n=2, **sdk(sim, http))
    links = [choice.message.content[0]["image"] for choice in got.output.choices]
    assert len(set(links)) == 2 and got.usage["image_count"] == 2
    async with http.get(links[1]) as answer:
        assert answer.content_type == "image/png"


@pytest.mark.parametrize(
    ("model", "content", "parameters"),
    [
        ("qwen-image-edit", [{"text": "blue"}], {}),  # nothing to change
        ("qwen-image-edit", [{"image": data(400, 400)}] * 4 + [{"text": "blue"}], {}),
        ("qwen-image-edit", [{"image": data(400, 400)}, {"text": "blue"}], {"n": 2}),
        ("qwen-image-edit", [{"image": data(400, 400)}, {"text": "blue"}], {"size": "1024*1024"}),
        ("qwen-image-edit-plus", [{"image": data(400, 400)}, {"text": "blue"}], {"n": 7}),
        ("qwen-image-edit-plus", [{"image": data(400, 400)}, {"text": "blue"}], {"size": "2049*512"}),
        ("qwen-image-edit-plus", [{"image": data(383, 400)}, {"text": "blue"}], {}),
        ("qwen-image-edit-plus", [{"image": "data:image/png;base64,bm8="}, {"text": "blue"}], {}),
        ("qwen-image-edit-plus", [{"image": "/etc/hosts"}, {"text": "blue"}], {}),
        ("qwen-image-edit-plus", [{"image": data(400, 400)}, {"text": " "}], {}),
        ("qwen-image-edit-plus", [{"image": data(400, 400)}, {"text": "a"}, {"text": "b"}], {}),
        ("qwen-image-edit-plus", [{"image": data(400, 400), "text": "blue"}], {}),
        ("z-image-turbo", [{"image": data(400, 400)}, {"text": "blue"}], {}),  # draws from words alone
        ("wan2.6-t2i", [{"text": "fox"}], {"n": 5}),
    ],
)
async def test_a_wrong_drawing_is_refused(
    sim: Simulator, http: aiohttp.ClientSession, model: str, content: object, parameters: Json
) -> None:
    messages = [{"role": "user", "content": content}]
    async with qwen(sim, http, model=model, messages=messages, path=MULTIMODAL, **parameters) as answer:
        await refused(answer)
    assert sim.log[-1].usage.images == 0


async def test_drawing_at_once_is_neither_streamed_nor_a_task(sim: Simulator, http: aiohttp.ClientSession) -> None:
    messages = [{"role": "user", "content": [{"text": "fox"}]}]
    for headers, code in (({"X-DashScope-SSE": "enable"}, "InvalidParameter"), (LATER, "AccessDenied")):
        async with qwen(
            sim, http, model="z-image-turbo", messages=messages, path=MULTIMODAL, headers=headers
        ) as answer:
            await refused(answer, code)


async def test_the_sdk_has_a_picture_changed_as_a_task(sim: Simulator, http: aiohttp.ClientSession) -> None:
    got = await ImageSynthesis.async_call(
        model="wan2.5-i2i-preview", prompt="blue", images=[data(400, 400)], n=1, **sdk(sim, http)
    )
    assert (got.status_code, got.output.task_status) == (200, "PENDING")
    assert sim.log[-1].path.endswith(EDIT)


# --- tasks -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "body", "code"),
    [
        (DRAW, {"model": "wan9"}, "ModelNotFound"),
        (DRAW, {"model": "qwen-plus"}, "InvalidParameter"),
        (DRAW, {"model": "qwen-image"}, "InvalidParameter"),  # drawn at once
        (DRAW, {"model": "wan2.5-i2i-preview"}, "InvalidParameter"),  # changes pictures
        (DRAW, {"model": "wan2.6-t2v"}, "InvalidParameter"),
        (DRAW, {"model": "wan2.2-t2i-flash", "input": {"prompt": " "}}, "InvalidParameter"),
        (DRAW, {"model": "wan2.2-t2i-flash", "input": {"prompt": "fox"}, "parameters": {"n": 5}}, "InvalidParameter"),
        (EDIT, {"model": "wan2.2-t2i-flash"}, "InvalidParameter"),
        (EDIT, {"model": "wan2.5-i2i-preview", "input": {"prompt": "blue"}}, "InvalidParameter"),
        (EDIT, {"model": "wan2.5-i2i-preview", "input": {"prompt": "blue", "images": []}}, "InvalidParameter"),
        (FILM, {"model": "wan2.2-t2i-flash"}, "InvalidParameter"),
    ],
)
async def test_a_wrong_task_is_refused(
    sim: Simulator, http: aiohttp.ClientSession, path: str, body: Json, code: str
) -> None:
    async with post(sim, http, path, {"input": {"prompt": "fox"}} | body) as answer:
        await refused(answer, code)


@pytest.mark.parametrize(
    ("path", "model"), [(DRAW, "wan2.2-t2i-flash"), (EDIT, "wan2.5-i2i-preview"), (FILM, "wan2.6-t2v")]
)
async def test_every_task_needs_its_header(sim: Simulator, http: aiohttp.ClientSession, path: str, model: str) -> None:
    body = {"model": model, "input": {"prompt": "fox"}}
    headers = {"Authorization": f"Bearer {sim.api_key}"}
    async with http.post(sim.dashscope_url + path, json=body, headers=headers) as answer:
        await refused(answer, "AccessDenied")


async def test_a_task_that_has_begun_or_is_unknown_cannot_be_cancelled(
    sim: Simulator, http: aiohttp.ClientSession
) -> None:
    async with post(sim, http, FILM, {"model": "wan2.6-t2v", "input": {"prompt": "fox"}}) as answer:
        task = (await ended(sim, http, answer))["output"]["task_id"]
    for name in (task, "no-such-task"):
        async with post(sim, http, f"/tasks/{name}/cancel", {}) as answer:
            await refused(answer, "UnsupportedOperation")


# --- videos ------------------------------------------------------------------------------------------------------------


async def test_the_sdk_has_a_video_made(http: aiohttp.ClientSession) -> None:
    async with Simulator(task=0.1) as sim:
        got = await VideoSynthesis.async_call(
            model="wan2.6-t2v", prompt="a fox runs", size="1280*720", duration=10, **sdk(sim, http)
        )
        assert (got.status_code, got.output.task_status) == (200, "PENDING")
        state = await waited(sim, http, got.output.task_id)
        output = state["output"]
        assert state["usage"] == {"duration": 10, "video_count": 1, "SR": 720}
        assert {"video_url", "orig_prompt", "actual_prompt", "submit_time", "end_time"} <= set(output)
        async with http.get(output["video_url"]) as answer:
            assert (answer.content_type, length(await answer.read())) == ("video/mp4", 10.0)


async def test_a_video_from_a_picture(sim: Simulator, http: aiohttp.ClientSession) -> None:
    body = {
        "model": "wan2.6-i2v",
        "input": {"prompt": "it moves", "img_url": data(400, 400)},
        "parameters": {"resolution": "720P"},
    }
    async with Simulator(task=0.05) as quick, post(quick, http, FILM, body) as answer:
        assert (await ended(quick, http, answer))["usage"] == {"duration": 5, "video_count": 1, "SR": 720}


@pytest.mark.parametrize(
    ("model", "given", "parameters"),
    [
        ("wan2.6-t2v", {"prompt": ""}, {}),
        ("wan2.6-t2v", {}, {"size": "1280x720"}),
        ("wan2.6-t2v", {}, {"size": "1000*1000"}),
        ("wan2.6-t2v", {}, {"duration": 7}),
        ("wan2.6-t2v", {}, {"duration": True}),
        ("wan2.5-t2v-preview", {}, {"duration": 15}),
        ("wan2.6-i2v", {}, {}),  # begins with a picture
        ("wan2.6-i2v", {"img_url": "/etc/hosts"}, {}),
        ("wan2.6-i2v", {"img_url": data(300, 400)}, {}),
        ("wan2.6-i2v", {"img_url": data(400, 2001)}, {}),
        ("wan2.6-i2v", {"img_url": data(400, 400)}, {"size": "1280*720"}),
        ("wan2.6-i2v", {"img_url": data(400, 400)}, {"resolution": "360P"}),
    ],
)
async def test_a_wrong_video_is_refused(
    sim: Simulator, http: aiohttp.ClientSession, model: str, given: Json, parameters: Json
) -> None:
    body = {"model": model, "input": {"prompt": "a fox"} | given, "parameters": parameters}
    async with post(sim, http, FILM, body) as answer:
        await refused(answer)
    assert sim.log[-1].usage.videos == 0


async def test_a_video_that_fails_says_why_and_costs_nothing(http: aiohttp.ClientSession) -> None:
    async with Simulator(task=0.05) as sim:
        sim.fail(Fault(path=FILM, task="FAILED", code="InternalError.Timeout"))
        async with post(sim, http, FILM, {"model": "wan2.6-t2v", "input": {"prompt": "fox"}}) as answer:
            state = await ended(sim, http, answer)
        assert (state["output"]["task_status"], state["output"]["code"]) == ("FAILED", "InternalError.Timeout")
        assert "usage" not in state and "video_url" not in state["output"] and sim.log[0].usage.videos == 0
