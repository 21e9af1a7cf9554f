"""What the figures say of a vendor's calls: every try that failed, and money as the ledger holds it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import aclosing
from dataclasses import replace

import pytest

from bot.errors import ModelError, Trouble, Unreadable
from bot.messages import Text
from bot.models import open_models
from bot.ports import Line
from bot.simulator import Fault, Reply
from tests.figures import grown, scrape
from tests.models.rig import Purse, Rig, end_of, open_rig

QWEN, PICTURE = "qwen3-max", "qwen-image-plus"


async def test_every_try_that_fails_is_counted_and_told() -> None:
    heard: list[Trouble] = []
    async with open_rig() as rig:
        rig.models = open_models(replace(rig.models.settings, failed=lambda error: heard.append(error.trouble)))
        before = await scrape()
        rig.sim.fail(Fault(vendor="glm", code="1302"))
        rig.sim.fail(Fault(vendor="glm", cut=True, after_chunks=0))
        await rig.ask("glm-4.7-flash")
        rig.sim.say(*[Reply(text="")] * 2)
        await rig.refused("glm-4.7-flash")
        more = grown(before, await scrape())

    failed = {name: count for name, count in more.items() if name.startswith(("magpie_vendor", "magpie_rate"))}
    assert failed == {
        'magpie_vendor_errors_total{kind="busy",model="glm-4.7-flash"}': 1,
        'magpie_vendor_errors_total{kind="cut",model="glm-4.7-flash"}': 1,
        'magpie_vendor_errors_total{kind="fault",model="glm-4.7-flash"}': 2,
        'magpie_rate_limited_total{by="glm"}': 1,
    }
    assert heard == [Trouble.BUSY, Trouble.CUT, Trouble.FAULT, Trouble.FAULT]


async def test_a_refused_key_is_told_though_the_answer_is_but_a_sentence() -> None:
    heard: list[ModelError] = []
    async with open_rig(key="0123456789abcdef0123456789abcdef.wrongwrongwrong") as rig:
        rig.models = open_models(replace(rig.models.settings, failed=heard.append))
        for name in ("glm", "qwen"):
            await rig.refused(name)
        with pytest.raises(ModelError):
            await rig.draw("cogview-3-flash")

    assert [(error.trouble, error.vendor) for error in heard] == [
        (Trouble.BAD_KEY, "glm"),
        (Trouble.BAD_KEY, "qwen"),
        (Trouble.BAD_KEY, "glm"),
    ]


async def answered(rig: Rig) -> int:
    return end_of(await rig.ask(QWEN)).cost


async def refused_then_cut_then_answered(rig: Rig) -> int:
    rig.sim.fail(Fault(vendor="dashscope", code="Throttling"))
    rig.sim.fail(Fault(cut=True, after_chunks=0))
    return end_of(await rig.ask(QWEN)).cost


async def empty(rig: Rig) -> int:
    rig.sim.say(*[Reply(text="")] * 2)
    await rig.refused(QWEN)
    return 0


async def stopped(rig: Rig) -> int:
    """The caller closes it in the middle: the ledger's row keeps its estimate."""
    async with aclosing(rig.models.chat(rig.card(QWEN)).generate(rig.prompt(QWEN))) as parts:
        async for part in parts:
            if isinstance(part, Text):
                break
    return -1


async def picture_lost(rig: Rig) -> int:
    with pytest.raises(Unreadable):
        await rig.ask("qwen3-vl-flash", lines=(Line("user", "?", ("lost",)),))
    return 0


async def drawn(rig: Rig) -> int:
    return (await rig.draw(PICTURE)).finished.cost


async def drawn_in_vain(rig: Rig) -> int:
    rig.sim.fail(Fault(picture="expired"))
    with pytest.raises(ModelError):
        await rig.draw(PICTURE)
    return 0


@pytest.mark.parametrize(
    "call",
    [answered, refused_then_cut_then_answered, empty, stopped, picture_lost, drawn, drawn_in_vain],
    ids=lambda call: call.__name__,
)
async def test_the_money_is_that_of_the_ledger(call: Callable[[Rig], Awaitable[int]]) -> None:
    purse = Purse()
    async with open_rig(ledger=purse, first_token=0.01, per_token=0.01) as rig:
        before = await scrape()
        last = await call(rig)
        more = grown(before, await scrape())

    held = [cost for _, cost, state in purse.rows if state != "reserved"]
    held += [last if last >= 0 else cost for _, cost, state in purse.rows if state == "reserved"]
    counted = sum(value for name, value in more.items() if name.startswith("magpie_cost_cny_total"))
    assert round(counted * 1_000_000) == sum(held)
