"""What only PostgreSQL does: many workers, batches in step, connections that break, servers that are refused."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from functools import partial
from typing import Any

import asyncpg
import pytest

from bot.errors import FencedOut, StorageError, StorageRefused
from bot.messages import ChatKey
from bot.ports import Card, Claim, Overtaken, Topic
from storage import Store, open_store
from storage.migrating import migrations
from storage.postgres import Postgres as Driver
from storage.postgres import open_postgres
from storage.postgres_open import prepare
from storage.transaction import Statement, Transaction
from tests.postgres import Postgres, postgres
from tests.storage.saying import (
    HOME,
    bodies,
    claims,
    only_claim,
    opened,
    outcome,
    payloads,
    pieces,
    replying,
    said,
    waiting_control,
)

INSERT = Statement("insert", "INSERT INTO notes (name, value) VALUES (:name, '')")


@pytest.fixture
async def url(postgres_server: Postgres) -> AsyncIterator[str]:
    async with postgres_server.database() as url:
        yield url


@asynccontextmanager
async def beside(url: str) -> AsyncIterator[asyncpg.Connection[Any]]:
    """Another program on the same database."""
    connection = await asyncpg.connect(url)
    try:
        yield connection
    finally:
        await connection.close()


# --- many workers ------------------------------------------------------------------------------------------------------


async def test_two_workers_share_the_chats_and_no_chat_is_claimed_twice(url: str) -> None:
    async with opened(url) as one, opened(url) as two:
        await one.accept([said(str(number), chat=ChatKey("telegram", str(number))) for number in range(60)])
        found = await asyncio.gather(*(store.claim(10) for store in (one, two) * 4))
        chats = [claim.chat for some, _ in found for claim in some]
        assert len(chats) == len(set(chats)) == 60


async def test_a_chat_with_something_to_show_stays_with_its_worker(url: str) -> None:
    async with opened(url) as one, opened(url) as two:
        await one.accept([said("1")])
        claim = await only_claim(one)
        [final] = await one.complete(claim, outcome(pieces=pieces(claim, "a")))
        await one.accept([said("2")])
        assert not await claims(two) and not await two.take()
        with pytest.raises(FencedOut):
            await two.shown(HOME, [final])
        await one.shown(HOME, [final])
        assert payloads(await only_claim(two)) == ["2"]


async def test_what_a_dead_worker_had_is_shared_out_and_its_late_writes_are_refused(url: str) -> None:
    async with opened(url) as late, opened(url) as other:
        await late.accept([said("1")])
        claim = await only_claim(late)
        await late.sent(HOME, claim.turn, 0, 0, "p1")
        assert await late.take_duty("poll") and not await other.take_duty("poll")
        async with beside(url) as database:
            await database.execute("UPDATE workers SET alive = 0 WHERE id = (SELECT owner FROM chats)")
        beat = await other.beat(reap=True)
        assert (beat.freed, beat.others) == (1, 0)
        assert not (await late.beat(reap=True)).alive
        assert await other.take_duty("poll")
        again = await only_claim(other)
        assert (again.turn, [one.id for one in again.shown]) == (claim.turn, ["p1"])
        for refused in (late.complete(claim, outcome()), late.sent(HOME, claim.turn, 0, 1, "p2")):
            with pytest.raises(FencedOut):
                await refused


async def test_a_late_preview_does_not_overwrite_the_answer_on_the_page(url: str) -> None:
    async with opened(url) as late, opened(url) as other:
        await late.accept([said("1")])
        turn = (await only_claim(late)).turn
        preview = Card(chat="c", id=f"{turn}.0.0.0", role="bot", body="half ▌", created=1.0, done=False)
        await late.put(preview, turn)
        await late.resign()
        claim = await only_claim(other)
        await other.put(replace(preview, body="whole", done=True), turn)
        with pytest.raises(FencedOut):
            await late.put(preview, turn)
        await other.complete(claim, outcome())  # nobody shows it any more
        with pytest.raises(FencedOut):
            await late.put(preview, turn)
        card = await other.card("c", preview.id)
        assert card is not None and (card.body, card.done) == ("whole", True)


async def test_a_dead_worker_whose_clock_was_ahead_is_found_as_well(url: str) -> None:
    async with opened(url) as other, beside(url) as database:
        await database.execute(
            "INSERT INTO workers VALUES ('ahead', extract(epoch FROM clock_timestamp()) + 86400, 'h', '1')"
        )
        assert (await other.beat(reap=True)).freed == 1


async def test_two_workers_tell_the_owner_once(url: str) -> None:
    async with opened(url) as one, opened(url) as two:
        for cause in map(str, range(20)):
            told = await asyncio.gather(*(store.due(cause, 3600) for store in (one, two, one, two)))
            assert sorted(told) == [False, False, False, True]


async def test_a_bug_in_one_transaction_fails_it_alone(url: str) -> None:
    def wrong() -> Transaction[None]:
        yield INSERT, {}

    async with open_postgres(url) as database:
        results = await asyncio.gather(
            *(database.run(wrong) for _ in range(4)), Store(database).note({"a": "1"}), return_exceptions=True
        )
        assert [type(one) for one in results] == [KeyError] * 4 + [type(None)]
        assert await Store(database).notes("") == {"a": "1"}


async def test_many_who_write_on_many_boards_do_not_wait_for_each_other_crosswise(url: str) -> None:
    async with opened(url) as one, opened(url) as two, beside(url) as database:
        cards = [Card(chat=str(n % 20), id=str(n), role="bot", body="x", created=1.0) for n in range(400)]
        chance = random.Random(1)
        for _ in range(2):
            chance.shuffle(cards)
            await asyncio.gather(*(chance.choice((one, two)).put(card) for card in cards))
        name = url.rpartition("/")[2]
        assert await database.fetchval("SELECT deadlocks FROM pg_stat_database WHERE datname = $1", name) == 0


async def test_a_chat_claimed_by_a_commit_that_outlived_its_worker_is_found(url: str) -> None:
    async with opened(url) as paused, opened(url) as other, beside(url) as database:
        await paused.accept([said("1")])
        await only_claim(paused)
        [owner] = [row["owner"] for row in await database.fetch("SELECT owner FROM chats")]
        await database.execute("DELETE FROM workers WHERE id = $1", owner)  # as if it had been found to own nothing
        await other.beat(reap=True)
        assert payloads(await only_claim(other)) == ["1"]


async def test_no_call_of_a_finished_turn_stays_reserved(url: str) -> None:
    """A worker that was paused calls a model while another completes the turn: the call is refused, or given up with it."""
    async with opened(url) as late, opened(url) as other:
        await late.accept([said(str(number), chat=ChatKey("telegram", str(number))) for number in range(30)])
        found = await claims(other)

        async def reserve(claim: Claim) -> int | None:
            with suppress(FencedOut):
                return await late.reserve(turn=claim.turn, chat=claim.chat, model="glm", cost=1, day="d", limit=100)
            return None

        calls, *_ = await asyncio.gather(
            asyncio.gather(*(reserve(claim) for claim in found)),
            *(other.complete(claim, outcome()) for claim in found),
        )
        held = [call for call in calls if isinstance(call, int)]
        for call in held:
            await late.settle(call, 0)
        assert await late.spent("d") == len(held)


async def test_what_a_dead_worker_has_left_to_be_shown_goes_before_the_next_answer(url: str) -> None:
    async with opened(url) as dead, opened(url) as other, opened(url) as third:
        await dead.accept([said("1")])
        claim = await only_claim(dead)
        await dead.complete(claim, outcome(pieces=pieces(claim, "a")))
        await dead.accept([said("2")])
        await dead.resign()
        assert not await claims(other), "or its preview would come before the answer to 1"
        assert await other.take() == [HOME]
        assert not await claims(third)
        assert payloads(await only_claim(other)) == ["2"]


async def test_the_reply_to_a_reset_is_shown_by_whoever_shows_the_chat(url: str) -> None:
    async with opened(url) as one, opened(url) as two:
        await one.accept([said("1")])
        claim = await only_claim(one)
        row = await waiting_control(two, "2")
        assert await two.reset(row, HOME, replying("new")) == Overtaken(turn=claim.turn)
        assert await one.reset(row, HOME, replying("new")) == Overtaken(), "it has acted once"
        assert not await two.take() and not await two.waiting(HOME)
        assert await one.take() == [HOME]
        assert bodies([final for _, final in await one.waiting(HOME)]) == ["new"]


async def test_a_heartbeat_learns_which_turns_must_end(url: str) -> None:
    async with opened(url) as one, opened(url) as two:
        await one.accept([said("1")])
        claim = await only_claim(one)
        assert (await one.beat(reap=True)).to_end == ()
        await two.leave(HOME, "gone")
        assert (await one.beat(reap=True)).to_end == (claim.turn,)
        assert (await two.beat(reap=True)).to_end == ()


async def test_workers_tell_each_other_and_not_themselves(url: str) -> None:
    heard: dict[str, asyncio.Event] = {"one": asyncio.Event(), "two": asyncio.Event()}
    async with opened(url) as one, opened(url) as two:
        one.subscribe(Topic.WORK, heard["one"].set)
        two.subscribe(Topic.WORK, heard["two"].set)
        await one.beat(reap=True)  # it learns that it is not alone
        for event in heard.values():
            event.clear()
        await one.accept([said("1")])
        async with asyncio.timeout(10):
            await heard["two"].wait()
        assert not heard["one"].is_set()


# --- batches -----------------------------------------------------------------------------------------------------------


async def test_what_waits_while_a_commit_runs_shares_the_next_one(url: str) -> None:
    async with opened(url) as store, beside(url) as database:
        chats = [ChatKey("telegram", str(number % 100)) for number in range(400)]
        await asyncio.gather(*(store.accept([said(str(n), chat=chat)]) for n, chat in enumerate(chats)))
        commits = await database.fetchval("SELECT count(DISTINCT xmin::text) FROM inbox")
        assert commits <= 6
        assert await database.fetchval("SELECT sum(pending) FROM chats") == 400


async def test_what_waits_behind_a_commit_that_is_cut_off_goes_over_another_connection(url: str) -> None:
    """All of a batch is undone, and of its transactions, now alone, the first one is cut off in its COMMIT."""

    class Oops(Exception):
        pass

    def failing() -> Transaction[None]:
        yield INSERT, {"name": "failing"}
        raise Oops

    async with open_postgres(url) as database, beside(url) as other:
        store = Store(database)
        await other.execute(CUT_OFF_AT_COMMIT)
        async with asyncio.timeout(20):
            results = await asyncio.gather(
                store.note({"cut off": "1"}),
                database.run(failing),
                *(store.note({str(number): "1"}) for number in range(3)),
                return_exceptions=True,
            )
        assert [type(result) for result in results] == [StorageError, Oops, *[type(None)] * 3]
        assert await store.notes("") == {"0": "1", "1": "1", "2": "1"}


CUT_OFF_AT_COMMIT = """
CREATE FUNCTION cut() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); PERFORM pg_sleep(10); RETURN NULL; END
$$;
CREATE CONSTRAINT TRIGGER cut AFTER INSERT ON notes DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW WHEN (NEW.name = 'cut off') EXECUTE FUNCTION cut();
"""


async def test_batches_that_wait_for_each_other_are_tried_again(url: str) -> None:
    """Two drivers write the same notes in opposite order: PostgreSQL ends one of the two each time they meet."""

    def write(names: tuple[str, ...]) -> Transaction[None]:
        for name in names:
            yield Statement("bump", BUMP), {"name": name}

    async with open_postgres(url) as one, open_postgres(url) as two:
        await Store(one).note({"a": "0", "b": "0"})
        for _ in range(3):
            await asyncio.gather(one.run(partial(write, ("a", "b"))), two.run(partial(write, ("b", "a"))))
        assert await Store(one).notes("") == {"a": "6", "b": "6"}


BUMP = "UPDATE notes SET value = CAST(CAST(value AS integer) + 1 AS text) WHERE name = :name"


async def test_no_character_costs_a_message(url: str) -> None:
    async with opened(url) as store:
        await store.accept([said("1", "nul \0, half \ud83d of a pair, 喜鹊 🐦")])
        assert payloads(await only_claim(store)) == ["nul \ufffd, half \ufffd of a pair, 喜鹊 🐦"]


async def test_closing_commits_what_was_handed_in_and_refuses_the_rest(url: str) -> None:
    async with open_store(url) as store:
        tasks = [asyncio.create_task(store.accept([said(str(number))])) for number in range(100)]
        await asyncio.sleep(0)
    await asyncio.gather(*tasks)
    with pytest.raises(StorageError, match="closed"):
        await store.accept([said("late")])


# --- connections -------------------------------------------------------------------------------------------------------


async def test_connections_that_are_cut_are_made_anew_and_nobody_notices(url: str) -> None:
    async with opened(url) as store, beside(url) as database:
        for number in range(5):
            await database.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'magpie'"
            )
            await store.accept([said(str(number))])
        assert payloads(await only_claim(store)) == ["0", "1", "2", "3", "4"]
        assert await database.fetchval("SELECT count(*) FROM inbox") == 5


async def test_a_server_that_dies_and_comes_back_loses_nothing_that_was_accepted() -> None:
    with postgres() as server:
        async with opened(server.url()) as store:
            await store.accept([said("before")])
            server.kill()
            with pytest.raises(StorageError, match="PostgreSQL"):
                await store.accept([said("meanwhile")])
            server.start()
            await accepted(store, "after")
            assert payloads(await only_claim(store)) == ["before", "after"]


async def accepted(store: Store, event: str) -> None:
    async with asyncio.timeout(20):
        while True:
            try:
                await store.accept([said(event)])
                return
            except StorageError:
                await asyncio.sleep(0.05)  # until the server takes connections again


async def test_the_wake_up_connection_is_made_anew_as_well(url: str) -> None:
    heard = asyncio.Event()
    async with opened(url) as one, opened(url) as two, beside(url) as database:
        two.subscribe(Topic.WORK, heard.set)
        await one.beat(reap=True)
        await database.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'magpie'"
        )
        await two.beat(reap=True)
        heard.clear()
        await one.accept([said("1")])
        async with asyncio.timeout(10):
            await heard.wait()


async def test_a_server_that_becomes_read_only_is_left_for_one_that_takes_writes(url: str) -> None:
    name = url.rpartition("/")[2]
    async with opened(url) as store, beside(url) as database:
        await database.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
        await database.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'magpie'"
        )
        with pytest.raises(StorageError, match="read-only"):
            await store.accept([said("1")])
        await database.execute("SET default_transaction_read_only = off")
        await database.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = off")
        await accepted(store, "2")
        assert payloads(await only_claim(store)) == ["2"]


async def test_a_worker_that_stops_in_the_middle_of_a_commit_lets_go_of_its_chats(url: str) -> None:
    async with opened(url) as store:
        await store.accept([said("1")])
        async with beside(url) as stopped:
            await stopped.execute("SET idle_in_transaction_session_timeout = '300ms'")
            await stopped.execute("BEGIN")
            await stopped.fetch("SELECT chat FROM chats FOR UPDATE")
            await store.accept([said("2")])
        assert payloads(await only_claim(store)) == ["1", "2"]


# --- the start ---------------------------------------------------------------------------------------------------------


async def refusal(url: str) -> str:
    with pytest.raises(StorageRefused) as refused:
        async with open_store(url):
            pass
    return str(refused.value)


async def test_many_processes_may_start_on_an_empty_database_at_once(url: str) -> None:
    async def start() -> None:
        async with open_store(url) as store:
            await store.note({"a": "1"})

    await asyncio.gather(*(start() for _ in range(5)))


async def test_a_newer_schema_is_refused(url: str) -> None:
    async with open_store(url):
        pass
    async with beside(url) as database:
        await database.execute("UPDATE schema_version SET version = version + 1")
    assert f"newer Magpie (schema {len(migrations()) + 1}" in await refusal(url)


async def test_a_database_that_does_not_exist_is_told_with_what_to_do(postgres_server: Postgres) -> None:
    told = await refusal(postgres_server.url("nowhere"))
    assert "CREATE DATABASE" in told and "nowhere" in told and "secret" not in told


async def test_a_read_only_database_is_refused(url: str) -> None:
    name = url.rpartition("/")[2]
    async with beside(url) as database:
        await database.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    assert "read-only" in await refusal(url)


async def test_a_user_who_may_not_create_tables_is_told_whom_to_ask(url: str) -> None:
    async with beside(url) as database:
        await database.execute("DROP ROLE IF EXISTS guest")
        await database.execute("CREATE ROLE guest LOGIN")
    assert "GRANT" in await refusal(url.replace("magpie:secret@", "guest@"))


async def test_a_server_of_too_old_a_version_is_refused(url: str) -> None:
    with pytest.raises(StorageRefused, match=r"PostgreSQL \d+ is too old: Magpie needs 99 or newer"):
        await prepare(url, oldest=990_000)


async def test_another_encoding_is_refused(postgres_server: Postgres) -> None:
    async with beside(postgres_server.url()) as database:
        await database.execute("CREATE DATABASE latin ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0")
    assert "UTF8" in await refusal(postgres_server.url("latin"))


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://me:secret@127.0.0.1:1/x",
        "postgresql://me:secret@no.such.host.invalid/x",
        "postgresql://me:secret@127.0.0.1:1,127.0.0.1:2/x",
    ],
)
async def test_a_server_that_does_not_answer_is_told_without_its_password(url: str) -> None:
    told = await refusal(url)
    assert "does not answer at" in told and "STORAGE_URL" in told and "secret" not in told


@pytest.mark.parametrize("jump", [86400, -86400])
async def test_a_jump_of_the_databases_clock_makes_nobody_dead(url: str, jump: int) -> None:
    async with opened(url) as one, opened(url) as two, beside(url) as database:
        for store in (one, two):
            await store.beat(reap=True)
        await database.execute(
            "UPDATE workers SET alive = alive - $1", float(jump)
        )  # as if it were a day later, or earlier
        told = await one.beat(reap=True)
        assert (told.jumped, told.freed, told.others) == (True, 0, 1)
        assert (await two.beat(reap=False)).alive
        again = await one.beat(reap=True)
        assert (again.jumped, again.freed) == (False, 0)


async def test_the_clock_is_the_databases(url: str) -> None:
    async with open_postgres(url) as driver, beside(url) as database:
        assert isinstance(driver, Driver)
        await Store(driver).enrol()
        clock = await database.fetchval("SELECT extract(epoch FROM clock_timestamp())::float8")
        assert abs(driver.now() - clock) < 1
