"""What orders of pictures and videos share: the pictures that go along, the models that there are, and the turn that places an
order and answers at once. What becomes of it is told in `delivering.py`."""

from __future__ import annotations

import mimetypes
from collections.abc import Sequence
from dataclasses import replace

from bot import phrases
from bot.commands.naming import meant
from bot.commands.wishes import Kind, NamelessModel, Wish, scaled
from bot.conversation import context
from bot.conversation.desk import Desk, Parts
from bot.conversation.questions import MAX_PICTURES, is_picture
from bot.errors import Declined
from bot.messages import Asked, Buttons, Choice, Finish, Finished, Message, Notice, Ordered, Turn
from bot.messages.orders import WorkOrder
from bot.phrases import Phrase
from bot.ports import Exchange, ModelCard

MOST_OPEN = 20  # tasks of a chat at a time
LONGEST_PROMPT = 500  # characters of a quote that becomes a prompt: so many every model reads


# --- what was said -----------------------------------------------------------------------------------------------------


def read_wish(desk: Desk, message: Message, argument: str, kind: Kind) -> Wish:
    """A quote may be what to make. Raises Declined."""
    try:
        wish = Wish.read(argument, kind)
    except NamelessModel:
        raise Declined(phrases.jobs.MODEL_NAMELESS.format(names=names(cards(desk, kind)))) from None
    if wish.prompt or message.attachments or not message.quote:
        return wish
    return replace(wish, prompt=context.words(message.quote, LONGEST_PROMPT))


async def pictures_of(desk: Desk, turn: Turn, message: Message) -> tuple[str, ...]:
    """Those that came with the message, else those of the message that it replies to: names of kept ones. Raises Declined, and
    TooLarge or Unreadable for what is no picture."""
    others = [one for one in message.attachments if not is_picture(one)]
    if others:
        what = others[0].name or phrases.KINDS[others[0].kind].to(turn.language)
        raise Declined(phrases.jobs.PICTURES_ONLY.format(what=context.words(what)))
    if message.attachments:
        kept = [await desk.questions.keep_picture(turn, one) for one in message.attachments[:MAX_PICTURES]]
        return tuple(dict.fromkeys(kept))
    if not message.replies_to:
        return ()
    exchange = await desk.history.exchange(turn.chat, message.replies_to)
    if exchange is not None:
        return _pictures_in(exchange)
    if message.quote:
        return ()
    raise Declined(phrases.jobs.PICTURE_UNSEEN)


def _pictures_in(exchange: Exchange) -> tuple[str, ...]:
    """Of an answer the one that is replied to; where the answer is words, what they are about."""
    question = _pictures(exchange.question.files) if exchange.question else ()
    answer = _pictures(exchange.answer.files) if exchange.answer else ()
    if exchange.piece is None or not answer:
        return question
    return answer[exchange.piece : exchange.piece + 1] or answer


def _pictures(files: Sequence[str]) -> tuple[str, ...]:
    return tuple(name for name in files if (mimetypes.guess_type(name)[0] or "").startswith("image/"))


# --- who makes it ------------------------------------------------------------------------------------------------------


def cards(desk: Desk, kind: Kind) -> list[ModelCard]:
    return [card for card in desk.models.cards() if card.kind == kind]


def names(found: Sequence[ModelCard]) -> str:
    return ", ".join(f"`{card.name}`" for card in found) or "—"


def named(desk: Desk, turn: Turn, name: str, kind: Kind, pictures: int) -> ModelCard:
    """Of a family one that takes so many pictures, if there is one. Raises Declined."""
    found = meant(desk.models, name, kind, lambda card: takes(card, pictures))
    if isinstance(found, ModelCard):
        return found
    name = context.words(name)
    if found.variable and turn.author.owner:
        raise Declined(phrases.MODEL_NEEDS_KEY.format(model=name, variable=found.variable))
    able = cards(desk, kind)
    if found.other or found.variable:
        raise Declined(phrases.jobs.MODEL_UNFIT.format(model=name, names=names(able)))
    near = {nearest: place for place, nearest in enumerate(found.nearest)}
    able.sort(key=lambda card: near.get(card.name, len(near)))
    raise Declined(phrases.jobs.MODEL_NONE.format(model=name, names=names(able)))


def takes(card: ModelCard, pictures: int) -> bool:
    """Whether it can work from so many pictures; one that works from pictures alone (`vision`) needs them."""
    if not pictures:
        return not (card.vision and (card.edits or card.animates))
    return pictures <= (card.edits if card.kind == "image" else int(card.animates))


async def fitted(desk: Desk, card: ModelCard, pictures: Sequence[str]) -> tuple[str, ...]:
    """The same pictures as large as it takes them: names of kept ones. Raises Declined, Unreadable."""
    return tuple([await _fitted(desk, card, name) for name in pictures])


async def _fitted(desk: Desk, card: ModelCard, name: str) -> str:
    if card.sides is None:
        return name
    size = await desk.files.picture_size(name)
    wanted = scaled(card.sides, *size)
    if wanted is None:
        (low, high), (width, height) = card.sides, size
        raise Declined(phrases.jobs.SIDES.format(model=card.name, low=low, high=high, width=width, height=height))
    return name if wanted == size else await desk.files.resized(name, *wanted)


# --- the turn ----------------------------------------------------------------------------------------------------------


async def place(
    desk: Desk, turn: Turn, kind: Kind, order: WorkOrder, asked: Asked, patience: float, aside: Phrase | None = None
) -> Parts:
    """Order it, and show a line that will become what was ordered, with an aside. `patience` is in seconds. Raises Declined."""
    await check_room(desk, turn)
    yield asked
    yield Ordered(kind=kind, model=order.model, order=order.dump(), patience=patience)
    said = [waiting(turn.id, kind, order).to(turn.language), *([f"*{aside.to(turn.language)}*"] if aside else [])]
    yield Notice("\n\n".join(said))
    yield cancelling(turn)
    yield Finished(reason=Finish.COMMAND)


async def check_room(desk: Desk, turn: Turn) -> None:
    """Raises Declined where enough is under way."""
    if len(await desk.recent_jobs(turn, MOST_OPEN, open_only=True)) == MOST_OPEN:
        raise Declined(phrases.jobs.MOST_OPEN.format(count=MOST_OPEN))


def cancelling(turn: Turn) -> Buttons:
    return Buttons(((Choice(phrases.jobs.CANCEL.to(turn.language), f"cancel:{turn.id}"),),))


def waiting(id: int, kind: str, order: WorkOrder) -> Phrase:
    """What stands where the result will stand."""
    match kind:
        case "chat":
            return phrases.jobs.LATER.format(id=id, model=order.model)
        case "video":
            return phrases.jobs.FILMING.format(id=id, model=order.model)
        case _ if order.count > 1:
            return phrases.jobs.DRAWING_SOME.format(count=order.count, model=order.model)
        case _ if order.pictures:
            return phrases.jobs.CHANGING.format(model=order.model)
        case _:
            return phrases.DRAWING.format(model=order.model)


def asked(
    turn: Turn, wish: Wish, kind: Kind, pictures: tuple[str, ...], model: str, tip: int | None, stored: int | None
) -> Asked:
    author = context.speaker_of(turn.author.name) if turn.address.group else ""
    return Asked(text=wish.command(kind), author=author, parent=tip, files=pictures, stored=stored, model=model)
