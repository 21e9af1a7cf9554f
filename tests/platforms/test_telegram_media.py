"""Voice notes and videos in Telegram: what is sent as what, and what takes no edit."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from bot.conversation.sound import Note, to_ogg_opus
from bot.errors import Gone, Rejected
from bot.messages import Address, Button, ChatKey, Media, Piece
from bot.platforms import telegram_media
from bot.simulator.films import film
from bot.simulator.sounds import speech
from tests.platforms.telegram_house import House, adapter, listening
from tests.servers.telegram import Chat, TelegramServer

BUTTONS = ((Button("Again", "b.1"),),)


@pytest.fixture
async def server() -> AsyncIterator[TelegramServer]:
    async with TelegramServer() as server:
        yield server


@pytest.fixture
async def house(server: TelegramServer) -> AsyncIterator[House]:
    async with adapter(server) as house:
        yield house


@pytest.fixture
def chat(server: TelegramServer) -> Chat:
    return server.private(started=True)


def address(chat: Chat) -> Address:
    return Address(ChatKey("telegram", str(chat.id)))


async def note() -> Note:
    return await to_ogg_opus([speech("hello there")])


async def kept(house: House, data: bytes, mime: str, caption: str = "", **more: float) -> Piece:
    file = await house.shelf.keep(data, mime)
    media = Media(file, mime, caption, **more)  # type: ignore[arg-type] # tests name real fields
    return Piece(caption, media=media, buttons=BUTTONS)


async def test_speech_is_a_real_voice_note(house: House, server: TelegramServer, chat: Chat) -> None:
    spoken = await note()
    await house.platform.send(address(chat), await kept(house, spoken.data, "audio/ogg", seconds=spoken.seconds), "")
    (shown,) = server.messages(chat)
    assert shown.media is not None
    assert (shown.media.kind, shown.media.file.data, shown.caption) == ("voice", spoken.data, "")
    assert isinstance(shown.media.json, dict)
    assert shown.media.json["duration"] == max(1, round(spoken.seconds))
    assert shown.buttons == ("Again",)


async def test_a_voice_note_takes_the_place_of_a_message_as_a_new_one(
    house: House, server: TelegramServer, chat: Chat
) -> None:
    piece = await kept(house, (await note()).data, "audio/ogg")
    before = await house.platform.send(address(chat), piece, "")
    with pytest.raises(Gone):
        await house.platform.edit(address(chat), before, piece)
    assert not server.messages(chat)
    await house.platform.send(address(chat), piece, "")
    assert [shown.media and shown.media.kind for shown in server.messages(chat)] == ["voice"]


async def test_a_video_plays_in_the_chat(house: House, server: TelegramServer, chat: Chat) -> None:
    data = film("a fox", 1)
    piece = await kept(house, data, "video/mp4", "a fox")
    await house.platform.send(address(chat), piece, "")
    id = await house.platform.send(address(chat), Piece("making …"), "")
    await house.platform.edit(address(chat), id, piece)
    sent, became = server.messages(chat)
    assert sent.media is not None
    assert became.media is not None
    assert (sent.media.kind, sent.media.file.data, sent.caption) == ("video", data, "a fox")
    assert became.media.file is sent.media.file  # uploaded once
    assert server.calls("sendVideo")[0].params["supports_streaming"] is True


async def test_what_is_refused_as_what_it_is_goes_as_a_document(
    house: House, server: TelegramServer, chat: Chat
) -> None:
    server.fail("sendVoice", status=400, description="Bad Request: VOICE_MESSAGES_FORBIDDEN")
    await house.platform.send(address(chat), await kept(house, (await note()).data, "audio/ogg"), "")
    (shown,) = server.messages(chat)
    assert shown.media is not None
    assert shown.media.kind == "document"


async def test_an_empty_file_is_refused_for_good(house: House, chat: Chat) -> None:
    with pytest.raises(Rejected):
        await house.platform.send(address(chat), await kept(house, b"", "video/mp4"), "")


def test_only_the_new_message_is_told_how_long_it_is() -> None:
    piece = Piece("", media=Media("f.ogg", "audio/ogg", seconds=2.6))
    assert telegram_media.call("voice", {"chat_id": 1}, piece, "id")[1]["duration"] == 3


async def test_how_long_a_recording_is_comes_along(server: TelegramServer) -> None:
    ann = server.user()
    chat = server.private(ann)
    server.send_voice(chat, ann, seconds=7_200)
    async with listening(server) as house:
        (voice,) = (await house.message()).attachments
    assert (voice.kind, voice.mime, voice.seconds) == ("voice", "audio/ogg", 7_200)
