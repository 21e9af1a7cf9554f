"""The page in a real Chromium: talking, losing nothing, reading."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from playwright.async_api import Browser, expect

from bot.files import FileStore
from bot.messages import Button, Edited, Media, Message, Piece, Pressed
from tests.platforms.web_browser import SAMPLE, Visit, until, visit
from tests.platforms.web_stage import STOP_BUTTON, Stage, stream

pytestmark = [pytest.mark.chromium, pytest.mark.asyncio(loop_scope="session")]


# --- talking -----------------------------------------------------------------------------------------------------------


async def test_a_late_answer_quotes_its_question_which_is_not_copied_with_it(chromium: Browser, tmp_path: Path) -> None:
    async with visit(chromium, tmp_path, permissions=["clipboard-read", "clipboard-write"]) as visitor:
        page = await visitor.open()
        said = await visitor.say(page, "/later why are foxes red?")
        await visitor.say(page, "hello meanwhile")
        to = replace(said.address, reply_to=said.id)
        await visitor.web.send(to, visitor.web.layout("So that they are seen.")[0], "1.0.0.0")
        await expect(page.locator(".bot .replied")).to_have_text("/later why are foxes red?")
        await expect(page.locator("#announcer")).to_have_text("Magpie answered: So that they are seen.")
        await page.click(".bot [data-action=copy]")
        assert await page.evaluate("navigator.clipboard.readText()") == "So that they are seen."


async def test_a_question_is_answered_and_a_reload_and_a_second_tab_show_the_same(
    chromium: Browser, tmp_path: Path
) -> None:
    async with visit(chromium, tmp_path) as visitor:
        page = await visitor.open()
        said = await visitor.say(page, "How are you?\n")
        assert isinstance(said, Message) and said.text == "How are you?" and said.language == "en"
        await stream(visitor.web, said.address, "1.0.0.0", SAMPLE, step=150, wait=0.03)
        await expect(page.locator(".bot .body h4")).to_have_text("What follows")
        assert page.url == f"{visitor.web.url}/c/{said.address.chat.chat}"
        shown = await page.inner_html("#log .bot .body")
        second = await visitor.open(f"/c/{said.address.chat.chat}")
        for tab in (page, second):
            await tab.reload()
            await expect(tab.locator(".message")).to_have_count(2)
            assert await tab.inner_text(".person .body") == "How are you?"
            assert await tab.inner_html("#log .bot .body") == shown
        await expect(page.locator("#chats a[aria-current]")).to_contain_text("How are you?")


async def test_shift_enter_starts_a_line_and_an_input_method_may_use_enter(chromium: Browser, tmp_path: Path) -> None:
    async with visit(chromium, tmp_path) as visitor:
        page = await visitor.open()
        await page.type("#input", "one")
        await page.press("#input", "Shift+Enter")
        await page.type("#input", "two")
        press = "e => document.getElementById('input').dispatchEvent(new KeyboardEvent('keydown', e))"
        for composing in ({"isComposing": True}, {"keyCode": 229}):
            await page.evaluate(press, {"key": "Enter", "bubbles": True, **composing})
        assert await page.input_value("#input") == "one\ntwo" and not visitor.stage.intake.events
        await page.press("#input", "Enter")
        [event] = await visitor.stage.intake.until(1)
        said = visitor.web.read(event.payload)
        assert isinstance(said, Message) and said.text == "one\ntwo"


async def test_the_stop_button_and_escape_stop_the_running_answer(chromium: Browser, tmp_path: Path) -> None:
    async with visit(chromium, tmp_path) as visitor:
        page = await visitor.open("/c/chat1")
        await visitor.say(page, "long, please")
        await expect(page.locator("#send")).to_have_attribute("aria-label", "Stop")
        await page.press("#input", "Escape")
        events = await visitor.stage.intake.until(2)
        stopped = visitor.web.read(events[-1].payload)
        assert isinstance(stopped, Message) and stopped.text == "/stop" and events[-1].lane == "control"
        await visitor.show("it goes on", running=True)
        await expect(page.locator(".running")).to_have_count(1)
        await expect(page.locator(".bot .buttons button")).to_have_count(0)
        await page.click("#send")
        pressed = visitor.web.read((await visitor.stage.intake.until(3))[-1].payload)
        assert isinstance(pressed, Pressed) and pressed.button == STOP_BUTTON[0][0].id
        await visitor.show("it stopped")
        await expect(page.locator("#send")).to_have_attribute("aria-label", "Send")
        await expect(page.locator(".person")).to_have_count(1)  # "/stop" is no message


async def test_arrow_up_edits_the_last_question(chromium: Browser, tmp_path: Path) -> None:
    async with visit(chromium, tmp_path) as visitor:
        page = await visitor.open("/c/chat1")
        await visitor.say(page, "first")
        said = await visitor.say(page, "second")
        await expect(page.locator(".person.editable .body")).to_have_text("second")
        await expect(page.locator(".person [data-action=edit]:visible")).to_have_count(1)
        await page.press("#input", "ArrowUp")
        assert await page.input_value("#input") == "second"
        await page.press("#input", "Escape")
        assert await page.input_value("#input") == ""
        await page.press("#input", "ArrowUp")
        edited = await visitor.say(page, "second, better")
        assert isinstance(edited, Edited) and (edited.message.id, edited.message.text) == (said.id, "second, better")
        await expect(page.locator(".person .body")).to_have_text(["first", "second, better"])


async def test_a_reply_goes_on_from_an_older_answer(chromium: Browser, tmp_path: Path) -> None:
    async with visit(chromium, tmp_path) as visitor:
        page = await visitor.open("/c/chat1")
        await visitor.show("the first answer", "1.0.0.0")
        await visitor.show("the second answer", "2.0.0.0")
        message = page.locator("[data-id='1.0.0.0']")
        await message.hover()
        await message.locator("[data-action=reply]").click()
        await expect(page.locator("#about")).to_contain_text("Continuing from an earlier answer")
        said = await visitor.say(page, "go on")
        assert isinstance(said, Message) and said.replies_to == "1.0.0.0"
        await expect(page.locator("#about")).to_be_hidden()


async def test_a_button_of_an_answer_is_pressed_once(chromium: Browser, tmp_path: Path) -> None:
    async with visit(chromium, tmp_path) as visitor:
        page = await visitor.open("/c/chat1")
        piece = Piece("<p>done</p>", buttons=((Button("Again", "b7f3"), Button("Other model", "b7f4")),))
        await visitor.web.send(visitor.stage.address("chat1"), piece, "1.0.0.0")
        await page.click("text=Other model")
        pressed = visitor.web.read((await visitor.stage.intake.until(1))[0].payload)
        assert isinstance(pressed, Pressed) and pressed.button == "b7f4"


async def test_pictures_are_chosen_seen_and_sent(chromium: Browser, tmp_path: Path) -> None:
    async with visit(chromium, tmp_path) as visitor:
        page = await visitor.open("/c/chat1")
        out = io.BytesIO()
        Image.new("RGB", (320, 200), "#c4622d").save(out, "PNG")
        pictures: Any = [{"name": f"{n}.png", "mimeType": "image/png", "buffer": out.getvalue()} for n in "ab"]
        await page.set_input_files("#choose", pictures)
        await expect(page.locator("#pictures li:not(.running)")).to_have_count(2)
        await page.click("#pictures li:first-child button")
        said = await visitor.say(page, "what is it?")
        assert isinstance(said, Message) and [file.name for file in said.attachments] == ["b.png"]
        loaded = "document.querySelector('.person .pictures img')?.naturalWidth === 320"
        await until(page, loaded)
        await page.set_input_files("#choose", {"name": "x.png", "mimeType": "image/png", "buffer": b"no picture"})
        await expect(page.locator("#trouble")).to_be_visible()
        media = Media(said.attachments[0].ref, "image/png", "a fox")
        await visitor.web.send(said.address, Piece("", media=media), "1.0.0.0")
        await expect(page.get_by_alt_text("a fox")).to_be_visible()


@pytest.mark.parametrize("way", ["paste", "drop"])
async def test_pictures_are_pasted_and_dropped(chromium: Browser, tmp_path: Path, way: str) -> None:
    async with visit(chromium, tmp_path) as visitor:
        page = await visitor.open("/c/chat1")
        await page.evaluate(
            """async (way) => {
              const canvas = new OffscreenCanvas(20, 20);
              canvas.getContext("2d").fillRect(0, 0, 20, 20);
              const data = new DataTransfer();
              data.items.add(new File([await canvas.convertToBlob()], "bird.png", {type: "image/png"}));
              const paste = new ClipboardEvent("paste", {clipboardData: data, bubbles: true, cancelable: true});
              const drop = new DragEvent("drop", {dataTransfer: data, bubbles: true, cancelable: true});
              document.getElementById("input").dispatchEvent(way === "paste" ? paste : drop);
            }""",
            way,
        )
        await expect(page.locator("#pictures li:not(.running)")).to_have_count(1)
        await page.press("#input", "Enter")  # a picture needs no words
        said = visitor.web.read((await visitor.stage.intake.until(1))[0].payload)
        assert isinstance(said, Message) and said.text == "" and said.attachments[0].name == "bird.png"


async def test_commands_complete_from_the_menu(chromium: Browser, tmp_path: Path) -> None:
    async with visit(chromium, tmp_path) as visitor:
        page = await visitor.open("/c/chat1")
        await expect(page.locator("#connection")).to_be_empty()
        await page.type("#input", "/")
        await expect(page.locator("#choices li b")).to_have_text(["/help", "/image", "/model", "/reset"])
        await page.type("#input", "mo")
        await page.press("#input", "Enter")
        assert await page.input_value("#input") == "/model "
        await page.type("#input", "qw")
        await expect(page.locator("#choices li b")).to_have_text(["qwen-plus", "qwen-max"])
        await page.press("#input", "ArrowDown")
        assert await page.get_attribute("#input", "aria-activedescendant") == "choice-0"
        await page.press("#input", "Enter")
        await page.press("#input", "Enter")
        said = visitor.web.read((await visitor.stage.intake.until(1))[0].payload)
        assert isinstance(said, Message) and said.text == "/model qwen-plus"
        assert isinstance(await visitor.say(page, "/help"), Message)  # a whole command needs no second Enter


async def test_new_chats_and_old_ones(chromium: Browser, tmp_path: Path) -> None:
    async with visit(chromium, tmp_path) as visitor:
        page = await visitor.open()
        first = await visitor.say(page, "the first chat")
        await page.press("#input", "Control+k")
        await expect(page.locator("#welcome")).to_be_visible()
        second = await visitor.say(page, "the second chat")
        assert first.address != second.address
        await page.click("#chats >> text=the first chat")
        await expect(page.locator(".person .body")).to_have_text("the first chat")
        await page.go_back()
        await expect(page.locator(".person .body")).to_have_text("the second chat")


async def test_a_chat_has_the_neutral_name_until_something_is_asked_in_it(chromium: Browser, tmp_path: Path) -> None:
    async with visit(chromium, tmp_path) as visitor:
        page = await visitor.open()
        for said, name in (("/help", "New chat"), ("/model qwen-plus", "New chat"), ("/image a red fox", "a red fox")):
            await visitor.say(page, said)
            await expect(page.locator(".person .body").last).to_have_text(said)
            await expect(page.locator(".person.pending")).to_have_count(0)
            await expect(page.locator("#title")).to_have_text(name)
            await expect(page.locator("#chats a[aria-current] span")).to_have_text(name)


# --- nothing is lost ---------------------------------------------------------------------------------------------------


async def test_what_is_said_while_the_server_is_away_arrives_once_when_it_is_back(
    chromium: Browser, tmp_path: Path
) -> None:
    stage = Stage(FileStore(tmp_path))
    async with visit(chromium, tmp_path, stage=stage) as visitor:
        page = await visitor.open("/c/chat1")
        await visitor.say(page, "before")
        await expect(page.locator(".pending")).to_have_count(0)
        stage.intake.broken = True
        await page.fill("#input", "kept safe")
        await page.press("#input", "Enter")
        await expect(page.locator(".excuse")).to_have_text("Not sent yet: waiting for the server.")
        await page.reload()
        await expect(page.locator(".person .body")).to_have_text(["before", "kept safe"])
        second = await visitor.open("/c/chat1")
        stage.intake.broken = False
        await stage.intake.until(2)
        for tab in (page, second):
            await expect(tab.locator(".excuse")).to_have_count(0)
            await expect(tab.locator(".person .body")).to_have_text(["before", "kept safe"])
        assert len(stage.intake.events) == 2 and len(stage.board.cards) == 2


async def test_the_page_comes_back_by_itself_after_a_restart(chromium: Browser, tmp_path: Path) -> None:
    stage = Stage(FileStore(tmp_path))
    context = await chromium.new_context(locale="en-US")
    async with stage.serve() as web:
        page = await context.new_page()
        await page.goto(f"{web.url}/c/chat1")
        visitor = Visit(stage, web, context)
        await visitor.show("half an ans", running=True)
        await expect(page.locator(".bot .body")).to_have_text("half an ans")
    await expect(page.locator("#connection")).to_have_text("Connection lost. Trying again …")
    await page.fill("#input", "are you there?")
    await page.press("#input", "Enter")
    await expect(page.locator(".excuse")).to_be_visible()
    async with stage.serve(port=web.port) as again:
        await again.edit(stage.address("chat1"), "1.0.0.0", again.layout("half an answer, and the rest")[0])
        await expect(page.locator(".bot .body")).to_have_text("half an answer, and the rest", timeout=15_000)
        await stage.intake.until(1)
        await expect(page.locator(".excuse")).to_have_count(0)
        await expect(page.locator(".person .body")).to_have_text("are you there?")
        await context.close()


async def test_a_refused_message_can_be_tried_again_or_discarded(chromium: Browser, tmp_path: Path) -> None:
    async with visit(chromium, tmp_path) as visitor:
        page = await visitor.open("/c/chat1")
        await page.evaluate("document.getElementById('input').value = 'x'.repeat(600_000)")
        await page.press("#input", "Enter")
        await expect(page.locator(".failed .excuse")).to_contain_text("Not sent: That message is too long.")
        await page.click("text=Discard")
        await expect(page.locator(".message")).to_have_count(0)
        assert await page.evaluate("Object.keys(localStorage).filter(k => k.includes('unsent')).length") == 0


# --- reading -----------------------------------------------------------------------------------------------------------


async def test_a_reader_is_left_where_they_are_and_followed_at_the_end(chromium: Browser, tmp_path: Path) -> None:
    async with visit(chromium, tmp_path) as visitor:
        page = await visitor.open("/c/chat1")
        long = "A line of text.\n\n" * 60
        await visitor.show(long, running=True)
        gap = "(() => { const s = document.getElementById('scroll'); return s.scrollHeight - s.scrollTop - s.clientHeight })()"
        await until(page, f"{gap} < 2 && document.querySelectorAll('.bot p').length === 60")
        await visitor.show(long * 2, running=True)
        await until(page, f"document.querySelectorAll('.bot p').length === 120 && {gap} < 2")
        await page.evaluate("document.getElementById('scroll').scrollTop = 200")
        await expect(page.locator("#latest")).to_be_visible()
        await visitor.show(long * 3, running=True)
        await until(page, "document.querySelectorAll('.bot p').length === 180")
        assert await page.evaluate("document.getElementById('scroll').scrollTop") == 200
        await page.press("#input", "PageUp")
        await until(page, "document.getElementById('scroll').scrollTop < 100")
        await page.click("#latest")
        await until(page, f"{gap} < 2")


async def test_a_picture_that_grows_before_its_scrolling_is_told_leaves_nobody_behind(
    chromium: Browser, tmp_path: Path
) -> None:
    async with visit(chromium, tmp_path) as visitor:
        page = await visitor.open("/c/chat1")
        await visitor.show("A line of text.\n\n" * 60)
        gap = "(() => { const s = document.getElementById('scroll'); return s.scrollHeight - s.scrollTop - s.clientHeight })()"
        await until(page, f"{gap} < 2 && document.querySelectorAll('.bot p').length === 60")
        await page.evaluate("""
            document.querySelector('.bot .body').style.minHeight = '9000px';
            document.getElementById('scroll').dispatchEvent(new Event('scroll'));
            document.querySelector('.bot .body').dispatchEvent(new Event('load'));
        """)
        await until(page, f"{gap} < 2")
        await expect(page.locator("#latest")).to_be_hidden()


async def test_what_has_been_written_is_not_touched_while_more_comes(chromium: Browser, tmp_path: Path) -> None:
    async with visit(chromium, tmp_path) as visitor:
        page = await visitor.open("/c/chat1")
        await visitor.show("first\n\nsecond\n\n```python\nlong = 'x'", running=True)
        await page.wait_for_selector(".bot .code")
        await page.evaluate("for (const e of document.querySelectorAll('.bot p, .bot pre')) e.kept = true")
        await visitor.show("first\n\nsecond\n\n```python\nlong = 'xyz'\n```\n\nthird", running=True)
        await page.wait_for_selector("text=third")
        kept = await page.evaluate("[...document.querySelectorAll('.bot p, .bot pre')].map(e => e.kept === true)")
        assert kept == [True, True, True, False]
        await expect(page.locator(".bar")).to_have_count(1)


async def test_code_and_answers_are_copied(chromium: Browser, tmp_path: Path) -> None:
    async with visit(chromium, tmp_path, permissions=["clipboard-read", "clipboard-write"]) as visitor:
        page = await visitor.open("/c/chat1")
        await visitor.show("An **answer**:\n\n```python\na = 1\nb = 2\n```\n\n")
        await page.click("[data-action=copy-code]")
        read = "navigator.clipboard.readText()"
        assert await page.evaluate(read) == "a = 1\nb = 2"
        await page.click(".bot [data-action=copy]")
        text = await page.evaluate(read)
        assert "An answer:" in text and "b = 2" in text and "python" not in text


async def test_a_long_chat_opens_at_its_end(chromium: Browser, tmp_path: Path) -> None:
    async with visit(chromium, tmp_path) as visitor:
        for n in range(300):
            await visitor.show(f"answer {n}\n\n```python\nx = {n}\n```", f"{n}.0.0.0")
        page = await visitor.open("/c/chat1")
        await expect(page.locator("[data-id='299.0.0.0']")).to_be_in_viewport()
        order = await page.evaluate("[...document.querySelectorAll('.message')].map(e => parseInt(e.dataset.id))")
        assert order == list(range(300))
