"""Money: held back before each call, settled after it, never overrun."""

import asyncio
import itertools
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from bot.errors import BudgetSpent, ModelError, StorageError, Unreadable
from bot.messages import Finish
from bot.models import costs, open_models
from bot.ports import Ledger, Line
from bot.simulator import Fault, Reply
from storage import open_store
from tests.models.rig import Purse, Rig, end_of, open_rig


async def race(rig: Rig, ledger: Ledger) -> None:
    """Fifty calls at once."""
    answers = await asyncio.gather(*(rig.ask("qwen") for _ in range(50)), return_exceptions=True)
    spent = [answer for answer in answers if isinstance(answer, BudgetSpent)]
    assert (rig.calls, len(spent), len(answers)) == (3, 47, 50)
    tomorrow = (datetime.now().astimezone() + timedelta(days=1)).date()
    assert {error.opens and (error.opens.date(), error.opens.hour, error.opens.minute) for error in spent} == {
        (tomorrow, 0, 0)
    }


async def test_fifty_calls_at_once_with_money_for_three_make_three() -> None:
    purse = Purse()
    async with open_rig() as probe:
        one = costs.chat_estimate(probe.prompt("qwen"))
    async with open_rig(ledger=purse, budget=3 * one + one // 2, first_token=0.1) as rig:
        await race(rig, purse)


async def test_the_same_on_the_real_store(tmp_path: Path) -> None:
    async with open_store(f"sqlite:///{tmp_path}/magpie.db") as store, open_rig() as probe:
        one = costs.chat_estimate(probe.prompt("qwen"))
        async with open_rig(ledger=store, budget=3 * one + one // 2, first_token=0.1) as rig:
            await race(rig, store)
            today = datetime.now().astimezone().date().isoformat()
            assert await store.spent(today) == 3 * one  # until the turns settle them
            await rig.ask("glm")  # free models go on


async def test_the_end_names_the_call_and_its_cost() -> None:
    purse = Purse()
    async with open_rig(ledger=purse) as rig:
        end = end_of(await rig.ask("qwen3-max"))
        assert end.call == 0 and end.cost == costs.cost(rig.card("qwen3-max"), end.usage) > 0
        assert purse.rows[0][1] > end.cost and purse.rows[0][2] == "reserved"  # the turn's commit settles it


async def test_free_models_need_no_money_and_are_written_down_all_the_same() -> None:
    purse = Purse()
    async with open_rig(ledger=purse, budget=0) as rig:
        end = end_of(await rig.ask("glm"))
        picture = await rig.draw("cogview-3-flash")
        assert (end.call is None, end.cost, picture.finished.call is None) == (False, 0, False)
        for name in ("qwen", "glm-4.6"):
            with pytest.raises(BudgetSpent):
                await rig.ask(name)
        with pytest.raises(BudgetSpent):
            await rig.draw("z-image-turbo")
        assert rig.calls == 3 and [cost for _, cost, _ in purse.rows] == [0, 0]  # the third fetched the picture's link


async def test_each_try_is_reserved_and_a_refused_one_given_back() -> None:
    purse = Purse()
    async with open_rig(ledger=purse) as rig:
        rig.sim.fail(Fault(vendor="dashscope", code="Throttling"))
        rig.sim.fail(Fault(cut=True, after_chunks=0))
        end = end_of(await rig.ask("qwen"))
        (_, first, one), (_, second, two), (_, third, three) = purse.rows
        assert (first, one) == (0, "settled")  # refused: not billed
        assert (second, two) == (third, "estimated")  # broken: perhaps billed
        assert (three, end.call) == ("reserved", 2)


async def test_an_empty_answer_is_paid_for() -> None:
    purse = Purse()
    async with open_rig(ledger=purse) as rig:
        rig.sim.say(*[Reply(text="")] * 2)
        with pytest.raises(ModelError):
            await rig.ask("qwen")
        assert len(purse.rows) == 2 and all(cost > 0 and state == "settled" for _, cost, state in purse.rows)


async def test_a_lost_picture_costs_nothing() -> None:
    purse = Purse()
    async with open_rig(ledger=purse) as rig:
        with pytest.raises(Unreadable):
            await rig.ask("qwen3-vl-flash", lines=(Line("user", "?", ("lost",)),))
        assert purse.rows == [("qwen3-vl-flash", 0, "settled")] and not rig.calls


async def test_a_picture_that_cannot_be_had_now_costs_nothing() -> None:
    purse = Purse()
    async with open_rig(ledger=purse) as rig:
        rig.shelf.away = True
        with pytest.raises(StorageError):
            await rig.ask("qwen3-vl-flash", lines=(Line("user", "?", ("0",)),))
        assert purse.rows == [("qwen3-vl-flash", 0, "settled")] and not rig.calls


async def test_nothing_is_spent_on_the_simulator() -> None:
    purse = Purse()
    async with open_rig(ledger=purse) as rig:
        rig.models = open_models(replace(rig.models.settings, simulated=True, daily_budget=0))
        for name, _ in itertools.product(("glm", "qwen"), range(2)):
            assert end_of(await rig.ask(name)).reason is Finish.STOP
        assert rig.models.simulated and {cost for _, cost, _ in purse.rows} == {0}
