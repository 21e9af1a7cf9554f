"""What people write before the words of an order: a shape or size, how many, how long, by which model. Pure.

What of it a model can do is told here too, before any money is spent.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace
from typing import Literal

from bot import phrases
from bot.errors import Declined
from bot.messages.orders import WorkOrder
from bot.phrases import Phrase
from bot.ports import ModelCard

Kind = Literal["image", "video"]

MOST = 4  # pictures of one order, whatever a model would draw
USUAL = 1024 * 1024  # pixels of a picture whose size follows from its shape
RATIOS = {"wide": 16 / 9, "tall": 9 / 16, "square": 1.0}
SHAPES = {
    **dict.fromkeys(("wide", "横", "横版"), "wide"),
    **dict.fromkeys(("tall", "竖", "竖版"), "tall"),
    **dict.fromkeys(("square", "方", "方形"), "square"),
}

_END = r"(?:\s+|$)"
_NUMBER = r"(\d{1,99})"  # however many digits: what no model makes is told rather than drawn as words
_SIZE = re.compile(rf"{_NUMBER}\s?[xX×*]\s?{_NUMBER}{_END}")
_SHAPE = re.compile(rf"({'|'.join(sorted(SHAPES, key=len, reverse=True))}){_END}", re.IGNORECASE)
_COUNT = re.compile(rf"[xX×]{_NUMBER}{_END}")
_SECONDS = re.compile(rf"{_NUMBER}\s?(?:s|sec|seconds?|秒){_END}", re.IGNORECASE)
# Keyboards make a dash of two hyphens.
_MODEL = re.compile(r"(?:^|(?<=\s))(?:--|—|–)model(?:\s*=\s*|\s+|$)([^\s-]\S*)?", re.IGNORECASE)
_OPTION = re.compile(r"(?:^|(?<=\s))--[^\W\d_][\w-]*")
_SIZE_LAST = re.compile(r"(?<=\s)(\d{3,4})[xX×*](\d{3,4})$")
SMALLEST_LAST = 256  # pixels a side: what is smaller at the end of a sentence ("a grid of 100x100") belongs to it


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """`size` is "WxH", "wide", "tall", "square" or "" for the model's own; `count`, `seconds` and `model` are None or "" where
    nobody said. Nothing of it is checked against a model yet."""

    prompt: str = ""
    size: str = ""
    count: int | None = None
    seconds: int | None = None
    model: str = ""

    @classmethod
    def read(cls, argument: str, kind: Kind) -> Wish:
        """What stands behind the command: the options in any order, then the words; a model's name may stand anywhere, a size
        also at the end. Raises Declined."""
        model, words = _model(argument)
        wish = cls(model=model)
        while (found := wish._next(words, kind)) is not None:
            wish, words = found
        last = _SIZE_LAST.search(words) if not wish.size else None
        if last and min(int(last[1]), int(last[2])) >= SMALLEST_LAST:
            wish, words = replace(wish, size=_size(last)), words[: last.start()].rstrip()
        if unknown := _OPTION.search(words):
            usage = phrases.jobs.ARG_IMAGE if kind == "image" else phrases.jobs.ARG_VIDEO
            raise Declined(phrases.jobs.OPTION_UNKNOWN.format(option=unknown[0][:40], command=kind, usage=usage))
        return replace(wish, prompt=words)

    def _next(self, words: str, kind: Kind) -> tuple[Wish, str] | None:
        """With the option that the words begin with, and what follows it. Each counts once: what looks like a second one are
        words."""
        if not self.size and (match := _SIZE.match(words)):
            return replace(self, size=_size(match)), words[match.end() :]
        if not self.size and (match := _SHAPE.match(words)):
            return replace(self, size=SHAPES[match[1].lower()]), words[match.end() :]
        if self.count is None and (match := _COUNT.match(words)):
            return replace(self, count=int(match[1])), words[match.end() :]
        if kind == "video" and self.seconds is None and (match := _SECONDS.match(words)):
            return replace(self, seconds=int(match[1])), words[match.end() :]
        return None

    @classmethod
    def of(cls, order: WorkOrder) -> Wish:
        return cls(
            prompt=order.text,
            size=order.size,
            count=order.count if order.count > 1 else None,
            seconds=order.seconds or None,
            model=order.model,
        )

    def command(self, kind: Kind) -> str:
        """As the history keeps it: the model is none of its business."""
        count = "" if self.count is None else f"x{self.count}"
        seconds = "" if self.seconds is None else f"{self.seconds}s"
        return " ".join(filter(None, [f"/{kind}", self.size, count, seconds, self.prompt]))


def _model(argument: str) -> tuple[str, str]:
    """The model's name, "" for none, and the words without it. Raises Declined for an option without its name."""
    name, words = "", argument.strip()
    while match := _MODEL.search(words):
        if not match[1]:
            raise NamelessModel
        name = match[1]
        words = f"{words[: match.start()].rstrip()} {words[match.end() :].lstrip()}".strip()
    return name, words


class NamelessModel(Declined):
    """Whoever knows the models says which there are."""

    def __init__(self) -> None:
        super().__init__(phrases.jobs.MODEL_NAMELESS.format(names="…"))


def _size(match: re.Match[str]) -> str:
    return f"{int(match[1])}x{int(match[2])}"


# --- what a model can do -----------------------------------------------------------------------------------------------


def sized(card: ModelCard, size: str) -> str:
    """As "WxH" that the model makes, "" for its own. Raises Declined, with what is possible."""
    if not size:
        return ""
    if not (card.sizes or card.size_rule):
        raise Declined(phrases.jobs.SIZE_OWN.format(model=card.name, size=size))
    if size in RATIOS:
        fitting = shaped(card, size)
        if not fitting:
            raise Declined(_listed(card, size))
        return fitting
    check_size(card, size)
    return size


def check_size(card: ModelCard, size: str) -> None:
    """Raises Declined unless the model makes this size ("WxH")."""
    if size in card.sizes:
        return
    if card.size_rule is None:
        raise Declined(_listed(card, size))
    if not _within(card.size_rule, *_sides(size)):
        low, high, step, most = card.size_rule
        sizes = ", ".join(card.sizes) or f"{low}x{low}"
        told = {"low": low, "high": high, "step": step, "most": f"{most:,}", "sizes": sizes}
        raise Declined(phrases.SIZE_RULE.format(model=card.name, size=size, **told))


def _listed(card: ModelCard, size: str) -> Phrase:
    phrase = phrases.jobs.VIDEO_SIZES if card.kind == "video" else phrases.SIZE_LIST
    return phrase.format(model=card.name, size=size, sizes=", ".join(card.sizes) or "—")


def _within(rule: tuple[int, int, int, int], width: int, height: int) -> bool:
    low, high, step, most = rule
    return all(low <= side <= high and side % step == 0 for side in (width, height)) and width * height <= most


def shaped(card: ModelCard, shape: str) -> str:
    """The model's size that comes nearest to the shape, "" for none: one of its list, else one within its rule."""
    wanted = RATIOS[shape]
    fitting = [size for size in card.sizes if shape_of(size) == shape]
    if fitting:
        return min(fitting, key=lambda size: abs(math.log(_sides(size)[0] / _sides(size)[1] / wanted)))
    if card.size_rule is None:
        return ""
    low, high, step, most = card.size_rule
    wide = math.sqrt(min(USUAL, most) * wanted)
    width, height = (max(-(-low // step), min(int(side), high) // step) * step for side in (wide, wide / wanted))
    return f"{width}x{height}" if _within(card.size_rule, width, height) else ""


def scaled(sides: tuple[int, int], width: int, height: int) -> tuple[int, int] | None:
    """The size nearest to a picture's that has its shape, and sides within these; None: there is none."""
    low, high = sides
    scale = max(1.0, low / min(width, height))
    scale = min(scale, high / max(width, height))
    if round(min(width, height) * scale) < low:
        return None
    return min(high, round(width * scale)), min(high, round(height * scale))


def worded(card: ModelCard, words: str) -> Phrase | None:
    """What is to be said about a description that is longer than the model reads. Raises Declined where it is refused."""
    if card.prompt_limit and not card.truncates and len(words) > card.prompt_limit:
        raise Declined(phrases.jobs.PROMPT_TOO_LONG.format(model=card.name, most=card.prompt_limit, count=len(words)))
    return cut_off(card, words)


def cut_off(card: ModelCard, words: str) -> Phrase | None:
    """What is to be said where the vendor reads only the beginning of a description."""
    if not (card.prompt_limit and card.truncates and len(words) > card.prompt_limit):
        return None
    return phrases.jobs.PROMPT_CUT.format(model=card.name, most=card.prompt_limit, count=len(words))


def shape_of(size: str) -> str:
    width, height = _sides(size)
    return "wide" if width > height else "tall" if width < height else "square"


def _sides(size: str) -> tuple[int, int]:
    width, _, height = size.partition("x")
    return int(width), int(height)


def most_pictures(card: ModelCard) -> int:
    """A task's pictures are drawn by one call; of others we make as many calls as it takes."""
    return min(card.most, MOST) if card.task else MOST


def counted(card: ModelCard, count: int | None) -> int:
    """Raises Declined."""
    most = most_pictures(card)
    if count is not None and not 1 <= count <= most:
        raise Declined(phrases.jobs.COUNT_RANGE.format(model=card.name, most=most, count=count))
    return count or 1


def lasting(card: ModelCard, seconds: int | None) -> int:
    """0 for the model's own. Raises Declined."""
    if seconds is None or seconds in card.seconds:
        return seconds or 0
    if not card.seconds:
        raise Declined(phrases.jobs.SECONDS_OWN.format(model=card.name))
    lengths = ", ".join(map(str, card.seconds))
    raise Declined(phrases.jobs.SECONDS_LIST.format(model=card.name, seconds=lengths, wanted=seconds))


def suited(card: ModelCard, wish: Wish) -> Wish:
    """The same for another model: what that cannot do becomes what it does instead."""
    size = wish.size
    if size and size not in RATIOS:
        try:
            check_size(card, size)
        except Declined:
            size = shaped(card, shape_of(size))
    return replace(
        wish,
        model=card.name,
        size=size if card.sizes or card.size_rule else "",
        count=wish.count and max(1, min(wish.count, most_pictures(card))),
        seconds=wish.seconds if wish.seconds in card.seconds else None,
    )
