"""Telegram by webhook: what comes is judged and kept as when polled, and only then taken; nobody else is let in."""

from __future__ import annotations

import asyncio
import logging
import re
import socket
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import pytest

from bot.errors import Revoked, SettingsError
from bot.messages import Event
from bot.platforms.telegram_webhook import BODY, secret_of
from tests.platforms.telegram_house import Clerk, House, Inbox, Notes, Office, listens, taking, until
from tests.process import Magpie, free_port
from tests.product import Person
from tests.servers.telegram import TelegramServer
from tests.servers.telegram_client import Bot

SECRET = "X-Telegram-Bot-Api-Secret-Token"


@pytest.fixture
async def server() -> AsyncIterator[TelegramServer]:
    """Delivers to http, as a Bot API server of one's own."""
    async with TelegramServer(local=True) as server:
        yield server


async def post(house: House, body: bytes | Any, path: str = "", secret: str | None = None, **more: Any) -> int:
    """What a delivery gets, from Telegram or from somebody else; nobody is told anything but the status."""
    headers = {SECRET: secret_of(house.server.token) if secret is None else secret}
    method = more.pop("method", "POST")
    url = f"{house.hook}{path}"
    asked = aiohttp.request(method, url, data=body, headers=headers, **more)
    async with asked as response:
        assert await response.read() == b""
        assert "server" not in response.headers
        return response.status


# --- what comes ------------------------------------------------------------------------------------------------------


async def test_the_webhook_is_set_and_nothing_is_polled(server: TelegramServer) -> None:
    async with taking(server) as house:
        await server.wait_for(lambda: len(server.calls("setMyCommands")) == 2)
        said = server.say(server.private(server.user("Ann")), server.user("Ann"), "hello")
        await house.inbox.wait()
        assert (await house.message()).id == str(said.id)
        await house.confirmed()
    (call,) = server.calls("setWebhook")
    assert call.params["url"] == house.hook
    assert call.params["allowed_updates"] == ["message", "edited_message", "callback_query", "my_chat_member"]
    assert call.params["drop_pending_updates"] is False
    assert call.params["max_connections"] == 40
    assert re.fullmatch("[0-9a-f]{64}", call.params["secret_token"])
    assert not server.calls("getUpdates")


async def test_what_waited_while_polling_comes_by_the_webhook(server: TelegramServer) -> None:
    ann = server.user("Ann")
    for number in range(50):
        server.say(server.private(ann), ann, f"number {number}")
    async with taking(server) as house:
        events = await house.inbox.wait(50)
        assert [int(event.message) for event in events] == sorted(int(event.message) for event in events)
        await house.confirmed()


async def test_presses_are_answered_and_strangers_get_their_line(server: TelegramServer) -> None:
    async with taking(server, allowed="telegram:77") as house:
        friend, stranger = server.user("Friend", id=77), server.user("Stranger")
        chat = server.private(friend)
        server.say(chat, friend, "hello")
        address = (await house.message()).address
        keyboard = '{"inline_keyboard": [[{"text": "Go", "callback_data": "go"}]]}'
        sent = await house.platform._api.call(
            "sendMessage", {"chat_id": int(address.chat.chat), "text": "?", "reply_markup": keyboard}
        )
        server.press(chat.messages[sent["message_id"]], "Go", friend)
        await server.wait_for(lambda: server.calls("answerCallbackQuery"))
        for _ in range(2):
            server.say(server.private(stranger), stranger, "let me in")
        await server.wait_for(lambda: "telegram:" in server.messages(server.private(stranger))[-1].text)
        await house.confirmed()
        assert len(house.inbox.events) == 2
        assert len([message for message in server.messages(server.private(stranger)) if message.from_bot]) == 1


async def test_it_is_taken_only_when_it_is_kept(server: TelegramServer) -> None:
    go = asyncio.Event()

    class Slow(Inbox):
        async def accept(self, events: Sequence[Event]) -> None:
            await go.wait()
            await super().accept(events)

    async with taking(server, listening=False) as house:
        inbox = Slow()
        listening = asyncio.create_task(house.platform.listen(inbox))
        await server.wait_for(lambda: server.calls("setWebhook"))
        server.say(server.private(server.user()), server.user(), "hello")
        await asyncio.sleep(0.5)
        assert len(server.pending) == 1
        go.set()
        await inbox.wait()
        await house.confirmed()
        listening.cancel()


async def test_a_store_in_trouble_lets_telegram_keep_it(
    server: TelegramServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    async with taking(server, broken=2) as house:
        ann = server.user("Ann")
        server.say(server.private(ann), ann, "hello")
        await until(lambda: house.inbox.refused)
        assert len(server.pending) == 1
        await house.inbox.wait()
        await house.confirmed()
        assert house.inbox.refused == 2
    complaints = [record.levelname for record in caplog.records if "wait for the storage" in record.message]
    assert complaints == ["WARNING", "INFO"]


async def test_what_is_delivered_twice_has_one_key(server: TelegramServer) -> None:
    async with taking(server) as house:
        ann = server.user("Ann")
        server.say(server.private(ann), ann, "once")
        await house.confirmed()
        assert server.replay() == 1
        await house.confirmed()
        assert len(house.inbox.events) == 1


async def test_an_album_that_is_meant_for_the_bot_comes_whole_over_several_processes(server: TelegramServer) -> None:
    office, notes = Office(), Notes()
    envelope = {"date": 1_700_000_000, "chat": {"id": -5, "type": "group", "title": "Friends"}}
    sender = {"id": 7, "is_bot": False, "first_name": "A"}
    photo = [{"file_id": "a", "file_unique_id": "b", "width": 1, "height": 1, "file_size": 3}]

    def picture(number: int, **more: Any) -> dict[str, Any]:
        message = {"message_id": number, "media_group_id": "99", "photo": photo, "from": sender, **envelope, **more}
        return {"update_id": number, "message": message}

    mention = {"type": "mention", "offset": 0, "length": 16}
    async with (
        taking(server, duties=Clerk(office), notes=notes) as one,
        taking(server, duties=Clerk(office), notes=notes) as other,
    ):
        named = picture(1, caption="@magpie_test_bot what is this?", caption_entities=[mention])
        assert await post(one, b"", secret="x") == 403
        async with aiohttp.ClientSession(headers={SECRET: secret_of(server.token)}) as session:
            for url, update in ((one.hook, named), (other.hook, picture(2)), (one.hook, picture(3))):
                async with session.post(url, json=update) as response:
                    assert response.status == 200
        assert [event.message for event in one.inbox.events] == ["1", "3"]
        assert [event.message for event in other.inbox.events] == ["2"]


# --- who is let in ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("secret", ["", "wrong", "ü", secret_of("1:another-token"), secret_of("1:a").upper()])
async def test_without_telegrams_secret_nothing_happens(
    server: TelegramServer, secret: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with taking(server) as house:
        update = {"update_id": 1, "message": {"message_id": 1, "date": 1, "chat": {"id": 7, "type": "private"}}}
        async with aiohttp.ClientSession() as session:
            async with session.post(house.hook, json=update, headers={SECRET: secret}) as response:
                assert (response.status, await response.read()) == (403, b"")
            async with session.post(house.hook, json=update) as response:
                assert (response.status, await response.read()) == (403, b"")
        twice = f"POST /telegram/hook HTTP/1.1\r\nHost: x\r\n{SECRET}: {secret_of(server.token)}\r\n{SECRET}: x\r\n\r\n"
        assert b" 403 " in await raw(house, twice.encode())
        assert not house.inbox.events
    assert "passed over" not in caplog.text


async def test_nothing_else_is_served_there(server: TelegramServer) -> None:
    async with taking(server) as house:
        assert await post(house, b"{}", path="/") == 404
        assert await post(house, b"{}", path="2") == 404
        for path, status in (("/../", 404), ("/%2e%2e/healthz", 404), ("?x=1", 403)):
            assert await post(house, b"{}", path=path, secret="x") == status
        for method in ("GET", "HEAD", "PUT", "DELETE", "OPTIONS"):
            assert await post(house, None, method=method) == 405
        root = urlsplit(house.hook)
        async with aiohttp.ClientSession(f"http://{root.netloc}") as session:
            for path in ("/", "/healthz", "/login", "/api/chats"):
                async with session.get(path) as response:
                    assert response.status == 404
        assert not house.inbox.events


async def test_a_huge_body_is_refused_without_being_read(server: TelegramServer) -> None:
    async with taking(server) as house:
        head = f"POST /telegram/hook HTTP/1.1\r\nHost: x\r\n{SECRET}: {secret_of(server.token)}\r\n"
        announced = f"{head}Content-Length: 5000000000\r\n\r\n"
        assert b" 413 " in await raw(house, announced.encode())  # of which not a byte was sent
        chunked = f"{head}Transfer-Encoding: chunked\r\n\r\n".encode()
        chunk = b"10000\r\n" + b" " * 0x10000 + b"\r\n"
        assert b" 413 " in await raw(house, chunked + chunk * (BODY // 0x10000 + 1))
        assert await post(house, b" " * (BODY - 20) + b'{"update_id": 1}') == 200
        assert not house.inbox.events


@pytest.mark.parametrize(
    "body", [b"", b"{", b'{"update_id": 1', b"\xff\xfe", b"update_id=1"], ids=lambda value: repr(value)[:40]
)
async def test_what_came_damaged_is_asked_for_again(
    server: TelegramServer, body: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    async with taking(server) as house:
        assert await post(house, body) == 400
        assert not house.inbox.events
    assert "passed over" not in caplog.text


@pytest.mark.parametrize(
    "body",
    [
        b"[]",
        b"null",
        b"7",
        b'"text"',
        b"{}",
        b'{"update_id": "1", "message": {}}',
        b'{"update_id": true}',
        b'{"update_id": 1, "message": "none"}',
        b'{"update_id": 1, "message": {"chat": {"type": "private"}}}',
        b'{"update_id": 1, "callback_query": {"id": 1, "message": {}, "data": "x"}}',
        b'{"update_id": 1' + b"0" * 5000 + b"}",
        b"[" * 100_000 + b"]" * 100_000,
        b'{"update_id": 1, "message": ' * 30_000,
    ],
    ids=lambda value: repr(value)[:40],
)
async def test_what_can_never_be_read_is_passed_over_and_not_sent_again(
    server: TelegramServer, body: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    async with taking(server) as house:
        assert await post(house, body) == 200
        assert not house.inbox.events
    assert "passed over" in caplog.text


async def test_an_update_of_a_later_kind_is_nothing_that_concerns_us(
    server: TelegramServer, caplog: pytest.LogCaptureFixture
) -> None:
    async with taking(server) as house:
        assert await post(house, b'{"update_id": 1, "a_kind_of_2031": {"hologram": true}}') == 200
        assert not house.inbox.events
    assert "passed over" not in caplog.text


UPGRADE = b"POST / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n"


@pytest.mark.parametrize(
    "garbage", [b"\x16\x03\x01\x02\x00\x01", b"HELO\r\n\r\n", b"\x00" * 100_000, b"POST\r\n\r\n", UPGRADE]
)
async def test_what_is_no_http_disturbs_nobody_and_fills_no_log(
    server: TelegramServer, garbage: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    async with taking(server) as house:
        assert b" 200 " not in await raw(house, garbage)
        ann = server.user("Ann")
        server.say(server.private(ann), ann, "hello")
        await house.inbox.wait()
    assert not [record.message for record in caplog.records if record.name.startswith("uvicorn")]


async def raw(house: House, sent: bytes) -> bytes:
    """What comes back, until the other side closes the connection or has nothing more to say."""
    reader, writer = await asyncio.open_connection("127.0.0.1", urlsplit(house.hook).port)
    answer = b""
    try:
        writer.write(sent)
        async with asyncio.timeout(12):
            answer = await reader.read(65_536)
    except (TimeoutError, ConnectionError):
        pass  # closed on us while we were writing: what came until then counts
    finally:
        writer.close()
    return answer


# --- the webhook at Telegram -----------------------------------------------------------------------------------------


async def test_a_webhook_changed_by_others_is_set_again(
    server: TelegramServer, caplog: pytest.LogCaptureFixture
) -> None:
    async with taking(server) as house, aiohttp.ClientSession() as session:
        await Bot(server, session)("setWebhook", url="https://elsewhere.example.org/")
        await server.wait_for(lambda: len(server.calls("setWebhook")) == 3)
        ann = server.user("Ann")
        server.say(server.private(ann), ann, "hello")
        await house.inbox.wait()
        await Bot(server, session)("deleteWebhook")
        server.say(server.private(ann), ann, "again")
        await house.inbox.wait(2)
    assert "changed by another program" in caplog.text


@pytest.mark.parametrize("url", ["http://LocalHost:{port}", "http://127.0.0.1:{port}/a%20path/of~its-own"])
async def test_a_webhook_that_telegram_writes_differently_is_ours(server: TelegramServer, url: str) -> None:
    async with taking(server, url=url) as house:
        ann = server.user("Ann")
        server.say(server.private(ann), ann, "hello")
        await house.inbox.wait()
        await server.wait_for(lambda: len(server.calls("getWebhookInfo")) == 3)
    assert len(server.calls("setWebhook")) == 1


async def test_what_telegram_says_of_failed_deliveries_is_told(
    server: TelegramServer, caplog: pytest.LogCaptureFixture
) -> None:
    async with taking(server, broken=1_000) as house:
        heard = house.platform.heard_at
        assert heard is not None
        await until(lambda: (house.platform.heard_at or 0) > heard)
        await asyncio.sleep(1)  # Telegram tells whole seconds
        ann = server.user("Ann")
        server.say(server.private(ann), ann, "hello")
        await until(lambda: "cannot deliver" in caplog.text)
        house.inbox.broken = 0
        await house.inbox.wait()
    assert "503" in caplog.text
    assert "1 updates wait" in caplog.text


async def test_a_webhook_that_telegram_refuses_is_told_with_its_variable_and_tried_again(
    server: TelegramServer, caplog: pytest.LogCaptureFixture
) -> None:
    server.fail("setWebhook", status=400, description="Bad Request: bad webhook: failed to resolve host")
    async with taking(server) as house:
        await server.wait_for(lambda: len(server.calls("setWebhook")) == 2)
        ann = server.user("Ann")
        server.say(server.private(ann), ann, "hello")
        await house.inbox.wait()
    (told,) = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert "TELEGRAM_WEBHOOK_URL" in told
    assert "failed to resolve host" in told


async def test_one_process_sets_it_all_take_it_and_another_looks_after_it_when_that_one_ends(
    server: TelegramServer,
) -> None:
    office, notes = Office(), Notes()
    clerks = [Clerk(office), Clerk(office)]
    async with (
        taking(server, duties=clerks[0], notes=notes) as one,
        taking(server, duties=clerks[1], notes=notes) as other,
    ):
        await server.wait_for(lambda: server.calls("setWebhook"))
        assert len(server.calls("setWebhook")) == 1
        assert await post(other, b'{"update_id": 1, "unknown": {}}') == 200
        await office.give(clerks[1])
        await server.wait_for(lambda: len(server.calls("setWebhook")) == 2)
        assert server.calls("setWebhook")[-1].params["url"] == other.hook
        assert await post(one, b'{"update_id": 1, "unknown": {}}') == 200
        assert one.platform.heard_at is None


async def test_a_process_that_slept_sets_no_webhook(server: TelegramServer) -> None:
    office, notes = Office(), Notes()
    clerk = Clerk(office)
    async with taking(server, duties=clerk, notes=notes), aiohttp.ClientSession() as session:
        await server.wait_for(lambda: server.calls("getWebhookInfo"))
        clerk.asleep = True
        await office.give(Clerk(office))
        await asyncio.sleep(0.3)  # a look that was under way
        await Bot(server, session)("setWebhook", url="https://elsewhere.example.org/")
        count = len(server.log)
        await asyncio.sleep(1)
        assert len(server.log) == count
        clerk.asleep = False
        await office.tell()


async def test_a_revoked_token_ends_it_and_frees_the_port(server: TelegramServer) -> None:
    server.fail("getWebhookInfo", status=401, description="Unauthorized")
    async with taking(server, listening=False) as house:
        with pytest.raises(Revoked) as caught:
            await asyncio.wait_for(house.platform.listen(house.inbox), 10)
        assert "AAF" not in str(caught.value)
        assert not listens(urlsplit(house.hook).port or 0)


async def test_a_port_that_cannot_be_had_is_told_with_its_variable(server: TelegramServer) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        async with taking(server, port=taken.getsockname()[1], listening=False) as house:
            with pytest.raises(SettingsError) as caught:
                await house.platform.listen(house.inbox)
    (problem,) = caught.value.problems
    assert problem.startswith("WEBHOOK_PORT: ")
    assert not server.log


async def test_neither_token_nor_secret_is_in_the_log(server: TelegramServer, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    async with taking(server) as house:
        assert await post(house, b"{}", secret="wrong") == 403
        server.fail("getWebhookInfo", times=2)
        await server.wait_for(lambda: len(server.calls("getWebhookInfo")) > 3)
        ann = server.user("Ann")
        server.say(server.private(ann), ann, "hello")
        await house.inbox.wait()
    ours = "\n".join(record.getMessage() for record in caplog.records if record.name != "aiohttp.access")
    assert server.token not in ours
    assert secret_of(server.token) not in ours
    assert "hello" not in ours


def test_the_secret_is_the_tokens_and_does_not_tell_it() -> None:
    assert secret_of("1:a") == secret_of("1:a") != secret_of("1:b")
    assert "1:a" not in secret_of("1:a")
    assert re.fullmatch("[A-Za-z0-9_-]{1,256}", secret_of("1:a"))


# --- the whole of it -------------------------------------------------------------------------------------------------


async def test_what_a_killed_process_did_not_keep_is_delivered_to_the_next(
    server: TelegramServer, tmp_path: Path
) -> None:
    port = free_port()
    environment = {
        "TELEGRAM_BOT_TOKEN": server.token,
        "TELEGRAM_API_URL": server.url,
        "TELEGRAM_WEBHOOK_URL": f"http://127.0.0.1:{port}/telegram",
        "WEBHOOK_PORT": str(port),
        "ALLOWED": "*",
    }
    async with Magpie(tmp_path / "data", environment) as magpie:
        ann, ben = Person.alone(server, "Ann"), Person.alone(server, "Ben")
        ann.say("tell me something")
        await server.wait_for(lambda: ann.shown, chat=ann.chat)
        await magpie.kill()
        ann.say("and more")
        ben.say("are you there?")
        await asyncio.sleep(0.3)
        assert len(server.pending) >= 2
        await magpie.start()
        await ben.hears()
        await ann.sees(lambda texts: any("and more" in text for text in texts))
        await server.wait_for(lambda: not server.pending)
    assert not server.calls("getUpdates")
