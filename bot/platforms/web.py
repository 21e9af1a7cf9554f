"""The page as a platform: it listens, and what it sends it writes on the board, from which any process
streams it to the browsers.

Beside it: `web_api` (routes), `web_guard` (login, Host, Origin, headers), `web_stream` (Server-Sent Events), `web_payload`
(what waits in the inbox), `web_render` (Markdown → HTML), `web_files` (kept files), `web_assets` and `page/` (the files that
the browser loads).
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from urllib.parse import quote

from bot.errors import Gone, Rejected, StorageError, TooLarge, Unreachable, Unreadable
from bot.lanes import STOP_PREFIX
from bot.messages import Address, Attachment, ChatKey, Incoming, Piece
from bot.platforms import web_payload
from bot.platforms.listener import bind, serving
from bot.platforms.web_api import Api, Banner
from bot.platforms.web_assets import load_assets
from bot.platforms.web_guard import Addresses, Guard, Login
from bot.platforms.web_render import figure, fold, quotation, render
from bot.platforms.web_stream import Streams
from bot.ports import Board, Card, Files, Intake, MenuEntry, Traits

__all__ = ["Banner", "WebPlatform"]

# Previews may be frequent: a send costs one small commit, and a browser gets the newest state only.
NO_BANNER = Banner()
REPLY = re.compile(r'<blockquote class="replied"[^>]*>[^<]*</blockquote>\n')  # web_render.quotation
NONCE = re.compile(r"[0-9]+\.[0-9]+\.[0-9]+\.[0-9]+")
TRAITS = Traits(idempotent=True, private=(0.25, 4), group=(0.25, 4))


async def _always() -> bool:
    return True


def _no_document(name: str, mime: str) -> bool:
    return False


class WebPlatform:
    """The page. `token` None asks for no login; `port` 0 takes a free one, told by `url` once `started` is set. `ready` answers
    `/healthz`, `figures` `/metrics`, `revive` `/dead/retry`; `readable` tells by a file's name and MIME type whether it is
    taken as a document."""

    name = web_payload.NAME
    traits = TRAITS

    def __init__(
        self,
        *,
        host: str,
        port: int,
        board: Board,
        files: Files,
        menu: Sequence[MenuEntry] = (),
        banner: Banner = NO_BANNER,
        ready: Callable[[], Awaitable[bool]] = _always,
        figures: Callable[[], Awaitable[bytes]] | None = None,
        revive: Callable[[Sequence[int]], Awaitable[Sequence[int]]] | None = None,
        readable: Callable[[str, str], bool] = _no_document,
        token: str | None = None,
        public_url: str = "",
    ) -> None:
        self.started = asyncio.Event()
        self.port = port  # the real one once `started`
        self._host, self._public_url = host, public_url.rstrip("/")
        self._board, self._files = board, files
        self._menu, self._banner = menu, banner
        self._ready, self._figures, self._revive = ready, figures, revive
        self._readable = readable
        self._login = Login(token)
        self._streams = Streams(board)

    @property
    def url(self) -> str:
        """Where a browser finds it; only after `started`."""
        if self._public_url:
            return self._public_url
        host = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(self._host, self._host)
        host = f"[{host}]" if ":" in host and not host.startswith("[") else host
        return f"http://{host}:{self.port}"

    def one_time_link(self) -> str:
        """For the log: works once, until the next start. The plain address when no login is asked or the link was used."""
        return f"{self.url}/login?k={quote(self._login.key)}" if self._login.key else self.url

    def look(self) -> None:
        """Another process has written on the board."""
        self._streams.look()

    async def listen(self, intake: Intake) -> None:
        """Serve until cancelled. Raises SettingsError when the port cannot be had."""
        listener = await bind("the page", self._host, self.port, ("WEB_HOST", "WEB_PORT"))
        self.port = listener.getsockname()[1]
        api = Api(
            intake=intake,
            board=self._board,
            files=self._files,
            streams=self._streams,
            login=self._login,
            menu=self._menu,
            banner=self._banner,
            ready=self._ready,
            figures=self._figures,
            revive=self._revive,
            readable=self._readable,
            assets=load_assets(),
        )
        guard = Guard(api.app(), self._login, Addresses(self._host, self.port, self._public_url), api.open_paths)
        async with serving(guard, listener):
            self.started.set()
            try:
                await asyncio.Event().wait()
            finally:
                self._streams.close()

    def read(self, payload: str) -> Incoming:
        return web_payload.read(payload)

    def layout(self, markdown: str, thoughts: str = "", thinking: bool = False, /) -> tuple[Piece, ...]:
        """Always one piece, as long as it may be: its body is HTML."""
        return (Piece(fold(thoughts, unfolded=thinking) + render(markdown)),)

    async def send(self, to: Address, piece: Piece, nonce: str) -> str:
        """The nonce is the message's id, so a repeat is the same message."""
        asked = await self._get(to, to.reply_to) if to.reply_to else None
        reply = quotation(asked.body) if asked and asked.role == "person" else ""
        await self._put(_card(to, piece, nonce, time.time(), reply))
        return nonce

    async def edit(self, to: Address, message: str, piece: Piece) -> None:
        card = await self._get(to, message)
        if card is None or card.removed:
            raise Gone(f"{to.chat} {message}")
        reply = REPLY.match(card.body)
        await self._put(_card(to, piece, message, card.created, reply[0] if reply else ""), card)

    async def remove(self, to: Address, message: str) -> None:
        card = await self._get(to, message)
        if card is not None and not card.removed:
            await self._put(replace(card, body="", media="", buttons=(), done=True, removed=True))

    async def private(self, person: str) -> ChatKey:
        """Only the owner comes in here."""
        return ChatKey(self.name, web_payload.NOTICES)

    async def working(self, to: Address) -> None:
        self._streams.working(to.chat.chat)

    async def fetch(self, attachment: Attachment, limit: int) -> bytes:
        try:
            data = await self._files.load(attachment.ref)
        except Unreadable as error:
            raise Rejected(str(error)) from error
        if len(data) > limit:
            raise TooLarge(limit)
        return data

    async def _get(self, to: Address, message: str) -> Card | None:
        try:
            return await self._board.card(to.chat.chat, message)
        except StorageError as error:
            raise Unreachable(str(error)) from error

    async def _put(self, card: Card, old: Card | None = None) -> None:
        if old is not None and replace(old, version=card.version) == card:
            return
        try:
            await self._board.put(card, _turn_of(card.id))
        except StorageError as error:
            raise Unreachable(str(error)) from error
        self._streams.changed(card.chat)


def _turn_of(id: str) -> int:
    """An answer's card is named by its nonce, which begins with the turn (ports.Final); other cards, such as notices, have
    none."""
    return int(id.partition(".")[0]) if NONCE.fullmatch(id) else 0


def _card(to: Address, piece: Piece, id: str, created: float, reply: str) -> Card:
    """An answer is being made as long as it has a [Stop] button. `reply` quotes what it replies to."""
    buttons = tuple(tuple((button.label, button.id) for button in row) for row in piece.buttons)
    return Card(
        chat=to.chat.chat,
        id=id,
        role="bot",
        body=reply + (figure(piece.media) if piece.media else "") + piece.body,
        created=created,
        media=piece.media.file if piece.media else "",
        mime=piece.media.mime if piece.media else "",
        buttons=buttons,
        done=not any(id.startswith(STOP_PREFIX) for row in buttons for _, id in row),
    )
