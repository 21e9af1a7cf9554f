"""Qwen: what is sent, and odd events."""

import json
import logging

import aiohttp
import pytest

from bot.errors import ModelError, Trouble
from bot.messages import Finish
from bot.models.dashscope import DashScope
from bot.ports import Line
from bot.simulator import Fault
from tests.models.rig import Parts, Rig, Shelf, end_of, open_rig, png, recorded, text_of


def event(value: object, kind: str = "result", status: int = 200) -> bytes:
    return f"id:1\nevent:{kind}\n:HTTP_STATUS/{status}\ndata:{json.dumps(value)}\n\n".encode()


def word(text: str, finish: str = "null") -> dict[str, object]:
    choice = {"message": {"content": text, "role": "assistant"}, "finish_reason": finish}
    return {"output": {"choices": [choice]}, "request_id": "r-1"}


async def read(rig: Rig, blocks: list[bytes], *, status: int = 200, content_type: str = "text/event-stream") -> Parts:
    """One try, of a response recorded as these writes."""
    parts: Parts = []
    async with (
        recorded(blocks, status=status, content_type=content_type) as origin,
        aiohttp.ClientSession() as session,
    ):
        async for part in DashScope(session, Shelf(), key="k", url=f"{origin}/api/v1").stream(rig.prompt("qwen")):
            parts.append(part)
    return parts


async def test_the_text_request() -> None:
    async with open_rig() as rig:
        lines = (Line("system", "Be brief."), Line("user", "one"), Line("assistant", "1"), Line("user", "two"))
        await rig.ask("qwen-plus", lines=lines, seed=2**31 + 7, output=500)
        call = rig.sim.log[-1]
        assert call.path.endswith("/text-generation/generation")
        assert call.body["input"] == {"messages": [{"role": line.role, "content": line.text} for line in lines]}
        assert call.body["parameters"] == {
            "max_tokens": 500,
            "enable_thinking": False,
            "seed": 7,
            "result_format": "message",
            "incremental_output": True,
        }


async def test_the_multimodal_request() -> None:
    async with open_rig() as rig:
        await rig.shelf.keep(png(), "image/png")
        lines = (Line("system", "Be brief."), Line("user", "What is it?", ("0",)))
        assert end_of(await rig.ask("qwen3-vl-flash", lines=lines)).reason is Finish.STOP
        system, user = rig.sim.log[-1].body["input"]["messages"]
        assert system["content"] == [{"text": "Be brief."}]
        assert user["content"][0]["image"].startswith("data:image/png;base64,")
        assert user["content"][1] == {"text": "What is it?"}
        await rig.ask("qwen", lines=lines)
        assert rig.sim.log[-1].body["input"]["messages"][1]["content"] == "What is it?"


async def test_no_switch_is_sent_where_there_is_none() -> None:
    async with open_rig() as rig:
        await rig.ask("qwen-max")
        assert "enable_thinking" not in rig.sim.log[-1].body["parameters"]


async def test_every_slicing_of_a_stream_reads_the_same() -> None:
    stream = event(word("喜")) + b": keep-alive\n\n" + event(word("鹊 ✨")) + event(word("", "stop"))
    async with open_rig() as rig:
        for cut in range(1, len(stream), 11):
            parts = await read(rig, [stream[:cut], stream[cut:]])
            assert text_of(parts) == "喜鹊 ✨" and end_of(parts).request_id == "r-1"


async def test_a_stream_that_ends_politely_without_a_reason_is_cut() -> None:
    async with open_rig() as rig:
        assert end_of(await read(rig, [event(word("half"))])).reason is Finish.CUT


@pytest.mark.parametrize(
    "odd",
    [
        {"output": None, "request_id": "r-1"},
        {"output": {}, "usage": None},
        {"output": {"choices": []}},
        {"output": {"choices": [{"finish_reason": "null"}]}},
        {"usage": {"input_tokens": -1}},
        word(""),
    ],
)
async def test_an_unusual_event_disturbs_nothing(odd: dict[str, object]) -> None:
    async with open_rig() as rig:
        parts = await read(rig, [event(word("a")), event(odd), event(word("b")), event(word("", "stop"))])
        assert (text_of(parts), end_of(parts).reason) == ("ab", Finish.STOP)


@pytest.mark.parametrize(
    ("broken", "trouble"),
    [
        (b'data:{"output": {"cho\n\n', Trouble.FAULT),
        (b"data:\xff\xfe\n\n", Trouble.CUT),
        (b"event:error\ndata:{}\n\n", Trouble.CUT),
    ],
)
async def test_broken_events_fail_as_the_vendors_fault(broken: bytes, trouble: Trouble) -> None:
    async with open_rig() as rig:
        with pytest.raises(ModelError) as caught:
            await read(rig, [event(word("a")), broken])
        assert caught.value.trouble is trouble


async def test_an_error_event_is_told_by_its_code() -> None:
    async with open_rig() as rig:
        error = {"code": "Throttling.RateQuota", "message": "slower", "request_id": "r-2"}
        with pytest.raises(ModelError) as caught:
            await read(rig, [event(error, "error", 429)])
        assert (caught.value.trouble, caught.value.request_id) == (Trouble.BUSY, "r-2")


@pytest.mark.parametrize(
    ("content_type", "body", "trouble"),
    [
        ("application/json", b"[]", Trouble.FAULT),
        ("application/json", b"{}", Trouble.FAULT),
        ("application/json", b'{"code": null}', Trouble.FAULT),
        ("application/json", b"", Trouble.CUT),
        ("application/json", b"<html>", Trouble.CUT),
        ("text/html", b"{}", Trouble.FAULT),
        ("text/html", b"", Trouble.FAULT),
        ("text/html", b"<html>", Trouble.FAULT),
    ],
)
async def test_any_refusal_is_read(content_type: str, body: bytes, trouble: Trouble) -> None:
    async with open_rig() as rig:
        with pytest.raises(ModelError) as caught:
            await read(rig, [body] if body else [], status=500, content_type=content_type)
        assert caught.value.trouble is trouble


async def test_nothing_that_people_wrote_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    async with open_rig() as rig:
        await rig.ask("qwen", "my secret question")
        rig.sim.fail(Fault(vendor="dashscope", code="InvalidParameter", message="you wrote: my secret question"))
        await rig.refused("qwen", "my secret question")
        rig.sim.fail(Fault(vendor="dashscope", cut=True, times=None))
        await rig.refused("qwen", "my secret question")
        await rig.ask("glm", "my secret question")
    assert "secret" not in caplog.text and rig.sim.api_key not in caplog.text
