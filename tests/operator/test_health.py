"""Ready: the database answers and no platform has been silent for long. A few bad seconds of a network are no reason."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field

from bot.errors import StorageError
from bot.operator.health import DEAF, STORE_SECONDS, Readiness
from tests.window import Window


@dataclass
class Notes:
    """A store that counts how often it is asked, and fails as it is told."""

    asked: int = 0
    broken: bool = False
    answers: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.answers.set()

    async def notes(self, prefix: str) -> dict[str, str]:
        self.asked += 1
        await self.answers.wait()
        if self.broken:
            raise StorageError("disk full")
        return {}

    async def note(self, values: dict[str, str]) -> None:
        raise AssertionError("a probe writes nothing")


class Heard(Window):
    heard_at: float | None = None


def readiness(notes: Notes, *, started: bool = True, fresh: float = 0.0, **platforms: Window) -> Readiness:
    return Readiness(notes, platforms, lambda: started, fresh=fresh)


async def test_it_is_ready_when_it_has_started_and_the_store_answers() -> None:
    assert await readiness(Notes())()
    assert await readiness(Notes(), page=Window())()
    assert not await readiness(Notes(), started=False)()


async def test_a_store_that_fails_or_hangs_makes_it_unready_until_it_answers_again() -> None:
    notes = Notes()
    ready = readiness(notes)
    notes.broken = True
    assert not await ready()
    notes.broken = False
    assert await ready()

    notes.answers.clear()
    began = time.monotonic()
    assert not await ready()
    assert time.monotonic() - began < STORE_SECONDS + 1
    notes.answers.set()
    assert await ready()


async def test_a_platform_that_was_not_heard_for_minutes_makes_it_unready_and_one_bad_minute_does_not() -> None:
    telegram = Heard("telegram")
    ready = readiness(Notes(), telegram=telegram)

    assert await ready()  # it does not listen yet, or another process does
    telegram.heard_at = time.monotonic() - 100
    assert await ready()
    telegram.heard_at = time.monotonic() - DEAF - 1
    assert not await ready()
    telegram.heard_at = time.monotonic()
    assert await ready()


async def test_however_many_ask_the_store_is_asked_once_a_second() -> None:
    notes = Notes()
    ready = readiness(notes, fresh=60.0)

    assert all(await asyncio.gather(*(ready() for _ in range(50))))
    assert notes.asked == 1
    notes.broken = True
    assert await ready()
