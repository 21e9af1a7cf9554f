"""The stand-in for Discord, proved with the real client library."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import discord
import pytest
import yarl
from discord import app_commands
from discord.gateway import DiscordWebSocket
from discord.http import Route

from tests.servers.discord import DiscordServer
from tests.servers.discord_gateway import RESUME
from tests.servers.discord_state import Channel, User

SEND = "POST /channels/{channel}/messages"
EDIT = "PATCH /channels/{channel}/messages/{message}"
DEADLINE = 10.0


class Bot(discord.Client):
    """Keeps what it hears in queues."""

    def __init__(self, *, content: bool = True) -> None:
        intents = discord.Intents.default()
        intents.message_content = content
        super().__init__(intents=intents, guild_ready_timeout=0.05, allowed_mentions=discord.AllowedMentions.none())
        self.heard: asyncio.Queue[discord.Message] = asyncio.Queue()
        self.acts: asyncio.Queue[discord.Interaction] = asyncio.Queue()
        self.resumed = asyncio.Event()

    async def on_message(self, message: discord.Message) -> None:
        if message.author != self.user:
            self.heard.put_nowait(message)

    async def on_interaction(self, interaction: discord.Interaction) -> None:
        self.acts.put_nowait(interaction)

    async def on_resumed(self) -> None:
        self.resumed.set()


@asynccontextmanager
async def running(bot: Bot, server: DiscordServer) -> AsyncIterator[Bot]:
    """The bot connected and ready; library globals are put back afterwards."""
    saved = Route.BASE, DiscordWebSocket.DEFAULT_GATEWAY
    Route.BASE, DiscordWebSocket.DEFAULT_GATEWAY = server.api_url, yarl.URL(server.gateway_url)
    try:
        async with asyncio.TaskGroup() as tasks:
            await bot.login(server.token)
            tasks.create_task(bot.connect())
            async with asyncio.timeout(DEADLINE):
                await bot.wait_until_ready()
            yield bot
            await bot.close()
    finally:
        Route.BASE, DiscordWebSocket.DEFAULT_GATEWAY = saved


@pytest.fixture
async def server() -> AsyncIterator[DiscordServer]:
    async with DiscordServer() as started:
        yield started


@pytest.fixture
def ann(server: DiscordServer) -> User:
    return server.user("ann")


@pytest.fixture
def general(server: DiscordServer, ann: User) -> Channel:
    return server.channel(server.guild("house", members=[ann]), "general")


async def soon(queue: "asyncio.Queue[discord.Message]") -> discord.Message:
    async with asyncio.timeout(DEADLINE):
        return await queue.get()


async def act(bot: Bot) -> discord.Interaction:
    async with asyncio.timeout(DEADLINE):
        return await bot.acts.get()


async def test_a_client_logs_in_and_hears_a_message(server: DiscordServer, ann: User, general: Channel) -> None:
    async with running(Bot(), server) as bot:
        assert bot.user is not None and bot.user.name == "magpie"
        server.say(general, ann, "hello")
        message = await soon(bot.heard)
        assert (message.content, message.author.id, message.channel.id) == ("hello", ann.id, general.id)
        assert isinstance(message.channel, discord.TextChannel)


async def test_a_repeated_nonce_returns_the_first_message(server: DiscordServer, ann: User, general: Channel) -> None:
    async with running(Bot(), server) as bot:
        server.say(general, ann, "hello")
        channel = (await soon(bot.heard)).channel
        first = await channel.send("answer", nonce="turn-1-0-0")
        assert (await channel.send("answer", nonce="turn-1-0-0")).id == first.id
        await first.edit(content="better answer")
        [_, answer] = server.messages(general)
        assert (answer.content, answer.edits, bool(answer.pings)) == ("better answer", 1, False)
        server.world.clock.advance(3600)
        assert (await channel.send("answer", nonce="turn-1-0-0")).id != first.id


async def test_a_command_is_deferred_and_its_original_edited(
    server: DiscordServer, ann: User, general: Channel
) -> None:
    bot = Bot()
    tree = app_commands.CommandTree(bot)

    @tree.command(name="ask", description="Ask a question")
    async def ask(interaction: discord.Interaction, question: str) -> None:
        await interaction.response.defer(thinking=True)
        await server.wait_for(lambda: server.messages(general)[-1].thinking)
        await interaction.edit_original_response(content=f"about {question}")
        await interaction.followup.send("more", ephemeral=True)

    async with running(bot, server):
        await tree.sync()
        server.slash(general, ann, "ask", {"question": "birds"})
        await server.wait_for(lambda: len(server.messages(general)) == 2)
        answer, more = server.messages(general)
        assert (answer.content, answer.thinking, answer.edited) == ("about birds", False, False)
        assert (more.content, more.ephemeral) == ("more", True)


async def test_a_client_resumes_after_close_4000_and_misses_nothing(
    server: DiscordServer, ann: User, general: Channel
) -> None:
    async with running(Bot(), server) as bot:
        server.close_gateway(4000)
        server.say(general, ann, "said in the gap")
        assert (await soon(bot.heard)).content == "said in the gap"
        async with asyncio.timeout(DEADLINE):
            await bot.resumed.wait()
        assert any(frame.direction == "in" and frame.op == RESUME for frame in server.frames)
        assert server.gateway.identifies == 1


async def test_history_after_a_message_and_an_upload(server: DiscordServer, ann: User, general: Channel) -> None:
    said = [server.say(general, ann, f"number {n}") for n in range(120)]
    async with running(Bot(), server) as bot:
        channel = bot.get_channel(general.id)
        assert isinstance(channel, discord.TextChannel)
        later = [m.content async for m in channel.history(after=discord.Object(said[9].id), limit=None)]
        assert later == [f"number {n}" for n in range(10, 120)]
        sent = await channel.send("look", file=discord.File(__file__, "picture.txt"))
        assert await sent.attachments[0].read() == server.messages(general)[-1].attachments[0].data
