"""The catalogue: every model with its window, abilities and price, read from `catalog.toml` and the owner's CATALOG_FILE.

Data only. Which of these models are set up here, and which one is meant by a name, is the package's `__init__`.
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, get_args

from bot.errors import SettingsError
from bot.ports import Kind, ModelCard

BUILT_IN = Path(__file__).with_name("catalog.toml")
VENDORS = ("glm", "qwen", "openai")
_KINDS = get_args(Kind)
_THINKS = ("never", "switch", "always")
_FIELDS = {field.name: str(field.type) for field in fields(ModelCard)}
SWITCHES = ("vision", "seed", "default", "tools", "searches", "later", "task", "animates", "truncates")
_APIS = {("qwen", "chat"): ("text", "multimodal"), ("qwen", "image"): ("multimodal", "task")}


def load(extra: Path | None = None) -> dict[str, ModelCard]:
    """All models by name: the built-in ones, then those of `extra`, whose entries change or add to them field by field.

    Raises SettingsError, which names CATALOG_FILE, the model and the field.
    """
    entries = {str(entry["name"]): entry for entry in _entries(BUILT_IN)}
    problems: list[str] = []
    if extra is not None:
        try:
            for entry in _entries(extra):
                _merge(entries, entry)
        except (OSError, ValueError) as error:
            raise SettingsError((f"CATALOG_FILE: {extra} cannot be used: {error}",)) from error
    cards = {}
    for name, entry in entries.items():
        try:
            cards[name] = _card(entry)
        except ValueError as error:
            problems.append(f"CATALOG_FILE: model {name!r}: {error}")
    if problems:
        raise SettingsError(tuple(problems))
    return cards


def _entries(path: Path) -> list[dict[str, Any]]:
    """The `[[model]]` tables. Raises OSError, ValueError."""
    data = tomllib.loads(path.read_text("utf-8"))
    models = data.pop("model", [])
    if data:
        raise ValueError(f"only [[model]] tables may be in it, not {', '.join(map(repr, data))}")
    if not isinstance(models, list) or not all(isinstance(entry, dict) for entry in models):
        raise ValueError("write each model as a [[model]] table")
    for at, entry in enumerate(models, 1):
        if not isinstance(entry.get("name"), str) or not entry["name"]:
            raise ValueError(f'[[model]] number {at} has no name = "…"')
    return models


def _merge(entries: dict[str, dict[str, Any]], entry: dict[str, Any]) -> None:
    name = entry["name"]
    merged = {**entries.get(name, {}), **entry}
    if entry.get("default"):
        for other in entries.values():
            if _role(other) == _role(merged):
                other["default"] = False
    entries[name] = merged


def _role(entry: Mapping[str, Any]) -> tuple[Any, ...]:
    """What a default is a default of."""
    return entry.get("vendor"), entry.get("kind"), bool(entry.get("vision"))


def _card(entry: Mapping[str, Any]) -> ModelCard:
    values = dict(entry)
    for name in values:
        if name not in _FIELDS:
            raise ValueError(f"no field {name!r}; there are: {', '.join(_FIELDS)}")
    _one_of(values, "vendor", VENDORS)
    _one_of(values, "kind", _KINDS)
    if "thinks" in values:
        _one_of(values, "thinks", _THINKS)
    for name in SWITCHES:
        if not isinstance(values.get(name, False), bool):
            raise ValueError(f"{name} must be true or false")
    for name in ("api", "note"):
        if not isinstance(values.get(name, ""), str):
            raise ValueError(f"{name} must be a text")
    values["price"] = _price(values.get("price", []))
    values["per_picture"] = _amount(values.get("per_picture", 0.0), "per_picture")
    values["per_second"] = _amount(values.get("per_second", 0.0), "per_second")
    values["edits"] = _count(values.get("edits", 0), "edits", least=0)
    values["most"] = _count(values.get("most", 1), "most")
    values["seconds"] = tuple(_count(one, "each of seconds") for one in _list(values.get("seconds", []), "seconds"))
    values["voices"] = tuple(str(one) for one in _list(values.get("voices", []), "voices"))
    values["sizes"] = _sizes(values.get("sizes", []))
    values["size_rule"] = _size_rule(values.get("size_rule"))
    values["sides"] = _range(values.get("sides"))
    values["prompt_limit"] = _count(values.get("prompt_limit", 0), "prompt_limit", least=0)
    if values["kind"] == "chat":
        _check_tokens(values)
    apis = _APIS.get((values["vendor"], values["kind"]))
    if apis:
        _one_of(values, "api", apis)
    return ModelCard(**values)


def _one_of(values: Mapping[str, Any], name: str, choices: tuple[str, ...]) -> None:
    if values.get(name) not in choices:
        raise ValueError(f"{name} must be one of {', '.join(choices)}")


def _count(value: object, name: str, *, least: int = 1) -> int:
    if type(value) is not int or value < least:
        raise ValueError(f"{name} must be a whole number, {least} or more")
    return value


def _list(value: object, name: str) -> list[object]:
    if not isinstance(value, list):
        raise ValueError(f"{name} must be a list")
    return value


def _amount(value: object, name: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < math.inf:
        raise ValueError(f"{name} must be a number of CNY, 0 or more")
    return float(value)


def _price(value: object) -> tuple[tuple[int, float, float], ...]:
    tiers: list[tuple[int, float, float]] = []
    if not isinstance(value, list):
        raise ValueError("price must be a list of [prompt tokens up to, CNY per million in, CNY per million out]")
    for tier in value:
        if not isinstance(tier, list) or len(tier) != 3 or type(tier[0]) is not int:
            raise ValueError("each price must be [prompt tokens up to, CNY per million in, CNY per million out]")
        if tier[0] <= (tiers[-1][0] if tiers else 0):
            raise ValueError("the prices must ascend in prompt tokens")
        tiers.append((tier[0], _amount(tier[1], "price"), _amount(tier[2], "price")))
    return tuple(tiers)


def _sizes(value: object) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(_is_size(size) for size in value):
        raise ValueError('sizes must be a list of "WIDTHxHEIGHT"')
    return tuple(value)


def _is_size(size: object) -> bool:
    sides = size.split("x") if isinstance(size, str) else []
    return len(sides) == 2 and all(side.isdecimal() and int(side) > 0 for side in sides)


def _size_rule(value: object) -> tuple[int, int, int, int] | None:
    if value is None:
        return None
    if not isinstance(value, list) or len(value) != 4 or not all(type(one) is int and one > 0 for one in value):
        raise ValueError("size_rule must be [min side, max side, multiple of, max pixels]")
    return value[0], value[1], value[2], value[3]


def _range(value: object) -> tuple[int, int] | None:
    if value is None:
        return None
    if not isinstance(value, list) or len(value) != 2 or not all(type(one) is int and one > 0 for one in value):
        raise ValueError("sides must be [least, most] in pixels")
    if value[0] > value[1]:
        raise ValueError("sides must be [least, most] in pixels, the least first")
    return value[0], value[1]


def _check_tokens(values: Mapping[str, Any]) -> None:
    for name in ("window", "output"):
        if type(values.get(name)) is not int or values[name] <= 0:
            raise ValueError(f"{name} must be a number of tokens")
    if values["output"] >= values["window"]:
        raise ValueError("output must be smaller than window")
