"""The stand-in's gateway: one websocket per connection, sessions that outlive it, shards, resume, heartbeats, close codes.

Like Discord it knows no owner of a shard: of several sessions of one shard each gets every event.
Frames are plain text JSON, which clients accept whatever compression they offer. Events are published from anywhere
without waiting; each connection has a queue and one task that writes it.
"""

import asyncio
import json
import math
import secrets
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from aiohttp import WSMsgType, web

from tests.servers.discord_payloads import (
    guild_payload,
    member_payload,
    user_payload,
    without_content,
)
from tests.servers.discord_state import Guild, JsonObject, World

DISPATCH, HEARTBEAT, IDENTIFY, PRESENCE, VOICE_STATE, RESUME, RECONNECT = 0, 1, 2, 3, 4, 6, 7
REQUEST_MEMBERS, INVALID_SESSION, HELLO, HEARTBEAT_ACK = 8, 9, 10, 11

GUILDS, GUILD_MEMBERS, GUILD_PRESENCES = 1 << 0, 1 << 1, 1 << 8
GUILD_MESSAGES, GUILD_REACTIONS, DIRECT_MESSAGES, DIRECT_REACTIONS = 1 << 9, 1 << 10, 1 << 12, 1 << 13
MESSAGE_CONTENT = 1 << 15
PRIVILEGED = GUILD_MEMBERS | GUILD_PRESENCES | MESSAGE_CONTENT
ALL_INTENTS = (1 << 26) - 1

UNKNOWN_OP, BAD_JSON, NOT_IDENTIFIED, BAD_TOKEN, IDENTIFIED_TWICE = 4001, 4002, 4003, 4004, 4005
BAD_SEQ, TOO_MANY_FRAMES, TIMED_OUT, BAD_SHARD, SHARDING_REQUIRED, BAD_VERSION = 4007, 4008, 4009, 4010, 4011, 4012
BAD_INTENTS, FORBIDDEN_INTENTS = 4013, 4014
SESSION_ENDING = {1000, 1001, BAD_SEQ, TIMED_OUT}  # after these a client has to identify anew
FRAMES_PER_MINUTE = 120
BACKLOG = 1000  # events kept for a resume
MOST_GUILDS = 2500  # of one shard
STARTS_PER_DAY = 1000  # sessions; who begins more has the token reset
APPROVED_FLAGS = {GUILD_PRESENCES: 1 << 13, GUILD_MEMBERS: 1 << 15, MESSAGE_CONTENT: 1 << 19}  # application flags


@dataclass(frozen=True, slots=True)
class Frame:
    """One gateway frame, for a test's log. `direction` is "in" (from the bot), "out" or "close" (op: the code)."""

    direction: str
    op: int
    event: str | None
    data: object


@dataclass(slots=True)
class Session:
    id: str
    intents: int
    shard: int = 0
    shards: int = 1
    seq: int = 0
    backlog: deque[tuple[int, JsonObject]] = field(default_factory=lambda: deque(maxlen=BACKLOG))
    connection: "Connection | None" = None

    def is_told_of(self, guild: int) -> bool:
        """Whether events of this guild come here; 0 are private chats, which shard 0 hears."""
        return (guild >> 22) % self.shards == self.shard


@dataclass(slots=True, eq=False)
class Connection:
    socket: web.WebSocketResponse
    transport: asyncio.Transport | None
    outgoing: asyncio.Queue[JsonObject | int] = field(default_factory=asyncio.Queue)  # a frame, or a code to close with
    session: Session | None = None
    beaten: asyncio.Event = field(default_factory=asyncio.Event)
    received: deque[float] = field(default_factory=lambda: deque(maxlen=FRAMES_PER_MINUTE))


class Gateway:
    """`approved` are the privileged intents switched on in the developer portal; `heartbeat_interval` in seconds. `shards` is
    what Discord recommends; in each `identify_seconds` (Discord's are 5, 0 lets everybody in) one shard may identify of
    those with the same remainder by `max_concurrency`."""

    def __init__(
        self,
        world: World,
        *,
        token: str,
        url: str,
        approved: int,
        heartbeat_interval: float,
        on_frame: Callable[[Frame], None],
        shards: int = 1,
        max_concurrency: int = 1,
        identify_seconds: float = 0.0,
    ) -> None:
        self.world = world
        self.token = token
        self.url = url
        self.approved = approved
        self.heartbeat_interval = heartbeat_interval
        self.on_frame = on_frame
        self.shards = shards
        self.max_concurrency = max_concurrency
        self.identify_seconds = identify_seconds
        self.most_guilds = MOST_GUILDS
        self.starts_per_day = STARTS_PER_DAY
        self.sessions: dict[str, Session] = {}
        self.connections: set[Connection] = set()
        self.identifies = 0
        self.hasty = 0  # identifies that came too early after another
        self._identified: dict[int, float] = {}  # when, by remainder
        self.muted = False  # a zombie: the socket is open, nothing comes out any more
        self.refusing = False
        self.hanging_up = False  # before the greeting

    @property
    def application_flags(self) -> int:
        return sum(flag for intent, flag in APPROVED_FLAGS.items() if self.approved & intent)

    def publish(self, event: str, data: JsonObject, *, intent: int = 0, private: bool = False) -> None:
        """Hands an event to each session of its shard that asked for `intent`. `private`: a message whose content needs
        MESSAGE_CONTENT."""
        guild = int(data["id"] if event in ("GUILD_CREATE", "GUILD_DELETE") else data.get("guild_id") or 0)
        for session in self.sessions.values():
            if not session.is_told_of(guild) or (intent and not session.intents & intent):
                continue
            hidden = private and not session.intents & MESSAGE_CONTENT
            self._dispatch(session, event, without_content(data) if hidden else data)

    def publish_raw(self, event: str, data: JsonObject) -> None:
        """To every session, whatever it holds."""
        for session in self.sessions.values():
            self._dispatch(session, event, data)

    def _dispatch(self, session: Session, event: str, data: JsonObject) -> None:
        session.seq += 1
        session.backlog.append((session.seq, {"op": DISPATCH, "t": event, "s": session.seq, "d": data}))
        if session.connection is not None:
            session.connection.outgoing.put_nowait(session.backlog[-1][1])

    def close(self, code: int | None) -> None:
        """Closes each connection with `code`; None cuts them without a close frame, as a broken network does."""
        for connection in tuple(self.connections):
            if code is None and connection.transport is not None:
                connection.transport.abort()
            elif code is not None:
                self._end(connection, code)

    def invalidate(self, *, resumable: bool) -> None:
        """Opcode 9 to everybody; unless `resumable` the sessions are forgotten."""
        for session in tuple(self.sessions.values()):
            if not resumable:
                del self.sessions[session.id]
            if session.connection is not None:
                session.connection.outgoing.put_nowait({"op": INVALID_SESSION, "d": resumable})
                self._detach(session.connection)

    def ask_reconnect(self) -> None:
        for connection in self.connections:
            connection.outgoing.put_nowait({"op": RECONNECT, "d": None})

    async def serve(self, request: web.Request) -> web.StreamResponse:
        if self.refusing:
            return web.Response(status=503)
        socket = web.WebSocketResponse(timeout=1.0)
        await socket.prepare(request)
        if self.hanging_up:
            await socket.close(code=4000)
            return socket
        connection = Connection(socket, request.transport)
        self.connections.add(connection)
        version = request.query.get("v")
        first: JsonObject = {"op": HELLO, "d": {"heartbeat_interval": int(self.heartbeat_interval * 1000)}}
        connection.outgoing.put_nowait(first if version in (None, "9", "10") else BAD_VERSION)
        try:
            async with asyncio.TaskGroup() as tasks:
                helpers = [tasks.create_task(self._write(connection)), tasks.create_task(self._watch(connection))]
                await self._read(connection)
                for helper in helpers:
                    helper.cancel()
        finally:
            self.connections.discard(connection)
            if socket.close_code in (1000, 1001) and connection.session is not None:
                self.sessions.pop(connection.session.id, None)  # the client said goodbye: nothing to resume
            self._detach(connection)
            self.on_frame(Frame("close", socket.close_code or 1006, None, None))
        return socket

    def _detach(self, connection: Connection) -> None:
        if connection.session is not None and connection.session.connection is connection:
            connection.session.connection = None
        connection.session = None

    def _end(self, connection: Connection, code: int) -> None:
        if code in SESSION_ENDING and connection.session is not None:
            self.sessions.pop(connection.session.id, None)
        self._detach(connection)
        connection.outgoing.put_nowait(code)

    async def _write(self, connection: Connection) -> None:
        while True:
            item = await connection.outgoing.get()
            if isinstance(item, int):
                await connection.socket.close(code=item)
                return
            if self.muted:
                continue
            self.on_frame(Frame("out", item["op"], item.get("t"), item["d"]))
            try:
                await connection.socket.send_str(json.dumps({"t": None, "s": None} | item))
            except ConnectionError:
                return  # the reader notices as well and ends the connection

    async def _watch(self, connection: Connection) -> None:
        """Closes a connection whose client has stopped beating; half an interval is granted on top."""
        while True:
            try:
                async with asyncio.timeout(self.heartbeat_interval * 1.5):
                    await connection.beaten.wait()
            except TimeoutError:
                self._end(connection, TIMED_OUT)
                return
            connection.beaten.clear()

    async def _read(self, connection: Connection) -> None:
        async for message in connection.socket:
            if message.type is not WSMsgType.TEXT:
                break
            try:
                frame = json.loads(message.data)
                op, data = frame["op"], frame.get("d")
            except (ValueError, KeyError, TypeError):
                self._end(connection, BAD_JSON)
                continue
            self.on_frame(Frame("in", op, None, data))
            if code := self._take(connection, op, data):
                self._end(connection, code)

    def _take(self, connection: Connection, op: int, data: Any) -> int | None:
        """Handles one frame; the code to close with when it is not acceptable."""
        now = asyncio.get_running_loop().time()
        if len(connection.received) == FRAMES_PER_MINUTE and now - connection.received[0] < 60:
            return TOO_MANY_FRAMES
        connection.received.append(now)
        if op == HEARTBEAT:
            connection.beaten.set()
            connection.outgoing.put_nowait({"op": HEARTBEAT_ACK, "d": None})
            return None
        if op in (IDENTIFY, RESUME, REQUEST_MEMBERS) and not isinstance(data, dict):
            return BAD_JSON
        if op in (IDENTIFY, RESUME):
            if connection.session is not None:
                return IDENTIFIED_TWICE
            return self._identify(connection, data) if op == IDENTIFY else self._resume(connection, data)
        if op not in (PRESENCE, VOICE_STATE, REQUEST_MEMBERS):
            return UNKNOWN_OP
        if connection.session is None:
            return NOT_IDENTIFIED
        if op == REQUEST_MEMBERS:
            self._send_members(connection.session, data)
        return None

    def _identify(self, connection: Connection, data: JsonObject) -> int | None:
        intents = data.get("intents")
        if data.get("token") != self.token:
            return BAD_TOKEN
        if not isinstance(intents, int) or intents & ~ALL_INTENTS:
            return BAD_INTENTS
        if intents & PRIVILEGED & ~self.approved:
            return FORBIDDEN_INTENTS
        shard, shards = _shard_of(data)
        if not 0 <= shard < shards:
            return BAD_SHARD
        session = Session(secrets.token_hex(16), intents, shard, shards, connection=connection)
        world = self.world
        guilds = [guild for guild in world.guilds.values() if guild.has_bot and session.is_told_of(guild.id)]
        if len(guilds) > self.most_guilds:
            return SHARDING_REQUIRED
        if self._is_hasty(shard):
            connection.outgoing.put_nowait({"op": INVALID_SESSION, "d": False})
            return None
        if self.identifies >= self.starts_per_day:
            self.token = secrets.token_hex(16)
            self.close(BAD_TOKEN)
            return BAD_TOKEN
        self.identifies += 1
        self.sessions[session.id] = session
        connection.session = session
        self._welcome(session, guilds, {"shard": [shard, shards]} if "shard" in data else {})
        self.world.changed()
        return None

    def _is_hasty(self, shard: int) -> bool:
        """Whether another shard of the same remainder has identified a moment ago."""
        now, key = asyncio.get_running_loop().time(), shard % self.max_concurrency
        if now - self._identified.get(key, -math.inf) < self.identify_seconds:
            self.hasty += 1
            return True
        self._identified[key] = now
        return False

    def _welcome(self, session: Session, guilds: Sequence[Guild], extra: JsonObject) -> None:
        world = self.world
        ready = {
            "v": 10,
            "user": user_payload(world.bot) | {"verified": True, "mfa_enabled": True, "email": None, "flags": 0},
            "guilds": [{"id": str(guild.id), "unavailable": True} for guild in guilds],
            "session_id": session.id,
            "resume_gateway_url": self.url,
            "application": {"id": str(world.application_id), "flags": self.application_flags},
            "private_channels": [],
        }
        self._dispatch(session, "READY", ready | extra)
        for guild in guilds if session.intents & GUILDS else []:
            self._dispatch(session, "GUILD_CREATE", guild_payload(world, guild))

    def _resume(self, connection: Connection, data: JsonObject) -> int | None:
        if data.get("token") != self.token:
            return BAD_TOKEN
        session = self.sessions.get(str(data.get("session_id")))
        seq = data.get("seq")
        if session is None or not isinstance(seq, int) or (session.backlog and seq < session.backlog[0][0] - 1):
            connection.outgoing.put_nowait({"op": INVALID_SESSION, "d": False})
            return None
        if seq > session.seq:
            return BAD_SEQ
        if session.connection is not None:
            self._end(session.connection, 4000)
        session.connection, connection.session = connection, session
        for number, frame in session.backlog:
            if number > seq:
                connection.outgoing.put_nowait(frame)
        self._dispatch(session, "RESUMED", {"_trace": []})
        self.world.changed()
        return None

    def _send_members(self, session: Session, data: JsonObject) -> None:
        guild = self.world.guilds.get(int(data["guild_id"]))
        if guild is None:
            return
        wanted = {int(user_id) for user_id in data.get("user_ids") or []}
        everyone = [*guild.members.values(), self.world.bot] if session.intents & GUILD_MEMBERS else []
        found = [user for user in guild.members.values() if user.id in wanted] if wanted else everyone
        chunk: JsonObject = {
            "guild_id": str(guild.id),
            "members": [member_payload(guild) | {"user": user_payload(user)} for user in found],
            "chunk_index": 0,
            "chunk_count": 1,
            "not_found": [],
        }
        self._dispatch(session, "GUILD_MEMBERS_CHUNK", chunk | ({"nonce": data["nonce"]} if "nonce" in data else {}))


def _shard_of(data: JsonObject) -> tuple[int, int]:
    """[number, of how many] as identified; (0, 0) for what is none."""
    match data.get("shard", [0, 1]):
        case [int(shard), int(shards)]:
            return shard, shards
    return 0, 0
