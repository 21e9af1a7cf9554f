"""What an update says: texts without the bot's name, quotes, attachments; and what is no message for the bot."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.errors import Unreadable
from bot.messages import Edited, Message
from bot.platforms.telegram_read import Ignored, Keyed, key, read
from bot.platforms.telegram_text import Me, narrowed, units, widened

ME = Me(42, "Magpie_bot")
BOT = {"id": 42, "is_bot": True, "first_name": "Magpie", "username": "Magpie_bot"}
ANN = {"id": 7, "is_bot": False, "first_name": "Ann", "last_name": "Lee", "language_code": "en"}
BOB = {"id": 8, "is_bot": False, "first_name": "Bob"}
GROUP = {"id": -100, "type": "supergroup", "title": "Friends"}
PRIVATE = {"id": 7, "type": "private", "first_name": "Ann"}


def message(chat: dict[str, Any] = GROUP, **fields: Any) -> dict[str, Any]:
    return {"message_id": 5, "date": 1_700_000_000, "chat": chat, "from": ANN, **fields}


def keyed(body: dict[str, Any], kind: str = "message") -> Keyed:
    return key({"update_id": 1, kind: body}, ME)


def said(body: dict[str, Any]) -> Message:
    incoming = read(keyed(body).event.payload, ME, lambda person: person == "7")
    assert isinstance(incoming, Message)
    return incoming


def entity(kind: str, text: str, part: str, **more: Any) -> dict[str, Any]:
    """The first `part` of `text`, as Telegram marks it."""
    return {"type": kind, "offset": units(text[: text.index(part)]), "length": units(part), **more}


@pytest.mark.parametrize(
    ("text", "kind", "part", "becomes"),
    [
        ("@magpie_bot hello", "mention", "@magpie_bot", "hello"),
        ("@Magpie_Bot, hello", "mention", "@Magpie_Bot", "hello"),
        ("@Magpie_bot：你好", "mention", "@Magpie_bot", "你好"),
        ("😀👩‍👩‍👧 @Magpie_bot hello", "mention", "@Magpie_bot", "😀👩‍👩‍👧 hello"),
        ("hello @Magpie_bot", "mention", "@Magpie_bot", "hello"),
        ("what can @Magpie_bot do?", "mention", "@Magpie_bot", "what can do?"),
        ("@Magpie_bot", "mention", "@Magpie_bot", ""),
        ("/image@magpie_bot a fox", "bot_command", "/image@magpie_bot", "/image a fox"),
        ("/help", "bot_command", "/help", "/help"),
        ("ask /help@Magpie_bot", "bot_command", "/help@Magpie_bot", "ask /help"),
    ],
)
@pytest.mark.parametrize("where", ["text", "caption"])
def test_the_bots_name_goes_out_of_the_text(text: str, kind: str, part: str, becomes: str, where: str) -> None:
    entities = "entities" if where == "text" else "caption_entities"
    photo: dict[str, Any] = (
        {} if where == "text" else {"photo": [{"file_id": "a", "file_unique_id": "b", "width": 1, "height": 1}]}
    )
    body = message(**photo) | {where: text, entities: [entity(kind, text, part)]}
    assert keyed(body).addressed
    assert said(body).text == becomes


def test_a_command_may_follow_the_name() -> None:
    text = "@Magpie_bot /image a fox"
    body = message(text=text, entities=[entity("mention", text, "@Magpie_bot"), entity("bot_command", text, "/image")])
    assert keyed(body).command
    assert keyed(body).event.joins == ""
    assert said(body).text == "/image a fox"


def test_a_person_without_a_name_is_marked_by_id() -> None:
    body = message(text="Magpie hello", entities=[entity("text_mention", "Magpie hello", "Magpie", user=BOT)])
    assert said(body).text == "hello"


@pytest.mark.parametrize(
    ("text", "kind", "part"),
    [
        ("hello there", "bold", "hello"),
        ("@other hello", "mention", "@other"),
        ("/help@other_bot", "bot_command", "/help@other_bot"),
        ("see /help", "bot_command", "/help"),
    ],
)
def test_what_is_for_others_is_not_ours(text: str, kind: str, part: str) -> None:
    assert not keyed(message(text=text, entities=[entity(kind, text, part)])).addressed


def test_the_text_is_read_by_the_name_that_the_bot_had_then() -> None:
    body = message(text="@Magpie_bot hi", entities=[entity("mention", "@Magpie_bot hi", "@Magpie_bot")])
    payload = keyed(body).event.payload
    incoming = read(payload, Me(42), lambda person: False)
    assert isinstance(incoming, Message)
    assert incoming.text == "hi"


def test_a_payload_is_read_without_our_addition_too() -> None:
    payload = json.dumps({"update_id": 1, "edited_message": message(PRIVATE, text="hi", edit_date=1_700_000_009)})
    incoming = read(payload, ME, lambda person: False)
    assert isinstance(incoming, Edited)
    assert (incoming.message.text, incoming.message.at) == ("hi", 1_700_000_000.0)


# --- quotes ----------------------------------------------------------------------------------------------------------


def test_another_persons_message_is_quoted() -> None:
    answered = {"message_id": 3, "date": 1, "chat": GROUP, "from": BOB, "text": "a long story"}
    text = "@Magpie_bot is it true?"
    body = message(text=text, entities=[entity("mention", text, "@Magpie_bot")], reply_to_message=answered)
    assert (said(body).quote, said(body).quoted, said(body).replies_to) == ("a long story", "Bob", "3")
    body["quote"] = {"text": "long", "position": 2, "is_manual": True}
    assert said(body).quote == "long"


def test_the_bots_own_message_is_not_quoted() -> None:
    answered = {"message_id": 3, "date": 1, "chat": GROUP, "from": BOT, "text": "my answer"}
    body = message(text="go on", reply_to_message=answered)
    assert keyed(body).addressed
    assert (said(body).quote, said(body).replies_to) == ("", "3")


def test_the_first_message_of_a_topic_is_no_reply() -> None:
    opened = {"message_id": 3, "date": 1, "chat": GROUP, "from": BOT, "forum_topic_created": {"name": "x"}}
    body = message(text="talking", reply_to_message=opened, message_thread_id=3, is_topic_message=True)
    assert not keyed(body).addressed
    assert keyed(body).event.chat.thread == "3"


def test_the_thread_of_a_reply_is_no_conversation_of_its_own() -> None:
    assert keyed(message(text="x", message_thread_id=3)).event.chat.thread == ""


def test_a_quote_from_another_chat() -> None:
    origin = {"type": "user", "sender_user": BOB, "date": 1}
    body = message(PRIVATE, text="what?", quote={"text": "words", "position": 0}, external_reply={"origin": origin})
    assert (said(body).quote, said(body).quoted) == ("words", "Bob")


# --- attachments and language ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "kind", "name"),
    [
        ({"location": {"latitude": 1.0, "longitude": 1.0}}, "other", "location"),
        ({"venue": {}, "location": {}}, "other", "place"),
        ({"contact": {}}, "other", "contact"),
        ({"poll": {}}, "other", "poll"),
        ({"animation": {"file_id": "a"}, "document": {"file_id": "a"}}, "video", ""),
        ({"audio": {"file_id": "a", "mime_type": "audio/mpeg", "file_name": "song.mp3"}}, "voice", "song.mp3"),
        ({"video_note": {"file_id": "a"}}, "video", ""),
    ],
)
def test_every_kind_of_content_is_named(fields: dict[str, Any], kind: str, name: str) -> None:
    (attachment,) = said(message(PRIVATE, **fields)).attachments
    assert (attachment.kind, attachment.name) == (kind, name)


@pytest.mark.parametrize("service", ["new_chat_members", "pinned_message", "forum_topic_created", "successful_payment"])
def test_service_messages_are_ignored(service: str) -> None:
    with pytest.raises(Ignored):
        keyed(message(PRIVATE, **{service: {}}))


def test_a_channels_automatic_forward_is_ignored() -> None:
    channel = {"id": -200, "type": "channel", "title": "News"}
    with pytest.raises(Ignored):
        keyed(message(text="/help", sender_chat=channel, is_automatic_forward=True))


@pytest.mark.parametrize(
    ("code", "text", "language"),
    [
        ("en", "hello", "en"),
        ("zh-hans", "hello", "zh"),
        ("en", "你好", "zh"),
        (None, "hello", "en"),
        ("de", "hallo", "en"),
    ],
)
def test_the_language_is_that_of_the_person_or_of_the_text(code: str | None, text: str, language: str) -> None:
    body = message(PRIVATE, text=text)
    body["from"] = {**ANN, "language_code": code}
    assert said(body).language == language


def test_names_are_for_reading_and_owners_are_known() -> None:
    author = said(message(PRIVATE, text="x")).author
    assert (author.id, author.name, author.owner) == ("7", "Ann Lee", True)


def test_what_no_store_takes_is_replaced() -> None:
    body = message(PRIVATE, text="a\ud83d\x00b", reply_to_message={"message_id": 1, "from": BOB, "text": "\udc00"})
    assert (said(body).text, said(body).quote) == ("a\ufffdb", "\ufffd")
    assert keyed(body).event.payload.isascii()


# --- suspicion -------------------------------------------------------------------------------------------------------

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.sampled_from([-5, 0, 1, 5, 10**400])
    | st.floats(allow_nan=False)
    | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from([*message(), "text", "entities", "photo", "id", "type", "offset"]), inner)
    ),
    max_leaves=12,
)


@given(JSON, st.sampled_from(["message", "edited_message", "callback_query", "my_chat_member"]), st.text(max_size=3))
def test_whatever_comes_is_keyed_or_refused_and_then_read_or_refused(body: Any, kind: str, name: str) -> None:
    if isinstance(body, dict):
        body = {**message(PRIVATE), **body}
    try:
        event = key({"update_id": 1, kind: body}, ME).event
        read(event.payload, Me(42, name), lambda person: False)
    except (Ignored, Unreadable):
        pass


@given(st.text())
def test_widened_text_has_one_character_per_utf16_unit(text: str) -> None:
    assert len(widened(text)) == units(text)
    assert narrowed(widened(text)) == text


def test_an_update_too_deep_to_be_written_is_refused() -> None:
    """Its text is deep enough to be read, and a level too deep to be kept."""
    inside: Any = 1
    for _ in range(100_000):
        inside = [inside]
    with pytest.raises(Unreadable):
        key({"update_id": 1, "message": {**message(PRIVATE), "new": inside}}, ME)
    while isinstance(inside, list):  # level by level: C's own recursion frees it otherwise
        inside = inside.pop()
