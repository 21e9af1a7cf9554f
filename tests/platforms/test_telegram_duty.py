"""Telegram on several processes: all know the bot and speak for it, one at a time asks for what comes in."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest

from bot.errors import Revoked
from bot.messages import Address, ChatKey, Piece
from tests.platforms.telegram_house import Clerk, House, Notes, Office, adapter, until
from tests.servers.telegram import Call, Chat, TelegramServer


@dataclass
class Process:
    clerk: Clerk
    house: House
    listening: asyncio.Task[None]


@dataclass
class Pair:
    """Two processes; the first has the duty."""

    server: TelegramServer
    office: Office
    first: Process
    second: Process

    async def hand_over(self) -> None:
        await self.office.give(self.second.clerk)

    def say(self, text: str) -> Chat:
        ann = self.server.user("Ann")
        chat = self.server.private(ann)
        self.server.say(chat, ann, text)
        return chat


@pytest.fixture
async def server() -> AsyncIterator[TelegramServer]:
    async with TelegramServer() as server:
        yield server


@asynccontextmanager
async def pair(server: TelegramServer, allowed: str = "*") -> AsyncIterator[Pair]:
    office = Office()
    clerks = [Clerk(office), Clerk(office)]
    notes = Notes()
    async with (
        adapter(server, allowed=allowed, duties=clerks[0], notes=notes) as one,
        adapter(server, allowed=allowed, duties=clerks[1], notes=notes) as other,
    ):
        processes = []
        for number, (clerk, house) in enumerate(zip(clerks, (one, other), strict=True), 1):
            listening = asyncio.create_task(house.platform.listen(house.inbox))
            processes.append(Process(clerk, house, listening))
            await server.wait_for(lambda count=number: len(server.calls("getMe")) == count)  # type: ignore[misc]  # bound per turn
            await until(lambda: notes.kept)  # the menus are set
        try:
            yield Pair(server, office, *processes)
        finally:
            for process in processes:
                process.listening.cancel()
            await asyncio.wait([process.listening for process in processes])


def conflicts(server: TelegramServer) -> list[Call]:
    return [call for call in server.log if call.status == 409]


async def test_one_polls_and_the_other_knows_the_bot_and_speaks_for_it(server: TelegramServer) -> None:
    async with pair(server) as both:
        chat = both.say("hello")
        (event,) = await both.first.house.inbox.wait()
        assert not both.second.house.inbox.events
        assert len(server.calls("deleteWebhook")) == 1
        assert both.second.house.platform.heard_at is None
        address = Address(ChatKey("telegram", str(chat.id)))
        sent = await both.second.house.platform.send(address, Piece("hello, too"), "")
        assert server.messages(chat)[-1].id == int(sent)
        assert both.second.house.platform.read(event.payload) == both.first.house.platform.read(event.payload)
    assert not conflicts(server)


async def test_whoever_takes_over_polls_at_once(server: TelegramServer) -> None:
    async with pair(server) as both:
        both.say("one")
        await both.first.house.inbox.wait()
        began = time.monotonic()
        await both.hand_over()
        both.say("two")
        await both.second.house.inbox.wait()
        assert time.monotonic() - began < 1
        await both.second.house.confirmed()
        assert both.first.house.platform.heard_at is None
        assert len(both.first.house.inbox.events) == 1
    assert not conflicts(server)


async def test_what_the_first_had_not_confirmed_comes_again_to_the_second(server: TelegramServer) -> None:
    async with pair(server) as both:
        both.first.house.inbox.broken = 1_000
        both.say("kept by nobody yet")
        await until(lambda: both.first.house.inbox.refused)
        await both.hand_over()
        await both.second.house.inbox.wait()
        await both.second.house.confirmed()


async def test_a_process_that_slept_through_its_lease_calls_nothing_any_more(
    server: TelegramServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    async with pair(server) as both:
        await both.first.house.confirmed()
        both.first.clerk.asleep = True
        await both.hand_over()  # its own poll is still under way at Telegram, which ends it for the other's
        await until(lambda: len(conflicts(server)) == 1)
        count = len(server.log)
        await asyncio.sleep(1)
        both.say("to the second")
        await both.second.house.inbox.wait()
        await both.second.house.confirmed()
        assert [call.method for call in server.log[count:] if call.method != "getUpdates"] == []
        assert len(conflicts(server)) == 1, "nobody ended the second's poll"
        assert not both.first.house.inbox.events
        assert "another program" not in caplog.text

        both.first.clerk.asleep = False
        await both.office.tell()
        await both.office.give(both.first.clerk)
        both.say("to the first again")
        await both.first.house.inbox.wait()


async def test_what_it_had_fetched_is_neither_confirmed_nor_answered_after_its_lease(server: TelegramServer) -> None:
    async with pair(server, allowed="telegram:77") as both:
        both.first.house.inbox.broken = 1_000
        friend, stranger = server.user("Friend", id=77), server.user("Stranger")
        server.say(server.private(friend), friend, "hello")
        server.say(server.private(stranger), stranger, "let me in")
        await until(lambda: both.first.house.inbox.refused)
        both.first.clerk.asleep = True
        both.office.holder = both.second.clerk  # and the second has not begun yet
        both.first.house.inbox.broken = 0
        await both.first.house.inbox.wait()
        await asyncio.sleep(0.5)
        assert len(server.pending) == 2
        assert not server.calls("sendMessage")
        await both.office.tell()
        await both.second.house.inbox.wait()
        await both.second.house.confirmed()
        await server.wait_for(lambda: len(server.calls("sendMessage")) == 1)


async def test_the_last_poll_of_another_process_is_no_rival(
    server: TelegramServer, caplog: pytest.LogCaptureFixture
) -> None:
    server.fail("getUpdates", status=409, description="Conflict: terminated by other getUpdates request")
    async with pair(server) as both:
        began = time.monotonic()
        both.say("hello")
        await both.first.house.inbox.wait()
        assert time.monotonic() - began < 1
    assert "another program" not in caplog.text


async def test_a_revoked_token_ends_it_in_every_process(server: TelegramServer) -> None:
    async with pair(server) as both:
        server.token = "123456789:AAF-a_new_token_by_botfather_000000000"
        both.first.house.inbox.broken = 0
        server.state.updates.push_raw({"unknown": {}})
        for process in (both.first, both.second):
            with pytest.raises(Revoked):
                await asyncio.wait_for(process.listening, 5)
