"""/image and the buttons under a picture: the size is checked before any money is spent, the bytes are kept, and the history
gets one line for the question and one for the picture."""

from __future__ import annotations

import random
import re
from contextlib import aclosing
from dataclasses import dataclass, replace

from bot import context, phrases
from bot.answering import failed
from bot.asking import Asking, Parts
from bot.commands.command import in_rows, reply
from bot.errors import BudgetSpent, ModelError, Trouble
from bot.lanes import command_of
from bot.messages import Answered, Asked, Buttons, Change, Choice, Finished, Media, Message, Notice, Text, Turn
from bot.ports import Entry, ModelCard, PicturePrompt
from bot.questions import Declined

_SIZE = re.compile(r"(\d{1,6})\s?[xX×*]\s?(\d{1,6})(?:\s+|$)")
LONGEST_PROMPT = 800  # characters of a quote that becomes a prompt: both vendors' models read about so many
LONGEST_CAPTION = 120
MOST_CHOICES = 10


@dataclass(frozen=True, slots=True)
class Order:
    """A picture to be drawn. Size is "WxH" or "" for the model's own; model "" means the chat's."""

    prompt: str
    size: str = ""
    model: str = ""

    @classmethod
    def read(cls, argument: str) -> Order:
        size = _SIZE.match(argument)
        if not size:
            return cls(argument)
        return cls(argument[size.end() :].strip(), f"{int(size[1])}x{int(size[2])}")

    @property
    def command(self) -> str:
        return f"/image {self.size} {self.prompt}" if self.size else f"/image {self.prompt}"

    def action(self, verb: str) -> str:
        """As a button's row keeps it; `of_action` reads it."""
        return f"{verb}:{self.model} {self.size or '-'} {self.prompt}"

    @classmethod
    def of_action(cls, rest: str) -> Order:
        model, size, prompt = rest.split(" ", 2)
        return cls(prompt, "" if size == "-" else size, model)


def image(desk: Asking, turn: Turn, message: Message, argument: str, /) -> Parts:
    order = Order.read(argument)
    if not order.prompt and message.quote:
        order = Order(context.words(message.quote, LONGEST_PROMPT), order.size)
    if not order.prompt:
        return reply(turn, phrases.IMAGE_WHAT)
    if any(attachment.kind == "image" for attachment in message.attachments):
        return _draw_alone(desk, turn, order)
    return draw(desk, turn, order, turn.head)


async def _draw_alone(desk: Asking, turn: Turn, order: Order) -> Parts:
    """Say that the picture which came with the words was not looked at."""
    async with aclosing(draw(desk, turn, order, turn.head)) as parts:
        async for part in parts:
            if isinstance(part, Finished):
                yield Text(phrases.IMAGE_ALONE.to(turn.language))
            yield part


def is_drawing(entry: Entry) -> bool:
    command = command_of(entry.text)
    return command is not None and command[0] == "image"


def order_of(entry: Entry) -> Order:
    """What a question that `is_drawing` ordered."""
    command = command_of(entry.text)
    return Order.read(command[1] if command else entry.text)


async def draw(desk: Asking, turn: Turn, order: Order, tip: int | None, stored: int | None = None) -> Parts:
    """Draw it. `tip` and `stored` as in asking.Request. Raises Declined before anything is shown or paid."""
    language = turn.language
    card = _card(desk, turn, order)
    check_size(card, order.size)
    order = replace(order, model=card.name)
    author = context.speaker_of(turn.author.name) if turn.address.group else ""
    yield Asked(text=order.command, author=author, parent=tip, stored=stored, model=card.name)
    yield Notice(phrases.DRAWING.format(model=card.name).to(language))
    seed = random.randrange(1, 2**31) if card.seed else None
    prompt = PicturePrompt(card=card, text=order.prompt, chat=turn.chat, turn=turn.id, size=order.size, seed=seed)
    try:
        picture = await desk.models.image(card).draw(prompt)
    except (ModelError, BudgetSpent) as error:
        retry = Choice(phrases.RETRY.to(language), f"again:{turn.id}")
        refused = isinstance(error, ModelError) and error.trouble is Trouble.REFUSED
        yield Text(error.phrase.to(language))
        yield Buttons(((*(() if refused else (retry,)), *_other(desk, turn, order)),))
        yield failed(error, card.name)
        return
    file = await desk.files.keep(picture.data, picture.mime)
    caption = context.words(order.prompt, LONGEST_CAPTION)
    if desk.models.simulated:
        caption = f"{caption}\n{phrases.SIMULATED_PICTURE.to(language)}"
    yield Media(file, picture.mime, caption)
    yield Answered(text=f"[picture: {order.prompt}]", files=(file,))
    yield Buttons(((Choice(phrases.AGAIN.to(language), order.action("draw")), *_other(desk, turn, order)),))
    yield picture.finished


def _card(desk: Asking, turn: Turn, order: Order) -> ModelCard:
    if order.model:
        named = desk.models.find(order.model, "image")
        if isinstance(named, ModelCard):
            return named
    card = desk.image_card(turn)
    if card is None:
        raise Declined(phrases.NO_MODEL)
    return card


def check_size(card: ModelCard, size: str) -> None:
    """Raises Declined, with what is possible, unless the model draws pictures of this size ("WxH", "" for its own)."""
    if not size or size in card.sizes:
        return
    sizes = ", ".join(card.sizes)
    if card.size_rule is None:
        raise Declined(phrases.SIZE_LIST.format(model=card.name, size=size, sizes=sizes or "—"))
    low, high, step, most = card.size_rule
    width, height = map(int, size.split("x"))
    if not all(low <= side <= high and side % step == 0 for side in (width, height)) or width * height > most:
        told = {"low": low, "high": high, "step": step, "most": f"{most:,}", "sizes": sizes or f"{low}x{low}"}
        raise Declined(phrases.SIZE_RULE.format(model=card.name, size=size, **told))


def _others(desk: Asking, order: Order) -> list[ModelCard]:
    return [card for card in desk.models.cards() if card.kind == "image" and card.name != order.model]


def _other(desk: Asking, turn: Turn, order: Order) -> tuple[Choice, ...]:
    """[Other model], when there is one."""
    if not _others(desk, order):
        return ()
    return (Choice(phrases.OTHER_MODEL.to(turn.language), order.action("other")),)


def choose_other(desk: Asking, turn: Turn, order: Order, *before: Change) -> Parts:
    """The models that could draw it, as buttons. A size that one does not draw becomes its own."""
    choices = []
    for card in _others(desk, order)[:MOST_CHOICES]:
        size = order.size
        try:
            check_size(card, size)
        except Declined:
            size = ""
        choices.append(Choice(card.name, Order(order.prompt, size, card.name).action("draw")))
    return reply(turn, phrases.DRAW_WITH, *before, rows=in_rows(choices, 2))
