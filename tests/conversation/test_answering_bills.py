"""What an answer of several calls costs: the ledger against the vendor's own bill, by the real models' code."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, closing
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest

from bot.files import FileStore
from bot.messages import Attachment, Finish
from bot.models import Limits, ModelSettings, open_models
from bot.simulator import Fault, Simulator
from bot.simulator.sounds import speech
from storage import open_store
from tests.conversations import Album, Conversation
from tests.product import said
from tests.toolboxes import Box, reader, writer
from tests.torture.checker_money import bill
from tests.torture.checker_run import Called

USE = 'use look {"text": "1"} then use look {"text": "2"}'


@dataclass
class Books:
    """A chat, its vendors, and what was booked."""

    chat: Conversation
    models: Simulator
    database: Path

    def booked(self) -> Counter[tuple[str, int]]:
        """Settled rows that cost something; nothing else may be left of calls that ended."""
        with closing(sqlite3.connect(self.database)) as store:
            rows = store.execute("SELECT model, state, cost FROM ledger").fetchall()
        assert {state for _, state, _ in rows} <= {"settled"}
        return Counter((model, cost) for model, _, cost in rows if cost)

    def cost_of(self, *turns: int) -> str:
        """As `/info` writes it."""
        with closing(sqlite3.connect(self.database)) as store:
            rows = store.execute(f"SELECT cost FROM ledger WHERE turn IN ({','.join(map(str, turns))})").fetchall()
        assert len(rows) > 1
        return f"{sum(cost for (cost,) in rows) / 1_000_000:.6f}".rstrip("0") + " CNY"

    def billed(self) -> Counter[tuple[str, int]]:
        calls = [
            Called(
                model=call.model, prompt="", began=call.began, complete=True, prompt_tokens=call.usage.input_tokens,
                completion_tokens=call.usage.output_tokens, pictures=0,
            )
            for call in self.models.log
            if call.method == "POST" and call.model and call.status == 200
        ]  # fmt: skip
        return Counter((call.model, cost) for call in calls if (cost := bill(call)))


@pytest.fixture
async def books(tmp_path: Path) -> AsyncIterator[Books]:
    async with AsyncExitStack() as stack:
        models = await stack.enter_async_context(Simulator(first_token=0, per_token=0))
        store = await stack.enter_async_context(open_store(f"sqlite:///{tmp_path}/magpie.db"))
        files = FileStore(tmp_path / "files")
        settings = ModelSettings(
            session=await stack.enter_async_context(aiohttp.ClientSession()),
            ledger=store,
            files=files,
            zhipu_key=models.api_key,
            zhipu_url=models.glm_url,
            dashscope_key=models.api_key,
            dashscope_url=models.dashscope_url,
            chat_model="glm-4-plus",
            fallback_model="qwen-plus",
            limits=Limits(pace=0.0),
        )
        box, vendors, note = Box(reader(), writer()), open_models(settings), Album(note=speech("what is it?"))
        chat = Conversation(store, vendors, {"web": note}, toolbox=box, offers=vendors, files=files)
        yield Books(chat, models, tmp_path / "magpie.db")


async def test_every_call_has_one_row_with_what_the_vendor_billed(books: Books) -> None:
    answer = await books.chat.say(USE)
    assert answer.finished.reason is Finish.STOP
    assert books.billed().total() == 3 and books.booked() == books.billed()
    assert answer.finished.cost == sum(cost * times for (_, cost), times in books.billed().items())


async def test_a_consented_call_is_booked_over_both_turns(books: Books) -> None:
    asked = await books.chat.say("use mail {}")
    await books.chat.press(asked.buttons["Run it"])
    assert books.billed().total() == 2 and books.booked() == books.billed()


@pytest.mark.parametrize("code", ["1113", "1305", "1211"])
async def test_another_vendor_that_steps_in_after_a_round_is_booked_as_well(books: Books, code: str) -> None:
    books.models.fail(Fault(vendor="glm", path="chat", code=code, skip=1, times=None))
    answer = await books.chat.say(USE)
    assert "qwen-plus does" in answer.text
    assert {model for model, _ in books.billed()} == {"glm-4-plus", "qwen-plus"}
    assert books.booked() == books.billed()


async def test_what_finds_the_refused_part_of_a_conversation_is_booked(books: Books) -> None:
    for question in ("fine", "a bad word", "fine, too"):
        await books.chat.say(question)
    books.models.fail(Fault(vendor="glm", code="1301", times=None, when=lambda body: "a bad word" in str(body)))
    answer = await books.chat.say("and now?")
    assert "“a bad word”" in answer.text and answer.finished.reason is Finish.STOP
    assert books.booked() == books.billed()
    await books.chat.say("next")
    assert "a bad word" not in said(books.models.log[-1])


async def test_info_counts_what_was_heard_and_spoken_too(books: Books) -> None:
    await books.chat.say("/voice on")
    books.models.hear(USE)
    note = Attachment("voice", "note", mime="audio/wav", size=1_000)
    answer = await books.chat.say(books.chat.message("", attachments=(note,)))
    assert answer.media, "it was spoken"
    told, cost = (await books.chat.say("/info")).text, books.cost_of(answer.turn)
    assert f": {cost}" in told
    assert cost != f"{answer.finished.cost / 1_000_000:.6f}".rstrip("0") + " CNY"
