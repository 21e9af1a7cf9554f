"""/model: which models there are, what they can do and cost, and which one this chat uses."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from bot import phrases
from bot.commands.command import in_rows, reply
from bot.commands.naming import meant
from bot.conversation.desk import Desk, Parts
from bot.messages import Change, Choice, Configured, Message, Turn
from bot.phrases import Language
from bot.ports import ModelCard, Models, Unknown

MOST_CHOICES = 15  # buttons: Discord shows five rows at most
DEFAULT = "default"


async def model(desk: Desk, turn: Turn, message: Message, argument: str, /) -> Parts:
    return choose(desk, turn, argument) if argument else _list(desk, turn)


def choose(desk: Desk, turn: Turn, name: str, *before: Change) -> Parts:
    """Make it this chat's model; `before` are changes that go along with the press that chose it."""
    if name.lower() == DEFAULT:
        card = desk.models.pick("chat")
        phrase = (
            phrases.MODEL_CHOSEN.format(model=card.name, price=price(card, turn.language)) if card else phrases.NO_MODEL
        )
        return reply(turn, phrase, *before, Configured("model", ""))
    found = meant(desk.models, name, "chat")
    if isinstance(found, ModelCard):
        chosen = phrases.MODEL_CHOSEN.format(model=found.name, price=price(found, turn.language))
        return reply(turn, chosen, *before, Configured("model", found.name))
    return _unknown(turn, name, found, *before)


def _unknown(turn: Turn, name: str, found: Unknown, *before: Change) -> Parts:
    name = name[:60]
    if found.variable:
        phrase = phrases.MODEL_NEEDS_KEY if turn.author.owner else phrases.MODEL_NOT_HERE
        return reply(turn, phrase.format(model=name, variable=found.variable), *before)
    if found.nearest:
        rows = in_rows([Choice(near, f"model:{near}") for near in found.nearest[:MOST_CHOICES]], 2)
        return reply(turn, phrases.MODEL_UNKNOWN_NEAR.format(model=name), *before, rows=rows)
    return reply(turn, phrases.MODEL_UNKNOWN.format(model=name), *before)


def _list(desk: Desk, turn: Turn) -> Parts:
    current, language = desk.card(turn), turn.language
    cards = [card for card in desk.models.cards() if card.kind == "chat"]
    lines = [phrases.MODEL_LIST.format(model=current.name if current else "—").to(language)]
    offered: list[tuple[bool, int, str]] = []
    for vendor, group in groupby(cards, key=lambda card: card.vendor):
        lines.append(f"\n**{phrases.VENDORS.get(vendor, vendor)}**\n")
        for place, card in enumerate(group):
            chosen = " ✓" if card == current else ""
            lines.append(f"- `{card.name}`{chosen} — {_told(card, language)}")
            if not chosen:
                offered.append((not card.default, place, card.name))
    if desk.models.simulated:
        lines.append(f"\n{phrases.SIMULATED.to(language)}")
    # the defaults, then the vendors in turn
    choices = [Choice(name, f"model:{name}") for _, _, name in sorted(offered)[:MOST_CHOICES]]
    return reply(turn, "\n".join(lines), rows=in_rows(choices, 3))


def _told(card: ModelCard, language: Language) -> str:
    """Abilities, window and price of a model, in a few words, and what else is noted of it."""
    told = []
    if card.vision:
        told.append(phrases.SEES.to(language))
    if card.thinks == "always":
        told.append(phrases.THINKS.to(language))
    if card.window:
        thousands = card.window // 1000
        told.append(f"{thousands // 1000}M" if thousands >= 1000 else f"{thousands}K")
    told.append(phrases.FREE.to(language) if card.free else "¥{} / ¥{}".format(*_prices(card)))
    if card.note:
        told.append(card.note)
    return phrases.COMMA.to(language).join(told)


def price(card: ModelCard, language: Language) -> str:
    if card.free:
        return phrases.FREE.to(language)
    read, written = _prices(card)
    return phrases.PRICE_TOKENS.format(read=read, written=written).to(language)


def _prices(card: ModelCard) -> tuple[str, str]:
    """CNY per million tokens in and out, each from the lowest price to the highest: long prompts cost more."""
    read, written = ([tier[at] for tier in card.price] for at in (1, 2))
    return _span(read), _span(written)


def _span(prices: Sequence[float]) -> str:
    low, high = min(prices), max(prices)
    return f"{low:g}" if low == high else f"{low:g}–{high:g}"


def model_names(models: Models) -> Sequence[str]:
    cards = [card for card in models.cards() if card.kind == "chat"]
    vendors = dict.fromkeys(card.vendor for card in cards if card.vendor in ("glm", "qwen"))
    return [DEFAULT, *vendors, *(card.name for card in cards)]
