"""One campaign in a process of its own: `python -m tests.torture.alone MODULE SECONDS SEED SCRATCH`. What it found goes into
SCRATCH/tally.json.

A campaign that computes for long would hold up the stand-ins of another one in the same process, and find faults that are its
own.
"""

from __future__ import annotations

import asyncio
import json
import logging
import signal
import sys
from collections import Counter
from collections.abc import Callable, Coroutine
from importlib import import_module
from pathlib import Path

from tests.torture.part import Effort, Tally

FILE = "tally.json"

Torture = Callable[[Effort], Coroutine[None, None, Tally]]


def as_json(tally: Tally) -> dict[str, object]:
    return {"tried": dict(tally.tried), "wrong": tally.wrong, "figures": tally.figures}


def write(tally: Tally, scratch: Path) -> None:
    (scratch / FILE).write_text(json.dumps(as_json(tally), ensure_ascii=False), "utf-8")


def read(scratch: Path) -> Tally | None:
    """None where nothing was written: the campaign broke down."""
    file = scratch / FILE
    if not file.exists():
        return None
    raw = json.loads(file.read_text("utf-8"))
    return Tally(tried=Counter(raw["tried"]), wrong=raw["wrong"], figures=raw["figures"])


def log_plainly() -> None:
    """What campaigns say of themselves; what the product says of its faults is what was asked for."""
    screen = logging.StreamHandler(sys.stdout)
    screen.addFilter(lambda record: record.name.startswith(("torture", "tests.")))
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S", handlers=[screen])


def main(module: str, seconds: str, seed: str, scratch: str) -> None:
    log_plainly()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # what it started ends with it
    torture: Torture = import_module(module).torture
    place = Path(scratch)
    work = place / "work"
    work.mkdir()
    write(asyncio.run(torture(Effort(seconds=float(seconds), seed=int(seed), scratch=work))), place)


if __name__ == "__main__":
    main(*sys.argv[1:])
