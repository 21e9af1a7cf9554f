"""Which model is meant by the name that somebody typed."""

from __future__ import annotations

from collections.abc import Callable

from bot.ports import Kind, ModelCard, Models, Unknown


def meant(
    models: Models, name: str, kind: Kind, fits: Callable[[ModelCard], bool] = lambda card: True
) -> ModelCard | Unknown:
    """The one of that name; else the first of the family that the name begins (`cogview-4`: `cogview-4-250304`), of which those
    that fit come first. What begins no whole part of a name, or names of two vendors, is none."""
    found = models.find(name, kind)
    if isinstance(found, ModelCard) or found.other or found.variable:
        return found
    start = f"{name.strip().lower()}-"
    family = [card for card in models.cards() if card.kind == kind and card.name.lower().startswith(start)]
    if len({card.vendor for card in family}) != 1:
        return found
    return next((card for card in family if fits(card)), family[0])
