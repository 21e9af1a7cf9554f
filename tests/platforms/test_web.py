"""The page over its API: what is said is committed before it is acknowledged, and every tab sees the same board."""

from __future__ import annotations

import io
import json
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import aiohttp
import pytest
from PIL import Image

from bot.errors import Gone, Rejected, SettingsError, TooLarge, Unreachable, Unreadable
from bot.files import FileStore
from bot.lanes import Lane
from bot.messages import Attachment, Author, Button, Edited, Media, Message, Piece, Pressed
from bot.platforms.web import WebPlatform
from tests.platforms.web_stage import CHAT, STOP_BUTTON, Stage, client


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(FileStore(tmp_path))


def png(width: int = 40, height: int = 30) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (width, height), "#17697a").save(out, "PNG")
    return out.getvalue()


# --- what is said ------------------------------------------------------------------------------------------------------


async def test_a_message_is_on_the_board_and_in_the_inbox_before_it_is_acknowledged(stage: Stage) -> None:
    async with client(stage) as page:
        assert await page.say("hello\r\n  you", language="zh", replies_to="1.0.0.0") == 200
        [event] = stage.intake.events.values()
        assert (event.platform, event.bot, event.event, event.message) == ("web", "web", "message-0001", "message-0001")
        assert (str(event.chat), event.author, event.joins, event.lane) == ("web:chat1", "1", "1", Lane.TURN)
        assert not event.edits and event.digest
        said = page.web.read(event.payload)
        assert isinstance(said, Message)
        assert said.author == Author("1", "Owner", owner=True)
        assert (said.id, said.text, said.language, said.replies_to) == (
            "message-0001",
            "hello\r\n  you",
            "zh",
            "1.0.0.0",
        )
        assert abs(said.at - time.time()) < 60
        [card] = stage.board.cards.values()
        assert (card.chat, card.id, card.role, card.body) == ("chat1", "message-0001", "person", "hello\r\n  you")


async def test_a_repeated_message_is_one_event_and_one_card(stage: Stage) -> None:
    async with client(stage) as page:
        for _ in range(3):
            assert await page.say("hello") == 200
    assert len(stage.intake.events) == len(stage.board.cards) == stage.board.version == 1


async def test_a_late_repeat_does_not_undo_an_edit(stage: Stage) -> None:
    async with client(stage) as page:
        await page.say("first")
        await page.call("PUT", f"{CHAT}/messages/message-0001", json={"id": "edit-00001", "text": "second"})
        await page.say("first")
    assert [card.body for card in stage.board.cards.values()] == ["second"]


async def test_an_edit_names_the_message_it_edits(stage: Stage) -> None:
    async with client(stage) as page:
        await page.say("first")
        path = f"{CHAT}/messages/message-0001"
        assert await page.call("PUT", path, json={"id": "edit-00001", "text": "second"}) == (
            200,
            {"id": "message-0001"},
        )
        first, event = stage.intake.events.values()
        assert (event.event, event.message, event.edits, event.joins) == ("edit-00001", "message-0001", True, "")
        assert event.digest != first.digest
        edited = page.web.read(event.payload)
        assert isinstance(edited, Edited) and (edited.message.id, edited.message.text) == ("message-0001", "second")
        status, _ = await page.call("PUT", f"{CHAT}/messages/message-0002", json={"id": "edit-00002", "text": "x"})
        assert status == 404


async def test_an_edit_that_changes_nothing_has_the_digest_of_the_message(stage: Stage) -> None:
    async with client(stage) as page:
        await page.say("same")
        await page.call("PUT", f"{CHAT}/messages/message-0001", json={"id": "edit-00001", "text": "same"})
    first, second = stage.intake.events.values()
    assert first.digest == second.digest


async def test_a_press_carries_the_button(stage: Stage) -> None:
    async with client(stage) as page:
        for button, lane in (("b7f3", Lane.TURN), ("stop.x", Lane.CONTROL)):
            stage.intake.events.clear()
            await page.call("POST", f"{CHAT}/press", json={"id": "press-0001", "button": button})
            [event] = stage.intake.events.values()
            assert (event.lane, event.message, event.joins) == (lane, "", "")
            assert page.web.read(event.payload) == Pressed(button, Author("1", "Owner", True), stage.address("chat1"))


async def test_commands_wait_alone_and_stop_and_reset_overtake(stage: Stage) -> None:
    async with client(stage) as page:
        await page.say("/image a fox", "message-0001")
        await page.say("/reset", "message-0002")
        await page.call("POST", f"{CHAT}/stop", json={"id": "stop-000001"})
    assert [(e.lane, e.joins) for e in stage.intake.events.values()] == [
        (Lane.TURN, ""),
        (Lane.CONTROL, ""),
        (Lane.CONTROL, ""),
    ]
    assert {card.body for card in stage.board.cards.values()} == {"/image a fox", "/reset"}


@pytest.mark.parametrize("part", ["board", "intake"])
async def test_while_the_store_is_in_trouble_the_browser_is_told_to_keep_its_message(stage: Stage, part: str) -> None:
    async with client(stage) as page:
        getattr(stage, part).broken = True
        status, answer = await page.call("POST", f"{CHAT}/messages", json={"id": "message-0001", "text": "hello"})
        assert status == 503 and set(answer["error"]) == {"en", "zh"}
        assert not stage.intake.events
        getattr(stage, part).broken = False
        assert await page.say("hello") == 200
    assert len(stage.intake.events) == len(stage.board.cards) == 1


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"nothing",
        b"[]",
        b"\xff",
        b"[" * 100_000,
        b'{"id": "message-0001"}',
        b'{"id": "message-0001", "text": "  "}',
        b'{"id": "message-0001", "text": 7}',
        b'{"id": "short", "text": "x"}',
        b'{"id": "1.0.0.0.0.0", "text": "x"}',
        b'{"id": "../../message", "text": "x"}',
        b'{"id": 12345678, "text": "x"}',
        b'{"id": "message-0001", "text": "x", "files": "x"}',
        b'{"id": "message-0001", "text": "x", "files": [7]}',
        b'{"id": "message-0001", "text": "x", "files": [{"name": "../secret.png"}]}',
        b'{"id": "message-0001", "text": "x", "replies_to": ["y"]}',
    ],
)
async def test_what_the_page_never_sends_is_refused(stage: Stage, body: bytes) -> None:
    async with client(stage) as page:
        headers = {"Content-Type": "application/json"}
        status, answer = await page.call("POST", f"{CHAT}/messages", data=body, headers=headers)
        assert status == 400 and answer["error"]["en"]
    assert not stage.intake.events and not stage.board.cards


async def test_chats_have_plain_names(stage: Stage) -> None:
    async with client(stage) as page:
        refused = {"a:b": 400, "a%2Fb": 404, "a%00": 400, "x" * 65: 400, "%F0%9F%90%A6": 400}
        for chat, expected in refused.items():
            status, _ = await page.call("POST", f"/api/chats/{chat}/messages", json={"id": "message-0001", "text": "x"})
            assert status == expected
    assert not stage.intake.events


async def test_a_long_paste_and_strange_characters_arrive(stage: Stage) -> None:
    async with client(stage) as page:
        text = "字" * 200_000
        headers = {"Content-Type": "application/json"}
        body = io.BytesIO(json.dumps({"id": "message-0001", "text": text}, ensure_ascii=False).encode())
        assert (await page.call("POST", f"{CHAT}/messages", data=body, headers=headers))[0] == 200
        odd_body = b'{"id": "message-0002", "text": "a\\ud800b\\u0000c \xe2\x80\xae \xf0\x9f\x90\xa6"}'
        assert (await page.call("POST", f"{CHAT}/messages", data=odd_body, headers=headers))[0] == 200
        long, odd = (page.web.read(event.payload) for event in stage.intake.events.values())
        assert isinstance(long, Message) and long.text == text
        assert isinstance(odd, Message) and odd.text == "a\ufffdb\ufffdc \u202e 🐦"


async def test_a_text_beyond_the_limit_is_refused_by_name(stage: Stage) -> None:
    async with client(stage) as page:
        data = io.BytesIO(b'{"id": "message-0001", "text": "' + b"x" * 600_000 + b'"}')
        headers = {"Content-Type": "application/json"}
        status, answer = await page.call("POST", f"{CHAT}/messages", data=data, headers=headers)
        assert (status, answer["error"]["en"]) == (413, "That message is too long.")


async def test_a_body_beyond_the_limit_is_refused_before_it_is_read(stage: Stage) -> None:
    async def endless() -> AsyncIterator[bytes]:
        for _ in range(100):
            yield b" " * 100_000

    async with client(stage) as page:
        headers = {"Content-Type": "application/json"}
        for data in (io.BytesIO(b" " * 3_000_000), endless()):
            try:
                status, _ = await page.call("POST", f"{CHAT}/messages", data=data, headers=headers)
                assert status == 413
            except aiohttp.ClientError:
                pass  # the connection is closed while we still send
        assert await page.say("still there") == 200


@pytest.mark.parametrize(
    "payload",
    [
        "",
        "nothing",
        "[]",
        "7",
        "{}",
        '{"v": 2}',
        '{"v": 1}',
        '{"v": 1, "files": 7}',
        '{"v": 1, "files": [], "surprise": 1}',
    ],
)
def test_a_payload_that_is_not_ours_is_unreadable(payload: str) -> None:
    with pytest.raises(Unreadable):
        WebPlatform.read(object.__new__(WebPlatform), payload)


# --- pictures ----------------------------------------------------------------------------------------------------------


async def test_a_picture_is_kept_then_said_then_fetched(stage: Stage) -> None:
    async with client(stage) as page:
        headers = {"Content-Type": "image/png"}
        status, kept = await page.call("POST", f"{CHAT}/files", data=png(), headers=headers)
        assert status == 200
        assert await page.say("what is this?", files=[{**kept, "title": "a.png", "size": 7}]) == 200
        said = page.web.read(next(iter(stage.intake.events.values())).payload)
        assert isinstance(said, Message)
        [attachment] = said.attachments
        assert (attachment.kind, attachment.ref, attachment.name, attachment.size) == (
            "image",
            kept["name"],
            "a.png",
            7,
        )
        assert await page.web.fetch(attachment, 1_000_000) == await stage.files.load(kept["name"])
        with pytest.raises(TooLarge):
            await page.web.fetch(attachment, 10)
        with pytest.raises(Rejected):
            await page.web.fetch(Attachment("image", "0" * 32 + ".png"), 10)
    assert next(iter(stage.board.cards.values())).files == (kept["name"],)


async def test_only_pictures_are_taken(stage: Stage) -> None:
    async with client(stage) as page:
        for data, kind, status in (
            (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "image/svg+xml", 415),
            (b"<html>", "image/png", 415),
            (png(), "text/plain", 415),
            (png(), "application/json", 415),
            (b"", "image/png", 415),
            (png(9000, 9000), "image/png", 413),
        ):
            answer = await page.call("POST", f"{CHAT}/files", data=data, headers={"Content-Type": kind})
            assert answer[0] == status and answer[1]["error"]["zh"], kind


async def test_a_kept_file_is_served_as_what_it_is_and_can_do_nothing(stage: Stage) -> None:
    async with client(stage) as page:
        name = await stage.files.keep(png(), "image/png")
        html = await stage.files.keep(b"<script>alert(1)</script>", "image/png")
        async with page.session.get(f"{page.web.url}/files/{name}") as response:
            assert response.headers["content-type"] == "image/png"
            assert response.headers["content-security-policy"] == "default-src 'none'; sandbox"
            assert response.headers["x-content-type-options"] == "nosniff"
            assert "immutable" in response.headers["cache-control"]
            assert await response.read() == png()
        async with page.session.get(f"{page.web.url}/files/{html}") as response:
            assert response.headers["content-type"] == "application/octet-stream"
            assert response.headers["content-disposition"] == "attachment"
        for strange in (
            "0" * 32 + ".png",
            "..%2F..%2Fetc%2Fpasswd",
            "%00",
            "x" * 300,
            "web_token",
            ".env",
            "CON",
            "a%5Cb",
        ):
            async with page.session.get(f"{page.web.url}/files/{strange}") as response:
                assert response.status == 404, strange


# --- what is shown -----------------------------------------------------------------------------------------------------


async def test_an_answer_is_one_card_however_often_it_is_sent_or_edited(stage: Stage) -> None:
    async with client(stage) as page:
        to = stage.address("chat1")
        running = Piece("<p>a</p>\n", buttons=STOP_BUTTON)
        assert await page.web.send(to, running, "1.0.0.0") == "1.0.0.0"
        assert await page.web.send(to, running, "1.0.0.0") == "1.0.0.0"
        card = stage.board.cards["chat1", "1.0.0.0"]
        assert (card.role, card.done, card.buttons) == ("bot", False, ((("Stop", "stop.abcdef"),),))
        final = Piece("<p>ab</p>\n", buttons=((Button("Again", "b1"),),))
        await page.web.edit(to, "1.0.0.0", final)
        version = stage.board.version
        await page.web.edit(to, "1.0.0.0", final)
        assert stage.board.version == version
        card = stage.board.cards["chat1", "1.0.0.0"]
        assert (card.body, card.done, card.buttons) == ("<p>ab</p>\n", True, ((("Again", "b1"),),))


async def test_an_answer_that_comes_later_quotes_what_it_replies_to(stage: Stage) -> None:
    async with client(stage) as page:
        await page.say("/later why are <foxes>\nred?" + " really" * 40)
        to = replace(stage.address("chat1"), reply_to="message-0001")
        await page.web.send(to, Piece("<p>a</p>\n"), "1.0.0.0")
        quoted, _, answer = stage.board.cards["chat1", "1.0.0.0"].body.partition("\n")
        assert "/later why are &lt;foxes&gt; red? really" in quoted and quoted.endswith("…</blockquote>")
        assert answer == "<p>a</p>\n"
        await page.web.edit(stage.address("chat1"), "1.0.0.0", Piece("<p>ab</p>\n"))
        assert stage.board.cards["chat1", "1.0.0.0"].body == f"{quoted}\n<p>ab</p>\n"
        for number, other in enumerate(("message-9999", "1.0.0.0"), 2):  # gone, or an answer: nothing to quote
            await page.web.send(replace(to, reply_to=other), Piece("<p>c</p>\n"), f"{number}.0.0.0")
            assert stage.board.cards["chat1", f"{number}.0.0.0"].body == "<p>c</p>\n"


async def test_a_removed_message_is_gone(stage: Stage) -> None:
    async with client(stage) as page:
        to = stage.address("chat1")
        await page.web.send(to, Piece("<p>a</p>"), "1.0.0.0")
        await page.web.remove(to, "1.0.0.0")
        await page.web.remove(to, "1.0.0.0")
        await page.web.remove(to, "2.0.0.0")
        for message in ("1.0.0.0", "2.0.0.0"):
            with pytest.raises(Gone):
                await page.web.edit(to, message, Piece("<p>b</p>"))


async def test_a_picture_stands_in_front_of_its_text(stage: Stage) -> None:
    async with client(stage) as page:
        media = Media("0" * 32 + ".png", "image/png", "a <fox>")
        await page.web.send(stage.address("chat1"), Piece("<p>there</p>", media=media), "1.0.0.0")
    card = stage.board.cards["chat1", "1.0.0.0"]
    assert 'alt="a &lt;fox&gt;"' in card.body and card.body.endswith("<p>there</p>")
    assert (card.media, card.mime) == (media.file, "image/png")


async def test_a_store_in_trouble_is_a_platform_that_cannot_be_reached(stage: Stage) -> None:
    async with client(stage) as page:
        stage.board.broken = True
        to = stage.address("chat1")
        for call in (
            page.web.send(to, Piece("x"), "1.0.0.0"),
            page.web.edit(to, "1", Piece("x")),
            page.web.remove(to, "1"),
        ):
            with pytest.raises(Unreachable):
                await call


async def test_the_list_of_chats_has_the_latest_first(stage: Stage) -> None:
    async with client(stage) as page:
        assert await page.call("GET", "/api/chats") == (200, [])
        await page.say("older")
        await page.call("POST", "/api/chats/chat2/messages", json={"id": "message-0002", "text": "newer"})
        _, chats = await page.call("GET", "/api/chats")
        assert [(chat["id"], chat["title"]) for chat in chats] == [("chat2", "newer"), ("chat1", "older")]


async def test_the_menu_is_offered_with_its_choices(stage: Stage) -> None:
    async with client(stage) as page:
        _, setup = await page.call("GET", "/api/setup")
        assert [entry["name"] for entry in setup["menu"]] == ["help", "image", "model", "reset"]
        assert setup["menu"][1]["argument"] == {"en": "what to draw", "zh": "画什么"}
        assert setup["login"] is False and setup["banner"] == {"simulated": False, "variables": []}
        assert await page.call("GET", "/api/menu/model?typed=qw") == (200, ["qwen-plus", "qwen-max"])
        assert await page.call("GET", "/api/menu/reset?typed=x") == (200, [])
        assert await page.call("GET", "/api/menu/nothing") == (200, [])


# --- the server --------------------------------------------------------------------------------------------------------


async def test_a_port_in_use_names_the_variable(stage: Stage) -> None:
    async with stage.serve() as web:
        again = WebPlatform(host="127.0.0.1", port=web.port, board=stage.board, files=stage.files)
        with pytest.raises(SettingsError, match="WEB_PORT"):
            await again.listen(stage.intake)


async def test_a_host_that_is_none_names_the_variable(stage: Stage) -> None:
    web = WebPlatform(host="203.0.113.7", port=0, board=stage.board, files=stage.files)
    with pytest.raises(SettingsError, match=r"WEB_HOST|WEB_PORT"):
        await web.listen(stage.intake)


async def test_it_ends_quickly_with_streams_open_and_the_port_is_free_again(stage: Stage) -> None:
    async with aiohttp.ClientSession() as session:
        async with stage.serve() as web:
            streams = [await session.get(f"{web.url}{CHAT}/events") for _ in range(5)]
            began = time.monotonic()
        assert time.monotonic() - began < 1
        for response in streams:
            assert b"restart" in await response.read()
        async with stage.serve(port=web.port) as again:
            assert again.url == web.url


async def test_its_files_are_small_and_asked_for_again_only_when_they_change(stage: Stage) -> None:
    total = 0
    async with client(stage) as page:
        for path in (
            "/",
            *(f"/page/{name}" for name in ("page.css", "page.js", "words.js", "log.js", "server.js", "composer.js")),
        ):
            async with page.session.get(page.web.url + path) as response:
                assert response.status == 200
                etag = response.headers["etag"]
                total += int(response.headers["content-length"])
            async with page.session.get(page.web.url + path, headers={"If-None-Match": etag}) as response:
                assert (response.status, await response.read()) == (304, b"")
    assert total < 30_000  # bytes on the wire


async def test_no_file_names_another_host() -> None:
    folder = Path(__file__).parents[2] / "bot/platforms/page"
    for path in folder.iterdir():
        text = path.read_text().replace("http://www.w3.org/", "")
        assert "http://" not in text and "https://" not in text and "style=" not in text and "onclick" not in text, path
