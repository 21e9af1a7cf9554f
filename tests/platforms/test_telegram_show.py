"""Showing in Telegram: what is sent and edited, and what each refusal means to the house."""

from __future__ import annotations

import io
import logging
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from PIL import Image

from bot.errors import (
    ChatMoved,
    Forbidden,
    Gone,
    PlatformError,
    Rejected,
    RetryLater,
    Revoked,
    TooLarge,
    Unreachable,
    Unsure,
)
from bot.messages import Address, Attachment, Button, ChatKey, Media, Message, Piece
from tests.platforms.telegram_house import House, adapter, listening
from tests.servers.telegram import Chat, TelegramServer, picture
from tests.test_files import Away


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
    return Address(ChatKey("telegram", str(chat.id)), group=chat.kind != "private")


def png(width: int, height: int) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (width, height), "red").save(out, "PNG")
    return out.getvalue()


BUTTONS = ((Button("Stop", "stop.abc"), Button("继续", "b.1")),)


# --- sending and editing ---------------------------------------------------------------------------------------------


async def test_a_piece_is_shown_with_its_entities_and_buttons(house: House, server: TelegramServer, chat: Chat) -> None:
    (piece,) = house.platform.layout("😀 **bold** and `code`")
    id = await house.platform.send(address(chat), replace(piece, buttons=BUTTONS), "1.0.0.0")
    (shown,) = server.messages(chat)
    assert (str(shown.id), shown.text, shown.buttons) == (id, "😀 bold and code", ("Stop", "继续"))
    assert [(one["type"], one["offset"], one["length"]) for one in shown.entities] == [("bold", 3, 4), ("code", 12, 4)]
    await house.platform.edit(address(chat), id, house.platform.layout("_done_")[0])
    (shown,) = server.messages(chat)
    assert (shown.text, shown.buttons, shown.entities[0]["type"]) == ("done", (), "italic")
    assert all(call.params["link_preview_options"] == {"is_disabled": True} for call in server.log)
    assert not any("parse_mode" in call.params for call in server.log)


async def test_an_edit_that_changes_nothing_is_a_success(house: House, server: TelegramServer, chat: Chat) -> None:
    id = await house.platform.send(address(chat), Piece("same"), "")
    await house.platform.edit(address(chat), id, Piece("same"))
    assert "not modified" in str(server.calls("editMessageText")[0].error)


async def test_replies_and_topics(house: House, server: TelegramServer) -> None:
    ann = server.user()
    forum = server.supergroup(ann, topics=["Birds"])
    (topic,) = forum.topics
    said = server.say(forum, ann, "/help", thread=topic)
    to = Address(ChatKey("telegram", str(forum.id), str(topic)), reply_to=str(said.id), group=True)
    await house.platform.send(to, Piece("here"), "")
    shown = server.messages(forum)[-1]
    assert (shown.reply_to, shown.thread) == (said.id, topic)
    server.delete(said)
    await house.platform.send(to, Piece("still here"), "")
    assert server.messages(forum)[-1].reply_to is None


async def test_a_message_can_be_removed_and_removed_again(house: House, server: TelegramServer, chat: Chat) -> None:
    id = await house.platform.send(address(chat), Piece("x"), "")
    await house.platform.remove(address(chat), id)
    await house.platform.remove(address(chat), id)
    assert not server.messages(chat)


async def test_working_is_shown(house: House, server: TelegramServer, chat: Chat) -> None:
    await house.platform.working(address(chat))
    assert server.state.actions[chat.id] == "typing"


async def test_ten_thousand_emoji_arrive(house: House, server: TelegramServer, chat: Chat) -> None:
    for piece in house.platform.layout("👩‍👩‍👧" * 2000 + "\x00\ud83d\u202e العربية"):
        await house.platform.send(address(chat), piece, "")
    assert "".join(message.text for message in server.messages(chat)).count("👧") == 2000


async def test_refused_formatting_goes_as_plain_text(house: House, server: TelegramServer, chat: Chat) -> None:
    bad = Piece("ab", '[{"type": "bold", "offset": 1, "length": 9}]')
    id = await house.platform.send(address(chat), bad, "")
    await house.platform.edit(address(chat), id, replace(bad, body="cd"))
    (shown,) = server.messages(chat)
    assert (shown.text, shown.entities) == ("cd", ())


# --- refusals --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "description", "error"),
    [
        (400, "Bad Request: chat not found", Forbidden),
        (400, "Bad Request: not enough rights to send text messages to the chat", Forbidden),
        (400, "Bad Request: message thread not found", Forbidden),
        (400, "Bad Request: TOPIC_CLOSED", Forbidden),
        (403, "Forbidden: bot was blocked by the user", Forbidden),
        (403, "Forbidden: bot was kicked from the supergroup chat", Forbidden),
        (401, "Unauthorized", Revoked),
        (404, "Not Found", Rejected),
        (413, "Request Entity Too Large", Rejected),
        (400, "Bad Request: something new", Rejected),
        (500, "Internal Server Error", Unreachable),
        (502, "Bad Gateway", Unreachable),
        (504, "Gateway Timeout", Unsure),
        (429, "Too Many Requests", RetryLater),
    ],
)
async def test_what_a_refused_send_means(
    house: House, server: TelegramServer, chat: Chat, status: int, description: str, error: type[PlatformError]
) -> None:
    server.fail("sendMessage", status=status, description=description)
    with pytest.raises(error) as caught:
        await house.platform.send(address(chat), Piece("x"), "")
    assert type(caught.value) is error


@pytest.mark.parametrize(
    ("status", "description", "error"),
    [
        (400, "Bad Request: message to edit not found", Gone),
        (400, "Bad Request: message can't be edited", Gone),
        (400, "Bad Request: MESSAGE_ID_INVALID", Gone),
        (403, "Forbidden: bot was blocked by the user", Forbidden),
        (504, "Gateway Timeout", Unreachable),
    ],
)
async def test_what_a_refused_edit_means(
    house: House, server: TelegramServer, chat: Chat, status: int, description: str, error: type[PlatformError]
) -> None:
    server.fail("editMessageText", status=status, description=description)
    with pytest.raises(error) as caught:
        await house.platform.edit(address(chat), "5", Piece("x"))
    assert type(caught.value) is error


async def test_flood_limits_say_when(house: House, server: TelegramServer, chat: Chat) -> None:
    server.fail("sendMessage", retry_after=35)
    with pytest.raises(RetryLater) as caught:
        await house.platform.send(address(chat), Piece("x"), "")
    assert caught.value.seconds == 35


async def test_a_moved_group_tells_its_new_key(house: House, server: TelegramServer) -> None:
    group = server.group(server.user())
    new = server.migrate(group, told=False)
    with pytest.raises(ChatMoved) as caught:
        await house.platform.send(address(group), Piece("x"), "")
    assert caught.value.new == ChatKey("telegram", str(new.id))


async def test_a_real_edit_of_a_deleted_message_is_gone(house: House, server: TelegramServer, chat: Chat) -> None:
    id = await house.platform.send(address(chat), Piece("x"), "")
    server.delete(server.messages(chat)[0])
    with pytest.raises(Gone):
        await house.platform.edit(address(chat), id, Piece("y"))


async def test_a_lost_answer_leaves_a_send_unsure_and_an_edit_to_be_repeated(
    house: House, server: TelegramServer, chat: Chat
) -> None:
    server.drop("sendMessage", effect=True)
    with pytest.raises(Unsure):
        await house.platform.send(address(chat), Piece("x"), "")
    assert len(server.messages(chat)) == 1
    server.drop("editMessageText", effect=True)
    with pytest.raises(Unreachable):
        await house.platform.edit(address(chat), str(server.messages(chat)[0].id), Piece("y"))


async def test_a_server_that_is_not_there_took_nothing(
    house: House, server: TelegramServer, chat: Chat, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    await server.stop()
    with pytest.raises(Unreachable) as caught:
        await house.platform.send(address(chat), Piece("x"), "")
    assert server.token not in repr(caught.value) + caplog.text
    assert caught.value.__cause__ is None


# --- pictures --------------------------------------------------------------------------------------------------------


async def shown_picture(house: House, data: bytes, mime: str = "image/jpeg", caption: str = "a fox") -> Piece:
    name = await house.shelf.keep(data, mime)
    return replace(house.platform.layout(caption)[0], media=Media(name, mime, caption))


async def test_a_picture_is_sent_with_its_caption(house: House, server: TelegramServer, chat: Chat) -> None:
    piece = await shown_picture(house, picture(), caption="a **fox**")
    await house.platform.send(address(chat), replace(piece, buttons=BUTTONS), "")
    (shown,) = server.messages(chat)
    assert shown.media is not None
    assert (shown.media.kind, shown.media.file.data) == ("photo", picture())
    assert (shown.caption, shown.buttons, shown.entities[0]["type"]) == ("a fox", ("Stop", "继续"), "bold")


async def test_a_picture_of_several_megabytes_is_sent_without_a_complaint(
    house: House, server: TelegramServer, chat: Chat
) -> None:
    large = picture() + bytes(3_000_000)
    await house.platform.send(address(chat), await shown_picture(house, large), "")
    (shown,) = server.messages(chat)
    assert shown.media is not None
    assert len(shown.media.file.data) == len(large)


async def test_a_text_becomes_a_picture_and_is_uploaded_once(house: House, server: TelegramServer, chat: Chat) -> None:
    piece = await shown_picture(house, picture())
    id = await house.platform.send(address(chat), Piece("drawing …"), "")
    await house.platform.edit(address(chat), id, piece)
    await house.platform.edit(address(chat), id, piece)
    await house.platform.send(address(chat), piece, "")
    first, second = server.messages(chat)
    assert first.media is not None
    assert second.media is not None
    assert first.media.file is second.media.file
    assert (first.caption, first.text, str(first.id)) == ("a fox", "", id)
    with pytest.raises(Gone):
        await house.platform.edit(address(chat), id, Piece("text again"))


@pytest.mark.parametrize("size", [(9000, 2000), (2000, 50)])
async def test_a_picture_that_is_no_photo_goes_as_a_document(
    house: House, server: TelegramServer, chat: Chat, size: tuple[int, int]
) -> None:
    piece = await shown_picture(house, png(*size), "image/png")
    id = await house.platform.send(address(chat), piece, "")
    await house.platform.edit(address(chat), id, await shown_picture(house, png(*size), "image/png", "other words"))
    (shown,) = server.messages(chat)
    assert shown.media is not None
    assert (shown.media.kind, shown.caption) == ("document", "other words")


async def test_a_long_caption_is_shortened(house: House, server: TelegramServer, chat: Chat) -> None:
    await house.platform.send(address(chat), await shown_picture(house, picture(), caption="**long** words " * 200), "")
    (shown,) = server.messages(chat)
    assert len(shown.caption) <= 1024
    assert shown.caption.endswith("…")


async def test_a_kept_file_that_is_lost_is_refused(house: House, chat: Chat) -> None:
    with pytest.raises(Rejected):
        await house.platform.send(address(chat), Piece("x", media=Media("lost.png", "image/png", "x")), "")


async def test_a_kept_file_that_the_store_cannot_give_now_is_tried_again(server: TelegramServer, chat: Chat) -> None:
    async with adapter(server, shared=Away()) as house:
        with pytest.raises(Unreachable):
            await house.platform.send(address(chat), Piece("x", media=Media("0" * 32 + ".png", "image/png", "x")), "")
    assert not server.messages(chat)


# --- files -----------------------------------------------------------------------------------------------------------


async def received(server: TelegramServer) -> list[Message]:
    """What the adapter makes of the messages that the stand-in has for it."""
    count = len(server.pending)
    async with listening(server) as house:
        return [one for one in await house.incoming(count) if isinstance(one, Message)]


async def test_attachments_of_every_kind(server: TelegramServer) -> None:
    ann = server.user()
    chat = server.private(ann)
    server.send_photo(chat, ann, picture(640, 480), "look")
    server.send_document(chat, ann, b"hello", "notes.txt")
    server.send_document(chat, ann, picture(), "photo.jpg", mime="image/jpeg")
    server.send_voice(chat, ann)
    server.send_sticker(chat, ann)
    photo, notes, image, voice, sticker = await received(server)
    assert photo.text == "look"
    kinds = [one.attachments[0].kind for one in (photo, notes, image, voice, sticker)]
    assert kinds == ["image", "file", "image", "voice", "other"]
    assert (notes.attachments[0].name, notes.attachments[0].mime, notes.attachments[0].size) == (
        "notes.txt",
        "text/plain",
        5,
    )
    assert sticker.attachments[0].name == "sticker"


async def test_a_photo_is_fetched_in_its_largest_size(house: House, server: TelegramServer) -> None:
    ann = server.user()
    server.send_photo(server.private(ann), ann, picture(640, 480))
    (message,) = await received(server)
    data = await house.platform.fetch(message.attachments[0], 1_000_000)
    with Image.open(io.BytesIO(data)) as image:
        assert image.size == (640, 480)


async def test_files_have_a_limit(house: House, server: TelegramServer) -> None:
    ann = server.user()
    chat = server.private(ann)
    server.send_document(chat, ann, b"x" * 5000)
    server.send_document(chat, ann, b"x", size=60_000_000)
    small, huge = await received(server)
    (small_file,), (huge_file,) = small.attachments, huge.attachments
    for attachment, limit in (
        (small_file, 4000),
        (replace(small_file, size=0), 4000),
        (huge_file, 100_000_000),
        (replace(huge_file, size=0), 100_000_000),
    ):
        with pytest.raises(TooLarge):
            await house.platform.fetch(attachment, limit)
    with pytest.raises(Rejected):
        await house.platform.fetch(Attachment("file", "no such id"), 10)


# --- drafts ----------------------------------------------------------------------------------------------------------


async def test_drafts_are_off_by_default(house: House, chat: Chat) -> None:
    assert not house.platform.drafts(address(chat))


async def test_drafts_show_previews_in_private_chats_until_refused(server: TelegramServer, chat: Chat) -> None:
    async with adapter(server, drafts=True) as house:
        assert not house.platform.drafts(address(server.group()))
        assert house.platform.drafts(address(chat))
        await house.platform.draft(address(chat), 7, house.platform.layout("**so** far")[0])
        draft = server.draft(chat)
        assert draft is not None
        assert (draft.id, draft.text, len(draft.entities)) == (7, "so far", 1)
        server.fail("sendMessageDraft", status=400, description="Bad Request: TEXTDRAFT_PEER_INVALID")
        with pytest.raises(Rejected):
            await house.platform.draft(address(chat), 7, Piece("more"))
        assert not house.platform.drafts(address(chat))
