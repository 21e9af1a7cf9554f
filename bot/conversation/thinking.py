"""Whether a model thinks before it answers: what the chat has set, against what the model can do. Pure.

A chat that has set nothing ("", auto) gets its answers at once wherever a model can be switched: that is quicker, and thoughts
are billed like answers.
"""

from __future__ import annotations

from bot import phrases
from bot.phrases import Phrase
from bot.ports import ModelCard, Models


def thinks(card: ModelCard, setting: str) -> bool:
    """Whether it will, with this setting ("on", "off" or ""): for Prompt.think, and for how much room its answer needs."""
    return card.thinks == "always" or (card.thinks == "switch" and setting == "on")


def unable(models: Models, card: ModelCard, setting: str) -> Phrase | None:
    """A line to people where thinking is wanted of a model that cannot, with one of the same vendor that can."""
    if setting != "on" or card.thinks != "never":
        return None
    other = thinker(models, card)
    if other is None:
        return phrases.thinking.NEVER.format(model=card.name)
    return phrases.thinking.NEVER_BUT.format(model=card.name, other=other.name)


def thinker(models: Models, card: ModelCard) -> ModelCard | None:
    """A model of the same vendor that thinks: rather one that also sees, or also costs nothing, where this one does."""
    able = [
        other
        for other in models.cards()
        if other.kind == "chat" and other.vendor == card.vendor and other.thinks != "never"
    ]
    lacks = [(card.vision and not other.vision, card.free and not other.free, not other.default) for other in able]
    return able[lacks.index(min(lacks))] if able else None
