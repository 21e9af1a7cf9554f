"""What is SQLite's own: durable group commits by one process, and files that cannot or must not be written."""

from __future__ import annotations

import asyncio
import sqlite3
import sys
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from functools import partial
from pathlib import Path
from textwrap import indent

import pytest

from bot.errors import StorageError, StorageRefused
from bot.messages import ChatKey
from storage import Store, inbox, open_store
from storage.sqlite import open_sqlite
from storage.transaction import Statement, Transaction
from tests.storage.saying import claims, edited, only_claim, payloads, said

INSERT = Statement("insert", "INSERT INTO notes (name, value) VALUES (:name, '')")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "magpie.db"


def ask(sql: str) -> Transaction[str | int]:
    rows = yield Statement("ask", sql), {}
    value: str | int = next(iter(rows[0])) if rows else ""
    return value


# --- durable, and in groups --------------------------------------------------------------------------------------------


async def test_each_commit_is_synced_to_the_disk(path: Path) -> None:
    async with open_sqlite(path) as database:
        assert await database.run(partial(ask, "PRAGMA journal_mode")) == "wal"
        assert await database.run(partial(ask, "PRAGMA synchronous")) == 2  # FULL
        assert await database.run(partial(ask, "PRAGMA fullfsync")) == 1


async def test_what_waits_while_a_commit_runs_shares_the_next_one(path: Path) -> None:
    async with open_sqlite(path) as database:
        store, before = Store(database), _commits(path)
        await asyncio.gather(*(store.accept([said(str(number))]) for number in range(400)))
        together = _commits(path) - before
        for number in range(20):
            await store.accept([said(f"alone {number}")])
        assert 1 <= together <= 4
        assert _commits(path) - before - together == 20


async def test_callers_who_give_up_harm_nobody(path: Path) -> None:
    async with open_store(f"sqlite:///{path}") as store:
        tasks = [asyncio.create_task(store.accept([said(str(number))])) for number in range(100)]
        await asyncio.sleep(0)
        for task in tasks[::2]:
            task.cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert [isinstance(result, asyncio.CancelledError) for result in results] == [True, False] * 50
        accepted = payloads(await only_claim(store))
        assert {str(number) for number in range(1, 100, 2)} <= set(accepted)
        await store.note({"still": "alive"})


async def test_the_users_own_error_comes_out_as_it_is(path: Path) -> None:
    with pytest.raises(KeyError, match="mine"):
        async with open_store(f"sqlite:///{path}"):
            raise KeyError("mine")


async def test_closing_commits_what_was_handed_in_and_refuses_the_rest(path: Path) -> None:
    async with open_store(f"sqlite:///{path}") as store:
        tasks = [asyncio.create_task(store.accept([said(str(number))])) for number in range(1200)]
        await asyncio.sleep(0)
    await asyncio.gather(*tasks)
    with pytest.raises(StorageError, match="closed"):
        await store.accept([said("late")])
    with closing(sqlite3.connect(path)) as database:
        assert database.execute("SELECT count(*) FROM inbox").fetchone() == (1200,)


async def test_a_clock_that_is_set_back_keeps_nobody_waiting(path: Path) -> None:
    async with open_sqlite(path) as database:
        await database.run(partial(inbox.accept, [said("1")], now=time.time() + 3600))
        assert payloads(await only_claim(Store(database))) == ["1"]


# --- one process -------------------------------------------------------------------------------------------------------


async def test_a_second_process_is_refused_with_a_sentence(path: Path) -> None:
    async with open_store(f"sqlite:///{path}") as store:
        with pytest.raises(StorageRefused, match=r"Another Magpie is running on .*magpie\.db\. Stop it first"):
            async with open_store(f"sqlite:///{path}"):
                pass
        await store.accept([said("1")])
    async with open_store(f"sqlite:///{path}"):
        pass


async def test_the_lock_of_a_killed_process_is_waited_for(path: Path) -> None:
    async with _child(
        path, "await store.accept([said('1')])\nprint('held', flush=True)\nawait asyncio.sleep(60)"
    ) as child:
        assert await _line(child) == "held"
        asyncio.get_running_loop().call_later(0.5, child.kill)
        began = time.monotonic()
        async with open_store(f"sqlite:///{path}") as store:
            assert time.monotonic() - began >= 0.4
            assert payloads(await only_claim(store)) == ["1"]


# --- trouble while running ---------------------------------------------------------------------------------------------


async def test_a_full_database_accepts_nothing_and_works_again_with_room(path: Path) -> None:
    async with open_sqlite(path) as database:
        store = Store(database)
        await store.accept([said("first")])
        await database.run(
            partial(ask, f"PRAGMA max_page_count = {await database.run(partial(ask, 'PRAGMA page_count'))}")
        )
        kept, refused = ["first"], 0
        for number in range(40):
            group = [said(f"{number}.{part}", f"{number}.{part} " + "x" * 900) for part in range(5)]
            try:
                await store.accept(group)
                kept += [event.event for event in group]
            except StorageError as error:
                assert "full" in str(error)
                refused += 1
        assert refused > 30
        await database.run(partial(ask, "PRAGMA max_page_count = 1000000"))
        await store.accept([said("last")])
        taken = [text.split(" ")[0] for claim in await claims(store) for text in payloads(claim)]
        assert taken == [*kept, "last"][:100]
        assert await database.run(partial(ask, "PRAGMA integrity_check")) == "ok"


async def test_a_full_disk_accepts_nothing_and_works_again_with_room(path: Path) -> None:
    """The child's files may not grow any more, as on a full disk; then they may again."""
    async with _child(path, FULL_DISK) as child:
        lines = [await _line(child) for _ in range(3)]
        assert lines[0].startswith("refused ") and int(lines[0].split()[1]) > 10
        assert lines[1:] == ["accepted", "done"]
        assert await child.wait() == 0
    assert _integrity(path) == "ok"
    async with open_store(f"sqlite:///{path}") as store:
        events = payloads(await only_claim(store))
        assert "after" in events and "refused" not in events and len(events) == len(set(events))


FULL_DISK = """
import resource
await store.accept([said(str(number)) for number in range(10)])
_, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
size = max(file.stat().st_size for file in path.parent.iterdir())
resource.setrlimit(resource.RLIMIT_FSIZE, (size + 1000, hard))
refused = 0
for number in range(20):
    try:
        await store.accept([said(f"full {number}", "refused")])
    except StorageError:
        refused += 1
print("refused", refused, flush=True)
resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
await store.accept([said("after")])
print("accepted", flush=True)
print("done", flush=True)
"""


async def test_a_foreign_lock_delays_and_loses_nothing(path: Path) -> None:
    async with open_store(f"sqlite:///{path}") as store:
        await store.accept([said("0")])
        with closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as viewer:
            viewer.execute("BEGIN IMMEDIATE")
            asyncio.get_running_loop().call_later(3, viewer.execute, "ROLLBACK")
            began = time.monotonic()
            await asyncio.gather(*(store.accept([said(str(number))]) for number in range(1, 10)))
            assert 2.5 < time.monotonic() - began < 6
        assert payloads(await only_claim(store)) == [str(number) for number in range(10)]


async def test_a_reader_in_the_middle_of_its_reading_delays_nobody(path: Path) -> None:
    async with open_store(f"sqlite:///{path}") as store:
        await store.accept([said("0")])
        with closing(sqlite3.connect(path, isolation_level=None)) as viewer:
            viewer.execute("BEGIN")
            viewer.execute("SELECT * FROM inbox").fetchone()
            async with asyncio.timeout(2):
                await store.accept([said("1")])


async def test_what_was_acknowledged_survives_kill_nine_in_the_middle_of_accepts(path: Path) -> None:
    acknowledged: set[str] = set()
    for round in range(5):
        script = f"await accept_for_ever(store, 'r{round}.')"
        async with _child(path, script) as child:
            for _ in range(50 + 37 * round):
                acknowledged.add(await _line(child))
            child.kill()
            assert child.stdout is not None
            rest = (await child.stdout.read()).decode()
            acknowledged |= set(rest.split("\n")[:-1])
        assert _integrity(path) == "ok"
        stored = _events(path)
        assert acknowledged - stored == set()
    async with open_store(f"sqlite:///{path}") as store:
        await store.accept([said(event) for event in acknowledged])
        assert _events(path) == stored


async def accept_for_ever(store: Store, prefix: str) -> None:
    """Twenty at a time, each named on stdout once it is acknowledged."""

    async def some(lane: int) -> None:
        chat = ChatKey("telegram", str(lane))
        for number in range(100_000):
            event = f"{prefix}{lane}.{number}"
            await store.accept([said(event, chat=chat), edited(f"{event}e", f"m{event}", "changed", chat=chat)])
            sys.stdout.write(f"{event}\n")
            sys.stdout.flush()

    async with asyncio.TaskGroup() as tasks:
        for lane in range(20):
            tasks.create_task(some(lane))


# --- helpers -----------------------------------------------------------------------------------------------------------


def _commits(path: Path) -> int:
    """In the write-ahead log each frame that ends a commit carries the size of the database, the others 0."""
    log = path.with_name(path.name + "-wal").read_bytes()
    page = int.from_bytes(log[8:12], "big")
    salts = log[16:24]
    frames = (log[start : start + 24] for start in range(32, len(log), 24 + page))
    return sum(frame[8:16] == salts and frame[4:8] != b"\0\0\0\0" for frame in frames)


def _events(path: Path) -> set[str]:
    with closing(sqlite3.connect(path)) as database:
        return {event for (event,) in database.execute("SELECT event FROM inbox")}


def _integrity(path: Path) -> str:
    with closing(sqlite3.connect(path)) as database:
        verdict: str = database.execute("PRAGMA integrity_check").fetchone()[0]
        return verdict


PROGRAM = """
import asyncio, sys
from pathlib import Path
from bot.errors import StorageError
from storage import open_store
from tests.storage.saying import said
from tests.storage.test_sqlite import accept_for_ever
path = Path(sys.argv[1])
async def main():
    async with open_store(f"sqlite:///{path}") as store:
SCRIPT
asyncio.run(main())
"""


@asynccontextmanager
async def _child(path: Path, script: str) -> AsyncIterator[Process]:
    """Another process with the store open, running these lines."""
    program = PROGRAM.replace("SCRIPT", indent(script.strip(), " " * 8))
    root = Path(__file__).parents[2]
    child = await asyncio.create_subprocess_exec(sys.executable, "-c", program, str(path), cwd=root, stdout=PIPE)
    try:
        yield child
    finally:
        if child.returncode is None:
            child.kill()
        await child.wait()


async def _line(child: Process) -> str:
    assert child.stdout is not None
    async with asyncio.timeout(20):
        return (await child.stdout.readline()).decode().rstrip("\n")
