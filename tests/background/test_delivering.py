"""What came of work in the background becomes an answer."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from bot import phrases
from bot.messages import Answered, Finish, Media, Replaces
from bot.messages.orders import WorkResult
from bot.ports import JobState
from storage import open_store
from storage.store import Store
from tests.conversations import GLM, GLM_IMAGE, STUDIO, Conversation, ScriptedModels


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    async with open_store(f"sqlite:///{tmp_path}/magpie.db") as opened:
        yield opened


@pytest.fixture
def models() -> ScriptedModels:
    return ScriptedModels(STUDIO)


@pytest.fixture
def chat(store: Store, models: ScriptedModels) -> Conversation:
    return Conversation(store, models)


async def test_the_waiting_line_becomes_the_picture(chat: Conversation, models: ScriptedModels) -> None:
    ordered = await chat.say("/image a red fox in snow")
    drawn = await chat.draws(cost=60_000)
    assert drawn.items[0] == Replaces(ordered.turn)
    assert drawn.messages == ordered.messages, "it stands where the line stood"
    assert drawn.media == [Media(drawn.media[0].file, "image/png", "a red fox in snow")]
    assert set(drawn.buttons) == {"Again", "Other model"}
    finished = drawn.finished
    assert (finished.reason, finished.model, finished.cost, finished.call) == (Finish.STOP, "glm-image", 60_000, None)
    assert finished.usage.pictures == 1
    await chat.say("nicer?")
    assert models.lines == [
        ("user", "Draw a picture: a red fox in snow"),
        ("assistant", "[picture: a red fox in snow]"),
        ("user", "nicer?"),
    ]


async def test_where_the_conversation_went_on_it_stays(chat: Conversation, models: ScriptedModels) -> None:
    await chat.say("/image a fox")
    await chat.say("hello")
    drawn = await chat.draws()
    (kept,) = [item for item in drawn.items if isinstance(item, Answered)]
    assert not kept.moves
    await chat.say("and?")
    assert [text for _, text in models.lines] == ["hello", "answer 1", "and?"]
    await chat.say(chat.message("nicer?", replies_to=drawn.messages[0]))
    assert [text for _, text in models.lines] == ["Draw a picture: a fox", "[picture: a fox]", "nicer?"]


async def test_after_a_reset_it_is_shown_but_not_remembered(chat: Conversation, models: ScriptedModels) -> None:
    await chat.say("/image a fox")
    await chat.reset()
    drawn = await chat.draws()
    assert drawn.media
    assert not [item for item in drawn.items if isinstance(item, Answered)]
    assert (await chat.press(drawn.buttons["Again"])).ordered
    await chat.say("hi")
    assert models.lines == [("user", "hi")]


async def test_several_pictures_are_several_messages(chat: Conversation) -> None:
    await chat.say("/image x3 a fox")
    drawn = await chat.draws(b"\x89PNG 1", b"\x89PNG 2", b"\x89PNG 3")
    assert [media.caption for media in drawn.media] == ["a fox", "", ""]
    assert drawn.finished.usage.pictures == 3


async def test_of_some_that_failed_the_good_ones_are_shown(chat: Conversation) -> None:
    await chat.say("/image x4 a fox")
    drawn = await chat.draws(b"\x89PNG 1", b"\x89PNG 2", missing=2, why="too foxy")
    assert len(drawn.media) == 2
    assert drawn.text == "2 of 4: too foxy"
    await chat.say("/image x2 a fox")
    assert "1 of 2: the vendor did not draw the others" in (await chat.draws(missing=1)).text


async def test_that_the_vendor_read_only_the_beginning_stays_said(store: Store) -> None:
    chat = Conversation(store, ScriptedModels([GLM, replace(GLM_IMAGE, prompt_limit=10, truncates=True)]))
    await chat.say("/image a fox in the snow")
    assert "no more than the first 10" in (await chat.draws()).text, (
        "the line that said so first has become the picture"
    )


async def test_the_simulator_is_not_passed_off_as_a_model(store: Store) -> None:
    chat = Conversation(store, ScriptedModels(STUDIO, simulated=True))
    await chat.say("/image a fox")
    assert "simulator" in (await chat.draws()).media[0].caption


@pytest.mark.parametrize("trouble", sorted(phrases.TROUBLE))
async def test_every_trouble_has_its_sentence_in_place(chat: Conversation, trouble: str) -> None:
    ordered = await chat.say("/image a fox")
    failed = await chat.ends(WorkResult(error=trouble, code="77", vendor_message="no"), JobState.FAILED)
    assert failed.items[0] == Replaces(ordered.turn)
    assert failed.text == {**phrases.TROUBLE, **phrases.jobs.TROUBLE}[trouble].en
    assert "/" not in failed.text, "neither /model nor /reset would help"
    assert (failed.finished.code, failed.finished.vendor_message) == ("77", "no")
    assert ("Try again" in failed.buttons) == (trouble != "refused")
    assert "Other model" in failed.buttons


@pytest.mark.parametrize(
    ("error", "told"),
    [
        ("deadline", "It was not ready in time"),
        ("budget", "This could cost more than the owner allows for a whole day."),
        ("no model", "glm-image is no longer set up here."),
        ("lost file", "is no longer there"),
        ("our fault", "Something went wrong on my side"),
        ("what nobody knows", "Something went wrong on my side"),
    ],
)
async def test_our_own_reasons_have_theirs(chat: Conversation, error: str, told: str) -> None:
    await chat.say("/image a fox")
    assert told in (await chat.ends(WorkResult(error=error), JobState.FAILED)).text


async def test_a_spent_budget_says_when_it_opens_again(chat: Conversation) -> None:
    await chat.say("/image a fox")
    failed = await chat.ends(WorkResult(error="budget", code="00:00"), JobState.FAILED)
    assert failed.text.startswith("Today's budget is spent. It opens again at 00:00")
    assert failed.finished.code == "budget"


async def test_what_a_crash_cut_off_is_ordered_again_only_by_a_person(chat: Conversation) -> None:
    await chat.say("/image a fox")
    unsure = await chat.ends(WorkResult(), JobState.UNSURE)
    assert "it may be billed" in unsure.text
    again = await chat.press(unsure.buttons["Order again"])
    assert again.ordered and again.ordered.text == "a fox"


async def test_a_refused_picture_is_spoken_of_as_one(chat: Conversation) -> None:
    await chat.say("/image a cat")
    failed = await chat.ends(WorkResult(error="refused", code="1301"), JobState.FAILED)
    assert "description or picture" in failed.text
    assert "question" not in failed.text


async def test_a_refused_prompt_stays_out_of_context(chat: Conversation, models: ScriptedModels) -> None:
    await chat.say("/image something bad")
    refused = await chat.ends(WorkResult(error="refused"), JobState.FAILED)
    assert refused.finished.reason is Finish.REFUSED
    await chat.say("hi")
    assert models.lines == [("user", "hi")]


async def test_info_tells_of_it(chat: Conversation) -> None:
    await chat.say("/image a fox")
    await chat.draws(cost=60_000)
    told = (await chat.say("/info")).text
    assert "glm-image" in told and "0.06 CNY" in told and "Pictures: 1" in told
