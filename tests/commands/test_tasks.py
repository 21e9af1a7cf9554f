"""/tasks, /task and [Cancel]: what runs in the background of a chat."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bot.commands.tasks import progress_text
from bot.messages import Cancelled, Replaces, Text
from bot.messages.orders import WorkResult
from bot.ports import JobState
from storage.store import Store
from tests.conversations import BOB, OWNER, Conversation, ScriptedModels


async def test_tasks_are_listed_newest_first(chat: Conversation) -> None:
    assert "Nothing runs in the background" in (await chat.say("/tasks")).text
    first = await chat.say("/image a fox")
    await chat.draws()
    second = await chat.say("/later why is the sky blue?")
    chat.passed = 300.0
    told = (await chat.say("/tasks")).text.splitlines()
    assert told[2:] == [
        f"- `{second.turn}` answer “why is the sky blue?”: queued, 5 min ago",
        f"- `{first.turn}` picture “a fox”: done, 5 min ago",
    ]


async def test_one_is_shown_with_a_button_for_whoever_ordered_it(chat: Conversation) -> None:
    ordered = await chat.say("/image a fox")
    mine = await chat.say(f"/task {ordered.turn}")
    assert mine.text == f"`{ordered.turn}` picture “a fox”: queued, 0 s ago\n\nModel: `glm-image`"
    assert set(mine.buttons) == {"Cancel"}
    assert not (await chat.say(chat.message(f"/task {ordered.turn}", BOB))).buttons
    assert set((await chat.say(chat.message(f"/task #{ordered.turn}", OWNER))).buttons) == {"Cancel"}


@pytest.mark.parametrize("id", ["0", "-1", "99999", "9" * 40, "two", "1 2", "٣", "1.5", "#"])
async def test_a_task_that_is_not_there_gets_a_line(chat: Conversation, id: str) -> None:
    assert "There is no task" in (await chat.say(f"/task {id}")).text


async def test_tasks_of_another_chat_are_nobodys_business(chat: Conversation, store: Store) -> None:
    ordered = await chat.say("/image a fox")
    other = Conversation(store, ScriptedModels())
    other.key = replace(chat.key, chat="2")
    assert "There is no task" in (await other.say(f"/task {ordered.turn}")).text
    assert "Nothing runs" in (await other.say("/tasks")).text


async def test_cancel_turns_the_waiting_line_into_one_that_says_so(chat: Conversation, store: Store) -> None:
    ordered = await chat.say("/image a fox")
    pressed = await chat.press(ordered.buttons["Cancel"])
    assert [item for item in pressed.items if isinstance(item, Replaces | Cancelled | Text)] == [
        Replaces(ordered.turn),
        Cancelled(ordered.turn),
        Text("*(cancelled)*"),
    ]
    job = await store.job(ordered.turn)
    assert job and job.state is JobState.CANCELLING


async def test_cancel_elsewhere_also_answers_there(chat: Conversation) -> None:
    ordered = await chat.say("/image a fox")
    shown = await chat.say(f"/task {ordered.turn}")
    pressed = await chat.press(shown.buttons["Cancel"])
    assert pressed.items[-2] == Text(f"Task {ordered.turn} is cancelled.", slot=1)
    assert not (await chat.say(f"/task {ordered.turn}")).buttons


async def test_what_is_over_cannot_be_cancelled(chat: Conversation) -> None:
    ordered = await chat.say("/image a fox")
    await chat.draws()
    assert (await chat.press(ordered.buttons["Cancel"])).text == f"Task {ordered.turn} is over already: done."


async def test_only_who_ordered_or_the_owner_cancels(chat: Conversation, store: Store) -> None:
    ordered = await chat.say("/image a fox")
    assert "for someone else" in (await chat.press(ordered.buttons["Cancel"], BOB)).text
    await chat.press(ordered.buttons["Cancel"], OWNER)
    job = await store.job(ordered.turn)
    assert job and job.state is JobState.CANCELLING


async def test_a_cancelled_one_tells_nothing_more(chat: Conversation, store: Store) -> None:
    ordered = await chat.say("/image a fox")
    await chat.press(ordered.buttons["Cancel"])
    [job], _ = await store.claim_jobs(1)
    await store.end_job(job, JobState.DONE, WorkResult().dump())
    assert await store.claim(1) == ([], None)
    job_after = await store.job(ordered.turn)
    assert job_after and job_after.state is JobState.CANCELLED


async def test_progress_is_the_waiting_line_with_how_far_it_is(chat: Conversation, store: Store) -> None:
    ordered = await chat.say("/video a fox")
    job = await store.job(ordered.turn)
    assert job
    running = replace(job, state=JobState.RUNNING)
    assert progress_text(running, job.created + 65, "en") == f"{ordered.notices[0]} (being made, 65 s)"
    assert progress_text(running, job.created + 200, "zh").endswith("（进行中，3 分钟）")
