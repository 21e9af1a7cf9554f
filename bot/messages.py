"""The words of the house: what rooms say to each other, as frozen values.

Top to bottom they follow a message: where it was said (`ChatKey`), what an adapter hands in (`Event`), what that event
reads as (`Message | Edited | Pressed | Left | Moved`), the `Turn` that answers it, the parts in which an answer comes,
the changes that it makes, and the pieces in which it is shown. No behaviour lives here beyond reading and writing themselves.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from bot.lanes import Lane
from bot.phrases import Language

# --- where and who -----------------------------------------------------------------------------------------------------


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


# --- what comes in -----------------------------------------------------------------------------------------------------


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


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file that came with a message, still at the platform: `Platform.fetch` brings its bytes.

    kind is how the person sent it; `other` is anything we do not read, whose `name` then says what it was ("sticker").
    size is in bytes, 0 when the platform does not tell.
    """

    kind: Literal["image", "file", "voice", "video", "other"]
    ref: str
    name: str = ""
    mime: str = ""
    size: int = 0


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


Incoming = Message | Edited | Pressed | Left | Moved


# --- the turn ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Shown:
    """A message of an answer that already stands at the platform."""

    slot: int
    piece: int
    id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """One answer being made. `said` is what it answers: one press or edit, or the messages that waited together.

    id       unique in the store; seq counts the turns of this chat
    fence    grows with each claim of the chat: only the latest claim may complete
    epoch    of the chat when the turn began; `/reset` raises it
    model    the chat's choice when the turn began ("" for the default): a running turn keeps it, also over a restart
    system   this chat's instructions
    head     the last message of the chat's history (None: a fresh conversation)
    attempt  1 at first, more after a crash in the middle
    late     said over an hour before the bot could see it: ask before answering
    shown    messages that an earlier attempt already sent
    """

    id: int
    chat: ChatKey
    seq: int
    fence: int
    epoch: int
    said: tuple[Message, ...] | Edited | Pressed
    author: Author
    address: Address
    language: Language
    stop: str
    model: str = ""
    system: str = ""
    head: int | None = None
    attempt: int = 1
    late: bool = False
    shown: tuple[Shown, ...] = ()


# --- an answer, part by part -------------------------------------------------------------------------------------------


class Finish(StrEnum):
    """Why an answer ended."""

    STOP = "stop"  # the model was done
    LENGTH = "length"  # the model's limit of tokens
    CUT = "cut"  # the stream broke off, or the vendor's inference did
    REFUSED = "refused"  # a content filter, before or in the middle
    TOOLS = "tools"  # the model asks for a function
    STOPPED = "stopped"  # a person pressed [Stop]
    FAILED = "failed"  # an error; the sentence was shown instead
    COMMAND = "command"  # no model was asked


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens as the vendor billed them; `pictures` for image models. `estimated` when the vendor told nothing."""

    prompt: int = 0
    completion: int = 0
    cached: int = 0
    pictures: int = 0
    estimated: bool = False


@dataclass(frozen=True, slots=True)
class Text:
    """More of the answer, in Markdown."""

    delta: str
    slot: int = 0


@dataclass(frozen=True, slots=True)
class Thought:
    """More of the model's thinking: shown apart, never kept in the history."""

    delta: str
    slot: int = 0


@dataclass(frozen=True, slots=True)
class Media:
    """A picture of the answer, its bytes already kept. `file` is a name inside the store of files."""

    file: str
    mime: str
    caption: str = ""
    slot: int = 0


@dataclass(frozen=True, slots=True)
class Notice:
    """A small line about what is going on ("drawing …"); the next part of its slot replaces it. It is no part of the answer,
    except where the turn ends on it."""

    text: str
    slot: int = 0


@dataclass(frozen=True, slots=True)
class Choice:
    """A button to be: `action` is kept in a row, the button carries that row's random id. `anyone` may press it, or only the
    person whose turn it is (and the owner)."""

    label: str
    action: str
    anyone: bool = False


@dataclass(frozen=True, slots=True)
class Buttons:
    """Rows of buttons under the finished answer."""

    rows: tuple[tuple[Choice, ...], ...]
    slot: int = 0


@dataclass(frozen=True, slots=True)
class Withdraw:
    """Take back what the slot has shown so far: a content filter closed in the middle of the answer."""

    slot: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """The end, exactly once, as the last part. `call` names the ledger's row of the call, `cost` is in millionths of a CNY.
    `status`, `code` and `vendor_message` are those of the vendor's error, if that is how it ended."""

    reason: Finish
    usage: Usage = Usage()
    model: str = ""
    request_id: str = ""
    status: int = 200
    code: str = ""
    vendor_message: str = ""
    call: int | None = None
    cost: int = 0


Part = Text | Thought | Media | Notice | Buttons | Withdraw | Finished


# --- what a turn changes, committed together with its answer -----------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """The question enters the history under `parent`. It becomes part of the conversation only when an `Answered` follows;
    alone (failed, refused, late) it can be asked again but is in nobody's way. `stored` names the entry of a question that is
    asked once more: nothing new enters then. `model` is asked; it tells of a turn that is stopped before it has finished."""

    text: str
    author: str
    parent: int | None
    files: tuple[str, ...] = ()
    stored: int | None = None
    model: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """The answer enters the history and the chat's head moves to it. `question` is the stored question that it answers, None
    for the `Asked` of the same turn. With `text` None it is the answer as delivered (slot 0)."""

    text: str | None = None
    question: int | None = None
    files: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Rewound:
    """The chat's head moves back: `/undo`."""

    head: int | None


@dataclass(frozen=True, slots=True)
class Configured:
    """A setting of this chat: `model` or `system`; "" restores the default."""

    name: Literal["model", "system"]
    value: str


@dataclass(frozen=True, slots=True)
class Spent:
    """A button did its work: it never works again."""

    button: str


@dataclass(frozen=True, slots=True)
class Replaces:
    """This turn takes over the messages of an earlier one and edits them (an edited question). Only before the first part."""

    turn: int


Change = Asked | Answered | Rewound | Configured | Spent | Replaces
CHANGES = (Asked, Answered, Rewound, Configured, Spent, Replaces)  # the same, for isinstance


# --- how an answer is shown --------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Button:
    """A button as the platform gets it: `id` comes back in `Pressed.button`."""

    label: str
    id: str


@dataclass(frozen=True, slots=True)
class Piece:
    """One message of an answer, exactly as the platform will show it.

    body   what the platform takes as text: plain text for Telegram, Markdown for Discord, HTML for the page
    marks  what goes with it in the platform's own form (Telegram: its entities, as JSON)
    media  a picture in front of the text
    """

    body: str
    marks: str = ""
    media: Media | None = None
    buttons: tuple[tuple[Button, ...], ...] = ()
