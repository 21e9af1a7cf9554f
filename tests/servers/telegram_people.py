"""What people do in their Telegram clients; each act changes what is shown and tells the bot what Telegram would."""

from __future__ import annotations

import io
import itertools
import random
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from PIL import Image

from tests.servers import telegram_media as media
from tests.servers.telegram_account import member_json
from tests.servers.telegram_markup import found
from tests.servers.telegram_rules import MAX_TEXT, Json, utf16
from tests.servers.telegram_state import BotStatus, Chat, ChatKind, Media, Message, Press, State, User


class TelegramPeople:
    """The users' side of TelegramServer, which adds the bot's side over HTTP."""

    def __init__(self, bot: User, *, privacy: bool) -> None:
        self.state = State(bot)
        self.privacy = privacy  # in groups the bot is told only what is meant for it
        self._ids = itertools.count(random.randrange(10**8, 10**9), 17)

    # ── places

    def user(
        self,
        first_name: str = "Ann",
        *,
        id: int | None = None,
        username: str | None = None,
        language_code: str = "en",
        is_bot: bool = False,
    ) -> User:
        user = User(id or next(self._ids), first_name, username, language_code, is_bot)
        self.state.users[user.id] = user
        return user

    def private(self, user: User | None = None, *, started: bool = False) -> Chat:
        """The private chat with `user`; until they write (or `started`) the bot may not."""
        user = user or self.user()
        if user.id not in self.state.chats:
            self._chat(user.id, "private", user.first_name, (user,)).started = started
        chat = self.state.chats[user.id]
        chat.started = chat.started or started
        return chat

    def group(self, *members: User, title: str = "Friends") -> Chat:
        return self._chat(-next(self._ids), "group", title, members)

    def supergroup(self, *members: User, title: str = "Company", topics: Sequence[str] = ()) -> Chat:
        """With topics it is a forum; `chat.topics` maps their thread ids to their names."""
        chat = self._chat(-1_000_000_000_000 - next(self._ids), "supergroup", title, members)
        for name in topics:
            self.topic(chat, name, members[0] if members else None)
        return chat

    def channel(self, title: str = "News") -> Chat:
        return self._chat(-1_000_000_000_000 - next(self._ids), "channel", title, ())

    def topic(self, chat: Chat, name: str, creator: User | None = None) -> int:
        """A new topic's message_thread_id. In a private chat: one of the bot's topics there."""
        chat.__dict__.pop("json", None)  # cached before the chat was a forum
        thread = self.state.new_id(chat)
        chat.topics[thread] = name
        service = {"forum_topic_created": {"name": name, "icon_color": 7322096}}
        self._appear(self._message(chat, creator, id=thread, thread=thread, service=service))
        return thread

    def _chat(self, id: int, kind: ChatKind, title: str, members: Sequence[User]) -> Chat:
        chat = Chat(id, kind, title, members={user.id: "member" for user in members})
        self.state.chats[id] = chat
        return chat

    # ── messages

    def say(
        self,
        chat: Chat,
        user: User | None,
        text: str,
        *,
        reply_to: Message | int | None = None,
        quote: str | None = None,
        thread: int | None = None,
        entities: Sequence[Json] | None = None,
        forwarded_from: User | None = None,
    ) -> Message:
        """One message of at most 4096 UTF-16 units; commands, mentions and links become entities by themselves."""
        text = text.strip()
        if not 0 < utf16(text) <= MAX_TEXT:
            raise ValueError("a client sends 1 to 4096 units in one message: use paste()")
        shown = tuple(entities) if entities is not None else found(text)
        service: Json = {}
        if forwarded_from is not None:
            origin = {"type": "user", "date": int(time.time()), "sender_user": forwarded_from.json}
            service["forward_origin"] = origin
        target = reply_to.id if isinstance(reply_to, Message) else reply_to
        message = self._message(chat, user, text=text, entities=shown, reply_to=target, thread=thread)
        return self._appear(replace(message, quote=quote, service=service))

    def paste(self, chat: Chat, user: User, text: str, *, thread: int | None = None) -> list[Message]:
        """A text of any length, cut into full messages as clients do."""
        pieces, start, units = [], 0, 0
        for index, char in enumerate(text):
            size = 2 if char > "\uffff" else 1
            if units + size > MAX_TEXT:
                pieces.append(text[start:index])
                start, units = index, 0
            units += size
        pieces.append(text[start:])
        return [self.say(chat, user, piece, thread=thread) for piece in pieces if piece.strip()]

    def send_photo(
        self, chat: Chat, user: User, data: bytes | None = None, caption: str = "", **context: Any
    ) -> Message:
        """`context`: album (messages with the same one belong together), reply_to, thread."""
        shown = media.photo(self.state, data or picture())
        return self._send_media(chat, user, shown, caption, context)

    def send_album(self, chat: Chat, user: User, pictures: Sequence[bytes], caption: str = "") -> list[Message]:
        """Separate messages with one media_group_id and no end mark; the caption is the first one's."""
        album = str(next(self._ids))
        captions = [caption, *[""] * (len(pictures) - 1)]
        return [
            self.send_photo(chat, user, data, text, album=album) for data, text in zip(pictures, captions, strict=True)
        ]

    def send_document(
        self,
        chat: Chat,
        user: User,
        data: bytes,
        name: str = "notes.txt",
        caption: str = "",
        *,
        mime: str = "text/plain",
        size: int | None = None,
        **context: Any,
    ) -> Message:
        """`size` pretends a larger file than `data`."""
        return self._send_media(chat, user, media.document(self.state, data, name, mime, size), caption, context)

    def send_voice(self, chat: Chat, user: User, data: bytes = b"OggS", seconds: int = 3, **context: Any) -> Message:
        return self._send_media(chat, user, media.voice(self.state, data, seconds), "", context)

    def send_sticker(self, chat: Chat, user: User, emoji: str = "🐦", **context: Any) -> Message:
        return self._send_media(chat, user, media.sticker(self.state, emoji), "", context)

    def _send_media(self, chat: Chat, user: User, shown: Media, caption: str, context: Json) -> Message:
        if isinstance(reply_to := context.get("reply_to"), Message):
            context["reply_to"] = reply_to.id
        fields = {"media": shown, "caption": caption, "entities": found(caption), **context}
        return self._appear(self._message(chat, user, **fields))

    def edit(self, message: Message, text: str) -> Message:
        """A person edits their message; the same text again is what a late link preview looks like to a bot."""
        now = self._now(message)
        content = "caption" if now.media else "text"
        edited = self.state.edit(now, {content: text, "entities": found(text)})
        self._tell("edited_channel_post" if edited.chat.kind == "channel" else "edited_message", edited)
        return edited

    def delete(self, message: Message) -> None:
        """A person deletes anyone's message; bots are never told."""
        self.state.remove(message.chat, message.id)

    def press(self, message: Message, button: str, user: User, *, inaccessible: bool = False) -> Press:
        """Presses the button with this text or data: of the message now, else of `message` as the client still shows it.

        `inaccessible`: the platform tells the bot only chat and id of the message, as for very old ones."""
        now = message.chat.messages.get(message.id, message)
        data = _data_of(now, button) or _data_of(message, button)
        if data is None:
            raise LookupError(f"no button {button!r} under message {message.id}: {now.buttons}")
        press = Press(str(random.randrange(10**17, 10**18)), data, time.monotonic())
        self.state.presses[press.id] = press
        shown = self.state.message_json(now)
        if inaccessible:
            shown = {"chat": message.chat.json, "message_id": message.id, "date": 0}
        query = {"id": press.id, "from": user.json, "message": shown, "data": data}
        self.state.updates.push("callback_query", {**query, "chat_instance": message.chat.instance})
        return press

    # ── membership

    def block(self, chat: Chat) -> None:
        self._set_bot(chat, "kicked", self.state.users[chat.id])

    def unblock(self, chat: Chat) -> None:
        self._set_bot(chat, "member", self.state.users[chat.id])

    def kick(self, chat: Chat, by: User | None = None) -> None:
        self._set_bot(chat, "kicked", by)

    def invite(self, chat: Chat, by: User | None = None) -> None:
        """The bot comes (back) into a group."""
        self._set_bot(chat, "member", by)

    def promote(self, chat: Chat, by: User | None = None) -> None:
        self._set_bot(chat, "administrator", by)

    def restrict(self, chat: Chat, by: User | None = None) -> None:
        """The bot may read but not write."""
        self._set_bot(chat, "restricted", by)

    def _set_bot(self, chat: Chat, status: BotStatus, by: User | None) -> None:
        old = member_json(self.state, chat, self.state.bot.id)
        chat.bot_status = status
        change: Json = {"chat": chat.json, "from": (by or self._someone(chat)).json, "date": int(time.time())}
        new = member_json(self.state, chat, self.state.bot.id)
        self.state.updates.push("my_chat_member", {**change, "old_chat_member": old, "new_chat_member": new})
        self.state.changed(chat.id)

    def migrate(self, chat: Chat, *, told: bool = True) -> Chat:
        """The group becomes a supergroup with a new id. `told=False`: the bot learns it only from refusals."""
        new = self._chat(-1_000_000_000_000 - next(self._ids), "supergroup", chat.title, ())
        new.members, new.bot_status = dict(chat.members), chat.bot_status
        user = self._someone(chat)
        leaving = self.state.put(self._message(chat, user, service={"migrate_to_chat_id": new.id}))
        arriving = self.state.put(self._message(new, user, service={"migrate_from_chat_id": chat.id}))
        if told:
            self._tell("message", leaving)
            self._tell("message", arriving)
        chat.moved_to = new.id
        return new

    def push_raw(self, update: Json) -> int:
        """Any update as it stands: poisoned, of an unknown kind, seen before. Returns its id."""
        return self.state.updates.push_raw(update)

    # ── what the bot is told

    def _message(self, chat: Chat, user: User | None, *, id: int | None = None, **fields: Any) -> Message:
        chat.started = True
        fields["thread"] = self.state.thread(chat, fields.get("thread"), fields.get("reply_to"))
        return Message(chat, id or self.state.new_id(chat), int(time.time()), user, **fields)

    def _appear(self, message: Message) -> Message:
        self.state.put(message)
        self._tell("channel_post" if message.chat.kind == "channel" else "message", message)
        return message

    def _tell(self, kind: str, message: Message) -> None:
        if self._reaches_bot(message):
            self.state.updates.push(kind, self.state.message_json(message))

    def _reaches_bot(self, message: Message) -> bool:
        chat = message.chat
        if chat.bot_status in ("kicked", "left") or chat.moved_to is not None:
            return False
        if chat.kind in ("private", "channel") or not self.privacy or chat.bot_status == "administrator":
            return True
        if message.service and "forward_origin" not in message.service:
            return True
        answered = chat.messages.get(message.reply_to) if message.reply_to else None
        return (answered is not None and answered.sender is self.state.bot) or self._names_bot(message)

    def _names_bot(self, message: Message) -> bool:
        name = f"@{self.state.bot.username}".lower()
        text = (message.text or message.caption).encode("utf-16-le")
        for entity in message.entities:
            start, end = 2 * entity["offset"], 2 * (entity["offset"] + entity["length"])
            part = text[start:end].decode("utf-16-le").lower()
            match entity["type"]:
                case "bot_command" if "@" not in part or part.endswith(name):
                    return True
                case "mention" if part == name:
                    return True
                case "text_mention" if entity["user"]["id"] == self.state.bot.id:
                    return True
                case _:
                    pass
        return False

    def _someone(self, chat: Chat) -> User:
        return next((self.state.users[user_id] for user_id in chat.members), self.state.bot)

    @staticmethod
    def _now(message: Message) -> Message:
        return message.chat.messages[message.id]


def _data_of(message: Message, button: str) -> str | None:
    for row in (message.markup or {}).get("inline_keyboard", ()):
        for shown in row:
            if button in (shown["text"], shown.get("callback_data")) and "callback_data" in shown:
                return str(shown["callback_data"])
    return None


def picture(width: int = 320, height: int = 200, colour: str = "#3366cc") -> bytes:
    """A small real JPEG."""
    out = io.BytesIO()
    Image.new("RGB", (width, height), colour).save(out, "JPEG")
    return out.getvalue()
