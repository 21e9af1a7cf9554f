"""Connections and sessions of aiohttp's that know who opened them.

One that nobody closes is complained of when it is collected, which may be in another test; with this the complaint says in
which one it was opened, and where.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from functools import wraps
from pathlib import Path
from types import FrameType
from typing import Any

import aiohttp
from aiohttp.connector import Connection

ROOT = f"{Path(__file__).parent.parent}{os.sep}"
OURS = (f"{ROOT}bot{os.sep}", f"{ROOT}tests{os.sep}")


def remember_origins() -> None:
    for kind in (Connection, aiohttp.ClientSession):
        _remember_origin(kind)


def _remember_origin(kind: Any) -> None:
    begin, show = kind.__init__, kind.__repr__

    @wraps(begin)
    def remembering(self: Any, *args: Any, **options: Any) -> None:
        self.__dict__["origin"] = (
            f"opened by {' < '.join(_callers(sys._getframe()))} during {os.environ.get('PYTEST_CURRENT_TEST')}"
        )
        begin(self, *args, **options)

    @wraps(show)
    def showing(self: Any) -> str:
        return f"{show(self)}, {self.__dict__.get('origin')}"

    kind.__init__, kind.__repr__ = remembering, showing


def _callers(frame: FrameType | None) -> Iterator[str]:
    """Those of ours that called it, from the inside out."""
    while frame := frame and frame.f_back:
        name = frame.f_code.co_filename
        if name.startswith(OURS):
            yield f"{name.removeprefix(ROOT)}:{frame.f_lineno}"
