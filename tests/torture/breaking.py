"""How a link is broken: by the proxy on it where TCP itself suffers, by the stand-in behind it where a service does."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from bot.simulator import Fault as ModelFault
from bot.simulator import Simulator
from tests.servers.discord import DiscordServer
from tests.servers.proxy import BOTH, Cut, Fault, Garbage, HalfOpen, Latency, Refuse, Reset, SlowLoris, Way
from tests.servers.telegram import TelegramServer

TCP = ("latency", "reset", "half-open", "cut", "slow loris", "garbage")
SERVICE = ("429 with a time", "429 without a time", "5xx")
KINDS = TCP + SERVICE
ENDLESS = 1_000_000  # calls: as long as it lasts
DISCORD_ROUTES = (
    "GET /channels/{channel}/messages",
    "POST /channels/{channel}/messages",
    "PATCH /channels/{channel}/messages/{message}",
    "POST /channels/{channel}/typing",
)

Broken = AbstractAsyncContextManager[None]


def fault(kind: str, chance: random.Random) -> Fault:
    """One of TCP's."""
    match kind:
        case "latency":
            return Latency(seconds=chance.uniform(0.2, 1.0), jitter=1.0)
        case "reset":
            return chance.choice((Reset(), Refuse()))
        case "half-open":
            return HalfOpen(ways=chance.choice((BOTH, frozenset({Way.ANSWERS}), frozenset({Way.REQUESTS}))))
        case "cut":
            return Cut(after=chance.randrange(400), way=chance.choice((Way.ANSWERS, Way.ANSWERS, Way.REQUESTS)))
        case "slow loris":
            return SlowLoris(pause=chance.uniform(0.005, 0.1))
        case _:
            return Garbage(share=chance.uniform(0.3, 1.0), inserted=chance.random() < 0.5)


def bursts(
    link: str,
    kind: str,
    chance: random.Random,
    *,
    telegram: TelegramServer | None,
    discord: DiscordServer | None,
    models: Simulator,
) -> Broken:
    """Refusals of the service behind the link."""
    if link == "telegram":
        assert telegram is not None
        return _telegram(telegram, kind, chance)
    if link == "discord":
        assert discord is not None
        return _discord(discord, kind, chance)
    if link == "gateway":
        assert discord is not None
        return _gateway(discord, kind, chance)
    return _model(models, link, kind, chance)


@asynccontextmanager
async def _telegram(server: TelegramServer, kind: str, chance: random.Random) -> AsyncIterator[None]:
    match kind:
        case "429 with a time":
            server.fail("*", ENDLESS, retry_after=chance.randint(1, 3))
        case "429 without a time":
            server.fail("*", ENDLESS, status=429, description="Too Many Requests")
        case _:
            server.fail("*", ENDLESS, status=chance.choice((500, 502, 503)))
    yield
    server.faults.clear()


@asynccontextmanager
async def _discord(server: DiscordServer, kind: str, chance: random.Random) -> AsyncIterator[None]:
    for route in DISCORD_ROUTES:
        match kind:
            case "429 with a time":
                server.rate_limit(route, chance.uniform(0.5, 3.0), times=ENDLESS)
            case "429 without a time":
                server.rate_limit(route, times=ENDLESS, scope="cloudflare")
            case _:
                server.fail(route, times=ENDLESS, status=chance.choice((500, 502, 503)))
    yield
    server.heal()


@asynccontextmanager
async def _gateway(server: DiscordServer, kind: str, chance: random.Random) -> AsyncIterator[None]:
    """What the gateway has in place of statuses: 4008 (too many frames), a session that is no good, a door that is shut."""

    async def again_and_again() -> None:
        while True:
            if kind == "429 with a time":
                server.close_gateway(4008)
            elif kind == "429 without a time":
                server.invalidate_session(resumable=chance.random() < 0.5)
            else:
                server.refuse_gateway()
                server.close_gateway(None)
            await asyncio.sleep(chance.uniform(0.3, 1.0))

    async with asyncio.TaskGroup() as tasks:
        burst = tasks.create_task(again_and_again())
        yield
        burst.cancel()
    server.refuse_gateway(False)


@asynccontextmanager
async def _model(models: Simulator, vendor: str, kind: str, chance: random.Random) -> AsyncIterator[None]:
    glm = vendor == "glm"
    name = "glm" if glm else "dashscope"
    match kind:
        case "429 with a time" | "429 without a time":
            code = "1302" if glm else "Throttling.RateQuota"
            told = chance.uniform(1.0, 3.0) if kind == "429 with a time" else None
            models.fail(ModelFault(vendor=name, code=code, retry_after=told, times=None))
        case _ if chance.random() < 0.5:
            models.fail(ModelFault(vendor=name, code="500" if glm else "InternalError", times=None))
        case _:
            models.fail(ModelFault(vendor=name, body=b"<html>Bad Gateway</html>", status=502, times=None))
    yield
    models.heal()
