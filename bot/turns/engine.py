"""The turn engine: accept, claim, run, complete. One turn at a time and in order per chat, many chats at once.

What a platform hands in is committed before `accept` returns. A claimed chat is ours until its turn is completed in one fenced
commit; everything before that may happen again after a crash, nothing after it. This is also the one boundary for errors
that nobody expected.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing
from functools import partial

from bot import logs, metrics, phrases
from bot.errors import FencedOut, MagpieError, StorageError, Superseded
from bot.insist import RETRY, insist
from bot.lanes import Lane
from bot.messages import (
    CHANGES,
    Address,
    Button,
    Cancelled,
    Edited,
    Ended,
    Event,
    Left,
    Moved,
    Ordered,
    Replaces,
    Turn,
)
from bot.ports import Beat, Claim, Control, Handler, Inbox, Platform
from bot.turns.answer import Answer
from bot.turns.claims import Claims
from bot.turns.delivery import Delivery
from bot.turns.fleet import Alone, Fleet, LeaseLost
from bot.turns.overtaker import Overtaker
from bot.turns.preview import Preview
from bot.turns.reading import read, turn_of, with_companions
from bot.turns.underway import Underway

log = logging.getLogger(__name__)

MOST_ATTEMPTS = 10  # of a turn that ended in a crash each time: then it is a dead letter
PROMPT_ATTEMPTS = 2  # beyond these each waits longer, so that a turn which kills the process lets the others live
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 20.0  # seconds
STORE_WAITS = (0.5, 2.0, 5.0)  # seconds until a handler that could not read from the store is asked again
LOOK_AGAIN = 1.0  # seconds until the store is asked once more after it had nothing to do
LAST_CALLS = 1.0  # seconds for platform calls under way at the end: the id of a message just sent must not be lost

Showing = Callable[[], Awaitable[None]]


class Engine:
    """`accept` may be called as soon as the engine exists; `run` works until `drain`. `moved` is told of each chat that has a
    new key, as "platform:id", `ordered` when work in the background was ordered or cancelled; `fleet` says when our lease is
    lost, and with it all that is under way."""

    def __init__(
        self,
        *,
        inbox: Inbox,
        control: Control,
        platforms: Mapping[str, Platform],
        handler: Handler,
        delivery: Delivery,
        moved: Callable[[str, str], None],
        ordered: Callable[[], None] = lambda: None,
        fleet: Alone | Fleet | None = None,
        at_once: int = 1000,
    ) -> None:
        self._fleet = fleet or Alone()
        self._inbox = inbox
        self._control = control
        self._platforms = platforms
        self._handler = handler
        self._delivery = delivery
        self._moved = moved
        self._ordered = ordered
        self._claims = Claims(at_once)
        self._running: dict[int, Underway] = {}
        self._to_end: set[int] = set()
        self._outboxes = asyncio.Event()
        self._overtaker = Overtaker(
            control,
            platforms,
            show=lambda address: self._show(lambda: delivery.show(address)),
            end=self._end,
            done=self._overtook,
        )
        self._draining = False

    # --- accept --------------------------------------------------------------------------------------------------------

    async def accept(self, events: Sequence[Event]) -> None:
        for turn in await self._inbox.accept(events):
            self._end(turn)
        for event in events:
            if event.lane is Lane.CONTROL:
                self._overtaker.wake()
            else:
                self._claims.waits(event.chat)

    def _end(self, turn: int) -> None:
        """A turn that is not running yet (just claimed, or still to be opened again after a crash) must not begin."""
        if turn in self._running:
            self._running[turn].stop()
        else:
            self._to_end.add(turn)

    def _overtook(self) -> None:
        """Chats that waited for the control lane are free again; it may have cancelled background work."""
        self._claims.arrived.set()
        self._ordered()

    # --- run -----------------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """First show what was answered but not shown, then repeat what was interrupted, then whatever comes. When our lease is
        lost, all that is under way ends as in a crash, and we begin again."""
        while not self._draining:
            try:
                async with self._fleet.life():
                    await self._live()
            except* LeaseLost:
                log.warning("The lease is lost: turns under way are left to other workers")

    async def _live(self) -> None:
        # Tasks of an earlier life may have been cancelled before their first step.
        self._claims.forget()
        async with asyncio.TaskGroup() as tasks:
            for outbox in await insist(self._delivery.resume):
                tasks.create_task(self._show(outbox))
            beside = [
                tasks.create_task(self._fleet.lapse(), name="lease"),
                tasks.create_task(self._overtaker.run(tasks), name="control lane"),
                tasks.create_task(self._keep_showing(tasks), name="outboxes"),
            ]
            await self._claim_all(tasks)
            for task in beside:
                task.cancel()

    async def _keep_showing(self, tasks: asyncio.TaskGroup) -> None:
        """What other workers leave to us."""
        while True:
            await self._outboxes.wait()
            self._outboxes.clear()
            try:
                for outbox in await self._delivery.resume():
                    tasks.create_task(self._show(outbox))
                    self._claims.arrived.set()  # their chats may be claimed by us alone
            except StorageError as error:
                log.error("Cannot look for outboxes: %s", error)

    def look(self) -> None:
        """There may be work."""
        self._overtaker.wake()
        self._claims.arrived.set()

    def look_for_outboxes(self) -> None:
        """There may be something to show."""
        self._outboxes.set()

    def heard(self, beat: Beat) -> None:
        """What a heartbeat learned; and none passes without a look around, since a wake-up may be lost."""
        self._to_end &= self._claims.turns  # others belong to other workers
        for turn in beat.to_end:
            self._end(turn)
        self.look()
        self.look_for_outboxes()

    async def drain(self, seconds: float) -> None:
        """Claim no more; wait for the turns under way; after `seconds` leave them to the next start."""
        self._draining = True
        self._claims.arrived.set()
        if not await self._claims.quiet(seconds):
            for running in list(self._running.values()):
                running.abandon()
            await self._claims.quiet(LAST_CALLS)

    async def _claim_all(self, tasks: asyncio.TaskGroup) -> None:
        self._claims.arrived.set()
        unsure = False
        while not self._draining:
            await self._claims.arrived.wait()
            self._claims.arrived.clear()
            if not self._claims.free or self._draining:
                continue
            try:
                if unsure:
                    await self._inbox.release(frozenset(self._claims.turns))
                    unsure = False
                claims, later = await self._inbox.claim(self._claims.free)
            except StorageError as error:
                log.error("Cannot claim work: %s", error)
                unsure = True  # it may have been committed
                self._wake_in(RETRY[0])
                continue
            for claim in claims:
                self._claims.add(claim)
                tasks.create_task(self._guarded_turn(claim), name=f"turn {claim.turn}")
            if later is not None:
                self._wake_in(later)
            elif not claims and self._claims.busy:
                self._wake_in(LOOK_AGAIN)  # for a chat whose key changed under its waiting rows

    def _wake_in(self, seconds: float) -> None:
        asyncio.get_running_loop().call_later(seconds, self._claims.arrived.set)

    # --- one turn ------------------------------------------------------------------------------------------------------

    async def _guarded_turn(self, claim: Claim) -> None:
        """The turn's slot is free once it is completed, before it is shown."""
        logs.about(platform=claim.chat.platform, chat=str(claim.chat), turn=claim.turn)
        try:
            try:
                with metrics.RUNNING.track_inprogress():
                    showing = await self._turn(claim)
            except FencedOut as error:
                log.warning("%s", error)
                showing = None
            except Exception:  # the boundary: whatever it was, the chat and all others go on
                log.exception("Turn %d of %s broke down", claim.turn, claim.chat)
                showing = await self._give_up(claim)
            finally:
                running = self._running.pop(claim.turn, None)
                self._to_end.discard(claim.turn)
                self._claims.completed(claim)
            if showing:
                await self._show(showing)
        finally:
            self._claims.done()
        for closed in running.closes if running and showing else ():
            await self._show(partial(self._delivery.close, Address(claim.chat), closed))
        if claim.attempt > 1 and isinstance(self._fleet, Fleet):
            await self._show(partial(self._delivery.show_again, Address(claim.chat), claim.turn))

    async def _show(self, showing: Showing) -> None:
        """What is to be shown waits in the store: a breakdown loses nothing, and must not end anything else."""
        try:
            await showing()
        except FencedOut as error:
            log.warning("%s", error)
        except Exception:  # the boundary
            log.exception("An answer cannot be shown before the next start")

    async def _give_up(self, claim: Claim) -> Showing | None:
        """A bug of ours: a sentence where the turn had begun, dead letters in any case."""
        why = "broke down"
        running = self._running.get(claim.turn)
        try:
            if running is None:
                return await insist(lambda: self._inbox.bury(claim, [row.id for row in claim.rows], why))
            running.answer, running.changes = Answer(""), []
            running.fail(phrases.OUR_FAULT.to(running.turn.language))
            return await self._complete(claim, running, 0.0, why)
        except Exception:  # the boundary: a restart finds the claim
            log.exception("Turn %d of %s cannot even be given up", claim.turn, claim.chat)
            return None

    async def _turn(self, claim: Claim) -> Showing | None:
        """Make the turn; what then remains is to show it."""
        if claim.chat.platform not in self._platforms:
            log.warning("Turn %d of %s waits until its platform is set up again", claim.turn, claim.chat)
            return None
        said = await read(self._inbox, self._platforms, claim)
        match said:
            case ():
                return None
            case (Left(chat),):
                await insist(lambda: self._control.leave(chat, "the bot was removed"))
                await insist(lambda: self._inbox.bury(claim, [row.id for row in claim.rows], "left"))
                return None
            case (Moved(old, new),):
                await insist(lambda: self._control.move(old, new, claim))
                self._claims.waits(claim.chat)
                self._moved(f"{old.platform}:{old.chat}", f"{new.platform}:{new.chat}")
                self._delivery.follow(old, new)
                return partial(self._delivery.show, Address(new))
            case (Edited() as edit,):
                edit = await with_companions(self._inbox, self._platforms, claim, edit)
                return await self._answer(claim, turn_of(claim, (edit,)))
            case _:
                return await self._answer(claim, turn_of(claim, said))

    async def _answer(self, claim: Claim, turn: Turn) -> Showing | None:
        answer = Answer(phrases.THINKING.to(turn.language))
        stop = Button(phrases.STOP.to(turn.language), turn.stop_key)
        platform = self._platforms[turn.chat.platform]
        running = Underway(turn=turn, answer=answer, preview=Preview(self._delivery, platform, turn, answer, stop))
        self._running[turn.id] = running
        began = time.monotonic()
        dead = ""
        if claim.attempt > MOST_ATTEMPTS:
            dead = f"broke down {MOST_ATTEMPTS} times"
            running.fail(phrases.POISON.to(turn.language))
        elif (turn.id in self._to_end or claim.stopped) and not isinstance(turn.said, Ended):
            running.stopped = True
        else:
            async with asyncio.TaskGroup() as tasks:
                running.reader = tasks.create_task(self._consume(claim, running, began))
                # Not in the reader itself: cancelled before its first step it would never say so.
                running.reader.add_done_callback(lambda _: running.preview.finish())
                tasks.create_task(self._preview(running))
        if running.abandoned:
            return None
        if answer.finished is None and not running.stopped:
            log.error("Turn %d of %s ended without an end", turn.id, turn.chat)
            running.fail(phrases.OUR_FAULT.to(turn.language))
        return await self._complete(claim, running, time.monotonic() - began, dead)

    async def _preview(self, running: Underway) -> None:
        try:
            await running.preview.run()
        except FencedOut as error:
            log.warning("%s", error)
            running.abandoned = True
            running.stop()
        except Exception:  # the boundary: an answer without previews is an answer
            log.exception("The previews of turn %d broke down", running.turn.id)
        if running.preview.forbidden:
            running.stop()

    async def _consume(self, claim: Claim, running: Underway, began: float) -> None:
        """Read the handler to its end. Its errors become the sentence that the person sees."""
        turn = running.turn
        try:
            if claim.attempt > 1:
                await self._pause(claim)
            for wait in STORE_WAITS:
                try:
                    return await self._collect(claim, running, began)
                except StorageError as error:
                    if running.first:  # a model may have been paid for it
                        raise
                    log.error("Turn %d of %s is tried again in %g s: %s", turn.id, turn.chat, wait, error)
                    running.changes.clear()
                    await asyncio.sleep(wait)
            await self._collect(claim, running, began)
        except FencedOut as error:
            log.warning("%s", error)
            running.abandoned = True
        except Superseded:
            running.stopped = True
        except MagpieError as error:
            log.warning("Turn %d of %s: %s", turn.id, turn.chat, error)
            running.fail(error.phrase.to(turn.language))
        except Exception:  # the boundary: the person gets a sentence, the owner the traceback
            log.exception("Turn %d of %s failed", turn.id, turn.chat)
            running.fail(phrases.OUR_FAULT.to(turn.language))

    async def _pause(self, claim: Claim) -> None:
        if claim.attempt > PROMPT_ATTEMPTS:
            await asyncio.sleep(min(FIRST_PAUSE * 2 ** (claim.attempt - PROMPT_ATTEMPTS - 1), LONGEST_PAUSE))
        await insist(lambda: self._inbox.count_attempt(claim))

    async def _collect(self, claim: Claim, running: Underway, began: float) -> None:
        async with aclosing(self._handler.answer(running.turn)) as items:
            async for item in items:
                if isinstance(item, Replaces):
                    # A send of the earlier answer may be under way, or have been cut off by a crash: first it is known where
                    # it stands.
                    await self._delivery.show(running.preview.address)
                    shown = await insist(partial(self._inbox.replace, claim, item.turn))
                    running.preview.adopt({(one.slot, one.number): one.id for one in shown})
                    running.changes.append(item)
                elif isinstance(item, CHANGES):
                    running.changes.append(item)
                else:
                    if not running.first:
                        running.first = time.monotonic() - began
                    running.answer.add(item)
                    running.preview.changed()

    # --- complete ------------------------------------------------------------------------------------------------------

    async def _complete(self, claim: Claim, running: Underway, seconds: float, dead: str = "") -> Showing:
        layout = self._platforms[claim.chat.platform].layout
        outcome = running.outcome(layout, running.preview.address, seconds, dead)
        try:
            finals = await insist(lambda: self._inbox.complete(claim, outcome))
        except Superseded:
            running.stopped = True
            outcome = running.outcome(layout, running.preview.address, seconds)
            finals = await insist(lambda: self._inbox.complete(claim, outcome))
        metrics.turn_ended(outcome)
        if any(isinstance(change, Ordered | Cancelled) for change in outcome.changes):
            self._ordered()
        return partial(self._delivery.finish, running.preview.address, finals, running.preview.stands)
