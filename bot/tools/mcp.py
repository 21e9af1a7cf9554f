"""The tools of MCP servers: one supervised task for each server, which connects, stays, and connects again. What a connection
is, is in `mcp_session`; which servers there are, in `mcp_servers`."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bot.ports.tools import ToolCard, ToolContext, ToolResult
from bot.tools.mcp_lost import ServerLost, Times
from bot.tools.mcp_reading import ServerTool
from bot.tools.mcp_servers import Server
from bot.tools.registry import MOST_ARGUMENTS

if TYPE_CHECKING:
    from bot.tools.mcp_session import Connection

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ServerState:
    """For the owner.

    tools, asking  how many it offers now; the server's own names of those that ask a person before each call
    trouble        why it is not up; "" when it is, or is being connected
    complaints     what is wrong with its list of tools, or with what the file says of them
    """

    name: str
    up: bool
    tools: int = 0
    asking: tuple[str, ...] = ()
    trouble: str = ""
    complaints: tuple[str, ...] = ()


class McpToolbox:
    """Implements ports.Toolbox. Nothing is connected before `run`."""

    def __init__(self, servers: Sequence[Server], times: Times | None = None) -> None:
        self._links = [_Link(server, times or Times()) for server in servers]

    async def run(self) -> None:
        """Keep the servers connected until cancelled; returns at once when there are none. Child processes are gone when it
        has ended."""
        if not self._links:
            return
        # in a thread: it takes more than half a second, in which nobody else shall wait
        await asyncio.to_thread(_import_session)
        async with asyncio.TaskGroup() as group:
            for link in self._links:
                group.create_task(link.run())
            try:
                await asyncio.Event().wait()
            finally:
                for link in self._links:
                    link.ending = True

    async def tried(self) -> None:
        """Wait, while it runs, until each server has been connected once, or could not be: `Times.start` at most, and what the
        end of a program takes."""
        for link in self._links:
            await link.tried.wait()

    def states(self) -> Sequence[ServerState]:
        """In the order of the servers."""
        return [link.state() for link in self._links]

    def cards(self) -> Sequence[ToolCard]:
        cards: dict[str, ToolCard] = {}
        for link in self._links:
            for tool in link.tools():
                cards.setdefault(tool.card.name, tool.card)
        return tuple(cards.values())

    async def call(self, name: str, arguments: str, context: ToolContext) -> ToolResult:
        for link in self._links:
            for tool in link.tools():
                if tool.card.name == name and link.connection:
                    return await _call(link.connection, tool, arguments)
        if owner := next((link.server.name for link in self._links if name in link.offered), ""):
            return ToolResult(
                f"The tool server {owner!r} is not there at the moment. Do without it, or ask the person to try again later.",
                failed=True,
            )
        return ToolResult(f"There is no tool {name[:64]!r}.", failed=True)


async def _call(connection: Connection, tool: ServerTool, arguments: str) -> ToolResult:
    """What the server itself will check is left to it: its schema may hold patterns that take for ever."""
    if len(arguments) > MOST_ARGUMENTS:
        return ToolResult(
            f"The arguments are longer than {MOST_ARGUMENTS} characters. Ask for less at once.", failed=True
        )
    try:
        read = json.loads(arguments or "{}", parse_constant=_no_number)
        json.dumps(read, ensure_ascii=False).encode()  # half a surrogate pair is no text that can be sent
    except (ValueError, RecursionError) as error:
        return ToolResult(f"The arguments are not valid JSON ({error}). Write one JSON object.", failed=True)
    if not isinstance(read, dict):
        return ToolResult("The arguments are no JSON object. Write one JSON object.", failed=True)
    if missing := [one for one in tool.required if one not in read]:
        return ToolResult(
            f"These arguments are missing: {', '.join(missing)[:500]}. Call again with all of them.", failed=True
        )
    return await connection.call(tool, read)


def _no_number(constant: str) -> float:
    raise ValueError(f"{constant} is no JSON")


def _import_session() -> None:
    import bot.tools.mcp_session  # noqa: F401 - for its effect


class _Link:
    """One server: now connected, now not.

    tried    it has been there, or could not be reached
    offered  the names of its tools when it was last there
    ending   do not connect again: where a connection breaks while we are cancelled, the failure takes the place of the
             cancellation, in asyncio's groups as in anyio's, and there is no second one
    """

    def __init__(self, server: Server, times: Times) -> None:
        self.server = server
        self._times = times
        self._trouble = ""
        self.tried = asyncio.Event()
        self.ending = False
        self.connection: Connection | None = None
        self.offered: frozenset[str] = frozenset()

    def tools(self) -> Sequence[ServerTool]:
        """Those that can be called now."""
        return self.connection.tools if self.connection and self.connection.usable else ()

    def state(self) -> ServerState:
        name, tools = self.server.name, self.tools()
        if self.connection is None or not self.connection.usable:
            return ServerState(name, up=False, trouble=self._trouble)
        asking = tuple(tool.name for tool in tools if not tool.card.read_only)
        return ServerState(name, up=True, tools=len(tools), asking=asking, complaints=self.connection.complaints)

    async def run(self) -> None:
        from bot.tools.mcp_session import keep

        pause, longest = self._times.pauses
        while True:
            began = time.monotonic()
            try:
                await keep(self.server, self._times, self._attach)
            except ServerLost as lost:
                self._tell(str(lost))
            finally:
                self.connection = None
            self.tried.set()
            if self.ending:
                return
            if time.monotonic() - began > self._times.steady:
                pause = self._times.pauses[0]
            await asyncio.sleep(pause)
            pause = min(2 * pause, longest)

    def _attach(self, connection: Connection) -> None:
        self.connection = connection
        self.offered = frozenset(tool.card.name for tool in connection.tools)
        self._trouble = ""
        self.tried.set()
        log.info("MCP server %r is there: %d tools", self.server.name, len(connection.tools))

    def _tell(self, trouble: str) -> None:
        """The same trouble again and again is news only once."""
        level = logging.DEBUG if trouble == self._trouble else logging.WARNING
        log.log(level, "MCP server %r: %s; trying again", self.server.name, trouble)
        self._trouble = trouble
