"""GLM hears, speaks and searches by itself; and what is never sent because it would be refused."""

import io
import wave

import aiohttp
import pytest

from bot.errors import ModelError, Trouble
from bot.messages import Finish
from bot.models.zhipu import LONGEST_SOUND, MOST_SOUND, MOST_SPOKEN, Zhipu
from bot.simulator import Fault, Found
from bot.simulator.sounds import length
from tests.models.alone import Alone
from tests.models.rig import Shelf, recorded
from tests.models.zhipu_rig import SPEAKS, open_glm, sound


def wav(seconds: float, rate: int = 8_000) -> bytes:
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(bytes(2 * int(seconds * rate)))
    return out.getvalue()


def mp3(seconds: float) -> bytes:
    import numpy
    import soundfile  # type: ignore[import-untyped]  # it ships no types

    out = io.BytesIO()
    soundfile.write(out, numpy.zeros(int(seconds * 16_000)), 16_000, format="MP3")
    return out.getvalue()


async def heard(glm: Alone, audio: bytes, mime: str = "audio/wav", seconds: float = 2.0) -> str:
    text, finished = await glm.vendor.transcribe(sound(audio=audio, mime=mime, seconds=seconds))
    assert (finished.reason, finished.model) == (Finish.STOP, "glm-asr-2512")
    assert finished.request_id
    return text


async def test_a_recording_goes_as_a_form_and_comes_back_as_text() -> None:
    async with open_glm() as glm:
        assert await heard(glm, wav(2)) == "I hear 2 seconds of sound."
        assert await heard(glm, mp3(3), "audio/mpeg") == "I hear 3 seconds of sound."
        call = glm.sim.log[0]
        assert call.body == {"model": "glm-asr-2512", "stream": "false"}
        (upload,) = call.uploads
        assert (upload.field, upload.filename, upload.content) == ("file", "voice.wav", wav(2))
        assert call.headers["Authorization"] == f"Bearer {glm.sim.api_key}"


async def test_what_is_said_may_be_nothing() -> None:
    async with open_glm() as glm:
        glm.sim.hear(" 你好 \n", "")
        assert [await heard(glm, wav(1)), await heard(glm, wav(1))] == ["你好", ""]


@pytest.mark.parametrize(
    ("audio", "mime", "seconds"),
    [
        (b"OggS", "audio/ogg", 2),
        (b"x", "", 2),
        (b"", "audio/wav", 0),
        (b"x", "audio/wav", LONGEST_SOUND + 0.1),
        (bytes(MOST_SOUND + 1), "audio/wav", 2),
    ],
)
async def test_a_recording_that_glm_does_not_take_is_not_sent(audio: bytes, mime: str, seconds: float) -> None:
    async with open_glm() as glm:
        with pytest.raises(ModelError) as caught:
            await heard(glm, audio, mime, seconds)
        assert (caught.value.trouble, caught.value.unbilled, glm.sim.log) == (Trouble.BAD_REQUEST, True, [])


async def test_a_recording_that_is_another_than_was_said_is_refused() -> None:
    async with open_glm() as glm:
        for audio, mime in ((wav(40), "audio/wav"), (b"no sound", "audio/wav"), (wav(2), "audio/mpeg")):
            with pytest.raises(ModelError) as caught:
                await heard(glm, audio, mime)
            assert (caught.value.trouble, caught.value.code, caught.value.unbilled) == (
                Trouble.BAD_REQUEST,
                "1214",
                True,
            )


async def test_a_text_is_spoken_as_wav() -> None:
    async with open_glm() as glm:
        data, finished = await glm.vendor.speak(sound(SPEAKS, text="Good morning", voice="jam"))
        assert length(data) == pytest.approx(12 * 0.06, abs=0.01)
        assert (finished.reason, finished.model) == (Finish.STOP, "glm-tts")
        body = glm.body
        assert body == {
            "model": "glm-tts",
            "input": "Good morning",
            "voice": "jam",
            "stream": False,
            "response_format": "wav",
        }
        await glm.vendor.speak(sound(SPEAKS, text="x" * MOST_SPOKEN))
        assert glm.body["voice"] == "tongtong"


@pytest.mark.parametrize("text", ["", " \n", "x" * (MOST_SPOKEN + 1)])
async def test_a_text_that_glm_does_not_speak_is_not_sent(text: str) -> None:
    async with open_glm() as glm:
        with pytest.raises(ModelError) as caught:
            await glm.vendor.speak(sound(SPEAKS, text=text))
        assert (caught.value.trouble, caught.value.unbilled, glm.sim.log) == (Trouble.BAD_REQUEST, True, [])


async def test_an_unknown_voice_is_refused() -> None:
    async with open_glm() as glm:
        with pytest.raises(ModelError) as caught:
            await glm.vendor.speak(sound(SPEAKS, text="x", voice="nobody"))
        assert (caught.value.code, caught.value.unbilled) == ("1214", True)


@pytest.mark.parametrize("body", [b"", b"{}", b"ID3", b"RIFFxxxxWAV"])
async def test_speech_that_is_none(body: bytes) -> None:
    async with recorded([body] if body else [], content_type="audio/wav") as origin, aiohttp.ClientSession() as session:
        vendor = Zhipu(session, Shelf(), key="a.b", url=f"{origin}/v4")
        with pytest.raises(ModelError) as caught:
            await vendor.speak(sound(SPEAKS, text="x"))
        assert (caught.value.trouble, caught.value.begun, caught.value.unbilled) == (Trouble.FAULT, True, False)


@pytest.mark.parametrize(
    ("body", "trouble"),
    [
        (b"", Trouble.CUT),
        (b"{}", Trouble.FAULT),
        (b"[]", Trouble.CUT),
        (b'{"text": 7}', Trouble.FAULT),
        (b"<html>", Trouble.CUT),
    ],
)
async def test_a_transcript_that_is_none(body: bytes, trouble: Trouble) -> None:
    async with (
        recorded([body] if body else [], content_type="application/json") as origin,
        aiohttp.ClientSession() as session,
    ):
        vendor = Zhipu(session, Shelf(), key="a.b", url=f"{origin}/v4")
        with pytest.raises(ModelError) as caught:
            await vendor.transcribe(sound(audio=wav(1), mime="audio/wav", seconds=1))
        assert caught.value.trouble is trouble


async def test_an_endless_answer_ends() -> None:
    block = b"RIFF" + bytes(1024 * 1024)
    async with recorded([block] * 70, content_type="audio/wav") as origin, aiohttp.ClientSession() as session:
        vendor = Zhipu(session, Shelf(), key="a.b", url=f"{origin}/v4")
        with pytest.raises(ModelError) as caught:
            await vendor.speak(sound(SPEAKS, text="x"))
        assert caught.value.trouble is Trouble.CUT


async def test_faults_of_speech_are_the_vendors_own() -> None:
    async with open_glm() as glm:
        for path, code, trouble in (("speech", "1301", Trouble.REFUSED), ("transcriptions", "1302", Trouble.BUSY)):
            glm.sim.fail(Fault(vendor="glm", path=path, code=code))
            with pytest.raises(ModelError) as caught:
                if path == "speech":
                    await glm.vendor.speak(sound(SPEAKS, text="x"))
                else:
                    await heard(glm, wav(1))
            assert (caught.value.trouble, caught.value.unbilled) == (trouble, True)


async def test_a_search_by_itself() -> None:
    async with open_glm() as glm:
        page = Found("Fjords", "https://a.example/1", "A fjord is deep.", "A", "2026-11-01")
        glm.sim.find(page, Found("bad", "file:///etc/passwd"))
        (hit,) = await glm.vendor.search("fjords", 5)
        assert (hit.title, hit.url, hit.text, hit.site, hit.date) == (
            page.title,
            page.url,
            page.text,
            page.site,
            page.date,
        )
        assert glm.body == {"search_engine": "search_std", "search_query": "fjords", "count": 5}
        assert len(await glm.vendor.search("magpies", 4)) == 4


async def test_a_search_that_is_refused() -> None:
    async with open_glm() as glm:
        for count, code in ((0, "1214"), (51, "1214")):
            with pytest.raises(ModelError) as caught:
                await glm.vendor.search("x", count)
            assert caught.value.code == code
        with pytest.raises(ModelError) as caught:
            await glm.vendor.search("", 3)
        assert (caught.value.code, caught.value.unbilled) == ("1213", True)


@pytest.mark.parametrize("body", [b"{}", b'{"search_result": 7}', b'{"search_result": [7, {"link": 8}, {}]}'])
async def test_a_search_without_results(body: bytes) -> None:
    async with recorded([body], content_type="application/json") as origin, aiohttp.ClientSession() as session:
        assert await Zhipu(session, Shelf(), key="a.b", url=f"{origin}/v4").search("x", 3) == []
