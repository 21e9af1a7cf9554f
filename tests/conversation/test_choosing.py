"""Which models serve a chat: its own choice, else the default; for what is beside chat its vendor's first, then the others'."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from bot.conversation.choosing import beside_chat, chat_card
from bot.messages import Address, Author, ChatKey, Message, Turn
from bot.ports import ModelCard
from tests.conversations import GLM, GLM_IMAGE, QWEN, QWEN_IMAGE, ScriptedModels

CHAT = ChatKey("web", "1")
ANN = Author("1", "Ann")


def turn(model: str = "") -> Turn:
    address = Address(CHAT)
    said = Message(id="m", author=ANN, address=address, text="hi", at=0.0, language="en")
    return Turn(
        id=1, chat=CHAT, seq=1, fence=1, epoch=0, said=(said,), author=ANN, address=address, language="en", stop_key="s",
        model=model, system="", think="", head=None,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("cards", "model", "chosen"),
    [
        ((GLM, QWEN), "", GLM),
        ((GLM, QWEN), "qwen-text", QWEN),
        ((GLM, QWEN), "gone", GLM),
        ((GLM_IMAGE,), "glm-text", None),
    ],
)
def test_a_chat_has_the_model_of_its_choice_or_the_default(
    cards: Sequence[ModelCard], model: str, chosen: ModelCard | None
) -> None:
    assert chat_card(ScriptedModels(cards), turn(model)) == chosen


@pytest.mark.parametrize(
    ("cards", "model", "drawing"),
    [
        ((GLM, QWEN, GLM_IMAGE, QWEN_IMAGE), "", [GLM_IMAGE, QWEN_IMAGE]),
        ((GLM, QWEN, GLM_IMAGE, QWEN_IMAGE), "qwen-text", [QWEN_IMAGE, GLM_IMAGE]),
        ((GLM, QWEN_IMAGE), "", [QWEN_IMAGE]),
        ((GLM_IMAGE,), "", [GLM_IMAGE]),
        ((GLM,), "", []),
    ],
)
def test_what_its_vendor_does_comes_first_and_others_stand_in(
    cards: Sequence[ModelCard], model: str, drawing: list[ModelCard]
) -> None:
    assert list(beside_chat(ScriptedModels(cards), turn(model), "image")) == drawing
