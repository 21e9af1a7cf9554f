"""How much an MCP server may send: lines are cut, floods end the connection, and what cannot be read still answers its call."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
from mcp.shared.message import SessionMessage
from mcp.types import PARSE_ERROR, ErrorData, JSONRPCError, JSONRPCMessage
from pydantic import ValidationError
from pydantic_core import from_json

# The two ends of a conversation with a server, as the mcp package has them.
Heard: TypeAlias = MemoryObjectReceiveStream[SessionMessage | Exception]
Say: TypeAlias = MemoryObjectSendStream[SessionMessage]

# Bytes of one message. Far more than a model can be given of a result, and enough to list some hundred tools. What is longer
# is cut there, and read as far as it goes.
MOST_LINE = 500_000
TAIL = 100  # bytes kept of the end of a longer one: there some servers say which call it answers

UNREADABLE = "its answer cannot be read"

_ID_IN_HEAD = re.compile(rb'\s*\{\s*(?:"jsonrpc"\s*:\s*"2\.0"\s*,\s*)?"id"\s*:\s*(\d{1,15})\s*,')
_ID_IN_TAIL = re.compile(rb'"id"\s*:\s*(\d{1,15})\s*(?:,\s*"jsonrpc"\s*:\s*"2\.0"\s*)?\}\s*$')


@dataclass(frozen=True, slots=True)
class Line:
    """`tail`: the last bytes of what was cut off; empty when the line is whole."""

    head: bytes
    tail: bytes = b""


class Lines:
    """Makes lines of bytes as they come, and never holds more than one of at most `most` bytes."""

    def __init__(self, most: int = MOST_LINE) -> None:
        self._most = most
        self._head = bytearray()
        self._tail = b""

    def feed(self, data: bytes) -> Iterator[Line]:
        *ended, begun = data.split(b"\n")
        for part in ended:
            self.add(part)
            yield self.take()
        self.add(begun)

    def take(self) -> Line:
        """What there is, as a line."""
        line = Line(bytes(self._head), self._tail)
        self._head.clear()
        self._tail = b""
        return line

    def add(self, part: bytes) -> None:
        """More of the line that has begun."""
        room = self._most - len(self._head)
        self._head += part[:room]
        if beyond := part[room:]:
            self._tail = (self._tail + beyond[-TAIL:])[-TAIL:]


class Allowance:
    """So much at once, and so much more each second."""

    def __init__(self, burst: float, per_second: float) -> None:
        self._burst, self._rate = burst, per_second
        self._left, self._at = burst, time.monotonic()

    def covers(self, amount: float) -> bool:
        now = time.monotonic()
        self._left = min(self._burst, self._left + (now - self._at) * self._rate) - amount
        self._at = now
        return self._left >= 0


def parse(line: Line) -> JSONRPCMessage | None:
    """The message of this line. Of a cut one what was read of it; of an unreadable answer an error for the call that it
    answers, so that nobody waits for it; None: nothing that concerns us."""
    said = _decoded(line)
    if isinstance(said, dict) and line.tail and "method" not in said:
        said |= {"jsonrpc": "2.0", "id": _whole_id(said, line)}
    try:
        # from_json first: pydantic takes 15 times as long when it has to read the text for each member of the union
        return JSONRPCMessage.model_validate(said)
    except ValidationError:
        number = said.get("id") if isinstance(said, dict) else _id(line)
        if type(number) is not int or (isinstance(said, dict) and "method" in said):  # a bool is an int
            return None
        error = ErrorData(code=PARSE_ERROR, message=UNREADABLE)
        return JSONRPCMessage(JSONRPCError(jsonrpc="2.0", id=number, error=error))


def _decoded(line: Line) -> object:
    try:
        decoded: object = from_json(
            line.head, allow_inf_nan=False, allow_partial="trailing-strings" if line.tail else False
        )
    except ValueError:
        return None
    return decoded


def _whole_id(said: dict[object, object], line: Line) -> object:
    """Of a cut message. What stands last of what was read of it may be cut as well, and half a number is another call's."""
    found = _id(line)
    return said.get("id") if found is None and [*said][-1:] != ["id"] else found


def _id(line: Line) -> int | None:
    found = _ID_IN_HEAD.match(line.head) or _ID_IN_TAIL.search((line.head[-TAIL:] + line.tail)[-TAIL:])
    return int(found[1]) if found else None
