"""Slash commands: the menu's entries as Discord registers them, and the choices offered while one is typed."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence

from bot.phrases import Phrase
from bot.platforms.discord_read import ATTACHMENT, STRING, JsonObject
from bot.platforms.discord_rest import Rest
from bot.ports import Cursors, MenuEntry

NOTE = "discord/commands"
MOST_CHOICES, LONGEST_CHOICE, LONGEST_DESCRIPTION, LONGEST_NAME, LONGEST_VALUE = 25, 100, 100, 32, 6000
CHAT_INPUT = 1  # a command's type
EVERY_PLACE = [0, 1]  # contexts: servers and the bot's private chats, not those between others
CHINESE = ("zh-CN", "zh-TW")

_OPTIONAL = re.compile(r"\[[^]]*\]\s+(?=\S)")
_NO_NAME = re.compile(r"[^\w-]+")


def commands(menu: Sequence[MenuEntry]) -> list[JsonObject]:
    """The body of the bulk overwrite."""
    return [_command(entry) for entry in menu]


def _command(entry: MenuEntry) -> JsonObject:
    command: JsonObject = {"name": entry.name, "type": CHAT_INPUT, "contexts": EVERY_PLACE} | _described(entry.help)
    options: list[JsonObject] = []
    if entry.argument is not None:
        option = _option(STRING, entry.argument) | {"required": entry.required, "max_length": LONGEST_VALUE}
        options.append(option | ({"autocomplete": True} if entry.choices is not None else {}))
    if entry.attachment is not None:  # Discord takes no file with a command that does not say so
        options.append(_option(ATTACHMENT, entry.attachment) | {"required": False})
    return command | ({"options": options} if options else {})


def _option(kind: int, named: Phrase) -> JsonObject:
    names = {locale: _name(named.zh) for locale in CHINESE}
    return {"type": kind, "name": _name(named.en), "name_localizations": names} | _described(named)


def _described(phrase: Phrase) -> JsonObject:
    chinese = phrase.zh[:LONGEST_DESCRIPTION]
    return {
        "description": phrase.en[:LONGEST_DESCRIPTION],
        "description_localizations": dict.fromkeys(CHINESE, chinese),
    }


def _name(text: str) -> str:
    """An option's name as Discord allows it: small letters, digits, - and _. "[WxH] prompt" is called by what must be there."""
    return _NO_NAME.sub("_", _OPTIONAL.sub("", text).lower()).strip("_")[:LONGEST_NAME] or "text"


async def register(rest: Rest, cursors: Cursors, application: str, menu: Sequence[MenuEntry]) -> None:
    """One call, and only when the menu differs from what was registered last. Raises PlatformError, StorageError."""
    body = commands(menu)
    mark = f"{application} {hashlib.sha256(json.dumps(body).encode()).hexdigest()}"
    if (await cursors.notes(NOTE)).get(NOTE) != mark:
        await rest.call("PUT", f"/applications/{application}/commands", body, limit="commands")
        await cursors.note({NOTE: mark})


def choices(data: JsonObject, menu: Sequence[MenuEntry]) -> list[JsonObject]:
    """What an autocomplete answers."""
    entry = next((one for one in menu if one.name == data["data"]["name"]), None)
    typed = next((str(option["value"]) for option in data["data"].get("options", ()) if option.get("focused")), "")
    if entry is None or entry.choices is None:
        return []
    offered = dict.fromkeys(one for one in entry.choices(typed) if 0 < len(one) <= LONGEST_CHOICE)
    return [{"name": one, "value": one} for one in list(offered)[:MOST_CHOICES]]
