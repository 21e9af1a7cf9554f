"""How a gate learns what a vendor takes, and in which order it lets calls in."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from bot.errors import ModelError, Trouble
from bot.models.gate import MOST, MOST_PATIENCE, PATIENCE, QUEUE, SUCCESSES, Gate, Ticket
from tests.models.clock import Clock


def gate_of(clock: Clock | None = None, *, most: int = MOST) -> Gate:
    return Gate("glm", "glm-4.7-flash", most=most, clock=clock or Clock())


def come(gate: Gate, *, background: bool = False) -> Ticket:
    ticket = gate.ticket(background=background)
    ticket.__enter__()
    return ticket


def go(ticket: Ticket) -> None:
    ticket.__exit__()


def refuse(ticket: Ticket) -> None:
    ticket.refuse()
    go(ticket)


def answer(gate: Gate, times: int) -> None:
    for _ in range(times):
        tickets = [come(gate) for _ in range(gate.limit)]
        for ticket in tickets:
            ticket.take()
        for ticket in tickets:
            go(ticket)


def learned(clock: Clock, limit: int) -> Gate:
    """A gate whose vendor took `limit` calls and refused one more."""
    gate = gate_of(clock)
    tickets = [come(gate) for _ in range(limit + 1)]
    refuse(tickets.pop())
    for ticket in tickets:
        ticket.take()
        go(ticket)
    assert gate.limit == limit
    return gate


# --- learning ----------------------------------------------------------------------------------------------------------


def test_it_begins_wide_open() -> None:
    gate = gate_of()
    tickets = [come(gate) for _ in range(MOST + 1)]
    assert all(ticket.let_in.is_set() for ticket in tickets[:-1]) and not tickets[-1].let_in.is_set()
    assert (gate.in_flight, gate.waiting, gate.limit) == (MOST, 1, MOST)


def test_a_refusal_while_n_calls_are_under_way_means_one_less() -> None:
    gate = gate_of()
    tickets = [come(gate) for _ in range(8)]
    tickets[3].refuse()
    assert gate.limit == 7


@given(st.integers(1, 12), st.data())
def test_a_burst_teaches_what_the_vendor_takes_in_whatever_order_its_answers_come(
    taken: int, data: st.DataObject
) -> None:
    size = data.draw(st.integers(taken + 1, 24))
    gate = gate_of()
    tickets = [come(gate) for _ in range(size)]
    lucky = set(data.draw(st.permutations(range(size)))[:taken])  # the vendor need not see them in our order
    begun = {number for number in lucky if data.draw(st.booleans())}  # their first token comes among the refusals
    for number in data.draw(st.permutations([*begun, *(set(range(size)) - lucky)])):
        if number in lucky:
            tickets[number].take()
        else:
            refuse(tickets[number])
    assert gate.limit == taken
    for number in lucky:
        tickets[number].take()
        go(tickets[number])
    assert (gate.limit, gate.in_flight) == (taken, 0)


@given(st.integers(2, 40))
def test_a_burst_refused_as_a_whole_is_no_limit_of_how_many_at_once_and_costs_one_place(size: int) -> None:
    gate = gate_of()
    for ticket in [come(gate) for _ in range(size)]:
        refuse(ticket)
    assert gate.limit == size - 1


def test_a_call_alone_teaches_nothing() -> None:
    gate = gate_of()
    refuse(come(gate))
    assert gate.limit == MOST


def test_a_later_refusal_is_another_occasion() -> None:
    gate = learned(Clock(), 5)
    tickets = [come(gate) for _ in range(5)]
    tickets[0].take()
    refuse(tickets[1])
    assert gate.limit == 4
    for ticket in (tickets[0], *tickets[2:]):
        ticket.take()
    go(tickets.pop())
    refuse(come(gate))  # others use the same account, it seems
    assert gate.limit == gate.in_flight == 3


def test_after_successes_at_the_limit_and_some_time_it_takes_one_more() -> None:
    clock = Clock()
    gate = learned(clock, 2)
    answer(gate, SUCCESSES)
    assert gate.limit == 2  # too soon
    clock.pass_by(PATIENCE)
    answer(gate, 1)
    assert gate.limit == 3


def test_calls_below_the_limit_show_nothing() -> None:
    clock = Clock()
    gate = learned(clock, 2)
    clock.pass_by(10 * PATIENCE)
    for _ in range(10 * SUCCESSES):
        ticket = come(gate)
        ticket.take()
        go(ticket)
    assert gate.limit == 2


def test_where_one_more_was_too_many_it_tries_less_often() -> None:
    clock = Clock()
    gate = learned(clock, 1)
    waits = []
    for _ in range(8):
        since = clock.now
        while gate.limit == 1:
            clock.pass_by(1.0)
            answer(gate, 1)
        waits.append(clock.now - since)
        first, second = come(gate), come(gate)
        first.take()
        refuse(second)
        go(first)
        assert gate.limit == 1
    assert waits[0] == PATIENCE and waits == sorted(waits) and waits[-1] == MOST_PATIENCE


def test_it_never_opens_wider_than_it_began() -> None:
    clock = Clock()
    gate = gate_of(clock, most=3)
    for _ in range(20):
        clock.pass_by(MOST_PATIENCE)
        answer(gate, SUCCESSES)
    assert gate.limit == 3


# --- the queue ---------------------------------------------------------------------------------------------------------


def test_first_come_first_served_and_background_work_last() -> None:
    gate = learned(Clock(), 1)
    inside = come(gate)
    job, first, second = come(gate, background=True), come(gate), come(gate)
    for ticket in (first, second, job):
        assert not ticket.let_in.is_set()
        go(inside)
        assert ticket.let_in.is_set()
        inside = ticket


def test_who_was_refused_goes_before_those_who_came_later() -> None:
    gate = gate_of()
    early, other = come(gate), come(gate)
    refuse(early)
    late = come(gate)
    early.__enter__()
    go(other)
    assert early.let_in.is_set() and not late.let_in.is_set()


def test_who_gives_up_takes_nobodys_place() -> None:
    gate = learned(Clock(), 1)
    inside, impatient, patient = come(gate), come(gate), come(gate)
    go(impatient)
    assert (gate.in_flight, gate.waiting) == (1, 1)
    go(inside)
    assert patient.let_in.is_set()


async def test_who_waits_is_told_the_place_whenever_it_changes() -> None:
    gate = learned(Clock(), 1)
    inside, before = come(gate), come(gate)
    with (ticket := gate.ticket(every=0.01)):
        assert await ticket.place() == 2
        go(before)
        assert await ticket.place() == 1
        asyncio.get_running_loop().call_later(0.05, go, inside)
        assert await ticket.place() == 0  # and nothing in between: the number was the same
    assert (gate.in_flight, gate.waiting) == (0, 0)


async def test_a_wait_has_an_end_and_counts_over_all_tries() -> None:
    gate = Gate("glm", "glm-4.7-flash", most=1)
    inside = come(gate)
    ticket = gate.ticket(longest=0.1, every=0.03)
    with ticket:
        assert await ticket.place() == 1
        go(inside)
        assert await ticket.place() == 0
    assert ticket.waited > 0.02
    inside = come(gate)
    with pytest.raises(ModelError) as caught, ticket:
        while await ticket.place():
            pass
    assert (caught.value.trouble, caught.value.code, caught.value.unbilled) == (Trouble.BUSY, QUEUE, True)
    assert 0.1 <= ticket.waited < 1.0
    assert (gate.in_flight, gate.waiting) == (1, 0)
    go(inside)


async def test_a_cancelled_wait_leaves_no_trace_even_at_the_moment_of_being_let_in() -> None:
    gate = Gate("glm", "glm-4.7-flash", most=1)

    async def call(waits: asyncio.Event) -> None:
        ticket = gate.ticket(every=0.01)
        with ticket:
            while await ticket.place():
                waits.set()
            await asyncio.Event().wait()

    for let_in in (False, True):
        inside = come(gate)
        async with asyncio.TaskGroup() as tasks:
            waits = asyncio.Event()
            task = tasks.create_task(call(waits))
            async with asyncio.timeout(5):
                await waits.wait()
            if let_in:
                go(inside)  # it is let in, but has not run since
            task.cancel()
        if not let_in:
            go(inside)
        assert (gate.in_flight, gate.waiting) == (0, 0)


class AnyCourse(RuleBasedStateMachine):
    """Calls come, begin, end, are refused or give up, in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock()
        self.gate = gate_of(self.clock, most=8)
        self.tickets: list[Ticket] = []

    def pick(self, data: st.DataObject, *, inside: bool) -> Ticket | None:
        some = [ticket for ticket in self.tickets if ticket.let_in.is_set() is inside]
        return data.draw(st.sampled_from(some)) if some else None

    @rule(background=st.booleans())
    def comes(self, background: bool) -> None:
        self.tickets.append(come(self.gate, background=background))

    @rule(seconds=st.floats(0, MOST_PATIENCE))
    def time_passes(self, seconds: float) -> None:
        self.clock.pass_by(seconds)

    @precondition(lambda self: self.tickets)
    @rule(data=st.data(), back=st.booleans())
    def is_refused(self, data: st.DataObject, back: bool) -> None:
        if ticket := self.pick(data, inside=True):
            before = self.gate.limit
            refuse(ticket)
            assert self.gate.limit <= max(before, 7)
            if back:
                ticket.__enter__()
            else:
                self.tickets.remove(ticket)

    @precondition(lambda self: self.tickets)
    @rule(data=st.data())
    def is_answered(self, data: st.DataObject) -> None:
        if ticket := self.pick(data, inside=True):
            ticket.take()

    @precondition(lambda self: self.tickets)
    @rule(data=st.data(), inside=st.booleans())
    def leaves(self, data: st.DataObject, inside: bool) -> None:
        if ticket := self.pick(data, inside=inside):
            go(ticket)
            self.tickets.remove(ticket)

    @invariant()
    def everybody_is_somewhere(self) -> None:
        assert self.gate.in_flight == sum(ticket.let_in.is_set() for ticket in self.tickets)
        assert self.gate.waiting == sum(not ticket.let_in.is_set() for ticket in self.tickets)

    @invariant()
    def nobody_waits_where_there_is_room(self) -> None:
        assert 1 <= self.gate.limit <= 8
        assert not self.gate.waiting or self.gate.in_flight >= self.gate.limit

    @invariant()
    def the_queue_is_in_order(self) -> None:
        waiting = [ticket for ticket in self.tickets if not ticket.let_in.is_set()]
        places = {self.gate._place(ticket): ticket.order for ticket in waiting}
        assert sorted(places) == list(range(1, len(waiting) + 1))
        assert [places[place] for place in sorted(places)] == sorted(places.values())

    def teardown(self) -> None:
        for ticket in self.tickets:
            go(ticket)
        assert (self.gate.in_flight, self.gate.waiting) == (0, 0)


TestAnyCourse = AnyCourse.TestCase
