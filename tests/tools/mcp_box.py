"""What the tests of the MCP client share: a toolbox that runs, and waiting for what must come."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from bot.ports.tools import ToolResult
from bot.tools.mcp import McpToolbox
from bot.tools.mcp_lost import Times
from bot.tools.mcp_servers import Program, Server
from tests.tools.rig import CONTEXT

ROOT = str(Path(__file__).parent.parent.parent)
HURRIED = Times(start=5, pauses=(0.05, 0.2), look=0.5, rest=0.01, grace=0.5)
PATIENT = Times(pauses=(0.05, 0.2), grace=0.5)  # it is not asked for its tools again


def child(
    mode: str = "good", *, timeout: float = 10, module: str = "mcp_stdio", env: tuple[tuple[str, str], ...] = ()
) -> Server:
    reach = Program(sys.executable, ("-m", f"tests.servers.{module}", mode), env, ROOT)
    return Server(name="s", reach=reach, timeout=timeout)


@asynccontextmanager
async def running(*servers: Server, times: Times = PATIENT) -> AsyncIterator[McpToolbox]:
    box = McpToolbox(servers, times)
    async with asyncio.TaskGroup() as group:
        task = group.create_task(box.run())
        try:
            yield box
        finally:
            task.cancel()


async def until(true: Callable[[], object], within: float = 20) -> None:
    async with asyncio.timeout(within):
        while not true():  # noqa: ASYNC110  # servers tell nobody here
            await asyncio.sleep(0.01)


async def up(box: McpToolbox) -> None:
    await until(lambda: all(state.up for state in box.states()))


async def call(box: McpToolbox, tool: str, arguments: str = "{}", server: str = "s") -> ToolResult:
    return await box.call(f"{server}__{tool}", arguments, CONTEXT)


def said(result: ToolResult) -> str:
    """Without the frame around what is foreign."""
    assert not result.failed, result.text
    first, _, rest = result.text.partition("\n")
    mark = first[: first.index(":") + 1]
    body, _, end = rest.rpartition("\n")
    assert mark.startswith("[") and end == f"{mark} end]"
    return body
