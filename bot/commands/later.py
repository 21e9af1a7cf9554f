"""/later: a question that is answered in the background, in a branch of its own."""

from __future__ import annotations

from dataclasses import replace

from bot import phrases
from bot.commands.command import asks_nothing, reply
from bot.commands.ordering import cancelling, check_room, waiting
from bot.conversation import context, thinking
from bot.conversation.context import Question
from bot.conversation.desk import Desk, Parts, Request, too_long
from bot.errors import Declined, ModelError, Trouble, Unreadable
from bot.messages import Finish, Finished, Message, Notice, Ordered, Turn
from bot.messages.orders import WorkOrder
from bot.ports import Job, ModelCard, Prompt

PATIENCE = 1800.0  # seconds


async def later(desk: Desk, turn: Turn, message: Message, argument: str, /) -> Parts:
    if asks_nothing(message, argument):
        return reply(turn, phrases.jobs.LATER_WHAT)
    return _ordered(desk, turn, replace(message, text=argument))


async def _ordered(desk: Desk, turn: Turn, message: Message) -> Parts:
    """Raises Declined."""
    heard = await desk.read(turn, [message])
    question = heard.question
    tip = await desk.tip(turn, [message])
    request = Request(question=question, tip=tip)
    card = desk.sighted(turn, request)
    system = desk.instructions(turn.address.group, turn.system)
    if context.fit(card, system, (), question, context.room_of(card, thinking.thinks(card, turn.think))) is None:
        raise Declined(too_long(card, question, turn.think))
    await check_room(desk, turn)
    # Elsewhere than in a group an answer needs no reply to be understood; this one may come long after.
    address = turn.address if turn.address.via else replace(turn.address, reply_to=message.id or turn.address.reply_to)
    order = replace(WorkOrder.of(turn, question.text, card.name), address=address, pictures=question.files, parent=tip)
    yield replace(request.asked, model=card.name)
    yield Ordered(kind="chat", model=card.name, order=order.dump(), patience=PATIENCE)
    said = (
        waiting(turn.id, "chat", order) if card.later else phrases.jobs.LATER_HERE.format(id=turn.id, model=card.name)
    )
    asides = [f"*{aside.to(turn.language)}*" for aside in heard.asides]
    yield Notice("\n\n".join(filter(None, [heard.quote, *asides, said.to(turn.language)])))
    yield cancelling(turn)
    yield Finished(reason=Finish.COMMAND)


async def prompt_of(desk: Desk, job: Job, order: WorkOrder) -> Prompt:
    """What the model is asked when its time has come. Raises Unreadable when the question is gone, ModelError when it does not
    fit."""
    card = desk.models.find(job.model)
    entry = await desk.history.asked(job.id)
    if entry is None or not isinstance(card, ModelCard):
        raise Unreadable(f"the question or the model of job {job.id} is gone")
    history = await desk.history.line(order.parent, context.ENTRIES)
    thinks = thinking.thinks(card, order.think)
    lines = context.fit(
        card,
        desk.instructions(order.address.group, order.system),
        history,
        Question.of(entry),
        context.room_of(card, thinks),
    )
    if lines is None:
        raise ModelError(Trouble.TOO_LONG, vendor=card.vendor, model=card.name)
    return Prompt(
        card=card,
        lines=lines,
        output=context.output_of(card, thinks),
        chat=job.chat,
        turn=job.id,
        think=thinks,
        language=order.language,
        job_fence=job.fence,
    )
