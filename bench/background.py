"""What work in the background costs while it waits: thousands of jobs that a vendor has taken on and that nobody need look
after yet."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from bench import scenario
from bench.measure import median
from bench.processes import Model
from bench.turns import Asking, Instant, OnlyModel, Took, asking, created, medians
from bot.background.runner import Runner
from bot.background.steps import Steps
from bot.files import FileStore
from bot.messages.orders import WorkOrder
from bot.ports import Background, Job, ModelCard, Prompt, SearchModel, SpeechModel
from storage import open_store

DUE = 90.0, 119.0  # seconds: all is measured before the first look; a step never lies more than 120 s ahead
IDLE = 5.0  # seconds in which nobody says anything


@dataclass(frozen=True, slots=True)
class Turns:
    """A turn without waiting jobs in its database and beside them, the runner of background work running in both."""

    without: Took
    beside: Took


@dataclass(frozen=True, slots=True)
class Process:
    """Of a whole bot: MB after some answers, and CPU seconds in a minute without any."""

    rss: float
    idle: float


@dataclass(frozen=True, slots=True)
class Waiting:
    jobs: int
    turns: Turns
    without: Process
    beside: Process


async def waiting(model: Model, folder: Path, jobs: int, turns: int, rounds: int) -> Waiting:
    """`rounds` pairs of bots, one of each pair with the jobs in its database."""
    took = await lone_turns(folder / "turns", jobs, turns)
    without: list[Process] = []
    beside: list[Process] = []
    for number in range(rounds):
        without.append(await _bot(model, folder / f"without{number}", 0))
        beside.append(await _bot(model, folder / f"beside{number}", jobs))
    return Waiting(jobs, took, _middle(without), _middle(beside))


def _middle(some: list[Process]) -> Process:
    return Process(median([one.rss for one in some]), median([one.idle for one in some]))


async def lone_turns(folder: Path, jobs: int, turns: int) -> Turns:
    without: list[Took] = []
    beside: list[Took] = []
    async with _asked(folder / "without", 0) as alone, _asked(folder / "beside", jobs) as crowded:
        for number in range(turns):
            without.append(await alone(f"new{number}"))
            beside.append(await crowded(f"new{number}"))
    return Turns(medians(without), medians(beside))


@asynccontextmanager
async def _asked(folder: Path, jobs: int) -> AsyncIterator[Asking]:
    path = await _filled(folder, jobs)
    async with (
        open_store(f"sqlite:///{path}") as store,
        asking(store, Instant(), folder) as it,
        asyncio.TaskGroup() as tasks,
    ):
        steps = Steps(store, _NoOffers(), OnlyModel(Instant()), FileStore(folder / "files"), _no_prompt)
        running = tasks.create_task(Runner(store, steps).run())
        yield it
        running.cancel()


async def _bot(model: Model, folder: Path, jobs: int) -> Process:
    await _filled(folder, jobs)
    async with scenario.stage("glm", model, folder) as stage:
        await stage.load(10, 2)
        spent = stage.cpu()
        await asyncio.sleep(IDLE)
        return Process(stage.rss(), (stage.cpu() - spent) * 60 / IDLE)


async def _filled(folder: Path, jobs: int) -> Path:
    """A database with the name that Magpie gives it."""
    path = await created(folder / "magpie.db")
    await asyncio.to_thread(fill, path, jobs)
    return path


def fill(path: Path, jobs: int) -> None:
    now, (soonest, latest) = time.time(), DUE
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("BEGIN")
    connection.executemany(
        _JOB,
        ((id, f"quiet:{id % 1000}", now + soonest + (latest - soonest) * id / jobs, now) for id in range(1, jobs + 1)),
    )
    connection.execute("COMMIT")
    connection.close()


_JOB = (
    "INSERT INTO jobs (id, chat, epoch, author, kind, model, state, ordered, task, due, patience, created)"
    " VALUES (?1, ?2, 0, '1', 'image', 'instant', 'running', '{}', 'task' || ?1, ?3, 1800.0, ?4)"
)


class _NoOffers:
    """ports.Offers: no job is due, so nothing is asked of a vendor."""

    def background(self, card: ModelCard) -> Background:
        raise NotImplementedError

    def speech(self, card: ModelCard) -> SpeechModel:
        raise NotImplementedError

    def searching(self) -> SearchModel | None:
        return None


async def _no_prompt(job: Job, order: WorkOrder) -> Prompt:
    raise NotImplementedError
