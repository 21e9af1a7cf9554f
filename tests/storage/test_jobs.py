"""Work in the background: ordered with a turn's commit, held by one worker at a time, told to its chat once."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import replace

import pytest

from bot.errors import FencedOut
from bot.messages import ENDED, Cancelled, ChatKey, Ordered
from bot.ports import Job, JobState, Overtaken
from storage import Store, open_store
from storage.jobs import SHARE
from tests.storage.saying import ANN, AWAY, BOB, HOME, only_claim, opened, outcome, pieces, reset, said, stop

DAY = "2026-11-22"
ORDER = Ordered(kind="image", model="cogview-4", order='{"text": "a cat"}', patience=600.0)


async def ordered(
    store: Store, event: str = "1", order: Ordered = ORDER, chat: ChatKey = HOME, author: str = ANN
) -> int:
    """A turn orders it: the number of both."""
    await store.accept([said(event, command=True, chat=chat)])
    claim = await only_claim(store)
    await store.complete(claim, replace(outcome(order), author=author))
    return claim.turn


async def held(store: Store) -> Job:
    [job], _ = await store.claim_jobs(10)
    return job


async def reserved(store: Store, job: Job, cost: int = 100) -> int | None:
    return await store.reserve(
        turn=job.id, chat=job.chat, model=job.model, cost=cost, day=DAY, limit=300, job_fence=job.fence
    )


async def state(store: Store, id: int) -> JobState:
    job = await store.job(id)
    assert job is not None
    return job.state


async def test_what_a_turn_orders_is_there_once_it_is_committed(store: Store) -> None:
    id = await ordered(store)
    job = await held(store)
    assert (job.id, job.chat, job.kind, job.model, job.order) == (id, HOME, "image", "cogview-4", ORDER.order)
    assert (job.state, job.patience, job.fence) == (JobState.QUEUED, 600.0, 1)


async def test_one_worker_holds_it_at_a_time(store: Store) -> None:
    await ordered(store)
    await held(store)
    assert await store.claim_jobs(10) == ([], None)


async def test_a_chat_has_its_share_and_leaves_the_rest_to_others(store: Store) -> None:
    crowd = [await ordered(store, f"crowd {number}") for number in range(2 * SHARE)]
    other = await ordered(store, "other", chat=AWAY)
    jobs, _ = await store.claim_jobs(2 * SHARE)
    assert [job.id for job in jobs] == [*crowd[:SHARE], other]
    assert (await store.claim_jobs(2 * SHARE))[0] == []
    await store.end_job(jobs[0], JobState.DONE, "", cost=0)
    assert [job.id for job in (await store.claim_jobs(2 * SHARE))[0]] == [crowd[SHARE]]


async def test_a_claim_of_which_the_worker_was_never_told_is_given_back(store: Store) -> None:
    ids = [await ordered(store, event) for event in ("1", "2")]
    await store.claim_jobs(10)
    await store.release_jobs({ids[0]})
    assert (await held(store)).id == ids[1]


async def test_its_chat_goes_on_meanwhile(store: Store) -> None:
    await ordered(store)
    await held(store)
    await store.accept([said("2")])
    await store.complete(await only_claim(store), outcome())


async def test_it_is_submitting_from_the_moment_that_its_money_is_held_back(store: Store) -> None:
    id = await ordered(store)
    job = await held(store)
    call = await reserved(store, job)
    found = await store.job(id)
    assert found and (found.state, found.call, found.cost) == (JobState.SUBMITTING, call, 100)
    assert await store.spent(DAY) == 100


async def test_without_the_money_it_is_not_submitted(store: Store) -> None:
    id = await ordered(store)
    assert await reserved(store, await held(store), cost=301) is None
    assert await state(store, id) is JobState.QUEUED


async def test_it_waits_until_its_next_step_is_due(store: Store) -> None:
    id = await ordered(store)
    job = await held(store)
    await reserved(store, job)
    await store.submitted(job, "task-1", 60.0)
    jobs, later = await store.claim_jobs(10)
    assert jobs == [] and later is not None and 55.0 < later <= 60.0
    found = await store.job(id)
    assert found and (found.state, found.task, found.patience) == (JobState.RUNNING, "task-1", 540.0)


async def test_a_step_that_came_to_nothing_is_counted_and_repeated(store: Store) -> None:
    await ordered(store)
    job = await held(store)
    await reserved(store, job)
    await store.put_off(job, 0.0, again=True)
    job = await held(store)
    assert (job.state, job.tries, job.fence) == (JobState.QUEUED, 1, 2)


async def test_how_it_ended_is_told_to_its_chat_once(store: Store) -> None:
    id = await ordered(store)
    job = await held(store)
    await reserved(store, job)
    await store.end_job(job, JobState.DONE, '{"text": "done"}', cost=40)
    with pytest.raises(FencedOut):
        await store.end_job(job, JobState.DONE, "", cost=40)
    assert await store.spent(DAY) == 40
    claim = await only_claim(store)
    assert [row.payload for row in claim.rows] == [f"{ENDED}{id} {ORDER.order}"]
    found = await store.job(id)
    assert found and (found.state, found.result) == (JobState.DONE, '{"text": "done"}') and found.ended


async def test_its_end_names_the_message_that_told_of_it(store: Store) -> None:
    await store.accept([said("1", command=True)])
    claim = await only_claim(store)
    await store.sent(claim.chat, claim.turn, 0, 0, "m9")
    await store.complete(claim, outcome(ORDER, pieces=pieces(claim, "Task 1")))
    await store.end_job(await held(store), JobState.DONE, "", cost=0)
    assert [row.payload for row in (await only_claim(store)).rows] == [f"{ENDED}{claim.turn}@m9 {ORDER.order}"]


async def test_of_an_end_whose_price_nobody_knows_the_estimate_stays(store: Store) -> None:
    await ordered(store)
    job = await held(store)
    await reserved(store, job)
    await store.end_job(job, JobState.UNSURE, "")
    assert await store.spent(DAY) == 100


async def test_its_end_waits_behind_what_its_chat_is_at(store: Store) -> None:
    await ordered(store)
    await store.accept([said("2")])
    claim = await only_claim(store)
    await store.end_job(await held(store), JobState.DONE, "", cost=0)
    assert (await store.claim(10))[0] == []
    await store.complete(claim, outcome())
    assert (await only_claim(store)).rows[0].payload.startswith(ENDED)


async def test_one_that_nobody_wants_any_more_ends_without_a_word(store: Store) -> None:
    id = await ordered(store)
    job = await held(store)
    await reserved(store, job)
    await store.accept([said("2", command=True)])
    await store.complete(await only_claim(store), outcome(Cancelled(id)))
    assert await store.cancelled_jobs() == [id]
    await store.submitted(job, "task-1", 60.0)  # it was under way: the vendor is to be told
    found = await store.job(id)
    assert found and (found.state, found.task) == (JobState.CANCELLING, "task-1")


async def test_and_what_it_cost_is_counted(store: Store) -> None:
    id = await ordered(store)
    job = await held(store)
    await reserved(store, job)
    await store.accept([said("2", command=True)])
    await store.complete(await only_claim(store), outcome(Cancelled(id)))
    await store.end_job(job, JobState.DONE, "", cost=30)
    assert await state(store, id) is JobState.CANCELLED
    assert await store.spent(DAY) == 30
    assert (await store.claim(10))[0] == []


async def test_only_its_own_chat_cancels_it(store: Store) -> None:
    id = await ordered(store)
    await store.accept([said("2", command=True, chat=AWAY)])
    await store.complete(await only_claim(store), outcome(Cancelled(id)))
    assert await state(store, id) is JobState.QUEUED


async def test_what_is_cancelled_is_not_submitted_any_more(store: Store) -> None:
    id = await ordered(store)
    job = await held(store)
    await store.accept([said("2", command=True)])
    await store.complete(await only_claim(store), outcome(Cancelled(id)))
    with pytest.raises(FencedOut):
        await reserved(store, job)


async def test_a_reset_cancels_answers_of_the_old_conversation_and_lets_pictures_come(store: Store) -> None:
    picture = await ordered(store)
    answer = await ordered(store, "2", Ordered(kind="chat", model="glm-4", order="{}", patience=9.0))
    assert await reset(store, "3") == Overtaken(jobs=1)
    assert [await state(store, id) for id in (picture, answer)] == [JobState.QUEUED, JobState.CANCELLING]


async def test_a_reset_closes_what_waits_but_not_what_was_made(store: Store) -> None:
    await ordered(store)
    await store.accept([said("2")])
    await store.end_job(await held(store), JobState.DONE, "the picture", cost=0)
    assert (await reset(store, "3")).closed == 1, "the message, and not the picture"
    assert [row.payload for row in (await only_claim(store)).rows] == [f"{ENDED}1 {ORDER.order}"]


async def test_a_stop_where_nothing_runs_cancels_what_was_ordered_last(store: Store) -> None:
    first, last = await ordered(store), await ordered(store, "2")
    assert (await stop(store, "3")).jobs
    assert [await state(store, id) for id in (first, last)] == [JobState.QUEUED, JobState.CANCELLING]


async def test_a_persons_stop_cancels_what_that_person_ordered_last(store: Store) -> None:
    ids = [await ordered(store, event, author=author) for event, author in (("1", ANN), ("2", ANN), ("3", BOB))]
    assert not (await stop(store, "4", person="99")).jobs
    assert (await stop(store, "5", person=ANN)).jobs
    assert [await state(store, id) for id in ids] == [JobState.QUEUED, JobState.CANCELLING, JobState.QUEUED]
    await store.accept([said("6", author=BOB)])
    running = await only_claim(store)
    assert not (await stop(store, "7", person="99")).turn, "it is Bob who is answered"
    assert (await stop(store, "8", person=BOB)).turn == running.turn


async def test_a_chat_that_is_left_wants_nothing_any_more(store: Store) -> None:
    id = await ordered(store)
    await store.leave(HOME, "kicked")
    assert await state(store, id) is JobState.CANCELLING


async def test_it_follows_its_chat(store: Store) -> None:
    id = await ordered(store)
    job = await held(store)
    await store.move(HOME, AWAY)
    await store.end_job(job, JobState.DONE, "", cost=0)
    assert (await only_claim(store)).chat == AWAY
    assert [job.id for job in await store.jobs(HOME, 10)] == [id]


async def test_the_latest_of_a_chat_come_first(store: Store) -> None:
    ids = [await ordered(store, str(number)) for number in range(3)]
    await ordered(store, "other", chat=AWAY)
    assert [job.id for job in await store.jobs(HOME, 2)] == [ids[2], ids[1]]


async def test_those_of_a_chat_that_have_not_ended(store: Store) -> None:
    ids = [await ordered(store, str(number)) for number in range(3)]
    jobs, _ = await store.claim_jobs(10)
    await store.end_job(next(job for job in jobs if job.id == ids[1]), JobState.FAILED, "", cost=0)
    assert [job.id for job in await store.jobs(HOME, 10, open_only=True)] == [ids[2], ids[0]]


async def test_a_start_finds_what_a_crash_left_behind(url: str) -> None:
    async with opened(url) as store:
        id = await ordered(store)
        job = await held(store)
        await reserved(store, job)
    async with opened(url) as store:
        again = await held(store)
        assert (again.id, again.state, again.fence) == (id, JobState.SUBMITTING, job.fence + 1)
        with pytest.raises(FencedOut):
            await store.submitted(job, "task", 1.0)
        call = await reserved(store, again)
        assert call != job.call and await store.spent(DAY) == 200  # nobody knows whether the first was billed


async def test_two_workers_share_them_out(url: str) -> None:
    async with contextlib.AsyncExitStack() as stack:
        store = await stack.enter_async_context(opened(url))
        if not store.lease:
            pytest.skip("SQLite has one worker")
        other = await stack.enter_async_context(open_store(url))
        await other.enrol()
        chats = [ChatKey("telegram", str(number)) for number in range(20)]
        ids = {await ordered(store, chat.chat, chat=chat) for chat in chats}
        claims = await asyncio.gather(*(one.claim_jobs(7) for one in (store, other) * 3))
        found = [job.id for jobs, _ in claims for job in jobs]
        assert sorted(found) == sorted(ids)
