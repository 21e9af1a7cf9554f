"""What a vendor sends is no more trusted than what people write: money is booked by it, and it is kept and shown."""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest

from bot.errors import ModelError, Trouble
from bot.messages import Finish
from bot.models import ModelSettings, open_models
from bot.models.guarded import ENDLESS, LONGEST_TOKEN
from bot.models.tries import POLICIES
from bot.models.vendor import MOST_TOKENS, usage_of
from bot.ports import ModelCard, Unknown
from bot.simulator import Fault
from tests.models.rig import QUICK, Asker, Purse, Shelf, end_of, open_rig, recorded, text_of

KEY = "0123456789abcdef.CanaryOfTheKey"
NAMES = {"glm": "glm-4-plus", "qwen": "qwen-plus", "openai": "openai/some-model"}
IMPOSSIBLE = (math.nan, math.inf, -5, 1e300, 10**18, MOST_TOKENS + 1, "7", [1], {"a": 1}, True)


@asynccontextmanager
async def vendors(url: str, purse: Purse) -> AsyncIterator[Asker]:
    """All three, at one address."""
    async with aiohttp.ClientSession(trust_env=True) as session:
        settings = ModelSettings(
            session=session,
            ledger=purse,
            files=Shelf(),
            zhipu_key=KEY,
            zhipu_url=url,
            dashscope_key=KEY,
            dashscope_url=url,
            openai_key=KEY,
            openai_url=url,
            limits=QUICK,
        )
        yield Asker(open_models(settings), Shelf(), session)


def streamed(vendor: str, content: object, usage: object) -> bytes:
    """A whole answer of one event, as the vendor streams it."""
    if vendor == "qwen":
        output = {"choices": [{"message": {"role": "assistant", "content": content}, "finish_reason": "stop"}]}
        body: dict[str, Any] = {"output": output, "usage": usage, "request_id": "r"}
        return b"id:1\nevent:result\n:HTTP_STATUS/200\ndata:" + json.dumps(body).encode() + b"\n\n"
    choices = [{"index": 0, "delta": {"content": content}, "finish_reason": "stop"}]
    body = {"id": "1", "created": 1, "model": "x", "choices": choices, "usage": usage}
    return b"data: " + json.dumps(body).encode() + b"\n\ndata: [DONE]\n\n"


def usage(vendor: str, prompt: object, completion: object) -> dict[str, object]:
    names = ("input_tokens", "output_tokens") if vendor == "qwen" else ("prompt_tokens", "completion_tokens")
    return {names[0]: prompt, names[1]: completion, "total_tokens": 1}


@pytest.mark.parametrize("figure", IMPOSSIBLE, ids=repr)
def test_a_figure_that_cannot_be_counts_as_none_told(figure: object) -> None:
    assert usage_of(figure, 5) is None
    assert usage_of(5, figure) is None
    told = usage_of(5, 5, figure)
    assert told and 0 <= told.cached <= 5


@pytest.mark.parametrize("vendor", NAMES)
@pytest.mark.parametrize("figure", [math.nan, math.inf, 1e300, 10**18, [1]], ids=repr)
async def test_an_answer_with_impossible_figures_is_whole_and_its_cost_estimated(vendor: str, figure: object) -> None:
    purse = Purse()
    async with recorded([streamed(vendor, "hello", usage(vendor, 5, figure))]) as url, vendors(url, purse) as asker:
        end = end_of(await asker.ask(NAMES[vendor]))
    assert end.reason is Finish.STOP and end.usage.estimated
    if vendor != "openai":  # which is free on this machine
        assert 0 < end.cost <= purse.rows[0][1]


@pytest.mark.parametrize("vendor", NAMES)
@pytest.mark.parametrize(
    "block",
    [
        b'{"choices": [5], "output": [5]}',
        b'{"choices": {"a": 1}, "output": "x", "request_id": 1}',
        b'{"choices": [{"delta": "x"}], "output": {"choices": [7]}, "request_id": "r", "usage": [1]}',
        b"[" * 100_000,
        b"7" * 5_000,
    ],
    ids=lambda block: block[:20].decode(),
)
async def test_json_of_another_shape_is_the_vendors_failure_and_keeps_its_money(vendor: str, block: bytes) -> None:
    purse = Purse()
    async with recorded([b"data: " + block + b"\n\n"]) as url, vendors(url, purse) as asker:
        error = await asker.refused(NAMES[vendor])
    assert isinstance(error, ModelError)
    booked = [(model, cost > 0, state) for model, cost, state in purse.rows]
    each = (NAMES[vendor], vendor != "openai", "estimated")  # the third is free on this machine
    assert booked == [each] * POLICIES[Trouble.CUT].tries  # all of them may have been billed


@pytest.mark.parametrize("vendor", NAMES)
async def test_a_key_that_the_vendor_quotes_is_not_kept(vendor: str) -> None:
    refusal = json.dumps({"error": {"message": f"no such key: {KEY}", "code": "1000"}, "message": f"no: {KEY}"})
    async with (
        recorded([refusal.encode()], status=401, content_type="application/json") as url,
        vendors(url, Purse()) as asker,
    ):
        error = await asker.refused(NAMES[vendor])
    assert error.trouble is Trouble.BAD_KEY
    assert "no" in error.vendor_message and KEY not in error.vendor_message


@pytest.mark.parametrize("vendor", NAMES)
async def test_the_password_of_a_proxy_and_the_headers_of_a_request_are_not_kept(
    vendor: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with recorded([], status=407) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.replace("//", "//user:CanaryOfTheProxy@"))
        monkeypatch.delenv("NO_PROXY", raising=False)
        monkeypatch.delenv("no_proxy", raising=False)
        async with vendors("https://vendor.example/v1", Purse()) as asker:
            error = await asker.refused(NAMES[vendor])
    assert "407" in error.vendor_message
    assert "Canary" not in error.vendor_message and "Authorization" not in error.vendor_message


@pytest.mark.parametrize("name", ["glm-4-plus", "qwen-plus"])
async def test_an_answer_without_an_end_is_ended(name: str) -> None:
    """A vendor that overlooks `max_tokens` bills what it writes."""
    async with open_rig() as rig:
        rig.sim.fail(Fault(endless=True))
        async with asyncio.timeout(20):
            parts = await rig.ask(name, output=100)
    end = end_of(parts)
    assert (end.reason, end.code, end.usage.estimated) == (Finish.LENGTH, ENDLESS, True)
    assert end.cost > 0
    assert len(text_of(parts)) < 100 * LONGEST_TOKEN + 100


@pytest.mark.parametrize(
    "name", ["openai/x\n2026-01-01 ERROR a line of its own", "openai/\x1b[31m", "openai/" + "x" * 999]
)
async def test_a_models_name_that_a_person_makes_up_is_one_short_word(name: str) -> None:
    async with vendors("http://127.0.0.1:1", Purse()) as asker:
        assert isinstance(asker.models.find(name), Unknown)
        assert isinstance(asker.models.find("openai/Qwen/Qwen2.5-7B"), ModelCard)
