"""GLM's tasks, videos, speech and search: through the real SDK, and raw for what the service refuses."""

import asyncio
import io
import time
import wave
from collections.abc import Callable, Iterator
from typing import Any

import aiohttp
import pytest

from bot.simulator import Fault, Found, Simulator
from bot.simulator.films import length
from bot.simulator.sounds import speech
from tests.simulator.asking import Json, png, user, zhipuai

CLIENTS: list[zhipuai.ZhipuAI] = []  # to be closed: the SDK leaves its sockets to the garbage collector


async def by_sdk(sim: Simulator, call: Callable[[Any], Any]) -> Any:
    made = zhipuai.ZhipuAI(api_key=sim.api_key, base_url=sim.glm_url, max_retries=0)
    CLIENTS.append(made)
    return await asyncio.to_thread(call, made)


@pytest.fixture(autouse=True)
def clients_are_closed() -> Iterator[None]:
    yield
    while CLIENTS:
        CLIENTS.pop().close()


def wav(seconds: float) -> bytes:
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8_000)
        file.writeframes(bytes(int(16_000 * seconds)))
    return out.getvalue()


async def post(
    sim: Simulator, http: aiohttp.ClientSession, path: str, body: Json | aiohttp.FormData
) -> tuple[int, Json]:
    how: dict[str, Any] = {"json": body} if isinstance(body, dict) else {"data": body}
    async with http.post(sim.glm_url + path, headers={"Authorization": f"Bearer {sim.api_key}"}, **how) as answer:
        return answer.status, await answer.json()


async def refused(sim: Simulator, http: aiohttp.ClientSession, path: str, body: Json | aiohttp.FormData) -> str:
    status, said = await post(sim, http, path, body)
    assert status == 400
    assert set(said["error"]) == {"code", "message"}
    return str(said["error"]["code"])


async def result(sim: Simulator, http: aiohttp.ClientSession, task: str) -> Json:
    deadline = time.monotonic() + 5
    while True:
        async with http.get(
            f"{sim.glm_url}/async-result/{task}", headers={"Authorization": f"Bearer {sim.api_key}"}
        ) as answer:
            body: Json = await answer.json()
        if body["task_status"] != "PROCESSING":
            return body
        assert set(body) == {"id", "request_id", "model", "task_status"}
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)


async def test_a_film_through_the_sdk(sim: Simulator, http: aiohttp.ClientSession) -> None:
    task = await by_sdk(sim, lambda sdk: sdk.videos.generations(model="cogvideox-flash", prompt="a fox", duration=10))
    assert task.task_status == "PROCESSING"
    made = await result(sim, http, task.id)
    assert made["task_status"] == "SUCCESS"
    (video,) = made["video_result"]
    async with http.get(video["url"]) as answer:
        assert (answer.content_type, length(await answer.read())) == ("video/mp4", 10)
    async with http.get(video["cover_image_url"]) as answer:
        assert (await answer.read()).startswith(b"\x89PNG")
    again = await by_sdk(sim, lambda sdk: sdk.videos.retrieve_videos_result(task.id))
    assert again.video_result[0].url == video["url"]
    assert (sim.log[0].usage.videos, sim.log[0].usage.seconds) == (1, 10)


async def test_a_link_of_a_film_expires_and_can_be_huge(http: aiohttp.ClientSession) -> None:
    async with Simulator(task=0, picture_life=0) as sim:
        _, task = await post(sim, http, "/videos/generations", {"model": "cogvideox-3", "prompt": "fox"})
        made = await result(sim, http, task["id"])
        async with http.get(made["video_result"][0]["url"]) as answer:
            assert answer.status == 403


async def test_a_task_takes_its_time_and_stays(http: aiohttp.ClientSession) -> None:
    async with Simulator(task=0.3) as sim:
        began = time.monotonic()
        _, task = await post(sim, http, "/async/chat/completions", {"model": "glm-4-flash", "messages": [user("hi")]})
        for _ in range(2):
            body = await result(sim, http, task["id"])
            assert time.monotonic() - began >= 0.3
            assert (body["task_status"], body["choices"][0]["finish_reason"]) == ("SUCCESS", "stop")
            assert body["usage"]["total_tokens"] == body["usage"]["prompt_tokens"] + body["usage"]["completion_tokens"]


async def test_a_task_of_an_image_model(sim: Simulator, http: aiohttp.ClientSession) -> None:
    _, task = await post(sim, http, "/async/images/generations", {"model": "glm-image", "prompt": "fox"})
    made = await result(sim, http, task["id"])
    async with http.get(made["image_result"][0]["url"]) as answer:
        assert answer.status == 200


async def test_faults_of_tasks(sim: Simulator, http: aiohttp.ClientSession) -> None:
    order = {"model": "cogvideox-3", "prompt": "fox"}
    sim.fail(Fault(vendor="glm", task="FAILED"))
    sim.fail(Fault(vendor="glm", task="FAILED", code="1301"))
    assert "error" not in await result(sim, http, (await post(sim, http, "/videos/generations", order))[1]["id"])
    failed = await result(sim, http, (await post(sim, http, "/videos/generations", order))[1]["id"])
    assert (failed["task_status"], failed["error"]["code"]) == ("FAIL", "1301")
    sim.fail(Fault(vendor="glm", after_bytes=0, cut=True))
    with pytest.raises(aiohttp.ClientError):
        await post(sim, http, "/videos/generations", order)
    assert sim.log[-1].usage.videos == 1  # it was taken all the same
    sim.fail(Fault(vendor="glm", code="1302", skip=1))
    assert [(await post(sim, http, "/videos/generations", order))[0] for _ in range(3)] == [200, 429, 200]


async def test_an_unknown_task(sim: Simulator, http: aiohttp.ClientSession) -> None:
    async with http.get(
        f"{sim.glm_url}/async-result/nope", headers={"Authorization": f"Bearer {sim.api_key}"}
    ) as answer:
        assert (answer.status, (await answer.json())["error"]["code"]) == (400, "1214")


@pytest.mark.parametrize(
    ("path", "body", "code"),
    [
        ("/async/chat/completions", {"model": "glm-4-flash", "messages": [user("x")], "stream": True}, "1212"),
        ("/async/chat/completions", {"model": "cogvideox-3", "messages": [user("x")]}, "1211"),
        ("/async/chat/completions", {"model": "glm-4-flash"}, "1213"),
        ("/async/images/generations", {"model": "cogview-4", "prompt": ""}, "1213"),
        ("/async/images/generations", {"model": "glm-4-flash", "prompt": "x"}, "1211"),
        ("/videos/generations", {"prompt": "x"}, "1213"),
        ("/videos/generations", {"model": "cogview-4", "prompt": "x"}, "1211"),
        ("/videos/generations", {"model": "cogvideox-3"}, "1213"),
        ("/videos/generations", {"model": "cogvideox-3", "prompt": 7}, "1214"),
        ("/videos/generations", {"model": "cogvideox-3", "prompt": "x" * 513}, "1214"),
        ("/videos/generations", {"model": "cogvideox-3", "prompt": "x", "size": "640x480"}, "1214"),
        ("/videos/generations", {"model": "cogvideox-3", "prompt": "x", "duration": 6}, "1214"),
        ("/videos/generations", {"model": "cogvideox-3", "prompt": "x", "fps": 24}, "1214"),
        ("/videos/generations", {"model": "cogvideox-3", "prompt": "x", "quality": "hd"}, "1214"),
        ("/videos/generations", {"model": "cogvideox-3", "prompt": "x", "with_audio": "yes"}, "1214"),
        ("/videos/generations", {"model": "cogvideox-3", "image_url": "/etc/passwd"}, "1210"),
        ("/videos/generations", {"model": "cogvideox-3", "image_url": [png(9, 9), 7]}, "1210"),
        ("/audio/speech", {"model": "glm-tts"}, "1213"),
        ("/audio/speech", {"model": "glm-4-flash", "input": "x"}, "1211"),
        ("/audio/speech", {"model": "glm-tts", "input": "x" * 1_025}, "1214"),
        ("/audio/speech", {"model": "glm-tts", "input": "x", "voice": "Cherry"}, "1214"),
        ("/audio/speech", {"model": "glm-tts", "input": "x", "speed": 3}, "1214"),
        ("/audio/speech", {"model": "glm-tts", "input": "x", "response_format": "mp3"}, "1214"),
        ("/audio/speech", {"model": "glm-tts", "input": "x", "encode_format": "hex"}, "1214"),
        ("/web_search", {"search_engine": "search_std"}, "1213"),
        ("/web_search", {"search_query": "x"}, "1213"),
        ("/web_search", {"search_query": "x", "search_engine": "google"}, "1214"),
        ("/web_search", {"search_query": "x", "search_engine": "search_std", "count": 51}, "1214"),
        ("/web_search", {"search_query": 7, "search_engine": "search_std"}, "1214"),
    ],
)
async def test_what_is_refused(sim: Simulator, http: aiohttp.ClientSession, path: str, body: Json, code: str) -> None:
    assert await refused(sim, http, path, body) == code
    assert sim.log[-1].usage.videos == sim.log[-1].usage.images == sim.log[-1].usage.characters == 0


def function(name: object, **more: object) -> Json:
    return {"type": "function", "function": {"name": name, **more}}


@pytest.mark.parametrize(
    "body",
    [
        {"tools": [function("")]},
        {"tools": [function("a b")]},
        {"tools": [function("x" * 65)]},
        {"tools": [function("f"), function("f")]},
        {"tools": [function("f", parameters={"type": "string"})]},
        {"tools": [function("f", parameters="{}")]},
        {"tools": [{"type": "code"}]},
        {"tools": [{"type": "web_search", "web_search": {"search_engine": "google"}}]},
        {"tools": [{"type": "web_search", "web_search": {"count": 0}}]},
        {"seed": "7"},
        {"seed": True},
        {"stream": "yes"},
        {"tool_stream": 1},
    ],
)
async def test_a_wrong_chat_is_refused_later_and_now(sim: Simulator, http: aiohttp.ClientSession, body: Json) -> None:
    chat = {"model": "glm-4-flash", "messages": [user("hi")], **body}
    assert await refused(sim, http, "/chat/completions", chat) == "1214"
    if "stream" not in body:
        assert await refused(sim, http, "/async/chat/completions", chat) == "1214"


async def test_a_tools_line_without_a_text_is_refused(sim: Simulator, http: aiohttp.ClientSession) -> None:
    call = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    for content in (None, [{"type": "text", "text": "x"}]):
        messages = [
            user("hi"),
            {"role": "assistant", "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "c1", "content": content},
        ]
        chat = {"model": "glm-4-flash", "messages": messages}
        assert await refused(sim, http, "/chat/completions", chat) == "1214"


async def test_a_recording_through_the_sdk(sim: Simulator) -> None:
    sim.hear("你好")
    said = [
        await by_sdk(
            sim, lambda sdk: sdk.audio.transcriptions.create(model="glm-asr-2512", file=("a.wav", wav(3)), stream=False)
        )
        for _ in range(2)
    ]
    assert [one.model_extra["text"] for one in said] == ["你好", "I hear 3 seconds of sound."]
    assert sim.log[0].usage.seconds == 3


def form(data: bytes | None, name: str = "a.wav", **fields: str) -> aiohttp.FormData:
    made = aiohttp.FormData()
    for field, value in {"model": "glm-asr-2512", **fields}.items():
        made.add_field(field, value)
    made.add_field("other" if data is None else "file", io.BytesIO(data or b"x"), filename=name)
    return made


@pytest.mark.parametrize(
    ("seconds", "name", "fields", "code"),
    [
        (None, "a.wav", {}, "1213"),
        (31, "a.wav", {}, "1214"),
        (2_000, "a.wav", {}, "1214"),
        (1, "a.ogg", {}, "1214"),
        (1, "a.mp3", {}, "1214"),
        (1, "a.wav", {"model": "glm-4-flash"}, "1211"),
        (1, "a.wav", {"model": ""}, "1213"),
        (1, "a.wav", {"stream": "true"}, "1212"),
        (1, "a.wav", {"prompt": "x" * 8_000}, "1214"),
        (1, "a.wav", {"request_id": "x"}, "1214"),
    ],
)
async def test_a_recording_that_is_refused(
    sim: Simulator, http: aiohttp.ClientSession, seconds: int | None, name: str, fields: dict[str, str], code: str
) -> None:
    body = form(None if seconds is None else wav(seconds), name, **fields)
    assert await refused(sim, http, "/audio/transcriptions", body) == code


async def test_what_is_no_recording_is_refused(sim: Simulator, http: aiohttp.ClientSession) -> None:
    for data in (b"OggS" + bytes(99), b"RIFF0000WAVE", b"hello"):
        assert await refused(sim, http, "/audio/transcriptions", form(data)) == "1214"
    assert await refused(sim, http, "/audio/transcriptions", {"model": "glm-asr-2512"}) == "1213"


async def test_speech_through_the_sdk(sim: Simulator) -> None:
    def say(form: str) -> bytes:
        CLIENTS.append(sdk := zhipuai.ZhipuAI(api_key=sim.api_key, base_url=sim.glm_url, max_retries=0))
        answer = sdk.audio.speech(model="glm-tts", input="Hello", voice="jam", response_format=form, encode_format=None)
        data: bytes = answer.content
        return data

    assert await asyncio.to_thread(say, "wav") == speech("Hello")
    assert await asyncio.to_thread(say, "pcm") == speech("Hello")[44:]
    assert sim.log[0].usage.characters == 5


async def test_a_search_by_itself_and_within_a_chat(sim: Simulator, http: aiohttp.ClientSession) -> None:
    order = {"search_query": "magpies", "search_engine": "search_pro", "count": 2}
    _, found = await post(sim, http, "/web_search", order)
    assert [page["refer"] for page in found["search_result"]] == ["ref_1", "ref_2"]
    assert found == (await post(sim, http, "/web_search", order))[1] | {
        name: found[name] for name in ("id", "request_id", "created")
    }
    sim.find(Found("T", "https://a.example", "deep", "A", "2026-11-01"))
    chat = {"model": "glm-4-flash", "messages": [user("fjords?")], "tools": [{"type": "web_search", "web_search": {}}]}
    _, said = await post(sim, http, "/chat/completions", chat)
    assert said["web_search"] == [
        {
            "icon": "",
            "title": "T",
            "link": "https://a.example",
            "media": "A",
            "publish_date": "2026-11-01",
            "content": "deep",
            "refer": "ref_1",
        }
    ]
    assert "deep [1]" in said["choices"][0]["message"]["content"]
    chat["tools"] = [{"type": "web_search", "web_search": {"enable": "False"}}]
    assert "web_search" not in (await post(sim, http, "/chat/completions", chat))[1]
