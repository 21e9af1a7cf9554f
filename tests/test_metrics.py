"""What a scraper is told: counted where it happens, asked where only others know, and never about a person."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from dataclasses import dataclass

import pytest

from bot import metrics
from bot.errors import ModelError, StorageError, Trouble
from bot.messages import Address, ChatKey, Finish, Finished, Usage
from bot.ports import Backlog, Outcome
from tests.figures import grown, scrape
from tests.window import Window

CHAT = ChatKey("window", "42")
BACKLOG = Backlog(waiting=3, oldest=7.5, unshown=2, dead=1)


@dataclass
class Queue:
    """A store that knows, does not, or takes its time."""

    error: StorageError | None = None
    hangs: bool = False

    async def backlog(self) -> Backlog:
        if self.hangs:
            await asyncio.Event().wait()
        if self.error:
            raise self.error
        return BACKLOG


class Heard(Window):
    heard_at: float | None = None


def outcome(reason: Finish, *, model: str = "", seconds: float = 0.0, first: float = 0.0, dead: str = "") -> Outcome:
    finished = Finished(reason=reason, model=model)
    return Outcome(address=Address(CHAT), finished=finished, pieces=(), seconds=seconds, first=first, dead=dead)


async def test_a_turn_counts_by_how_it_ended_and_its_times_only_where_a_model_was_asked() -> None:
    before = await scrape()

    metrics.turn_ended(outcome(Finish.STOP, model="glm-4-flash", seconds=2.0, first=0.5))
    metrics.turn_ended(outcome(Finish.FAILED, model="glm-4-flash", seconds=1.0))
    metrics.turn_ended(outcome(Finish.COMMAND, seconds=0.1, first=0.1))
    metrics.turn_ended(outcome(Finish.FAILED, dead="broke down 10 times"))

    assert grown(before, await scrape()) == {
        'magpie_turns_total{state="stop"}': 1,
        'magpie_turns_total{state="failed"}': 1,
        'magpie_turns_total{state="command"}': 1,
        'magpie_turns_total{state="dead"}': 1,
        "magpie_answer_seconds_count": 2,
        "magpie_answer_seconds_sum": 3.0,
        "magpie_first_text_seconds_count": 1,
        "magpie_first_text_seconds_sum": 0.5,
    }


async def test_a_vendors_failure_counts_by_kind_and_model_and_as_a_limit_where_it_is_one() -> None:
    before = await scrape()

    metrics.vendor_failed(ModelError(Trouble.BUSY, vendor="glm", model="glm-4-flash", status=429))
    metrics.vendor_failed(ModelError(Trouble.NO_MONEY, vendor="glm", model="glm-4-plus", status=429))
    metrics.vendor_failed(ModelError(Trouble.BAD_KEY, vendor="qwen", model="qwen-plus", status=401))
    metrics.rate_limited("telegram")

    assert grown(before, await scrape()) == {
        'magpie_vendor_errors_total{kind="busy",model="glm-4-flash"}': 1,
        'magpie_vendor_errors_total{kind="no money",model="glm-4-plus"}': 1,
        'magpie_vendor_errors_total{kind="bad key",model="qwen-plus"}': 1,
        'magpie_rate_limited_total{by="glm"}': 2,
        'magpie_rate_limited_total{by="telegram"}': 1,
    }


async def test_money_is_told_in_cny() -> None:
    before = await scrape()

    metrics.spent("qwen-plus", 1_250_000, Usage(prompt=100, completion=20))
    metrics.spent("qwen-plus", 250_000)
    metrics.spent("glm-4-flash", 0, Usage(prompt=5, completion=6))

    assert grown(before, await scrape()) == {
        'magpie_cost_cny_total{model="qwen-plus"}': 1.5,
        'magpie_tokens_total{kind="prompt",model="qwen-plus"}': 100,
        'magpie_tokens_total{kind="completion",model="qwen-plus"}': 20,
        'magpie_tokens_total{kind="prompt",model="glm-4-flash"}': 5,
        'magpie_tokens_total{kind="completion",model="glm-4-flash"}': 6,
    }


async def test_the_store_is_asked_at_the_scrape() -> None:
    told = await scrape(Queue())

    assert told["magpie_queue_messages"] == 3
    assert told["magpie_queue_oldest_seconds"] == 7.5
    assert told["magpie_outbox_pieces"] == 2
    assert told["magpie_dead_letters"] == 1


@pytest.mark.parametrize("queue", [Queue(error=StorageError("disk full")), Queue(hangs=True)])
async def test_a_store_that_does_not_answer_costs_its_own_figures_only(queue: Queue) -> None:
    await scrape(Queue())
    began = time.monotonic()

    told = await scrape(queue)

    assert time.monotonic() - began < metrics.STORE_SECONDS + 1
    assert str(told["magpie_queue_messages"]) == str(told["magpie_dead_letters"]) == "nan"
    assert "magpie_turns_running" in told


async def test_the_age_of_the_last_poll_is_told_while_this_process_listens() -> None:
    heard = Heard("telegram")
    platforms = {"telegram": heard, "window": Window()}
    age = 'magpie_platform_unheard_seconds{platform="telegram"}'

    assert age not in await scrape(platforms=platforms)
    heard.heard_at = time.monotonic() - 60
    assert 60 <= (await scrape(platforms=platforms))[age] < 65
    heard.heard_at = None
    assert age not in await scrape(platforms=platforms)


def test_no_label_grows_without_end() -> None:
    """In a process of its own: the names of this one shall not be used up."""
    code = """
from bot import metrics
from bot.errors import ModelError, Trouble
for number in range(3 * metrics.MOST_MODELS):
    metrics.vendor_failed(ModelError(Trouble.FAULT, vendor="openai", model=f"openai/invented-{number}"))
    metrics.spent(f"openai/invented-{number}", 1)
print(metrics.generate_latest(metrics.REGISTRY).decode())
"""
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=30).stdout

    assert (
        told.count("\nmagpie_vendor_errors_total{") == told.count("\nmagpie_cost_cny_total{") == metrics.MOST_MODELS + 1
    )
    assert f'magpie_vendor_errors_total{{kind="fault",model="other"}} {2 * metrics.MOST_MODELS}.0' in told


async def test_a_loop_that_is_held_up_shows() -> None:
    before = await scrape()
    async with asyncio.TaskGroup() as tasks:
        watching = tasks.create_task(metrics.watch_loop(0.01))
        await asyncio.sleep(0.03)
        time.sleep(0.3)  # noqa: ASYNC251  # what must never happen
        await asyncio.sleep(0.03)
        watching.cancel()
    more = grown(before, await scrape())

    assert more["magpie_loop_lag_seconds_count"] >= 3
    assert more["magpie_loop_lag_seconds_sum"] > 0.2


async def test_it_tells_how_many_tasks_there_are() -> None:
    before = (await scrape())["magpie_tasks"]
    async with asyncio.TaskGroup() as tasks:
        waiting = [tasks.create_task(asyncio.sleep(60)) for _ in range(7)]
        during = (await scrape())["magpie_tasks"]
        for task in waiting:
            task.cancel()

    assert during == before + 7
    assert (await scrape())["magpie_tasks"] == before


async def test_it_tells_what_python_holds() -> None:
    before = (await scrape())["python_memory_blocks"]
    held = [object() for _ in range(100_000)]

    assert (await scrape())["python_memory_blocks"] > before + 0.9 * len(held)


async def test_it_tells_what_runs_here() -> None:
    told = await scrape()

    assert [name for name in told if name.startswith("magpie_build_info{") and "version=" in name]
    assert told["process_resident_memory_bytes"] > 0
    assert not [name for name in told if "_created" in name]


def test_the_start_hardly_notices() -> None:
    """The library beside what the program imports anyway: 15 ms here; it must never become what the start waits for."""
    code = (
        "import bot.ports, aiohttp, time; b = time.perf_counter(); import bot.metrics; print(time.perf_counter() - b)"
    )

    seconds = [
        float(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout)
        for _ in range(3)
    ]

    assert min(seconds) < 0.15


def test_a_message_hardly_notices() -> None:
    count = 2000
    began = time.perf_counter()
    for _ in range(count):
        with metrics.RUNNING.track_inprogress():
            metrics.spent("qwen-plus", 10, Usage(prompt=1, completion=1))
            metrics.turn_ended(outcome(Finish.STOP, model="qwen-plus", seconds=1.0, first=0.1))
    assert (time.perf_counter() - began) / count < 0.0005  # seconds; 0.00003 on a quiet machine
