"""Thinking first: what a chat sets, what its model can do, and what people are told of both."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot.commands import menu
from bot.conversation.context import output_of, room_of
from bot.conversation.thinking import thinker, thinks, unable
from bot.messages import Buttons, Change, Configured, Finish
from bot.ports import ModelCard
from storage import open_store
from storage.store import Store
from tests.conversations import Answer, Conversation, ScriptedModels


def card(
    name: str, thinks: str = "never", *, vendor: str = "glm", vision: bool = False, free: bool = True
) -> ModelCard:
    assert thinks in ("never", "switch", "always")
    return ModelCard(
        name=name, vendor=vendor, kind="chat", window=100_000, output=50_000, vision=vision,
        thinks=thinks,  # type: ignore[arg-type] # asserted above
        price=() if free else ((100_000, 1, 2),), default=name == "quick",
    )  # fmt: skip


QUICK = card("quick")
EITHER = card("either", "switch")
DEEP = card("deep", "always")


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    async with open_store(f"sqlite:///{tmp_path}/magpie.db") as opened:
        yield opened


def chat(store: Store, *cards: ModelCard, language: str = "en") -> Conversation:
    return Conversation(store, ScriptedModels(cards), language="zh" if language == "zh" else "en")


def offered(answer: Answer) -> dict[str, str]:
    (buttons,) = [item for item in answer.items if isinstance(item, Buttons)]
    return {choice.label: choice.action for row in buttons.rows for choice in row}


# --- the rule ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "setting", "does"),
    [
        (QUICK, "on", False), (QUICK, "off", False), (QUICK, "", False),
        (EITHER, "on", True), (EITHER, "off", False), (EITHER, "", False),
        (DEEP, "on", True), (DEEP, "off", True), (DEEP, "", True),
    ],
)  # fmt: skip
def test_a_model_thinks_where_it_must_or_can_and_is_told_to(model: ModelCard, setting: str, does: bool) -> None:
    assert thinks(model, setting) is does


def test_thoughts_need_room() -> None:
    assert output_of(EITHER, thinks(EITHER, "on")) == output_of(DEEP) > output_of(EITHER)
    assert room_of(EITHER, True) + output_of(EITHER, True) == EITHER.window


def test_a_model_that_cannot_is_told_of_with_one_that_can() -> None:
    models = ScriptedModels([QUICK, card("other", "switch", vendor="qwen"), EITHER, DEEP])
    line = unable(models, QUICK, "on")
    assert line is not None
    assert line.en == "`quick` cannot think before it answers; `either` can (`/model either`)."
    assert unable(models, QUICK, "") is None
    assert unable(models, QUICK, "off") is None
    assert unable(models, EITHER, "on") is None
    assert unable(models, DEEP, "on") is None


def test_where_no_model_of_the_vendor_can_none_is_named() -> None:
    line = unable(ScriptedModels([QUICK, card("other", "always", vendor="qwen")]), QUICK, "on")
    assert line is not None
    assert line.en == "`quick` cannot think before it answers."


def test_who_thinks_instead_sees_and_is_free_where_the_other_was() -> None:
    paid, seeing = card("paid", "switch", free=False), card("seeing", "switch", vision=True)
    assert thinker(ScriptedModels([QUICK, paid, EITHER]), QUICK) == EITHER
    assert thinker(ScriptedModels([EITHER, seeing]), card("eyes", vision=True)) == seeing
    assert thinker(ScriptedModels([QUICK, paid]), QUICK) == paid


# --- the command -------------------------------------------------------------------------------------------------------


async def test_think_alone_shows_the_setting_and_what_the_model_makes_of_it(store: Store) -> None:
    answer = await chat(store, EITHER).say("/think")
    assert answer.text.startswith("Thinking first: **auto** in this chat.")
    assert "`either`, which this chat uses, does either." in answer.text
    assert offered(answer) == {"on": "think:on", "off": "think:off", "auto ✓": "think:auto"}
    assert answer.finished.reason is Finish.COMMAND


@pytest.mark.parametrize(
    ("word", "value"),
    [("on", "on"), ("ON", "on"), ("开", "on"), ("off", "off"), ("关", "off"), ("auto", ""), ("自动", "")],
)
async def test_it_is_set_by_a_word_and_stays(store: Store, word: str, value: str) -> None:
    talk = chat(store, EITHER)
    await talk.say(f"/think {'off' if value != 'off' else 'on'}")
    answer = await talk.say(f"/think {word}")
    assert answer.changes == [Configured("think", value)]
    assert f"**{value or 'auto'}**" in answer.text
    assert f"{value or 'auto'} ✓" in offered(await talk.say("/think"))


async def test_that_a_model_always_thinks_is_said_plainly(store: Store) -> None:
    answer = await chat(store, DEEP).say("/think off")
    assert "`deep`, which this chat uses, always thinks first: that cannot be switched off." in answer.text


async def test_that_a_model_cannot_think_is_said_with_one_that_can(store: Store) -> None:
    answer = await chat(store, QUICK, EITHER).say("/think on")
    assert "`quick` cannot think before it answers; `either` can (`/model either`)." in answer.text


async def test_another_word_gets_a_line_and_changes_nothing(store: Store) -> None:
    answer = await chat(store, EITHER).say("/think " + "harder 🦊" * 500)
    assert answer.text == "Write `/think on`, `/think off` or `/think auto`."
    changes: list[Change] = []
    assert answer.changes == changes


async def test_it_speaks_chinese(store: Store) -> None:
    answer = await chat(store, EITHER, language="zh").say("/think 开")
    assert "**开**" in answer.text
    assert offered(answer) == {"开 ✓": "think:on", "关": "think:off", "自动": "think:auto"}


def test_the_menu_completes_the_settings() -> None:
    (entry,) = [entry for entry in menu(ScriptedModels([EITHER])) if entry.name == "think"]
    assert entry.choices
    assert list(entry.choices("")) == ["on", "off", "auto"]
