"""Thoughts in a real Chromium: they come unfolded, fold when the answer begins, and are left as the reader wants them."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.async_api import Browser, Page, expect

from tests.platforms.web_browser import visit

pytestmark = [pytest.mark.chromium, pytest.mark.asyncio(loop_scope="session")]

SAID = ".thoughts p"


async def unfolded(page: Page) -> bool:
    return bool(await page.evaluate("document.querySelector('.thoughts').open"))


async def test_thoughts_are_read_as_they_come_and_folded_once_the_answer_begins(
    chromium: Browser, tmp_path: Path
) -> None:
    async with visit(chromium, tmp_path) as visitor:
        page = await visitor.open("/c/chat1")
        await visitor.show("thinking …", thoughts="First, <b>the *sky*", thinking=True, running=True)
        await expect(page.locator(SAID)).to_have_text("First, <b>the *sky*")
        await expect(page.locator(SAID)).to_be_visible()
        await expect(page.locator(".thoughts summary")).to_have_text("Thoughts")
        await visitor.show("thinking …", thoughts="the sky is blue", thinking=True, running=True)
        await expect(page.locator(SAID)).to_have_text("the sky is blue")
        await visitor.show("It", thoughts="First, the sky is blue", running=True)
        await expect(page.locator(".body > p")).to_have_text("It")
        await expect(page.locator(SAID)).to_be_hidden()
        await page.click(".thoughts summary")
        await expect(page.locator(SAID)).to_have_text("First, the sky is blue")


async def test_who_folds_or_unfolds_them_is_not_overruled(chromium: Browser, tmp_path: Path) -> None:
    async with visit(chromium, tmp_path) as visitor:
        page = await visitor.open("/c/chat1")
        await visitor.show("thinking …", thoughts="one", thinking=True, running=True)
        await page.click(".thoughts summary")
        await visitor.show("thinking …", thoughts="one two", thinking=True, running=True)
        await expect(page.locator(SAID)).to_have_text("one two")
        assert not await unfolded(page)
        await visitor.show("It", thoughts="one two", running=True)
        await page.click(".thoughts summary")
        await visitor.show("It is so.", thoughts="one two")
        await expect(page.locator(".body > p")).to_have_text("It is so.")
        assert await unfolded(page)


async def test_long_thoughts_scroll_and_can_be_reached_by_keyboard(chromium: Browser, tmp_path: Path) -> None:
    async with visit(chromium, tmp_path) as visitor:
        page = await visitor.open("/c/chat1")
        await visitor.show("So.", thoughts="a long thought\n" * 1500)
        await page.focus(".thoughts summary")
        await page.keyboard.press("Enter")
        await expect(page.locator(SAID)).to_be_visible()
        await page.keyboard.press("Tab")
        assert await page.evaluate(f"document.activeElement === document.querySelector('{SAID}')")
        height = await page.evaluate(f"document.querySelector('{SAID}').clientHeight")
        assert height <= 400
        assert "[…]" in await page.inner_text(SAID)


async def test_thoughts_are_not_copied_nor_read_out_with_the_answer(chromium: Browser, tmp_path: Path) -> None:
    async with visit(chromium, tmp_path, permissions=["clipboard-read", "clipboard-write"]) as visitor:
        page = await visitor.open("/c/chat1")
        await visitor.show("thinking …", thoughts="hm", thinking=True, running=True)
        await expect(page.locator(SAID)).to_have_text("hm")
        await visitor.show("Yes.", thoughts="hm")
        await expect(page.locator("#announcer")).to_have_text("Magpie answered: Yes.")
        await page.click(".thoughts summary")
        await page.click(".bot [data-action=copy]")
        assert await page.evaluate("navigator.clipboard.readText()") == "Yes."


async def test_the_fold_speaks_the_readers_language(chromium: Browser, tmp_path: Path) -> None:
    async with visit(chromium, tmp_path, locale="zh-CN") as visitor:
        page = await visitor.open("/c/chat1")
        await visitor.show("好。", thoughts="嗯")
        await expect(page.locator(".thoughts summary")).to_have_text("思考过程")
        await page.click("#language")
        await expect(page.locator(".thoughts summary")).to_have_text("Thoughts")


async def test_who_reads_them_is_not_carried_off_by_the_answer(chromium: Browser, tmp_path: Path) -> None:
    async with visit(chromium, tmp_path) as visitor:
        page = await visitor.open("/c/chat1")
        text, thoughts = "a paragraph\n\n" * 15, "a long thought\n" * 60
        await visitor.show(text, thoughts=thoughts, running=True)
        await page.click(".thoughts summary")
        place = "document.querySelector('.thoughts').getBoundingClientRect().top"
        before = await page.evaluate(place)
        await visitor.show(f"{text}{text}the end", thoughts=thoughts)
        await expect(page.locator(".body > p").last).to_have_text("the end")
        assert await page.evaluate(place) == before
        await expect(page.locator("#latest")).to_be_visible()
