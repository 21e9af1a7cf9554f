"""Money: every call of a vendor is reserved before it and settled after it; the day's sum moves with each, in one commit."""

from __future__ import annotations

from bot.errors import FencedOut
from storage.statements import LEDGER
from storage.transaction import Transaction, Value


def reserve(turn: int, chat: str, model: str, cost: int, day: str, limit: int, now: float) -> Transaction[int | None]:
    if (yield LEDGER["turn_over"], {"turn": turn}):
        raise FencedOut(f"turn {turn} of {chat} is over: another worker has made it")
    return (yield from hold_back(turn, chat, model, cost, day, limit, now))


def hold_back(turn: int, chat: str, model: str, cost: int, day: str, limit: int, now: float) -> Transaction[int | None]:
    """A new row, or None when the day's money does not suffice."""
    if cost and (cost > limit or not (yield LEDGER["add_within"], {"day": day, "cost": cost, "limit": limit})):
        return None
    values: dict[str, Value] = {"day": day, "chat": chat, "turn": turn, "model": model, "cost": cost, "now": now}
    rows = yield LEDGER["insert_call"], values
    return int(rows[0]["id"])


def settle(call: int, cost: int | None, estimated: bool) -> Transaction[None]:
    """`cost` None: nobody knows it, so what was held back stays."""
    rows = yield LEDGER["call"], {"call": call}
    if not rows or rows[0]["state"] != "reserved":
        return
    cost = rows[0]["cost"] if cost is None else cost
    yield LEDGER["settle_call"], {"call": call, "cost": cost, "state": "estimated" if estimated else "settled"}
    if cost != rows[0]["cost"]:
        yield LEDGER["add_to_day"], {"day": rows[0]["day"], "cost": cost - rows[0]["cost"]}


def spent(day: str) -> Transaction[int]:
    rows = yield LEDGER["spent"], {"day": day}
    return int(rows[0]["cost"]) if rows else 0
