"""Both vendors side by side, searches and long documents, with the real models' code on the simulator."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import datetime
from pathlib import Path

import aiohttp
import pytest

from bot.files import FileStore
from bot.messages import Answered, Attachment, Finish, Text
from bot.models import ModelSettings, open_models
from bot.simulator import Simulator
from bot.simulator.faults import Fault
from storage import open_store
from tests.conversations import Album, Answer, Conversation

BOOK = "\n\n".join(f"[page {page}]\n{'The heron stands in the reeds and waits. ' * 60}" for page in range(1, 41))
NARROW = """
[[model]]
name = "glm-4.7-flash"
window = 16000
output = 4000
[[model]]
name = "qwen-flash"
window = 16000
output = 4000
"""


@pytest.fixture
def faults(request: pytest.FixtureRequest) -> list[Fault]:
    return getattr(request, "param", [])


@pytest.fixture
async def chat(tmp_path: Path, faults: list[Fault]) -> AsyncIterator[Conversation]:
    """With keys and a budget: money is counted."""
    async with AsyncExitStack() as stack:
        simulator = Simulator(first_token=0, per_token=0, picture=0, faults=faults)
        await stack.enter_async_context(simulator)
        store = await stack.enter_async_context(open_store(f"sqlite:///{tmp_path}/magpie.db"))
        session = await stack.enter_async_context(aiohttp.ClientSession())
        files = FileStore(tmp_path / "files")
        catalog = tmp_path / "models.toml"
        catalog.write_text(NARROW)
        settings = ModelSettings(
            session=session,
            ledger=store,
            files=files,
            zhipu_key=simulator.api_key,
            zhipu_url=simulator.glm_url,
            dashscope_key=simulator.api_key,
            dashscope_url=simulator.dashscope_url,
            catalog_file=catalog,
        )
        yield Conversation(store, open_models(settings), {"web": Album(book=BOOK.encode())}, files=files)


async def spent(chat: Conversation) -> int:
    return await chat.store.spent(datetime.now().astimezone().date().isoformat())


def slot(answer: Answer, number: int) -> str:
    return "".join(item.delta for item in answer.items if isinstance(item, Text) and item.slot == number)


async def test_both_vendors_answer_and_the_kept_one_is_remembered(chat: Conversation) -> None:
    await chat.say("My name is Ann")
    before = await spent(chat)
    compared = await chat.say("/compare What is my name?")
    glm, qwen = slot(compared, 0), slot(compared, 1)
    assert glm.startswith("**glm-4.7-flash**\n\n")
    assert qwen.startswith("**qwen-flash**\n\n")
    assert "**Ann**" in glm
    assert "**Ann**" in qwen
    assert glm.endswith(" s · free*")
    assert " s · " in qwen.splitlines()[-1] and "¥" in qwen.splitlines()[-1]
    assert compared.finished.cost > 0
    assert await spent(chat) - before == compared.finished.cost, "nothing stays held back"
    await chat.press(compared.buttons["Keep this one 2"])
    assert "What is my name?" in (await chat.say("What was my previous question?")).text


@pytest.mark.parametrize(
    "faults", [[Fault(vendor="dashscope", code="DataInspectionFailed", times=None)]], indirect=True
)
async def test_one_vendor_refuses_and_the_other_one_answers(chat: Conversation) -> None:
    compared = await chat.say("/compare What is 2 + 2?")
    assert "**4**" in slot(compared, 0)
    assert "content filter" in slot(compared, 1)
    assert len([item for item in compared.items if isinstance(item, Answered)]) == 1


@pytest.mark.parametrize("vendor", ["glm", "qwen"])
async def test_each_vendor_searches_and_tells_its_sources(chat: Conversation, vendor: str) -> None:
    await chat.say(f"/model {vendor}")
    answer = await chat.say("/search herons in winter")
    assert answer.finished.reason is Finish.STOP
    assert "**Sources**\n[1] [" in answer.text


@pytest.mark.parametrize("vendor", ["glm", "qwen"])
async def test_each_vendor_reads_a_long_document_by_parts(chat: Conversation, vendor: str) -> None:
    await chat.say(f"/model {vendor}")
    book = Attachment("file", "book", mime="text/plain", name="book.txt", size=len(BOOK))
    answer = await chat.say(chat.message("Where does the heron stand?", attachments=(book,)))
    assert answer.finished.reason is Finish.STOP
    assert "I read it in parts (" in answer.text
    assert len([notice for notice in answer.notices if notice.startswith("reading part")]) > 3
    assert await spent(chat) == answer.finished.cost
    assert (answer.finished.cost > 0) is (vendor == "qwen")
    assert "These are notes on it" in (await chat.say("What was my previous question?")).text
