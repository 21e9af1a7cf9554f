"""Starts what is measured and what it is measured with, each as a process of its own."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.model import SCRIPTS, Script

ROOT = Path(__file__).parent.parent
ENDING = 12.0  # seconds after SIGTERM: Magpie promises to be gone within 10
OURS = ("TELEGRAM_", "DISCORD_", "ZHIPU", "DASHSCOPE_", "OPENAI_", "WEB_", "BENCH_")

BOTS = {"floor": "bench.floor", "glm": "bot", "qwen": "bot"}
SAMPLED = {"floor": "bench.floor", "glm": "bench.magpie", "qwen": "bench.magpie"}


@dataclass(frozen=True, slots=True)
class Model:
    """A model that is up: what it says, and where."""

    script: Script
    glm_url: str
    dashscope_url: str
    key: str
    pid: int


@asynccontextmanager
async def model(answer: str) -> AsyncIterator[Model]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bench.model", "--answer", answer, cwd=ROOT, stdout=asyncio.subprocess.PIPE
    )
    try:
        assert process.stdout is not None
        glm_url, dashscope_url, key = (await process.stdout.readline()).decode().split()
        yield Model(SCRIPTS[answer], glm_url, dashscope_url, key, process.pid)
    finally:
        await _end(process)


@asynccontextmanager
async def bot(
    kind: str, telegram: dict[str, str], model: Model, folder: Path
) -> AsyncIterator[asyncio.subprocess.Process]:
    """One of BOTS, in a `folder` that takes its database (if none is there), its log and, if sampled, how late its event
    loop was."""
    folder.mkdir(parents=True, exist_ok=True)  # noqa: ASYNC240 -- nothing is measured yet
    environment = {name: value for name, value in os.environ.items() if not name.startswith(OURS)}
    environment |= telegram | _model_variables(kind, model)
    environment |= {"PYTHONPATH": str(ROOT), "DATA_DIR": str(folder), "WEB_PORT": "0", "ALLOWED": "*"}
    environment |= {"DAILY_BUDGET": "1000000"}
    module = SAMPLED[kind] if "BENCH_LAG" in telegram else BOTS[kind]
    with (folder / "log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", module, cwd=folder, env=environment, stdout=log, stderr=log
        )
        try:
            yield process
        finally:
            await _end(process)


def _model_variables(kind: str, model: Model) -> dict[str, str]:
    if kind == "qwen":
        return {"DASHSCOPE_API_KEY": model.key, "DASHSCOPE_HTTP_BASE_URL": model.dashscope_url}
    return {"ZHIPUAI_API_KEY": model.key, "ZHIPUAI_BASE_URL": model.glm_url}


async def _end(process: asyncio.subprocess.Process) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.terminate()
    try:
        async with asyncio.timeout(ENDING):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()
