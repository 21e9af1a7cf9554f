"""The Telegram stand-in: what people do and a bot hears of it; floods and scripted faults."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import aiohttp
import pytest

from tests.servers.telegram import Chat, FloodLimits, TelegramServer, User
from tests.servers.telegram_client import Bot


@pytest.fixture
async def server() -> AsyncIterator[TelegramServer]:
    async with TelegramServer() as server:
        yield server


@pytest.fixture
async def bot(server: TelegramServer) -> AsyncIterator[Bot]:
    async with aiohttp.ClientSession() as session:
        yield Bot(server, session)


@pytest.fixture
def ann(server: TelegramServer) -> User:
    return server.user("Ann", username="ann_test")


@pytest.fixture
def chat(server: TelegramServer, ann: User) -> Chat:
    return server.private(ann, started=True)


# ── people


async def test_privacy_mode_hides_what_is_not_for_the_bot(server: TelegramServer, bot: Bot, ann: User) -> None:
    group = server.group(ann)
    sent = await bot("sendMessage", chat_id=group.id, text="hi")
    server.say(group, ann, "nothing for you")
    server.say(group, ann, "/start@other_bot")
    server.say(group, ann, "hey @other_bot")
    for text in ("/help", "/help@Magpie_Test_Bot", "鹊🐦 @magpie_test_bot"):
        server.say(group, ann, text)
    server.say(group, ann, "a reply", reply_to=sent["message_id"])
    seen = [update["message"]["text"] for update in await bot("getUpdates")]
    assert seen == ["/help", "/help@Magpie_Test_Bot", "鹊🐦 @magpie_test_bot", "a reply"]


async def test_without_privacy_mode_everything_is_seen() -> None:
    async with TelegramServer(privacy=False) as server, aiohttp.ClientSession() as session:
        bot = Bot(server, session)
        group = server.group(ann := server.user())
        server.say(group, ann, "nothing for you")
        assert len(await bot("getUpdates")) == 1
        assert (await bot("getMe"))["can_read_all_group_messages"] is True


async def test_a_bot_cannot_write_first_nor_when_unwanted(server: TelegramServer, bot: Bot, ann: User) -> None:
    chat = server.private(ann)
    first = await bot.refused("sendMessage", chat_id=chat.id, text="x")
    assert first == "Forbidden: bot can't initiate conversation with a user"
    server.say(chat, ann, "hello")
    await bot("sendMessage", chat_id=chat.id, text="x")
    server.block(chat)
    blocked = await bot.refused("sendMessage", chat_id=chat.id, text="x")
    assert blocked == "Forbidden: bot was blocked by the user"
    change = (await bot("getUpdates"))[-1]["my_chat_member"]
    assert change["new_chat_member"]["status"] == "kicked"
    server.unblock(chat)
    await bot("sendMessage", chat_id=chat.id, text="x")
    for place, kind in ((server.group(ann), "group"), (server.supergroup(ann), "supergroup")):
        server.kick(place)
        kicked = await bot.refused("sendMessage", chat_id=place.id, text="x")
        assert kicked == f"Forbidden: bot was kicked from the {kind} chat"
        server.restrict(place)
        mute = await bot.refused("sendMessage", chat_id=place.id, text="x")
        assert mute == "Bad Request: not enough rights to send text messages to the chat"


async def test_a_group_moves(server: TelegramServer, bot: Bot, ann: User) -> None:
    group = server.group(ann)
    new = server.migrate(group)
    status, body = await bot.raw("sendMessage", json={"chat_id": group.id, "text": "x"})
    assert status == 400
    assert body["description"] == "Bad Request: group chat was upgraded to a supergroup chat"
    assert body["parameters"] == {"migrate_to_chat_id": new.id}
    leaving, arriving = [update["message"] for update in await bot("getUpdates")]
    assert (leaving["chat"]["id"], leaving["migrate_to_chat_id"]) == (group.id, new.id)
    assert (arriving["chat"]["id"], arriving["migrate_from_chat_id"]) == (new.id, group.id)
    await bot("sendMessage", chat_id=new.id, text="x")


async def test_topics(server: TelegramServer, bot: Bot, ann: User) -> None:
    forum = server.supergroup(ann, topics=("News", "Help"))
    news, _ = forum.topics
    server.say(forum, ann, "/help", thread=news)
    message = (await bot("getUpdates"))[-1]["message"]
    assert message["chat"]["is_forum"] and message["is_topic_message"]
    assert message["message_thread_id"] == news
    assert message["reply_to_message"]["forum_topic_created"]["name"] == "News"
    sent = await bot("sendMessage", chat_id=forum.id, text="x", message_thread_id=news)
    assert sent["message_thread_id"] == news


async def test_replies_keep_to_their_threads(server: TelegramServer, bot: Bot, ann: User) -> None:
    forum = server.supergroup(ann, topics=("News",))
    (news,) = forum.topics
    asked = server.say(forum, ann, "/help", thread=news)
    answer = await bot("sendMessage", chat_id=forum.id, text="x", reply_parameters={"message_id": asked.id})
    assert answer["message_thread_id"] == news and answer["is_topic_message"]
    plain = server.supergroup(ann)
    first = server.say(plain, ann, "/help")
    server.say(plain, ann, "/help me", reply_to=first)
    reply = (await bot("getUpdates"))[-1]["message"]
    assert reply["message_thread_id"] == first.id and "is_topic_message" not in reply


async def test_supergroups_count_their_own_messages(server: TelegramServer, bot: Bot, ann: User) -> None:
    first, second = server.supergroup(ann), server.supergroup(ann)
    assert (await bot("sendMessage", chat_id=first.id, text="x"))["message_id"] == 1
    assert (await bot("sendMessage", chat_id=second.id, text="x"))["message_id"] == 1


async def test_a_long_paste_comes_in_full_pieces(server: TelegramServer, bot: Bot, ann: User, chat: Chat) -> None:
    text = "鹊🐦x" * 3000
    assert "".join(message.text for message in server.paste(chat, ann, text)) == text
    assert len(await bot("getUpdates")) == 3
    with pytest.raises(ValueError, match="paste"):
        server.say(chat, ann, text)


async def test_a_link_preview_looks_like_an_edit(server: TelegramServer, bot: Bot, ann: User, chat: Chat) -> None:
    message = server.say(chat, ann, "https://example.org")
    server.edit(message, "https://example.org")
    first, second = await bot("getUpdates")
    assert first["message"]["entities"][0]["type"] == "url"
    assert second["edited_message"]["text"] == first["message"]["text"] and second["edited_message"]["edit_date"]


# ── floods and faults


async def test_private_floods() -> None:
    limits = FloodLimits(private_burst=3, private_per_second=1)
    async with TelegramServer(floods=limits) as server, aiohttp.ClientSession() as session:
        bot = Bot(server, session)
        chat = server.private(server.user(), started=True)
        for text in "abc":
            await bot("sendMessage", chat_id=chat.id, text=text)
        async with session.post(
            f"{server.url}/bot{server.token}/sendMessage", json={"chat_id": chat.id, "text": "d"}
        ) as response:
            assert response.status == 429
            assert await response.json() == {
                "ok": False,
                "error_code": 429,
                "description": "Too Many Requests: retry after 1",
                "parameters": {"retry_after": 1},
            }
        assert server.early_calls == []
        await bot.refused("sendMessage", chat_id=chat.id, text="d")
        assert [call.params["text"] for call in server.early_calls] == ["d"]
        await asyncio.sleep(1.05)
        await bot("sendMessage", chat_id=chat.id, text="d")


async def test_group_floods_count_edits() -> None:
    async with TelegramServer(floods=True) as server, aiohttp.ClientSession() as session:
        bot = Bot(server, session)
        group = server.group(server.user())
        sent = await bot("sendMessage", chat_id=group.id, text="0")
        for number in range(1, 20):
            await bot("editMessageText", chat_id=group.id, message_id=sent["message_id"], text=str(number))
        status, body = await bot.raw("sendMessage", json={"chat_id": group.id, "text": "x"})
        assert status == 429 and 50 < body["parameters"]["retry_after"] <= 60


async def test_overall_floods() -> None:
    limits = FloodLimits(overall_per_second=5)
    async with TelegramServer(floods=limits) as server, aiohttp.ClientSession() as session:
        bot = Bot(server, session)
        chats = [server.private(server.user(), started=True) for _ in range(20)]
        answers = await asyncio.gather(
            *(bot.raw("sendMessage", json={"chat_id": chat.id, "text": "x"}) for chat in chats)
        )
        taken = [status for status, _ in answers].count(200)
        assert 5 <= taken < 20
        assert [body["parameters"]["retry_after"] for status, body in answers if status == 429] == [1] * (20 - taken)


async def test_scripted_failures(server: TelegramServer, bot: Bot, chat: Chat) -> None:
    server.fail("sendMessage", 2, status=502, when=lambda params: params["text"] == "x")
    assert (await bot("sendMessage", chat_id=chat.id, text="y"))["text"] == "y"
    for _ in range(2):
        assert (await bot.raw("sendMessage", json={"chat_id": chat.id, "text": "x"}))[0] == 502
    await bot("sendMessage", chat_id=chat.id, text="x")
    server.fail("*", retry_after=30)
    await bot.refused("editMessageText", chat_id=chat.id, message_id=1, text="x")
    assert "retry after 30" in await bot.refused("sendMessage", chat_id=chat.id, text="x")
    assert [call.early for call in server.log[-2:]] == [False, True]
    assert server.log[-2].retry_after == 30


async def test_a_held_answer_has_its_effect(server: TelegramServer, bot: Bot, chat: Chat) -> None:
    hold = server.hold("sendMessage")
    call = asyncio.create_task(bot("sendMessage", chat_id=chat.id, text="x"))
    async with asyncio.timeout(5):
        await hold.caught.wait()
    assert [message.text for message in server.messages(chat)] == ["x"]
    assert not call.done()
    hold.release.set()
    assert (await call)["text"] == "x"


@pytest.mark.parametrize("effect", [True, False])
async def test_a_dropped_connection(server: TelegramServer, bot: Bot, chat: Chat, effect: bool) -> None:
    server.drop("sendMessage", effect=effect)
    with pytest.raises(aiohttp.ClientError):
        await bot("sendMessage", chat_id=chat.id, text="x")
    assert len(server.messages(chat)) == effect
    await bot("sendMessage", chat_id=chat.id, text="y")


async def test_a_deaf_server_loses_polls_but_no_updates(
    server: TelegramServer, bot: Bot, ann: User, chat: Chat
) -> None:
    poll = asyncio.create_task(bot("getUpdates", timeout=30))
    await asyncio.sleep(0.1)
    server.deaf(0.5)
    server.say(chat, ann, "hello")
    await asyncio.sleep(0.6)
    assert not poll.done()
    assert len(await bot("getUpdates", timeout=5)) == 1
    poll.cancel()


async def test_the_server_comes_back_on_its_port(server: TelegramServer, bot: Bot, chat: Chat) -> None:
    url = server.url
    poll = asyncio.create_task(bot("getUpdates", timeout=30))
    await asyncio.sleep(0.1)
    async with asyncio.timeout(5):
        await server.stop()
    with pytest.raises(aiohttp.ClientError):
        await poll
    with pytest.raises(aiohttp.ClientConnectorError):
        await bot("getMe")
    await server.start()
    assert server.url == url
    await bot("sendMessage", chat_id=chat.id, text="x")


async def test_waiting_tells_what_happened(server: TelegramServer, bot: Bot, chat: Chat) -> None:
    call = asyncio.create_task(bot("sendMessage", chat_id=chat.id, text="a word"))
    assert await server.wait_for(lambda: server.messages(chat), timeout=5, chat=chat)
    await call
    with pytest.raises(TimeoutError, match=r"sendMessage 200 chat \d+ #\d+ a word"):
        await server.wait_for(lambda: False, timeout=0.1)
