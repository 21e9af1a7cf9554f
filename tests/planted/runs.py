"""One run of pytest with one bug, and what is to be thought of it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

from tests.planted.bug import PLANTED, ROOT, Bug

ALIVE = "tests/planted/alive.py::test_a_simple_question_is_answered_everywhere"
ONE_TEST = 60  # seconds: a bug that makes a test wait for ever is found as well
PLANTS = "tests/planted/"  # a breakdown in here is one of ours


@dataclass(frozen=True, slots=True)
class Failure:
    """A test that failed; `where` is the last place in its traceback, `why` its first line."""

    test: str
    where: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """`found` are those tests that failed as they should; `trouble` says what is wrong, nothing when the bug is alive and every
    test that is to find it did."""

    found: tuple[Failure, ...]
    trouble: tuple[str, ...]
    seconds: float


def judge(bug: Bug, scratch: Path) -> Verdict:
    began = time.monotonic()
    passed, failed, said = _run([ALIVE, *bug.found_by], scratch / f"{bug.name}.xml", bug.name)
    trouble = [f"the run of pytest gave no result: {said[-300:]}"] if not (passed or failed) else []
    if ALIVE not in passed:
        trouble.append("with it the bot does not even answer a simple question")
    trouble += [f"the plant itself broke down: {one.where} {one.why}" for one in failed if PLANTS in one.where]
    found = tuple(one for one in failed if one.test != ALIVE and PLANTS not in one.where)
    for wanted in bug.found_by:
        if not any(_is(one.test, wanted) for one in found):
            trouble.append(f"not found by {wanted}")
    return Verdict(found=found, trouble=tuple(trouble), seconds=time.monotonic() - began)


def sound(bugs: Iterable[Bug], scratch: Path) -> list[Failure]:
    """What fails without any bug."""
    tests = sorted({test for bug in bugs for test in bug.found_by} | {ALIVE})
    passed, failed, said = _run(tests, scratch / "sound.xml", "")
    missing = [test for test in tests if not any(_is(one, test) for one in passed)]
    return failed or [Failure(test, "", f"was not run: {said[-300:]}") for test in missing]


def _is(test: str, wanted: str) -> bool:
    """Whether it is the test that is meant, or that with some parameters."""
    return test == wanted or test.startswith(f"{wanted}[")


def _run(tests: Sequence[str], report: Path, bug: str) -> tuple[list[str], list[Failure], str]:
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-p", "tests.planted.plugin", "--tb=short"]
    command += [f"--timeout={ONE_TEST}", f"--junitxml={report}", "-o", "junit_family=xunit1", *tests]
    done = subprocess.run(
        command, cwd=ROOT, env={**os.environ, PLANTED: bug}, capture_output=True, text=True, check=False
    )
    return *_read(report), done.stdout + done.stderr


def _read(report: Path) -> tuple[list[str], list[Failure]]:
    passed, failed, broken = list[str](), list[Failure](), list[Failure]()
    if not report.exists():
        return passed, failed
    for case in ElementTree.parse(report).iter("testcase"):
        test = f"{case.get('file')}::{case.get('name')}"
        failure = case.find("failure")
        if failure is not None:
            failed.append(_failure(test, failure.text or "", failure.get("message", "")))
        elif case.find("error") is not None:
            broken.append(Failure(test, PLANTS, "broke down before or after the test"))
        elif case.find("skipped") is None:
            passed.append(test)
    said = {one.test for one in failed}  # what breaks down after a failure is its consequence
    return passed, failed + [one for one in broken if one.test not in said]


def _failure(test: str, text: str, message: str) -> Failure:
    places = [line for line in text.splitlines() if ".py:" in line and not line.startswith((" ", "E"))]
    return Failure(test, places[-1] if places else "", " ".join(message.split())[:160])
