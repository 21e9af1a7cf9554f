"""What Discord's JSON says, and what of it is kept."""

import json
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.errors import Unreadable
from bot.messages import Event, Message, Pressed
from bot.platforms.discord_read import (
    Me,
    Place,
    Via,
    addressed,
    changed,
    commanded,
    incoming,
    language_of,
    moment,
    pressed,
    said,
)

ME = Me("42", frozenset({"77"}))
DM, ROOM = Place("5"), Place("5", "9", "3")
ANN = {"id": "1", "username": "ann", "global_name": "Ann"}
BOB = {"id": "2", "username": "bob", "global_name": None}
MAGPIE = {"id": "42", "username": "magpie", "bot": True}


def raw(content: str = "", **more: Any) -> dict[str, Any]:
    return {"id": "1574005174131757056", "channel_id": "5", "type": 0, "author": ANN, "content": content} | more


def heard(data: dict[str, Any], place: Place = DM) -> Message:
    event = said(data, ME, place)
    assert event is not None
    message = incoming(event.payload, lambda _: False)
    assert isinstance(message, Message)
    return message


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("<@42> hello", "hello"),
        ("<@!42>, hello", "hello"),
        ("hello <@42>", "hello"),
        ("ask <@42> now", "ask now"),
        ("<@&77> /reset", "/reset"),
        ("<@42>", ""),
        ("<@2> and <@3>", "@bob and @someone"),
        ("<@&8> <:fox:123> <a:run:4>!", "@role :fox: :run:!"),
        ("a < b and <t:1700000000:R>", "a < b and <t:1700000000:R>"),
    ],
)
def test_mentions_become_names(content: str, text: str) -> None:
    assert heard(raw(content, mentions=[BOB, MAGPIE])).text == text


@pytest.mark.parametrize(
    ("data", "place", "ours"),
    [
        (raw("hi"), DM, True),
        (raw("hi"), ROOM, False),
        (raw("hi", mentions=[MAGPIE]), ROOM, True),
        (raw("hi", mentions=[BOB]), ROOM, False),
        (raw("hi", mention_roles=["77"]), ROOM, True),
        (raw("hi", mention_roles=["78"]), ROOM, False),
        (raw("@everyone", mention_everyone=True), ROOM, False),
        (raw("hi", type=19, referenced_message=raw(author=MAGPIE)), ROOM, True),
        (raw("hi", type=19, referenced_message=raw(author=BOB)), ROOM, False),
        (raw("hi", type=19, referenced_message=None), ROOM, False),
        (raw("hi", author=ANN | {"bot": True}), DM, False),
        (raw("hi", webhook_id="3"), DM, False),
        (raw("", type=7), DM, False),
    ],
)
def test_what_is_addressed_to_the_bot(data: dict[str, Any], place: Place, ours: bool) -> None:
    assert addressed(data, ME, place) is ours


def test_a_forwarded_message_is_quoted_and_no_reply() -> None:
    reference = {"type": 1, "message_id": "7"}
    message = heard(
        raw("what is this?", message_reference=reference, message_snapshots=[{"message": {"content": "news"}}])
    )
    assert (message.text, message.quote, message.replies_to) == ("what is this?", "news", "")


def test_a_mention_whose_text_is_kept_from_us_says_nothing() -> None:
    assert said(raw("", mentions=[MAGPIE]), ME, ROOM) is None


def test_stickers_and_polls_are_named() -> None:
    message = heard(raw("", sticker_items=[{"id": "1"}], poll={"question": {}}))
    assert [(one.kind, one.name) for one in message.attachments] == [("other", "sticker"), ("other", "poll")]


def test_the_nickname_of_the_server_comes_first() -> None:
    assert heard(raw("hi", member={"nick": "Annie"}), ROOM).author.name == "Annie"
    assert heard(raw("hi", author=BOB), ROOM).author.name == "bob"


def test_an_edit_is_one_event_per_time_and_has_a_new_digest() -> None:
    edit = {"edited_timestamp": "2026-11-22T10:00:00.123000+00:00"}
    first, second = said(raw("one"), ME, DM), changed(raw("two", **edit), ME, DM)
    again = changed(raw("one", **edit), ME, DM)
    assert first and second and again
    assert (second.edits, second.message, second.event) == (True, first.message, again.event)
    assert first.digest == again.digest != second.digest
    assert changed(raw("one", edited_timestamp=None), ME, DM) is None


def test_a_token_is_good_for_almost_15_minutes() -> None:
    until = time.time() + 60
    assert Via.alive(str(Via("1", "a:b", until))) == Via("1", "a:b", float(int(until + 0.5)))
    assert Via.alive(str(Via("1", "a", time.time() - 1))) is None
    assert Via.alive("") is None


def test_a_snowflake_tells_the_time() -> None:
    assert moment("175928847299117063") == pytest.approx(1462015105.796)  # the example of Discord's reference


@pytest.mark.parametrize(
    ("text", "language"), [("hello", "en"), ("你好 hello", "zh"), ("漢字とかな", "en"), ("", "en")]
)
def test_the_language_is_guessed_from_the_letters(text: str, language: str) -> None:
    assert language_of(text) == language


@pytest.mark.parametrize(
    "payload", ["", "{}", "[]", '{"v":2}', '{"v":1}', '{"v":1,"kind":"message","channel":"1"}', "null", "\0"]
)
def test_what_is_no_payload_of_ours_is_unreadable(payload: str) -> None:
    with pytest.raises(Unreadable):
        incoming(payload, lambda _: False)


@given(st.text())
def test_any_text_survives_the_inbox(text: str) -> None:
    assert heard(raw(text)).text == heard(raw(text)).text
    event = said(raw(text), ME, DM)
    assert event and event.payload.isascii()


@settings(max_examples=30)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_a_stored_payload_is_read_or_unreadable_whatever_it_holds(value: Any) -> None:
    for payload in (json.dumps(value), json.dumps({"v": 1, "kind": "press", "channel": value, "guild": value})):
        with pytest.raises(Unreadable):
            incoming(payload, lambda _: False)


def test_slash_commands_and_presses() -> None:
    act = {
        "id": "1574005174131757056",
        "application_id": "42",
        "token": "secret",
        "member": {"user": ANN},
        "locale": "zh-CN",
    }
    command: Event = commanded(act | {"data": {"name": "image", "options": [{"value": "a fox"}]}}, ME, ROOM)
    press = pressed(act | {"data": {"custom_id": "abc"}, "message": {"id": "8"}}, ME, ROOM)
    message, pressing = incoming(command.payload, lambda _: True), incoming(press.payload, lambda _: True)
    assert isinstance(message, Message)
    assert (message.text, message.language, message.author.owner) == ("/image a fox", "zh", True)
    assert isinstance(pressing, Pressed)
    assert (pressing.button, pressing.address.reply_to) == ("abc", "8")


@pytest.mark.parametrize("id", [5, None, [], {}, "", "a:b", "-1", "1_0", "٣", "1" * 21, "\ud800", 10**400])
@pytest.mark.parametrize("field", ["id", "author"])
def test_what_keys_an_event_is_an_id_or_the_event_is_refused(field: str, id: object) -> None:
    data = raw("hello")
    broken = data | ({"author": data["author"] | {"id": id}} if field == "author" else {"id": id})
    with pytest.raises((TypeError, ValueError)):
        said(broken, ME, DM)
    with pytest.raises((TypeError, ValueError)):
        Place.told(id or "x", None, None)


@pytest.mark.parametrize("token", [None, {}, "", "a:b", "with space", "\ud800"])
def test_an_interaction_that_could_never_be_answered_is_refused(token: object) -> None:
    act = {"id": "1574005174131757056", "application_id": "42", "user": ANN, "data": {"name": "help"}}
    with pytest.raises((TypeError, ValueError)):
        commanded(act | {"token": token}, ME, ROOM)
