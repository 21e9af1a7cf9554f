"""Makes what a platform would never send of what it does send: JSON with one to four things wrong in it. Pure, by a seed."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Callable, Iterator
from typing import Any

Json = Any  # whatever JSON can be: the rim under test is what makes sense of it
Slot = tuple[Any, Any]  # a place in a document: the object or list, and the key or index in it

DEEP = (200, 940, 960, 980)  # levels: around what Python's own json refuses to write
LONG = 20_000  # characters
MOST = 200_000  # characters that repeating a part may make, as JSON

ODD_TEXTS = (
    "", " ", "\0", "a\0b", "\ud800", "x\udfffy", "\ud83d", "\u202eright to left", "שלום", "e\u0301" * 40, "👩\u200d👩\u200d👧",
    "\ufeff", "\u2028", "/stop", "/reset", "/", "/a:b", "a:b:c", "stop.x", "0", "-1", "1e5", "NaN", "١٢٣", " 12 ", "1_0",
    "../../etc/passwd", "@magpie_bot", "%s%n{}", "null", "true", "[]", "<@42>", "2026-02-30T25:61:00+00:00", "x" * LONG,
)  # fmt: skip
ODD_NUMBERS = (
    0, -1, 1, 2**31, -(2**31), 2**53 + 1, 2**63 - 1, 2**63, -(2**63) - 1, 2**64, 10**30, 10**400, 0.0, -0.5, 1.5, 1e308,
    float("inf"), float("-inf"), float("nan"),
)  # fmt: skip


def mutated(document: Json, chance: random.Random) -> Json:
    """A copy of it with something wrong."""
    made = copy.deepcopy(document)
    for way in sorted(chance.choices(_WAYS, k=chance.choice((1, 1, 1, 2, 2, 4))), key=lambda way: way is _deep):
        slots = list(_slots(made))
        if slots:
            way(*chance.choice(slots), chance, slots)
        if way is _deep:  # what is so deep is neither walked nor copied
            break
    return made


def depth(document: Json) -> int:
    """How many objects and lists stand in each other, at most."""
    deepest, waiting = 0, [(document, 1)]
    while waiting:
        holder, level = waiting.pop()
        if isinstance(holder, dict | list):
            deepest = max(deepest, level)
            waiting.extend((inner, level + 1) for inner in (holder.values() if isinstance(holder, dict) else holder))
    return deepest


def _slots(document: Json) -> Iterator[Slot]:
    waiting = [document]
    while waiting:
        holder = waiting.pop()
        for place, value in list(holder.items()) if isinstance(holder, dict) else list(enumerate(holder)):
            yield holder, place
            if isinstance(value, dict | list):
                waiting.append(value)


def _missing(holder: Any, place: Any, chance: random.Random, slots: list[Slot]) -> None:
    del holder[place]


def _odd(holder: Any, place: Any, chance: random.Random, slots: list[Slot]) -> None:
    holder[place] = chance.choice((None, True, False, {}, [], [[]], {"": None}))


def _number(holder: Any, place: Any, chance: random.Random, slots: list[Slot]) -> None:
    holder[place] = chance.choice(ODD_NUMBERS)


def _text(holder: Any, place: Any, chance: random.Random, slots: list[Slot]) -> None:
    holder[place] = chance.choice(ODD_TEXTS)


def _other_form(holder: Any, place: Any, chance: random.Random, slots: list[Slot]) -> None:
    """The same value as another type: an id as text, a text as a list of itself."""
    value = holder[place]
    if isinstance(value, dict | list):
        holder[place] = [value] if isinstance(value, dict) else {str(number): one for number, one in enumerate(value)}
    elif type(value) is int:
        holder[place] = chance.choice((str, float, hex))(value % 2**53)
    else:
        holder[place] = chance.choice(([value], {"value": value}, f"{value}0"))


def _negative(holder: Any, place: Any, chance: random.Random, slots: list[Slot]) -> None:
    value = holder[place]
    holder[place] = -value if type(value) in (int, float) else -1


def _deep(holder: Any, place: Any, chance: random.Random, slots: list[Slot]) -> None:
    value, wraps = holder[place], chance.random() < 0.5
    for _ in range(chance.choice(DEEP)):
        value = [value] if wraps else {"reply_to_message": value}
    holder[place] = value


def _many(holder: Any, place: Any, chance: random.Random, slots: list[Slot]) -> None:
    """Copies, and no more than may be written: were all one and the same object, a change in one would be a change in each, and
    a part repeated inside of another one would be written a million times."""
    value = holder[place]
    fitting = MOST // (len(json.dumps(value)) + 2)
    holder[place] = [copy.deepcopy(value) for _ in range(min(chance.choice((2, 50, 1_000)), max(fitting, 1)))]


def _from_elsewhere(holder: Any, place: Any, chance: random.Random, slots: list[Slot]) -> None:
    other, where = chance.choice(slots)
    holder[place] = copy.deepcopy(other[where])


def _renamed(holder: Any, place: Any, chance: random.Random, slots: list[Slot]) -> None:
    if isinstance(holder, dict):
        holder[chance.choice((place.upper(), f"{place}s", "", "\ud800", "__class__"))] = holder.pop(place)


_WAYS: tuple[Callable[[Any, Any, random.Random, list[Slot]], None], ...] = (
    _missing, _missing, _odd, _odd, _number, _number, _text, _text, _other_form, _other_form, _negative, _deep, _many,
    _from_elsewhere, _from_elsewhere, _renamed,
)  # fmt: skip
