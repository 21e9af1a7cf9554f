"""Shows answers: previews while they are made, and the outbox when they are finished.

A chat's messages leave in order: previews and finished pieces alike pass its lane, where a finished answer that waits (for
a RetryAfter, for the network) holds up whatever comes later in this chat, and nobody else. Previews may be dropped; the
final pieces are sent until they stand or can never stand.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial

from bot.answer import Answer, Place, teaser
from bot.errors import (
    ChatMoved,
    Forbidden,
    Gone,
    PlatformError,
    Rejected,
    RetryLater,
    StorageError,
)
from bot.insist import insist
from bot.messages import Address, Button, ChatKey, Piece, Turn
from bot.ports import Drafting, Final, Outbox, Platform

log = logging.getLogger(__name__)

SILENCE = 1.5  # seconds without anything to show before the platform's "typing" is lit
WORKING = 5.0  # seconds that it stays lit
PATIENCE = 60.0  # seconds: the longest wait between two tries of a piece
SLOWEST = 8.0  # how much slower previews may get after floods
FORGET_FLOOD = 300.0  # seconds after which a chat's previews are as fast as before
DROPPED = 2.0  # seconds without previews after one that failed
MOST_LANES = 10_000

Moving = Callable[[ChatKey, ChatKey], Awaitable[None]]


@dataclass(slots=True)
class _Lane:
    """The way out of one chat. `tokens` may be negative: a final text waits for none but is counted. Nothing is called before
    `closed_until`, no preview before `resting_until`."""

    refill: float
    burst: int
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    tokens: float = 0.0
    counted: float = field(default_factory=time.monotonic)
    last: float = 0.0
    closed_until: float = 0.0
    resting_until: float = 0.0
    flooded: float = float("-inf")
    slower: float = 1.0
    users: int = 0

    def __post_init__(self) -> None:
        self.tokens = float(self.burst)

    def spend(self) -> None:
        self._grow()
        self.tokens -= 1
        self.last = time.monotonic()

    def wait(self) -> float:
        """Seconds until a preview may be shown."""
        self._grow()
        now, step = time.monotonic(), self.refill * self.slower
        missing = max(0.0, 1 - self.tokens) * step
        return max(missing, self.last + step / 2 - now, self.closed_until - now, self.resting_until - now, 0.0)

    def flood(self, seconds: float) -> None:
        now = time.monotonic()
        self.closed_until = max(self.closed_until, now + seconds)
        self.flooded = now
        self.slower = min(self.slower * 2, SLOWEST)

    def _grow(self) -> None:
        now = time.monotonic()
        if now - self.flooded > FORGET_FLOOD:
            self.slower = 1.0
        self.tokens = min(float(self.burst), self.tokens + (now - self.counted) / (self.refill * self.slower))
        self.counted = now


class Delivery:
    """`moving` is told when a platform says that a chat has a new key."""

    def __init__(self, outbox: Outbox, platforms: Mapping[str, Platform], moving: Moving) -> None:
        self._outbox = outbox
        self._platforms = platforms
        self._moving = moving
        self._lanes: dict[ChatKey, _Lane] = {}

    def preview(self, turn: Turn, answer: Answer, stop: Button) -> Preview:
        return Preview(self, self._platforms[turn.chat.platform], turn, answer, stop)

    async def show(self, address: Address) -> None:
        """Show what the chat's outbox holds, in order, until nothing is left."""
        with self.lane(address) as lane:
            async with lane.lock:
                await self._drain(address.chat, lane)

    async def finish(self, address: Address, finals: Sequence[Final], stands: Mapping[Place, Piece]) -> None:
        """Show the pieces of a turn that was just completed; `stands` is what its previews left at the platform."""
        with self.lane(address) as lane:
            # Whoever has the lane now may find these pieces in the store and show them: then only the store knows.
            alone = not lane.lock.locked()
            async with lane.lock:
                if alone:
                    await self._drain(address.chat, lane, [(address, final) for final in finals], stands)
                else:
                    await self._drain(address.chat, lane)

    async def resume(self) -> Sequence[Callable[[], Awaitable[None]]]:
        """After a start: the outboxes to be shown. Their lanes are held from now on, so that nothing overtakes them. Raises
        StorageError."""
        resumed = []
        for chat in await self._outbox.waiting_chats():
            if chat.platform in self._platforms:
                lane = self._taken(Address(chat))
                await lane.lock.acquire()
                resumed.append(partial(self._resumed, chat, lane))
        return resumed

    async def _resumed(self, chat: ChatKey, lane: _Lane) -> None:
        try:
            await self._drain(chat, lane)
        finally:
            lane.lock.release()
            lane.users -= 1

    @contextmanager
    def lane(self, address: Address) -> Iterator[_Lane]:
        lane = self._taken(address)
        try:
            yield lane
        finally:
            lane.users -= 1

    def _taken(self, address: Address) -> _Lane:
        lane = self._lanes.get(address.chat)
        if lane is None:
            if len(self._lanes) >= MOST_LANES:
                now = time.monotonic()
                self._lanes = {
                    chat: lane for chat, lane in self._lanes.items() if lane.users or lane.closed_until > now
                }
            lane = self._lanes[address.chat] = _Lane(*self._platforms[address.chat.platform].traits.private)
        if address.group:  # not known to whoever shows an outbox after a start
            lane.refill, lane.burst = self._platforms[address.chat.platform].traits.group
        lane.users += 1
        return lane

    async def sent(self, chat: ChatKey, turn: int, place: Place, message: str) -> None:
        """Nothing else may be done with a message before its id is stored: a crash would leave it behind."""
        await insist(partial(self._outbox.sent, chat, turn, *place, message))

    async def gone(self, final: Final) -> None:
        await insist(partial(self._outbox.gone, final))

    async def moved(self, old: ChatKey, new: ChatKey) -> None:
        """The platform says that this chat has a new key."""
        await insist(partial(self._moving, old, new))
        self.follow(old, new)

    def follow(self, old: ChatKey, new: ChatKey) -> None:
        """What still waits under the old key goes before what comes under the new one."""
        if old in self._lanes:
            self._lanes.setdefault(new, self._lanes[old])

    async def _drain(
        self,
        chat: ChatKey,
        lane: _Lane,
        waiting: Sequence[tuple[Address, Final]] | None = None,
        stands: Mapping[Place, Piece] | None = None,
    ) -> None:
        """The pieces in order; whatever fails is tried again, from where it failed, until the outbox is empty."""
        wait = 0.5
        while True:
            try:
                if waiting is None:
                    waiting = await self._outbox.waiting(chat)
                return await self._settle_all(waiting, lane, stands or {})
            except ChatMoved as error:
                await self.moved(chat, error.new)
                chat = error.new
            except RetryLater as error:
                lane.flood(error.seconds)
                await asyncio.sleep(error.seconds)
            except Forbidden as error:
                log.warning("%s is closed to us: %s", chat, error)
                await insist(partial(self._drop_all, chat, f"forbidden: {error}"))
            except (PlatformError, StorageError) as error:
                log.warning("%s: cannot show an answer yet: %s", chat, error)
                await asyncio.sleep(wait * random.uniform(0.75, 1.25))
                wait = min(wait * 2, PATIENCE)
            waiting, stands = None, None  # only the store knows now

    async def _drop_all(self, chat: ChatKey, why: str) -> None:
        dropped = await self._outbox.waiting(chat)
        await self._outbox.drop([final for _, final in dropped], why)

    async def _settle_all(
        self, waiting: Sequence[tuple[Address, Final]], lane: _Lane, stands: Mapping[Place, Piece]
    ) -> None:
        """One commit for all that now stand, also when a later one fails."""
        shown: list[Final] = []
        failure: PlatformError | None = None
        try:
            for address, final in waiting:
                await asyncio.sleep(max(0.0, lane.closed_until - time.monotonic()))
                lane.spend()
                try:
                    shown.append(await self._settle(address, final, stands.get((final.slot, final.number))))
                except Rejected as error:
                    log.error("%s: a piece of turn %d can never be shown: %s", address.chat, final.turn, error)
                    await insist(partial(self._outbox.drop, [final], f"rejected: {error}"))
        except PlatformError as error:
            failure = error  # kept apart: it says when to call again, whatever the store says below
        except asyncio.CancelledError:
            if shown:
                await self._outbox.shown(shown)
            raise
        if shown:
            await insist(partial(self._outbox.shown, shown))
        if failure:
            raise failure

    async def _settle(self, address: Address, final: Final, stands: Piece | None) -> Final:
        """Bring one piece to its final form; it then stands as the message `id`. Only the first piece is a reply."""
        platform = self._platforms[address.chat.platform]
        if final.surplus:
            await platform.remove(address, final.id)
            return final
        if (final.slot, final.number) != (0, 0):
            address = replace(address, reply_to="")
        if final.id:
            try:
                if stands != final.piece:
                    await platform.edit(address, final.id, final.piece)
            except Gone:
                await self.gone(final)
                raise
            return final
        drafting = isinstance(platform, Drafting) and platform.drafts(address)
        if platform.traits.idempotent or final.whole or drafting:
            return replace(final, id=await platform.send(address, final.piece, final.nonce))
        message = await platform.send(address, teaser(replace(final.piece, buttons=())), final.nonce)
        await self.sent(address.chat, final.turn, (final.slot, final.number), message)
        await platform.edit(address, message, final.piece)
        return replace(final, id=message)


class Preview:
    """The previews of one turn: always the newest state, as fast as the lane allows, until `finish`.

    address    where they go now: a chat may move meanwhile
    stands     what they have left at the platform
    forbidden  the chat is closed to us: nobody will see this answer
    """

    def __init__(self, delivery: Delivery, platform: Platform, turn: Turn, answer: Answer, stop: Button) -> None:
        self._delivery = delivery
        self._platform = platform
        self._turn = turn.id
        self._answer = answer
        self._stop = stop
        self._changed = asyncio.Event()
        self._ids: dict[Place, str] = {(shown.slot, shown.piece): shown.id for shown in turn.shown}
        self._lost: Counter[Place] = Counter()
        self._task: asyncio.Task[None] | None = None
        self._calling = False
        self._finished = False
        self.address = turn.address
        self.stands: dict[Place, Piece] = {}
        self.forbidden = False

    def adopt(self, ids: Mapping[Place, str]) -> None:
        """Messages of an earlier turn now belong to this one."""
        self._ids.update(ids)

    def changed(self) -> None:
        self._changed.set()

    def finish(self) -> None:
        """No more previews: a call under way ends first, since its message's id must not be lost."""
        self._finished = True
        if self._task and not self._calling:
            self._task.cancel()

    async def run(self) -> None:
        self._task = asyncio.current_task()
        if self._finished:
            return
        try:
            with self._delivery.lane(self.address) as lane:
                await self._wait_for_something(lane)
                while not self._finished:
                    await self._changed.wait()
                    self._changed.clear()
                    while not self._finished and await self._step(lane):
                        pass
        except Forbidden:
            self.forbidden = True
        except asyncio.CancelledError:
            if not self._finished:
                raise

    async def _wait_for_something(self, lane: _Lane) -> None:
        timeout = SILENCE
        while not self._changed.is_set():
            try:
                async with asyncio.timeout(timeout):
                    await self._changed.wait()
            except TimeoutError:
                timeout = WORKING
                if lane.closed_until < time.monotonic():
                    await self._light(lane)

    async def _light(self, lane: _Lane) -> None:
        try:
            await self._platform.working(self.address)
        except Forbidden:
            raise
        except RetryLater as error:
            lane.flood(error.seconds)
        except PlatformError as error:
            log.debug("%s: %s", self.address.chat, error)

    async def _step(self, lane: _Lane) -> bool:
        """Bring one piece nearer to the newest state; False when nothing is to be done."""
        await asyncio.sleep(lane.wait())
        async with lane.lock:
            place, piece = self._next()
            if piece is None:
                return False
            if lane.wait() > 0:  # whoever had the lane meanwhile used it up, or was told to wait
                return True
            self._calling = True
            try:
                lane.spend()
                await self._call(place, piece)
            except RetryLater as error:
                lane.flood(error.seconds)
            except Gone:
                await self._lose(place)
            except ChatMoved as error:
                await self._delivery.moved(self.address.chat, error.new)
                self.address = replace(self.address, chat=error.new)
            except Forbidden:
                raise
            except PlatformError as error:
                log.info("%s: a preview was dropped: %s", self.address.chat, error)
                self.stands.pop(place, None)  # it may have been taken after all
                lane.resting_until = time.monotonic() + DROPPED
                return False
            finally:
                self._calling = False
        return True

    def _next(self) -> tuple[Place, Piece | None]:
        for place, piece in sorted(self._answer.preview(self._platform.layout, self._stop).items()):
            if self.stands.get(place) != piece:
                return place, piece
        return (0, 0), None

    async def _call(self, place: Place, piece: Piece) -> None:
        address = self.address if place == (0, 0) else replace(self.address, reply_to="")
        if isinstance(self._platform, Drafting) and self._platform.drafts(address):
            await self._platform.draft(address, self._turn, replace(piece, buttons=()))
        elif place in self._ids:
            await self._platform.edit(address, self._ids[place], piece)
        else:
            if not self._platform.traits.idempotent:
                piece = teaser(piece)
            self._ids[place] = await self._platform.send(address, piece, self._final(place).nonce)
            await self._delivery.sent(address.chat, self._turn, place, self._ids[place])
        self.stands[place] = piece

    async def _lose(self, place: Place) -> None:
        """Its message was deleted under us: the next one must not carry the nonce of the first."""
        await self._delivery.gone(self._final(place))
        self._lost[place] += 1
        self._ids.pop(place, None)
        self.stands.pop(place, None)

    def _final(self, place: Place) -> Final:
        return Final(self._turn, *place, Piece(""), generation=self._lost[place])
