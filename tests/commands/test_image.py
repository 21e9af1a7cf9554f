"""/image: what it orders, what it declines before any money is spent, and the buttons that order anew."""

from __future__ import annotations

import pytest

from bot.messages import Asked, Attachment, Finish, Finished, Notice, Ordered
from bot.messages.orders import WorkOrder, WorkResult
from bot.ports import JobState, ModelCard
from storage.store import Store
from tests.conversations import (
    ALL,
    GLM,
    OWNER,
    QWEN_EDIT,
    STUDIO,
    Album,
    Conversation,
    KeptFiles,
    ScriptedModels,
    picture,
)


def of(order: WorkOrder | None) -> WorkOrder:
    assert order is not None
    return order


async def test_it_answers_at_once_and_orders(chat: Conversation, store: Store) -> None:
    answer = await chat.say("/image a red fox in snow")
    order = of(answer.ordered)
    assert (order.text, order.model, order.size, order.count, order.pictures) == (
        "a red fox in snow", "glm-image", "", 1, (),
    )  # fmt: skip
    asked, ordered, notice = answer.items[:3]
    assert asked == Asked(text="/image a red fox in snow", author="", parent=None, model="glm-image")
    assert isinstance(ordered, Ordered) and (ordered.kind, ordered.patience) == ("image", 900.0)
    assert notice == Notice("drawing with glm-image …")
    assert (set(answer.buttons), answer.finished) == ({"Cancel"}, Finished(reason=Finish.COMMAND))
    job = await store.job(answer.turn)
    assert job and (job.state, job.kind, job.model) == (JobState.QUEUED, "image", "glm-image")


async def test_all_options_reach_the_order(chat: Conversation) -> None:
    answer = await chat.say("/image x3 wide a fox --model qwen-image")
    order = of(answer.ordered)
    assert (order.text, order.model, order.size, order.count) == ("a fox", "qwen-image", "1664x928", 3)
    assert order.seed is not None
    assert answer.notices == ["drawing 3 pictures with qwen-image …"]


async def test_the_chats_vendor_draws(chat: Conversation) -> None:
    await chat.say("/model qwen")
    assert of((await chat.say("/image a fox")).ordered).model == "qwen-image"


async def test_the_owners_image_model_draws_for_all(store: Store, models: ScriptedModels) -> None:
    chat = Conversation(store, models, image_model="qwen-image")
    assert of((await chat.say("/image a fox")).ordered).model == "qwen-image"


@pytest.mark.parametrize("size", ["500x1024", "1024x1025", "2048x2048", "99999x1", "0x0"])
async def test_an_impossible_size_costs_nothing_and_says_what_is_possible(chat: Conversation, size: str) -> None:
    answer = await chat.say(f"/image {size} a fox")
    assert f"glm-image cannot draw {size}" in answer.text
    assert "512 to 2048 px in steps of 16" in answer.text
    assert not answer.changes


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("x0 a fox", "glm-image draws 1 to 4 pictures at a time, not 0."),
        ("x5 a fox", "glm-image draws 1 to 4 pictures at a time, not 5."),
        ("x999999999 a fox", "not 999999999."),
        (f"x{10**20} a fox", f"not {10**20}."),
        (f"{10**20}x1 a fox", f"glm-image cannot draw {10**20}x1."),
        (
            "--model nonsense a fox",
            "I know no model “nonsense”. These do it: `glm-image`, `qwen-image`, `qwen-edit`",
        ),
        (
            "--model qwen-imgae a fox",
            "I know no model “qwen-imgae”. These do it: `qwen-image`, `qwen-edit`, `glm-image`",
        ),
        ("--model glm-text a fox", "“glm-text” does not do that here"),
        ("a fox --model", "Which model? Write its name behind `--model`: `glm-image`, `qwen-image`, `qwen-edit`"),
        ("a fox --ar 16:9", "I do not know “--ar”"),
        ("--model qwen-image 1024x1024 a fox", "qwen-image cannot draw 1024x1024. It draws: 1328x1328, 1664x928"),
        ("--model qwen-edit a fox", "qwen-edit works from a picture: reply to one, or send one along."),
    ],
)
async def test_what_cannot_be_drawn_costs_nothing_and_is_explained(chat: Conversation, said: str, told: str) -> None:
    answer = await chat.say(f"/image {said}")
    assert told in answer.text
    assert not answer.changes


async def test_a_model_without_a_key_names_the_variable_to_the_owner_alone(chat: Conversation) -> None:
    assert "`KIMI_API_KEY`" in (await chat.say(chat.message("/image --model kimi a fox", OWNER))).text
    assert "KIMI" not in (await chat.say("/image --model kimi a fox")).text


async def test_a_quote_may_be_what_to_draw(chat: Conversation) -> None:
    answer = await chat.say(chat.message("/image square", quote="a castle\nin the air", quoted="Bob"))
    assert (of(answer.ordered).text, of(answer.ordered).size) == ("a castle in the air", "1024x1024")


async def test_without_an_image_model_it_says_so(store: Store) -> None:
    chat = Conversation(store, ScriptedModels((GLM,)))
    assert "No model is set up" in (await chat.say("/image a fox")).text


async def test_a_chat_has_room_for_so_many_orders(chat: Conversation) -> None:
    for _ in range(20):
        assert (await chat.say("/image a fox")).ordered
    declined = await chat.say("/image a fox")
    assert "20 tasks run in this chat already" in declined.text
    assert "20 tasks run" in (await chat.say("/later why?")).text
    await chat.draws()
    assert (await chat.say("/image a fox")).ordered


# --- changing pictures -------------------------------------------------------------------------------------------------


async def test_a_picture_that_comes_along_is_changed_by_a_model_that_can(chat: Conversation) -> None:
    answer = await chat.say(chat.message("/image make it blue", attachments=(picture(),)))
    order = of(answer.ordered)
    assert (order.model, order.text, len(order.pictures)) == ("qwen-edit", "make it blue", 1)
    assert answer.notices == ["changing the picture with qwen-edit …"]
    (asked,) = [item for item in answer.items if isinstance(item, Asked)]
    assert asked.files == order.pictures


async def test_a_reply_to_a_drawn_picture_changes_that_one(chat: Conversation) -> None:
    await chat.say("/image x3 a fox")
    drawn = await chat.draws(b"\x89PNG 1", b"\x89PNG 2", b"\x89PNG 3")
    changed = await chat.say(chat.message("/image make it blue", replies_to=drawn.messages[1]))
    assert of(changed.ordered).pictures == (drawn.media[1].file,)


async def test_a_reply_to_ones_own_picture_changes_it(chat: Conversation) -> None:
    sent = chat.message("what is it?", attachments=(picture(),))
    answer = await chat.say(sent)
    (asked,) = [item for item in answer.items if isinstance(item, Asked)]
    by_question = await chat.say(chat.message("/image make it blue", replies_to=sent.id))
    by_answer = await chat.say(chat.message("/image make it red", replies_to=answer.messages[0]))
    assert of(by_question.ordered).pictures == of(by_answer.ordered).pictures == asked.files


async def test_a_reply_to_words_draws_from_words(chat: Conversation) -> None:
    answer = await chat.say("hello")
    assert of((await chat.say(chat.message("/image a fox", replies_to=answer.messages[0]))).ordered).pictures == ()


async def test_a_reply_to_what_cannot_be_seen_is_explained(chat: Conversation) -> None:
    answer = await chat.say(chat.message("/image make it blue", replies_to="elsewhere"))
    assert answer.text == "I cannot see what you reply to: send the picture together with the command."
    assert not answer.changes


async def test_a_picture_that_is_too_small_or_large_is_scaled_before_it_is_ordered(
    store: Store, models: ScriptedModels
) -> None:
    files = KeptFiles()
    chat = Conversation(store, models, files=files)
    files.sizes["0.png"] = 100, 80
    answer = await chat.say(chat.message("/image make it blue", attachments=(picture(),)))
    (scaled,) = of(answer.ordered).pictures
    assert files.sizes[scaled] == (480, 384)
    (asked,) = [item for item in answer.items if isinstance(item, Asked)]
    assert asked.files == ("0.png",), "the history keeps what was sent"


async def test_one_that_no_scaling_makes_fit_costs_nothing_and_is_explained(
    store: Store, models: ScriptedModels
) -> None:
    files = KeptFiles()
    chat = Conversation(store, models, files=files)
    files.sizes["0.png"] = 2000, 100
    answer = await chat.say(chat.message("/image make it blue", attachments=(picture(),)))
    assert "qwen-edit takes pictures with sides of 384 to 3072 px. Yours has 2000×100 px" in answer.text
    assert not answer.changes


async def test_what_the_vendor_would_cut_off_is_said(chat: Conversation) -> None:
    words = "blue " * 200
    answer = await chat.say(chat.message(f"/image {words}", attachments=(picture(),)))
    assert of(answer.ordered).text == words.strip()
    assert "Of your 999 characters, qwen-edit may read no more than the first 800" in answer.notices[0]


@pytest.mark.parametrize(
    ("cards", "pictures", "said", "told"),
    [
        (ALL, 1, "make it blue", "No model here can change a picture."),
        (STUDIO, 3, "join them", "At most 2 pictures can be changed at once, not 3."),
        (STUDIO, 1, "--model qwen-image make it blue", "qwen-image cannot change a picture. These can: `qwen-edit`"),
        (STUDIO, 1, "wide make it blue", "qwen-edit chooses the size itself: leave wide out."),
    ],
)
async def test_what_cannot_be_changed_costs_nothing(
    store: Store, cards: tuple[ModelCard, ...], pictures: int, said: str, told: str
) -> None:
    files = {f"p{number}": b"\x89PNG %d" % number for number in range(pictures)}
    chat = Conversation(store, ScriptedModels(cards), {"web": Album(**files)})
    message = chat.message(f"/image {said}", attachments=tuple(picture(name) for name in files))
    answer = await chat.say(message)
    assert answer.text == told
    assert not answer.changes


async def test_what_is_no_picture_is_declined(chat: Conversation) -> None:
    voice = Attachment("voice", "memo", mime="audio/ogg")
    answer = await chat.say(chat.message("/image like this", attachments=(voice,)))
    assert answer.text == "I can take pictures along, but not this: voice message."


# --- once more ---------------------------------------------------------------------------------------------------------


async def test_again_draws_the_same_anew(chat: Conversation) -> None:
    first = of((await chat.say("/image 1664x928 x2 a fox: red, in snow --model qwen-image")).ordered)
    drawn = await chat.draws()
    again = await chat.press(drawn.buttons["Again"])
    second = of(again.ordered)
    assert (second.text, second.size, second.count, second.model) == (first.text, "1664x928", 2, "qwen-image")
    assert second.seed != first.seed
    (asked,) = [item for item in again.items if isinstance(item, Asked)]
    assert asked.text == "/image 1664x928 x2 a fox: red, in snow"


async def test_another_model_may_draw_it_in_the_same_shape(chat: Conversation) -> None:
    await chat.say("/image 1280x720 a fox")
    drawn = await chat.draws()
    choice = await chat.press(drawn.buttons["Other model"])
    assert set(choice.buttons) == {"qwen-image"}, "one that only changes pictures is none"
    order = of((await chat.press(choice.buttons["qwen-image"])).ordered)
    assert (order.model, order.text, order.size) == ("qwen-image", "a fox", "1664x928")


async def test_without_another_model_none_is_offered(store: Store) -> None:
    chat = Conversation(store, ScriptedModels(tuple(card for card in ALL if card.name != "qwen-image")))
    await chat.say("/image a fox")
    assert set((await chat.draws()).buttons) == {"Again"}


async def test_a_failed_drawing_can_be_tried_again(chat: Conversation) -> None:
    await chat.say("/image 1024x1024 a fox")
    failed = await chat.ends(WorkResult(error="fault"), JobState.FAILED)
    order = of((await chat.press(failed.buttons["Try again"])).ordered)
    assert (order.text, order.size) == ("a fox", "1024x1024")


async def test_what_failed_is_retried_with_its_pictures(chat: Conversation) -> None:
    first = await chat.say(chat.message("/image make it blue", attachments=(picture(),)))
    await chat.ends(WorkResult(error="fault"), JobState.FAILED)
    again = await chat.say("/retry")
    assert of(again.ordered).pictures == of(first.ordered).pictures
    assert of(again.ordered).model == QWEN_EDIT.name


async def test_retry_of_a_picture_draws_it_again_beside_the_first(chat: Conversation, models: ScriptedModels) -> None:
    await chat.say("/image 1024x1024 a fox")
    await chat.draws()
    again = await chat.say("/retry")
    assert (of(again.ordered).text, of(again.ordered).size) == ("a fox", "1024x1024")
    await chat.draws()
    await chat.say("nice")
    assert [text for _, text in models.lines] == ["Draw a picture: 1024x1024 a fox", "[picture: a fox]", "nice"]


async def test_a_button_whose_model_is_gone_says_so(chat: Conversation, store: Store) -> None:
    await chat.say("/image a fox")
    choice = await chat.press((await chat.draws()).buttons["Other model"])
    fewer = Conversation(store, ScriptedModels(ALL[:3]))
    fewer.key, button = chat.key, choice.buttons["qwen-image"]
    fewer._numbers = chat._numbers
    assert (await fewer.press(button)).text == "This button no longer works."
