"""Where and who, and what comes in: what an adapter hands over, and what that reads as."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from bot.lanes import Lane
from bot.phrases import Language


@dataclass(frozen=True, slots=True)
class ChatKey:
    """One conversation: a Telegram chat or topic, a Discord channel, thread or DM, one chat of the page."""

    platform: str
    chat: str
    thread: str = ""

    def __str__(self) -> str:
        return f"{self.platform}:{self.chat}:{self.thread}" if self.thread else f"{self.platform}:{self.chat}"

    @classmethod
    def parse(cls, text: str) -> ChatKey:
        """The inverse of `str()`. No part may contain a colon."""
        return cls(*text.split(":", 2))


@dataclass(frozen=True, slots=True)
class Author:
    """A person. `id` is the platform's numeric id as text; names are for reading only, since anyone may take any name."""

    id: str
    name: str
    owner: bool = False


PAGE_OWNER = "web:1"  # whoever has the page's password, in the form of ADMINS: always an owner


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """What an adapter asks the engine to accept: committed before the platform is told that we have it.

    event     the platform's own id of this event, unique together with platform and bot; a repeated one is accepted once
    message   the platform's id of the message it is about ("" for none); an edit names the message it edits
    joins     events of one chat that wait in a row with the same non-empty value become one turn: the author's id for plain
              messages, "" for commands, presses, edits and everything else
    edits     this event is an edit of `message`
    digest    of text and attachments: an edit with the digest of what it edits is no edit (link previews cause those)
    settle    seconds (at most 1) that a claim waits for the rest of an album or of a text cut into pieces
    moves_to  the chat has this key from now on, also for what is accepted right after it
    at        when it was said, Unix seconds by the platform's clock
    payload   what `Platform.read` gets back: Telegram's update as received, or the platform's own versioned JSON
    """

    platform: str
    bot: str
    event: str
    chat: ChatKey
    author: str
    payload: str
    at: float
    lane: Lane = Lane.TURN
    message: str = ""
    joins: str = ""
    edits: bool = False
    digest: str = ""
    settle: float = 0.0
    moves_to: ChatKey | None = None


MAX_FILE = 20_000_000  # bytes of an attachment that we read: as much as Telegram lets a bot fetch


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file that came with a message, still at the platform: `Platform.fetch` brings its bytes.

    kind is how the person sent it; `other` is anything we do not read, whose `name` then says what it was ("sticker").
    size is in bytes, and seconds is how long a recording is; 0 when the platform does not tell.
    """

    kind: Literal["image", "file", "voice", "video", "other"]
    ref: str
    name: str = ""
    mime: str = ""
    size: int = 0
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Address:
    """Where answers go. `reply_to` is the message that the first piece replies to; `via` is the platform's own note to
    itself (Discord keeps an interaction's token there); `group` says that several people read along."""

    chat: ChatKey
    reply_to: str = ""
    via: str = ""
    group: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """Something said to the bot. A command is a text that starts with its slash, however the platform wrote it.

    replies_to  the platform's id of the message it replies to, "" for none
    quote       the text of another person's message that it replies to (never of the bot's own), with `quoted` its author
    """

    id: str
    author: Author
    address: Address
    text: str
    at: float
    language: Language = "en"
    attachments: tuple[Attachment, ...] = ()
    replies_to: str = ""
    quote: str = ""
    quoted: str = ""


@dataclass(frozen=True, slots=True)
class Edited:
    """The message as it now stands; its `id` is that of the message first sent. `among` are the messages that were answered
    together with it, in their order and itself among them; empty until the engine has looked."""

    message: Message
    among: tuple[Message, ...] = ()


@dataclass(frozen=True, slots=True)
class Pressed:
    """A press on one of our buttons. `button` is what it carried: untrusted."""

    button: str
    author: Author
    address: Address
    language: Language = "en"


@dataclass(frozen=True, slots=True)
class Left:
    """The bot was blocked, kicked, or the chat is gone."""

    chat: ChatKey


@dataclass(frozen=True, slots=True)
class Moved:
    """The chat has a new key (a Telegram group that became a supergroup)."""

    old: ChatKey
    new: ChatKey


# Begins the payload of an `Ended`; its number follows, `@` and the message that told of it where there is one, and its order.
ENDED = "job "


@dataclass(frozen=True, slots=True)
class Ended:
    """Work in the background came to its end, well or not: `job` names it. For whom and where, as it was ordered."""

    job: int
    author: Author
    address: Address
    language: Language = "en"


Incoming = Message | Edited | Pressed | Left | Moved | Ended
