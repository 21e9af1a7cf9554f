"""Receiving from Telegram: what is ours is committed before it is confirmed, and nothing makes the bot deaf."""

from __future__ import annotations

import asyncio
import copy
import logging
from collections.abc import AsyncIterator
from typing import Any

import pytest

from bot.errors import Revoked, Unreadable
from bot.lanes import Lane
from bot.messages import ChatKey
from tests.platforms.telegram_house import MENU, adapter, listening, until
from tests.servers.telegram import TelegramServer
from tests.servers.telegram_updates import Update


@pytest.fixture
async def server() -> AsyncIterator[TelegramServer]:
    async with TelegramServer() as server:
        yield server


# --- committing and confirming ---------------------------------------------------------------------------------------


async def test_a_message_is_accepted_with_its_keys_and_then_confirmed(server: TelegramServer) -> None:
    ann = server.user("Ann", language_code="zh-hans")
    chat = server.private(ann)
    async with listening(server) as house:
        said = server.say(chat, ann, "hello")
        (event,) = await house.inbox.wait()
        assert event.platform == "telegram"
        assert event.bot == server.token.partition(":")[0]
        assert event.chat == ChatKey("telegram", str(chat.id))
        assert (event.message, event.author, event.joins) == (str(said.id), str(ann.id), str(ann.id))
        assert (event.at, event.lane, event.settle, event.edits) == (said.date, Lane.TURN, 0.0, False)
        message = await house.message()
        assert (message.id, message.text, message.language) == (str(said.id), "hello", "zh")
        assert (message.author.name, message.author.owner, message.address.group) == ("Ann", False, False)
        assert message.address.reply_to == ""
        await house.confirmed()


async def test_polling_starts_without_an_offset_and_names_the_kinds_it_wants(server: TelegramServer) -> None:
    chat = server.private()
    server.say(chat, server.state.users[chat.id], "said while we were away")
    async with listening(server) as house:
        await house.inbox.wait()
        first = server.calls("getUpdates")[0]
        assert "offset" not in first.params
        assert first.params["allowed_updates"] == ["message", "edited_message", "callback_query", "my_chat_member"]
        assert server.calls("deleteWebhook")[0].params == {"drop_pending_updates": False}


async def test_nothing_is_confirmed_before_the_store_has_it(
    server: TelegramServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    ann = server.user()
    chat = server.private(ann)
    async with listening(server, broken=3) as house:
        for number in range(3):
            server.say(chat, ann, f"number {number}")
        await until(lambda: house.inbox.refused >= 2)
        assert len(server.pending) == 3
        await house.inbox.wait(3)
        await house.confirmed()
    complaints = [record for record in caplog.records if "wait for the storage" in record.message]
    assert [record.levelname for record in complaints] == ["WARNING", "INFO"]


async def test_a_backlog_comes_whole_and_in_order(server: TelegramServer) -> None:
    ann = server.user()
    chat = server.private(ann)
    for number in range(350):
        server.say(chat, ann, f"number {number}")
    async with listening(server) as house:
        events = await house.inbox.wait(350)
        assert [int(event.message) for event in events] == sorted(int(event.message) for event in events)
        await house.confirmed()


async def test_a_repeated_update_has_the_same_key(server: TelegramServer) -> None:
    ann = server.user()
    chat = server.private(ann)
    async with listening(server) as house:
        server.say(chat, ann, "once")
        await house.inbox.wait()
        await house.confirmed()
        assert server.replay() == 1
        server.say(chat, ann, "twice")
        assert len(await house.inbox.wait(2)) == 2


# --- poison ----------------------------------------------------------------------------------------------------------


def poisons(sample: dict[str, Any]) -> list[dict[str, Any]]:
    """The update with each of its fields, at any depth, broken in turn in several ways."""
    out: list[dict[str, Any]] = []

    def walk(path: tuple[str | int, ...], value: Any) -> None:
        for key in list(value) if isinstance(value, dict) else range(len(value)):
            broken: Any
            for broken in (None, "x", -1, [], {}, [None], "\ud800"):
                update = copy.deepcopy(sample)
                place: Any = update
                for step in path:
                    place = place[step]
                place[key] = broken
                out.append(update)
            if isinstance(value[key], dict | list):
                walk((*path, key), value[key])

    walk((), sample)
    return [update for update in out if type(update.get("update_id")) is int and update["update_id"] > 0]


SAMPLE: dict[str, Any] = {
    "update_id": 1,
    "message": {
        "message_id": 5,
        "date": 1_700_000_000,
        "chat": {"id": 7, "type": "private", "first_name": "A"},
        "from": {"id": 7, "is_bot": False, "first_name": "A", "language_code": "en"},
        "caption": "/image@magpie_test_bot a fox",
        "caption_entities": [{"type": "bot_command", "offset": 0, "length": 22}],
        "photo": [{"file_id": "a", "file_unique_id": "b", "width": 1, "height": 1, "file_size": 3}],
        "media_group_id": "9",
        "reply_to_message": {
            "message_id": 4,
            "date": 1_700_000_000,
            "chat": {"id": 7, "type": "private", "first_name": "A"},
            "from": {"id": 8, "is_bot": False, "first_name": "B"},
            "text": "quoted",
        },
        "quote": {"text": "quo", "position": 0},
    },
}


async def test_one_malformed_update_never_blocks_the_others(
    server: TelegramServer, caplog: pytest.LogCaptureFixture
) -> None:
    ann = server.user("Good")
    chat = server.private(ann)
    broken = poisons(SAMPLE)
    for number, update in enumerate(broken):
        server.push_raw({name: value for name, value in update.items() if name != "update_id"})
        if number % 100 == 0:
            server.say(chat, ann, "a good one")
    server.push_raw({"callback_query": {"id": "1", "from": {"id": 3}}})
    server.push_raw({"a_kind_of_2031": {"hologram": True}})
    server.push_raw({"message": "none"})
    server.say(chat, ann, "the last")
    async with listening(server) as house:
        await house.confirmed()
        good = [event for event in house.inbox.events if event.author == str(ann.id)]
        assert len(good) == 2 + (len(broken) - 1) // 100
        readable = 0
        for event in house.inbox.events:
            try:
                house.platform.read(event.payload)
            except Unreadable:
                continue
            readable += 1
        assert len(good) < readable < len(house.inbox.events)
    passed_over = [record for record in caplog.records if "passed over" in record.message]
    assert passed_over
    assert not any("fox" in record.getMessage() or "quoted" in record.getMessage() for record in caplog.records)


async def test_updates_that_cannot_even_be_confirmed_do_not_make_a_hot_loop(server: TelegramServer) -> None:
    server.state.updates.pending.append(Update(1, '{"update_id": "what"}'))
    async with listening(server) as house:
        await asyncio.sleep(1.5)
        assert len(server.calls("getUpdates")) < 12
        assert not house.inbox.events


async def test_a_message_of_an_unknown_kind_is_accepted_as_something_else(server: TelegramServer) -> None:
    ann = server.user()
    chat = server.private(ann)
    envelope = {"message_id": 9, "date": 1_700_000_000, "chat": chat.json, "from": ann.json}
    async with listening(server) as house:
        server.push_raw({"message": {**envelope, "hologram": {"id": 1}}})
        message = await house.message()
        assert [(one.kind, one.name) for one in message.attachments] == [("other", "hologram")]
        server.push_raw({"message": {**envelope, "pinned_message": {}}})
        server.push_raw({"message": envelope})
        await house.confirmed()
        assert len(house.inbox.events) == 1


# --- network ---------------------------------------------------------------------------------------------------------


async def test_a_revoked_token_ends_it(server: TelegramServer) -> None:
    async with adapter(server, token="123456789:AAF-another_token_of_the_right_form_000") as house:
        with pytest.raises(Revoked) as caught:
            await house.platform.listen(house.inbox)
        assert "AAF" not in str(caught.value)
    async with adapter(server, token="nonsense") as house:
        with pytest.raises(Revoked):
            await house.platform.listen(house.inbox)
    async with adapter(server) as house:
        server.fail("getUpdates", status=401, description="Unauthorized")
        with pytest.raises(Revoked):
            await house.platform.listen(house.inbox)


async def test_a_rival_with_the_same_token_is_named_and_waited_for(
    server: TelegramServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    server.fail("getUpdates", times=2, status=409, description="Conflict: terminated by other getUpdates request")
    ann = server.user()
    chat = server.private(ann)
    async with listening(server) as house:
        server.say(chat, ann, "hello")
        await asyncio.sleep(1)
        assert not house.inbox.events
        await house.inbox.wait()
    assert sum("another program" in record.getMessage() for record in caplog.records) == 1
    assert sum("works again" in record.getMessage() for record in caplog.records) == 1


async def test_a_foreign_webhook_is_removed(server: TelegramServer) -> None:
    ann = server.user()
    chat = server.private(ann)
    server.state.updates.start_webhook()
    async with listening(server) as house:
        server.say(chat, ann, "hello")
        await house.inbox.wait()
        server.state.updates.start_webhook()
        server.say(chat, ann, "again")
        await house.inbox.wait(2)


@pytest.mark.parametrize("status", [500, 502, 429])
async def test_errors_of_the_server_are_waited_out(server: TelegramServer, status: int) -> None:
    ann = server.user()
    chat = server.private(ann)
    if status == 429:
        server.fail("getUpdates", retry_after=1)
    else:
        server.fail("getUpdates", times=2, status=status)
    async with listening(server) as house:
        server.say(chat, ann, "hello")
        await house.inbox.wait()
    assert not server.early_calls


async def test_broken_connections_and_a_server_that_restarts(
    server: TelegramServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    ann = server.user()
    chat = server.private(ann)
    server.drop("getUpdates", times=2, effect=False)
    async with listening(server) as house:
        server.say(chat, ann, "hello")
        await house.inbox.wait()
        await server.stop()
        await asyncio.sleep(0.6)
        await server.start()
        server.say(chat, ann, "again")
        await house.inbox.wait(2)
    assert not any(server.token in record.getMessage() for record in caplog.records if record.name != "aiohttp.access")


async def test_a_poll_that_falls_silent_is_given_up(server: TelegramServer) -> None:
    ann = server.user()
    chat = server.private(ann)
    server.deaf(1.0)
    async with listening(server, silence=2.0) as house:
        await server.wait_for(lambda: server.faults.deaf_until, timeout=1)
        server.say(chat, ann, "hello")
        await house.inbox.wait(seconds=8)


# --- menus and privacy mode ------------------------------------------------------------------------------------------


async def test_menus_are_set_once_in_both_languages(server: TelegramServer) -> None:
    async with listening(server) as house:
        await server.wait_for(lambda: len(server.calls("setMyCommands")) == 2)
        shown = [call.params["commands"] for call in server.calls("setMyCommands")]
        assert shown[0][0] == {"command": "help", "description": MENU[0].help.en}
        assert shown[1][0] == {"command": "help", "description": MENU[0].help.zh}
        assert server.calls("setMyCommands")[1].params["language_code"] == "zh"
        await until(lambda: house.notes.kept)
        again = asyncio.create_task(house.platform.listen(house.inbox))
        await server.wait_for(lambda: len(server.calls("deleteWebhook")) == 2)
        server.say(server.private(server.user()), server.user(), "hello")
        await house.inbox.wait()
        again.cancel()
    assert len(server.calls("setMyCommands")) == 2


@pytest.mark.parametrize("privacy", [True, False])
async def test_privacy_mode_is_explained_when_it_matters(
    server: TelegramServer, caplog: pytest.LogCaptureFixture, privacy: bool
) -> None:
    caplog.set_level(logging.INFO)
    server.privacy = privacy
    ann = server.user()
    async with listening(server) as house:
        server.say(server.private(ann), ann, "hello")
        await house.confirmed()
        assert "privacy" not in caplog.text
        server.invite(server.group(ann), ann)
        await house.confirmed()
    assert ("/setprivacy" in caplog.text) is privacy
