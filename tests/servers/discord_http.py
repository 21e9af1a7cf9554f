"""The HTTP side of the stand-in: reads requests, checks the token, applies faults and limits, logs, answers.

What an endpoint does is in `discord_rest` and `discord_interactions`; they are plain functions that take effect at
once, so that nothing is ever half done when a connection is cut.
"""

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from aiohttp import BodyPartReader, web

from tests.servers.discord_checks import ApiError
from tests.servers.discord_faults import OTHERS, Answer, Bucket, Fault, Faults, Hold, Limits
from tests.servers.discord_payloads import link_signature
from tests.servers.discord_state import JsonObject, Upload, World

MAX_REQUEST_BYTES = 128 * 1024 * 1024
LINE_LENGTH = 300  # of a body in a line for people
NOT_FOUND = ApiError(404, 0, "404: Not Found")
UNAUTHORIZED = ApiError(401, 0, "401: Unauthorized")


@dataclass(frozen=True, slots=True, kw_only=True)
class Incoming:
    """A request, read. `params` are the parts of the path, `uploads` the files by the n of `files[n]`."""

    params: Mapping[str, str]
    query: Mapping[str, str]
    body: object
    uploads: Mapping[int, Upload]

    def number(self, name: str) -> int:
        """A snowflake from the path. Raises ApiError as Discord does for what is none."""
        value = self.params[name]
        if not value.isdigit():
            error = {"code": "NUMBER_TYPE_COERCE", "message": f'Value "{value}" is not snowflake.'}
            raise ApiError(400, 50035, "Invalid Form Body", {f"{name}_id": {"_errors": [error]}})
        return int(value)

    @property
    def fields(self) -> JsonObject:
        return self.body if isinstance(self.body, dict) else {}


Handler = Callable[[Incoming], Answer]


Decision = tuple[dict[str, str], Answer, bool]  # rate limit headers, the answer, whether the call took effect


@dataclass(frozen=True, slots=True)
class Endpoint:
    """`path` is written as in Discord's documentation, below /api/v10."""

    method: str
    path: str
    handler: Handler
    bucket: Bucket = OTHERS
    authorized: bool = True

    @property
    def route(self) -> str:
        return f"{self.method} {self.path}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One REST call as it went. `status` is what the client saw (0: a reset), `code` Discord's error code;
    `effect` tells whether the call did its work, whatever was answered."""

    at: float
    route: str
    path: str
    params: Mapping[str, str]
    query: Mapping[str, str]
    payload: object
    files: tuple[str, ...] = ()
    status: int = 200
    code: int = 0
    effect: bool = True
    answer: object = field(default=None, repr=False)

    @property
    def channel_id(self) -> int | None:
        channel = self.params.get("channel", "")
        return int(channel) if channel.isdigit() else None

    def __str__(self) -> str:
        body = json.dumps(self.payload, ensure_ascii=False)[:LINE_LENGTH] if self.payload is not None else ""
        files = f" files={list(self.files)}" if self.files else ""
        outcome = f"{self.status or 'reset'}{f'/{self.code}' if self.code else ''}"
        return f"{outcome} {self.route.split()[0]} {self.path} {body}{files}"


class Api:
    """Serves `endpoints` below /api/v10. `record` gets each call once it is decided, before its answer leaves."""

    def __init__(
        self,
        endpoints: list[Endpoint],
        *,
        token: str,
        faults: Faults,
        limits: Limits,
        now: Callable[[], float],
        record: Callable[[Call], None],
    ) -> None:
        self.endpoints = endpoints
        self._token = token
        self._faults = faults
        self._limits = limits
        self._now = now
        self._record = record

    def add_to(self, app: web.Application) -> None:
        # aiohttp takes the first match: what has fewer placeholders ("@me", "@original") goes first
        for endpoint in sorted(self.endpoints, key=lambda each: each.path.count("{")):
            app.router.add_route(endpoint.method, f"/api/v10{endpoint.path}", self._serve(endpoint))
        app.router.add_route("*", "/api/{rest:.*}", self._unknown)

    async def _unknown(self, request: web.Request) -> web.StreamResponse:
        path, payload = request.path, (await request.read())[:200].decode(errors="replace")
        call = Call(
            at=self._now(),
            route=f"{request.method} {path}",
            path=path,
            params={},
            query={},
            payload=payload,
            status=404,
            effect=False,
        )
        self._record(call)
        return _response(Answer(status=404, body=NOT_FOUND.body))

    def _serve(self, endpoint: Endpoint) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        async def serve(request: web.Request) -> web.StreamResponse:
            return await self._call(endpoint, request)

        return serve

    async def _call(self, endpoint: Endpoint, request: web.Request) -> web.StreamResponse:
        params = dict(request.match_info)
        channel = int(params["channel"]) if params.get("channel", "").isdigit() else None
        incoming, unread = await _read_or_refuse(request)
        answer = await self._disturbance(endpoint, channel, incoming)
        headers: dict[str, str] = {}
        effect, late = False, None
        if answer is None:
            headers, answer, effect = unread or self._decide(endpoint, request, incoming)
            late = self._faults.take(endpoint.route, channel, "after", incoming.body)
        if isinstance(late, Fault):
            answer = late.answer
        self._log(endpoint, request, incoming, answer, effect=effect)
        if isinstance(late, Hold):
            late.reached.set()
            await late.until.wait()
        return _reset(request) if answer.status == 0 else _response(answer, headers)

    def _log(
        self, endpoint: Endpoint, request: web.Request, incoming: Incoming, answer: Answer, *, effect: bool
    ) -> None:
        body = answer.body if isinstance(answer.body, dict) else {}
        call = Call(
            at=self._now(),
            route=endpoint.route,
            path=request.path.removeprefix("/api/v10"),
            params=incoming.params,
            query=incoming.query,
            payload=incoming.body,
            files=tuple(upload.filename for upload in incoming.uploads.values()),
            status=answer.status,
            code=body.get("code", 0) if answer.status >= 400 else 0,
            effect=effect,
            answer=answer.body,
        )
        self._record(call)

    async def _disturbance(self, endpoint: Endpoint, channel: int | None, incoming: Incoming) -> Answer | None:
        """What a fault answers instead of the endpoint, after a hold has let go."""
        fault = self._faults.take(endpoint.route, channel, "before", incoming.body)
        if isinstance(fault, Hold):
            fault.reached.set()
            await fault.until.wait()
            return None
        return fault.answer if fault else None

    def _decide(self, endpoint: Endpoint, request: web.Request, incoming: Incoming) -> Decision:
        if endpoint.authorized and request.headers.get("Authorization") != f"Bot {self._token}":
            return {}, Answer(status=401, body=UNAUTHORIZED.body), False
        params = incoming.params
        major = params.get("channel") or params.get("guild") or params.get("token") or ""
        own = endpoint.route if endpoint.bucket is OTHERS else ""
        headers, refusal = self._limits.admit(endpoint.bucket, f"{own}:{major}")
        if refusal is not None:
            return headers, refusal, False
        try:
            return headers, endpoint.handler(incoming), True
        except ApiError as error:
            return headers, Answer(status=error.status, body=error.body), False


def _response(answer: Answer, headers: Mapping[str, str] | None = None) -> web.StreamResponse:
    merged = {**(headers or {}), **answer.headers}
    if answer.body is None:
        return web.Response(status=answer.status, headers=merged)
    if isinstance(answer.body, str):
        return web.Response(status=answer.status, text=answer.body, content_type="text/html", headers=merged)
    # bytes, since clients compare the content type with "application/json", without a charset
    body = json.dumps(answer.body).encode()
    return web.Response(status=answer.status, body=body, content_type="application/json", headers=merged)


def _reset(request: web.Request) -> web.StreamResponse:
    if request.transport is not None:
        request.transport.abort()
    return web.Response(status=500)  # never arrives


async def _read_or_refuse(request: web.Request) -> tuple[Incoming, Decision | None]:
    """The request, and the refusal when its body cannot be read."""
    uploads: dict[int, Upload] = {}
    body: object = None
    refusal: Decision | None = None
    try:
        if request.content_type == "multipart/form-data":
            body, uploads = await _read_multipart(request)
        elif raw := await request.read():
            body = _parse(raw, request.content_type)
    except ApiError as error:
        refusal = {}, Answer(status=error.status, body=error.body), False
    params, query = dict(request.match_info), dict(request.query)
    return Incoming(params=params, query=query, body=body, uploads=uploads), refusal


def _parse(raw: bytes, content_type: str) -> object:
    if content_type != "application/json":
        error = {"code": "CONTENT_TYPE_INVALID", "message": 'Expected "Content-Type" header to be "application/json".'}
        raise ApiError(400, 50035, "Invalid Form Body", {"_errors": [error]})
    try:
        return json.loads(raw)
    except ValueError as error:
        raise ApiError(400, 50109, "The request body contains invalid JSON.") from error


async def _read_multipart(request: web.Request) -> tuple[object, dict[int, Upload]]:
    body: object = {}
    uploads: dict[int, Upload] = {}
    reader = await request.multipart()
    while (part := await reader.next()) is not None:
        if not isinstance(part, BodyPartReader):
            raise ApiError(400, 50035, "Invalid Form Body")
        data = bytes(await part.read(decode=True))
        name = part.name or ""
        if name == "payload_json":
            body = _parse(data, "application/json")
        elif name.startswith("files[") and name.endswith("]") and name[6:-1].isdigit():
            kind = _sniffed(part.filename or "", data)
            uploads[int(name[6:-1])] = Upload(filename=part.filename or "file", data=data, content_type=kind)
    return body, uploads


def _sniffed(filename: str, data: bytes) -> str:
    """Discord looks at name and content, not at the type that the client claims."""
    if data[4:8] == b"ftyp":
        return "video/mp4"
    known = {b"\x89PNG": "image/png", b"\xff\xd8\xff": "image/jpeg", b"GIF8": "image/gif", b"OggS": "audio/ogg"}
    for magic, kind in known.items():
        if data.startswith(magic):
            return kind
    return "text/plain; charset=utf-8" if filename.endswith((".txt", ".md", ".py")) else "application/octet-stream"


async def serve_attachment(world: World, request: web.Request) -> web.StreamResponse:
    """The CDN: attachments by links that are signed and expire."""
    number, expires = request.match_info["attachment"], int(request.query.get("ex") or "0", 16)
    attachment = world.uploads.get(int(number)) if number.isdigit() else None
    signed = attachment is not None and request.query.get("hm") == link_signature(attachment.id, expires)
    if attachment is None or not signed or expires < world.clock.now():
        return web.Response(status=404, text="This content is no longer available.")
    return web.Response(body=attachment.upload.data, headers={"Content-Type": attachment.upload.content_type})
