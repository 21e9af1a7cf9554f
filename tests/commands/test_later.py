"""/later: a question that is answered in the background, in a branch of its own."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bot.errors import ModelError, Trouble, Unreadable
from bot.messages import Answered, Closes, Finish, Replaces
from bot.messages.orders import WorkOrder, WorkResult
from bot.ports import JobState, Prompt
from storage.store import Store
from tests.conversations import GLM, STUDIO, Answer, Conversation, ScriptedModels, picture

PATIENT = replace(GLM, later=True)
CARDS = (PATIENT, *STUDIO[1:])


async def asked_of(chat: Conversation, answer: Answer) -> Prompt:
    job = await chat.store.job(answer.turn)
    assert job
    return await chat.manager.prompt_of(job, WorkOrder.load(job.order))


def lines(prompt: Prompt) -> list[tuple[str, str]]:
    return [(line.role, line.text) for line in prompt.lines[1:]]


@pytest.fixture
def models() -> ScriptedModels:
    return ScriptedModels(CARDS)


async def test_it_answers_at_once_with_its_number(chat: Conversation, store: Store) -> None:
    answer = await chat.say("/later why is the sky blue?")
    assert answer.notices == [
        f"Task {answer.turn}: I answer here when it is ready (glm-text). You can go on meanwhile."
    ]
    assert set(answer.buttons) == {"Cancel"}
    job = await store.job(answer.turn)
    assert job and (job.kind, job.model, job.patience) == ("chat", "glm-text", 1800.0)


async def test_its_answer_is_a_reply_to_the_question_wherever_it_was_asked(chat: Conversation) -> None:
    said = chat.message("/later why?")
    order = (await chat.say(said)).ordered
    assert order and order.address.reply_to == said.id


async def test_where_nothing_is_answered_later_it_says_how_it_goes(chat: Conversation) -> None:
    await chat.say("/model qwen")
    answer = await chat.say("/later why?")
    assert "qwen-text answers nothing later, so I ask it now in the background" in answer.notices[0]


async def test_the_model_is_asked_with_what_came_before(chat: Conversation) -> None:
    await chat.say("my name is Ann")
    await chat.say("/think on")
    answer = await chat.say("/later what is my name?")
    await chat.say("and something else")
    prompt = await asked_of(chat, answer)
    assert lines(prompt) == [("user", "my name is Ann"), ("assistant", "answer 1"), ("user", "what is my name?")]
    assert (prompt.card, prompt.turn, prompt.chat) == (PATIENT, answer.turn, chat.key)
    assert prompt.job_fence == 0


async def test_its_answer_is_a_reply_of_its_own_and_the_conversation_stays(
    chat: Conversation, models: ScriptedModels
) -> None:
    await chat.say("hello")
    asked = await chat.say("/later why is the sky blue?")
    await chat.say("meanwhile")
    answer = await chat.ends(WorkResult(text="Because of **Rayleigh**.", prompt=12, completion=7, cost=40))
    assert answer.text == "Because of **Rayleigh**."
    assert not [item for item in answer.items if isinstance(item, Replaces)]
    assert Closes(asked.turn) in answer.changes  # there is nothing to cancel any more
    (kept,) = [item for item in answer.items if isinstance(item, Answered)]
    assert not kept.moves
    finished = answer.finished
    assert (finished.reason, finished.usage.prompt, finished.cost, finished.call) == (Finish.STOP, 12, 40, None)
    await chat.say("and now?")
    assert [text for _, text in models.lines] == ["hello", "answer 1", "meanwhile", "answer 2", "and now?"]


async def test_the_pages_that_it_rests_on_stand_under_it_and_not_in_the_history(
    chat: Conversation, models: ScriptedModels
) -> None:
    await chat.say("/later why?")
    pages = ((2, "Light", "https://example.org/light"), (1, "Sky", "https://example.org/sky"))
    answer = await chat.ends(WorkResult(text="Because [1].", sources=pages))
    assert answer.text == (
        "Because [1].\n\n**Sources**\n[1] [Sky](https://example.org/sky)\n[2] [Light](https://example.org/light)"
    )
    await chat.say(chat.message("really?", replies_to=answer.messages[0]))
    assert [text for _, text in models.lines] == ["why?", "Because [1].", "really?"]


async def test_a_reply_to_its_answer_goes_on_from_there(chat: Conversation, models: ScriptedModels) -> None:
    await chat.say("hello")
    await chat.say("/later why?")
    await chat.say("meanwhile")
    answer = await chat.ends(WorkResult(text="Because."))
    await chat.say(chat.message("really?", replies_to=answer.messages[0]))
    assert [text for _, text in models.lines] == ["hello", "answer 1", "why?", "Because.", "really?"]


async def test_a_reply_to_an_older_answer_asks_from_there(chat: Conversation) -> None:
    first = await chat.say("hello")
    await chat.say("something else")
    answer = await chat.say(chat.message("/later why?", replies_to=first.messages[0]))
    assert [text for _, text in lines(await asked_of(chat, answer))] == ["hello", "answer 1", "why?"]


async def test_pictures_are_asked_about_too(chat: Conversation) -> None:
    answer = await chat.say(chat.message("/later", attachments=(picture(),)))
    prompt = await asked_of(chat, answer)
    assert prompt.card.vision
    assert len(prompt.lines[-1].files) == 1


@pytest.mark.parametrize(
    ("error", "told"),
    [
        ("fault", "The vendor's servers failed."),
        ("deadline", "It was not ready in time, so I gave up on it."),
        ("budget", "This could cost more than the owner allows"),
        ("our fault", "Something went wrong on my side."),
    ],
)
async def test_a_failure_says_why_and_can_be_asked_again(
    chat: Conversation, models: ScriptedModels, error: str, told: str
) -> None:
    await chat.say("hello")
    await chat.say("/later why?")
    failed = await chat.ends(WorkResult(error=error), JobState.FAILED)
    assert told in failed.text
    assert failed.finished.reason is Finish.FAILED
    pressed = await chat.press(failed.buttons["Ask again"])
    assert Closes(failed.turn) in pressed.changes
    assert [text for _, text in models.lines] == ["hello", "answer 1", "why?"]


async def test_what_a_vendor_refuses_is_not_asked_again_but_elsewhere(
    chat: Conversation, models: ScriptedModels
) -> None:
    await chat.say("/later why?")
    refused = await chat.ends(WorkResult(text="half an", error="refused"))
    assert "content filter" in refused.text
    assert refused.finished.reason is Finish.REFUSED
    assert set(refused.buttons) == {"Try qwen-text"}
    await chat.press(refused.buttons["Try qwen-text"])
    assert (models.prompts[-1].card.name, models.lines) == ("qwen-text", [("user", "why?")])


async def test_an_answer_that_broke_off_says_so_and_an_empty_one_too(chat: Conversation) -> None:
    await chat.say("/later why?")
    assert (await chat.ends(WorkResult(text="Because", error="cut"))).text.startswith("Because\n\n*(the answer broke")
    await chat.say("/later why?")
    assert "empty answer" in (await chat.ends(WorkResult())).text


async def test_nothing_of_an_old_conversation_reaches_the_new_one(chat: Conversation, store: Store) -> None:
    answer = await chat.say("/later why?")
    await chat.reset()
    job = await store.job(answer.turn)
    assert job and job.state is JobState.CANCELLING


async def test_an_answer_that_came_just_before_a_reset_is_not_told_and_its_line_promises_none(
    chat: Conversation,
) -> None:
    asked = await chat.say("/later why?")
    [job], _ = await chat.store.claim_jobs(1)
    await chat.store.end_job(job, JobState.DONE, WorkResult(text="Because.").dump(), cost=0)
    await chat.reset()
    told = await chat.hears()
    assert (told.changes, told.text) == ([Replaces(asked.turn)], "*(cancelled)*")


async def test_a_question_that_fits_no_window_costs_nothing(chat: Conversation) -> None:
    answer = await chat.say("/later " + "why? " * 4_000)
    assert "too long for glm-text" in answer.text
    assert not answer.changes


async def test_what_no_longer_fits_or_is_gone_is_an_error_of_the_job(
    chat: Conversation, models: ScriptedModels
) -> None:
    answer = await chat.say("/later " + "why? " * 1_000)
    small = Conversation(chat.store, ScriptedModels((replace(PATIENT, window=1_000, output=500),)))
    with pytest.raises(ModelError) as long:
        await asked_of(small, answer)
    assert long.value.trouble is Trouble.TOO_LONG
    with pytest.raises(Unreadable):
        await asked_of(Conversation(chat.store, ScriptedModels(())), answer)


async def test_an_edited_later_question_is_asked_anew(chat: Conversation, store: Store) -> None:
    said = chat.message("/later wyh?")
    first = await chat.say(said)
    edited = await chat.edit(said, "/later why?")
    assert edited.items[0] == Replaces(first.turn)
    assert edited.ordered and edited.ordered.text == "why?"
    job = await store.job(first.turn)
    assert job and job.state is JobState.CANCELLING
