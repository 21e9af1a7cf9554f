"""One question to a chat model: from what was said to the answer, or to a sentence that says why there is none.

The manager and the commands decide what is asked and where in the history; `questions.py` reads it, `answering.py` asks it,
and here is told how it ended. Pictures and videos are ordered in `commands/`.
"""

from __future__ import annotations

import logging
import time
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from datetime import date

from bot import phrases
from bot.conversation import context, long_reading, thinking
from bot.conversation.answering import Answering
from bot.conversation.choosing import beside_chat, chat_card
from bot.conversation.context import Question
from bot.conversation.questions import Fetching, Heard, Questions
from bot.conversation.speech import Ears, Mouth
from bot.conversation.toolwork import Consent, Toolwork
from bot.errors import EMPTY, NO_ROOM, BudgetSpent, Declined, ModelError, Trouble
from bot.messages import (
    Answered,
    Asked,
    Buttons,
    Change,
    Choice,
    Finish,
    Finished,
    Message,
    Part,
    Text,
    Turn,
    Withdraw,
)
from bot.phrases import Language, Phrase
from bot.ports import Entry, Files, History, Job, Jobs, Line, ModelCard, Models, Offers, Source, Toolbox, ToolRuns

log = logging.getLogger(__name__)

Parts = AsyncGenerator[Part | Change, None]

MOST_SOURCES = 10
SEARCH_TOOL = "search_web"  # for models whose vendor does not search while they answer
SEARCH_FIRST = f"Search the web with {SEARCH_TOOL} before you answer, and answer from what it finds."
SPOKEN = frozenset({Finish.STOP, Finish.LENGTH})  # how an answer ends that may be said aloud


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What to ask, and how.

    tip      the answer that it follows, None to begin
    card     the model, None for the chat's choice
    stored   the question's entry, when it is in the history already: the answer becomes a sibling of its others
    seed     asks for another answer
    asides   lines to people in front of the answer
    quote    what was heard in recordings, shown before all that
    search   the web is to be searched
    consent  what a person said to the call of a function that an earlier turn ended with
    alone    nothing of the history is read or written
    again    the action that repeats it, where asking the stored question again would not do
    """

    question: Question
    tip: int | None = None
    card: ModelCard | None = None
    stored: int | None = None
    seed: int | None = None
    asides: tuple[Phrase, ...] = ()
    quote: str = ""
    search: bool = False
    consent: Consent | None = None
    alone: bool = False
    again: str = ""

    @classmethod
    def of_command(cls, message: Message, heard: Heard, tip: int | None = None) -> Request:
        """`message` is the whole command: a button runs it again, unless files came with it, for which it has no room."""
        again = "" if message.attachments else f"run:{message.text}"
        return cls(question=heard.question, tip=tip, asides=heard.asides, quote=heard.quote, again=again)

    @property
    def asked(self) -> Asked:
        question = self.question
        return Asked(
            text=question.text, author=question.author, parent=self.tip, files=question.files, stored=self.stored
        )


class Desk:
    """What the manager and the commands share: the chat's model, reading a question, asking it."""

    def __init__(
        self,
        *,
        history: History,
        models: Models,
        platforms: Mapping[str, Fetching],
        files: Files,
        image_model: str = "",
        toolbox: Toolbox | None = None,
        runs: ToolRuns | None = None,
        jobs: Jobs | None = None,
        offers: Offers | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.history = history
        self.models = models
        self.files = files
        self.clock = clock
        self.questions = Questions(platforms, files, Ears(models, offers) if offers else None)
        self._mouth = Mouth(models, offers, files) if offers else None
        self._image_model = image_model
        self._toolbox = toolbox
        self._runs = runs
        self._jobs = jobs

    def card(self, turn: Turn) -> ModelCard | None:
        return chat_card(self.models, turn)

    def image_card(self, turn: Turn) -> ModelCard | None:
        """The model that draws for this chat: IMAGE_MODEL, else one of the vendor that the chat is on, else any."""
        wanted = self.models.find(self._image_model, "image") if self._image_model else None
        if isinstance(wanted, ModelCard):
            return wanted
        return next(beside_chat(self.models, turn, "image"), None)

    async def read(self, turn: Turn, messages: Sequence[Message]) -> Heard:
        """Raises Declined."""
        return await self.questions.read(turn, messages)

    async def tip(self, turn: Turn, messages: Sequence[Message]) -> int | None:
        """Where the question goes on from: an older answer of this conversation that it replies to, else the latest."""
        for message in reversed(messages):
            exchange = await self.history.exchange(turn.chat, message.replies_to) if message.replies_to else None
            if exchange and exchange.answer and exchange.answer.epoch == turn.epoch:
                return exchange.answer.id
        return turn.head

    async def job(self, id: int) -> Job | None:
        """Work in the background, of whatever chat."""
        return await self._jobs.job(id) if self._jobs else None

    async def recent_jobs(self, turn: Turn, limit: int, *, open_only: bool = False) -> Sequence[Job]:
        """Of this chat, newest first."""
        return await self._jobs.jobs(turn.chat, limit, open_only=open_only) if self._jobs else ()

    # --- asking --------------------------------------------------------------------------------------------------------

    async def ask(self, turn: Turn, request: Request) -> Parts:
        """Ask, and tell how it ended. Raises Declined before anything is shown."""
        answering = await self.begun(turn, request)
        fits = answering.fit()
        reading = None if fits else long_reading.begin(answering, simulated=self.models.simulated)
        if not fits and reading is None:
            raise Declined(too_long(answering.card, answering.question, turn.think))
        earlier = await self._runs.runs(request.consent.turn) if request.consent and self._runs else ()
        if request.consent is not None and (not earlier or earlier[-1].state != "asked" or answering.tools is None):
            raise Declined(phrases.MOVED_ON)
        if not request.alone:
            yield replace(request.asked, model=answering.card.name)
        if request.quote:
            yield answering.note(request.quote)
        for line in self._asides(turn, request, answering.card):
            yield answering.note(f"*{line.to(turn.language)}*")
        if request.consent is not None and answering.tools:
            async with aclosing(answering.tools.resume(turn, earlier, request.consent)) as notices:
                async for notice in notices:
                    yield notice
            answering.resumed()
        if reading:
            async with aclosing(reading.write()) as told:
                async for note in told:
                    yield note
            if not request.alone and answering.question is not request.question:
                request = replace(request, question=answering.question, stored=None)
                yield replace(request.asked, model=answering.card.name)
        async with aclosing(answering.write()) as parts:
            async for part in parts:
                yield part
        async with aclosing(self.ending(turn, answering.said, self._end(turn, request, answering))) as end:
            async for item in end:
                yield item

    async def ending(self, turn: Turn, said: str, end: Iterable[Part | Change]) -> Parts:
        """The end of an answer, which is said aloud before it where the chat wants that."""
        for item in end:
            if isinstance(item, Finished) and item.reason in SPOKEN and turn.voice and self._mouth:
                async with aclosing(self._mouth.spoken(turn, said)) as spoken:
                    async for part in spoken:
                        yield part
            yield item

    async def begun(self, turn: Turn, request: Request, *, beside: bool = False) -> Answering:
        """The answer, to be written. `beside` another model's to the same question: it asks for no functions, whose rows belong
        to the turn. Raises Declined."""
        card = self.sighted(turn, request)
        system = self.instructions(turn.address.group, turn.system)
        if request.search and not card.searches:
            system = f"{system}\n\n{SEARCH_FIRST}"
        history = [] if request.alone else await self.history.line(request.tip, context.ENTRIES)
        return Answering(
            turn=turn,
            models=self.models,
            card=card,
            question=request.question,
            history=history,
            system=system,
            seed=request.seed,
            tools=None
            if request.alone or beside
            else self._toolwork([system, request.question.text, *_written(history)]),
            search=request.search,
            beside=beside,
        )

    def _toolwork(self, people: Sequence[str]) -> Toolwork | None:
        return Toolwork(self._runs, self._toolbox, people) if self._runs and self._toolbox else None

    def has_tool(self, name: str) -> bool:
        return self._toolbox is not None and any(card.name == name for card in self._toolbox.cards())

    def instructions(self, group: bool, system: str) -> str:
        """What a model is told before everything else."""
        return context.system_prompt(
            date.fromtimestamp(self.clock()),
            group=group,
            draws=self.models.pick("image") is not None,
            instructions=system,
        )

    def sighted(self, turn: Turn, request: Request) -> ModelCard:
        """The model for this question: one that sees, when it comes with pictures. Raises Declined."""
        card = request.card or self.card(turn)
        if card is None:
            raise Declined(phrases.NO_MODEL)
        if not request.question.files or card.vision:
            return card
        sighted = self.models.pick("chat", vendor=card.vendor, vision=True)
        if sighted is None:
            raise Declined(phrases.NO_VISION.format(vendor=card.vendor))
        return sighted

    def _asides(self, turn: Turn, request: Request, card: ModelCard) -> list[Phrase]:
        asides = list(request.asides)
        if turn.model and not request.card and not isinstance(self.models.find(turn.model), ModelCard):
            asides.append(phrases.MODEL_GONE.format(model=turn.model, other=card.name))
        if unable := thinking.unable(self.models, card, turn.think):
            asides.append(unable)
        return asides

    # --- the end -------------------------------------------------------------------------------------------------------

    def _end(self, turn: Turn, request: Request, answering: Answering) -> list[Part | Change]:
        finished, said, language = answering.finished, answering.said, turn.language
        assert finished is not None
        if answering.needs_consent:
            return [*self._consent(turn, answering), finished]
        if finished.reason is Finish.REFUSED:
            withdrawn: list[Part | Change] = [Withdraw(), *(Text(note, aside=True) for note in answering.notes)]
            phrase = phrases.TROUBLE[Trouble.REFUSED.value]
            return [
                *withdrawn,
                Text(phrase.to(language)),
                *self.buttons_after_failure(turn, request, answering.card),
                finished,
            ]
        if not said.strip():
            phrase = sentence(answering.failure)
            # Nothing is stored of a question that stands alone: without its own action it cannot be repeated.
            again = request.again or ("" if request.alone else f"again:{turn.id}")
            retry = Choice(phrases.RETRY.to(language), again)
            end = replace(finished, reason=Finish.FAILED)
            return [Text(phrase.to(language)), *self.buttons_after_failure(turn, request, answering.card, retry), end]
        sources = sources_told(answering.sources, said, language)
        if finished.reason not in (Finish.CUT, Finish.LENGTH):
            return [*sources, *self._kept(request, said), finished]
        mark = phrases.CUT if finished.reason is Finish.CUT else phrases.LENGTH
        if isinstance(answering.failure, BudgetSpent):
            mark = answering.failure.phrase
        carry_on = Choice(phrases.CONTINUE.to(language), f"continue:{turn.id}")
        buttons = [] if request.alone else [Buttons(((carry_on,),))]
        return [Text(context.marked(said, mark.to(language))), *sources, *self._kept(request, said), *buttons, finished]

    @staticmethod
    def _consent(turn: Turn, answering: Answering) -> list[Part | Change]:
        """The exact call, with the buttons that run it or do not."""
        waiting = answering.tools.waiting if answering.tools else None
        assert waiting is not None
        asked = phrases.answering.CONSENT.format(tool=waiting.card.name, arguments=waiting.shown).to(turn.language)
        if waiting.changed:
            asked = f"{phrases.answering.CONSENT_CHANGED.to(turn.language)}\n\n{asked}"
        action = f"call:{turn.id}:{turn.head}:{waiting.card.fingerprint}"
        labels = (phrases.answering.CONSENT_YES, "yes"), (phrases.answering.CONSENT_NO, "no")
        choices = tuple(Choice(label.to(turn.language), f"{action}:{answer}") for label, answer in labels)
        return [Text(asked), Buttons((choices,))]

    @staticmethod
    def _kept(request: Request, said: str) -> list[Answered]:
        return [] if request.alone else [Answered(text=said)]

    def buttons_after_failure(self, turn: Turn, request: Request, card: ModelCard, *choices: Choice) -> list[Buttons]:
        """Buttons after a failure: the given ones that do something, and the other vendor's model."""
        if not request.alone:
            needs_eyes = bool(request.question.files)
            vendors = dict.fromkeys(other.vendor for other in self.models.cards() if other.kind == "chat")
            others = [
                self.models.pick("chat", vendor=vendor, vision=needs_eyes)
                for vendor in vendors
                if vendor != card.vendor
            ]
            choices += tuple(
                Choice(phrases.TRY_OTHER.format(model=other.name).to(turn.language), f"ask:{other.name}:{turn.id}")
                for other in others[:2]
                if other is not None
            )
        offered = [choice for choice in choices if choice.action]
        return [Buttons((tuple(offered),))] if offered else []


def sentence(error: ModelError | BudgetSpent | None) -> Phrase:
    """What people read. An answer without a word is no vendor's error: the models' code for it tells what it was."""
    if error is None:
        return phrases.NO_ANSWER
    code = error.code if isinstance(error, ModelError) else ""
    return {EMPTY: phrases.NO_ANSWER, NO_ROOM: phrases.NO_ROOM}.get(code, error.phrase)


def too_long(card: ModelCard, question: Question, think: str) -> Phrase:
    """`think` is the chat's setting."""
    room = context.room_of(card, thinking.thinks(card, think))
    needed = context.tokens(Line("user", question.text, question.files))
    return phrases.QUESTION_TOO_LONG.format(model=card.name, tokens=needed, room=room)


def _written(history: Sequence[Entry]) -> list[str]:
    """What of it people wrote, and not a model."""
    return [entry.text for entry in history if entry.role == "user"]


def sources_told(sources: Sequence[Source], said: str, language: Language) -> list[Text]:
    """What stands under an answer: the pages that it rests on, each once, under all the numbers that it had; first those that
    it names."""
    pages: dict[str, list[Source]] = {}
    for source in sources:
        if source.url.startswith(("https://", "http://")):
            pages.setdefault(source.url, []).append(source)
    if not pages:
        return []
    named = [any(f"[{one.number}]" in said for one in page) for page in pages.values()]
    best = sorted(zip(named, pages.values(), strict=True), key=lambda one: not one[0])[:MOST_SOURCES]
    lines = [
        f"{''.join(f'[{number}]' for number in dict.fromkeys(one.number for one in page))} "
        f"{context.link(page[0].title, page[0].url)}"
        for _, page in sorted(best, key=lambda one: one[1][0].number)
    ]
    return [Text("\n\n" + "\n".join([f"**{phrases.answering.SOURCES.to(language)}**", *lines]))]
