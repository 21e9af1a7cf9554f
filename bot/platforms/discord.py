"""Discord, as `bot.ports.Platform`: what the bot hears and how it speaks there.

Its parts are beside it: discord_shards (which connections are ours), discord_gateway (a connection), discord_events (who hears
what), discord_inbox (messages in order, watermarks), discord_interactions and discord_menu (slash commands, presses),
discord_read (events and payloads), discord_layout (Markdown), discord_media (files, voice messages), discord_rest (calls),
discord_limits (how long, how much).
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import OrderedDict
from collections.abc import Sequence
from functools import partial
from typing import Any

import aiohttp
import yarl

from bot.errors import Forbidden, Gone, PlatformError, Rejected, StorageError, TooLarge, Unreachable, Unreadable
from bot.messages import Address, Attachment, ChatKey, Incoming, Media, Piece
from bot.platforms import discord_layout, discord_read
from bot.platforms.discord_events import Events
from bot.platforms.discord_gateway import Gateway
from bot.platforms.discord_interactions import Interactions
from bot.platforms.discord_limits import Limits
from bot.platforms.discord_media import LARGEST_UPLOAD, attachment, too_large, voice_message
from bot.platforms.discord_read import PLATFORM, JsonObject, Via
from bot.platforms.discord_rest import NO_PINGS, OFFICIAL_API, SUPPRESS_EMBEDS, NoWebhook, Rest, Upload
from bot.platforms.discord_shards import Shards, Tenure, insist
from bot.ports import Cursors, Duties, Files, Gatekeeper, Intake, MenuEntry, Traits

log = logging.getLogger(__name__)

CDN_HOSTS = frozenset({"cdn.discordapp.com", "media.discordapp.net"})
FETCH_SECONDS = 60.0
BUTTON_ROWS, BUTTONS_IN_ROW, LABEL, BUTTON_ID = 5, 5, 80, 100  # Discord's limits
ACTION_ROW, BUTTON, GREY = 1, 2, 2
ACKNOWLEDGED_AGAIN = 0.2  # seconds between two looks whether another process has acknowledged an interaction
REMEMBERED = 1000  # messages whose file need not be uploaded again with an edit


class DiscordPlatform:
    """Implements `ports.Platform`, `Hearing` and `Confiding`. `api_url` is the API's root with its version ("" for Discord's
    own); the gateway is the one that it names."""

    name = PLATFORM
    traits = Traits(idempotent=True, private=(1.0, 3), group=(1.5, 3))

    def __init__(
        self,
        *,
        token: str,
        api_url: str | None,
        gate: Gatekeeper,
        cursors: Cursors,
        files: Files,
        menu: Sequence[MenuEntry],
        session: aiohttp.ClientSession,
        duties: Duties,
        limits: Limits | None = None,
    ) -> None:
        self._token = token
        self._gate = gate
        self._cursors = cursors
        self._files = files
        self._menu = tuple(menu)
        self._session = session
        self._duties = duties
        self._limits = limits or Limits()
        self._rest = Rest(session, api_url or OFFICIAL_API, token)
        self._pictures: OrderedDict[str, str] = OrderedDict()  # by message: the file that it shows
        self._acknowledging: dict[str, asyncio.Event] = {}  # interactions, by token: see Interactions
        self._heard_at: dict[int, float] = {}  # by shard

    # --- in ------------------------------------------------------------------------------------------------------------

    async def listen(self, intake: Intake) -> None:
        """Until cancelled. Raises Revoked (bad token), Rejected (Discord closed the connection for good)."""
        failure: BaseException | None = None
        try:
            shards = Shards(self._rest, self._cursors, self._duties, self._limits)
            await shards.run(partial(self._serve, intake))
        except* PlatformError as group:
            failure = _first(group)
        if failure:  # what is raised inside `except*` is a group again
            raise failure

    async def _serve(self, intake: Intake, tenure: Tenure) -> None:
        """One shard while it is ours."""
        shard = tenure.shard.id
        self._heard(shard)
        try:
            async with asyncio.TaskGroup() as tasks:
                interactions = Interactions(self._rest, self._gate, intake, self._menu, self._acknowledging)
                events = Events(
                    self._rest,
                    self._gate,
                    self._cursors,
                    intake,
                    interactions,
                    self._menu,
                    tasks,
                    tenure,
                    self._limits,
                )
                await insist(events.inbox.load)
                for work in (events.inbox.commit, events.inbox.keep_marks, events.inbox.catch_up):
                    tasks.create_task(work())
                heard = partial(self._heard, shard)
                await Gateway(self._rest, self._token, events.handlers(), heard, tenure, self._limits).run()
        finally:
            del self._heard_at[shard]  # another process may have it next

    def _heard(self, shard: int) -> None:
        self._heard_at[shard] = time.monotonic()

    @property
    def heard_at(self) -> float | None:
        """Of the shard of ours that has been silent for the longest."""
        return min(self._heard_at.values(), default=None)

    def read(self, payload: str) -> Incoming:
        return discord_read.incoming(payload, lambda person: self._gate.owns(PLATFORM, person))

    def layout(self, markdown: str, thoughts: str = "", thinking: bool = False, /) -> tuple[Piece, ...]:
        return discord_layout.layout(markdown, thoughts)

    # --- out -----------------------------------------------------------------------------------------------------------

    async def send(self, to: Address, piece: Piece, nonce: str) -> str:
        if piece.media is not None and piece.media.voice and (sent := await self._speak(to, piece.media, nonce)):
            return sent
        body, uploads = await self._body(piece)
        shown = await self._answer_interaction(to, nonce, body, uploads)
        if shown is None:
            body |= {"nonce": nonce, "enforce_nonce": True}
            shown = await self._post(to, body, uploads, reply=bool(to.reply_to) and _is_first(nonce))
            if not _is_shown(piece, shown):
                # a nonce used before brings back the message as it was first sent: an earlier state of this piece
                await self.edit(to, str(shown["id"]), piece)
        message = str(shown["id"])
        if uploads:
            self._remember(message, piece)
        return message

    async def _speak(self, to: Address, media: Media, nonce: str) -> str:
        """A voice message; "" where Discord takes none (the right to send them is one of its own)."""
        body, file = voice_message(media, (await self._file(media))[1])
        if len(file.data) > LARGEST_UPLOAD:
            return ""
        try:
            shown = await self._post(to, body | {"nonce": nonce, "enforce_nonce": True}, [file], reply=False)
        except (Rejected, Forbidden) as error:
            log.info("Discord takes no voice message, sent as a file: %s", error)
            return ""
        return str(shown["id"])

    async def _answer_interaction(
        self, to: Address, nonce: str, body: JsonObject, uploads: Sequence[Upload]
    ) -> JsonObject | None:
        """The first piece takes the place of "thinking …"; None when that is not to be had (any more)."""
        via = Via.alive(to.via) if to.via and _is_first(nonce) else None
        if via is None:
            return None
        if pending := self._acknowledging.get(via.token):
            await pending.wait()  # there is no @original before
        path = f"/webhooks/{via.application}/{via.token}/messages/@original"
        while True:
            try:
                shown: JsonObject = await self._rest.call("PATCH", path, body, files=uploads, authorized=False)
                return shown
            except Gone as error:
                # the process that holds the shard may be about to acknowledge it: "thinking …" must not come after the answer
                if not (isinstance(error, NoWebhook) and via.younger(self._limits.fresh)):
                    log.info("Discord: an interaction's answer goes to the channel: %s", error)
                    return None
            await asyncio.sleep(ACKNOWLEDGED_AGAIN)

    async def _post(self, to: Address, body: JsonObject, uploads: Sequence[Upload], *, reply: bool) -> JsonObject:
        channel = to.chat.chat
        reference = {"message_reference": {"message_id": to.reply_to, "fail_if_not_exists": False}} if reply else {}
        try:
            shown: JsonObject = await self._rest.call(
                "POST", f"/channels/{channel}/messages", body | reference, limit=f"send {channel}", files=uploads
            )
        except Rejected:
            if not reply:
                raise
            # replying needs the right to read the channel's history, which not every server gives
            return await self._post(to, body, uploads, reply=False)
        return shown

    async def edit(self, to: Address, message: str, piece: Piece) -> None:
        if piece.media is not None and piece.media.voice:  # Discord lets no message become one, and none change
            await self.remove(to, message)
            raise Gone("a voice message takes the place of a message")
        shown = self._pictures.get(message, "")
        same_picture = piece.media is not None and piece.media.file == shown
        body, uploads = await self._body(piece, upload=not same_picture)
        body.setdefault("components", [])
        if piece.media is None:
            body["attachments"] = []  # whatever it showed before
        channel = to.chat.chat
        path = f"/channels/{channel}/messages/{message}"
        await self._rest.call("PATCH", path, body, limit=f"edit {channel}", files=uploads)
        if uploads or piece.media is None:
            self._remember(message, piece)

    async def remove(self, to: Address, message: str) -> None:
        channel = to.chat.chat
        self._pictures.pop(message, None)
        try:
            await self._rest.call("DELETE", f"/channels/{channel}/messages/{message}", limit=f"delete {channel}")
        except Gone:
            return

    async def private(self, person: str) -> ChatKey:
        """Discord lets us write to those only who share a server with us."""
        channel = await self._rest.call("POST", "/users/@me/channels", {"recipient_id": person}, limit="open a channel")
        return ChatKey(PLATFORM, str(channel["id"]))

    async def working(self, to: Address) -> None:
        if not to.via:  # a command shows "thinking …" already
            channel = to.chat.chat
            await self._rest.call("POST", f"/channels/{channel}/typing", limit=f"typing {channel}")

    async def fetch(self, attachment: Attachment, limit: int) -> bytes:
        if not self._is_trusted(attachment.ref):
            raise Rejected("an attachment that is not at Discord's address")
        if attachment.size > limit:
            raise TooLarge(limit)
        timeout = aiohttp.ClientTimeout(total=FETCH_SECONDS)
        try:
            async with self._session.get(attachment.ref, timeout=timeout, allow_redirects=False) as response:
                return await _content(response, limit)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise Unreachable(f"attachment: {type(error).__name__}") from None

    def _is_trusted(self, ref: str) -> bool:
        """Discord's CDN; with another API configured, that API's host as well. A payload could name any address."""
        try:
            url, api = yarl.URL(ref), yarl.URL(self._rest.api_url)
        except ValueError:
            return False
        if self._rest.api_url != OFFICIAL_API and (url.scheme, url.host, url.port) == (api.scheme, api.host, api.port):
            return True
        return url.scheme == "https" and url.host in CDN_HOSTS and url.port == 443

    async def _body(self, piece: Piece, *, upload: bool = True) -> tuple[JsonObject, list[Upload]]:
        body: JsonObject = {"content": piece.body, "allowed_mentions": NO_PINGS, "flags": SUPPRESS_EMBEDS}
        if piece.buttons:
            body["components"] = _components(piece)
        if piece.media is None or not upload:
            return body, []
        name, data = await self._file(piece.media)
        if len(data) > LARGEST_UPLOAD:
            return body | {"content": too_large(piece, len(data)), "attachments": []}, []
        described, file = attachment(piece.media, name, data)
        return body | {"attachments": [described]}, [file]

    async def _file(self, media: Media) -> tuple[str, bytes]:
        """Its name and bytes; a picture that is too large is made smaller."""
        try:
            name, data = media.file, await self._files.load(media.file)
            if len(data) > LARGEST_UPLOAD and media.mime.startswith("image/"):
                name = await self._files.keep_picture(data)
                data = await self._files.load(name)
        except (Unreadable, TooLarge) as error:
            raise Rejected(f"a file cannot be sent: {error}") from error
        except StorageError as error:
            raise Unreachable(f"a file cannot be had: {error}") from error
        return name, data

    def _remember(self, message: str, piece: Piece) -> None:
        if piece.media is None:
            self._pictures.pop(message, None)
            return
        self._pictures[message] = piece.media.file
        if len(self._pictures) > REMEMBERED:
            self._pictures.popitem(last=False)


def _is_first(nonce: str) -> bool:
    """Whether this is the first piece of an answer, as `Final.nonce` tells: turn.slot.number.generation."""
    return nonce.split(".")[1:3] == ["0", "0"]


def _is_shown(piece: Piece, message: JsonObject) -> bool:
    """Whether the message that Discord answered with looks like the piece. Discord trims white space."""
    rows = [[one.get("custom_id") for one in row["components"]] for row in message.get("components", ())]
    wanted = [[one["custom_id"] for one in row["components"]] for row in _components(piece)]
    pictured = bool(message.get("attachments")) == (piece.media is not None)
    return pictured and rows == wanted and str(message.get("content")).split() == piece.body.split()


def _components(piece: Piece) -> list[JsonObject]:
    rows = [row[:BUTTONS_IN_ROW] for row in piece.buttons if row][:BUTTON_ROWS]
    return [
        {
            "type": ACTION_ROW,
            "components": [
                {"type": BUTTON, "style": GREY, "label": one.label[:LABEL] or "·", "custom_id": one.id[:BUTTON_ID]}
                for one in row
            ],
        }
        for row in rows
    ]


async def _content(response: aiohttp.ClientResponse, limit: int) -> bytes:
    if response.status in (403, 404):
        raise Gone(f"attachment: HTTP {response.status}, its link has expired")
    if response.status != 200:
        raise Unreachable(f"attachment: HTTP {response.status}")
    data = bytearray()
    async for chunk in response.content.iter_chunked(1 << 16):
        data += chunk
        if len(data) > limit:
            raise TooLarge(limit)
    return bytes(data)


def _first(group: BaseExceptionGroup[Any]) -> BaseException:
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
