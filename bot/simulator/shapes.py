"""Parts of a request body that have the same shape with every vendor: tools, their calls, sizes."""

from collections.abc import Sequence
from typing import Any

from bot.simulator.words import Said, ToolCall


def function_of(function: dict[str, Any]) -> tuple[str, tuple[str, ...]]:
    """Name ("" if there is none) and parameter names of a function's definition; all vendors share its shape."""
    name, parameters = function.get("name"), function.get("parameters") or {}
    if not isinstance(name, str) or not isinstance(parameters, dict):
        return "", ()
    properties = parameters.get("properties") or {}
    return name, tuple(properties) if isinstance(properties, dict) else ()


def read_tool_calls(value: Any) -> tuple[ToolCall, ...] | None:
    """An assistant's calls; None if they are malformed. All vendors share this shape."""
    if value is None:
        return ()
    if not isinstance(value, list):
        return None
    calls = []
    for call in value:
        function = call.get("function") if isinstance(call, dict) else None
        if not isinstance(function, dict):
            return None
        call_id, name, arguments = call.get("id"), function.get("name"), function.get("arguments")
        if not (isinstance(call_id, str) and isinstance(name, str) and isinstance(arguments, str) and call_id and name):
            return None
        calls.append(ToolCall(call_id, name, arguments))
    return tuple(calls)


def tool_pairs_whole(said: Sequence[Said]) -> bool:
    """Whether every tool result follows its call and every call has its result."""
    waiting: set[str] = set()
    for one in said:
        if one.role == "tool":
            if one.tool_call_id not in waiting:
                return False
            waiting.discard(one.tool_call_id)
        elif waiting:
            return False
        waiting |= {call.id for call in one.tool_calls}
    return not waiting


def parse_size(size: Any, times: str) -> tuple[int, int] | None:
    """`1024x1024` as two numbers."""
    if not isinstance(size, str):
        return None
    width, found, height = size.partition(times)
    if not (found and width.isdecimal() and height.isdecimal() and len(size) < 12):
        return None
    return int(width), int(height)
