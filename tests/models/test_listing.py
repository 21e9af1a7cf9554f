"""The table of `magpie models`."""

from __future__ import annotations

import pytest

from bot.models import catalog
from bot.models.listing import price, table
from bot.models.openai import card_for
from bot.ports import ModelCard


def card(name: str) -> ModelCard:
    return catalog.load()[name]


def test_every_model_is_on_it_with_what_it_can_and_costs() -> None:
    head, *rows = table(list(catalog.load().values()), frozenset({"glm"}))
    assert head.split()[:4] == ["NAME", "KIND", "WINDOW", "CAN"]
    assert len(rows) == len(catalog.load())
    [row] = [row for row in rows if row.startswith("glm-4.7-flash ")]
    assert row.split("  ")[0] == "glm-4.7-flash *" and "tools, searches, later, thinks" in row and row.endswith("free")


def test_what_is_not_set_up_says_so() -> None:
    rows = list(table(list(catalog.load().values()), frozenset({"glm"})))
    assert all(("qwen is not set up" in row) is ("qwen" in row or "wan2" in row or "z-image" in row) for row in rows)


def test_a_models_note_stands_at_its_end() -> None:
    one = card_for("deepseek-chat", "https://api.deepseek.com/v1")
    [_, row] = table([one], frozenset({"openai"}))
    assert row.endswith("price unknown: counted high until CATALOG_FILE tells it")
    [_, row] = table([one], frozenset())
    assert row.endswith("openai is not set up; price unknown: counted high until CATALOG_FILE tells it")


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("glm-4.7-flash", "free"),
        ("cogview-4-250304", "0.06 a picture"),
        ("cogvideox-2", "0.5 a video"),
        ("wan2.6-t2v", "1 a second"),
        ("qwen3-tts-flash", "0.08 a 1000 characters"),
        ("qwen-max", "2.4 in, 9.6 out / M up to 32K"),
    ],
)
def test_prices(name: str, told: str) -> None:
    assert price(card(name)) == told
