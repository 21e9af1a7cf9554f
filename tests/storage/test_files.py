"""Kept files in the store: as they are, under a name that stands for them; and every process of a shared one has them all."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from bot.errors import StorageError, Unreadable
from bot.files import FileStore
from storage import Store, open_store
from tests.postgres import Postgres, postgres
from tests.test_files import drawn

NAME = "0123456789abcdef0123456789abcdef.png"
EVERY_BYTE = bytes(range(256)) * 20_000  # 5 MB


async def test_bytes_come_back_as_they_are(store: Store) -> None:
    assert await store.load_file(NAME) is None
    await store.keep_file(NAME, EVERY_BYTE)
    await store.keep_file("empty", b"")
    assert await store.load_file(NAME) == EVERY_BYTE
    assert await store.load_file("empty") == b""
    assert await store.load_file(NAME.upper()) is None


async def test_one_that_is_there_stays(store: Store) -> None:
    await asyncio.gather(*(store.keep_file(NAME, EVERY_BYTE) for _ in range(5)))
    await store.keep_file(NAME, b"another")
    assert await store.load_file(NAME) == EVERY_BYTE


async def test_it_survives_the_end_of_the_process(url: str) -> None:
    async with open_store(url) as store:
        await store.keep_file(NAME, EVERY_BYTE)
    async with open_store(url) as store:
        assert await store.load_file(NAME) == EVERY_BYTE


# --- shared by processes on several machines ---------------------------------------------------------------------------


async def test_a_picture_kept_by_one_is_loaded_by_the_other(tmp_path: Path, postgres_server: Postgres) -> None:
    async with AsyncExitStack() as stack:
        url = await stack.enter_async_context(postgres_server.database())
        stores = [await stack.enter_async_context(open_store(url)) for _ in range(2)]
        one, two = (FileStore(tmp_path / str(number), store) for number, store in enumerate(stores))

        made = await one.keep(EVERY_BYTE, "image/png")
        sent = await one.keep_picture(drawn((80, 60)))

        assert await two.load(made) == EVERY_BYTE
        assert await two.load(sent) == await one.load(sent)
        with pytest.raises(Unreadable):
            await two.load(NAME)
        # From now on the second one has them on its own disk.
        assert {path.name for path in (tmp_path / "1").iterdir()} == {made, sent}
        (tmp_path / "1" / made).write_bytes(b"from the disk")
        assert await two.load(made) == b"from the disk"


async def test_a_disk_that_is_gone_or_full_costs_only_time(tmp_path: Path, postgres_server: Postgres) -> None:
    (tmp_path / "files").write_bytes(b"in the way")
    async with postgres_server.database() as url, open_store(url) as store:
        files = FileStore(tmp_path / "files", store)
        name = await files.keep(EVERY_BYTE, "image/png")
        assert await files.load(name) == EVERY_BYTE
        with pytest.raises(Unreadable):
            await files.load(NAME)


async def test_while_the_store_is_away_a_drawn_picture_waits_and_others_are_tried_again(tmp_path: Path) -> None:
    with postgres() as server:
        async with open_store(server.url()) as store:
            one, two = FileStore(tmp_path / "1", store), FileStore(tmp_path / "2", store)
            here = await one.keep(b"here", "image/png")
            server.stop()
            keeping = asyncio.create_task(one.keep(EVERY_BYTE, "image/png"))
            with pytest.raises(StorageError):
                await two.load(here)
            with pytest.raises(StorageError):
                await two.keep_picture(drawn((80, 60)))
            assert await one.load(here) == b"here"
            assert not keeping.done()
            server.start()
            async with asyncio.timeout(20):
                assert await two.load(await keeping) == EVERY_BYTE
