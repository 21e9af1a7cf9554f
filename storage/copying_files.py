"""The kept files' part of `magpie copy`: those of a SQLite lie in a directory, those of PostgreSQL in its table.

Each is written whole under a name that stands for its content, so a copy that was killed needs no notes to go on.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from functools import partial
from typing import Protocol, TypeVar

from bot.errors import StorageRefused
from storage import files
from storage.store import Database

T = TypeVar("T")
NAMES = 500  # of one page


class Folder(Protocol):
    """A directory of kept files. All raise OSError. `write` leaves one that is there as it is."""

    def names(self) -> Sequence[str]: ...

    def read(self, name: str) -> bytes | None: ...

    def write(self, name: str, data: bytes) -> None: ...


class Side(Protocol):
    def names(self) -> AsyncIterator[str]: ...

    async def read(self, name: str) -> bytes | None: ...

    async def write(self, name: str, data: bytes) -> None: ...


class InTable:
    def __init__(self, database: Database) -> None:
        self._run = database.run

    async def names(self) -> AsyncIterator[str]:
        last = ""
        while page := await self._run(partial(files.names, last, NAMES)):
            for name in page:
                yield name
            last = page[-1]

    async def read(self, name: str) -> bytes | None:
        return await self._run(partial(files.load, name))

    async def write(self, name: str, data: bytes) -> None:
        await self._run(partial(files.keep, name, data))


class OnDisk:
    def __init__(self, folder: Folder) -> None:
        self._folder = folder

    async def names(self) -> AsyncIterator[str]:
        for name in await _on_disk(self._folder.names):
            yield name

    async def read(self, name: str) -> bytes | None:
        return await _on_disk(partial(self._folder.read, name))

    async def write(self, name: str, data: bytes) -> None:
        await _on_disk(partial(self._folder.write, name, data))


async def _on_disk(work: Callable[[], T]) -> T:
    try:
        return await asyncio.to_thread(work)
    except OSError as error:
        raise StorageRefused(f"Kept files: {error}. Mend that and copy again: it goes on where it stopped.") from error


async def copy_files(source: Side, target: Side) -> int:
    """How many there are; each was read again from the target, and is the same. Raises StorageRefused."""
    count = 0
    async for name in source.names():
        ours, theirs = await source.read(name), await target.read(name)
        if ours is not None and theirs is None:
            await target.write(name, ours)
            theirs = await target.read(name)
        if ours is None or ours != theirs:
            raise StorageRefused(
                f"The file {name} of TO is not the one of FROM: one of them is damaged, or FROM changed."
            )
        count += 1
    return count
