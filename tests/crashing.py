"""Magpie with named crash points around every commit, every send, edit and removal, and every call of a vendor.

The real product, wrapped from outside. While the file that CRASH_POINT names says `<point> <n>`, the nth time that this point
is passed the process group is killed as kill -9 would. The file is gone then: that is how others know.
"""

from __future__ import annotations

import os
import signal
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from functools import wraps
from pathlib import Path
from typing import ParamSpec, TypeVar

from bot.__main__ import main
from bot.messages import Finished
from bot.models.dashscope import DashScope
from bot.models.vendor import Streamed, Vendor
from bot.models.zhipu import Zhipu
from bot.platforms.discord import DiscordPlatform
from bot.platforms.telegram import TelegramPlatform
from bot.platforms.web import WebPlatform
from bot.ports import Platform, Prompt
from storage import Store

P = ParamSpec("P")
T = TypeVar("T")
Parts = AsyncGenerator[Streamed, None]

# fmt: off
COMMITS = (
    "accept", "claim", "count_attempt", "complete", "bury", "replace", "stop", "reset", "dismiss", "leave", "move", "sent",
    "shown", "gone", "drop", "take", "reserve", "settle", "note", "put", "due", "release", "enrol", "beat", "resign",
    "take_duty", "leave_duty", "keep_file", "retry_dead", "claim_jobs", "release_jobs", "submitted", "put_off", "end_job",
    "begin_run", "end_run",
)
# fmt: on
PLATFORMS: dict[str, type[Platform]] = {"telegram": TelegramPlatform, "discord": DiscordPlatform, "web": WebPlatform}
SHOWING = ("send", "edit", "remove")
VENDORS: dict[str, type[Vendor]] = {"glm": Zhipu, "qwen": DashScope}
OFFERED = ("submit", "look", "cancel", "transcribe", "speak")
CALLS = {"glm": (*OFFERED, "search"), "qwen": OFFERED}  # besides `stream`; Qwen searches only while it answers


def points() -> list[str]:
    """All there are."""
    calls = [f"store.{commit}" for commit in COMMITS]
    calls += [f"{platform}.{call}" for platform in PLATFORMS for call in SHOWING]
    calls += [f"{vendor}.{call}" for vendor in VENDORS for call in ("stream", *CALLS[vendor])]
    around = [f"{side} {call}" for call in calls for side in ("before", "after")]
    return [*around, *(f"begun {vendor}.stream" for vendor in VENDORS)]


class Bomb:
    """Goes off once, at the point and time that the file says."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._passed = 0
        self._armed = ""

    def pass_by(self, point: str) -> None:
        if not self._file.exists():
            return
        armed = self._file.read_text("ascii")
        if armed != self._armed:
            self._armed, self._passed = armed, 0
        wanted, _, count = armed.rpartition(" ")
        if point != wanted:
            return
        self._passed += 1
        if self._passed >= int(count):
            self._file.unlink()
            os.killpg(0, signal.SIGKILL)

    def around(self, call: str, method: Callable[P, Awaitable[T]]) -> Callable[P, Awaitable[T]]:
        @wraps(method)
        async def wrapped(*args: P.args, **kwargs: P.kwargs) -> T:
            self.pass_by(f"before {call}")
            result = await method(*args, **kwargs)
            self.pass_by(f"after {call}")
            return result

        return wrapped

    def around_stream(self, call: str, method: Callable[[Vendor, Prompt], Parts]) -> Callable[[Vendor, Prompt], Parts]:
        @wraps(method)
        async def wrapped(vendor: Vendor, prompt: Prompt) -> Parts:
            self.pass_by(f"before {call}")
            begun = False
            async with aclosing(method(vendor, prompt)) as parts:
                async for part in parts:
                    if not begun:
                        begun = True
                        self.pass_by(f"begun {call}")
                    if isinstance(part, Finished):
                        self.pass_by(f"after {call}")
                    yield part

        return wrapped


def mine(bomb: Bomb) -> None:
    """Lay the bomb at every point."""
    for commit in COMMITS:
        setattr(Store, commit, bomb.around(f"store.{commit}", getattr(Store, commit)))
    for name, platform in PLATFORMS.items():
        for call in SHOWING:
            setattr(platform, call, bomb.around(f"{name}.{call}", getattr(platform, call)))
    for name, vendor in VENDORS.items():
        setattr(vendor, "stream", bomb.around_stream(f"{name}.stream", vendor.stream))  # noqa: B010  # as the others
        for call in CALLS[name]:
            setattr(vendor, call, bomb.around(f"{name}.{call}", getattr(vendor, call)))


if __name__ == "__main__":
    mine(Bomb(Path(os.environ["CRASH_POINT"])))
    main()
