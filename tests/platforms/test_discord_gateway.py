"""The connection to Discord: what is missed is caught up, what cannot be stored waits, and only a bad token ends it."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from dataclasses import replace

import pytest

from bot.errors import Revoked
from bot.platforms.discord_limits import Limits
from tests.platforms.discord_house import House, Notes, house
from tests.servers.discord import DiscordServer
from tests.servers.discord_gateway import Frame
from tests.servers.discord_state import Channel, User

HISTORY = "GET /channels/{channel}/messages"
QUICK = Limits(identify=0.1)


@pytest.fixture
async def server() -> AsyncIterator[DiscordServer]:
    async with DiscordServer() as server:
        yield server


@pytest.fixture
async def home(server: DiscordServer) -> AsyncIterator[House]:
    async with house(server, limits=QUICK) as home:
        yield home


@pytest.fixture
def ann(server: DiscordServer) -> User:
    return server.user("ann")


@pytest.fixture
def general(server: DiscordServer, ann: User) -> Channel:
    return server.channel(server.guild("home", members=[ann]), "general")


def texts(home: House) -> list[str]:
    return [message.text for message in home.messages()]


async def test_a_restart_catches_up_what_was_said_meanwhile(
    home: House, server: DiscordServer, general: Channel, ann: User
) -> None:
    dm, bob = server.dm(ann), server.user("bob")
    other = server.dm(bob)
    async with home.listening():
        server.say(dm, ann, "one")
        server.say(other, bob, "quiet")
        server.say(general, ann, "hey", mention_bot=True)
        await home.heard(3)
    server.say(dm, ann, "two")
    server.say(general, ann, "not for you")
    server.say(general, ann, "but this", mention_bot=True)
    server.say(dm, ann, "three")
    async with home.listening():
        await home.heard(6)
        server.say(dm, ann, "four")
        await home.heard(7)
    said = [text for text in texts(home) if text not in ("hey", "but this", "quiet")]
    assert said == ["one", "two", "three", "four"]
    assert "but this" in texts(home)


async def test_only_channels_with_news_are_asked_for(home: House, server: DiscordServer, ann: User) -> None:
    guild = server.guild("home", members=[ann])
    channels = [server.channel(guild, f"channel-{number}") for number in range(5)]
    async with home.listening():
        for channel in channels:
            server.say(channel, ann, "hey", mention_bot=True)
        await home.heard(5)
    server.say(channels[3], ann, "news", mention_bot=True)
    async with home.listening():
        await home.heard(6)
    assert [call.channel_id for call in server.calls(HISTORY)] == [channels[3].id]


async def test_at_most_200_messages_of_a_day_are_caught_up(home: House, server: DiscordServer, ann: User) -> None:
    dm = server.dm(ann)
    async with home.listening():
        server.say(dm, ann, "start")
        await home.heard()
    for number in range(230):
        server.say(dm, ann, str(number))
    async with home.listening():
        await home.heard(201)
        server.say(dm, ann, "live")
        await home.heard(202)
    assert texts(home) == ["start", *map(str, range(200)), "live"]


async def test_what_is_older_than_a_day_is_not_caught_up() -> None:
    async with DiscordServer() as server:
        server.world.clock.advance(-30 * 3600)
        ann = server.user("ann")
        dm = server.dm(ann)
        first = server.say(dm, ann, "the day before yesterday")
        server.say(dm, ann, "a little later")
        server.world.clock.advance(30 * 3600)
        server.say(dm, ann, "today")
        notes = Notes({f"discord/mark/{dm.id}": str(first.id)})
        async with house(server, notes=notes, limits=QUICK) as home, home.listening():
            await home.heard()
            assert texts(home) == ["today"]


async def test_a_channel_closed_meanwhile_is_forgotten(home: House, server: DiscordServer, ann: User) -> None:
    dm, gone = server.dm(ann), server.user("gone")
    other = server.dm(gone)
    async with home.listening():
        server.say(dm, ann, "one")
        server.say(other, gone, "one")
        await home.heard(2)
    server.delete_channel(other)
    server.say(dm, ann, "two")
    async with home.listening():
        await home.heard(3)
    assert home.notes.values[f"discord/mark/{other.id}"] == ""


async def test_a_lost_session_is_caught_up_and_a_lost_connection_resumed(
    home: House, server: DiscordServer, ann: User
) -> None:
    dm = server.dm(ann)
    async with home.listening():
        server.say(dm, ann, "one")
        await home.heard()
        ways: tuple[Callable[[], None], ...] = (
            lambda: server.close_gateway(4000),
            server.reconnect,
            lambda: server.close_gateway(None),
        )
        for number, lose in enumerate(ways):
            lose()
            server.say(dm, ann, f"resumed {number}")
            await home.heard(2 + number)
            await server.wait_for(lambda: server.connected)
        assert server.gateway.identifies == 1
        server.invalidate_session()
        server.say(dm, ann, "into the void")
        await home.heard(5)
        assert server.gateway.identifies == 2
    assert texts(home) == ["one", "resumed 0", "resumed 1", "resumed 2", "into the void"]


async def test_a_gateway_that_is_down_is_tried_again(
    home: House, server: DiscordServer, ann: User, caplog: pytest.LogCaptureFixture
) -> None:
    dm = server.dm(ann)
    async with home.listening():
        server.say(dm, ann, "one")
        await home.heard()
        server.gateway.refusing = True
        server.close_gateway(4000)
        server.say(dm, ann, "two")
        await server.wait_for(lambda: not server.connected)
        async with asyncio.timeout(10):
            while "connection lost" not in caplog.text:  # noqa: ASYNC110 # a log has no event to wait for
                await asyncio.sleep(0.01)
        server.gateway.refusing = False
        await home.heard(2)
        assert server.gateway.identifies == 1, "a session outlives failed attempts"


async def test_a_gateway_that_hangs_up_before_its_greeting_is_tried_again_without_alarm(
    home: House, server: DiscordServer, ann: User, caplog: pytest.LogCaptureFixture
) -> None:
    dm = server.dm(ann)
    async with home.listening():
        server.say(dm, ann, "one")
        await home.heard()
        server.gateway.hanging_up = True
        server.close_gateway(4000)
        server.say(dm, ann, "two")
        async with asyncio.timeout(10):
            while "before its greeting" not in caplog.text:  # noqa: ASYNC110 # a log has no event to wait for
                await asyncio.sleep(0.01)
        server.gateway.hanging_up = False
        await home.heard(2)
    assert not [record for record in caplog.records if record.exc_info]


async def test_a_connection_given_up_before_its_greeting_is_closed(
    home: House, server: DiscordServer, caplog: pytest.LogCaptureFixture
) -> None:
    server.mute()
    caplog.set_level(logging.DEBUG, "discord.gateway")
    listening = asyncio.create_task(home.platform.listen(home.inbox))
    async with asyncio.timeout(10):
        while "Created websocket" not in caplog.text:  # noqa: ASYNC110 # a log has no event to wait for
            await asyncio.sleep(0.01)
    listening.cancel()
    await asyncio.wait([listening])
    await server.wait_for(lambda: Frame("close", 4000, None, None) in server.frames)


async def test_a_connection_that_died_without_a_word_is_given_up_and_its_session_resumed(
    server: DiscordServer, ann: User
) -> None:
    dm = server.dm(ann)
    async with house(server, limits=replace(QUICK, beat=0.2, silence=0.5)) as home, home.listening():
        server.say(dm, ann, "one")
        await home.heard()
        await asyncio.sleep(1.5)  # quiet, and still alive: heartbeats are acknowledged
        assert len(server.gateway.connections) == 1 and server.gateway.identifies == 1
        server.mute()
        server.say(dm, ann, "two")
        await server.wait_for(lambda: not server.connected)
        server.mute(False)
        await home.heard(2)
        assert server.gateway.identifies == 1


async def test_an_api_that_is_down_at_the_start_is_tried_again(home: House, server: DiscordServer, ann: User) -> None:
    server.fail("GET /users/@me", status=503)
    async with home.listening():
        server.say(server.dm(ann), ann, "hello")
        await home.heard()


async def test_frames_that_are_no_gateway_frames_end_a_connection_only(
    home: House, server: DiscordServer, ann: User
) -> None:
    dm = server.dm(ann)
    async with home.listening():
        for connection in server.gateway.connections:
            await connection.socket.send_str("no JSON at all")
        server.say(dm, ann, "still there?")
        await home.heard()


async def test_a_token_revoked_while_it_runs_is_told(home: House, server: DiscordServer) -> None:
    task = asyncio.create_task(home.platform.listen(home.inbox))
    await server.wait_for(lambda: server.connected)
    server.close_gateway(4004)
    with pytest.raises(Revoked):
        await task


async def test_without_the_content_intent_it_says_so_once_and_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    async with DiscordServer(privileged=0) as server, house(server, limits=QUICK) as home:
        ann = server.user("ann")
        general = server.channel(server.guild("home", members=[ann]), "general")
        with caplog.at_level(logging.ERROR):
            async with home.listening():
                server.say(general, ann, "unseen")
                server.say(general, ann, "a mention", mention_bot=True)
                server.say(server.dm(ann), ann, "in private")
                await home.heard(2)
                server.invalidate_session()
                await server.wait_for(lambda: server.gateway.identifies == 2)
        hints = [record.message for record in caplog.records if "Message Content Intent" in record.message]
        assert len(hints) == 1
        assert "https://discord.com/developers/applications" in hints[0]
        assert texts(home) == ["a mention", "in private"]


async def test_what_the_store_cannot_take_waits_in_order_and_no_watermark_passes_it(
    home: House, server: DiscordServer, ann: User
) -> None:
    dm = server.dm(ann)
    async with home.listening():
        first = server.say(dm, ann, "one")
        await home.heard()
        home.inbox.full = True
        server.say(dm, ann, "two")
        await home.inbox.wait_for(lambda: home.inbox.refusals > 0)
        server.say(dm, ann, "three")
    assert home.notes.values[f"discord/mark/{dm.id}"] == str(first.id)
    home.inbox.full = False
    async with home.listening():
        await home.heard(3)
        home.inbox.full = True
        server.say(dm, ann, "four")
        await home.inbox.wait_for(lambda: home.inbox.refusals > 1)
        server.say(dm, ann, "five")
        home.inbox.full = False
        await home.heard(5)
    assert texts(home) == ["one", "two", "three", "four", "five"]


async def test_an_edit_of_what_was_said_before_we_were_there_is_not_found_again_as_a_message(
    home: House, server: DiscordServer, ann: User
) -> None:
    dm = server.dm(ann)
    said = server.say(dm, ann, "nobody hears this")
    async with home.listening():
        server.edit(said, "but this")
        await home.heard()
        killed = dict(home.notes.values)
    home.notes.values = killed  # what a kill leaves: no watermark is written at the end
    async with home.listening():
        server.say(dm, ann, "and this")
        await home.heard(2)
    assert [event.edits for event in home.inbox.accepted] == [True, False]


async def test_what_memory_cannot_hold_is_read_again(server: DiscordServer, ann: User) -> None:
    dm = server.dm(ann)
    async with house(server, limits=replace(QUICK, waiting=3)) as home, home.listening():
        server.say(dm, ann, "0")
        await home.heard()
        await server.wait_for(server.commands)
        home.inbox.open.clear()
        for number in range(1, 10):
            server.say(dm, ann, str(number))
        # Answered in order: the messages before it are taken.
        await server.autocomplete(dm, ann, "model", "name", "g")
        home.inbox.open.set()
        await home.heard(10)
    assert texts(home) == [str(number) for number in range(10)]
    assert server.calls(HISTORY)
