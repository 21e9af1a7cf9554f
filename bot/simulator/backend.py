"""What all simulated services share: the log of calls, the scripted answers and faults, the pace, tasks and pictures.

Knows neither vendor's JSON: a `Dialect` does.
"""

import asyncio
import json
import time
import uuid
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from aiohttp import BodyPartReader, web

from bot.simulator import brain
from bot.simulator.errors import refusal
from bot.simulator.faults import Fault, Faults
from bot.simulator.pictures import Shelf
from bot.simulator.searching import search
from bot.simulator.words import Found, Question, Refusal, Reply, Usage, shorten

Json = dict[str, Any]
Script = Callable[[Question], Reply | None]
MAX_BODY = 64 * 1024 * 1024  # bytes; both vendors take a handful of 10 MB pictures in base64
MAX_TASKS = 20_000  # a chat takes some 3 kB
MAX_OBJECTS = 100  # uploaded files kept
PAGES = 3  # that an answer with a web search rests on


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """A file that a client sent to the upload endpoint."""

    field: str
    filename: str
    content: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One request as the service saw it. Times are `time.monotonic()`; `ended` is None while it is being answered.

    `status` is 0 until a response began. `chunks` counts streamed steps sent; `usage` is what is billed so far.
    `disconnected`: when the client went away before the answer was complete.
    """

    vendor: str
    method: str
    path: str
    headers: Mapping[str, str]
    model: str
    body: Json
    status: int
    code: str
    usage: Usage
    chunks: int
    began: float
    ended: float | None
    disconnected: float | None
    uploads: tuple[Upload, ...]


@dataclass(slots=True)
class Exchange:
    """One request being answered: the writable side of a `Call`."""

    vendor: str
    request: web.Request
    began: float = field(default_factory=time.monotonic)
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    model: str = ""
    body: Json = field(default_factory=dict)
    fault: Fault | None = None
    status: int = 0
    code: str = ""
    usage: Usage = Usage()
    chunks: int = 0
    ended: float | None = None
    disconnected: float | None = None
    uploads: tuple[Upload, ...] = ()
    complete: bool = False  # the last byte of a stream was written: whoever leaves now has it all

    @property
    def call(self) -> Call:
        return Call(
            vendor=self.vendor,
            method=self.request.method,
            path=self.request.path,
            headers=self.request.headers,
            model=self.model,
            body=self.body,
            status=self.status,
            code=self.code,
            usage=self.usage,
            chunks=self.chunks,
            began=self.began,
            ended=self.ended,
            disconnected=self.disconnected,
            uploads=self.uploads,
        )


class Dialect(Protocol):
    """How one vendor authenticates and refuses."""

    vendor: str
    busy: str  # its code for too many requests at once
    broken: str  # its code for a body that is no JSON object

    def authenticate(self, request: web.Request) -> None:
        """Raises Refusal for a missing or wrong key."""

    def refuse(self, exchange: Exchange, error: Refusal) -> web.Response: ...


Handler = Callable[[Exchange], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """Seconds before the first token, between tokens, that a picture takes, and what is answered later (chats, videos)."""

    first_token: float = 0.25
    per_token: float = 0.02
    picture: float = 1.0
    task: float = 2.0


@dataclass(slots=True, kw_only=True)
class Task:
    """An asynchronous job: `ready` is on the loop's monotonic clock; `payload` is the vendor's final answer."""

    id: str
    model: str
    payload: Json
    submitted: float
    ready: float
    usage: Usage = Usage()
    fault: Fault | None = None
    cancelled: bool = False


class Backend:
    """The state behind the HTTP surface, shared by the vendors of one simulator."""

    def __init__(
        self,
        *,
        pace: Pace = Pace(),  # frozen
        script: Script | None = None,
        faults: tuple[Fault, ...] = (),
        max_in_flight: int | None = None,
        keep_calls: int = 1_000,
        picture_life: float = 86_400,
        obeys: bool = False,
    ) -> None:
        self.pace = pace
        self.obeys = obeys
        self.script = script
        self.faults = Faults(faults)
        self.max_in_flight = max_in_flight
        self.exchanges: deque[Exchange] = deque(maxlen=keep_calls)
        self.shelf = Shelf(life=picture_life)
        self.tasks: dict[str, Task] = {}
        self.objects: dict[str, bytes] = {}
        self.closing = asyncio.Event()
        self._said: deque[Reply] = deque()
        self._heard: deque[str] = deque()
        self._found: deque[tuple[Found, ...]] = deque()
        self._in_flight: dict[str, int] = {}

    def say(self, reply: Reply) -> None:
        self._said.append(reply)

    def hear(self, text: str) -> None:
        self._heard.append(text)

    def find(self, pages: tuple[Found, ...]) -> None:
        self._found.append(pages)

    def heard(self, seconds: float) -> str:
        """What a recording of this length says: the next scripted text, else its length."""
        return self._heard.popleft() if self._heard else f"I hear {round(seconds)} seconds of sound."

    def search(self, query: str, count: int) -> tuple[Found, ...]:
        """The next scripted pages, else some about the query."""
        return self._found.popleft()[:count] if self._found else search(query, count)

    def answer(self, question: Question, fault: Fault | None) -> Reply:
        """The next scripted answer, else the script's, else the brain's."""
        reply = self._said.popleft() if self._said else None
        if reply is None and self.script is not None:
            reply = self.script(question)
        if reply is None:
            found = self.search(question.user_turns[-1].text, PAGES) if question.search and question.user_turns else ()
            reply = brain.answer(question, found, obeys=self.obeys)
        reply = shorten(reply, question)
        return fault.reshape(reply) if fault else reply

    async def picture(self, request: web.Request) -> web.StreamResponse:
        """GET /pictures/{key}.png or /media/{key}.{ending}, by anyone who has the link; logged as vendor `pictures`."""
        exchange = Exchange("pictures", request)
        self.exchanges.append(exchange)
        response = await self.shelf.serve(request)
        exchange.status, exchange.ended = response.status, time.monotonic()
        return response

    def add_task(self, task: Task) -> None:
        while len(self.tasks) >= MAX_TASKS:
            self.tasks.pop(next(iter(self.tasks)))
        self.tasks[task.id] = task

    def keep_object(self, key: str, content: bytes) -> None:
        while len(self.objects) >= MAX_OBJECTS:
            self.objects.pop(next(iter(self.objects)))
        self.objects[key] = content

    def endpoint(
        self, dialect: Dialect, handle: Handler, *, limited: bool = False, form: bool = False
    ) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        """Wrap a handler: log, key, body, faults, the limit of calls in flight (if `limited`), errors in the vendor's shape.
        `form`: its body is multipart, `exchange.body` its fields and `exchange.uploads` its files."""

        async def serve(request: web.Request) -> web.StreamResponse:
            exchange = Exchange(dialect.vendor, request)
            self.exchanges.append(exchange)
            busy = self._in_flight.get(dialect.vendor, 0)
            self._in_flight[dialect.vendor] = busy + 1
            try:
                dialect.authenticate(request)
                await (read_form(exchange) if form else _read_body(exchange, dialect))
                exchange.fault = self.faults.take(dialect.vendor, request.path, exchange.body)
                if limited and self.max_in_flight is not None and busy >= self.max_in_flight:
                    raise refusal(dialect.vendor, dialect.busy)
                early = await self._strike_early(exchange)
                response = early if early is not None else await handle(exchange)
                exchange.status = exchange.status or response.status
                return response
            except Refusal as error:
                exchange.status, exchange.code = error.status, error.code
                return dialect.refuse(exchange, error)
            except asyncio.CancelledError:
                self._note_departure(exchange)
                raise
            except ConnectionError:  # a write noticed it before the cancellation came
                self._note_departure(exchange)
                return web.Response(status=500)  # goes nowhere
            finally:
                exchange.ended = time.monotonic()
                self._in_flight[dialect.vendor] -= 1

        return serve

    def _note_departure(self, exchange: Exchange) -> None:
        if not (self.closing.is_set() or exchange.complete):
            exchange.disconnected = time.monotonic()

    async def _strike_early(self, exchange: Exchange) -> web.Response | None:
        """Faults that come before any response."""
        fault = exchange.fault
        if fault is None or fault.later or fault.task:
            return None
        if fault.hang:
            await self.closing.wait()
        if fault.hang or fault.cut:
            cut(exchange)
            return web.Response(status=500)  # goes nowhere
        if fault.body is not None:
            return web.Response(body=fault.body, status=fault.status or 502, content_type="text/html")
        if error := fault.refusal(exchange.vendor):
            raise error
        return None


def dump(value: object) -> str:
    """JSON as the vendors write it: UTF-8 unescaped, no spaces."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def cut(exchange: Exchange) -> None:
    """Close the connection under the response, after what is already in its buffer."""
    if (transport := exchange.request.transport) is not None:
        transport.close()


async def read_form(exchange: Exchange) -> None:
    """A multipart body into the exchange; nothing where it is none."""
    if exchange.request.content_type != "multipart/form-data":
        return
    fields: Json = {}
    uploads: list[Upload] = []
    async for part in await exchange.request.multipart():
        if not isinstance(part, BodyPartReader):
            continue
        content = bytes(await part.read())
        if part.filename is None:
            fields[part.name or ""] = content.decode("utf-8", "replace")
        else:
            uploads.append(Upload(field=part.name or "", filename=part.filename, content=content))
    exchange.body, exchange.uploads = fields, tuple(uploads)
    exchange.model = str(fields.get("model") or "")


async def _read_body(exchange: Exchange, dialect: Dialect) -> None:
    request = exchange.request
    if request.method != "POST" or not request.can_read_body:
        return
    try:
        body = json.loads(await request.read())
    except ValueError:
        raise refusal(dialect.vendor, dialect.broken, "request body") from None
    if not isinstance(body, dict):
        raise refusal(dialect.vendor, dialect.broken, "request body")
    exchange.body = body
    exchange.model = str(body.get("model") or "")
