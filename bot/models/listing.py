"""`magpie models`: every model that is known here, as a table for the owner."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from bot.ports import ModelCard

HEAD = ("NAME", "KIND", "WINDOW", "CAN", "PRICE (CNY)", "")
ABILITIES = ("vision", "tools", "searches", "later", "animates")


def table(cards: Sequence[ModelCard], ready: frozenset[str]) -> Iterator[str]:
    """Line by line; `ready` are the vendors that are set up here. A star marks a default."""
    rows = [HEAD, *(_row(card, ready) for card in sorted(cards, key=lambda card: (card.vendor, card.kind)))]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


def _row(card: ModelCard, ready: frozenset[str]) -> tuple[str, ...]:
    star = " *" if card.default else ""
    missing = "" if card.vendor in ready else f"{card.vendor} is not set up"
    remarks = "; ".join(filter(None, (missing, card.note)))
    return f"{card.name}{star}", card.kind, _window(card), ", ".join(_abilities(card)), price(card), remarks


def _window(card: ModelCard) -> str:
    thousands = card.window // 1000
    return "" if not thousands else f"{thousands // 1000}M" if thousands >= 1000 else f"{thousands}K"


def _abilities(card: ModelCard) -> Iterator[str]:
    yield from (name for name in ABILITIES if getattr(card, name))
    if card.thinks != "never":
        yield "thinks" if card.thinks == "switch" else "always thinks"
    if card.edits:
        yield f"edits {card.edits}"
    if card.most > 1:
        yield f"{card.most} at once"
    if card.voices:
        yield f"{len(card.voices)} voices"


def price(card: ModelCard) -> str:
    if card.free:
        return "free"
    if card.price:
        return "; ".join(
            f"{read:g} in, {written:g} out / M up to {upto // 1000}K" for upto, read, written in card.price
        )
    unit = {"image": "picture", "video": "video", "speak": "1000 characters"}.get(card.kind, "call")
    amounts = [f"{card.per_picture:g} a {unit}"] if card.per_picture else []
    return ", ".join([*amounts, *([f"{card.per_second:g} a second"] if card.per_second else [])])
