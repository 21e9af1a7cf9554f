"""Names that people type, against the catalogue as it is."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from bot.commands.naming import meant
from bot.models import catalog
from bot.ports import Kind, ModelCard, Unknown
from tests.conversations import ScriptedModels


def models(cards: Sequence[ModelCard] = ()) -> ScriptedModels:
    return ScriptedModels([*catalog.load().values(), *cards])


@pytest.mark.parametrize(
    ("name", "kind", "model"),
    [
        ("qwen-image-max", "image", "qwen-image-max"),
        ("qwen-image", "image", "qwen-image-plus"),
        ("cogview-4", "image", "cogview-4-250304"),
        ("CogView-4 ", "image", "cogview-4-250304"),
        ("wan2.6", "video", "wan2.6-t2v"),
        ("glm-4-air", "chat", "glm-4-air-250414"),
        ("qwen-image-edit", "image", "qwen-image-edit"),  # a model's own name, whatever it begins as well
    ],
)
def test_a_name_or_the_beginning_of_a_familys_names(name: str, kind: Kind, model: str) -> None:
    found = meant(models(), name, kind)
    assert isinstance(found, ModelCard) and found.name == model


@pytest.mark.parametrize(
    ("name", "kind", "model"),
    [
        ("qwen-image", "image", "qwen-image-edit"),
        ("wan2.6", "video", "wan2.6-i2v"),
        ("cogview-4", "image", "cogview-4-250304"),  # none does
    ],
)
def test_of_a_family_one_that_fits_is_meant_where_there_is_one(name: str, kind: Kind, model: str) -> None:
    found = meant(models(), name, kind, lambda card: bool(card.edits or card.animates))
    assert isinstance(found, ModelCard) and found.name == model


@pytest.mark.parametrize("name", ["qwen-imag", "cogview-5", "nosuch", "", "glm-5.3", "wan"])
def test_what_is_no_beginning_of_a_whole_part_is_nobodys_name(name: str) -> None:
    assert isinstance(meant(models(), name, "image"), Unknown)


def test_a_beginning_that_two_vendors_share_is_nobodys_name() -> None:
    other = ModelCard(name="cogview-4-large", vendor="openai", kind="image")
    assert isinstance(meant(models([other]), "cogview-4", "image"), Unknown)
