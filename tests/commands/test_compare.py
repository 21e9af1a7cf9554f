"""/compare: GLM and Qwen side by side, and the answer that is kept."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from pathlib import Path

import pytest

from bot.errors import ModelError, Trouble
from bot.messages import Answered, Finish, Finished, Rewound, Text, Thought, Withdraw
from bot.ports import ModelCard, Prompt, Unknown
from storage import open_store
from storage.store import Store
from tests.conversations import (
    ALL,
    BOB,
    GLM,
    GLM_VISION,
    OWNER,
    QWEN,
    Album,
    Answer,
    Conversation,
    Reply,
    ScriptedModels,
    Told,
    picture,
)

KEEP, KEEP_SECOND = "Keep this one", "Keep this one 2"


class TwoVendors(ScriptedModels):
    """What each model answers is told by its name."""

    def __init__(self, cards: Sequence[ModelCard] = ALL, **told: Reply) -> None:
        super().__init__(cards)
        self.told_by: dict[str, Reply] = {name.replace("_", "-"): reply for name, reply in told.items()}
        self.waiting: set[str] = set()  # names of models that say no more after their first item
        self.stuck = asyncio.Event()  # all of them
        self.asked: dict[str, Prompt] = {}

    def find(self, name: str, kind: str = "chat") -> ModelCard | Unknown:
        if name == "qwen" and not any(card.vendor == "qwen" for card in self.cards()):
            return Unknown(variable="DASHSCOPE_API_KEY")
        return super().find(name, "image" if kind == "image" else "chat")

    async def generate(self, prompt: Prompt) -> AsyncGenerator[Told, None]:
        name = prompt.card.name
        self.asked[name] = prompt
        self.replies = [self.told_by.get(name, f"says {name}")]
        async with aclosing(super().generate(prompt)) as items:
            async for item in items:
                yield item
                if name in self.waiting:
                    if self.open == len(self.waiting):
                        self.stuck.set()
                    await asyncio.Event().wait()


def end(name: str, cost: int) -> Finished:
    return Finished(reason=Finish.STOP, model=name, cost=cost)


def slot(answer: Answer, number: int) -> str:
    """What is shown there in the end."""
    text = ""
    for item in answer.items:
        if isinstance(item, Withdraw) and item.slot == number:
            text = ""
        if isinstance(item, Text) and item.slot == number:
            text += item.delta
    return text


def kept(answer: Answer) -> list[str | None]:
    return [item.text for item in answer.items if isinstance(item, Answered)]


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    async with open_store(f"sqlite:///{tmp_path}/magpie.db") as opened:
        yield opened


@pytest.fixture
def models() -> TwoVendors:
    return TwoVendors()


@pytest.fixture
def chat(store: Store, models: TwoVendors) -> Conversation:
    return Conversation(store, models)


# --- side by side ------------------------------------------------------------------------------------------------------


async def test_both_answer_the_same_question_each_under_its_name(chat: Conversation, models: TwoVendors) -> None:
    await chat.say("before")
    answer = await chat.say("/compare why?")
    assert slot(answer, 0).startswith("**glm-text**\n\nsays glm-text")
    assert slot(answer, 1).startswith("**qwen-text**\n\nsays qwen-text")
    for name in ("glm-text", "qwen-text"):
        assert [line.text for line in models.asked[name].lines[1:]] == ["before", "says glm-text", "why?"]
        assert not models.asked[name].last, "each call is settled by itself: the turn's commit settles one alone"
    assert models.open == 0


async def test_each_tells_its_time_and_cost_and_the_turn_what_both_cost(chat: Conversation, models: TwoVendors) -> None:
    models.told_by = {
        "glm-text": [Text("G"), end("glm-text", 1_234)],
        "qwen-text": [Text("Q"), end("qwen-text", 20)],
    }
    answer = await chat.say("/compare why?")
    assert slot(answer, 0).endswith(" s · ¥0.0012*")
    assert slot(answer, 1).endswith(" s · < ¥0.0001*")
    assert (answer.finished.cost, answer.finished.call) == (1_254, None)
    assert answer.finished.model == "glm-text + qwen-text"
    assert answer.finished.reason is Finish.STOP


async def test_what_costs_nothing_is_free(store: Store) -> None:
    free = ModelCard(name="glm-text", vendor="glm", kind="chat", window=4_000, output=1_000, default=True)
    answer = await Conversation(store, TwoVendors([free, QWEN])).say("/compare why?")
    assert slot(answer, 0).endswith(" s · free*")
    assert slot(answer, 1).endswith(" s · ¥0.0000*")


async def test_thoughts_go_to_their_own_side(chat: Conversation, models: TwoVendors) -> None:
    models.told_by = {"qwen-text": [Thought("hm"), Text("Q")]}
    answer = await chat.say("/compare why?")
    assert [item.slot for item in answer.items if isinstance(item, Thought)] == [1]
    assert kept(answer) == ["says glm-text", "Q"]


async def test_the_chats_model_takes_part_and_the_other_vendors_default(chat: Conversation, models: TwoVendors) -> None:
    await chat.say("/model glm-vision")
    await chat.say("/compare why?")
    assert set(models.asked) == {"glm-vision", "qwen-text"}


async def test_pictures_go_to_a_model_of_each_vendor_that_sees(store: Store) -> None:
    qwen_vision = ModelCard(name="qwen-vision", vendor="qwen", kind="chat", window=8_000, output=1_000, vision=True)
    models = TwoVendors([*ALL, qwen_vision])
    chat = Conversation(store, models, {"web": Album()})
    await chat.say(chat.message("/compare what is it?", attachments=(picture(),)))
    assert set(models.asked) == {"glm-vision", "qwen-vision"}
    assert all(prompt.lines[-1].files for prompt in models.asked.values())


async def test_a_vendor_that_sees_nothing_says_so_and_the_other_one_answers(store: Store) -> None:
    models = TwoVendors([GLM, GLM_VISION, QWEN])
    chat = Conversation(store, models, {"web": Album()})
    answer = await chat.say(chat.message("/compare what is it?", attachments=(picture(),)))
    assert "says glm-vision" in slot(answer, 0)
    assert "no model here that sees pictures" in slot(answer, 1)
    assert kept(answer) == ["says glm-vision"]


async def test_a_quote_goes_along(chat: Conversation, models: TwoVendors) -> None:
    await chat.say(chat.message("/compare is that so?", quote="Birds are real", quoted="Bob"))
    assert models.asked["qwen-text"].lines[-1].text == "> Bob: Birds are real\n\nis that so?"


async def test_without_a_question_it_tells_how_it_goes(chat: Conversation, models: TwoVendors) -> None:
    assert "`/compare why is the sky blue?`" in (await chat.say("/compare")).text
    assert not models.prompts


async def test_it_needs_both_vendors_and_tells_the_owner_which_setting(store: Store) -> None:
    chat = Conversation(store, TwoVendors([GLM]))
    assert "`DASHSCOPE_API_KEY`" in (await chat.say(chat.message("/compare why?", OWNER))).text
    told = (await chat.say(chat.message("/compare why?", BOB))).text
    assert "Qwen (Alibaba Cloud) is not set up here" in told
    assert "DASHSCOPE" not in told


# --- one fails ---------------------------------------------------------------------------------------------------------


async def test_one_that_fails_says_why_and_hurts_the_other_in_no_way(chat: Conversation, models: TwoVendors) -> None:
    models.told_by = {"glm-text": ModelError(Trouble.FAULT, vendor="glm", status=500)}
    answer = await chat.say("/compare why?")
    assert "servers failed" in slot(answer, 0)
    assert "says qwen-text" in slot(answer, 1)
    assert answer.finished.reason is Finish.STOP
    assert list(answer.buttons) == [KEEP]
    await chat.press(answer.buttons[KEEP])
    await chat.say("and?")
    assert [line.text for line in models.asked["glm-text"].lines[1:]] == ["why?", "says qwen-text", "and?"]


async def test_no_third_model_steps_in_for_one_that_fails(store: Store) -> None:
    class WithFallback(TwoVendors):
        def fallback(self) -> ModelCard | None:
            return QWEN

    models = WithFallback(glm_text=ModelError(Trouble.OVERLOADED, vendor="glm"))
    answer = await Conversation(store, models).say("/compare why?")
    assert "overloaded" in slot(answer, 0)
    assert len(models.prompts) == 2


async def test_what_a_filter_closes_is_withdrawn_and_not_offered(chat: Conversation, models: TwoVendors) -> None:
    models.told_by = {"qwen-text": [Text("Once"), ModelError(Trouble.REFUSED, vendor="qwen")]}
    answer = await chat.say("/compare tell")
    assert slot(answer, 1).startswith("**qwen-text**\n\nThe vendor's content filter refused this")
    assert kept(answer) == ["says glm-text"]


async def test_half_an_answer_is_marked_and_may_be_kept(chat: Conversation, models: TwoVendors) -> None:
    models.told_by = {"glm-text": [Text("```py\nx"), Finished(reason=Finish.CUT, model="glm-text")]}
    answer = await chat.say("/compare code")
    assert "```py\nx\n```\n\n*(the answer broke off here) · " in slot(answer, 0)
    assert kept(answer) == ["```py\nx", "says qwen-text"]


async def test_where_both_fail_it_can_be_asked_again(chat: Conversation, models: TwoVendors) -> None:
    trouble = ModelError(Trouble.FAULT, vendor="glm", status=500, code="boom", vendor_message="no")
    models.told_by = {"glm-text": trouble, "qwen-text": ModelError(Trouble.UNREACHABLE, vendor="qwen")}
    failed = await chat.say("/compare why?")
    assert (failed.finished.reason, failed.finished.code) == (Finish.FAILED, "boom")
    models.told_by = {}
    again = await chat.press(failed.buttons["Retry"])
    assert kept(again) == ["says glm-text", "says qwen-text"]


async def test_one_that_does_not_fit_its_model_says_so(store: Store) -> None:
    wide = ModelCard(name="qwen-text", vendor="qwen", kind="chat", window=100_000, output=1_000, default=True)
    answer = await Conversation(store, TwoVendors([GLM, wide])).say("/compare " + "long " * 4_000)
    assert "too long for glm-text" in slot(answer, 0)
    assert "says qwen-text" in slot(answer, 1)


# --- which one is kept -------------------------------------------------------------------------------------------------


async def test_until_one_is_kept_the_chat_goes_on_from_before(chat: Conversation, models: TwoVendors) -> None:
    await chat.say("before")
    await chat.say("/compare why?")
    await chat.say("next")
    assert models.lines == [("user", "before"), ("assistant", "says glm-text"), ("user", "next")]


@pytest.mark.parametrize(("button", "said"), [(KEEP, "says glm-text"), (KEEP_SECOND, "says qwen-text")])
async def test_the_kept_one_is_what_the_chat_goes_on_from(
    chat: Conversation, models: TwoVendors, button: str, said: str
) -> None:
    await chat.say("before")
    compared = await chat.say("/compare why?")
    pressed = await chat.press(compared.buttons[button])
    assert pressed.text == f"We go on from {said.split()[1]}'s answer: “{said}”"
    await chat.say("next")
    assert models.lines[2:] == [("user", "why?"), ("assistant", said), ("user", "next")]


async def test_one_may_choose_otherwise_and_back(chat: Conversation, models: TwoVendors) -> None:
    compared = await chat.say("/compare why?")
    for button, said in ((KEEP, "glm"), (KEEP_SECOND, "qwen"), (KEEP, "glm"), (KEEP, "glm")):
        assert said in (await chat.press(compared.buttons[button])).text
    await chat.say("next")
    assert models.lines == [("user", "why?"), ("assistant", "says glm-text"), ("user", "next")]


@pytest.mark.parametrize("first", [KEEP, ""])
async def test_a_chat_that_has_moved_on_stays_where_it_is(chat: Conversation, first: str) -> None:
    compared = await chat.say("/compare why?")
    if first:
        await chat.press(compared.buttons[first])
    await chat.say("next")
    late = await chat.press(compared.buttons[KEEP_SECOND])
    assert "moved on" in late.text
    assert not any(isinstance(change, Rewound) for change in late.changes)


async def test_nothing_is_kept_over_a_reset(chat: Conversation, models: TwoVendors) -> None:
    compared = await chat.say("/compare why?")
    await chat.reset()
    assert "moved on" in (await chat.press(compared.buttons[KEEP])).text
    await chat.say("next")
    assert models.lines == [("user", "next")]


async def test_an_edited_comparison_is_asked_anew_from_where_it_was(chat: Conversation, models: TwoVendors) -> None:
    await chat.say("before")
    question = chat.message("/compare why?")
    first = await chat.say(question)
    anew = await chat.edit(question, "/compare how?")
    assert models.asked["qwen-text"].lines[-1].text == "how?"
    assert kept(anew) == ["says glm-text", "says qwen-text"]
    await chat.press(anew.buttons[KEEP])
    await chat.edit(question, "/compare who?")
    assert [line.text for line in models.asked["qwen-text"].lines[1:]] == ["before", "says glm-text", "who?"]
    await chat.say("next")
    assert models.lines == [("user", "before"), ("assistant", "says glm-text"), ("user", "next")]
    assert "moved on" in (await chat.press(first.buttons[KEEP])).text


# --- stopped -----------------------------------------------------------------------------------------------------------


async def test_both_calls_end_when_it_is_stopped(chat: Conversation, models: TwoVendors) -> None:
    models.waiting = {"glm-text", "qwen-text"}

    async def read() -> list[object]:
        claim = await chat._claim(["m"])
        turn = chat._open(claim, (chat.message("/compare why?"),), late=False)
        async with aclosing(chat.manager.answer(turn)) as items:
            return [item async for item in items]

    async with asyncio.timeout(10), asyncio.TaskGroup() as tasks:
        reading = tasks.create_task(read())
        await models.stuck.wait()
        assert models.open == 2
        reading.cancel()
    assert models.open == 0
