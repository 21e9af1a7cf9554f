"""The Telegram stand-in: updates, the wire, the bot's account, and how python-telegram-bot reads it."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import aiohttp
import pytest
import telegram
import telegram.error

from tests.servers.telegram import Chat, TelegramServer, User, picture
from tests.servers.telegram_client import Bot


@pytest.fixture
async def server() -> AsyncIterator[TelegramServer]:
    async with TelegramServer() as server:
        yield server


@pytest.fixture
async def bot(server: TelegramServer) -> AsyncIterator[Bot]:
    async with aiohttp.ClientSession() as session:
        yield Bot(server, session)


@pytest.fixture
def ann(server: TelegramServer) -> User:
    return server.user("Ann", username="ann_test")


@pytest.fixture
def chat(server: TelegramServer, ann: User) -> Chat:
    return server.private(ann, started=True)


@pytest.fixture
async def real(server: TelegramServer) -> AsyncIterator[telegram.Bot]:
    """python-telegram-bot, which parses what the stand-in says."""
    bot = telegram.Bot(server.token, base_url=f"{server.url}/bot", base_file_url=f"{server.url}/file/bot")
    async with bot:
        yield bot


# ── updates


async def test_a_poll_waits_and_wakes_at_once(server: TelegramServer, bot: Bot, ann: User, chat: Chat) -> None:
    began = time.monotonic()
    assert await bot("getUpdates", timeout=1) == []
    assert 0.9 < time.monotonic() - began < 3
    poll = asyncio.create_task(bot("getUpdates", timeout=30))
    await asyncio.sleep(0.1)
    said = time.monotonic()
    server.say(chat, ann, "hello")
    (update,) = await poll
    assert time.monotonic() - said < 1
    assert update["message"]["text"] == "hello"
    assert isinstance(update["message"]["date"], int) and abs(update["message"]["date"] - time.time()) < 5


async def test_only_an_offset_confirms(server: TelegramServer, bot: Bot, ann: User, chat: Chat) -> None:
    for text in "abc":
        server.say(chat, ann, text)
    first = await bot("getUpdates", limit=2)
    assert [update["message"]["text"] for update in first] == ["a", "b"]
    assert await bot("getUpdates", limit=2) == first
    assert server.confirmed is None
    rest = await bot("getUpdates", offset=first[1]["update_id"] + 1)
    assert [update["message"]["text"] for update in rest] == ["c"]
    assert server.confirmed == first[1]["update_id"] + 1
    assert server.pending == (rest[0]["update_id"],)


async def test_an_offset_from_the_future_confirms_nothing(
    server: TelegramServer, bot: Bot, ann: User, chat: Chat
) -> None:
    server.say(chat, ann, "a")
    assert len(await bot("getUpdates", offset=2_000_000_000)) == 1


async def test_a_negative_offset_keeps_the_last(server: TelegramServer, bot: Bot, ann: User, chat: Chat) -> None:
    for text in "abc":
        server.say(chat, ann, text)
    assert [update["message"]["text"] for update in await bot("getUpdates", offset=-1)] == ["c"]
    assert len(server.pending) == 1


async def test_confirmed_updates_can_come_again(server: TelegramServer, bot: Bot, ann: User, chat: Chat) -> None:
    server.say(chat, ann, "a")
    (update,) = await bot("getUpdates")
    await bot("getUpdates", offset=update["update_id"] + 1)
    assert server.replay() == 1
    assert await bot("getUpdates") == [update]


async def test_allowed_updates_stay_until_changed(server: TelegramServer, bot: Bot, ann: User, chat: Chat) -> None:
    await bot("getUpdates", allowed_updates=["edited_message"])
    message = server.say(chat, ann, "a")
    server.edit(message, "b")
    assert [set(update) for update in await bot("getUpdates")] == [{"update_id", "edited_message"}]
    await bot("getUpdates", allowed_updates=[])
    server.say(chat, ann, "c")
    assert len(await bot("getUpdates")) == 2


async def test_a_second_poll_ends_the_first(server: TelegramServer, bot: Bot) -> None:
    first = asyncio.create_task(bot.raw("getUpdates", json={"timeout": 30}))
    await asyncio.sleep(0.1)
    second = asyncio.create_task(bot("getUpdates", timeout=1))
    status, body = await first
    assert status == 409
    assert body["description"] == (
        "Conflict: terminated by other getUpdates request; make sure that only one bot instance is running"
    )
    assert await second == []


async def test_a_poll_ends_with_its_connection(server: TelegramServer, bot: Bot) -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2):
            await bot("getUpdates", timeout=30)
    await server.wait_for(lambda: [call.status for call in server.log] == [0])


async def test_a_raw_update_goes_out_as_it_is(server: TelegramServer, bot: Bot) -> None:
    update_id = server.push_raw({"from_the_future": {"x": 1}})
    assert await bot("getUpdates") == [{"update_id": update_id, "from_the_future": {"x": 1}}]


async def test_made_up_ids_can_be_confirmed(server: TelegramServer, bot: Bot) -> None:
    far = 2_000_000_000
    assert server.push_raw({"update_id": far, "unknown": {}}) == far
    server.push_raw({"update_id": 5, "unknown": {}})
    assert len(await bot("getUpdates")) == 2
    assert await bot("getUpdates", offset=far + 1) == []


# ── the wire


@pytest.mark.parametrize(
    ("path", "status", "description"),
    [
        ("/bot1:wrong/getMe", 401, "Unauthorized"),
        ("/botwrong/getMe", 404, "Not Found"),
        ("/bot123456789:AAF-loopback_only_0123456789abcdefg/getNothing", 404, "Not Found"),
        ("/nothing", 404, "Not Found"),
    ],
)
async def test_tokens_and_methods_are_checked(
    server: TelegramServer, bot: Bot, path: str, status: int, description: str
) -> None:
    async with bot.session.get(server.url + path) as response:
        assert response.status == status
        assert await response.json() == {"ok": False, "error_code": status, "description": description}


async def test_every_body_is_understood(server: TelegramServer, bot: Bot, chat: Chat) -> None:
    markup = {"inline_keyboard": [[{"text": "Stop", "callback_data": "stop"}]]}
    form = {"chat_id": str(chat.id), "text": "喜鹊 & 鹊", "reply_markup": json.dumps(markup)}
    multipart = aiohttp.FormData(form, default_to_multipart=True)
    for request in (
        {"data": form},
        {"data": multipart},
        {"json": {"chat_id": chat.id, "text": "喜鹊 & 鹊", "reply_markup": markup}},
        {"params": form},
    ):
        status, body = await bot.raw("SENDmessage", **request)
        assert status == 200
        assert body["result"]["text"] == "喜鹊 & 鹊"
        assert body["result"]["reply_markup"] == markup
    assert [message.buttons for message in server.messages(chat)] == [("Stop",)] * 4
    assert {call.method for call in server.log} == {"sendMessage"}
    assert [call.params["chat_id"] for call in server.log] == [chat.id] * 4


@pytest.mark.parametrize(
    "body",
    [b'{"chat_id": CHAT, "text": "a\\ud83d"}', b'{"chat_id": CHAT, "text": "\xff"}', b"chat_id=CHAT&text=%ED%A0%BD"],
)
async def test_text_that_is_no_utf8_is_refused(bot: Bot, chat: Chat, body: bytes) -> None:
    kind = "application/json" if body.startswith(b"{") else "application/x-www-form-urlencoded"
    data = body.replace(b"CHAT", str(chat.id).encode())
    status, answer = await bot.raw("sendMessage", data=data, headers={"Content-Type": kind})
    assert (status, answer["description"]) == (400, "Bad Request: strings must be encoded in UTF-8")


async def test_get_me_is_a_full_user(bot: Bot) -> None:
    me = await bot("getMe")
    assert me["is_bot"] and me["username"] == "magpie_test_bot" and me["can_join_groups"] is True
    assert me["can_read_all_group_messages"] is False and me["supports_inline_queries"] is False
    assert me["has_main_web_app"] is False


# ── the bot itself


async def test_commands_have_scopes_and_languages(bot: Bot, chat: Chat) -> None:
    commands = [{"command": "help", "description": "Help"}]
    scope = {"type": "chat", "chat_id": chat.id}
    await bot("setMyCommands", commands=commands)
    await bot("setMyCommands", commands=[], scope=scope, language_code="zh")
    assert await bot("getMyCommands") == commands
    assert await bot("getMyCommands", scope=scope, language_code="zh") == []
    await bot("deleteMyCommands")
    assert await bot("getMyCommands") == []
    bad_name = [{"command": "Help", "description": "Help"}]
    assert await bot.refused("setMyCommands", commands=bad_name) == "Bad Request: BOT_COMMAND_INVALID"
    bad_text = [{"command": "help", "description": ""}]
    assert "DESCRIPTION_INVALID" in await bot.refused("setMyCommands", commands=bad_text)
    assert "chat not found" in await bot.refused(
        "setMyCommands", commands=commands, scope={"type": "chat", "chat_id": 1}
    )


async def test_descriptions(bot: Bot) -> None:
    await bot("setMyDescription", description="A bird", language_code="en")
    await bot("setMyShortDescription", short_description="Bird")
    assert await bot("getMyDescription", language_code="en") == {"description": "A bird"}
    assert await bot("getMyShortDescription") == {"short_description": "Bird"}
    await bot.refused("setMyShortDescription", short_description="x" * 121)


# ── python-telegram-bot reads it


async def test_ptb_reads_every_kind_of_update(server: TelegramServer, real: telegram.Bot, ann: User) -> None:
    chat = server.private(ann, started=True)
    keyboard = telegram.InlineKeyboardMarkup([[telegram.InlineKeyboardButton("Stop", callback_data="s")]])
    sent = await real.send_message(chat.id, "hi", reply_markup=keyboard)
    server.press(server.messages(chat)[0], "Stop", ann)
    server.edit(server.say(chat, ann, "a", reply_to=sent.message_id, forwarded_from=server.user("Ben")), "b")
    server.send_album(chat, ann, [picture(), picture()], "album")
    server.send_document(chat, ann, b"x")
    server.send_voice(chat, ann)
    server.send_sticker(chat, ann)
    group = server.supergroup(ann, topics=("News",))
    for act in (server.kick, server.invite, server.promote, server.restrict):
        act(group)
    server.migrate(server.group(ann))
    server.say(server.channel(), None, "news")
    updates = await real.get_updates(timeout=0)
    assert len(updates) == 16
    assert all(not update.api_kwargs for update in updates)
    query = updates[0].callback_query
    assert query is not None and query.data == "s"
    assert await query.answer("ok")


async def test_ptb_writes_and_reads_answers(server: TelegramServer, real: telegram.Bot, ann: User) -> None:
    chat = server.private(ann, started=True)
    assert real.username == "magpie_test_bot"
    entity = telegram.MessageEntity("bold", 0, 2)
    message = await real.send_message(chat.id, "hi", entities=[entity])
    assert message.entities == (entity,)
    await message.edit_text("ho")
    with pytest.raises(telegram.error.BadRequest, match="not modified"):
        await message.edit_text("ho")
    photo = await real.send_photo(chat.id, picture(200, 200), caption="see")
    await photo.edit_media(telegram.InputMediaPhoto(picture(100, 100), caption="new"))
    await real.send_media_group(chat.id, [telegram.InputMediaPhoto(picture()), telegram.InputMediaPhoto(picture())])
    file = await real.get_file(photo.photo[-1].file_id)
    assert bytes(await file.download_as_bytearray()) == picture(200, 200)
    await real.set_my_commands([("help", "Help")], scope=telegram.BotCommandScopeChat(chat.id))
    assert (await real.get_chat(chat.id)).first_name == "Ann"
    group = server.group(ann)
    for act in (server.promote, server.restrict, server.kick, server.invite):
        act(group)
        await real.get_chat_member(group.id, real.id)
    assert await real.send_message_draft(chat.id, 3, "dr")
    assert (await real.get_webhook_info()).url == ""


async def test_ptb_raises_its_own_errors(
    server: TelegramServer, real: telegram.Bot, ann: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PTB_TIMEDELTA", "1")  # else it warns of its own future default
    chat = server.private(ann, started=True)
    server.fail("sendMessage", retry_after=7)
    with pytest.raises(telegram.error.RetryAfter) as caught:
        await real.send_message(chat.id, "x")
    assert caught.value.retry_after == timedelta(seconds=7)
    group = server.group(ann)
    new = server.migrate(group, told=False)
    with pytest.raises(telegram.error.ChatMigrated) as moved:
        await real.send_message(group.id, "x")
    assert moved.value.new_chat_id == new.id
    with pytest.raises(telegram.error.InvalidToken):
        async with telegram.Bot("1:wrong", base_url=f"{server.url}/bot"):
            pass


# ── the control endpoint


async def test_a_person_with_curl_plays_the_user(server: TelegramServer, bot: Bot) -> None:
    async def control(action: str, **given: Any) -> Any:
        async with bot.session.post(f"{server.url}/control/{action}", data=json.dumps(given)) as response:
            assert response.status == 200, await response.text()
            return await response.json()

    said = await control("message", user="Ann", text="hello")
    keyboard = {"inline_keyboard": [[{"text": "Stop", "callback_data": "s"}]]}
    sent = await bot("sendMessage", chat_id=said["chat"], text="hi", reply_markup=keyboard)
    pressed = await control("press", chat=said["chat"], message=sent["message_id"], button="Stop")
    assert pressed == {"pressed": "s"}
    await control("edit", chat=said["chat"], message=said["message"], text="hello again")
    group = await control("group", users=["Ann", "Ben"], topics=["News"])
    await control("message", chat=group["chat"], user="Ben", text="/help")
    kinds = [next(key for key in update if key != "update_id") for update in await bot("getUpdates")]
    assert kinds == ["message", "callback_query", "edited_message", "message", "message"]
    async with bot.session.get(f"{server.url}/control/chat/{said['chat']}") as response:
        assert [(shown["from"], shown["text"]) for shown in await response.json()] == [
            ("Ann", "hello again"),
            ("Magpie", "hi"),
        ]
    file = await control("document", user="Ann", name="a.csv", document="YSxi", reply_to=sent["message_id"])
    assert (file["media"], file["reply_to"]) == ("document", sent["message_id"])
    async with bot.session.get(f"{server.url}/control/file/{said['chat']}/{file['message']}") as response:
        assert await response.read() == b"a,b"
    assert (await control("voice", user="Ann", voice="T2dnUw==", seconds=2))["media"] == "voice"
    async with bot.session.get(f"{server.url}/control/log") as response:
        assert [call["method"] for call in await response.json()] == ["sendMessage", "getUpdates"]
    async with bot.session.post(f"{server.url}/control/press", data="{}") as response:
        assert response.status == 400


# ── by itself, and with a bot that dies


async def test_it_runs_by_itself() -> None:
    command = [sys.executable, "-m", "tests.servers.telegram", "--port", "0", "--token", "77:abc"]
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    try:
        assert process.stdout is not None
        async with asyncio.timeout(20):
            settings = (await process.stdout.readline()).decode().split()
            assert settings[1] == "TELEGRAM_BOT_TOKEN=77:abc"
            url = settings[0].removeprefix("TELEGRAM_API_URL=")
            async with aiohttp.ClientSession() as session, session.get(f"{url}/bot77:abc/getMe") as response:
                assert (await response.json())["result"]["id"] == 77
            while b"getMe 200" not in await process.stdout.readline():
                pass
    finally:
        process.kill()
        await process.wait()


POLLER = """
import sys, urllib.request
call = lambda path: urllib.request.urlopen(sys.argv[1] + path).read()
call("/getUpdates")
call("/sendMessage?text=answer&chat_id=" + sys.argv[2])
"""


async def test_a_bot_killed_before_the_answer_loses_nothing(
    server: TelegramServer, bot: Bot, ann: User, chat: Chat
) -> None:
    server.say(chat, ann, "hello")
    hold = server.hold("sendMessage")
    root = f"{server.url}/bot{server.token}"
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", POLLER, root, str(chat.id))
    async with asyncio.timeout(20):
        await hold.caught.wait()
        process.kill()
        await process.wait()
    assert [message.text for message in server.messages(chat)] == ["hello", "answer"]
    assert [(call.method, call.status) for call in server.log] == [("getUpdates", 200), ("sendMessage", 200)]
    assert len(await bot("getUpdates")) == 1
