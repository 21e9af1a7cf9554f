"""A copy holds every row of every table, whichever databases they are, also when it is killed at any step; or it is refused."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import pytest

from bot.errors import SettingsError, StorageError, StorageRefused
from bot.files import FileStore, Folder
from bot.messages import ChatKey
from storage import open_store
from storage.copying import FILES, LIVE, ROWS, Table, copy, tables
from tests.postgres import Postgres
from tests.storage.killing import kills
from tests.storage.rich import fill
from tests.storage.saying import ask, claims, payloads, said

Rows = dict[str, list[str]]
MORE = 2 * ROWS + 30  # rows of the inbox, so that a table takes several batches


@pytest.fixture
def source(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'from.db'}"


@pytest.fixture
def target(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'to.db'}"


def quiet(line: str) -> None:
    assert line


async def _filled(url: str) -> None:
    async with open_store(url) as store:
        if store.lease:
            await store.enrol()
        await fill(store)
        await store.accept([said(f"more {number}", "\0 text 喜鹊" + "x" * 50) for number in range(MORE)])
        if store.lease:
            await store.resign()


# --- everything arrives ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("from_", ["sqlite", "postgresql"])
@pytest.mark.parametrize("to", ["sqlite", "postgresql"])
async def test_every_row_arrives_and_the_work_goes_on(
    from_: str, to: str, tmp_path: Path, postgres_server: Postgres
) -> None:
    async with (
        _database(from_, tmp_path / "from.db", postgres_server) as source,
        _database(to, tmp_path / "to.db", postgres_server) as target,
    ):
        await _filled(source)
        before, told = await _rows(source), list[str]()

        await copy(source, target, told.append)

        assert await _rows(target) == before
        assert f"inbox: {len(before['inbox'])} rows, the same on both sides" in told
        async with open_store(target) as store:
            if store.lease:
                await store.enrol()
            running = next(claim for claim in await claims(store) if payloads(claim) == ["running"])
            assert running.attempt == 2
            await ask(store, "new", chat=ChatKey("web", "new"))  # numbered behind all that was copied


async def test_there_and_back_again_is_the_same(tmp_path: Path, source: str, postgres_server: Postgres) -> None:
    await _filled(source)
    async with postgres_server.database() as middle:
        await copy(source, middle, quiet)
        await copy(middle, f"sqlite:///{tmp_path / 'back.db'}", quiet)
    assert await _rows(f"sqlite:///{tmp_path / 'back.db'}") == await _rows(source)


def test_every_table_of_the_schema_is_copied_or_named_as_one_that_lives(source: str) -> None:
    """Whoever adds a table has nothing to add here: but one without a key cannot be copied."""
    asyncio.run(_filled(source))
    with closing(sqlite3.connect(source.removeprefix("sqlite:///"))) as database:
        there = {name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        for table in tables():
            there.remove(table.name)
            cursor = database.execute(f"SELECT * FROM {table.name}")
            assert tuple(column[0] for column in cursor.description) == table.columns
            assert table.key
            assert table.name == "alarms" or cursor.fetchone(), f"nothing in {table.name} tests its copy"
    assert there == LIVE | {FILES}


async def test_both_databases_have_the_tables_and_columns_that_are_copied(postgres_server: Postgres) -> None:
    async with postgres_server.database() as url:
        async with open_store(url):
            pass
        connection = await asyncpg.connect(url)
        found = await connection.fetch(
            "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = 'public'"
        )
        await connection.close()
    there = {(name, column) for name, column in found if name not in {*LIVE, FILES, "schema_version"}}
    assert there == {(table.name, column) for table in tables() for column in table.columns}


# --- kept files --------------------------------------------------------------------------------------------------------


DRAWN = [b"\x89PNG\r\n\x1a\n" + bytes([number, 0, 255]) * 500_000 for number in range(3)]


async def test_kept_files_go_from_the_disk_into_the_table_and_back(
    tmp_path: Path, source: str, postgres_server: Postgres
) -> None:
    await _filled(source)
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    names = sorted([await FileStore(ours).keep(data, "image/png") for data in DRAWN])
    (ours / "tmp1234").write_bytes(b"half of one")
    told = list[str]()
    async with postgres_server.database() as middle, postgres_server.database() as other:
        await copy(source, middle, told.append, Folder(ours))
        assert "files: 3, the same on both sides" in told
        async with open_store(middle) as store:
            for data in DRAWN:
                assert await store.load_file(await FileStore(tmp_path / "any").keep(data, "image/png")) == data
        await copy(middle, other, told.append)
        await copy(other, f"sqlite:///{tmp_path / 'back.db'}", told.append, Folder(theirs))
    assert [path.name for path in sorted(theirs.iterdir())] == names
    for name in names:
        assert (theirs / name).read_bytes() == (ours / name).read_bytes()


async def test_a_copy_of_files_that_breaks_off_goes_on(tmp_path: Path, source: str, postgres_server: Postgres) -> None:
    class Breaking(Folder):
        left = 0

        def read(self, name: str) -> bytes | None:
            self.left -= 1
            if self.left < 0:
                raise OSError("the disk is gone")
            return super().read(name)

    await _filled(source)
    folder = Breaking(tmp_path / "files")
    for data in DRAWN:
        await FileStore(folder.path).keep(data, "image/png")
    async with postgres_server.database() as target:
        for left in range(len(DRAWN)):
            folder.left = left
            with pytest.raises(StorageRefused, match="Mend that and copy again"):
                await copy(source, target, quiet, folder)
            with pytest.raises(StorageRefused, match="half of a copy"):
                await _start(target)
        folder.left = 100
        await copy(source, target, quiet, folder)
        async with open_store(target) as store:
            assert [await store.load_file(name) for name in folder.names()] == [
                (folder.path / name).read_bytes() for name in folder.names()
            ]


async def test_a_file_that_differs_is_told(tmp_path: Path, source: str, postgres_server: Postgres) -> None:
    await _filled(source)
    name = await FileStore(tmp_path / "files").keep(DRAWN[0], "image/png")
    async with postgres_server.database() as middle:
        await copy(source, middle, quiet, Folder(tmp_path / "files"))
        (tmp_path / "files" / name).write_bytes(b"damaged")
        with pytest.raises(StorageRefused, match=f"The file {name} of TO is not the one of FROM"):
            await copy(middle, f"sqlite:///{tmp_path / 'back.db'}", quiet, Folder(tmp_path / "files"))
        with pytest.raises(StorageRefused, match="half of a copy"):
            await _start(f"sqlite:///{tmp_path / 'back.db'}")


# --- a copy that is killed ---------------------------------------------------------------------------------------------


def test_a_copy_that_is_killed_again_and_again_goes_on_and_comes_to_its_end(source: str, target: str) -> None:
    asyncio.run(_filled(source))
    before = asyncio.run(_rows(source))
    reached = [0]
    for _ in kills(lambda: asyncio.run(copy(source, target, quiet)), stride=29):
        reached.append(_count(target))
        assert reached[-1] >= reached[-2]
        if reached[-1]:
            with pytest.raises(StorageRefused, match=r"half of a copy of sqlite:///.*from\.db: finish it"):
                asyncio.run(_start(target))
    assert len(set(reached)) > 3  # it was killed between batches
    assert asyncio.run(_rows(target)) == before
    asyncio.run(_start(target))


async def test_a_copy_into_postgresql_that_breaks_off_goes_on(source: str, postgres_server: Postgres) -> None:
    await _filled(source)
    before = await _rows(source)

    def stop_at(table: str, line: str) -> None:
        if line == f"{table}: copied":
            raise InterruptedError(table)

    async with postgres_server.database() as target:
        for table in tables():
            with pytest.raises(InterruptedError):
                await copy(source, target, partial(stop_at, table.name))
            with pytest.raises(StorageRefused, match="half of a copy"):
                await _start(target)
        await copy(source, target, quiet)
        assert await _rows(target) == before
        await _start(target)


# --- what is refused ---------------------------------------------------------------------------------------------------


async def test_a_target_that_holds_anything_stays_as_it_is(source: str, target: str) -> None:
    await _filled(source)
    async with open_store(target) as store:
        await store.note({"mine": "1"})
    before = await _rows(target)
    with pytest.raises(StorageRefused, match=r"TO is not empty \(there are rows in notes\): nothing was copied"):
        await copy(source, target, quiet)
    assert await _rows(target) == before
    await copy(target, f"{target}2", quiet)
    with pytest.raises(StorageRefused, match="TO is not empty"):
        await copy(target, f"{target}2", quiet)  # finished is finished


async def test_half_of_another_copy_is_neither_copied_nor_gone_on_with(source: str, target: str) -> None:
    def stop(line: str) -> None:
        raise InterruptedError

    await _filled(source)
    await _filled(f"{source}2")
    with pytest.raises(InterruptedError):
        await copy(source, target, stop)
    with pytest.raises(StorageRefused, match=r"half of a copy of .*from\.db:"):
        await copy(f"{source}2", target, quiet)
    with pytest.raises(StorageRefused, match=r"half of a copy of .*from\.db:"):
        await copy(target, f"{target}2", quiet)


async def test_a_source_that_changes_meanwhile_is_noticed(source: str, target: str) -> None:
    def change(line: str) -> None:
        if line == "turns: copied":
            with sqlite3.connect(source.removeprefix("sqlite:///")) as database:
                database.execute("UPDATE inbox SET payload = 'other' WHERE id = 3")
            database.close()

    await _filled(source)
    with pytest.raises(StorageRefused, match=r"differs in inbox \(\d+ rows, \d+ arrived\): did FROM change"):
        await copy(source, target, change)
    with pytest.raises(StorageRefused, match="half of a copy"):
        await _start(target)


@pytest.mark.parametrize("side", ["source", "target"])
async def test_a_living_worker_on_postgresql_refuses_the_copy(
    source: str, side: str, postgres_server: Postgres
) -> None:
    await _filled(source)
    async with postgres_server.database() as url, open_store(url) as store:
        await store.enrol()
        with pytest.raises(StorageRefused, match=r"Magpie runs on postgresql://magpie@127.* stop it first") as refused:
            await copy(*((source, url) if side == "target" else (url, f"{source}2")), quiet)
        assert "secret" not in str(refused.value)
        assert not (await store.notes(""))


async def test_a_worker_that_was_killed_refuses_for_as_long_as_its_lease(
    source: str, target: str, postgres_server: Postgres
) -> None:
    async with postgres_server.database() as url:
        async with open_store(url) as store:
            await store.enrol()
            await store.note({"some": "thing"})
        async with asyncio.timeout(10):
            while True:
                try:
                    await copy(url, target, quiet)
                    break
                except StorageRefused as error:
                    assert "One that was killed counts for some seconds more" in str(error)
                    await asyncio.sleep(0.5)


async def test_wrong_urls_are_told(source: str, target: str, tmp_path: Path) -> None:
    await _filled(source)
    with pytest.raises(StorageRefused, match="are the same database"):
        await copy(source, source, quiet)
    with closing(sqlite3.connect(tmp_path / "other.db")) as database:
        database.execute("CREATE TABLE moz_places (id)")
    with pytest.raises(StorageRefused, match=r"other\.db is no database of Magpie"):
        await copy(f"sqlite:///{tmp_path}/other.db", target, quiet)
    with pytest.raises(StorageRefused, match=r"There is no database at .*nothing\.db: is it the right place"):
        await copy(f"sqlite:///{tmp_path}/nothing.db", target, quiet)
    for wrong in ("mysql://me:hush@localhost/x", "from.db", "sqlite://from.db", ""):
        with pytest.raises(SettingsError) as refused:
            await copy(wrong, target, quiet)
        with pytest.raises(SettingsError):
            await copy(source, wrong, quiet)
        assert "hush" not in str(refused.value)
    began = time.monotonic()
    with pytest.raises(StorageError, match="does not answer at 127"):
        await copy(source, "postgresql://magpie:hush@127.0.0.1:1/magpie", quiet)
    assert time.monotonic() - began < 10
    async with open_store(f"{source}2"):
        pass
    with pytest.raises(StorageRefused, match="holds nothing: is it the right one"):
        await copy(f"{source}2", target, quiet)


# --- helpers -----------------------------------------------------------------------------------------------------------


@asynccontextmanager
async def _database(kind: str, path: Path, server: Postgres) -> AsyncIterator[str]:
    if kind == "sqlite":
        yield f"sqlite:///{path}"
    else:
        async with server.database() as url:
            yield url


async def _start(url: str) -> None:
    async with open_store(url):
        pass


async def _rows(url: str) -> Rows:
    """Of each table, sorted; NUL as what stands for it elsewhere, and nobody as the chats' owner."""
    found: Rows = {}
    for table in tables():
        rows = _sqlite_rows(url, table) if urlsplit(url).scheme == "sqlite" else await _postgres_rows(url, table)
        found[table.name] = sorted(
            repr([_plain(name, value) for name, value in zip(table.columns, row, strict=True)]) for row in rows
        )
    return found


def _plain(name: str, value: object) -> object:
    if name in ("owner", "shown_by"):
        return None
    return value.replace("\0", "\ufffd") if isinstance(value, str) else value


def _sqlite_rows(url: str, table: Table) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as database:
        return database.execute(f"SELECT {', '.join(table.columns)} FROM {table.name}").fetchall()


async def _postgres_rows(url: str, table: Table) -> list[tuple[object, ...]]:
    connection = await asyncpg.connect(url)
    rows = [tuple(row) for row in await connection.fetch(f"SELECT {', '.join(table.columns)} FROM {table.name}")]
    await connection.close()
    return rows


def _count(url: str) -> int:
    """How many rows a copy has brought so far."""
    path = Path(url.removeprefix("sqlite:///"))
    if not path.exists():
        return 0
    with closing(sqlite3.connect(path)) as database:
        there = {name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        return sum(
            database.execute(f"SELECT count(*) FROM {table.name}").fetchone()[0]
            for table in tables()
            if table.name in there
        )
