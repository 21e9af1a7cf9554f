"""Every link of Magpie, broken in every way while people talk, again and again: what it owes them comes once it is whole again.

A run of one fault on one link: people ask before it, during it, at the instant when it ends, and once all that is answered.
Answers are due within `RECOVERY` of its end, each once and in order. While a model's own link is broken, an answer may be the
sentence that says why there is none: it says to try again, and who does so is heard when the breaker's rest is over.
"""

from __future__ import annotations

import asyncio
import random
import re
import statistics
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from bot import phrases
from bot.models.breaker import MODEL
from bot.models.guarded import Limits
from bot.simulator import Question, Reply, Simulator
from bot.turns.answer import CURSOR
from tests.postgres import Postgres, postgres
from tests.process import Magpie
from tests.servers.discord import DiscordServer
from tests.servers.proxy import FaultProxy
from tests.servers.telegram import TelegramServer
from tests.torture.breaking import KINDS, TCP, Broken, bursts, fault
from tests.torture.part import Effort, Tally

RECOVERY = 30.0  # seconds after a fault's end until nothing is owed any more
PROMPT = 10.0  # seconds for an answer when all is well again
# A model may think for so long before its first word. A connection on which nothing comes, and whose other end (the proxy's) is
# alive, cannot be told from that.
SILENT_MODEL = Limits().first + 5.0
SILENCING = ("half-open", "garbage")
START = 30.0
PEOPLE = 3
LASTING = (2.0, 6.0)  # seconds
LONG = {
    "half-open": 35.0,
    "reset": 75.0,
}  # seconds: longer than any call may take; until waits between tries have grown long

Link = Literal["telegram", "discord", "gateway", "glm", "qwen", "postgres"]
Platform = Literal["telegram", "discord"]
Vendor = Literal["glm", "qwen"]

WHOLE = re.compile(r"(Answer to q\d+\.\d+:( word){12} end\.\s*)+")
NAMED = re.compile(r"Answer to (q\d+\.\d+):")
REASONS = tuple(one.en for one in (*phrases.TROUBLE.values(), phrases.CUT))


def echo(question: Question) -> Reply:
    """Answers each question of the last message by its name."""
    names = re.findall(r"q\d+\.\d+", question.user_turns[-1].text)
    return Reply(
        chunks=tuple(chunk for name in names for chunk in (f"Answer to {name}:", *[" word"] * 12, " end.\n\n"))
    )


@dataclass(frozen=True, slots=True)
class Line:
    """One message in a chat. `of_bot` as it stands now."""

    of_bot: bool
    text: str

    @property
    def whole(self) -> bool:
        return self.of_bot and bool(WHOLE.fullmatch(self.text))

    @property
    def refusal(self) -> bool:
        """Also the beginning of an answer that says that it broke off."""
        return self.of_bot and any(reason in self.text for reason in REASONS)


@dataclass(slots=True)
class Chat:
    """A person's private chat."""

    number: int
    say: Callable[[str], object]
    lines: Callable[[], list[Line]]
    asked: list[str] = field(default_factory=list)

    def ask(self) -> None:
        self.asked.append(f"q{self.number}.{len(self.asked)}")
        self.say(f"{self.asked[-1]} please")

    def answered(self) -> list[str]:
        """The questions that whole answers name, in the order in which they stand."""
        return [name for line in self.lines() if line.whole for name in NAMED.findall(line.text)]

    def settled(self, *, refusals: bool) -> bool:
        """Whether nothing seems to be owed any more."""
        if set(self.answered()) >= set(self.asked):
            return True
        lines = self.lines()
        asked = next(at for at, line in enumerate(lines) if line.text.startswith(self.asked[-1]))
        since = lines[asked:]
        last = any(line.whole and self.asked[-1] in line.text for line in since)
        return refusals and (last or any(line.refusal for line in since))

    def wrong(self, *, refusals: bool) -> Iterator[str]:
        """What should not be, when all is over."""
        names = self.answered()
        if len(names) != len(set(names)):
            yield "answered twice"
        if names != sorted(names, key=self.asked.index):
            yield "out of order"
        for name in self.asked:
            if name not in names and not (refusals and self._refused(name)):
                yield f"no answer to {name}" + (" and no reason" if refusals else "")
        if sum(line.of_bot for line in self.lines()) - self.orphans() > len(self.asked):
            yield "more answers than questions"

    def _refused(self, name: str) -> bool:
        """Whether a reason stands between this question and the answer to any later one."""
        lines = self.lines()
        later = self.asked[self.asked.index(name) + 1 :]
        begin = next(at for at, line in enumerate(lines) if line.text == f"{name} please")
        answers = (at for at, line in enumerate(lines) if line.whole and set(later) & set(NAMED.findall(line.text)))
        return any(line.refusal for line in lines[begin : next(answers, None)])

    def orphans(self) -> int:
        """Previews that nobody will finish."""
        return sum(line.of_bot and line.text.endswith(CURSOR.strip()) for line in self.lines())

    def __str__(self) -> str:
        return " | ".join(f"{'bot' if line.of_bot else 'person'}: {line.text[:80]!r}" for line in self.lines())


@dataclass(slots=True)
class House:
    """Magpie between stand-ins, with a proxy on each link."""

    magpie: Magpie
    models: Simulator
    proxies: dict[Link, FaultProxy]
    telegram: TelegramServer | None = None
    discord: DiscordServer | None = None
    numbers: Iterator[int] = field(default_factory=count)

    def newcomer(self) -> Chat:
        number = next(self.numbers)
        if server := self.telegram:
            user = server.user(f"person{number}")
            chat = server.private(user)

            def say(text: str) -> object:
                return server.say(chat, user, text)

            def lines() -> list[Line]:
                return [Line(message.from_bot, message.text) for message in server.messages(chat)]

            return Chat(number, say, lines)
        there = self.discord
        assert there is not None
        member = there.user(f"person{number}")
        channel = there.dm(member)

        def tell(text: str) -> object:
            return there.say(channel, member, text)

        def read() -> list[Line]:
            return [Line(shown.author == there.bot, shown.content) for shown in there.messages(channel)]

        return Chat(number, tell, read)

    def broken(self, link: Link, kind: str, chance: random.Random) -> Broken:
        if kind in TCP:
            return self.proxies[link].suffering(fault(kind, chance))
        return bursts(link, kind, chance, telegram=self.telegram, discord=self.discord, models=self.models)

    def struck(self, link: Link, kind: str) -> bool:
        """Whether the last fault met anything."""
        return kind not in TCP or self.proxies[link].struck > 0


@asynccontextmanager
async def house(
    directory: Path, platform: Platform, vendor: Vendor, chance: random.Random, database: str = ""
) -> AsyncIterator[House]:
    """`database`: the URL of an empty one in PostgreSQL, SQLite without."""
    await asyncio.to_thread(directory.mkdir, parents=True, exist_ok=True)
    async with AsyncExitStack() as stack:
        models = await stack.enter_async_context(Simulator(script=echo, first_token=0.05, per_token=0.05))
        proxies: dict[Link, FaultProxy] = {}

        async def through(link: Link, url: str) -> str:
            """The same URL by way of a proxy."""
            parts = urlsplit(url)
            assert parts.hostname and parts.port
            proxy = FaultProxy(parts.hostname, parts.port, random.Random(chance.random()))
            proxies[link] = await stack.enter_async_context(proxy)
            return parts._replace(netloc=parts.netloc.replace(str(parts.port), str(proxy.port))).geturl()

        telegram = discord = None
        environment = {"ALLOWED": "*", "DAILY_BUDGET": "10000"}
        if platform == "telegram":
            telegram = await stack.enter_async_context(TelegramServer())
            url = await through("telegram", telegram.url)
            environment |= {"TELEGRAM_BOT_TOKEN": telegram.token, "TELEGRAM_API_URL": url}
        else:
            discord = await stack.enter_async_context(DiscordServer())
            discord.gateway.url = await through("gateway", discord.gateway_url)
            url = await through("discord", discord.api_url)
            environment |= {"DISCORD_BOT_TOKEN": discord.token, "DISCORD_API_URL": url}
        if vendor == "glm":
            url = await through("glm", models.glm_url)
            environment |= {"ZHIPUAI_API_KEY": models.api_key, "ZHIPUAI_BASE_URL": url}
        else:
            url = await through("qwen", models.dashscope_url)
            environment |= {"DASHSCOPE_API_KEY": models.api_key, "DASHSCOPE_HTTP_BASE_URL": url}
        if database:
            environment["STORAGE_URL"] = await through("postgres", database)
        magpie = await stack.enter_async_context(Magpie(directory / "data", environment))
        if discord:
            await discord.wait_for(lambda: discord.connected, START)
        yield House(magpie, models, proxies, telegram, discord)


@dataclass(slots=True)
class Campaign:
    """What all houses find together."""

    tally: Tally = field(default_factory=Tally)
    recoveries: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    orphans: dict[str, int] = field(default_factory=lambda: defaultdict(int))

    async def run(self, house: House, link: Link, kind: str, chance: random.Random, seconds: float) -> None:
        """One fault on one link for so many seconds, from before it until nothing is owed any more."""
        refusals = link in ("glm", "qwen")
        chats = [house.newcomer() for _ in range(PEOPLE)]
        problems = [] if await self._asked(chats, START) else ["no answer even before the fault"]
        chats[0].ask()
        await asyncio.sleep(chance.uniform(0.0, 1.0))  # the fault may strike at any point of this answer
        async with house.broken(link, kind, chance):
            for chat in chats:
                await asyncio.sleep(seconds * chance.uniform(0.0, 0.6) / PEOPLE)
                chat.ask()
            await asyncio.sleep(seconds * 0.5)
        healed = time.monotonic()
        for chat in chats:
            chat.ask()
        limit = SILENT_MODEL if refusals and kind in SILENCING else RECOVERY
        if not await _until(lambda: all(chat.settled(refusals=refusals) for chat in chats), limit):
            problems.append(f"still owing after {limit:g} s")
        self.recoveries[link].append(time.monotonic() - healed)
        prompt = PROMPT + (MODEL.longest if refusals else 0.0)
        if not problems and not await self._heard(house.newcomer(), prompt, refusals=refusals):
            problems.append(f"well again, and no answer within {prompt:g} s")
        # The reason that was seen may have been an earlier question's: what is answered now is the end of all before it.
        if not problems and not await self._asked(chats, limit):
            problems.append("well again, and stuck")
        problems += {problem for chat in chats for problem in chat.wrong(refusals=refusals)}
        orphans = sum(chat.orphans() for chat in chats)
        if orphans and link != "telegram":  # there a send whose answer is lost cannot be made good
            problems.append("a preview left over")
        self.orphans[link] += orphans
        self.tally.tried[f"{link} {kind}" if house.struck(link, kind) else f"{link} {kind}, in vain"] += 1
        if problems:
            told = "\n  ".join(map(str, chats))
            self.tally.wrong.append(f"{link} {kind} ({house.magpie.log}): {'; '.join(problems)}\n  {told}")

    async def _asked(self, chats: Sequence[Chat], seconds: float) -> bool:
        """Everybody asks; whether everybody is answered in time."""
        for chat in chats:
            chat.ask()
        return await _until(lambda: all(chat.asked[-1] in chat.answered() for chat in chats), seconds)

    async def _heard(self, chat: Chat, seconds: float, *, refusals: bool) -> bool:
        """Somebody asks, and again a second after each refusal; whether there is an answer in time."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            chat.ask()
            settled = await _until(lambda: chat.settled(refusals=refusals), until - time.monotonic())
            if settled and chat.answered():
                return True
            await asyncio.sleep(1.0)
        return False

    def ended(self, house: House) -> None:
        """What its log tells, when it is over."""
        said = house.magpie.said()
        if "Traceback" in said:
            told = said[max(0, said.index("Traceback") - 300) :][:3000]
            self.tally.wrong.append(f"an error that nobody foresaw, in {house.magpie.log}: {told}")
        early = [call for call in house.telegram.early_calls if call.chat_id] if house.telegram else []
        if early:
            self.tally.wrong.append(
                f"{len(early)} calls before a RetryAfter had ended, in {house.magpie.log}: {early[0]}"
            )

    def result(self) -> Tally:
        for link, seconds in self.recoveries.items():
            self.tally.figures[f"{link}: recovery, median seconds"] = statistics.median(seconds)
            self.tally.figures[f"{link}: recovery, longest seconds"] = max(seconds)
        for link, number in self.orphans.items():
            if number:
                self.tally.figures[f"{link}: previews left over"] = number
        return self.tally


async def _until(condition: Callable[[], bool], seconds: float) -> bool:
    """Whether it became true in time."""
    try:
        async with asyncio.timeout(seconds):
            while not condition():  # noqa: ASYNC110  # the stand-ins change by themselves
                await asyncio.sleep(0.02)
    except TimeoutError:
        return False
    return True


@dataclass(frozen=True, slots=True)
class Plan:
    """A house and the links that are broken there, each by these faults."""

    platform: Platform
    vendor: Vendor
    pairs: tuple[tuple[Link, str], ...]


def _all(link: Link, kinds: Sequence[str] = KINDS) -> tuple[tuple[Link, str], ...]:
    return tuple((link, kind) for kind in kinds)


EVERYTHING = (
    Plan("telegram", "glm", _all("telegram")),
    Plan("telegram", "glm", _all("glm")),
    Plan("telegram", "qwen", _all("qwen")),
    Plan("telegram", "qwen", _all("postgres", TCP)),
    Plan("discord", "glm", _all("discord")),
    Plan("discord", "glm", _all("gateway")),
)
SHORTEST = (
    Plan("telegram", "glm", (("telegram", "reset"), ("glm", "cut"))),
    Plan("discord", "qwen", (("gateway", "reset"), ("qwen", "5xx"))),
)


async def torture(effort: Effort) -> Tally:
    """Every link at the same time, each in a house of its own; the faults of a link in turn, shuffled, until the time is over.
    A round of them takes two to four minutes. With no time at all a few pairs in two houses, once."""
    campaign = Campaign()
    until = time.monotonic() + effort.seconds
    with ExitStack() as stack:
        database = stack.enter_context(postgres()) if effort.seconds else None
        async with asyncio.TaskGroup() as houses:
            for plan in EVERYTHING if database else SHORTEST:
                houses.create_task(_live(campaign, plan, effort, until, database))
    return campaign.result()


async def _live(campaign: Campaign, plan: Plan, effort: Effort, until: float, server: Postgres | None) -> None:
    """The faults of one house: each once a round, at least one round."""
    name = f"{plan.platform} {plan.pairs[0][0]}"
    chance = effort.chance(f"links {name}")
    async with AsyncExitStack() as stack:
        database = ""
        if server and ("postgres", "reset") in plan.pairs:
            database = await stack.enter_async_context(server.database())
        directory = effort.scratch / name.replace(" ", "-")
        place = await stack.enter_async_context(house(directory, plan.platform, plan.vendor, chance, database))
        for number in count():
            for link, kind in chance.sample(plan.pairs, len(plan.pairs)):
                if number and time.monotonic() > until:
                    return campaign.ended(place)
                await campaign.run(place, link, kind, chance, _seconds(effort, kind, number, chance))
    return None


def _seconds(effort: Effort, kind: str, number: int, chance: random.Random) -> float:
    """How long a fault lasts in this round."""
    if not effort.seconds:
        return 0.5
    return LONG[kind] if kind in LONG and number % 3 == 0 else chance.uniform(*LASTING)
