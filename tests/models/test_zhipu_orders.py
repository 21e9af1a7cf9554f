"""Orders to GLM: answers that are fetched later, pictures, videos; what comes of them, and what a failure may cost."""

import base64
from dataclasses import replace

import aiohttp
import pytest

from bot.errors import ModelError, Trouble, Unreadable
from bot.messages import Finish, Usage
from bot.models import catalog
from bot.models.vendor import Linked
from bot.models.zhipu import Zhipu
from bot.models.zhipu_errors import FAILED
from bot.models.zhipu_read import later
from bot.ports import Line, ModelCard, Order, Source
from bot.simulator import Fault, Reply
from tests.models.rig import Shelf, png, recorded
from tests.models.zhipu_rig import CHATS, DRAWS, DRAWS_LATER, FILMS, chat, open_glm, picture, video

CHATS_THAT_SEE = replace(CHATS, name="glm-4.6v-flash", vision=True)


# --- answers ---------------------------------------------------------------------------------------------------------


async def test_an_answer_is_fetched_later_with_its_usage() -> None:
    async with open_glm() as glm:
        task = await glm.task(chat("My name is Ann", lines=(Line("user", "My name is Ann"),)))
        assert glm.body == {
            "model": "glm-4.7-flash",
            "messages": [{"role": "user", "content": "My name is Ann"}],
            "max_tokens": 1_000,
            "thinking": {"type": "disabled"},
        }
        linked = await glm.waited(CHATS, task)
        assert "**Ann**" in linked.text
        usage = linked.finished.usage
        assert usage.prompt and usage.completion and not usage.estimated
        assert (linked.finished.reason, linked.finished.model, linked.links) == (Finish.STOP, "glm-4.7-flash", ())
        assert (await glm.waited(CHATS, task)).text == linked.text  # it can be fetched again


async def test_marks_are_taken_out_of_a_later_answer_and_its_thoughts_left_out() -> None:
    async with open_glm() as glm:
        glm.sim.say(Reply(text="<think>hm</think>It is <|begin_of_box|>42<|end_of_box|> [ref_1].", thought="so"))
        assert (await glm.made(chat(think=True))).text == "It is 42 [1]."


def test_a_later_answer_tells_what_it_rests_on() -> None:
    page = {"title": "Sky", "link": "https://example.org/sky", "refer": "ref_1"}
    body = {"choices": [{"message": {"content": "Blue [ref_1]."}, "finish_reason": "stop"}], "web_search": [page]}
    text, sources, _ = later(body, "glm-4.7")
    assert (text, sources) == ("Blue [1].", (Source(1, "Sky", "https://example.org/sky"),))


async def test_a_later_answer_sees_pictures() -> None:
    async with open_glm() as glm:
        await glm.shelf.keep(png(64, 48), "image/png")
        order = chat(card=CHATS_THAT_SEE, lines=(Line("user", "What is it?", ("0",)),))
        assert "64 × 48" in (await glm.made(order)).text


async def test_a_later_answer_without_usage_is_estimated() -> None:
    async with open_glm() as glm:
        glm.sim.fail(Fault(path="/async/chat", no_usage=True))
        assert (await glm.made(chat())).finished.usage == Usage(estimated=True)


async def test_a_later_answer_that_was_too_long() -> None:
    async with open_glm() as glm:
        linked = await glm.made(chat(output=3))
        assert linked.finished.reason is Finish.LENGTH


@pytest.mark.parametrize(
    ("reply", "trouble", "code"),
    [
        (Reply(text="Half", finish="sensitive"), Trouble.REFUSED, "sensitive"),
        (Reply(text="Half", finish="network_error"), Trouble.FAULT, FAILED),
        (Reply(text=""), Trouble.FAULT, FAILED),
    ],
)
async def test_a_later_answer_that_is_none(reply: Reply, trouble: Trouble, code: str) -> None:
    async with open_glm() as glm:
        glm.sim.say(reply)
        error = await glm.refused(chat())
        assert (error.trouble, error.code, error.begun, error.unbilled) == (trouble, code, True, False)


# --- pictures --------------------------------------------------------------------------------------------------------


async def test_a_picture_is_drawn_at_once() -> None:
    async with open_glm() as glm:
        linked = await glm.made(picture(size="768x1344"))
        assert glm.body == {"model": "cogview-3-flash", "prompt": "a red fox", "size": "768x1344"}
        assert (linked.finished.usage, linked.missing, linked.why) == (Usage(pictures=1), 0, "")
        (link,) = linked.links
        assert (await glm.fetch(link))[16:24] == (768).to_bytes(4) + (1344).to_bytes(4)
        assert link.startswith(str(linked.host.origin()))


async def test_the_cards_first_size_is_the_default() -> None:
    async with open_glm() as glm:
        await glm.made(picture())
        assert glm.body["size"] == "1024x1024"


async def test_several_pictures_are_as_many_calls() -> None:
    async with open_glm() as glm:
        linked = await glm.made(picture(count=3))
        assert (len(set(linked.links)), linked.finished.usage.pictures, linked.missing) == (3, 3, 0)
        assert [call.path.rpartition("/")[2] for call in glm.sim.log] == ["generations"] * 3


async def test_a_fault_among_several_pictures_costs_that_one() -> None:
    async with open_glm() as glm:
        glm.sim.fail(Fault(path="/images/", code="500", skip=1))
        linked = await glm.made(picture(count=4))
        assert (len(linked.links), linked.missing, linked.finished.usage.pictures) == (3, 1, 3)
        assert linked.why == "内部错误。"


@pytest.mark.parametrize("code", ["1301", "1113", "1302", "1305"])
async def test_any_other_no_among_several_pictures_ends_the_order(code: str) -> None:
    async with open_glm() as glm:
        glm.sim.fail(Fault(path="/images/", vendor="glm", code=code, skip=2, times=None))
        linked = await glm.made(picture(count=4))
        assert (len(linked.links), linked.missing, len(glm.sim.log)) == (2, 2, 3)
        assert linked.why


async def test_no_picture_at_all_is_the_error() -> None:
    async with open_glm() as glm:
        glm.sim.fail(Fault(path="/images/", vendor="glm", code="1301"))
        error = await glm.refused(picture(count=4))
        assert (error.trouble, error.code, error.unbilled, len(glm.sim.log)) == (Trouble.REFUSED, "1301", True, 1)
        glm.sim.fail(Fault(path="/images/", vendor="glm", code="500"))
        glm.sim.fail(Fault(path="/images/", vendor="glm", code="1301"))
        error = await glm.refused(picture(count=4))
        assert (error.code, error.begun, error.unbilled) == ("1301", True, False)  # the first may have been drawn


async def test_a_picture_can_be_a_task() -> None:
    async with open_glm() as glm:
        task = await glm.task(picture(card=DRAWS_LATER))
        assert glm.sim.log[-1].path.endswith("/async/images/generations")
        assert glm.body == {"model": "glm-image", "prompt": "a red fox", "size": "1280x1280"}
        linked = await glm.waited(DRAWS_LATER, task)
        assert (await glm.fetch(linked.links[0])).startswith(b"\x89PNG")
        assert linked.finished.usage == Usage(pictures=1)


async def test_several_of_a_model_with_tasks_are_drawn_at_once() -> None:
    async with open_glm() as glm:
        assert isinstance(await glm.vendor.submit(picture(card=DRAWS_LATER, count=2)), Linked)


async def test_glm_changes_no_pictures_and_is_not_even_asked() -> None:
    async with open_glm() as glm:
        await glm.shelf.keep(png(), "image/png")
        error = await glm.refused(picture(pictures=("0",)))
        assert (error.trouble, error.unbilled, glm.sim.log) == (Trouble.BAD_REQUEST, True, [])


@pytest.mark.parametrize("size", ["100x100", "1000x1000", "4096x4096"])
async def test_a_size_that_the_vendor_refuses_costs_nothing(size: str) -> None:
    async with open_glm() as glm:
        error = await glm.refused(picture(size=size))
        assert (error.trouble, error.code, error.unbilled) == (Trouble.BAD_REQUEST, "1214", True)


# --- videos ----------------------------------------------------------------------------------------------------------


async def test_a_video_is_a_task_that_ends_in_a_link() -> None:
    async with open_glm() as glm:
        task = await glm.task(video(size="1920x1080", seconds=10))
        assert glm.body == {"model": "cogvideox-3", "prompt": "a red fox runs", "size": "1920x1080", "duration": 10}
        linked = await glm.waited(FILMS, task)
        assert linked.finished.usage.pictures == 1
        assert (await glm.fetch(linked.links[0]))[4:8] == b"ftyp"


async def test_a_video_begins_with_a_kept_picture() -> None:
    async with open_glm() as glm:
        await glm.shelf.keep(png(), "image/png")
        await glm.made(video("", picture="0"))
        assert glm.sim.log[0].body["prompt"] is None
        assert base64.b64decode(str(glm.sim.log[0].body["image_url"])) == png()


async def test_a_picture_that_is_gone_is_not_asked_about() -> None:
    async with open_glm() as glm:
        with pytest.raises(Unreadable):
            await glm.vendor.submit(video(picture="9"))
        assert glm.sim.log == []


@pytest.mark.parametrize(
    ("asked", "code"), [({"size": "1x1"}, "1214"), ({"seconds": 7}, "1214"), ({"text": " "}, "1213")]
)
async def test_a_video_that_the_vendor_refuses_costs_nothing(asked: dict[str, object], code: str) -> None:
    async with open_glm() as glm:
        error = await glm.refused(video(**{"text": "x", **asked}))  # type: ignore[arg-type]  # its own fields, by name
        assert (error.trouble, error.code, error.unbilled) == (Trouble.BAD_REQUEST, code, True)


# --- what may go wrong -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["viduq1-text", "viduq1-image", "vidu2-image"])
async def test_the_others_film_at_their_own_size_from_words_or_from_a_picture(name: str) -> None:
    card = catalog.load()[name]
    async with open_glm() as glm:
        glm.shelf.pictures["0"] = png(64, 48)
        order = video(card=card, picture="0" if card.animates else "", seconds=card.seconds[0])
        assert (await glm.made(order)).links
        assert glm.sim.log[0].body["size"] is None
        other = await glm.refused(video(card=card, picture="" if card.animates else "0"))
        assert other.trouble is Trouble.BAD_REQUEST and other.unbilled


ORDERS: list[Order] = [chat(), picture(card=DRAWS_LATER), video()]


@pytest.mark.parametrize("order", ORDERS, ids=["chat", "picture", "video"])
async def test_a_task_that_failed_is_at_its_end(order: Order) -> None:
    async with open_glm() as glm:
        glm.sim.fail(Fault(task="FAILED"))
        error = await glm.refused(order)
        assert (error.trouble, error.code, error.status, error.begun) == (Trouble.FAULT, FAILED, 200, True)


async def test_a_task_may_tell_why_it_failed() -> None:
    async with open_glm() as glm:
        for code, trouble, told in (("1301", Trouble.REFUSED, "1301"), ("1305", Trouble.FAULT, FAILED)):
            glm.sim.fail(Fault(vendor="glm", task="FAILED", code=code))
            error = await glm.refused(video())
            assert (error.trouble, error.code) == (trouble, told)
            assert error.vendor_message.startswith(code)


@pytest.mark.parametrize("order", ORDERS, ids=["chat", "picture", "video"])
@pytest.mark.parametrize(("code", "unbilled"), [("1113", True), ("1302", True), ("1301", True), ("500", False)])
async def test_an_order_that_is_refused(order: Order, code: str, unbilled: bool) -> None:
    async with open_glm() as glm:
        glm.sim.fail(Fault(vendor="glm", code=code))
        error = await glm.refused(order)
        assert (error.code, error.unbilled, error.begun) == (code, unbilled, False)


@pytest.mark.parametrize("order", ORDERS, ids=["chat", "picture", "video"])
async def test_an_order_whose_answer_is_lost_may_have_been_taken(order: Order) -> None:
    async with open_glm() as glm:
        glm.sim.fail(Fault(after_bytes=0, cut=True))
        error = await glm.refused(order)
        assert (error.trouble, error.unbilled) == (Trouble.CUT, False)
        glm.sim.fail(Fault(after_bytes=20, cut=True))
        assert not (await glm.refused(order)).unbilled
        glm.sim.fail(Fault(cut=True))  # before it was taken: nobody here can tell
        assert not (await glm.refused(order)).unbilled


async def test_nobody_there_costs_nothing() -> None:
    async with aiohttp.ClientSession() as session:
        vendor = Zhipu(session, Shelf(), key="a.b", url="http://127.0.0.1:9/v4")
        for order in ORDERS:
            with pytest.raises(ModelError) as caught:
                await vendor.submit(order)
            assert (caught.value.trouble, caught.value.unbilled) == (Trouble.UNREACHABLE, True)


@pytest.mark.parametrize("code", ["1302", "1305", "500", "1000"])
async def test_a_look_that_is_refused_says_nothing_of_the_task(code: str) -> None:
    async with open_glm(task=0) as glm:
        task = await glm.task(video())
        glm.sim.fail(Fault(vendor="glm", path="/async-result/", code=code))
        with pytest.raises(ModelError) as caught:
            await glm.vendor.look(FILMS, task)
        assert (caught.value.code, caught.value.begun) == (code, False)
        assert await glm.vendor.look(FILMS, task) is not None


@pytest.mark.parametrize("task", ["no-such-task", "../chat/completions", "a b", ""])
async def test_an_unknown_task_is_at_its_end(task: str) -> None:
    async with open_glm() as glm:
        with pytest.raises(ModelError) as caught:
            await glm.vendor.look(FILMS, task)
        error = caught.value
        assert (error.trouble, error.begun, error.unbilled) == (Trouble.BAD_REQUEST, True, False)  # perhaps done
        assert len(glm.sim.log) == (task == "no-such-task")


async def test_a_task_that_failed_at_once() -> None:
    body = b'{"id": "t", "task_status": "FAIL"}'
    async with recorded([body], content_type="application/json") as origin, aiohttp.ClientSession() as session:
        with pytest.raises(ModelError) as caught:
            await Zhipu(session, Shelf(), key="a.b", url=f"{origin}/v4").submit(video())
        assert (caught.value.code, caught.value.begun, caught.value.unbilled) == (FAILED, True, True)


async def test_a_state_that_nobody_knows_is_not_the_end() -> None:
    body = b'{"id": "t", "task_status": "QUEUED"}'
    async with recorded([body], content_type="application/json") as origin, aiohttp.ClientSession() as session:
        vendor = Zhipu(session, Shelf(), key="a.b", url=f"{origin}/v4")
        assert await vendor.submit(video()) == "t"
        assert await vendor.look(FILMS, "t") is None


async def test_a_look_that_brings_nonsense_is_not_the_end() -> None:
    for body, trouble in ((b"{}", Trouble.FAULT), (b'{"error": "?"}', Trouble.FAULT), (b"<html>", Trouble.CUT)):
        async with recorded([body], content_type="application/json") as origin, aiohttp.ClientSession() as session:
            vendor = Zhipu(session, Shelf(), key="a.b", url=f"{origin}/v4")
            with pytest.raises(ModelError) as caught:
                await vendor.look(FILMS, "t")
            assert caught.value.trouble is trouble
            assert not caught.value.begun


async def test_a_task_is_still_being_made() -> None:
    async with open_glm(task=600) as glm:
        for order in ORDERS:
            task = await glm.task(order)
            assert await glm.vendor.look(order.card, task) is None
            await glm.vendor.cancel(order.card, task)  # which GLM cannot
            assert await glm.vendor.look(order.card, task) is None


@pytest.mark.parametrize(
    ("body", "trouble"),
    [
        (b"{}", Trouble.FAULT),
        (b"[]", Trouble.CUT),
        (b'"x"', Trouble.CUT),
        (b"null", Trouble.CUT),
        (b"<html>", Trouble.CUT),
        (b"", Trouble.CUT),
        (b'{"id": "../x", "task_status": "PROCESSING"}', Trouble.FAULT),
        (b'{"task_status": "PROCESSING"}', Trouble.FAULT),
        (b'{"id": "t t", "task_status": "SUCCESS"}', Trouble.FAULT),
        (b'{"data": [{}]}', Trouble.FAULT),
        (b'{"data": 7}', Trouble.FAULT),
    ],
)
@pytest.mark.parametrize("order", [*ORDERS, picture()], ids=["chat", "task", "video", "picture"])
async def test_an_answer_of_another_shape_is_a_fault_that_may_be_billed(
    body: bytes, trouble: Trouble, order: Order
) -> None:
    async with (
        recorded([body] if body else [], content_type="application/json") as origin,
        aiohttp.ClientSession() as session,
    ):
        vendor = Zhipu(session, Shelf(), key="a.b", url=f"{origin}/v4")
        with pytest.raises(ModelError) as caught:
            await vendor.submit(order)
        assert caught.value.trouble is trouble
        assert not caught.value.unbilled


@pytest.mark.parametrize(
    ("body", "trouble"),
    [
        (b"{}", Trouble.FAULT),
        (b"[]", Trouble.CUT),
        (b"null", Trouble.CUT),
        (b'{"task_status": "SUCCESS"}', Trouble.FAULT),
        (b'{"task_status": "SUCCESS", "choices": []}', Trouble.FAULT),
        (b'{"task_status": "SUCCESS", "choices": [{"message": 7}]}', Trouble.FAULT),
        (
            b'{"task_status": "SUCCESS", "video_result": [{"url": 7}, 8, {"url": ""}], "image_result": "x"}',
            Trouble.FAULT,
        ),
    ],
)
@pytest.mark.parametrize("card", [CHATS, DRAWS, FILMS], ids=["chat", "picture", "video"])
async def test_a_result_of_another_shape_is_a_fault(body: bytes, trouble: Trouble, card: ModelCard) -> None:
    async with recorded([body], content_type="application/json") as origin, aiohttp.ClientSession() as session:
        vendor = Zhipu(session, Shelf(), key="a.b", url=f"{origin}/v4")
        with pytest.raises(ModelError) as caught:
            await vendor.look(card, "t")
        assert caught.value.trouble is trouble
