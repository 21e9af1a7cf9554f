"""Orders to Qwen: pictures at once and as tasks, changed pictures, videos; and what it may cost when nothing comes of them."""

import asyncio
import base64
import json
import time
from dataclasses import replace

import aiohttp
import pytest

from bot.errors import ModelError, Trouble, Unreadable
from bot.messages import Finish, Usage
from bot.models.dashscope import DashScope
from bot.models.vendor import Linked
from bot.ports import Order
from bot.simulator import Fault
from bot.simulator.films import length
from tests.models.dashscope_rig import (
    ANIMATES,
    DRAWS_FOUR,
    DRAWS_LATER,
    EDITS,
    EDITS_LATER,
    FILMS,
    chat,
    open_qwen,
    picture,
    video,
)
from tests.models.rig import Shelf, png, recorded

DRAWN_AT_ONCE, DRAWN_LATER = "/multimodal-generation/generation", "/text2image/image-synthesis"


# --- pictures as tasks -------------------------------------------------------------------------------------------------


async def test_a_task_is_taken_on_and_its_pictures_are_fetched_later() -> None:
    async with open_qwen(picture=0.2) as qwen:
        order = picture(card=DRAWS_LATER, count=3, size="1440x810", seed=7)
        task = await qwen.task(order)
        call = qwen.sim.log[-1]
        assert call.path.endswith(DRAWN_LATER) and call.headers["X-DashScope-Async"] == "enable"
        assert call.body == {
            "model": "wan2.2-t2i-flash",
            "input": {"prompt": "a red fox"},
            "parameters": {"n": 3, "watermark": False, "size": "1440*810", "seed": 7},
        }
        assert await qwen.vendor.look(DRAWS_LATER, task) is None
        linked = await qwen.waited(DRAWS_LATER, task)
        assert (len(set(linked.links)), linked.missing, linked.why) == (3, 0, "")
        assert linked.finished.usage == Usage(pictures=3) and linked.finished.reason is Finish.STOP
        assert (linked.finished.model, linked.finished.request_id) == ("wan2.2-t2i-flash", task)
        data = await qwen.fetch(linked.links[2])
        assert data[16:24] == (1440).to_bytes(4) + (810).to_bytes(4)
        assert all(link.startswith(str(linked.host.origin())) for link in linked.links)
        assert (await qwen.waited(DRAWS_LATER, task)).links == linked.links  # it can be asked again
        assert qwen.submitted() == 1


async def test_the_cards_first_size_is_the_default() -> None:
    async with open_qwen() as qwen:
        await qwen.made(picture(card=DRAWS_LATER))
        assert qwen.sim.log[0].body["parameters"]["size"] == "1024*1024"


async def test_some_of_several_pictures_are_not_drawn() -> None:
    async with open_qwen() as qwen:
        qwen.sim.fail(Fault(path=DRAWN_LATER, task="partial", code="InternalError.Timeout", message="too slow"))
        linked = await qwen.made(picture(card=DRAWS_LATER, count=4))
        assert (len(linked.links), linked.missing, linked.why) == (1, 3, "too slow")
        assert linked.finished.usage == Usage(pictures=1)


@pytest.mark.parametrize(
    ("fault", "trouble", "code", "unbilled"),
    [
        (Fault(task="FAILED"), Trouble.REFUSED, "DataInspectionFailed", True),
        (Fault(task="FAILED", code="InternalError.Algo"), Trouble.FAULT, "InternalError.Algo", True),
        (Fault(task="UNKNOWN"), Trouble.FAULT, "UNKNOWN", False),
    ],
)
@pytest.mark.parametrize("order", [picture(card=DRAWS_LATER, count=2), video()], ids=["picture", "video"])
async def test_the_end_of_a_task_is_told_apart_from_a_failure_to_look(
    order: Order, fault: Fault, trouble: Trouble, code: str, unbilled: bool
) -> None:
    async with open_qwen() as qwen:
        qwen.sim.fail(fault)
        error = await qwen.refused(order)
        assert (error.trouble, error.code, error.begun, error.unbilled) == (trouble, code, True, unbilled)


async def test_a_task_that_waits_can_be_cancelled() -> None:
    async with open_qwen(picture=30) as qwen:
        task = await qwen.task(picture(card=DRAWS_LATER))
        await qwen.vendor.cancel(DRAWS_LATER, task)
        assert qwen.sim.log[-1].path.rstrip("/").endswith(f"/tasks/{task}/cancel") and qwen.sim.log[-1].status == 200
        with pytest.raises(ModelError) as caught:
            await qwen.vendor.look(DRAWS_LATER, task)
        assert (caught.value.code, caught.value.begun, caught.value.unbilled) == ("CANCELED", True, True)


async def test_cancelling_is_best_effort_and_short() -> None:
    async with open_qwen() as qwen:
        await qwen.vendor.cancel(DRAWS_LATER, "no-such-task")
        qwen.sim.fail(Fault(path="/cancel", cut=True, times=None))
        await qwen.vendor.cancel(DRAWS_LATER, "no-such-task")
        qwen.sim.heal()
        qwen.sim.fail(Fault(path="/cancel", hang=True))
        began = time.monotonic()
        await qwen.vendor.cancel(DRAWS_LATER, "no-such-task")
        assert time.monotonic() - began < 3


# --- looking that goes wrong --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "trouble"),
    [
        (Fault(path="/tasks/", code="Throttling.RateQuota", retry_after=7), Trouble.BUSY),
        (Fault(path="/tasks/", code="InternalError"), Trouble.FAULT),
        (Fault(path="/tasks/", code="ServiceUnavailable"), Trouble.OVERLOADED),
        (
            Fault(path="/tasks/", cut=True, times=None),
            Trouble.UNREACHABLE,
        ),  # asked again by the SDK, which harms nothing here
        (Fault(path="/tasks/", cut=True, after_bytes=20), Trouble.UNREACHABLE),
        (Fault(path="/tasks/", body=b"<html>", status=502), Trouble.FAULT),
        (Fault(path="/tasks/", body=b"<html>", status=200), Trouble.UNREACHABLE),
    ],
)
async def test_a_failure_to_look_says_nothing_of_the_task(fault: Fault, trouble: Trouble) -> None:
    async with open_qwen() as qwen:
        order = picture(card=DRAWS_LATER)
        task = await qwen.task(order)
        qwen.sim.fail(fault)
        with pytest.raises(ModelError) as caught:
            await qwen.vendor.look(DRAWS_LATER, task)
        error = caught.value
        assert (error.trouble, error.begun, error.unbilled) == (trouble, False, False)
        assert error.retry_after == fault.retry_after
        qwen.sim.heal()
        assert (await qwen.waited(DRAWS_LATER, task)).links


async def test_a_vendor_that_is_away_says_nothing_of_the_task() -> None:
    async with open_qwen() as qwen:
        vendor = DashScope(qwen.session, Shelf(), key="k", url="http://127.0.0.1:9/api/v1")
        with pytest.raises(ModelError) as caught:
            await vendor.look(DRAWS_LATER, "t-1")
        assert (caught.value.trouble, caught.value.begun) == (Trouble.UNREACHABLE, False)


async def look_at(body: object) -> Linked | None:
    """What an answer about a task is taken for."""
    data = json.dumps(body).encode()
    async with recorded([data], content_type="application/json") as origin, aiohttp.ClientSession() as session:
        return await DashScope(session, Shelf(), key="k", url=f"{origin}/api/v1").look(DRAWS_LATER, "t-1")


@pytest.mark.parametrize("odd", [{}, {"output": None}, {"output": []}, {"output": {}}, {"output": {"task_status": 1}}])
async def test_an_answer_without_a_state_says_nothing_of_the_task(odd: object) -> None:
    with pytest.raises(ModelError) as caught:
        await look_at(odd)
    assert (caught.value.trouble, caught.value.begun) == (Trouble.UNREACHABLE, False)


@pytest.mark.parametrize("results", [None, {}, [], "x", [1], [{"code": "InternalError", "message": "no"}]])
async def test_a_success_without_a_result_may_be_billed(results: object) -> None:
    with pytest.raises(ModelError) as caught:
        await look_at({"output": {"task_status": "SUCCEEDED", "results": results}})
    assert (caught.value.trouble, caught.value.begun, caught.value.unbilled) == (Trouble.FAULT, True, False)


async def test_a_suspended_task_still_waits() -> None:
    assert await look_at({"output": {"task_status": "SUSPENDED"}}) is None


# --- submitting that goes wrong ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", [picture(card=DRAWS_LATER), picture(), video()], ids=["task", "at once", "video"])
async def test_an_order_is_sent_once_and_may_have_been_taken(order: Order) -> None:
    """The SDK alone would send it again, and pay twice."""
    async with open_qwen() as qwen:
        qwen.sim.fail(Fault(path="/services/", cut=True))
        error = await qwen.refused(order)
        assert (error.trouble, error.unbilled) == (Trouble.CUT, False)
        assert qwen.submitted() == 1


@pytest.mark.parametrize("order", [picture(card=DRAWS_LATER), picture(), video()], ids=["task", "at once", "video"])
async def test_an_order_that_was_taken_whose_answer_is_lost(order: Order) -> None:
    async with open_qwen() as qwen:
        qwen.sim.fail(Fault(path="/services/", cut=True, after_bytes=10))
        error = await qwen.refused(order)
        assert (error.trouble, error.unbilled) == (Trouble.CUT, False)
        (call,) = qwen.sim.log
        assert call.usage.images + call.usage.videos == 1  # it was


async def test_an_order_that_was_stopped_is_sent_once() -> None:
    async with open_qwen(picture=30) as qwen:
        waiting = asyncio.ensure_future(qwen.vendor.submit(picture()))
        async with asyncio.timeout(5):
            while not qwen.sim.running:  # noqa: ASYNC110 - a log has no event
                await asyncio.sleep(0.01)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert qwen.submitted() == 1


async def test_a_vendor_that_is_away_was_never_asked() -> None:
    async with open_qwen() as qwen:
        vendor = DashScope(qwen.session, Shelf(), key="k", url="http://127.0.0.1:9/api/v1")
        with pytest.raises(ModelError) as caught:
            await vendor.submit(picture(card=DRAWS_LATER))
        assert (caught.value.trouble, caught.value.unbilled) == (Trouble.UNREACHABLE, True)


@pytest.mark.parametrize(
    ("fault", "trouble", "unbilled"),
    [
        (Fault(vendor="dashscope", code="Arrearage"), Trouble.NO_MONEY, True),
        (Fault(vendor="dashscope", code="InvalidParameter", message="size"), Trouble.BAD_REQUEST, True),
        (Fault(vendor="dashscope", code="Throttling"), Trouble.BUSY, True),
        (Fault(vendor="dashscope", code="ServiceUnavailable"), Trouble.OVERLOADED, True),
        (Fault(vendor="dashscope", code="InternalError.Timeout"), Trouble.FAULT, False),
        (Fault(body=b"<html>", status=504), Trouble.FAULT, False),
    ],
)
async def test_what_a_refusal_costs(fault: Fault, trouble: Trouble, unbilled: bool) -> None:
    async with open_qwen() as qwen:
        for order in (picture(card=DRAWS_LATER), picture(), video()):
            qwen.sim.fail(fault)
            error = await qwen.refused(order)
            assert (error.trouble, error.unbilled, error.begun) == (trouble, unbilled, False)


@pytest.mark.parametrize("order", [picture(card=DRAWS_LATER), picture(), video()], ids=["task", "at once", "video"])
@pytest.mark.parametrize(
    "odd",
    [
        {},
        {"output": None},
        {"output": {}},
        {"output": {"task_id": 5}},
        {"output": {"task_id": "../../etc"}},
        {"output": {"choices": []}},
        {"output": {"choices": [1]}},
        {"output": {"choices": [{"message": {"content": "x"}}]}},
        {"output": {"choices": [{"message": {"content": [{"text": "no picture"}]}}]}},
    ],
)
async def test_an_answer_without_what_was_ordered_may_be_billed(order: Order, odd: object) -> None:
    data = json.dumps(odd).encode()
    async with recorded([data], content_type="application/json") as origin, aiohttp.ClientSession() as session:
        vendor = DashScope(session, Shelf(), key="k", url=f"{origin}/api/v1")
        with pytest.raises(ModelError) as caught:
            await vendor.submit(order)
    assert (caught.value.trouble, caught.value.begun, caught.value.unbilled) == (Trouble.FAULT, True, False)


@pytest.mark.parametrize(
    "order",
    [
        chat(),
        picture(card=DRAWS_LATER, count=5),
        picture(card=DRAWS_LATER, count=0),
        picture(pictures=("0",)),
        picture(card=EDITS, pictures=("0", "0", "0", "0")),
        video(picture="0"),
    ],
)
async def test_what_the_model_cannot_do_is_not_even_asked(order: Order) -> None:
    async with open_qwen() as qwen:
        await qwen.shelf.keep(png(400, 400), "image/png")
        error = await qwen.refused(order)
        assert (error.trouble, error.unbilled, qwen.sim.log) == (Trouble.BAD_REQUEST, True, [])


# --- pictures at once ----------------------------------------------------------------------------------------------------


async def test_a_picture_is_drawn_at_once() -> None:
    async with open_qwen() as qwen:
        linked = await qwen.made(picture(seed=2**31 + 3))
        assert isinstance(linked, Linked)
        (call,) = qwen.sim.log
        assert call.path.endswith(DRAWN_AT_ONCE) and "X-DashScope-Async" not in call.headers
        assert call.body == {
            "model": "z-image-turbo",
            "input": {"messages": [{"role": "user", "content": [{"text": "a red fox"}]}]},
            "parameters": {"n": 1, "watermark": False, "size": "1024*1024", "seed": 3},
        }
        assert (len(linked.links), linked.missing, linked.finished.usage) == (1, 0, Usage(pictures=1))
        assert (await qwen.fetch(linked.links[0])).startswith(b"\x89PNG")
        assert linked.finished.request_id


async def test_several_pictures_are_several_calls_where_one_draws_one() -> None:
    async with open_qwen() as qwen:
        linked = await qwen.made(picture(count=3, seed=5))
        assert (len(set(linked.links)), linked.missing, linked.finished.usage.pictures) == (3, 0, 3)
        assert [call.body["parameters"]["seed"] for call in qwen.sim.log] == [5, 6, 7]


async def test_several_pictures_are_one_call_where_it_draws_several() -> None:
    async with open_qwen() as qwen:
        linked = await qwen.made(picture(card=DRAWS_FOUR, count=6))
        assert [call.body["parameters"]["n"] for call in qwen.sim.log] == [4, 2]
        assert (len(set(linked.links)), linked.finished.usage.pictures) == (6, 6)


async def test_what_was_drawn_before_a_failure_is_kept() -> None:
    async with open_qwen() as qwen:
        qwen.sim.fail(Fault(vendor="dashscope", code="DataInspectionFailed", skip=2))
        linked = await qwen.made(picture(count=4))
        assert (len(linked.links), linked.missing, linked.finished.usage.pictures) == (2, 2, 2)
        assert linked.why == "Input data may contain inappropriate content."
        assert qwen.submitted() == 3


# --- changing pictures ---------------------------------------------------------------------------------------------------


async def test_pictures_are_changed_at_once() -> None:
    async with open_qwen() as qwen:
        for side in (400, 500):
            await qwen.shelf.keep(png(side, side), "image/png")
        linked = await qwen.made(picture("make it blue", EDITS, pictures=("0", "1"), count=2))
        (call,) = qwen.sim.log
        *images, text = call.body["input"]["messages"][0]["content"]
        assert [image["image"] for image in images] == [
            "data:image/png;base64," + base64.b64encode(qwen.shelf.pictures[name]).decode() for name in ("0", "1")
        ]
        assert (text, call.body["parameters"]) == ({"text": "make it blue"}, {"n": 2, "watermark": False})
        assert (len(linked.links), linked.finished.usage.pictures) == (2, 2)


async def test_pictures_are_changed_as_a_task() -> None:
    async with open_qwen() as qwen:
        await qwen.shelf.keep(png(400, 400), "image/png")
        linked = await qwen.made(picture("make it blue", EDITS_LATER, pictures=("0",)))
        call = qwen.sim.log[0]
        assert call.path.endswith("/image2image/image-synthesis")
        assert call.body["input"]["prompt"] == "make it blue"
        assert call.body["input"]["images"][0].startswith("data:image/png;base64,")
        assert len(linked.links) == 1


async def test_a_picture_that_is_too_small_to_be_changed_is_refused_and_costs_nothing() -> None:
    async with open_qwen() as qwen:
        await qwen.shelf.keep(png(100, 100), "image/png")
        error = await qwen.refused(picture(card=EDITS, pictures=("0",)))
        assert (error.trouble, error.unbilled) == (Trouble.BAD_REQUEST, True)


@pytest.mark.parametrize("order", [picture(card=EDITS, pictures=("9",)), video(card=ANIMATES, picture="9")])
async def test_a_picture_that_is_lost_is_told_and_nothing_asked(order: Order) -> None:
    async with open_qwen() as qwen:
        with pytest.raises(Unreadable):
            await qwen.vendor.submit(order)
        assert not qwen.sim.log


# --- videos --------------------------------------------------------------------------------------------------------------


async def test_a_video_from_words() -> None:
    async with open_qwen(task=0.2) as qwen:
        order = video(size="1920x1080", seconds=10)
        task = await qwen.task(order)
        call = qwen.sim.log[-1]
        assert call.path.endswith("/video-generation/video-synthesis") and call.headers["X-DashScope-Async"] == "enable"
        assert call.body == {
            "model": "wan2.6-t2v",
            "input": {"prompt": "a red fox runs"},
            "parameters": {"watermark": False, "size": "1920*1080", "duration": 10},
        }
        assert await qwen.vendor.look(FILMS, task) is None
        linked = await qwen.waited(FILMS, task)
        assert (linked.missing, linked.finished.usage, linked.finished.request_id) == (0, Usage(pictures=1), task)
        (link,) = linked.links
        assert length(await qwen.fetch(link)) == 10


async def test_a_video_from_a_picture_takes_its_shape() -> None:
    async with open_qwen() as qwen:
        await qwen.shelf.keep(png(400, 600), "image/png")
        await qwen.made(video(card=ANIMATES, picture="0", size="1920x1080"))
        body = qwen.sim.log[0].body
        assert body["input"]["img_url"].startswith("data:image/png;base64,")
        assert body["parameters"] == {"watermark": False, "resolution": "1080P", "duration": 5}


async def test_a_videos_defaults_are_its_cards() -> None:
    async with open_qwen() as qwen:
        await qwen.task(video())
        assert qwen.sim.log[-1].body["parameters"] == {"watermark": False, "size": "1280*720", "duration": 5}
        await qwen.task(video(card=replace(FILMS, sizes=(), seconds=())))
        assert qwen.sim.log[-1].body["parameters"] == {"watermark": False}


# --- nothing that people write opens a file --------------------------------------------------------------------------------


@pytest.mark.parametrize("words", ["/etc/hosts", "file:///etc/hosts", "oss://bucket/secret", "~/.profile", "tests"])
async def test_words_that_look_like_files_are_words(words: str) -> None:
    async with open_qwen() as qwen:
        await qwen.shelf.keep(png(400, 400), "image/png")
        for order in (
            picture(words),
            picture(words, DRAWS_LATER),
            picture(words, EDITS, pictures=("0",)),
            picture(words, EDITS_LATER, pictures=("0",)),
            video(words),
            video(words, ANIMATES, picture="0"),
        ):
            await qwen.vendor.submit(order)
            given = qwen.sim.log[-1].body["input"]
            sent = given.get("prompt") or given["messages"][0]["content"][-1]["text"]
            assert sent == words
            assert "X-DashScope-OssResourceResolve" not in qwen.sim.log[-1].headers
        assert not qwen.sim.uploads
