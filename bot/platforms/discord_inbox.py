"""Messages from Discord into the intake: in order, each kept until it is committed, and what was missed caught up.

Discord's gateway has no acknowledgement and a new session replays nothing. So each channel has a watermark: the last message
seen there, ours or not, that no uncommitted message precedes. After a new session the history behind it is read; the
inbox knows what it has.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

from bot.errors import Forbidden, Gone, PlatformError, Rejected, RetryLater, StorageError
from bot.messages import Event
from bot.platforms.discord_limits import Limits
from bot.platforms.discord_read import DISCORD_EPOCH, JsonObject, Place
from bot.platforms.discord_rest import Rest
from bot.platforms.discord_shards import Tenure
from bot.ports import Cursors, Intake

log = logging.getLogger(__name__)

MARKS = "discord/mark/"
BATCH = 200
CATCH_UP_SECONDS, CATCH_UP_MESSAGES, PAGE = 24 * 3600.0, 200, 100
AT_ONCE = 4  # channels caught up at the same time
LONGEST_PAUSE = 12.0  # seconds between two attempts

Reader = Callable[[JsonObject, Place], Event | None]


@dataclass(frozen=True, slots=True)
class Seen:
    """A message that passed by, and its event if it was for us."""

    place: Place
    message: str
    event: Event | None


class MessageInbox:
    """Of one shard while it is ours. `read` turns a message of the history into its event, None for what is not ours."""

    def __init__(
        self, rest: Rest, cursors: Cursors, intake: Intake, read: Reader, tenure: Tenure, limits: Limits
    ) -> None:
        self._rest = rest
        self._cursors = cursors
        self._intake = intake
        self._read = read
        self._tenure = tenure
        self._limits = limits
        self._waiting: deque[Seen] = deque()
        self._some = asyncio.Event()
        self._marks: dict[str, tuple[int, Place]] = {}
        self._unwritten: set[str] = set()
        self._held: dict[str, list[Seen]] = {}  # live messages of the channels that are to be caught up
        self._holding = 0
        self._absent: dict[str, set[str]] = {}  # such channels by their server, until Discord tells us of it
        self._last_sign = 0  # the newest message that passed by before the session was lost, 0 for none
        self._due: set[str] = set()  # channels whose history is to be read now
        self._some_due = asyncio.Event()
        self._gaps = 0
        self._overflown = False

    async def load(self) -> None:
        """The watermarks of this shard's channels, as whoever held it before has left them. Raises StorageError."""
        for name, value in (await self._cursors.notes(MARKS)).items():
            message, guild, parent = [*value.split(" "), "", ""][:3]
            if message.isdigit() and self._tenure.shard.hears(guild):
                channel = name.removeprefix(MARKS)
                self._marks[channel] = int(message), Place(channel, guild, parent)

    def put(self, seen: Seen) -> None:
        """Take a live message. Never waits: when there is no room left it is dropped, and caught up once there is."""
        held = self._held.get(seen.place.channel)
        if self._overflown or len(self._waiting) + self._holding >= self._limits.waiting:
            if not self._overflown:
                log.error(
                    "Discord: %d messages wait for the store; the next ones are read again later", self._limits.waiting
                )
            self._overflown = True
        elif held is not None:
            held.append(seen)
            self._holding += 1
        else:
            self._queue(seen)

    def lost_session(self, servers: Collection[str]) -> None:
        """Messages may have been missed anywhere. Live ones are held back where there is a watermark, until the history before
        them is read: of private chats now, of a server's channels when one of the `servers` is told (`server`)."""
        self._gaps += 1
        self._last_sign = max((number for number, _ in self._marks.values()), default=0)
        self._absent = {guild: set() for guild in servers}
        for channel, (_, place) in self._marks.items():
            self._held.setdefault(channel, [])
            if place.guild:
                self._absent.setdefault(place.guild, set()).add(channel)
            else:
                self._due.add(channel)
        self._some_due.set()

    def server(self, guild: str, latest: Mapping[Place, int]) -> None:
        """A server after `lost_session`: `latest` holds the last message of each channel, 0 for none. Unlisted are threads that
        were archived meanwhile, maybe after a message that we missed; without a watermark are those in which nothing was said
        before, or that are new."""
        absent = self._absent.pop(guild, None)
        if absent is None:
            return  # it has just let us in
        for place, last in latest.items():
            if 0 < self._last_sign < last and place.channel not in self._marks:
                self._marks[place.channel] = self._last_sign, place
                self._unwritten.add(place.channel)
                self._held.setdefault(place.channel, [])
                absent.add(place.channel)
        known = {place.channel: last for place, last in latest.items()}
        for channel in absent:
            mark, _ = self._marks.get(channel, (0, None))
            if known.get(channel, mark + 1) > mark:
                self._due.add(channel)
            else:
                self._release(channel, [])
        self._some_due.set()

    def _release(self, channel: str, missed: Sequence[Seen]) -> None:
        held = self._held.pop(channel, [])
        self._holding -= len(held)
        for seen in (*missed, *held):
            self._queue(seen)

    def _queue(self, seen: Seen) -> None:
        self._waiting.append(seen)
        self._some.set()

    # --- into the intake -----------------------------------------------------------------------------------------------

    async def commit(self) -> None:
        """Hand over what waits, in order, until cancelled. Only then do watermarks move."""
        while True:
            await self._some.wait()
            batch = list(islice(self._waiting, BATCH))
            await self._begin_marks(batch)
            if events := [seen.event for seen in batch if seen.event is not None]:
                await self._accept(events)
            for seen in batch:
                self._waiting.popleft()
                self._mark(seen)
            if not self._waiting:
                self._some.clear()
                if self._overflown:
                    self._overflown = False
                    self._due |= self._marks.keys()
                    for channel in self._marks:
                        self._held.setdefault(channel, [])
                    self._some_due.set()

    async def _accept(self, events: Sequence[Event]) -> None:
        pause = 0.5
        while True:
            try:
                return await self._intake.accept(events)
            except StorageError as error:
                log.warning("Discord: %d messages wait for the store: %s", len(self._waiting), error)
            await asyncio.sleep(pause * random.uniform(0.5, 1.0))
            pause = min(pause * 2, LONGEST_PAUSE)

    # --- watermarks ----------------------------------------------------------------------------------------------------

    def _mark(self, seen: Seen) -> None:
        channel, number = seen.place.channel, int(seen.message)
        known = self._marks.get(channel)
        if known is None or number > known[0]:
            self._marks[channel] = number, seen.place
            self._unwritten.add(channel)

    async def _begin_marks(self, batch: Sequence[Seen]) -> None:
        """A channel's first watermark is written before its first message is accepted: were we killed in between, what is said
        there while we are away would never be looked for."""
        fresh = [seen for seen in batch if seen.event is not None and seen.place.channel not in self._marks]
        for seen in reversed(fresh):  # the first of several in a channel decides
            # what an edit changed is not to be found a second time, as a message
            before = int(seen.message) - (0 if seen.event is not None and seen.event.edits else 1)
            self._marks[seen.place.channel] = before, seen.place
            self._unwritten.add(seen.place.channel)
        if fresh:
            await self._write_marks()

    async def keep_marks(self) -> None:
        """Write the watermarks every few seconds until cancelled, and then once more."""
        try:
            while True:
                await asyncio.sleep(self._limits.mark)
                await self._write_marks()
        finally:
            await self._write_marks()

    async def _write_marks(self) -> None:
        channels, self._unwritten = self._unwritten, set()
        values = {MARKS + channel: self._note(channel) for channel in channels}
        # What a watermark says stays true for ever, but an old one in the place of a newer has more read again
        # than one catching up may: who has lost the shard leaves them alone.
        if not values or not self._tenure.holds():
            return
        try:
            await self._cursors.note(values)
        except StorageError as error:
            self._unwritten |= channels
            log.warning("Discord: watermarks are not written: %s", error)

    def _note(self, channel: str) -> str:
        if channel not in self._marks:
            return ""  # forgotten
        number, place = self._marks[channel]
        return f"{number} {place.guild} {place.parent}".rstrip()

    # --- what was missed -----------------------------------------------------------------------------------------------

    async def catch_up(self) -> None:
        """Read the histories whenever something was missed, until cancelled."""
        while True:
            await self._some_due.wait()
            self._some_due.clear()
            due, self._due = self._due, set()
            room = asyncio.Semaphore(AT_ONCE)
            async with asyncio.TaskGroup() as tasks:
                for channel in due:
                    tasks.create_task(self._catch_up(channel, room))

    async def _catch_up(self, channel: str, room: asyncio.Semaphore) -> None:
        async with room:
            gaps, missed = -1, list[Seen]()
            while gaps != self._gaps:  # another gap while we read
                gaps = self._gaps
                missed = await self._missed_in(channel)
        self._release(channel, missed)

    async def _missed_in(self, channel: str) -> list[Seen]:
        if channel not in self._marks:
            return []
        mark, place = self._marks[channel]
        pause = 1.0
        while True:
            try:
                return [
                    Seen(place, one["id"], self._read_past(one, place)) for one in await self._history(channel, mark)
                ]
            except RetryLater as later:
                await asyncio.sleep(later.seconds)
            except (Forbidden, Gone, Rejected) as error:
                log.info("Discord: channel %s is closed to us: %s", channel, error)
                del self._marks[channel]
                self._unwritten.add(channel)
                return []
            except PlatformError as error:
                log.warning("Discord: the history of channel %s cannot be read yet: %s", channel, error)
                await asyncio.sleep(pause)
                pause = min(pause * 2, LONGEST_PAUSE)

    async def _history(self, channel: str, mark: int) -> list[JsonObject]:
        """Messages after the watermark, oldest first; not those of longer ago than a day."""
        horizon = int((time.time() - CATCH_UP_SECONDS - DISCORD_EPOCH) * 1000) << 22
        after, found = max(mark, horizon), list[JsonObject]()
        while len(found) < CATCH_UP_MESSAGES:
            query = {"after": str(after), "limit": str(PAGE)}
            page = await self._rest.call(
                "GET", f"/channels/{channel}/messages", limit=f"history {channel}", query=query
            )
            found += reversed(page)
            if len(page) < PAGE:
                break
            after = int(found[-1]["id"])
        return found

    def _read_past(self, data: JsonObject, place: Place) -> Event | None:
        try:
            return self._read(data, place)
        except (KeyError, TypeError, ValueError, AttributeError, RecursionError):
            log.exception("Discord: a message of the history that cannot be read was left out")
            return None
