"""How often a call is tried, how long it waits in between, and the limits of time around it."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Mapping
from dataclasses import dataclass

from bot.errors import EMPTY, NO_ROOM, ModelError, Trouble

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Policy:
    """How often a call is tried in all, and the seconds before the second try; each further wait is twice as long."""

    tries: int = 1
    wait: float = 0.0


# What follows from each Trouble. Those not named are final at once: NO_MONEY, BAD_KEY, QUOTA, REFUSED, NO_MODEL and BAD_REQUEST
# would be refused again, TOO_LONG is shortened by whoever made the prompt, SILENT has cost its minute already.
POLICIES: Mapping[Trouble, Policy] = {
    Trouble.BUSY: Policy(3, 2.0),
    Trouble.OVERLOADED: Policy(3, 4.0),
    Trouble.FAULT: Policy(3, 1.0),
    Trouble.UNREACHABLE: Policy(3, 1.0),
    Trouble.CUT: Policy(3, 1.0),
}
JITTER = (0.75, 1.5)  # each wait is scaled by chance between these: those who failed together do not return together


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Seconds. `first`: to the first token, `thinking`: of models that think first; `idle`: between tokens; `total`:
    for one whole answer; `picture`: for one drawing; `tries`: for all tries before the first text, but for the time in the
    queue; `queue`: in the queue, for all tries; `notice`: a longer wait is announced. `pace` scales the waits between
    tries."""

    first: float = 60.0
    thinking: float = 180.0
    idle: float = 25.0
    total: float = 900.0
    picture: float = 320.0
    tries: float = 60.0
    queue: float = 300.0
    notice: float = 2.0
    pace: float = 1.0


class Tries:
    """Counts the tries of one call and says how long to wait for the next."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._until = asyncio.get_running_loop().time() + limits.tries
        self._done = 0

    def wait(self, error: ModelError, *, queued: float = 0.0, final: bool = False) -> float | None:
        """Seconds until the next try, with jitter, never sooner than the vendor allows. None: give up. `queued`: the seconds of
        all tries so far in which the vendor was not asked."""
        self._done += 1
        policy = POLICIES.get(error.trouble, Policy())
        tries = min(policy.tries, {EMPTY: 2, NO_ROOM: 1}.get(error.code, policy.tries))
        if final or self._done >= tries:
            log.warning("%s", error)
            return None
        wait = policy.wait * 2.0 ** (self._done - 1) * random.uniform(*JITTER) * self._limits.pace
        wait = max(wait, error.retry_after or 0.0)
        if asyncio.get_running_loop().time() + wait > self._until + queued:
            log.warning("%s", error)
            return None
        log.info("%s; try %d in %.1f s", error, self._done + 1, wait)
        return wait
