"""When an MCP server is lost, and how long it is waited for."""

from __future__ import annotations

from dataclasses import dataclass


class ServerLost(Exception):
    """It cannot be talked with any more, or could not from the start. Says why, for the owner: after "MCP server 'x': "."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Times:
    """Seconds.

    start    until a new connection has listed its tools: some programs are downloaded first
    pauses   before another try: the first and the longest; each is twice the last
    steady   a connection that lasted so long begins with the first pause again
    look     between looks at the list of tools, which also show that the server still answers
    rest     at least, between two of them
    grace    for a child process to end by itself, and then after SIGTERM
    """

    start: float = 60.0
    pauses: tuple[float, float] = (1.0, 300.0)
    steady: float = 60.0
    look: float = 300.0
    rest: float = 1.0
    grace: float = 1.0
