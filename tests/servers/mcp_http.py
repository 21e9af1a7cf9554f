"""A stand-in for an MCP server over streamable HTTP, as strict about headers, sessions and methods as the protocol."""

from __future__ import annotations

import asyncio
import gzip
import json
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web

from tests.servers.mcp_speaker import VERSIONS, Message, Speaker


class HttpServer:
    """
    stream   answers are event streams, else JSON
    mode     the speaker's; or "redirect", "packed", "broken" (503), "hang": what it does to every POST and DELETE
    key      what X-Key must say; 401 without
    """

    def __init__(self, mode: str = "good", *, stream: bool = True, key: str = "") -> None:
        self.mode, self.stream, self.key = mode, stream, key
        self.sessions: dict[str, Speaker] = {}
        self.ended: list[str] = []
        self.keys_elsewhere: list[str] = []
        self.url = ""
        self._never = asyncio.Event()
        self._late: asyncio.Queue[Message | bytes] = asyncio.Queue()

    @asynccontextmanager
    async def open(self, port: int = 0) -> AsyncIterator[str]:
        app = web.Application()
        app.router.add_post("/mcp", self._post)
        app.router.add_delete("/mcp", self._delete)
        app.router.add_get("/mcp", self._get)
        app.router.add_post("/elsewhere", self._elsewhere)
        runner = web.AppRunner(app, shutdown_timeout=0.1, handler_cancellation=True)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", port, reuse_address=True)
        await site.start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}/mcp"
        try:
            yield self.url
        finally:
            await runner.cleanup()

    async def _post(self, request: web.Request) -> web.StreamResponse:
        if self.key and request.headers.get("X-Key") != self.key:
            raise web.HTTPUnauthorized
        accepted = request.headers.get("Accept", "")
        if "application/json" not in accepted or "text/event-stream" not in accepted:
            raise web.HTTPNotAcceptable
        if request.content_type != "application/json":
            raise web.HTTPUnsupportedMediaType
        await self._misbehave()
        message = json.loads(await request.read())
        begins = message.get("method") == "initialize"
        speaker = Speaker(self.mode) if begins else self._speaker(request)
        name = secrets.token_hex(8) if begins else request.headers["Mcp-Session-Id"]
        self.sessions[name] = speaker
        if "id" not in message or "method" not in message:
            for said in speaker.hear(message):
                self._late.put_nowait(said)
            return web.Response(status=202)
        return await self._answer(request, speaker, message, {"Mcp-Session-Id": name} if begins else {})

    async def _misbehave(self) -> None:
        match self.mode:
            case "redirect":
                raise web.HTTPTemporaryRedirect("/elsewhere")
            case "broken":
                raise web.HTTPServiceUnavailable
            case "hang":
                await self._never.wait()

    def _speaker(self, request: web.Request) -> Speaker:
        if request.headers.get("MCP-Protocol-Version") not in VERSIONS or "Mcp-Session-Id" not in request.headers:
            raise web.HTTPBadRequest
        speaker = self.sessions.get(request.headers["Mcp-Session-Id"])
        if speaker is None:
            raise web.HTTPNotFound
        return speaker

    async def _answer(
        self, request: web.Request, speaker: Speaker, message: Message, headers: dict[str, str]
    ) -> web.StreamResponse:
        if message.get("params", {}).get("name") == "hang":
            await self._never.wait()
        if not self.stream:
            # A body holds the answer alone
            said = next(said for said in speaker.hear(message) if isinstance(said, bytes) or "id" in said)
            body = said if isinstance(said, bytes) else json.dumps(said, indent=1).encode()
            if self.mode == "packed":
                return web.Response(
                    body=gzip.compress(body),
                    content_type="application/json",
                    headers={**headers, "Content-Encoding": "gzip"},
                )
            return web.Response(body=body, content_type="application/json", headers=headers)
        response = web.StreamResponse(headers={**headers, "Content-Type": "text/event-stream"})
        await response.prepare(request)
        for said in speaker.hear(message):
            data = said if isinstance(said, bytes) else json.dumps(said).encode()
            await response.write(b": a comment\r\n\r\nevent: message\r\ndata: " + data + b"\r\n\r\n")
        if message.get("params", {}).get("name") == "ask":  # what the client answers comes in by requests of its own
            await response.write(b"data: " + json.dumps(await self._late.get()).encode() + b"\n\n")
        return response

    async def _delete(self, request: web.Request) -> web.Response:
        await self._misbehave()
        if self.sessions.pop(request.headers["Mcp-Session-Id"], None) is None:
            raise web.HTTPNotFound
        self.ended.append(request.headers["Mcp-Session-Id"])
        return web.Response()

    async def _get(self, request: web.Request) -> web.Response:
        raise web.HTTPMethodNotAllowed("GET", ["POST", "DELETE"])

    async def _elsewhere(self, request: web.Request) -> web.Response:
        self.keys_elsewhere.append(request.headers.get("X-Key", ""))
        return web.Response()
