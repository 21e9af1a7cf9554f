"""What an update means: first whether it is ours and by which keys it is accepted, later what it says. Pure.

An update is raw JSON here from beginning to end. It is read with suspicion: `key` needs only the few fields that it keys
by, so that a message of which something else is broken (or newer than this program) is still accepted, in its order.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from hashlib import blake2b
from typing import Any, Literal

from telegram import Message as Known
from telegram.constants import MessageType

from bot.errors import Unreadable
from bot.lanes import Lane, command_of, lane_of
from bot.messages import Address, Attachment, Author, ChatKey, Edited, Event, Incoming, Left, Message, Moved, Pressed
from bot.phrases import Language
from bot.platforms.telegram_text import Json, Me, Said, replied, said, sound, units

KINDS = ("message", "edited_message", "callback_query", "my_chat_member")  # all that is asked of Telegram
SETTLE = 1.0  # seconds for the rest of an album, or of a text that the client cut
LONG = 4000  # UTF-16 units: a text this long may be the first part of a longer one
ME = "me"  # our addition to an update: the name by which the bot was addressed when it came

_MALFORMED = (KeyError, TypeError, ValueError, AttributeError, IndexError, OverflowError, RecursionError)
_FILES = ("photo", "document", "voice", "audio", "video", "video_note", "animation")
_FOREVER = 10**9  # seconds
_NAMED = {
    "sticker": "sticker",
    "location": "location",
    "venue": "place",
    "contact": "contact",
    "poll": "poll",
    "dice": "dice",
    "game": "game",
    "story": "story",
    "paid_media": "paid media",
    "checklist": "checklist",
}
_CONTENT = frozenset(("text", *_FILES, *_NAMED))
_SERVICE = frozenset(str(kind) for kind in MessageType) - _CONTENT - {"effect_id", "sender_boost_count"}
_ENVELOPE = {name for kind in Known.__mro__ for name in getattr(kind, "__slots__", ())} | {"from"}
_HAN = re.compile("[\u3400-\u4dbf\u4e00-\u9fff\U00020000-\U0003134f]")


class Ignored(Exception):
    """Not ours, or nothing that anybody could answer: the cursor moves past it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Keyed:
    """An update that can be accepted.

    event      as it is committed
    person     who is behind it, by id; of a message in the name of a chat, that chat
    place      the chat's id; the new one, where a group moves
    private    in a chat of two
    addressed  it is meant for the bot
    command    it is a command, or one that became an edit
    press      the id of the press that waits for its answer, "" for none
    album      in which it is, "" for none
    always     accepted whoever caused it: it happened to the chat itself
    """

    event: Event
    person: str
    place: str
    private: bool = False
    addressed: bool = False
    command: bool = False
    press: str = ""
    album: str = ""
    always: bool = False


def has_id(update: Any) -> bool:
    """Whether it is one that can be told from others, and confirmed."""
    return isinstance(update, dict) and type(update.get("update_id")) is int


def key(update: Json, me: Me) -> Keyed:
    """By what the update is accepted. Raises Ignored for what concerns nobody, Unreadable for what has no keys."""
    kind = next((kind for kind in KINDS if kind in update), None)
    if kind is None:
        raise Ignored
    try:
        id, body = _int(update["update_id"]), update[kind]
        match kind:
            case "callback_query":
                return _key_press(id, update, body, me)
            case "my_chat_member":
                return _key_membership(id, update, body, me)
            case _:
                return _key_message(id, update, body, me, edits=kind == "edited_message")
    except _MALFORMED as error:
        raise Unreadable(f"{kind}: {type(error).__name__}") from None


def read(payload: str, me: Me, owns: Callable[[str], bool]) -> Incoming:
    """What an accepted update says. Raises Unreadable."""
    try:
        update = json.loads(payload)
        if ME in update:
            me = Me(me.id, str(update[ME]))
        if "callback_query" in update:
            return _read_press(update["callback_query"], owns)
        if "my_chat_member" in update:
            return Left(_chat_key(update["my_chat_member"]))
        body = update["message"] if "message" in update else update["edited_message"]
        if (moved := _moved(body)) is not None:
            return moved
        message = _read_message(body, me, owns)
    except _MALFORMED as error:
        raise Unreadable(f"a Telegram update that cannot be read: {type(error).__name__}") from None
    return message if "message" in update else Edited(message)


# --- keys --------------------------------------------------------------------------------------------------------------


def _key_message(id: int, update: Json, body: Json, me: Me, *, edits: bool) -> Keyed:
    if (moved := _moved(body)) is not None:
        event = replace(_event(id, update, moved.old, me), moves_to=moved.new)
        return Keyed(event=event, person="", place=moved.new.chat, addressed=True, always=True)
    private = body["chat"]["type"] == "private"
    if _concerns_nobody(body):
        raise Ignored
    person = _person(body)
    try:
        words = said(body, me)
    except _MALFORMED:
        if not private:
            raise
        words = Said("", True)  # to be refused in its turn
    command = command_of(words.text) is not None
    album = str(body.get("media_group_id") or "")
    event = _event(
        id,
        update,
        _chat_key(body),
        me,
        author=person,
        at=_date(body.get("edit_date") if edits else body.get("date")),
        message=str(_int(body["message_id"])),
        joins="" if edits or command else person,
        edits=edits,
        digest=_digest(words.text, body),
        settle=SETTLE if not edits and (album or units(words.text) >= LONG) else 0.0,
        lane=Lane.TURN if edits else lane_of(words.text),
    )
    return Keyed(
        event=event,
        person=person,
        place=event.chat.chat,
        private=private,
        addressed=not words.another and (private or words.addressed),
        command=command and not edits,
        album=f"{event.chat.chat}/{album}" if album else "",
    )


def _concerns_nobody(body: Json) -> bool:
    """A channel's post, also where it is forwarded into its group; a service message; one without any content."""
    if body.get("is_automatic_forward") or body["chat"]["type"] not in ("private", "group", "supergroup"):
        return True
    return not _CONTENT & body.keys() and bool(_SERVICE & body.keys() or not body.keys() - _ENVELOPE)


def _key_press(id: int, update: Json, body: Json, me: Me) -> Keyed:
    message, data = body.get("message"), body.get("data")
    if message is None or not isinstance(data, str):
        raise Ignored  # a game, or a message that was sent inline: none of ours
    person = str(_int(body["from"]["id"]))
    event = _event(
        id, update, _chat_key(message), me, author=person, message=str(_int(message["message_id"])), lane=lane_of(data)
    )
    private = message["chat"]["type"] == "private"
    return Keyed(event=event, person=person, place=event.chat.chat, private=private, addressed=True, press=body["id"])


def _key_membership(id: int, update: Json, body: Json, me: Me) -> Keyed:
    """The bot's own membership: only its end is an event, of a place or by a person that is admitted. Whoever may put the bot
    into a group of theirs and out again writes nothing here; what is sent to a closed group is refused, and then dropped."""
    private, person = body["chat"]["type"] == "private", str(_int(body["from"]["id"]))
    if body["chat"]["type"] == "channel":
        raise Ignored
    over = body["new_chat_member"]["status"] in ("left", "kicked")
    event = _event(id, update, _chat_key(body), me, author=person)
    return Keyed(
        event=event,
        person=person,
        place=event.chat.chat,
        private=private,
        addressed=over,
    )


def _event(id: int, update: Json, chat: ChatKey, me: Me, *, author: str = "", at: float = 0.0, **keys: Any) -> Event:
    payload = json.dumps({**update, ME: me.name}, separators=(",", ":"))  # ASCII: also a lone surrogate survives
    at = at or time.time()
    return Event(
        platform="telegram", bot=str(me.id), event=str(id), chat=chat, author=author, payload=payload, at=at, **keys
    )


def _person(body: Json) -> str:
    """Who speaks: a chat, where somebody speaks in its name (an anonymous administrator as the group itself)."""
    speaker = body.get("sender_chat")
    if speaker is not None:
        return str(_int(speaker["id"]))
    if body["from"].get("is_bot"):
        raise Ignored
    return str(_int(body["from"]["id"]))


def _moved(body: Json) -> Moved | None:
    """A group becomes a supergroup: told in both, and the second time is harmless."""
    here = str(_int(body["chat"]["id"]))
    if "migrate_to_chat_id" in body:
        there = str(_int(body["migrate_to_chat_id"]))
        return Moved(ChatKey("telegram", here), ChatKey("telegram", there))
    if "migrate_from_chat_id" in body:
        there = str(_int(body["migrate_from_chat_id"]))
        return Moved(ChatKey("telegram", there), ChatKey("telegram", here))
    return None


def _chat_key(body: Json) -> ChatKey:
    """A topic is a conversation of its own; the thread of a mere reply is not."""
    thread = str(_int(body["message_thread_id"])) if body.get("is_topic_message") else ""
    return ChatKey("telegram", str(_int(body["chat"]["id"])), thread)


def _digest(text: str, body: Json) -> str:
    """Of what was said and shown: another link preview changes nothing of it."""
    files = "".join(f"\0{part}" for part in _file_ids(body))
    return blake2b((text + files).encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def _file_ids(body: Json) -> Iterator[str]:
    for kind in _FILES:
        shown = body.get(kind)
        shown = shown[-1] if isinstance(shown, list) and shown else shown
        if isinstance(shown, dict):
            yield str(shown.get("file_unique_id"))


# --- reading -----------------------------------------------------------------------------------------------------------


def _read_message(body: Json, me: Me, owns: Callable[[str], bool]) -> Message:
    words = said(body, me)
    id, group = str(_int(body["message_id"])), body["chat"]["type"] != "private"
    author = _author(body, owns)
    quote, quoted = _quote(body, me, author.id)
    return Message(
        id=id,
        author=author,
        address=Address(_chat_key(body), reply_to=id if group else "", group=group),
        text=words.text,
        at=float(_int(body["date"])),
        language=_language(body.get("from"), words.text),
        attachments=(*_attachments(body), *(_quoted_pictures(body, me, author.id) if group else ())),
        replies_to=str(_int(answered["message_id"])) if (answered := replied(body)) else "",
        quote=quote,
        quoted=quoted,
    )


def _read_press(body: Json, owns: Callable[[str], bool]) -> Pressed:
    message = body["message"]
    address = Address(_chat_key(message), group=message["chat"]["type"] != "private")
    return Pressed(_str(body["data"]), _author(body, owns), address, _language(body["from"]))


def _author(body: Json, owns: Callable[[str], bool]) -> Author:
    speaker = body.get("sender_chat") or body["from"]
    id = str(_int(speaker["id"]))
    return Author(id, _name(speaker) or id, owns(id))


def _name(speaker: Json) -> str:
    """A person's or a chat's name for reading, on one line."""
    name = speaker.get("title") or f"{speaker.get('first_name') or ''} {speaker.get('last_name') or ''}"
    return " ".join(sound(_str(name)).split())


def _language(person: Json | None, text: str = "") -> Language:
    code = (person or {}).get("language_code") or ""
    return "zh" if _str(code).startswith("zh") or _HAN.search(text) else "en"


def _quote(body: Json, me: Me, author: str) -> tuple[str, str]:
    """What another person said and this one replies to (or the part that they marked), and that person's name."""
    marked = sound(_str((body.get("quote") or {}).get("text", "")))
    answered = replied(body)
    if answered is None:
        origin = (body.get("external_reply") or {}).get("origin") or {}
        speaker = origin.get("sender_user") or origin.get("sender_chat") or origin.get("chat") or {}
        return marked, (_name(speaker) or _str(origin.get("sender_user_name", ""))) if marked else ""
    speaker = answered.get("sender_chat") or answered.get("from") or {}
    if speaker.get("id") == me.id or str(speaker.get("id")) == author:
        return "", ""
    text = marked or sound(_str(answered.get("text") or answered.get("caption") or ""))
    return text, _name(speaker) if text else ""


def _quoted_pictures(body: Json, me: Me, author: str) -> Iterator[Attachment]:
    """Those of another's message that this one replies to: nobody has shown them to us."""
    answered = replied(body) or {}
    speaker = answered.get("sender_chat") or answered.get("from") or {}
    if speaker.get("id") != me.id and str(speaker.get("id")) != author:
        yield from (file for file in _attachments(answered) if file.kind == "image")


def _attachments(body: Json) -> Iterator[Attachment]:
    for kind in (*_FILES, *_NAMED):
        if kind not in body:
            continue
        if (kind == "document" and "animation" in body) or (kind == "location" and "venue" in body):
            continue  # the same thing, told twice for older programs
        shown = body[kind]
        match kind:
            case "photo":
                largest = max(shown, key=lambda size: _int(size["width"]) * _int(size["height"]))
                yield _file("image", largest, "image/jpeg")
            case "document":
                is_image = _str(shown.get("mime_type") or "").startswith("image/")
                yield _file("image" if is_image else "file", shown)
            case "voice" | "audio":
                yield _file("voice", shown, "audio/ogg" if kind == "voice" else "")
            case "video" | "video_note" | "animation":
                yield _file("video", shown, "video/mp4")
            case _:
                yield Attachment("other", "", _NAMED[kind])
    if not _CONTENT & body.keys():
        for unknown in sorted(body.keys() - _ENVELOPE)[:1]:
            yield Attachment("other", "", unknown.replace("_", " "))


def _file(kind: Literal["image", "file", "voice", "video"], shown: Json, mime: str = "") -> Attachment:
    return Attachment(
        kind,
        _str(shown["file_id"]),
        _str(shown.get("file_name") or ""),
        _str(shown.get("mime_type") or mime),
        _int(shown.get("file_size") or 0),
        float(max(0, min(_int(shown.get("duration") or 0), _FOREVER))),
    )


# --- suspicion ---------------------------------------------------------------------------------------------------------


def _int(value: object) -> int:
    if type(value) is not int:
        raise TypeError
    return value


def _str(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


def _date(value: object) -> float:
    """Seconds, or 0 for what is no date: the event is accepted all the same, and refused when it is read."""
    return float(value) if type(value) is int and value > 0 else 0.0
