"""The readers of all platforms, in this process and at full speed: of whatever comes only the documented refusals come out, and
what is accepted has the types that the rest of the house counts on. What then happens to it in the whole product is
`fuzz_product.py`'s.
"""

from __future__ import annotations

import json
import math
import random
import types
import typing
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from functools import cache
from typing import Any, Literal

from bot.errors import Unreadable
from bot.messages import ChatKey, Event, Incoming, Moved
from bot.platforms import discord_read, telegram_read, web_payload
from bot.platforms.telegram_text import Me
from tests.torture import fuzz_discord, fuzz_telegram
from tests.torture.fuzz_mutate import mutated
from tests.torture.part import Tally

MUTANTS = 5  # of each sound update
MOST_TOLD = 20  # things wrong: the first ones tell
TOLD = 2_000  # characters of an update

Read = Callable[[str], Incoming]
Take = Callable[[Any], tuple[Event | None, Read]]  # raises what is documented for its platform

_DISCORD_REFUSALS = (
    KeyError,
    TypeError,
    ValueError,
    AttributeError,
    RecursionError,
)  # a line in the log, and the next event
_STORED_TEXTS = ("platform", "bot", "event", "author", "message", "joins", "digest", "payload")


def fuzz(tally: Tally, chance: random.Random, enough: Callable[[int], bool]) -> None:
    """Sound updates and mutants of them until there are `enough`."""
    telegram, discord = fuzz_telegram.Updates(chance), fuzz_discord.Dispatches(chance)
    count = 0
    while not enough(count) and len(tally.wrong) < MOST_TOLD:
        match chance.choice(("telegram", "telegram", "discord", "web")):
            case "telegram":
                _each(tally, chance, "telegram", telegram.one(), _take_telegram, telegram_read.Ignored)
            case "discord":
                name, data = discord.one()
                take = _DISCORD_TAKES.get(name)
                if take is None:
                    continue
                _each(tally, chance, "discord", data, take, *_DISCORD_REFUSALS)
            case _:
                refusals = (web_payload.Malformed, web_payload.TooLong)
                _each(tally, chance, "web", _said(chance), _take_web, *refusals)
        count += MUTANTS + 1


def _each(tally: Tally, chance: random.Random, name: str, sound: Any, take: Take, *refusals: type[Exception]) -> None:
    for update in (sound, *(mutated(sound, chance) for _ in range(MUTANTS))):
        tally.tried[f"{name} updates"] += 1
        try:
            what = _once(chance, update, take, refusals)
        except Exception as error:  # noqa: BLE001  # what comes out that is not documented is what this looks for
            tally.wrong.append(f"{name}: {error!r} from {_told(update)}")
        else:
            tally.tried[f"{name} {what}"] += 1


def _once(chance: random.Random, update: Any, take: Take, refusals: tuple[type[Exception], ...]) -> str:
    try:
        event, read = take(update)
    except Unreadable:
        return "refused"
    except refusals:
        return "refused"
    if event is None:
        return "ignored"
    _check_event(event)
    _damaged(chance, event, read)
    try:
        incoming = read(event.payload)
    except Unreadable:
        return "dead letters"
    _check(incoming, type(incoming), "")
    if not isinstance(incoming, Moved):
        _check_numbers(event)
    return "read"


def _damaged(chance: random.Random, event: Event, read: Read) -> None:
    """What was stored may be damaged there, too."""
    if chance.random() < 0.2:
        try:
            read(json.dumps(mutated(json.loads(event.payload), chance)))
        except (Unreadable, RecursionError):  # the latter: it cannot even be written
            return


# --- what the rest of the house counts on --------------------------------------------------------------------------------


def _check_event(event: Event) -> None:
    """A database of either kind takes it."""
    for name in _STORED_TEXTS:
        value = getattr(event, name)
        assert isinstance(value, str), f"{name} is {value!r:.100}"
        assert "\0" not in value, f"{name} has a NUL"
        value.encode()
    for chat in filter(None, (event.chat, event.moves_to)):
        assert ChatKey.parse(str(chat)) == chat, f"{chat!r} is another once it is written"
    assert math.isfinite(event.at) and 0 <= event.settle <= 1, f"{event.at} and {event.settle} s"


def _check_numbers(event: Event) -> None:
    """Where answers go is a number on both platforms that have numbers."""
    if event.platform != web_payload.NAME:
        int(event.chat.chat), int(event.author or 0), int(event.message or 0)


def _check(value: Any, wanted: Any, where: str) -> None:
    """That a value of the house has the types that its class says."""
    origin, inner = typing.get_origin(wanted), typing.get_args(wanted)
    if origin in (types.UnionType, typing.Union):
        assert any(_fits(value, one) for one in inner), f"{where} is {value!r:.100}"
    elif origin is typing.Literal:
        assert value in inner, f"{where} is {value!r:.100}"
    elif origin is tuple:
        assert isinstance(value, tuple), f"{where} is {value!r:.100}"
        for one in value:
            _check(one, inner[0], where)
    elif is_dataclass(wanted):
        assert isinstance(value, typing.cast(type, wanted)), f"{where} is {value!r:.100}"
        for name, hint in _hints(typing.cast(type, wanted)).items():
            _check(getattr(value, name), hint, f"{where}.{name}")
    elif wanted is float:
        assert type(value) in (int, float) and math.isfinite(value), f"{where} is {value!r:.100}"
    else:
        assert type(value) is wanted, f"{where} is {value!r:.100}"


def _fits(value: Any, wanted: Any) -> bool:
    try:
        _check(value, wanted, "")
    except AssertionError:
        return False
    return True


@cache
def _hints(kind: type) -> dict[str, Any]:
    hints: dict[str, Any] = typing.get_type_hints(kind)
    return {field.name: hints[field.name] for field in fields(typing.cast(Any, kind))}


def _told(update: Any) -> str:
    try:
        return json.dumps(update)[:TOLD]
    except (ValueError, RecursionError) as error:
        return f"an update that cannot be told: {error!r}"


# --- how each platform takes an update -----------------------------------------------------------------------------------

_TELEGRAM = Me(fuzz_telegram.BOT, fuzz_telegram.NAME)
_DISCORD = discord_read.Me(fuzz_discord.BOT, frozenset({"5"}))


def _nobody(person: str) -> bool:
    return False


def _take_telegram(update: Any) -> tuple[Event | None, Read]:
    event = telegram_read.key(update, _TELEGRAM).event
    return event, lambda payload: telegram_read.read(payload, _TELEGRAM, _nobody)


def _read_discord(payload: str) -> Incoming:
    return discord_read.incoming(payload, _nobody)


def _take_message(data: Any) -> tuple[Event | None, Read]:
    place = discord_read.Place.told(data["channel_id"], data.get("guild_id"), None)
    is_ours = discord_read.addressed(data, _DISCORD, place)
    return (discord_read.said(data, _DISCORD, place) if is_ours else None), _read_discord


def _take_edit(data: Any) -> tuple[Event | None, Read]:
    place = discord_read.Place.told(data["channel_id"], data.get("guild_id"), None)
    is_ours = discord_read.addressed(data, _DISCORD, place)
    return (discord_read.changed(data, _DISCORD, place) if is_ours else None), _read_discord


def _take_interaction(data: Any) -> tuple[Event | None, Read]:
    place = discord_read.Place.told(data["channel_id"], data.get("guild_id"), None)
    taken = {2: discord_read.commanded, 3: discord_read.pressed}.get(data["type"])
    return (taken(data, _DISCORD, place) if taken else None), _read_discord


_DISCORD_TAKES = {
    "MESSAGE_CREATE": _take_message,
    "MESSAGE_UPDATE": _take_edit,
    "INTERACTION_CREATE": _take_interaction,
}


def _said(chance: random.Random) -> Any:
    kind = chance.choice(("message", "edited", "pressed"))
    picture = {"name": "0123456789abcdef.png", "title": "a.png", "mime": "image/png", "size": 12}
    body = {
        "id": f"browser-{chance.randrange(10**6)}",
        "text": chance.choice(("hello", "/stop", "你好", " ")),
        "files": [picture],
    }
    return {
        "kind": kind,
        "chat": "chat-1",
        "at": 1.5,
        "body": body | {"replies_to": "1.0.0", "button": "b", "language": "zh"},
    }


def _take_web(told: Any) -> tuple[Event | None, Read]:
    """The kind, the chat and an edited message's id come from the path, and are what the page's routes let through."""
    kinds: dict[str, Literal["message", "edited", "pressed"]] = {"edited": "edited", "pressed": "pressed"}
    said, chat = told.get("kind"), told.get("chat")
    kind = kinds.get(said, "message") if isinstance(said, str) else "message"
    id = "browser-1" if kind == "edited" else ""
    said_so = web_payload.parse_said(kind, chat if isinstance(chat, str) else "", told.get("body"), 1.5, id=id)
    return said_so.event(), web_payload.read
