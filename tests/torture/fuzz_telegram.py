"""Telegram's updates of every kind in the Bot API, as python-telegram-bot's classes describe them: their constructors tell each
field and its type, so that a newer Bot API comes with a newer library. Pure, by a seed."""

from __future__ import annotations

import collections.abc
import datetime
import inspect
import random
import time
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

import telegram
from telegram import constants

Json = dict[str, Any]

BOT, NAME = 42, "magpie_bot"
PEOPLE = (1001, 1002, 1003)
GROUPS = (-100200300400, -555)
DEEPEST = 4  # levels of optional objects
RARELY = 0.06  # how often an optional field of a large class is there
_KINDS = tuple(
    name for name in inspect.signature(telegram.Update.__init__).parameters if name not in ("self", "update_id", "api_kwargs")
)  # fmt: skip
_TEXTS = (
    "hello", "你好，今天天气怎么样？", "/help", "/model glm", f"/image@{NAME} a fox", f"@{NAME} what?", "/stop", "/reset",
    "**bold** `code`", "😀👍🏽 x", "שלום", "x" * 4_096, "a\nb", f"/ask@{NAME} why", "/undo@another_bot",
)  # fmt: skip
_ENTITIES = ("mention", "bot_command", "text_mention", "bold", "url", "pre", "custom_emoji")
_CONTENT = tuple(
    str(kind) for kind in constants.MessageType if str(kind) in inspect.signature(telegram.Message.__init__).parameters
)


class Updates:
    """`one()` is a sound update. Ids rise; people, groups and messages come again, as in life."""

    def __init__(
        self,
        chance: random.Random,
        *,
        people: Sequence[int] = PEOPLE,
        groups: Sequence[int] = GROUPS,
        bot: int = BOT,
        name: str = NAME,
    ) -> None:
        self._chance = chance
        self._people, self._groups, self._bot, self._name = people, groups, bot, name
        self._id = chance.randrange(10**8)
        self._named: Mapping[str, Callable[[], object]] = {
            "language_code": lambda: self._chance.choice(("en", "zh-hans", "de", None)),
            "text": self._text,
            "caption": self._text,
            "data": lambda: self._chance.choice(("b.abc", "stop.Xy_z-1", "x", "/stop")),
            "mime_type": lambda: self._chance.choice(("image/png", "image/jpeg", "text/plain", "audio/ogg")),
            "file_name": lambda: self._chance.choice(("a.png", "税.xlsx", "../x", "")),
            "first_name": lambda: self._chance.choice(("Ann", "Бен", "陈", "")),
            "status": lambda: self._chance.choice(("member", "left", "kicked", "administrator", "restricted")),
            "message_thread_id": lambda: self._chance.choice((1, 7)),
            "message_id": lambda: self._chance.randint(1, 50),
            "offset": lambda: self._chance.choice((0, 0, 0, 1, 5)),
            "length": lambda: self._chance.choice((1, len(NAME) + 1, 5, 20)),
            "file_size": lambda: self._chance.choice((0, 1_000, 50_000_000)),
            "migrate_to_chat_id": lambda: self._chance.choice(self._groups),
            "migrate_from_chat_id": lambda: self._chance.choice(self._groups),
        }

    def one(self) -> Json:
        self._id += self._chance.randint(1, 3)
        kinds = ("message",) * 12 + ("edited_message", "callback_query", "my_chat_member") * 3 + _KINDS
        kind = self._chance.choice(kinds)
        return {"update_id": self._id, kind: self._value(_fields(telegram.Update)[kind][0], kind, 0)}

    # --- by type -------------------------------------------------------------------------------------------------------

    def _value(self, wanted: Any, name: str, depth: int) -> Any:
        if name in self._named:
            return self._named[name]()
        origin = typing.get_origin(wanted)
        if origin in (types.UnionType, typing.Union):
            return self._value(self._chance.choice(_without_none(wanted)), name, depth)
        if origin in (collections.abc.Sequence, list, tuple):
            inner = (typing.get_args(wanted) or (str,))[0]
            return [self._value(inner, name, depth) for _ in range(self._chance.choice((0, 1, 1, 3)))]
        wanted = _resolved(wanted)
        if inspect.isclass(wanted):
            return self._of_class(wanted, name, depth)
        return self._text()

    def _of_class(self, wanted: type, name: str, depth: int) -> Any:
        if wanted is bool:
            return self._chance.random() < 0.3
        if wanted is int:
            return self._chance.choice((0, 1, 7, 300, 10**9))
        if wanted is float:
            return self._chance.random() * 100
        if wanted is datetime.datetime:
            return int(time.time()) - self._chance.choice((0, 5, 7_200))
        if issubclass(wanted, telegram.TelegramObject):
            return self._object(wanted, depth)
        return self._text()

    def _object(self, wanted: type, depth: int) -> Json:
        if wanted is telegram.Chat:
            return self._chat()
        if wanted is telegram.User:
            return self._person()
        if wanted is telegram.MessageEntity:
            told = {"type": self._chance.choice(_ENTITIES), "offset": self._value(int, "offset", 9)}
            return told | {"length": self._value(int, "length", 9), "user": self._person()}
        made: Json = {}
        for name, (kind, needed) in _fields(wanted).items():
            often = RARELY if len(_fields(wanted)) > 20 else 0.4
            if needed or (depth < DEEPEST and self._chance.random() < often):
                made[name] = self._value(kind, name, depth + 1)
        if wanted is telegram.Message:
            made |= {"from": self._person(), **self._content(depth)}
        return made

    def _content(self, depth: int) -> Json:
        name = "text" if self._chance.random() < 0.5 else self._chance.choice(_CONTENT)
        fields = _fields(telegram.Message)
        content: Json = {name: self._value(fields[name][0], name, depth + 1)}
        if name == "text" and self._chance.random() < 0.4:
            content["entities"] = self._value(fields["entities"][0], "entities", depth + 1)
        return content

    def _chat(self) -> Json:
        if self._chance.random() < 0.6:
            return {"id": self._chance.choice(self._people), "type": "private", "first_name": "Ann"}
        kind = self._chance.choice(("group", "supergroup", "supergroup", "channel"))
        return {"id": self._chance.choice(self._groups), "type": kind, "title": "Friends", "is_forum": True}

    def _person(self) -> Json:
        if self._chance.random() < 0.1:
            return {"id": self._bot, "is_bot": True, "first_name": "Magpie", "username": self._name}
        id = self._chance.choice(self._people)
        return {
            "id": id,
            "is_bot": False,
            "first_name": f"P{id}",
            "language_code": self._value(str, "language_code", 9),
        }

    def _text(self) -> str:
        return self._chance.choice(_TEXTS).replace(NAME, self._name)


@cache
def _fields(kind: type) -> dict[str, tuple[Any, bool]]:
    """Each JSON field of a class: its type, and whether it is always there."""
    found: dict[str, tuple[Any, bool]] = {}
    for name, parameter in inspect.signature(kind).parameters.items():
        if name == "api_kwargs" or parameter.kind is parameter.VAR_KEYWORD:
            continue
        json_name = "from" if name == "from_user" else name
        found[json_name] = (_resolved(parameter.annotation), parameter.default is parameter.empty)
    return found


def _resolved(annotation: Any) -> Any:
    """A class named by its name, alone ("Message | None") or inside of others (ForwardRef)."""
    if isinstance(annotation, typing.ForwardRef):
        annotation = annotation.__forward_arg__
    if isinstance(annotation, str):
        return getattr(telegram, annotation.removesuffix(" | None"), str)
    return annotation


def _without_none(union: Any) -> list[Any]:
    return [one for one in typing.get_args(union) if one is not types.NoneType]
