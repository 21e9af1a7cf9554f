"""One process among several: leases, duties, and what happens when others take us for dead."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from bot.errors import StorageError
from bot.ports import Beat, Topic
from bot.turns.fleet import Alone, Fleet, LeaseLost


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Register:
    """Where workers are written down; a `seat` is one worker's view of it, as a store is."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.alive: dict[str, float] = {}
        self.duties: dict[str, str] = {}
        self.down = False
        self.jumped = False
        self.reaped: list[str] = []


class Seat:
    lease: float | None = 3.0

    def __init__(self, register: Register, name: str) -> None:
        self._register = register
        self._name = name
        self.lives = 0
        self.told = asyncio.Event()  # whether the store's answers arrive
        self.told.set()

    @property
    def me(self) -> str:
        return f"{self._name}{self.lives}"

    def _check(self) -> None:
        if self._register.down:
            raise StorageError("down")

    async def enrol(self) -> None:
        self._check()
        self.lives += 1
        self._register.alive[self.me] = self._register.clock() + 3.0

    async def beat(self, *, reap: bool) -> Beat:
        self._check()
        register, now = self._register, self._register.clock()
        if self.me not in register.alive:
            return Beat(alive=False)
        register.alive[self.me] = now + 3.0
        dead = [name for name, until in register.alive.items() if until < now] if reap else []
        for name in dead:
            del register.alive[name]
            register.duties = {duty: who for duty, who in register.duties.items() if who != name}
        register.reaped += dead
        jumped, register.jumped = register.jumped, False
        return Beat(others=len(register.alive) - 1, freed=len(dead), jumped=jumped)

    async def resign(self) -> None: ...

    async def take_duty(self, name: str) -> bool:
        self._check()
        taken = self._register.duties.setdefault(name, self.me) == self.me
        await self.told.wait()
        return taken

    async def leave_duty(self, name: str) -> None:
        self._check()
        if self._register.duties.get(name) == self.me:
            del self._register.duties[name]

    def subscribe(self, topic: Topic, heard: Callable[[], None]) -> None: ...


class Member:
    """A fleet's worker that beats when the test says so."""

    def __init__(self, register: Register, name: str) -> None:
        self.seat = Seat(register, name)
        self.fleet = Fleet(self.seat, register.clock)
        self._beats = asyncio.Event()
        self.heard: list[Beat] = []

    def hear(self, beat: Beat) -> None:
        self.heard.append(beat)
        self._beats.set()

    async def beat(self) -> None:
        self._beats.clear()
        self.fleet.hurry()
        async with asyncio.timeout(10):
            await self._beats.wait()


@asynccontextmanager
async def members(*names: str) -> AsyncIterator[tuple[Register, list[Member]]]:
    register = Register(Clock())
    found = [Member(register, name) for name in names]
    async with asyncio.TaskGroup() as tasks:
        running = [tasks.create_task(one.fleet.run(one.hear)) for one in found]
        for one in found:
            await one.fleet.begun()
        yield register, found
        for task in running:
            task.cancel()


async def for_ever(started: asyncio.Event) -> None:
    started.set()
    await asyncio.Event().wait()


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110  # several objects change it
            await asyncio.sleep(0.01)


async def test_who_is_alone_may_do_everything() -> None:
    done = asyncio.Event()

    async def work() -> None:
        done.set()

    alone = Alone()
    await alone.perform("poll", work)
    assert done.is_set() and alone.may_act() and alone.holds("poll")


async def test_a_heartbeat_lets_us_act_until_a_second_before_the_lease_ends() -> None:
    async with members("a") as (register, [a]):
        assert a.fleet.may_act()
        register.clock.now += 1.9
        assert a.fleet.may_act()
        register.clock.now += 0.2
        assert not a.fleet.may_act()
        await a.beat()
        assert a.fleet.may_act()


async def test_without_the_database_we_may_not_act_and_go_on_when_it_is_back() -> None:
    async with members("a") as (register, [a]):
        register.down = True
        register.clock.now += 60
        assert not a.fleet.may_act()
        register.down = False
        await a.beat()
        assert a.fleet.may_act() and a.seat.lives == 1


async def test_after_an_outage_nobody_is_taken_for_dead_before_all_could_have_come_back() -> None:
    async with members("a", "b") as (register, [a, b]):
        for _ in range(5):
            register.clock.now += 1
            await a.beat()
            await b.beat()
        register.clock.now += 60  # the database was away
        for _ in range(2):
            await a.beat()
            register.clock.now += 1
        assert not register.reaped
        await b.beat()
        assert b.seat.lives == 1


async def test_after_a_jump_of_the_databases_clock_nobody_is_taken_for_dead_at_once_either() -> None:
    async with members("a", "b") as (register, [a, _]):
        for _beat in range(3):
            register.clock.now += 1
            await a.beat()
        register.jumped = True
        await a.beat()
        register.clock.now += 1
        await a.beat()
        assert not register.reaped
        for _beat in range(3):
            register.clock.now += 1
            await a.beat()
        assert register.reaped == ["b1"]


async def test_the_dead_are_found_out_by_those_who_were_here_all_the_time() -> None:
    async with members("a", "b") as (register, [a, _]):
        for _ in range(4):
            register.clock.now += 1
            await a.beat()
        assert register.reaped == ["b1"]
        assert sum(beat.freed for beat in a.heard) == 1


async def test_who_was_taken_for_dead_is_told_and_begins_again_under_another_name() -> None:
    async with members("a") as (register, [a]):
        async with asyncio.TaskGroup() as tasks:
            lapse = tasks.create_task(lapses(a.fleet))
            await asyncio.sleep(0)
            del register.alive["a1"]
            await a.beat()
        assert lapse.result() and a.seat.me == "a2"
        await a.fleet.begun()
        assert a.fleet.may_act()


async def lapses(fleet: Fleet) -> bool:
    with pytest.raises(LeaseLost):
        await fleet.lapse()
    return True


async def test_one_at_a_time_has_a_duty_and_the_next_takes_it_when_it_is_given_back() -> None:
    async with members("a", "b") as (_, [a, b]), asyncio.TaskGroup() as tasks:
        of_a, of_b = asyncio.Event(), asyncio.Event()
        first = tasks.create_task(a.fleet.perform("poll", lambda: for_ever(of_a)))
        await of_a.wait()
        second = tasks.create_task(b.fleet.perform("poll", lambda: for_ever(of_b)))
        await b.beat()
        assert a.fleet.holds("poll") and not b.fleet.holds("poll") and not of_b.is_set()
        first.cancel()
        await asyncio.wait([first])
        await b.beat()
        async with asyncio.timeout(10):
            await of_b.wait()
        assert b.fleet.holds("poll") and not a.fleet.holds("poll")
        second.cancel()


async def test_a_paused_process_does_not_hold_its_duty_even_before_it_is_told() -> None:
    async with members("a") as (register, [a]), asyncio.TaskGroup() as tasks:
        started = asyncio.Event()
        work = tasks.create_task(a.fleet.perform("poll", lambda: for_ever(started)))
        await started.wait()
        assert a.fleet.holds("poll")
        register.clock.now += 10
        assert not a.fleet.holds("poll")
        work.cancel()


async def test_a_lost_duty_ends_the_work_and_is_waited_for_again() -> None:
    async with members("a") as (register, [a]), asyncio.TaskGroup() as tasks:
        starts: list[asyncio.Event] = []
        ends: list[str] = []

        async def work() -> None:
            starts.append(asyncio.Event())
            try:
                await asyncio.Event().wait()
            finally:
                ends.append("cancelled")

        task = tasks.create_task(a.fleet.perform("poll", work))
        await until(lambda: len(starts) == 1)
        del register.alive["a1"]
        register.duties["poll"] = "somebody"
        await a.beat()
        await until(lambda: ends == ["cancelled"])
        assert register.duties == {"poll": "somebody"}, "it was not ours to give back"
        await a.beat()
        assert len(starts) == 1
        del register.duties["poll"]
        await a.beat()
        await until(lambda: len(starts) == 2)
        task.cancel()


async def test_a_duty_taken_under_a_former_name_is_not_ours() -> None:
    """We were paused when the store had given it to us, and it has gone to somebody else since."""
    async with members("a") as (register, [a]), asyncio.TaskGroup() as tasks:
        started = asyncio.Event()
        a.seat.told.clear()
        work = tasks.create_task(a.fleet.perform("poll", lambda: for_ever(started)))
        await until(lambda: register.duties == {"poll": "a1"})
        del register.alive["a1"]
        register.duties["poll"] = "somebody"
        await a.beat()
        assert a.seat.me == "a2"
        a.seat.told.set()
        await a.beat()
        assert not a.fleet.holds("poll") and not started.is_set()
        del register.duties["poll"]
        await a.beat()
        async with asyncio.timeout(10):
            await started.wait()
        work.cancel()


async def test_the_works_own_error_comes_out_and_the_duty_is_given_back() -> None:
    async def work() -> None:
        raise KeyError("mine")

    async with members("a") as (register, [a]):
        with pytest.raises(KeyError, match="mine"):
            await a.fleet.perform("poll", work)
        assert register.duties == {}
