"""/search: by the model's vendor, by another model of it, by the tool; and the sources under the answer."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from bot.conversation.desk import SEARCH_FIRST, SEARCH_TOOL
from bot.errors import ModelError, Trouble
from bot.messages import Finish, Finished, Text
from bot.ports import ModelCard, Source, Sources, ToolCall, ToolResult
from storage import open_store
from storage.store import Store
from tests.conversations import GLM, GLM_VISION, QWEN, Album, Conversation, ScriptedModels, Told, picture
from tests.toolboxes import Box, reader

SEARCHING = replace(GLM, searches=True)
OTHER = ModelCard(name="glm-web", vendor="glm", kind="chat", window=4_000, output=1_000, searches=True)
FOUND: list[Told | Exception] = [
    Sources(
        (Source(1, "Herons", "https://birds.example/heron"), Source(2, "Reeds (plants)", "https://reeds.example/"))
    ),
    Text("In the reeds [1]."),
]


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    async with open_store(f"sqlite:///{tmp_path}/magpie.db") as opened:
        yield opened


async def test_a_vendor_that_searches_is_told_to_and_its_sources_stand_under_the_answer(store: Store) -> None:
    models = ScriptedModels([SEARCHING, QWEN])
    models.replies = [FOUND]
    answer = await Conversation(store, models).say("/search where is the heron?")
    assert models.prompts[0].search
    assert models.lines == [("user", "where is the heron?")]
    assert answer.text.startswith("In the reeds [1].\n\n**Sources**\n[1] [Herons](https://birds.example/heron)")


async def test_only_the_question_is_remembered_and_the_next_one_searches_nothing(store: Store) -> None:
    models = ScriptedModels([SEARCHING, QWEN])
    models.replies = [FOUND]
    chat = Conversation(store, models)
    await chat.say("hello")
    await chat.say("/search where is the heron?")
    await chat.say("and now?")
    assert [text for _, text in models.lines[2:]] == ["where is the heron?", "answer 2", "and now?"]
    assert not models.prompts[-1].search


async def test_another_model_of_the_vendor_searches_where_the_chats_cannot(store: Store) -> None:
    models = ScriptedModels([GLM, OTHER, replace(QWEN, searches=True)])
    answer = await Conversation(store, models).say("/search where?")
    assert models.prompts[0].card is OTHER
    assert models.prompts[0].search
    assert answer.text.startswith("*glm-web answers: glm-text cannot search the web.*")


async def test_with_a_picture_it_is_one_that_sees(store: Store) -> None:
    seeing = replace(OTHER, name="glm-eyes", vision=True)
    models = ScriptedModels([GLM, GLM_VISION, OTHER, seeing])
    chat = Conversation(store, models, {"web": Album()})
    await chat.say(chat.message("/search what bird is it?", attachments=(picture(),)))
    assert models.prompts[0].card is seeing


async def test_else_the_chats_model_searches_with_the_tool(store: Store) -> None:
    models = ScriptedModels([replace(GLM, tools=True), QWEN])
    calls: list[Told | Exception] = [
        ToolCall("c1", SEARCH_TOOL, '{"text":"heron"}'),
        Finished(reason=Finish.TOOLS, model="glm-text"),
    ]
    models.replies = [calls, "In the reeds [1]."]
    box = Box(reader(SEARCH_TOOL))
    box.does[SEARCH_TOOL] = lambda _: ToolResult("[1] Herons", sources=(Source(1, "Herons", "https://birds.example/"),))
    answer = await Conversation(store, models, toolbox=box).say("/search where?")
    assert models.prompts[0].lines[0].text.endswith(SEARCH_FIRST)
    assert box.ran == [(SEARCH_TOOL, '{"text":"heron"}')]
    assert "[1] [Herons](https://birds.example/)" in answer.text


@pytest.mark.parametrize("cards", [[GLM, QWEN], [replace(GLM, tools=True), replace(QWEN, searches=True)]])
async def test_where_nothing_searches_it_says_so_and_asks_nobody(store: Store, cards: list[ModelCard]) -> None:
    models = ScriptedModels(cards)
    answer = await Conversation(store, models).say("/search where?")
    assert answer.text.startswith("No web search is set up here")
    assert not models.prompts


async def test_without_a_question_it_tells_how_it_goes(store: Store) -> None:
    models = ScriptedModels([SEARCHING])
    assert "`/search question`" in (await Conversation(store, models).say("/search")).text
    assert not models.prompts


async def test_a_search_that_failed_is_searched_again(store: Store) -> None:
    models = ScriptedModels([SEARCHING])
    models.replies = [ModelError(Trouble.FAULT, vendor="glm")]
    chat = Conversation(store, models)
    failed = await chat.say("/search where?")
    await chat.press(failed.buttons["Retry"])
    assert models.prompts[-1].search


async def test_an_edited_search_takes_the_place_of_the_old_one(store: Store) -> None:
    models = ScriptedModels([SEARCHING])
    chat = Conversation(store, models)
    await chat.say("hello")
    question = chat.message("/search where?")
    await chat.say(question)
    await chat.edit(question, "/search who?")
    assert [text for _, text in models.lines] == ["hello", "answer 1", "who?"]
    await chat.say("next")
    assert [text for _, text in models.lines] == ["hello", "answer 1", "who?", "answer 3", "next"]
