"""The Telegram stand-in: what a bot may write, and what is refused in which words."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.servers.telegram import Chat, TelegramServer, User, picture
from tests.servers.telegram_client import Bot
from tests.servers.telegram_rules import Refusal, formatted


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


@given(
    text=st.text(st.sampled_from("a🐦鹊 \n\r\x00"), max_size=30),
    spans=st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40)), max_size=4),
)
def test_what_is_stored_is_always_in_bounds(text: str, spans: list[tuple[int, int]]) -> None:
    entities = [entity for offset, length in spans for entity in _entity("bold", offset, length)]
    try:
        stored, kept = formatted(text, entities, 4096, "too long")
    except Refusal as refusal:
        assert refusal.status == 400
        return
    units = stored.encode("utf-16-le")
    for entity in kept:
        part = units[2 * entity["offset"] : 2 * (entity["offset"] + entity["length"])].decode("utf-16-le")
        assert len(part.encode("utf-16-le")) == 2 * entity["length"] and part.strip()


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


async def test_the_same_picture_is_no_edit(server: TelegramServer, bot: Bot, chat: Chat) -> None:
    form = _file(picture(), "a.jpg", chat_id=chat.id, photo="attach://picture")
    sent = (await bot.raw("sendPhoto", data=form))[1]["result"]
    media = {"type": "photo", "media": sent["photo"][-1]["file_id"]}
    where = {"chat_id": chat.id, "message_id": sent["message_id"]}
    assert "message is not modified" in await bot.refused("editMessageMedia", **where, media=media)


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
