"""Foreign bytes are read in a child process: what is wrong with them, or with a reader, ends the child and nothing else.

The child is a module of ours. It has no environment of ours, gets the bytes on stdin and answers on stdout; first of all it
takes from itself what it does not need (`confined`), and so it ends by itself should this process be killed.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from pathlib import Path

ROOT = Path(__file__).parents[1]  # where the package `bot` lies


async def run(module: str, *arguments: str, data: bytes, most: int, wall: float) -> tuple[bytes, int]:
    """What the child says, at most about `most` bytes, and its exit code (minus the signal that ended it). None outlives this
    call. Raises TimeoutError after `wall` seconds, OSError when none can be started."""
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-B", "-m", module, *arguments,
        stdin=PIPE, stdout=PIPE, stderr=DEVNULL, cwd=ROOT, env={"PYTHONUTF8": "1"}, start_new_session=True,
    )  # fmt: skip
    try:
        async with asyncio.timeout(wall):
            return await _converse(child, data, most), await child.wait()
    finally:
        if child.returncode is None:
            child.kill()
        await child.wait()


async def _converse(child: Process, data: bytes, most: int) -> bytes:
    """What the child says until it closes."""
    assert child.stdin is not None and child.stdout is not None
    heard = bytearray()
    async with asyncio.TaskGroup() as group:
        group.create_task(_tell(child.stdin, data))
        while len(heard) < most and (chunk := await child.stdout.read(65_536)):
            heard += chunk
        if len(heard) >= most:
            child.kill()
    return bytes(heard)


async def _tell(stdin: asyncio.StreamWriter, data: bytes) -> None:
    with contextlib.suppress(ConnectionError):  # it need not hear all to say no
        stdin.write(data)
        await stdin.drain()
        stdin.close()
        await stdin.wait_closed()
