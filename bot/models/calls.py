"""Functions that a model may ask for, in the shape that all vendors share: offered, asked for in pieces, told again. Pure."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from bot.ports import ToolCall, ToolCard

MOST_CALLS = 128  # of one answer; GLM allows as many tools
MOST_WRITTEN = 400_000  # characters of all arguments: no answer is as long, and an endless one must not fill the memory


def offered(tools: Sequence[ToolCard]) -> list[dict[str, Any]]:
    """The `tools` of a request."""
    return [
        {
            "type": "function",
            "function": {"name": tool.name, "description": tool.description, "parameters": json.loads(tool.parameters)},
        }
        for tool in tools
    ]


def told(calls: Sequence[ToolCall]) -> list[dict[str, Any]]:
    """The `tool_calls` of an assistant's message, as the vendor wrote them."""
    return [
        {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
        for call in calls
    ]


class Calls:
    """Collects the `tool_calls` of a stream's deltas. Only the first fragment of a call need have id and name; some services
    send them again, empty or the same, and Ollama counts no further than index 0, so that a new id begins a new call."""

    def __init__(self) -> None:
        self._begun: list[_Begun] = []
        self._written = 0

    def feed(self, fragments: object) -> None:
        """Raises ValueError for what has no such shape, or no end."""
        if not fragments:
            return
        if not isinstance(fragments, list):
            raise ValueError("tool_calls that are no list")
        for fragment in fragments:
            function = (fragment.get("function") or {}) if isinstance(fragment, dict) else None
            if not isinstance(function, dict):
                raise ValueError("a tool call that is no object")
            name, arguments = function.get("name") or "", function.get("arguments") or ""
            if not (isinstance(name, str) and isinstance(arguments, str)):
                raise ValueError("a tool call whose name or arguments are no text")
            call = self._at(fragment.get("index"), str(fragment.get("id") or ""))
            call.name = call.name or name
            call.arguments.append(arguments)
            self._written += len(name) + len(arguments)
            if self._written > MOST_WRITTEN or len(self._begun) > MOST_CALLS:
                raise ValueError("tool calls without an end")

    def _at(self, index: object, call_id: str) -> _Begun:
        for call in reversed(self._begun):
            if call.index == index and (not call_id or call_id == call.id):
                return call
        call = _Begun(index, call_id or f"call_{len(self._begun)}")
        self._begun.append(call)
        return call

    def whole(self) -> list[ToolCall]:
        """All of them; none if one has no name: nothing may run by half of what was asked for."""
        if not all(call.name for call in self._begun):
            return []
        return [ToolCall(call.id, call.name, "".join(call.arguments)) for call in self._begun]


class _Begun:
    __slots__ = ("arguments", "id", "index", "name")

    def __init__(self, index: object, call_id: str) -> None:
        self.index = index
        self.id = call_id
        self.name = ""
        self.arguments: list[str] = []
