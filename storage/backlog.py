"""What the store has still to do, as the operator sees it. Asked at every scrape: each from an index of such rows alone."""

from __future__ import annotations

from bot.ports import Backlog
from storage.statements import BACKLOG
from storage.transaction import Transaction


def backlog(now: float) -> Transaction[Backlog]:
    [queue] = yield BACKLOG["waiting"], {}
    [outbox] = yield BACKLOG["unshown"], {}
    [given_up] = yield BACKLOG["dead"], {}
    oldest = 0.0 if queue["oldest"] is None else max(0.0, now - queue["oldest"])
    return Backlog(waiting=queue["waiting"], oldest=oldest, unshown=outbox["unshown"], dead=given_up["dead"])
