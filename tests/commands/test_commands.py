"""Every command, from the person's message to what it shows and changes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from bot.commands import COMMANDS, menu
from bot.errors import ModelError, Trouble
from bot.lanes import ASKING_COMMANDS, subject_of
from bot.messages import Answered, Asked, Configured, Finish, Finished, Rewound, Text, Usage
from storage import open_store
from storage.store import Store
from tests.conversations import GLM, OWNER, QWEN, Conversation, ScriptedModels, picture


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    async with open_store(f"sqlite:///{tmp_path}/magpie.db") as opened:
        yield opened


@pytest.fixture
def models() -> ScriptedModels:
    return ScriptedModels()


@pytest.fixture
def chat(store: Store, models: ScriptedModels) -> Conversation:
    return Conversation(store, models)


# --- the registry ------------------------------------------------------------------------------------------------------


def test_the_menu_lists_every_command_for_the_platforms(models: ScriptedModels) -> None:
    names = [entry.name for entry in menu(models)]
    assert names == [
        *("start", "help", "reset", "model", "think", "voice", "image", "video", "later", "tasks", "task"),
        *("compare", "search", "ask", "system", "retry", "undo", "stop", "info"),
    ]
    assert {entry.name for entry in menu(models) if entry.required} == {
        *("image", "video", "later", "task", "compare", "search", "ask")
    }


def test_the_menu_completes_models(models: ScriptedModels) -> None:
    (choices,) = [entry.choices for entry in menu(models) if entry.choices and entry.name == "model"]
    assert list(choices("qw")) == ["qwen", "qwen-text"]
    assert list(choices("vision")) == ["glm-vision"]
    assert list(choices("")) == ["default", "glm", "qwen", "glm-text", "glm-vision", "qwen-text"]
    assert not list(choices("zzz"))


async def test_help_lists_exactly_what_exists(chat: Conversation, models: ScriptedModels) -> None:
    shown = (await chat.say("/help")).text
    for entry in menu(models):
        assert f"`/{entry.name}" in shown
    assert shown.count("\n- ") == len(menu(models))


async def test_start_introduces_the_bot(chat: Conversation) -> None:
    answer = await chat.say("/start")
    assert "Magpie" in answer.text
    assert "glm-text" in answer.text
    assert answer.finished == Finished(reason=Finish.COMMAND)


async def test_the_simulator_is_not_passed_off_as_a_model(store: Store) -> None:
    chat = Conversation(store, ScriptedModels(simulated=True))
    assert "simulator" in (await chat.say("/start")).text
    assert "simulator" in (await chat.say("/model")).text


async def test_an_unknown_command_gets_one_helpful_line(chat: Conversation, models: ScriptedModels) -> None:
    assert "Did you mean /image?" in (await chat.say("/imagine a fox")).text
    assert (await chat.say("/xyzzy")).text == "I know no /xyzzy. /help lists what there is."
    assert not models.prompts


async def test_commands_never_enter_the_models_context(chat: Conversation, models: ScriptedModels) -> None:
    for command in ("/help", "/model", "/nonsense", "/system", "/info", "/undo", "/start", "/ask one"):
        await chat.say(command)
    await chat.say("hi")
    assert models.lines == [("user", "hi")]


@pytest.mark.parametrize(
    "command",
    ["/image", "/ask", "/image 1024x1024", "/IMAGE   ", "/image x2", "/video", "/video 5s", "/later", "/task"],
)
async def test_a_missing_argument_gets_one_helpful_line(
    chat: Conversation, models: ScriptedModels, command: str
) -> None:
    answer = await chat.say(command)
    assert "`/" in answer.text
    assert answer.finished.reason is Finish.COMMAND
    assert not models.prompts
    assert not answer.changes


# --- /model ------------------------------------------------------------------------------------------------------------


async def test_model_alone_lists_by_vendor_with_abilities_and_price(chat: Conversation) -> None:
    answer = await chat.say("/model")
    assert "**GLM (Zhipu AI)**" in answer.text
    assert "`glm-text` ✓ — 4K, ¥3–4 / ¥14–16" in answer.text
    assert "`glm-vision` — sees pictures, 8K, free" in answer.text
    assert "glm-image" not in answer.text
    assert set(answer.buttons) == {"glm-vision", "qwen-text"}


async def test_a_models_note_stands_in_its_line(store: Store) -> None:
    guessed = replace(QWEN, name="guessed", note="price unknown: counted high")
    listed = await Conversation(store, ScriptedModels([GLM, guessed])).say("/model")
    [line] = [line for line in listed.text.splitlines() if "guessed" in line]
    assert line == "- `guessed` — 4K, ¥0.3 / ¥0.6, price unknown: counted high"


async def test_a_model_is_chosen_by_button_and_lasts(chat: Conversation, models: ScriptedModels) -> None:
    listed = await chat.say("/model")
    chosen = await chat.press(listed.buttons["qwen-text"])
    assert chosen.text == "This chat now uses `qwen-text` (¥0.3 in, ¥0.6 out per million tokens)."
    await chat.say("hi")
    assert models.prompts[-1].card is QWEN


@pytest.mark.parametrize(("name", "chosen"), [("qwen", "qwen-text"), ("glm", "glm-text"), ("glm-vision", "glm-vision")])
async def test_a_model_is_chosen_by_vendor_or_full_name(chat: Conversation, name: str, chosen: str) -> None:
    assert Configured("model", chosen) in (await chat.say(f"/model {name}")).changes


async def test_the_default_comes_back(chat: Conversation, models: ScriptedModels) -> None:
    await chat.say("/model qwen")
    await chat.say("/model default")
    await chat.say("hi")
    assert models.prompts[-1].card is GLM


async def test_a_misspelt_model_gets_suggestions(chat: Conversation) -> None:
    answer = await chat.say("/model qwen-txt")
    assert "I know no model “qwen-txt”" in answer.text
    assert "now uses `qwen-text`" in (await chat.press(answer.buttons["qwen-text"])).text


async def test_rubbish_gets_a_line(chat: Conversation) -> None:
    answer = await chat.say("/model " + "🦊" * 2000)
    assert "I know no model" in answer.text
    assert len(answer.text) < 200
    assert not answer.changes


async def test_a_model_without_a_key_names_the_variable_to_the_owner_alone(chat: Conversation) -> None:
    assert "set `KIMI_API_KEY`" in (await chat.say(chat.message("/model kimi", OWNER))).text
    assert (await chat.say("/model kimi")).text == "“kimi” is not set up here. /model lists what is."


# --- /ask and /system --------------------------------------------------------------------------------------------------


async def test_ask_neither_reads_nor_writes_the_history(chat: Conversation, models: ScriptedModels) -> None:
    await chat.say("my name is Ann")
    answer = await chat.say("/ask what is my name?")
    assert models.lines == [("user", "what is my name?")]
    assert not answer.changes
    await chat.say("hi")
    assert models.lines == [("user", "my name is Ann"), ("assistant", "answer 1"), ("user", "hi")]


async def test_ask_looks_at_pictures_too(chat: Conversation, models: ScriptedModels) -> None:
    await chat.say(chat.message("/ask", attachments=(picture(),)))
    assert models.prompts[-1].card.vision
    assert models.lines == [("user", "What is in this picture?")]


async def test_a_failed_ask_can_be_tried_again(chat: Conversation, models: ScriptedModels) -> None:
    models.replies = [ModelError(Trouble.FAULT, vendor="glm")]
    failed = await chat.say("/ask why?")
    assert (await chat.press(failed.buttons["Retry"])).text == "answer 2"
    assert models.lines == [("user", "why?")]


async def test_a_failed_ask_with_a_picture_offers_no_button_that_could_not_repeat_it(
    chat: Conversation, models: ScriptedModels
) -> None:
    models.replies = [ModelError(Trouble.FAULT, vendor="glm")]
    failed = await chat.say(chat.message("/ask", attachments=(picture(),)))
    assert failed.finished.reason is Finish.FAILED
    assert not failed.buttons


async def test_system_shows_sets_and_clears_this_chats_instructions(chat: Conversation, models: ScriptedModels) -> None:
    assert "no instructions" in (await chat.say("/system")).text
    await chat.say("/system Answer like a pirate")
    assert "Answer like a pirate" in (await chat.say("/system")).text
    await chat.say("hi")
    assert models.told.text.endswith("\n\nAnswer like a pirate")
    await chat.say("/system off")
    await chat.say("hi")
    assert "pirate" not in models.told.text


async def test_instructions_have_a_limit(chat: Conversation) -> None:
    answer = await chat.say("/system " + "x" * 4001)
    assert "at most 4000" in answer.text
    assert not answer.changes


# --- /retry and /undo --------------------------------------------------------------------------------------------------


async def test_retry_gives_another_answer_to_the_last_question(chat: Conversation, models: ScriptedModels) -> None:
    await chat.say("hello")
    await chat.say("a joke?")
    assert (await chat.say("/retry")).text == "answer 3"
    assert models.lines == [("user", "hello"), ("assistant", "answer 1"), ("user", "a joke?")]
    assert models.prompts[-1].seed is not None
    assert models.prompts[-2].seed is None
    await chat.say("ha")
    assert [text for _, text in models.lines] == ["hello", "answer 1", "a joke?", "answer 3", "ha"]


async def test_each_retry_has_a_seed_of_its_own(chat: Conversation, models: ScriptedModels) -> None:
    await chat.say("hello")
    await chat.say("/retry")
    await chat.say("/retry")
    assert models.prompts[1].seed != models.prompts[2].seed
    assert models.lines == [("user", "hello")]


async def test_a_model_that_takes_no_seed_gets_none(chat: Conversation, models: ScriptedModels) -> None:
    await chat.say("/model qwen")
    await chat.say("hello")
    await chat.say("/retry")
    assert models.prompts[-1].seed is None


async def test_retry_after_a_failure_asks_what_failed(chat: Conversation, models: ScriptedModels) -> None:
    await chat.say("hello")
    models.replies = [ModelError(Trouble.BAD_REQUEST, vendor="glm")]
    await chat.say("a joke?")
    await chat.say("/retry")
    assert models.lines == [("user", "hello"), ("assistant", "answer 1"), ("user", "a joke?")]


async def test_undo_takes_back_the_last_exchange(chat: Conversation, models: ScriptedModels) -> None:
    await chat.say("hello")
    await chat.say("my secret is 42")
    undone = await chat.say("/undo")
    assert undone.text == "Taken back, with its answer: “my secret is 42”"
    assert any(isinstance(change, Rewound) for change in undone.changes)
    await chat.say("hi")
    assert [text for _, text in models.lines] == ["hello", "answer 1", "hi"]


async def test_undo_goes_back_to_the_beginning_and_no_further(chat: Conversation, models: ScriptedModels) -> None:
    await chat.say("hello")
    await chat.say("/undo")
    assert "nothing to take back" in (await chat.say("/undo")).text
    assert "no question" in (await chat.say("/retry")).text
    await chat.say("hi")
    assert models.lines == [("user", "hi")]


async def test_after_a_reset_there_is_nothing_to_retry_or_undo(chat: Conversation, models: ScriptedModels) -> None:
    models.replies = ["fine", ModelError(Trouble.FAULT, vendor="glm")]
    await chat.say("hello")
    await chat.say("lost")
    await chat.reset()
    assert "no question" in (await chat.say("/retry")).text
    assert "nothing to take back" in (await chat.say("/undo")).text


# --- /info -------------------------------------------------------------------------------------------------------------


async def test_info_tells_how_the_last_answer_came_about(chat: Conversation, models: ScriptedModels) -> None:
    usage = Usage(prompt=120, completion=30, cached=100)
    finished = Finished(reason=Finish.STOP, model="glm-text", request_id="req-7", usage=usage)
    models.replies = [[Text("hi"), finished]]
    await chat.say("hello")
    await chat.say("/help")
    shown = (await chat.say("/info")).text
    for told in ("`glm-text`", "`req-7`", "200", "stop", "120 in (100 cached), 30 out", "0 CNY"):
        assert told in shown


async def test_info_of_a_failure_tells_the_owner_more(chat: Conversation, models: ScriptedModels) -> None:
    models.replies = [
        ModelError(Trouble.NO_MONEY, vendor="glm", status=429, code="1113", vendor_message="account in arrears")
    ]
    await chat.say("hello")
    ours = (await chat.say("/info")).text
    assert "429 1113" in ours
    assert "arrears" not in ours
    assert "The call failed" in ours
    assert "arrears" in (await chat.say(chat.message("/info", OWNER))).text


async def test_info_before_any_answer(chat: Conversation) -> None:
    assert "No model has answered" in (await chat.say("/info")).text


# --- what the engine answers -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", ["/stop", "/reset"])
async def test_an_old_message_edited_into_an_overtaking_command_must_be_sent_anew(
    chat: Conversation, command: str
) -> None:
    question = chat.message("hello")
    edited = await chat.edit(question, command)
    assert "new message" in edited.text
    assert not any(isinstance(change, Asked | Answered) for change in edited.changes)


def test_what_a_message_is_about() -> None:
    """Every command that must be told something asks for it, but for the number of a task."""
    assert {command.name for command in COMMANDS if command.required} - {"task"} == ASKING_COMMANDS
    for text, subject in (
        ("why is the sky blue?", "why is the sky blue?"),
        ("/etc/hosts is empty", "/etc/hosts is empty"),
        ("/ask  why?", "why?"),
        ("/Image a fox\nin snow", "a fox\nin snow"),
        ("/image", ""),
        ("/help", ""),
        ("/model qwen", ""),
        ("", ""),
    ):
        assert subject_of(text) == subject
