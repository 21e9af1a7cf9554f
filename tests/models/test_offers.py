"""What a vendor offers besides chat: orders, speech and searches, with money, time and secrets looked after."""

from __future__ import annotations

import asyncio
import io
import wave
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any, cast

import pytest
from yarl import URL

from bot.errors import BudgetSpent, ModelError, Trouble, Unreadable
from bot.messages import Finish, Finished, Usage
from bot.models import Limits
from bot.models.admission import Admission
from bot.models.budget import Budget
from bot.models.offers import MAX_VIDEO, SEARCH_PRICE, Offered
from bot.models.vendor import Linked, Offering
from bot.ports import Made, ModelCard, Order, Submitted
from bot.simulator import Fault, Found, Simulator
from bot.simulator.films import length
from tests.models import dashscope_rig as qwen
from tests.models import zhipu_rig as glm
from tests.models.rig import CHAT, QUICK, Purse, Shelf, png, recorded

DRAWS = replace(glm.DRAWS, per_picture=0.06)
FILMS = replace(glm.FILMS, per_picture=1.0)
FILMS_BY_SECOND = replace(qwen.FILMS, per_second=0.3)
DRAWS_FOUR = replace(qwen.DRAWS_LATER, per_picture=0.1)
ANSWERS = replace(glm.CHATS, price=((1_000_000, 2, 8),), window=8_000)
HEARS = replace(glm.HEARS, per_second=0.001)
SPEAKS = replace(glm.SPEAKS, per_picture=0.2)


@dataclass
class House:
    """One vendor behind the policies."""

    offered: Offered
    sim: Simulator
    purse: Purse
    shelf: Shelf
    errors: list[ModelError] = field(default_factory=list)

    async def made(self, order: Order) -> Made:
        """What comes of an order, however long that takes."""
        taken = await self.offered.submit(order)
        return await self.waited(order.card, taken) if isinstance(taken, Submitted) else taken

    async def waited(self, card: ModelCard, taken: Submitted | Made) -> Made:
        assert isinstance(taken, Submitted)
        async with asyncio.timeout(5):
            while True:
                if made := await self.offered.look(card, taken.task):
                    return made
                await asyncio.sleep(0.01)

    async def refused(self, order: Order) -> ModelError:
        with pytest.raises(ModelError) as caught:
            await self.offered.submit(order)
        return caught.value

    @property
    def asked(self) -> int:
        return len(self.sim.log)


def _offered(
    name: str, vendor: Offering, purse: Purse, *, key: str, limit: int | None, limits: Limits, failed: list[ModelError]
) -> Offered:
    async def opened() -> Offering:
        return vendor

    return Offered(
        name,
        opened,
        Budget(purse, limit),
        limits,
        admission=Admission(name, limits),
        key=key,
        failed=failed.append,
    )


@asynccontextmanager
async def open_house(
    name: str = "glm", *, limit: int | None = 50_000_000, limits: Limits = QUICK
) -> AsyncIterator[House]:
    purse, errors = Purse(), list[ModelError]()
    async with glm.open_glm() if name == "glm" else qwen.open_qwen() as rig:
        offered = _offered(name, rig.vendor, purse, key=rig.sim.api_key, limit=limit, limits=limits, failed=errors)
        yield House(offered, rig.sim, purse, rig.shelf, errors)


# --- orders ------------------------------------------------------------------------------------------------------------


async def test_a_picture_drawn_at_once_comes_with_its_bytes_and_its_price() -> None:
    async with open_house() as house:
        made = await house.made(glm.picture(card=DRAWS))
        assert (made.files[0].data[:4], made.files[0].mime) == (b"\x89PNG", "image/png")
        assert (made.finished.cost, made.finished.call) == (60_000, 0)
        assert house.purse.rows == [("cogview-3-flash", 60_000, "reserved")]  # the job's end settles it


async def test_several_are_held_back_together_and_those_that_were_drawn_paid() -> None:
    async with open_house() as house:
        house.sim.fail(Fault(path="images", skip=2, code="1301", vendor="glm"))
        made = await house.made(glm.picture(card=DRAWS, count=4))
        assert (len(made.files), made.missing, bool(made.why)) == (2, 2, True)
        assert (made.finished.cost, house.purse.rows[0][1]) == (120_000, 240_000)


async def test_a_task_holds_its_money_back_until_it_is_made() -> None:
    async with open_house("qwen") as house:
        house.sim.fail(Fault(task="partial"))
        taken = await house.offered.submit(qwen.picture(card=DRAWS_FOUR, count=4))
        assert isinstance(taken, Submitted) and (taken.call, taken.cost) == (0, 400_000)
        made = await house.waited(DRAWS_FOUR, taken)
        assert made.missing and len(made.files) == 4 - made.missing
        assert made.finished.cost == 100_000 * len(made.files)
        assert house.purse.rows == [("wan2.2-t2i-flash", 400_000, "reserved")]


async def test_a_video_comes_with_its_bytes() -> None:
    async with open_house() as house:
        made = await house.made(glm.video(card=FILMS, seconds=10))
        assert (length(made.files[0].data), made.files[0].mime, made.finished.cost) == (10, "video/mp4", 1_000_000)


async def test_a_video_paid_by_its_length_costs_what_was_held_back() -> None:
    async with open_house("qwen") as house:
        taken = await house.offered.submit(qwen.video(card=FILMS_BY_SECOND, seconds=10))
        assert isinstance(taken, Submitted) and taken.cost == 3_000_000
        made = await house.waited(FILMS_BY_SECOND, taken)
        assert made.finished.usage.estimated and not made.finished.cost


async def test_a_question_is_answered_later() -> None:
    async with open_house() as house:
        made = await house.made(glm.chat("hello\0", card=ANSWERS))
        usage = made.finished.usage
        assert made.text and made.finished.cost == 2 * usage.prompt + 8 * usage.completion
        assert 0 < made.finished.cost < house.purse.rows[0][1]


class Watching(Purse):
    """A ledger that notes the fences."""

    def __init__(self) -> None:
        super().__init__()
        self.fences: list[int | None] = []

    async def reserve(self, *, job_fence: int | None = None, **more: Any) -> int | None:
        self.fences.append(job_fence)
        return await super().reserve(job_fence=job_fence, **more)


async def test_the_fence_of_the_work_goes_along_to_the_ledger() -> None:
    async with glm.open_glm() as rig:
        purse = Watching()
        await _offered("glm", rig.vendor, purse, key="", limit=10**9, limits=QUICK, failed=[]).submit(
            glm.picture(job_fence=7)
        )
        assert purse.fences == [7]


@pytest.mark.parametrize(
    ("fault", "unbilled"),
    [
        (Fault(vendor="glm", code="1302"), True),
        (Fault(vendor="glm", code="1234"), False),  # HTTP 500: the order may have been taken
        (Fault(cut=True, after_bytes=5), False),
    ],
)
async def test_an_order_is_given_once_and_what_is_not_billed_is_given_back(fault: Fault, unbilled: bool) -> None:
    async with open_house() as house:
        house.sim.fail(fault)
        error = await house.refused(glm.picture(card=DRAWS))
        assert (error.unbilled, house.asked, house.errors) == (unbilled, 1, [error])
        assert house.purse.rows == [
            ("cogview-3-flash", 0, "settled") if unbilled else ("cogview-3-flash", 60_000, "estimated")
        ]


async def test_a_vendor_that_is_not_there_bills_nothing() -> None:
    async with open_house() as house:
        await house.sim.close()
        error = await house.refused(glm.picture(card=DRAWS))
        assert (error.trouble, error.unbilled, house.purse.rows[0][1]) == (Trouble.UNREACHABLE, True, 0)


async def test_a_drawing_that_never_ends_may_be_billed() -> None:
    async with open_house(limits=replace(QUICK, picture=0.05)) as house:
        house.sim.fail(Fault(hang=True))
        error = await house.refused(glm.picture(card=DRAWS))
        assert (error.trouble, error.unbilled) == (Trouble.SILENT, False)
        assert house.purse.rows[0][1:] == (60_000, "estimated")


async def test_without_the_days_money_nothing_is_asked() -> None:
    async with open_house(limit=59_999) as house:
        with pytest.raises(BudgetSpent):
            await house.offered.submit(glm.picture(card=DRAWS))
        assert not house.asked


async def test_on_the_simulator_nothing_is_spent() -> None:
    async with open_house(limit=None) as house:
        for order in (glm.picture(card=DRAWS), glm.video(card=FILMS), glm.chat(card=ANSWERS)):
            assert (await house.made(order)).finished.cost == 0
        assert {cost for _, cost, _ in house.purse.rows} == {0}


async def test_a_picture_to_change_that_is_lost_costs_nothing() -> None:
    async with open_house("qwen") as house:
        with pytest.raises(Unreadable):
            await house.offered.submit(qwen.picture(card=replace(qwen.EDITS, per_picture=0.2), pictures=("lost",)))
        assert house.purse.rows == [("qwen-image-edit-plus", 0, "settled")] and not house.asked


async def test_one_that_is_there_goes_along() -> None:
    async with open_house("qwen") as house:
        name = await house.shelf.keep(png(400, 400), "image/png")
        made = await house.made(qwen.picture(card=qwen.EDITS, pictures=(name,)))
        assert made.files


async def test_after_failures_in_a_row_the_vendor_is_left_alone() -> None:
    async with open_house() as house:
        house.sim.fail(Fault(status=502, body=b"bad gateway", times=None))
        errors = [await house.refused(glm.picture(card=DRAWS)) for _ in range(6)]
        last = errors[-1]
        assert house.asked == 5 and last.unbilled and last.retry_after and last.code == "breaker"
        assert len(house.purse.rows) == 5


async def test_no_secret_is_told() -> None:
    async with open_house() as house:
        house.sim.fail(
            Fault(vendor="glm", code="1210", message=f"{house.sim.api_key} by http://me:secret@proxy.example")
        )
        error = await house.refused(glm.picture())
        assert error.vendor_message == "[key] by http://proxy.example"


# --- looks -------------------------------------------------------------------------------------------------------------


async def test_a_task_that_fails_says_why() -> None:
    async with open_house() as house:
        house.sim.fail(Fault(task="FAILED"))
        with pytest.raises(ModelError) as caught:
            await house.made(glm.video(card=FILMS))
        assert caught.value.begun and caught.value.unbilled and house.errors == [caught.value]
        assert house.purse.rows == [("cogvideox-3", 1_000_000, "reserved")]  # the job's end settles it


async def test_a_look_that_fails_says_nothing_of_the_task() -> None:
    async with open_house() as house:
        taken = await house.offered.submit(glm.video(card=FILMS))
        assert isinstance(taken, Submitted)
        house.sim.fail(Fault(vendor="glm", code="1302"))
        with pytest.raises(ModelError) as caught:
            await house.offered.look(FILMS, taken.task)
        assert (caught.value.trouble, caught.value.begun) == (Trouble.BUSY, False)
        assert await house.waited(FILMS, taken)


@pytest.mark.parametrize("card", [DRAWS, DRAWS_FOUR])
async def test_a_result_whose_link_is_dead_is_paid_for(card: ModelCard) -> None:
    async with open_house(card.vendor) as house:
        house.sim.fail(Fault(picture="expired"))
        with pytest.raises(ModelError) as caught:
            await house.made(glm.picture(card=card))
        assert (caught.value.code, caught.value.begun, caught.value.unbilled) == ("link", True, False)
        assert house.purse.rows[0][1] == 1_000_000 * card.per_picture


async def test_cancelling_is_an_attempt() -> None:
    async with open_house("qwen") as house:
        taken = await house.offered.submit(qwen.video())
        assert isinstance(taken, Submitted)
        await house.offered.cancel(qwen.FILMS, taken.task)
        await house.sim.close()
        await house.offered.cancel(qwen.FILMS, taken.task)


class Filmed:
    """An Offering of which only videos are asked, that are found at one link."""

    def __init__(self, link: str, host: str) -> None:
        self._link = link
        self._host = URL(host)

    async def submit(self, order: Order) -> str | Linked:
        return self._linked(order.card)

    async def look(self, card: ModelCard, task: str) -> Linked | None:
        return self._linked(card)

    def _linked(self, card: ModelCard) -> Linked:
        finished = Finished(reason=Finish.STOP, usage=Usage(pictures=1), model=card.name)
        return Linked(finished=finished, host=self._host, links=(self._link,))

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"nobody asks for {name}")


async def filmed(link: str, *, host: str = "") -> Made | None:
    """A look at a video behind this link, of a vendor that is at `host`, or where the link points."""
    vendor = cast(Offering, Filmed(link, host or link))
    return await _offered("glm", vendor, Purse(), key="", limit=None, limits=QUICK, failed=[]).look(FILMS, "task")


async def test_a_video_too_large_to_keep_is_a_link() -> None:
    block = b"\0\0\0\x18ftypmp42" + bytes(1024 * 1024 - 12)
    async with recorded([block] * (MAX_VIDEO // len(block) + 1), content_type="video/mp4") as origin:
        made = await filmed(f"{origin}/film.mp4")
        assert made and [(one.data, one.link) for one in made.files] == [(b"", f"{origin}/film.mp4")]


async def test_what_is_no_video_is_none() -> None:
    async with recorded([b"<html>gone</html>"], content_type="text/html") as origin:
        with pytest.raises(ModelError) as caught:
            await filmed(f"{origin}/film.mp4")
        assert (caught.value.code, caught.value.begun) == ("link", True)


async def test_a_link_that_does_not_answer_now_may_do_so_later() -> None:
    async with recorded([b"busy"], status=503) as origin:
        with pytest.raises(ModelError) as caught:
            await filmed(f"{origin}/film.mp4")
        assert (caught.value.code, caught.value.begun, caught.value.trouble) == ("link", False, Trouble.FAULT)


async def test_unless_there_is_no_task_to_be_asked_once_more() -> None:
    purse = Purse()
    async with recorded([b"busy"], status=503) as origin:
        vendor = cast(Offering, Filmed(f"{origin}/film.mp4", origin))
        offered = _offered("glm", vendor, purse, key="", limit=10**9, limits=QUICK, failed=[])
        with pytest.raises(ModelError) as caught:
            await offered.submit(glm.video(card=FILMS))
        assert caught.value.begun and purse.rows == [("cogvideox-3", 1_000_000, "settled")]


async def test_a_link_into_our_own_network_is_not_followed() -> None:
    async with recorded([b"HTTP"]) as origin:
        with pytest.raises(ModelError) as caught:
            await filmed(f"{origin}/film.mp4", host="https://vendor.example")
        assert "not an https address" in caught.value.vendor_message


# --- speech and searches -----------------------------------------------------------------------------------------------


def silence(seconds: float) -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setparams((1, 2, 8_000, 0, "NONE", ""))
        writer.writeframes(bytes(int(seconds * 16_000)))
    return file.getvalue()


async def test_what_is_heard_is_settled_at_once() -> None:
    async with open_house() as house:
        house.sim.hear("buy milk")
        asked = glm.sound(HEARS, audio=silence(2), mime="audio/wav", seconds=2.0)
        text, finished = await house.offered.transcribe(asked)
        assert (text, finished.call, finished.cost) == ("buy milk", None, 2_000)
        assert house.purse.rows == [("glm-asr-2512", 2_000, "settled")]


async def test_what_is_said_is_settled_at_once() -> None:
    async with open_house() as house:
        sound, finished = await house.offered.speak(glm.sound(SPEAKS, text="hello"))
        assert (sound[:4], finished.call, finished.cost) == (b"RIFF", None, 1_000)
        assert house.purse.rows == [("glm-tts", 1_000, "settled")]


async def test_a_search_is_settled_at_once() -> None:
    async with open_house() as house:
        house.sim.find(Found(title="Magpies", url="https://birds.example/magpie", text="They are clever."))
        [hit] = await house.offered.search("magpie", 1, chat=CHAT, turn=1)
        assert (hit.title, hit.url) == ("Magpies", "https://birds.example/magpie")
        assert house.purse.rows == [("web_search", round(SEARCH_PRICE * 1_000_000), "settled")]


async def test_a_refusal_that_costs_nothing_is_tried_again() -> None:
    async with open_house() as house:
        house.sim.fail(Fault(vendor="glm", code="1302", times=2))
        await house.offered.speak(glm.sound(SPEAKS, text="hello"))
        assert [row[1:] for row in house.purse.rows] == [(0, "settled"), (0, "settled"), (1_000, "settled")]


async def test_one_that_may_cost_something_is_not() -> None:
    async with open_house() as house:
        house.sim.fail(Fault(cut=True, after_bytes=5))
        with pytest.raises(ModelError):
            await house.offered.speak(glm.sound(SPEAKS, text="hello"))
        assert house.purse.rows == [("glm-tts", 1_000, "estimated")] and len(house.errors) == 1


async def test_where_there_is_no_search_of_its_own_nothing_is_spent() -> None:
    async with open_house("qwen") as house:
        with pytest.raises(ModelError):
            await house.offered.search("magpie", 1, chat=CHAT, turn=1)
        assert [row[1] for row in house.purse.rows] == [0] and not house.asked
