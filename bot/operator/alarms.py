"""What the owner must look after, told in chat: each cause at most once an hour, across restarts and for all workers together.

`ring` is called wherever such a thing is noticed; it only notes the cause, so it holds up nobody. `run` does the rest beside
everything else: it looks at the disk and the platforms, asks the store whether the cause is due, and tells every admin on a
platform that runs, again later where one cannot be reached now. An alarm names a cause and a part of Magpie: never a chat,
a message or a setting's value.
"""

from __future__ import annotations

import asyncio
import logging
import shutil
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from secrets import token_urlsafe
from typing import Protocol

from bot import metrics, phrases
from bot.errors import ModelError, PlatformError, RetryLater, StorageError, Trouble, Unreachable, Unsure
from bot.messages import PAGE_OWNER, Address
from bot.operator.health import unheard
from bot.phrases import Phrase
from bot.ports import Backlog, Confiding, Platform

log = logging.getLogger(__name__)

EVERY = 3600.0  # seconds between two tellings of one cause
ASK = 60.0  # seconds until the store is asked again for a cause that was told, by whatever worker
LOOK = 60.0  # seconds between two looks at the disk and the platforms
DEAF = 120.0  # seconds without a finished poll: it ends after 20 s at the latest, the next comes within 8 s
LEAST_FREE, LEAST_SHARE = 200_000_000, 0.05  # bytes, and of the whole disk
RETRY = 30.0  # seconds until a person who could not be reached is tried again
CALL = 30.0  # seconds for one telling
STORE_SECONDS = 5.0
MOST_LETTERS = 100  # that wait to be told; more are only in the log


class Cause(StrEnum):
    """Each has its sentence in `phrases.ALARM`, which says what to do."""

    NO_MONEY = "no money"
    BAD_KEY = "bad key"
    REVOKED = "revoked token"
    DEAD_LETTER = "dead letter"
    DISK = "disk nearly full"
    DEAF = "deaf"
    NO_MODEL = "no such model"


NAMES: Mapping[str, str] = {**phrases.VENDORS, "telegram": "Telegram", "discord": "Discord"}
CAUSES: Mapping[Trouble, Cause] = {Trouble.NO_MONEY: Cause.NO_MONEY, Trouble.BAD_KEY: Cause.BAD_KEY}


@dataclass(frozen=True, slots=True)
class Alarm:
    """`about` is the vendor, platform or model that it is about, "" where there is nothing to tell apart."""

    cause: Cause
    about: str = ""

    def __str__(self) -> str:
        return f"{self.cause}/{self.about}" if self.about else self.cause.value

    @property
    def phrase(self) -> Phrase:
        return phrases.ALARM[self.cause.value].format(about=NAMES.get(self.about, self.about))


class AlarmBook(Protocol):
    """What the store is to the alarms. Both raise StorageError."""

    async def due(self, cause: str, every: float) -> bool:
        """True once per `every` seconds for this cause, for all workers together."""

    async def backlog(self) -> Backlog: ...


@dataclass(slots=True)
class _Letter:
    """What one person is still to be told. Times are monotonic."""

    platform: str
    person: str
    text: str
    nonce: str
    until: float
    after: float = 0.0


class Alarms:
    """`admins` are "platform:id". `every`, `look`, `retry`, `deaf` in seconds."""

    def __init__(
        self,
        book: AlarmBook,
        admins: Iterable[str],
        data_dir: Path,
        *,
        every: float = EVERY,
        look: float = LOOK,
        retry: float = RETRY,
        deaf: float = DEAF,
    ) -> None:
        self._book = book
        self._admins = [admin.partition(":")[::2] for admin in sorted({*admins, PAGE_OWNER})]
        self._data_dir = data_dir
        self._every, self._look, self._retry, self._deaf = every, look, retry, deaf
        self._rung: set[Alarm] = set()
        self._some = asyncio.Event()
        self._told: dict[Alarm, float] = {}  # by this process
        self._asked: dict[Alarm, float] = {}
        self._letters: list[_Letter] = []

    def ring(self, cause: Cause, about: str = "") -> None:
        """Never waits and never fails."""
        self._rung.add(Alarm(cause, about))
        self._some.set()

    def vendor_failed(self, error: ModelError) -> None:
        """Of the kinds of failures some are the owner's to mend."""
        if cause := CAUSES.get(error.trouble):
            self.ring(cause, error.vendor)
        elif error.nearest:  # of the catalogue: other names are what somebody typed
            self.ring(Cause.NO_MODEL, f"{error.model} → {', '.join(error.nearest)}")

    async def run(self, platforms: Mapping[str, Platform]) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._watch(platforms))
            tasks.create_task(self._tell(platforms))

    # --- looking -------------------------------------------------------------------------------------------------------

    async def _watch(self, platforms: Mapping[str, Platform]) -> None:
        dead = await self._dead_letters(None)
        while True:
            before = time.monotonic()
            await asyncio.sleep(self._look)
            dead = await self._dead_letters(dead)
            if time.monotonic() - before > 2 * self._look:  # we slept ourselves (a suspended machine): nobody was heard
                continue
            for name in unheard(platforms, self._deaf):
                if Alarm(Cause.REVOKED, name) not in self._asked:  # known, and why
                    self.ring(Cause.DEAF, name)
            try:
                if await asyncio.to_thread(nearly_full, self._data_dir):
                    self.ring(Cause.DISK)
            except OSError as error:
                log.warning("Cannot look at the disk of %s: %s", self._data_dir, error.strerror)

    async def _dead_letters(self, known: int | None) -> int | None:
        """How many there are, where the store tells; more than were `known` ring."""
        try:
            async with asyncio.timeout(STORE_SECONDS):
                dead = (await self._book.backlog()).dead
        except (StorageError, TimeoutError):
            return known
        if known is not None and dead > known:
            self.ring(Cause.DEAD_LETTER)
        return dead

    # --- telling -------------------------------------------------------------------------------------------------------

    async def _tell(self, platforms: Mapping[str, Platform]) -> None:
        while True:
            try:
                async with asyncio.timeout(self._retry if self._letters else None):
                    await self._some.wait()
            except TimeoutError:
                pass  # time to try again those who could not be reached
            self._some.clear()
            rung, self._rung = self._rung, set()
            try:
                for alarm in sorted(rung, key=str):
                    if await self._due(alarm):
                        self._write(alarm, platforms)
                await self._send_all(platforms)
            except Exception:  # the boundary: whatever it was, it ends neither the alarms nor the bot
                log.exception("An alarm cannot be told")
                await asyncio.sleep(self._retry)

    async def _due(self, alarm: Alarm) -> bool:
        now = time.monotonic()
        never = float("-inf")
        if now - self._told.get(alarm, never) < self._every or now - self._asked.get(alarm, never) < min(
            ASK, self._every
        ):
            return False
        self._asked[alarm] = now
        try:
            async with asyncio.timeout(STORE_SECONDS):
                due = await self._book.due(str(alarm), self._every)
        except (StorageError, TimeoutError):
            due = True  # this process's own memory must do: a full disk is among the causes
        if due:
            self._told[alarm] = now
        return due

    def _write(self, alarm: Alarm, platforms: Mapping[str, Platform]) -> None:
        log.error("Alarm: %s", alarm.phrase.en)
        metrics.ALARMS.labels(alarm.cause.value).inc()
        until = time.monotonic() + self._every
        text = f"⚠️ {alarm.phrase.en}\n\n{alarm.phrase.zh}"  # both: nobody knows which of them an owner reads
        for platform, person in self._admins:
            if platform in platforms and len(self._letters) < MOST_LETTERS:
                self._letters.append(_Letter(platform, person, text, f"alarm.{token_urlsafe(9)}", until))

    async def _send_all(self, platforms: Mapping[str, Platform]) -> None:
        """All at once: a platform that does not answer holds up none of the others."""
        now = time.monotonic()
        async with asyncio.TaskGroup() as tasks:
            sending = [
                (letter, tasks.create_task(_sent(letter, platforms[letter.platform])))
                for letter in self._letters
                if letter.after <= now
            ]
        done = {id(letter) for letter, task in sending if task.result() or letter.until <= now}
        self._letters = [letter for letter in self._letters if id(letter) not in done]


async def _sent(letter: _Letter, platform: Platform) -> bool:
    """Whether nothing more is to be done: told, or a person who cannot be told."""
    who = f"{letter.platform}:{letter.person}"
    if not isinstance(platform, Confiding):
        return True
    try:
        async with asyncio.timeout(CALL):
            chat = await platform.private(letter.person)
            await platform.send(Address(chat), platform.layout(letter.text)[0], letter.nonce)
    except RetryLater as error:
        letter.after = time.monotonic() + error.seconds
        return False
    except (Unreachable, TimeoutError):
        return False
    except Unsure:  # most likely it was taken
        return True
    except PlatformError as error:
        log.warning("%s cannot be told of an alarm: %s", who, error)
    except Exception:  # the boundary: the others are to be told all the same
        log.exception("%s cannot be told of an alarm", who)
    return True


def nearly_full(directory: Path) -> bool:
    """The disk that holds it, or is going to. Raises OSError."""
    while not directory.exists() and directory != directory.parent:
        directory = directory.parent
    disk = shutil.disk_usage(directory)
    return disk.free < LEAST_FREE or disk.free < disk.total * LEAST_SHARE
