"""Dead letters are listed, also beside a running Magpie, and tried again as what they were."""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest

from bot.errors import StorageRefused
from bot.messages import Finish
from storage import Store, open_store
from storage.dead import letters, retry
from tests.storage.saying import ANN, AWAY, BOB, HOME, claims, only_claim, outcome, payloads, said, waiting_control


async def _bury(store: Store, event: str, why: str = "cannot be read") -> int:
    """The dead letter's id."""
    await store.accept([said(event, chat=AWAY, author=BOB)])
    claim = await only_claim(store)
    await store.bury(claim, [row.id for row in claim.rows], why)
    return claim.rows[0].id


async def test_who_is_affected_and_why(url: str) -> None:
    async with open_store(url) as store:
        await _enrol(store)
        began = time.time()
        first = await _bury(store, "1", "unreadable: no field 'text'")
        await store.accept([said("2", "a question")])
        claim = await only_claim(store)
        await store.complete(claim, outcome(reason=Finish.FAILED, dead="broke down 10 times"))
        one, two = await letters(url)  # beside the store that is open
    assert (one.id, one.platform, one.chat, one.author) == (first, "telegram", str(AWAY), BOB)
    assert (one.payload, one.why) == ("1", "unreadable: no field 'text'")
    assert began - 5 < one.received < time.time() + 5
    assert (two.chat, two.author, two.payload, two.why) == (str(HOME), ANN, "a question", "broke down 10 times")


async def test_what_nobody_wants_answered_is_none(url: str) -> None:
    async with open_store(url) as store:
        await _enrol(store)
        assert await letters(url) == []
        await _bury(store, "1", "left")
        assert await letters(url) == []


async def test_a_retried_message_is_a_new_turn_in_its_chat(url: str) -> None:
    async with open_store(url) as store:
        await _enrol(store)
        dead, other = await _bury(store, "1"), await _bury(store, "2")
        assert await claims(store) == []
        await _resign(store)
    assert await retry(url, [dead], time.time()) == []
    assert [one.id for one in await letters(url)] == [other]
    async with open_store(url) as store:
        await _enrol(store)
        claim = await only_claim(store)
        assert (claim.chat, payloads(claim), claim.attempt, claim.seq) == (AWAY, ["1"], 1, 3)
        await store.complete(claim, outcome())
        assert await claims(store) == []


async def test_a_retried_message_goes_before_what_came_later(url: str) -> None:
    async with open_store(url) as store:
        await _enrol(store)
        dead = await _bury(store, "1")
        await store.accept([said("2", chat=AWAY, author=ANN)])
        await _resign(store)
    await retry(url, [dead, dead], time.time())
    async with open_store(url) as store:
        await _enrol(store)
        for expected in ("1", "2"):
            claim = await only_claim(store)
            assert payloads(claim) == [expected]
            await store.complete(claim, outcome())
        assert await claims(store) == []


async def test_a_retried_command_that_overtakes_waits_in_its_own_lane(url: str) -> None:
    async with open_store(url) as store:
        await _enrol(store)
        row = await waiting_control(store, "stop")
        await store.dismiss(row, "unreadable")
        await _resign(store)
    assert await retry(url, [row.id], time.time()) == []
    async with open_store(url) as store:
        await _enrol(store)
        assert [row.payload for row, _ in await store.control_rows(10)] == ["stop"]
        assert await claims(store) == []


async def test_an_unknown_one_is_told_and_nothing_is_changed(url: str) -> None:
    async with open_store(url) as store:
        await _enrol(store)
        dead = await _bury(store, "1")
        await store.accept([said("alive")])
        await _resign(store)
    assert await retry(url, [dead, 99, dead + 1], time.time()) == [99, dead + 1]
    assert [one.id for one in await letters(url)] == [dead]


async def test_a_retry_beside_a_running_worker_is_taken_up(request: pytest.FixtureRequest) -> None:
    async with request.getfixturevalue("postgres_server").database() as url, open_store(url) as store:
        await _enrol(store)
        dead = await _bury(store, "1")
        assert await retry(url, [dead], time.time()) == []
        assert payloads(await only_claim(store)) == ["1"]


async def test_what_is_no_database_of_ours_is_told(tmp_path: Path) -> None:
    path = tmp_path / "magpie.db"
    with pytest.raises(StorageRefused, match="There is no database at"):
        await letters(f"sqlite:///{path}")
    with closing(sqlite3.connect(path)) as database:
        database.execute("CREATE TABLE other (id)")
    with pytest.raises(StorageRefused, match="is no database of Magpie"):
        await letters(f"sqlite:///{path}")
    Path.write_bytes(path, b"My diary. " * 1000)
    with pytest.raises(StorageRefused, match="file is not a database"):
        await letters(f"sqlite:///{path}")


async def _enrol(store: Store) -> None:
    if store.lease:
        await store.enrol()


async def _resign(store: Store) -> None:
    if store.lease:
        await store.resign()
