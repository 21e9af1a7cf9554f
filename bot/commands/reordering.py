"""Pictures and videos that are ordered once more: by [Again], [Other model], [Try again], /retry, or an edited command."""

from __future__ import annotations

from bot import phrases
from bot.commands.command import in_rows, reply
from bot.commands.image import draw, draw_said
from bot.commands.ordering import cards, takes
from bot.commands.video import film, film_said
from bot.commands.wishes import Kind, Wish, suited
from bot.conversation.desk import Desk, Parts
from bot.lanes import command_of
from bot.messages import Choice, Message, Turn
from bot.messages.orders import WorkOrder
from bot.ports import Entry, Job, ModelCard

MOST_CHOICES = 10


def kind_of(text: str) -> Kind | None:
    """What a message or a question of the history orders; None: it is no such order."""
    match command_of(text):
        case ("image", _):
            return "image"
        case ("video", _):
            return "video"
        case _:
            return None


async def order_said(desk: Desk, turn: Turn, message: Message, tip: int | None) -> Parts:
    """What the message orders, of some `kind_of`, as a question that follows `tip`."""
    name, argument = command_of(message.text) or ("", "")
    return await (film_said if name == "video" else draw_said)(desk, turn, message, argument, tip)


async def order_again(desk: Desk, turn: Turn, entry: Entry, kind: Kind, tip: int | None, stored: int | None) -> Parts:
    """What a question of the history ordered. Raises Declined."""
    job = await desk.job(entry.turn)
    if job is not None and job.kind == kind:
        wish = Wish.of(WorkOrder.load(job.order))
    else:  # it was not ordered yet: said long ago, and only kept
        command = command_of(entry.text)
        wish = Wish.read(command[1] if command else entry.text, kind)
    return await _place(desk, turn, kind, wish, entry.files, tip, stored)


async def order_like(desk: Desk, turn: Turn, rest: str) -> Parts:
    """[Again], and the buttons of other models: what the job of that number made, by the named model if one is."""
    id, _, model = rest.partition(":")
    found = await _made(desk, turn, id)
    if found is None:
        return reply(turn, phrases.BUTTON_OLD)
    kind, order = found
    wish = Wish.of(order)
    if model:
        card = desk.models.find(model, kind)
        if not isinstance(card, ModelCard):
            return reply(turn, phrases.BUTTON_OLD)
        wish = suited(card, wish)
    return await _place(desk, turn, kind, wish, order.pictures, turn.head, None)


async def choose_other(desk: Desk, turn: Turn, rest: str) -> Parts:
    """The models that could make it as well, as buttons."""
    found = await _made(desk, turn, rest)
    if found is None:
        return reply(turn, phrases.BUTTON_OLD)
    kind, order = found
    choices = [Choice(card.name, f"draw:{rest}:{card.name}") for card in others(desk, kind, order)[:MOST_CHOICES]]
    return reply(turn, phrases.jobs.MAKE_WITH if kind == "video" else phrases.DRAW_WITH, rows=in_rows(choices, 2))


def others(desk: Desk, kind: Kind, order: WorkOrder) -> list[ModelCard]:
    pictures = len(order.pictures)
    return [card for card in cards(desk, kind) if card.name != order.model and takes(card, pictures)]


async def _made(desk: Desk, turn: Turn, id: str) -> tuple[Kind, WorkOrder] | None:
    job: Job | None = await desk.job(int(id)) if id.isdecimal() else None
    if job is None or job.kind == "chat" or job.chat != turn.chat:
        return None
    return job.kind, WorkOrder.load(job.order, turn.chat)


async def _place(
    desk: Desk, turn: Turn, kind: Kind, wish: Wish, pictures: tuple[str, ...], tip: int | None, stored: int | None
) -> Parts:
    return await (film if kind == "video" else draw)(desk, turn, wish, pictures, tip, stored)
