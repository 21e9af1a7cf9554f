"""Shards on several processes: each holds its share, another takes over, and nothing is lost or taken twice meanwhile."""

import asyncio
import gc
import warnings
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace

import pytest

from bot.errors import Rejected
from bot.messages import Piece
from bot.platforms.discord_limits import Limits
from bot.platforms.discord_shards import SPARED_STARTS, Shard
from tests.platforms.discord_house import House, Inbox, Notes, Rota, Worker, address, house
from tests.servers.discord import APPLICATION_ID, DiscordServer
from tests.servers.discord_gateway import HELLO, IDENTIFY, Frame
from tests.servers.discord_interactions import DEFERRED
from tests.servers.discord_state import Channel, User

HISTORY = "GET /channels/{channel}/messages"
COMMANDS = "PUT /applications/{application}/commands"
CALLBACK = "POST /interactions/{interaction}/{token}/callback"
NUMBER = f"discord/shards/{APPLICATION_ID}"
QUICK = Limits(identify=0.2, courtesy=0.1, renumbered=0.1, mark=0.05)


class Fleet:
    """Processes that share store and duties. `apart`: each has an inbox of its own, to see who heard what."""

    def __init__(self, server: DiscordServer, stack: AsyncExitStack, *, apart: bool = False) -> None:
        self.server = server
        self.rota, self.notes, self.inbox = Rota(), Notes(), Inbox()
        self._stack = stack
        self._apart = apart
        self._listening: dict[Worker, asyncio.Task[None]] = {}

    async def start(self) -> tuple[House, Worker]:
        worker = Worker(self.rota)
        inbox = Inbox() if self._apart else self.inbox
        home = await self._stack.enter_async_context(
            house(self.server, notes=self.notes, inbox=inbox, duties=worker, limits=QUICK)
        )
        self._listening[worker] = asyncio.create_task(home.platform.listen(inbox))
        self._stack.push_async_callback(self.stop, worker)
        return home, worker

    async def stop(self, worker: Worker) -> None:
        self._listening[worker].cancel()
        await asyncio.wait([self._listening[worker]])

    async def kill(self, worker: Worker) -> None:
        """What it knew is gone: no watermark is written, nobody says goodbye to Discord."""
        worker.here = False
        self.server.gateway.muted = True
        await self.stop(worker)
        self.server.gateway.muted = False
        worker.pause()

    async def hold(self, *shares: tuple[Worker, int]) -> None:
        """Wait until each holds so many shards and all of those are connected."""

        def settled() -> bool:
            held = [len(self.rota.shards(worker)) == count for worker, count in shares]
            return all(held) and len(connected(self.server)) == sum(count for _, count in shares)

        await self.server.wait_for(settled)


def connected(server: DiscordServer) -> list[tuple[int, int]]:
    sessions = server.gateway.sessions.values()
    return sorted((one.shard, one.shards) for one in sessions if one.connection is not None)


@asynccontextmanager
async def fleet(server: DiscordServer, *, apart: bool = False) -> AsyncIterator[Fleet]:
    async with AsyncExitStack() as stack:
        yield Fleet(server, stack, apart=apart)


@pytest.fixture
async def server() -> AsyncIterator[DiscordServer]:
    async with DiscordServer(shards=2, identify_seconds=0.15) as server:
        yield server


@pytest.fixture
def ann(server: DiscordServer) -> User:
    return server.user("ann")


def room(server: DiscordServer, shard: int, shards: int, member: User) -> Channel:
    """A channel in a server of this shard."""
    while True:
        guild = server.guild(f"of shard {shard}", members=[member], has_bot=False)
        if Shard(shard, shards).hears(str(guild.id)):
            server.invite(guild)
            return server.channel(guild, f"room {shard}")
        server.clock.advance(0.001)  # the shard is counted by milliseconds


def texts(inbox: Inbox, home: House) -> list[str]:
    return [home.platform.read(event.payload).text for event in inbox.accepted]  # type: ignore[union-attr]  # all are messages


# Spreading


async def test_each_shard_hears_its_servers_and_shard_0_the_private_chats() -> None:
    async with DiscordServer(shards=3) as server, fleet(server, apart=True) as processes:
        ann = server.user("ann")
        rooms = [room(server, shard, 3, ann) for shard in range(3)]
        started = [await processes.start() for _ in range(3)]
        await processes.hold(*((worker, 1) for _, worker in started))
        for one in rooms:
            server.say(one, ann, f"in {one.name}", mention_bot=True)
        server.say(server.dm(ann), ann, "in private")
        for home, worker in started:
            [shard] = processes.rota.shards(worker)
            expected = {f"in room {shard}"} | ({"in private"} if shard == 0 else set())
            await home.heard(len(expected))
            assert set(texts(home.inbox, home)) == expected


async def test_a_lone_process_holds_all_shards_one_identify_after_another() -> None:
    async with DiscordServer(shards=4, max_concurrency=2, identify_seconds=0.15) as server, fleet(server) as processes:
        _, worker = await processes.start()
        await processes.hold((worker, 4))
        assert connected(server) == [(shard, 4) for shard in range(4)]
        assert server.gateway.hasty == 0


@pytest.mark.parametrize(("shards", "shares"), [(2, (1, 1)), (5, (2, 3))])
async def test_processes_that_start_together_share_the_shards(shards: int, shares: tuple[int, int]) -> None:
    async with DiscordServer(shards=shards, identify_seconds=0.15) as server, fleet(server) as processes:
        workers = [(await processes.start())[1] for _ in range(2)]
        await server.wait_for(lambda: len(connected(server)) == shards)
        assert sorted(len(processes.rota.shards(worker)) for worker in workers) == list(shares)
        assert server.gateway.hasty == 0, "one identifies at a time, also across processes"


async def test_the_shards_of_one_that_went_away_are_shared_by_the_others() -> None:
    async with DiscordServer(shards=6, identify_seconds=0.15) as server, fleet(server) as processes:
        workers = [(await processes.start())[1] for _ in range(3)]
        await processes.hold(*((worker, 2) for worker in workers))
        await processes.kill(workers[0])
        await processes.hold((workers[1], 3), (workers[2], 3))


async def test_commands_are_registered_once(server: DiscordServer) -> None:
    async with fleet(server) as processes:
        workers = [(await processes.start())[1] for _ in range(2)]
        await processes.hold(*((worker, 1) for worker in workers))
        await server.wait_for(server.commands)
    assert len(server.calls(COMMANDS)) == 1


async def test_commands_are_left_to_the_holder_of_shard_0(server: DiscordServer, ann: User) -> None:
    general = room(server, 1, 2, ann)
    async with fleet(server) as processes:
        processes.rota.take(f"discord/{APPLICATION_ID}/0/2", Worker(processes.rota))
        home, worker = await processes.start()
        await processes.hold((worker, 1))
        server.say(general, ann, "hey", mention_bot=True)
        await home.heard()
        await home.platform.working(address(general))  # a call after the one that must not be made
        assert server.calls(COMMANDS) == ()


# Taking over


async def test_nothing_is_lost_or_doubled_when_a_holder_is_killed(server: DiscordServer, ann: User) -> None:
    dm, general, other = server.dm(ann), room(server, 0, 2, ann), room(server, 1, 2, ann)
    async with fleet(server) as processes:
        started = [await processes.start() for _ in range(2)]
        await processes.hold(*((worker, 1) for _, worker in started))
        for channel in (dm, general, other):
            server.say(channel, ann, f"before {channel.name}", mention_bot=True)
        await started[0][0].heard(3)
        [(home, survivor)] = [one for one in started if processes.rota.shards(one[1]) == [1]]
        [holder] = [worker for _, worker in started if worker is not survivor]
        await processes.kill(holder)
        for number in range(3):
            server.say(dm, ann, f"between {number}")
            server.say(general, ann, f"there {number}", mention_bot=True)
        server.say(other, ann, "meanwhile", mention_bot=True)
        await processes.hold((survivor, 2))
        server.say(dm, ann, "after")
        await home.heard(11)
        said = texts(processes.inbox, home)
        assert [text for text in said if text.startswith(("between", "after"))] == [
            *(f"between {number}" for number in range(3)),
            "after",
        ]
        assert [text for text in said if text.startswith("there")] == [f"there {number}" for number in range(3)]
        assert len(said) == len(set(said)) == 11
        assert {call.channel_id for call in server.calls(HISTORY)} == {dm.id, general.id}


async def test_only_what_the_shard_hears_is_caught_up(server: DiscordServer, ann: User) -> None:
    dm, general, other = server.dm(ann), room(server, 0, 2, ann), room(server, 1, 2, ann)
    async with fleet(server) as processes:
        started = [await processes.start() for _ in range(2)]
        await processes.hold(*((worker, 1) for _, worker in started))
        for channel in (dm, general, other):
            server.say(channel, ann, "before", mention_bot=True)
        await started[0][0].heard(3)
        [second] = [worker for _, worker in started if processes.rota.shards(worker) == [1]]
        await processes.kill(second)
        server.say(other, ann, "meanwhile", mention_bot=True)
        await started[0][0].heard(4)
        await started[0][0].platform.working(address(other))  # a call after those that were made at the same time
        assert {call.channel_id for call in server.calls(HISTORY)} == {other.id}


async def test_a_new_holder_begins_where_the_last_one_was(server: DiscordServer, ann: User) -> None:
    dm = server.dm(ann)
    async with fleet(server) as processes:
        home, first = await processes.start()
        await processes.hold((first, 2))
        last = server.say(dm, ann, "one")
        await home.heard()
        _, second = await processes.start()
        marks = []
        for number, (holder, other) in enumerate(((first, second), (second, first), (first, second))):
            async with asyncio.timeout(5):
                while processes.notes.values.get(f"discord/mark/{dm.id}") != str(last.id):  # noqa: ASYNC110 # notes tell nobody
                    await asyncio.sleep(0.01)
            marks.append(str(last.id))
            other.pause()
            holder.lose()
            last = server.say(dm, ann, f"gap {number}")
            other.come_back()
            await processes.hold((other, 2))
            await home.heard(2 + number)
            holder.come_back()
        assert texts(processes.inbox, home) == ["one", "gap 0", "gap 1", "gap 2"]
        assert [call.query["after"] for call in server.calls(HISTORY)] == marks


async def test_a_place_that_is_new_since_then_is_read_from_its_beginning(server: DiscordServer, ann: User) -> None:
    general, quiet = room(server, 1, 2, ann), room(server, 1, 2, ann)
    assert general.guild is not None
    async with fleet(server) as processes:
        home, first = await processes.start()
        await processes.hold((first, 2))
        server.say(general, ann, "hey", mention_bot=True)
        await home.heard()
        await processes.kill(first)
        server.say(quiet, ann, "the first word here", mention_bot=True)
        server.say(server.channel(general.guild, "new"), ann, "a new channel", mention_bot=True)
        server.say(server.thread(general, "branch", ann), ann, "a new thread", mention_bot=True)
        server.say(server.channel(general.guild, "elsewhere"), ann, "not for the bot")
        _, second = await processes.start()
        await processes.hold((second, 2))
        await home.heard(4)
        server.say(quiet, ann, "live again", mention_bot=True)
        await home.heard(5)
        assert set(texts(processes.inbox, home)[1:4]) == {"the first word here", "a new channel", "a new thread"}
        later = server.guild("later", members=[ann], has_bot=False)
        server.say(server.channel(later, "den"), ann, "before you came", mention_bot=True)
        server.invite(later)
        server.say(quiet, ann, "the end", mention_bot=True)
        await home.heard(6)
        assert "before you came" not in texts(processes.inbox, home)


async def test_a_process_that_stops_in_peace_leaves_its_watermarks(server: DiscordServer, ann: User) -> None:
    dm = server.dm(ann)
    async with fleet(server) as processes:
        home, worker = await processes.start()
        await processes.hold((worker, 2))
        server.say(dm, ann, "one")
        await home.heard()
        last = server.say(dm, ann, "two")
        await home.heard(2)
        await processes.stop(worker)
        assert processes.notes.values[f"discord/mark/{dm.id}"] == str(last.id)
        assert processes.rota.holders == {}


# Being late


async def test_who_was_paused_takes_what_it_heard_and_touches_nothing_else(server: DiscordServer, ann: User) -> None:
    dm, general = server.dm(ann), room(server, 0, 2, ann)
    async with fleet(server) as processes:
        home, worker = await processes.start()
        await processes.hold((worker, 2))
        await server.wait_for(server.commands)
        first = server.say(dm, ann, "one")
        await home.heard()
        worker.pause()
        server.say(dm, ann, "heard in the last moment")
        server.say(server.dm(bob := server.user("bob")), bob, "never heard of before")
        interaction = server.slash(general, ann, "help")
        await home.heard(3)
        home.door.strangers.add(str(ann.id))
        server.say(dm, ann, "am I a stranger now?")
        server.say(server.dm(bob), bob, "the last one")
        await home.heard(4)
        await processes.stop(worker)
        assert processes.notes.values[f"discord/mark/{dm.id}"] == str(first.id - 1)
        assert "heard in the last moment" in texts(processes.inbox, home)
        assert interaction.response is None
        assert [one.author for one in server.messages(dm)] == [ann] * 3, "no line for the stranger"


async def test_who_was_paused_does_not_identify(server: DiscordServer) -> None:
    async with fleet(server) as processes:
        _, worker = await processes.start()
        await processes.hold((worker, 2))
        worker.pause()
        worker.come_back()  # it may act again, but has not noticed that the shards are no longer its own
        server.invalidate_session()
        await server.wait_for(lambda: sum(one.op == HELLO for one in server.frames) == 3)
        await asyncio.sleep(0.3)  # nothing happens: there is no condition to wait for
        assert server.gateway.identifies == 2
        worker.lose()
        # nobody is left to close it later
        await server.wait_for(lambda: Frame("close", 4000, None, None) in server.frames)
        worker.come_back()
        await processes.hold((worker, 2))
        assert server.gateway.identifies == 4


async def test_work_that_is_cancelled_again_while_it_ends_leaves_nothing_open(server: DiscordServer) -> None:
    gc.collect()  # what others left is not meant
    with warnings.catch_warnings(record=True) as complaints:
        warnings.simplefilter("always", ResourceWarning)
        async with fleet(server) as processes:
            _, worker = await processes.start()
            await processes.hold((worker, 2))
            for _ in range(20):
                worker.lose()
                await asyncio.sleep(0)
        gc.collect()
    assert not [str(complaint.message) for complaint in complaints]


async def test_a_connection_that_breaks_before_it_is_ready_waits_for_its_turn_again() -> None:
    async with DiscordServer(identify_seconds=0.15) as server, fleet(server) as processes:
        record = server.gateway.on_frame

        def cut(frame: Frame) -> None:
            record(frame)
            if (frame.direction, frame.op) == ("in", IDENTIFY):
                server.gateway.on_frame = record
                server.close_gateway(None)

        server.gateway.on_frame = cut
        _, worker = await processes.start()
        await server.wait_for(lambda: server.gateway.identifies == 2)
        await processes.hold((worker, 1))
        assert server.gateway.hasty == 0


async def test_two_holders_of_one_shard_hear_everything_twice_and_take_it_once(
    server: DiscordServer, ann: User
) -> None:
    dm = server.dm(ann)
    async with fleet(server) as processes:
        home, first = await processes.start()
        await processes.hold((first, 2))
        await processes.start()
        first.pause()
        await server.wait_for(lambda: connected(server) == [(0, 2), (0, 2), (1, 2), (1, 2)])
        for number in range(5):
            server.say(dm, ann, str(number))
        interaction = server.slash(dm, ann, "reset")
        await home.heard(6)
        await server.wait_for(lambda: interaction.response == DEFERRED)
        assert texts(processes.inbox, home)[:5] == [str(number) for number in range(5)]
        assert len(server.calls(CALLBACK)) == 1


# Answers of another process


async def test_another_process_answers_what_this_one_acknowledged(server: DiscordServer, ann: User) -> None:
    general = room(server, 0, 2, ann)
    async with fleet(server) as processes, house(server) as elsewhere:
        home, worker = await processes.start()
        await processes.hold((worker, 2))
        await server.wait_for(server.commands)
        held = server.hold(CALLBACK, when="before")
        server.slash(general, ann, "help")
        await home.heard()
        to = home.messages()[0].address
        sending = asyncio.create_task(elsewhere.platform.send(to, Piece("ready at once"), "1.0.0.0"))
        await held.reached.wait()
        await server.wait_for(lambda: any(call.code == 10015 for call in server.log))
        held.release()
        first = await sending
        await elsewhere.platform.edit(to, first, Piece("edited there"))
        second = await elsewhere.platform.send(to, Piece("more"), "1.0.1.0")
        await home.platform.edit(to, second, Piece("and edited here"))
        shown = server.messages(general)
        assert [(one.content, one.thinking) for one in shown] == [("edited there", False), ("and edited here", False)]


async def test_what_nobody_acknowledges_is_answered_by_a_message(server: DiscordServer, ann: User) -> None:
    general = room(server, 0, 2, ann)
    async with fleet(server) as processes, house(server, limits=replace(QUICK, fresh=0.5)) as elsewhere:
        home, worker = await processes.start()
        await processes.hold((worker, 2))
        await server.wait_for(server.commands)
        server.fail(CALLBACK, status=404, code=10062, when="before")
        server.slash(general, ann, "help")
        await home.heard()
        await elsewhere.platform.send(home.messages()[0].address, Piece("here"), "1.0.0.0")
        assert [one.content for one in server.messages(general)] == ["here"]


# How many


async def test_all_go_by_the_number_that_the_first_one_took(server: DiscordServer) -> None:
    async with fleet(server) as processes:
        _, first = await processes.start()
        await processes.hold((first, 2))
        server.gateway.shards = 5
        _, second = await processes.start()
        await processes.kill(first)
        await processes.hold((second, 2))
        assert processes.notes.values[NUMBER] == "2"


def _too_small(server: DiscordServer, processes: Fleet) -> None:
    server.gateway.most_guilds = 1
    server.close_gateway(4009)  # a new session is needed, and refused


def _emptied(server: DiscordServer, processes: Fleet) -> None:
    processes.notes.values[NUMBER] = ""


@pytest.mark.parametrize("change", [_too_small, _emptied])
async def test_the_number_changes_for_all_of_them(
    server: DiscordServer, ann: User, change: Callable[[DiscordServer, Fleet], None]
) -> None:
    for shard in (0, 1, 2, 3):
        room(server, shard, 4, ann)
    async with fleet(server) as processes:
        started = [await processes.start() for _ in range(2)]
        await processes.hold(*((worker, 1) for _, worker in started))
        server.gateway.shards = 4
        change(server, processes)
        await server.wait_for(lambda: connected(server) == [(shard, 4) for shard in range(4)])
        assert processes.notes.values[NUMBER] == "4"


async def test_a_number_that_discord_finds_too_small_and_recommends_ends_it(ann: User) -> None:
    async with DiscordServer() as server, house(server, limits=QUICK) as home:
        for _ in range(2):
            server.guild("home", members=[ann])
        server.gateway.most_guilds = 1
        with pytest.raises(Rejected, match="too few"):
            await home.platform.listen(home.inbox)


async def test_the_last_sessions_of_the_day_are_left_alone(caplog: pytest.LogCaptureFixture) -> None:
    async with DiscordServer() as server, house(server, limits=QUICK) as home:
        server.gateway.starts_per_day = SPARED_STARTS
        listening = asyncio.create_task(home.platform.listen(home.inbox))
        await server.wait_for(lambda: len(server.calls("GET /gateway/bot")) >= 3)  # to agree, and two attempts
        assert server.gateway.identifies == 0
        assert "no more new sessions for 1440 minutes" in caplog.text
        server.gateway.starts_per_day = 1000
        await server.wait_for(lambda: server.gateway.identifies == 1)
        listening.cancel()
        await asyncio.wait([listening])
