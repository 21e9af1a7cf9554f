"""The bot's REST calls about itself, its commands, people, guilds, channels and threads."""

from collections.abc import Iterator

from tests.servers.discord_checks import ApiError, Form
from tests.servers.discord_commands import CHAT_INPUT, check_commands
from tests.servers.discord_faults import Answer
from tests.servers.discord_gateway import GUILDS, Gateway
from tests.servers.discord_http import Endpoint, Incoming
from tests.servers.discord_messages import EMPTY, MISSING_ACCESS, UNKNOWN_CHANNEL, MessageCalls, invalid
from tests.servers.discord_payloads import (
    application_payload,
    channel_payload,
    guild_payload,
    member_payload,
    user_payload,
)
from tests.servers.discord_state import (
    DM,
    PRIVATE_THREAD,
    PUBLIC_THREAD,
    Channel,
    Guild,
    JsonObject,
    Message,
    User,
    World,
)

UNKNOWN_USER = ApiError(404, 10013, "Unknown User")
UNKNOWN_COMMAND = ApiError(404, 10063, "Unknown application command")


class Rest:
    def __init__(self, world: World, gateway: Gateway, calls: MessageCalls) -> None:
        self.world = world
        self.gateway = gateway
        self.calls = calls

    def endpoints(self) -> Iterator[Endpoint]:
        yield Endpoint("GET", "/gateway", self.gateway_url, authorized=False)
        yield Endpoint("GET", "/gateway/bot", self.gateway_bot)
        yield Endpoint("GET", "/users/@me", self.me)
        yield Endpoint("GET", "/users/{user}", self.user)
        yield Endpoint("GET", "/users/@me/guilds", self.guilds)
        yield Endpoint("POST", "/users/@me/channels", self.open_dm)
        yield Endpoint("GET", "/applications/@me", self.application)
        yield Endpoint("GET", "/oauth2/applications/@me", self.application)
        for scope in ("/applications/{application}", "/applications/{application}/guilds/{guild}"):
            yield Endpoint("GET", scope + "/commands", self.commands)
            yield Endpoint("PUT", scope + "/commands", self.overwrite_commands)
            yield Endpoint("POST", scope + "/commands", self.add_command)
            yield Endpoint("GET", scope + "/commands/{command}", self.command)
            yield Endpoint("DELETE", scope + "/commands/{command}", self.remove_command)
        yield Endpoint("GET", "/guilds/{guild}", self.guild)
        yield Endpoint("GET", "/guilds/{guild}/channels", self.guild_channels)
        yield Endpoint("GET", "/guilds/{guild}/members/{user}", self.member)
        yield Endpoint("GET", "/guilds/{guild}/threads/active", self.active_threads)
        yield Endpoint("GET", "/channels/{channel}", self.channel)
        yield Endpoint("PATCH", "/channels/{channel}", self.change_channel)
        yield Endpoint("POST", "/channels/{channel}/threads", self.start_thread)
        yield Endpoint("POST", "/channels/{channel}/messages/{message}/threads", self.start_thread)
        yield Endpoint("PUT", "/channels/{channel}/thread-members/@me", self.join_thread)

    # The bot itself

    def gateway_url(self, _: Incoming) -> Answer:
        return Answer(status=200, body={"url": self.gateway.url})

    def gateway_bot(self, _: Incoming) -> Answer:
        gateway = self.gateway
        limit = {
            "total": gateway.starts_per_day,
            "remaining": max(0, gateway.starts_per_day - gateway.identifies),
            "reset_after": 86_400_000,
            "max_concurrency": gateway.max_concurrency,
        }
        return Answer(status=200, body={"url": gateway.url, "shards": gateway.shards, "session_start_limit": limit})

    def me(self, _: Incoming) -> Answer:
        more = {"verified": True, "mfa_enabled": True, "email": None, "locale": "en-US", "flags": 0}
        return Answer(status=200, body=user_payload(self.world.bot) | more)

    def application(self, _: Incoming) -> Answer:
        return Answer(status=200, body=application_payload(self.world, self.gateway.application_flags))

    # Commands; scope 0 is global

    def _scope(self, incoming: Incoming) -> int:
        if incoming.number("application") != self.world.application_id:
            raise ApiError(403, 20012, "You are not authorized to perform this action on this application")
        return self._guild(incoming).id if "guild" in incoming.params else 0

    def commands(self, incoming: Incoming) -> Answer:
        return Answer(status=200, body=list(self.world.commands.get(self._scope(incoming), {}).values()))

    def overwrite_commands(self, incoming: Incoming) -> Answer:
        scope = self._scope(incoming)
        before = {(one["type"], one["name"]): one for one in self.world.commands.get(scope, {}).values()}
        entries = [self._registered(scope, one, before) for one in check_commands(incoming.body)]
        self.world.commands[scope] = {int(one["id"]): one for one in entries}
        self.world.changed()
        return Answer(status=200, body=entries)

    def add_command(self, incoming: Incoming) -> Answer:
        scope = self._scope(incoming)
        present = self.world.commands.setdefault(scope, {})
        before = {(one["type"], one["name"]): one for one in present.values()}
        key = (incoming.fields.get("type", CHAT_INPUT), incoming.fields.get("name"))
        try:
            check_commands([incoming.body, *(one for found, one in before.items() if found != key)])
        except ApiError as error:  # one command's errors stand at the top, not below its place in a list
            raise ApiError(error.status, error.code, error.message, (error.errors or {}).get("0")) from error
        entry = self._registered(scope, incoming.fields, before)
        present[int(entry["id"])] = entry
        self.world.changed()
        return Answer(status=200 if key in before else 201, body=entry)

    def _registered(self, scope: int, command: JsonObject, before: dict[tuple[int, str], JsonObject]) -> JsonObject:
        kind = command.get("type", CHAT_INPUT)
        earlier = before.get((kind, command["name"]))
        fixed = {
            "id": earlier["id"] if earlier else str(self.world.new_id()),
            "application_id": str(self.world.application_id),
            "version": str(self.world.new_id()),
            "type": kind,
        }
        usual: JsonObject = {"description": "", "options": [], "default_member_permissions": None, "nsfw": False}
        return usual | command | fixed | ({"guild_id": str(scope)} if scope else {})

    def _command(self, incoming: Incoming) -> tuple[dict[int, JsonObject], int]:
        present = self.world.commands.get(self._scope(incoming), {})
        if (command_id := incoming.number("command")) not in present:
            raise UNKNOWN_COMMAND
        return present, command_id

    def command(self, incoming: Incoming) -> Answer:
        present, command_id = self._command(incoming)
        return Answer(status=200, body=present[command_id])

    def remove_command(self, incoming: Incoming) -> Answer:
        present, command_id = self._command(incoming)
        del present[command_id]
        return EMPTY

    # People and guilds

    def user(self, incoming: Incoming) -> Answer:
        found = self.world.users.get(incoming.number("user"))
        if found is None:
            raise UNKNOWN_USER
        return Answer(status=200, body=user_payload(found))

    def open_dm(self, incoming: Incoming) -> Answer:
        recipient = str(incoming.fields.get("recipient_id", ""))
        user = self.world.users.get(int(recipient)) if recipient.isdigit() else None
        if user is None or user == self.world.bot:
            raise ApiError(400, 50033, "Invalid Recipient(s)")
        return Answer(status=200, body=channel_payload(self.world, self.dm(user)))

    def dm(self, user: User) -> Channel:
        """The private chat with `user`; there is one at most."""
        for channel in self.world.channels.values():
            if channel.kind == DM and channel.recipient == user:
                return channel
        channel = Channel(
            id=self.world.new_id(), kind=DM, name=user.name, recipient=user, created=self.world.clock.now()
        )
        self.world.channels[channel.id] = channel
        return channel

    def _guild(self, incoming: Incoming) -> Guild:
        guild = self.world.guilds.get(incoming.number("guild"))
        if guild is None:
            raise ApiError(404, 10004, "Unknown Guild")
        if not guild.has_bot:
            raise MISSING_ACCESS
        return guild

    def guilds(self, _: Incoming) -> Answer:
        mine = [guild_payload(self.world, guild) for guild in self.world.guilds.values() if guild.has_bot]
        shown = [{key: guild[key] for key in ("id", "name", "icon", "features")} | {"owner": False} for guild in mine]
        return Answer(status=200, body=shown)

    def guild(self, incoming: Incoming) -> Answer:
        only_gateway = {"channels", "threads", "members", "member_count", "joined_at", "large", "unavailable"}
        shown = guild_payload(self.world, self._guild(incoming))
        return Answer(status=200, body={key: value for key, value in shown.items() if key not in only_gateway})

    def guild_channels(self, incoming: Incoming) -> Answer:
        guild = self._guild(incoming)
        channels = [channel for channel in self.world.channels_of(guild) if not channel.is_thread]
        return Answer(status=200, body=[channel_payload(self.world, channel) for channel in channels])

    def member(self, incoming: Incoming) -> Answer:
        guild = self._guild(incoming)
        user = (guild.members | {self.world.bot.id: self.world.bot}).get(incoming.number("user"))
        if user is None:
            raise ApiError(404, 10007, "Unknown Member")
        return Answer(status=200, body=member_payload(guild) | {"user": user_payload(user)})

    def active_threads(self, incoming: Incoming) -> Answer:
        shown = [
            channel_payload(self.world, thread)
            for thread in self.world.channels_of(self._guild(incoming))
            if thread.is_thread and not thread.archived and self.world.bot_sees(thread)
        ]
        return Answer(status=200, body={"threads": shown, "members": [thread["member"] for thread in shown]})

    # Channels and threads

    def channel(self, incoming: Incoming) -> Answer:
        return Answer(status=200, body=channel_payload(self.world, self.calls.channel(incoming)))

    def change_channel(self, incoming: Incoming) -> Answer:
        channel = self.calls.channel(incoming)
        channel.name = str(incoming.fields.get("name", channel.name))
        channel.archived = bool(incoming.fields.get("archived", channel.archived))
        payload = channel_payload(self.world, channel)
        self.world.publish("THREAD_UPDATE" if channel.is_thread else "CHANNEL_UPDATE", payload, intent=GUILDS)
        self.world.changed()
        return Answer(status=200, body=payload)

    def start_thread(self, incoming: Incoming) -> Answer:
        parent = self.calls.channel(incoming, to_send=True)
        message = self.calls.message(incoming) if "message" in incoming.params else None
        form = Form()
        form.text("name", incoming.fields.get("name"), 1, 100)
        form.check()
        kind = PUBLIC_THREAD if message else incoming.fields.get("type", PRIVATE_THREAD)
        if kind not in (PUBLIC_THREAD, PRIVATE_THREAD):
            raise invalid("type", "BASE_TYPE_CHOICES", "Value must be one of (10, 11, 12).")
        thread = self.new_thread(parent, incoming.fields["name"], self.world.bot, message, kind)
        return Answer(status=201, body=channel_payload(self.world, thread))

    def new_thread(
        self, parent: Channel, name: str, owner: User, message: Message | None, kind: int = PUBLIC_THREAD
    ) -> Channel:
        """A thread; started on a message it has that message's id. Raises ApiError where there can be none."""
        if parent.guild is None or parent.is_thread:
            raise ApiError(400, 50024, "Cannot execute action on this channel type")
        if message is not None and message.thread is not None:
            raise ApiError(400, 160004, "A thread has already been created for this message")
        thread = Channel(
            id=message.id if message else self.world.new_id(),
            kind=kind,
            name=name,
            guild=parent.guild,
            parent=parent,
            owner=owner,
            created=self.world.clock.now(),
        )
        self.world.channels[thread.id] = thread
        if message is not None:
            message.thread = thread
        if self.world.bot_sees(thread):
            shown = channel_payload(self.world, thread) | {"newly_created": True}
            self.world.publish("THREAD_CREATE", shown, intent=GUILDS)
        self.world.changed()
        return thread

    def join_thread(self, incoming: Incoming) -> Answer:
        if not self.calls.channel(incoming).is_thread:
            raise UNKNOWN_CHANNEL
        return EMPTY
