"""The simulator as a server: its life, its log, its pace, its command line."""

import asyncio
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import aiohttp
import pytest

from bot.simulator import Fault, Question, Reply, Simulator
from bot.simulator.__main__ import constant
from tests.simulator.asking import STREAM, glm, qwen, until, user, zhipuai

ROOT = Path(__file__).parents[2]


async def test_closing_takes_less_than_a_second_with_streams_open(http: aiohttp.ClientSession) -> None:
    sim = Simulator(first_token=0.0, per_token=0.05)
    await sim.start()
    sim.fail(Fault(endless=True, times=5))
    sim.fail(Fault(hang=True, times=5))
    sim.fail(Fault(hang=True, after_chunks=2, times=5))
    asking = [asyncio.ensure_future(drain(sim, http)) for _ in range(15)]
    await until(lambda: len(sim.running) == 15)
    began = time.monotonic()
    await sim.close()
    assert time.monotonic() - began < 1
    results = await asyncio.gather(*asking, return_exceptions=True)
    assert all(isinstance(result, aiohttp.ClientError) for result in results)
    assert all(call.disconnected is None for call in sim.log)  # it was not the clients who left


async def drain(sim: Simulator, http: aiohttp.ClientSession) -> int:
    async with glm(sim, http, stream=True) as answer:
        return len(await answer.read())


async def test_closing_twice_or_before_the_start_is_harmless() -> None:
    sim = Simulator()
    await sim.close()
    await sim.close()


async def test_a_taken_port_is_an_error() -> None:
    async with Simulator() as sim:
        port = int(sim.origin.rpartition(":")[2])
        with pytest.raises(OSError, match="in use"):
            await Simulator(port=port).start()


async def test_the_log_tells_what_was_asked_and_billed(sim: Simulator, http: aiohttp.ClientSession) -> None:
    sim.say(Reply(chunks=("a", "b")))
    async with glm(sim, http, stream=True, user_id="telegram:1") as answer:
        await answer.read()
    await until(lambda: sim.log[-1].ended is not None)
    (call,) = sim.log
    assert (call.vendor, call.method, call.path) == ("glm", "POST", "/api/paas/v4/chat/completions")
    assert (call.model, call.body["user_id"], call.status, call.code) == ("glm-4-flash", "telegram:1", 200, "")
    assert (call.usage.output_tokens, call.chunks, call.disconnected) == (2, 2, None)
    assert call.ended is not None
    assert call.ended > call.began
    assert sim.running == []


async def test_the_log_tells_when_a_client_left_and_bills_what_was_written(http: aiohttp.ClientSession) -> None:
    async with Simulator(first_token=0.0, per_token=0.01) as sim:
        async with glm(sim, http, stream=True, messages=[user("a story in 3000 words")]) as answer:
            await answer.content.readexactly(1_000)
        left = time.monotonic()
        await until(lambda: sim.log[-1].disconnected is not None)
        call = sim.log[-1]
        assert call.disconnected is not None
        assert call.disconnected - left < 2
        assert 0 < call.usage.output_tokens == call.chunks < 1_000


async def test_a_client_that_leaves_after_done_has_not_left_early(sim: Simulator, http: aiohttp.ClientSession) -> None:
    for _ in range(20):
        async with glm(sim, http, stream=True) as answer:
            await answer.content.readuntil(b"data: [DONE]\n\n")
            answer.close()
    await until(lambda: not sim.running)
    assert [call.disconnected for call in sim.log] == [None] * 20


async def test_a_fetched_picture_is_in_the_log(sim: Simulator, http: aiohttp.ClientSession) -> None:
    async with http.get(sim.origin + "/pictures/none.png") as answer:
        assert answer.status == 403
    assert [(call.vendor, call.status) for call in sim.log] == [("pictures", 403)]


async def test_the_log_is_bounded(http: aiohttp.ClientSession) -> None:
    async with Simulator(first_token=0, per_token=0, keep_calls=2) as sim:
        for text in ("a", "b", "c"):
            async with glm(sim, http, messages=[user(text)]) as answer:
                await answer.read()
        assert [call.body["messages"][0]["content"] for call in sim.log] == ["b", "c"]


async def test_the_pace_is_kept(http: aiohttp.ClientSession) -> None:
    async with Simulator(first_token=0.2, per_token=0.01, script=lambda _: constant(40)) as sim:
        began = time.monotonic()
        async with glm(sim, http, stream=True) as answer:
            await answer.content.readuntil(b"\n\n")
            first = time.monotonic() - began
            await answer.read()
        assert 0.19 < first < 2
        assert 0.58 < time.monotonic() - began < 4
        assert sim.log[-1].usage.output_tokens == 40


async def test_a_script_answers_for_the_brain_where_it_wants_to(http: aiohttp.ClientSession) -> None:
    def script(question: Question) -> Reply | None:
        return Reply(text="pong") if question.user_turns[-1].text == "ping" else None

    async with Simulator(first_token=0, per_token=0, script=script) as sim:
        async with glm(sim, http, messages=[user("ping")]) as answer:
            assert (await answer.json())["choices"][0]["message"]["content"] == "pong"
        async with glm(sim, http, messages=[user("hello")]) as answer:
            assert "simulator" in (await answer.json())["choices"][0]["message"]["content"]


@pytest.mark.parametrize("vendor", ["glm", "dashscope"])
async def test_many_streams_at_once_all_arrive_whole(http: aiohttp.ClientSession, vendor: str) -> None:
    async with Simulator(first_token=0.05, per_token=0.005, script=lambda _: constant(40)) as sim:

        async def ask() -> int:
            asked = (
                glm(sim, http, stream=True)
                if vendor == "glm"
                else qwen(sim, http, headers=STREAM, incremental_output=True)
            )
            async with asked as answer:
                raw: bytes = await answer.read()
            return raw.count(b"word")

        assert await asyncio.gather(*(ask() for _ in range(150))) == [40] * 150


async def test_a_lone_surrogate_in_a_question_breaks_nothing(sim: Simulator, http: aiohttp.ClientSession) -> None:
    body = b'{"model": "glm-4-flash", "stream": true, "messages": [{"role": "user", "content": "\\ud800 \\u0000"}]}'
    headers = {"Authorization": f"Bearer {sim.api_key}", "Content-Type": "application/json"}
    async with http.post(f"{sim.glm_url}/chat/completions", data=body, headers=headers) as answer:
        assert (await answer.read()).decode().endswith("data: [DONE]\n\n")


def test_it_imports_neither_the_bot_nor_an_sdk_nor_pillow() -> None:
    code = (
        "import sys, bot.simulator; print([m for m in sys.modules if m.split('.')[0] in {'PIL', 'dashscope', 'zhipuai', 'jwt'}"
        " or m.startswith('bot.') and not m.startswith('bot.simulator')])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=30, check=True
    )
    assert done.stdout.strip() == "[]"


async def test_it_runs_by_itself_with_faults_of_ones_choice(http: aiohttp.ClientSession) -> None:
    options = ["--port", "0", "--first-token", "0", "--per-token", "0", "--tokens", "3"]
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bot.simulator", *options, "--fault", "vendor=glm,code=1305"),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        assert process.stdout
        async with asyncio.timeout(20):
            told = [(await process.stdout.readline()).decode() for _ in range(4)]
        settings = dict(line.strip().split("=", 1) for line in told)
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+/api/paas/v4", settings["ZHIPUAI_BASE_URL"])
        client = zhipuai.ZhipuAI(
            api_key=settings["ZHIPUAI_API_KEY"], base_url=settings["ZHIPUAI_BASE_URL"], max_retries=0
        )

        def ask() -> object:
            answer = client.chat.completions.create(model="glm-4-flash", messages=[user("hi")])
            return answer.choices[0].message.content

        with pytest.raises(zhipuai.APIReachLimitError):
            await asyncio.to_thread(ask)
        assert await asyncio.to_thread(ask) == "word0 word1 word2 "
        client.close()
        process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(3):
            assert await process.wait() == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
