"""What the simulated voices and cameras make is real."""

import base64
import io

import pytest
from playwright.async_api import async_playwright

from bot.simulator.films import SIDE, film
from bot.simulator.films import length as film_length
from bot.simulator.sounds import RATE, container, length, speech
from tests.platforms.conftest import ARGUMENTS, CHROMIUM, NOT_RUN, REQUIRED


@pytest.mark.parametrize("text", ["a", "Good morning!", "早上好", "x" * 5_000])
def test_speech_is_as_long_as_its_text_up_to_a_minute(text: str) -> None:
    sound = speech(text)
    assert container(sound) == "wav"
    assert length(sound) == pytest.approx(min(60, 0.06 * len(text)), abs=0.01)


def test_speech_is_heard() -> None:
    import soundfile  # type: ignore[import-untyped]  # it ships no types

    samples, rate = soundfile.read(io.BytesIO(speech("magpie")))
    assert rate == RATE
    assert samples.max() > 0.2 > abs(samples.mean())
    assert speech("magpie") == speech("magpie") != speech("sparrow")


@pytest.mark.parametrize(
    "data", [b"", b"RIFF", b"RIFF0000WAVE", b"OggS", b"\xff\xfb\x90", b"ID3" + bytes(50), b"hello" * 99]
)
def test_what_is_no_sound_has_no_length(data: bytes) -> None:
    assert length(data) is None


@pytest.mark.parametrize("seconds", [5, 10])
def test_a_film_has_its_length_and_follows_its_prompt(seconds: int) -> None:
    assert film_length(film("fox", seconds)) == seconds
    assert film("fox", seconds) == film("fox", seconds) != film("owl", seconds)
    assert len(film("fox", seconds)) < 10_000
    assert film_length(b"no film at all") is None


_SHOWN = """async (source) => {
    const video = document.createElement("video");
    video.muted = true;
    await new Promise((done, failed) => {
        video.onloadeddata = done;
        video.onerror = () => failed(video.error.message);
        video.src = source;
    });
    return [video.videoWidth, video.videoHeight, video.duration];
}"""


@pytest.mark.chromium
@pytest.mark.skipif(CHROMIUM is None and not REQUIRED, reason=NOT_RUN)
async def test_a_browser_shows_a_film() -> None:
    source = "data:video/mp4;base64," + base64.b64encode(film("a red fox", 5)).decode()
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        page = await browser.new_page()
        assert await page.evaluate(_SHOWN, source) == [SIDE, SIDE, 5]
        await browser.close()
