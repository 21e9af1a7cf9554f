"""One answer of a chat model, however many calls it takes: those of the functions that it asks for, shorter ones, those of
another model, those that find out what a vendor refuses. How the answer then ends is told in `desk.py`."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace

from bot import phrases
from bot.conversation import context, thinking
from bot.conversation.context import Question
from bot.conversation.refusals import Guilty, find_guilty
from bot.conversation.toolwork import Toolwork
from bot.errors import WORDLESS, BudgetSpent, ModelError, Trouble
from bot.messages import Buttons, Finish, Finished, LeftOut, Notice, Text, Thought, Turn, Usage
from bot.phrases import Phrase
from bot.ports import Entry, Line, ModelCard, Models, Prompt, Source, Sources, ToolCall

log = logging.getLogger(__name__)

# What another model may get round. Not REFUSED, which people decide about, and not what any model would say.
FALLS_BACK = frozenset(
    {
        Trouble.BUSY, Trouble.OVERLOADED, Trouble.QUOTA, Trouble.NO_MONEY, Trouble.BAD_KEY, Trouble.NO_MODEL, Trouble.FAULT,
        Trouble.UNREACHABLE, Trouble.SILENT, Trouble.CUT,
    }
)  # fmt: skip
MOST_GUILTY = 2  # exchanges that one answer leaves out
Writes = AsyncGenerator[Text | Thought | Notice | LeftOut | Buttons, None]


@dataclass(slots=True, kw_only=True)
class Answering:
    """The answer as far as it has come.

    history       what came before the question, oldest first
    system        what the model is told before all that
    tools         None: it may ask for no functions
    search        the vendor is to search the web itself
    beside        another model answers the same: each call is paid by itself, and no third one steps in
    said          what it has said, `sources` what that rests on
    notes         what was said to people in front of it
    finished      how it ended, once it has; `failure` is the error that ended it
    needs_consent it ended because a person must consent to a call
    """

    turn: Turn
    models: Models
    card: ModelCard
    question: Question
    history: Sequence[Entry]
    system: str
    seed: int | None = None
    tools: Toolwork | None = None
    search: bool = False
    beside: bool = False
    sources: tuple[Source, ...] = ()
    finished: Finished | None = None
    failure: ModelError | BudgetSpent | None = None
    needs_consent: bool = False
    cost: int = 0
    notes: list[str] = field(default_factory=list)
    _text: list[str] = field(default_factory=list)
    _asked: tuple[Line, ...] = ()  # what the model is asked, without the functions that it called since
    _shortened: bool = False
    _fell_back: bool = False
    _guilty: int = 0

    @property
    def said(self) -> str:
        return "".join(self._text)

    def note(self, markdown: str) -> Text:
        """What people are told in front of the answer: it stays when the answer is withdrawn, and is no part of it."""
        self.notes.append(f"{markdown}\n\n")
        return Text(self.notes[-1], aside=True)

    def room(self) -> int:
        """Tokens that the prompt may take beside what the functions told."""
        thinks = thinking.thinks(self.card, self.turn.think)
        return context.room_of(self.card, thinks) - sum(map(context.tokens, self._called()))

    def fit(self) -> bool:
        """Fit the prompt into the model's window, beside what the functions told; False where not even the question fits: the
        history gives way. Before anything else."""
        lines = context.fit(self.card, self.system, self.history, self.question, self.room())
        if lines is not None:
            self._asked = lines
        return lines is not None

    def _called(self) -> tuple[Line, ...]:
        return self.tools.lines() if self.tools else ()

    def resumed(self) -> None:
        """After the tools went on from an earlier turn: they may have to ask again."""
        self._learned()
        if self.tools and self.tools.waiting is not None:
            self.needs_consent, self.finished = True, Finished(reason=Finish.COMMAND)

    async def write(self) -> Writes:
        """Until it is `finished`."""
        while self.finished is None:
            try:
                async with aclosing(self._round()) as parts:
                    async for part in parts:
                        yield part
            except (ModelError, BudgetSpent) as error:
                amends = self._amends(error)
                if amends is None or self.said.strip():
                    self.failure = error
                    self.finished = failed(error, self.card.name, partial=bool(self.said))
                    continue
                async with aclosing(amends) as parts:
                    async for part in parts:
                        yield part
        self.finished = replace(self.finished, cost=self.finished.cost + self.cost)

    # --- a call of the model -------------------------------------------------------------------------------------------

    async def _round(self) -> Writes:
        """One call, and the functions that it asks for: then another one follows."""
        calls: list[ToolCall] = []
        finished: Finished | None = None
        before, prompt = len(self._text), self._prompt()
        async with aclosing(self.models.chat(self.card).generate(prompt)) as parts:
            async for part in parts:
                match part:
                    case Finished():
                        finished = part
                    case ToolCall():
                        calls.append(part)
                    case Sources(found):
                        self.sources += found
                    case Text(delta):
                        self._text.append(delta)
                        yield part
                    case Thought() | Notice():
                        yield part
        if finished is None:
            finished = Finished(reason=Finish.CUT, model=self.card.name)
        if finished.reason is not Finish.TOOLS or self.tools is None or not calls or not prompt.tools:
            # Whoever still asks for functions when none are offered would do so for ever.
            self.finished = replace(finished, reason=Finish.STOP) if finished.reason is Finish.TOOLS else finished
            return
        self.cost += finished.cost
        said = "".join(self._text[before:])
        if said.strip():
            self._text.append("\n\n")
            yield Text("\n\n")
        async with aclosing(self.tools.run(self.turn, calls, said, spent=self.cost)) as notices:
            async for notice in notices:
                yield notice
        self._learned()
        if self.tools.waiting is not None:
            self.needs_consent = True
            self.finished = replace(finished, reason=Finish.COMMAND, cost=0)

    def _learned(self) -> None:
        """Functions were called. Where their results leave no room even for the question, the vendor has the last word."""
        self.sources += self.tools.found() if self.tools else ()
        if not self._shortened:
            self.fit()

    def _prompt(self) -> Prompt:
        card, thinks = self.card, thinking.thinks(self.card, self.turn.think)
        searches = self.search and card.searches  # then it is asked for nothing else: both would number their pages
        offered = self.tools.cards() if self.tools and card.tools and not searches else ()
        called = self._called()
        return Prompt(
            card=card,
            lines=(*self._asked, *called) if card.tools else _retold(self._asked, called),
            output=context.output_of(card, thinks),
            chat=self.turn.chat,
            turn=self.turn.id,
            seed=self.seed if card.seed else None,
            think=thinks,
            tools=tuple(offered),
            search=searches,
            language=self.turn.language,
            # The turn's commit settles one call by all that `finished` says: not where others had their price, too.
            last=not self.beside and not self.cost,
        )

    # --- what can be done about a no -----------------------------------------------------------------------------------

    def _amends(self, error: ModelError | BudgetSpent) -> Writes | None:
        """None: nothing."""
        if not isinstance(error, ModelError):
            return None
        if error.trouble is Trouble.TOO_LONG and not self._shortened:
            half = context.halved(self._asked)
            return None if half is None else self._shorten(half)
        if error.trouble is Trouble.REFUSED and self.history and not self._called() and self._guilty < MOST_GUILTY:
            return self._leave_out(error)
        other = self._other() if error.trouble in FALLS_BACK else None
        return None if other is None else self._fall_back(error, other)

    def _other(self) -> ModelCard | None:
        """The model that may step in, once: one that sees, where there are pictures."""
        other = None if self._fell_back or self.beside else self.models.fallback()
        if other is not None and self.question.files and not other.vision:
            other = self.models.pick("chat", vendor=other.vendor, vision=True)
        return other if other is None or other.name != self.card.name else None

    async def _shorten(self, half: tuple[Line, ...]) -> Writes:
        self._shortened, self._asked = True, half
        yield Notice(phrases.SHORTENED.to(self.turn.language))

    async def _fall_back(self, error: ModelError, other: ModelCard) -> Writes:
        """Once. What it is asked is fitted into its own window."""
        log.warning("%s answers for %s: %s", other.name, self.card.name, error)
        before, self.card, self._fell_back = self.card, other, True
        if not self.fit():
            self.card = before
            self.failure, self.finished = error, failed(error, before.name)
            return
        note = phrases.answering.FELL_BACK.format(model=before.name, other=other.name)
        yield self.note(f"*{note.to(self.turn.language)}*")

    async def _leave_out(self, error: ModelError) -> Writes:
        """Find the exchange of the history that the vendor refuses, if it is not the question itself."""
        self._guilty += 1
        yield Notice(phrases.answering.LOOKING_FOR_REFUSED.to(self.turn.language))
        try:
            guilty = await find_guilty(self.history, self._passes)
        except (ModelError, BudgetSpent) as unknown:  # nothing is left out on a guess
            log.warning("what the vendor refuses was not found: %s", unknown)
            guilty = None
        if guilty is None:
            self.failure, self.finished = error, failed(error, self.card.name)
            return
        if not guilty.entries:
            self._guilty = MOST_GUILTY  # asked once more with everything; refused again, there is nothing to look for
            return
        self.history = guilty.rest
        self.fit()
        yield LeftOut(tuple(entry.id for entry in guilty.entries))
        yield self.note(f"*{_left_out(guilty, self.card).to(self.turn.language)}*")

    async def _passes(self, history: Sequence[Entry]) -> bool:
        """Whether the vendor takes the question after this history: asked for one token, in a call that is paid by itself.
        Raises ModelError and BudgetSpent where that is not to be known now."""
        room = context.room_of(self.card)
        lines = context.fit(self.card, self.system, history, self.question, room)
        prompt = replace(self._prompt(), lines=lines or (), output=1, tools=(), search=False, think=False, last=False)
        try:
            async with aclosing(self.models.chat(self.card).generate(prompt)) as parts:
                async for part in parts:
                    if isinstance(part, Finished):
                        self.cost += part.cost
                        return part.reason is not Finish.REFUSED
        except ModelError as error:
            if error.trouble is not Trouble.REFUSED and error.code not in WORDLESS:
                raise
            return error.trouble is not Trouble.REFUSED
        return True


def _retold(asked: tuple[Line, ...], called: tuple[Line, ...]) -> tuple[Line, ...]:
    """For a model that knows no functions: what another one learned by them stands under the question."""
    told = [line.text for line in called if line.role == "tool"]
    if not told:
        return asked
    *before, question = asked
    return (*before, replace(question, text="\n\n".join([question.text, "Looked up for this:", *told])))


def _left_out(guilty: Guilty, card: ModelCard) -> Phrase:
    return phrases.answering.LEFT_OUT.format(words=context.words(guilty.entries[0].text), vendor=card.vendor)


def failed(error: ModelError | BudgetSpent, model: str, *, partial: bool = False) -> Finished:
    """How a call ended that raised `error`, after a part of its answer or before any."""
    reason = Finish.CUT if partial else Finish.FAILED
    if isinstance(error, BudgetSpent):
        return Finished(reason=reason, model=model, status=0, code="budget")
    return Finished(
        reason=Finish.REFUSED if error.trouble is Trouble.REFUSED else reason,
        usage=Usage(estimated=partial),
        model=error.model or model,
        request_id=error.request_id,
        status=error.status,
        code=error.code,
        vendor_message=error.vendor_message,
    )
