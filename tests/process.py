"""Magpie as its operator starts it: a process of its own that can be asked to end, killed, and started again."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

import aiohttp

from tests.planted.bug import PLANTED

ROOT = Path(__file__).parent.parent
START = 30.0  # seconds until it must be ready
END = 10.0  # seconds in which it must be gone when asked


class Magpie:
    """`async with Magpie(data_dir, **environment) as magpie:` starts it and waits until it is ready; leaving kills it."""

    def __init__(self, data_dir: Path, environment: Mapping[str, str] | None = None, *, program: str = "bot") -> None:
        planted = os.environ.get(PLANTED)  # a bug that this run of the tests is to find
        self._program = ["tests.planted.program", program] if planted else [program]
        self.port = free_port()
        self.data_dir = data_dir
        self.log = data_dir.with_name(data_dir.name + ".log")
        self._environment = {
            "PATH": os.environ["PATH"],
            "DATA_DIR": str(data_dir),
            "WEB_PORT": str(self.port),
            "PYTHONPATH": str(ROOT),
            **({PLANTED: planted} if planted else {}),
            **(environment or {}),
        }
        self._process: asyncio.subprocess.Process | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def __aenter__(self) -> Magpie:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.kill()

    async def start(self, *, ready: bool = True) -> None:
        with self.log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", *self._program, env=self._environment, stdout=log, stderr=log, start_new_session=True,
                cwd=self.log.parent,
            )  # fmt: skip
        if ready:
            await self.ready()

    async def ready(self) -> None:
        process = self._process
        assert process is not None
        async with asyncio.timeout(START), aiohttp.ClientSession() as session:
            while process.returncode is None:
                try:
                    async with session.get(f"{self.url}/healthz") as response:
                        if response.status == 200:
                            return
                except aiohttp.ClientError:
                    pass  # not listening yet: that is what is being waited for
                await asyncio.sleep(0.02)
        raise AssertionError(f"Magpie ended with {process.returncode}:\n{self.said()}")

    async def kill(self) -> None:
        """kill -9 of the whole process group."""
        if self._process and self._process.returncode is None:
            os.killpg(self._process.pid, signal.SIGKILL)
            await self._process.wait()

    def send_signal(self, number: int) -> None:
        """To the whole process group: SIGSTOP pauses it, SIGCONT lets it go on."""
        assert self._process is not None
        os.killpg(self._process.pid, number)

    async def end(self, number: int = signal.SIGTERM) -> int:
        """Ask it to end; its exit code."""
        assert self._process is not None
        self._process.send_signal(number)
        async with asyncio.timeout(END):
            return await self._process.wait()

    async def ended(self) -> int:
        """Wait until it has ended by itself; its exit code."""
        assert self._process is not None
        async with asyncio.timeout(START):
            return await self._process.wait()

    async def told(self, text: str) -> str:
        """Wait until its log holds `text`; the log."""
        async with asyncio.timeout(START):
            while text not in self.said():  # noqa: ASYNC110  # another process writes it
                await asyncio.sleep(0.02)
        return self.said()

    def said(self) -> str:
        """Its log so far."""
        return self.log.read_text("utf-8", "replace") if self.log.exists() else ""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
