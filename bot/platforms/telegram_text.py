"""Texts as Telegram counts them, in UTF-16 units, and what a message says once the bot's own name is out of it. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

Json = dict[str, Any]

_ASTRAL = re.compile("[\U00010000-\U0010ffff]")
_AFTER_NAME = " ,:，："  # "@bot, hello" is "hello"


@dataclass(frozen=True, slots=True)
class Me:
    """The bot itself: its numeric id and its name without the @ ("" while it is not known yet)."""

    id: int
    name: str = ""


@dataclass(frozen=True, slots=True)
class Said:
    """A text without the bot's name; whether it addresses the bot (by name, by a command, by a reply), or commands
    `another` bot."""

    text: str
    addressed: bool
    another: bool = False


def said(body: Json, me: Me) -> Said:
    """Text or caption of a message: `@bot` goes out of it, `/image@bot` becomes `/image`. Raises KeyError, TypeError and
    the like for what is no message."""
    where = "text" if "text" in body else "caption"
    text = body.get(where, "")
    entities = body.get("entities" if where == "text" else "caption_entities")
    addressed = replies_to_us(body, me)
    if not entities:
        return Said(sound(text).strip(), addressed)
    wide, name, another = widened(text), f"@{me.name}".lower(), False
    cuts: list[tuple[int, int]] = []
    for entity in entities:
        start, end = entity["offset"], entity["offset"] + entity["length"]
        token = wide[start:end].lower()
        match entity["type"]:
            case "mention" if token == name:
                cuts.append((start, end))
            case "text_mention" if entity["user"]["id"] == me.id:
                cuts.append((start, end))
            case "bot_command":
                command, at, target = token.partition("@")
                if at + target == name:
                    cuts.append((start + len(command), end))
                elif not _without(cuts, wide[:start]).strip():
                    addressed, another = addressed or not at, bool(at)
            case _:
                pass
    return Said(sound(_without(cuts, wide)).strip(), addressed or bool(cuts), another)


def _without(cuts: list[tuple[int, int]], wide: str) -> str:
    out, at = "", 0
    for start, end in cuts:
        out += wide[at:start]
        rest = wide[end:]
        if not out.strip():
            at = len(wide) - len(rest.lstrip(_AFTER_NAME))
        else:
            at = end + (out[-1].isspace() and rest.startswith(" "))
    return out + wide[at:]


def replies_to_us(body: Json, me: Me) -> bool:
    answered = replied(body)
    return answered is not None and bool(answered.get("from", {}).get("id") == me.id)


def replied(body: Json) -> Json | None:
    """The message that this one replies to. A topic's first message stands there where nothing is replied to."""
    answered: Json | None = body.get("reply_to_message")
    return None if answered is None or "forum_topic_created" in answered else answered


def sound(text: str) -> str:
    """Without what no store and no model takes: NUL and halves of surrogate pairs."""
    return narrowed(text.replace("\0", ""))


def units(text: str) -> int:
    """The length as Telegram counts it."""
    return len(text) if text.isascii() else len(text.encode("utf-16-le", "surrogatepass")) // 2


def widened(text: str) -> str:
    """One character per UTF-16 unit, so that offsets and limits are Telegram's."""
    return text if text.isascii() else _ASTRAL.sub(_pair, text)


def narrowed(wide: str) -> str:
    """The inverse of `widened`; halves of a pair become replacement characters."""
    return wide if wide.isascii() else wide.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def _pair(found: re.Match[str]) -> str:
    number = ord(found[0]) - 0x10000
    return chr(0xD800 + (number >> 10)) + chr(0xDC00 + (number & 0x3FF))
