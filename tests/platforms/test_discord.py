"""What the bot hears on Discord and what it says there, over real sockets."""

import io
import os
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from PIL import Image

from bot.errors import Forbidden, Gone, Rejected, RetryLater, Revoked, TooLarge, Unreachable
from bot.files import FileStore
from bot.lanes import Lane
from bot.messages import Address, Attachment, Button, ChatKey, Edited, Media, Piece
from bot.platforms.discord import DiscordPlatform
from bot.turns.fleet import Alone
from tests.platforms.discord_house import House, address, house
from tests.servers.discord import DiscordServer
from tests.servers.discord_state import Channel, Upload, User
from tests.test_files import Away

SEND, EDIT, ORIGINAL = (
    "POST /channels/{channel}/messages",
    "PATCH /channels/{channel}/messages/{message}",
    "PATCH /webhooks/{application}/{token}/messages/@original",
)
PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 64


@pytest.fixture
async def server() -> AsyncIterator[DiscordServer]:
    async with DiscordServer() as server:
        yield server


@pytest.fixture
async def home(server: DiscordServer) -> AsyncIterator[House]:
    async with house(server) as home:
        yield home


@pytest.fixture
def ann(server: DiscordServer) -> User:
    return server.user("ann")


@pytest.fixture
def general(server: DiscordServer, ann: User) -> Channel:
    return server.channel(server.guild("home", members=[ann]), "general")


# --- what it hears -----------------------------------------------------------------------------------------------------


async def test_a_private_message_is_heard(home: House, server: DiscordServer, ann: User) -> None:
    dm = server.dm(ann)
    async with home.listening():
        said = server.say(dm, ann, "你好，喜鹊")
        [event] = await home.heard()
    [message] = home.messages()
    assert (event.event, event.message, event.chat) == (str(said.id), str(said.id), ChatKey("discord", str(dm.id)))
    assert (event.author, event.joins, event.settle, event.lane) == (str(ann.id), str(ann.id), 0.0, Lane.TURN)
    assert event.at == pytest.approx(said.created, abs=0.01)
    assert (message.text, message.language, message.author.name) == ("你好，喜鹊", "zh", "Ann")
    assert message.address == Address(ChatKey("discord", str(dm.id)))


async def test_in_a_server_only_what_is_addressed_to_it_is_heard(
    home: House, server: DiscordServer, general: Channel, ann: User
) -> None:
    bob = server.user("bob")
    assert general.guild
    server.join(general.guild, bob)
    async with home.listening():
        server.say(general, ann, "nobody in particular")
        server.say(general, server.user("robot", bot=True), "a bot", mention_bot=True)
        asked = server.say(general, ann, f"what does {bob.mention} mean?", mention_bot=True)
        ours = await home.platform.send(address(general), Piece("an answer"), "1.0.0.0")
        shown = next(one for one in server.messages(general) if str(one.id) == ours)
        server.say(general, bob, "and then?", reply_to=shown)
        said = server.say(general, bob, "I mean this")
        server.say(general, ann, "explain", reply_to=said, mention_bot=True)
        await home.heard(3)
        assert len(server.messages(general)) == 7
    mention, reply, quote = home.messages()
    assert mention.text == "what does @Bob mean?"
    assert mention.address == Address(ChatKey("discord", str(general.id)), str(asked.id), group=True)
    assert (reply.text, reply.replies_to, reply.quote) == ("and then?", ours, "")
    assert (quote.replies_to, quote.quote, quote.quoted) == ("", "I mean this", "Bob")


async def test_the_door_is_asked_with_person_server_channel_and_parent(
    home: House, server: DiscordServer, general: Channel, ann: User
) -> None:
    assert general.guild
    thread = server.thread(general, "a thread", ann)
    async with home.listening():
        server.say(thread, ann, "hello", mention_bot=True)
        [event] = await home.heard()
    assert event.chat == ChatKey("discord", str(thread.id))
    assert home.door.asked == [("discord", str(ann.id), str(general.guild.id), str(thread.id), str(general.id))]


async def test_a_mention_of_its_own_role_counts(
    home: House, server: DiscordServer, general: Channel, ann: User
) -> None:
    assert general.guild
    role = server.role(general.guild, "magpie")
    async with home.listening():
        tagged = {"id": str(role.id), "tags": {"bot_id": str(server.bot.id)}}
        server.push_raw("GUILD_CREATE", {"id": str(general.guild.id), "roles": [tagged]})
        server.say(general, ann, f"<@&{role.id}> hello")
        await home.heard()
    assert [message.text for message in home.messages()] == ["hello"]


async def test_a_stranger_is_told_once_and_only_in_private(
    home: House, server: DiscordServer, general: Channel, ann: User
) -> None:
    home.door.strangers.add(str(ann.id))
    dm = server.dm(ann)
    async with home.listening():
        server.say(general, ann, "let me in", mention_bot=True)
        server.say(dm, ann, "let me in")
        server.say(dm, ann, "please")
        await server.wait_for(lambda: server.calls(SEND))
        bob = server.user("bob")
        server.say(server.dm(bob), bob, "hello")
        await home.heard()
        assert [one.content for one in server.messages(dm) if one.author == server.bot] == [
            f"I answer only people whom my owner has let in. To be let in, give the owner your id: discord:{ann.id}"
        ]
    assert [event.author for event in home.inbox.accepted] == [str(bob.id)]
    assert len(server.calls(SEND)) == 1


async def test_commands_may_be_typed(home: House, server: DiscordServer, general: Channel, ann: User) -> None:
    async with home.listening():
        server.say(general, ann, "/reset", mention_bot=True)
        server.say(server.dm(ann), ann, "/image a fox")
        reset, image = await home.heard(2)
    assert [message.text for message in home.messages()] == ["/reset", "/image a fox"]
    assert (reset.lane, reset.joins, image.lane, image.joins) == (Lane.CONTROL, "", Lane.TURN, "")


async def test_an_edit_is_heard_and_a_link_preview_is_not(home: House, server: DiscordServer, ann: User) -> None:
    dm = server.dm(ann)
    async with home.listening():
        said = server.say(dm, ann, "see https://example.org")
        server.unfurl(said, "https://example.org")
        server.edit(said, "see that")
        original, edit = await home.heard(2)
    assert (edit.message, edit.edits, edit.joins) == (str(said.id), True, "")
    assert edit.event.startswith(f"{said.id}.")
    assert edit.digest != original.digest
    edited = home.read()[1]
    assert isinstance(edited, Edited)
    assert (edited.message.id, edited.message.text) == (str(said.id), "see that")


async def test_attachments_can_be_fetched(home: House, server: DiscordServer, ann: User) -> None:
    uploads = [
        Upload(filename="cat.png", data=PNG, content_type="image/png"),
        Upload(filename="notes.txt", data=b"some text", content_type="text/plain; charset=utf-8"),
    ]
    async with home.listening():
        server.say(server.dm(ann), ann, "", attachments=uploads)
        server.say(
            server.dm(ann), ann, "", attachments=[Upload(filename="v.ogg", data=b"OggS", duration=1.0, waveform="AA==")]
        )
        await home.heard(2)
    message, voice = home.messages()
    image, text = message.attachments
    assert (image.kind, image.name, image.mime, image.size) == ("image", "cat.png", "image/png", len(PNG))
    assert (text.kind, text.mime, voice.attachments[0].kind) == ("file", "text/plain", "voice")
    assert await home.platform.fetch(image, 1000) == PNG
    with pytest.raises(TooLarge):
        await home.platform.fetch(image, len(PNG) - 1)
    with pytest.raises(TooLarge):
        await home.platform.fetch(Attachment("image", image.ref), len(PNG) - 1)
    server.world.clock.advance(25 * 3600)
    with pytest.raises(Gone):
        await home.platform.fetch(image, 1000)


ELSEWHERE = [
    "http://cdn.discordapp.com/x",
    "https://cdn.discordapp.com:8443/x",
    "https://evil.example/x",
    "http://127.0.0.1:1/x",
    "file:///etc/hosts",
    "/etc/hosts",
    "http://[",
    "",
]


@pytest.mark.parametrize("ref", ELSEWHERE)
async def test_nothing_is_fetched_from_elsewhere(home: House, ref: str) -> None:
    with pytest.raises(Rejected):
        await home.platform.fetch(Attachment("file", ref), 1000)


async def test_a_malformed_event_disturbs_no_other(home: House, server: DiscordServer, ann: User) -> None:
    async with home.listening():
        for data in ({}, {"id": "x"}, {"id": 1, "channel_id": [], "author": None}):
            for event in (
                "MESSAGE_CREATE",
                "MESSAGE_UPDATE",
                "INTERACTION_CREATE",
                "GUILD_CREATE",
                "CHANNEL_CREATE",
                "NEW",
            ):
                server.push_raw(event, data)
        server.say(server.dm(ann), ann, "still there?")
        await home.heard()
        assert server.connected
        assert server.gateway.identifies == 1


# --- what it says ------------------------------------------------------------------------------------------------------


async def test_a_repeated_send_shows_one_message(home: House, server: DiscordServer, general: Channel) -> None:
    ids = {await home.platform.send(address(general), Piece("once"), "7.0.0.0") for _ in range(3)}
    assert len(ids) == len(server.messages(general)) == 1


async def test_a_nonce_used_for_an_earlier_state_shows_the_newest(
    home: House, server: DiscordServer, general: Channel
) -> None:
    name = await home.pictures.keep(PNG, "image/png")
    states = [
        Piece("An ans", buttons=((Button("Stop", "stop.abc"),),)),
        Piece("An answer"),
        Piece("An answer", buttons=((Button("Again", "def"),),)),
        Piece("An answer", media=Media(name, "image/png")),
    ]
    for state in states:
        await home.platform.send(address(general), state, "1.0.0.0")
        [shown] = server.messages(general)
        assert shown.content == state.body
        assert [one.custom_id for one in shown.buttons] == [button.id for row in state.buttons for button in row]
        assert bool(shown.attachments) == bool(state.media)


async def test_the_first_piece_replies_and_nothing_pings(
    home: House, server: DiscordServer, general: Channel, ann: User
) -> None:
    asked = server.say(general, ann, "hello")
    to = address(general, reply_to=str(asked.id))
    text = f"@everyone @here {ann.mention} hello"
    first = await home.platform.send(to, Piece(text), "1.0.0.0")
    await home.platform.send(to, Piece(text), "1.0.1.0")
    await home.platform.edit(to, first, Piece(text + "!"))
    _, one, two = server.messages(general)
    assert one.reply_to == asked.id
    assert two.reply_to is None
    assert not one.pings
    assert not two.pings


async def test_a_reply_to_a_deleted_message_is_sent_all_the_same(
    home: House, server: DiscordServer, general: Channel
) -> None:
    await home.platform.send(address(general, reply_to="12345"), Piece("hello"), "1.0.0.0")
    assert [one.content for one in server.messages(general)] == ["hello"]


async def test_a_notice_turns_into_a_picture_with_buttons_and_back(
    home: House, server: DiscordServer, general: Channel
) -> None:
    name = await home.pictures.keep(PNG, "image/png")
    to, picture = address(general), Media(name, "image/png", "a fox")
    message = await home.platform.send(to, Piece("drawing …"), "1.0.0.0")
    await home.platform.edit(to, message, Piece("", media=picture, buttons=((Button("Again", "abc"),),)))
    [shown] = server.messages(general)
    assert (shown.content, [one.filename for one in shown.attachments]) == ("", ["0.png"])
    assert [button.custom_id for button in shown.buttons] == ["abc"]
    await home.platform.edit(to, message, Piece("a caption", media=picture))
    [shown] = server.messages(general)
    assert (shown.content, len(shown.attachments), shown.buttons) == ("a caption", 1, ())
    assert [call.files for call in server.calls(EDIT)] == [("0.png",), ()]
    await home.platform.edit(to, message, Piece("taken back"))
    [shown] = server.messages(general)
    assert (shown.content, len(shown.attachments)) == ("taken back", 0)


async def test_a_picture_larger_than_discord_takes_is_made_smaller(
    server: DiscordServer, general: Channel, tmp_path: Path
) -> None:
    out = io.BytesIO()
    Image.frombytes("RGB", (1900, 1900), os.urandom(1900 * 1900 * 3)).save(out, "PNG", compress_level=0)
    async with house(server) as home, aiohttp.ClientSession() as session:
        files = FileStore(tmp_path)
        platform = DiscordPlatform(
            token=server.token,
            api_url=server.api_url,
            gate=home.door,
            cursors=home.notes,
            files=files,
            menu=(),
            session=session,
            duties=Alone(),
        )
        name = await files.keep(out.getvalue(), "image/png")
        await platform.send(address(general), Piece("", media=Media(name, "image/png")), "1.0.0.0")
        [file] = server.messages(general)[0].attachments
        assert len(out.getvalue()) > 10 * 1024 * 1024 > len(file.data)
        assert file.content_type == "image/jpeg"
        with pytest.raises(Rejected):
            await platform.send(address(general), Piece("", media=Media("f" * 32 + ".png", "image/png")), "2.0.0.0")


async def test_a_picture_that_the_store_cannot_give_now_is_tried_again(
    server: DiscordServer, general: Channel, tmp_path: Path
) -> None:
    async with house(server) as home, aiohttp.ClientSession() as session:
        platform = DiscordPlatform(
            token=server.token,
            api_url=server.api_url,
            gate=home.door,
            cursors=home.notes,
            files=FileStore(tmp_path, Away()),
            menu=(),
            session=session,
            duties=Alone(),
        )
        with pytest.raises(Unreachable):
            await platform.send(address(general), Piece("", media=Media("f" * 32 + ".png", "image/png")), "1.0.0.0")
    assert server.messages(general) == ()


async def test_removing_what_is_gone_succeeds_and_editing_it_tells(
    home: House, server: DiscordServer, general: Channel
) -> None:
    to = address(general)
    message = await home.platform.send(to, Piece("hello"), "1.0.0.0")
    await home.platform.remove(to, message)
    await home.platform.remove(to, message)
    assert server.messages(general) == ()
    with pytest.raises(Gone):
        await home.platform.edit(to, message, Piece("hello"))


async def test_working_shows_typing(home: House, general: Channel) -> None:
    await home.platform.working(address(general))
    assert len(general.typing) == 1


async def test_closed_chats_and_refused_bodies_are_told_apart(
    home: House, server: DiscordServer, general: Channel
) -> None:
    with pytest.raises(Rejected):
        await home.platform.send(address(general), Piece("x" * 2001), "1.0.0.0")
    server.deny(general, "send")
    with pytest.raises(Forbidden):
        await home.platform.send(address(general), Piece("x"), "2.0.0.0")
    with pytest.raises(Forbidden):
        await home.platform.send(Address(ChatKey("discord", "12345")), Piece("x"), "3.0.0.0")


async def test_a_limit_is_told_at_once_and_no_call_is_made_before_it_ends(
    home: House, server: DiscordServer, general: Channel
) -> None:
    server.rate_limit(SEND, 30.0)
    with pytest.raises(RetryLater) as told:
        await home.platform.send(address(general), Piece("x"), "1.0.0.0")
    assert told.value.seconds == pytest.approx(30, abs=1)
    with pytest.raises(RetryLater):
        await home.platform.send(address(general), Piece("x"), "1.0.0.0")
    assert len(server.calls(SEND)) == 1


async def test_announced_limits_are_kept_without_a_single_429(ann: User) -> None:
    async with DiscordServer(limits=True) as server, house(server) as home:
        channel = server.dm(server.user("ann"))
        sent = 0
        with pytest.raises(RetryLater):
            for sent in range(20):  # how far it came is the point
                await home.platform.send(address(channel), Piece("x"), f"{sent}.0.0.0")
        assert sent == 5
        assert [call.status for call in server.calls(SEND)] == [200] * 5


async def test_a_broken_server_or_network_is_unreachable(home: House, server: DiscordServer, general: Channel) -> None:
    server.fail(SEND, status=503)
    with pytest.raises(Unreachable):
        await home.platform.send(address(general), Piece("x"), "1.0.0.0")
    server.reset(SEND)
    with pytest.raises(Unreachable) as told:
        await home.platform.send(address(general), Piece("x"), "1.0.0.0")
    assert str(general.id) in str(told.value)
    for status in (200, 401, 403):
        server.fail(SEND, status=status, body="<html>Log in to this hotel's network</html>")
        with pytest.raises(Unreachable):
            await home.platform.send(address(general), Piece("x"), "1.0.0.0")
    await home.platform.send(address(general), Piece("x"), "1.0.0.0")
    assert len(server.messages(general)) == 1


async def test_a_wrong_token_is_told(server: DiscordServer) -> None:
    async with house(server, token="wrong") as home:
        with pytest.raises(Revoked):
            await home.platform.listen(home.inbox)
        with pytest.raises(Revoked):
            await home.platform.send(Address(ChatKey("discord", "1")), Piece("x"), "1.0.0.0")
