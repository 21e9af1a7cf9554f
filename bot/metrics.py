"""What is counted and measured of this process, in the form that Prometheus scrapes. prometheus-client is known here alone.

Rooms count where a thing happens, by one line each; what only the store or a platform knows is asked at the scrape. No label
ever holds a chat or a person, and models are at most `MOST_MODELS`: `/model openai/...` may name any. Each process counts for
itself, but for the queue, which belongs to the store and is the same for all workers on it.
"""

from __future__ import annotations

import asyncio
import logging
import math
import platform as machine
import sys
import time
from collections.abc import Mapping
from importlib import metadata
from typing import Protocol

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info, ProcessCollector
from prometheus_client import disable_created_metrics as _without_dates_of_birth
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from bot.errors import ModelError, StorageError
from bot.messages import Finish, Usage
from bot.ports import Backlog, Hearing, Outcome, Platform

log = logging.getLogger(__name__)

CONTENT_TYPE = CONTENT_TYPE_LATEST
MOST_MODELS = 50  # names in labels; all further ones are "other"
MILLIONTHS = 1_000_000
STORE_SECONDS = 2.0  # for what a scrape asks of the store
LAG_EVERY = 0.5  # seconds between two looks at the loop

# A second series beside each counter, which nobody reads.
_without_dates_of_birth()  # type: ignore[no-untyped-call]  # the library's own omission
REGISTRY = CollectorRegistry()
ProcessCollector(registry=REGISTRY)

TURNS = Counter("magpie_turns", "Turns that ended, by how.", ["state"], registry=REGISTRY)
JOBS = Counter("magpie_jobs", "Background work that ended, by how.", ["kind", "state"], registry=REGISTRY)
RUNNING = Gauge("magpie_turns_running", "Turns being made by this process.", registry=REGISTRY)
FIRST_TEXT = Histogram(
    "magpie_first_text_seconds",
    "From the claim of a turn that asks a model to the first of its answer.",
    buckets=(0.1, 0.25, 0.5, 1, 2, 4, 8, 15, 30, 60, 180),
    registry=REGISTRY,
)
ANSWER = Histogram(
    "magpie_answer_seconds",
    "From the claim of a turn that asks a model to the end of its answer.",
    buckets=(0.5, 1, 2, 4, 8, 15, 30, 60, 120, 300, 900),
    registry=REGISTRY,
)
VENDOR_ERRORS = Counter(
    "magpie_vendor_errors", "Tries that a vendor failed or refused.", ["kind", "model"], registry=REGISTRY
)
RATE_LIMITED = Counter("magpie_rate_limited", "HTTP 429 of vendors and platforms.", ["by"], registry=REGISTRY)
COST = Counter("magpie_cost_cny", "What models cost, in CNY; of cut calls the estimate.", ["model"], registry=REGISTRY)
TOKENS = Counter("magpie_tokens", "Tokens of finished calls.", ["model", "kind"], registry=REGISTRY)
IN_FLIGHT = Gauge("magpie_gate_in_flight", "Calls that a model answers now.", ["model"], registry=REGISTRY)
LIMIT = Gauge("magpie_gate_limit", "Calls at once that its vendor takes, as learned.", ["model"], registry=REGISTRY)
QUEUED = Gauge("magpie_gate_waiting", "Calls that wait for their place.", ["model"], registry=REGISTRY)
BROKEN = Gauge(
    "magpie_breaker_open", "1 while a model (or a key, or money) is not asked.", ["model"], registry=REGISTRY
)
COMMITS = Histogram(
    "magpie_store_commit_seconds",
    "Commits of the store; several transactions may share one.",
    buckets=(0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5),
    registry=REGISTRY,
)
LOOP_LAG = Histogram(
    "magpie_loop_lag_seconds",
    "How much later than asked for the event loop came back.",
    buckets=(0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5),
    registry=REGISTRY,
)
TASKS = Gauge("magpie_tasks", "Tasks of the event loop, whether they work or wait.", registry=REGISTRY)
BLOCKS = Gauge("python_memory_blocks", "Blocks of memory that Python's objects take.", registry=REGISTRY)
ALARMS = Counter("magpie_alarms", "Alarms that were told to the owner.", ["cause"], registry=REGISTRY)
UNHEARD = Gauge(
    "magpie_platform_unheard_seconds",
    "Since the last finished poll or frame of a platform that this process listens to.",
    ["platform"],
    registry=REGISTRY,
)
WAITING = Gauge("magpie_queue_messages", "Accepted events that wait for a turn.", registry=REGISTRY)
OLDEST = Gauge("magpie_queue_oldest_seconds", "How long the oldest of them has waited.", registry=REGISTRY)
UNSHOWN = Gauge("magpie_outbox_pieces", "Finished pieces that are still to be shown.", registry=REGISTRY)
DEAD = Gauge("magpie_dead_letters", "Dead letters in the store.", registry=REGISTRY)


def _version() -> str:
    try:
        return metadata.version("magpie-bot")
    except metadata.PackageNotFoundError:  # run from a copy of the sources
        return "unknown"


Info("magpie_build", "What runs here.", registry=REGISTRY).info(
    {"version": _version(), "python": machine.python_version()}
)

_models: set[str] = set()


def _label(model: str) -> str:
    if model not in _models:
        if len(_models) >= MOST_MODELS:
            return "other"
        _models.add(model)
    return model


# --- counted where it happens ------------------------------------------------------------------------------------------


def turn_ended(outcome: Outcome) -> None:
    """Once its commit stands."""
    reason = outcome.finished.reason
    TURNS.labels("dead" if outcome.dead else reason.value).inc()
    if reason is not Finish.COMMAND and outcome.finished.model:
        ANSWER.observe(outcome.seconds)
        if outcome.first:
            FIRST_TEXT.observe(outcome.first)


def job_ended(kind: str, state: str) -> None:
    """Once its commit stands."""
    JOBS.labels(kind, state).inc()


def vendor_failed(error: ModelError) -> None:
    """One try."""
    VENDOR_ERRORS.labels(error.trouble.value, _label(error.model)).inc()
    if error.status == 429:
        rate_limited(error.vendor)


def rate_limited(by: str) -> None:
    """A vendor's or a platform's name."""
    RATE_LIMITED.labels(by).inc()


def spent(model: str, cost: int, usage: Usage | None = None) -> None:
    """One try: its cost in millionths of a CNY, and the tokens of one that came to its end."""
    name = _label(model)
    if cost:
        COST.labels(name).inc(cost / MILLIONTHS)
    if usage:
        TOKENS.labels(name, "prompt").inc(usage.prompt)
        TOKENS.labels(name, "completion").inc(usage.completion)


def gate(model: str, *, in_flight: int, limit: int, waiting: int) -> None:
    name = _label(model)
    IN_FLIGHT.labels(name).set(in_flight)
    LIMIT.labels(name).set(limit)
    QUEUED.labels(name).set(waiting)


def breaker(name: str, *, is_open: bool) -> None:
    """A model's name, or what else of a vendor."""
    BROKEN.labels(_label(name)).set(is_open)


async def watch_loop(every: float = LAG_EVERY) -> None:
    """Until cancelled."""
    while True:
        before = time.monotonic()
        await asyncio.sleep(every)
        LOOP_LAG.observe(max(0.0, time.monotonic() - before - every))


# --- asked at the scrape -----------------------------------------------------------------------------------------------


class Queues(Protocol):
    async def backlog(self) -> Backlog:
        """Raises StorageError."""


class Exposition:
    """All figures as text, for one scrape. With `queues` None those of the store are not known."""

    def __init__(self, queues: Queues | None, platforms: Mapping[str, Platform]) -> None:
        self._queues = queues
        self._platforms = platforms

    async def __call__(self) -> bytes:
        now = time.monotonic()
        for name, platform in self._platforms.items():
            if isinstance(platform, Hearing) and platform.heard_at is not None:
                UNHEARD.labels(name).set(now - platform.heard_at)
            else:
                UNHEARD.remove(name)
        TASKS.set(len(asyncio.all_tasks()))
        BLOCKS.set(sys.getallocatedblocks())
        await self._ask()
        return generate_latest(REGISTRY)

    async def _ask(self) -> None:
        """Figures that nobody knows are no numbers: an old one would look like a quiet store."""
        for gauge in (WAITING, OLDEST, UNSHOWN, DEAD):
            gauge.set(math.nan)
        if self._queues is None:
            return
        try:
            async with asyncio.timeout(STORE_SECONDS):
                backlog = await self._queues.backlog()
        except (StorageError, TimeoutError) as error:
            log.warning("A scrape goes without the store's figures: %s", str(error) or "no answer in time")
            return
        WAITING.set(backlog.waiting)
        OLDEST.set(backlog.oldest)
        UNSHOWN.set(backlog.unshown)
        DEAD.set(backlog.dead)
