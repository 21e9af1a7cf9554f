"""Fuzzing: what no platform would send, and texts that no model would write.

`fuzz_telegram.py`, `fuzz_discord.py` make sound updates, `fuzz_mutate.py` spoils them; `fuzz_readers.py` gives them to the
readers at full speed, `fuzz_product.py` to the whole product. Property tests of the suite go on for longer than there, and
`fuzz_targets.py` are searched by atheris, which is fetched from the package index for that, where it can be.
"""

from __future__ import annotations

import asyncio
import importlib
import inspect
import os
import random
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

from hypothesis import HealthCheck, Phase, settings

from tests.process import ROOT
from tests.torture import fuzz_product, fuzz_readers
from tests.torture.fuzz_discord import Dispatches
from tests.torture.fuzz_mutate import mutated
from tests.torture.fuzz_targets import TARGETS
from tests.torture.fuzz_telegram import Updates
from tests.torture.part import Effort, Tally

UPDATES = 200_000  # that a full run makes; where time is left, more
LEAST = 3_000  # of them however little time there is
THROUGH = 120  # through the whole product, at least
ROUND = 200  # examples of one property before the next has its turn
ATHERIS = "atheris==3.0.0"
FETCHING = 120.0  # seconds for it to be fetched
PROPERTIES = (
    "tests.test_text",
    "tests.turns.test_answer",
    "tests.conversation.test_context",
    "tests.platforms.test_telegram_layout",
    "tests.platforms.test_telegram_read",
    "tests.platforms.test_discord_layout",
    "tests.platforms.test_discord_read",
    "tests.platforms.test_web_render",
    "tests.models.test_marks",
    "tests.models.test_costs",
    "tests.torture.test_fuzz",
)


async def torture(effort: Effort) -> Tally:
    """A third of the time for the readers, a third for the product, the rest for properties and atheris."""
    tally = Tally()
    await asyncio.to_thread(readers, tally, effort, effort.seconds * 0.33)
    await product(tally, effort, effort.seconds * 0.33)
    await asyncio.to_thread(properties, tally, effort.seconds * 0.14)
    await guided(tally, effort, effort.seconds * 0.2)
    return tally


def readers(tally: Tally, effort: Effort, seconds: float) -> None:
    until = time.monotonic() + seconds
    late = until + seconds / 2  # a slow machine may take longer to make what was promised
    fuzz_readers.fuzz(
        tally,
        effort.chance("readers"),
        lambda count: count >= LEAST and time.monotonic() > (until if count >= UPDATES else late),
    )


async def product(tally: Tally, effort: Effort, seconds: float) -> None:
    for name, fuzzed in (("telegram", fuzz_product.on_telegram), ("discord", fuzz_product.on_discord)):
        until = time.monotonic() + seconds / 2
        enough = _enough(THROUGH, until)
        await fuzzed(effort.scratch / name, tally, effort.chance(f"{name} product"), enough)


def _enough(least: int, until: float) -> Callable[[int], bool]:
    return lambda count: count >= least and time.monotonic() > until


# --- properties ----------------------------------------------------------------------------------------------------------


def properties(tally: Tally, seconds: float) -> None:
    """The property tests of the suite, in turns, with new examples each time; they are no other than there."""
    until = time.monotonic() + seconds
    tests = [test for name in PROPERTIES for test in _properties(importlib.import_module(name))]
    while tests and time.monotonic() < until:
        for name, test in list(tests):
            if time.monotonic() > until:
                return
            tally.tried[f"examples of {len(tests)} properties"] += ROUND
            try:
                test()
            except Exception as error:  # noqa: BLE001  # whatever a property raises, it does not hold
                tally.wrong.append(f"{name}: {type(error).__name__}: {error}"[:2_000])
                tests.remove((name, test))


def _properties(module: ModuleType) -> Iterator[tuple[str, Callable[[], None]]]:
    for name, test in inspect.getmembers(module, inspect.isfunction):
        inner = getattr(test, "hypothesis", None)
        if inner and not inspect.signature(test).parameters and not inspect.iscoroutinefunction(inner.inner_test):
            # Hypothesis has no other door to the settings of a test that was given its own.
            own = test._hypothesis_internal_use_settings  # type: ignore[attr-defined]
            test._hypothesis_internal_use_settings = settings(  # type: ignore[attr-defined]
                own,
                max_examples=ROUND,
                deadline=None,
                database=None,
                derandomize=False,
                suppress_health_check=list(HealthCheck),
                phases=(Phase.explicit, Phase.generate, Phase.shrink),
            )
            yield f"{module.__name__}.{name}", test


# --- guided by coverage ----------------------------------------------------------------------------------------------------


async def guided(tally: Tally, effort: Effort, seconds: float) -> None:
    """Each target for its part of the time, from seeds of our own. Left out where atheris cannot be had."""
    each = int(seconds / len(TARGETS))
    library = effort.scratch / "library"
    if each < 1 or not await _fetched(library):
        tally.figures["atheris"] = 0
        return
    tally.figures["atheris"] = 1
    for name in TARGETS:
        corpus = effort.scratch / "corpus" / name
        corpus.mkdir(parents=True)
        _sow(corpus, effort.chance(name))
        command = [
            "-W",
            "ignore",
            "-m",
            "tests.torture.fuzz_guided",
            name,
            str(each),
            str(effort.seed % 2**31),
            str(corpus),
        ]
        code, said = await _run(*command, library=library, seconds=each + 120.0)
        runs = next(
            (int(line.rpartition(":")[2]) for line in said.splitlines() if "number_of_executed_units" in line), 0
        )
        tally.tried[f"runs of {name}, guided by coverage"] += runs
        if code:
            tally.wrong.append(f"{name} ended with {code}: {said[-1_500:]}")


async def _fetched(library: Path) -> bool:
    command = ("-m", "pip", "install", "--quiet", "--no-deps", "--only-binary=:all:", "--target", str(library), ATHERIS)
    code, _ = await _run(*command, library=library, seconds=FETCHING)
    return code == 0


async def _run(*command: str, library: Path, seconds: float) -> tuple[int, str]:
    environment = {**os.environ, "PYTHONPATH": f"{library}{os.pathsep}{ROOT}"}
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *command,
        env=environment,
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        async with asyncio.timeout(seconds):
            said, _ = await process.communicate()
    except TimeoutError:
        process.kill()
        await process.wait()
        return -1, "it did not end in time"
    return process.returncode or 0, said.decode("utf-8", "replace")


def _sow(corpus: Path, chance: random.Random) -> None:
    """What the targets begin with: updates, payloads, streams and Markdown as they are."""
    import json

    telegram, discord = Updates(chance), Dispatches(chance)
    seeds: list[Any] = [mutated(telegram.one(), chance) for _ in range(100)] + [discord.one()[1] for _ in range(20)]
    texts = [
        "/stop",
        "stop.Xy_z-1",
        "0123456789abcdef0123456789abcdef.png",
        "# a\n\n```py\nx\n```\n| a | b |\n|---|---|\n| 1 | 2 |",
    ]
    texts += ['x: c\n\ndata: {"a": 1}\r\n\r\ndata:[DONE]\n', '{"v":1,"kind":"message","channel":"1","files":[]}']
    for number, seed in enumerate([*seeds, *texts]):
        try:
            data = seed if isinstance(seed, str) else json.dumps(seed)
        except (ValueError, RecursionError):  # mutated into what JSON cannot say
            continue
        (corpus / f"seed{number}").write_text(data, "utf-8", "surrogatepass")
