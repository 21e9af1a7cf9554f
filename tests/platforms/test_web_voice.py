"""Voice in the page: recording in a real Chromium with a microphone that beeps, players for sound and videos, and the ranges
that they ask for."""

from __future__ import annotations

import io
import wave
from pathlib import Path
from typing import Any

import pytest
import soundfile  # type: ignore[import-untyped]  # it ships no types
from playwright.async_api import Browser, Page, expect

from bot.conversation.sound import to_ogg_opus
from bot.files import FileStore
from bot.messages import Media, Message, Piece
from bot.platforms.web import WebPlatform
from bot.simulator.films import film
from bot.simulator.sounds import speech
from tests.platforms.web_browser import Visit, until, visit
from tests.platforms.web_stage import CHAT, Stage, client

page_test = [pytest.mark.chromium, pytest.mark.asyncio(loop_scope="session")]
HEARD: dict[str, Any] = {"permissions": ["microphone"]}


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(FileStore(tmp_path))


# --- what is served and taken ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asked", "status", "told", "body"),
    [
        ("", 200, None, b"0123456789"),
        ("bytes=0-3", 206, "bytes 0-3/10", b"0123"),
        ("bytes=7-", 206, "bytes 7-9/10", b"789"),
        ("bytes=-2", 206, "bytes 8-9/10", b"89"),
        ("bytes=-20", 206, "bytes 0-9/10", b"0123456789"),
        ("bytes=8-99999999999", 206, "bytes 8-9/10", b"89"),
        ("bytes=10-", 416, "bytes */10", b""),
        ("bytes=5-3", 416, "bytes */10", b""),
        ("bytes=-0", 416, "bytes */10", b""),
        ("bytes=0-1,3-4", 200, None, b"0123456789"),
        ("bytes=-", 200, None, b"0123456789"),
        ("items=0-1", 200, None, b"0123456789"),
    ],
)
async def test_a_range_of_a_file(stage: Stage, asked: str, status: int, told: str | None, body: bytes) -> None:
    name = await stage.files.keep(b"0123456789", "video/mp4")
    async with client(stage) as page:
        headers = {"Range": asked} if asked else {}
        async with page.session.get(f"{page.web.url}/files/{name}", headers=headers) as response:
            assert (response.status, response.headers.get("content-range")) == (status, told)
            assert await response.read() == body
            assert response.headers["accept-ranges"] == "bytes"


async def test_files_are_served_as_what_they_are(stage: Stage) -> None:
    note = (await to_ogg_opus([speech("hello")])).data
    async with client(stage) as page:
        for data, mime in ((note, "audio/ogg"), (speech("hi"), "audio/wav"), (film("a fox", 1), "video/mp4")):
            name = await stage.files.keep(data, mime)
            async with page.session.get(f"{page.web.url}/files/{name}") as response:
                assert (response.headers["content-type"], response.headers["content-disposition"]) == (mime, "inline")


async def test_a_recording_is_kept_and_said_as_a_voice_message(stage: Stage) -> None:
    async with client(stage) as page:
        sound = {"Content-Type": "audio/wav"}
        status, kept = await page.call("POST", f"{CHAT}/files", data=speech("hello"), headers=sound)
        assert (status, kept["mime"]) == (200, "audio/wav")
        assert await page.say("", files=[{**kept, "title": "voice", "size": 7}]) == 200
        said = page.web.read(next(iter(stage.intake.events.values())).payload)
        assert isinstance(said, Message)
        [attachment] = said.attachments
        assert (attachment.kind, attachment.mime) == ("voice", "audio/wav")
        assert await page.web.fetch(attachment, 1_000_000) == speech("hello")
        for data in (b"", b"<html>", b"RIFF\0\0\0\0WEBP", film("a fox", 1)):
            status, answer = await page.call("POST", f"{CHAT}/files", data=data, headers=sound)
            assert status == 415
            assert answer["error"]["zh"]


# --- in the browser ----------------------------------------------------------------------------------------------------


async def recorded(page: Page, seconds: int = 1) -> None:
    await expect(page.locator("#recording time")).to_have_text(f"0:0{seconds}")


class TestRecording:
    pytestmark = page_test

    async def test_a_click_begins_and_a_click_sends(self, chromium: Browser, tmp_path: Path) -> None:
        async with visit(chromium, tmp_path, **HEARD) as visitor:
            page = await visitor.open("/c/chat1")
            await page.click("#record")
            await recorded(page, 2)
            await expect(page.locator("#record")).to_have_attribute("aria-label", "Send the recording")
            await page.click("#record")
            await _arrived(visitor, page)
            await expect(page.locator("#recording")).to_be_hidden()
            await until(page, "document.querySelector('#log audio').duration > 1.5")

    async def test_held_down_it_records_until_it_is_let_go(self, chromium: Browser, tmp_path: Path) -> None:
        async with visit(chromium, tmp_path, **HEARD) as visitor:
            page = await visitor.open("/c/chat1")
            await page.hover("#record")
            await page.mouse.down()
            await recorded(page)
            await page.mouse.up()
            await _arrived(visitor, page)

    async def test_escape_throws_it_away(self, chromium: Browser, tmp_path: Path) -> None:
        async with visit(chromium, tmp_path, **HEARD) as visitor:
            page = await visitor.open("/c/chat1")
            await page.click("#record")
            await recorded(page)
            await page.keyboard.press("Escape")
            await expect(page.locator("#recording")).to_be_hidden()
            said = await visitor.say(page, "words instead")
            assert (said.text, said.attachments, len(visitor.stage.intake.events)) == ("words instead", (), 1)

    async def test_a_refused_microphone_is_told(self, chromium: Browser, tmp_path: Path) -> None:
        async with visit(chromium, tmp_path) as visitor:
            page = await visitor.open("/c/chat1")
            await page.click("#record")
            await expect(page.locator("#trouble")).to_contain_text("may not use the microphone")
            await expect(page.locator("#recording")).to_be_hidden()

    async def test_what_cannot_be_sent_now_is_kept(self, chromium: Browser, tmp_path: Path) -> None:
        async with visit(chromium, tmp_path, **HEARD) as visitor:
            page = await visitor.open("/c/chat1")
            await page.click("#record")
            await recorded(page)
            await page.context.set_offline(True)
            await page.click("#record")
            await expect(page.locator("#trouble")).to_contain_text("could not be sent yet")
            await page.context.set_offline(False)
            await page.click("#send")
            await _arrived(visitor, page)


async def _arrived(visitor: Visit, page: Page) -> None:
    """One voice message, in which the microphone's beep can be heard."""
    [event] = await visitor.stage.intake.until(1)
    said = visitor.web.read(event.payload)
    assert isinstance(said, Message)
    [voice] = said.attachments
    assert (voice.kind, voice.mime, said.text) == ("voice", "audio/wav", "")
    data = await visitor.web.fetch(voice, 20_000_000)
    with wave.open(io.BytesIO(data)) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (16_000, 1, 2)
        assert file.getnframes() > 8_000
    samples, _ = soundfile.read(io.BytesIO(data))
    assert max(abs(samples)) > 0.05
    await expect(page.locator("#log .person audio")).to_have_count(1)


class TestPlaying:
    pytestmark = page_test

    async def test_a_spoken_answer_and_a_video_play(self, chromium: Browser, tmp_path: Path) -> None:
        async with visit(chromium, tmp_path) as visitor:
            page = await visitor.open("/c/chat1")
            note = await to_ogg_opus([speech("a few words that are said aloud")])
            await _show(visitor.web, visitor.stage, note.data, "audio/ogg", "1.1.0.0")
            await _show(visitor.web, visitor.stage, film("a fox", 2), "video/mp4", "2.0.0.0")
            for kind, seconds in (("audio", note.seconds), ("video", 2)):
                player = page.locator(f"#log .bot {kind}")
                await expect(player).to_have_count(1)
                await until(page, f"document.querySelector('#log {kind}').readyState > 1")
                assert (
                    await player.evaluate("one => one.clientWidth") >= 320
                )  # room for its controls, however small the film
                assert await player.evaluate("one => one.duration") == pytest.approx(seconds, abs=0.2)
                await player.evaluate("one => { one.muted = true; return one.play(); }")
                await until(page, f"document.querySelector('#log {kind}').currentTime > 0.3")
                await player.evaluate("one => { one.currentTime = one.duration - 0.1; }")
                await until(page, f"document.querySelector('#log {kind}').ended")

    async def test_a_video_whose_size_comes_late_leaves_the_reader_at_the_end(
        self, chromium: Browser, tmp_path: Path
    ) -> None:
        async with visit(chromium, tmp_path) as visitor:
            page = await visitor.open("/c/chat1")
            await visitor.show("a paragraph\n\n" * 30)
            file = await visitor.stage.files.keep(film("a fox", 2), "video/mp4")
            piece = Piece("<p>a fox</p>", media=Media(file, "video/mp4", "a fox"))
            await visitor.web.send(visitor.stage.address("chat1"), piece, "2.0.0.0")
            await until(page, "document.querySelector('#log video')?.clientHeight > 300")
            scroll = "document.querySelector('#scroll')"
            await until(page, f"{scroll}.scrollHeight - {scroll}.scrollTop - {scroll}.clientHeight < 2")


async def _show(web: WebPlatform, stage: Stage, data: bytes, mime: str, nonce: str) -> None:
    file = await stage.files.keep(data, mime)
    await web.send(stage.address("chat1"), Piece("", media=Media(file, mime, "a fox")), nonce)
