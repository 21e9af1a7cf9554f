"""/image: orders a picture, drawn from words or changed from those that come with the command. All that can be wrong
is found before any money is spent."""

from __future__ import annotations

import random
from dataclasses import replace

from bot import phrases
from bot.commands.command import reply
from bot.commands.ordering import asked, cards, fitted, named, names, pictures_of, place, read_wish, takes
from bot.commands.wishes import Wish, counted, sized, worded
from bot.conversation.desk import Desk, Parts
from bot.errors import Declined
from bot.messages import Message, Turn
from bot.messages.orders import WorkOrder
from bot.ports import ModelCard

PATIENCE = 900.0  # seconds: a vendor's queue is minutes long at most


async def image(desk: Desk, turn: Turn, message: Message, argument: str, /) -> Parts:
    return await draw_said(desk, turn, message, argument, turn.head)


async def draw_said(desk: Desk, turn: Turn, message: Message, argument: str, tip: int | None) -> Parts:
    """What the command orders, as a question that follows `tip`."""
    wish = read_wish(desk, message, argument, "image")
    if not wish.prompt:
        return reply(turn, phrases.jobs.IMAGE_WHAT)
    return await draw(desk, turn, wish, await pictures_of(desk, turn, message), tip)


async def draw(
    desk: Desk, turn: Turn, wish: Wish, pictures: tuple[str, ...], tip: int | None, stored: int | None = None
) -> Parts:
    """Order it. `tip` and `stored` as in desk.Request. Raises Declined before anything is shown or paid."""
    card = _card(desk, turn, wish.model, len(pictures))
    aside = worded(card, wish.prompt)
    order = replace(
        WorkOrder.of(turn, wish.prompt, card.name),
        size=sized(card, wish.size),
        count=counted(card, wish.count),
        pictures=await fitted(desk, card, pictures),
        seed=random.randrange(1, 2**31) if card.seed else None,
        parent=turn.head,
    )
    question = asked(turn, wish, "image", pictures, card.name, tip, stored)
    return place(desk, turn, "image", order, question, PATIENCE, aside)


def _card(desk: Desk, turn: Turn, name: str, pictures: int) -> ModelCard:
    """The one that was named, else the chat's, else one that can change so many pictures."""
    able = [card for card in cards(desk, "image") if takes(card, pictures)]
    card = named(desk, turn, name, "image", pictures) if name else desk.image_card(turn)
    if card is None:
        raise Declined(phrases.NO_MODEL)
    if takes(card, pictures):
        return card
    if not pictures:
        raise Declined(phrases.jobs.NEEDS_PICTURE.format(model=card.name))
    if not able:
        most = max((card.edits for card in cards(desk, "image")), default=0)
        raise Declined(
            phrases.jobs.TOO_MANY_TO_EDIT.format(most=most, count=pictures) if most else phrases.jobs.NO_EDITING
        )
    if name:
        raise Declined(phrases.jobs.CANNOT_EDIT.format(model=card.name, names=names(able)))
    defaults = [desk.models.pick("image", vendor=card.vendor, vision=True), desk.models.pick("image", vision=True)]
    return next((one for one in defaults if one in able), None) or able[0]
