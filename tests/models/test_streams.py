"""Streams of both vendors, however they come, stop or stall."""

import asyncio
from collections.abc import Callable
from contextlib import aclosing

import pytest

from bot.errors import Trouble
from bot.messages import Finish, Text
from bot.models import Limits
from bot.simulator import Call, Fault, Reply
from tests.models.rig import VENDORS, Purse, Rig, end_of, open_rig, text_of, thought_of

ANSWER = "Magpies 喜鹊 hoard shiny things ✨: **bold**, `code`,\n- a list\n- and 😀."
FILTER = {"glm": "sensitive"}


@pytest.mark.parametrize("name", VENDORS)
@pytest.mark.parametrize("fault", [None, Fault(bytewise=True), Fault(crlf=True), Fault(comments=True)])
async def test_the_answer_is_the_same_however_it_is_sliced(name: str, fault: Fault | None) -> None:
    async with open_rig() as rig:
        rig.sim.say(Reply(text=ANSWER, thought="let me see"))
        if fault:
            rig.sim.fail(fault)
        parts = await rig.ask(name, think=True)
        assert (thought_of(parts), text_of(parts)) == ("let me see", ANSWER)
        end = end_of(parts)
        assert (end.reason, end.status, end.model) == (Finish.STOP, 200, rig.card(name).name)
        assert end.request_id and end.usage.prompt > 0 and end.usage.completion > 0 and not end.usage.estimated


@pytest.mark.parametrize("name", VENDORS)
@pytest.mark.parametrize("think", [False, True])
async def test_it_thinks_only_when_asked(name: str, think: bool) -> None:
    async with open_rig() as rig:
        assert bool(thought_of(await rig.ask(name, think=think))) is think


@pytest.mark.parametrize("name", VENDORS)
async def test_a_stream_that_breaks_in_the_middle_is_marked_as_cut(name: str) -> None:
    purse = Purse()
    async with open_rig(ledger=purse) as rig:
        rig.sim.say(Reply(text="one two three four", chunks=("one ", "two ", "three ", "four")))
        rig.sim.fail(Fault(cut=True, after_chunks=2))
        parts = await rig.ask(name)
        end = end_of(parts)
        assert (text_of(parts), end.reason, rig.calls) == ("one two ", Finish.CUT, 1)
        assert end.usage.estimated
        assert end.call == 0
        assert purse.rows == [(rig.card(name).name, end.cost, "reserved")]  # all that was held back


@pytest.mark.parametrize("name", VENDORS)
async def test_cut_after_any_byte_it_never_pretends_to_be_whole(name: str) -> None:
    async with open_rig(limits=Limits(pace=0.0001)) as rig:
        rig.sim.say(Reply(text="ab", chunks=("a", "b")))
        rig.sim.fail(Fault(after_bytes=10**9))
        assert text_of(await rig.ask(name)) == "ab"
        for byte in range(1, 1_200, 37):
            rig.sim.say(Reply(text="ab", chunks=("a", "b")))
            rig.sim.fail(Fault(cut=True, after_bytes=byte))
            before = rig.calls
            parts = await rig.ask(name)
            end = end_of(parts)
            if rig.calls == before + 1 and end.reason is Finish.STOP:
                assert text_of(parts) == "ab"  # the cut fell behind the last event
            elif rig.calls == before + 1:
                assert end.reason is Finish.CUT and text_of(parts) in ("a", "ab")
            else:
                assert end.reason is Finish.STOP  # before the first text: asked again


@pytest.mark.parametrize("name", VENDORS)
async def test_a_break_before_the_first_text_is_tried_again(name: str) -> None:
    async with open_rig() as rig:
        rig.sim.fail(Fault(cut=True, after_chunks=0))
        assert end_of(await rig.ask(name)).reason is Finish.STOP
        assert rig.calls == 2


@pytest.mark.parametrize("name", VENDORS)
async def test_silence_before_the_first_token(name: str) -> None:
    purse = Purse()
    async with open_rig(ledger=purse, limits=Limits(first=0.2, pace=0.01)) as rig:
        await rig.models.warm()
        rig.sim.fail(Fault(hang=True, after_chunks=0))
        error = await rig.refused(name)
        assert (error.trouble, rig.calls) == (Trouble.SILENT, 1)
        card, [(model, cost, state)] = rig.card(name), purse.rows
        assert (model, cost > 0, state) == (card.name, not card.free, "estimated")  # it may have been billed
        await gone(rig)


@pytest.mark.parametrize("name", VENDORS)
async def test_one_byte_now_and_then_is_silence_too(name: str) -> None:
    async with open_rig(limits=Limits(first=0.3, pace=0.01)) as rig:
        await rig.models.warm()
        rig.sim.fail(Fault(drip=0.05))
        assert (await rig.refused(name)).trouble is Trouble.SILENT


@pytest.mark.parametrize("name", VENDORS)
async def test_silence_in_the_middle_cuts(name: str) -> None:
    async with open_rig(limits=Limits(idle=0.2, pace=0.01)) as rig:
        rig.sim.say(Reply(text="one two", chunks=("one ", "two")))
        rig.sim.fail(Fault(hang=True, after_chunks=1))
        parts = await rig.ask(name)
        assert (text_of(parts), end_of(parts).reason) == ("one ", Finish.CUT)
        await gone(rig)


@pytest.mark.parametrize("name", VENDORS)
async def test_an_endless_answer_ends(name: str) -> None:
    async with open_rig(limits=Limits(total=0.5, pace=0.01), per_token=0.001) as rig:
        await rig.models.warm()
        rig.sim.fail(Fault(endless=True))
        assert end_of(await rig.ask(name)).reason is Finish.CUT
        await gone(rig)


@pytest.mark.parametrize("name", VENDORS)
async def test_an_error_in_the_middle_ends_what_was_begun(name: str) -> None:
    busy, refused = ("1305", "1301") if name == "glm" else ("InternalError.Algo", "DataInspectionFailed")
    async with open_rig() as rig:
        for code, reason in ((busy, Finish.CUT), (refused, Finish.REFUSED)):
            rig.sim.say(Reply(text="one two three", chunks=("one ", "two ", "three")))
            rig.sim.fail(Fault(vendor="glm" if name == "glm" else "dashscope", code=code, after_chunks=2))
            parts = await rig.ask(name)
            end = end_of(parts)
            assert (text_of(parts), end.reason, end.code) == ("one two ", reason, code)
            assert end.vendor_message
        assert rig.calls == 2


@pytest.mark.parametrize("name", VENDORS)
async def test_a_filter_before_the_first_text_refuses(name: str) -> None:
    async with open_rig() as rig:
        code = "1301" if name == "glm" else "DataInspectionFailed"
        rig.sim.fail(Fault(vendor="glm" if name == "glm" else "dashscope", code=code, after_chunks=0))
        error = await rig.refused(name)
        assert (error.trouble, error.code, rig.calls) == (Trouble.REFUSED, code, 1)


@pytest.mark.parametrize(
    ("finish", "reason"),
    [
        ("stop", Finish.STOP),
        ("length", Finish.LENGTH),
        ("model_context_window_exceeded", Finish.LENGTH),
        ("sensitive", Finish.REFUSED),
        ("network_error", Finish.CUT),
    ],
)
async def test_glms_reasons(finish: str, reason: Finish) -> None:
    async with open_rig() as rig:
        rig.sim.say(Reply(text="some text", finish=finish))
        assert end_of(await rig.ask("glm")).reason is reason
        if reason in (Finish.REFUSED, Finish.CUT):  # the same before any text
            rig.sim.say(*[Reply(text="", finish=finish)] * 3)
            trouble = Trouble.REFUSED if reason is Finish.REFUSED else Trouble.CUT
            assert (await rig.refused("glm")).trouble is trouble


@pytest.mark.parametrize("name", VENDORS)
async def test_closing_the_answer_closes_the_request(name: str) -> None:
    async with open_rig(per_token=0.01) as rig:
        prompt = rig.prompt(name)
        async with aclosing(rig.models.chat(prompt.card).generate(prompt)) as parts:
            async for part in parts:
                if isinstance(part, Text):
                    break
        await gone(rig)


@pytest.mark.parametrize("name", VENDORS)
async def test_cancelling_the_task_closes_the_request(name: str) -> None:
    purse = Purse()
    async with open_rig(ledger=purse, first_token=10) as rig:
        await rig.models.warm()
        task = asyncio.ensure_future(rig.ask(name))
        await until(lambda: bool(rig.sim.running))
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await gone(rig)
        card, [(model, cost, state)] = rig.card(name), purse.rows
        assert (model, cost > 0, state) == (card.name, not card.free, "reserved")  # stays estimated from above


@pytest.mark.parametrize("name", VENDORS)
async def test_without_usage_it_is_estimated(name: str) -> None:
    async with open_rig() as rig:
        rig.sim.say("four words are here")
        rig.sim.fail(Fault(no_usage=True))
        usage = end_of(await rig.ask(name)).usage
        assert usage.estimated and usage.prompt > 0 and 4 <= usage.completion <= 20


@pytest.mark.parametrize("name", VENDORS)
async def test_a_finished_stream_leaves_its_connection_for_the_next(name: str) -> None:
    async with open_rig() as rig:
        for _ in range(5):
            await rig.ask(name)
        ports = {call.headers.get("Host") for call in rig.sim.log}
        assert len(ports) == 1 and not any(call.disconnected for call in rig.sim.log)
        connector = rig.session.connector
        assert connector is not None and sum(map(len, connector._conns.values())) == 1  # aiohttp tells it nowhere else


async def until(condition: Callable[[], bool], seconds: float = 5) -> None:
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - the simulator's log is read, it has no event to wait for
            await asyncio.sleep(0.005)


async def gone(rig: Rig) -> None:
    """The vendor saw us leave."""

    def left() -> bool:
        last: Call = rig.sim.log[-1]
        return last.disconnected is not None

    await until(left)
