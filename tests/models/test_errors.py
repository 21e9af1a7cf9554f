"""Every business code of both vendors, and what follows from it."""

import pytest

from bot.errors import EMPTY, ModelError, Trouble
from bot.messages import Finish, Notice
from bot.models.tries import POLICIES, Limits, Tries
from bot.simulator import Fault, Reply
from bot.simulator.errors import DASHSCOPE, GLM
from tests.models.rig import VENDORS, Purse, end_of, open_rig, text_of

KINDS = {
    "glm": {
        Trouble.BAD_KEY: "1000 1001 1002 1003 1004 1005 1110 1111 1112 1121",
        Trouble.NO_MONEY: "1113 1309",
        Trouble.BUSY: "1302 1303",
        Trouble.OVERLOADED: "1305 1312",
        Trouble.QUOTA: "1304 1308 1310 1313 1314 1315",
        Trouble.NO_MODEL: "1211 1220 1221 1222 1311",
        Trouble.BAD_REQUEST: "1210 1212 1213 1214 1215",
        Trouble.FAULT: "500 1120 1200 1230 1234",
        Trouble.REFUSED: "1301",
        Trouble.TOO_LONG: "1261",
    },
    "dashscope": {
        Trouble.BAD_KEY: "InvalidApiKey AccessDenied AccessDenied.Unpurchased WorkSpaceNotFound",
        Trouble.NO_MONEY: "Arrearage CommodityNotPurchased PrepaidBillOverdue PostpaidBillOverdue",
        Trouble.BUSY: "Throttling Throttling.RateQuota Throttling.BurstRate Throttling.AllocationQuota LimitRequests",
        Trouble.OVERLOADED: "ModelServingError ServiceUnavailable",
        Trouble.QUOTA: "AllocationQuota.FreeTierOnly",
        Trouble.NO_MODEL: "Model.AccessDenied ModelNotFound Model.NotExist",
        Trouble.BAD_REQUEST: "InvalidParameter InvalidURL InvalidFile.Size UnsupportedOperation",
        Trouble.FAULT: "APIConnectionError Conflict InternalError InternalError.Algo InternalError.Timeout SystemError "
        "ResponseTimeout RequestTimeOut",
        Trouble.REFUSED: "DataInspectionFailed",
        Trouble.TOO_LONG: "RequestEntityTooLarge",
    },
}
EXPECTED = {
    (vendor, code): trouble
    for vendor, kinds in KINDS.items()
    for trouble, codes in kinds.items()
    for code in codes.split()
}
# What asking again can only make dearer, or angrier.
FINAL = (
    Trouble.NO_MONEY, Trouble.BAD_KEY, Trouble.QUOTA, Trouble.REFUSED, Trouble.NO_MODEL, Trouble.BAD_REQUEST, Trouble.TOO_LONG,
    Trouble.SILENT,
)  # fmt: skip
DOCUMENTED = [("glm", code) for code in GLM] + [("dashscope", code) for code in DASHSCOPE]


@pytest.mark.parametrize(("vendor", "code"), DOCUMENTED)
async def test_every_documented_code_is_told_and_tried_as_its_kind_allows(vendor: str, code: str) -> None:
    expected = EXPECTED[vendor, code]
    stock = (GLM if vendor == "glm" else DASHSCOPE)[code]
    async with open_rig() as rig:
        rig.sim.fail(Fault(vendor=vendor, code=code, times=None))
        error = await rig.refused("glm" if vendor == "glm" else "qwen")
        assert (error.trouble, error.status, error.code) == (expected, stock.status, code)
        assert error.vendor_message and rig.sim.api_key not in f"{error}{error.vendor_message}"
        assert rig.calls == (1 if expected in FINAL else POLICIES[expected].tries)


@pytest.mark.parametrize("name", VENDORS)
async def test_a_passing_fault_is_not_seen(name: str) -> None:
    async with open_rig() as rig:
        for code in ("1302", "1305") if name == "glm" else ("Throttling.RateQuota", "ModelServingError"):
            rig.sim.fail(Fault(code=code, vendor="glm" if name == "glm" else "dashscope"))
        rig.sim.say("Here I am.")
        parts = await rig.ask(name)
        assert text_of(parts) == "Here I am."
        assert end_of(parts).reason is Finish.STOP
        assert rig.calls == 3


@pytest.mark.parametrize(
    ("code", "message", "trouble"),
    [
        ("InvalidParameter", "Range of input length should be [1, 30720]", Trouble.TOO_LONG),
        ("InvalidParameter", "<400> InternalError.Algo.InvalidParameter: Range of seed should be [0, 1]", None),
        ("Throttling.AllocationQuota", "Free allocated quota exceeded.", Trouble.QUOTA),
        ("InternalError.Algo", "Output data may contain inappropriate content.", Trouble.REFUSED),
    ],
)
async def test_codes_of_several_meanings_are_told_apart_by_their_words(
    code: str, message: str, trouble: Trouble | None
) -> None:
    async with open_rig() as rig:
        rig.sim.fail(Fault(vendor="dashscope", code=code, message=message))
        assert (await rig.refused("qwen")).trouble is (trouble or Trouble.BAD_REQUEST)


@pytest.mark.parametrize("name", VENDORS)
@pytest.mark.parametrize(
    ("status", "trouble"),
    [
        (502, Trouble.FAULT),
        (503, Trouble.OVERLOADED),
        (429, Trouble.BUSY),
        (403, Trouble.BAD_KEY),
        (413, Trouble.TOO_LONG),
    ],
)
async def test_a_gateways_page_is_told_by_its_status(name: str, status: int, trouble: Trouble) -> None:
    async with open_rig() as rig:
        rig.sim.fail(Fault(status=status, body=b"<html>nginx</html>", times=None))
        error = await rig.refused(name)
        assert (error.trouble, error.status) == (trouble, status)


@pytest.mark.parametrize("name", VENDORS)
async def test_a_wrong_key(name: str) -> None:
    async with open_rig(key="wrong.key") as rig:
        error = await rig.refused(name)
        assert (error.trouble, error.status) == (Trouble.BAD_KEY, 401)
        assert "wrong.key" not in f"{error!r} {error} {error.vendor_message}"


@pytest.mark.parametrize("name", VENDORS)
async def test_a_vendor_that_is_not_there(name: str) -> None:
    purse = Purse()
    async with open_rig(ledger=purse) as rig:
        await rig.models.warm()
        await rig.sim.close()
        error = await rig.refused(name)
        assert error.trouble is Trouble.UNREACHABLE
        assert not sum(cost for _, cost, _ in purse.rows)  # nothing was asked, nothing is kept


async def test_the_vendors_own_wait_is_kept_and_too_long_a_one_is_not_waited_for() -> None:
    async with open_rig() as rig:
        rig.sim.fail(Fault(vendor="glm", code="1302", retry_after=0.2))
        began = rig.sim.log
        await rig.ask("glm")
        first, second = rig.sim.log[len(began) :]
        assert second.began - first.began >= 0.2
        rig.sim.fail(Fault(vendor="glm", code="1302", retry_after=3_600))
        error = await rig.refused("glm")
        assert error.retry_after == 3_600


async def test_a_long_wait_is_announced_in_the_persons_language() -> None:
    async with open_rig(limits=Limits(pace=0.01, notice=0.05)) as rig:
        rig.sim.fail(Fault(vendor="glm", code="1305", retry_after=0.1))
        notices = [part for part in await rig.ask("glm", language="zh") if isinstance(part, Notice)]
        assert len(notices) == 1 and "模型繁忙" in notices[0].text
        assert not [part for part in await rig.ask("glm") if isinstance(part, Notice)]


async def test_waits_grow_have_jitter_and_end_within_a_minute() -> None:
    def busy() -> ModelError:
        return ModelError(Trouble.OVERLOADED, vendor="glm")

    firsts, seconds = set(), set()
    for _ in range(20):
        tries = Tries(Limits())
        firsts.add(tries.wait(busy()))
        seconds.add(tries.wait(busy()))
        assert tries.wait(busy()) is None
    assert len(firsts) > 10 and all(first is not None and 3 <= first <= 6 for first in firsts)
    assert all(second is not None and 6 <= second <= 12 for second in seconds)
    assert Tries(Limits(tries=1.0)).wait(busy()) is None  # it would be too late


@pytest.mark.parametrize("trouble", FINAL)
async def test_the_final_ones_are_never_tried_again(trouble: Trouble) -> None:
    assert Tries(Limits()).wait(ModelError(trouble, vendor="glm")) is None
    assert {*FINAL, *POLICIES} == set(Trouble)


@pytest.mark.parametrize("name", VENDORS)
async def test_an_empty_answer_is_asked_once_more(name: str) -> None:
    async with open_rig() as rig:
        rig.sim.fail(Fault(empty=True))
        assert text_of(await rig.ask(name))
        assert rig.calls == 2
        rig.sim.fail(Fault(empty=True, times=None))
        error = await rig.refused(name)
        assert (error.trouble, error.code) == (Trouble.FAULT, EMPTY)
        assert rig.calls == 4


@pytest.mark.parametrize("name", VENDORS)
async def test_thoughts_without_an_answer_are_an_empty_answer(name: str) -> None:
    async with open_rig() as rig:
        rig.sim.fail(Fault(only_thought=True, times=None))
        error = await rig.refused(name, think=True)
        assert (error.trouble, error.code) == (Trouble.FAULT, EMPTY)
        assert rig.calls == 2


async def test_a_limit_reached_before_the_first_word_is_not_tried_again() -> None:
    async with open_rig() as rig:
        rig.sim.fail(Fault(only_thought=True, finish="length"))
        assert (await rig.refused("glm", think=True)).code == "length"
        assert rig.calls == 1


@pytest.mark.parametrize("name", VENDORS)
async def test_any_text_arrives(name: str) -> None:
    async with open_rig() as rig:
        for text in ("\ud800 lone", "nul \0", "\u202eright to left", "😀" * 10_000, "a\u2028b"):
            assert end_of(await rig.ask(name, text)).reason is Finish.STOP


async def test_a_scripted_reply_keeps_its_finish() -> None:
    async with open_rig() as rig:
        rig.sim.say(Reply(text="cut at the limit", finish="length"))
        assert end_of(await rig.ask("glm")).reason is Finish.LENGTH
