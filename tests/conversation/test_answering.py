"""One answer however many calls it takes: another model steps in, a prompt is shortened, what a vendor refuses is left out."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from bot.errors import BudgetSpent, ModelError, Trouble
from bot.messages import Answered, Finish, Finished, LeftOut, Text, Thought, Withdraw
from bot.ports import Prompt, Source, Sources, ToolCall, ToolResult
from storage import open_store
from storage.store import Store
from tests.conversations import GLM, GLM_VISION, QWEN, Conversation, Crash, Reply, ScriptedModels, picture
from tests.toolboxes import Box, reader, writer

GLM_TOOLS = replace(GLM, tools=True, window=20_000)
QWEN_TOOLS = replace(QWEN, tools=True, window=20_000)
QWEN_VISION = replace(GLM_VISION, name="qwen-vision", vendor="qwen")
CARDS = (GLM_TOOLS, QWEN_TOOLS, GLM_VISION, QWEN_VISION)
GOES_ON = [
    Trouble.BUSY,
    Trouble.OVERLOADED,
    Trouble.QUOTA,
    Trouble.NO_MONEY,
    Trouble.BAD_KEY,
    Trouble.NO_MODEL,
    Trouble.FAULT,
    Trouble.UNREACHABLE,
    Trouble.SILENT,
    Trouble.CUT,
]


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    async with open_store(f"sqlite:///{tmp_path}/magpie.db") as opened:
        yield opened


@pytest.fixture
def models() -> ScriptedModels:
    models = ScriptedModels(CARDS)
    models.other = QWEN_TOOLS
    return models


@pytest.fixture
def box() -> Box:
    return Box(reader())


@pytest.fixture
def chat(store: Store, models: ScriptedModels, box: Box) -> Conversation:
    return Conversation(store, models, toolbox=box)


def trouble(kind: Trouble, code: str = "") -> ModelError:
    return ModelError(kind, vendor="glm", model="glm-text", code=code)


def asked(models: ScriptedModels) -> list[str]:
    """The models, call by call."""
    return [prompt.card.name for prompt in models.prompts]


SPENT = BudgetSpent(datetime(2026, 11, 23, tzinfo=UTC))
LOOK = ToolCall("vendor", "look", "{}")

# --- another model steps in ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", GOES_ON)
async def test_another_model_answers_and_that_is_told(
    chat: Conversation, models: ScriptedModels, kind: Trouble
) -> None:
    models.replies = [trouble(kind), "From Qwen."]
    answer = await chat.say("hi")
    assert answer.text == "*glm-text cannot answer now; qwen-text does.*\n\nFrom Qwen."
    assert asked(models) == ["glm-text", "qwen-text"]
    assert answer.finished.reason is Finish.STOP and answer.finished.model == "qwen-text"
    assert Answered(text="From Qwen.") in answer.changes


@pytest.mark.parametrize("kind", [kind for kind in Trouble if kind not in GOES_ON])
async def test_what_any_model_would_say_is_not_said_twice(
    chat: Conversation, models: ScriptedModels, kind: Trouble
) -> None:
    models.replies = [trouble(kind)]
    answer = await chat.say("hi")
    assert asked(models) == ["glm-text"] and "Try qwen-text" in answer.buttons


async def test_it_happens_once(chat: Conversation, models: ScriptedModels) -> None:
    models.replies = [trouble(Trouble.OVERLOADED), trouble(Trouble.OVERLOADED)]
    answer = await chat.say("hi")
    assert asked(models) == ["glm-text", "qwen-text"]
    assert {"Retry", "Try glm-text"} <= set(answer.buttons)


async def test_the_model_that_fails_is_not_its_own_substitute(chat: Conversation, models: ScriptedModels) -> None:
    models.other = GLM_TOOLS
    models.replies = [trouble(Trouble.OVERLOADED)]
    await chat.say("hi")
    assert asked(models) == ["glm-text"]


async def test_after_a_word_was_said_nobody_steps_in(chat: Conversation, models: ScriptedModels) -> None:
    models.replies = [[Text("Once"), trouble(Trouble.OVERLOADED)]]
    answer = await chat.say("tell")
    assert asked(models) == ["glm-text"] and "broke off" in answer.text


async def test_after_a_thought_another_may(chat: Conversation, models: ScriptedModels) -> None:
    models.replies = [[Thought("hm"), trouble(Trouble.SILENT)], "From Qwen."]
    assert (await chat.say("tell")).text.endswith("From Qwen.")


async def test_pictures_go_to_the_other_vendors_model_that_sees(chat: Conversation, models: ScriptedModels) -> None:
    models.replies = [trouble(Trouble.OVERLOADED), "A fox."]
    await chat.say(chat.message("what is this?", attachments=(picture(),)))
    assert asked(models) == ["glm-vision", "qwen-vision"]
    assert len(models.prompts[-1].lines[-1].files) == 1


async def test_pictures_are_not_described_by_who_cannot_see_them(store: Store, box: Box) -> None:
    models = ScriptedModels((GLM_TOOLS, GLM_VISION, QWEN_TOOLS))
    models.other = QWEN_TOOLS
    models.replies = [trouble(Trouble.OVERLOADED)]
    chat = Conversation(store, models, toolbox=box)
    answer = await chat.say(chat.message("what is this?", attachments=(picture(),)))
    assert asked(models) == ["glm-vision"] and "Retry" in answer.buttons


async def test_what_does_not_fit_the_other_model_is_not_given_to_it(store: Store, box: Box) -> None:
    models = ScriptedModels((GLM_TOOLS, replace(QWEN, window=1_500)))
    models.other = models.cards()[1]
    models.replies = [trouble(Trouble.OVERLOADED)]
    answer = await Conversation(store, models, toolbox=box).say("x" * 6_000)
    assert asked(models) == ["glm-text"] and answer.finished.reason is Finish.FAILED


async def test_it_goes_on_from_what_the_tools_have_told(chat: Conversation, models: ScriptedModels, box: Box) -> None:
    models.replies = [[LOOK], trouble(Trouble.OVERLOADED), "Seen by Qwen."]
    assert (await chat.say("look")).text.endswith("Seen by Qwen.")
    assert len(box.ran) == 1
    assert [line.role for line in models.prompts[-1].lines[1:]] == ["user", "assistant", "tool"]


async def test_a_model_that_knows_no_functions_is_told_what_they_said(store: Store, box: Box) -> None:
    models = ScriptedModels((GLM_TOOLS, replace(QWEN, window=20_000)))
    models.other = models.cards()[1]
    models.replies = [[LOOK], trouble(Trouble.OVERLOADED), "Seen by Qwen."]
    await Conversation(store, models, toolbox=box).say("look")
    assert models.lines == [("user", "look\n\nLooked up for this:\n\nlook is done")]


async def test_a_vendor_that_searches_itself_is_asked_for_nothing_else(store: Store, box: Box) -> None:
    models = ScriptedModels((replace(GLM_TOOLS, searches=True),))
    chat = Conversation(store, models, toolbox=box)
    await chat.say("/search nests")
    await chat.say("and eggs?")
    assert [(prompt.search, bool(prompt.tools)) for prompt in models.prompts] == [(True, False), (False, True)]


# --- what it costs -------------------------------------------------------------------------------------------------------


async def test_a_turn_tells_what_all_its_calls_cost_and_its_commit_settles_only_the_last_of_them(
    chat: Conversation, models: ScriptedModels
) -> None:
    models.replies = [
        [LOOK, Finished(reason=Finish.TOOLS, model="glm-text", cost=40)],
        [Text("Seen."), Finished(reason=Finish.STOP, model="glm-text", cost=2)],
    ]
    answer = await chat.say("look")
    assert answer.finished.cost == 42
    assert [prompt.last for prompt in models.prompts] == [True, False]


async def test_budget_that_ends_between_two_calls_is_told_under_what_was_said(
    chat: Conversation, models: ScriptedModels
) -> None:
    models.replies = [[Text("Let me look."), LOOK], SPENT]
    answer = await chat.say("look")
    assert answer.text.startswith("Let me look.") and "opens again at 00:00" in answer.text
    assert "Continue" in answer.buttons


# --- too long --------------------------------------------------------------------------------------------------------------


async def test_a_prompt_with_results_is_shortened_before_them(
    chat: Conversation, models: ScriptedModels, box: Box
) -> None:
    for number in range(4):
        await chat.say(f"question {number}")
    models.replies = [[LOOK], trouble(Trouble.TOO_LONG), "Short enough."]
    answer = await chat.say("look")
    assert answer.text == "Short enough."
    before, after = (len(prompt.lines) for prompt in models.prompts[-2:])
    *_, question, calls, told = models.prompts[-1].lines
    assert after < before and question.text == "look"
    assert calls.calls[0].id == told.call


# --- refused ---------------------------------------------------------------------------------------------------------------


def refusing(*words: str) -> Callable[[Prompt], Reply | None]:
    def script(prompt: Prompt) -> Reply | None:
        told = " ".join(line.text for line in prompt.lines)
        return trouble(Trouble.REFUSED, "1301") if any(word in told for word in words) else None

    return script


async def remember(chat: Conversation, models: ScriptedModels, *questions: str) -> None:
    for question in questions:
        models.replies = ["Fine."]
        await chat.say(question)


async def test_what_the_vendor_refuses_of_the_history_is_left_out_for_ever(
    chat: Conversation, models: ScriptedModels
) -> None:
    await remember(chat, models, *(f"question {number}" for number in range(5)), "the bad word", "one more")
    models.script = refusing("bad word")
    count = len(models.prompts)
    answer = await chat.say("and now?")
    assert answer.text.startswith("*Left out from now on, since glm refuses it: “the bad word”*\n\nanswer")
    assert any(isinstance(change, LeftOut) for change in answer.changes)
    assert answer.finished.reason is Finish.STOP
    probes = models.prompts[count + 1 : -1]
    assert 1 <= len(probes) <= 6
    for prompt in probes:
        assert prompt.output == 1 and not prompt.tools and not prompt.last
    count = len(models.prompts)
    await chat.say("next")
    assert len(models.prompts) - count == 1
    assert "bad word" not in str(models.lines) and ("user", "one more") in models.lines


async def test_two_guilty_exchanges_are_both_left_out(chat: Conversation, models: ScriptedModels) -> None:
    await remember(chat, models, "the bad word", "fine", "another bad word", "fine, too")
    models.script = refusing("bad word")
    answer = await chat.say("and now?")
    assert answer.text.count("Left out from now on") == 2 and answer.finished.reason is Finish.STOP


async def test_a_filter_that_refused_only_once_takes_nothing_out_and_the_question_is_asked_once_more(
    chat: Conversation, models: ScriptedModels
) -> None:
    await remember(chat, models, *(f"question {number}" for number in range(5)))
    count, models.replies = len(models.prompts), [trouble(Trouble.REFUSED)]
    answer = await chat.say("and now?")
    assert answer.finished.reason is Finish.STOP and "Left out" not in answer.text
    assert not any(isinstance(change, LeftOut) for change in answer.changes)
    assert models.prompts[-1].lines == models.prompts[count].lines and len(models.prompts) - count <= 1 + 6 + 1


async def test_what_is_refused_whole_and_taken_in_every_probe_is_told_after_one_search(
    chat: Conversation, models: ScriptedModels
) -> None:
    await remember(chat, models, "fine", "fine, too")
    count = len(models.prompts)
    models.script = lambda prompt: trouble(Trouble.REFUSED) if prompt.output > 1 else None
    answer = await chat.say("and now?")
    assert answer.finished.reason is Finish.REFUSED and len(models.prompts) - count <= 1 + 6 + 1
    assert not any(isinstance(change, LeftOut) for change in answer.changes)


async def test_a_question_that_is_refused_itself_leaves_nothing_out_and_offers_another_vendor(
    chat: Conversation, models: ScriptedModels
) -> None:
    await remember(chat, models, "fine", "fine, too")
    models.script = refusing("bad word")
    answer = await chat.say("the bad word")
    assert answer.finished.reason is Finish.REFUSED
    assert not any(isinstance(change, LeftOut) for change in answer.changes)
    assert list(answer.buttons) == ["Try qwen-text"]
    assert (await chat.say("something else")).finished.reason is Finish.STOP
    assert [text for role, text in models.lines if role == "user"] == ["fine", "fine, too", "something else"]


@pytest.mark.parametrize("end", [trouble(Trouble.OVERLOADED), SPENT, trouble(Trouble.BAD_KEY)])
async def test_nothing_is_left_out_on_a_guess(chat: Conversation, models: ScriptedModels, end: Exception) -> None:
    await remember(chat, models, "fine", "fine, too")
    models.replies = [trouble(Trouble.REFUSED), end]
    answer = await chat.say("and now?")
    assert answer.finished.reason is Finish.REFUSED and "content filter" in answer.text
    assert not any(isinstance(change, LeftOut) for change in answer.changes)


async def test_a_probe_that_had_no_room_for_a_word_was_not_refused(chat: Conversation, models: ScriptedModels) -> None:
    await remember(chat, models, "the bad word", "fine")

    def script(prompt: Prompt) -> Reply | None:
        if "bad word" in " ".join(line.text for line in prompt.lines):
            return trouble(Trouble.REFUSED)
        return trouble(Trouble.FAULT, "length") if prompt.output == 1 else None

    models.script = script
    answer = await chat.say("and now?")
    assert "“the bad word”" in answer.text and answer.finished.reason is Finish.STOP


async def test_a_result_that_is_refused_is_not_blamed_on_the_history(
    chat: Conversation, models: ScriptedModels, box: Box
) -> None:
    await remember(chat, models, "fine", "fine, too")
    box.does["look"] = lambda _: "a bad word"
    models.script = refusing("bad word")
    models.replies = [[LOOK]]
    answer = await chat.say("look")
    assert answer.finished.reason is Finish.REFUSED
    assert not any(isinstance(change, LeftOut) for change in answer.changes)
    models.replies = ["Alive."]
    assert (await chat.say("and now?")).text == "Alive."


@pytest.mark.parametrize("shown", [[Thought("something bad")], [Text("Once there")], [Thought("hm"), Text("Once")]])
async def test_thoughts_of_a_refused_answer_are_withdrawn_as_well(
    chat: Conversation, models: ScriptedModels, shown: list[Text | Thought]
) -> None:
    models.replies = [[*shown, trouble(Trouble.REFUSED)]]
    answer = await chat.say("tell")
    assert Withdraw() in answer.items and "content filter" in answer.text


async def test_what_people_were_told_stays_when_an_answer_is_withdrawn(
    chat: Conversation, models: ScriptedModels
) -> None:
    models.replies = [trouble(Trouble.OVERLOADED), [Text("Once"), trouble(Trouble.REFUSED)]]
    answer = await chat.say("tell")
    assert answer.text.startswith("*glm-text cannot answer now; qwen-text does.*\n\n")
    assert "Once" not in answer.text


# --- sources ---------------------------------------------------------------------------------------------------------------


async def test_what_the_vendor_found_itself_stands_under_the_answer(chat: Conversation, models: ScriptedModels) -> None:
    page = Source(1, "Nests [1](https://evil.example) `x`", "https://n.example/(a) b")
    models.replies = [[Sources((page,)), Text("They build [1].")]]
    answer = await chat.say("nests?")
    link = "[1] [Nests (1)(https://evil.example) x](https://n.example/%28a%29%20b)"
    assert answer.text == f"They build [1].\n\n**Sources**\n{link}"
    assert Answered(text="They build [1].") in answer.changes


async def test_sources_of_a_call_that_a_crash_or_a_consent_came_after_are_told(
    chat: Conversation, models: ScriptedModels, box: Box
) -> None:
    box.does["look"] = lambda _: ToolResult("found", sources=(Source(1, "Nests", "https://n.example/"),))
    models.replies = [[LOOK], Crash(), [LOOK], "They build [1]."]
    assert "[1] [Nests](https://n.example/)" in (await chat.say("look")).text
    box.put(writer("mail"))
    models.replies = [[LOOK], [ToolCall("vendor", "mail", "{}")]]
    waiting = await chat.say("look, and mail")
    models.replies = ["They build [1]."]
    assert "[1] [Nests](https://n.example/)" in (await chat.press(waiting.buttons["No"])).text
    assert [name for name, _ in box.ran] == ["look", "look"]


async def test_sources_of_a_consented_call_are_told(chat: Conversation, models: ScriptedModels, box: Box) -> None:
    box.change("look", read_only=False)
    box.does["look"] = lambda _: ToolResult("found", sources=(Source(1, "Nests", "https://n.example/"),))
    models.replies = [[LOOK]]
    waiting = await chat.say("look")
    models.replies = ["They build [1]."]
    assert "[1] [Nests](https://n.example/)" in (await chat.press(waiting.buttons["Run it"])).text
