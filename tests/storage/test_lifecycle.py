"""The store against a small model of itself: however accepts, claims, completions, stops, resets, moves and crashes follow one
another, nothing is lost, nothing is answered twice, each chat keeps its order and no reset is outlived."""

from __future__ import annotations

import asyncio
import itertools
import tempfile
from collections.abc import Coroutine
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from bot.errors import FencedOut, Superseded
from bot.messages import ChatKey, Event, Finish
from bot.ports import Claim, Overtaken
from storage import Store, open_store
from tests.storage.saying import ANN, BOB, SILENTLY, control, conversation, exchange, outcome, said

T = TypeVar("T")
CHATS = tuple(ChatKey("telegram", str(number)) for number in range(3))


@dataclass(slots=True)
class Waiting:
    """`order` is that of acceptance over all chats."""

    order: int
    event: Event


@dataclass(slots=True)
class Running:
    """`base` is the conversation that the turn goes on from."""

    claim: Claim
    rows: list[Waiting]
    base: list[str]
    stopped: bool = False
    reset: bool = False


@dataclass(slots=True)
class Chat:
    """One chat as it should be. `since` orders the chats by how long they wait; `heard` of at all."""

    heard: bool = False
    waiting: list[Waiting] = field(default_factory=list)
    running: Running | None = None
    interrupted: bool = False
    since: int = 0
    told: list[str] = field(default_factory=list)


class Lifecycle(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.folder = tempfile.TemporaryDirectory()
        self.url = f"sqlite:///{Path(self.folder.name) / 'magpie.db'}"
        self.stack = AsyncExitStack()
        self.ticks = itertools.count(1)
        self.chats = {chat: Chat() for chat in CHATS}
        self.homes = {chat: chat for chat in CHATS}
        self.known: list[Event] = []
        self.control: list[tuple[Waiting, ChatKey]] = []
        self.late: list[Claim] = []
        self.done: list[Claim] = []
        self.accepted: set[str] = set()
        self.settled: list[str] = []
        self.store: Store

    def do(self, work: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(work)

    @initialize()
    def open(self) -> None:
        self.store = self.do(self.stack.enter_async_context(open_store(self.url)))

    # --- what comes in -------------------------------------------------------------------------------------------------

    @rule(key=st.sampled_from(CHATS), author=st.sampled_from([ANN, BOB]), command=st.booleans())
    def accept(self, key: ChatKey, author: str, command: bool) -> None:
        order = next(self.ticks)
        event = said(f"e{order}", chat=key, author=author, command=command)
        assert self.do(self.store.accept([event])) == []
        chat = self.chats[self.homes[key]]
        chat.heard = True
        if not chat.waiting and not chat.running:
            chat.since = order
        chat.waiting.append(Waiting(order, event))
        self.known.append(event)
        self.accepted.add(event.event)

    @precondition(lambda self: self.known)
    @rule(data=st.data())
    def accept_again(self, data: st.DataObject) -> None:
        assert self.do(self.store.accept([data.draw(st.sampled_from(self.known))])) == []

    @precondition(lambda self: len(self.control) < 2)
    @rule(key=st.sampled_from(CHATS), what=st.sampled_from(["stop", "reset"]))
    def accept_control(self, key: ChatKey, what: str) -> None:
        order = next(self.ticks)
        event = control(f"{what}{order}", chat=key)
        self.do(self.store.accept([event]))
        self.control.append((Waiting(order, event), self.homes[key]))
        self.known.append(event)

    # --- turns ---------------------------------------------------------------------------------------------------------

    @rule(limit=st.integers(1, 3))
    def claim(self, limit: int) -> None:
        blocked = {chat for _, chat in self.control}
        free = [
            key
            for key, chat in self.chats.items()
            if (chat.interrupted or (chat.waiting and not chat.running)) and key not in blocked
        ]
        expected = sorted(free, key=lambda key: self.chats[key].since)[:limit]
        found, later = self.do(self.store.claim(limit))
        assert [claim.chat for claim in found] == expected
        assert later is None
        for claim in found:
            self._claimed(claim)

    def _claimed(self, claim: Claim) -> None:
        chat = self.chats[claim.chat]
        if chat.interrupted:
            assert chat.running is not None
            assert (claim.turn, claim.attempt) == (chat.running.claim.turn, 2)
            self.late.append(chat.running.claim)
            chat.running.claim, chat.running.base, chat.interrupted = claim, list(chat.told), False
        else:
            chat.running = Running(claim, chat.waiting[: _joined(chat.waiting)], list(chat.told))
            chat.waiting = chat.waiting[len(chat.running.rows) :]
            assert claim.attempt == 1
        assert [row.payload for row in claim.rows] == [row.event.event for row in chat.running.rows]
        assert self.do(conversation(self.store, claim.head)) == chat.told

    @precondition(lambda self: any(chat.running and not chat.interrupted for chat in self.chats.values()))
    @rule(data=st.data())
    def complete(self, data: st.DataObject) -> None:
        running = [key for key, chat in self.chats.items() if chat.running and not chat.interrupted]
        self._complete(data.draw(st.sampled_from(running)))

    def _complete(self, key: ChatKey) -> None:
        chat = self.chats[key]
        turn = chat.running
        assert turn is not None
        events = [row.event.event for row in turn.rows]
        question, answer = " ".join(events), f"answer {turn.claim.turn}"
        changes = exchange(question, answer, turn.claim.head)
        if turn.stopped or turn.reset:
            with pytest.raises(Superseded):
                self.do(self.store.complete(turn.claim, outcome(*changes)))
            self.do(self.store.complete(turn.claim, outcome(*changes, reason=Finish.STOPPED)))
        else:
            self.do(self.store.complete(turn.claim, outcome(*changes)))
        if not turn.reset:
            chat.told = [*turn.base, question, answer]
        self.settled += events
        self.done.append(turn.claim)
        chat.running, chat.since = None, next(self.ticks)

    @precondition(lambda self: self.late)
    @rule(data=st.data())
    def complete_too_late(self, data: st.DataObject) -> None:
        self._refused(data.draw(st.sampled_from(self.late)))

    @precondition(lambda self: self.done)
    @rule(data=st.data())
    def complete_again(self, data: st.DataObject) -> None:
        """As after a commit of which the worker was not told: nothing is left to do, and nothing changes."""
        assert (
            self.do(self.store.complete(data.draw(st.sampled_from(self.done)), outcome(*exchange("?", "!", None))))
            == []
        )

    def _refused(self, claim: Claim) -> None:
        with pytest.raises(FencedOut):
            self.do(self.store.complete(claim, outcome(reason=Finish.STOPPED)))

    # --- what overtakes ------------------------------------------------------------------------------------------------

    @precondition(lambda self: self.control)
    @rule()
    def overtake(self) -> None:
        self._overtake()

    @precondition(lambda self: any(chat.running for chat in self.chats.values()))
    @rule(data=st.data(), what=st.sampled_from(["stop", "reset"]))
    def overtake_a_running_turn(self, data: st.DataObject, what: str) -> None:
        self.accept_control(data.draw(st.sampled_from([key for key, chat in self.chats.items() if chat.running])), what)
        while self.control:
            self._overtake()

    def _overtake(self) -> None:
        waiting, key = self.control.pop(0)
        [(row, chat_key)] = self.do(self.store.control_rows(1))
        assert (row.payload, chat_key) == (waiting.event.event, key)
        chat = self.chats[key]
        turn = chat.running.claim.turn if chat.running else 0
        if row.payload.startswith("stop"):
            assert self.do(self.store.stop(row, key, "", "", SILENTLY)) == Overtaken(turn)
            if chat.running:
                chat.running.stopped = True
            return
        closed = [one for one in chat.waiting if one.order < waiting.order]
        assert self.do(self.store.reset(row, key, SILENTLY)) == Overtaken(turn, len(closed))
        chat.waiting = [one for one in chat.waiting if one.order > waiting.order]
        self.settled += [one.event.event for one in closed]
        chat.told, chat.heard = [], True
        if chat.running:
            chat.running.reset = True

    # --- moves and crashes ---------------------------------------------------------------------------------------------

    @precondition(lambda self: len(self.accepted) > 5)  # a move joins chats for good: not before they are busy
    @rule(old=st.sampled_from(CHATS), new=st.sampled_from(CHATS))
    def move(self, old: ChatKey, new: ChatKey) -> None:
        if self.homes[old] != old or self.homes[new] != new or old == new:
            return
        self.do(self.store.move(old, new))
        self.do(self.store.move(old, new))
        source, target = self.chats.pop(old), self.chats[new]
        self.homes = {key: new if home == old else home for key, home in self.homes.items()}
        self.control = [(one, new if key == old else key) for one, key in self.control]
        if not target.heard:
            self.chats[new] = source
            return
        if source.running:
            self.late.append(source.running.claim)
            source.waiting = source.running.rows + source.waiting
        target.waiting = sorted(target.waiting + source.waiting, key=lambda one: one.order)
        target.told = target.told or source.told

    @precondition(lambda self: any(chat.running and not chat.interrupted for chat in self.chats.values()))
    @rule()
    def crash(self) -> None:
        self.do(self.stack.aclose())
        self.open()
        for chat in self.chats.values():
            chat.interrupted = chat.running is not None

    # --- what always holds ---------------------------------------------------------------------------------------------

    @invariant()
    def nothing_is_lost_or_settled_twice(self) -> None:
        waiting = [one.event.event for chat in self.chats.values() for one in chat.waiting]
        running = [one.event.event for chat in self.chats.values() if chat.running for one in chat.running.rows]
        assert sorted(self.settled + waiting + running) == sorted(self.accepted)

    def teardown(self) -> None:
        try:
            self._finish()
        finally:
            self.do(self.stack.aclose())
            self.runner.close()
            self.folder.cleanup()

    def _finish(self) -> None:
        """All that the model still expects, the store still gives; then nothing more."""
        while self.control:
            self._overtake()
        for _ in range(2 * len(self.accepted) + 5):
            for key, chat in self.chats.items():
                if chat.running and not chat.interrupted:
                    self._complete(key)
            self.claim(3)
        assert self.do(self.store.claim(10)) == ([], None)
        assert sorted(self.settled) == sorted(self.accepted)


def _joined(waiting: list[Waiting]) -> int:
    """How many of what waits become one turn."""
    first = waiting[0].event
    same = itertools.takewhile(lambda one: one.event.joins and one.event.joins == first.joins, waiting[1:])
    return 1 + len(list(same))


TestLifecycle = Lifecycle.TestCase
TestLifecycle.settings = settings(max_examples=40, stateful_step_count=40)
