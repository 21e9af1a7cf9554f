"""The user's side of the stand-in: who there is, where they meet, what they say, type and press."""

import dataclasses
import mimetypes
from collections.abc import Mapping, Sequence

from tests.servers.discord_checks import AllowedMentions
from tests.servers.discord_commands import chosen
from tests.servers.discord_gateway import GUILDS
from tests.servers.discord_interactions import Interactions
from tests.servers.discord_messages import Messages
from tests.servers.discord_payloads import attachment_payload, channel_payload, guild_payload
from tests.servers.discord_rest import Rest
from tests.servers.discord_state import (
    AUTOCOMPLETE,
    COMPONENT,
    DEFAULT,
    GUILD_TEXT,
    REPLY,
    SLASH,
    VOICE_MESSAGE,
    Channel,
    Guild,
    Interaction,
    JsonObject,
    Message,
    Role,
    Upload,
    User,
    World,
)
from tests.servers.discord_view import Shown, addressee, inner_components


class Users:
    def __init__(self, world: World, rest: Rest, messages: Messages, interactions: Interactions) -> None:
        self.world = world
        self.rest = rest
        self.messages = messages
        self.interactions = interactions

    def user(self, name: str, *, bot: bool = False, locale: str = "en-US") -> User:
        user = User(self.world.new_id(), name, bot, locale)
        self.world.users[user.id] = user
        return user

    def guild(self, name: str, *, members: Sequence[User] = (), has_bot: bool = True) -> Guild:
        owner = members[0] if members else self.user(f"{name}-owner")
        guild = Guild(
            self.world.new_id(),
            name,
            owner,
            self.world.clock.now(),
            {one.id: one for one in [owner, *members]},
            has_bot=False,
        )
        self.world.guilds[guild.id] = guild
        if has_bot:
            self.invite(guild)
        return guild

    def join(self, guild: Guild, user: User) -> None:
        guild.members[user.id] = user

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
        return self.rest.dm(user)

    def thread(self, parent: Channel, name: str, owner: User, *, message: Message | None = None) -> Channel:
        return self.rest.new_thread(parent, name, owner, message)

    def delete_channel(self, channel: Channel) -> None:
        del self.world.channels[channel.id]
        event = "THREAD_DELETE" if channel.is_thread else "CHANNEL_DELETE"
        self.world.publish(event, channel_payload(self.world, channel), intent=GUILDS)
        self.world.changed()

    def deny(self, channel: Channel, *what: str) -> None:
        """Takes "view" (50001 Missing Access) or "send" (50013; 50007 in a private chat) from the bot."""
        if unknown := set(what) - {"view", "send"}:
            raise ValueError(f"only view and send can be denied, not {unknown}")
        channel.denied.update(what)

    def allow(self, channel: Channel) -> None:
        channel.denied.clear()

    # What users do

    def say(
        self,
        channel: Channel,
        user: User,
        text: str = "",
        *,
        mention_bot: bool = False,
        reply_to: Message | Shown | None = None,
        attachments: Sequence[Upload] = (),
    ) -> Message:
        """A user's message. A mention of the bot stands in front of the text; a reply notifies whom it answers."""
        text = f"{self.world.bot.mention} {text}".strip() if mention_bot else text.strip()
        if not text and not attachments:
            raise ValueError("Discord's client does not send an empty message")
        if channel.guild is None and user not in (channel.recipient, self.world.bot):
            raise ValueError(f"{user.name} is not in this private chat")
        if channel.guild is not None and user.id not in channel.guild.members and not user.bot:
            raise ValueError(f"{user.name} is not in {channel.guild.name}")
        target = channel.messages[reply_to.id] if reply_to else None
        voice = any(upload.duration is not None for upload in attachments)
        message = Message(
            id=self.world.new_id(),
            channel=channel,
            author=user,
            created=self.world.clock.now(),
            content=text,
            kind=REPLY if target else DEFAULT,
            reply_to=target,
            flags=VOICE_MESSAGE if voice else 0,
        )
        message.attachments = self.world.attach(channel, tuple(map(_typed, attachments)))
        message.pings = self.messages.pings(message, AllowedMentions())
        return self.messages.post(message)

    def edit(self, message: Message, text: str) -> None:
        message.content, message.edited = text, self.world.clock.now()
        message.edits += 1
        message.pings = self.messages.pings(message, AllowedMentions())
        self.messages.announce("MESSAGE_UPDATE", message)

    def unfurl(self, message: Message, url: str) -> None:
        """Discord adds a link preview: MESSAGE_UPDATE with the same text and no edit time."""
        message.embeds = [{"type": "link", "url": url, "title": url}]
        self.messages.announce("MESSAGE_UPDATE", message)

    def delete(self, message: Message | Shown) -> None:
        found = message if isinstance(message, Message) else self._find(message.id)
        self.messages.remove(found)

    def react(self, message: Message | Shown, emoji: str, user: User, *, add: bool = True) -> None:
        self.messages.react(self._find(message.id), emoji, user, add=add)

    def slash(
        self, channel: Channel, user: User, name: str, options: Mapping[str, object] | None = None
    ) -> Interaction:
        """`/name` with `options`, as registered by the bot; subcommands follow the name after a space; files are `Upload`s."""
        given = dict(options or {})
        sent: JsonObject = {}
        for option, value in given.items():
            if isinstance(value, Upload):
                [attached] = self.world.attach(channel, (_typed(value),))
                given[option], sent[str(attached.id)] = attached, attachment_payload(self.world, attached)
        data = self._chosen(channel, name, given) | ({"resolved": {"attachments": sent}} if sent else {})
        return self.interactions.begin(SLASH, user, channel, data)

    def type_ahead(
        self, channel: Channel, user: User, name: str, option: str, typed: str, others: Mapping[str, object]
    ) -> Interaction:
        """The user is still typing `option` of `/name`: an autocomplete interaction."""
        data = self._chosen(channel, name, {**others, option: typed}, focused=option)
        return self.interactions.begin(AUTOCOMPLETE, user, channel, data)

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
        return self.interactions.begin(COMPONENT, user, found.channel, data, found)

    def _chosen(
        self, channel: Channel, name: str, options: Mapping[str, object], focused: str | None = None
    ) -> JsonObject:
        scopes = (channel.guild.id, 0) if channel.guild else (0,)
        commands = [command for scope in scopes for command in self.world.commands.get(scope, {}).values()]
        return chosen(commands, name, options, focused)

    def _find(self, message_id: int) -> Message:
        if (message := self.world.find_message(message_id)) is None:
            raise ValueError(f"there is no message {message_id}")
        return message


def _typed(upload: Upload) -> Upload:
    if upload.content_type != "application/octet-stream":
        return upload
    guessed = mimetypes.guess_type(upload.filename)[0] or upload.content_type
    return dataclasses.replace(upload, content_type=guessed)
