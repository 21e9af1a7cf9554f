"""What a tool takes: a function's signature as a JSON schema, and a model's arguments checked against it.

Known are str, int, float, bool, Literal of texts, list[...] and `... | None`, each plain or as Annotated[..., "description"].
What has a default may be left out, or be null. A parameter of type ToolContext is not the model's: whoever calls gives it.
"""

from __future__ import annotations

import inspect
import json
import math
import types
from collections.abc import Awaitable, Callable, Mapping
from typing import Annotated, Literal, NoReturn, Union, get_args, get_origin, get_type_hints

from bot.ports.tools import ToolContext, ToolResult

Function = Callable[..., Awaitable[str | ToolResult]]

_TYPES: Mapping[object, str] = {str: "string", int: "integer", float: "number", bool: "boolean"}


class WrongArguments(Exception):
    """What the model wrote does not fit: all that is wrong, in its words."""


class Parameters:
    """The parameters of one function. Raises TypeError for a signature that no schema can be made of.

    schema   JSON text of an object schema
    context  the name of the parameter that takes the ToolContext, "" for none
    """

    def __init__(self, function: Function) -> None:
        hints = get_type_hints(function, include_extras=True)
        self.context = ""
        self._types: dict[str, object] = {}
        self._required: list[str] = []
        defaults: dict[str, dict[str, object]] = {}
        for name, parameter in inspect.signature(function).parameters.items():
            if hints.get(name) is ToolContext:
                self.context = name
                continue
            self._types[name] = hints[name] if name in hints else _unknown(f"{name} has no annotation")
            if parameter.default is parameter.empty:
                self._required.append(name)
            elif parameter.default is not None:
                defaults[name] = {"default": parameter.default}
        properties = {name: _schema(kind) | defaults.get(name, {}) for name, kind in self._types.items()}
        self.schema = json.dumps(
            {
                "type": "object",
                "properties": properties,
                "required": self._required,
                "additionalProperties": False,
            },
            ensure_ascii=False,
        )

    def read(self, text: str) -> dict[str, object]:
        """The arguments by name, each of its parameter's type. Raises WrongArguments."""
        try:
            given = json.loads(text.strip() or "{}", parse_constant=_no_number)
        except (ValueError, RecursionError) as error:
            raise WrongArguments(f"the arguments are no valid JSON: {error}") from error
        if not isinstance(given, dict):
            raise WrongArguments(f"the arguments must be a JSON object, not {_kind(given)}")
        problems = [
            f"there is no argument {name[:50]!r}; there are: {', '.join(self._types) or 'none'}"
            for name in given
            if name not in self._types
        ]
        problems += [f"{name} is missing" for name in self._required if given.get(name) is None]
        arguments = {}
        for name, kind in self._types.items():
            if given.get(name) is not None:
                try:
                    arguments[name] = _checked(kind, given[name], name)
                except WrongArguments as error:
                    problems.append(str(error))
        if problems:
            raise WrongArguments("; ".join(problems[:10]))
        return arguments


def _plain(kind: object) -> object:
    """Without description and `| None`: what may be left out is seen from the default."""
    if get_origin(kind) is Annotated:
        kind = get_args(kind)[0]
    if get_origin(kind) in (Union, types.UnionType):
        others = [one for one in get_args(kind) if one is not type(None)]
        return _plain(others[0]) if len(others) == 1 else _unknown(f"{kind} may be several things")
    return kind


def _schema(kind: object) -> dict[str, object]:
    plain = _plain(kind)
    schema: dict[str, object]
    if plain in _TYPES:
        schema = {"type": _TYPES[plain]}
    elif get_origin(plain) is Literal and all(isinstance(one, str) for one in get_args(plain)):
        schema = {"type": "string", "enum": list(get_args(plain))}
    elif get_origin(plain) is list:
        schema = {"type": "array", "items": _schema(get_args(plain)[0])}
    else:
        _unknown(f"{plain} has no schema")
    if get_origin(kind) is Annotated:
        schema["description"] = get_args(kind)[1]
    return schema


def _checked(kind: object, value: object, where: str) -> object:
    """The value as the type that the function expects. Raises WrongArguments."""
    plain = _plain(kind)
    if get_origin(plain) is list:
        if not isinstance(value, list):
            raise WrongArguments(f"{where} must be an array, not {_kind(value)}")
        return [_checked(get_args(plain)[0], one, f"{where}[{at}]") for at, one in enumerate(value)]
    if get_origin(plain) is Literal:
        if value not in get_args(plain) or not isinstance(value, str):
            raise WrongArguments(f"{where} must be one of: {', '.join(get_args(plain))}")
        return value
    if plain is int and isinstance(value, float) and value.is_integer():  # 5.0 is an integer to JSON Schema
        return int(value)
    if plain is float and type(value) in (int, float):
        return _finite(value, where)
    if plain is type(value):
        return value
    raise WrongArguments(f"{where} must be {_article(_TYPES[plain])}, not {_kind(value)}")


def _finite(value: object, where: str) -> float:
    try:
        number = float(str(value))
    except ValueError:
        number = math.inf
    if math.isinf(number):
        raise WrongArguments(f"{where} is too large a number")
    return number


def _kind(value: object) -> str:
    """How a JSON value is called."""
    if value is None:
        return "null"
    return _article({**_TYPES, list: "array", dict: "object"}[type(value)])


def _article(name: str) -> str:
    return f"an {name}" if name[0] in "aio" else f"a {name}"


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number of JSON")


def _unknown(why: str) -> NoReturn:
    raise TypeError(f"a tool's signature cannot be told to a model: {why}")
