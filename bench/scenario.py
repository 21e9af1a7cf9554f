"""A bot on its stage: Telegram's stand-in, people who write to it, and what they see and when.

A seat is never empty: as soon as its person has an answer, the next one writes, and after `shifts` people it is the first
one's turn again. So as many answers are being made as there are seats, yet no chat is busier than Telegram allows.
The instants are taken where a call of the bot takes effect at Telegram.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from bench import measure, processes
from bench.lag import read
from bench.model import CHECK, Script
from bench.processes import Model
from tests.servers.telegram import Call, Chat, TelegramServer, User

SHOWING = frozenset({"sendMessage", "editMessageText"})
CURSOR = "▌"  # Magpie's mark of a preview
QUIET = 0.5  # seconds without any CPU time: the start is over
AFTERWARDS = 0.5  # seconds that a bot has for what it does after an answer is shown
PATIENCE = 90.0  # seconds for a start, and at least for a load


@dataclass(slots=True)
class Answer:
    """One question's way, in CLOCK_MONOTONIC seconds; 0: not yet. `seen`: what the check word of its answer says that the
    model was asked."""

    seen: str
    asked: float
    first: float = 0.0
    full: float = 0.0
    done: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass(slots=True)
class Talk:
    """One person's chat."""

    number: int
    chat: Chat
    user: User
    answers: list[Answer] = field(default_factory=list)
    calls: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """What a load cost. Seconds; `first` and `full` from the question to the first text and to the whole answer, one for each
    answer; `calls` of Telegram in chats; `others` is the CPU that other programs used meanwhile, in cores."""

    chats: int
    questions: int
    answered: int
    wrong: int
    disorder: int
    seconds: float
    cpu: float
    calls: int
    early: int
    refused: int
    first: list[float]
    full: list[float]
    others: float
    began: float
    ended: float

    @property
    def cpu_per_1000(self) -> float:
        return self.cpu / max(1, self.answered) * 1000


@dataclass(frozen=True, slots=True)
class Start:
    """`cpu` seconds until all is quiet, `seconds` to the first poll, `rss` in MB when idle."""

    cpu: float
    seconds: float
    rss: float


class Stage:
    """One bot of processes.BOTS with a Telegram of its own: `async with stage(...) as it`."""

    def __init__(
        self, server: TelegramServer, script: Script, process: asyncio.subprocess.Process, others: list[int]
    ) -> None:
        self._server = server
        self._script = script
        self._process = process
        self._pid = process.pid
        self._own = others
        self._talks: dict[int, Talk] = {}
        self._numbers = itertools.count()
        self.start = Start(0, 0, 0)

    async def begin(self, started: float) -> None:
        """Wait until the bot is up and quiet; then let it answer once, which must succeed."""
        spent, quiet = 0.0, time.monotonic()
        while time.monotonic() - quiet < QUIET or spent < 0.05:
            if self._process.returncode is not None or time.monotonic() - started > PATIENCE:
                raise RuntimeError("the bot does not start: see its log (--keep)")
            await asyncio.sleep(0.05)
            now = measure.cpu(self._pid)
            if now > spent + 0.015:
                quiet = time.monotonic()
            spent = max(spent, now)
        idle = measure.rss(self._pid)
        warm = await self.load(1, 1)
        if not warm.answered or warm.wrong:
            raise RuntimeError("the bot does not answer as it should: see its log (--keep)")
        polled = self._server.calls("getUpdates")[0].at
        self.start = Start(spent, polled - started, idle)

    def rss(self) -> float:
        return measure.rss(self._pid)

    def cpu(self) -> float:
        return measure.cpu(self._pid)

    async def load(self, chats: int, turns: int, *, shifts: int = 1, spread: float = 0.0) -> Loaded:
        """`chats` seats with `shifts` new people each, who ask `turns` questions each. The seats are taken within `spread`
        seconds."""
        seats = [[self._arrive() for _ in range(shifts)] for _ in range(chats)]
        people = [self._sit(seat, turns, spread * number / chats) for number, seat in enumerate(seats)]
        return await self._measured(people, [talk for seat in seats for talk in seat], turns)

    async def hurried(self, chats: int, questions: int) -> Loaded:
        """People who do not wait for an answer. What waits together is answered together, so only the last answer is timed."""
        talks = [self._arrive() for _ in range(chats)]
        return await self._measured([self._hurry(talk, questions) for talk in talks], talks, 1)

    async def _measured(
        self, people: Sequence[Coroutine[None, None, None]], talks: Sequence[Talk], turns: int
    ) -> Loaded:
        calls = len(self._server.log)
        spent, busy, own = measure.cpu(self._pid), measure.machine_cpu(), self._own_cpu()
        began = time.monotonic()
        try:
            async with asyncio.timeout(PATIENCE), asyncio.TaskGroup() as tasks:
                for person in people:
                    tasks.create_task(person)
        except TimeoutError:
            pass  # those without an answer are counted
        ended = time.monotonic()
        await asyncio.sleep(AFTERWARDS)
        cpu = measure.cpu(self._pid) - spent
        if self._process.returncode is not None:
            raise RuntimeError("the bot ended under load: see its log (--keep)")
        others = measure.machine_cpu() - busy - cpu - (self._own_cpu() - own)
        for talk in talks:
            del self._talks[talk.chat.id]
        made = self._server.log[calls:]
        answers = [answer for talk in talks for answer in talk.answers if answer.full]
        return Loaded(
            chats=len(people),
            questions=len(talks) * turns,
            answered=len(answers),
            wrong=sum(not self._is_right(talk) for talk in talks),
            disorder=sum(not self._is_in_order(talk) for talk in talks),
            seconds=ended - began,
            cpu=cpu,
            calls=sum(talk.calls for talk in talks),
            early=sum(call.early for call in made),
            refused=sum(call.status == 429 for call in made),
            first=[answer.first - answer.asked for answer in answers],
            full=[answer.full - answer.asked for answer in answers],
            others=max(0.0, others) / (ended - began + AFTERWARDS),
            began=began,
            ended=ended,
        )

    def heard(self, call: Call) -> None:
        talk = self._talks.get(call.chat_id or 0)
        if talk is None:
            return
        talk.calls += 1
        text = call.params.get("text")
        if not call.ok or call.method not in SHOWING or not isinstance(text, str) or not text.startswith(CHECK):
            return
        now = time.monotonic()
        seen = _check_word(text)[0]
        answer = next((one for one in talk.answers if one.seen == seen), None)
        if answer is None:
            return
        answer.first = answer.first or now
        if not answer.full and text.rstrip().endswith(self._script.last):
            answer.full = now
            answer.done.set()

    # --- people --------------------------------------------------------------------------------------------------------

    def _arrive(self) -> Talk:
        user = self._server.user()
        talk = Talk(next(self._numbers), self._server.private(user), user)
        self._talks[talk.chat.id] = talk
        return talk

    async def _sit(self, seat: Sequence[Talk], turns: int, wait: float) -> None:
        await asyncio.sleep(wait)
        for turn in range(1, turns + 1):
            for talk in seat:
                answer = Answer("-".join(_questions(talk, turn)), time.monotonic())
                talk.answers.append(answer)
                self._server.say(talk.chat, talk.user, _questions(talk, turn)[-1])
                await answer.done.wait()

    async def _hurry(self, talk: Talk, questions: int) -> None:
        said = _questions(talk, questions)
        answer = Answer("-".join(said), time.monotonic())
        talk.answers.append(answer)
        for text in said:
            self._server.say(talk.chat, talk.user, text)
        await answer.done.wait()

    # --- what they see in the end --------------------------------------------------------------------------------------

    def _is_right(self, talk: Talk) -> bool:
        """Every answer was made from the whole history before it, is complete, and is no preview any more."""
        said: list[str] = []
        answers = 0
        for message in self._server.messages(talk.chat):
            if not message.from_bot:
                said.append(message.text)
                continue
            seen, remembered = _check_word(message.text)
            known = said[: len(seen.split("-"))]
            if (seen, remembered) != ("-".join(known), str(answers)) or not self._is_whole(message.text):
                return False
            answers += 1
        return all(answer.full for answer in talk.answers)

    def _is_whole(self, text: str) -> bool:
        places = [text.find(word) for word in self._script.words]
        return -1 not in places and places == sorted(places) and CURSOR not in text

    def _is_in_order(self, talk: Talk) -> bool:
        """The answers stand in the order of their questions."""
        seen = [message.text.count("q") for message in self._server.messages(talk.chat) if message.from_bot]
        return seen == sorted(seen)

    def _own_cpu(self) -> float:
        """Of the bench itself: this process and the model's."""
        return sum(measure.cpu(pid) for pid in self._own) + time.process_time()


@asynccontextmanager
async def stage(
    kind: str, model: Model, folder: Path, *, floods: bool = False, lag: bool = False
) -> AsyncIterator[Stage]:
    """A bot started, warm and idle. `floods`: Telegram's limits are enforced."""
    calls: list[Stage] = []

    def heard(call: Call) -> None:
        for it in calls:
            it.heard(call)

    async with TelegramServer(floods=floods, on_call=heard) as server:
        variables = {"TELEGRAM_API_URL": server.url, "TELEGRAM_BOT_TOKEN": server.token}
        if lag:
            variables["BENCH_LAG"] = str(folder / "lag")
        started = time.monotonic()
        async with processes.bot(kind, variables, model, folder) as process:
            it = Stage(server, model.script, process, [model.pid])
            calls.append(it)
            await it.begin(started)
            yield it


def _questions(talk: Talk, turns: int) -> list[str]:
    return [f"c{talk.number}q{number}" for number in range(1, turns + 1)]


def _check_word(text: str) -> tuple[str, str]:
    """What the model was asked, and how many answers it remembered."""
    seen, _, remembered = text.split(maxsplit=1)[0].removeprefix(CHECK).rpartition("-a")
    return seen, remembered


def lags(folder: Path, load: Loaded) -> list[float]:
    """How late the event loop of a bot that has ended was during the load, in seconds."""
    return read(folder / "lag", load.began, load.ended)
