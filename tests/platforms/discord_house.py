"""A small house around the Discord adapter, for its tests: a door list, an inbox, notes and pictures, all in memory; and
several houses that share their duties, as processes do.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import aiohttp

from bot.errors import StorageError
from bot.messages import Address, ChatKey, Event, Incoming, Message, Pressed
from bot.phrases import Phrase
from bot.platforms.discord import DiscordPlatform
from bot.platforms.discord_limits import Limits
from bot.ports import Duties, MenuEntry
from bot.turns.fleet import Alone
from tests.conversations import KeptFiles
from tests.servers.discord import DiscordServer
from tests.servers.discord_state import Channel

MODELS = ("glm-4-flash", "glm-4-plus", "qwen-plus")
MENU = (
    MenuEntry("help", Phrase("What I can do", "我会什么")),
    MenuEntry(
        "image",
        Phrase("Draw a picture", "画一张图"),
        Phrase("[WxH] prompt", "[宽x高] 描述"),
        required=True,
        attachment=Phrase("picture", "图片"),
    ),
    MenuEntry(
        "model",
        Phrase("Choose the model", "选择模型"),
        Phrase("name", "名称"),
        choices=lambda typed: [name for name in MODELS if typed in name],
    ),
    MenuEntry("reset", Phrase("Begin anew", "重新开始")),
    MenuEntry("stop", Phrase("Stop the answer", "停止回答")),
)


@dataclass
class Door:
    """Everybody may come in but the `strangers`, who are told so once."""

    strangers: set[str] = field(default_factory=set)
    owners: set[str] = field(default_factory=set)
    asked: list[tuple[str, ...]] = field(default_factory=list)
    told: set[str] = field(default_factory=set)

    def admits(self, platform: str, person: str, *places: str) -> bool:
        self.asked.append((platform, person, *places))
        return person not in self.strangers

    def owns(self, platform: str, person: str) -> bool:
        return person in self.owners

    def turn_away(self, platform: str, person: str) -> bool:
        if person in self.told:
            return False
        self.told.add(person)
        return True


@dataclass
class Inbox:
    """Accepts each event once; `full` makes it refuse, `gate` makes it wait."""

    events: dict[str, Event] = field(default_factory=dict)
    full: bool = False
    refusals: int = 0
    open: asyncio.Event = field(default_factory=asyncio.Event)
    changed: asyncio.Condition = field(default_factory=asyncio.Condition)

    def __post_init__(self) -> None:
        self.open.set()

    async def accept(self, events: Sequence[Event]) -> None:
        await self.open.wait()
        async with self.changed:
            self.changed.notify_all()
            if self.full:
                self.refusals += 1
                raise StorageError("disk full")
            for event in events:
                self.events.setdefault(event.event, event)

    async def wait_for(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(10), self.changed:
            await self.changed.wait_for(condition)

    @property
    def accepted(self) -> list[Event]:
        return list(self.events.values())


@dataclass
class Notes:
    values: dict[str, str] = field(default_factory=dict)

    async def notes(self, prefix: str) -> dict[str, str]:
        return {name: value for name, value in self.values.items() if name.startswith(prefix)}

    async def note(self, values: dict[str, str]) -> None:
        self.values |= values


@dataclass
class Rota:
    """Who of several processes has which duty."""

    holders: dict[str, "Worker"] = field(default_factory=dict)
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    def take(self, name: str, worker: "Worker") -> bool:
        return self.holders.setdefault(name, worker) is worker

    def free(self, worker: "Worker", *names: str) -> None:
        for name in names:
            if self.holders.get(name) is worker:
                del self.holders[name]
        self.changed.set()
        self.changed = asyncio.Event()

    def shards(self, worker: "Worker") -> list[int]:
        """The numbers of those that it holds: discord/<application>/<number>/<count>."""
        names = (name.split("/") for name, holder in self.holders.items() if holder is worker)
        return sorted(int(parts[2]) for parts in names if len(parts) == 4 and parts[2].isdigit())


class Worker:
    """A process as `Duties` that a test can pause and end."""

    def __init__(self, rota: Rota) -> None:
        self.rota = rota
        self.here = True
        self._working: set[asyncio.Future[None]] = set()

    def holds(self, name: str) -> bool:
        return self.here and self.rota.holders.get(name) is self

    async def perform(self, name: str, work: Callable[[], Awaitable[None]]) -> None:
        while True:
            while not (self.here and self.rota.take(name, self)):
                await self.rota.changed.wait()
            working = asyncio.ensure_future(work())
            self._working.add(working)
            try:
                await asyncio.wait([working])
            finally:
                working.cancel()
                await asyncio.wait([working])
                self._working.discard(working)
                self.rota.free(self, name)
            if not working.cancelled():
                return working.result()

    def pause(self) -> None:
        """Others may take its duties, and it has not noticed: its work goes on."""
        self.here = False
        self.rota.free(self, *self.rota.holders)

    def lose(self) -> None:
        """The same, and it has noticed: all its work is cancelled."""
        self.pause()
        for working in self._working:
            working.cancel()

    def come_back(self) -> None:
        self.here = True
        self.rota.free(self)


@dataclass
class House:
    server: DiscordServer
    platform: DiscordPlatform
    door: Door
    inbox: Inbox
    notes: Notes
    pictures: KeptFiles
    duties: Duties

    def read(self) -> list[Incoming]:
        return [self.platform.read(event.payload) for event in self.inbox.accepted]

    def messages(self) -> list[Message]:
        return [one for one in self.read() if isinstance(one, Message)]

    def presses(self) -> list[Pressed]:
        return [one for one in self.read() if isinstance(one, Pressed)]

    async def heard(self, count: int = 1) -> list[Event]:
        """The accepted events, once there are at least `count`."""
        await self.inbox.wait_for(lambda: len(self.inbox.events) >= count)
        return self.inbox.accepted

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[None]:
        """The bot runs, is connected, and stops at the end as on a restart."""
        before = self.server.gateway.identifies
        task = asyncio.create_task(self.platform.listen(self.inbox))
        try:
            ready = asyncio.create_task(self.server.wait_for(lambda: self.server.gateway.identifies > before))
            await asyncio.wait([task, ready], return_when=asyncio.FIRST_COMPLETED)
            ready.cancel()
            if task.done():
                await task
            yield
        finally:
            task.cancel()
            await asyncio.wait([task])


@asynccontextmanager
async def house(
    server: DiscordServer,
    *,
    token: str = "",
    notes: Notes | None = None,
    inbox: Inbox | None = None,
    duties: Duties | None = None,
    limits: Limits | None = None,
) -> AsyncIterator[House]:
    door, inbox, kept, pictures = Door(), inbox or Inbox(), notes or Notes(), KeptFiles()
    duties = duties or Alone()
    async with aiohttp.ClientSession() as session:
        platform = DiscordPlatform(
            token=token or server.token,
            api_url=server.api_url,
            gate=door,
            cursors=kept,
            files=pictures,
            menu=MENU,
            session=session,
            duties=duties,
            limits=limits,
        )
        yield House(server, platform, door, inbox, kept, pictures, duties)


def address(channel: Channel, *, reply_to: str = "", via: str = "") -> Address:
    return Address(ChatKey("discord", str(channel.id)), reply_to, via, channel.guild is not None)
