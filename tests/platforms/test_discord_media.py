"""Voice messages and videos in Discord: what is sent as what, what takes no edit, and what is too large."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator

import pytest

from bot.conversation.sound import to_ogg_opus
from bot.errors import Gone
from bot.messages import Media, Piece
from bot.platforms import discord_read
from bot.simulator.sounds import speech
from tests.platforms.discord_house import House, address, house
from tests.servers.discord import DiscordServer
from tests.servers.discord_state import Channel, Upload, User

SEND = "POST /channels/{channel}/messages"
VIDEO = b"\0\0\0\x18ftypmp42" + bytes(64)


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


async def spoken(home: House) -> Piece:
    note = await to_ogg_opus([speech("hello there, who is it?")])
    file = await home.pictures.keep(note.data, "audio/ogg")
    return Piece("…", media=Media(file, "audio/ogg", seconds=note.seconds, waveform=note.waveform))


async def test_speech_is_a_voice_message_once(home: House, server: DiscordServer, general: Channel) -> None:
    piece = await spoken(home)
    for _ in range(2):  # the second time by the same nonce
        await home.platform.send(address(general), piece, "1.1.0.0")
    [shown] = server.messages(general)
    [sound] = shown.attachments
    assert (shown.content, shown.voice, sound.filename) == ("", True, "voice-message.ogg")
    assert piece.media is not None
    assert sound.duration == pytest.approx(piece.media.seconds, abs=0.01)
    assert 1 <= len(base64.b64decode(sound.waveform or "")) <= 256


async def test_where_voice_messages_are_not_allowed_it_is_a_file(
    home: House, server: DiscordServer, general: Channel
) -> None:
    server.fail(SEND, status=403, code=50173, times=1)
    await home.platform.send(address(general), await spoken(home), "1.1.0.0")
    [shown] = server.messages(general)
    assert ([sound.filename for sound in shown.attachments], shown.voice) == (["0.ogg"], False)


async def test_a_voice_message_takes_the_place_of_a_message_as_a_new_one(
    home: House, server: DiscordServer, general: Channel
) -> None:
    piece = await spoken(home)
    before = await home.platform.send(address(general), piece, "1.1.0.0")
    with pytest.raises(Gone):
        await home.platform.edit(address(general), before, piece)
    assert not server.messages(general)
    await home.platform.send(address(general), piece, "1.1.0.1")
    assert len(server.messages(general)) == 1


async def test_a_notice_turns_into_a_video(home: House, server: DiscordServer, general: Channel) -> None:
    file = await home.pictures.keep(VIDEO, "video/mp4")
    message = await home.platform.send(address(general), Piece("making …"), "1.0.0.0")
    await home.platform.edit(address(general), message, Piece("a fox", media=Media(file, "video/mp4", "a fox")))
    [shown] = server.messages(general)
    assert (shown.content, [one.filename for one in shown.attachments]) == ("a fox", ["0.mp4"])
    assert shown.attachments[0].content_type == "video/mp4"


async def test_a_video_larger_than_discord_takes_is_told(home: House, server: DiscordServer, general: Channel) -> None:
    file = await home.pictures.keep(VIDEO + bytes(11 * 1024 * 1024), "video/mp4")
    piece = Piece("a fox", media=Media(file, "video/mp4", "a fox"))
    message = await home.platform.send(address(general), piece, "1.0.0.0")
    await home.platform.edit(address(general), message, Piece("一只狐狸", media=piece.media))
    await home.platform.edit(address(general), message, piece)
    [shown] = server.messages(general)
    assert shown.content == "a fox\n-# The file has 11 MB; Discord takes 10 MB from a bot at most."
    assert not shown.attachments


async def test_how_long_a_voice_message_is_comes_along(home: House, server: DiscordServer, ann: User) -> None:
    recording = Upload(filename="v.ogg", data=b"OggS", content_type="audio/ogg", duration=61.5, waveform="AA==")
    async with home.listening():
        server.say(server.dm(ann), ann, "", attachments=[recording])
        await home.heard()
    [message] = home.messages()
    [voice] = message.attachments
    assert (voice.kind, voice.seconds, voice.mime) == ("voice", 61.5, "audio/ogg")


@pytest.mark.parametrize(
    ("told", "seconds"),
    [
        ("1.5", 1.5),
        ("7", 7),
        ("-3", 0),
        ("NaN", 0),
        ("Infinity", 1e9),
        ("1" + "0" * 400, 1e9),
        ('"9"', 0),
        ("true", 0),
        ("null", 0),
    ],
)
def test_a_length_is_a_number_that_makes_sense(told: str, seconds: float) -> None:
    assert discord_read._duration(json.loads(told)) == seconds
