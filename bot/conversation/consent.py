"""What a person is shown before a call that changes something: exactly what will run, and nothing that the eye would miss.
Pure. What is asked about is decided in `toolwork.py`, what follows from the answer in `manager.py`."""

from __future__ import annotations

import json
import re
from typing import Any, NoReturn

_TICKS = re.compile("`{3,}")
# Printable to Unicode, and yet not seen: fillers, joiners, variation selectors.
_BLANK = re.compile("[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]")


def arguments_of(text: str) -> dict[str, Any]:
    """The JSON object that a model wrote. Raises ValueError where it is none."""
    try:
        read = json.loads(text.strip() or "{}", parse_constant=_no_number)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    if not isinstance(read, dict):
        raise ValueError("no JSON object")
    return read


def exact(text: str) -> str:
    """The arguments as JSON of the very same value in which everything can be seen, and which stays inside a code block: what
    has no visible form (marks of direction, tags, control characters) and rows of backticks are escaped. Raises ValueError."""
    try:
        laid_out = json.dumps(arguments_of(text), ensure_ascii=False, indent=2)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    visible = "".join([one if one.isprintable() or one == "\n" else _escaped(one) for one in laid_out])
    visible = _BLANK.sub(lambda blank: _escaped(blank[0]), visible)
    return _TICKS.sub(lambda row: "\\u0060" * len(row[0]), visible)


def _escaped(character: str) -> str:
    """As in JSON: UTF-16 units. Outside of strings a JSON text has none to escape."""
    units = character.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at]:02x}{units[at + 1]:02x}" for at in range(0, len(units), 2))


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number of JSON")
