"""The catalogue and the owner's own file."""

from pathlib import Path

import pytest

from bot.errors import SettingsError
from bot.models import catalog
from bot.simulator import models as simulated


def written(path: Path, text: str) -> Path:
    file = path / "models.toml"
    file.write_text(text, "utf-8")
    return file


def problem(path: Path, text: str) -> str:
    with pytest.raises(SettingsError) as caught:
        catalog.load(written(path, text))
    (sentence,) = caught.value.problems
    assert sentence.startswith("CATALOG_FILE: ")
    return sentence


def test_the_built_in_one_has_a_default_of_each_kind() -> None:
    cards = catalog.load().values()
    for vendor in ("glm", "qwen"):
        for role in (
            ("chat", False),
            ("chat", True),
            ("image", False),
            ("video", False),
            ("hear", False),
            ("speak", False),
        ):
            defaults = [c for c in cards if c.default and (c.vendor, c.kind, c.vision) == (vendor, *role)]
            assert len(defaults) == 1, (vendor, role)
    seen = [card for card in cards if card.default and card.vendor == "glm" and card.kind not in ("hear", "speak")]
    assert all(card.free for card in seen)


def test_what_costs_money_at_the_vendor_has_a_price() -> None:
    free = {card.name for card in catalog.load().values() if card.free}
    assert free == {
        "glm-4.7-flash",
        "glm-4-flash-250414",
        "glm-4.6v-flash",
        "glm-4.1v-thinking-flash",
        "glm-4v-flash",
        "cogview-3-flash",
        "cogvideox-flash",
    }


def test_it_knows_what_the_vendors_offer_a_chat() -> None:
    """As their price lists stood on 2026-11-22: chat, vision, pictures, videos, speech."""
    glm = (
        "glm-5.3 glm-5.3-flash glm-5.2 glm-5.1 glm-5-turbo glm-5 glm-4.7 glm-4.6 glm-4.5-air glm-4.7-flash glm-4.7-flashx "
        "glm-4-flash-250414 glm-4-flashx-250414 glm-4-air-250414 glm-4-plus glm-5v-turbo glm-4.6v glm-4.6v-flash "
        "glm-4.1v-thinking-flash glm-4v-flash cogview-3-flash cogview-4-250304 glm-image cogvideox-flash cogvideox-2 "
        "cogvideox-3 viduq1-text viduq1-image vidu2-image glm-asr-2512 glm-tts"
    )
    qwen = (
        "qwen3.8-max-preview qwen3.7-max qwen3-max qwen3.6-plus qwen3.5-plus qwen3.8-flash qwen3.7-flash qwen3.5-flash "
        "qwen-plus qwen-max qwen-turbo qwen-flash qwen-long qwen3-vl-plus qwen3-vl-flash qwen-vl-max qwen-vl-plus "
        "qwen3-asr-flash qwen3-tts-flash qwen-image-plus qwen-image-max z-image-turbo wan2.6-t2i wan2.2-t2i-flash "
        "qwen-image-edit wan2.6-t2v wan2.6-i2v"
    )
    cards = catalog.load()
    assert {name for name in glm.split() if name not in cards or cards[name].vendor != "glm"} == set()
    assert {name for name in qwen.split() if name not in cards or cards[name].vendor != "qwen"} == set()


def test_the_simulator_knows_every_model_by_the_same_abilities() -> None:
    for card in catalog.load().values():
        known = (simulated.GLM if card.vendor == "glm" else simulated.DASHSCOPE)[card.name]
        assert known.draws is (card.kind == "image"), card.name
        if card.kind == "chat":
            assert known.sees is card.vision and (known.thinking == "never") is (card.thinks == "never"), card.name
            assert card.window <= known.window and card.output <= known.output, card.name
        if card.kind == "image":
            assert (known.edits, known.most) == (card.edits, card.most), card.name
        if card.vendor == "qwen" and card.kind in ("chat", "image"):
            assert known.multimodal is (card.api == "multimodal") and known.task is (card.api == "task"), card.name


def test_the_owners_file_changes_field_by_field_and_adds(tmp_path: Path) -> None:
    cards = catalog.load(
        written(
            tmp_path,
            """
            [[model]]
            name = "qwen-plus"
            price = [[1000000, 1, 2]]
            default = true
            [[model]]
            name = "openai/llama3.2"
            vendor = "openai"
            kind = "chat"
            window = 8192
            output = 2048
            """,
        )
    )
    assert cards["qwen-plus"].price == ((1_000_000, 1.0, 2.0),) and cards["qwen-plus"].thinks == "switch"
    assert cards["qwen-plus"].default and not cards["qwen-flash"].default
    assert cards["qwen3-vl-flash"].default  # another role
    assert cards["openai/llama3.2"].free


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[[model", "cannot be used"),
        ('title = "x"', "only [[model]]"),
        ("[model]\nname = 1", "[[model]] table"),
        ('[[model]]\nvendor = "glm"', "number 1 has no name"),
        ('[[model]]\nname = "x"\nvendor = "kimi"\nkind = "chat"', "vendor must be one of glm, qwen, openai"),
        ('[[model]]\nname = "x"\nvendor = "glm"\nkind = "sound"', "kind must be one of"),
        ('[[model]]\nname = "x"\nvendor = "glm"\nkind = "chat"', "window must be"),
        ('[[model]]\nname = "qwen-plus"\nprices = []', "no field 'prices'"),
        ('[[model]]\nname = "qwen-plus"\nprice = [[1, 2]]', "each price must be"),
        ('[[model]]\nname = "qwen-plus"\nprice = [[2, 1, 1], [1, 1, 1]]', "ascend"),
        ('[[model]]\nname = "qwen-plus"\nprice = [[2, -1, 1]]', "0 or more"),
        ('[[model]]\nname = "qwen-plus"\nvision = "yes"', "true or false"),
        ('[[model]]\nname = "qwen-plus"\napi = "http"', "api must be one of"),
        ('[[model]]\nname = "qwen-plus"\noutput = 2000000', "smaller than window"),
        ('[[model]]\nname = "cogview-3-flash"\nsizes = ["big"]', "WIDTHxHEIGHT"),
        ('[[model]]\nname = "qwen-image-edit"\nsides = [384]', "sides must be [least, most]"),
        ('[[model]]\nname = "qwen-image-edit"\nsides = [384, 1]', "the least first"),
        ('[[model]]\nname = "qwen-image-edit"\nprompt_limit = -1', "prompt_limit must be a whole number, 0 or more"),
        ('[[model]]\nname = "qwen-image-edit"\ntruncates = 1', "true or false"),
        ('[[model]]\nname = "cogview-3-flash"\nsize_rule = [1]', "size_rule"),
    ],
)
def test_a_mistake_is_named(tmp_path: Path, text: str, words: str) -> None:
    assert words in problem(tmp_path, text)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="CATALOG_FILE"):
        catalog.load(tmp_path / "none.toml")
