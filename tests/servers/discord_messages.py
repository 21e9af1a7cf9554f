"""Messages: how they come to be, whoever writes them, and the bot's REST calls about them and their reactions.

The rules of a body are in `discord_checks`; interactions and their webhooks in `discord_interactions`.
"""

from collections.abc import Iterator
from dataclasses import replace

from tests.servers.discord_checks import AllowedMentions, ApiError, Draft, Reference, read_draft, visible_text
from tests.servers.discord_faults import DELETES, EDITS, SENDS, Answer
from tests.servers.discord_gateway import DIRECT_MESSAGES, DIRECT_REACTIONS, GUILD_MESSAGES, GUILD_REACTIONS, GUILDS
from tests.servers.discord_http import Endpoint, Incoming
from tests.servers.discord_payloads import (
    channel_payload,
    member_payload,
    message_event,
    message_payload,
    user_payload,
    without_content,
)
from tests.servers.discord_state import (
    DEFAULT,
    EPHEMERAL,
    LOADING,
    REPLY,
    Channel,
    JsonObject,
    Message,
    Pings,
    User,
    World,
)

NONCE_SECONDS = 300.0  # "the past few minutes" of the documentation, taken as five
UNKNOWN_CHANNEL = ApiError(404, 10003, "Unknown Channel")
UNKNOWN_MESSAGE = ApiError(404, 10008, "Unknown Message")
MISSING_ACCESS = ApiError(403, 50001, "Missing Access")
MISSING_PERMISSIONS = ApiError(403, 50013, "Missing Permissions")
NO_DIRECT_MESSAGE = ApiError(403, 50007, "Cannot send messages to this user")
EMPTY_MESSAGE = ApiError(400, 50006, "Cannot send an empty message")
EMPTY = Answer(status=204)


def invalid(path: str, code: str, message: str) -> ApiError:
    return ApiError(400, 50035, "Invalid Form Body", {path: {"_errors": [{"code": code, "message": message}]}})


class Messages:
    """Posts, changes and removes messages and tells the gateway, whoever the author is."""

    def __init__(self, world: World) -> None:
        self.world = world

    def post(self, message: Message) -> Message:
        message.channel.messages[message.id] = message
        if message.channel.archived:
            message.channel.archived = False
            self.world.publish("THREAD_UPDATE", channel_payload(self.world, message.channel), intent=GUILDS)
        self.announce("MESSAGE_CREATE", message)
        return message

    def announce(self, event: str, message: Message) -> None:
        """Ephemeral messages go to nobody's gateway here; what is in a private chat, mentions the bot or is the bot's
        own needs no message-content intent."""
        world, channel = self.world, message.channel
        if not message.ephemeral and world.bot_sees(channel):
            intent = DIRECT_MESSAGES if channel.guild is None else GUILD_MESSAGES
            world.publish(event, message_event(world, message), intent=intent, private=not self.exempt(message))
        world.changed()

    def remove(self, message: Message) -> None:
        message.deleted = True
        del message.channel.messages[message.id]
        if not message.ephemeral:
            gone = self._place(message.channel) | {"id": str(message.id)}
            intent = DIRECT_MESSAGES if message.channel.guild is None else GUILD_MESSAGES
            self.world.publish("MESSAGE_DELETE", gone, intent=intent)
        self.world.changed()

    def react(self, message: Message, emoji: str, user: User, *, add: bool) -> None:
        who = message.reactions.setdefault(emoji, set())
        if (user.id in who) == add:
            return
        who ^= {user.id}
        if not who:
            del message.reactions[emoji]
        channel = message.channel
        event = self._place(channel) | {
            "user_id": str(user.id),
            "message_id": str(message.id),
            "message_author_id": str(message.author.id),
            "emoji": {"id": None, "name": emoji},
            "burst": False,
            "type": 0,
        }
        if add and channel.guild is not None:
            event["member"] = member_payload(channel.guild) | {"user": user_payload(user)}
        intent = DIRECT_REACTIONS if channel.guild is None else GUILD_REACTIONS
        self.world.publish(f"MESSAGE_REACTION_{'ADD' if add else 'REMOVE'}", event, intent=intent)
        self.world.changed()

    @staticmethod
    def _place(channel: Channel) -> JsonObject:
        place = {"channel_id": str(channel.id)}
        return place if channel.guild is None else place | {"guild_id": str(channel.guild.id)}

    def from_draft(
        self, channel: Channel, draft: Draft, *, kind: int = DEFAULT, reply_to: Message | None = None
    ) -> Message:
        """A new message of the bot, not posted yet. Raises ApiError when it would be empty."""
        if draft.is_empty:
            raise EMPTY_MESSAGE
        message = Message(
            id=self.world.new_id(),
            channel=channel,
            author=self.world.bot,
            created=self.world.clock.now(),
            kind=kind,
            reply_to=reply_to,
            nonce=draft.nonce,
            flags=draft.flags,
        )
        self._fill(message, draft)
        message.pings = self.pings(message, draft.mentions)
        return message

    def edit(self, message: Message, draft: Draft, *, first: bool = False) -> None:
        """An edit notifies nobody, so the pings stay those of the first version; `first` makes this that version."""
        kept = [one for one in message.attachments if draft.kept is None or one.id in draft.kept]
        result = (
            message.content if draft.content is None else draft.content,
            message.embeds if draft.embeds is None else draft.embeds,
            message.components if draft.components is None else draft.components,
            kept or draft.uploads,
        )
        if not any(result):
            raise EMPTY_MESSAGE
        message.attachments = tuple(kept)
        message.flags |= draft.flags & ~(EPHEMERAL | LOADING)
        self._fill(message, draft)
        if first:
            message.pings = self.pings(message, draft.mentions)
        else:
            message.edited = self.world.clock.now()
            message.edits += 1
        self.announce("MESSAGE_UPDATE", message)

    def _fill(self, message: Message, draft: Draft) -> None:
        if draft.content is not None:
            message.content = draft.content
        if draft.embeds is not None:
            message.embeds = draft.embeds
        if draft.components is not None:
            message.components = draft.components
        message.attachments += self.world.attach(message.channel, draft.uploads)

    def pings(self, message: Message, allowed: AllowedMentions) -> Pings:
        text = visible_text(message.content, message.components)
        author = message.reply_to.author if message.reply_to else None
        found = allowed.pings(text, author, in_guild=message.channel.guild is not None)
        return replace(found, users=found.users - {message.author.id})  # nobody is notified of their own words

    def exempt(self, message: Message) -> bool:
        """What a bot may read without the message-content intent: private chats, mentions of it, its own words."""
        bot = self.world.bot
        return message.channel.guild is None or message.author == bot or bot.id in message.pings.users

    def shown(self, message: Message) -> JsonObject:
        """The message as REST returns it; there, too, content needs the switch in the developer portal."""
        payload = message_payload(self.world, message)
        return payload if self.world.content_approved or self.exempt(message) else without_content(payload)


class MessageCalls:
    """/channels/{channel}/messages and what hangs on it."""

    def __init__(self, world: World, messages: Messages) -> None:
        self.world = world
        self.messages = messages
        self._nonces: dict[str, tuple[float, Message]] = {}

    def endpoints(self) -> Iterator[Endpoint]:
        base, one = "/channels/{channel}/messages", "/channels/{channel}/messages/{message}"
        yield Endpoint("GET", base, self.history)
        yield Endpoint("POST", base, self.create, SENDS)
        yield Endpoint("GET", one, self.fetch)
        yield Endpoint("PATCH", one, self.edit, EDITS)
        yield Endpoint("DELETE", one, self.delete, DELETES)
        yield Endpoint("PUT", one + "/reactions/{emoji}/@me", self.react)
        yield Endpoint("DELETE", one + "/reactions/{emoji}/@me", self.unreact)
        yield Endpoint("POST", "/channels/{channel}/typing", self.typing)

    def channel(self, incoming: Incoming, *, to_send: bool = False) -> Channel:
        return self.find_channel(incoming.number("channel"), to_send=to_send)

    def find_channel(self, channel_id: int, *, to_send: bool = False) -> Channel:
        channel = self.world.channels.get(channel_id)
        if channel is None:
            raise UNKNOWN_CHANNEL
        if not self.world.bot_sees(channel):
            raise MISSING_ACCESS
        if to_send and not self.world.bot_may_send(channel):
            raise NO_DIRECT_MESSAGE if channel.guild is None else MISSING_PERMISSIONS
        return channel

    def message(self, incoming: Incoming) -> Message:
        message = self.channel(incoming).messages.get(incoming.number("message"))
        if message is None or message.ephemeral:
            raise UNKNOWN_MESSAGE
        return message

    def history(self, incoming: Incoming) -> Answer:
        """Newest first; `after` gives the messages next to it, not the newest of all."""
        channel = self.channel(incoming)
        limit = incoming.query.get("limit", "50")
        if not limit.isdigit() or not 1 <= int(limit) <= 100:
            raise invalid("limit", "NUMBER_TYPE_MAX", "int value should be between 1 and 100.")
        found = sorted((m for m in channel.messages.values() if not m.ephemeral), key=lambda m: m.id)
        count = int(limit)
        anchors = [name for name in ("around", "before", "after") if name in incoming.query]
        if not anchors:
            found = found[-count:]
        elif (anchor := incoming.query[anchors[0]]) and not anchor.isdigit():
            raise invalid(anchors[0], "NUMBER_TYPE_COERCE", f'Value "{anchor}" is not snowflake.')
        elif anchors[0] == "after":
            found = [m for m in found if m.id > int(anchor)][:count]
        elif anchors[0] == "before":
            found = [m for m in found if m.id < int(anchor)][-count:]
        else:
            half = count // 2
            older = [m for m in found if m.id <= int(anchor)][-half - 1 :]
            found = (older + [m for m in found if m.id > int(anchor)][:half])[:count]
        return Answer(status=200, body=[self.messages.shown(message) for message in reversed(found)])

    def create(self, incoming: Incoming) -> Answer:
        channel = self.channel(incoming, to_send=True)
        draft = read_draft(incoming.body, incoming.uploads)
        if draft.nonce is not None and draft.enforce_nonce:
            said, earlier = self._nonces.get(str(draft.nonce), (0.0, None))
            if earlier is not None and self.world.clock.now() - said < NONCE_SECONDS:
                return Answer(status=200, body=message_payload(self.world, earlier))
        target = self.target(channel, draft.reference)
        message = self.messages.from_draft(channel, draft, kind=REPLY if target else DEFAULT, reply_to=target)
        message.flags &= ~(EPHEMERAL | LOADING)  # only answers to interactions can be that
        if draft.nonce is not None:
            self._nonces[str(draft.nonce)] = (message.created, message)
        self.messages.post(message)
        return Answer(status=200, body=message_payload(self.world, message))

    def target(self, channel: Channel, reference: Reference | None) -> Message | None:
        if reference is None:
            return None
        elsewhere = reference.channel_id not in (None, channel.id)
        found = None if elsewhere else channel.messages.get(reference.message_id)
        if found is None and reference.must_exist:
            if elsewhere:
                raise invalid(
                    "message_reference",
                    "REPLIES_CANNOT_REFERENCE_OTHER_CHANNEL",
                    "Cannot reply to a message in a different channel",
                )
            raise invalid("message_reference", "REPLIES_UNKNOWN_MESSAGE", "Unknown message")
        return found

    def fetch(self, incoming: Incoming) -> Answer:
        return Answer(status=200, body=self.messages.shown(self.message(incoming)))

    def edit(self, incoming: Incoming) -> Answer:
        message = self.message(incoming)
        if message.author != self.world.bot:
            raise ApiError(403, 50005, "Cannot edit a message authored by another user")
        self.messages.edit(message, read_draft(incoming.body, incoming.uploads, message))
        return Answer(status=200, body=message_payload(self.world, message))

    def delete(self, incoming: Incoming) -> Answer:
        message = self.message(incoming)
        if message.author != self.world.bot:
            private = message.channel.guild is None
            raise ApiError(403, 50003, "Cannot execute action on a DM channel") if private else MISSING_PERMISSIONS
        self.messages.remove(message)
        return EMPTY

    def react(self, incoming: Incoming) -> Answer:
        self.messages.react(self.message(incoming), incoming.params["emoji"], self.world.bot, add=True)
        return EMPTY

    def unreact(self, incoming: Incoming) -> Answer:
        self.messages.react(self.message(incoming), incoming.params["emoji"], self.world.bot, add=False)
        return EMPTY

    def typing(self, incoming: Incoming) -> Answer:
        self.channel(incoming, to_send=True).typing.append(self.world.clock.now())
        self.world.changed()
        return EMPTY
