"""/video: orders a video, made from words, or from a picture that it begins with."""

from __future__ import annotations

from dataclasses import replace

from bot import phrases
from bot.commands.command import reply
from bot.commands.ordering import asked, cards, fitted, named, names, pictures_of, place, read_wish, takes
from bot.commands.wishes import Wish, lasting, sized, worded
from bot.conversation.desk import Desk, Parts
from bot.errors import Declined
from bot.messages import Message, Turn
from bot.messages.orders import WorkOrder
from bot.ports import ModelCard

PATIENCE = 1800.0  # seconds: a video takes 1 to 5 minutes, and waits for its place before


async def video(desk: Desk, turn: Turn, message: Message, argument: str, /) -> Parts:
    return await film_said(desk, turn, message, argument, turn.head)


async def film_said(desk: Desk, turn: Turn, message: Message, argument: str, tip: int | None) -> Parts:
    """What the command orders, as a question that follows `tip`."""
    wish = read_wish(desk, message, argument, "video")
    pictures = await pictures_of(desk, turn, message)
    if pictures and not wish.prompt:
        wish = replace(wish, prompt=phrases.jobs.VIDEO_PROMPT.to(turn.language))
    return await film(desk, turn, wish, pictures, tip) if wish.prompt else reply(turn, phrases.jobs.VIDEO_WHAT)


async def film(
    desk: Desk, turn: Turn, wish: Wish, pictures: tuple[str, ...], tip: int | None, stored: int | None = None
) -> Parts:
    """Order it. `tip` and `stored` as in desk.Request. Raises Declined before anything is shown or paid."""
    if wish.count not in (None, 1):
        raise Declined(phrases.jobs.ONE_VIDEO)
    card = _card(desk, turn, wish.model, len(pictures))
    aside = worded(card, wish.prompt)
    order = replace(
        WorkOrder.of(turn, wish.prompt, card.name),
        size=sized(card, wish.size),
        seconds=lasting(card, wish.seconds),
        pictures=await fitted(desk, card, pictures),
        parent=turn.head,
    )
    question = asked(turn, wish, "video", pictures, card.name, tip, stored)
    return place(desk, turn, "video", order, question, PATIENCE, aside)


def _card(desk: Desk, turn: Turn, name: str, pictures: int) -> ModelCard:
    """The one that was named, else one of the chat's vendor, else any that can."""
    if pictures > 1:
        raise Declined(phrases.jobs.TOO_MANY_TO_ANIMATE.format(count=pictures))
    able = [card for card in cards(desk, "video") if takes(card, pictures)]
    if name:
        card = named(desk, turn, name, "video", pictures)
        if takes(card, pictures):
            return card
        if not pictures:
            raise Declined(phrases.jobs.NEEDS_PICTURE.format(model=card.name))
        raise Declined(phrases.jobs.CANNOT_ANIMATE.format(model=card.name, names=names(able)))
    chat = desk.card(turn)
    vendors = [chat.vendor, ""] if chat else [""]
    defaults = [desk.models.pick("video", vendor=vendor, vision=bool(pictures)) for vendor in vendors]
    chosen = next((card for card in [*defaults, *able] if card in able), None)
    if chosen is None:
        raise Declined(phrases.jobs.NO_ANIMATING if pictures else phrases.NO_MODEL)
    return chosen
