"""What goes wrong on demand, and rate limits: the parts of a REST call that do not depend on what is asked."""

import asyncio
import time
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from tests.servers.discord_state import Channel, JsonObject

When = Literal["before", "after"]  # the call's effect
VIA = "1.1 google"  # the header by which clients tell Discord's own 429 from Cloudflare's


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What goes back to the client. A `body` of text is sent as HTML, as Cloudflare does; status 0 resets the connection."""

    status: int
    body: JsonObject | list[JsonObject] | str | None = None
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True, kw_only=True)
class Fault:
    """Replaces the answer of the next `times` calls of `route` (after `skip` undisturbed ones)."""

    route: str
    answer: Answer
    when: When = "before"
    times: int = 1
    skip: int = 0
    channel_id: int | None = None


@dataclass(slots=True, kw_only=True)
class Hold:
    """Keeps calls of `route` waiting; `reached` is set when one does, `release()` lets it go on."""

    route: str
    when: When = "after"
    times: int = 1
    skip: int = 0
    channel_id: int | None = None
    matching: Callable[[object], bool] = field(default=lambda body: True)
    until: asyncio.Event = field(default_factory=asyncio.Event)
    reached: asyncio.Event = field(default_factory=asyncio.Event)

    def release(self) -> None:
        self.until.set()


def too_many(retry_after: float, *, scope: str = "user") -> Answer:
    """Discord's own 429. `scope`: "user", "shared" or "global"."""
    body = {"message": "You are being rate limited.", "retry_after": round(retry_after, 3), "global": scope == "global"}
    headers = {"Retry-After": str(max(1, round(retry_after))), "X-RateLimit-Scope": scope, "Via": VIA}
    return Answer(
        status=429, body=body, headers=headers | ({"X-RateLimit-Global": "true"} if scope == "global" else {})
    )


CLOUDFLARE_BAN = Answer(
    status=429,
    body="<html><title>Access denied | discord.com used Cloudflare to restrict access</title>error code: 1015</html>",
)


class Faults:
    """What is planned to go wrong. `routes` are the ones there are; another name is a mistake in the test."""

    def __init__(self, routes: frozenset[str]) -> None:
        self.routes = routes
        self.planned: list[Fault | Hold] = []

    def known(self, route: str) -> str:
        """`route` itself. Raises ValueError if there is none of that name."""
        if route not in self.routes:
            raise ValueError(f"no route {route!r}; there are {sorted(self.routes)}")
        return route

    def fail(
        self,
        route: str,
        *,
        times: int = 1,
        status: int = 500,
        code: int = 0,
        message: str = "",
        body: str | None = None,
        when: When = "before",
        skip: int = 0,
        channel: Channel | None = None,
    ) -> None:
        """The next `times` calls of `route` (after `skip` good ones) get this error, "before" or "after" they take
        effect. `body` replaces Discord's JSON by text."""
        content = body if body is not None else {"message": message or f"{status}: planned error", "code": code}
        self._plan(route, Answer(status=status, body=content), times, when, skip, channel)

    def reset(
        self, route: str, *, times: int = 1, when: When = "before", skip: int = 0, channel: Channel | None = None
    ) -> None:
        """The connection is cut instead of an answer."""
        self._plan(route, Answer(status=0), times, when, skip, channel)

    def rate_limit(
        self,
        route: str,
        retry_after: float = 1.0,
        *,
        times: int = 1,
        scope: str = "user",
        skip: int = 0,
        channel: Channel | None = None,
    ) -> None:
        """429. `scope`: "user", "shared", "global", or "cloudflare" for the ban that carries no JSON and no Via header."""
        answer = CLOUDFLARE_BAN if scope == "cloudflare" else too_many(retry_after, scope=scope)
        self._plan(route, answer, times, "before", skip, channel)

    def _plan(self, route: str, answer: Answer, times: int, when: When, skip: int, channel: Channel | None) -> None:
        self.planned.append(
            Fault(
                route=self.known(route),
                answer=answer,
                when=when,
                times=times,
                skip=skip,
                channel_id=channel.id if channel else None,
            )
        )

    def hold(
        self,
        route: str,
        *,
        when: When = "after",
        times: int = 1,
        skip: int = 0,
        channel: Channel | None = None,
        until: asyncio.Event | None = None,
        matching: Callable[[object], bool] = lambda body: True,
    ) -> Hold:
        """Calls of `route` whose body is `matching` take effect ("after") or not yet ("before") and wait for `until` or
        `release()`; `reached` tells that one does."""
        held = Hold(
            route=self.known(route),
            when=when,
            times=times,
            skip=skip,
            until=until or asyncio.Event(),
            matching=matching,
            channel_id=channel.id if channel else None,
        )
        self.planned.append(held)
        return held

    def take(self, route: str, channel_id: int | None, when: When, body: object) -> Fault | Hold | None:
        """The first planned disturbance of this call, used up by one."""
        for fault in self.planned:
            if (
                fault.route != route
                or fault.when != when
                or fault.channel_id not in (None, channel_id)
                or not fault.times
                or (isinstance(fault, Hold) and not fault.matching(body))
            ):
                continue
            if fault.skip:
                fault.skip -= 1
                continue
            fault.times -= 1
            return fault
        return None

    def release_all(self) -> None:
        for fault in self.planned:
            if isinstance(fault, Hold):
                fault.release()
        self.planned.clear()


@dataclass(frozen=True, slots=True)
class Bucket:
    """`limit` calls in `seconds`, counted apart for each channel or token."""

    name: str
    limit: int
    seconds: float


SENDS = Bucket("sends", 5, 5.0)
EDITS = Bucket("edits", 5, 5.0)
DELETES = Bucket("deletes", 5, 1.0)
WEBHOOKS = Bucket("webhooks", 5, 2.0)
OTHERS = Bucket("others", 50, 1.0)
EVERYTHING = Bucket("global", 50, 1.0)


class Limits:
    """Fixed windows of real time, as Discord's headers describe them. Not enforced, they are only announced."""

    def __init__(self, *, enforced: bool) -> None:
        self.enforced = enforced
        self._windows: dict[tuple[str, str], tuple[float, int]] = {}  # opened at, calls since

    def admit(self, bucket: Bucket, major: str) -> tuple[dict[str, str], Answer | None]:
        """The X-RateLimit headers of this call, and the refusal when it is one too many."""
        if self.enforced and bucket is not WEBHOOKS:
            _, _, wait = self._count(EVERYTHING, "")
            if wait:
                return {}, too_many(wait, scope="global")
        remaining, reset_after, wait = self._count(bucket, major)
        headers = {
            "X-RateLimit-Limit": str(bucket.limit if self.enforced else 1000),
            "X-RateLimit-Remaining": str(remaining if self.enforced else 999),
            "X-RateLimit-Reset": f"{time.time() + reset_after:.3f}",
            "X-RateLimit-Reset-After": f"{reset_after:.3f}",
            "X-RateLimit-Bucket": f"{zlib.crc32(bucket.name.encode()):032x}",
            "Via": VIA,
        }
        if self.enforced and wait:
            refusal = too_many(wait)
            return headers | refusal.headers, refusal
        return headers, None

    def _count(self, bucket: Bucket, major: str) -> tuple[int, float, float]:
        """Calls left, seconds to the next window, and seconds to wait if this call does not fit."""
        now = time.monotonic()
        opened, used = self._windows.get((bucket.name, major), (now, 0))
        if now - opened >= bucket.seconds:
            opened, used = now, 0
        left = opened + bucket.seconds - now
        if used >= bucket.limit:
            return 0, left, left
        self._windows[bucket.name, major] = (opened, used + 1)
        return bucket.limit - used - 1, left, 0.0
