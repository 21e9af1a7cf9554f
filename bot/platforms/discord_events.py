"""What the gateway tells, sorted: messages and edits that are ours go to the inbox, interactions to their own lane, and where
channels stand is remembered. The rest only moves watermarks.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine, Sequence
from typing import Any

from bot import phrases
from bot.errors import PlatformError, StorageError
from bot.messages import Event
from bot.platforms import discord_menu, discord_read
from bot.platforms.discord_gateway import Handler
from bot.platforms.discord_inbox import MessageInbox, Seen
from bot.platforms.discord_interactions import Interactions
from bot.platforms.discord_limits import Limits
from bot.platforms.discord_read import PLATFORM, JsonObject, Me, Place
from bot.platforms.discord_rest import NO_PINGS, Rest
from bot.platforms.discord_shards import Tenure
from bot.ports import Cursors, Gatekeeper, Intake, MenuEntry

log = logging.getLogger(__name__)

MOST_AT_ONCE = 200  # interactions and short replies under way


class Events:
    """The events of one shard while it is ours; the group `tasks` runs what they start.

    Messages are taken even in the moment after the shard was lost: the inbox knows what it has, and nobody may have heard
    them but us. What acts on Discord is left to the new holder."""

    def __init__(
        self,
        rest: Rest,
        gate: Gatekeeper,
        cursors: Cursors,
        intake: Intake,
        interactions: Interactions,
        menu: Sequence[MenuEntry],
        tasks: asyncio.TaskGroup,
        tenure: Tenure,
        limits: Limits,
    ) -> None:
        self._rest = rest
        self._gate = gate
        self._cursors = cursors
        self._menu = menu
        self._tasks = tasks
        self._tenure = tenure
        self._running = 0
        self._me = Me("")
        self._places: dict[str, Place] = {}  # channels and threads of servers
        self.inbox = MessageInbox(rest, cursors, intake, self._read_past, tenure, limits)
        self._interactions = interactions

    def handlers(self) -> dict[str, Handler]:
        return {
            "READY": self._ready,
            "RESUMED": lambda _: None,
            "GUILD_CREATE": self._guild,
            "CHANNEL_CREATE": self._channel,
            "CHANNEL_UPDATE": self._channel,
            "CHANNEL_DELETE": self._no_channel,
            "THREAD_CREATE": self._channel,
            "THREAD_UPDATE": self._channel,
            "THREAD_DELETE": self._no_channel,
            "THREAD_LIST_SYNC": self._threads,
            "MESSAGE_CREATE": self._message,
            "MESSAGE_UPDATE": self._message_update,
            "INTERACTION_CREATE": self._interaction,
        }

    # --- where ---------------------------------------------------------------------------------------------------------

    def _ready(self, data: JsonObject) -> None:
        self._me = Me(data["user"]["id"], self._me.roles)
        self.inbox.lost_session([guild["id"] for guild in data["guilds"]])
        log.info("Discord: connected as %s", data["user"].get("username"))
        if self._tenure.shard.id == 0:  # once for all shards
            self._start(self._register(data["application"]["id"]))

    async def _register(self, application: str) -> None:
        try:
            await discord_menu.register(self._rest, self._cursors, application, self._menu)
        except (PlatformError, StorageError) as error:
            log.warning("Discord: the slash commands are not registered: %s", error)

    def _guild(self, data: JsonObject) -> None:
        if data.get("unavailable"):
            return
        channels = [*data.get("channels", ()), *data.get("threads", ())]
        for channel in channels:
            self._channel(channel | {"guild_id": data["id"]})
        self.inbox.server(
            data["id"], {self._places[one["id"]]: int(one.get("last_message_id") or 0) for one in channels}
        )
        own = (role["id"] for role in data.get("roles", ()) if (role.get("tags") or {}).get("bot_id") == self._me.id)
        self._me = Me(self._me.id, self._me.roles | frozenset(own))

    def _channel(self, data: JsonObject) -> None:
        place = Place.told(data["id"], data.get("guild_id"), data.get("parent_id"))
        self._places[place.channel] = place

    def _threads(self, data: JsonObject) -> None:
        """Those of a channel that has just become visible to us."""
        for thread in data["threads"]:
            self._channel(thread | {"guild_id": data["guild_id"]})

    def _no_channel(self, data: JsonObject) -> None:
        self._places.pop(data["id"], None)

    def _place(self, data: JsonObject) -> Place:
        parent = (data.get("channel") or {}).get("parent_id")
        told = Place.told(data["channel_id"], data.get("guild_id"), parent)
        return self._places.get(told.channel) or told

    # --- what ----------------------------------------------------------------------------------------------------------

    def _message(self, data: JsonObject) -> None:
        place, message = self._place(data), discord_read.snowflake(data["id"])
        event: Event | None = None
        try:
            event = self._read_past(data, place)
            if event is None:
                self._turn_away(data, place)
        finally:
            # a message that cannot be read has passed by all the same
            self.inbox.put(Seen(place, message, event))

    def _message_update(self, data: JsonObject) -> None:
        place = self._place(data)
        if "author" in data and self._is_ours(data, place) and (event := discord_read.changed(data, self._me, place)):
            self.inbox.put(Seen(place, event.message, event))

    def _interaction(self, data: JsonObject) -> None:
        if self._tenure.holds():
            self._start(self._interactions.take(data, self._me, self._place(data)))

    def _read_past(self, data: JsonObject, place: Place) -> Event | None:
        return discord_read.said(data, self._me, place) if self._is_ours(data, place) else None

    def _is_ours(self, data: JsonObject, place: Place) -> bool:
        return discord_read.addressed(data, self._me, place) and self._admits(data["author"]["id"], place)

    def _admits(self, person: str, place: Place) -> bool:
        return self._gate.admits(PLATFORM, person, *filter(None, (place.guild, place.channel, place.parent)))

    def _turn_away(self, data: JsonObject, place: Place) -> None:
        """One polite line to a stranger, in private only."""
        person: str = data["author"]["id"]
        if place.guild or not discord_read.addressed(data, self._me, place) or self._admits(person, place):
            return
        if self._tenure.holds() and self._gate.turn_away(PLATFORM, person):
            phrase = phrases.STRANGER.format(id=f"{PLATFORM}:{person}")
            text = phrase.to(discord_read.language_of(data.get("content") or ""))
            self._start(self._tell(place.channel, text))

    async def _tell(self, channel: str, text: str) -> None:
        body = {"content": text, "allowed_mentions": NO_PINGS}
        try:
            await self._rest.call("POST", f"/channels/{channel}/messages", body, limit=f"send {channel}")
        except PlatformError as error:
            log.info("Discord: a stranger was not told: %s", error)

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        if self._running >= MOST_AT_ONCE:
            log.warning("Discord: too much at once; an interaction is left unanswered")
            work.close()
            return
        self._running += 1
        self._tasks.create_task(self._bounded(work))

    async def _bounded(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except Exception:  # the boundary: whatever it holds, it disturbs no other
            log.exception("Discord: an interaction that cannot be read was left out")
        finally:
            self._running -= 1
