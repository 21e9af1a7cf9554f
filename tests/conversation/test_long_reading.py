"""Documents that are longer than a model's window: read part by part, and answered over the notes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path

import pytest

from bot.conversation import context, long_reading
from bot.documents.framing import Framed, unframed
from bot.errors import BudgetSpent, ModelError, Trouble
from bot.messages import Asked, Attachment, Finish, Finished, Message, Notice, Text
from bot.ports import ModelCard
from storage import open_store
from storage.store import Store
from tests.conversations import Album, Conversation, Reply, ScriptedModels, Told

FREE = ModelCard(name="glm-text", vendor="glm", kind="chat", window=4_000, output=1_000, default=True)
LINE = "The heron stands in the reeds and waits. "  # about 14 tokens


class Reader(ScriptedModels):
    """Notes on each part, unless something is scripted."""

    def scripted(self, *replies: Reply) -> None:
        self.replies = list(replies)

    @property
    def asked(self) -> list[str]:
        """What the model was shown, prompt by prompt."""
        return [prompt.lines[-1].text for prompt in self.prompts]


def pages(count: int) -> bytes:
    """Each page is about 710 tokens."""
    return "\n\n".join(f"[page {page}]\n{LINE * 50}" for page in range(1, count + 1)).encode()


DOCUMENTS = {
    **{f"p{count}": pages(count) for count in (1, 3, 6, 8, 60)},
    "mixed": (LINE * 200 + "鹭在芦苇里等待。" * 300).encode(),  # dearer in the end than on average
}


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    async with open_store(f"sqlite:///{tmp_path}/magpie.db") as opened:
        yield opened


@pytest.fixture
def models() -> Reader:
    return Reader()


@pytest.fixture
def chat(store: Store, models: Reader) -> Conversation:
    return Conversation(store, models, {"web": Album(**DOCUMENTS)})


def document(chat: Conversation, ref: str, text: str = "Where is the heron?", name: str = "birds.txt") -> Message:
    return chat.message(text, attachments=(Attachment("file", ref, mime="text/plain", name=name, size=1_000),))


# --- reading -----------------------------------------------------------------------------------------------------------


async def test_what_fits_is_read_at_once(chat: Conversation, models: Reader) -> None:
    answer = await chat.say(document(chat, "p1"))
    assert answer.text == "answer 1"
    assert len(models.prompts) == 1


async def test_a_long_document_is_read_by_parts_and_answered_over_the_notes(chat: Conversation, models: Reader) -> None:
    models.scripted("page 1: in the reeds", "nothing", "Nothing.", "In the reeds.")
    answer = await chat.say(document(chat, "p6"))
    assert answer.notices == [f"reading part {number} of 3 …" for number in (1, 2, 3)]
    assert answer.text.startswith("*Too long for glm-text at once: I read it in parts (3, at most about ¥")
    assert answer.text.endswith("In the reeds.")
    *reading, last = models.prompts
    for number, prompt in enumerate(reading, 1):
        told, asked = prompt.lines
        assert told.text == long_reading.TASK
        assert asked.text.startswith(f"[file birds.txt, part {number} of 3]\n")
        assert asked.text.endswith("The question: Where is the heron?")
        assert not prompt.last
        assert not prompt.tools
        assert prompt.output <= long_reading.NOTE
    assert last.last
    (notes,), asked_of_it = unframed(last.lines[-1].text)
    assert notes == Framed("birds.txt", f"{long_reading.NOTES}\n\nPart 1 of 3: page 1: in the reeds")
    assert asked_of_it == "Where is the heron?"


@pytest.mark.parametrize("ref", ["p8", "mixed"])
async def test_the_parts_hold_the_whole_document_and_each_fits_half_the_window(
    chat: Conversation, models: Reader, ref: str
) -> None:
    await chat.say(document(chat, ref))
    *parts, last = models.prompts
    read = "".join(unframed(prompt.lines[-1].text)[0][0].text for prompt in parts)
    assert "".join(read.split()) == "".join(DOCUMENTS[ref].decode().split())
    for prompt in parts:
        assert sum(map(context.tokens, prompt.lines)) <= 2_000
    assert sum(map(context.tokens, last.lines)) <= 3_000


async def test_later_questions_go_on_from_the_notes(chat: Conversation, models: Reader) -> None:
    models.scripted("in the reeds", "nothing", "nothing", "In the reeds.")
    await chat.say(document(chat, "p6"))
    await chat.say("And what does it do?")
    assert "Part 1 of 3: in the reeds" in models.lines[0][1]
    assert LINE not in models.lines[0][1]
    assert [text for _, text in models.lines[1:]] == ["In the reeds.", "And what does it do?"]


async def test_more_parts_than_are_read_are_named(chat: Conversation, models: Reader) -> None:
    answer = await chat.say(document(chat, "p60"))
    assert len(models.prompts) == long_reading.MOST_PARTS + 1
    total = int(models.asked[0].partition(" of ")[2].partition("]")[0])
    assert f"left out: birds.txt (parts 13-{total} of {total})*" in answer.text


async def test_several_documents_keep_their_names(chat: Conversation, models: Reader) -> None:
    message = document(chat, "p6")
    other = Attachment("file", "p1", mime="text/plain", name="other.txt", size=1_000)
    message = chat.message("Which?", attachments=(*message.attachments, other))
    models.scripted("one", "two", "three", "four", "Both.")
    await chat.say(message)
    documents, _ = unframed(models.asked[-1])
    assert [one.name for one in documents] == ["birds.txt", "other.txt"]
    assert documents[0].text.endswith("Part 1 of 3: one\n\nPart 2 of 3: two\n\nPart 3 of 3: three")
    assert documents[1].text.endswith("Part 1 of 1: four")


async def test_notes_that_are_longer_than_asked_for_are_cut(chat: Conversation, models: Reader) -> None:
    models.scripted("note " * 5_000, "鹭" * 5_000, "short", "Done.")
    assert (await chat.say(document(chat, "p6"))).finished.reason is Finish.STOP
    assert sum(map(context.tokens, models.prompts[-1].lines)) <= 3_000
    assert "Part 3 of 3: short" in models.asked[-1]


async def test_what_it_cost_is_told_together(chat: Conversation, models: Reader) -> None:
    def costing(cost: int) -> list[Told | Exception]:
        return [Text("a"), Finished(reason=Finish.STOP, model="glm-text", cost=cost)]

    models.scripted(*map(costing, (1, 10, 100, 1_000)))
    assert (await chat.say(document(chat, "p6"))).finished.cost == 1_111


async def test_what_costs_nothing_tells_no_price(store: Store) -> None:
    chat = Conversation(store, Reader([FREE]), {"web": Album(p6=pages(6))})
    assert "in parts (3) and" in (await chat.say(document(chat, "p6"))).text


async def test_alone_it_is_read_the_same_way_and_not_remembered(chat: Conversation, models: Reader) -> None:
    answer = await chat.say(document(chat, "p6", "/ask where?"))
    assert len(answer.notices) == 3
    assert not any(isinstance(change, Asked) for change in answer.changes)


async def test_a_question_that_is_itself_too_long_stays_so(chat: Conversation, models: Reader) -> None:
    answer = await chat.say(document(chat, "p6", "why? " * 3_000))
    assert "too long for glm-text" in answer.text
    assert not models.prompts


# --- what goes wrong ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "why"),
    [
        (BudgetSpent(None), "more than the owner allows"),
        (ModelError(Trouble.OVERLOADED, vendor="glm"), "overloaded"),
    ],
)
async def test_what_ends_in_the_middle_is_answered_over_what_there_is(
    chat: Conversation, models: Reader, error: Exception, why: str
) -> None:
    models.scripted("in the reeds", error, "In the reeds, as far as I read.")
    answer = await chat.say(document(chat, "p6"))
    assert "Not read: birds.txt (parts 2-3 of 3)." in answer.text
    assert why in answer.text
    assert answer.text.endswith("as far as I read.")
    assert "Part 1 of 3: in the reeds" in models.asked[-1]


async def test_a_part_that_the_vendor_refuses_is_left_out_and_named(chat: Conversation, models: Reader) -> None:
    refused: list[Told | Exception] = [Text("Ev"), Finished(reason=Finish.REFUSED, model="glm-text")]
    models.scripted(ModelError(Trouble.REFUSED, vendor="glm"), refused, "in the reeds", "Done.")
    answer = await chat.say(document(chat, "p6"))
    assert "refuses to read: birds.txt (parts 1-2 of 3)*" in answer.text
    assert answer.text.endswith("Done.")


async def test_where_nothing_could_be_read_the_document_can_be_asked_about_again(
    chat: Conversation, models: Reader
) -> None:
    models.scripted(ModelError(Trouble.FAULT, vendor="glm"))
    failed = await chat.say(document(chat, "p6"))
    assert "servers failed" in failed.text
    assert failed.finished.reason is Finish.FAILED
    models.scripted("one", "two", "three", "Done.")
    again = await chat.press(failed.buttons["Retry"])
    assert len(again.notices) == 3
    assert again.text.endswith("Done.")
    await chat.say("and?")
    assert "Part 1 of 3: one" in models.lines[0][1]
    assert LINE not in models.lines[0][1]


async def test_an_answer_that_fails_after_the_reading_is_asked_again_over_the_notes(
    chat: Conversation, models: Reader
) -> None:
    models.scripted("one", "two", "three", ModelError(Trouble.FAULT, vendor="glm"))
    failed = await chat.say(document(chat, "p6"))
    assert (await chat.press(failed.buttons["Retry"])).text == "answer 5"
    assert len(models.prompts) == 5


async def test_it_can_be_stopped_in_the_middle(chat: Conversation, models: Reader) -> None:
    seen: list[object] = []
    claim = await chat._claim(["m"])
    turn = chat._open(claim, (document(chat, "p8"),), late=False)
    async with aclosing(chat.manager.answer(turn)) as items:
        async for item in items:
            seen.append(item)
            if isinstance(item, Notice) and "part 2" in item.text:
                break
    await asyncio.sleep(0)
    assert models.open == 0
    assert len(models.prompts) == 1
    (asked,) = [item for item in seen if isinstance(item, Asked)]
    assert LINE in asked.text, "the whole document: it can be asked about again"


# --- in later turns ----------------------------------------------------------------------------------------------------


async def test_a_document_is_whole_for_some_turns_and_then_its_beginning(store: Store) -> None:
    wide = ModelCard(name="glm-text", vendor="glm", kind="chat", window=100_000, output=1_000, default=True)
    models = Reader([wide])
    chat = Conversation(store, models, {"web": Album(p8=pages(8))})
    await chat.say(document(chat, "p8"))
    lengths = []
    for number in range(context.SEEN):
        await chat.say(f"question {number}")
        lengths.append(len(models.lines[0][1]))
    assert lengths[0] == lengths[1] > 16_000
    assert lengths[2] < context.RECALLED + 100
    assert "[…]" in models.lines[0][1]
    assert models.lines[0][1].endswith("Where is the heron?")


async def test_a_document_that_fills_the_window_is_shortened_for_what_was_said_before_it(
    chat: Conversation, models: Reader
) -> None:
    await chat.say("first")
    await chat.say(document(chat, "p3"))
    assert [text for _, text in models.lines[:2]] == ["first", "answer 1"]
    await chat.say("and?")
    assert [text for _, text in models.lines[:2]] == ["first", "answer 1"]
    assert "[…]" in models.lines[2][1]
