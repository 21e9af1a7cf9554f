"""A model that asks for functions: what is given out, and when that is paid."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing

import pytest

from bot.errors import EMPTY, NO_ROOM, ModelError, Trouble
from bot.messages import Finish, Finished, Text, Thought, Usage
from bot.models import costs
from bot.models.budget import Budget
from bot.models.guarded import Guarded
from bot.models.vendor import Streamed
from bot.ports import Line, ModelCard, Prompt, Source, Sources, ToolCall
from tests.models.rig import CHAT, QUICK, Parts, Purse, end_of

CARD = ModelCard(name="glm-4.6", vendor="glm", kind="chat", window=200_000, output=4_000, price=((200_000, 4.0, 16.0),))
WEATHER = ToolCall("call_1", "weather", '{"city": "北京"}')
CLOCK = ToolCall("call_2", "clock", "{}")
USAGE = Usage(prompt=100, completion=20)
BREAK = ModelError(Trouble.CUT, vendor="glm")


class Told:
    """models.vendor.Vendor: gives the parts that it was told to give, one list for each try."""

    def __init__(self, *tries: list[Streamed | ModelError]) -> None:
        self.left = list(tries)

    async def stream(self, prompt: Prompt) -> AsyncGenerator[Streamed, None]:
        for part in self.left.pop(0):
            if isinstance(part, ModelError):
                raise part
            yield part


def ending(reason: Finish = Finish.TOOLS, usage: Usage = USAGE) -> Finished:
    return Finished(reason=reason, usage=usage, model=CARD.name)


async def ask(purse: Purse, *tries: list[Streamed | ModelError], last: bool = True) -> Parts:
    vendor = Told(*tries)

    async def opened() -> Told:
        return vendor

    guarded = Guarded("glm", opened, Budget(purse, 5_000_000), QUICK)
    prompt = Prompt(card=CARD, lines=(Line("user", "how is the weather?"),), output=100, chat=CHAT, turn=1, last=last)
    async with aclosing(guarded.generate(prompt)) as parts:
        answer = [part async for part in parts]
    assert not vendor.left
    return answer


async def test_the_calls_come_right_before_the_end_which_is_paid_at_once() -> None:
    purse = Purse()
    answer = await ask(purse, [Thought("hm"), Text("Let me look."), WEATHER, CLOCK, ending()])
    assert answer[:4] == [Thought("hm"), Text("Let me look."), WEATHER, CLOCK]
    end = end_of(answer)
    assert (end.reason, end.call, end.usage) == (Finish.TOOLS, None, USAGE)
    assert end.cost == costs.cost(CARD, USAGE) > 0
    assert purse.rows == [(CARD.name, end.cost, "settled")]


async def test_a_call_without_a_word_is_an_answer() -> None:
    assert (await ask(Purse(), [WEATHER, ending()]))[0] == WEATHER


async def test_the_last_answer_of_a_turn_is_left_to_its_commit() -> None:
    purse = Purse()
    end = end_of(await ask(purse, [Text("Sunny."), ending(Finish.STOP)]))
    assert end.call == 0 and purse.rows[0][2] == "reserved"


async def test_one_of_several_answers_is_paid_at_once() -> None:
    purse = Purse()
    end = end_of(await ask(purse, [Text("Sunny."), ending(Finish.STOP)], last=False))
    assert end.call is None and purse.rows == [(CARD.name, end.cost, "settled")]


@pytest.mark.parametrize("last", [True, False])
async def test_a_call_of_functions_beside_another_end_is_dropped(last: bool) -> None:
    answer = await ask(Purse(), [Text("Sunny."), WEATHER, ending(Finish.STOP)], last=last)
    assert WEATHER not in answer


async def test_a_call_of_a_try_that_failed_is_not_given_out_and_may_have_been_billed() -> None:
    purse = Purse()
    answer = await ask(purse, [WEATHER, BREAK], [CLOCK, ending()])
    assert [part for part in answer if isinstance(part, ToolCall)] == [CLOCK]
    assert [state for _, _, state in purse.rows] == ["estimated", "settled"] and purse.rows[0][1] > 0


@pytest.mark.parametrize("reason", [Finish.CUT, Finish.LENGTH, Finish.REFUSED])
async def test_no_call_of_an_answer_that_ended_otherwise_is_given_out(reason: Finish) -> None:
    answer = await ask(Purse(), [Text("Let me look."), WEATHER, ending(reason)])
    assert not [part for part in answer if isinstance(part, ToolCall)]
    assert end_of(answer).reason is reason


async def test_an_end_that_asks_for_nothing_is_an_empty_answer() -> None:
    with pytest.raises(ModelError) as caught:
        await ask(Purse(), [ending()], [ending()])
    assert (caught.value.trouble, caught.value.code) == (Trouble.FAULT, EMPTY)


async def test_endless_arguments_are_no_answer() -> None:
    with pytest.raises(ModelError) as caught:
        await ask(Purse(), [ToolCall("1", "weather", "x" * 10_000), ending()])
    assert caught.value.code == NO_ROOM


async def test_sources_pass_and_are_no_text() -> None:
    sources = Sources((Source(1, "Magpies", "https://example.org/"),))
    answer = await ask(Purse(), [sources, Text("Shiny."), ending(Finish.STOP)])
    assert answer[:2] == [sources, Text("Shiny.")]
    with pytest.raises(ModelError):
        await ask(Purse(), [sources, ending(Finish.STOP)], [sources, ending(Finish.STOP)])
