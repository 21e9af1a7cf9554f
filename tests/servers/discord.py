"""A strict stand-in for Discord on a real loopback socket: REST, gateway and CDN, and the user's side of them.

    async with DiscordServer(token="secret") as server:
        ann = server.user("ann")
        general = server.channel(server.guild("house", members=[ann]), "general")
        server.say(general, ann, "hello", mention_bot=True)
        await server.wait_for(lambda: server.messages(general)[-1].author == server.bot)

A bot reaches it with `discord.http.Route.BASE = server.api_url` and `DiscordWebSocket.DEFAULT_GATEWAY =
yarl.URL(server.gateway_url)`, set before login. By itself: `python -m tests.servers.discord --port 9001`.

Here: life cycle, what users do, what a test sees and breaks. How Discord answers is in the discord_* files beside.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from types import TracebackType
from typing import TypeVar

from aiohttp import web

from tests.servers.discord_faults import Faults, Limits
from tests.servers.discord_gateway import MESSAGE_CONTENT, Frame, Gateway
from tests.servers.discord_http import MAX_REQUEST_BYTES, Api, Call, serve_attachment
from tests.servers.discord_interactions import Interactions
from tests.servers.discord_messages import MessageCalls, Messages
from tests.servers.discord_rest import Rest
from tests.servers.discord_state import (
    Channel,
    Choice,
    Guild,
    Interaction,
    JsonObject,
    User,
    World,
)
from tests.servers.discord_users import Users
from tests.servers.discord_view import Shown, addressee, show

T = TypeVar("T")
BOT_ID, APPLICATION_ID = 1_100_000_000_000_000_001, 1_100_000_000_000_000_001  # equal, as for every newer bot
LOG_LENGTH = 50_000


class DiscordServer:
    """`privileged` are the intents approved in the developer portal; `limits` enforces rate limits;
    `answer_seconds` is the deadline of an interaction's first answer; `on_call` gets each call as it is logged.
    `shards`, `max_concurrency` and `identify_seconds` are the gateway's (see there)."""

    def __init__(
        self,
        *,
        token: str = "stand-in-token",
        host: str = "127.0.0.1",
        port: int = 0,
        heartbeat_interval: float = 41.25,
        limits: bool = False,
        privileged: int = MESSAGE_CONTENT,
        answer_seconds: float = 3.0,
        bot_name: str = "magpie",
        shards: int = 1,
        max_concurrency: int = 1,
        identify_seconds: float = 0.0,
        on_call: Callable[[Call], None] | None = None,
        on_frame: Callable[[Frame], None] | None = None,
    ) -> None:
        self.token = token
        self.bot = User(BOT_ID, bot_name, bot=True)
        self.application_id = APPLICATION_ID
        self._host, self._port = host, port
        self._log: deque[Call] = deque(maxlen=LOG_LENGTH)
        self._frames: deque[Frame] = deque(maxlen=LOG_LENGTH)
        self._changed = asyncio.Event()
        self._on_call, self._on_frame = on_call, on_frame
        self.world = World(APPLICATION_ID, self.bot, "")
        self.clock = self.world.clock
        self.world.content_approved = bool(privileged & MESSAGE_CONTENT)
        self.gateway = Gateway(
            self.world,
            token=token,
            url="",
            approved=privileged,
            heartbeat_interval=heartbeat_interval,
            on_frame=self._record_frame,
            shards=shards,
            max_concurrency=max_concurrency,
            identify_seconds=identify_seconds,
        )
        self.world.publish, self.world.changed = self.gateway.publish, self._wake
        messages = Messages(self.world)
        calls = MessageCalls(self.world, messages)
        rest = Rest(self.world, self.gateway, calls)
        interactions = Interactions(self.world, messages, answer_seconds=answer_seconds)
        endpoints = [*rest.endpoints(), *calls.endpoints(), *interactions.endpoints()]
        self._faults = Faults(frozenset(endpoint.route for endpoint in endpoints))
        rates, now = Limits(enforced=limits), self.clock.now
        self._api = Api(endpoints, token=token, faults=self._faults, limits=rates, now=now, record=self._record)
        self._users = Users(self.world, rest, messages, interactions)
        self._lend_methods()

    def _lend_methods(self) -> None:
        """What users do (see `discord_users`) and what goes wrong (`discord_faults`), as methods of the server."""
        users, faults = self._users, self._faults
        self.user, self.guild, self.join, self.role = users.user, users.guild, users.join, users.role
        self.invite, self.kick, self.deny, self.allow = users.invite, users.kick, users.deny, users.allow
        self.channel, self.dm, self.thread = users.channel, users.dm, users.thread
        self.delete_channel = users.delete_channel
        self.say, self.edit, self.unfurl, self.delete = users.say, users.edit, users.unfurl, users.delete
        self.react, self.slash, self.press = users.react, users.slash, users.press
        self.fail, self.reset, self.rate_limit, self.hold = faults.fail, faults.reset, faults.rate_limit, faults.hold
        self.heal = faults.release_all  # nothing is planned any more

    # Life cycle

    async def __aenter__(self) -> "DiscordServer":
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def start(self, extra: Sequence[web.RouteDef] = ()) -> None:
        """Listens; `extra` are further routes on the same port."""
        app = web.Application(client_max_size=MAX_REQUEST_BYTES)
        app.router.add_routes(extra)
        app.router.add_get("/gateway/", self.gateway.serve)
        app.router.add_get("/attachments/{channel}/{attachment}/{name}", partial(serve_attachment, self.world))
        self._api.add_to(app)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        await self._runner.setup()
        site = web.TCPSite(self._runner, self._host, self._port)
        await site.start()
        self._port = self._runner.addresses[0][1]
        self.world.root_url = f"http://{self._host}:{self._port}"
        self.gateway.url = self.gateway_url

    async def stop(self) -> None:
        self._faults.release_all()
        self.gateway.close(1001)
        await self._runner.cleanup()

    @property
    def api_url(self) -> str:
        return f"http://{self._host}:{self._port}/api/v10"

    @property
    def gateway_url(self) -> str:
        return f"ws://{self._host}:{self._port}/gateway/"

    # What a test sees

    @property
    def log(self) -> tuple[Call, ...]:
        """Every REST call, oldest first."""
        return tuple(self._log)

    @property
    def frames(self) -> tuple[Frame, ...]:
        """Every gateway frame, oldest first."""
        return tuple(self._frames)

    def calls(self, route: str) -> tuple[Call, ...]:
        """The calls of one route, such as "POST /channels/{channel}/messages"."""
        return tuple(call for call in self._log if call.route == self._faults.known(route))

    def messages(self, channel: Channel, *, viewer: User | None = None) -> tuple[Shown, ...]:
        """What stands in the channel, oldest first. Ephemeral messages are marked; with a `viewer` only theirs are shown."""
        return tuple(
            show(message)
            for _, message in sorted(channel.messages.items())
            if not message.ephemeral or viewer is None or addressee(message) == viewer
        )

    def commands(self, guild: Guild | None = None) -> tuple[JsonObject, ...]:
        """The registered application commands, the global ones without a `guild`."""
        return tuple(self.world.commands.get(guild.id if guild else 0, {}).values())

    @property
    def interactions(self) -> tuple[Interaction, ...]:
        """What users did by command, press or autocomplete, oldest first; `response` is None while unanswered."""
        return tuple(self.world.interactions.values())

    @property
    def connected(self) -> bool:
        """Whether a bot is identified or resumed right now."""
        return any(session.connection is not None for session in self.gateway.sessions.values())

    async def wait_for(self, predicate: Callable[[], T], timeout: float = 10.0) -> T:
        """Waits until `predicate` is truthy and returns its value; wakes on each call, frame and change.
        Raises AssertionError with the last calls after `timeout` seconds."""
        try:
            async with asyncio.timeout(timeout):
                while not (value := predicate()):
                    await self._changed.wait()
                return value
        except TimeoutError:
            last = "\n".join(map(str, self.log[-15:]))
            raise AssertionError(f"did not happen within {timeout} s; the last calls:\n{last}") from None

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    def _record(self, call: Call) -> None:
        self._log.append(call)
        if self._on_call:
            self._on_call(call)
        self._wake()

    def _record_frame(self, frame: Frame) -> None:
        self._frames.append(frame)
        if self._on_frame:
            self._on_frame(frame)
        self._wake()

    async def autocomplete(
        self,
        channel: Channel,
        user: User,
        name: str,
        option: str,
        typed: str,
        others: Mapping[str, object] | None = None,
    ) -> tuple[Choice, ...]:
        """The choices that the bot offers for what the user has `typed` so far. Raises AssertionError without any."""
        interaction = self._users.type_ahead(channel, user, name, option, typed, others or {})
        await self.wait_for(lambda: interaction.choices is not None)
        return interaction.choices or ()

    # The gateway's part in what goes wrong

    def close_gateway(self, code: int | None = 4000) -> None:
        """Closes the bot's connection; None cuts it without a word. 4007, 4009 and 1000 end the session as well."""
        self.gateway.close(code)

    def invalidate_session(self, *, resumable: bool = False) -> None:
        """Opcode 9."""
        self.gateway.invalidate(resumable=resumable)

    def reconnect(self) -> None:
        """Opcode 7."""
        self.gateway.ask_reconnect()

    def mute(self, on: bool = True) -> None:
        """A zombie: connections stay open, but neither events nor heartbeat acknowledgements come out of them."""
        self.gateway.muted = on

    def refuse_gateway(self, on: bool = True) -> None:
        """New gateway connections get a 503."""
        self.gateway.refusing = on

    def push_raw(self, event: str, data: JsonObject) -> None:
        """Any event with any content, to every session."""
        self.gateway.publish_raw(event, data)


if __name__ == "__main__":
    from tests.servers.discord_control import main

    main()
