"""What is the bot's in Telegram: its own chats, what names it in groups, and whom it answers at all."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from bot.lanes import Lane
from bot.messages import Address, Button, ChatKey, Edited, Left, Message, Moved, Piece, Pressed
from tests.platforms.telegram_house import listening
from tests.servers.telegram import TelegramServer, picture


@pytest.fixture
async def server() -> AsyncIterator[TelegramServer]:
    async with TelegramServer() as server:
        yield server


# --- ours or not -----------------------------------------------------------------------------------------------------


async def test_in_groups_only_what_is_meant_for_the_bot_is_accepted(server: TelegramServer) -> None:
    server.privacy = False
    ann, bob = server.user("Ann"), server.user("Bob")
    group = server.supergroup(ann, bob)
    bot = f"@{server.state.bot.username}"
    async with listening(server) as house:
        server.say(group, ann, "just talking")
        server.say(group, ann, "/help@other_bot")
        server.say(group, ann, "hello @other_bot")
        ours = server.say(group, ann, f"😀👍🏽 {bot} what is new?")
        server.say(group, ann, f"/image{bot} a fox")
        server.say(group, bob, f"{bot}: /model qwen")
        server.say(group, bob, "/help")
        sent = await house.platform.send((await house.message()).address, house.platform.layout("hi")[0], "")
        server.say(group, bob, "and then?", reply_to=int(sent))
        incoming = await house.incoming(5)
        await house.confirmed()
    texts = [one.text for one in incoming if isinstance(one, Message)]
    assert texts == ["😀👍🏽 what is new?", "/image a fox", "/model qwen", "/help", "and then?"]
    first, last = incoming[0], incoming[-1]
    assert isinstance(first, Message)
    assert isinstance(last, Message)
    assert (first.address.group, first.address.reply_to) == (True, str(ours.id))
    assert (last.replies_to, last.quote) == (sent, "")
    assert [event.joins for event in house.inbox.events] == [str(ann.id), "", "", "", str(bob.id)]


async def test_a_mention_in_a_caption_makes_the_whole_album_ours(server: TelegramServer) -> None:
    server.privacy = False
    ann = server.user()
    group = server.supergroup(ann)
    async with listening(server) as house:
        server.send_album(
            group, ann, [picture(), picture(), picture()], caption=f"what is this @{server.state.bot.username}"
        )
        server.send_album(group, ann, [picture(), picture()], caption="not for the bot")
        incoming = await house.incoming(3)
        await house.confirmed()
        assert len(house.inbox.events) == 3
    assert [one.text for one in incoming if isinstance(one, Message)] == ["what is this", "", ""]
    assert all(one.attachments[0].kind == "image" for one in incoming if isinstance(one, Message))
    assert [event.settle for event in house.inbox.events] == [1.0] * 3


async def test_a_long_paste_waits_for_its_rest(server: TelegramServer) -> None:
    ann = server.user()
    chat = server.private(ann)
    async with listening(server) as house:
        server.paste(chat, ann, "😀" * 5000)
        events = await house.inbox.wait(3)
    assert [event.settle for event in events] == [1.0, 1.0, 0.0]
    assert {event.joins for event in events} == {str(ann.id)}


async def test_bots_and_channels_are_ignored(server: TelegramServer) -> None:
    server.privacy = False
    ann, other = server.user(), server.user("Robot", is_bot=True)
    group = server.supergroup(ann)
    channel = server.channel()
    name = f"@{server.state.bot.username}"
    async with listening(server) as house:
        server.say(group, other, f"{name} hello")
        server.say(channel, None, f"{name} news")
        anonymous = {"id": 1_087_968_824, "is_bot": True, "first_name": "Group", "username": "GroupAnonymousBot"}
        message = {
            "message_id": 77,
            "date": 1_700_000_000,
            "chat": group.json,
            "from": anonymous,
            "sender_chat": group.json,
            "text": "/help",
            "entities": [{"type": "bot_command", "offset": 0, "length": 5}],
        }
        server.push_raw({"message": message})
        read = await house.message()
        await house.confirmed()
    assert (read.author.id, read.author.name) == (str(group.id), "Company")


async def test_edits_presses_and_topics(server: TelegramServer) -> None:
    ann = server.user()
    forum = server.supergroup(ann, topics=["Birds"])
    (topic,) = forum.topics
    chat = server.private(ann)
    async with listening(server) as house:
        said = server.say(chat, ann, "helo")
        server.edit(said, "hello")
        server.edit(said, "hello")
        server.say(forum, ann, "/help", thread=topic)
        events = await house.inbox.wait(4)
        assert [event.edits for event in events] == [False, True, True, False]
        assert events[0].digest != events[1].digest == events[2].digest
        assert [event.message for event in events[:3]] == [str(said.id)] * 3
        edited = house.platform.read(events[1].payload)
        assert isinstance(edited, Edited)
        assert (edited.message.id, edited.message.text) == (str(said.id), "hello")
        asked = house.platform.read(events[3].payload)
        assert isinstance(asked, Message)
        assert asked.address.chat == ChatKey("telegram", str(forum.id), str(topic)) == events[3].chat
        assert asked.replies_to == ""


async def test_a_press_is_accepted_and_then_answered(server: TelegramServer) -> None:
    ann = server.user()
    chat = server.private(ann)
    async with listening(server) as house:
        server.say(chat, ann, "hello")
        address = (await house.message()).address
        piece = Piece("…", buttons=((Button("Stop", "stop.1"), Button("Other", "b.2")),))
        sent = int(await house.platform.send(address, piece, ""))
        press = server.press(chat.messages[sent], "Stop", ann)
        other = server.press(chat.messages[sent], "Other", ann, inaccessible=True)
        events = await house.inbox.wait(3)
        assert [event.lane for event in events] == [Lane.TURN, Lane.CONTROL, Lane.TURN]
        assert (events[1].message, events[1].joins) == (str(sent), "")
        pressed = house.platform.read(events[1].payload)
        assert isinstance(pressed, Pressed)
        assert (pressed.button, pressed.author.id, pressed.address.chat) == ("stop.1", str(ann.id), address.chat)
        await server.wait_for(lambda: press.answered and other.answered)


async def test_being_thrown_out_and_moving(server: TelegramServer) -> None:
    ann = server.user()
    chat, group = server.private(ann), server.group(ann)
    async with listening(server) as house:
        server.say(chat, ann, "hello")
        server.block(chat)
        server.unblock(chat)
        new = server.migrate(group)
        server.kick(new, ann)
        incoming = await house.incoming(5)
        await house.confirmed()
    moved = Moved(ChatKey("telegram", str(group.id)), ChatKey("telegram", str(new.id)))
    assert incoming[1:] == [
        Left(ChatKey("telegram", str(chat.id))),
        moved,
        moved,
        Left(ChatKey("telegram", str(new.id))),
    ]
    assert [event.chat.chat for event in house.inbox.events[2:4]] == [str(group.id)] * 2


# --- strangers -------------------------------------------------------------------------------------------------------


async def test_a_stranger_gets_one_line_with_their_id_and_no_row(server: TelegramServer) -> None:
    ann, stranger = server.user("Ann"), server.user("Eve", language_code="zh-CN")
    chat, private = server.private(ann), server.private(stranger)
    group = server.group(ann, stranger)
    async with listening(server, allowed=f"telegram:{ann.id}") as house:
        first = server.say(private, stranger, "hello")
        server.say(private, stranger, "hello?")
        server.say(group, stranger, "/help")
        server.say(group, stranger, f"@{server.state.bot.username} hello")
        server.edit(first, "let me in")
        server.block(private)
        server.say(chat, ann, "hello")
        await house.inbox.wait()
        await house.confirmed()
        await server.wait_for(lambda: server.calls("sendMessage"))
    assert [event.author for event in house.inbox.events] == [str(ann.id)]
    sent = server.calls("sendMessage")
    assert len(sent) == 1
    assert f"telegram:{stranger.id}" in sent[0].params["text"]
    assert "管理员" in sent[0].params["text"]


async def test_an_allowed_group_admits_all_in_it(server: TelegramServer) -> None:
    ann = server.user()
    group = server.group(ann)
    async with listening(server, allowed=f"telegram:{group.id}") as house:
        server.say(group, ann, "/help")
        await house.inbox.wait()


async def test_an_allowed_group_that_moves_stays_allowed(server: TelegramServer) -> None:
    ann = server.user()
    group = server.group(ann)
    async with listening(server, allowed=f"telegram:{group.id}") as house:
        new = server.migrate(group)
        server.say(new, ann, "/help")
        moved, again, said = await house.incoming(3)
    assert isinstance(moved, Moved)
    assert again == moved
    assert isinstance(said, Message)


async def test_a_strangers_press_is_answered_and_not_kept(server: TelegramServer) -> None:
    ann, eve = server.user(), server.user("Eve")
    group = server.group(ann, eve)
    async with listening(server, allowed=f"telegram:{ann.id}") as house:
        address = Address(ChatKey("telegram", str(group.id)))
        sent = int(await house.platform.send(address, Piece("…", buttons=((Button("Stop", "stop.1"),),)), ""))
        press = server.press(group.messages[sent], "Stop", eve)
        await server.wait_for(lambda: press.answered)
        assert not house.inbox.events


async def test_a_press_that_cannot_be_answered_disturbs_nobody(server: TelegramServer) -> None:
    ann = server.user()
    chat = server.private(ann, started=True)
    server.fail("answerCallbackQuery", status=400, description="Bad Request: query is too old")
    async with listening(server) as house:
        address = Address(ChatKey("telegram", str(chat.id)))
        sent = int(await house.platform.send(address, Piece("…", buttons=((Button("Stop", "stop.1"),),)), ""))
        server.press(chat.messages[sent], "Stop", ann)
        await server.wait_for(lambda: server.calls("answerCallbackQuery"))
        server.say(chat, ann, "hello")
        await house.inbox.wait(2)
