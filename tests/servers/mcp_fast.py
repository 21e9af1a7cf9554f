"""A server of the mcp package's own, that behaves: `python -m tests.servers.mcp_fast stdio`, or `http`, which prints its
port."""

from __future__ import annotations

import socket
import sys

import uvicorn
from mcp.server.fastmcp import FastMCP
from mcp.types import ToolAnnotations

server = FastMCP("fast", log_level="ERROR")


@server.tool(annotations=ToolAnnotations(readOnlyHint=True))
def add(one: int, two: int) -> int:
    """The sum."""
    return one + two


@server.tool()
def forget(what: str) -> str:
    """Forgets it."""
    return f"forgot {what}"


if __name__ == "__main__":
    if sys.argv[1] == "stdio":
        server.run("stdio")
    else:
        listener = socket.create_server(("127.0.0.1", 0))
        print(listener.getsockname()[1], flush=True)
        uvicorn.Server(uvicorn.Config(server.streamable_http_app(), log_level="error")).run([listener])
