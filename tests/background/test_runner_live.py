"""Work in the background over the real rims: both vendors' own clients on the simulator, the store and the files on disk."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import aiohttp

from bot.background.runner import Runner
from bot.background.steps import Pauses, Steps
from bot.files import FileStore
from bot.messages import Address, Author, Ordered
from bot.messages.orders import WorkOrder, WorkResult
from bot.models import ModelSettings, open_models
from bot.ports import Job, JobState, Line, ModelCard, Prompt
from bot.simulator import Fault, Simulator
from storage import Store, open_store
from tests.models.rig import QUICK
from tests.storage.saying import HOME, only_claim, outcome, said

PAUSES = Pauses(first=0.02, longest=0.05, video=0.05, again=0.02, most_again=0.1, idle=0.1)
# Drawn at once and as a task, filmed, answered later by GLM, and by Qwen, which answers nothing later.
ORDERS: Sequence[tuple[Literal["image", "video", "chat"], str]] = (
    ("image", "cogview-3-flash"),
    ("image", "wan2.2-t2i-flash"),
    ("video", "cogvideox-flash"),
    ("chat", "glm-4.7-flash"),
    ("chat", "qwen-plus"),
)


@dataclass
class Life:
    store: Store
    files: FileStore
    runner: Runner

    async def order(self, kind: Literal["image", "video", "chat"], model: str) -> int:
        order = WorkOrder(author=Author("1", "Ann"), address=Address(HOME), language="en", text="a fox", model=model)
        await self.store.accept([said(f"{model} {time.monotonic()}", command=True)])
        claim = await only_claim(self.store)
        ordered = Ordered(kind=kind, model=model, order=order.dump(), patience=60.0)
        await self.store.complete(claim, outcome(ordered))
        self.runner.look()
        return claim.turn

    async def jobs(self, ids: Sequence[int]) -> list[Job]:
        return [job for id in ids if (job := await self.store.job(id))]

    async def ended(self, ids: Sequence[int]) -> list[Job]:
        deadline = time.monotonic() + 20
        jobs = await self.jobs(ids)
        while not all(job.ended for job in jobs):
            assert time.monotonic() < deadline, jobs
            await asyncio.sleep(0.02)
            jobs = await self.jobs(ids)
        return jobs


@asynccontextmanager
async def living(path: Path, sim: Simulator) -> AsyncIterator[Life]:
    """A process, which ends as in a crash."""
    async with (
        open_store(f"sqlite:///{path / 'magpie.db'}") as store,
        aiohttp.ClientSession() as session,
        asyncio.TaskGroup() as tasks,
    ):
        files = FileStore(path / "files")
        roster = open_models(
            ModelSettings(
                session=session,
                ledger=store,
                files=files,
                zhipu_key=sim.api_key,
                zhipu_url=sim.glm_url,
                dashscope_key=sim.api_key,
                dashscope_url=sim.dashscope_url,
                limits=QUICK,
            )
        )

        async def prompt(job: Job, order: WorkOrder) -> Prompt:
            card = roster.find(job.model)
            assert isinstance(card, ModelCard)
            lines = (Line("user", order.text),)
            return Prompt(card=card, lines=lines, output=100, chat=job.chat, turn=job.id, job_fence=job.fence)

        runner = Runner(store, Steps(store, roster, roster, files, prompt, pauses=PAUSES))
        running = tasks.create_task(runner.run())
        yield Life(store, files, runner)
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running


def taken(sim: Simulator) -> list[str]:
    """What was ordered of the vendors, by their models."""
    return sorted(call.model for call in sim.log if call.model)


async def test_everything_is_made_and_kept(tmp_path: Path) -> None:
    async with Simulator(first_token=0.0, per_token=0.0, picture=0.0, task=0.1) as sim:
        async with living(tmp_path, sim) as life:
            jobs = await life.ended([await life.order(kind, model) for kind, model in ORDERS])
            results = [WorkResult.load(job.result) for job in jobs]
            assert [job.state for job in jobs] == [JobState.DONE] * 5, results
            kept = [await life.files.load(result.files[0][0]) for result in results[:3]]
            assert (kept[0][:4], kept[1][:4], kept[2][4:8]) == (b"\x89PNG", b"\x89PNG", b"ftyp")
            assert results[3].text and results[4].text
            assert [bool(result.cost) for result in results] == [False, True, False, False, True]
        assert taken(sim) == sorted(model for _, model in ORDERS)


async def test_a_restart_in_the_middle_orders_nothing_twice(tmp_path: Path) -> None:
    tasks = [order for order in ORDERS if order[1] not in ("cogview-3-flash", "qwen-plus")]
    async with Simulator(first_token=0.0, per_token=0.0, picture=0.0, task=1.0) as sim:
        async with living(tmp_path, sim) as life:
            ids = [await life.order(kind, model) for kind, model in tasks]
            deadline = time.monotonic() + 10
            while not all(job.task for job in await life.jobs(ids)):
                assert time.monotonic() < deadline
                await asyncio.sleep(0.01)
        async with living(tmp_path, sim) as life:
            jobs = await life.ended(ids)
        assert [job.state for job in jobs] == [JobState.DONE] * 3
        assert taken(sim) == sorted(model for _, model in tasks)


async def test_a_vendor_that_is_busy_is_asked_again_and_one_that_fails_is_told_of(tmp_path: Path) -> None:
    async with Simulator(first_token=0.0, per_token=0.0, picture=0.0, task=0.05) as sim:
        sim.fail(Fault(vendor="glm", code="1302", times=2))
        sim.fail(Fault(vendor="dashscope", task="FAILED"))
        async with living(tmp_path, sim) as life:
            ids = [await life.order("video", "cogvideox-flash"), await life.order("image", "wan2.2-t2i-flash")]
            film, picture = await life.ended(ids)
            assert film.state is JobState.DONE
            assert (picture.state, WorkResult.load(picture.result).cost) == (JobState.FAILED, 0)
            assert picture.cost == 0
