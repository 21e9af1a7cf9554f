"""A process that is killed before its n-th step: it opens, renames or removes a file, or begins a statement of SQLite."""

from __future__ import annotations

import os
import signal
import sqlite3
import sys
import traceback
from collections.abc import Callable, Iterator
from functools import partial
from itertools import count
from typing import Any

STEPS = frozenset({"open", "os.rename", "os.remove", "os.mkdir", "sqlite3.connect"})


def kills(work: Callable[[], None], stride: int = 1) -> Iterator[int]:
    """Do `work` in a process of its own, killed before its first step; then before its second, or `stride` later; and so on:
    the number of each that was killed. What is looked at or put right between two of them is the caller's. Ends when one came
    to its end."""
    for number in count(1, stride):
        if not _killed(work, number):
            return
        yield number


def _killed(work: Callable[[], None], number: int) -> bool:
    child = os.fork()
    if not child:
        _run(work, number)
    _, status = os.waitpid(child, 0)
    if os.WIFEXITED(status):
        assert os.WEXITSTATUS(status) == 0, "the work failed: see its traceback"
    return os.WIFSIGNALED(status)


def _run(work: Callable[[], None], number: int) -> None:
    steps = count(1)

    def step(_: object = None) -> None:
        if next(steps) == number:
            os.kill(os.getpid(), signal.SIGKILL)

    class Stepping(sqlite3.Connection):
        def __init__(self, *values: Any, **named: Any) -> None:  # whatever sqlite3.connect takes
            super().__init__(*values, **named)
            if ":memory:" not in values:  # nothing of it can be left behind
                self.set_trace_callback(step)

    def audit(event: str, values: tuple[object, ...]) -> None:
        if event in STEPS:
            step()

    status = 1
    try:
        sys.addaudithook(audit)
        sqlite3.connect = partial(sqlite3.connect, factory=Stepping)  # type: ignore[assignment]  # in the child alone
        work()
        status = 0
    except BaseException:  # noqa: BLE001  # a forked child of the test runner must not go on as one
        traceback.print_exc()
    finally:
        os._exit(status)
