"""Which models serve a chat, where nobody names one."""

from __future__ import annotations

from collections.abc import Iterator

from bot.messages import Turn
from bot.ports import Kind, ModelCard, Models


def chat_card(models: Models, turn: Turn) -> ModelCard | None:
    """The model of this chat; the default, when its choice is no longer set up here."""
    chosen = models.find(turn.model) if turn.model else None
    return chosen if isinstance(chosen, ModelCard) else models.pick("chat")


def beside_chat(models: Models, turn: Turn, kind: Kind) -> Iterator[ModelCard]:
    """One model of this kind for each vendor: that of the chat's first, then those that may stand in for it."""
    chat = chat_card(models, turn)
    first = (models.pick(kind, vendor=chat.vendor) if chat else None) or models.pick(kind)
    if first is None:
        return
    yield first
    for vendor in dict.fromkeys(card.vendor for card in models.cards()):
        other = models.pick(kind, vendor=vendor)
        if other and vendor != first.vendor:
            yield other
