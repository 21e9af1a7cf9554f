"""The page in a real Chromium: what people see, and what they cannot be made to see."""

from __future__ import annotations

import asyncio
import io
import os
import shutil
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from PIL import Image
from playwright.async_api import Browser, BrowserContext, Page, async_playwright, expect

from bot.files import FileStore
from bot.messages import Button, Edited, Media, Message, Piece, Pressed
from bot.platforms.web import Banner, WebPlatform
from tests.platforms.web_stage import STOP_BUTTON, Stage, stream

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
ARGUMENTS = [
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
]
REQUIRED = os.environ.get("REQUIRE_CHROMIUM") == "1"

pytestmark = [
    pytest.mark.chromium,
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.skipif(
        CHROMIUM is None and not REQUIRED, reason="the page's tests were not run: no Chromium was found"
    ),
]

SAMPLE = (Path(__file__).parent / "web_sample.md").read_text()


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def chromium() -> AsyncIterator[Browser]:
    assert CHROMIUM, "REQUIRE_CHROMIUM is set, and no Chromium was found"
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        await browser.close()


@dataclass
class Tab:
    """A tab with everything that should never happen in it."""

    page: Page
    trouble: list[str] = field(default_factory=list)

    def watch(self, web: WebPlatform) -> None:
        def console(message: Any) -> None:
            refused = message.text.startswith(
                "Failed to load resource"
            )  # by the server, on purpose; the policy says it else
            if message.type in ("error", "warning") and not refused:
                self.trouble.append(message.text)

        async def dialog(event: Any) -> None:
            self.trouble.append(f"dialog {event.message}")
            await event.dismiss()

        def request(event: Any) -> None:
            if not event.url.startswith((web.url, "blob:")):
                self.trouble.append(f"request to {event.url}")

        self.page.on("console", console)
        self.page.on("pageerror", lambda error: self.trouble.append(str(error)))
        self.page.on("dialog", dialog)
        self.page.on("request", request)


@dataclass
class Visit:
    """A person at the page: one browser profile, any number of tabs."""

    stage: Stage
    web: WebPlatform
    context: BrowserContext
    tabs: list[Tab] = field(default_factory=list)

    async def open(self, path: str = "/") -> Page:
        page = await self.context.new_page()
        tab = Tab(page)
        tab.watch(self.web)
        self.tabs.append(tab)
        await page.goto(self.web.url + path)
        return page

    async def say(self, page: Page, text: str) -> Any:
        """What the engine would read of it."""
        count = len(self.stage.intake.events)
        await page.fill("#input", text)
        await page.press("#input", "Enter")
        return self.web.read((await self.stage.intake.until(count + 1))[-1].payload)

    async def show(self, markdown: str, nonce: str = "1.0.0.0", *, chat: str = "chat1", running: bool = False) -> None:
        piece = self.web.layout(markdown)[0]
        await self.web.send(self.stage.address(chat), replace(piece, buttons=STOP_BUTTON) if running else piece, nonce)


@asynccontextmanager
async def visit(
    chromium: Browser,
    directory: Path,
    *,
    stage: Stage | None = None,
    server: dict[str, Any] | None = None,
    **profile: Any,
) -> AsyncIterator[Visit]:
    stage = stage or Stage(FileStore(directory))
    profile = {"viewport": {"width": 1100, "height": 800}, "locale": "en-US", **profile}
    async with AsyncExitStack() as stack:
        web = await stack.enter_async_context(stage.serve(**(server or {})))
        context = await chromium.new_context(**profile)
        context.set_default_timeout(8000)
        stack.push_async_callback(context.close)
        visitor = Visit(stage, web, context)
        yield visitor
        assert [trouble for tab in visitor.tabs for trouble in tab.trouble] == []


async def until(page: Page, condition: str) -> None:
    """playwright's own `wait_for_function` evaluates in the page, where the policy forbids it."""
    async with asyncio.timeout(8):
        while not await page.evaluate(condition):  # noqa: ASYNC110 # a browser signals no such thing
            await asyncio.sleep(0.02)


# --- talking -----------------------------------------------------------------------------------------------------------


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
        await expect(page.locator(".failed .excuse")).to_contain_text("Not sent:")
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
        await page.click("#latest")
        await until(page, f"{gap} < 2")


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


async def test_a_screen_reader_hears_whole_answers_and_everything_has_a_name(chromium: Browser, tmp_path: Path) -> None:
    async with visit(chromium, tmp_path) as visitor:
        page = await visitor.open("/c/chat1")
        await page.evaluate(
            "window.heard = []; new MutationObserver(() => heard.push(announcer.textContent))"
            ".observe(announcer, {childList: true, characterData: true, subtree: true})"
        )
        await expect(page.locator("#connection")).to_be_empty()
        await page.wait_for_selector("#welcome:not([hidden])")
        await stream(visitor.web, visitor.stage.address("chat1"), "1.0.0.0", "word " * 40, step=25, wait=0.03)
        await until(page, "heard.some(text => text)")
        heard = await page.evaluate("heard.filter(text => text)")
        assert heard == ["Magpie answered: " + ("word " * 40).strip()]
        await visitor.say(page, "mine")
        await page.wait_for_selector(".person:not(.pending)")
        unnamed = await page.evaluate(
            "[...document.querySelectorAll('button, textarea, a, nav, img')].filter(e => e.checkVisibility() && "
            "!e.getAttribute('aria-label') && !e.textContent.trim() && !e.hasAttribute('alt')).map(e => e.outerHTML)"
        )
        assert unnamed == []
        assert await page.locator("main, nav, h1").count() == 3
        assert await page.locator("#log h2").all_inner_texts() == ["Magpie", "You"]


# --- looks -------------------------------------------------------------------------------------------------------------


async def test_chinese_browsers_get_chinese_and_anyone_can_switch(chromium: Browser, tmp_path: Path) -> None:
    banner = Banner(simulated=True, variables=("ZHIPUAI_API_KEY", "DASHSCOPE_API_KEY"))
    async with visit(chromium, tmp_path, server={"banner": banner}, locale="zh-CN") as visitor:
        page = await visitor.open()
        await expect(page.locator("#new-chat span")).to_have_text("新对话")
        await expect(page.locator("#banner")).to_contain_text("内置模拟器")
        await expect(page.locator("#banner")).to_contain_text("ZHIPUAI_API_KEY")
        said = await visitor.say(page, "你好")
        assert isinstance(said, Message) and said.language == "zh"
        await page.click("#language")
        await expect(page.locator("html")).to_have_attribute("lang", "en")
        await page.reload()
        await expect(page.locator("#new-chat span")).to_have_text("New chat")
        await expect(page.locator("#banner")).to_contain_text("built-in simulator")


async def test_light_and_dark_follow_the_system_until_chosen(chromium: Browser, tmp_path: Path) -> None:
    async with visit(chromium, tmp_path, color_scheme="dark") as visitor:
        page = await visitor.open()
        ground = "getComputedStyle(document.body).backgroundColor"
        assert await page.evaluate(ground) == "rgb(21, 25, 29)"
        await page.click("#theme")
        await until(page, f"{ground} === 'rgb(252, 252, 251)'")
        await page.reload()
        await until(page, f"{ground} === 'rgb(252, 252, 251)'")


CONTRAST = """() => {
  const light = (rgb) => rgb.map((c) => (c /= 255) <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
    .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
  const rgb = (text) => text.match(/[\\d.]+/g).slice(0, 3).map(Number);
  const ground = (e) => { for (; e; e = e.parentElement) {
    const c = getComputedStyle(e).backgroundColor; if (!/, 0\\)$|transparent/.test(c)) return rgb(c); } };
  const poor = [];
  for (const e of document.querySelectorAll('body *')) {
    const own = [...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim());
    if (!own || !e.checkVisibility() || e.closest('.unseen, .skip, noscript, :disabled')) continue;
    const [a, b] = [light(rgb(getComputedStyle(e).color)), light(ground(e))].sort((x, y) => y - x);
    if ((a + 0.05) / (b + 0.05) < 4.5) poor.push(e.outerHTML.slice(0, 90));
  }
  return poor;
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_all_text_stands_out_from_its_ground(chromium: Browser, tmp_path: Path, scheme: str) -> None:
    server = {"banner": Banner(simulated=True, variables=("A_KEY",))}
    async with visit(chromium, tmp_path, server=server, color_scheme=scheme) as visitor:
        page = await visitor.open("/c/chat1")
        await visitor.say(page, "a question")
        await visitor.show(SAMPLE)
        await page.wait_for_selector(".bot .code .k")
        await page.wait_for_selector(".pending", state="detached")
        assert await page.evaluate(CONTRAST) == []


async def test_a_phone_gets_large_targets_and_no_sideways_scrolling(chromium: Browser, tmp_path: Path) -> None:
    phone: Any = {"viewport": {"width": 360, "height": 700}, "is_mobile": True, "has_touch": True}
    async with visit(chromium, tmp_path, **phone) as visitor:
        page = await visitor.open("/c/chat1")
        await visitor.show(SAMPLE + "\n" + "W" * 300 + "\n\n`" + "c" * 200 + "`")
        await page.wait_for_selector(".bot .table")
        await page.tap("#input")
        await page.fill("#input", "a question " + "x" * 200)
        await page.press("#input", "Enter")  # on a touch keyboard: a new line
        assert not visitor.stage.intake.events
        await page.tap("#send")
        await visitor.stage.intake.until(1)
        assert await page.evaluate("document.documentElement.scrollWidth") == 360
        assert await page.evaluate("document.getElementById('scroll').scrollWidth") <= 360
        assert await page.evaluate(
            "document.querySelector('.table').scrollWidth > document.querySelector('.table').clientWidth"
        )
        small = """[...document.querySelectorAll('button, #chats a')].filter((e) => e.checkVisibility())
          .map((e) => [e.outerHTML.slice(0, 80), e.getBoundingClientRect()])
          .filter(([, box]) => box.width < 44 || box.height < 44).map(([name]) => name)"""
        assert await page.evaluate(small) == []
        await page.tap("#open-menu")
        await expect(page.locator("#chats a")).to_be_in_viewport()
        assert await page.evaluate(small) == []
        await page.keyboard.press("Escape")
        await expect(page.locator("#chats a")).not_to_be_in_viewport()
        assert await page.evaluate("document.getElementById('side').inert") is True


# --- the door ----------------------------------------------------------------------------------------------------------


async def test_the_one_time_link_and_the_token_let_people_in(chromium: Browser, tmp_path: Path) -> None:
    async with visit(chromium, tmp_path, server={"token": "the token"}) as visitor:
        page = await visitor.open(visitor.web.one_time_link().removeprefix(visitor.web.url))
        await expect(page.locator("#welcome")).to_be_visible()
        await page.click("#logout")
        await expect(page.locator("#login h1")).to_have_text("Log in")
        await page.fill("#token", "wrong")
        await page.press("#token", "Enter")
        await expect(page.locator("#trouble")).to_have_text("That is not the token.")
        await page.fill("#token", "the token")
        await page.press("#token", "Enter")
        await expect(page.locator("#welcome")).to_be_visible()
        assert await page.evaluate("document.cookie") == ""


# --- what others write is never more than text -------------------------------------------------------------------------

SCRIPTS = [
    "<script>alert(1)</script>",
    "<ScRiPt src=//evil.example/x.js></sCrIpT>",
    "</textarea><script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    '"><img src=x onerror=alert(1)>',
    "' onmouseover='alert(1)",
    '" autofocus onfocus="alert(1)',
    "<svg onload=alert(1)>",
    "<svg><animate onbegin=alert(1) attributeName=x dur=1s>",
    "<svg><script>alert&#40;1&#41;</script></svg>",
    "<math><mtext><table><mglyph><style><img src=x onerror=alert(1)>",
    "<iframe src=javascript:alert(1)>",
    '<iframe srcdoc="<script>alert(1)</script>">',
    "<body onload=alert(1)>",
    "<details open ontoggle=alert(1)>",
    "<video><source onerror=alert(1)>",
    "<audio src=x onerror=alert(1)>",
    "<input autofocus onfocus=alert(1)>",
    "<object data=javascript:alert(1)>",
    "<embed src=javascript:alert(1)>",
    "<base href=//evil.example/>",
    "<meta http-equiv=refresh content='0;url=javascript:alert(1)'>",
    "<link rel=stylesheet href=//evil.example/x.css>",
    "<style>@import '//evil.example/x.css';</style>",
    '<div style="background:url(//evil.example/x)">',
    "<form action=javascript:alert(1)><button>x</button></form>",
    "<a href=javascript:alert(1)>x</a>",
    "[x](javascript:alert(1))",
    "[x](JaVaScRiPt&colon;alert(1))",
    "[x](data:text/html;base64,PHNjcmlwdD5hbGVydCgxKTwvc2NyaXB0Pg==)",
    "![x](javascript:alert(1))",
    "![x](https://evil.example/canary.png)",
    '![x](https://evil.example/a.png"onerror="alert(1))',
    '[x](https://x.org"onmouseover="alert(1))',
    '<https://x.org/"onclick=alert(1)>',
    "```html\n<script>alert(1)</script>\n```",
    '```"><script>alert(1)</script>\nx\n```',
    "`<img src=x onerror=alert(1)>`",
    "|<img src=x onerror=alert(1)>|\n|-|\n|<svg onload=alert(1)>|",
    "# <script>alert(1)</script>",
    "&lt;script&gt;alert(1)&lt;/script&gt;",
    "&#60;img src=x onerror=alert(1)&#62;",
    "<!--><script>alert(1)</script-->",
    "<![CDATA[<script>alert(1)</script>]]>",
    "\u2028<script>alert(1)</script>\u2029",
    "{{constructor.constructor('alert(1)')()}}",
    "javascript:alert(1)",
    "<noscript><p title='</noscript><img src=x onerror=alert(1)>'>",
    "<template><img src=x onerror=alert(1)></template>",
    "<x/onpointerover=alert(1)>hover",
]


async def test_scripts_in_any_field_are_text(chromium: Browser, tmp_path: Path) -> None:
    """Everything that others can write, all at once: messages, titles in the list, answers, captions, buttons."""
    async with visit(
        chromium, tmp_path, server={"banner": Banner(simulated=True, variables=tuple(SCRIPTS))}
    ) as visitor:
        picture = await visitor.stage.files.keep(await asyncio.to_thread(one_pixel), "image/png")
        page = await visitor.open("/c/chat0")
        for n, script in enumerate(SCRIPTS):
            body = {"id": f"message-{n:04}", "text": script}
            send = "([n, body]) => fetch(`/api/chats/chat${n}/messages`, {method: 'POST', headers: {'Content-Type': "
            await page.evaluate(
                send + "'application/json'}, body: JSON.stringify(body)}).then((r) => r.status)", [n, body]
            )
            await page.evaluate(
                send + "'application/json'}, body: JSON.stringify(body)}).then((r) => r.status)", [0, body]
            )
            piece = visitor.web.layout(script)[0]
            media = Media(picture, "image/png", script)
            await visitor.web.send(
                visitor.stage.address("chat0"), Piece(piece.body, "", media, ((Button(script, script),),)), f"{n}.0.0.0"
            )
        await expect(page.locator(".bot")).to_have_count(len(SCRIPTS))
        await page.reload()
        await expect(page.locator(".bot")).to_have_count(len(SCRIPTS))
        await expect(page.locator("#chats a")).to_have_count(len(SCRIPTS))
        assert await page.locator(".person .body").all_text_contents() == SCRIPTS
        assert await page.locator(".bot .buttons button").all_text_contents() == SCRIPTS
        alts = await page.eval_on_selector_all(".bot figure img", "all => all.map((image) => image.alt)")
        assert alts == SCRIPTS
        strange = ".body :is(script, iframe, object, embed, svg, style, form, input, base, meta, link, video, audio):not(.icon)"
        assert await page.locator(strange).count() == 0
        assert (
            await page.evaluate(
                "[...document.querySelectorAll('*')].some(e => [...e.attributes].some(a => /^on/.test(a.name)))"
            )
            is False
        )
        for link in await page.locator(".body a[href]").all():
            assert str(await link.get_attribute("href")).startswith(("http", "mailto:", "/files/"))


def one_pixel() -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (16, 16)).save(out, "PNG")
    return out.getvalue()


async def test_the_policy_itself_stops_what_would_slip_through(chromium: Browser, tmp_path: Path) -> None:
    """The second wall: even HTML that came in unescaped could run nothing and load nothing from elsewhere."""
    async with visit(chromium, tmp_path) as visitor:
        page = await visitor.open("/c/chat1")
        evil = "<img src=x onerror='window.hit=1'><img src='https://evil.example/x.png'><p style='color:red'>x</p>"
        await visitor.web.send(visitor.stage.address("chat1"), Piece(evil), "1.0.0.0")
        await expect(page.locator(".bot .body p")).to_have_text("x")
        await asyncio.sleep(0.2)
        assert await page.evaluate("window.hit") is None
        blocked = visitor.tabs[0].trouble
        assert any("inline event handler" in text for text in blocked) and any(
            "evil.example" in text for text in blocked
        )
        blocked.clear()
