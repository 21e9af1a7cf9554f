"""The turn engine: accept, claim, run, complete. One turn at a time and in order per chat, many chats at once.

What a platform hands in is committed before `accept` returns. A claimed chat is ours until its turn is completed in one fenced
commit; everything before that may happen again after a crash, nothing after it. This is also the one boundary for errors
that nobody expected.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from typing import TypeVar

from bot import phrases
from bot.answer import Answer
from bot.delivery import Delivery, Preview
from bot.errors import FencedOut, MagpieError, StorageError, Superseded, Unreadable
from bot.messages import (
    CHANGES,
    Answered,
    Asked,
    Button,
    Change,
    Edited,
    Event,
    Finish,
    Finished,
    Incoming,
    Lane,
    Left,
    Message,
    Moved,
    Pressed,
    Replaces,
    Text,
    Turn,
)
from bot.overtaker import Overtaker
from bot.ports import ButtonRow, Claim, Control, Final, Handler, Inbox, Outcome, Platform

T = TypeVar("T")
log = logging.getLogger(__name__)

LATE = 3600.0  # seconds: what was said longer ago is asked about before it is answered
MOST_ATTEMPTS = 10  # of a turn that ended in a crash each time: then it is a dead letter
PROMPT_ATTEMPTS = 2  # beyond these each waits longer, so that a turn which kills the process lets the others live
LONGEST_PAUSE = 60.0  # seconds
BUTTON_LIFE = 86_400.0  # seconds
RETRY = (0.5, 10.0)  # seconds between tries of a commit: the first wait and the longest


@dataclass(slots=True)
class _Running:
    """A turn being made, as those see it who may end it."""

    turn: Turn
    answer: Answer
    preview: Preview
    changes: list[Change] = field(default_factory=list)
    reader: asyncio.Task[None] | None = None
    stopped: bool = False
    abandoned: bool = False
    first: float = 0.0

    def stop(self) -> None:
        self.stopped = True
        if self.reader:
            self.reader.cancel()

    def abandon(self) -> None:
        """Shutting down: leave it as a crash would, to be taken up again at the next start."""
        self.abandoned = True
        self.stop()


class Engine:
    """`accept` may be called as soon as the engine exists; `run` works until `drain`. `moved` is told of each chat that has a
    new key, as "platform:id"."""

    def __init__(
        self,
        *,
        inbox: Inbox,
        control: Control,
        platforms: Mapping[str, Platform],
        handler: Handler,
        delivery: Delivery,
        moved: Callable[[str, str], None],
        at_once: int = 1000,
    ) -> None:
        self._inbox = inbox
        self._control = control
        self._platforms = platforms
        self._handler = handler
        self._delivery = delivery
        self._moved = moved
        self._free = at_once
        self._busy = 0
        self._running: dict[int, _Running] = {}
        self._arrived = asyncio.Event()
        self._overtaker = Overtaker(control, platforms, delivery, end=self._end, done=self._arrived.set)
        self._idle = asyncio.Event()
        self._draining = False

    # --- accept --------------------------------------------------------------------------------------------------------

    async def accept(self, events: Sequence[Event]) -> None:
        for turn in await self._inbox.accept(events):
            self._end(turn)
        if any(event.lane is Lane.CONTROL for event in events):
            self._overtaker.wake()
        self._arrived.set()

    def _end(self, turn: int) -> None:
        if turn in self._running:
            self._running[turn].stop()

    # --- run -----------------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """First show what was answered but not shown, then repeat what was interrupted, then whatever comes."""
        async with asyncio.TaskGroup() as tasks:
            for outbox in await self._delivery.resume():
                tasks.create_task(outbox)
            overtaking = tasks.create_task(self._overtaker.run(tasks), name="control lane")
            await self._claim_all(tasks)
            overtaking.cancel()

    async def drain(self, seconds: float) -> None:
        """Claim no more; wait for the turns under way; after `seconds` leave them to the next start."""
        self._draining = True
        self._arrived.set()
        try:
            async with asyncio.timeout(seconds):
                while self._busy:
                    self._idle.clear()
                    await self._idle.wait()
        except TimeoutError:
            for running in list(self._running.values()):
                running.abandon()

    async def _claim_all(self, tasks: asyncio.TaskGroup) -> None:
        self._arrived.set()
        while not self._draining:
            await self._arrived.wait()
            self._arrived.clear()
            if not self._free or self._draining:
                continue
            try:
                claims, later = await self._inbox.claim(self._free)
            except StorageError as error:
                log.error("Cannot claim work: %s", error)
                self._wake_at(time.time() + RETRY[0])
                continue
            for claim in claims:
                self._free -= 1
                self._busy += 1
                tasks.create_task(self._guarded_turn(claim), name=f"turn {claim.turn}")
            if later is not None:
                self._wake_at(later)

    def _wake_at(self, when: float) -> None:
        asyncio.get_running_loop().call_later(max(0.0, when - time.time()), self._arrived.set)

    # --- one turn ------------------------------------------------------------------------------------------------------

    async def _guarded_turn(self, claim: Claim) -> None:
        try:
            await self._turn(claim)
        except FencedOut as error:
            log.warning("%s", error)
        except Exception:  # the boundary: whatever it was, the other chats go on, and a restart finds the claim
            log.exception("Turn %d of %s broke down", claim.turn, claim.chat)
        finally:
            self._running.pop(claim.turn, None)
            self._free += 1
            self._busy -= 1
            self._arrived.set()
            if not self._busy:
                self._idle.set()

    async def _turn(self, claim: Claim) -> None:
        said = await self._read(claim)
        match said:
            case ():
                return
            case (Left(chat),):
                self._end((await self._control.leave(chat, "the bot was removed")).turn)
                await self._inbox.bury(claim, [row.id for row in claim.rows], "left")
            case (Moved(old, new),):
                await _insist(lambda: self._control.move(old, new, claim))
                self._moved(f"{old.platform}:{old.chat}", f"{new.platform}:{new.chat}")
            case _:
                await self._answer(claim, self._open(claim, said))

    async def _read(self, claim: Claim) -> tuple[Incoming, ...]:
        """What the claim's rows say; those that cannot be read become dead letters and block nobody."""
        platform = self._platforms[claim.chat.platform]
        said: list[Incoming] = []
        dead: dict[int, str] = {}
        for row in claim.rows:
            try:
                said.append(platform.read(row.payload))
            except Unreadable as error:
                dead[row.id] = f"unreadable: {error}"
            except Exception:  # a reader's bug must not block the chat either
                log.exception("Event %d of %s cannot be read", row.id, claim.chat)
                dead[row.id] = "the reader broke down"
        if dead:
            log.warning("%s: dead letters %s", claim.chat, dead)
            await _insist(lambda: self._inbox.bury(claim, list(dead), "; ".join(sorted(set(dead.values())))))
        return tuple(said)

    def _open(self, claim: Claim, said: tuple[Incoming, ...]) -> Turn:
        """The turn that the claim is about. An edit among others replaced a message that was still waiting."""
        last = said[-1]
        if isinstance(last, Pressed) or (isinstance(last, Edited) and len(said) == 1):
            asked: tuple[Message, ...] | Edited | Pressed = last
            voice: Message | Pressed = last.message if isinstance(last, Edited) else last
        else:
            texts = [item.message if isinstance(item, Edited) else item for item in said]
            asked = tuple(item for item in texts if isinstance(item, Message))
            voice = asked[-1]
        oldest = min(row.at for row in claim.rows)
        return Turn(
            id=claim.turn,
            chat=claim.chat,
            seq=claim.seq,
            fence=claim.fence,
            epoch=claim.epoch,
            said=asked,
            author=voice.author,
            address=replace(voice.address, chat=claim.chat),
            language=voice.language,
            stop=claim.stop,
            model=claim.model,
            system=claim.system,
            head=claim.head,
            attempt=claim.attempt,
            late=isinstance(asked, tuple) and claim.attempt == 1 and time.time() - oldest > LATE,
            shown=claim.shown,
        )

    async def _answer(self, claim: Claim, turn: Turn) -> None:
        answer = Answer(phrases.THINKING.to(turn.language))
        stop = Button(phrases.STOP.to(turn.language), turn.stop)
        running = _Running(turn, answer, self._delivery.preview(turn, answer, stop))
        self._running[turn.id] = running
        began = time.monotonic()
        dead = ""
        if claim.attempt > 1:
            await self._pause(claim)
        if claim.attempt > MOST_ATTEMPTS:
            dead = f"broke down {MOST_ATTEMPTS} times"
            _fail(answer, phrases.POISON.to(turn.language))
        else:
            async with asyncio.TaskGroup() as tasks:
                running.reader = tasks.create_task(self._consume(claim, running, began))
                tasks.create_task(running.preview.run())
        if running.abandoned:
            return
        if running.preview.forbidden:
            running.stopped = True
        outcome = self._outcome(running, time.monotonic() - began, dead)
        finals = await self._complete(claim, running, outcome)
        self._running.pop(turn.id, None)
        self._arrived.set()
        await self._delivery.finish(turn.address, finals, running.preview.stands)

    async def _pause(self, claim: Claim) -> None:
        pause = min(2.0 ** (claim.attempt - PROMPT_ATTEMPTS), LONGEST_PAUSE)
        if claim.attempt > PROMPT_ATTEMPTS:
            await asyncio.sleep(pause)
        await _insist(lambda: self._inbox.retry(claim))

    async def _consume(self, claim: Claim, running: _Running, began: float) -> None:
        """Read the handler to its end. Its errors become the sentence that the person sees."""
        turn, answer = running.turn, running.answer
        try:
            async with aclosing(self._handler.answer(turn)) as items:
                async for item in items:
                    if isinstance(item, Replaces):
                        shown = await self._inbox.replace(claim, item.turn)
                        running.preview.adopt({(one.slot, one.piece): one.id for one in shown})
                    elif isinstance(item, CHANGES):
                        running.changes.append(item)
                    else:
                        if not running.first:
                            running.first = time.monotonic() - began
                        answer.add(item)
                        running.preview.changed()
        except FencedOut:
            raise
        except MagpieError as error:
            log.warning("Turn %d of %s: %s", turn.id, turn.chat, error)
            _fail(answer, error.phrase.to(turn.language))
        except Exception:  # the boundary: the person gets a sentence, the owner the traceback
            log.exception("Turn %d of %s failed", turn.id, turn.chat)
            _fail(answer, phrases.OUR_FAULT.to(turn.language))
        finally:
            running.preview.finish()

    # --- complete ------------------------------------------------------------------------------------------------------

    def _outcome(self, running: _Running, seconds: float, dead: str = "") -> Outcome:
        turn, answer = running.turn, running.answer
        finished, changes, text = answer.finished, list(running.changes), answer.text
        if finished is None:
            finished = Finished(reason=Finish.STOPPED if running.stopped else Finish.FAILED)
        if running.stopped and finished.reason is not Finish.STOPPED:
            finished = replace(finished, reason=Finish.STOPPED)
        if finished.reason is Finish.STOPPED:
            _mark_stopped(answer, turn)
            if text.strip() and _unanswered(changes):
                changes.append(Answered(text=text))
        buttons: dict[int, tuple[tuple[Button, ...], ...]] = {}
        rows: list[ButtonRow] = []
        expires = time.time() + BUTTON_LIFE
        for slot, part in answer.buttons.items():
            made = [[(choice, secrets.token_urlsafe(9)) for choice in line] for line in part.rows]
            buttons[slot] = tuple(tuple(Button(choice.label, id) for choice, id in line) for line in made)
            rows.extend(
                ButtonRow(id, turn.chat, "" if choice.anyone else turn.author.id, choice.action, expires)
                for line in made
                for choice, id in line
            )
        layout = self._platforms[turn.chat.platform].layout
        return Outcome(
            address=turn.address,
            finished=finished,
            pieces=tuple(Final(turn.id, *place, piece) for place, piece in answer.final(layout, buttons).items()),
            changes=tuple(changes),
            buttons=tuple(rows),
            text=text,
            seconds=seconds,
            first=running.first,
            dead=dead,
        )

    async def _complete(self, claim: Claim, running: _Running, outcome: Outcome) -> Sequence[Final]:
        try:
            return await _insist(lambda: self._inbox.complete(claim, outcome))
        except Superseded:
            running.stopped = True
            stopped = self._outcome(running, outcome.seconds)
            return await _insist(lambda: self._inbox.complete(claim, stopped))


def _unanswered(changes: Sequence[Change]) -> bool:
    return any(isinstance(change, Asked) for change in changes) and not any(
        isinstance(change, Answered) for change in changes
    )


def _fail(answer: Answer, sentence: str) -> None:
    before = "\n\n" if answer.text.strip() else ""
    answer.add(Text(before + sentence))
    answer.add(answer.finished or Finished(reason=Finish.FAILED))


def _mark_stopped(answer: Answer, turn: Turn) -> None:
    mark = phrases.STOPPED.to(turn.language)
    before = "\n\n" if answer.text.strip() else ""
    answer.add(Text(f"{before}*({mark})*"))


async def _insist(commit: Callable[[], Awaitable[T]]) -> T:
    """Try a commit until the store takes it."""
    wait = RETRY[0]
    while True:
        try:
            return await commit()
        except StorageError as error:
            log.error("The store does not commit: %s", error)
            await asyncio.sleep(wait)
            wait = min(wait * 2, RETRY[1])
