"""The conversation manager, on the real store with a model whose answers are told beforehand."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot.errors import ModelError, Trouble
from bot.messages import Answered, Asked, Cancelled, Closes, Finish, Finished, Replaces, Spent, Text, Thought
from bot.ports import JobState, ModelCard
from storage import open_store
from storage.store import Store
from tests.conversations import (
    ANN,
    BOB,
    GLM,
    OWNER,
    QWEN,
    STUDIO,
    Conversation,
    ScriptedModels,
    picture,
)


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


@pytest.fixture
def group(store: Store, models: ScriptedModels) -> Conversation:
    return Conversation(store, models, group=True)


def trouble(kind: Trouble, **values: str | int) -> ModelError:
    return ModelError(kind, vendor="glm", **values)  # type: ignore[arg-type] # tests name real fields


# --- questions ---------------------------------------------------------------------------------------------------------


async def test_a_question_is_answered_and_remembered(chat: Conversation, models: ScriptedModels) -> None:
    models.replies = [[Thought("hm"), Text("Four"), Text(".")], "Nine."]
    first = await chat.say("2 + 2?")
    assert first.text == "Four."
    assert first.finished.reason is Finish.STOP
    await chat.say("3 * 3?")
    assert models.lines == [("user", "2 + 2?"), ("assistant", "Four."), ("user", "3 * 3?")]


async def test_the_question_is_committed_to_before_the_model_writes(chat: Conversation) -> None:
    answer = await chat.say("hello")
    kinds = [type(item) for item in answer.items]
    assert kinds == [Asked, Text, Answered, Finished]


async def test_messages_that_waited_together_are_one_question(chat: Conversation, models: ScriptedModels) -> None:
    await chat.say("one", "two")
    assert models.lines == [("user", "one\ntwo")]


async def test_a_command_among_several_messages_is_just_text(chat: Conversation, models: ScriptedModels) -> None:
    await chat.say("look:", "/help")
    assert models.lines == [("user", "look:\n/help")]


async def test_a_path_is_no_command(chat: Conversation, models: ScriptedModels) -> None:
    await chat.say("/etc/hosts")
    assert models.lines == [("user", "/etc/hosts")]


async def test_broken_characters_reach_neither_model_nor_store(chat: Conversation, models: ScriptedModels) -> None:
    await chat.say("a\ud800b\x00c")
    assert models.lines == [("user", "a\ufffdbc")]


async def test_in_a_group_the_model_knows_who_speaks(group: Conversation, models: ScriptedModels) -> None:
    await group.say("hi")
    await group.say(group.message("and me?", BOB))
    assert models.lines == [("user", "Ann: hi"), ("assistant", "answer 1"), ("user", "Bob: and me?")]
    assert "Several people" in models.told.text


async def test_in_private_nobody_is_named(chat: Conversation, models: ScriptedModels) -> None:
    await chat.say("hi")
    assert models.lines == [("user", "hi")]


async def test_a_reply_to_another_person_quotes_them(group: Conversation, models: ScriptedModels) -> None:
    await group.say(group.message("is that so?", quote="The moon\nis cheese", quoted="Bob"))
    assert models.lines == [("user", "Ann: > Bob: The moon\n> is cheese\n\nis that so?")]


async def test_a_reply_to_an_older_answer_goes_on_from_there(chat: Conversation, models: ScriptedModels) -> None:
    question = chat.message("capital of France?")
    await chat.say(question)
    await chat.say("and of Spain?")
    await chat.say(chat.message("how many live there?", replies_to=question.id))
    asked = ("user", "capital of France?"), ("assistant", "answer 1"), ("user", "how many live there?")
    assert models.lines == [*asked]


async def test_a_reply_to_what_was_before_a_reset_brings_nothing_back(
    chat: Conversation, models: ScriptedModels
) -> None:
    secret = chat.message("my secret is 42")
    await chat.say(secret)
    await chat.reset()
    await chat.say(chat.message("what was it?", replies_to=secret.id))
    assert models.lines == [("user", "what was it?")]


async def test_an_empty_message_gets_one_helpful_line(chat: Conversation, models: ScriptedModels) -> None:
    answer = await chat.say("  ")
    assert "What would you like to know" in answer.text
    assert not models.prompts


async def test_the_chat_keeps_its_model_while_it_is_set_up(chat: Conversation, models: ScriptedModels) -> None:
    await chat.say("/model qwen")
    await chat.say("hi")
    assert models.prompts[-1].card is QWEN


async def test_a_chosen_model_that_is_gone_gives_way_and_says_so(store: Store) -> None:
    await Conversation(store, ScriptedModels()).say("/model qwen-text")
    models = ScriptedModels((GLM,))
    later = Conversation(store, models)
    later._numbers = iter(range(100, 200))  # type: ignore[assignment] # the same chat, events of its own
    answer = await later.say("hi")
    assert "qwen-text is no longer set up" in answer.text
    assert models.prompts[-1].card is GLM
    await later.say("again")
    assert "no longer" not in models.lines[1][1]


async def test_a_question_longer_than_the_window_costs_nothing(chat: Conversation, models: ScriptedModels) -> None:
    answer = await chat.say("x" * 200_000)
    assert "too long for glm-text" in answer.text
    assert not models.prompts


async def test_old_exchanges_make_room(chat: Conversation, models: ScriptedModels) -> None:
    for number in range(6):
        await chat.say(f"{number} " + "long " * 400)
    assert [text[0] for role, text in models.lines if role == "user"] == ["2", "3", "4", "5"]


@pytest.mark.parametrize("question", ["count", "/retry"])
async def test_a_stopped_answer_ends_its_request_and_is_remembered_as_far_as_it_came(
    chat: Conversation, models: ScriptedModels, question: str
) -> None:
    await chat.say("count")
    models.replies = [[Text("one, "), Text("two, "), Text("three")]]
    stopped = await chat.say(question, stop_at="two, ")
    assert models.open == 0
    assert stopped.text == "one, two, "
    await chat.say("go on")
    assert models.lines[-2:] == [("assistant", "one, two, "), ("user", "go on")]


# --- late messages -----------------------------------------------------------------------------------------------------


async def test_what_was_said_long_ago_is_asked_about_first(chat: Conversation, models: ScriptedModels) -> None:
    late = await chat.say("how is the weather?", late=True)
    assert late.text == "While I was away you wrote: “how is the weather?”"
    assert not models.prompts
    assert (await chat.press(late.buttons["Answer now"])).text == "answer 1"
    assert models.lines == [("user", "how is the weather?")]


async def test_a_late_command_waits_for_the_button_too(chat: Conversation, models: ScriptedModels) -> None:
    late = await chat.say("/image a fox", late=True)
    assert late.ordered is None
    ordered = (await chat.press(late.buttons["Answer now"])).ordered
    assert ordered and ordered.text == "a fox"


async def test_what_a_late_question_came_with_is_kept(chat: Conversation, models: ScriptedModels) -> None:
    late = await chat.say(chat.message("/later what is it?", attachments=(picture(),)), late=True)
    await chat.press(late.buttons["Answer now"])
    assert models.lines == [("user", "what is it?")]
    assert models.prompts[-1].lines[-1].files


async def test_pictures_of_a_late_order_are_kept_for_the_button(store: Store) -> None:
    chat = Conversation(store, ScriptedModels(STUDIO))
    late = await chat.say(chat.message("/image make it blue", attachments=(picture(),)), late=True)
    assert late.ordered is None
    ordered = (await chat.press(late.buttons["Answer now"])).ordered
    assert ordered and (ordered.text, ordered.model, len(ordered.pictures)) == ("make it blue", "qwen-edit", 1)


# --- edits -------------------------------------------------------------------------------------------------------------


async def test_an_edit_of_the_last_question_asks_it_anew_in_place(chat: Conversation, models: ScriptedModels) -> None:
    await chat.say("hello")
    question = chat.message("capital of Frence?")
    first = await chat.say(question)
    edited = await chat.edit(question, "capital of France?")
    assert edited.items[0] == Replaces(first.turn)
    await chat.say("thanks")
    asked = [text for role, text in models.lines if role == "user"]
    assert asked == ["hello", "capital of France?", "thanks"]


async def test_a_question_may_be_edited_twice(chat: Conversation, models: ScriptedModels) -> None:
    question = chat.message("one")
    await chat.say(question)
    second = await chat.edit(question, "two")
    third = await chat.edit(question, "three")
    assert third.items[0] == Replaces(second.turn)
    assert models.lines == [("user", "three")]


async def test_an_edit_after_a_retry_takes_the_latest_answers_messages(
    chat: Conversation, models: ScriptedModels
) -> None:
    question = chat.message("one")
    await chat.say(question)
    second = await chat.say("/retry")
    edited = await chat.edit(question, "two")
    assert edited.items[0] == Replaces(second.turn)
    assert models.lines == [("user", "two")]


async def test_an_edit_of_an_older_question_changes_nothing(chat: Conversation, models: ScriptedModels) -> None:
    question = chat.message("one")
    await chat.say(question)
    await chat.say("two")
    edited = await chat.edit(question, "three")
    assert "changes nothing" in edited.text
    assert not edited.changes
    assert len(models.prompts) == 2


async def test_an_edit_of_a_question_that_failed_takes_the_failures_place(
    chat: Conversation, models: ScriptedModels
) -> None:
    models.replies = [trouble(Trouble.BAD_REQUEST)]
    question = chat.message("one")
    failed = await chat.say(question)
    edited = await chat.edit(question, "two")
    assert edited.items[0] == Replaces(failed.turn)
    assert models.lines == [("user", "two")]


async def test_an_edit_of_something_unknown_is_a_message(chat: Conversation, models: ScriptedModels) -> None:
    edited = await chat.edit(chat.message("never seen"), "hello")
    assert edited.text == "answer 1"
    assert not any(isinstance(change, Replaces) for change in edited.changes)


async def test_an_edit_from_before_a_reset_changes_nothing(chat: Conversation, models: ScriptedModels) -> None:
    question = chat.message("one")
    await chat.say(question)
    await chat.reset()
    assert "changes nothing" in (await chat.edit(question, "two")).text


async def test_an_edited_drawing_is_drawn_anew_in_place(chat: Conversation, models: ScriptedModels) -> None:
    order = chat.message("/image a fux")
    await chat.say(order)
    first = await chat.draws()
    edited = await chat.edit(order, "/image a fox")
    assert edited.items[0] == Replaces(first.turn)
    assert edited.ordered and edited.ordered.text == "a fox"
    second = await chat.draws()
    assert second.items[0] == Replaces(edited.turn)
    await chat.say("nice")
    assert [text for _, text in models.lines] == ["Draw a picture: a fox", "[picture: a fox]", "nice"]


async def test_an_edit_while_it_is_drawn_cancels_the_first_order(chat: Conversation, store: Store) -> None:
    order = chat.message("/image a fux")
    first = await chat.say(order)
    await chat.say("meanwhile")
    edited = await chat.edit(order, "/image a fox")
    assert edited.items[:2] == [Replaces(first.turn), Cancelled(first.turn)]
    job = await store.job(first.turn)
    assert job and job.state is JobState.CANCELLING


async def test_an_edit_into_what_cannot_be_drawn_says_so_in_place(chat: Conversation) -> None:
    order = chat.message("/image a fox")
    first = await chat.say(order)
    edited = await chat.edit(order, "/image 7x7 a fox")
    assert edited.items[:2] == [Replaces(first.turn), Cancelled(first.turn)]
    assert "cannot draw 7x7" in edited.text
    assert edited.ordered is None


async def test_an_edited_command_is_run_again(chat: Conversation, models: ScriptedModels) -> None:
    command = chat.message("/model qwne")
    await chat.say(command)
    assert "qwen-text" in (await chat.edit(command, "/model qwen")).text


# --- presses -----------------------------------------------------------------------------------------------------------


async def failed_in(chat: Conversation, models: ScriptedModels) -> str:
    """The id of a [Retry] button."""
    models.replies = [trouble(Trouble.FAULT)]
    return (await chat.say("hi")).buttons["Retry"]


async def test_a_button_works_once(chat: Conversation, models: ScriptedModels) -> None:
    button = await failed_in(chat, models)
    pressed = await chat.press(button)
    assert Spent(button) in pressed.changes
    again = await chat.press(button)
    assert again.items == [Finished(reason=Finish.COMMAND)]
    assert len(models.prompts) == 2


async def test_the_buttons_of_what_is_answered_in_another_way_go(chat: Conversation, models: ScriptedModels) -> None:
    models.replies = [trouble(Trouble.REFUSED)]
    refused = await chat.say("hi")
    [other] = [button for label, button in refused.buttons.items() if label.startswith("Try")]
    assert Closes(refused.turn) in (await chat.press(other)).changes
    models.replies = [trouble(Trouble.FAULT)]
    failed = await chat.say("hi")
    assert Closes(failed.turn) in (await chat.press(failed.buttons["Retry"])).changes


async def test_a_button_works_for_a_day(chat: Conversation, models: ScriptedModels) -> None:
    button = await failed_in(chat, models)
    chat.passed = 86_500
    assert "no longer works" in (await chat.press(button)).text
    assert len(models.prompts) == 1


async def test_an_unknown_button_is_told(chat: Conversation) -> None:
    assert "no longer works" in (await chat.press("'; DROP TABLE buttons")).text


async def test_another_persons_button_is_not_pressed(chat: Conversation, models: ScriptedModels) -> None:
    button = await failed_in(chat, models)
    assert (await chat.press(button, BOB)).text == "Bob, this button is for someone else."
    assert (await chat.press(button, ANN)).text == "answer 2"


async def test_the_owner_may_press_all(chat: Conversation, models: ScriptedModels) -> None:
    assert (await chat.press(await failed_in(chat, models), OWNER)).text == "answer 2"


async def test_a_button_from_before_a_reset_brings_nothing_back(chat: Conversation, models: ScriptedModels) -> None:
    button = await failed_in(chat, models)
    await chat.reset()
    assert "moved on" in (await chat.press(button)).text
    assert len(models.prompts) == 1


# --- language ----------------------------------------------------------------------------------------------------------


async def test_sentences_and_buttons_are_in_the_persons_language(store: Store, models: ScriptedModels) -> None:
    chat = Conversation(store, models, language="zh")
    models.replies = [trouble(Trouble.FAULT)]
    failed = await chat.say("你好")
    assert "服务器出错" in failed.text
    assert set(failed.buttons) == {"重试", "改用 qwen-text"}


async def test_no_model_at_all_is_told(store: Store) -> None:
    nothing: tuple[ModelCard, ...] = ()
    assert "No model" in (await Conversation(store, ScriptedModels(nothing)).say("hi")).text
