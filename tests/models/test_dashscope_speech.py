"""Qwen's ears and voice."""

import base64
import io
import json

import aiohttp
import pytest
import soundfile  # type: ignore[import-untyped]  # it ships no types

from bot.errors import ModelError, Trouble
from bot.messages import Finish, Usage
from bot.models.dashscope import DashScope
from bot.models.dashscope_speech import MOST_AUDIO
from bot.ports import SpeechPrompt
from bot.simulator import Fault
from bot.simulator.sounds import length, speech
from tests.models.dashscope_rig import SPEAKS, open_qwen, sound
from tests.models.rig import Shelf, recorded


def voice_note() -> bytes:
    """A second of Opus in OGG, as Telegram sends it."""
    samples, rate = soundfile.read(io.BytesIO(speech("hello, hello, hel")))
    out = io.BytesIO()
    soundfile.write(out, samples, rate, format="OGG", subtype="OPUS")
    return out.getvalue()


async def refused(prompt: SpeechPrompt, *faults: Fault) -> tuple[ModelError, int]:
    """The error, and how many calls it took."""
    async with open_qwen() as qwen:
        for fault in faults:
            qwen.sim.fail(fault)
        with pytest.raises(ModelError) as caught:
            await (qwen.vendor.speak(prompt) if prompt.text else qwen.vendor.transcribe(prompt))
        return caught.value, len(qwen.sim.log)


# --- ears --------------------------------------------------------------------------------------------------------------


async def test_a_voice_note_is_understood() -> None:
    async with open_qwen() as qwen:
        note = voice_note()
        qwen.sim.hear("你好，喜鹊。")
        text, finished = await qwen.vendor.transcribe(sound(audio=note, mime="audio/ogg; codecs=opus", seconds=1))
        assert text == "你好，喜鹊。"
        assert (finished.reason, finished.model, finished.usage, finished.cost) == (
            Finish.STOP,
            "qwen3-asr-flash",
            Usage(),
            0,
        )
        assert finished.request_id
        (call,) = qwen.sim.log
        audio = "data:audio/ogg;base64," + base64.b64encode(note).decode()
        assert call.body["input"]["messages"] == [{"role": "user", "content": [{"audio": audio}]}]
        assert call.body["parameters"] == {"asr_options": {"enable_lid": True, "enable_itn": False}}


async def test_wav_is_understood_and_a_silence_is_nothing() -> None:
    async with open_qwen() as qwen:
        prompt = sound(audio=speech("hello"), mime="audio/wav")
        assert (await qwen.vendor.transcribe(prompt))[0].startswith("I hear ")
        qwen.sim.hear("")
        assert (await qwen.vendor.transcribe(prompt))[0] == ""


@pytest.mark.parametrize("prompt", [sound(audio=bytes(MOST_AUDIO * 3 // 4 + 3)), sound(audio=b"x", seconds=301)])
async def test_what_is_too_long_is_not_even_sent(prompt: SpeechPrompt) -> None:
    error, calls = await refused(prompt)
    assert (error.trouble, error.unbilled, calls) == (Trouble.TOO_LONG, True, 0)


async def test_what_is_no_sound_is_refused_and_costs_nothing() -> None:
    error, _ = await refused(sound(audio=b"no sound at all", mime="audio/ogg"))
    assert (error.trouble, error.unbilled) == (Trouble.BAD_REQUEST, True)


async def test_hearing_that_breaks_off_is_sent_once() -> None:
    error, calls = await refused(sound(audio=speech("hi"), mime="audio/wav"), Fault(vendor="dashscope", cut=True))
    assert (error.trouble, error.unbilled, calls) == (Trouble.CUT, False, 1)


async def test_a_refusal_to_hear() -> None:
    error, _ = await refused(
        sound(audio=speech("hi"), mime="audio/wav"), Fault(vendor="dashscope", code="DataInspectionFailed")
    )
    assert (error.trouble, error.unbilled) == (Trouble.REFUSED, True)


@pytest.mark.parametrize(
    "odd", [{}, {"output": {}}, {"output": {"choices": [{"message": {"content": 1}}]}}, {"output": {"choices": []}}]
)
async def test_an_answer_of_another_shape_may_be_billed(odd: object) -> None:
    data = json.dumps(odd).encode()
    async with recorded([data], content_type="application/json") as origin, aiohttp.ClientSession() as session:
        with pytest.raises(ModelError) as caught:
            await DashScope(session, Shelf(), key="k", url=f"{origin}/api/v1").transcribe(sound(audio=b"x"))
    assert (caught.value.trouble, caught.value.begun) == (Trouble.FAULT, True)


# --- voice -------------------------------------------------------------------------------------------------------------


async def test_a_text_is_spoken_as_wav() -> None:
    async with open_qwen() as qwen:
        data, finished = await qwen.vendor.speak(sound(SPEAKS, text="Hello, 喜鹊. /etc/hosts"))
        assert data == speech("Hello, 喜鹊. /etc/hosts")  # to the byte, header and all
        samples, rate = soundfile.read(io.BytesIO(data))
        assert rate == 24_000 and len(samples) / rate == length(data)
        assert (finished.reason, finished.usage, finished.cost) == (Finish.STOP, Usage(), 0)
        (call,) = qwen.sim.log
        assert call.headers["X-DashScope-SSE"] == "enable"
        given = {"text": "Hello, 喜鹊. /etc/hosts", "voice": "Cherry", "language_type": "Auto"}
        assert (call.body["input"], qwen.sim.uploads) == (given, [])


async def test_another_voice() -> None:
    async with open_qwen() as qwen:
        await qwen.vendor.speak(sound(SPEAKS, text="Hello", voice="Ethan"))
        assert qwen.sim.log[-1].body["input"]["voice"] == "Ethan"


@pytest.mark.parametrize(
    ("prompt", "fault", "trouble", "unbilled"),
    [
        (sound(SPEAKS, text="x" * 601), None, Trouble.TOO_LONG, True),
        (sound(SPEAKS, text="x", voice="Nobody"), None, Trouble.BAD_REQUEST, True),
        (sound(SPEAKS, text="x"), Fault(vendor="dashscope", code="Arrearage"), Trouble.NO_MONEY, True),
        (sound(SPEAKS, text="x"), Fault(vendor="dashscope", cut=True), Trouble.CUT, False),
        (sound(SPEAKS, text="hello"), Fault(vendor="dashscope", cut=True, after_chunks=1), Trouble.CUT, False),
        (sound(SPEAKS, text="hello"), Fault(vendor="dashscope", code="InternalError", after_chunks=1), Trouble.FAULT, False),
        (sound(SPEAKS, text="hello"), Fault(vendor="dashscope", empty=True), Trouble.FAULT, False),
    ],
)  # fmt: skip
async def test_speech_that_fails(prompt: SpeechPrompt, fault: Fault | None, trouble: Trouble, unbilled: bool) -> None:
    error, calls = await refused(prompt, *([fault] if fault else []))
    assert (error.trouble, error.unbilled, calls) == (trouble, unbilled, 1)


def event(output: object) -> bytes:
    return (
        f"id:1\nevent:result\n:HTTP_STATUS/200\ndata:{json.dumps({'output': output, 'request_id': 'r'})}\n\n".encode()
    )


def piece(data: bytes, finish: str = "null") -> bytes:
    return event({"finish_reason": finish, "audio": {"data": base64.b64encode(data).decode(), "url": ""}})


async def spoken(*events: bytes) -> bytes:
    async with recorded(events) as origin, aiohttp.ClientSession() as session:
        vendor = DashScope(session, Shelf(), key="k", url=f"{origin}/api/v1")
        return (await vendor.speak(sound(SPEAKS, text="hi")))[0]


async def test_a_stream_with_a_header_of_its_own_has_one_in_the_end() -> None:
    whole = speech("hi")
    assert await spoken(piece(whole[:1_000]), piece(whole[1_000:]), piece(b"", "stop")) == whole
    assert await spoken(piece(whole[44:]), piece(b"", "stop")) == whole


@pytest.mark.parametrize(
    "events",
    [
        [piece(b"", "stop")],
        [piece(bytes(100))],
        [event({"audio": {"data": "no base64!"}})],
        [event({"audio": 5})],
        [event(None)],
    ],
)
async def test_speech_that_is_none_may_be_billed(events: list[bytes]) -> None:
    with pytest.raises(ModelError) as caught:
        await spoken(*events)
    assert (caught.value.trouble, caught.value.begun, caught.value.unbilled) == (Trouble.FAULT, True, False)


async def test_there_is_no_search_by_itself() -> None:
    async with open_qwen() as qwen:
        with pytest.raises(ModelError) as caught:
            await qwen.vendor.search("magpies", 5)
        assert (caught.value.trouble, caught.value.unbilled, qwen.sim.log) == (Trouble.BAD_REQUEST, True, [])
