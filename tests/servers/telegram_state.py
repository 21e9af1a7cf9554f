"""What the platform knows: people, chats, messages, files, pressed buttons; and how it tells the bot of them in JSON.

Neither the bot's methods (telegram_methods) nor what people do (telegram_people) live here; both write through State.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Literal, TypeVar

from tests.servers.telegram_rules import Json, Refusal, bad, forbidden
from tests.servers.telegram_updates import UpdateQueue

T = TypeVar("T")
ChatKind = Literal["private", "group", "supergroup", "channel"]
BotStatus = Literal["member", "administrator", "restricted", "left", "kicked"]

DRAFT_LIFE = 30.0  # seconds that an unfinished draft is shown
DOWNLOAD_LIMIT = 20 * 1024 * 1024  # getFile's cap in bytes


@dataclass(frozen=True)
class User:
    id: int
    first_name: str
    username: str | None = None
    language_code: str | None = None
    is_bot: bool = False

    @cached_property
    def json(self) -> Json:
        shown = {"id": self.id, "is_bot": self.is_bot, "first_name": self.first_name}
        extra = {"username": self.username, "language_code": self.language_code}
        return shown | {key: value for key, value in extra.items() if value}


@dataclass(eq=False)
class Chat:
    """A chat as the platform sees it; `messages` holds what a user sees now, in order."""

    id: int
    kind: ChatKind
    title: str
    bot_status: BotStatus = "member"
    started: bool = True  # private: a bot cannot write first
    members: dict[int, str] = field(default_factory=dict)  # user id → status
    topics: dict[int, str] = field(default_factory=dict)  # thread id → name
    moved_to: int | None = None
    messages: dict[int, Message] = field(default_factory=dict, repr=False)
    last_id: int = 0
    instance: str = field(default_factory=lambda: str(random.randrange(-(2**63), 2**63)))

    @cached_property
    def json(self) -> Json:
        name = "first_name" if self.kind == "private" else "title"
        shown: Json = {"id": self.id, "type": self.kind, name: self.title}
        return shown | {"is_forum": True} if self.kind == "supergroup" and self.topics else shown


@dataclass(frozen=True, slots=True)
class File:
    id: str
    path: str
    data: bytes
    size: int


@dataclass(frozen=True, slots=True)
class Media:
    """What a message shows besides text: its JSON under `kind`, and the bytes of the full size."""

    kind: str
    json: Json | list[Json]
    file: File


@dataclass(frozen=True, slots=True, eq=False)
class Message:
    """One message at one moment: an edit puts a new one with the same id in its place."""

    chat: Chat
    id: int
    date: int
    sender: User | None
    text: str = ""
    entities: tuple[Json, ...] = ()
    caption: str = ""
    markup: Json | None = None
    media: Media | None = None
    album: str | None = None
    reply_to: int | None = None
    quote: str | None = None
    thread: int | None = None
    edits: int = 0
    edit_date: int | None = None
    service: Mapping[str, object] = field(default_factory=dict)

    @property
    def from_bot(self) -> bool:
        return self.sender is not None and self.sender.is_bot

    @property
    def buttons(self) -> tuple[str, ...]:
        rows = (self.markup or {}).get("inline_keyboard", ())
        return tuple(button["text"] for row in rows for button in row)


@dataclass(slots=True, eq=False)
class Press:
    """A pressed button and what the bot answered to it."""

    id: str
    data: str
    at: float
    answered: bool = False
    text: str = ""
    alert: bool = False


@dataclass(frozen=True, slots=True)
class Draft:
    id: int
    text: str
    entities: tuple[Json, ...]
    thread: int | None
    until: float


class State:
    def __init__(self, bot: User) -> None:
        self.bot = bot
        self.updates = UpdateQueue()
        self.users: dict[int, User] = {bot.id: bot}
        self.chats: dict[int, Chat] = {}
        self.files: dict[str, File] = {}
        self.paths: dict[str, File] = {}
        self.media: dict[str, Media] = {}  # by file id: what was shown once is shown the same again
        self.presses: dict[str, Press] = {}
        self.drafts: dict[int, Draft] = {}
        self.actions: dict[int, str] = {}  # chat → the last sendChatAction
        self.commands: dict[str, list[Json]] = {}
        self.descriptions: dict[str, str] = {}
        self.press_life = 600.0  # seconds in which a pressed button may be answered
        self._last_shared_id = random.randrange(10, 1000)
        self._last_file = 0
        self._waiting: dict[int | None, list[asyncio.Future[None]]] = {}

    # ── who may write where

    def chat(self, chat_id: object) -> Chat:
        """The chat a bot names, or Telegram's refusal."""
        chat = self.chats.get(chat_id) if isinstance(chat_id, int) else None
        if chat_id in (None, ""):
            bad("chat_id is empty")
        if chat is None:
            bad("chat not found")
        if chat.moved_to is not None:
            reason = "Bad Request: group chat was upgraded to a supergroup chat"
            raise Refusal(400, reason, {"migrate_to_chat_id": chat.moved_to})
        return chat

    def reachable(self, chat_id: object) -> Chat:
        """A chat that the bot is in."""
        chat = self.chat(chat_id)
        if chat.kind == "private":
            if chat.bot_status == "kicked":
                forbidden("bot was blocked by the user")
            if not chat.started:
                forbidden("bot can't initiate conversation with a user")
        elif chat.bot_status == "kicked":
            forbidden(f"bot was kicked from the {chat.kind} chat")
        elif chat.bot_status == "left":
            forbidden(f"bot is not a member of the {chat.kind} chat")
        return chat

    def writable(self, chat_id: object) -> Chat:
        """A chat that the bot may write into."""
        chat = self.reachable(chat_id)
        if chat.bot_status == "restricted":
            bad("not enough rights to send text messages to the chat")
        if chat.kind == "channel" and chat.bot_status != "administrator":
            bad("need administrator rights in the channel chat")
        return chat

    # ── messages

    def new_id(self, chat: Chat) -> int:
        """Private chats and small groups share the account's one sequence; supergroups and channels have their own."""
        if chat.kind in ("supergroup", "channel"):
            chat.last_id += 1
            return chat.last_id
        self._last_shared_id += 1
        return self._last_shared_id

    def put(self, message: Message) -> Message:
        message.chat.messages[message.id] = message
        self.changed(message.chat.id)
        return message

    def edit(self, message: Message, changes: Mapping[str, object]) -> Message:
        """`changes` are fields of Message."""
        edited = replace(message, edits=message.edits + 1, edit_date=int(time.time()), **changes)  # type: ignore[arg-type]  # fields by name
        return self.put(edited)

    def remove(self, chat: Chat, message_id: int) -> None:
        del chat.messages[message_id]
        self.changed(chat.id)

    def message_json(self, message: Message, *, nested: bool = False) -> Json:
        """As the Bot API shows it; a replied-to message is shown one level deep."""
        out: Json = {"message_id": message.id, "date": message.date, "chat": message.chat.json}
        if message.sender is not None:
            out["from"] = message.sender.json
        elif message.chat.kind == "channel":
            out["sender_chat"] = message.chat.json
        if message.edit_date is not None:
            out["edit_date"] = message.edit_date
        if message.text:
            out["text"] = message.text
        if message.caption:
            out["caption"] = message.caption
        if message.entities:
            out["caption_entities" if message.media else "entities"] = list(message.entities)
        if message.media is not None:
            out[message.media.kind] = message.media.json
        if message.album is not None:
            out["media_group_id"] = message.album
        if message.markup is not None and "inline_keyboard" in message.markup:
            out["reply_markup"] = message.markup
        out.update(message.service)
        if message.thread is not None or message.reply_to is not None:
            self._add_context(out, message, nested)
        return out

    def _add_context(self, out: Json, message: Message, nested: bool) -> None:
        chat = message.chat
        in_topic = message.thread in chat.topics
        if message.thread is not None:
            out["message_thread_id"] = message.thread
            if in_topic:
                out["is_topic_message"] = True
        # A message in a topic that answers nothing is told as a reply to the topic's first message.
        target = message.reply_to or (message.thread if in_topic and message.id != message.thread else None)
        if not nested and target is not None and target in chat.messages:
            out["reply_to_message"] = self.message_json(chat.messages[target], nested=True)
            if message.quote:
                at = chat.messages[target].text.find(message.quote)
                out["quote"] = {"text": message.quote, "position": max(at, 0), "is_manual": True}

    @staticmethod
    def thread(chat: Chat, given: int | None, reply_to: int | None) -> int | None:
        """A reply stays in its target's topic; in a supergroup without topics replies make threads of their own."""
        target = chat.messages.get(reply_to) if reply_to else None
        if given is not None or target is None:
            return given
        if chat.topics:
            return target.thread
        return target.thread or target.id if chat.kind == "supergroup" else None

    # ── files

    def store(self, data: bytes, folder: str, suffix: str, size: int | None = None) -> File:
        self._last_file += 1
        number = self._last_file
        file = File(f"AgAC{number:08d}Ag", f"{folder}/file_{number}{suffix}", data, size or len(data))
        self.files[file.id] = self.paths[file.path] = file
        return file

    @staticmethod
    def unique(file: File) -> str:
        return f"AQ{file.id[4:12]}"

    # ── drafts

    def draft(self, chat: Chat) -> Draft | None:
        """The draft a user sees now; it goes by itself after DRAFT_LIFE."""
        draft = self.drafts.get(chat.id)
        return draft if draft is not None and draft.until > time.monotonic() else None

    # ── waiting

    def changed(self, chat_id: int | None = None) -> None:
        """Wakes who waits for any change, and for one in this chat."""
        for key in {None, chat_id}:
            for waiter in self._waiting.pop(key, ()):
                if not waiter.done():
                    waiter.set_result(None)

    async def wait_for(self, condition: Callable[[], T], timeout: float, chat: Chat | None) -> T:
        """The condition's first true value; asked once per change, of `chat` alone if given."""
        key = None if chat is None else chat.id
        async with asyncio.timeout(timeout):
            while not (value := condition()):
                waiter = asyncio.get_running_loop().create_future()
                self._waiting.setdefault(key, []).append(waiter)
                await waiter
        return value
