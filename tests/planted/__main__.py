"""Plants every bug, one at a time, and prints who found it: `python -m tests.planted`, or `make plant`. Names choose some.

First all the tests are run without any bug: they must pass. Ends with 1 when they do not, or when a bug was not found.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

from tests.planted.bug import Bug
from tests.planted.catalog import BUGS
from tests.planted.runs import Verdict, judge, sound


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.planted")
    parser.add_argument("names", nargs="*", metavar="BUG", help=f"of: {', '.join(BUGS)}")
    names = parser.parse_args().names or list(BUGS)
    if unknown := [name for name in names if name not in BUGS]:
        parser.error(f"there is no {', '.join(unknown)}")
    with tempfile.TemporaryDirectory() as scratch:
        sys.exit(_plant_all([BUGS[name] for name in names], Path(scratch)))


def _plant_all(bugs: list[Bug], scratch: Path) -> int:
    began = time.monotonic()
    if wrong := sound(bugs, scratch):
        _say(*(f"fails without any bug: {one.test}: {one.why}" for one in wrong))
        return 1
    _say(f"Without a bug all tests pass ({time.monotonic() - began:.0f} s).", "")
    _say("| # | bug | seen in | found by | seconds |", "|---|---|---|---|---|")
    missed = 0
    for number, bug in enumerate(bugs, 1):
        verdict = judge(bug, scratch)
        missed += bool(verdict.trouble)
        _say(_row(number, bug, verdict))
    _say("", f"{len(bugs) - missed} of {len(bugs)} bugs found, in {time.monotonic() - began:.0f} s.")
    return 1 if missed else 0


def _row(number: int, bug: Bug, verdict: Verdict) -> str:
    tests = dict.fromkeys(one.test.partition("[")[0] for one in verdict.found)
    by = [f"`{test.removeprefix('tests/')}`" for test in tests]
    by += [f"**{trouble}**" for trouble in verdict.trouble]
    return f"| {number} | {bug.name}: {bug.what} | {bug.whose} | {'<br>'.join(by)} | {verdict.seconds:.0f} |"


def _say(*lines: str) -> None:
    sys.stdout.write("".join(f"{line}\n" for line in lines))
    sys.stdout.flush()


if __name__ == "__main__":
    main()
