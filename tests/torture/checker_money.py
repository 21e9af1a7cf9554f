"""The ledger against the vendors' own bills."""

from __future__ import annotations

import math
import tomllib
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from fractions import Fraction
from functools import cache
from typing import Any

from bot.models.offers import SEARCH_PRICE
from tests.process import ROOT
from tests.torture.checker_run import Booked, Called, Run

FROM_ABOVE = frozenset(
    {"hear", "speak", "search"}
)  # kinds that are settled at what was held back: nothing is told back


def wrong_money(run: Run) -> Iterator[str]:
    """Every call has one row. Settled rows are what the vendor billed; a call that broke off, or whose answer died with the
    process, has an estimated row that covers it. A crash between reserving and calling leaves a row without a call."""
    owners = {word: chat for chat, word in run.canaries.items()}
    calls: dict[tuple[str, str], list[Called]] = defaultdict(list)
    rows: dict[tuple[str, str], list[Booked]] = defaultdict(list)
    heard = {name for name, card in catalogue().items() if card["kind"] == "hear"}
    for call in run.called:
        chat = next((chat for word, chat in owners.items() if word in call.prompt), "")
        if not (chat or call.model in heard):
            yield f"a call of {call.model} belongs to no chat: {call.prompt[-80:]!r}"
        calls[chat, call.model].append(call)
    for row in run.stored.booked:
        rows["" if row.model in heard else row.chat, row.model].append(row)  # a recording bears no canary
        if row.state == "reserved":
            yield f"{row.chat}: a row of {row.model} is still reserved"
    for key in sorted({*calls, *rows}):
        exact = catalogue().get(key[1], {}).get("kind") not in FROM_ABOVE
        for sentence in _mismatch(calls[key], rows[key], len(run.kills), exact=exact):
            yield f"{key[0]}, {key[1]}: {sentence}"


def _mismatch(calls: Sequence[Called], rows: Sequence[Booked], kills: int, *, exact: bool) -> Iterator[str]:
    """`exact`: settled rows are what was billed, to the millionth."""
    bills = Counter(bill(call) for call in calls if call.complete)
    covered = [bill(call) for call in calls if not call.complete]
    for row in rows:
        if row.state != "settled" or not exact:
            continue
        if bills[row.cost] > 0:
            bills[row.cost] -= 1
        else:
            yield f"a row is settled at {row.cost}, which the vendor never billed"
    covered = sorted([*covered, *bills.elements()], reverse=True)
    estimates = sorted((row.cost for row in rows if row.state != "settled" or not exact), reverse=True)
    if len(covered) > len(estimates):
        yield f"{len(calls)} calls, {len(rows)} rows: {len(covered) - len(estimates)} calls have no row"
    elif len(estimates) - len(covered) > kills:
        yield f"{len(estimates) - len(covered)} rows without a call, after {kills} kills"
    for owed, held in zip(covered, estimates, strict=False):
        if owed > held:
            yield f"a call that broke off is billed {owed}, and its row holds {held}"


def bill(call: Called) -> int:
    """By the catalogue, in millionths of a CNY, rounded up: a price per million tokens is that of one token in millionths."""
    card = catalogue()[call.model]
    count = call.pictures + Fraction(call.characters, 1_000)
    total = Fraction(str(card.get("per_picture", 0))) * 1_000_000 * count
    total += Fraction(str(card.get("per_second", 0))) * 1_000_000 * Fraction(str(round(call.seconds, 2)))
    tiers = card.get("price", ())
    if tiers:
        tier = next((tier for tier in tiers if call.prompt_tokens <= tier[0]), tiers[-1])
        total += Fraction(str(tier[1])) * call.prompt_tokens + Fraction(str(tier[2])) * call.completion_tokens
    return math.ceil(total)


@cache
def catalogue() -> dict[str, dict[str, Any]]:
    catalogue = tomllib.loads((ROOT / "bot" / "models" / "catalog.toml").read_text("utf-8"))
    search = {"name": "web_search", "kind": "search", "per_picture": SEARCH_PRICE}
    return {model["name"]: model for model in [*catalogue["model"], search]}
