"""A walk through what is ordered: pictures changed and drawn in numbers, videos, answers for later; while they are made, over
a restart, cancelled; on Telegram, Discord and in the page. The whole product runs.

Single pictures and their buttons are in `test_walk_commands.py`.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from bot.simulator import Fault, Simulator
from tests.product import (
    Person,
    house,
    house_on_discord,
    magpie,
    on_telegram,
    pictures,
    repeat,
    rows,
    said,
    until,
    with_glm,
    with_qwen,
)
from tests.servers.discord_state import Upload
from tests.servers.telegram import TelegramServer, picture

# --- pictures ----------------------------------------------------------------------------------------------------------


async def test_a_reply_to_a_drawn_picture_changes_it(tmp_path: Path) -> None:
    async with house(tmp_path) as here:
        ann = here.person()
        drawn = await ann.ask("/image a red fox")
        changed = await ann.ask("/image make it blue", reply_to=drawn)
        assert changed.media is not None and changed.caption == "make it blue"
        assert here.asked[-1].model == "qwen-image-edit-plus"
        assert pictures(here.asked[-1]) == 1


async def test_a_photo_with_the_command_is_changed(tmp_path: Path) -> None:
    async with house(tmp_path) as here:
        ann = here.person()
        here.telegram.send_photo(ann.chat, ann.user, picture(640, 480), "/image make it blue")
        await ann.hears()
        assert ann.shown[0].caption == "make it blue"
        assert (here.asked[-1].model, pictures(here.asked[-1])) == ("qwen-image-edit-plus", 1)


async def test_a_picture_smaller_than_the_model_takes_is_changed_all_the_same(tmp_path: Path) -> None:
    async with house(tmp_path) as here:
        ann = here.person()
        here.telegram.send_photo(ann.chat, ann.user, picture(160, 120), "/image make it blue")
        await ann.hears()
        assert (ann.shown[0].caption, here.asked[-1].status) == ("make it blue", 200)
        here.telegram.send_photo(ann.chat, ann.user, picture(1200, 60), "/image make it blue")
        assert "sides of 384 to 3072 px. Yours has 1200×60 px" in (await ann.hears(2))[-1]
        assert len(here.asked) == 1


async def test_four_pictures_are_four_messages_and_one_of_them_can_be_changed(tmp_path: Path) -> None:
    async with house(tmp_path) as here:
        ann = here.person()
        ann.say("/image x4 wide a fox --model qwen-image-plus")
        await until(lambda: len([one for one in ann.shown if one.media]) == 4)
        await ann.hears(4)
        assert [one.caption for one in ann.shown] == ["a fox", "", "", ""]
        assert {call.body["parameters"]["size"] for call in here.asked} == {"1664*928"}
        await ann.ask("/image make it blue", reply_to=ann.shown[2])
        assert pictures(here.asked[-1]) == 1


async def test_of_some_that_fail_the_good_ones_are_shown_and_paid(tmp_path: Path) -> None:
    async with house(tmp_path) as here:
        ann = here.person()
        here.models.fail(Fault(vendor="dashscope", path="multimodal", skip=2, code="InternalError", times=2))
        ann.say("/image x4 a fox --model qwen-image-plus")
        texts = await ann.sees(lambda texts: any(text.startswith("2 of 4: ") for text in texts))
        assert len(texts) == 3
    assert rows(tmp_path, "SELECT cost FROM days") == [(500_000,)]  # 0.25 CNY each


async def test_what_cannot_be_drawn_costs_nothing(tmp_path: Path) -> None:
    async with house(tmp_path) as here:
        ann = here.person()
        for said_, told in (
            ("/image x9 a fox", "cogview-3-flash draws 1 to 4 pictures at a time, not 9."),
            ("/image 100x100 a fox", "cogview-3-flash cannot draw 100x100."),
            ("/image --model nonsense a fox", "I know no model “nonsense”. These do it: cogview-3-flash, "),
            ("/image --model qwen-imag-max a fox", "I know no model “qwen-imag-max”. These do it: qwen-image-max, "),
            ("/image --model glm-4.7 a fox", "“glm-4.7” does not do that here. There are: "),
            ("/video 99s a fox", "cogvideox-flash makes videos of 5, 10 seconds, not 99."),
            ("/task 9", "There is no task 9 in this chat."),
        ):
            assert (await ann.ask(said_)).text.startswith(told)
        assert here.asked == []


# --- videos ------------------------------------------------------------------------------------------------------------


async def test_a_video_is_played_where_the_line_stood(tmp_path: Path) -> None:
    async with house(tmp_path) as here:
        ann = here.person()
        shown = await ann.ask("/video 5s a fox runs")
        assert shown.media is not None and shown.media.kind == "video"
        assert (shown.caption, shown.buttons) == ("a fox runs", ("Again", "Other model"))
        assert here.asked[-1].model == "cogvideox-flash"
        assert len(ann.shown) == 1


async def test_a_drawn_picture_is_brought_to_life(tmp_path: Path) -> None:
    async with house(tmp_path) as here:
        ann = here.person()
        drawn = await ann.ask("/image a red fox")
        shown = await ann.ask("/video", reply_to=drawn)
        assert shown.caption == "Bring this picture to life."
        assert here.asked[-1].body["image_url"]


# --- later -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("vendor", "says"), [("glm", "I answer here when it is ready"), ("qwen", "in the background")])
async def test_later_answers_a_question_in_a_message_of_its_own(tmp_path: Path, vendor: str, says: str) -> None:
    async with house(tmp_path, script=repeat) as here:
        ann = here.person()
        await ann.ask(f"/model {vendor}")
        asked = ann.say("/later why is the sky blue?")
        await ann.sees(lambda texts: len(texts) >= 2 and says in texts[1])
        texts = await ann.sees(lambda texts: "You said: why is the sky blue?" in texts)
        answer = ann.shown[texts.index("You said: why is the sky blue?")]
        assert answer.reply_to == asked.id
        await ann.ask("and you?", reply_to=answer)
        assert said(here.asked[-1]) == ["why is the sky blue?", "You said: why is the sky blue?", "and you?"]
        await ann.ask("hello")
        assert said(here.asked[-1])[-1] == "hello" and "and you?" in said(here.asked[-1])


# --- tasks -------------------------------------------------------------------------------------------------------------


async def test_a_task_is_listed_and_cancelled_and_nothing_comes_of_it(tmp_path: Path) -> None:
    async with house(tmp_path) as here:
        ann = here.person()
        here.models.fail(Fault(vendor="glm", path="videos", task="never"))
        ann.say("/video a fox")
        await ann.sees(lambda texts: texts and texts[0].startswith("making a video"))
        (id,) = rows(tmp_path, "SELECT id FROM jobs")[0]
        ann.say("/tasks")
        await ann.sees(lambda texts: len(texts) == 2 and f"{id} video “a fox”: " in texts[1])
        ann.say(f"/task {id}")
        await ann.sees(lambda texts: len(texts) == 3)
        ann.press(ann.shown[2], "Cancel")
        await ann.sees(lambda texts: texts[0] == "(cancelled)" and texts[-1] == f"Task {id} is cancelled.")
        await until(lambda: rows(tmp_path, "SELECT state FROM jobs") == [("cancelled",)])
        ann.say("/stop")
        await ann.sees(lambda texts: texts[-1] == "Nothing is running.")


async def test_stop_and_reset_cancel_what_is_made_in_the_background(tmp_path: Path) -> None:
    async with house(tmp_path) as here:
        ann = here.person()
        here.models.fail(Fault(task="never", times=None))
        ann.say("/video a fox")
        await ann.sees(lambda texts: texts and texts[0].startswith("making a video"))
        ann.say("/stop")
        await ann.sees(lambda texts: (texts[0], texts[-1]) == ("(cancelled)", "Cancelled."))
        assert not ann.shown[0].buttons
        ann.say("/later why?")
        await ann.sees(lambda texts: len(texts) == 3 and texts[2].startswith("Task "))
        ann.say("/reset")
        await ann.sees(lambda texts: len(texts) == 4 and texts[2] == "(cancelled)")
        assert not ann.shown[2].buttons


# --- restarts ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("order", "path"), [("/image a fox --model wan2.2-t2i-plus", "image-synthesis"), ("/video a fox", "videos")]
)
async def test_a_restart_in_the_middle_orders_nothing_twice(tmp_path: Path, order: str, path: str) -> None:
    async with TelegramServer() as server, Simulator(task=4.0) as models:
        settings = on_telegram(server), with_glm(models), with_qwen(models)
        ann = Person.alone(server)
        async with magpie(tmp_path, *settings):
            ann.say(order)
            await until(lambda: rows(tmp_path, "SELECT 1 FROM jobs WHERE state = 'running'"))
        async with magpie(tmp_path, *settings):
            await until(lambda: ann.shown and ann.shown[0].media)
        assert len(ann.shown) == 1
        assert len([call for call in models.log if path in call.path and call.method == "POST"]) == 1


async def test_a_restart_in_the_middle_answers_later_all_the_same(tmp_path: Path) -> None:
    async with TelegramServer() as server, Simulator(task=4.0, script=repeat) as models:
        settings = on_telegram(server), with_glm(models), with_qwen(models)
        ann = Person.alone(server)
        async with magpie(tmp_path, *settings):
            ann.say("/later why?")
            await until(lambda: rows(tmp_path, "SELECT 1 FROM jobs WHERE state = 'running'"))
        async with magpie(tmp_path, *settings):
            await ann.sees(lambda texts: texts[-1] == "You said: why?")
        assert len(ann.shown) == 2


async def test_a_paid_order_that_a_crash_cut_off_is_repeated_only_when_a_person_says_so(tmp_path: Path) -> None:
    async with TelegramServer() as server, Simulator(picture=0.0) as models:
        settings = on_telegram(server), with_glm(models), with_qwen(models)
        ann = Person.alone(server)
        models.fail(Fault(path="images", hang=True))
        async with magpie(tmp_path, *settings):
            ann.say("/image a fox --model cogview-4-250304")
            await until(lambda: rows(tmp_path, "SELECT 1 FROM jobs WHERE state = 'submitting'"))
            await until(lambda: models.log)
        async with magpie(tmp_path, *settings):
            await ann.sees(lambda texts: texts and "it may be billed" in texts[0])
            ann.press(ann.shown[0], "Order again")
            await until(lambda: len(ann.shown) == 2 and ann.shown[1].media)


# --- elsewhere ---------------------------------------------------------------------------------------------------------


async def test_discord_shows_pictures_videos_and_later_answers(tmp_path: Path) -> None:
    async with house_on_discord(tmp_path, script=repeat) as here:
        ann = here.member()
        await ann.ask("/image x2 a fox")
        await ann.hears(2)
        assert [(len(one.attachments), one.content) for one in ann.shown] == [(1, "a fox"), (1, "")]
        changed = await ann.ask("/image make it blue", reply_to=ann.shown[1])
        assert len(changed.attachments) == 1
        film = await ann.ask("/video a fox runs")
        assert film.attachments[0].filename.endswith(".mp4")
        await ann.ask("/later why?")
        await ann.hears(6)
        assert ann.texts[-1] == "You said: why?"


async def test_on_discord_a_picture_comes_with_the_slash_command(tmp_path: Path) -> None:
    async with house_on_discord(tmp_path) as here:
        ann = here.member()
        red = Upload(filename="red.png", data=picture(640, 480))
        changed = await ann.slash("image", description="make it blue", picture=red)
        assert (changed.content, len(changed.attachments)) == ("make it blue", 1)
        [asked] = [call for call in here.models.log if call.body]
        assert (asked.model, pictures(asked)) == ("qwen-image-edit-plus", 1)
        film = await ann.slash("video", description="it moves", picture=red)
        assert film.attachments[0].filename.endswith(".mp4")


async def test_on_discord_an_answer_for_later_replies_to_what_announced_it(tmp_path: Path) -> None:
    async with house_on_discord(tmp_path, script=repeat) as here:
        ann = here.member()
        told = await ann.slash("later", question="why?")
        await ann.hears(2)
        assert (ann.texts[-1], ann.shown[-1].reply_to) == ("You said: why?", told.id)


async def test_the_page_shows_pictures_videos_and_later_answers(tmp_path: Path) -> None:
    async with house(tmp_path, script=repeat) as here:
        await here.page.say("/image x2 a fox")
        await here.page.cards(lambda said: [card["body"].count("<img") for card in said] == [1, 1])
        await here.page.say("/video a fox runs")
        await here.page.cards(lambda said: "<video" in said[-1]["body"])
        await here.page.say("/later why?")
        await here.page.cards(lambda said: "You said: why?" in said[-1]["body"])
        await here.page.cards(lambda said: not said[-2]["buttons"])  # nothing is left to be cancelled


async def test_the_page_shows_how_far_a_video_is(tmp_path: Path) -> None:
    async with Simulator(task=8.0) as models, magpie(tmp_path, with_glm(models)) as page:
        await page.say("/video a fox runs")
        await page.cards(lambda said: said and "(task 1) (" in said[-1]["body"])
        await page.cards(lambda said: "<video" in said[-1]["body"])
