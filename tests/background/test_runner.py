"""Work in the background: handed over once, looked after until it ends, across restarts, and never paid for twice unasked."""

from __future__ import annotations

import asyncio
import time
import tracemalloc
from collections import deque
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.background.steps import Pauses
from bot.errors import StorageError, Trouble, Unreadable
from bot.messages import ChatKey, Finish
from bot.messages.orders import WorkOrder
from bot.ports import Job, JobState, PicturePrompt, Prompt, Source, Sources, VideoPrompt
from storage.statements import JOBS
from storage.store import Database
from storage.transaction import Pipeline, Transaction, TransactionFactory, Value
from tests.jobs_house import (
    CHALK,
    FILMER,
    PAINTER,
    QUICK,
    TALKER,
    THINKER,
    FullDisk,
    Life,
    Vendor,
    asked_of,
    eventually,
    living,
    made,
    result_of,
    streamed,
    trouble,
)
from tests.postgres import Postgres

DOWN = (Trouble.BUSY, Trouble.OVERLOADED, Trouble.FAULT, Trouble.UNREACHABLE)


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'magpie.db'}"


@pytest.fixture
def vendor() -> Vendor:
    return Vendor()


# --- the way through ---------------------------------------------------------------------------------------------------


async def test_a_task_is_looked_after_until_it_is_made(url: str, vendor: Vendor) -> None:
    vendor.looks.extend([None, None, made(cost=90_000)])
    async with living(url, vendor) as life:
        id = await life.order()
        job = await life.ended(id)
        result = result_of(job)
        assert (job.state, result.cost, len(vendor.asked), vendor.looked) == (JobState.DONE, 90_000, 1, ["task-0"] * 3)
        assert [(life.files.kept[name], mime) for name, mime in result.files] == [(made().files[0].data, "image/png")]
        assert await life.spent() == 90_000
        assert await life.told() == [f"job {id}"]
        assert life.shown == [(id, "running")] * 3


async def test_what_is_made_at_once_needs_no_look(url: str, vendor: Vendor) -> None:
    vendor.submits.append(made())
    async with living(url, vendor) as life:
        job = await life.ended(await life.order())
        assert (job.state, vendor.looked, await life.spent()) == (JobState.DONE, [], 100_000)


async def test_what_was_ordered_is_what_is_asked(url: str, vendor: Vendor) -> None:
    vendor.looks.extend([made(), made(), made()])
    async with living(url, vendor) as life:
        for card in (PAINTER, FILMER, THINKER):
            await life.ended(await life.order(card))
    picture, video, question = vendor.asked
    assert isinstance(picture, PicturePrompt) and (picture.text, picture.count, picture.card) == ("a cat", 1, PAINTER)
    assert isinstance(video, VideoPrompt) and (video.text, video.picture, video.card) == ("a cat", "", FILMER)
    assert isinstance(question, Prompt) and question.lines[-1].text == "a cat" and question.job_fence is not None


async def test_of_several_pictures_those_that_were_made_are_kept_and_paid_for(url: str, vendor: Vendor) -> None:
    vendor.looks.append(made(3, missing=1))
    async with living(url, vendor) as life:
        result = result_of(await life.ended(await life.order(pictures=4)))
        assert (len(result.files), result.missing, result.why, result.cost) == (3, 1, "refused", 300_000)
        assert await life.spent() == 300_000


async def test_where_nobody_tells_what_was_used_the_estimate_stays(url: str, vendor: Vendor) -> None:
    untold = made(cost=0)
    usage = replace(untold.finished.usage, estimated=True)
    vendor.looks.append(replace(untold, finished=replace(untold.finished, usage=usage)))
    async with living(url, vendor) as life:
        job = await life.ended(await life.order(FILMER))
        assert (result_of(job).cost, await life.spent()) == (100_000, 100_000)


async def test_a_video_too_large_to_keep_is_a_link(url: str, vendor: Vendor) -> None:
    large = replace(made().files[0], data=b"", link="https://vendor/video.mp4")
    vendor.looks.append(replace(made(), files=(large,)))
    async with living(url, vendor) as life:
        result = result_of(await life.ended(await life.order(FILMER)))
        assert (result.files, result.links) == ((), ("https://vendor/video.mp4",))


async def test_where_the_vendor_answers_nothing_later_the_answer_is_read_to_its_end(url: str, vendor: Vendor) -> None:
    vendor.parts = streamed("It is ", "a cat.")
    async with living(url, vendor) as life:
        job = await life.ended(await life.order(TALKER))
        result = result_of(job)
        assert (job.state, result.text, result.error, result.cost) == (JobState.DONE, "It is a cat.", "", 40)
        assert (result.prompt, result.completion, await life.spent()) == (3, 4, 40)


async def test_the_pages_that_an_answer_rests_on_are_kept_with_it(url: str, vendor: Vendor) -> None:
    page = Source(1, "Cats", "https://example.org/cats")
    vendor.parts = streamed("It is a cat [1].")
    vendor.parts.insert(2, Sources((page,)))
    vendor.looks.append(replace(made(), files=(), text="A cat [1].", sources=(page,)))
    async with living(url, vendor) as life:
        for card in (TALKER, THINKER):
            result = result_of(await life.ended(await life.order(card)))
            assert result.sources == ((1, "Cats", "https://example.org/cats"),)


async def test_an_answer_that_breaks_off_says_so(url: str, vendor: Vendor) -> None:
    vendor.parts = streamed("It is", reason=Finish.CUT)
    async with living(url, vendor) as life:
        job = await life.ended(await life.order(TALKER))
        assert (job.state, result_of(job).text, result_of(job).error) == (JobState.DONE, "It is", "cut")


# --- the vendor's no ---------------------------------------------------------------------------------------------------


async def test_a_task_that_failed_costs_nothing(url: str, vendor: Vendor) -> None:
    vendor.looks.extend([None, trouble(Trouble.FAULT, begun=True, unbilled=True)])
    async with living(url, vendor) as life:
        id = await life.order()
        job = await life.ended(id)
        result = result_of(job)
        assert (job.state, result.error, result.code, result.vendor_message) == (JobState.FAILED, "fault", "77", "no")
        assert (await life.spent(), await life.told(), len(vendor.asked)) == (0, [f"job {id}"], 1)


async def test_a_task_that_failed_and_may_be_billed_is_counted(url: str, vendor: Vendor) -> None:
    vendor.looks.append(trouble(Trouble.REFUSED, begun=True))
    async with living(url, vendor) as life:
        assert result_of(await life.ended(await life.order())).error == "refused"
        assert await life.spent() == 100_000


async def test_a_task_of_which_the_vendor_refuses_to_tell_may_be_billed_all_the_same(url: str, vendor: Vendor) -> None:
    vendor.looks.append(trouble(Trouble.BAD_REQUEST, status=400))
    async with living(url, vendor) as life:
        assert result_of(await life.ended(await life.order())).cost == 100_000
        assert await life.spent() == 100_000


@pytest.mark.parametrize("kind", [*DOWN, Trouble.SILENT, Trouble.CUT, Trouble.BAD_KEY, Trouble.NO_MONEY])
async def test_a_look_that_went_wrong_says_nothing_of_the_task(url: str, vendor: Vendor, kind: Trouble) -> None:
    vendor.looks.extend([trouble(kind)] * 9 + [made()])
    async with living(url, vendor) as life:
        assert (await life.ended(await life.order())).state is JobState.DONE
        assert len(vendor.asked) == 1


@pytest.mark.parametrize("kind", DOWN)
async def test_a_vendor_that_is_down_for_a_while_is_asked_again(url: str, vendor: Vendor, kind: Trouble) -> None:
    vendor.submits.extend([trouble(kind, unbilled=True)] * 3)
    vendor.looks.append(made())
    async with living(url, vendor) as life:
        assert (await life.ended(await life.order())).state is JobState.DONE
        assert (len(vendor.asked), await life.spent()) == (4, 100_000)


async def test_a_vendor_that_stays_down_ends_it(url: str, vendor: Vendor) -> None:
    vendor.submits.extend([trouble(Trouble.OVERLOADED, unbilled=True)] * 20)
    async with living(url, vendor) as life:
        job = await life.ended(await life.order())
        assert (job.state, result_of(job).error, len(vendor.asked)) == (JobState.FAILED, "overloaded", 8)
        assert await life.spent() == 0


async def test_it_waits_as_long_as_the_vendor_says(url: str, vendor: Vendor) -> None:
    vendor.submits.append(trouble(Trouble.BUSY, unbilled=True, wait=90.0))
    async with living(url, vendor) as life:
        job = await life.until(lambda job: job.tries == 1, await life.order())
        assert job.state is JobState.QUEUED and job.patience == 510.0


async def test_an_order_that_may_have_been_taken_is_not_given_twice(url: str, vendor: Vendor) -> None:
    vendor.submits.append(trouble(Trouble.SILENT))
    async with living(url, vendor) as life:
        job = await life.ended(await life.order())
        assert (job.state, result_of(job).error, len(vendor.asked)) == (JobState.FAILED, "silent", 1)
        assert await life.spent() == 100_000


async def test_unless_it_costs_nothing(url: str, vendor: Vendor) -> None:
    vendor.submits.append(trouble(Trouble.SILENT))
    vendor.looks.append(made(cost=0))
    async with living(url, vendor) as life:
        assert (await life.ended(await life.order(CHALK))).state is JobState.DONE
        assert len(vendor.asked) == 2


@pytest.mark.parametrize("kind", [Trouble.REFUSED, Trouble.BAD_REQUEST, Trouble.NO_MODEL, Trouble.QUOTA])
async def test_a_refusal_that_stays_one_ends_it(url: str, vendor: Vendor, kind: Trouble) -> None:
    vendor.submits.append(trouble(kind, unbilled=True))
    async with living(url, vendor) as life:
        job = await life.ended(await life.order())
        assert (job.state, result_of(job).error, len(vendor.asked)) == (JobState.FAILED, kind.value, 1)


async def test_without_the_days_money_nothing_is_asked(url: str, vendor: Vendor) -> None:
    vendor.limit = 99_999
    async with living(url, vendor) as life:
        job = await life.ended(await life.order())
        assert (job.state, result_of(job).error, vendor.asked) == (JobState.FAILED, "budget", [])


async def test_a_model_that_is_gone_ends_it(url: str, vendor: Vendor) -> None:
    async with living(url, vendor) as life:
        del life.desk.names[PAINTER.name]
        job = await life.ended(await life.order())
        assert (job.state, result_of(job).error) == (JobState.FAILED, "no model")


async def test_its_deadline_ends_it_and_the_vendor_is_told(url: str, vendor: Vendor) -> None:
    async with living(url, vendor) as life:
        id = await life.order(patience=0.2)
        job = await life.ended(id)
        assert (job.state, result_of(job).error, vendor.cancelled) == (JobState.FAILED, "deadline", ["task-0"])
        assert (await life.told(), await life.spent()) == ([f"job {id}"], 100_000)


# --- what is not wanted any more ---------------------------------------------------------------------------------------


async def test_one_cancelled_while_it_is_handed_over_is_cancelled_at_the_vendor(url: str, vendor: Vendor) -> None:
    vendor.submitting.go.clear()
    vendor.writing.go.clear()
    async with living(url, vendor) as life:
        id, other = await life.order(), await life.order(TALKER)
        await life.reach(vendor.submitting)
        await life.reach(vendor.writing)
        await life.cancel(id)
        await life.cancel(other)
        await life.ended(other)  # so that one, too, was found to be cancelled
        assert vendor.submitting.under_way == 1
        vendor.submitting.go.set()
        job = await life.ended(id)
        assert (job.state, vendor.cancelled, vendor.looked) == (JobState.CANCELLED, ["task-0"], [])
        assert await life.told() == []


async def test_one_cancelled_right_before_it_would_be_handed_over_is_not(url: str, vendor: Vendor) -> None:
    begun, go = asyncio.Event(), asyncio.Event()

    async def slow(job: Job, order: WorkOrder) -> Prompt:
        begun.set()
        await go.wait()
        return await asked_of(job, order)

    async with living(url, vendor, prompts=slow, pauses=replace(QUICK, watch=100.0)) as life:
        id = await life.order(THINKER)
        await asyncio.wait_for(begun.wait(), 5.0)
        await life.cancel(id, tell=False)
        go.set()
        assert (await life.ended(id)).state is JobState.CANCELLED
        assert not vendor.asked


async def test_a_slow_drawing_that_nobody_wants_is_cut_off(url: str, vendor: Vendor) -> None:
    vendor.submitting.go.clear()
    async with living(url, vendor, pauses=replace(QUICK, grace=0.05)) as life:
        id = await life.order()
        await life.reach(vendor.submitting)
        await life.cancel(id)
        job = await life.ended(id)
        assert (job.state, vendor.submitting.under_way) == (JobState.CANCELLED, 0)
        assert await life.spent() == 100_000  # nobody knows what the vendor takes for it


async def test_a_running_one_that_nobody_wants_is_cancelled_at_the_vendor(url: str, vendor: Vendor) -> None:
    vendor.looking.go.clear()
    async with living(url, vendor) as life:
        id = await life.order()
        await life.reach(vendor.looking)
        await life.cancel(id)
        job = await life.ended(id)
        assert (job.state, vendor.cancelled, await life.told()) == (JobState.CANCELLED, ["task-0"], [])


async def test_one_that_waits_for_its_next_look_is_cancelled_at_once(url: str, vendor: Vendor) -> None:
    async with living(url, vendor, pauses=replace(QUICK, first=100.0)) as life:
        id = await life.order()
        await life.until(lambda job: job.state is JobState.RUNNING, id)
        await life.cancel(id)
        assert (await life.ended(id)).state is JobState.CANCELLED and vendor.cancelled == ["task-0"]


async def test_a_streamed_answer_that_nobody_wants_is_not_read_on(url: str, vendor: Vendor) -> None:
    vendor.writing.go.clear()
    async with living(url, vendor) as life:
        id = await life.order(TALKER)
        await life.reach(vendor.writing)
        await life.cancel(id)
        job = await life.ended(id)
        assert (job.state, vendor.writing.under_way) == (JobState.CANCELLED, 0)


# --- crashes and restarts ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("card", "state", "asked"),
    [(PAINTER, JobState.UNSURE, 1), (CHALK, JobState.DONE, 2), (THINKER, JobState.DONE, 2), (TALKER, JobState.DONE, 2)],
)
async def test_an_order_that_a_crash_cut_off(url: str, vendor: Vendor, card: Any, state: JobState, asked: int) -> None:
    """A paid one is for a person to decide; free ones and questions are given once more."""
    vendor.submitting.go.clear()
    vendor.writing.go.clear()
    async with living(url, vendor) as life:
        id = await life.order(card)
        await life.reach(vendor.writing if card is TALKER else vendor.submitting)
        await life.kill()
    vendor.submitting.go.set()
    vendor.writing.go.set()
    vendor.looks.append(made(cost=0))
    vendor.parts = streamed("Yes.", cost=0)
    async with living(url, vendor) as life:
        job = await life.ended(id)
        assert (job.state, len(vendor.asked), await life.told()) == (state, asked, [f"job {id}"])
        assert await life.spent() == (0 if card is CHALK else 100_000)  # what was cut off may be billed


async def test_a_task_whose_id_is_stored_is_never_submitted_again(url: str, vendor: Vendor) -> None:
    vendor.looking.go.clear()
    async with living(url, vendor) as life:
        id = await life.order()
        await life.reach(vendor.looking)
        await life.kill()
    vendor.looking.go.set()
    vendor.looks.append(made())
    async with living(url, vendor) as life:
        job = await life.ended(id)
        assert (job.state, len(vendor.asked), await life.spent()) == (JobState.DONE, 1, 100_000)


async def test_a_shutdown_waits_for_an_order_that_is_being_handed_over(url: str, vendor: Vendor) -> None:
    vendor.submitting.go.clear()
    async with living(url, vendor) as life:
        id = await life.order()
        await life.reach(vendor.submitting)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(life.runner.drain(5.0))
            vendor.submitting.go.set()
        assert (await life.job(id)).task == "task-0"
        assert life.task is not None
        await asyncio.wait_for(life.task, 5.0)  # it claims no more


async def test_a_shutdown_does_not_wait_for_ever(url: str, vendor: Vendor) -> None:
    vendor.looking.go.clear()
    async with living(url, vendor) as life:
        await life.order()
        await life.reach(vendor.looking)
        await asyncio.wait_for(life.runner.drain(0.05), 5.0)


async def test_two_workers_share_the_work_and_one_goes_on_when_the_other_dies(
    postgres_server: Postgres, vendor: Vendor
) -> None:
    vendor.looking.go.clear()
    async with postgres_server.database() as url, AsyncExitStack() as stack:
        one, other = [await stack.enter_async_context(living(url, vendor, at_once=4)) for _ in range(2)]
        ids = [await one.order(CHALK, n=number + 1) for number in range(12)]
        await eventually(lambda: vendor.looking.under_way == 8)
        await one.kill()
        vendor.looks.extend([made(cost=0)] * 12)
        vendor.looking.go.set()
        jobs = [await other.ended(id) for id in ids]
        assert {job.state for job in jobs} == {JobState.DONE}
        assert len(vendor.asked) == len(vendor.tasks) == 12


# --- faults of ours ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("at_once", [True, False])
async def test_what_cannot_be_kept_now_is_kept_later_and_never_made_again(
    url: str, vendor: Vendor, at_once: bool
) -> None:
    if at_once:
        vendor.submits.append(made())
    else:
        vendor.looks.extend([made()] * 3)
    async with living(url, vendor, files=FullDisk(2)) as life:
        job = await life.ended(await life.order())
        assert (job.state, len(vendor.asked), len(result_of(job).files)) == (JobState.DONE, 1, 1)


async def test_a_bug_ends_it_after_a_few_tries_and_no_other(url: str, vendor: Vendor) -> None:
    tries = 0

    async def broken(job: Job, order: WorkOrder) -> Prompt:
        nonlocal tries
        if job.model == TALKER.name:
            tries += 1
            raise ZeroDivisionError
        return await asked_of(job, order)

    vendor.looks.append(made())
    async with living(url, vendor, prompts=broken) as life:
        bad, good = await life.order(TALKER), await life.order(THINKER)
        job = await life.ended(bad)
        assert (job.state, result_of(job).error, tries) == (JobState.FAILED, "our fault", 5)
        assert (await life.ended(good)).state is JobState.DONE


async def test_a_question_whose_picture_is_lost_ends_it(url: str, vendor: Vendor) -> None:
    async def lost(job: Job, order: WorkOrder) -> Prompt:
        raise Unreadable("the file is gone")

    async with living(url, vendor, prompts=lost) as life:
        job = await life.ended(await life.order(TALKER))
        assert (job.state, result_of(job).error) == (JobState.FAILED, "lost file")


async def test_a_history_that_cannot_be_read_now_is_read_later(url: str, vendor: Vendor) -> None:
    tries = 0

    async def away(job: Job, order: WorkOrder) -> Prompt:
        nonlocal tries
        tries += 1
        if tries < 3:
            raise StorageError("the store is away")
        return await asked_of(job, order)

    vendor.parts = streamed("Yes.")
    async with living(url, vendor, prompts=away) as life:
        assert (await life.ended(await life.order(TALKER))).state is JobState.DONE


class Lossy:
    """A database whose every other commit of a claim is never confirmed."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.claims = 0

    async def run(self, make: Any, **named: Any) -> Any:
        result = await self.database.run(make, **named)
        if isinstance(result, tuple) and result[0] and isinstance(result[0][0], Job):
            self.claims += 1
            if self.claims % 2:
                raise StorageError("the connection was lost in a commit")
        return result

    def __getattr__(self, name: str) -> Any:
        return getattr(self.database, name)


async def test_a_claim_whose_answer_was_lost_loses_no_job(url: str, vendor: Vendor) -> None:
    vendor.looks.extend([made()] * 5)
    async with living(url, vendor, over=lambda database: cast(Database, Lossy(database))) as life:
        ids = [await life.order() for _ in range(5)]
        assert {(await life.ended(id)).state for id in ids} == {JobState.DONE}
        assert len(vendor.asked) == 5


# --- how much it costs -------------------------------------------------------------------------------------------------


class Counting:
    """A database that counts transactions and statements."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.transactions = self.statements = 0

    async def run(self, make: TransactionFactory[Any], **named: Any) -> Any:
        result = await self.database.run(lambda: self._counted(make), **named)
        self.transactions += 1
        return result

    def _counted(self, make: TransactionFactory[Any]) -> Transaction[Any]:
        inner = make()
        rows: Sequence[Any] | None = None
        while True:
            try:
                step = next(inner) if rows is None else inner.send(rows)
            except StopIteration as stop:
                return stop.value
            self.statements += len(step) if isinstance(step, Pipeline) else 1
            rows = yield step

    def __getattr__(self, name: str) -> Any:
        return getattr(self.database, name)


async def insert(life: Life, number: int, due: float) -> None:
    """So many jobs, due in so many seconds."""
    order = WorkOrder.load(
        '{"author": {"id": "1", "name": "Ann"}, "address": {"chat": {"platform": "telegram", "chat": "1"}}, '
        '"language": "en", "text": "a cat", "model": "chalk", "pictures": []}'
    ).dump()

    def inserting() -> Transaction[None]:
        for id in range(1_000_000, 1_000_000 + number):
            values: dict[str, Value] = {
                "id": id,
                "chat": f"telegram:{id}",
                "epoch": 0,
                "author": "1",
                "kind": "image",
                "model": "chalk",
                "ordered": order,
                "patience": 600.0,
                "now": time.time() + due,
            }
            yield JOBS["insert_job"], values

    await life.mortal.run(inserting, chats=None)


async def test_ten_thousand_that_wait_cost_nothing(url: str, vendor: Vendor) -> None:
    counted: list[Counting] = []

    def over(database: Database) -> Database:
        counted.append(Counting(database))
        return cast(Database, counted[0])

    async with living(url, vendor, over=over) as life:
        await insert(life, 10_000, 60.0)
        [database] = counted
        looks = database.transactions
        await eventually(lambda: database.transactions > looks + 1)
        tracemalloc.start()
        before = tracemalloc.get_traced_memory()[0]
        database.transactions = database.statements = 0
        began = time.monotonic()
        await eventually(lambda: database.transactions == 5)
        seconds = time.monotonic() - began
        grown = tracemalloc.get_traced_memory()[0] - before
        tracemalloc.stop()
        assert database.statements == 3 * database.transactions
        assert seconds >= 4 * QUICK.idle
        assert grown < 200_000 and not vendor.asked


async def test_of_many_that_are_due_few_are_at_a_step(url: str, vendor: Vendor) -> None:
    vendor.submitting.go.clear()
    async with living(url, vendor, at_once=8) as life:
        await insert(life, 300, 0.0)
        await eventually(lambda: vendor.submitting.under_way == 8)
        vendor.looks = deque([made(cost=0)] * 300)
        vendor.submitting.go.set()
        for id in range(1_000_000, 1_000_300):
            assert (await life.ended(id)).state is JobState.DONE
        assert vendor.submitting.most == 8 and vendor.looking.most <= 8


async def test_many_that_are_due_do_not_crowd_out_the_turns(url: str, vendor: Vendor) -> None:
    async with living(url, vendor, pauses=replace(QUICK, rate=50.0, first=100.0)) as life:
        await insert(life, 300, 0.0)
        life.runner.look()
        await asyncio.sleep(0.5)
        assert len(vendor.asked) <= 32 + 50  # a first handful, and so many a second


# --- pauses ------------------------------------------------------------------------------------------------------------

JOB = Job(
    id=1, chat=ChatKey("web", "1"), epoch=0, kind="image", model="m", state=JobState.RUNNING, order="", fence=1,
    created=0.0, patience=1.0,
)  # fmt: skip


def test_the_pauses_between_looks_grow() -> None:
    age, waits = 0.0, []
    while age < 120:
        waits.append(Pauses().look(JOB, age))
        age += waits[-1]
    assert waits[:2] == [2.0, 2.0] and waits == sorted(waits) and waits[-1] == 15.0
    assert all(later <= 1.5 * earlier for earlier, later in pairwise(waits))
    assert len(waits) < 15


@given(st.floats(0, 1e9), st.integers(0, 10_000))
def test_no_pause_is_longer_than_a_video_may_wait(age: float, tries: int) -> None:
    job = replace(JOB, tries=tries)
    assert 2.0 <= Pauses().look(job, age) <= 15.0
    assert 2.0 <= Pauses().look(replace(job, kind="video"), age) <= 20.0
    assert 2.0 <= Pauses().back_off(job) <= 60.0
