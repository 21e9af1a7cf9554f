"""`python -m bench`: everything, in about ten minutes; `--quick`: a short look that all of it works."""

from __future__ import annotations

import argparse
import asyncio
import gc
import shutil
import sys
import time
from pathlib import Path

from bench import report, suite

RESULTS = Path(__file__).parent / "results"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="about a minute; its figures mean little")
    parser.add_argument("--engine", action="store_true", help="only the engine on both stores, and a takeover")
    parser.add_argument("--keep", action="store_true", help="keep the databases and logs of the bots")
    options = parser.parse_args()
    if not sys.platform.startswith("linux"):
        sys.exit("The bench reads /proc: it runs on Linux only.")
    folder = RESULTS / f"run-{int(time.time())}"
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)  # Telegram's log only grows here: searching it often would cost the most of all
    began = time.monotonic()

    def say(what: str) -> None:
        print(f"{time.monotonic() - began:6.0f} s  {what}", file=sys.stderr, flush=True)

    plan = suite.QUICK if options.quick else suite.FULL
    try:
        results = asyncio.run(
            suite.measure(plan, suite.made(folder), say, quick=options.quick, engine_alone=options.engine)
        )
    finally:
        if not options.keep:
            shutil.rmtree(folder, ignore_errors=True)
    if options.engine:
        print(f"\n{report.table(results)}")
        return
    path = report.save(results, RESULTS)
    print(f"\n{report.circumstances(results)}\n\n{report.table(results)}\n\n{path}")


if __name__ == "__main__":
    main()
