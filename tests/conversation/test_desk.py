"""Desk a model: what happens when it fails, refuses or breaks off, and the pictures that people send."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from bot.errors import BudgetSpent, ModelError, PlatformError, Trouble
from bot.messages import Answered, Attachment, Finish, Finished, Text, Thought, Withdraw
from storage import open_store
from storage.store import Store
from tests.conversations import (
    GLM,
    QWEN,
    Album,
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


def trouble(kind: Trouble, **values: str | int) -> ModelError:
    return ModelError(kind, vendor="glm", **values)  # type: ignore[arg-type] # tests name real fields


# --- what goes wrong ---------------------------------------------------------------------------------------------------


async def test_a_failed_question_can_be_asked_again(chat: Conversation, models: ScriptedModels) -> None:
    models.replies = [trouble(Trouble.FAULT, status=500, code="500", request_id="r1", vendor_message="boom"), "Better."]
    failed = await chat.say("hi")
    assert "servers failed" in failed.text
    assert failed.finished == Finished(
        reason=Finish.FAILED, model="glm-text", status=500, code="500", request_id="r1", vendor_message="boom"
    )
    again = await chat.press(failed.buttons["Retry"])
    assert again.text == "Better."
    await chat.say("and now?")
    assert models.lines == [("user", "hi"), ("assistant", "Better."), ("user", "and now?")]


async def test_it_may_fail_more_than_once(chat: Conversation, models: ScriptedModels) -> None:
    models.replies = [trouble(Trouble.BUSY), trouble(Trouble.BUSY), "At last."]
    failed = await chat.say("hi")
    failed = await chat.press(failed.buttons["Retry"])
    assert (await chat.press(failed.buttons["Retry"])).text == "At last."


async def test_a_failed_question_is_in_nobodys_way(chat: Conversation, models: ScriptedModels) -> None:
    models.replies = [trouble(Trouble.FAULT)]
    failed = await chat.say("lost")
    await chat.say("next")
    assert models.lines == [("user", "next")]
    await chat.press(failed.buttons["Retry"])
    assert models.lines == [("user", "next"), ("assistant", "answer 2"), ("user", "lost")]


async def test_the_other_vendor_may_be_tried(chat: Conversation, models: ScriptedModels) -> None:
    models.replies = [trouble(Trouble.NO_MONEY)]
    failed = await chat.say("hi")
    await chat.press(failed.buttons["Try qwen-text"])
    assert models.prompts[-1].card is QWEN
    assert models.lines == [("user", "hi")]


async def test_a_refused_question_stays_out_of_later_context(chat: Conversation, models: ScriptedModels) -> None:
    models.replies = [trouble(Trouble.REFUSED)]
    refused = await chat.say("something bad")
    assert refused.finished.reason is Finish.REFUSED
    assert "Retry" not in refused.buttons
    await chat.say("something good")
    assert models.lines == [("user", "something good")]


@pytest.mark.parametrize("end", [trouble(Trouble.REFUSED), Finished(reason=Finish.REFUSED, model="glm-text")])
async def test_an_answer_refused_in_the_middle_is_withdrawn(
    chat: Conversation, models: ScriptedModels, end: Exception | Finished
) -> None:
    models.replies = [[Text("Once there was"), end]]
    refused = await chat.say("tell")
    assert Withdraw() in refused.items
    assert "Once" not in refused.text
    assert "content filter" in refused.text
    assert not any(isinstance(change, Answered) for change in refused.changes)


@pytest.mark.parametrize("end", [trouble(Trouble.CUT), Finished(reason=Finish.CUT, model="glm-text")])
async def test_half_an_answer_is_shown_marked_and_continued(
    chat: Conversation, models: ScriptedModels, end: Exception | Finished
) -> None:
    models.replies = [[Text("One, two,"), end], "three."]
    cut = await chat.say("count")
    assert cut.text == "One, two,\n\n*(the answer broke off here)*"
    assert cut.finished.reason is Finish.CUT
    await chat.press(cut.buttons["Continue"])
    assert models.lines[:2] == [("user", "count"), ("assistant", "One, two,")]
    assert "Continue" in models.lines[2][1]


async def test_an_answer_at_the_models_limit_is_marked_outside_of_its_code(
    chat: Conversation, models: ScriptedModels
) -> None:
    models.replies = [[Text("```py\nx = 1"), Finished(reason=Finish.LENGTH, model="glm-text")]]
    answer = await chat.say("code")
    assert answer.text == "```py\nx = 1\n```\n\n*(cut at the model's length limit)*"
    assert "Continue" in answer.buttons


async def test_a_conversation_that_moved_on_is_not_continued(chat: Conversation, models: ScriptedModels) -> None:
    models.replies = [[Text("One"), trouble(Trouble.CUT)]]
    cut = await chat.say("count")
    await chat.say("something else")
    assert "moved on" in (await chat.press(cut.buttons["Continue"])).text


async def test_an_empty_answer_is_told_and_not_remembered(chat: Conversation, models: ScriptedModels) -> None:
    models.replies = [[Thought("hm"), Finished(reason=Finish.STOP, model="glm-text", cost=7)]]
    answer = await chat.say("hi")
    assert "empty answer" in answer.text
    assert answer.finished.reason is Finish.FAILED
    assert answer.finished.cost == 7
    await chat.say("again")
    assert models.lines == [("user", "again")]


async def test_what_the_vendor_finds_too_long_is_shortened_once(chat: Conversation, models: ScriptedModels) -> None:
    for number in range(4):
        await chat.say(f"question {number}")
    models.replies = [trouble(Trouble.TOO_LONG), "Short enough."]
    answer = await chat.say("and?")
    assert answer.text == "Short enough."
    assert "older half" in answer.notices[0]
    assert len(models.prompts[-1].lines) < len(models.prompts[-2].lines)
    models.replies = [trouble(Trouble.TOO_LONG), trouble(Trouble.TOO_LONG)]
    assert "too long for this model" in (await chat.say("and now?")).text


async def test_a_lone_question_too_long_for_the_vendor_is_not_repeated(
    chat: Conversation, models: ScriptedModels
) -> None:
    models.replies = [trouble(Trouble.TOO_LONG)]
    assert "too long for this model" in (await chat.say("hi")).text
    assert len(models.prompts) == 1


async def test_a_spent_budget_says_when_it_opens(chat: Conversation, models: ScriptedModels) -> None:
    models.replies = [BudgetSpent(datetime(2026, 11, 23, 0, 0, tzinfo=UTC))]
    answer = await chat.say("hi")
    assert "opens again at 00:00" in answer.text
    assert "Retry" in answer.buttons


# --- pictures that people send -----------------------------------------------------------------------------------------


async def test_a_picture_goes_to_a_model_that_sees(chat: Conversation, models: ScriptedModels) -> None:
    await chat.say(chat.message("what is this?", attachments=(picture("a"), picture("b"))))
    assert models.prompts[-1].card.name == "glm-vision"
    assert len(models.prompts[-1].lines[-1].files) == 2
    await chat.say("thanks")
    assert models.prompts[-1].card is GLM
    assert models.lines[0] == ("user", "[picture]\n[picture]\nwhat is this?")


async def test_a_picture_alone_is_a_question(chat: Conversation, models: ScriptedModels) -> None:
    await chat.say(chat.message("", attachments=(picture(),)))
    assert models.lines == [("user", "What is in this picture?")]


async def test_a_vendor_without_eyes_says_so(store: Store) -> None:
    models = ScriptedModels((QWEN,))
    blind = Conversation(store, models)
    answer = await blind.say(blind.message("?", attachments=(picture(),)))
    assert "no model here that sees" in answer.text
    assert not models.prompts


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"bomb", "too large"),
        (b"text", "could not read"),
        (PlatformError("gone"), "could not fetch"),
    ],
)
async def test_a_bad_picture_gets_a_sentence(
    store: Store, models: ScriptedModels, data: bytes | Exception, sentence: str
) -> None:
    chat = Conversation(store, models, {"web": Album(fox=data)})
    answer = await chat.say(chat.message("what is this?", attachments=(picture("fox"),)))
    assert sentence in answer.text
    assert not models.prompts


async def test_a_file_over_the_limit_is_not_fetched(store: Store, models: ScriptedModels) -> None:
    chat = Conversation(store, models, {"web": Album(fox=AssertionError("fetched"))})
    answer = await chat.say(chat.message("?", attachments=(picture("fox", 60_000_000),)))
    assert "at most 20 MB" in answer.text


async def test_what_cannot_be_read_alone_says_what_can(chat: Conversation, models: ScriptedModels) -> None:
    answer = await chat.say(chat.message("", attachments=(Attachment("other", "x", name="sticker"),)))
    assert (
        answer.text
        == "I cannot read this: sticker. I take text, pictures, documents, and recordings in OGG, MP3, WAV or FLAC."
    )
    assert not models.prompts


async def test_what_cannot_be_read_beside_a_text_is_mentioned(chat: Conversation, models: ScriptedModels) -> None:
    answer = await chat.say(chat.message("hi", attachments=(Attachment("voice", "x"),)))
    assert answer.text == "*I cannot read this: voice message.*\n\nanswer 1"
    await chat.say("next")
    assert models.lines[1] == ("assistant", "answer 1")
