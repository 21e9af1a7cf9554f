"""An MCP server that is a child process: started with an environment of its own, read within bounds, ended with all that it
has started. The mcp package has such a client, too; it holds a line of any length, logs whatever is no JSON, and leaves a
child's children behind when the child has died by itself."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import anyio
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
from mcp.client.stdio import get_default_environment
from mcp.shared.message import SessionMessage

from bot.tools.mcp_bounds import Allowance, Heard, Lines, Say, parse
from bot.tools.mcp_lost import ServerLost, Times
from bot.tools.mcp_servers import Program, Server

log = logging.getLogger(__name__)

CHUNK = 16_384  # bytes read at once: between two of them others have their turn
INHERITED = ("PATH", "HOME")  # of the mcp package's own list of what is safe to hand on; none of our settings
LANG = "C.UTF-8"

# Bytes and lines a server may write at once, and each second: some large results, or the chatter of a verbose one.
MOST_BYTES = (200_000_000, 2_000_000)
MOST_LINES = (5_000, 50)
MOST_MURMUR = (100, 5)  # lines on stderr that reach the log
MURMUR_LINE = 500  # bytes of each
# Turns of the loop before the end of its output ends the connection: what it said last passes two queues and three tasks on
# its way to who asked.
LAST_WORDS = 20
EPITAPH = 0.5  # seconds for a process to end after its pipes
REAPED = 5.0  # seconds for a process to be gone that was killed: on a busy machine more than an instant


@asynccontextmanager
async def stdio(server: Server, program: Program, times: Times) -> AsyncIterator[tuple[Heard, Say]]:
    """The two ends of a conversation with a new process. Raises ServerLost, also in the body (in a group) when the process
    ends."""
    child = await _start(program)
    inward, heard = anyio.create_memory_object_stream[SessionMessage | Exception]()
    say, outward = anyio.create_memory_object_stream[SessionMessage]()
    try:
        async with inward, heard, say, outward, asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(_read(child, inward)),
                group.create_task(_write(child, outward)),
                group.create_task(_murmur(child, server)),
                group.create_task(_orphans(child)),
            ]
            yield heard, say
            for task in tasks:
                task.cancel()
    finally:
        await child.end(times.grace)


class _Child(asyncio.subprocess.SubprocessStreamProtocol):
    """`exited` as soon as the process has: asyncio's own wait goes on while others hold its pipes."""

    pid: int
    transport: asyncio.SubprocessTransport

    def __init__(self) -> None:
        super().__init__(limit=CHUNK, loop=asyncio.get_running_loop())
        self.exited = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        assert isinstance(transport, asyncio.SubprocessTransport)
        self.transport, self.pid = transport, transport.get_pid()

    def process_exited(self) -> None:
        super().process_exited()
        self.exited.set()

    async def end(self, grace: float) -> None:
        """As the protocol wants it: its input is closed, then SIGTERM, then SIGKILL, each to the whole group."""
        assert self.stdin
        try:
            self.stdin.close()
            if not await self._gone_within(grace):
                self.signal(signal.SIGTERM)
                await self._gone_within(grace)
        finally:  # also when we are to hurry
            self.signal(signal.SIGKILL)
            self.transport.close()
            await self._gone_within(REAPED)  # else its watcher would meet a closed loop

    async def epitaph(self, otherwise: str) -> ServerLost:
        """The end of a pipe comes a moment before that of the process, if it comes for that."""
        ended = await self._gone_within(EPITAPH)
        return ServerLost(f"it ended with exit code {self.transport.get_returncode()}" if ended else otherwise)

    async def _gone_within(self, seconds: float) -> bool:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self.exited.wait()
        return self.exited.is_set()

    def signal(self, number: signal.Signals) -> None:
        """To the process and all its children: it leads a group of its own, which lives on when it dies."""
        with suppress(ProcessLookupError, PermissionError):  # gone; or, on macOS, a zombie
            os.killpg(self.pid, number)


async def _start(program: Program) -> _Child:
    safe = get_default_environment()
    environment = {name: safe[name] for name in INHERITED if name in safe} | {"LANG": LANG} | dict(program.env)
    try:
        _, child = await asyncio.get_running_loop().subprocess_exec(
            _Child,
            program.command,
            *program.args,
            stdin=PIPE,
            stdout=PIPE,
            stderr=PIPE,
            env=environment,
            cwd=program.cwd or None,
            start_new_session=True,
        )
    except OSError as error:
        raise ServerLost(f"it cannot be started: {error.strerror}") from error
    return child


async def _read(child: _Child, inward: MemoryObjectSendStream[SessionMessage | Exception]) -> None:
    assert child.stdout
    lines, bytes_, count = Lines(), Allowance(*MOST_BYTES), Allowance(*MOST_LINES)
    while data := await child.stdout.read(CHUNK):
        if not bytes_.covers(len(data)):
            raise ServerLost("it floods its output")
        for line in lines.feed(data):
            if not count.covers(1):
                raise ServerLost("it floods its output")
            if message := parse(line):
                await inward.send(SessionMessage(message))
            else:
                await asyncio.sleep(0)
    for _ in range(LAST_WORDS):
        await asyncio.sleep(0)
    raise await child.epitaph("it closed its output")


async def _write(child: _Child, outward: MemoryObjectReceiveStream[SessionMessage]) -> None:
    assert child.stdin
    try:
        async for message in outward:
            child.stdin.write(message.message.model_dump_json(by_alias=True, exclude_none=True).encode() + b"\n")
            await child.stdin.drain()
    except (BrokenPipeError, ConnectionResetError) as error:
        raise await child.epitaph("it closed its input") from error


async def _murmur(child: _Child, server: Server) -> None:
    """Its stderr is read to the end, or it would wait for us; some of it is for the log."""
    assert child.stderr
    lines, allowance = Lines(MURMUR_LINE), Allowance(*MOST_MURMUR)
    while data := await child.stderr.read(CHUNK):
        for line in lines.feed(data):
            if log.isEnabledFor(logging.DEBUG) and allowance.covers(1):
                log.debug("MCP server %r on stderr: %s", server.name, server.redact(line.head.decode(errors="replace")))


async def _orphans(child: _Child) -> None:
    """What a dead server has left running holds its pipes, and nobody needs it."""
    await child.exited.wait()
    child.signal(signal.SIGKILL)
