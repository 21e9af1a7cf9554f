"""What Telegram refuses, and in which words: texts, entities, keyboards.

Pure functions over decoded JSON; no chats, no sockets. Markup languages (parse_mode) are in telegram_markup.
The wording follows the public Bot API server and TDLib.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NoReturn
from urllib.parse import urlsplit

Json = dict[str, Any]


def words(text: str) -> frozenset[str]:
    return frozenset(text.split())


MAX_TEXT = 4096  # UTF-16 units after parsing
MAX_CAPTION = 1024
MAX_ENTITIES = 100  # undocumented; the rest is dropped without a word
MAX_CALLBACK_DATA = 64  # bytes

STYLES = words("bold italic underline strikethrough spoiler code pre blockquote expandable_blockquote")
GIVEN = STYLES | {"text_link", "text_mention", "custom_emoji", "date_time"}
# Telegram finds these by itself; given ones are ignored without an error.
FOUND = words("mention hashtag cashtag bot_command url email phone_number bank_card_number")

# TDLib turns these into spaces; CR, the Unicode line separators and the direction overrides vanish.
_TO_SPACE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f]")
_DROPPED = re.compile("[\r\u2028-\u202e]")
_UNCLEAN = re.compile("[\x00-\x08\x0b-\x1f\u2028-\u202e]")
_BLANK = re.compile("[\\s\u200b-\u200f\u2060\u2800\ufeff\u3164]*")


@dataclass(slots=True)
class Refusal(Exception):
    """An answer with ok=false: HTTP status (= error_code), description, and `parameters`."""

    status: int
    description: str
    parameters: dict[str, int] = field(default_factory=dict)


def bad(reason: str) -> NoReturn:
    raise Refusal(400, f"Bad Request: {reason}")


def forbidden(reason: str) -> NoReturn:
    raise Refusal(403, f"Forbidden: {reason}")


def utf16(text: str) -> int:
    """Length in UTF-16 code units, as Telegram counts."""
    return len(text) if text.isascii() else len(text.encode("utf-16-le")) // 2


@dataclass(slots=True)
class _Span:
    """An entity whose bounds are code points of the text while this is being cleaned."""

    start: int
    end: int
    rest: Json


def check_utf8(value: object) -> None:
    """A lone surrogate anywhere in the parameters refuses the whole call."""
    if isinstance(value, str):
        if not value.isascii():
            try:
                value.encode()
            except UnicodeEncodeError:
                bad("strings must be encoded in UTF-8")
    elif isinstance(value, dict):
        for item in value.values():
            check_utf8(item)
    elif isinstance(value, list):
        for item in value:
            check_utf8(item)


def formatted(text: str, given: object, limit: int, too_long: str) -> tuple[str, tuple[Json, ...]]:
    """The text and entities as Telegram would store them: cleaned, trimmed, at most `limit` UTF-16 units."""
    spans = _spans(text, _entities(given)) if given else []
    if _UNCLEAN.search(text):
        text = _clean(text, spans)
    text = _trim(text, spans)
    if utf16(text) > limit:
        bad(too_long)
    return text, _stored(text, spans) if spans else ()


def is_blank(text: str) -> bool:
    return _BLANK.fullmatch(text) is not None


def _entities(given: object) -> list[Json]:
    if not isinstance(given, list):
        bad("can't parse entities: entities must be an Array")
    kept = []
    for entity in given:
        if not isinstance(entity, dict):
            bad("can't parse MessageEntity: expected an Object")
        for name in ("type", "offset", "length"):
            if name not in entity:
                bad(f"can't parse MessageEntity: Can't find field \"{name}\"")
        kind, offset, length = entity["type"], entity["offset"], entity["length"]
        if type(offset) is not int or type(length) is not int:
            bad('can\'t parse MessageEntity: Field "offset" must be of type Number')
        if kind in FOUND:
            continue
        if kind not in GIVEN:
            bad("can't parse MessageEntity: Unsupported type specified")
        _check_attributes(entity)
        if not 0 <= offset <= 1_000_000:
            bad(f"receive an entity with incorrect offset {offset}")
        if not 0 <= length <= 1_000_000:
            bad(f"receive an entity with incorrect length {length}")
        if length:
            kept.append(entity)
    return kept


def _check_attributes(entity: Json) -> None:
    need = {
        "text_link": "url",
        "text_mention": "user",
        "custom_emoji": "custom_emoji_id",
        "date_time": "unix_time",
    }
    name = need.get(entity["type"])
    if name is not None and name not in entity:
        bad(f"can't parse MessageEntity: Can't find field \"{name}\"")
    if name == "url":
        check_url("entity URL", entity["url"])


def check_url(what: str, url: object) -> None:
    """Telegram's idea of a link: http(s) with a dotted host, tg://, ton:// or mailto:."""
    if not isinstance(url, str) or not url.strip():
        bad(f"{what} '{url}' is invalid: URL must be non-empty")
    full = url if re.match(r"[A-Za-z][\w+.-]*:", url) else f"http://{url}"
    try:
        parts = urlsplit(full)
        host = parts.hostname or ""
    except ValueError:
        bad(f"{what} '{url}' is invalid: Wrong HTTP URL")
    if parts.scheme in ("tg", "ton", "tonsite", "mailto"):
        return
    if parts.scheme not in ("http", "https"):
        bad(f"{what} '{url}' is invalid: Unsupported URL protocol")
    if "." not in host.strip(".") and not host.startswith("[") and ":" not in host:
        bad(f"{what} '{url}' is invalid: Wrong HTTP URL")


def _spans(text: str, entities: list[Json]) -> list[_Span]:
    """UTF-16 offsets into code point ones; refuses what is out of bounds or cuts a surrogate pair."""
    if not entities:
        return []
    units = utf16(text)
    at: Mapping[int, int] | range = range(units + 1)
    if units != len(text):
        steps = itertools.accumulate((2 if char > "\uffff" else 1 for char in text), initial=0)
        at = {unit: index for index, unit in enumerate(steps)}
    spans = []
    for entity in sorted(entities, key=lambda e: (e["offset"], -e["length"])):
        first, last = entity["offset"], entity["offset"] + entity["length"]
        if first > units:
            bad(f"entity begins after the end of the text at UTF-16 offset {first}")
        if last > units:
            bad(f"entity beginning at UTF-16 offset {first} ends after the end of the text at UTF-16 offset {last}")
        if first not in at:
            bad(f"entity begins in a middle of a UTF-16 symbol at byte offset {_bytes(text, at[first - 1] + 1)}")
        if last not in at:
            where = _bytes(text, at[last - 1] + 1)
            bad(f"entity beginning at UTF-16 offset {first} ends in a middle of a UTF-16 symbol at byte offset {where}")
        rest = {k: v for k, v in entity.items() if k not in ("offset", "length")}
        spans.append(_Span(at[first], at[last], rest))
    return spans


def _bytes(text: str, index: int) -> int:
    return len(text[:index].encode())


def _clean(text: str, spans: list[_Span]) -> str:
    text = _TO_SPACE.sub(" ", text)
    if spans:
        gone = [match.start() for match in _DROPPED.finditer(text)]
        for span in spans:
            span.start -= sum(1 for index in gone if index < span.start)
            span.end -= sum(1 for index in gone if index < span.end)
    return _DROPPED.sub("", text)


def _trim(text: str, spans: list[_Span]) -> str:
    """White space at both ends goes; at the start only up to the first entity, as in TDLib's fix_formatted_text."""
    text = text.rstrip(" \n\t")
    lead = len(text) - len(text.lstrip(" \n\t"))
    if spans:
        lead = min(lead, min(span.start for span in spans))
        for span in spans:
            span.start, span.end = span.start - lead, min(span.end - lead, len(text) - lead)
    return text[lead:]


def _stored(text: str, spans: list[_Span]) -> tuple[Json, ...]:
    kept = []
    for span in spans[:MAX_ENTITIES]:
        if text[span.start : span.end].strip():
            offset = utf16(text[: span.start])
            length = utf16(text[span.start : span.end])
            kept.append({"offset": offset, "length": length, **span.rest})
    return tuple(kept)


# What a button may do; exactly one of them is needed.
_ACTIONS = (
    *(
        "url",
        "callback_data",
        "web_app",
        "login_url",
        "switch_inline_query",
        "switch_inline_query_current_chat",
    ),
    *("switch_inline_query_chosen_chat", "copy_text", "callback_game", "pay"),
)


def reply_markup(given: object, *, inline_only: bool = False) -> Json | None:
    """The keyboard as stored, or None for none; only an inline one may be set by an edit."""
    if given is None:
        return None
    if not isinstance(given, dict):
        bad("object expected as reply markup")
    if "inline_keyboard" not in given:
        if inline_only:
            bad("inline keyboard expected")
        if not given.keys() & {"keyboard", "remove_keyboard", "force_reply"}:
            return None
        return given
    rows = given["inline_keyboard"]
    if not isinstance(rows, list) or not all(isinstance(row, list) for row in rows):
        bad('field "inline_keyboard" must be of type Array')
    buttons = [button for row in rows for button in row]
    for button in buttons:
        _check_button(button)
    if len(buttons) > 100:
        bad("REPLY_MARKUP_TOO_LONG")
    return {"inline_keyboard": [row for row in rows if row]} if buttons else None


def _check_button(button: object) -> None:
    if not isinstance(button, dict):
        bad("can't parse inline keyboard button: expected an Object")
    text = button.get("text")
    if text is None:
        bad("can't parse inline keyboard button: Can't find field \"text\"")
    if not isinstance(text, str):
        bad('can\'t parse inline keyboard button: Field "text" must be of type String')
    if not text.strip():
        bad("inline keyboard button text must be non-empty")
    actions = [name for name in _ACTIONS if button.get(name) not in (None, "")]
    if not actions:
        bad("can't parse inline keyboard button: Text buttons are unallowed in the inline keyboard")
    if "url" in button:
        check_url("inline keyboard button URL", button["url"])
    data = button.get("callback_data")
    if data is not None and (not isinstance(data, str) or len(data.encode()) > MAX_CALLBACK_DATA):
        bad("BUTTON_DATA_INVALID")


def check_commands(given: object) -> list[Json]:
    """setMyCommands: up to 100 of ^[a-z0-9_]{1,32}$ with descriptions of 1 to 256 characters."""
    if not isinstance(given, list):
        bad("can't parse commands JSON object")
    if len(given) > 100:
        bad("BOT_COMMANDS_TOO_MUCH")
    for command in given:
        if not isinstance(command, dict):
            bad("can't parse BotCommand: expected an Object")
        if not re.fullmatch(r"/?[a-z0-9_]{1,32}", str(command.get("command", ""))):
            bad("BOT_COMMAND_INVALID")
        if not 1 <= len(str(command.get("description", "")).strip()) <= 256:
            bad("BOT_COMMAND_DESCRIPTION_INVALID")
    return [{"command": c["command"].lstrip("/"), "description": c["description"]} for c in given]
