"""What the Telegram adapter's tests put around it: small real neighbours and a stand-in server on a real socket."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import aiohttp

from bot.access import Access
from bot.errors import StorageError
from bot.files import FileStore
from bot.messages import Event, Incoming, Message
from bot.phrases import Phrase
from bot.platforms.telegram import TelegramPlatform
from bot.platforms.telegram_webhook import Webhook
from bot.ports import Duties, MenuEntry, SharedFiles
from bot.turns.fleet import Alone
from tests.process import free_port
from tests.servers.telegram import TelegramServer

MENU = (
    MenuEntry("help", Phrase("What I can do", "我能做什么")),
    MenuEntry("image", Phrase("Draw a picture", "画一张图"), argument=Phrase("prompt", "描述")),
)


@dataclass
class Inbox:
    """Accepts each event once; `broken` accepts that fail with a StorageError come first."""

    broken: int = 0
    events: list[Event] = field(default_factory=list)
    refused: int = 0
    arrived: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def accept(self, events: Sequence[Event]) -> None:
        if self.broken:
            self.broken -= 1
            self.refused += 1
            raise StorageError("the disk is full")
        known = {event.event for event in self.events}
        self.events += [event for event in events if event.event not in known]
        async with self.arrived:
            self.arrived.notify_all()

    async def wait(self, count: int = 1, seconds: float = 10) -> list[Event]:
        async with asyncio.timeout(seconds), self.arrived:
            await self.arrived.wait_for(lambda: len(self.events) >= count)
        return self.events


class Notes:
    """ports.Cursors in memory."""

    def __init__(self) -> None:
        self.kept: dict[str, str] = {}

    async def notes(self, prefix: str) -> dict[str, str]:
        return {name: value for name, value in self.kept.items() if name.startswith(prefix)}

    async def note(self, values: dict[str, str]) -> None:
        self.kept |= values


class Office:
    """Duties that several processes share. `give` hands all to one; a process `asleep` is not told that it lost them."""

    def __init__(self) -> None:
        self.holder: Clerk | None = None
        self._news = asyncio.Condition()

    async def give(self, clerk: Clerk | None) -> None:
        self.holder = clerk
        await self.tell()

    async def tell(self) -> None:
        async with self._news:
            self._news.notify_all()

    async def wait(self, condition: Callable[[], object]) -> None:
        async with self._news:
            await self._news.wait_for(condition)


class Clerk:
    """ports.Duties of one process."""

    def __init__(self, office: Office) -> None:
        self.asleep = False
        self._office = office

    def holds(self, name: str) -> bool:
        return self._office.holder is self

    async def perform(self, name: str, work: Callable[[], Awaitable[None]]) -> None:
        while True:
            await self._office.wait(lambda: self._office.holder in (None, self))
            self._office.holder = self
            working = asyncio.ensure_future(work())
            lost = asyncio.ensure_future(self._office.wait(lambda: not (self.asleep or self.holds(name))))
            try:
                await asyncio.wait({working, lost}, return_when=asyncio.FIRST_COMPLETED)
                if working.done():
                    return working.result()
            finally:
                working.cancel()
                lost.cancel()
                await asyncio.wait({working, lost})
                if self.holds(name):
                    await self._office.give(None)


@dataclass
class House:
    server: TelegramServer
    platform: TelegramPlatform
    inbox: Inbox
    notes: Notes
    shelf: FileStore
    hook: str = ""  # the webhook's URL

    async def incoming(self, count: int = 1) -> list[Incoming]:
        return [self.platform.read(event.payload) for event in await self.inbox.wait(count)]

    async def message(self) -> Message:
        """The first message that came."""
        incoming = (await self.incoming())[0]
        assert isinstance(incoming, Message)
        return incoming

    async def confirmed(self) -> None:
        """All that the server had is confirmed."""
        await until(lambda: not self.server.pending)


async def until(condition: Callable[[], object], seconds: float = 10) -> None:
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 -- these conditions tell nobody when they come true
            await asyncio.sleep(0.01)


@asynccontextmanager
async def adapter(
    server: TelegramServer,
    *,
    allowed: str = "*",
    token: str = "",
    drafts: bool = False,
    silence: float = 90.0,
    webhook: Webhook | None = None,
    duties: Duties | None = None,
    notes: Notes | None = None,
    shared: SharedFiles | None = None,
) -> AsyncIterator[House]:
    """The adapter without its loop."""
    with TemporaryDirectory() as kept:
        async with aiohttp.ClientSession() as session:
            notes, shelf = notes or Notes(), FileStore(Path(kept), shared)
            platform = TelegramPlatform(
                token=token or server.token,
                api_url=server.url,
                session=session,
                gate=Access(frozenset({"telegram:1"}), frozenset(allowed.split(",") if allowed else ())),
                duties=duties or Alone(),
                cursors=notes,
                files=shelf,
                menu=MENU,
                webhook=webhook,
                drafts=drafts,
                silence=silence,
                check=0.2,
            )
            yield House(server, platform, Inbox(), notes, shelf)


@asynccontextmanager
async def taking(
    server: TelegramServer,
    *,
    allowed: str = "*",
    port: int = 0,
    broken: int = 0,
    duties: Duties | None = None,
    notes: Notes | None = None,
    listening: bool = True,
    url: str = "http://127.0.0.1:{port}/telegram/hook",
) -> AsyncIterator[House]:
    """The adapter behind a webhook at `server`, once it is set or, not `listening`, before anything."""
    port = port or free_port()
    webhook = Webhook(url.format(port=port), "127.0.0.1", port)
    async with (
        adapter(server, allowed=allowed, webhook=webhook, duties=duties, notes=notes) as house,
        asyncio.TaskGroup() as tasks,
    ):
        house.inbox.broken = broken
        house.hook = webhook.url
        if not listening:
            yield house
            return
        loop = tasks.create_task(house.platform.listen(house.inbox))
        await until(lambda: listens(port))
        if duties is None:
            await server.wait_for(lambda: server.calls("setWebhook"))
        yield house
        loop.cancel()


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@asynccontextmanager
async def listening(
    server: TelegramServer, *, allowed: str = "*", broken: int = 0, silence: float = 90.0
) -> AsyncIterator[House]:
    """The adapter, connected and polling."""
    async with adapter(server, allowed=allowed, silence=silence) as house, asyncio.TaskGroup() as tasks:
        house.inbox.broken = broken
        loop = tasks.create_task(house.platform.listen(house.inbox))
        await server.wait_for(lambda: server.calls("deleteWebhook"))
        yield house
        loop.cancel()
