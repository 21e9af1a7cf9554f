"""Documents in the page: what the server takes and how it serves it, and a person who attaches some in a real Chromium."""

from __future__ import annotations

import asyncio
import os
from contextlib import AsyncExitStack
from io import BytesIO
from pathlib import Path

import pytest
from playwright.async_api import Browser, Page, expect

from bot.files import FileStore
from bot.messages import Attachment, Edited, Message
from bot.platforms.web import WebPlatform
from bot.simulator import Simulator
from tests.platforms.web_browser import Visit, visit
from tests.platforms.web_stage import CHAT, Client, Stage, client
from tests.product import magpie, repeat, with_glm

page_test = [pytest.mark.chromium, pytest.mark.asyncio(loop_scope="session")]
CSV = b"city,people\nParis,2100000\nLyon,520000\n"
BYTES = {"Content-Type": "application/octet-stream"}


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(FileStore(tmp_path))


# --- what is taken and served ------------------------------------------------------------------------------------------


async def upload(page: Client, data: bytes, name: str, mime: str = "") -> tuple[int, dict[str, str]]:
    status, answer = await page.call(
        "POST", f"{CHAT}/files", data=BytesIO(data), headers=BYTES, params={"name": name, "mime": mime}
    )
    assert isinstance(answer, dict)
    return status, answer


async def test_a_document_is_kept_then_said_then_fetched(stage: Stage) -> None:
    async with client(stage) as page:
        status, kept = await upload(page, CSV, "Städte 2026.csv", "text/csv; charset=utf-8")
        assert (status, kept["mime"]) == (200, "text/csv")
        assert await page.say("which is larger?", files=[{**kept, "title": "Städte 2026.csv", "size": len(CSV)}]) == 200
        said = page.web.read(next(iter(stage.intake.events.values())).payload)
        assert isinstance(said, Message)
        assert said.attachments == (Attachment("file", kept["name"], "Städte 2026.csv", "text/csv", len(CSV)),)
        assert await page.web.fetch(said.attachments[0], 1_000) == CSV
    assert next(iter(stage.board.cards.values())).files == (f"{kept['name']} text/csv Städte 2026.csv",)


@pytest.mark.parametrize(
    ("name", "mime"),
    [
        ("notes", "text/plain"),
        ("a.docx", ""),
        ("drawing.svg", "image/svg+xml"),
        ("page.html", "text/html"),
        ("n" * 251 + ".csv", ""),
    ],
)
async def test_what_can_be_read_is_taken(stage: Stage, name: str, mime: str) -> None:
    async with client(stage) as page:
        assert (await upload(page, CSV, name, mime))[0] == 200


@pytest.mark.parametrize(
    ("name", "mime"),
    [
        ("setup.exe", "application/x-msdownload"),
        ("film.mp4", "video/mp4"),
        ("old.doc", "application/msword"),
        ("", ""),
        ("x", "text/plain\nx: y"),
    ],
)
async def test_what_cannot_be_read_is_refused_with_a_sentence(stage: Stage, name: str, mime: str) -> None:
    async with client(stage) as page:
        status, answer = await upload(page, CSV, name, mime)
    assert (status, answer["error"]["zh"][:8]) == (415, "我读不了这种文件")  # type: ignore[index]  # both languages


async def test_neither_too_much_nor_nothing_is_taken(stage: Stage, tmp_path: Path) -> None:
    async with client(stage) as page:
        assert (await upload(page, b"", "a.csv"))[0] == 415
        assert (await upload(page, bytes(20_000_001), "a.csv"))[0] == 413
    assert await asyncio.to_thread(os.listdir, tmp_path) == []


async def test_a_form_of_another_site_cannot_send_any(stage: Stage) -> None:
    """Its content types need nobody's consent, so none of them is taken."""
    async with client(stage) as page:
        for kind in ("text/plain", "multipart/form-data", "application/x-www-form-urlencoded"):
            options = {"data": CSV, "headers": {"Content-Type": kind}, "params": {"name": "a.csv"}}
            assert (await page.call("POST", f"{CHAT}/files", **options))[0] == 415


async def test_without_a_reader_there_are_no_documents(stage: Stage) -> None:
    web = WebPlatform(host="127.0.0.1", port=0, board=stage.board, files=stage.files)
    async with asyncio.TaskGroup() as group:
        listening = group.create_task(web.listen(stage.intake))
        await web.started.wait()
        async with client(stage) as page:
            page.web = web
            options = {"data": CSV, "headers": {**BYTES, "Origin": web.url}, "params": {"name": "a.csv"}}
            assert (await page.call("POST", f"{CHAT}/files", **options))[0] == 415
        listening.cancel()


@pytest.mark.parametrize(
    ("name", "mime", "data"),
    [
        ("page.html", "text/html", b"<!doctype html><script>alert(1)</script>"),
        ("drawing.svg", "image/svg+xml", b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>"),
        (
            "sheet.xml",
            "text/xml",
            b"<?xml version='1.0'?><x:script xmlns:x='http://www.w3.org/1999/xhtml'>alert(1)</x:script>",
        ),
        ("script.js", "text/javascript", b"alert(1)"),
    ],
)
async def test_a_document_is_never_served_as_what_it_says_it_is(
    stage: Stage, name: str, mime: str, data: bytes
) -> None:
    async with client(stage) as page:
        _, kept = await upload(page, data, name, mime)
        async with page.session.get(f"{page.web.url}/files/{kept['name']}") as response:
            assert await response.read() == data
            assert response.headers["content-type"] == "application/octet-stream"
            assert response.headers["content-disposition"] == "attachment"
            assert response.headers["x-content-type-options"] == "nosniff"
            assert response.headers["content-security-policy"] == "default-src 'none'; sandbox"


async def test_a_name_is_one_line_on_the_board(stage: Stage) -> None:
    async with client(stage) as page:
        _, kept = await upload(page, CSV, "a.csv")
        file = {**kept, "mime": "text/csv\nfake.bin", "title": " two\nlines\u2028and  more.csv"}
        assert await page.say("", files=[file, {"name": "0" * 32 + ".png"}]) == 200
    [card] = stage.board.cards.values()
    assert card.files == (f"{kept['name']} application/octet-stream two lines and more.csv", "0" * 32 + ".png")


def test_what_waited_before_documents_came_is_read() -> None:
    payload = (
        '{"v": 1, "kind": "message", "chat": "c", "id": "message-0001", "at": 1.0, "text": "hi", "replies_to": "", '
        '"button": "", "edit": "", "language": "en", "files": '
        '[{"kind": "image", "ref": "00000000.png", "name": "a.png", "mime": "image/png", "size": 7, "seconds": 0.0}]}'
    )
    said = WebPlatform.read(object.__new__(WebPlatform), payload)
    assert isinstance(said, Message)
    assert said.attachments == (Attachment("image", "00000000.png", "a.png", "image/png", 7),)


# --- in the browser ----------------------------------------------------------------------------------------------------


async def attach(page: Page, name: str, mime: str, data: bytes = CSV) -> None:
    await page.set_input_files("#choose", {"name": name, "mimeType": mime, "buffer": data})


class TestAttaching:
    pytestmark = page_test

    @pytest.mark.parametrize("name", ["Ventes été.csv", "<img src=x onerror=alert(1)>.csv"])
    async def test_documents_are_chosen_seen_and_sent(self, chromium: Browser, tmp_path: Path, name: str) -> None:
        async with visit(chromium, tmp_path) as visitor:
            page = await visitor.open("/c/chat1")
            for each in ("wrong.csv", name):
                await attach(page, each, "text/csv")
            chips = page.locator("#pictures li:not(.running) .document")
            await expect(chips).to_have_text(["wrong.csv", name])
            await page.get_by_label("Remove: wrong.csv").click()
            said = await visitor.say(page, "which city is larger?")
            assert isinstance(said, Message)
            [file] = said.attachments
            assert (file.kind, file.name, file.mime, file.size) == ("file", name, "text/csv", len(CSV))
            await expect(page.locator("#pictures")).to_be_hidden()
            await _sent_chip(visitor, page, name)
            await page.reload()
            await _sent_chip(visitor, page, name)

    async def test_a_sent_one_can_be_saved_and_stays_in_an_edit(self, chromium: Browser, tmp_path: Path) -> None:
        async with visit(chromium, tmp_path) as visitor:
            page = await visitor.open("/c/chat1")
            await attach(page, "notes", "text/plain")  # only its type tells that it is a text
            await expect(page.locator("#pictures li:not(.running)")).to_have_count(1)
            first = await visitor.say(page, "what is it?")
            link = page.locator("#log li.message:not(.pending) .document")
            async with page.expect_download() as download:
                await link.click()
            saved = await download.value
            assert saved.suggested_filename == "notes"
            await saved.save_as(tmp_path / "saved")
            assert await asyncio.to_thread((tmp_path / "saved").read_bytes) == CSV
            await page.press("#input", "ArrowUp")
            edited = await visitor.say(page, "what else is it?")
            assert isinstance(first, Message) and isinstance(edited, Edited)
            [before], [after] = first.attachments, edited.message.attachments
            assert (after.kind, after.ref, after.name, after.mime) == ("file", before.ref, "notes", "text/plain")

    @pytest.mark.parametrize("way", ["paste", "drop"])
    async def test_documents_are_pasted_and_dropped(self, chromium: Browser, tmp_path: Path, way: str) -> None:
        async with visit(chromium, tmp_path) as visitor:
            page = await visitor.open("/c/chat1")
            await page.evaluate(
                """(way) => {
                  const data = new DataTransfer();
                  data.items.add(new File(["print(1)"], "main.rs", {type: ""}));
                  data.items.add(new File(["<svg/>"], "bird.svg", {type: "image/svg+xml"}));
                  const paste = new ClipboardEvent("paste", {clipboardData: data, bubbles: true, cancelable: true});
                  const drop = new DragEvent("drop", {dataTransfer: data, bubbles: true, cancelable: true});
                  document.getElementById("input").dispatchEvent(way === "paste" ? paste : drop);
                }""",
                way,
            )
            await expect(page.locator("#pictures li:not(.running) .document")).to_have_text(["main.rs", "bird.svg"])
            await page.press("#input", "Enter")  # a document needs no words
            said = visitor.web.read((await visitor.stage.intake.until(1))[0].payload)
            assert isinstance(said, Message)
            assert [(file.kind, file.name) for file in said.attachments] == [("file", "main.rs"), ("file", "bird.svg")]

    async def test_what_cannot_be_sent_is_told_at_once(self, chromium: Browser, tmp_path: Path) -> None:
        async with visit(chromium, tmp_path) as visitor:
            page = await visitor.open("/c/chat1")
            trouble = page.locator("#trouble")
            await attach(page, "setup.exe", "application/x-msdownload", bytes(3_000_000))
            await expect(trouble).to_contain_text("setup.exe: I do not read this kind of file. I read text, code, CSV")
            await expect(page.locator("#pictures li")).to_have_count(0)
            await attach(page, "empty.txt", "text/plain", b"")
            await expect(trouble).to_have_text("empty.txt: There is nothing to read in this file.")
            await page.evaluate(
                """() => {
                  const data = new DataTransfer();
                  data.items.add(new File([new Uint8Array(20_000_001)], "big.csv", {type: "text/csv"}));
                  const drop = new DragEvent("drop", {dataTransfer: data, bubbles: true, cancelable: true});
                  document.getElementById("input").dispatchEvent(drop);
                }"""
            )
            await expect(trouble).to_have_text("big.csv: A file may have at most 20 MB.")
            eleven = [{"name": f"{n}.csv", "mimeType": "text/csv", "buffer": CSV} for n in range(11)]
            await page.set_input_files("#choose", eleven)  # type: ignore[arg-type] # a TypedDict, which this is
            await expect(trouble).to_have_text("At most ten files.")
            await expect(page.locator("#pictures li:not(.running)")).to_have_count(10)

    async def test_in_chinese(self, chromium: Browser, tmp_path: Path) -> None:
        async with visit(chromium, tmp_path, locale="zh-CN") as visitor:
            page = await visitor.open("/c/chat1")
            await expect(page.locator("#attach")).to_have_attribute("aria-label", "添加文件")
            await attach(page, "安装.exe", "application/x-msdownload")
            await expect(page.locator("#trouble")).to_contain_text("安装.exe: 我读不了这种文件。")

    async def test_a_question_about_one_is_answered(self, chromium: Browser, tmp_path: Path) -> None:
        """The whole product, with a model that says back what it was told."""
        async with AsyncExitStack() as stack:
            models = await stack.enter_async_context(Simulator(script=repeat))
            house = await stack.enter_async_context(magpie(tmp_path, with_glm(models)))
            context = await chromium.new_context(locale="en-US", base_url=house.url)
            page = await context.new_page()
            try:
                await page.goto("/login")
                await page.fill("input[type=password]", "a-password-for-the-page")
                await page.keyboard.press("Enter")
                await page.wait_for_url(house.url + "/")
                await attach(page, "cities.csv", "text/csv")
                await expect(page.locator("#pictures li:not(.running)")).to_have_count(1)
                await page.fill("#input", "Which city is larger?")
                await page.press("#input", "Enter")
                await expect(page.locator("#log .person .document")).to_have_text("cities.csv")
                answer = page.locator("#log .bot:not(.running) .body")
                await expect(answer).to_contain_text("Which city is larger?", timeout=15_000)
                for told in ("You said:", "cities.csv", "Paris", "2100000"):
                    await expect(answer).to_contain_text(told)
            finally:
                await context.close()


async def _sent_chip(visitor: Visit, page: Page, name: str) -> None:
    chip = page.locator("#log .person:not(.pending) a.document")
    await expect(chip).to_have_text(name)
    [card] = visitor.stage.board.cards.values()
    assert await chip.get_attribute("href") == f"/files/{card.files[0].split()[0]}"
