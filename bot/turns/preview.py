"""Shows one answer while it is made: always its newest state, any of which may be dropped."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace

from bot.errors import ChatMoved, Forbidden, Gone, PlatformError, RetryLater
from bot.messages import Button, Piece, Turn
from bot.ports import Final, Platform
from bot.turns.answer import Answer, Place, teaser
from bot.turns.delivery import Delivery
from bot.turns.throttle import Throttle

log = logging.getLogger(__name__)

SILENCE = 1.5  # seconds without anything to show before the platform's "typing" is lit
WORKING = 5.0  # seconds that it stays lit
DROPPED = 2.0  # seconds without previews after one that failed


class Preview:
    """The previews of one turn: always the newest state, as fast as the throttle allows, until `finish`.

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
        self._ids: dict[Place, str] = {(shown.slot, shown.number): shown.id for shown in turn.shown}
        self._lost: Counter[Place] = Counter()
        self._latest = -1  # the slot that was brought up to date last: each has its turn
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
            with self._delivery.throttle(self.address) as throttle:
                await self._wait_for_something(throttle)
                while not self._finished:
                    await self._changed.wait()
                    self._changed.clear()
                    while not self._finished and await self._step(throttle):
                        pass
        except Forbidden:
            self.forbidden = True
        except asyncio.CancelledError:
            if not self._finished:
                raise

    async def _wait_for_something(self, throttle: Throttle) -> None:
        timeout = SILENCE
        while not self._changed.is_set():
            try:
                async with asyncio.timeout(timeout):
                    await self._changed.wait()
            except TimeoutError:
                timeout = WORKING
                if throttle.closed_until < time.monotonic():
                    await self._light(throttle)

    async def _light(self, throttle: Throttle) -> None:
        try:
            await self._platform.working(self.address)
        except Forbidden:
            raise
        except RetryLater as error:
            throttle.flood(error.seconds)
        except PlatformError as error:
            log.debug("%s: %s", self.address.chat, error)

    async def _step(self, throttle: Throttle) -> bool:
        """Bring one piece nearer to the newest state; False when nothing is to be done."""
        await asyncio.sleep(throttle.wait())
        async with throttle.lock:
            place, piece = self._next()
            if piece is None:
                return False
            if throttle.wait() > 0:  # whoever had the throttle meanwhile used it up, or was told to wait
                return True
            if not self._delivery.may_act():  # our lease may be over: the turn then belongs to another worker
                return False
            self._calling, self._latest = True, place[0]
            try:
                throttle.spend()
                await self._call(place, piece)
            except RetryLater as error:
                throttle.flood(error.seconds)
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
                throttle.resting_until = time.monotonic() + DROPPED
                return False
            finally:
                self._calling = False
        return True

    def _next(self) -> tuple[Place, Piece | None]:
        pieces = self._answer.preview(self._platform.layout, self._stop)
        changed = [place for place, piece in pieces.items() if self.stands.get(place) != piece]
        if not changed:
            return (0, 0), None
        place = min(changed, key=lambda place: (place[0] <= self._latest, place))
        return place, pieces[place]

    async def _call(self, place: Place, piece: Piece) -> None:
        address = self.address if place == (0, 0) else replace(self.address, reply_to="")
        if drafting := self._delivery.drafting(address):
            await drafting.draft(address, self._turn, replace(piece, buttons=()))
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
        await self._delivery.gone(self.address.chat, self._final(place))
        self._lost[place] += 1
        self._ids.pop(place, None)
        self.stands.pop(place, None)

    def _final(self, place: Place) -> Final:
        return Final(self._turn, *place, Piece(""), generation=self._lost[place])
