"""GLM: what is sent, and what is made of odd chunks."""

import json

import aiohttp
import pytest

from bot.errors import ModelError, Trouble
from bot.messages import Finish
from bot.models.zhipu import Zhipu
from bot.ports import Line
from bot.simulator import Reply
from tests.models.rig import Parts, Rig, Shelf, end_of, open_rig, png, recorded, text_of, thought_of

LAST = {"choices": [{"index": 0, "finish_reason": "stop", "delta": {"role": "assistant", "content": ""}}]}


def event(value: object) -> bytes:
    return b"data: " + json.dumps(value).encode() + b"\n\n"


def word(text: str) -> dict[str, object]:
    return {"id": "r-1", "choices": [{"index": 0, "delta": {"role": "assistant", "content": text}}]}


async def read(rig: Rig, blocks: list[bytes], *, whole: bool = True, status: int = 200) -> Parts:
    """One try, of a response recorded as these writes."""
    parts: Parts = []
    async with recorded(blocks, whole=whole, status=status) as origin, aiohttp.ClientSession() as session:
        async for part in Zhipu(session, Shelf(), key="a.b", url=f"{origin}/v4").stream(rig.prompt("glm")):
            parts.append(part)
    return parts


async def test_the_request() -> None:
    async with open_rig() as rig:
        lines = (Line("system", "Be brief."), Line("user", "one"), Line("assistant", "1"), Line("user", "two"))
        await rig.ask("glm", lines=lines, seed=7, output=500)
        body = {name: value for name, value in rig.sim.log[-1].body.items() if value is not None}
        assert body == {
            "model": "glm-4.7-flash",
            "messages": [{"role": line.role, "content": line.text} for line in lines],
            "max_tokens": 500,
            "stream": True,
            "thinking": {"type": "disabled"},
        }
        assert rig.sim.log[-1].headers["Authorization"] == f"Bearer {rig.sim.api_key}"


@pytest.mark.parametrize("name", ["glm-4-flash-250414", "glm-4.1v-thinking-flash", "glm-5.3"])
async def test_no_switch_is_sent_where_there_is_none(name: str) -> None:
    async with open_rig() as rig:
        await rig.ask(name)
        assert rig.sim.log[-1].body.get("thinking") is None


async def test_pictures_go_as_bare_base64_and_only_to_models_that_see() -> None:
    async with open_rig() as rig:
        await rig.shelf.keep(png(), "image/png")
        lines = (Line("user", "What is it?", ("0",)),)
        assert end_of(await rig.ask("glm-4.6v-flash", lines=lines)).reason is Finish.STOP
        content = rig.sim.log[-1].body["messages"][0]["content"]
        assert [part["type"] for part in content] == ["image_url", "text"]
        assert content[0]["image_url"]["url"].startswith("iVBOR")
        await rig.ask("glm", lines=lines)
        assert rig.sim.log[-1].body["messages"][0]["content"] == "What is it?"


async def test_marks_are_taken_out() -> None:
    async with open_rig() as rig:
        rig.sim.say(Reply(text="<think>hm</think>It is <|begin_of_box|>42<|end_of_box|>."))
        parts = await rig.ask("glm-4.6v-flash")
        assert (thought_of(parts), text_of(parts)) == ("hm", "It is 42.")


async def test_every_slicing_of_a_stream_reads_the_same() -> None:
    stream = b": hello\n\n" + event(word("喜")) + event(word("鹊 ✨")) + event(LAST) + b"data: [DONE]\n\n"
    async with open_rig() as rig:
        for cut in range(1, len(stream), 5):
            parts = await read(rig, [stream[:cut], stream[cut:]])
            assert text_of(parts) == "喜鹊 ✨" and end_of(parts).request_id == "r-1"


async def test_a_stream_that_ends_politely_without_a_reason_is_cut() -> None:
    async with open_rig() as rig:
        for tail in (b"", b"data: [DONE]\n\n"):
            assert end_of(await read(rig, [event(word("half")) + tail])).reason is Finish.CUT
        assert end_of(await read(rig, [event(word("whole")) + event(LAST)])).reason is Finish.STOP


@pytest.mark.parametrize(
    "odd",
    [
        {"choices": []},
        {"id": "x"},
        {"choices": [{"index": 0}]},
        {"choices": [{"delta": {"content": None}, "index": 0}]},
        {"choices": [{"index": 0, "delta": {"content": ""}}], "usage": {"prompt_tokens": None}},
        {"choices": [], "usage": {"prompt_tokens": -1, "completion_tokens": 5, "total_tokens": 4}},
        {"new": {"field": 1}, "choices": [{"index": 0, "delta": {"role": "assistant", "audio": {"id": "a"}}}]},
    ],
)
async def test_an_unusual_chunk_disturbs_nothing(odd: dict[str, object]) -> None:
    async with open_rig() as rig:
        parts = await read(rig, [event(word("a")), event(odd), event(word("b")), event(LAST)])
        assert (text_of(parts), end_of(parts).reason) == ("ab", Finish.STOP)
        assert end_of(parts).usage.estimated


@pytest.mark.parametrize(
    "broken", [b'data: {"choices": [{"in\n\n', b"data: [1]\n\n", b"data: \xff\xfe\n\n", b'data: "x"\n\n']
)
async def test_broken_json_cuts(broken: bytes) -> None:
    async with open_rig() as rig:
        with pytest.raises(ModelError) as caught:
            await read(rig, [event(word("a")), broken, event(LAST)])
        assert caught.value.trouble is Trouble.CUT


@pytest.mark.parametrize(
    ("body", "code", "trouble"),
    [
        (b'{"error": {"code": "1113", "message": "no money"}}', "1113", Trouble.NO_MONEY),
        (b'{"error": {"code": 1301}, "request_id": "r-9"}', "1301", Trouble.REFUSED),
        (b'{"error": "busy"}', "", Trouble.BUSY),
        (b"[]", "", Trouble.BUSY),
        (b"", "", Trouble.BUSY),
        (b"\xff\xfe", "", Trouble.BUSY),
    ],
)
async def test_any_refusal_is_read(body: bytes, code: str, trouble: Trouble) -> None:
    async with open_rig() as rig:
        with pytest.raises(ModelError) as caught:
            await read(rig, [body] if body else [], status=429)
        error = caught.value
        assert (error.code, error.trouble, error.status) == (code, trouble, 429)
        assert error.request_id == ("r-9" if b"r-9" in body else "")


async def test_a_redirect_is_a_refusal_and_the_key_stays_here() -> None:
    async with open_rig() as rig:
        with pytest.raises(ModelError) as caught:
            await read(rig, [b"elsewhere"], status=302)
        assert caught.value.status == 302
