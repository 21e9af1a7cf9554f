"""One question to a chat model: from what was said to the answer, or to a sentence that says why there is none.

The manager and the commands decide what is asked and where in the history; here it is read (pictures included), fitted into
the model's window, asked, and its end is told. Drawing is `commands/image.py`'s.
"""

from __future__ import annotations

import logging
import time
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Protocol

from bot import context, phrases
from bot.context import Question
from bot.errors import BudgetSpent, MagpieError, ModelError, PlatformError, TooLarge, Trouble
from bot.messages import (
    Answered,
    Asked,
    Attachment,
    Buttons,
    Change,
    Choice,
    Finish,
    Finished,
    Message,
    Notice,
    Part,
    Text,
    Thought,
    Turn,
    Usage,
    Withdraw,
)
from bot.phrases import Language, Phrase
from bot.ports import Files, History, Line, ModelCard, Models, Prompt

log = logging.getLogger(__name__)

Parts = AsyncGenerator[Part | Change, None]

MAX_PICTURE = 20_000_000  # bytes: as much as Telegram lets a bot fetch
MAX_PICTURES = 10  # an album


class Fetching(Protocol):
    """What is needed of a platform here."""

    async def fetch(self, attachment: Attachment, limit: int) -> bytes:
        """See ports.Platform."""


class Declined(MagpieError):
    """There is nothing to ask; `phrase` says why."""

    def __init__(self, phrase: Phrase) -> None:
        super().__init__(phrase.en)
        self.phrase = phrase


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What to ask, and how.

    tip      the answer that it follows, None to begin
    card     the model, None for the chat's choice
    stored   the question's entry, when it is in the history already: the answer becomes a sibling of its others
    seed     asks for another answer
    aside    a line to people in front of the answer
    alone    nothing of the history is read or written; then `again` is the action that repeats it
    """

    question: Question
    tip: int | None = None
    card: ModelCard | None = None
    stored: int | None = None
    seed: int | None = None
    aside: Phrase | None = None
    alone: bool = False
    again: str = ""

    @property
    def asked(self) -> Asked:
        question = self.question
        return Asked(
            text=question.text, author=question.author, parent=self.tip, files=question.files, stored=self.stored
        )


@dataclass(slots=True)
class _Writing:
    """The answer as far as it has come."""

    card: ModelCard
    text: list[str] = field(default_factory=list)
    finished: Finished | None = None
    phrase: Phrase | None = None  # of the error that ended it

    @property
    def said(self) -> str:
        return "".join(self.text)


class Asking:
    """What the manager and the commands share: the chat's model, reading a question, asking it."""

    def __init__(
        self,
        *,
        history: History,
        models: Models,
        platforms: Mapping[str, Fetching],
        files: Files,
        image_model: str = "",
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.history = history
        self.models = models
        self.files = files
        self.clock = clock
        self._platforms = platforms
        self._image_model = image_model

    def card(self, turn: Turn) -> ModelCard | None:
        """The model of this chat; the default, when its choice is no longer set up here."""
        chosen = self.models.find(turn.model) if turn.model else None
        return chosen if isinstance(chosen, ModelCard) else self.models.pick("chat")

    def image_card(self, turn: Turn) -> ModelCard | None:
        """The model that draws for this chat: IMAGE_MODEL, else one of the vendor that the chat is on, else any."""
        wanted = self.models.find(self._image_model, "image") if self._image_model else None
        if isinstance(wanted, ModelCard):
            return wanted
        chat = self.card(turn)
        return self.models.pick("image", vendor=chat.vendor if chat else "") or self.models.pick("image")

    # --- reading -------------------------------------------------------------------------------------------------------

    async def read(self, turn: Turn, messages: Sequence[Message]) -> tuple[Question, Phrase | None]:
        """What the messages ask, and a line to people about what of it is not read. Raises Declined."""
        attachments = [attachment for message in messages for attachment in message.attachments]
        pictures = [attachment for attachment in attachments if _is_picture(attachment)]
        ignored = [_kind(attachment, turn.language) for attachment in attachments if not _is_picture(attachment)]
        text = context.joined(messages)
        what = ", ".join(dict.fromkeys(ignored))
        if not text and not pictures:
            raise Declined(phrases.ONLY_TEXT_AND_PICTURES.format(what=what) if ignored else phrases.EMPTY_QUESTION)
        files = [await self._keep(turn, attachment) for attachment in pictures[:MAX_PICTURES]]
        aside = phrases.NOT_READ.format(what=what) if ignored else None
        if len(pictures) > MAX_PICTURES:
            aside = phrases.TOO_MANY_PICTURES.format(count=MAX_PICTURES)
        author = context.speaker_of(messages[-1].author.name) if turn.address.group else ""
        question = Question(text or phrases.PICTURE_PROMPT.to(turn.language), author, tuple(dict.fromkeys(files)))
        return question, aside

    async def _keep(self, turn: Turn, attachment: Attachment) -> str:
        try:
            if attachment.size > MAX_PICTURE:
                raise TooLarge(MAX_PICTURE)
            data = await self._platforms[turn.chat.platform].fetch(attachment, MAX_PICTURE)
            return await self.files.keep_picture(data)
        except PlatformError as error:
            log.warning("%s: a picture could not be fetched: %s", turn.chat, error)
            raise Declined(phrases.PICTURE_LOST) from error

    # --- asking --------------------------------------------------------------------------------------------------------

    async def ask(self, turn: Turn, request: Request) -> Parts:
        """Ask, and tell how it ended. Raises Declined before anything is shown."""
        card = self._sighted(turn, request)
        history = [] if request.alone else await self.history.line(request.tip, context.ENTRIES)
        instructions = context.system_prompt(
            date.fromtimestamp(self.clock()),
            group=turn.address.group,
            draws=self.models.pick("image") is not None,
            instructions=turn.system,
        )
        room = context.room_of(card)
        lines = context.fit(card, instructions, history, request.question, room)
        if lines is None:
            raise Declined(_too_long(card, request.question, room))
        if not request.alone:
            yield replace(request.asked, model=card.name)
        for line in self._asides(turn, request, card):
            yield Text(f"*{line.to(turn.language)}*\n\n")
        writing = _Writing(card)
        async with aclosing(self._write(turn, request, writing, lines)) as parts:
            async for part in parts:
                yield part
        for item in self._end(turn, request, writing):
            yield item

    def _sighted(self, turn: Turn, request: Request) -> ModelCard:
        """The model for this question: one that sees, when it comes with pictures."""
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
        asides = [request.aside] if request.aside else []
        if turn.model and not request.card and not isinstance(self.models.find(turn.model), ModelCard):
            asides.append(phrases.MODEL_GONE.format(model=turn.model, other=card.name))
        return asides

    async def _write(
        self, turn: Turn, request: Request, writing: _Writing, lines: tuple[Line, ...]
    ) -> AsyncGenerator[Text | Thought | Notice, None]:
        """The model's parts. A prompt that the vendor finds too long is shortened once."""
        shortened = False
        while writing.finished is None:
            try:
                async with aclosing(self._stream(turn, request, writing, lines)) as parts:
                    async for part in parts:
                        yield part
                if writing.finished is None:
                    writing.finished = Finished(reason=Finish.CUT, model=writing.card.name)
            except (ModelError, BudgetSpent) as error:
                half = context.halved(lines) if _shortens(error) and not writing.text and not shortened else None
                if half is not None:
                    shortened, lines = True, half
                    yield Notice(phrases.SHORTENED.to(turn.language))
                    continue
                writing.phrase = _sentence(error)
                writing.finished = failed(error, writing.card.name, partial=bool(writing.text))

    async def _stream(
        self, turn: Turn, request: Request, writing: _Writing, lines: tuple[Line, ...]
    ) -> AsyncGenerator[Text | Thought | Notice, None]:
        card = writing.card
        prompt = Prompt(
            card=card,
            lines=lines,
            output=context.output_of(card),
            chat=turn.chat,
            turn=turn.id,
            seed=request.seed if card.seed else None,
            language=turn.language,
        )
        async with aclosing(self.models.chat(card).generate(prompt)) as parts:
            async for part in parts:
                match part:
                    case Finished():
                        writing.finished = part
                    case Text():
                        writing.text.append(part.delta)
                        yield part
                    case Thought() | Notice():
                        yield part

    # --- the end -------------------------------------------------------------------------------------------------------

    def _end(self, turn: Turn, request: Request, writing: _Writing) -> list[Part | Change]:
        finished, said, language = writing.finished, writing.said, turn.language
        assert finished is not None
        again = request.again or f"again:{turn.id}"
        if finished.reason is Finish.REFUSED:
            withdrawn: list[Part | Change] = [Withdraw()] if writing.text else []
            phrase = phrases.TROUBLE[Trouble.REFUSED.value]
            return [*withdrawn, Text(phrase.to(language)), *self._offers(turn, request, writing.card), finished]
        if not said.strip():
            phrase = writing.phrase or phrases.NO_ANSWER
            retry = Choice(phrases.RETRY.to(language), again)
            end = replace(finished, reason=Finish.FAILED)
            return [Text(phrase.to(language)), *self._offers(turn, request, writing.card, retry), end]
        if finished.reason not in (Finish.CUT, Finish.LENGTH):
            return [*self._kept(request, said), finished]
        mark = phrases.CUT if finished.reason is Finish.CUT else phrases.LENGTH
        carry_on = Choice(phrases.CONTINUE.to(language), f"continue:{turn.id}")
        buttons = [] if request.alone else [Buttons(((carry_on,),))]
        return [Text(context.marked(said, mark.to(language))), *self._kept(request, said), *buttons, finished]

    @staticmethod
    def _kept(request: Request, said: str) -> list[Answered]:
        return [] if request.alone else [Answered(text=said)]

    def _offers(self, turn: Turn, request: Request, card: ModelCard, *choices: Choice) -> list[Buttons]:
        """Buttons after a failure: the given ones, and the other vendor's model."""
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


def _is_picture(attachment: Attachment) -> bool:
    return attachment.kind == "image" or (attachment.kind == "file" and attachment.mime.startswith("image/"))


def _kind(attachment: Attachment, language: Language) -> str:
    if attachment.kind in ("file", "other") and attachment.name:
        return attachment.name
    return phrases.KINDS[attachment.kind].to(language)


def _sentence(error: ModelError | BudgetSpent) -> Phrase:
    """What people read. An answer without a word is no vendor's error: the models' code for it tells what it was."""
    code = error.code if isinstance(error, ModelError) else ""
    return {"empty": phrases.NO_ANSWER, "length": phrases.NO_ROOM}.get(code, error.phrase)


def _shortens(error: MagpieError) -> bool:
    return isinstance(error, ModelError) and error.trouble is Trouble.TOO_LONG


def _too_long(card: ModelCard, question: Question, room: int) -> Phrase:
    needed = context.tokens(Line("user", question.text, question.files))
    return phrases.QUESTION_TOO_LONG.format(model=card.name, tokens=needed, room=room)


def failed(error: ModelError | BudgetSpent, model: str, *, partial: bool = False) -> Finished:
    """How a call ended that raised `error`, after a part of its answer or before any."""
    if isinstance(error, BudgetSpent):
        return Finished(reason=Finish.FAILED, model=model, status=0, code="budget")
    reason = Finish.CUT if partial else Finish.FAILED
    return Finished(
        reason=Finish.REFUSED if error.trouble is Trouble.REFUSED else reason,
        usage=Usage(estimated=partial),
        model=error.model or model,
        request_id=error.request_id,
        status=error.status,
        code=error.code,
        vendor_message=error.vendor_message,
    )
