"""The stand-in for Discord, proved with the real client library. Rule by rule: test_discord_rules.py."""

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
from tests.servers.discord_state import Channel, Choice, Upload, User

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

    async def before_identify_hook(self, shard_id: int | None, *, initial: bool = False) -> None:
        """The library's own waits five seconds before it identifies anew."""

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
        async with bot, asyncio.TaskGroup() as tasks:
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
        server.clock.advance(3600)
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


async def test_a_fresh_login_after_a_lost_session_finds_the_gap_only_in_history(
    server: DiscordServer, ann: User, general: Channel
) -> None:
    async with running(Bot(), server) as bot:
        last = server.say(general, ann, "before")
        await soon(bot.heard)
        server.invalidate_session()
        server.say(general, ann, "said in the gap")
        await server.wait_for(lambda: server.gateway.identifies == 2 and server.connected)
        server.say(general, ann, "after")
        assert (await soon(bot.heard)).content == "after"
        channel = bot.get_channel(general.id)
        assert isinstance(channel, discord.TextChannel)
        missed = [message.content async for message in channel.history(after=discord.Object(last.id))]
        assert missed == ["said in the gap", "after"]


async def test_a_client_waits_out_a_429_and_raises_on_cloudflares(
    server: DiscordServer, ann: User, general: Channel
) -> None:
    async with running(Bot(), server) as bot:
        server.say(general, ann, "hello")
        channel = (await soon(bot.heard)).channel
        server.rate_limit(SEND, 0.1)
        await channel.send("answer")
        assert [call.status for call in server.calls(SEND)] == [429, 200]
        server.rate_limit(SEND, scope="cloudflare")
        with pytest.raises(discord.HTTPException, match="1015"):
            await channel.send("refused")


async def test_a_press_a_private_chat_a_thread_and_an_attachment(
    server: DiscordServer, ann: User, general: Channel
) -> None:
    async with running(Bot(), server) as bot:
        server.say(server.dm(ann), ann, "see", attachments=[Upload(filename="a.png", data=b"\x89PNG")])
        message = await soon(bot.heard)
        assert isinstance(message.channel, discord.DMChannel)
        assert await message.attachments[0].read() == b"\x89PNG"
        view = discord.ui.View(timeout=None)
        view.add_item(discord.ui.Button(label="Stop", custom_id="stop:1"))
        await message.reply("thinking", view=view)
        [_, shown] = server.messages(server.dm(ann))
        server.press(shown, "Stop", ann)
        interaction = await act(bot)
        await interaction.response.edit_message(content="stopped", view=None)
        [_, shown] = server.messages(server.dm(ann))
        assert (shown.content, shown.buttons, shown.reply_to) == ("stopped", (), message.id)
        thread = server.thread(general, "side talk", ann)
        server.say(thread, ann, "in here")
        assert isinstance((await soon(bot.heard)).channel, discord.Thread)


async def test_autocomplete_returns_the_bots_choices(server: DiscordServer, ann: User, general: Channel) -> None:
    bot = Bot()
    tree = app_commands.CommandTree(bot)

    @tree.command(name="model", description="Choose a model")
    async def model(interaction: discord.Interaction, name: str) -> None:
        await interaction.response.send_message(name, ephemeral=True)

    @model.autocomplete("name")
    async def names(_: discord.Interaction, typed: str) -> list[app_commands.Choice[str]]:
        return [app_commands.Choice(name=f"{typed}-4", value=f"{typed}-4")]

    async with running(bot, server):
        await tree.sync()
        assert await server.autocomplete(general, ann, "model", "name", "glm") == (Choice("glm-4", "glm-4"),)
        with pytest.raises(ValueError, match="not registered"):
            server.slash(general, ann, "unheard-of")


async def test_an_intent_that_the_portal_does_not_approve_is_refused() -> None:
    async with DiscordServer(privileged=0) as server:
        with pytest.raises(ExceptionGroup) as raised:
            async with running(Bot(), server):
                pass
        assert raised.group_contains(discord.PrivilegedIntentsRequired)


async def test_content_is_hidden_without_the_intent_but_for_mentions_and_private_chats(
    server: DiscordServer, ann: User, general: Channel
) -> None:
    async with running(Bot(content=False), server) as bot:
        server.say(general, ann, "secret")
        server.say(general, ann, "you", mention_bot=True)
        server.say(server.dm(ann), ann, "private")
        assert [(await soon(bot.heard)).content for _ in range(3)] == ["", f"{server.bot.mention} you", "private"]
