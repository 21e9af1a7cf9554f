"""What the stand-in for Discord remembers: people, guilds, channels, messages, interactions.

Plain records and the `World` that holds them, gives ids and tells the time. What Discord refuses is in
`discord_checks`, what the records look like as JSON in `discord_payloads`.
"""

import secrets
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

# Raw JSON as it crosses the wire: this file and its neighbours are that wire's other end.
JsonObject = dict[str, Any]

DISCORD_EPOCH_MS = 1_420_070_400_000  # 2015-01-01, the zero of a snowflake id

GUILD_TEXT, DM, PUBLIC_THREAD, PRIVATE_THREAD = 0, 1, 11, 12  # channel types
DEFAULT, REPLY, CHAT_INPUT_COMMAND = 0, 19, 20  # message types
EPHEMERAL, LOADING, VOICE_MESSAGE, COMPONENTS_V2 = 1 << 6, 1 << 7, 1 << 13, 1 << 15  # message flags
SLASH, COMPONENT, AUTOCOMPLETE = 2, 3, 4  # interaction types


class Clock:
    """Wall time plus whatever a test has added; what expires (tokens, nonces, CDN links) goes by it."""

    def __init__(self) -> None:
        self._ahead = 0.0

    def now(self) -> float:
        """Seconds since 1970."""
        return time.time() + self._ahead

    def advance(self, seconds: float) -> None:
        self._ahead += seconds


@dataclass(frozen=True, slots=True)
class User:
    id: int
    name: str
    bot: bool = False
    locale: str = "en-US"  # of their client; interactions alone tell it

    @property
    def mention(self) -> str:
        return f"<@{self.id}>"


@dataclass(frozen=True, slots=True)
class Role:
    id: int
    name: str


@dataclass(slots=True)
class Guild:
    id: int
    name: str
    owner: User
    joined: float
    members: dict[int, User] = field(default_factory=dict)
    roles: dict[int, Role] = field(default_factory=dict)
    has_bot: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """A file as somebody hands it in. `duration` (seconds) and `waveform` (base64) make it a voice message."""

    filename: str
    data: bytes
    content_type: str = "application/octet-stream"
    description: str | None = None
    duration: float | None = None
    waveform: str | None = None


@dataclass(frozen=True, slots=True)
class Attachment:
    id: int
    channel_id: int
    upload: Upload


@dataclass(frozen=True, slots=True, kw_only=True)
class Pings:
    """Whom a message notifies; user and role ids."""

    everyone: bool = False
    users: frozenset[int] = frozenset()
    roles: frozenset[int] = frozenset()

    def __bool__(self) -> bool:
        return self.everyone or bool(self.users) or bool(self.roles)


@dataclass(slots=True, kw_only=True)
class Message:
    id: int
    channel: "Channel"
    author: User
    created: float
    content: str = ""
    attachments: tuple[Attachment, ...] = ()
    embeds: list[JsonObject] = field(default_factory=list)
    components: list[JsonObject] = field(default_factory=list)
    pings: Pings = Pings()
    kind: int = DEFAULT
    flags: int = 0
    edited: float | None = None
    edits: int = 0
    nonce: str | int | None = None
    reply_to: "Message | None" = None
    interaction: "Interaction | None" = None
    thread: "Channel | None" = None
    reactions: dict[str, set[int]] = field(default_factory=dict)
    deleted: bool = False

    @property
    def ephemeral(self) -> bool:
        return bool(self.flags & EPHEMERAL)


@dataclass(slots=True, kw_only=True)
class Channel:
    id: int
    kind: int
    name: str
    guild: Guild | None = None
    recipient: User | None = None
    parent: "Channel | None" = None
    owner: User | None = None
    created: float = 0.0
    archived: bool = False
    denied: set[str] = field(default_factory=set)  # what the bot may not do here: "view", "send"
    messages: dict[int, Message] = field(default_factory=dict)
    typing: list[float] = field(default_factory=list)  # when the bot said that it is typing

    @property
    def is_thread(self) -> bool:
        return self.kind in (PUBLIC_THREAD, PRIVATE_THREAD)

    @property
    def last_message_id(self) -> int | None:
        return max((m.id for m in self.messages.values() if not m.ephemeral), default=None)


@dataclass(frozen=True, slots=True)
class Choice:
    name: str
    value: str | int | float


@dataclass(slots=True, kw_only=True)
class Interaction:
    """A command, a press or an autocomplete, from the user's act to the bot's answers."""

    id: int
    token: str
    kind: int
    user: User
    channel: Channel
    created: float
    data: JsonObject
    message: Message | None = None  # the message whose component was pressed
    response: int | None = None  # the type of the first answer, None while there is none
    original: Message | None = None
    followups: dict[int, Message] = field(default_factory=dict)
    choices: tuple[Choice, ...] | None = None


Publish = Callable[..., None]


class World:
    """Everything there is. `publish(event, data, intent=…, private=…)` hands an event to the gateway and
    `changed()` wakes whoever waits for a condition; both are filled in by the server."""

    def __init__(self, application_id: int, bot: User, root_url: str) -> None:
        self.clock = Clock()
        self.application_id = application_id
        self.bot = bot
        self.root_url = root_url
        self.users: dict[int, User] = {bot.id: bot}
        self.guilds: dict[int, Guild] = {}
        self.channels: dict[int, Channel] = {}
        self.interactions: dict[str, Interaction] = {}  # by token
        self.commands: dict[int, dict[int, JsonObject]] = {0: {}}  # by guild id (0: global), then by id
        self.uploads: dict[int, Attachment] = {}
        self.content_approved = True
        self.publish: Publish = lambda *_args, **_kwargs: None
        self.changed: Callable[[], None] = lambda: None
        self._last_id = 0

    def new_id(self) -> int:
        """A snowflake: milliseconds in the upper bits, never repeated and always rising."""
        stamp = (int(self.clock.now() * 1000) - DISCORD_EPOCH_MS) << 22
        self._last_id = max(stamp, self._last_id + 1)
        return self._last_id

    def new_token(self) -> str:
        return "aW50ZXJhY3Rpb246" + secrets.token_urlsafe(60)

    def attach(self, channel: Channel, uploads: tuple[Upload, ...]) -> tuple[Attachment, ...]:
        attachments = tuple(Attachment(self.new_id(), channel.id, upload) for upload in uploads)
        self.uploads |= {attachment.id: attachment for attachment in attachments}
        return attachments

    def bot_sees(self, channel: Channel) -> bool:
        place = channel.parent or channel
        return (channel.guild is None or channel.guild.has_bot) and "view" not in channel.denied | place.denied

    def bot_may_send(self, channel: Channel) -> bool:
        return "send" not in channel.denied | (channel.parent or channel).denied

    def channels_of(self, guild: Guild) -> Iterator[Channel]:
        return (channel for channel in self.channels.values() if channel.guild is guild)

    def find_message(self, message_id: int) -> Message | None:
        for channel in self.channels.values():
            if message := channel.messages.get(message_id):
                return message
        return None
