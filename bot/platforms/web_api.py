"""The page's routes: its files, its login, and the small JSON API that its script speaks.

What is said is put on the board and then committed to the inbox before the browser hears that we have it; a browser that
hears nothing says it again under the same id.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from json import loads
from mimetypes import guess_type
from typing import Any, cast

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import Send

from bot import metrics, phrases
from bot.errors import MagpieError, StorageError, TooLarge, Unreadable
from bot.messages import MAX_FILE
from bot.phrases import Phrase
from bot.platforms import web_payload as payload
from bot.platforms.web_assets import Asset
from bot.platforms.web_files import respond, type_of
from bot.platforms.web_guard import ORIGIN, PROBES, REVIVED, SCRAPED, Login, problem
from bot.platforms.web_payload import Malformed, Said, TooLong
from bot.platforms.web_stream import Streams
from bot.ports import Board, Card, Files, Intake, MenuEntry

JSON_LIMIT = 2_000_000  # bytes
LOGIN_LIMIT = 4_000  # bytes: anyone may send these, on all connections at once
BODY_SECONDS = 60.0  # for a whole body to arrive
DOCUMENT = "application/octet-stream"  # how the page sends a file that is to be read, and how it is kept
CHOICES = 12  # completions shown at once
# The door opens, then the page is loaded from our own page: a Strict cookie does not follow a redirect from elsewhere.
WELCOME = '<!doctype html><meta http-equiv="refresh" content="0;url=/"><title>Magpie</title><a href="/">Magpie</a>'


@dataclass(frozen=True, slots=True, kw_only=True)
class Banner:
    """What the page says on top. `variables`: the settings of which one turns real models on."""

    simulated: bool = False
    variables: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Api:
    intake: Intake
    board: Board
    files: Files
    streams: Streams
    login: Login
    menu: Sequence[MenuEntry]
    banner: Banner
    ready: Callable[[], Awaitable[bool]]
    figures: Callable[[], Awaitable[bytes]] | None
    revive: Callable[[Sequence[int]], Awaitable[Sequence[int]]] | None
    readable: Callable[[str, str], bool]
    assets: Mapping[str, Asset]

    @property
    def open_paths(self) -> frozenset[str]:
        """What the login page needs, and the probes."""
        return frozenset({"/login", *PROBES, *(f"/page/{name}" for name in self.assets)})

    def app(self) -> Starlette:
        chat = "/api/chats/{chat}"
        routes = [
            Route("/", self.page),
            Route("/c/{chat}", self.page),
            Route("/page/{name}", self.asset),
            Route("/login", self.ask_login),
            Route("/login", self.log_in, methods=["POST"]),
            Route("/logout", self.log_out, methods=["POST"]),
            Route("/livez", self.alive),
            Route("/healthz", self.health),
            Route(SCRAPED, self.scrape),
            Route(REVIVED, self.retry_dead, methods=["POST"]),
            Route("/api/setup", self.setup),
            Route("/api/menu/{name}", self.complete),
            Route("/api/chats", self.chats),
            Route(f"{chat}/events", self.events),
            Route(f"{chat}/messages", self.say, methods=["POST"]),
            Route(f"{chat}/messages/{{id}}", self.edit, methods=["PUT"]),
            Route(f"{chat}/press", self.press, methods=["POST"]),
            Route(f"{chat}/stop", self.stop, methods=["POST"]),
            Route(f"{chat}/files", self.upload, methods=["POST"]),
            Route("/files/{name}", self.file),
        ]
        return Starlette(routes=routes, exception_handlers=HANDLERS)

    # --- the page and its login ----------------------------------------------------------------------------------------

    async def page(self, request: Request) -> Response:
        return self.assets["index.html"].respond(request)

    async def asset(self, request: Request) -> Response:
        asset = self.assets.get(request.path_params["name"])
        return asset.respond(request) if asset else problem(404, phrases.WEB_NOT_FOUND)

    async def ask_login(self, request: Request) -> Response:
        key = request.query_params.get("k", "")
        if request.method == "GET" and self.login.redeem(key):
            return self._let_in(request, HTMLResponse(WELCOME))
        return self.assets["login.html"].respond(request, 403 if key else 200)

    async def log_in(self, request: Request) -> Response:
        token = (await _json(request, LOGIN_LIMIT)).get("token")
        accepted = self.login.accepts(token) if isinstance(token, str) else False
        if accepted is None:
            return problem(429, phrases.WEB_TOO_MANY_TRIES)
        return self._let_in(request, JSONResponse({})) if accepted else problem(403, phrases.WEB_WRONG_TOKEN)

    def _let_in(self, request: Request, response: Response) -> Response:
        self.login.admit(response, request.scope[ORIGIN])
        return response

    async def log_out(self, request: Request) -> Response:
        response = JSONResponse({})
        self.login.dismiss(response, request.scope[ORIGIN])
        return response

    async def alive(self, request: Request) -> Response:
        """That it is answered is the answer."""
        return Response()

    async def health(self, request: Request) -> Response:
        return Response(status_code=200 if await self.ready() else 503)

    async def scrape(self, request: Request) -> Response:
        if self.figures is None:
            return problem(404, phrases.WEB_NOT_FOUND)
        return Response(await self.figures(), media_type=metrics.CONTENT_TYPE)

    async def retry_dead(self, request: Request) -> Response:
        """`{"ids": [19, 20]}` of dead letters: all are queued again, or none, and 404 tells which are `unknown`."""
        if self.revive is None:
            return problem(404, phrases.WEB_NOT_FOUND)
        ids = (await _json(request)).get("ids")
        if not isinstance(ids, list) or not ids or any(type(id) is not int for id in ids):
            raise Malformed("no ids")
        unknown = await self.revive(ids)
        return JSONResponse({"unknown": list(unknown)}, 404 if unknown else 200)

    # --- what the page asks --------------------------------------------------------------------------------------------

    async def setup(self, request: Request) -> Response:
        menu = [
            {
                "name": entry.name,
                "help": _both(entry.help),
                "argument": _both(entry.argument) if entry.argument else None,
                "required": entry.required,
                "choices": entry.choices is not None,
            }
            for entry in self.menu
        ]
        banner = {"simulated": self.banner.simulated, "variables": self.banner.variables}
        return JSONResponse({"menu": menu, "banner": banner, "login": self.login.needed})

    async def complete(self, request: Request) -> Response:
        """What may follow a command, nearest first."""
        entry = next((e for e in self.menu if e.name == request.path_params["name"]), None)
        if entry is None or entry.choices is None:
            return JSONResponse([])
        return JSONResponse(list(entry.choices(request.query_params.get("typed", "")[:100]))[:CHOICES])

    async def chats(self, request: Request) -> Response:
        titles = {payload.NOTICES: "⚠️ Magpie"}  # nobody has said anything there that could name it
        found = [(id, title or titles.get(id, ""), at) for id, title, at in await self.board.chats()]
        return JSONResponse([{"id": id, "title": title, "at": at} for id, title, at in found])

    async def events(self, request: Request) -> Response:
        seen = request.headers.get("last-event-id") or request.query_params.get("after", "0")
        after = int(seen) if seen.isascii() and seen.isdigit() and len(seen) < 19 else 0
        return _EventStream(self.streams.follow(_chat(request), after), media_type="text/event-stream")

    async def file(self, request: Request) -> Response:
        name = request.path_params["name"]
        if not payload.FILE_NAME.fullmatch(name):
            return problem(404, phrases.WEB_NOT_FOUND)
        try:
            data = await self.files.load(name)
        except Unreadable:
            return problem(404, phrases.WEB_NOT_FOUND)
        return respond(request, data)

    # --- what people say -----------------------------------------------------------------------------------------------

    async def say(self, request: Request) -> Response:
        said = payload.parse_said("message", _chat(request), await _json(request), time.time())
        if await self.board.card(said.chat, said.id) is None:  # a repeat must not undo a later edit
            files = payload.entries(said.files)
            card = Card(chat=said.chat, id=said.id, role="person", body=said.text, created=said.at, files=files)
            await self.board.put(card)
            self.streams.changed(said.chat)
        return await self._accept(said)

    async def edit(self, request: Request) -> Response:
        id = request.path_params["id"]
        card = await self.board.card(_chat(request), id)
        if card is None or card.role != "person":
            return problem(404, phrases.WEB_NOT_FOUND)
        said = payload.parse_said("edited", card.chat, await _json(request), time.time(), id=id)
        await self.board.put(replace(card, body=said.text, files=payload.entries(said.files)))
        self.streams.changed(said.chat)
        return await self._accept(said)

    async def press(self, request: Request) -> Response:
        return await self._accept(payload.parse_said("pressed", _chat(request), await _json(request), time.time()))

    async def stop(self, request: Request) -> Response:
        """The composer's stop button before any preview has brought its own: `/stop`, without a message on the board."""
        raw = {**await _json(request), "text": "/stop"}
        return await self._accept(payload.parse_said("message", _chat(request), raw, time.time()))

    async def _accept(self, said: Said) -> Response:
        await self.intake.accept([said.event()])
        return JSONResponse({"id": said.id})

    async def upload(self, request: Request) -> Response:
        _chat(request)
        content = request.headers.get("content-type", "")  # only such as need CORS' consent elsewhere
        if content == DOCUMENT:
            return await self._upload_document(request)
        kind = content.partition("/")[0]
        if kind not in ("image", "audio"):
            return problem(415, phrases.WEB_NO_PICTURE)
        data = await _body(request, MAX_FILE)
        if kind == "image":
            name = await self.files.keep_picture(data)
            return JSONResponse({"name": name, "mime": guess_type(name)[0] or ""})
        if not (mime := type_of(data)).startswith("audio/"):
            return problem(415, phrases.voice.NO_SOUND)
        return JSONResponse({"name": await self.files.keep(data, mime), "mime": mime})

    async def _upload_document(self, request: Request) -> Response:
        """`?name=report.csv&mime=text/csv`, as the browser calls it: what it is said to be never decides how it is served."""
        data = await _body(request, MAX_FILE)  # before any refusal, which a browser that still sends would not hear
        name, mime = request.query_params.get("name", ""), payload.mime_of(request.query_params.get("mime", ""))
        if not self.readable(name, mime):
            return problem(415, phrases.documents.UNKNOWN_KIND)
        if not data:
            return problem(415, phrases.documents.EMPTY)
        return JSONResponse({"name": await self.files.keep(data, DOCUMENT), "mime": mime})


class _EventStream(StreamingResponse):
    async def stream_response(self, send: Send) -> None:
        async with aclosing(cast("AsyncIterator[str]", self.body_iterator)):  # type: ignore[type-var]
            await super().stream_response(send)


def _chat(request: Request) -> str:
    chat = str(request.path_params["chat"])
    if not payload.CHAT_ID.fullmatch(chat):
        raise Malformed("no chat of ours")
    return chat


async def _json(request: Request, limit: int = JSON_LIMIT) -> dict[str, Any]:
    """Only with the JSON content type, which a form of another site cannot send."""
    if request.headers.get("content-type", "").partition(";")[0].strip() != "application/json":
        raise Malformed("not JSON")
    try:
        raw = loads(await _body(request, limit))
    except (ValueError, RecursionError) as error:  # also for a number of more digits than Python reads
        raise Malformed("not JSON") from error
    except TooLarge as error:
        raise TooLong(str(error)) from error
    if not isinstance(raw, dict):
        raise Malformed("not an object")
    return raw


async def _body(request: Request, limit: int) -> bytes:
    """The whole body. Raises TooLarge as soon as it is."""
    announced = request.headers.get("content-length", "0")
    if announced.isdigit() and int(announced) > limit:
        raise TooLarge(limit)
    data = bytearray()
    try:
        async with asyncio.timeout(BODY_SECONDS):
            async for chunk in request.stream():
                data += chunk
                if len(data) > limit:
                    raise TooLarge(limit)
    except TimeoutError as error:
        raise HTTPException(408) from error
    return bytes(data)


def _both(phrase: Phrase) -> dict[str, str]:
    return {"en": phrase.en, "zh": phrase.zh}


async def _malformed(request: Request, error: Exception) -> Response:
    return problem(400, phrases.WEB_MALFORMED)


async def _too_long(request: Request, error: Exception) -> Response:
    return problem(413, phrases.WEB_TEXT_TOO_LONG)


async def _storage(request: Request, error: Exception) -> Response:
    return problem(503, phrases.STORAGE)


async def _too_large(request: Request, error: Exception) -> Response:
    return problem(413, cast("MagpieError", error).phrase)


async def _unreadable(request: Request, error: Exception) -> Response:
    return problem(415, cast("MagpieError", error).phrase)


async def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return problem(error.status_code, phrases.WEB_NOT_FOUND if error.status_code == 404 else phrases.WEB_MALFORMED)


async def _unknown(request: Request, error: Exception) -> Response:
    return problem(500, phrases.OUR_FAULT)


HANDLERS = {
    Malformed: _malformed,
    TooLong: _too_long,
    StorageError: _storage,
    TooLarge: _too_large,
    Unreadable: _unreadable,
    HTTPException: _http,
    Exception: _unknown,
}
