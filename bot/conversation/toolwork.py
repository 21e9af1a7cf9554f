"""The functions that a model asks for, run within bounds: how many, how long, for how much; and what a person must consent to.

Each call is a row before it runs and has its result after it: a turn that is repeated after a crash does nothing twice that
changes anything. A model may be talked into anything by what it reads, so nothing here believes it: what changes something
runs only when a person pressed for exactly that, and an address is fetched unasked only where somebody else wrote it.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field

from bot import phrases
from bot.conversation.consent import arguments_of, exact
from bot.conversation.links import is_written
from bot.messages import Notice, Turn
from bot.ports import MOST_RESULT, Line, Source, Toolbox, ToolCall, ToolCard, ToolContext, ToolResult, ToolRun, ToolRuns
from bot.text import clean

log = logging.getLogger(__name__)

MOST_CALLS = 8  # of one answer
SECONDS = 60.0  # that all of them may take
MONEY = 1_000_000  # millionths of a CNY that the rounds of one answer may cost before the last
MOST_BROKEN = 2  # times that arguments which are no JSON go back to the model
MOST_SHOWN = 50_000  # characters of arguments that a person is asked about, as they are shown
LONGEST_NAME = 100
BOUND_REACHED = "This was not run: {why}. Answer with what you have, and say what is missing."
DECLINED = "The person declined this call. Go on without it, and do not ask for it again."
UNKNOWN = "It is not known whether this was done: it was cut off. Tell the person."
BROKEN = "This was not run: its arguments are no JSON object. Write one JSON object and call it again."
TOO_MUCH = (
    f"This was not run: arguments of more than {MOST_SHOWN} characters are not shown to people. Ask for less at once."
)
CHANGED = "This was not run: the tool has just changed. Call it again."


@dataclass(frozen=True, slots=True)
class Waiting:
    """A call that a person must consent to: nothing of it has happened. `shown` are its arguments as a person reads them;
    `changed`: they consented before, to what the tool was then."""

    number: int
    card: ToolCard
    arguments: str
    shown: str
    changed: bool = False


@dataclass(frozen=True, slots=True)
class Consent:
    """What a person said to the call that `turn` ended with; `fingerprint` is the tool's, as it was when they were asked."""

    turn: int
    fingerprint: str
    given: bool


@dataclass(slots=True)
class Toolwork:
    """The calls of one answer.

    people   what people wrote: addresses in it may be fetched
    waiting  a person is to be asked, and the turn ends
    granted  the number of the call that the person who pressed has consented to
    seconds  that all calls may take
    """

    rows: ToolRuns
    toolbox: Toolbox
    people: Sequence[str] = ()
    waiting: Waiting | None = None
    granted: int | None = None
    seconds: float = SECONDS
    _changed: bool = False
    _lines: list[Line] = field(default_factory=list)
    _found: list[Source] = field(default_factory=list)
    _pages: int = 0  # the highest number of a page so far
    _told: list[str] = field(default_factory=list)  # by tools, to the model
    _fetched: set[str] = field(default_factory=set)  # addresses
    _written: list[str] = field(default_factory=list)  # by the model
    _declined: set[tuple[str, str]] = field(default_factory=set)
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

    def found(self) -> tuple[Source, ...]:
        """The pages behind the results since the last time."""
        new = tuple(self._found)
        self._found.clear()
        return new

    async def resume(self, turn: Turn, earlier: Sequence[ToolRun], consent: Consent) -> AsyncGenerator[Notice, None]:
        """What an earlier turn did before it asked a person becomes this one's; then its last call runs, or is declined. A tool
        that is not any more what it was then is asked about again."""
        *done, asked = earlier
        for call in done:
            await self._adopt(turn, call, ToolResult(call.result, call.state == "failed", call.sources))
        if not consent.given:
            await self._adopt(turn, asked, ToolResult(DECLINED, failed=True))
            return
        card = self._card(asked.name)
        if card is not None and card.fingerprint == consent.fingerprint:
            self.granted = self._count
        self._changed = card is not None and self.granted is None
        async for notice in self.run(turn, [ToolCall("", asked.name, asked.arguments)], "", spent=0):
            yield notice

    async def _adopt(self, turn: Turn, call: ToolRun, result: ToolResult) -> None:
        number, self._count = self._count, self._count + 1
        asked = ToolCall("", call.name, call.arguments)
        await self.rows.begin_run(turn.id, number, call.name, call.arguments)
        await self._end(turn, number, result)
        self._learn(asked, self._card(call.name), result)
        if result.text == DECLINED:
            self._declined.add((call.name, call.arguments))
        self._note(turn, "", [asked], [result.text])

    async def _end(self, turn: Turn, number: int, result: ToolResult) -> None:
        await self.rows.end_run(turn.id, number, result.text, failed=result.failed, sources=result.sources)

    async def run(
        self, turn: Turn, calls: Sequence[ToolCall], said: str, *, spent: int
    ) -> AsyncGenerator[Notice, None]:
        """The calls of one round, one after the other; `said` is what the model said with them, `spent` what its rounds cost so
        far. Raises StorageError and FencedOut."""
        calls = [ToolCall("", clean(call.name)[:LONGEST_NAME], clean(call.arguments)) for call in calls]
        results: list[str] = []
        for call in calls:
            if why := self._bound(call, spent):
                self._over = True
                results.append(BOUND_REACHED.format(why=why))
                continue
            if card := self._card(call.name):
                yield Notice(phrases.answering.RUNS.format(tool=card.notice or card.name).to(turn.language))
            result = await self._one(turn, call)
            if result is None:
                return
            results.append(result)
        self._note(turn, said, calls, results)

    async def _one(self, turn: Turn, call: ToolCall) -> str | None:
        """The result, None where a person must be asked first."""
        number, self._count = self._count, self._count + 1
        card = self._card(call.name)
        refusal = self._refusal(call)
        asks = card is not None and not refusal and number != self.granted and self._must_ask(call, card)
        shown = exact(call.arguments) if asks else ""
        if len(shown) > MOST_SHOWN:
            refusal, asks = TOO_MUCH, False
        state = "asked" if asks else "begun"
        row = await self.rows.begin_run(turn.id, number, call.name, call.arguments, state=state)
        if row.state in ("done", "failed"):
            result = ToolResult(row.result, row.state == "failed", row.sources)
            self._learn(call, card, result)
            return result.text
        if refusal:
            result = ToolResult(refusal, failed=True)
        elif not row.fresh and not (card and card.read_only) and (row.state == "begun" or not asks):
            result = ToolResult(UNKNOWN, failed=True)
        elif asks and card is not None:
            self.waiting = Waiting(number, card, call.arguments, shown, self._changed)
            return None
        else:
            result = await self._called(turn, call, card)
        await self._end(turn, number, result)
        self._learn(call, card, result)
        return result.text

    async def _called(self, turn: Turn, call: ToolCall, card: ToolCard | None) -> ToolResult:
        person, language = turn.author.id, turn.language
        context = ToolContext(chat=turn.chat, turn=turn.id, person=person, language=language, pages=self._pages)
        if self._card(call.name) != card:  # a tool server came or changed since it was decided that this may run
            return ToolResult(CHANGED, failed=True)
        began = time.monotonic()
        try:
            async with asyncio.timeout(self.seconds - self._seconds):
                result = await self.toolbox.call(call.name, call.arguments, context)
        except TimeoutError:
            return ToolResult(f"{call.name} took too long and was stopped.", failed=True)
        finally:
            self._seconds += time.monotonic() - began
        return ToolResult(result.text[:MOST_RESULT], result.failed, result.sources)

    # --- what may run --------------------------------------------------------------------------------------------------

    def _bound(self, call: ToolCall, spent: int) -> str:
        """Why this call, and any further one, is not run; "" when it may be."""
        if not _is_object(call.arguments):
            self._broken += 1
            if self._broken > MOST_BROKEN:
                return "its arguments are no JSON object, again"
        if self._count >= MOST_CALLS:
            return f"an answer may make {MOST_CALLS} calls"
        if self._seconds >= self.seconds:
            return f"the calls of an answer may take {self.seconds:g} seconds"
        if spent >= MONEY:
            return "this answer has cost enough"
        return ""

    def _refusal(self, call: ToolCall) -> str:
        """Why this call alone is not run."""
        if (call.name, call.arguments) in self._declined:
            return DECLINED
        return "" if _is_object(call.arguments) else BROKEN

    def _must_ask(self, call: ToolCall, card: ToolCard) -> bool:
        return not card.read_only or (bool(card.fetches) and not self._may_fetch(_argument(call, card.fetches)))

    def _may_fetch(self, url: str) -> bool:
        """Whether people wrote this address, or a page or a search gave it. Not what a tool says back that the model has told
        it: the address could be made of the conversation, for whoever reads what is asked for there."""
        if url in self._fetched or is_written(url, self.people):
            return True
        return is_written(url, self._told) and not is_written(url, self._written)

    def _learn(self, call: ToolCall, card: ToolCard | None, result: ToolResult) -> None:
        self._written.append(f"{call.name} {_spoken(call.arguments)}")
        self._found += result.sources
        self._pages = max([self._pages, *(source.number for source in result.sources)])
        if card is not None and not result.failed:
            self._told.append(result.text)
            if card.fetches:
                self._fetched.add(_argument(call, card.fetches))

    # --- what the model is told ------------------------------------------------------------------------------------------

    def _card(self, name: str) -> ToolCard | None:
        return next((card for card in self.toolbox.cards() if card.name == name), None)

    def _note(self, turn: Turn, said: str, calls: Sequence[ToolCall], results: Sequence[str]) -> None:
        """The model is told its calls by ids of ours: a vendor may leave them out, and another may be asked to go on."""
        first = len(self._lines)
        named = [ToolCall(f"call_{turn.id}_{first + at}", call.name, call.arguments) for at, call in enumerate(calls)]
        self._lines.append(Line("assistant", said.strip(), calls=tuple(named)))
        self._lines += [Line("tool", result, call=call.id) for call, result in zip(named, results, strict=True)]


def _is_object(arguments: str) -> bool:
    try:
        exact(arguments)
    except ValueError:
        return False
    return True


def _argument(call: ToolCall, name: str) -> str:
    try:
        return str(arguments_of(call.arguments).get(name, ""))
    except ValueError:
        return ""


def _spoken(arguments: str) -> str:
    """Without the escapes of JSON, behind which an address could hide."""
    try:
        return json.dumps(arguments_of(arguments), ensure_ascii=False)
    except (ValueError, RecursionError):
        return arguments
