"""A person at the page in a real Chromium; the browser itself is started by `conftest.py`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from playwright.async_api import Browser, BrowserContext, Page

from bot.files import FileStore
from bot.platforms.web import WebPlatform
from tests.platforms.web_stage import STOP_BUTTON, Stage

SAMPLE = (Path(__file__).parent / "web_sample.md").read_text()


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

        def failed(event: Any) -> None:
            if event.url.startswith("blob:") and event.failure == "net::ERR_FILE_NOT_FOUND":
                self.trouble.append(f"{event.url} was looked for when it had gone")

        self.page.on("console", console)
        self.page.on("pageerror", lambda error: self.trouble.append(str(error)))
        self.page.on("dialog", dialog)
        self.page.on("request", request)
        self.page.on("requestfailed", failed)


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

    async def show(
        self,
        markdown: str,
        nonce: str = "1.0.0.0",
        *,
        chat: str = "chat1",
        thoughts: str = "",
        thinking: bool = False,
        running: bool = False,
    ) -> None:
        piece = self.web.layout(markdown, thoughts, thinking)[0]
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
