"""The Telegram adapter: what comes in is judged and accepted, what goes out is sent and edited.

Beside it: `telegram_poll` (receiving), `telegram_read` (what an update means), `telegram_layout` (Markdown to entities),
`telegram_transport` (one call and its errors), `telegram_text` (offsets and mentions).
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

import aiohttp
from telegram import InputFile
from telegram.error import TelegramError

from bot import phrases
from bot.errors import Gone, PlatformError, Rejected, StorageError, TooLarge, Unreadable, Unsure
from bot.messages import Address, Attachment, Event, Incoming, Media, Message, Piece
from bot.phrases import Language
from bot.platforms import telegram_layout, telegram_read
from bot.platforms.telegram_poll import SILENCE, Patience, Poller
from bot.platforms.telegram_read import Ignored, Keyed
from bot.platforms.telegram_text import Json, Me
from bot.platforms.telegram_transport import ANSWER, NOT_MODIFIED, UPLOAD, Api, translated
from bot.ports import Cursors, Files, Gatekeeper, Intake, MenuEntry, Traits

DOWNLOAD = 20_000_000  # bytes; the Bot API hands out no larger files
PHOTO = 10_000_000  # bytes that a photo may have; larger pictures go as documents
ERRANDS = 100  # small calls that may be under way at once beside the polling; more are not made
REMEMBERED = 500  # albums and uploaded files that are kept in mind
MOST_COMMANDS = 100

_log = logging.getLogger(__name__)
T = TypeVar("T")


@dataclass(slots=True)
class _Batch:
    """What a batch of updates asks for: events to accept, presses to answer afterwards, strangers to turn away."""

    events: list[Event] = field(default_factory=list)
    presses: list[str] = field(default_factory=list)
    strangers: list[Event] = field(default_factory=list)


class TelegramPlatform:
    """Implements `ports.Platform` and `ports.Drafting`. `api_url` is the server's root; `drafts` turns native drafts on in
    private chats; `silence` is the time in seconds after which a poll that says nothing is begun anew."""

    name = "telegram"
    traits = Traits(idempotent=False)

    def __init__(
        self,
        *,
        token: str,
        api_url: str,
        session: aiohttp.ClientSession,
        gate: Gatekeeper,
        cursors: Cursors,
        files: Files,
        menu: Sequence[MenuEntry],
        drafts: bool = False,
        silence: float = SILENCE,
    ) -> None:
        self._api = Api(token, api_url, session)
        self._poller = Poller(self._api, silence)
        self._gate, self._cursors, self._files, self._menu = gate, cursors, files, menu
        number = token.partition(":")[0]
        self._me = Me(int(number) if number.isdecimal() else 0)
        self._hint_due = False  # about privacy mode, when it first matters
        self._drafts = drafts
        self._undraftable: OrderedDict[str, None] = OrderedDict()
        self._albums: OrderedDict[str, None] = OrderedDict()  # those that are meant for us: only one message says so
        self._moved: OrderedDict[str, str] = OrderedDict()  # new id of a group → its old one
        self._uploaded: OrderedDict[str, str] = OrderedDict()  # our files → Telegram's ids
        self._errands = 0

    # --- receiving -----------------------------------------------------------------------------------------------------

    async def listen(self, intake: Intake) -> None:
        """Raises Revoked when Telegram does not know the token."""
        fatal: PlatformError | None = None
        self._errands = 0
        async with asyncio.TaskGroup() as errands:
            try:
                await self._receive(intake, errands)
            except PlatformError as error:
                fatal = error
        if fatal is not None:
            raise fatal

    async def _receive(self, intake: Intake, errands: asyncio.TaskGroup) -> None:
        me = await self._poller.insist("getMe")
        self._me = Me(int(me["id"]), str(me.get("username") or ""))
        self._hint_due = not me.get("can_read_all_group_messages", False)
        await self._poller.insist("deleteWebhook", {"drop_pending_updates": False})
        _log.info("Telegram: connected as @%s", self._me.name)
        self._start(errands, self._set_menu)
        offset: int | None = None
        while True:
            updates = await self._poller.batch(offset)
            batch = self._judge(updates)
            await self._accept(intake, batch.events)
            for press in batch.presses:
                self._start(errands, partial(self._api.call, "answerCallbackQuery", {"callback_query_id": press}))
            for event in batch.strangers:
                self._start(errands, partial(self._turn_away, event))
            ids = [update["update_id"] for update in updates if _has_id(update)]
            if ids:
                offset = max(ids) + 1
            elif updates:
                await self._poller.stuck()

    async def _accept(self, intake: Intake, events: Sequence[Event]) -> None:
        """Until they are committed nothing else is asked of Telegram, and so nothing confirmed."""
        patience = Patience("Telegram's messages wait for the storage")
        while events:
            try:
                await intake.accept(events)
            except StorageError as error:
                await patience.wait(str(error))
            else:
                patience.over()
                return

    def _judge(self, updates: Sequence[Any]) -> _Batch:
        batch = _Batch()
        keyed = [one for update in updates if (one := self._key(update)) is not None]
        for one in keyed:
            if one.album and one.addressed:
                _remember(self._albums, one.album, None)
        for one in keyed:
            self._explain_privacy(one)
            if not one.addressed and one.album not in self._albums:
                continue
            if one.place != one.event.chat.chat:  # it moves: admitted by its old id until the gate knows the new one
                _remember(self._moved, one.place, one.event.chat.chat)
            if one.always or self._gate.admits(self.name, one.person, one.place, self._moved.get(one.place, one.place)):
                batch.events.append(one.event)
            elif (one.private or one.command) and one.event.message and self._gate.turn_away(self.name, one.person):
                batch.strangers.append(one.event)
            if one.press:
                batch.presses.append(one.press)
        return batch

    def _key(self, update: Any) -> Keyed | None:
        """None for what is not ours and for what cannot be keyed: the cursor moves past both."""
        if not _has_id(update):
            _log.warning("Telegram sent an update without an id: passed over")
            return None
        try:
            return telegram_read.key(update, self._me)
        except Ignored:
            return None
        except Unreadable as error:
            _log.warning("Telegram update %d passed over: %s", update["update_id"], error)
            return None

    def _explain_privacy(self, one: Keyed) -> None:
        if self._hint_due and not one.private:
            self._hint_due = False
            _log.info(
                "Telegram's privacy mode is on for @%s: in groups it is told only commands, replies to it and messages that "
                "name it, which is all that it needs. If it misses any: write /setprivacy to @BotFather, choose @%s, press "
                "Disable, then remove the bot from the group and add it again.",
                self._me.name,
                self._me.name,
            )

    # --- errands: small calls beside the polling, at best effort -----------------------------------------------------------

    def _start(self, errands: asyncio.TaskGroup, errand: Callable[[], Awaitable[object]]) -> None:
        if self._errands < ERRANDS:
            self._errands += 1
            errands.create_task(self._run(errand))

    async def _run(self, errand: Callable[[], Awaitable[object]]) -> None:
        try:
            async with asyncio.timeout(ANSWER):
                await errand()
        except (TelegramError, PlatformError, StorageError, Unreadable, TimeoutError) as error:
            _log.debug("Telegram errand: %s", error)
        finally:
            self._errands -= 1

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
        note = f"telegram/menu/{self._me.id}"
        digest = hashlib.sha256(json.dumps(menus).encode()).hexdigest()
        if (await self._cursors.notes(note)).get(note) != digest:
            for menu in menus:
                await self._api.call("setMyCommands", menu)
            await self._cursors.note({note: digest})

    # --- reading -------------------------------------------------------------------------------------------------------

    def read(self, payload: str) -> Incoming:
        return telegram_read.read(payload, self._me, self._owns)

    def _owns(self, person: str) -> bool:
        return self._gate.owns(self.name, person)

    def layout(self, markdown: str) -> tuple[Piece, ...]:
        return telegram_layout.layout(markdown)

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
        await self._show(to, _place(to) | {"message_id": int(message)}, piece)

    async def remove(self, to: Address, message: str) -> None:
        try:
            await self._call("deleteMessage", _place(to) | {"message_id": int(message)}, to)
        except Rejected as error:
            if "not found" not in str(error).lower():
                raise
        except Gone:
            return

    async def working(self, to: Address) -> None:
        await self._call("sendChatAction", _place(to) | {"action": "typing"}, to)

    async def _show(self, to: Address, where: Json, piece: Piece) -> Any:
        """Send, or edit where `where` names a message. What Telegram refuses for its entities goes as plain text."""
        keyboard = _keyboard(piece)
        if piece.media is not None:
            return await self._show_picture(to, where | keyboard, piece, piece.media)
        method = "editMessageText" if "message_id" in where else "sendMessage"
        said = where | keyboard | {"text": piece.body, "link_preview_options": {"is_disabled": True}}
        if piece.marks:
            try:
                return await self._call(method, said | {"entities": piece.marks}, to)
            except Rejected as error:
                _log.warning("Telegram refused the formatting of a message, sent plain: %s", error)
        return await self._call(method, said, to)

    async def _show_picture(self, to: Address, where: Json, piece: Piece, media: Media) -> Any:
        """First by the id that Telegram gave it, then as a photo, at last as a document, which takes any size and shape."""
        if known := self._uploaded.get(media.file):
            try:
                return await self._call(*_picture("photo", where, piece, known), to)
            except Rejected:
                del self._uploaded[media.file]
        try:
            data = await self._files.load(media.file)
        except (Unreadable, OSError) as error:
            raise Rejected(f"a kept file cannot be read: {type(error).__name__}") from None
        upload = InputFile(data, filename=f"picture.{media.mime.rpartition('/')[2] or 'png'}")
        if len(data) <= PHOTO:
            try:
                shown = await self._call(*_picture("photo", where, piece, upload), to, UPLOAD)
            except Rejected as error:
                _log.info("Telegram does not take a picture as a photo, sent as a document: %s", error)
            else:
                if isinstance(shown, dict) and shown.get("photo"):
                    _remember(self._uploaded, media.file, str(shown["photo"][-1]["file_id"]))
                return shown
        return await self._call(*_picture("document", where, telegram_layout.plain(piece), upload), to, UPLOAD)

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
            _remember(self._undraftable, to.chat.chat, None)
            raise


def _has_id(update: Any) -> bool:
    return isinstance(update, dict) and type(update.get("update_id")) is int


def _remember(memory: OrderedDict[str, T], name: str, value: T) -> None:
    memory[name] = value
    while len(memory) > REMEMBERED:
        memory.popitem(last=False)


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


def _picture(kind: str, where: Json, piece: Piece, file: InputFile | str) -> tuple[str, Json]:
    """Method and parameters that show a picture in a new message, or in the one that `where` names."""
    caption, marks = telegram_layout.caption(piece)
    if "message_id" not in where:
        named = {"caption": caption, "caption_entities": marks or None}
        return ("sendPhoto" if kind == "photo" else "sendDocument"), where | named | {kind: file}
    entities = {"caption_entities": json.loads(marks)} if marks else {}
    if isinstance(file, str):
        return "editMessageMedia", where | {"media": {"type": kind, "media": file, "caption": caption, **entities}}
    media = {"type": kind, "media": "attach://picture", "caption": caption, **entities}
    return "editMessageMedia", where | {"media": media, "picture": file}
