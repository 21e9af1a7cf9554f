"""What came of work in the background becomes an answer: a picture where the line stood that waited for it, a reply to a
question asked for later, or a sentence that says why there is nothing. What was ordered, `commands/` tells; how it gets done,
`steps.py`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from bot import phrases
from bot.background.steps import BUDGET, DEADLINE, LOST_FILE, NO_MODEL
from bot.commands.command import silence
from bot.commands.reordering import others
from bot.commands.wishes import cut_off
from bot.conversation import context
from bot.conversation.context import Question
from bot.conversation.desk import Desk, Parts, Request, sources_told
from bot.errors import Trouble
from bot.messages import (
    Answered,
    Asked,
    Buttons,
    Change,
    Choice,
    Closes,
    Ended,
    Finish,
    Finished,
    Media,
    Part,
    Replaces,
    Text,
    Turn,
    Usage,
)
from bot.messages.orders import WorkOrder, WorkResult
from bot.phrases import Phrase
from bot.ports import Entry, Job, JobState, ModelCard, Source

LONGEST_CAPTION = 120
LONGEST_WHY = 200

SENTENCES = {
    **phrases.TROUBLE,
    DEADLINE: phrases.jobs.DEADLINE,
    BUDGET: phrases.BUDGET_TOO_SMALL,
    LOST_FILE: phrases.jobs.LOST_FILE,
}


async def deliver(desk: Desk, turn: Turn, ended: Ended) -> Parts:
    """Raises Unreadable."""
    job = await desk.job(ended.job)
    if job is None or job.state not in (JobState.DONE, JobState.FAILED, JobState.UNSURE):
        return silence()
    current = job.epoch == turn.epoch
    entry = await desk.history.asked(job.id) if current else None
    end = _End(desk, turn, job, WorkOrder.load(job.order, turn.chat), WorkResult.load(job.result), entry)
    if job.kind == "chat" and not current:  # nothing of the old conversation reaches the new one
        return _forgotten(turn, job)
    return desk.ending(turn, end.result.text, end.told())


async def _forgotten(turn: Turn, job: Job) -> Parts:
    """It ended just before the `/reset`, which could not cancel it any more: its line still promises an answer."""
    yield Replaces(job.id)
    yield Text(phrases.jobs.CANCELLED_LINE.to(turn.language))
    yield Finished(reason=Finish.COMMAND)


@dataclass(frozen=True, slots=True)
class _End:
    """`entry`: the question in the history, None where the conversation has begun anew."""

    desk: Desk
    turn: Turn
    job: Job
    order: WorkOrder
    result: WorkResult
    entry: Entry | None

    def told(self) -> Iterator[Part | Change]:
        yield Closes(self.job.id) if self.job.kind == "chat" else Replaces(self.job.id)
        said = self.result.text.strip()
        refused = self.result.error == Trouble.REFUSED.value
        if self.job.state is not JobState.DONE or refused:
            yield from self._failed()
        elif self.job.kind != "chat":
            yield from self._shown()
        elif said:
            yield from self._answered()
        else:
            yield from self._failed(phrases.NO_ANSWER)

    # --- well --------------------------------------------------------------------------------------------------------------

    def _answered(self) -> Iterator[Part | Change]:
        """In a branch of its own: the conversation may have gone on meanwhile."""
        text, cut = self.result.text, self.result.error == Trouble.CUT.value
        yield Text(text)
        if cut:
            yield Text(context.marked(text, self._to(phrases.CUT)))
        yield from sources_told([Source(*one) for one in self.result.sources], text, self.turn.language)
        if self.entry is not None:
            yield Answered(text=text, question=self.entry.id, moves=False)
        yield self._finished(Finish.CUT if cut else Finish.STOP)

    def _shown(self) -> Iterator[Part | Change]:
        result, desk = self.result, self.desk
        caption = context.words(self.order.text, LONGEST_CAPTION)
        if desk.models.simulated:
            caption = f"{caption}\n{self._to(phrases.SIMULATED_PICTURE)}"
        for number, (file, mime) in enumerate(result.files):
            yield Media(file, mime, "" if number else caption)
        for link in result.links:
            yield Text(self._to(phrases.jobs.VIDEO_LINK.format(link=link)))
        if result.missing:
            yield Text(self._to(self._missing()))
        card = desk.models.find(self.job.model, self.job.kind)
        if isinstance(card, ModelCard) and (cut := cut_off(card, self.order.text)):
            yield Text(self._to(cut))
        if self.entry is not None:
            # Where nobody has said anything since, the conversation goes on from here.
            moves = self.turn.head == self.order.parent
            files = tuple(file for file, _ in result.files)
            text = f"[{'video' if self.job.kind == 'video' else 'picture'}: {self.order.text}]"
            yield Answered(text=text, question=self.entry.id, files=files, moves=moves)
        label = phrases.jobs.AGAIN_VIDEO if self.job.kind == "video" else phrases.AGAIN
        again = Choice(self._to(label), f"draw:{self.job.id}")
        yield Buttons(((again, *self._other()),))
        yield self._finished(Finish.STOP)

    def _missing(self) -> Phrase:
        done, why = len(self.result.files), context.words(self.result.why, LONGEST_WHY)
        count = done + self.result.missing
        return phrases.jobs.MISSING.format(done=done, count=count, why=why or phrases.jobs.MISSING_WHY)

    # --- or not ------------------------------------------------------------------------------------------------------------

    def _failed(self, sentence: Phrase | None = None) -> Iterator[Part | Change]:
        refused = self.result.error == Trouble.REFUSED.value
        yield Text(self._to(sentence or self._sentence()))
        if self.entry is not None:  # so that /retry finds it
            entry = self.entry
            yield Asked(
                text=entry.text,
                author=entry.author,
                parent=entry.parent,
                files=entry.files,
                stored=entry.id,
                model=self.job.model,
            )
        yield from self._offers(() if refused else (self._retry(),))
        yield self._finished(Finish.REFUSED if refused else Finish.FAILED)

    def _sentence(self) -> Phrase:
        if self.job.state is JobState.UNSURE:
            return phrases.jobs.UNSURE
        if self.result.error == BUDGET and self.result.code:
            return phrases.BUDGET_SPENT.format(opens=self.result.code)
        if self.result.error == NO_MODEL:
            return phrases.jobs.MODEL_LEFT.format(model=self.job.model)
        sentences = SENTENCES if self.job.kind == "chat" else {**SENTENCES, **phrases.jobs.TROUBLE}
        return sentences.get(self.result.error, phrases.OUR_FAULT)

    def _retry(self) -> Choice:
        unsure = phrases.jobs.ORDER_AGAIN if self.job.state is JobState.UNSURE else phrases.jobs.TRY_AGAIN
        label = phrases.jobs.ASK_AGAIN if self.job.kind == "chat" else unsure
        # The question is this turn's as well (`_failed`), and so are the buttons, which go once one is pressed.
        action = f"again:{self.turn.id}" if self.entry is not None else f"draw:{self.job.id}"
        return Choice(self._to(label), action)

    def _offers(self, choices: Sequence[Choice]) -> Sequence[Buttons]:
        """Another model may do it."""
        if self.job.kind != "chat":
            row = (*choices, *self._other())
            return [Buttons((row,))] if row else []
        card = self.desk.models.find(self.job.model)
        if self.entry is None or not isinstance(card, ModelCard):
            return [Buttons((tuple(choices),))]
        request = Request(question=Question.of(self.entry))
        return self.desk.buttons_after_failure(self.turn, request, card, *choices)

    def _other(self) -> tuple[Choice, ...]:
        if self.job.kind == "chat" or not others(self.desk, self.job.kind, self.order):
            return ()
        return (Choice(self._to(phrases.OTHER_MODEL), f"other:{self.job.id}"),)

    # --- both --------------------------------------------------------------------------------------------------------------

    def _finished(self, reason: Finish) -> Finished:
        """Its call is settled already, by the job's last commit."""
        result = self.result
        made = len(result.files) + len(result.links)
        usage = Usage(prompt=result.prompt, completion=result.completion, pictures=made)
        return Finished(
            reason=reason,
            usage=usage,
            model=self.job.model,
            status=200 if self.job.state is JobState.DONE else 0,
            code=result.error if result.error == BUDGET else result.code or result.error,
            vendor_message=result.vendor_message,
            cost=result.cost,
            job=self.job.id,
        )

    def _to(self, phrase: Phrase) -> str:
        return phrase.to(self.turn.language)
