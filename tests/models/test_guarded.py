"""A vendor that takes few calls, or none: who waits, who is told what, and what it costs. Against the simulator."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace

import pytest

from bot.errors import ModelError, Trouble
from bot.messages import Finish, Notice, Text
from bot.metrics import REGISTRY
from bot.models import Limits
from bot.models.breaker import ACCOUNT, OPEN
from bot.models.breaker import MODEL as RULE
from bot.models.budget import Budget
from bot.models.gate import MOST, QUEUE
from bot.models.guarded import Guarded
from bot.models.zhipu import Zhipu
from bot.ports import Prompt
from bot.simulator import Fault
from tests.figures import scrape
from tests.models.clock import Clock
from tests.models.rig import QUICK, Parts, Purse, Rig, end_of, open_rig, text_of
from tests.stage import until

TELLS = replace(QUICK, notice=0.02)
MODEL = "glm-4.7-flash"


def gate(figure: str) -> int:
    """What the scraper is told of the model's gate: its limit, who is in_flight, who is waiting."""
    told = REGISTRY.get_sample_value(f"magpie_gate_{figure}", {"model": MODEL})
    assert told is not None
    return int(told)


async def crowd(rig: Rig, size: int, **more: object) -> Sequence[Parts]:
    return await asyncio.gather(*(rig.ask(MODEL, f"question {number}", **more) for number in range(size)))


def busy(rig: Rig) -> int:
    return sum(call.status == 429 for call in rig.sim.log)


def notices(parts: Parts) -> list[str]:
    return [part.text for part in parts if isinstance(part, Notice)]


# --- the gate ----------------------------------------------------------------------------------------------------------


async def test_a_crowd_before_a_vendor_of_three_is_answered_and_refused_no_second_time() -> None:
    async with open_rig(first_token=0.1) as rig:
        await rig.ask(MODEL)
        rig.sim.set_max_in_flight(3)
        answers = await crowd(rig, 12)
        assert all(end_of(answer).reason is Finish.STOP and text_of(answer) for answer in answers)
        assert 0 < busy(rig) <= 9
        assert (gate("limit"), gate("in_flight"), gate("waiting")) == (3, 0, 0)
        before = busy(rig)
        await crowd(rig, 12)
        assert busy(rig) == before


async def test_who_waits_sees_the_place_in_the_queue_in_their_language() -> None:
    async with open_rig(first_token=0.1, limits=TELLS) as rig:
        rig.sim.set_max_in_flight(1)
        await crowd(rig, 4)
        assert gate("limit") == 1
        answers = await crowd(rig, 4)
        told = [notices(answer) for answer in answers]
        assert told[0] == []
        assert told[1] == [f"you are number 1 in the queue for {MODEL} …"]
        assert told[3] == [f"you are number {place} in the queue for {MODEL} …" for place in (3, 2, 1)]
        assert "第 1 位" in notices((await crowd(rig, 2, language="zh"))[1])[0]


async def test_the_wait_in_the_queue_is_no_part_of_the_time_for_tries() -> None:
    async with open_rig(first_token=0.4, limits=replace(TELLS, tries=0.3)) as rig:
        rig.sim.set_max_in_flight(1)
        await crowd(rig, 2)
        rig.sim.fail(Fault(vendor="glm", code="500", when=lambda body: "question 1" in str(body)))
        answers = await crowd(rig, 2)  # 0.4 s in the queue, then a failure and a second try
        assert [end_of(answer).reason for answer in answers] == [Finish.STOP] * 2
        assert [call.status for call in rig.sim.log[-3:]] == [200, 500, 200]


async def test_money_is_held_back_only_when_the_call_is_let_in() -> None:
    purse = Purse()
    async with open_rig(ledger=purse, first_token=0.15) as rig:
        rig.sim.set_max_in_flight(1)
        await crowd(rig, 2)
        booked = len(purse.rows)
        async with asyncio.TaskGroup() as tasks:
            asked = tasks.create_task(crowd(rig, 5))
            await until(lambda: gate("waiting") == 4)
            assert len(purse.rows) == booked + 1
        assert len(asked.result()) == 5 and len(purse.rows) == booked + 5


async def test_the_queue_has_an_end() -> None:
    purse = Purse()
    async with open_rig(ledger=purse, first_token=0.2, limits=replace(QUICK, queue=0.1)) as rig:
        rig.sim.set_max_in_flight(1)
        first, second = await asyncio.gather(rig.ask(MODEL), rig.refused(MODEL))
        assert end_of(first).reason is Finish.STOP
        assert (second.trouble, second.code, second.model) == (Trouble.BUSY, QUEUE, MODEL)
        assert len(purse.rows) == 2  # the call that taught it the limit, and the answered one
        assert (gate("in_flight"), gate("waiting")) == (0, 0)


async def test_who_leaves_the_queue_or_is_stopped_in_the_middle_makes_room() -> None:
    async with open_rig(first_token=0.05, limits=TELLS) as rig:
        rig.sim.set_max_in_flight(1)
        await crowd(rig, 2)
        async with aclosing(rig.models.chat(rig.card(MODEL)).generate(rig.prompt(MODEL))) as inside:
            async for part in inside:
                if isinstance(part, Text):
                    break
            async with asyncio.TaskGroup() as tasks:
                one, two = (tasks.create_task(rig.ask(MODEL)) for _ in range(2))
                await until(lambda: gate("waiting") == 2)
                one.cancel()
                await until(lambda: gate("waiting") == 1)
                async with aclosing(rig.models.chat(rig.card(MODEL)).generate(rig.prompt(MODEL))) as third:
                    assert isinstance(await anext(third), Notice)
                assert gate("waiting") == 1
                await inside.aclose()
        assert one.cancelled() and end_of(two.result()).reason is Finish.STOP
        assert (gate("in_flight"), gate("waiting")) == (0, 0)


async def test_background_work_lets_people_go_first() -> None:
    async with open_rig(first_token=0.2) as rig:
        rig.sim.set_max_in_flight(1)
        await crowd(rig, 2)
        before = rig.calls
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(rig.ask(MODEL, "first"))
            await until(lambda: gate("in_flight") == 1)
            tasks.create_task(rig.ask(MODEL, "job", job_fence=7))
            await until(lambda: gate("waiting") == 1)
            tasks.create_task(rig.ask(MODEL, "second"))
        asked = [str(call.body["messages"][-1]["content"]) for call in rig.sim.log[before:]]
        assert [text.split()[0] for text in asked] == ["first", "second", "job"]


async def test_orders_wait_as_well() -> None:
    """Those that the vendor refused taught us how many it takes: whoever ordered tries again, later."""
    async with open_rig(picture=0.2) as rig:
        rig.sim.set_max_in_flight(2)
        first = await asyncio.gather(*(rig.draw("cogview-3-flash") for _ in range(5)), return_exceptions=True)
        assert {one.trouble for one in first if isinstance(one, ModelError)} == {Trouble.BUSY}
        assert len(await asyncio.gather(*(rig.draw("cogview-3-flash") for _ in range(5)))) == 5


async def test_models_have_gates_of_their_own() -> None:
    async with open_rig(first_token=0.1, limits=TELLS) as rig:
        rig.sim.set_max_in_flight(2)
        await crowd(rig, 4)
        rig.sim.set_max_in_flight(MOST)
        others = await asyncio.gather(*(rig.ask("glm-4-flash-250414") for _ in range(4)))
        assert [notices(answer) for answer in others] == [[]] * 4  # nobody queues for the other model
        assert any(notices(answer) for answer in await crowd(rig, 4))


# --- the breaker -------------------------------------------------------------------------------------------------------


async def test_a_vendor_that_keeps_failing_is_left_alone(caplog: pytest.LogCaptureFixture) -> None:
    async with open_rig() as rig:
        rig.sim.fail(Fault(vendor="glm", code="1305", times=None, when=lambda body: body["model"] == MODEL))
        errors = [await rig.refused(MODEL) for _ in range(4)]
        assert rig.calls == RULE.failures
        assert {error.trouble for error in errors} == {Trouble.OVERLOADED}
        assert [error.code for error in errors] == ["1305", OPEN, OPEN, OPEN]
        assert all(error.retry_after and 0 < error.retry_after <= RULE.first for error in errors[1:])
        assert text_of(await rig.ask("glm-4-flash-250414")) and text_of(await rig.ask("qwen"))
        assert len([one for one in caplog.records if one.name == "bot.models.breaker"]) == 1


async def test_an_account_without_money_is_left_alone_and_its_free_models_go_on() -> None:
    purse = Purse()
    async with open_rig(ledger=purse) as rig:
        rig.sim.fail(Fault(vendor="glm", code="1113", times=None, when=lambda body: body["model"] == "glm-4.6"))
        errors = [await rig.refused("glm-4.6") for _ in range(6)]
        assert {error.trouble for error in errors} == {Trouble.NO_MONEY} and rig.calls == ACCOUNT.failures
        assert {row[1:] for row in purse.rows} == {(0, "settled")} and len(purse.rows) == ACCOUNT.failures
        assert text_of(await rig.ask(MODEL)) and text_of(await rig.ask("qwen"))


async def test_refusals_of_what_was_asked_break_nothing() -> None:
    async with open_rig() as rig:
        for code in ("1301", "1210", "1261") * 4:
            rig.sim.fail(Fault(vendor="glm", code=code))
            assert (await rig.refused(MODEL)).code == code
        assert text_of(await rig.ask(MODEL))


async def test_those_in_the_queue_do_not_wait_for_a_vendor_that_broke_down() -> None:
    async with open_rig(first_token=0.05, limits=replace(QUICK, first=0.2)) as rig:
        rig.sim.set_max_in_flight(1)
        await crowd(rig, 2)
        before = rig.calls
        rig.sim.set_max_in_flight(None)
        rig.sim.fail(Fault(vendor="glm", hang=True, times=None))
        async with asyncio.timeout(RULE.failures * 0.2 + 2):
            errors = await asyncio.gather(*(rig.refused(MODEL) for _ in range(30)))
        assert rig.calls == before + RULE.failures
        assert sorted(error.code for error in errors) == [""] * RULE.failures + [OPEN] * (30 - RULE.failures)
        assert {error.trouble for error in errors} == {Trouble.SILENT}


@asynccontextmanager
async def timed(rig: Rig, clock: Clock, limits: Limits = QUICK) -> AsyncIterator[Guarded]:
    """The rig's GLM behind policies that read a clock of ours."""

    async def opened() -> Zhipu:
        settings = rig.models.settings
        return Zhipu(settings.session, settings.files, key=settings.zhipu_key, url=settings.zhipu_url)

    yield Guarded("glm", opened, Budget(Purse(), None), limits, clock=clock)


async def answer(guarded: Guarded, prompt: Prompt) -> Parts:
    async with aclosing(guarded.generate(prompt)) as parts:
        return [part async for part in parts]


async def test_after_its_rest_one_call_tries_while_the_others_are_refused() -> None:
    clock = Clock()
    async with open_rig(first_token=0.2) as rig, timed(rig, clock) as guarded:
        rig.sim.fail(Fault(vendor="glm", code="500", times=RULE.failures))
        for _ in range(2):
            with pytest.raises(ModelError):
                await answer(guarded, rig.prompt(MODEL))
        assert (await scrape())[f'magpie_breaker_open{{model="{MODEL}"}}'] == 1
        clock.pass_by(RULE.first)
        answers = await asyncio.gather(*(answer(guarded, rig.prompt(MODEL)) for _ in range(5)), return_exceptions=True)
        assert sum(isinstance(one, list) for one in answers) == 1
        assert {one.code for one in answers if isinstance(one, ModelError)} == {OPEN}
        assert rig.calls == RULE.failures + 1
        assert (await scrape())[f'magpie_breaker_open{{model="{MODEL}"}}'] == 0
        assert all(end_of(one) for one in await asyncio.gather(*(answer(guarded, rig.prompt(MODEL)) for _ in range(5))))


async def test_a_trial_that_is_stopped_leaves_the_next_call_to_try() -> None:
    clock = Clock()
    async with open_rig(first_token=0.2) as rig, timed(rig, clock) as guarded:
        rig.sim.fail(Fault(vendor="glm", code="500", times=RULE.failures))
        for _ in range(2):
            with pytest.raises(ModelError):
                await answer(guarded, rig.prompt(MODEL))
        clock.pass_by(RULE.first)
        async with asyncio.TaskGroup() as tasks:
            trial = tasks.create_task(answer(guarded, rig.prompt(MODEL)))
            await until(lambda: rig.calls == RULE.failures + 1)
            trial.cancel()
        assert end_of(await answer(guarded, rig.prompt(MODEL)))


# --- what is told ------------------------------------------------------------------------------------------------------


async def test_the_scraper_sees_who_is_inside_and_who_waits() -> None:
    async with open_rig(first_token=0.2) as rig, asyncio.TaskGroup() as tasks:
        rig.sim.set_max_in_flight(2)
        await crowd(rig, 4)
        tasks.create_task(crowd(rig, 5))
        await until(lambda: gate("waiting") == 3)
        told = await scrape()
        figures = [told[f'magpie_gate_{name}{{model="{MODEL}"}}'] for name in ("in_flight", "limit", "waiting")]
        assert figures == [2, 2, 3]
