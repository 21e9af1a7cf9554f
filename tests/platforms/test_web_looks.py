"""The page in a real Chromium: languages, colours, phones, screen readers, the door."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser, expect

from bot.messages import Message
from bot.platforms.web import Banner
from tests.platforms.web_browser import SAMPLE, until, visit
from tests.platforms.web_stage import stream

pytestmark = [pytest.mark.chromium, pytest.mark.asyncio(loop_scope="session")]


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
