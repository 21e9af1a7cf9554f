"""Discord's events as Magpie's: raw gateway or REST JSON in, `Event` out, and back from its payload to `Incoming`. Pure.

The payload is our own JSON, version 1: a token or an attachment link, never a whole Discord object, so that what is stored
stays readable when Discord changes. Who may use the bot is not decided here.
"""

from __future__ import annotations

import hashlib
import json
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from bot.errors import Unreadable
from bot.lanes import command_of, lane_of
from bot.messages import Address, Attachment, Author, ChatKey, Edited, Event, Incoming, Message, Pressed
from bot.phrases import Language

JsonObject = dict[str, Any]  # raw JSON at the rim

PLATFORM = "discord"
VERSION = 1
DISCORD_EPOCH = 1_420_070_400.0  # 2015-01-01: the zero of a snowflake
TOKEN_SECONDS = 15 * 60 - 15  # an interaction's token lives 15 minutes; the rest is for clocks that differ
QUOTED = 2000  # characters of a quoted message, which has no more unless its author paid
STRING, ATTACHMENT = 3, 11  # types of a command's option
_SAID = (0, 19)  # message types: a message, a reply; all others are notes of Discord itself
_VOICE = 1 << 13  # message flag
_FOREVER = 10**9  # seconds
_FORWARD = 1  # message_reference type
_TOKENS = re.compile(r"<(?:@!?(?P<user>\d{1,20})|@&(?P<role>\d{1,20})|a?(?P<emoji>:\w{1,40}:)\d{1,20})>[ \t]*")
_HAN = re.compile("[\u4e00-\u9fff]")
_KANA = re.compile("[\u3040-\u30ff]")
_SNOWFLAKE = re.compile(r"[0-9]{1,20}")
_TOKEN = re.compile(r"[!-9;-~]+")  # part of a URL, and of `Via`, which colons divide


@dataclass(frozen=True, slots=True)
class Me:
    """The bot: its user id and the roles that are only its own, since people pick those from the list as well."""

    id: str
    roles: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Place:
    """A channel, thread or private chat; guild "" in private, parent that of a thread (or a channel's category)."""

    channel: str
    guild: str = ""
    parent: str = ""

    @classmethod
    def told(cls, channel: object, guild: object, parent: object) -> Place:
        """As Discord tells it. Raises TypeError, ValueError for ids that are none."""
        return cls(snowflake(channel), snowflake(guild) if guild else "", snowflake(parent) if parent else "")


@dataclass(frozen=True, slots=True)
class Via:
    """How an interaction's first answer is reached, until `until` (Unix seconds)."""

    application: str
    token: str
    until: float

    def __str__(self) -> str:
        return f"{self.application}:{self.until:.0f}:{self.token}"

    def younger(self, seconds: float) -> bool:
        """Whether the interaction came less than so long ago."""
        return time.time() < self.until - TOKEN_SECONDS + seconds

    @classmethod
    def alive(cls, text: str) -> Via | None:
        """The inverse of `str()`; None when there is none, or its time is over."""
        application, _, rest = text.partition(":")
        until, _, token = rest.partition(":")
        return cls(application, token, float(until)) if token and float(until) > time.time() else None


def snowflake(value: object) -> str:
    """The id, if it is one: what keys an event must not be anything else. Raises TypeError, ValueError."""
    return _matching(_SNOWFLAKE, value)


def _matching(form: re.Pattern[str], value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{type(value).__name__} where a text should be")
    if not form.fullmatch(value):
        raise ValueError("an id of another form")
    return value


def moment(id: str) -> float:
    """When this id was given out, in Unix seconds."""
    return (int(snowflake(id)) >> 22) / 1000 + DISCORD_EPOCH


def person_of(data: JsonObject) -> JsonObject:
    """The user object of a message or an interaction."""
    user: JsonObject = data.get("author") or data.get("user") or data["member"]["user"]
    return user


# --- from Discord ------------------------------------------------------------------------------------------------------


def addressed(data: JsonObject, me: Me, place: Place) -> bool:
    """Whether this message is a person's word to the bot: in private, by mention, or as a reply to one of its messages."""
    author = data["author"]
    if data.get("type", 0) not in _SAID or author.get("bot") or author.get("system") or data.get("webhook_id"):
        return False
    if not place.guild or any(user["id"] == me.id for user in data.get("mentions", ())):
        return True
    if me.roles and not me.roles.isdisjoint(data.get("mention_roles", ())):
        return True
    answered = data.get("referenced_message")
    return answered is not None and _is_reply(data) and answered["author"]["id"] == me.id


def said(data: JsonObject, me: Me, place: Place, *, edited: str = "") -> Event | None:
    """The event of an addressed message, or of its edit at the time `edited`. None when there is nothing in it for us to see
    (its content is kept from us)."""
    text = _text(data, me)
    attached = data.get("attachments") or []
    body = _body(data, me, place, text)
    if place.guild and not data.get("content") and not body["files"] and not body["quote"]:
        return None
    command = command_of(text) is not None
    digest = hashlib.sha256("\0".join([text, *(str(one["id"]) for one in attached)]).encode("utf-8", "replace"))
    return Event(
        platform=PLATFORM,
        bot=me.id,
        event=f"{body['id']}.{_unix(edited):.3f}" if edited else body["id"],
        chat=ChatKey(PLATFORM, place.channel),
        author=body["person"],
        payload=_dump(body | {"kind": "edit" if edited else "message"}),
        at=_unix(edited) if edited else moment(data["id"]),
        lane=lane_of(text),
        message=body["id"],
        joins="" if command or edited else body["person"],
        edits=bool(edited),
        digest=digest.hexdigest()[:32],
        # no settling: Discord's clients attach a long paste as a file, they never cut it
    )


def changed(data: JsonObject, me: Me, place: Place) -> Event | None:
    """The event of an addressed message that a person changed; None for updates that nobody made (link previews)."""
    edited = data.get("edited_timestamp")
    return said(data, me, place, edited=edited) if edited else None


def commanded(data: JsonObject, me: Me, place: Place) -> Event:
    """A slash command as the text that a person would have typed, and the files that came with it."""
    options = data["data"].get("options") or ()
    words = [str(option["value"]) for option in options if option.get("type") != ATTACHMENT]
    sent = (data["data"].get("resolved") or {}).get("attachments") or {}
    attached = [sent[option["value"]] for option in options if option.get("type") == ATTACHMENT]
    text = " ".join([f"/{data['data']['name']}", *words]).strip()
    application, token = snowflake(data["application_id"]), _matching(_TOKEN, data["token"])
    via = Via(application, token, moment(data["id"]) + TOKEN_SECONDS)
    body = _interaction(data, place) | {"kind": "command", "text": text, "via": str(via)}
    body["files"] = _files({"attachments": attached})
    return _acted(data, me, place, data["id"], text, body)


def pressed(data: JsonObject, me: Me, place: Place) -> Event:
    """A press on one of our components."""
    button, message = str(data["data"]["custom_id"]), snowflake(data["message"]["id"])
    body = _interaction(data, place) | {"kind": "press", "button": button, "message": message}
    return _acted(data, me, place, message, button, body)


def _acted(data: JsonObject, me: Me, place: Place, message: str, says: str, body: JsonObject) -> Event:
    return Event(
        platform=PLATFORM,
        bot=me.id,
        event=body["id"],
        chat=ChatKey(PLATFORM, place.channel),
        author=body["person"],
        payload=_dump(body),
        at=moment(data["id"]),
        lane=lane_of(says),
        message=message,
    )


def _interaction(data: JsonObject, place: Place) -> JsonObject:
    user = person_of(data)
    return {
        "v": VERSION,
        "id": snowflake(data["id"]),
        "channel": place.channel,
        "guild": place.guild,
        "person": snowflake(user["id"]),
        "name": _name(user, data.get("member")),
        "language": interface_language(data),
        "at": moment(data["id"]),
    }


def interface_language(data: JsonObject) -> Language:
    """The language of the person's client, which interactions tell."""
    return "zh" if str(data.get("locale", "")).startswith("zh") else "en"


def language_of(text: str) -> Language:
    """Messages do not tell their language: Han letters without kana are taken for Chinese."""
    return "zh" if _HAN.search(text) and not _KANA.search(text) else "en"


def _body(data: JsonObject, me: Me, place: Place, text: str) -> JsonObject:
    user = data["author"]
    replies_to, quote, quoted = _reply(data, me)
    return {
        "v": VERSION,
        "id": snowflake(data["id"]),
        "channel": place.channel,
        "guild": place.guild,
        "person": snowflake(user["id"]),
        "name": _name(user, data.get("member")),
        "language": language_of(text),
        "at": moment(data["id"]),
        "text": text,
        "files": _files(data) + _quoted_pictures(data, me),
        "replies_to": replies_to,
        "quote": quote,
        "quoted": quoted,
    }


def _text(data: JsonObject, me: Me) -> str:
    """The content with the bot's own mention taken out and everyone else's as a name."""
    content: str = data.get("content") or ""
    if "<" not in content:
        return content.strip()
    names = {user["id"]: _name(user, user.get("member")) for user in data.get("mentions", ())}

    def readable(match: re.Match[str]) -> str:
        token = match[0]
        space = token[token.index(">") + 1 :]
        if match["emoji"]:
            return match["emoji"] + space
        if match["role"]:
            return "" if match["role"] in me.roles else "@role" + space
        return "" if match["user"] == me.id else f"@{names.get(match['user'], 'someone')}{space}"

    text = _TOKENS.sub(readable, content)
    if content.lstrip().startswith((f"<@{me.id}>", f"<@!{me.id}>")):
        text = text.lstrip(" ,:，：")  # "@magpie: hello"
    return text.strip()


def _name(user: JsonObject, member: JsonObject | None) -> str:
    return str((member or {}).get("nick") or user.get("global_name") or user.get("username") or user["id"])


def _is_reply(data: JsonObject) -> bool:
    reference: JsonObject = data.get("message_reference") or {}
    return bool(reference.get("type", 0) != _FORWARD)


def _reply(data: JsonObject, me: Me) -> tuple[str, str, str]:
    """(the message of ours that it replies to, the text of another's that it replies to or forwards, that other's name)."""
    for snapshot in data.get("message_snapshots", ()):
        return "", _text(snapshot["message"], me)[:QUOTED], ""
    answered = data.get("referenced_message")
    if not answered or not _is_reply(data):
        return "", "", ""
    if answered["author"]["id"] == me.id:
        return snowflake(answered["id"]), "", ""
    return "", _text(answered, me)[:QUOTED], _name(answered["author"], None)


def _quoted_pictures(data: JsonObject, me: Me) -> list[list[str | int | float]]:
    """Those of what it forwards, or of another's message that it replies to: nobody has shown them to us."""
    quoted = [snapshot["message"] for snapshot in data.get("message_snapshots", ())]
    answered = data.get("referenced_message")
    if not quoted and answered and _is_reply(data) and answered["author"]["id"] not in (me.id, data["author"]["id"]):
        quoted = [answered]
    return [file for message in quoted for file in _files(message) if file[0] == "image"]


def _files(data: JsonObject) -> list[list[str | int | float]]:
    """Attachments as [kind, ref, name, mime, size, seconds]."""
    voice = bool(data.get("flags", 0) & _VOICE)
    found: list[list[str | int | float]] = []
    for one in data.get("attachments") or ():
        mime = str(one.get("content_type") or "").partition(";")[0]
        family = mime.partition("/")[0]
        kind = "voice" if voice else family if family in ("image", "video") else "file"
        size, seconds = one.get("size"), one.get("duration_secs")
        found.append(
            [
                *(kind, str(one["url"]), str(one.get("filename") or ""), mime),
                *(size if type(size) is int else 0, _duration(seconds)),
            ]
        )
    found += [["other", "", "sticker", "", 0] for _ in data.get("sticker_items") or ()]
    return found + ([["other", "", "poll", "", 0]] if data.get("poll") else [])


def _duration(seconds: object) -> float:
    """Seconds, 0 for what is none; a number may be larger than any that a float holds."""
    return float(max(0.0, min(seconds, _FOREVER))) if type(seconds) is int or type(seconds) is float else 0.0


def _unix(timestamp: str) -> float:
    return datetime.fromisoformat(timestamp).timestamp()


def _dump(body: JsonObject) -> str:
    # ASCII escapes also carry what is no UTF-8: a lone half of a surrogate pair
    return json.dumps(body, separators=(",", ":"))


# --- from the inbox ----------------------------------------------------------------------------------------------------


def incoming(payload: str, owns: Callable[[str], bool]) -> Incoming:
    """What a stored event says; `owns` tells an owner by id. Raises Unreadable."""
    try:
        body = json.loads(payload)
        if body["v"] != VERSION:
            raise Unreadable(f"payload version {body['v']}")
        return _incoming(body, owns)
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise Unreadable(f"not a payload of ours: {error!r}") from error


def _incoming(body: JsonObject, owns: Callable[[str], bool]) -> Incoming:
    chat, group = ChatKey(PLATFORM, body["channel"]), bool(body["guild"])
    author = Author(body["person"], body["name"], owns(body["person"]))
    if body["kind"] == "press":
        reply_to = body["message"] if group else ""
        return Pressed(body["button"], author, Address(chat, reply_to, group=group), body["language"])
    via = body.get("via", "")
    message = Message(
        id=body["id"],
        author=author,
        # nothing can reply to an interaction: its own first answer stands below the command
        address=Address(chat, body["id"] if group and not via else "", via, group),
        text=body["text"],
        at=body["at"],
        language=body["language"],
        attachments=tuple(Attachment(*one) for one in body.get("files", ())),
        replies_to=body.get("replies_to", ""),
        quote=body.get("quote", ""),
        quoted=body.get("quoted", ""),
    )
    return Edited(message) if body["kind"] == "edit" else message
