"""Shows finished answers: the outbox. What is shown of an answer while it is made is in `preview`.

A chat's messages leave in order: previews and finished pieces alike pass its throttle, where a finished answer that waits (for
a RetryAfter, for the network) holds up whatever comes later in this chat, and nobody else. Previews may be dropped; the
final pieces are sent until they stand or can never stand.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial

from bot import logs
from bot.errors import (
    ChatMoved,
    FencedOut,
    Forbidden,
    Gone,
    PlatformError,
    Rejected,
    RetryLater,
    StorageError,
)
from bot.insist import insist
from bot.messages import Address, ChatKey, Piece
from bot.ports import Drafting, Final, Outbox, Platform
from bot.turns.answer import Place, teaser
from bot.turns.throttle import Throttle

log = logging.getLogger(__name__)

PATIENCE = 12.0  # seconds: the longest wait between two tries of a piece
MOST_THROTTLES = 10_000

# Seconds: two leases, after which nothing of another worker can still be on its way but by a stalled network.
SECOND_LOOK = 6.0
LOOK = 0.1  # seconds between looks at a lease that may come back

Moving = Callable[[ChatKey, ChatKey], Awaitable[None]]


class Delivery:
    """`moving` is told when a platform says that a chat has a new key; `may_act` says whether our lease holds."""

    def __init__(
        self,
        outbox: Outbox,
        platforms: Mapping[str, Platform],
        moving: Moving,
        may_act: Callable[[], bool] = lambda: True,
    ) -> None:
        self.may_act = may_act
        self._outbox = outbox
        self._platforms = platforms
        self._drafting = {name: one for name, one in platforms.items() if isinstance(one, Drafting)}
        self._moving = moving
        self._throttles: dict[ChatKey, Throttle] = {}

    async def show(self, address: Address) -> None:
        """Show what the chat's outbox holds, in order, until nothing is left."""
        with self.throttle(address) as throttle:
            async with throttle.lock:
                await self._drain(address.chat, throttle)

    async def finish(self, address: Address, finals: Sequence[Final], stands: Mapping[Place, Piece]) -> None:
        """Show the pieces of a turn that was just completed; `stands` is what its previews left at the platform."""
        with self.throttle(address) as throttle:
            # Whoever has the throttle, or waits for it, may find these pieces in the store and show them: then only the store
            # knows.
            alone = throttle.users == 1
            async with throttle.lock:
                if alone:
                    await self._drain(address.chat, throttle, [(address, final) for final in finals], stands)
                else:
                    await self._drain(address.chat, throttle)

    async def close(self, address: Address, turn: int, wait: float = SECOND_LOOK) -> None:
        """Show the last message of an earlier turn, which bears the buttons, as it now stands in the store: without them. Where
        that cannot be within `wait` seconds it never is: a press says what is. Raises StorageError."""
        with self.throttle(address) as throttle:
            await asyncio.sleep(min(throttle.wait(), wait))  # not behind the lock: nothing waits for this
            async with throttle.lock:
                if throttle.wait() > 0 or not self.may_act():
                    return
                standing = [
                    final for final in await self._outbox.standing(turn) if not (final.slot or final.piece.media)
                ]
                for final in standing[-1:]:
                    await self._touch(address, throttle, final, final.piece)

    async def retouch(self, address: Address, turn: int, piece: Piece) -> None:
        """Show something else in the first message of a finished answer, if it can be shown right now: it is no part of it, and
        the next one may be. Its buttons stay; without any it is over, and stays as it is. Raises StorageError."""
        with self.throttle(address) as throttle:
            async with throttle.lock:
                if throttle.wait() > 0 or not self.may_act():
                    return
                for final in (await self._outbox.standing(turn))[:1]:
                    if final.piece.buttons:
                        await self._touch(address, throttle, final, replace(piece, buttons=final.piece.buttons))

    async def show_again(self, address: Address, turn: int, wait: float = SECOND_LOOK) -> None:
        """Once more what stands of an answer that was taken over from another worker: a preview that it was about to send when
        its lease ended may have come after ours. Raises StorageError."""
        await asyncio.sleep(wait)
        with self.throttle(address) as throttle:
            for final in await self._outbox.standing(turn):
                await asyncio.sleep(throttle.wait())  # not behind the lock: no answer waits for this
                async with throttle.lock:
                    await asyncio.sleep(max(0.0, throttle.closed_until - time.monotonic()))
                    stands = final in await self._outbox.standing(turn)  # meanwhile a later turn may have taken it over
                    if stands and self.may_act() and not final.piece.media:
                        await self._touch(address, throttle, final, final.piece)

    async def _touch(self, address: Address, throttle: Throttle, final: Final, piece: Piece) -> None:
        """Best effort: what counts stands already."""
        throttle.spend()
        try:
            await self._platforms[address.chat.platform].edit(address, final.id, piece)
        except RetryLater as error:
            throttle.flood(error.seconds)
        except PlatformError as error:
            log.info("%s: a message of turn %d could not be changed: %s", address.chat, final.turn, error)

    async def resume(self) -> Sequence[Callable[[], Awaitable[None]]]:
        """The outboxes that are ours to show and that nobody shows: after a start, or left by another worker. Raises
        StorageError."""
        return [
            partial(self._resumed, chat)
            for chat in await self._outbox.take()
            if chat.platform in self._platforms and not self._calling(chat)
        ]

    def _calling(self, chat: ChatKey) -> bool:
        """Whether something is being sent there just now: then its outbox is looked at again."""
        throttle = self._throttles.get(chat)
        return throttle is not None and throttle.lock.locked()

    async def _resumed(self, chat: ChatKey) -> None:
        logs.about(platform=chat.platform, chat=str(chat))
        await self.show(Address(chat))

    @contextmanager
    def throttle(self, address: Address) -> Iterator[Throttle]:
        throttle = self._taken(address)
        try:
            yield throttle
        finally:
            throttle.users -= 1

    def _taken(self, address: Address) -> Throttle:
        throttle = self._throttles.get(address.chat)
        if throttle is None:
            if len(self._throttles) >= MOST_THROTTLES:
                now = time.monotonic()
                self._throttles = {
                    chat: one for chat, one in self._throttles.items() if one.users or one.closed_until > now
                }
            throttle = self._throttles[address.chat] = Throttle(*self._platforms[address.chat.platform].traits.private)
        if address.group:  # not known to whoever shows an outbox after a start
            throttle.refill, throttle.burst = self._platforms[address.chat.platform].traits.group
        throttle.users += 1
        return throttle

    def drafting(self, address: Address) -> Drafting | None:
        """Its platform, where previews are no messages."""
        platform = self._drafting.get(address.chat.platform)
        return platform if platform and platform.drafts(address) else None

    async def sent(self, chat: ChatKey, turn: int, place: Place, message: str) -> None:
        """Nothing else may be done with a message before its id is stored: a crash would leave it behind."""
        await insist(partial(self._outbox.sent, chat, turn, *place, message))

    async def gone(self, chat: ChatKey, final: Final) -> None:
        await insist(partial(self._outbox.gone, chat, final))

    async def moved(self, old: ChatKey, new: ChatKey) -> None:
        """The platform says that this chat has a new key."""
        await insist(partial(self._moving, old, new))
        self.follow(old, new)

    def follow(self, old: ChatKey, new: ChatKey) -> None:
        """What still waits under the old key goes before what comes under the new one."""
        if old in self._throttles:
            self._throttles.setdefault(new, self._throttles[old])

    async def _drain(
        self,
        chat: ChatKey,
        throttle: Throttle,
        waiting: Sequence[tuple[Address, Final]] | None = None,
        stands: Mapping[Place, Piece] | None = None,
    ) -> None:
        """The pieces in order; whatever fails is tried again, from where it failed, until the outbox is empty."""
        wait = 0.5
        while True:
            try:
                if waiting is None:
                    waiting = await self._outbox.waiting(chat)
                return await self._settle_all(chat, waiting, throttle, stands or {})
            except ChatMoved as error:
                await self.moved(chat, error.new)
                chat = error.new
            except RetryLater as error:
                throttle.flood(error.seconds)
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
        await self._outbox.drop(chat, [final for _, final in dropped], why)

    async def _settle_all(
        self,
        chat: ChatKey,
        waiting: Sequence[tuple[Address, Final]],
        throttle: Throttle,
        stands: Mapping[Place, Piece],
    ) -> None:
        """One commit for all that now stand, also when a later one fails; but one each for those that a repeat would show
        twice."""
        shown: list[Final] = []
        repeatable = self._platforms[chat.platform].traits.idempotent
        failure: PlatformError | None = None
        try:
            for address, final in waiting:
                await asyncio.sleep(max(0.0, throttle.closed_until - time.monotonic()))
                while not self.may_act():  # noqa: ASYNC110  # a clock says it
                    await asyncio.sleep(LOOK)
                throttle.spend()
                try:
                    shown.append(await self._settle(address, final, stands.get((final.slot, final.number))))
                    if _is_whole(final) and not repeatable and final is not waiting[-1][1]:
                        await insist(partial(self._outbox.shown, chat, tuple(shown)))
                        shown.clear()
                except Rejected as error:
                    log.error("%s: a piece of turn %d can never be shown: %s", address.chat, final.turn, error)
                    await insist(partial(self._outbox.drop, chat, [final], f"rejected: {error}"))
        except PlatformError as error:
            failure = error  # kept apart: it says when to call again, whatever the store says below
        except asyncio.CancelledError:
            if shown:
                # What another worker shows it may show once more, by an edit of the same message. Whatever the store says, this
                # ends here.
                with suppress(FencedOut, StorageError):
                    await self._outbox.shown(chat, shown)
            raise
        if shown:
            await insist(partial(self._outbox.shown, chat, shown))
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
                await self.gone(address.chat, final)
                raise
            return final
        if platform.traits.idempotent or _is_whole(final) or self.drafting(address):
            return replace(final, id=await platform.send(address, final.piece, final.nonce))
        message = await platform.send(address, teaser(replace(final.piece, buttons=())), final.nonce)
        await self.sent(address.chat, final.turn, (final.slot, final.number), message)
        await platform.edit(address, message, final.piece)
        return replace(final, id=message)


def _is_whole(final: Final) -> bool:
    """Sent as it is. A voice note cannot begin as a preview: a crash in that instant shows it twice."""
    return final.whole or (final.piece.media is not None and final.piece.media.voice)
