"""What is measured, in which order and how often.

All bots are up at once, idle but one, and are loaded one after the other within each round, so that whatever else the machine
does meets all alike. A figure is the median of its rounds.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp

from bench import background, engine, processes, scenario, tools
from bench.background import Waiting
from bench.engine import Burst
from bench.history import Turns, history
from bench.measure import Machine, machine
from bench.processes import Model
from bench.scenario import Loaded, Start
from bench.takeover import Takeover, takeover
from bench.tools import Rounds
from tests.postgres import postgres


@dataclass(frozen=True, slots=True)
class Load:
    """`chats` answers at any time, made for `shifts` people in turn with `turns` questions each."""

    name: str
    chats: int
    turns: int
    shifts: int = 1
    spread: bool = True

    @property
    def messages(self) -> int:
        return self.chats * self.turns * self.shifts


FIFTY = "50 chats"
ALONE = "1 chat"
CROWD = "500 chats x 2"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    loads: tuple[Load, ...]
    rounds: int
    starts: int
    long_answer: str  # one of model.SCRIPTS
    long: Load
    floods: Load
    lag: Load
    hurried: tuple[int, int]  # chats, questions each
    burst: tuple[int, int]  # messages, chats
    bursts: int
    history: int  # messages
    turns: int  # measured in it
    kills: int  # of one of two workers
    waiting: int  # jobs in the background


FULL = Plan(
    loads=(
        Load(ALONE, 1, 6, 4),
        Load(FIFTY, 50, 2, 4),
        Load("200 chats", 200, 1, 4),
        Load(CROWD, 500, 2, spread=False),
    ),
    rounds=5,
    starts=5,
    long_answer="long",
    long=Load("long answer", 20, 1, 2),
    floods=Load("flood limits", 20, 2),
    lag=Load(CROWD, 500, 2, spread=False),
    hurried=(20, 3),
    burst=(2000, 500),
    bursts=7,
    history=1_000_000,
    turns=400,
    kills=6,
    waiting=10_000,
)
QUICK = Plan(
    loads=(Load(ALONE, 1, 1, 4), Load(FIFTY, 50, 1, 2), Load(CROWD, 500, 2, spread=False)),
    rounds=1,
    starts=1,
    long_answer="hasty",
    long=Load("long answer", 5, 1),
    floods=Load("flood limits", 10, 1),
    lag=Load(FIFTY, 50, 1),
    hurried=(5, 3),
    burst=(1000, 250),
    bursts=1,
    history=20_000,
    turns=30,
    kills=1,
    waiting=10_000,
)


@dataclass(slots=True)
class Results:
    """Everything measured; loads by name, then by bot, one entry a round. `model` is what a bare request took, in seconds, to
    the first and to the last token. `lags` in seconds."""

    before: Machine
    quick: bool
    lag_load: str
    long_answer: str
    model: tuple[float, float] = (0.0, 0.0)
    long_model: tuple[float, float] = (0.0, 0.0)
    starts: dict[str, list[Start]] = field(default_factory=dict)
    loads: dict[str, dict[str, list[Loaded]]] = field(default_factory=dict)
    rss: dict[str, float] = field(default_factory=dict)
    long: dict[str, Loaded] = field(default_factory=dict)
    floods: Loaded | None = None
    hurried: Loaded | None = None
    lags: dict[str, list[float]] = field(default_factory=dict)
    bursts: dict[str, list[Burst]] = field(default_factory=lambda: {"SQLite": [], "PostgreSQL": []})
    paced: dict[str, float] = field(default_factory=dict)
    history: Turns | None = None
    waiting: Waiting | None = None
    tools: Rounds | None = None
    takeover: Takeover | None = None
    after: Machine | None = None
    seconds: float = 0.0


Say = Callable[[str], None]
PACE = 20.0  # lone messages a second


async def measure(plan: Plan, folder: Path, say: Say, *, quick: bool, engine_alone: bool = False) -> Results:
    """Everything of the plan, or only what needs no other bot beside it; `folder` takes the databases and logs of the bots and
    must be on a real disk."""
    began = time.monotonic()
    results = Results(machine(), quick, plan.lag.name, plan.long_answer)
    await _engines(plan, folder, say, results)
    say("a long history")
    results.history = await history(made(folder / "history"), plan.history, plan.turns)
    say("rounds of functions")
    results.tools = await tools.rounds(made(folder / "tools"), plan.turns)
    async with processes.model("short") as model:
        results.model = await own_time(model)
        say("waiting jobs")
        results.waiting = await background.waiting(model, folder / "waiting", plan.waiting, plan.turns, plan.starts)
        say("a worker is killed")
        with postgres() as server:
            results.takeover = await takeover(server, model, made(folder / "takeover"), plan.kills)
        if engine_alone:
            return results
        await _starts(plan, model, folder, say, results)
        await _loads(plan, model, folder, say, results)
        await _lags(plan, model, folder, say, results)
        say("Telegram's flood limits")
        async with scenario.stage("glm", model, folder / "floods", floods=True) as stage:
            results.floods = await _load(stage, plan.floods, model)
    async with processes.model(plan.long_answer) as model:
        results.long_model = await own_time(model, 1)
        for kind in ("floor", "glm"):
            say(f"{plan.long.name}: {kind}")
            async with scenario.stage(kind, model, folder / f"long-{kind}") as stage:
                results.long[kind] = await _load(stage, plan.long, model)
    results.after, results.seconds = machine(), time.monotonic() - began
    return results


async def _engines(plan: Plan, folder: Path, say: Say, results: Results) -> None:
    """The stores in turn, so that whatever else the machine does meets both alike."""
    with postgres() as server:
        say("engine alone")
        for number in range(plan.bursts):
            sqlite = f"sqlite:///{made(folder / f'burst{number}') / 'burst.db'}"
            results.bursts["SQLite"].append(await engine.burst(sqlite, *plan.burst))
            async with server.database() as url:
                results.bursts["PostgreSQL"].append(await engine.burst(url, *plan.burst))
        say("lone messages")
        results.paced["SQLite"] = await engine.paced(f"sqlite:///{folder / 'paced.db'}", plan.turns, PACE)
        async with server.database() as url:
            results.paced["PostgreSQL"] = await engine.paced(url, plan.turns, PACE)


async def _starts(plan: Plan, model: Model, folder: Path, say: Say, results: Results) -> None:
    for number in range(plan.starts - 1):  # one more comes with the loads
        say(f"start {number + 1}")
        for kind in processes.BOTS:
            async with scenario.stage(kind, model, folder / f"start{number}-{kind}") as stage:
                results.starts.setdefault(kind, []).append(stage.start)


async def _loads(plan: Plan, model: Model, folder: Path, say: Say, results: Results) -> None:
    async with AsyncExitStack() as stack:
        stages = {
            kind: await stack.enter_async_context(scenario.stage(kind, model, folder / kind)) for kind in processes.BOTS
        }
        for kind, stage in stages.items():
            results.starts.setdefault(kind, []).append(stage.start)
        for number in range(plan.rounds):
            for load in plan.loads:
                for kind in _in_turn(list(stages), number):
                    if kind == "qwen" and load.name != FIFTY:
                        continue
                    say(f"round {number + 1}, {load.name}: {kind}")
                    measured = await _load(stages[kind], load, model)
                    results.loads.setdefault(load.name, {}).setdefault(kind, []).append(measured)
        results.rss = {kind: stage.rss() for kind, stage in stages.items()}
        say("people who do not wait")
        results.hurried = await stages["glm"].hurried(*plan.hurried)


async def _lags(plan: Plan, model: Model, folder: Path, say: Say, results: Results) -> None:
    for kind in ("floor", "glm"):
        say(f"event loop, {plan.lag.name}: {kind}")
        place = folder / f"lag-{kind}"
        async with scenario.stage(kind, model, place, lag=True) as stage:
            load = await _load(stage, plan.lag, model)
        results.lags[kind] = scenario.lags(place, load)


def _in_turn(kinds: Sequence[str], number: int) -> Sequence[str]:
    """Forwards and backwards, so that none is always the first."""
    return kinds if number % 2 == 0 else kinds[::-1]


async def _load(stage: scenario.Stage, load: Load, model: Model) -> Loaded:
    spread = model.script.seconds if load.spread else 0.0
    return await stage.load(load.chats, load.turns, shifts=load.shifts, spread=spread)


def made(folder: Path) -> Path:
    folder.mkdir(parents=True)
    return folder


async def own_time(model: Model, tries: int = 3) -> tuple[float, float]:
    """What a bare request takes: medians of the seconds to the first token and to the last."""
    headers = {"Authorization": f"Bearer {model.key}"}
    body = {"model": "glm-4.7-flash", "stream": True, "messages": [{"role": "user", "content": "c0q1"}]}
    firsts, lasts = [], []
    async with aiohttp.ClientSession() as session:
        for _ in range(tries):
            began = time.monotonic()
            first = last = 0.0
            async with session.post(model.glm_url + "/chat/completions", json=body, headers=headers) as response:
                async for line in response.content:
                    if b'"content":' in line and b'"content":""' not in line:
                        last = time.monotonic() - began
                        first = first or last
            firsts.append(first)
            lasts.append(last)
            await asyncio.sleep(0.05)
    return sorted(firsts)[tries // 2], sorted(lasts)[tries // 2]
