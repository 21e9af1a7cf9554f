"""What the Telegram adapter's tests put around it: small real neighbours and a stand-in server on a real socket."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import aiohttp

from bot.access import Access
from bot.errors import StorageError
from bot.files import FileStore
from bot.fleet import Alone
from bot.messages import Event, Incoming, Message
from bot.phrases import Phrase
from bot.platforms.telegram import TelegramPlatform
from bot.platforms.telegram_webhook import Webhook
from bot.ports import Duties, MenuEntry
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


@dataclass
class House:
    server: TelegramServer
    platform: TelegramPlatform
    inbox: Inbox
    notes: Notes
    shelf: FileStore

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
) -> AsyncIterator[House]:
    """The adapter without its loop."""
    with TemporaryDirectory() as kept:
        async with aiohttp.ClientSession() as session:
            notes, shelf = notes or Notes(), FileStore(Path(kept))
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
