"""The connection to Discord's gateway: discord.py's websocket under a supervisor of our own.

discord.py does what it is good at: identifying, heartbeats, resuming, decompression, the send limit. Its cache and event
objects are left out: each event reaches us as raw JSON, so that one malformed event is one line in the log, and a message
costs no objects. `discord.Client.connect` is replaced by `Gateway._connection`, because it waits up to 17 minutes between
attempts and ends at anything unforeseen. All that touches discord.py's inside is in this file.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp
import discord
import yarl
from discord.gateway import DiscordWebSocket, ReconnectWebSocket
from discord.http import Route

from bot.errors import PlatformError, Rejected, Revoked
from bot.platforms.discord_rest import OFFICIAL_API, Rest

log = logging.getLogger(__name__)

BAD_TOKEN, INTENTS_REFUSED = 4004, 4014
HOPELESS = {4010: "bad shard", 4011: "too many servers for one connection", 4012: "API version", 4013: "bad intents"}
CONNECT_SECONDS = 60.0
LONGEST_PAUSE = 60.0  # seconds between two attempts
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


class Gateway:
    """`handlers` get the data of each event that they name, in order, and may not wait. `ready` comes with every new session
    (events before it are lost), `resumed` sessions miss nothing."""

    def __init__(self, rest: Rest, token: str, handlers: Mapping[str, Handler]) -> None:
        self._rest = rest
        self._token = token
        self._handlers = dict(handlers)
        self._content = True  # whether to ask for the message-content intent
        self._failures = 0

    async def run(self) -> None:
        """Stay connected until cancelled. Raises Revoked, and Rejected for what no retry can heal."""
        while True:
            try:
                await self._client()
            except discord.LoginFailure:
                raise Revoked("Discord does not accept DISCORD_BOT_TOKEN") from None
            except (Revoked, Rejected):
                raise
            except _NoContent:
                self._content, self._failures = False, 0
                log.error(NO_CONTENT)
            except (discord.DiscordException, aiohttp.ClientError, OSError, PlatformError) as error:
                log.warning("Discord: no connection: %s", _told(error))
            except Exception:  # a reconnect loop: whatever it was, the next attempt may do better
                log.exception("Discord: the connection ended unforeseen")
            await self._pause()

    async def _client(self) -> None:
        """One login and the connections of it, until its session cannot be kept."""
        intents = discord.Intents(guilds=True, guild_messages=True, dm_messages=True, message_content=self._content)
        discord.VoiceClient.warn_nacl = discord.VoiceClient.warn_dave = False  # no voice here, so no advice about it
        client = discord.Client(intents=intents, max_messages=None, proxy=_proxy(self._rest.api_url))
        official = self._rest.api_url == OFFICIAL_API
        Route.BASE = self._rest.api_url
        if not official:
            # Discord's own address is built into discord.py; another API tells its gateway
            told = await self._rest.call("GET", "/gateway", limit="gateway")
            DiscordWebSocket.DEFAULT_GATEWAY = yarl.URL(told["url"])
        async with client:
            await client.login(self._token)
            # replaces discord.py's own parsers, which fill its cache and end the connection when an event surprises them
            client._connection.parsers = {name: self._guarded(name, one) for name, one in self._handlers.items()}
            await self._stay(client)

    async def _stay(self, client: discord.Client) -> None:
        session, unforeseen = _Session(), 0
        while True:
            before = session.sequence
            try:
                await self._connection(client, session)
            except discord.ConnectionClosed as closed:
                if not self._heals(closed.code):
                    session = _Session()
            except (discord.DiscordException, aiohttp.ClientError, OSError) as error:
                log.warning("Discord: connection lost: %s", _told(error))
            except (Revoked, Rejected):
                raise
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
        if code == INTENTS_REFUSED:
            raise _NoContent
        log.warning("Discord: connection closed with %s", code)
        return False

    async def _connection(self, client: discord.Client, session: _Session) -> None:
        """One websocket, from hello to its end; keeps in `session` what the next one resumes with."""
        resuming = session.id is not None
        opening = DiscordWebSocket.from_client(
            client,
            initial=session.sequence is None,
            gateway=session.url if resuming else None,
            session=session.id,
            sequence=session.sequence,
            resume=resuming,
        )
        socket = await asyncio.wait_for(opening, CONNECT_SECONDS)
        client.ws = socket
        keep = True
        try:
            while True:
                await socket.poll_event()
        except ReconnectWebSocket as wanted:
            keep = wanted.resume
        except asyncio.CancelledError:
            await socket.close(1000)  # goodbye: the bot is offline at once
            raise
        finally:
            session.id, session.sequence, session.url = (
                (socket.session_id, socket.sequence, socket.gateway) if keep else (None, None, None)
            )
            if socket.open:
                await socket.close(4000)  # any code but 1000 and 1001 leaves the session to be resumed

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


def _told(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


def _proxy(url: str) -> str | None:
    """The proxy by which the environment says to reach it: discord.py's own session does not look there."""
    parts = urlsplit(url)
    return None if proxy_bypass(parts.hostname or "") else getproxies().get(parts.scheme)
