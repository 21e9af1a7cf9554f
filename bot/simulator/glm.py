"""GLM's HTTP protocol under /api/paas/v4: keys, errors, chat (whole, streamed, later) and tasks. `glm_media` has the rest."""

import time
from typing import Any

from aiohttp import web

from bot.simulator import glm_rules as rules
from bot.simulator import glm_tasks as tasks
from bot.simulator.backend import Backend, Exchange, Json, dump
from bot.simulator.errors import refusal
from bot.simulator.glm_media import Media, pages_body
from bot.simulator.stream import send_stream, send_whole
from bot.simulator.words import Delta, Found, Question, Refusal, Reply, ToolCall, Usage, prompt_usage

ROOT = "/api/paas/v4"


class Dialect:
    """GLM's key check and error shape. The key is `<id>.<secret>`, sent raw or as a JWT signed with the secret."""

    vendor = "glm"
    busy = "1302"
    broken = "1210"

    def __init__(self, api_key: str) -> None:
        self._key = api_key
        self._id, _, self._secret = api_key.partition(".")

    def authenticate(self, request: web.Request) -> None:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if not token:
            raise refusal("glm", "1001")
        if scheme != "Bearer":
            raise refusal("glm", "1002")
        if token == self._key:
            return
        if token.count(".") != 2:
            raise refusal("glm", "1000")
        import jwt  # only for clients that sign

        try:
            # `exp` is in milliseconds here, against the JWT standard.
            claims = jwt.decode(token, self._secret, algorithms=["HS256"], options={"verify_exp": False})
        except jwt.InvalidTokenError:
            raise refusal("glm", "1000") from None
        if claims.get("api_key") != self._id:
            raise refusal("glm", "1000")
        if not isinstance(claims.get("exp"), int) or claims["exp"] < time.time() * 1000:
            raise refusal("glm", "1003")

    def refuse(self, exchange: Exchange, error: Refusal) -> web.Response:
        return web.Response(
            body=dump(error_body(error)).encode(),
            status=error.status,
            content_type="application/json",
            charset="utf-8",
            headers={} if error.retry_after is None else {"Retry-After": f"{error.retry_after:g}"},
        )


def error_body(error: Refusal) -> Json:
    body: Json = {"error": {"code": error.code, "message": error.message}}
    if error.code == "1301":
        body["contentFilter"] = [{"level": 1, "role": "user"}]
    return body


def _usage(usage: Usage) -> Json:
    return {
        "prompt_tokens": usage.input_tokens,
        "completion_tokens": usage.output_tokens,
        "total_tokens": usage.input_tokens + usage.output_tokens,
        "prompt_tokens_details": {"cached_tokens": 0},
    }


def _call(index: int, call: ToolCall) -> Json:
    return {
        "id": call.id,
        "index": index,
        "type": "function",
        "function": {"name": call.name, "arguments": call.arguments},
    }


class Events:
    """The stream: `data: ` with one space, `role` in every delta, finish_reason and usage on the last chunk, then [DONE]. What
    a search found comes after the text, as `result_sequence` says by default."""

    content_type = "text/event-stream"

    def __init__(self, exchange: Exchange, found: tuple[Found, ...] = ()) -> None:
        self._exchange = exchange
        self._found = found
        head = {"id": exchange.id, "created": int(time.time()), "object": "chat.completion.chunk"}
        head["model"] = exchange.model
        self._head = "data: " + dump(head)[:-1] + ',"choices":[{"index":0,'
        self._delta = self._head + '"delta":{"role":"assistant",'
        self._called: set[int] = set()

    def delta(self, delta: Delta) -> bytes:
        if delta.kind == "tool":
            body = f'"tool_calls":[{dump(self._fragment(delta))}]'
        else:
            name = "content" if delta.kind == "text" else "reasoning_content"
            body = f'"{name}":{dump(delta.text)}'
        return f"{self._delta}{body}}}}}]}}\n\n".encode("utf-8", "backslashreplace")

    def _fragment(self, delta: Delta) -> Json:
        first = delta.index not in self._called
        self._called.add(delta.index)
        if first and delta.call:
            return _call(delta.index, ToolCall(delta.call.id, delta.call.name, delta.text))
        return {"index": delta.index, "function": {"arguments": delta.text}}

    def end(self, finish: str) -> bytes:
        fault = self._exchange.fault
        usage = "" if fault and fault.no_usage else f',"usage":{dump(_usage(self._exchange.usage))}'
        last = f'"finish_reason":{dump(finish)},"delta":{{"role":"assistant","content":""}}}}]'
        pages = ""
        if self._found:
            pages = f'{self._delta}"content":""}}}}],"web_search":{dump(pages_body(self._found))}}}\n\n'
        return f"{pages}{self._head}{last}{usage}}}\n\ndata: [DONE]\n\n".encode("utf-8", "backslashreplace")

    def error(self, error: Refusal) -> bytes:
        return f"data: {dump(error_body(error))}\n\n".encode()


def _completion(exchange: Exchange, question: Question, reply: Reply) -> Json:
    """The whole answer as one object; books its usage."""
    deltas = list(reply.deltas())
    thoughts = sum(delta.kind == "thought" for delta in deltas)
    asked = prompt_usage(question)
    exchange.usage = Usage(asked.input_tokens, len(deltas), thoughts, asked.picture_tokens)
    message: dict[str, Any] = {"role": "assistant", "content": "".join(reply.chunks) or reply.text}
    if reply.thought:
        message["reasoning_content"] = reply.thought
    if reply.tool_calls:
        message["content"] = message["content"] or None
        message["tool_calls"] = [_call(index, call) for index, call in enumerate(reply.tool_calls)]
    body: Json = {
        "id": exchange.id,
        "request_id": exchange.body.get("request_id") or exchange.id,
        "created": int(time.time()),
        "model": exchange.model,
        "choices": [{"index": 0, "finish_reason": reply.finish, "message": message}],
    }
    if reply.found:
        body["web_search"] = pages_body(reply.found)
    if not (exchange.fault and exchange.fault.no_usage):
        body["usage"] = _usage(exchange.usage)
    return body


class Service:
    """The endpoints."""

    def __init__(self, backend: Backend, api_key: str) -> None:
        self._backend = backend
        self._dialect = Dialect(api_key)
        self._media = Media(backend)

    def routes(self) -> list[web.RouteDef]:
        serve, media = self._backend.endpoint, self._media
        limited = {
            "/chat/completions": self.chat,
            "/async/chat/completions": self.start_chat,
            "/images/generations": media.draw,
            "/async/images/generations": media.start_drawing,
            "/videos/generations": media.start_filming,
            "/audio/speech": media.speak,
            "/web_search": media.search,
        }
        return [
            *(web.post(ROOT + path, serve(self._dialect, handle, limited=True)) for path, handle in limited.items()),
            web.post(f"{ROOT}/audio/transcriptions", serve(self._dialect, media.hear, limited=True, form=True)),
            web.get(ROOT + "/async-result/{id}", serve(self._dialect, self.task)),
            web.route("*", ROOT + "/{rest:.*}", serve(self._dialect, self.unknown)),
        ]

    async def chat(self, exchange: Exchange) -> web.StreamResponse:
        question = rules.read_chat(exchange.body)
        reply = self._backend.answer(question, exchange.fault)
        exchange.usage = prompt_usage(question)
        if exchange.body.get("stream"):
            fragments = bool(exchange.body.get("tool_stream"))
            events = Events(exchange, reply.found)
            return await send_stream(self._backend, exchange, events, reply, tool_fragments=fragments)
        body = dump(_completion(exchange, question, reply)).encode("utf-8", "backslashreplace")
        seconds = self._backend.pace.first_token + self._backend.pace.per_token * exchange.usage.output_tokens
        return await send_whole(self._backend, exchange, body, seconds=seconds)

    async def start_chat(self, exchange: Exchange) -> web.StreamResponse:
        if exchange.body.get("stream"):
            raise refusal("glm", "1212", "流式")
        question = rules.read_chat(exchange.body)
        reply = self._backend.answer(question, exchange.fault)
        return await tasks.start(self._backend, exchange, _completion(exchange, question, reply))

    async def task(self, exchange: Exchange) -> web.StreamResponse:
        return await tasks.see(self._backend, exchange)

    async def unknown(self, exchange: Exchange) -> web.StreamResponse:
        raise refusal("glm", "1222", exchange.request.path.removeprefix(ROOT))
