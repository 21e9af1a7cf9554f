"""The conversation manager with the real models, on the simulator: what people really get."""

from __future__ import annotations

import io
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import aiohttp
import pytest
from PIL import Image

from bot.background.steps import Steps
from bot.files import FileStore
from bot.messages import Attachment, Finish, Withdraw
from bot.models import ModelSettings, open_models
from bot.phrases import SHORTENED, TROUBLE
from bot.simulator import Simulator
from bot.simulator.faults import Fault
from storage import open_store
from tests.conversations import OWNER, Album, Conversation


def photo(width: int, height: int) -> bytes:
    data = io.BytesIO()
    Image.new("RGB", (width, height), "red").save(data, "PNG")
    return data.getvalue()


@pytest.fixture
def faults(request: pytest.FixtureRequest) -> list[Fault]:
    """What goes wrong at the vendors, by the test's parameter."""
    return getattr(request, "param", [])


@pytest.fixture
async def chat(tmp_path: Path, faults: list[Fault]) -> AsyncIterator[Conversation]:
    async with AsyncExitStack() as stack:
        simulator = Simulator(first_token=0, per_token=0, picture=0, faults=faults)
        await stack.enter_async_context(simulator)
        store = await stack.enter_async_context(open_store(f"sqlite:///{tmp_path}/magpie.db"))
        session = await stack.enter_async_context(aiohttp.ClientSession())
        files = FileStore(tmp_path / "files")
        settings = ModelSettings(
            session=session,
            ledger=store,
            files=files,
            zhipu_key=simulator.api_key,
            zhipu_url=simulator.glm_url,
            dashscope_key=simulator.api_key,
            dashscope_url=simulator.dashscope_url,
            simulated=True,
        )
        models = open_models(settings)
        chat = Conversation(store, models, {"web": Album(fox=photo(3000, 1000))}, files=files)
        chat.steps = Steps(store, models, models, files, chat.manager.prompt_of)
        yield chat


@pytest.mark.parametrize("vendor", ["glm", "qwen"])
async def test_a_chat_on_either_vendor_remembers_sees_and_draws(chat: Conversation, vendor: str) -> None:
    assert "now uses" in (await chat.say(f"/model {vendor}")).text
    await chat.say("My name is Ann")
    answer = await chat.say("What is my name?")
    assert "**Ann**" in answer.text
    assert answer.text.count("built-in simulator") == 1, "said in each answer, and once only"
    assert answer.finished.usage.prompt > 0
    seen = await chat.say(chat.message("what is this?", attachments=(Attachment("image", "fox"),)))
    assert "2048 × 683" in seen.text
    await chat.say("/image a red fox")
    (media,) = (await chat.works()).media
    with Image.open(io.BytesIO(await chat.files.load(media.file))) as picture:
        assert picture.size[0] >= 512
    told = (await chat.say(chat.message("/info", OWNER))).text
    assert "200" in told
    assert "Pictures" in told


async def test_retry_words_the_answer_anew_where_the_vendor_takes_a_seed(chat: Conversation) -> None:
    await chat.say("/model qwen")
    first = (await chat.say("tell me something")).text
    others = {(await chat.say("/retry")).text for _ in range(12)}
    assert others != {first}


async def test_the_default_sizes_and_rules_of_the_catalogue_are_drawn(chat: Conversation) -> None:
    for size in ("1024x1024", "512x512", "wide"):
        await chat.say(f"/image {size} a fox")
        assert (await chat.works()).media
    assert "cannot draw 10x10" in (await chat.say("/image 10x10 a fox")).text


async def test_everything_listed_can_be_chosen_and_answers(chat: Conversation) -> None:
    listed = await chat.say("/model")
    assert len(listed.text) < 4000
    assert len(listed.buttons) == 15
    for name in ("glm-4.6v-flash", "qwen-plus"):
        assert f"`{name}`" in listed.text
        await chat.say(f"/model {name}")
        assert (await chat.say("hi")).finished.reason is Finish.STOP


@pytest.mark.parametrize("faults", [[Fault(vendor="glm", code="1301", times=None)]], indirect=True)
async def test_the_other_vendor_answers_what_one_refused(chat: Conversation) -> None:
    refused = await chat.say("What is 2 + 2?")
    assert refused.finished.reason is Finish.REFUSED
    (other,) = refused.buttons.values()
    assert "**4**" in (await chat.press(other)).text


@pytest.mark.parametrize("faults", [[Fault(vendor="glm", finish="sensitive", after_chunks=5)]], indirect=True)
async def test_an_answer_that_the_filter_closes_is_taken_back(chat: Conversation) -> None:
    refused = await chat.say("Tell me a long story")
    assert Withdraw() in refused.items
    assert refused.text == TROUBLE["refused"].en
    assert "first message" in (await chat.say("What was my previous question?")).text


@pytest.mark.parametrize("faults", [[Fault(cut=True, after_chunks=9)]], indirect=True)
async def test_a_broken_stream_can_be_continued(chat: Conversation) -> None:
    cut = await chat.say("Tell me a long story")
    assert cut.finished.reason is Finish.CUT
    assert cut.text.endswith("*(the answer broke off here)*")
    assert (await chat.press(cut.buttons["Continue"])).finished.reason is Finish.STOP


@pytest.mark.parametrize(
    "faults", [[Fault(code="1261", when=lambda body: len(json.dumps(body)) > 4_000)]], indirect=True
)
async def test_a_conversation_too_long_for_the_vendor_is_shortened(chat: Conversation) -> None:
    for number in range(4):
        await chat.say(f"{number}: " + "words " * 60)
    answer = await chat.say("What was my previous question?")
    assert answer.notices == [SHORTENED.en]
    assert "3: words" in answer.text


@pytest.mark.parametrize("faults", [[Fault(code="1113", times=None)]], indirect=True)
async def test_an_account_without_money_is_for_the_owner_to_top_up(chat: Conversation) -> None:
    failed = await chat.say("hello")
    assert failed.text == TROUBLE["no money"].en
    assert "429 1113" in (await chat.say("/info")).text
