"""One connection to one MCP server, from its start to its loss. Imports the mcp package, which takes more than half a second:
only who has servers imports this."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, suppress
from importlib.metadata import version
from typing import Any, NoReturn

import anyio
import httpx
from anyio.streams.memory import MemoryObjectSendStream
from mcp import ClientSession, McpError
from mcp import types as said
from mcp.shared.message import SessionMessage
from pydantic import BaseModel, ValidationError

from bot.ports.tools import ToolResult
from bot.tools.mcp_bounds import UNREADABLE, Allowance, Heard, Say
from bot.tools.mcp_http import http
from bot.tools.mcp_lost import ServerLost, Times
from bot.tools.mcp_reading import MOST_TOOLS, ServerTool, read_result, read_tools
from bot.tools.mcp_servers import Endpoint, Server
from bot.tools.mcp_stdio import stdio
from bot.tools.results import framed

log = logging.getLogger(__name__)

MOST_PAGES = 20  # of a list of tools
MOST_MESSAGES = (5_000, 50)  # at once, and each second
MOST_FORGOTTEN = 64  # calls that nobody waits for any more, of which the server is still to be told
LONGEST_REASON = 300  # characters of a server's own words
SESSION_ENDED = 32600  # what the mcp package makes of a 404

CLOSED = "it closed the connection"
LIST_CHANGED = "notifications/tools/list_changed"


class _Listed(BaseModel):
    """A page of tools. Each is read by itself, so that one wrong tool does not hide the others."""

    tools: list[Any]
    nextCursor: str | None = None


class _Said(BaseModel):
    """A tool's result. Not the package's `call_tool`, which checks it against a schema of the server's own: a pattern in
    there may take for ever, and a reference is fetched from wherever it points to."""

    content: list[Any] = []
    structuredContent: dict[str, Any] | None = None
    isError: bool = False


class Connection:
    """`tools` is what the server offers now, `complaints` what is wrong with its list; `reason` why it was lost, when that was
    found out here."""

    def __init__(self, server: Server, times: Times) -> None:
        self._server, self._times = server, times
        self._session: ClientSession  # while it runs
        self._news = asyncio.Event()
        self._limits: set[asyncio.Timeout] = set()
        self._forgotten: asyncio.Queue[int] = asyncio.Queue(MOST_FORGOTTEN)
        self._closed = False
        self._doubtful = False
        self.tools: tuple[ServerTool, ...] = ()
        self.complaints: tuple[str, ...] = ()
        self.reason = ""

    @property
    def usable(self) -> bool:
        """Not while it owes an answer: who has not answered one call would not answer the next."""
        return not (self._closed or self._doubtful or self.reason)

    async def run(self, attach: Callable[[Connection], None]) -> None:
        """Connect, be attached once the tools are known, and stay. Ends by what goes wrong, of whatever kind. The package wants
        all of this to be left by the task that has entered it."""
        inward, screened = anyio.create_memory_object_stream[SessionMessage | Exception]()
        async with inward, screened, _reached(self._server, self._times) as (heard, say), heard, say:
            info = said.Implementation(name="magpie", version=version("magpie-bot"))
            self._session = ClientSession(screened, say, client_info=info)
            async with asyncio.TaskGroup() as group:
                group.create_task(self._screen(heard, say, inward))
                async with self._session:
                    group.create_task(self._tell_forgotten())
                    try:
                        await self._begin()
                        attach(self)
                        await self._attend()
                    finally:
                        self._close()

    async def _begin(self) -> None:
        try:
            async with asyncio.timeout(self._times.start):
                await self._session.initialize()
                await self._look()
        except TimeoutError:
            raise self._lose(f"it did not say within {self._times.start:g} seconds what it can do") from None

    async def _attend(self) -> NoReturn:
        """Keep `tools` as they are at the server."""
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._times.look):
                    await self._news.wait()
            self._news.clear()
            if self.reason:
                raise ServerLost(self.reason)
            try:
                # A server may do one thing at a time: as long as a call may take, so long may this wait behind it.
                async with asyncio.timeout(self._server.timeout):
                    await self._look()
            except TimeoutError:
                raise self._lose("it does not answer any more") from None
            self._doubtful = False
            await asyncio.sleep(self._times.rest)

    async def _screen(self, heard: Heard, say: Say, inward: MemoryObjectSendStream[SessionMessage | Exception]) -> None:
        """Answers go on to the session, which checks whose they are. The rest never gets there: the package logs what it does
        not understand, whole. What a server asks of us (to ask a model, to look at files, to ask the person) is refused."""
        allowance = Allowance(*MOST_MESSAGES)
        async for message in heard:
            if not allowance.covers(1):
                raise self._lose("it floods us with messages")
            if isinstance(message, Exception):
                raise message
            match message.message.root:
                case said.JSONRPCResponse() | said.JSONRPCError():
                    await inward.send(message)
                case said.JSONRPCNotification(method=method):
                    if method == LIST_CHANGED:
                        self._news.set()
                case said.JSONRPCRequest(method="ping", id=number):
                    await _answer(say, said.JSONRPCResponse(jsonrpc="2.0", id=number, result={}))
                case said.JSONRPCRequest(id=number):
                    error = said.ErrorData(code=said.METHOD_NOT_FOUND, message="This client does nothing for servers.")
                    await _answer(say, said.JSONRPCError(jsonrpc="2.0", id=number, error=error))
        raise anyio.EndOfStream

    async def _tell_forgotten(self) -> NoReturn:
        """The server may save itself the work for calls that have timed out or were stopped."""
        while True:
            params = said.CancelledNotificationParams(requestId=await self._forgotten.get())
            await self._session.send_notification(said.ClientNotification(said.CancelledNotification(params=params)))

    def _lose(self, reason: str) -> ServerLost:
        """Noted as well: on its way up the exception may be replaced by what it causes in the package."""
        self.reason = self.reason or reason
        return ServerLost(reason)

    def _close(self) -> None:
        """The calls that still wait end now. The session would tell them as well, but fails where two or more wait."""
        self._closed = True
        now = asyncio.get_running_loop().time()
        for limit in self._limits:
            if not limit.expired():
                limit.reschedule(now)

    async def _look(self) -> None:
        """Ask for the list of tools, page by page."""
        listed: list[object] = []
        cursor: str | None = None
        for _ in range(MOST_PAGES):
            params = said.PaginatedRequestParams(cursor=cursor)
            page = await self._session.send_request(
                said.ClientRequest(said.ListToolsRequest(params=params if cursor else None)), _Listed
            )
            listed += page.tools
            cursor = page.nextCursor
            if not cursor or len(listed) > MOST_TOOLS:
                break
        self.tools, complaints = read_tools(self._server, listed)
        if complaints != self.complaints:
            log.warning(
                "MCP server %r: %s", self._server.name, "; ".join(complaints[:5]) or "its tools are in order now"
            )
        self.complaints = complaints

    async def call(self, tool: ServerTool, arguments: Mapping[str, object]) -> ToolResult:
        name = self._server.name
        try:
            answer = await self._ask(tool, arguments)
        except TimeoutError:
            if self._closed:
                return _lost(name)
            self._doubtful = True
            self._news.set()
            return ToolResult(
                f"The tool server {name!r} gave no answer within {self._server.timeout:g} seconds. What was asked for may still"
                " have been done. Do without it, or ask the person to try again later.",
                failed=True,
            )
        except McpError as error:
            return self._refused(error.error)
        except ValidationError:
            return _unreadable(name)
        except (anyio.ClosedResourceError, anyio.BrokenResourceError):
            return _lost(name)
        return read_result(tool, answer.content, answer.structuredContent, answer.isError)

    async def _ask(self, tool: ServerTool, arguments: Mapping[str, object]) -> _Said:
        params = said.CallToolRequestParams(name=tool.name, arguments=dict(arguments))
        number = self._session._request_id  # the one that send_request takes next, before it first waits
        try:
            async with asyncio.timeout(self._server.timeout) as limit:
                self._limits.add(limit)
                try:
                    return await self._session.send_request(
                        said.ClientRequest(said.CallToolRequest(params=params)), _Said
                    )
                finally:
                    self._limits.discard(limit)
        except (TimeoutError, asyncio.CancelledError):
            with suppress(asyncio.QueueFull):
                self._forgotten.put_nowait(number)
            raise

    def _refused(self, error: said.ErrorData) -> ToolResult:
        name = self._server.name
        if error.code == said.CONNECTION_CLOSED:
            return _lost(name)
        if error.code == SESSION_ENDED:
            self._lose("it has ended the session")
            self._news.set()
            return _lost(name)
        if (error.code, error.message) == (said.PARSE_ERROR, UNREADABLE):
            return _unreadable(name)
        return ToolResult(framed(f"why the tool server {name!r} refused the call", error.message), failed=True)


def _lost(name: str) -> ToolResult:
    return ToolResult(
        f"The connection to the tool server {name!r} was lost during the call. What was asked for may have been done. It is"
        " being connected again: do without it, or ask the person to try again in a minute.",
        failed=True,
    )


def _unreadable(name: str) -> ToolResult:
    return ToolResult(
        f"The tool server {name!r} answered with something that cannot be read. Do without it.", failed=True
    )


def _reached(server: Server, times: Times) -> AbstractAsyncContextManager[tuple[Heard, Say]]:
    if isinstance(server.reach, Endpoint):
        return http(server.reach, times)
    return stdio(server, server.reach, times)


async def _answer(say: Say, answer: said.JSONRPCResponse | said.JSONRPCError) -> None:
    await say.send(SessionMessage(said.JSONRPCMessage(answer)))


# --- why a server was lost ------------------------------------------------------------------------------------------------


async def keep(server: Server, times: Times, attach: Callable[[Connection], None]) -> NoReturn:
    """Connect, hand the connection over once its tools are known, and stay. Raises ServerLost, nothing else."""
    connection = Connection(server, times)
    try:
        await connection.run(attach)
    except Exception as error:  # a foreign program, its pipes and three libraries: whatever it was, the server is lost
        raise ServerLost(connection.reason or _why(error, server)) from error
    raise ServerLost(CLOSED)


def _why(error: Exception, server: Server) -> str:
    """For the owner, without addresses, which may hold keys."""
    match min(_leaves(error), key=_vague):
        case ServerLost() as lost:
            return str(lost)
        case McpError(error=said.ErrorData(code=code)) if code == SESSION_ENDED:
            return "it answered HTTP 404"
        case McpError(error=said.ErrorData(code=said.CONNECTION_CLOSED)):
            return CLOSED
        case McpError() as refused:
            return f"it says: {server.redact(str(refused))[:LONGEST_REASON]}"
        case httpx.HTTPStatusError(response=response):
            return f"it answered HTTP {response.status_code}"
        case httpx.HTTPError() as broken:
            return f"it cannot be reached ({type(broken).__name__})"
        case ValidationError():
            return UNREADABLE
        case anyio.EndOfStream() | anyio.ClosedResourceError() | anyio.BrokenResourceError():
            return CLOSED
        case RuntimeError() as refusal:  # the package's, of a version of the protocol
            return server.redact(str(refusal))[:LONGEST_REASON]
        case other:
            log.error("MCP server %r: an error that was not foreseen", server.name, exc_info=other)
            return type(other).__name__


def _vague(error: BaseException) -> int:
    """That a stream has ended is mostly an effect of something else."""
    if isinstance(error, ServerLost):
        return 0
    ended = (anyio.EndOfStream, anyio.ClosedResourceError, anyio.BrokenResourceError)
    closed = isinstance(error, McpError) and error.error.code == said.CONNECTION_CLOSED
    return 2 if closed or isinstance(error, ended) else 1


def _leaves(error: BaseException) -> Iterator[BaseException]:
    """Task groups wrap what went wrong."""
    if isinstance(error, BaseExceptionGroup):
        for one in error.exceptions:
            yield from _leaves(one)
    else:
        yield error
