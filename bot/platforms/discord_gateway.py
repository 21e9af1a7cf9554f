"""A shard's connection to Discord's gateway: discord.py's websocket under a supervisor of our own.

discord.py does what it is good at: identifying, heartbeats, resuming, decompression, the send limit. Its cache and event
objects are left out: each event reaches us as raw JSON, so that one malformed event is one line in the log, and a message
costs no objects. `discord.Client.connect` is replaced by `Gateway._connection`, because it waits up to 17 minutes between
attempts and ends at anything unforeseen. All that touches discord.py's inside is in this file.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp
import discord
import yarl
from discord.gateway import DiscordWebSocket, KeepAliveHandler, ReconnectWebSocket
from discord.http import Route

from bot.errors import PlatformError, Rejected, Revoked, Unreachable
from bot.platforms.discord_limits import Limits
from bot.platforms.discord_rest import Rest
from bot.platforms.discord_shards import Tenure, TooManyServers

log = logging.getLogger(__name__)

BAD_TOKEN, SHARDING_REQUIRED, INTENTS_REFUSED = 4004, 4011, 4014
GOODBYE, KEEPING = 1000, 4000  # the session ends at once; any code but 1000 and 1001 leaves it to be resumed
HOPELESS = {4010: "bad shard", 4012: "API version", 4013: "bad intents"}
CONNECT_SECONDS, GOODBYE_SECONDS = 12.0, 2.0
NOT_OURS_SECONDS = 0.5  # between two looks whether the shard is ours again
LONGEST_PAUSE = 12.0  # seconds between two attempts; how many new sessions a day allows is counted by Starts
PATIENCE_WITH_SESSION = 3  # unforeseen errors in a row before a session is given up

NO_CONTENT = (
    "Discord keeps the text of messages from this bot: its Message Content Intent is off. Until it is on, Magpie reads private "
    "chats, mentions, and commands, but no reply without a ping. Turn it on at https://discord.com/developers/applications > "
    "your application > Bot > Privileged Gateway Intents > Message Content Intent, then restart."
)

Handler = Callable[[dict[str, Any]], None]


@dataclass(slots=True)
class _Session:
    """What a resume needs."""

    id: str | None = None
    sequence: int | None = None
    url: yarl.URL | None = None


class _Client(discord.Client):
    """Identifies itself only while the shard is ours; when it may is settled before it connects."""

    def __init__(
        self, tenure: Tenure, intents: discord.Intents, connector: aiohttp.TCPConnector, proxy: str | None
    ) -> None:
        shard = tenure.shard
        super().__init__(
            intents=intents,
            shard_id=shard.id,
            shard_count=shard.count,
            max_messages=None,
            connector=connector,
            proxy=proxy,
        )
        self._holds = tenure.holds

    async def before_identify_hook(self, shard_id: int | None, *, initial: bool = False) -> None:
        while not self._holds():  # noqa: ASYNC110 # we were paused: the clock says it, and soon we are cancelled or hold it again
            await asyncio.sleep(NOT_OURS_SECONDS)


class _Socket(DiscordWebSocket):
    """Leaves no connection and no heartbeats behind when it is given up before it is ours: nobody else knows of it yet."""

    ours = False

    async def poll_event(self) -> None:
        await self._or_close(super().poll_event())

    async def identify(self) -> None:
        await self._or_close(super().identify())

    async def resume(self) -> None:
        await self._or_close(super().resume())

    async def _or_close(self, step: Awaitable[None]) -> None:
        try:
            await step
        except (Exception, asyncio.CancelledError):
            if not self.ours:
                await _close(self, KEEPING)
            raise


class Gateway:
    """`handlers` get the data of each event that they name, in order, and may not wait. `ready` comes with every new session
    (events before it are lost), `resumed` sessions miss nothing. `heard` is called at every frame, also that which acknowledges
    a heartbeat."""

    def __init__(
        self,
        rest: Rest,
        token: str,
        handlers: Mapping[str, Handler],
        heard: Callable[[], None],
        tenure: Tenure,
        limits: Limits,
    ) -> None:
        self._rest = rest
        self._token = token
        self._handlers = dict(handlers)
        self._heard = heard
        self._tenure = tenure
        self._limits = limits
        self._failures = 0

    async def run(self) -> None:
        """Stay connected until cancelled. Raises Revoked, TooManyServers, and Rejected for what no retry can heal."""
        while True:
            try:
                await self._client()
            except discord.LoginFailure:
                raise Revoked("Discord does not accept DISCORD_BOT_TOKEN") from None
            except (Revoked, Rejected, TooManyServers):
                raise
            except _NoContent:
                self._do_without_content()
            except (discord.DiscordException, aiohttp.ClientError, OSError, PlatformError) as error:
                log.warning("Discord: no connection: %s", _told(error))
            except Exception:  # a reconnect loop: whatever it was, the next attempt may do better
                log.exception("Discord: the connection ended unforeseen")
            await self._pause()

    async def _client(self) -> None:
        """One login and the connections of it, until its session cannot be kept."""
        content = self._tenure.starts.reads_content
        intents = discord.Intents(guilds=True, guild_messages=True, dm_messages=True, message_content=content)
        discord.VoiceClient.warn_nacl = discord.VoiceClient.warn_dave = False  # no voice here, so no advice about it
        # of our own, as discord.py leaves its connections open when its end is interrupted (we are cancelled twice)
        connector = aiohttp.TCPConnector(limit=0)
        client = _Client(self._tenure, intents, connector, _proxy(self._rest.api_url))
        Route.BASE = self._rest.api_url
        async with connector, client:
            async with asyncio.timeout(CONNECT_SECONDS):
                await client.login(self._token)
            # replaces discord.py's own parsers, which fill its cache and end the connection when an event surprises them
            client._connection.parsers = {name: self._guarded(name, one) for name, one in self._handlers.items()}
            await self._stay(client)

    def _do_without_content(self) -> None:
        self._failures = 0
        if self._tenure.starts.reads_content:  # another shard may have said it
            self._tenure.starts.reads_content = False
            log.error(NO_CONTENT)

    async def _stay(self, client: discord.Client) -> None:
        session, unforeseen = _Session(), 0
        while True:
            before = session.sequence
            try:
                await self._connection(client, session)
            except discord.ConnectionClosed as closed:
                if not self._heals(closed.code):
                    session = _Session()
            except (Revoked, Rejected, TooManyServers, _NoContent):
                raise
            except (discord.DiscordException, aiohttp.ClientError, OSError, PlatformError) as error:
                log.warning("Discord: connection lost: %s", _told(error))
            except Exception:  # a frame that nobody foresaw ends a connection, never the bot
                log.exception("Discord: a frame broke the connection; resuming")
                unforeseen = unforeseen + 1 if session.sequence == before else 0
                if unforeseen >= PATIENCE_WITH_SESSION:
                    session, unforeseen = _Session(), 0
            await self._pause()

    def _heals(self, code: int) -> bool:
        """Whether the session may be resumed after this close code. Raises what no retry can heal."""
        if code == BAD_TOKEN:
            raise Revoked("Discord does not accept DISCORD_BOT_TOKEN any more")
        if code in HOPELESS:
            raise Rejected(f"Discord closed the connection for good: {code}, {HOPELESS[code]}")
        if code == SHARDING_REQUIRED:
            raise TooManyServers
        if code == INTENTS_REFUSED:
            raise _NoContent
        log.warning("Discord: connection closed with %s", code)
        return False

    async def _connection(self, client: discord.Client, session: _Session) -> None:
        """One websocket, from hello to its end; keeps in `session` what the next one resumes with."""
        client.ws = socket = await self._open(client, session)
        keep = True
        try:
            while True:
                async with asyncio.timeout(self._limits.silence):
                    await socket.poll_event()
                self._heard()
        except ReconnectWebSocket as wanted:
            keep = wanted.resume
        except asyncio.CancelledError:
            await _close(socket, GOODBYE)
            raise
        finally:
            session.id, session.sequence, session.url = (
                (socket.session_id, socket.sequence, socket.gateway) if keep else (None, None, None)
            )
            if socket.open:
                await _close(socket, KEEPING)

    async def _open(self, client: discord.Client, session: _Session) -> DiscordWebSocket:
        async with asyncio.timeout(None) as deadline, AsyncExitStack() as turn:
            url = session.url if session.id else None
            if url is None:
                url = await turn.enter_async_context(self._tenure.starts.turn(self._tenure.shard))
            deadline.reschedule(asyncio.get_running_loop().time() + CONNECT_SECONDS)
            try:
                socket = await _Socket.from_client(
                    client,
                    gateway=url,
                    shard_id=self._tenure.shard.id,
                    session=session.id,
                    sequence=session.sequence,
                    resume=session.id is not None,
                )
            except ReconnectWebSocket as error:  # discord.py means: connect again
                raise Unreachable("Discord ended the connection before its greeting") from error
        _beat_often(socket, self._limits.beat)
        socket.ours = True
        return socket

    def _guarded(self, name: str, handler: Handler) -> Handler:
        def handle(data: dict[str, Any]) -> None:
            if name in ("READY", "RESUMED"):
                self._failures = 0
            try:
                handler(data)
            except Exception:  # whatever an event holds, it disturbs no other
                log.exception("Discord: a %s event that cannot be read was left out", name)

        return handle

    async def _pause(self) -> None:
        """Nothing before the first attempt after a good connection, then 1, 2, 4 ... seconds, by chance up to half more."""
        if self._failures:
            await asyncio.sleep(min(2.0 ** (self._failures - 1), LONGEST_PAUSE) * random.uniform(1.0, 1.5))
        self._failures += 1


class _NoContent(Exception):
    """The message-content intent is not approved."""


def _beat_often(socket: DiscordWebSocket, seconds: float) -> None:
    """In place of discord.py's own heartbeats, which have begun to wait for as long as Discord said."""
    beats = socket._keep_alive
    if beats is not None and (beats.interval or 0.0) > seconds:
        beats.stop()
        socket._keep_alive = KeepAliveHandler(ws=socket, interval=seconds, shard_id=socket.shard_id)
        socket._keep_alive.start()


async def _close(socket: DiscordWebSocket, code: int) -> None:
    """Without waiting half a minute, as discord.py would, for the goodbye of one who is no longer there."""
    with suppress(TimeoutError):
        async with asyncio.timeout(GOODBYE_SECONDS):
            await socket.close(code)


def _told(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


def _proxy(url: str) -> str | None:
    """The proxy by which the environment says to reach it: discord.py's own session does not look there."""
    parts = urlsplit(url)
    return None if proxy_bypass(parts.hostname or "") else getproxies().get(parts.scheme)
