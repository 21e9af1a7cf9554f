"""The stand-in for Discord: shards, and how many sessions may begin. Over a bare websocket."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.servers.discord import DiscordServer
from tests.servers.discord_gateway import IDENTIFY, INVALID_SESSION, RESUME
from tests.servers.discord_state import Guild, User
from tests.servers.test_discord_rules import INTENTS, Http, Socket, connect, speaking


@pytest.fixture
async def server() -> AsyncIterator[DiscordServer]:
    async with DiscordServer(shards=2, max_concurrency=1) as started:
        yield started


@pytest.fixture
async def bot(server: DiscordServer) -> AsyncIterator[Http]:
    async with speaking(server) as bot:
        yield bot


@pytest.fixture
def ann(server: DiscordServer) -> User:
    return server.user("ann")


def guild_on(server: DiscordServer, shard: int, member: User) -> Guild:
    """A guild whose events go to this one of two shards."""
    while (guild := server.guild("house", members=[member], has_bot=False)).id >> 22 & 1 != shard:
        server.clock.advance(0.001)
    server.invite(guild)
    return guild


async def events(socket: Socket, count: int) -> list[tuple[str, Any]]:
    frames = [await socket.frame() for _ in range(count)]
    return [(frame["t"], frame["d"]) for frame in frames]


async def test_what_discord_recommends_is_told(server: DiscordServer, bot: Http) -> None:
    server.gateway.max_concurrency = 16
    told = (await bot.call("GET", "/gateway/bot")).body
    assert (told["shards"], told["session_start_limit"]["max_concurrency"]) == (2, 16)
    await (await connect(bot)).frame()
    assert (await bot.call("GET", "/gateway/bot")).body["session_start_limit"]["remaining"] == 999


async def test_each_shard_is_told_of_its_guilds_and_the_first_of_private_chats(
    server: DiscordServer, bot: Http, ann: User
) -> None:
    guilds = [guild_on(server, shard, ann) for shard in (0, 1)]
    sockets = [await connect(bot, shard=[shard, 2]) for shard in (0, 1)]
    for shard, socket in enumerate(sockets):
        (ready, hello), (created, guild) = await events(socket, 2)
        assert (ready, hello["shard"], [one["id"] for one in hello["guilds"]]) == (
            "READY",
            [shard, 2],
            [str(guilds[shard].id)],
        )
        assert (created, guild["id"]) == ("GUILD_CREATE", str(guilds[shard].id))
    server.say(server.dm(ann), ann, "in private")
    channel = server.channel(guilds[1], "general")
    server.say(channel, ann, "in public")
    assert [(name, data.get("content")) for name, data in await events(sockets[0], 1)] == [
        ("MESSAGE_CREATE", "in private")
    ]
    assert [(name, data.get("content")) for name, data in await events(sockets[1], 2)] == [
        ("CHANNEL_CREATE", None),
        ("MESSAGE_CREATE", "in public"),
    ]


async def test_two_sessions_of_one_shard_are_both_told_and_resumed_by_themselves(
    server: DiscordServer, bot: Http, ann: User
) -> None:
    first, second = [await connect(bot, shard=[0, 2]) for _ in range(2)]
    ids = [(await events(socket, 1))[0][1]["session_id"] for socket in (first, second)]
    server.say(server.dm(ann), ann, "one")
    for socket in (first, second):
        assert (await events(socket, 1))[0][1]["content"] == "one"
    server.close_gateway(None)
    server.say(server.dm(ann), ann, "two")
    again = await connect(bot, RESUME, session_id=ids[1], seq=2)
    assert [name for name, _ in await events(again, 2)] == ["MESSAGE_CREATE", "RESUMED"]


@pytest.mark.parametrize("shard", [[2, 2], [-1, 2], [0, 0]])
async def test_what_is_no_shard_is_4010(bot: Http, shard: list[int]) -> None:
    assert await (await connect(bot, shard=shard)).closed() == 4010


async def test_too_many_guilds_for_one_shard_are_4011(server: DiscordServer, bot: Http, ann: User) -> None:
    server.gateway.most_guilds = 1
    for shard in (0, 1):
        guild_on(server, shard, ann)
    assert await (await connect(bot)).closed() == 4011
    assert (await (await connect(bot, shard=[1, 2])).frame())["t"] == "READY"


async def test_who_identifies_too_soon_after_another_of_its_remainder_gets_opcode_9(
    server: DiscordServer, bot: Http
) -> None:
    server.gateway.max_concurrency, server.gateway.identify_seconds = 2, 3600.0
    assert [(await (await connect(bot, shard=[shard, 4])).frame())["t"] for shard in (0, 1)] == ["READY"] * 2
    hasty = await connect(bot, shard=[2, 4])
    refused = await hasty.frame()
    assert (refused["op"], refused["d"]) == (INVALID_SESSION, False)
    assert server.gateway.hasty == 1
    server.gateway.identify_seconds = 0.0
    await hasty.send(IDENTIFY, {"token": server.token, "intents": INTENTS, "shard": [2, 4]})
    assert (await hasty.frame())["t"] == "READY"


async def test_one_session_too_many_in_a_day_resets_the_token(server: DiscordServer, bot: Http) -> None:
    server.gateway.starts_per_day = 1
    first = await connect(bot)
    await first.frame()
    assert await (await connect(bot)).closed() == 4004
    assert await first.closed() == 4004
    assert await (await connect(bot)).closed() == 4004, "the old token is no good any more"
