"""The functions that a model asks for, run within bounds: how many, how long, for how much; and what a person must consent to.

Each call is a row before it runs and has its result after it: a turn that is repeated after a crash does nothing twice that
changes anything.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from bot import phrases_answering
from bot.messages import Notice, Turn
from bot.ports import Call, Calls, Line, Source, Toolbox, ToolCall, ToolCard, ToolContext, ToolResult

log = logging.getLogger(__name__)

MOST_CALLS = 8  # of one answer
SECONDS = 60.0  # that all of them may take
MONEY = 1_000_000  # millionths of a CNY that the rounds of one answer may cost before the last
MOST_BROKEN = 2  # times that arguments which are no JSON go back to the model
LATE = "This was not run: {why}. Answer with what you have, and say what is missing."


@dataclass(frozen=True, slots=True)
class Waiting:
    """A call that a person must consent to: nothing of it has happened."""

    number: int
    card: ToolCard
    arguments: str


class Consented(Protocol):
    """What a person said: asking.Consent."""

    @property
    def fingerprint(self) -> str: ...

    @property
    def given(self) -> bool: ...


@dataclass(slots=True)
class Toolwork:
    """The calls of one answer. `waiting`: a person is to be asked, and the turn ends. `granted`: the number of the call that
    the person who pressed has consented to."""

    rows: Calls
    toolbox: Toolbox
    waiting: Waiting | None = None
    granted: int | None = None
    _lines: list[Line] = field(default_factory=list)
    _taken: int = 0
    _found: list[Source] = field(default_factory=list)
    _count: int = 0
    _broken: int = 0
    _seconds: float = 0.0
    _over: bool = False

    def cards(self) -> Sequence[ToolCard]:
        """What may be asked for now: nothing any more once a bound is reached."""
        return () if self._over else self.toolbox.cards()

    def lines(self) -> tuple[Line, ...]:
        """All calls so far and their results, as the model is told."""
        return tuple(self._lines)

    def taken(self) -> tuple[Line, ...]:
        """Those since the last time."""
        new = tuple(self._lines[self._taken :])
        self._taken = len(self._lines)
        return new

    def found(self) -> tuple[Source, ...]:
        """The pages behind the results since the last time."""
        new = tuple(self._found)
        self._found.clear()
        return new

    async def resume(self, turn: Turn, earlier: Sequence[Call], consent: Consented) -> AsyncGenerator[Notice, None]:
        """What an earlier turn did before it asked a person becomes this one's; then its last call runs, or is declined. A tool
        that is not any more what it was then is asked about again."""
        *done, asked = earlier
        for call in done:
            await self.rows.begin_call(turn.id, self._count, call.name, call.arguments)
            await self.rows.end_call(turn.id, self._count, call.result, failed=call.state == "failed")
            self._note(turn, "", [ToolCall("", call.name, call.arguments)], [call.result])
        if consent.given:
            card = next((card for card in self.toolbox.cards() if card.name == asked.name), None)
            if card is not None and card.fingerprint == consent.fingerprint:
                self.granted = self._count
            async for notice in self.run(turn, [ToolCall("", asked.name, asked.arguments)], "", spent=0):
                yield notice
        else:
            why = "The person declined this call. Go on without it, and do not ask for it again."
            self._note(turn, "", [ToolCall("", asked.name, asked.arguments)], [why])

    async def run(
        self, turn: Turn, calls: Sequence[ToolCall], said: str, *, spent: int
    ) -> AsyncGenerator[Notice, None]:
        """The calls of one round, one after the other; `said` is what the model said with them, `spent` what its rounds cost so
        far. Raises StorageError and FencedOut."""
        cards = {card.name: card for card in self.toolbox.cards()}
        results: list[str] = []
        for call in calls:
            card = cards.get(call.name)
            if card:
                yield Notice(phrases_answering.RUNS.format(tool=card.notice or card.name).to(turn.language))
            result = await self._one(turn, call, card, spent)
            if result is None:
                return
            results.append(result)
        self._note(turn, said, calls, results)

    async def _one(self, turn: Turn, call: ToolCall, card: ToolCard | None, spent: int) -> str | None:
        """The result, None where a person must be asked first."""
        if why := self._bound(call, spent):
            self._over = True
            return LATE.format(why=why)
        number, self._count = self._count, self._count + 1
        confirmed = card is None or card.read_only or number == self.granted
        state = "begun" if confirmed else "asked"
        row = await self.rows.begin_call(turn.id, number, call.name, call.arguments, state=state)
        if not confirmed and card is not None:
            self.waiting = Waiting(number, card, call.arguments)
            return None
        if row.state in ("done", "failed"):
            return row.result
        if not row.fresh and card is not None and not card.read_only:
            result = ToolResult("It is not known whether this was done: it was cut off. Tell the person.", failed=True)
        else:
            result = await self._called(turn, call)
        await self.rows.end_call(turn.id, number, result.text, failed=result.failed)
        self._found += result.sources
        return result.text

    async def _called(self, turn: Turn, call: ToolCall) -> ToolResult:
        context = ToolContext(chat=turn.chat, turn=turn.id, person=turn.author.id, language=turn.language)
        began = time.monotonic()
        try:
            async with asyncio.timeout(SECONDS - self._seconds):
                return await self.toolbox.call(call.name, call.arguments, context)
        except TimeoutError:
            return ToolResult(f"{call.name} took too long and was stopped.", failed=True)
        finally:
            self._seconds += time.monotonic() - began

    def _bound(self, call: ToolCall, spent: int) -> str:
        """Why this call is not run, "" when it is."""
        if not _is_object(call.arguments):
            self._broken += 1
            if self._broken > MOST_BROKEN:
                return "its arguments are no JSON object, again"
        if self._count >= MOST_CALLS:
            return f"an answer may make {MOST_CALLS} calls"
        if self._seconds >= SECONDS:
            return f"the calls of an answer may take {SECONDS:g} seconds"
        if spent >= MONEY:
            return "this answer has cost enough"
        return ""

    def _note(self, turn: Turn, said: str, calls: Sequence[ToolCall], results: Sequence[str]) -> None:
        """The model is told its calls by ids of ours: a vendor may leave them out, and another may be asked to go on."""
        first = len(self._lines)
        named = [ToolCall(f"call_{turn.id}_{first + at}", call.name, call.arguments) for at, call in enumerate(calls)]
        self._lines.append(Line("assistant", said.strip(), calls=tuple(named)))
        self._lines += [Line("tool", result, call=call.id) for call, result in zip(named, results, strict=True)]


def _is_object(arguments: str) -> bool:
    try:
        return isinstance(json.loads(arguments or "{}"), dict)
    except (ValueError, RecursionError):
        return False
