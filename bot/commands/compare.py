"""/compare: GLM and Qwen answer the same question side by side; a person decides which answer enters the conversation."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace

from bot import phrases
from bot.commands.command import asks_nothing, reply
from bot.conversation import context, thinking
from bot.conversation.answering import Answering
from bot.conversation.desk import Desk, Parts, Request, sentence, too_long
from bot.conversation.merging import merged
from bot.errors import Declined, Trouble
from bot.messages import (
    Answered,
    Buttons,
    Choice,
    Finish,
    Finished,
    LeftOut,
    Message,
    Rewound,
    Text,
    Turn,
    Usage,
    Withdraw,
)
from bot.phrases import Phrase
from bot.ports import ModelCard, Unknown

VENDORS = ("glm", "qwen")  # side by side, in this order


async def compare(desk: Desk, turn: Turn, message: Message, argument: str, /) -> Parts:
    if asks_nothing(message, argument):
        return reply(turn, phrases.compare.WHAT)
    cards = _pair(desk, turn)
    asked = [replace(message, text=argument)]
    heard = await desk.read(turn, asked)
    request = Request.of_command(message, heard, await desk.tip(turn, asked))
    return _side_by_side(desk, turn, request, cards)


async def keep(desk: Desk, turn: Turn, action: str) -> Parts:
    """[Keep this one]: `action` names the turn, which of its answers, where the conversation stood then, and who answered.
    While it still stands there, or at another answer of that turn, it goes on from this one."""
    earlier, number, head, model = action.split(":", 3)
    answers = await desk.history.answers(int(earlier))
    here = {int(head) if head else None, *(entry.id for entry in answers)}
    kept = answers[int(number)] if int(number) < len(answers) else None
    if kept is None or kept.epoch != turn.epoch or turn.head not in here:
        return reply(turn, phrases.MOVED_ON)
    return reply(turn, phrases.compare.KEPT.format(model=model, words=context.words(kept.text)), Rewound(kept.id))


def _pair(desk: Desk, turn: Turn) -> list[ModelCard]:
    """The chat's model and the other vendor's default. Raises Declined where a vendor is not set up here."""
    chosen, cards = desk.card(turn), []
    for vendor in VENDORS:
        card = chosen if chosen and chosen.vendor == vendor else desk.models.pick("chat", vendor=vendor)
        if card is None:
            found = desk.models.find(vendor)
            variable = found.variable if isinstance(found, Unknown) and turn.author.owner else ""
            needs = phrases.compare.NEEDS_KEY if variable else phrases.compare.NEEDS_BOTH
            raise Declined(needs.format(vendor=phrases.VENDORS[vendor], variable=variable))
        cards.append(card)
    return cards


async def _side_by_side(desk: Desk, turn: Turn, request: Request, cards: Sequence[ModelCard]) -> Parts:
    """Each answer grows in a slot of its own. Neither moves the conversation; both are kept for a person to choose."""
    sides = [await _begun(desk, turn, replace(request, card=card), slot) for slot, card in enumerate(cards)]
    told = [f"*{line.to(turn.language)}*" for line in request.asides]
    sides[0].preface = "".join(f"{line}\n\n" for line in (request.quote, *told) if line)
    yield replace(request.asked, model=_names(sides))
    for side in sides:  # before any text: the messages stand in this order, whoever is the first to answer
        yield Text(side.heading, side.slot)
    kept = 0
    async with aclosing(merged(*(side.write() for side in sides))) as parts:
        async for part in parts:
            yield part
            # In the order of the slots, by which a reply to one of the messages finds its answer.
            while kept < len(sides) and sides[kept].finished:
                for item in _keepable(turn, sides, kept):
                    yield item
                kept += 1
    if request.again and not any(side.said for side in sides):
        yield Buttons(((Choice(phrases.RETRY.to(turn.language), request.again),),), sides[-1].slot)
    yield _finished(sides)


def _keepable(turn: Turn, sides: Sequence[_Side], at: int) -> Iterator[Answered | Buttons]:
    """An answer that is finished enters the history, beside the conversation. Its buttons, or none, say that it is finished."""
    if not sides[at].said:
        yield Buttons((), sides[at].slot)
    else:
        number = sum(bool(side.said) for side in sides[:at])
        head = "" if turn.head is None else turn.head
        action = f"keep:{turn.id}:{number}:{head}:{sides[at].card.name}"
        yield Answered(text=sides[at].said, moves=False)
        yield Buttons(((Choice(phrases.compare.KEEP.to(turn.language), action),),), sides[at].slot)


def _names(sides: Sequence[_Side]) -> str:
    return " + ".join(side.card.name for side in sides)


def _finished(sides: Sequence[_Side]) -> Finished:
    """The end of all: what they cost together; of failures only where there is nothing else, and then the first."""
    ends = [side.finished for side in sides if side.finished]
    usages = [end.usage for end in ends]
    told = ends[0] if not any(side.said for side in sides) else Finished(reason=Finish.STOP)
    return replace(
        told,
        reason=Finish.FAILED if told is ends[0] else Finish.STOP,
        usage=Usage(
            prompt=sum(usage.prompt for usage in usages),
            completion=sum(usage.completion for usage in usages),
            cached=sum(usage.cached for usage in usages),
            estimated=any(usage.estimated for usage in usages),
        ),
        model=_names(sides),
        request_id=" ".join(filter(None, (end.request_id for end in ends))),
        call=None,
        cost=sum(end.cost for end in ends),
    )


# --- one side ----------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Side:
    """One of the answers. `finished` once it has ended; `said` is then what may be kept of it, "" for nothing."""

    turn: Turn
    slot: int
    card: ModelCard
    answering: Answering | Phrase  # why it is not asked
    unable: Phrase | None = None
    preface: str = ""
    simulated: bool = False
    finished: Finished | None = None
    said: str = ""

    @property
    def heading(self) -> str:
        aside = f"*{self.unable.to(self.turn.language)}*\n\n" if self.unable else ""
        return f"{self.preface}**{self.card.name}**\n\n{aside}"

    async def write(self) -> Parts:
        if isinstance(self.answering, Phrase):
            self.finished = Finished(reason=Finish.FAILED, model=self.card.name)
            yield Text(self.answering.to(self.turn.language), self.slot)
            return
        began = time.monotonic()
        async with aclosing(self.answering.write()) as parts:
            async for part in parts:
                yield part if isinstance(part, LeftOut) else replace(part, slot=self.slot)
        for item in self._end(self.answering, time.monotonic() - began):
            yield item

    def _end(self, answering: Answering, seconds: float) -> list[Text | Withdraw]:
        finished, said, language = answering.finished, answering.said, self.turn.language
        assert finished is not None
        self.finished = finished
        told: list[Text | Withdraw] = []
        marks = [phrases.compare.SECONDS.format(seconds=f"{seconds:.1f}").to(language), self._price(finished.cost)]
        if finished.reason is Finish.REFUSED:
            refused = phrases.TROUBLE[Trouble.REFUSED.value].to(language)
            told = [Withdraw(self.slot), Text(f"{self.heading}{''.join(answering.notes)}{refused}", self.slot)]
        elif not said.strip():
            told = [Text(sentence(answering.failure).to(language), self.slot)]
        else:
            self.said = said
            if mark := {Finish.CUT: phrases.CUT, Finish.LENGTH: phrases.LENGTH}.get(finished.reason):
                marks.insert(0, mark.to(language))
        return [*told, Text(context.marked(self.said, " · ".join(marks)), self.slot)]

    def _price(self, cost: int) -> str:
        """In CNY, of which `cost` is millionths."""
        if not cost and (self.card.free or self.simulated):
            return phrases.FREE.to(self.turn.language)
        return f"¥{cost / 1_000_000:.4f}" if cost >= 50 or not cost else "< ¥0.0001"


async def _begun(desk: Desk, turn: Turn, request: Request, slot: int) -> _Side:
    """What a vendor cannot be asked hurts the other one's answer in no way."""
    assert request.card is not None
    try:
        answering = await desk.begun(turn, request, beside=True)
    except Declined as refusal:
        return _Side(turn, slot, request.card, refusal.phrase)
    card = answering.card
    unable = thinking.unable(desk.models, card, turn.think)
    if not answering.fit():
        return _Side(turn, slot, card, too_long(card, request.question, turn.think))
    return _Side(turn, slot, card, answering, unable, simulated=desk.models.simulated)
