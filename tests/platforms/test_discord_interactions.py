"""Slash commands, presses and autocompletion: committed, acknowledged in time, answered in their place."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from bot.lanes import Lane
from bot.messages import Address, Button, ChatKey, Media, Piece
from bot.platforms.discord import DiscordPlatform
from tests.platforms.discord_house import MENU, House, Notes, address, house
from tests.servers.discord import DiscordServer
from tests.servers.discord_commands import ATTACHMENT
from tests.servers.discord_interactions import DEFERRED, DEFERRED_UPDATE, MESSAGE
from tests.servers.discord_state import Channel, Interaction, Upload, User

COMMANDS = "PUT /applications/{application}/commands"
SEND, EDIT = "POST /channels/{channel}/messages", "PATCH /channels/{channel}/messages/{message}"
PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 64


@pytest.fixture
async def server() -> AsyncIterator[DiscordServer]:
    async with DiscordServer() as server:
        yield server


@pytest.fixture
async def home(server: DiscordServer) -> AsyncIterator[House]:
    async with house(server) as home, home.listening():
        await server.wait_for(server.commands)
        yield home


@pytest.fixture
def ann(server: DiscordServer) -> User:
    return server.user("ann")


@pytest.fixture
def general(server: DiscordServer, ann: User) -> Channel:
    return server.channel(server.guild("home", members=[ann]), "general")


async def answered(server: DiscordServer, interaction: Interaction) -> int:
    await server.wait_for(lambda: interaction.response is not None)
    assert interaction.response is not None
    return interaction.response


async def test_commands_are_registered_once_in_both_languages(server: DiscordServer) -> None:
    notes = Notes()
    for _ in range(2):
        async with house(server, notes=notes) as home, home.listening():
            await server.wait_for(server.commands)
    assert len(server.calls(COMMANDS)) == 1
    names = {command["name"]: command for command in server.commands()}
    assert list(names) == [entry.name for entry in MENU]
    assert names["help"]["description"] == "What I can do"
    assert names["help"]["description_localizations"]["zh-CN"] == "我会什么"
    prompt, picture = names["image"]["options"]
    assert (prompt["name"], prompt["required"]) == ("prompt", True)
    assert (picture["name"], picture["type"], picture["required"]) == ("picture", ATTACHMENT, False)
    assert picture["name_localizations"]["zh-CN"] == "图片"


async def test_a_command_is_committed_then_deferred(
    home: House, server: DiscordServer, general: Channel, ann: User
) -> None:
    interaction = server.slash(general, ann, "image", {"prompt": "512x512 a red fox"})
    assert await answered(server, interaction) == DEFERRED
    [event], [message] = home.inbox.accepted, home.messages()
    assert (event.event, event.joins, event.author) == (str(interaction.id), "", str(ann.id))
    assert event.at == pytest.approx(interaction.created, abs=0.01)
    assert (message.text, message.address.reply_to, message.address.group) == ("/image 512x512 a red fox", "", True)


async def test_a_file_comes_with_a_command(home: House, server: DiscordServer, general: Channel, ann: User) -> None:
    red = Upload(filename="red.png", data=PNG)
    interaction = server.slash(general, ann, "image", {"picture": red, "prompt": "make it blue"})
    assert await answered(server, interaction) == DEFERRED
    [message] = home.messages()
    [file] = message.attachments
    assert (message.text, file.kind, file.name, file.size) == ("/image make it blue", "image", "red.png", len(PNG))
    assert await home.platform.fetch(file, 1000) == PNG


async def test_its_first_piece_takes_the_place_of_thinking(
    home: House, server: DiscordServer, general: Channel, ann: User
) -> None:
    server.slash(general, ann, "image", {"prompt": "a fox"})
    await home.heard()
    to = home.messages()[0].address
    await server.wait_for(lambda: any(one.thinking for one in server.messages(general)))
    first = await home.platform.send(to, Piece("drawing … @everyone"), "1.0.0.0")
    second = await home.platform.send(to, Piece("more"), "1.0.1.0")
    name = await home.pictures.keep(PNG, "image/png")
    await home.platform.edit(to, first, Piece("", media=Media(name, "image/png")))
    one, two = server.messages(general)
    assert (str(one.id), one.thinking, [file.filename for file in one.attachments]) == (first, False, ["0.png"])
    assert (str(two.id), two.content) == (second, "more")
    assert not one.pings


async def test_an_answer_that_is_ready_before_the_acknowledgement_waits_for_it(
    home: House, server: DiscordServer, general: Channel, ann: User
) -> None:
    held = server.hold("POST /interactions/{interaction}/{token}/callback", when="before")
    server.slash(general, ann, "help")
    await home.heard()
    sending = asyncio.create_task(home.platform.send(home.messages()[0].address, Piece("quick"), "1.0.0.0"))
    await held.reached.wait()
    held.release()
    await sending
    assert [(one.content, one.thinking) for one in server.messages(general)] == [("quick", False)]


async def test_an_acknowledgement_that_the_network_ate_is_repeated(
    home: House, server: DiscordServer, general: Channel, ann: User
) -> None:
    server.reset("POST /interactions/{interaction}/{token}/callback", when="after")
    interaction = server.slash(general, ann, "help")
    await answered(server, interaction)
    await server.wait_for(lambda: len(server.calls("POST /interactions/{interaction}/{token}/callback")) == 2)
    await home.platform.send(home.messages()[0].address, Piece("here"), "1.0.0.0")
    assert [one.content for one in server.messages(general)] == ["here"]


async def test_a_picture_can_be_the_first_piece(
    home: House, server: DiscordServer, general: Channel, ann: User
) -> None:
    server.slash(general, ann, "image", {"prompt": "a fox"})
    await home.heard()
    await server.wait_for(lambda: server.messages(general))
    name = await home.pictures.keep(PNG, "image/png")
    await home.platform.send(home.messages()[0].address, Piece("a fox", media=Media(name, "image/png")), "1.0.0.0")
    [shown] = server.messages(general)
    assert (shown.content, len(shown.attachments)) == ("a fox", 1)


@pytest.mark.parametrize("minutes", [14, 16])
async def test_an_answer_after_15_minutes_is_an_ordinary_message(
    home: House, server: DiscordServer, general: Channel, ann: User, minutes: int
) -> None:
    interaction = server.slash(general, ann, "help")
    await answered(server, interaction)
    server.world.clock.advance(minutes * 60)
    message = await home.platform.send(home.messages()[0].address, Piece("late"), "1.0.0.0")
    shown = server.messages(general)
    assert [one.content for one in shown if str(one.id) == message] == ["late"]
    assert len(shown) == (1 if minutes < 15 else 2)


async def test_a_deleted_first_answer_is_followed_by_a_message(
    home: House, server: DiscordServer, general: Channel, ann: User
) -> None:
    interaction = server.slash(general, ann, "help")
    await answered(server, interaction)
    server.delete(server.messages(general)[0])
    await home.platform.send(home.messages()[0].address, Piece("here"), "1.0.0.0")
    assert [one.content for one in server.messages(general)] == ["here"]


async def test_control_commands_overtake(home: House, server: DiscordServer, general: Channel, ann: User) -> None:
    await answered(server, server.slash(general, ann, "reset"))
    assert home.inbox.accepted[0].lane is Lane.CONTROL


async def test_a_stop_leaves_nobody_waiting(home: House, server: DiscordServer, general: Channel, ann: User) -> None:
    assert await answered(server, server.slash(general, ann, "stop")) == MESSAGE
    assert [(one.content, one.ephemeral) for one in server.messages(general)] == [("Stopped.", True)]
    await home.platform.send(home.messages()[0].address, Piece("Nothing is running."), "1.0.0.0")
    assert [(one.content, one.ephemeral) for one in server.messages(general)] == [("Nothing is running.", True)]


@pytest.mark.parametrize(("button", "lane"), [("abc", Lane.TURN), ("stop.abc", Lane.CONTROL)])
async def test_a_press_is_acknowledged_and_keeps_its_place(
    home: House, server: DiscordServer, general: Channel, ann: User, button: str, lane: Lane
) -> None:
    piece = Piece("an answer", buttons=((Button("Press", button),),))
    message = await home.platform.send(address(general), piece, "1.0.0.0")
    interaction = server.press(server.messages(general)[0], button, ann)
    assert await answered(server, interaction) == DEFERRED_UPDATE
    [event], [press] = home.inbox.accepted, home.presses()
    assert (event.message, event.lane) == (message, lane)
    assert (press.button, press.author.id) == (button, str(ann.id))
    assert press.address == Address(ChatKey("discord", str(general.id)), message, group=True)
    await home.platform.send(press.address, Piece("a reply"), "2.0.0.0")
    assert [one.content for one in server.messages(general)] == ["an answer", "a reply"]


@pytest.mark.parametrize("trouble", ["full", "slow"])
async def test_what_cannot_be_committed_in_time_is_refused_visibly(
    home: House, server: DiscordServer, general: Channel, ann: User, trouble: str
) -> None:
    if trouble == "full":
        home.inbox.full = True
    else:
        home.inbox.open.clear()
    interaction = server.slash(general, ann, "help")
    assert await answered(server, interaction) == MESSAGE
    assert server.world.clock.now() - interaction.created < 2
    [shown] = server.messages(general, viewer=ann)
    assert shown.ephemeral
    assert "try again" in shown.content
    home.inbox.full = False
    home.inbox.open.set()
    await answered(server, server.slash(general, ann, "reset"))
    assert [message.text for message in home.messages()] == ["/reset"]


async def test_a_stranger_gets_one_line_that_only_they_see(
    home: House, server: DiscordServer, general: Channel, ann: User
) -> None:
    home.door.strangers.add(str(ann.id))
    assert await answered(server, server.slash(general, ann, "help")) == MESSAGE
    server.slash(general, ann, "help")
    assert await server.autocomplete(general, ann, "model", "name", "") == ()
    [shown] = server.messages(general)
    assert shown.ephemeral
    assert f"discord:{ann.id}" in shown.content
    assert home.inbox.accepted == []


async def test_autocomplete_offers_what_the_menu_chooses(
    home: House, server: DiscordServer, general: Channel, ann: User
) -> None:
    offered = await server.autocomplete(general, ann, "model", "name", "glm")
    assert [choice.value for choice in offered] == ["glm-4-flash", "glm-4-plus"]


async def test_owners_are_known_by_their_id(home: House, server: DiscordServer, general: Channel, ann: User) -> None:
    home.door.owners.add(str(ann.id))
    await answered(server, server.slash(general, ann, "help"))
    assert isinstance(home.platform, DiscordPlatform)
    assert home.messages()[0].author.owner
