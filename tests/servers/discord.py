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
import dataclasses
import mimetypes
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import TypeVar

from aiohttp import web

from tests.servers.discord_checks import AllowedMentions
from tests.servers.discord_commands import chosen
from tests.servers.discord_faults import CLOUDFLARE_BAN, Answer, Fault, Faults, Hold, Limits, When, too_many
from tests.servers.discord_gateway import GUILDS, MESSAGE_CONTENT, Frame, Gateway
from tests.servers.discord_http import MAX_REQUEST_BYTES, Api, Call
from tests.servers.discord_interactions import Interactions
from tests.servers.discord_messages import MessageCalls, Messages
from tests.servers.discord_payloads import channel_payload, guild_payload, link_signature
from tests.servers.discord_rest import Rest
from tests.servers.discord_state import (
    AUTOCOMPLETE,
    COMPONENT,
    DEFAULT,
    GUILD_TEXT,
    REPLY,
    SLASH,
    VOICE_MESSAGE,
    Attachment,
    Channel,
    Choice,
    Guild,
    Interaction,
    JsonObject,
    Message,
    Role,
    Upload,
    User,
    World,
)
from tests.servers.discord_view import Shown, addressee, inner_components, show

T = TypeVar("T")
BOT_ID, APPLICATION_ID = 1_100_000_000_000_000_001, 1_100_000_000_000_000_001  # equal, as for every newer bot
LOG_LENGTH = 50_000


class DiscordServer:
    """`privileged` are the intents approved in the developer portal; `limits` enforces rate limits;
    `answer_seconds` is the deadline of an interaction's first answer; `on_call` gets each call as it is logged."""

    def __init__(
        self, *, token: str = "stand-in-token", host: str = "127.0.0.1", port: int = 0, heartbeat_interval: float = 41.25,
        limits: bool = False, privileged: int = MESSAGE_CONTENT, answer_seconds: float = 3.0, bot_name: str = "magpie",
        on_call: Callable[[Call], None] | None = None, on_frame: Callable[[Frame], None] | None = None,
    ) -> None:  # fmt: skip
        self.token = token
        self.bot = User(BOT_ID, bot_name, bot=True)
        self.application_id = APPLICATION_ID
        self._host, self._port = host, port
        self._log: deque[Call] = deque(maxlen=LOG_LENGTH)
        self._frames: deque[Frame] = deque(maxlen=LOG_LENGTH)
        self._changed = asyncio.Event()
        self._on_call, self._on_frame = on_call, on_frame
        self.world = World(APPLICATION_ID, self.bot, "")
        self.world.content_approved = bool(privileged & MESSAGE_CONTENT)
        self.gateway = Gateway(self.world, token=token, url="", approved=privileged,
                               heartbeat_interval=heartbeat_interval, on_frame=self._record_frame)  # fmt: skip
        self.world.publish, self.world.changed = self.gateway.publish, self._wake
        self._faults = Faults()
        self._messages = Messages(self.world)
        calls = MessageCalls(self.world, self._messages)
        self._rest = Rest(self.world, self.gateway, calls)
        self._interactions = Interactions(self.world, self._messages, answer_seconds=answer_seconds)
        endpoints = [*self._rest.endpoints(), *calls.endpoints(), *self._interactions.endpoints()]
        self._api = Api(endpoints, token=token, faults=self._faults, limits=Limits(enforced=limits),
                        now=self.world.clock.now, record=self._record)  # fmt: skip

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
        app.router.add_get("/attachments/{channel}/{attachment}/{name}", self._cdn)
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
        return tuple(call for call in self._log if call.route == self._known(route))

    def messages(self, channel: Channel, *, viewer: User | None = None) -> tuple[Shown, ...]:
        """What stands in the channel, oldest first. Ephemeral messages are marked; with a `viewer` only theirs are shown."""
        return tuple(show(message) for _, message in sorted(channel.messages.items())
                     if not message.ephemeral or viewer is None or addressee(message) == viewer)  # fmt: skip

    def commands(self, guild: Guild | None = None) -> tuple[JsonObject, ...]:
        """The registered application commands, the global ones without a `guild`."""
        return tuple(self.world.commands.get(guild.id if guild else 0, {}).values())

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

    # People and places

    def user(self, name: str, *, bot: bool = False) -> User:
        user = User(self.world.new_id(), name, bot)
        self.world.users[user.id] = user
        return user

    def guild(self, name: str, *, members: Sequence[User] = (), has_bot: bool = True) -> Guild:
        owner = members[0] if members else self.user(f"{name}-owner")
        guild = Guild(self.world.new_id(), name, owner, self.world.clock.now(), {one.id: one for one in [owner, *members]},
                      has_bot=False)  # fmt: skip
        self.world.guilds[guild.id] = guild
        if has_bot:
            self.invite(guild)
        return guild

    def role(self, guild: Guild, name: str) -> Role:
        role = Role(self.world.new_id(), name)
        guild.roles[role.id] = role
        return role

    def invite(self, guild: Guild) -> None:
        """Adds the bot to the guild."""
        guild.has_bot = True
        self.world.publish("GUILD_CREATE", guild_payload(self.world, guild), intent=GUILDS)

    def kick(self, guild: Guild) -> None:
        """Removes the bot: GUILD_DELETE, and Missing Access from then on."""
        guild.has_bot = False
        self.world.publish("GUILD_DELETE", {"id": str(guild.id)}, intent=GUILDS)

    def channel(self, guild: Guild, name: str) -> Channel:
        channel = Channel(
            id=self.world.new_id(), kind=GUILD_TEXT, name=name, guild=guild, created=self.world.clock.now()
        )
        self.world.channels[channel.id] = channel
        if guild.has_bot:
            self.world.publish("CHANNEL_CREATE", channel_payload(self.world, channel), intent=GUILDS)
        return channel

    def dm(self, user: User) -> Channel:
        return self._rest.dm(user)

    def thread(self, parent: Channel, name: str, owner: User, *, message: Message | None = None) -> Channel:
        return self._rest.new_thread(parent, name, owner, message)

    def delete_channel(self, channel: Channel) -> None:
        del self.world.channels[channel.id]
        event = "THREAD_DELETE" if channel.is_thread else "CHANNEL_DELETE"
        self.world.publish(event, channel_payload(self.world, channel), intent=GUILDS)
        self._wake()

    def deny(self, channel: Channel, *what: str) -> None:
        """Takes "view" (50001 Missing Access) or "send" (50013; 50007 in a private chat) from the bot."""
        if unknown := set(what) - {"view", "send"}:
            raise ValueError(f"only view and send can be denied, not {unknown}")
        channel.denied.update(what)

    def allow(self, channel: Channel) -> None:
        channel.denied.clear()

    # What users do

    def say(
        self, channel: Channel, user: User, text: str = "", *, mention_bot: bool = False,
        reply_to: Message | Shown | None = None, attachments: Sequence[Upload] = (),
    ) -> Message:  # fmt: skip
        """A user's message. A mention of the bot stands in front of the text; a reply notifies whom it answers."""
        text = f"{self.bot.mention} {text}".strip() if mention_bot else text.strip()
        if not text and not attachments:
            raise ValueError("Discord's client does not send an empty message")
        if channel.guild is not None and user.id not in channel.guild.members and not user.bot:
            raise ValueError(f"{user.name} is not in {channel.guild.name}")
        target = channel.messages[reply_to.id] if reply_to else None
        voice = any(upload.duration is not None for upload in attachments)
        message = Message(
            id=self.world.new_id(), channel=channel, author=user, created=self.world.clock.now(), content=text,
            kind=REPLY if target else DEFAULT, reply_to=target, flags=VOICE_MESSAGE if voice else 0,
        )  # fmt: skip
        message.attachments = self.world.attach(channel, tuple(map(_typed, attachments)))
        message.pings = self._messages.pings(message, AllowedMentions())
        return self._messages.post(message)

    def edit(self, message: Message, text: str) -> None:
        message.content, message.edited = text, self.world.clock.now()
        message.edits += 1
        message.pings = self._messages.pings(message, AllowedMentions())
        self._messages.announce("MESSAGE_UPDATE", message)

    def unfurl(self, message: Message, url: str) -> None:
        """Discord adds a link preview: MESSAGE_UPDATE with the same text and no edit time."""
        message.embeds = [{"type": "link", "url": url, "title": url}]
        self._messages.announce("MESSAGE_UPDATE", message)

    def delete(self, message: Message | Shown) -> None:
        found = message if isinstance(message, Message) else self._find(message.id)
        self._messages.remove(found)

    def react(self, message: Message | Shown, emoji: str, user: User, *, add: bool = True) -> None:
        self._messages.react(self._find(message.id), emoji, user, add=add)

    def slash(
        self, channel: Channel, user: User, name: str, options: Mapping[str, object] | None = None
    ) -> Interaction:
        """`/name` with `options`, as registered by the bot; subcommands follow the name after a space."""
        return self._interactions.begin(SLASH, user, channel, self._chosen(channel, name, options or {}))

    async def autocomplete(
        self, channel: Channel, user: User, name: str, option: str, typed: str,
        others: Mapping[str, object] | None = None,
    ) -> tuple[Choice, ...]:  # fmt: skip
        """The choices that the bot offers for what the user has `typed` so far. Raises AssertionError after the deadline."""
        data = self._chosen(channel, name, {**(others or {}), option: typed}, focused=option)
        interaction = self._interactions.begin(AUTOCOMPLETE, user, channel, data)
        await self.wait_for(lambda: interaction.choices is not None, self._interactions.answer_seconds + 1)
        return interaction.choices or ()

    def press(self, message: Message | Shown, button: str, user: User, values: Sequence[str] = ()) -> Interaction:
        """A press on the component with this custom_id or label; `values` are a select menu's."""
        found = self._find(message.id)
        if found.ephemeral and addressee(found) != user:
            raise ValueError("nobody else sees an ephemeral message")
        for one in inner_components(found.components):
            if button in (one.get("custom_id"), one.get("label")) and one.get("custom_id"):
                break
        else:
            raise ValueError(f"the message has no component {button!r} that can be pressed")
        if one.get("disabled"):
            raise ValueError(f"{button!r} is disabled")
        data: JsonObject = {"custom_id": one["custom_id"], "component_type": one["type"]}
        if one["type"] != 2:
            data["values"] = list(values)
        return self._interactions.begin(COMPONENT, user, found.channel, data, found)

    def _chosen(
        self, channel: Channel, name: str, options: Mapping[str, object], focused: str | None = None
    ) -> JsonObject:
        commands = self.commands() if channel.guild is None else (*self.commands(channel.guild), *self.commands())
        return chosen(commands, name, options, focused)

    def _find(self, message_id: int) -> Message:
        if (message := self.world.find_message(message_id)) is None:
            raise ValueError(f"there is no message {message_id}")
        return message

    # What goes wrong

    def _known(self, route: str) -> str:
        if route not in self._api.routes:
            raise ValueError(f"no route {route!r}; there are {sorted(self._api.routes)}")
        return route

    def fail(
        self, route: str, *, times: int = 1, status: int = 500, code: int = 0, message: str = "", body: str | None = None,
        when: When = "before", skip: int = 0, channel: Channel | None = None,
    ) -> None:  # fmt: skip
        """The next `times` calls of `route` (after `skip` good ones) get this error, "before" or "after" they take
        effect. `body` replaces Discord's JSON by text."""
        content = body if body is not None else {"message": message or f"{status}: planned error", "code": code}
        self._plan(route, Answer(status=status, body=content), times, when, skip, channel)

    def reset(
        self, route: str, *, times: int = 1, when: When = "before", skip: int = 0, channel: Channel | None = None
    ) -> None:
        """The connection is cut instead of an answer."""
        self._plan(route, Answer(status=0), times, when, skip, channel)

    def rate_limit(
        self, route: str, retry_after: float = 1.0, *, times: int = 1, scope: str = "user", skip: int = 0,
        channel: Channel | None = None,
    ) -> None:  # fmt: skip
        """429. `scope`: "user", "shared", "global", or "cloudflare" for the ban that carries no JSON and no Via header."""
        answer = CLOUDFLARE_BAN if scope == "cloudflare" else too_many(retry_after, scope=scope)
        self._plan(route, answer, times, "before", skip, channel)

    def _plan(self, route: str, answer: Answer, times: int, when: When, skip: int, channel: Channel | None) -> None:
        self._faults.planned.append(Fault(route=self._known(route), answer=answer, when=when, times=times, skip=skip,
                                          channel_id=channel.id if channel else None))  # fmt: skip

    def hold(
        self, route: str, *, when: When = "after", times: int = 1, skip: int = 0, channel: Channel | None = None,
        until: asyncio.Event | None = None,
    ) -> Hold:  # fmt: skip
        """Calls of `route` take effect ("after") or not yet ("before") and wait for `until` or `release()`; `reached`
        tells that one does."""
        held = Hold(route=self._known(route), when=when, times=times, skip=skip, until=until or asyncio.Event(),
                    channel_id=channel.id if channel else None)  # fmt: skip
        self._faults.planned.append(held)
        return held

    def close_gateway(self, code: int | None = 4000) -> None:
        """Closes the bot's connection; None cuts it without a word. 4007, 4009 and 1000 end the session as well."""
        self.gateway.close(code)

    def invalidate_session(self, *, resumable: bool = False) -> None:
        """Opcode 9."""
        self.gateway.invalidate(resumable=resumable)

    def reconnect(self) -> None:
        """Opcode 7."""
        self.gateway.ask_reconnect()

    def push_raw(self, event: str, data: JsonObject) -> None:
        """Any event with any content, to every session."""
        self.gateway.publish(event, data)

    async def _cdn(self, request: web.Request) -> web.StreamResponse:
        """Attachments, by links that are signed and expire."""
        number, expires = request.match_info["attachment"], request.query.get("ex", "0")
        attachment: Attachment | None = self.world.uploads.get(int(number)) if number.isdigit() else None
        signed = attachment is not None and request.query.get("hm") == link_signature(attachment.id, int(expires, 16))
        if attachment is None or not signed or int(expires, 16) < self.world.clock.now():
            return web.Response(status=404, text="This content is no longer available.")
        return web.Response(body=attachment.upload.data, headers={"Content-Type": attachment.upload.content_type})


def _typed(upload: Upload) -> Upload:
    if upload.content_type != "application/octet-stream":
        return upload
    guessed = mimetypes.guess_type(upload.filename)[0] or upload.content_type
    return dataclasses.replace(upload, content_type=guessed)


if __name__ == "__main__":
    from tests.servers.discord_control import main

    main()
