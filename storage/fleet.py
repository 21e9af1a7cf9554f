"""The transactions of a worker among others: its heartbeat, the dead whose work it shares out, its duties."""

from __future__ import annotations

from collections.abc import Callable

from bot.ports import Beat
from storage.statements import FLEET
from storage.transaction import Transaction

Clock = Callable[[], float]  # the database's, read when the transaction begins
JUMP = 2.0  # seconds between two heartbeats from which it is the clock that has moved


def enrol(worker: str, host: str, version: str, clock: Clock, lease: float) -> Transaction[None]:
    yield FLEET["enrol"], {"worker": worker, "until": clock() + lease, "host": host, "version": version}


def beat(worker: str, clock: Clock, lease: float, *, reap: bool) -> Transaction[Beat]:
    now = clock()
    ours = yield FLEET["own_lease"], {"worker": worker}
    if not ours:
        return Beat(alive=False)
    jumped = abs(now - (ours[0]["alive"] - lease)) > JUMP
    yield FLEET["beat"], {"worker": worker, "until": now + lease}
    freed = 0
    if reap and not jumped:
        for dead in (yield FLEET["dead_workers"], {"now": now, "horizon": now + 2 * lease}):
            yield from _share_out(dead["id"])
            freed += 1
        yield FLEET["free_strays"], {}
        yield FLEET["free_stray_jobs"], {}
    others = (yield FLEET["other_workers"], {"worker": worker})[0]["workers"]
    to_end = yield FLEET["turns_to_end"], {"worker": worker}
    return Beat(others=others, freed=freed, to_end=tuple(row["id"] for row in to_end), jumped=jumped)


def _share_out(worker: str) -> Transaction[None]:
    yield FLEET["chats_of"], {"worker": worker}  # locked in the order of their keys
    yield FLEET["free_owned"], {"worker": worker}
    yield FLEET["free_shown"], {"worker": worker}
    yield FLEET["free_jobs"], {"worker": worker}
    yield FLEET["free_duties"], {"worker": worker}
    yield FLEET["forget_worker"], {"worker": worker}


def resign(worker: str) -> Transaction[None]:
    """What a worker leaves behind, others take up at once."""
    yield from _share_out(worker)


def take_duty(worker: str, name: str) -> Transaction[bool]:
    return bool((yield FLEET["take_duty"], {"name": name, "worker": worker}))


def leave_duty(worker: str, name: str) -> Transaction[None]:
    yield FLEET["leave_duty"], {"name": name, "worker": worker}


def due(cause: str, every: float, now: float) -> Transaction[bool]:
    return bool((yield FLEET["due_alarm"], {"cause": cause, "now": now, "before": now - every, "beyond": now + JUMP}))
