"""The Telegram stand-in keeps the Bot API's rules: one test per rule, over its real socket."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import aiohttp
import pytest
import telegram
import telegram.error
from aiohttp import web

from tests.servers.telegram import Chat, FloodLimits, TelegramServer, User, picture


class Bot:
    """Calls methods as JSON and returns (HTTP status, decoded answer)."""

    def __init__(self, server: TelegramServer, session: aiohttp.ClientSession) -> None:
        self.server = server
        self.session = session

    async def raw(self, method: str, **request: Any) -> tuple[int, dict[str, Any]]:
        url = f"{self.server.url}/bot{self.server.token}/{method}"
        async with self.session.post(url, **request) as response:
            body = await response.json()
            assert isinstance(body, dict)
            assert body["ok"] == (response.status == 200)
            assert body.get("error_code", 200) == response.status
            return response.status, body

    async def __call__(self, method: str, **params: Any) -> Any:
        """The result of a call that has to succeed."""
        status, body = await self.raw(method, json=params)
        assert status == 200, body
        return body["result"]

    async def refused(self, method: str, **params: Any) -> str:
        """The description of a call that has to fail."""
        status, body = await self.raw(method, json=params)
        assert status != 200, body
        return str(body["description"])


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


# ── webhook


async def test_a_webhook_gets_updates_in_order_until_taken(
    server: TelegramServer, bot: Bot, ann: User, chat: Chat
) -> None:
    texts: list[str] = []
    refusals = [500, 404]

    async def receive(request: web.BaseRequest) -> web.Response:
        assert request.headers["X-Telegram-Bot-Api-Secret-Token"] == "s3cret"
        if refusals:
            return web.Response(status=refusals.pop())
        texts.append(json.loads(await request.read())["message"]["text"])
        server.state.changed()
        return web.Response()

    runner = web.ServerRunner(web.Server(receive), access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}/hook"
    try:
        assert await bot("setWebhook", url=url, secret_token="s3cret") is True
        assert "webhook is active" in await bot.refused("getUpdates")
        server.say(chat, ann, "a")
        server.say(chat, ann, "b")
        await server.wait_for(lambda: texts == ["a", "b"])
        await server.wait_for(lambda: not server.pending)
        info = await bot("getWebhookInfo")
        assert info["url"] == url
        assert info["last_error_message"].startswith("Wrong response from the webhook: 500")
        await bot("deleteWebhook")
        assert await bot("getUpdates") == []
    finally:
        await runner.cleanup()


async def test_set_webhook_ends_a_poll(server: TelegramServer, bot: Bot) -> None:
    poll = asyncio.create_task(bot.refused("getUpdates", timeout=30))
    await asyncio.sleep(0.1)
    await bot("setWebhook", url="https://example.org/hook")
    assert await poll == "Conflict: terminated by setWebhook request"
    assert "HTTPS URL" in await bot.refused("setWebhook", url="http://example.org/hook")


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


# ── sending and editing text


async def test_text_is_trimmed_and_cleaned(server: TelegramServer, bot: Bot, chat: Chat) -> None:
    bold = {"type": "bold", "offset": 3, "length": 6}
    sent = await bot("sendMessage", chat_id=chat.id, text=" \n a\x00b\rc  \n", entities=[bold])
    assert sent["text"] == "a bc"
    assert sent["entities"] == [{"type": "bold", "offset": 0, "length": 4}]


def _entity(kind: str, offset: int, length: int, **more: Any) -> list[dict[str, Any]]:
    return [{"type": kind, "offset": offset, "length": length, **more}]


@pytest.mark.parametrize(
    ("params", "reason"),
    [
        ({"text": ""}, "message text is empty"),
        ({}, "message text is empty"),
        ({"text": " \n\u200b"}, "text must be non-empty"),
        ({"text": "x" * 4097}, "message is too long"),
        ({"text": "🐦" * 2049}, "message is too long"),
        ({"text": "ab", "entities": _entity("bold", 0, 3)}, "entity beginning at UTF-16 offset 0 ends after the end"),
        (
            {"text": "ab", "entities": _entity("bold", 3, 1)},
            "entity begins after the end of the text at UTF-16 offset 3",
        ),
        ({"text": "ab", "entities": _entity("bold", -1, 1)}, "receive an entity with incorrect offset -1"),
        ({"text": "ab", "entities": _entity("bold", 0, -1)}, "receive an entity with incorrect length -1"),
        ({"text": "🐦b", "entities": _entity("bold", 1, 1)}, "entity begins in a middle of a UTF-16 symbol"),
        ({"text": "🐦b", "entities": _entity("bold", 0, 1)}, "ends in a middle of a UTF-16 symbol at byte offset 4"),
        ({"text": "ab", "entities": _entity("shiny", 0, 1)}, "can't parse MessageEntity: Unsupported type specified"),
        ({"text": "ab", "entities": _entity("text_link", 0, 1)}, "can't parse MessageEntity: Can't find field \"url\""),
        (
            {"text": "ab", "entities": _entity("text_link", 0, 1, url="javascript:x")},
            "entity URL 'javascript:x' is invalid: Unsupported URL protocol",
        ),
        ({"text": "a", "reply_parameters": {"message_id": 999_999}}, "message to be replied not found"),
        ({"text": "a", "message_thread_id": 999_999}, "message thread not found"),
        ({"text": "a", "chat_id": 5}, "chat not found"),
        ({"text": "a", "chat_id": "@nobody"}, "chat not found"),
        ({"text": "a", "parse_mode": "XML"}, "unsupported parse_mode"),
        ({"text": "a", "reply_markup": []}, "object expected as reply markup"),
    ],
)
async def test_send_message_refuses(bot: Bot, chat: Chat, params: dict[str, Any], reason: str) -> None:
    description = await bot.refused("sendMessage", **{"chat_id": chat.id, **params})
    assert description.startswith("Bad Request: ")
    assert reason in description


async def test_entities_in_any_order_and_of_found_kinds_are_taken(bot: Bot, chat: Chat) -> None:
    entities = [*_entity("italic", 2, 1), *_entity("bold", 0, 4), *_entity("url", 0, 400)]
    sent = await bot("sendMessage", chat_id=chat.id, text="🐦b cd", entities=entities)
    assert [entity["type"] for entity in sent["entities"]] == ["bold", "italic"]


async def test_more_than_100_entities_are_ignored(bot: Bot, chat: Chat) -> None:
    many = [entity for index in range(150) for entity in _entity("bold", 2 * index, 1)]
    sent = await bot("sendMessage", chat_id=chat.id, text="a " * 150, entities=many)
    assert len(sent["entities"]) == 100


async def test_a_text_of_4096_units_after_parsing_is_taken(bot: Bot, chat: Chat) -> None:
    sent = await bot("sendMessage", chat_id=chat.id, text=f"<b>{'🐦' * 2048}</b>", parse_mode="HTML")
    assert sent["entities"] == _entity("bold", 0, 4096)


async def test_a_reply_may_do_without_its_target(bot: Bot, chat: Chat) -> None:
    reply = {"message_id": 999_999, "allow_sending_without_reply": True}
    sent = await bot("sendMessage", chat_id=chat.id, text="a", reply_parameters=reply)
    assert "reply_to_message" not in sent


async def test_edits(server: TelegramServer, bot: Bot, ann: User, chat: Chat) -> None:
    keyboard = {"inline_keyboard": [[{"text": "Stop", "callback_data": "stop"}]]}
    sent = await bot("sendMessage", chat_id=chat.id, text="a", reply_markup=keyboard)
    where = {"chat_id": chat.id, "message_id": sent["message_id"]}
    same = await bot.refused("editMessageText", **where, text=" a ", reply_markup=keyboard)
    assert same == (
        "Bad Request: message is not modified: specified new message content and reply markup are exactly the same "
        "as a current content and reply markup of the message"
    )
    edited = await bot("editMessageText", **where, text="a")
    assert "reply_markup" not in edited and isinstance(edited["edit_date"], int)
    await bot("editMessageReplyMarkup", **where, reply_markup=keyboard)
    await bot("editMessageText", **where, text="b", entities=_entity("bold", 0, 1))
    (shown,) = server.messages(chat)
    assert (shown.text, shown.entities, shown.markup, shown.edits) == ("b", tuple(_entity("bold", 0, 1)), None, 3)
    assert await bot.refused("editMessageText", **where, text="x" * 4097) == "Bad Request: MESSAGE_TOO_LONG"
    assert "there is no caption" in await bot.refused("editMessageCaption", **where, caption="x")
    missing = await bot.refused("editMessageText", chat_id=chat.id, message_id=999_999, text="x")
    assert missing == "Bad Request: message to edit not found"
    theirs = server.say(chat, ann, "mine")
    assert (
        await bot.refused("editMessageText", chat_id=chat.id, message_id=theirs.id, text="x")
        == "Bad Request: message can't be edited"
    )


async def test_deletes(server: TelegramServer, bot: Bot, ann: User, chat: Chat) -> None:
    mine = await bot("sendMessage", chat_id=chat.id, text="a")
    theirs = server.say(chat, ann, "b")
    assert await bot("deleteMessage", chat_id=chat.id, message_id=mine["message_id"]) is True
    again = await bot.refused("deleteMessage", chat_id=chat.id, message_id=mine["message_id"])
    assert again == "Bad Request: message to delete not found"
    assert await bot("deleteMessages", chat_id=chat.id, message_ids=[mine["message_id"], theirs.id]) is True
    assert server.messages(chat) == ()
    group = server.group(ann)
    hers = server.say(group, ann, "c")
    refused = await bot.refused("deleteMessage", chat_id=group.id, message_id=hers.id)
    assert refused == "Bad Request: message can't be deleted"


async def test_a_message_that_a_person_deleted_cannot_be_edited(server: TelegramServer, bot: Bot, chat: Chat) -> None:
    sent = await bot("sendMessage", chat_id=chat.id, text="a")
    server.delete(server.messages(chat)[0])
    description = await bot.refused("editMessageText", chat_id=chat.id, message_id=sent["message_id"], text="b")
    assert description == "Bad Request: message to edit not found"


@pytest.mark.parametrize(
    ("text", "mode", "plain", "kinds"),
    [
        ("<b>a <i>b</i></b> &lt;&amp;", "HTML", "a b <&", ["bold", "italic"]),
        ('<pre><code class="language-py">x</code></pre>', "HTML", "x", ["pre"]),
        ("<blockquote expandable>x</blockquote>", "HTML", "x", ["expandable_blockquote"]),
        ('<a href="https://a.org/?a=1&amp;b">x</a>', "HTML", "x", ["text_link"]),
        (r"*a _b_* \. `c.` ||d||", "MarkdownV2", "a b . c. d", ["bold", "italic", "code", "spoiler"]),
        ("```py\nx = 1.\n```", "MarkdownV2", "x = 1.", ["pre"]),
        ("[x](https://a.org/) __u__ ~s~", "MarkdownV2", "x u s", ["text_link", "underline", "strikethrough"]),
    ],
)
async def test_markup_becomes_entities(
    bot: Bot, chat: Chat, text: str, mode: str, plain: str, kinds: list[str]
) -> None:
    sent = await bot("sendMessage", chat_id=chat.id, text=text, parse_mode=mode)
    assert sent["text"] == plain
    assert [entity["type"] for entity in sent["entities"]] == kinds


@pytest.mark.parametrize(
    ("text", "mode", "reason"),
    [
        ("<b>a", "HTML", 'Can\'t find end tag corresponding to start tag "b"'),
        ("<div>a</div>", "HTML", 'Unsupported start tag "div" at byte offset 0'),
        ("<b><i>a</b></i>", "HTML", 'Unmatched end tag at byte offset 7, expected "</i>", found "</b>"'),
        ("a < b", "HTML", "at byte offset 2"),
        ("Version 1.0", "MarkdownV2", "Character '.' is reserved and must be escaped with the preceding '\\'"),
        ("🏟 🏟_abacaba", "MarkdownV2", "Can't find end of Italic entity at byte offset 9"),
        ("a ```b", "MarkdownV2", "Can't find end of Pre entity at byte offset 2"),
        ("*a", "MarkdownV2", "Can't find end of Bold entity at byte offset 0"),
    ],
)
async def test_broken_markup_is_refused(bot: Bot, chat: Chat, text: str, mode: str, reason: str) -> None:
    description = await bot.refused("sendMessage", chat_id=chat.id, text=text, parse_mode=mode)
    assert description.startswith("Bad Request: can't parse entities: ")
    assert description.endswith(reason)


# ── buttons


async def test_a_pressed_button_is_answered_once_and_soon(
    server: TelegramServer, bot: Bot, ann: User, chat: Chat
) -> None:
    keyboard = {"inline_keyboard": [[{"text": "Stop", "callback_data": "s:1"}]]}
    await bot("sendMessage", chat_id=chat.id, text="a", reply_markup=keyboard)
    (message,) = server.messages(chat)
    press = server.press(message, "Stop", ann)
    (update,) = await bot("getUpdates")
    query = update["callback_query"]
    assert query["data"] == "s:1" and query["chat_instance"] == chat.instance
    assert query["message"]["message_id"] == message.id
    assert "too long" in (
        await bot.refused("answerCallbackQuery", callback_query_id=query["id"], text="x" * 201)
    ).lower().replace("_", " ")
    assert await bot("answerCallbackQuery", callback_query_id=query["id"], text="ok", show_alert=True) is True
    assert (press.answered, press.text, press.alert) == (True, "ok", True)
    stale = "Bad Request: query is too old and response timeout expired or query ID is invalid"
    assert await bot.refused("answerCallbackQuery", callback_query_id=query["id"]) == stale
    server.state.press_life = 0
    late = server.press(message, "s:1", ann)
    assert await bot.refused("answerCallbackQuery", callback_query_id=late.id) == stale


@pytest.mark.parametrize(
    ("button", "reason"),
    [
        ({"text": "x", "callback_data": "d" * 65}, "BUTTON_DATA_INVALID"),
        ({"text": "x", "callback_data": "鹊" * 22}, "BUTTON_DATA_INVALID"),
        (
            {"text": "x", "callback_data": ""},
            "can't parse inline keyboard button: Text buttons are unallowed in the inline keyboard",
        ),
        ({"callback_data": "d"}, "can't parse inline keyboard button: Can't find field \"text\""),
        (
            {"text": "x", "url": "localhost"},
            "inline keyboard button URL 'localhost' is invalid: Wrong HTTP URL",
        ),
    ],
)
async def test_bad_buttons_are_refused(bot: Bot, chat: Chat, button: dict[str, str], reason: str) -> None:
    markup = {"inline_keyboard": [[button]]}
    description = await bot.refused("sendMessage", chat_id=chat.id, text="a", reply_markup=markup)
    assert description == f"Bad Request: {reason}"


# ── drafts and actions


async def test_drafts_live_in_private_chats_until_the_message(
    server: TelegramServer, bot: Bot, ann: User, chat: Chat
) -> None:
    assert await bot("sendMessageDraft", chat_id=chat.id, draft_id=7, text="hal") is True
    draft = server.draft(chat)
    assert draft is not None and (draft.id, draft.text) == (7, "hal")
    assert 29 < draft.until - time.monotonic() <= 30
    assert await bot("sendMessageDraft", chat_id=chat.id, draft_id=7) is True
    await bot("sendMessage", chat_id=chat.id, text="hallo")
    assert server.draft(chat) is None
    await bot.refused("sendMessageDraft", chat_id=chat.id, draft_id=0, text="x")
    group = server.group(ann)
    refused = await bot.refused("sendMessageDraft", chat_id=group.id, draft_id=7, text="x")
    assert refused == "Bad Request: TEXTDRAFT_PEER_INVALID"


async def test_chat_actions(server: TelegramServer, bot: Bot, chat: Chat) -> None:
    assert await bot("sendChatAction", chat_id=chat.id, action="typing") is True
    assert server.state.actions[chat.id] == "typing"
    refused = await bot.refused("sendChatAction", chat_id=chat.id, action="thinking")
    assert refused == "Bad Request: wrong parameter action in request"


# ── files


def _file(data: bytes, name: str, **fields: Any) -> aiohttp.FormData:
    form = aiohttp.FormData({key: str(value) for key, value in fields.items()})
    form.add_field("picture", data, filename=name)
    return form


async def test_photos_by_attach_by_part_and_by_id(server: TelegramServer, bot: Bot, chat: Chat) -> None:
    data = picture(400, 300)
    form = _file(data, "a.jpg", chat_id=chat.id, photo="attach://picture", caption="one")
    status, body = await bot.raw("sendPhoto", data=form)
    assert status == 200
    small, large = body["result"]["photo"]
    assert (large["width"], large["height"]) == (400, 300) and small["width"] == 90
    await bot("sendPhoto", chat_id=chat.id, photo=large["file_id"])
    first, second = server.messages(chat)
    assert first.media is not None and first.media.file.data == data and first.caption == "one"
    assert second.media is not None and second.media.file is first.media.file
    where = {"chat_id": chat.id, "message_id": first.id}
    await bot("editMessageCaption", **where, caption="two")
    assert "there is no text" in await bot.refused("editMessageText", **where, text="x")
    too_long = await bot.refused("editMessageCaption", **where, caption="x" * 1025)
    assert too_long == "Bad Request: message caption is too long"
    other = json.dumps({"type": "photo", "media": "attach://picture", "caption": "three"})
    status, _ = await bot.raw("editMessageMedia", data=_file(picture(50, 50), "b.jpg", **where, media=other))
    assert status == 200 and server.messages(chat)[0].caption == "three"


async def test_what_is_no_picture_is_refused(bot: Bot, chat: Chat) -> None:
    form = _file(b"GIF?", "a.jpg", chat_id=chat.id, photo="attach://picture")
    assert (await bot.raw("sendPhoto", data=form))[1]["description"] == "Bad Request: IMAGE_PROCESS_FAILED"
    form = _file(picture(6000, 5000), "a.jpg", chat_id=chat.id, photo="attach://picture")
    assert (await bot.raw("sendPhoto", data=form))[1]["description"] == "Bad Request: PHOTO_INVALID_DIMENSIONS"
    wrong = await bot.refused("sendPhoto", chat_id=chat.id, photo="AgAC404")
    assert wrong == "Bad Request: wrong file identifier/HTTP URL specified"


async def test_albums_and_documents(server: TelegramServer, bot: Bot, chat: Chat) -> None:
    items = [{"type": "photo", "media": "attach://picture", "caption": text} for text in ("a", "b")]
    form = _file(picture(), "a.jpg", chat_id=chat.id, media=json.dumps(items))
    status, body = await bot.raw("sendMediaGroup", data=form)
    assert status == 200 and len({message["media_group_id"] for message in body["result"]}) == 1
    status, body = await bot.raw(
        "sendDocument", data=_file(b"x", "a.txt", chat_id=chat.id, document="attach://picture")
    )
    assert status == 200 and body["result"]["document"]["file_name"] == "a.txt"
    assert [message.caption for message in server.messages(chat)] == ["a", "b", ""]


async def test_files_come_down_up_to_20_mb(server: TelegramServer, bot: Bot, ann: User, chat: Chat) -> None:
    server.send_document(chat, ann, b"hello", "notes.txt")
    server.send_document(chat, ann, b"", "film.mkv", size=60_000_000)
    small, large = [update["message"]["document"] for update in await bot("getUpdates")]
    path = (await bot("getFile", file_id=small["file_id"]))["file_path"]
    async with bot.session.get(f"{server.url}/file/bot{server.token}/{path}") as response:
        assert await response.read() == b"hello"
    async with bot.session.get(f"{server.url}/file/bot1:wrong/{path}") as response:
        assert response.status == 401
    assert await bot.refused("getFile", file_id=large["file_id"]) == "Bad Request: file is too big"
    assert await bot.refused("getFile", file_id="x") == "Bad Request: invalid file_id"


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


# ── people


async def test_privacy_mode_hides_what_is_not_for_the_bot(server: TelegramServer, bot: Bot, ann: User) -> None:
    group = server.group(ann)
    sent = await bot("sendMessage", chat_id=group.id, text="hi")
    server.say(group, ann, "nothing for you")
    server.say(group, ann, "/start@other_bot")
    server.say(group, ann, "hey @other_bot")
    for text in ("/help", "/help@Magpie_Test_Bot", "鹊🐦 @magpie_test_bot"):
        server.say(group, ann, text)
    server.say(group, ann, "a reply", reply_to=sent["message_id"])
    seen = [update["message"]["text"] for update in await bot("getUpdates")]
    assert seen == ["/help", "/help@Magpie_Test_Bot", "鹊🐦 @magpie_test_bot", "a reply"]


async def test_without_privacy_mode_everything_is_seen() -> None:
    async with TelegramServer(privacy=False) as server, aiohttp.ClientSession() as session:
        bot = Bot(server, session)
        group = server.group(ann := server.user())
        server.say(group, ann, "nothing for you")
        assert len(await bot("getUpdates")) == 1
        assert (await bot("getMe"))["can_read_all_group_messages"] is True


async def test_a_bot_cannot_write_first_nor_when_unwanted(server: TelegramServer, bot: Bot, ann: User) -> None:
    chat = server.private(ann)
    first = await bot.refused("sendMessage", chat_id=chat.id, text="x")
    assert first == "Forbidden: bot can't initiate conversation with a user"
    server.say(chat, ann, "hello")
    await bot("sendMessage", chat_id=chat.id, text="x")
    server.block(chat)
    blocked = await bot.refused("sendMessage", chat_id=chat.id, text="x")
    assert blocked == "Forbidden: bot was blocked by the user"
    change = (await bot("getUpdates"))[-1]["my_chat_member"]
    assert change["new_chat_member"]["status"] == "kicked"
    server.unblock(chat)
    await bot("sendMessage", chat_id=chat.id, text="x")
    for place, kind in ((server.group(ann), "group"), (server.supergroup(ann), "supergroup")):
        server.kick(place)
        kicked = await bot.refused("sendMessage", chat_id=place.id, text="x")
        assert kicked == f"Forbidden: bot was kicked from the {kind} chat"
        server.restrict(place)
        mute = await bot.refused("sendMessage", chat_id=place.id, text="x")
        assert mute == "Bad Request: not enough rights to send text messages to the chat"


async def test_a_group_moves(server: TelegramServer, bot: Bot, ann: User) -> None:
    group = server.group(ann)
    new = server.migrate(group)
    status, body = await bot.raw("sendMessage", json={"chat_id": group.id, "text": "x"})
    assert status == 400
    assert body["description"] == "Bad Request: group chat was upgraded to a supergroup chat"
    assert body["parameters"] == {"migrate_to_chat_id": new.id}
    leaving, arriving = [update["message"] for update in await bot("getUpdates")]
    assert (leaving["chat"]["id"], leaving["migrate_to_chat_id"]) == (group.id, new.id)
    assert (arriving["chat"]["id"], arriving["migrate_from_chat_id"]) == (new.id, group.id)
    await bot("sendMessage", chat_id=new.id, text="x")


async def test_topics(server: TelegramServer, bot: Bot, ann: User) -> None:
    forum = server.supergroup(ann, topics=("News", "Help"))
    news, _ = forum.topics
    server.say(forum, ann, "/help", thread=news)
    message = (await bot("getUpdates"))[-1]["message"]
    assert message["chat"]["is_forum"] and message["is_topic_message"]
    assert message["message_thread_id"] == news
    assert message["reply_to_message"]["forum_topic_created"]["name"] == "News"
    sent = await bot("sendMessage", chat_id=forum.id, text="x", message_thread_id=news)
    assert sent["message_thread_id"] == news


async def test_supergroups_count_their_own_messages(server: TelegramServer, bot: Bot, ann: User) -> None:
    first, second = server.supergroup(ann), server.supergroup(ann)
    assert (await bot("sendMessage", chat_id=first.id, text="x"))["message_id"] == 1
    assert (await bot("sendMessage", chat_id=second.id, text="x"))["message_id"] == 1


async def test_a_long_paste_comes_in_full_pieces(server: TelegramServer, bot: Bot, ann: User, chat: Chat) -> None:
    text = "鹊🐦x" * 3000
    assert "".join(message.text for message in server.paste(chat, ann, text)) == text
    assert len(await bot("getUpdates")) == 3
    with pytest.raises(ValueError, match="paste"):
        server.say(chat, ann, text)


async def test_a_link_preview_looks_like_an_edit(server: TelegramServer, bot: Bot, ann: User, chat: Chat) -> None:
    message = server.say(chat, ann, "https://example.org")
    server.edit(message, "https://example.org")
    first, second = await bot("getUpdates")
    assert first["message"]["entities"][0]["type"] == "url"
    assert second["edited_message"]["text"] == first["message"]["text"] and second["edited_message"]["edit_date"]


# ── floods and faults


async def test_private_floods() -> None:
    limits = FloodLimits(private_burst=3, private_per_second=1)
    async with TelegramServer(floods=limits) as server, aiohttp.ClientSession() as session:
        bot = Bot(server, session)
        chat = server.private(server.user(), started=True)
        for text in "abc":
            await bot("sendMessage", chat_id=chat.id, text=text)
        async with session.post(
            f"{server.url}/bot{server.token}/sendMessage", json={"chat_id": chat.id, "text": "d"}
        ) as response:
            assert response.status == 429
            assert await response.json() == {
                "ok": False,
                "error_code": 429,
                "description": "Too Many Requests: retry after 1",
                "parameters": {"retry_after": 1},
            }
        assert server.early_calls == []
        await bot.refused("sendMessage", chat_id=chat.id, text="d")
        assert [call.params["text"] for call in server.early_calls] == ["d"]
        await asyncio.sleep(1.05)
        await bot("sendMessage", chat_id=chat.id, text="d")


async def test_group_floods_count_edits() -> None:
    async with TelegramServer(floods=True) as server, aiohttp.ClientSession() as session:
        bot = Bot(server, session)
        group = server.group(server.user())
        sent = await bot("sendMessage", chat_id=group.id, text="0")
        for number in range(1, 20):
            await bot("editMessageText", chat_id=group.id, message_id=sent["message_id"], text=str(number))
        status, body = await bot.raw("sendMessage", json={"chat_id": group.id, "text": "x"})
        assert status == 429 and 50 < body["parameters"]["retry_after"] <= 60


async def test_overall_floods() -> None:
    async with TelegramServer(floods=True) as server, aiohttp.ClientSession() as session:
        bot = Bot(server, session)
        chats = [server.private(server.user(), started=True) for _ in range(40)]
        answers = await asyncio.gather(
            *(bot.raw("sendMessage", json={"chat_id": chat.id, "text": "x"}) for chat in chats)
        )
        assert sorted(status for status, _ in answers) == [200] * 30 + [429] * 10


async def test_scripted_failures(server: TelegramServer, bot: Bot, chat: Chat) -> None:
    server.fail("sendMessage", 2, status=502, when=lambda params: params["text"] == "x")
    assert (await bot("sendMessage", chat_id=chat.id, text="y"))["text"] == "y"
    for _ in range(2):
        assert (await bot.raw("sendMessage", json={"chat_id": chat.id, "text": "x"}))[0] == 502
    await bot("sendMessage", chat_id=chat.id, text="x")
    server.fail("*", retry_after=30)
    await bot.refused("editMessageText", chat_id=chat.id, message_id=1, text="x")
    assert "retry after 30" in await bot.refused("sendMessage", chat_id=chat.id, text="x")
    assert [call.early for call in server.log[-2:]] == [False, True]
    assert server.log[-2].retry_after == 30


async def test_a_held_answer_has_its_effect(server: TelegramServer, bot: Bot, chat: Chat) -> None:
    hold = server.hold("sendMessage")
    call = asyncio.create_task(bot("sendMessage", chat_id=chat.id, text="x"))
    async with asyncio.timeout(5):
        await hold.caught.wait()
    assert [message.text for message in server.messages(chat)] == ["x"]
    assert not call.done()
    hold.release.set()
    assert (await call)["text"] == "x"


@pytest.mark.parametrize("effect", [True, False])
async def test_a_dropped_connection(server: TelegramServer, bot: Bot, chat: Chat, effect: bool) -> None:
    server.drop("sendMessage", effect=effect)
    with pytest.raises(aiohttp.ClientError):
        await bot("sendMessage", chat_id=chat.id, text="x")
    assert len(server.messages(chat)) == effect
    await bot("sendMessage", chat_id=chat.id, text="y")


async def test_a_deaf_server_loses_polls_but_no_updates(
    server: TelegramServer, bot: Bot, ann: User, chat: Chat
) -> None:
    poll = asyncio.create_task(bot("getUpdates", timeout=30))
    await asyncio.sleep(0.1)
    server.deaf(0.5)
    server.say(chat, ann, "hello")
    await asyncio.sleep(0.6)
    assert not poll.done()
    assert len(await bot("getUpdates", timeout=5)) == 1
    poll.cancel()


async def test_the_server_comes_back_on_its_port(server: TelegramServer, bot: Bot, chat: Chat) -> None:
    url = server.url
    poll = asyncio.create_task(bot("getUpdates", timeout=30))
    await asyncio.sleep(0.1)
    async with asyncio.timeout(5):
        await server.stop()
    with pytest.raises(aiohttp.ClientError):
        await poll
    with pytest.raises(aiohttp.ClientConnectorError):
        await bot("getMe")
    await server.start()
    assert server.url == url
    await bot("sendMessage", chat_id=chat.id, text="x")


async def test_waiting_tells_what_happened(server: TelegramServer, bot: Bot, chat: Chat) -> None:
    call = asyncio.create_task(bot("sendMessage", chat_id=chat.id, text="a word"))
    assert await server.wait_for(lambda: server.messages(chat), timeout=5, chat=chat)
    await call
    with pytest.raises(TimeoutError, match=r"sendMessage 200 chat \d+ #\d+ a word"):
        await server.wait_for(lambda: False, timeout=0.1)


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
    async with bot.session.get(f"{server.url}/control/log") as response:
        assert [call["method"] for call in await response.json()] == ["sendMessage", "getUpdates"]
    async with bot.session.post(f"{server.url}/control/press", data="{}") as response:
        assert response.status == 400
