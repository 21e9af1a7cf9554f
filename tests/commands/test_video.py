"""/video: what it orders, and what it declines before any money is spent."""

from __future__ import annotations

import pytest

from bot.messages import Asked, Media, Ordered, Replaces
from bot.messages.orders import WorkResult
from storage.store import Store
from tests.conversations import ALL, STUDIO, Album, Conversation, ScriptedModels, picture


async def test_it_orders_a_video_and_says_how_long_that_takes(chat: Conversation) -> None:
    answer = await chat.say("/video 10s tall a fox runs")
    order = answer.ordered
    assert order and (order.text, order.model, order.size, order.seconds) == ("a fox runs", "glm-video", "720x1280", 10)
    assert answer.notices == [
        f"making a video with glm-video … that takes minutes; you can go on meanwhile (task {answer.turn})"
    ]
    (ordered,) = [item for item in answer.items if isinstance(item, Ordered)]
    assert (ordered.kind, ordered.patience) == ("video", 1800.0)
    assert set(answer.buttons) == {"Cancel"}


async def test_it_begins_with_a_picture_also_without_words(chat: Conversation) -> None:
    answer = await chat.say(chat.message("/video", attachments=(picture(),)))
    assert answer.ordered and (answer.ordered.text, len(answer.ordered.pictures)) == ("Bring this picture to life.", 1)


async def test_a_reply_to_a_picture_begins_with_it(chat: Conversation) -> None:
    await chat.say("/model qwen")
    await chat.say("/image a fox")
    drawn = await chat.draws()
    answer = await chat.say(chat.message("/video it runs", replies_to=drawn.messages[0]))
    order = answer.ordered
    assert order and (order.pictures, order.model) == ((drawn.media[0].file,), "glm-video"), "Qwen's begins with none"


async def test_the_chats_vendor_films(chat: Conversation) -> None:
    await chat.say("/model qwen")
    order = (await chat.say("/video a fox")).ordered
    assert order and order.model == "qwen-video"


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("x2 a fox", "I make one video at a time."),
        ("fox " * 200, "glm-video takes a description of at most 512 characters; yours has 799."),
        (f"{10**20}s a fox", f"glm-video makes videos of 5, 10 seconds, not {10**20}."),
        ("7s a fox", "glm-video makes videos of 5, 10 seconds, not 7."),
        ("640x480 a fox", "glm-video makes no videos of 640x480. It makes: 1280x720, 720x1280"),
        ("--model qwen-video wide a fox", "qwen-video chooses the size itself: leave wide out."),
        ("--model glm-image a fox", "“glm-image” does not do that here. There are: `glm-video`, `qwen-video`"),
        ("a fox --fps 30", "I do not know “--fps”. It goes: `/video [WxH] [Ns] [--model name] description`"),
    ],
)
async def test_what_cannot_be_filmed_costs_nothing_and_is_explained(chat: Conversation, said: str, told: str) -> None:
    answer = await chat.say(f"/video {said}")
    assert told in answer.text
    assert not answer.changes


@pytest.mark.parametrize(
    ("said", "pictures", "told"),
    [
        ("a fox", 2, "A video begins with one picture, not 2."),
        ("a fox --model qwen-video", 1, "qwen-video does not begin with a picture. These do: `glm-video`"),
    ],
)
async def test_pictures_that_cannot_be_filmed_are_declined(
    chat: Conversation, said: str, pictures: int, told: str
) -> None:
    chat = Conversation(chat.store, ScriptedModels(STUDIO), {"web": Album(a=b"\x89PNG 1", b=b"\x89PNG 2")})
    attachments = (picture("a"), picture("b"))[:pictures]
    assert (await chat.say(chat.message(f"/video {said}", attachments=attachments))).text == told


async def test_without_a_model_that_films_it_says_so(store: Store) -> None:
    chat = Conversation(store, ScriptedModels(ALL))
    assert "No model is set up" in (await chat.say("/video a fox")).text
    answer = await chat.say(chat.message("/video", attachments=(picture(),)))
    assert answer.text == "No model here makes a video from a picture."


async def test_the_waiting_line_becomes_the_video(chat: Conversation, models: ScriptedModels) -> None:
    ordered = await chat.say("/video a fox runs")
    shown = await chat.ends(WorkResult(files=(("f.mp4", "video/mp4"),)))
    assert shown.items[0] == Replaces(ordered.turn)
    assert shown.media == [Media("f.mp4", "video/mp4", "a fox runs")]
    assert set(shown.buttons) == {"Again", "Other model"}
    await chat.say("nice")
    assert [text for _, text in models.lines] == ["Make a video: a fox runs", "[video: a fox runs]", "nice"]


async def test_a_video_that_is_too_large_is_a_link(chat: Conversation) -> None:
    await chat.say("/video a fox runs")
    shown = await chat.ends(WorkResult(links=("https://vendor.example/v.mp4",)))
    assert "(https://vendor.example/v.mp4)" in shown.text
    assert "about a day" in shown.text
    assert not shown.media


async def test_again_films_the_same_anew(chat: Conversation) -> None:
    await chat.say("/video 10s 720x1280 a fox runs")
    shown = await chat.ends(WorkResult(files=(("f.mp4", "video/mp4"),)))
    again = await chat.press(shown.buttons["Again"])
    order = again.ordered
    assert order and (order.text, order.seconds, order.size) == ("a fox runs", 10, "720x1280")
    (asked,) = [item for item in again.items if isinstance(item, Asked)]
    assert asked.text == "/video 720x1280 10s a fox runs"
    choice = await chat.press(shown.buttons["Other model"])
    other = (await chat.press(choice.buttons["qwen-video"])).ordered
    assert other and (other.model, other.seconds, other.size) == ("qwen-video", 0, "")
