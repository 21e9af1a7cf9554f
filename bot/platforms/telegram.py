"""The Telegram adapter: what comes in is accepted, what goes out is sent and edited.

Beside it: `telegram_poll` and `telegram_webhook` (the two ways in), `telegram_inbox` (what is ours and who may),
`telegram_read` (what an update means), `telegram_layout` (Markdown to entities), `telegram_media` (pictures, videos, voice
notes), `telegram_transport` (one call and its errors), `telegram_text` (offsets and mentions), `telegram_account` (what the
check of the set-up asks).

Among several processes one at a time polls, or tells Telegram where the webhook is, and looks after the menus; it has the
duty. All send, edit, read, and take webhooks.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import socket
import time
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from functools import partial
from typing import Any

import aiohttp
from telegram.error import TelegramError

from bot import phrases
from bot.errors import Gone, Rejected, StorageError, TooLarge, Unreachable, Unreadable, Unsure
from bot.messages import Address, Attachment, ChatKey, Event, Incoming, Media, Message, Piece
from bot.phrases import Language
from bot.platforms import telegram_layout, telegram_media, telegram_read
from bot.platforms.listener import bind, serving
from bot.platforms.telegram_inbox import Errands, UpdateInbox, errands, remember
from bot.platforms.telegram_poll import SILENCE, Caller, Patience, Poller
from bot.platforms.telegram_text import Json, Me
from bot.platforms.telegram_transport import ANSWER, NOT_MODIFIED, UPLOAD, Api, translated
from bot.platforms.telegram_webhook import CHECK, Receiver, Webhook, keep_set, secret_of
from bot.ports import Cursors, Duties, Files, Gatekeeper, Intake, MenuEntry, Traits

DOWNLOAD = 20_000_000  # bytes; the Bot API hands out no larger files
MOST_COMMANDS = 100

_log = logging.getLogger(__name__)


class TelegramPlatform:
    """Implements `ports.Platform`, `Drafting`, `Hearing` and `Confiding`. `api_url` is the server's root; with a `webhook`
    nothing is polled; `drafts` turns native drafts on in private chats. In seconds: `silence`, after which a poll that says
    nothing is begun anew, and `check`, between looks whether the webhook stands."""

    name = "telegram"
    traits = Traits(idempotent=False)

    def __init__(
        self,
        *,
        token: str,
        api_url: str,
        session: aiohttp.ClientSession,
        gate: Gatekeeper,
        duties: Duties,
        cursors: Cursors,
        files: Files,
        menu: Sequence[MenuEntry],
        webhook: Webhook | None = None,
        drafts: bool = False,
        silence: float = SILENCE,
        check: float = CHECK,
    ) -> None:
        self._api = Api(token, api_url, session)
        self._gate, self._duties, self._cursors, self._files, self._menu = gate, duties, cursors, files, menu
        number = token.partition(":")[0]
        self._inbox = UpdateInbox(
            self._api, gate, cursors, Me(int(number) if number.isdecimal() else 0), self._turn_away
        )
        self._webhook, self._secret = webhook, secret_of(token)
        self._silence, self._check = silence, check
        self.heard_at: float | None = None
        self._drafts = drafts
        self._undraftable: OrderedDict[str, None] = OrderedDict()
        self._uploaded: OrderedDict[str, str] = OrderedDict()  # our files → Telegram's ids

    # --- receiving -----------------------------------------------------------------------------------------------------

    async def listen(self, intake: Intake) -> None:
        """Raises Revoked when Telegram does not know the token, SettingsError when the webhook's port cannot be had."""
        if self._webhook is None:
            await self._meet()
            await self._duties.perform(self._duty, partial(self._poll, intake))
            return
        place = self._webhook.host, self._webhook.port, ("WEBHOOK_HOST", "WEBHOOK_PORT")
        with closing(await bind("the webhook", *place)) as listener:
            await self._meet()
            await self._be_told(self._webhook, listener, intake)

    async def _meet(self) -> None:
        """Who we are: every process has to know it."""
        with self._hearing():
            me = await Caller(self._api).insist("getMe")
        self._inbox.me = Me(int(me["id"]), str(me.get("username") or ""))
        self._inbox.hint_due = not me.get("can_read_all_group_messages", False)
        _log.info("Telegram: connected as @%s", self._inbox.me.name)
        self.heard_at = None  # until the duty is ours

    @property
    def _duty(self) -> str:
        return f"telegram/{self._inbox.me.id}"

    def _on_duty(self) -> bool:
        return self._duties.holds(self._duty)

    async def _poll(self, intake: Intake) -> None:
        caller = Caller(self._api, self._on_duty)
        poller, patience = Poller(caller, self._silence), Patience("Telegram's messages wait for the storage")
        with self._hearing():
            await caller.insist("deleteWebhook", {"drop_pending_updates": False})
            async with errands(self._on_duty) as running:
                running.start(self._set_menu)
                while True:
                    updates = await poller.batch()
                    self._heard()
                    await self._keep(updates, intake, running, patience)

    async def _keep(self, updates: Sequence[Any], intake: Intake, running: Errands, patience: Patience) -> None:
        """Until they are committed nothing else is asked of Telegram, and so nothing confirmed."""
        keyed = self._inbox.sort(updates)
        while True:
            try:
                await self._inbox.accept(keyed, intake, running)
            except StorageError as error:
                await patience.wait(str(error))
            else:
                patience.over()
                return

    async def _be_told(self, webhook: Webhook, listener: socket.socket, intake: Intake) -> None:
        """Take what Telegram sends, on duty or not."""
        async with errands() as running:

            async def take(update: Any) -> None:
                await self._inbox.accept(self._inbox.sort([update]), intake, running)

            async with serving(Receiver(webhook.url, self._secret, take), listener):
                _log.info("Telegram: the webhook listens on port %d", listener.getsockname()[1])
                await self._duties.perform(self._duty, partial(self._keep_webhook, webhook))

    async def _keep_webhook(self, webhook: Webhook) -> None:
        caller = Caller(self._api, self._on_duty, "Telegram's webhook (TELEGRAM_WEBHOOK_URL)")
        with self._hearing():
            async with errands(self._on_duty) as running:
                running.start(self._set_menu)
                await keep_set(caller, webhook.url, self._secret, self._heard, self._check)

    def _heard(self) -> None:
        self.heard_at = time.monotonic()

    @contextmanager
    def _hearing(self) -> Iterator[None]:
        """While this process is to hear Telegram. After a breakdown it is as deaf as before."""
        if self.heard_at is None:
            self._heard()
        try:
            yield
        except asyncio.CancelledError:
            self.heard_at = None
            raise

    async def _turn_away(self, event: Event) -> None:
        incoming = self.read(event.payload)
        language: Language = "en"
        reply_to = ""
        if isinstance(incoming, Message):
            language, reply_to = incoming.language, incoming.address.reply_to
        line = phrases.STRANGER.format(id=f"{self.name}:{event.author}").to(language)
        await self.send(Address(event.chat, reply_to), Piece(line), "")

    async def _set_menu(self) -> None:
        """Native menus, in English and Chinese, sent only when they changed."""
        entries = self._menu[:MOST_COMMANDS]
        menus: list[Json] = [
            {"commands": [{"command": entry.name, "description": entry.help.en[:256]} for entry in entries]},
            {
                "commands": [{"command": entry.name, "description": entry.help.zh[:256]} for entry in entries],
                "language_code": "zh",
            },
        ]
        note = f"telegram/menu/{self._inbox.me.id}"
        digest = hashlib.sha256(json.dumps(menus).encode()).hexdigest()
        if (await self._cursors.notes(note)).get(note) != digest:
            for menu in menus:
                if not self._on_duty():
                    return
                await self._api.call("setMyCommands", menu)
            await self._cursors.note({note: digest})

    # --- reading -------------------------------------------------------------------------------------------------------

    def read(self, payload: str) -> Incoming:
        return telegram_read.read(payload, self._inbox.me, self._owns)

    def _owns(self, person: str) -> bool:
        return self._gate.owns(self.name, person)

    def layout(self, markdown: str, thoughts: str = "", thinking: bool = False, /) -> tuple[Piece, ...]:
        return telegram_layout.layout(markdown, thoughts, thinking)

    # --- showing -------------------------------------------------------------------------------------------------------

    async def send(self, to: Address, piece: Piece, nonce: str) -> str:
        """Telegram has no idempotent send, so `nonce` goes unused: a broken answer raises Unsure."""
        where = _place(to)
        if to.reply_to:
            where["reply_parameters"] = {"message_id": int(to.reply_to), "allow_sending_without_reply": True}
        shown = await self._show(to, where, piece)
        try:
            return str(shown["message_id"])
        except (KeyError, TypeError):
            raise Unsure("an answer without a message id") from None

    async def edit(self, to: Address, message: str, piece: Piece) -> None:
        if piece.media is not None and piece.media.voice:  # Telegram lets no message become a voice note
            await self.remove(to, message)
            raise Gone("a voice note takes the place of a message")
        await self._show(to, _place(to) | {"message_id": int(message)}, piece)

    async def remove(self, to: Address, message: str) -> None:
        try:
            await self._call("deleteMessage", _place(to) | {"message_id": int(message)}, to)
        except Rejected as error:
            if "not found" not in str(error).lower():
                raise
        except Gone:
            return

    async def private(self, person: str) -> ChatKey:
        """Telegram lets us write to those only who once wrote to us."""
        return ChatKey(self.name, person)

    async def working(self, to: Address) -> None:
        await self._call("sendChatAction", _place(to) | {"action": "typing"}, to)

    async def _show(self, to: Address, where: Json, piece: Piece) -> Any:
        """Send, or edit where `where` names a message. What Telegram refuses for its entities goes as plain text."""
        keyboard = _keyboard(piece)
        if piece.media is not None:
            return await self._show_media(to, where | keyboard, piece, piece.media)
        method = "editMessageText" if "message_id" in where else "sendMessage"
        said = where | keyboard | {"text": piece.body, "link_preview_options": {"is_disabled": True}}
        if piece.marks:
            try:
                return await self._call(method, said | {"entities": piece.marks}, to)
            except Rejected as error:
                _log.warning("Telegram refused the formatting of a message, sent plain: %s", error)
        return await self._call(method, said, to)

    async def _show_media(self, to: Address, where: Json, piece: Piece, media: Media) -> Any:
        """First by the id that Telegram gave it, then as what it is, at last as a document, which takes any size and shape."""
        kind = telegram_media.kind_of(media)
        if known := self._uploaded.get(media.file):
            try:
                return await self._call(*telegram_media.call(kind, where, piece, known), to)
            except Rejected:
                del self._uploaded[media.file]
        try:
            data = await self._files.load(media.file)
        except (Unreadable, OSError) as error:
            raise Rejected(f"a kept file cannot be read: {type(error).__name__}") from None
        except StorageError as error:
            raise Unreachable(f"a kept file cannot be had: {error}") from error
        upload = telegram_media.upload(media, data)
        if len(data) <= telegram_media.LIMITS[kind]:
            try:
                shown = await self._call(*telegram_media.call(kind, where, piece, upload), to, UPLOAD)
            except Rejected as error:
                _log.info("Telegram does not take a file as a %s, sent as a document: %s", kind, error)
            else:
                if id := telegram_media.id_of(shown, kind):
                    remember(self._uploaded, media.file, id)
                return shown
        piece = telegram_layout.plain(piece)
        return await self._call(*telegram_media.call("document", where, piece, upload), to, UPLOAD)

    async def _call(self, method: str, parameters: Json, to: Address, seconds: float = ANSWER) -> Any:
        try:
            return await self._api.call(method, parameters, seconds)
        except TelegramError as error:
            if NOT_MODIFIED in error.message.lower():
                return True
            raise translated(error, to.chat, once=method.startswith("send")) from None

    # --- files ---------------------------------------------------------------------------------------------------------

    async def fetch(self, attachment: Attachment, limit: int) -> bytes:
        limit = min(limit, DOWNLOAD)
        if attachment.size > limit:
            raise TooLarge(limit)
        try:
            file = await self._api.call("getFile", {"file_id": attachment.ref})
            return await self._api.download(str(file["file_path"]), limit)
        except KeyError:
            raise Rejected("a file that is no longer there") from None
        except TelegramError as error:
            if "file is too big" in error.message.lower():
                raise TooLarge(limit) from None
            raise translated(error) from None

    # --- native drafts -------------------------------------------------------------------------------------------------

    def drafts(self, to: Address) -> bool:
        return self._drafts and not to.group and to.chat.chat not in self._undraftable

    async def draft(self, to: Address, turn: int, piece: Piece) -> None:
        """A preview that goes by itself after 30 s. Where Telegram refuses it, `drafts` is False from then on."""
        text: Json = {"draft_id": turn, "text": piece.body}
        if piece.marks:
            text["entities"] = piece.marks
        try:
            await self._call("sendMessageDraft", _place(to) | text, to)
        except Rejected:
            remember(self._undraftable, to.chat.chat, None)
            raise


def _place(to: Address) -> Json:
    place: Json = {"chat_id": int(to.chat.chat)}
    if to.chat.thread:
        place["message_thread_id"] = int(to.chat.thread)
    return place


def _keyboard(piece: Piece) -> Json:
    if not piece.buttons:
        return {}
    rows = [[{"text": button.label, "callback_data": button.id} for button in row] for row in piece.buttons]
    return {"reply_markup": {"inline_keyboard": rows}}
