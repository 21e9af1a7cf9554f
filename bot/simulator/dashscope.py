"""DashScope's HTTP protocol under /api/v1: chat at its two endpoints, whole and streamed, errors, and uploads.

What else it offers is in `dashscope_images`, `dashscope_videos`, `dashscope_speech` and `dashscope_tasks`.
"""

import uuid

from aiohttp import BodyPartReader, web

from bot.simulator import dashscope_rules as rules
from bot.simulator.backend import Backend, Exchange, Json, Upload, dump
from bot.simulator.dashscope_images import Images
from bot.simulator.dashscope_speech import Speech
from bot.simulator.dashscope_tasks import Tasks
from bot.simulator.dashscope_videos import Videos
from bot.simulator.errors import refusal
from bot.simulator.models import Model
from bot.simulator.stream import send_stream, send_whole
from bot.simulator.words import Delta, Found, Refusal, Reply, Usage, prompt_usage

ROOT = "/api/v1"
TEXT = f"{ROOT}/services/aigc/text-generation/generation"
MULTIMODAL = f"{ROOT}/services/aigc/multimodal-generation/generation"
DRAW = f"{ROOT}/services/aigc/text2image/image-synthesis"
EDIT = f"{ROOT}/services/aigc/image2image/image-synthesis"
FILM = f"{ROOT}/services/aigc/video-generation/video-synthesis"


class Dialect:
    """DashScope's key check and error shape."""

    vendor = "dashscope"
    busy = "Throttling.RateQuota"
    broken = "InvalidParameter"

    def __init__(self, api_key: str) -> None:
        self._key = api_key

    def authenticate(self, request: web.Request) -> None:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if not token:
            raise refusal("dashscope", "InvalidApiKey", message="No API-key provided.")
        if scheme != "Bearer" or token != self._key:
            raise refusal("dashscope", "InvalidApiKey")

    def refuse(self, exchange: Exchange, error: Refusal) -> web.Response:
        body = {"code": error.code, "message": error.message, "request_id": exchange.id}
        return web.Response(
            body=dump(body).encode("utf-8", "replace"),
            status=error.status,
            content_type="application/json",
            headers={} if error.retry_after is None else {"Retry-After": f"{error.retry_after:g}"},
        )


class Shape:
    """How one call wants its answer: `message` or `text` form, multimodal content lists, increments or repeated text."""

    def __init__(self, model: Model, parameters: Json) -> None:
        self.sources = rules.tells_sources(parameters)
        self.multimodal = model.multimodal
        self.message = model.multimodal or rules.says_message(parameters, model)
        self.incremental = rules.is_incremental(parameters)

    def output(self, text: str, thought: str | None, calls: list[Json], finish: str) -> Json:
        if not self.message:
            return {"text": text, "finish_reason": finish}
        content: object = text
        if self.multimodal:
            content = [{"text": text}] if text else []
        message: Json = {"role": "assistant", "content": content}
        if thought is not None:
            message["reasoning_content"] = thought
        if calls:
            message["tool_calls"] = calls
        return {"choices": [{"message": message, "finish_reason": finish}]}

    def searched(self, found: tuple[Found, ...]) -> Json:
        """What goes into an output besides the answer."""
        if not (found and self.sources):
            return {}
        results = [
            {"index": at, "title": page.title, "url": page.url, "site_name": page.site, "icon": ""}
            for at, page in enumerate(found, 1)
        ]
        return {"search_info": {"search_results": results}}

    def usage(self, usage: Usage) -> Json:
        body: Json = {
            "input_tokens": usage.input_tokens,
            "output_tokens": usage.output_tokens,
            "total_tokens": usage.input_tokens + usage.output_tokens,
        }
        if self.multimodal:
            pictures = usage.picture_tokens
            body["input_tokens_details"] = {"image_tokens": pictures, "text_tokens": usage.input_tokens - pictures}
            body["output_tokens_details"] = {"text_tokens": usage.output_tokens - usage.reasoning_tokens}
            body["image_tokens"] = pictures
        else:
            body["prompt_tokens_details"] = {"cached_tokens": 0}
        if usage.reasoning_tokens:
            details = body.setdefault("output_tokens_details", {})
            details["reasoning_tokens"] = usage.reasoning_tokens
        return body


def _call(delta_index: int, call_id: str, name: str, arguments: str) -> Json:
    function = {"name": name, "arguments": arguments}
    return {"index": delta_index, "id": call_id, "type": "function", "function": function}


class Events:
    """The stream: numbered events without spaces, the status as a comment, usage so far on each; "null" until the end."""

    content_type = "text/event-stream;charset=UTF-8"

    def __init__(self, exchange: Exchange, shape: Shape, found: tuple[Found, ...]) -> None:
        self._exchange = exchange
        self._shape = shape
        self._searched = shape.searched(found)
        self._count = 0
        self._text = ""
        self._calls: dict[int, Json] = {}

    def delta(self, delta: Delta) -> bytes:
        if delta.kind == "thought":
            return self._event(self._shape.output("", delta.text, [], "null"))
        if delta.kind == "text":
            self._text += delta.text if not self._shape.incremental else ""
            text = delta.text if self._shape.incremental else self._text
            return self._event(self._shape.output(text, None, [], "null"))
        return self._event(self._shape.output(self._text, None, self._fragment(delta), "null"))

    def _fragment(self, delta: Delta) -> list[Json]:
        first = delta.index not in self._calls
        if delta.call and (first or not self._shape.incremental):
            before = "" if first else self._calls[delta.index]["function"]["arguments"]
            self._calls[delta.index] = _call(delta.index, delta.call.id, delta.call.name, before + delta.text)
        if self._shape.incremental:
            return [self._calls[delta.index] if first else _call(delta.index, "", "", delta.text)]
        return list(self._calls.values())

    def end(self, finish: str) -> bytes:
        calls = [] if self._shape.incremental else list(self._calls.values())
        return self._event(self._shape.output(self._text, None, calls, finish))

    def _event(self, output: Json) -> bytes:
        self._count += 1
        body: Json = {"output": output | self._searched}
        if not (self._exchange.fault and self._exchange.fault.no_usage):
            body["usage"] = self._shape.usage(self._exchange.usage)
        body["request_id"] = self._exchange.id
        return f"id:{self._count}\nevent:result\n:HTTP_STATUS/200\ndata:{dump(body)}\n\n".encode(
            "utf-8", "backslashreplace"
        )

    def error(self, error: Refusal) -> bytes:
        self._count += 1
        body = {"code": error.code, "message": error.message, "request_id": self._exchange.id}
        head = f"id:{self._count}\nevent:error\n:HTTP_STATUS/{error.status}\n"
        return f"{head}data:{dump(body)}\n\n".encode()


class Service:
    """The endpoints."""

    def __init__(self, backend: Backend, api_key: str) -> None:
        self._backend = backend
        self._dialect = Dialect(api_key)
        self._tasks = Tasks(backend)
        self._images = Images(backend, self._tasks)
        self._videos = Videos(backend, self._tasks)
        self._speech = Speech(backend)

    def routes(self) -> list[web.RouteDef]:
        serve = self._backend.endpoint
        return [
            web.post(TEXT, serve(self._dialect, self.text, limited=True)),
            web.post(MULTIMODAL, serve(self._dialect, self.multimodal, limited=True)),
            web.post(DRAW, serve(self._dialect, self._images.start_drawing, limited=True)),
            web.post(EDIT, serve(self._dialect, self._images.start_editing, limited=True)),
            web.post(FILM, serve(self._dialect, self._videos.start, limited=True)),
            web.get(ROOT + "/tasks/{id:[^/]+}{slash:/?}", serve(self._dialect, self._tasks.see)),
            web.post(ROOT + "/tasks/{id:[^/]+}/cancel{slash:/?}", serve(self._dialect, self._tasks.cancel)),
            web.get(f"{ROOT}/uploads", serve(self._dialect, self.policy)),
            web.post("/oss", self.upload),
            web.route("*", ROOT + "/{rest:.*}", serve(self._dialect, self.unknown)),
        ]

    async def text(self, exchange: Exchange) -> web.StreamResponse:
        return await self._chat(exchange, rules.model_of(exchange.body, multimodal=False))

    async def multimodal(self, exchange: Exchange) -> web.StreamResponse:
        model = rules.model_of(exchange.body, multimodal=True)
        match model.kind:
            case "image":
                return await self._images.draw_at_once(exchange, model)
            case "hear":
                return await self._speech.hear(exchange)
            case "speak":
                return await self._speech.speak(exchange)
        return await self._chat(exchange, model)

    async def _chat(self, exchange: Exchange, model: Model) -> web.StreamResponse:
        headers = exchange.request.headers
        if headers.get("X-DashScope-Async") == "enable":
            raise refusal("dashscope", "AccessDenied", message="current user api does not support asynchronous calls.")
        stream = headers.get("X-DashScope-SSE") == "enable"
        resolve = headers.get("X-DashScope-OssResourceResolve") == "enable"
        question = rules.read_chat(
            exchange.body, model, stream=stream, objects=self._backend.objects if resolve else {}
        )
        shape = Shape(model, rules.parameters_of(exchange.body))
        reply = self._backend.answer(question, exchange.fault)
        exchange.usage = prompt_usage(question)
        if stream:
            events = Events(exchange, shape, reply.found)
            return await send_stream(self._backend, exchange, events, reply, tool_fragments=True)
        return await self._whole(exchange, shape, reply)

    async def _whole(self, exchange: Exchange, shape: Shape, reply: Reply) -> web.StreamResponse:
        deltas = list(reply.deltas())
        asked = exchange.usage
        thoughts = sum(delta.kind == "thought" for delta in deltas)
        exchange.usage = Usage(asked.input_tokens, len(deltas), thoughts, asked.picture_tokens)
        calls = [_call(at, call.id, call.name, call.arguments) for at, call in enumerate(reply.tool_calls)]
        output = shape.output("".join(reply.chunks) or reply.text, reply.thought or None, calls, reply.finish)
        body: Json = {"output": output | shape.searched(reply.found)}
        if not (exchange.fault and exchange.fault.no_usage):
            body["usage"] = shape.usage(exchange.usage)
        body["request_id"] = exchange.id
        pace = self._backend.pace
        return await send_whole(
            self._backend,
            exchange,
            dump(body).encode("utf-8", "backslashreplace"),
            seconds=pace.first_token + pace.per_token * len(deltas),
        )

    async def policy(self, exchange: Exchange) -> web.StreamResponse:
        """Where and with which form fields a file may be uploaded."""
        query = exchange.request.query
        if query.get("action") != "getPolicy" or not query.get("model"):
            raise refusal("dashscope", "InvalidParameter")
        data = {
            "policy": "c2ltdWxhdG9y",
            "signature": "c2lnbmVk",
            "upload_dir": f"dashscope-instant/{uuid.uuid4().hex}",
            "upload_host": f"{exchange.request.url.origin()}/oss",
            "expire_in_seconds": 300,
            "max_file_size_mb": 100,
            "oss_access_key_id": "simulator",
            "x_oss_object_acl": "private",
            "x_oss_forbid_overwrite": "true",
        }
        return web.json_response({"request_id": exchange.id, "data": data})

    async def upload(self, request: web.Request) -> web.Response:
        """The object store's form upload. Whatever comes is in the log, also what is refused."""
        exchange = Exchange("oss", request)
        self._backend.exchanges.append(exchange)
        if request.content_type != "multipart/form-data":
            exchange.status, exchange.ended = 400, exchange.began
            return web.Response(status=400)
        fields: dict[str, str] = {}
        uploads: list[Upload] = []
        async for part in await request.multipart():
            if not isinstance(part, BodyPartReader):
                continue
            content = bytes(await part.read())
            if part.filename is None:
                fields[part.name or ""] = content.decode("utf-8", "replace")
            else:
                uploads.append(Upload(field=part.name or "", filename=part.filename, content=content))
        exchange.body, exchange.uploads = dict(fields), tuple(uploads)
        allowed = fields.get("Signature") == "c2lnbmVk" and "key" in fields and len(uploads) == 1
        exchange.status = 200 if allowed else 403
        if allowed:
            self._backend.keep_object(fields["key"], uploads[0].content)
        exchange.ended = exchange.began
        return web.Response(status=exchange.status)

    async def unknown(self, exchange: Exchange) -> web.StreamResponse:
        raise rules.invalid("url error, please check url！")
