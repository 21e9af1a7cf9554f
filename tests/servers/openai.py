"""A strict stand-in for an OpenAI-compatible server: models and chat (`python -m tests.servers.openai`).

Answers, faults and log are the simulator's; the protocol is the one that Ollama, vLLM and DeepSeek share.
"""

import argparse
import asyncio
import json
import time
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Self

from aiohttp import web

from bot.simulator.backend import MAX_BODY, Backend, Call, Exchange, Json, Pace, Script
from bot.simulator.errors import refusal
from bot.simulator.faults import Fault
from bot.simulator.pictures import decode
from bot.simulator.shapes import function_of, read_tool_calls, tool_pairs_whole
from bot.simulator.stream import send_stream, send_whole
from bot.simulator.words import Delta, Question, Refusal, Reply, Said, Seen, ToolCall, Usage, prompt_usage

MODELS = ("llama3.2", "deepseek-chat", "deepseek-reasoner", "qwen3:8b")
WINDOW = 131_072


def dump(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode("utf-8", "replace")


class Dialect:
    """Bearer key if the server was given one; errors as {"error": {message, type, param, code}}."""

    vendor = "openai"
    busy = "rate_limit_exceeded"
    broken = "invalid_request_error"

    def __init__(self, api_key: str) -> None:
        self._key = api_key

    def authenticate(self, request: web.Request) -> None:
        if self._key and request.headers.get("Authorization") != f"Bearer {self._key}":
            raise refusal("openai", "invalid_api_key")

    def refuse(self, exchange: Exchange, error: Refusal) -> web.Response:
        return web.Response(
            body=dump(error_body(error)),
            status=error.status,
            content_type="application/json",
            headers={} if error.retry_after is None else {"Retry-After": f"{error.retry_after:g}"},
        )


def error_body(error: Refusal) -> Json:
    kinds = {401: "authentication_error", 429: "rate_limit_error", 500: "server_error", 503: "server_error"}
    kind = kinds.get(error.status, "invalid_request_error")
    return {"error": {"message": error.message, "type": kind, "param": None, "code": error.code}}


def _invalid(message: str) -> Refusal:
    return refusal("openai", "invalid_request_error", message=message)


def _usage(usage: Usage) -> Json:
    body: Json = {
        "prompt_tokens": usage.input_tokens,
        "completion_tokens": usage.output_tokens,
        "total_tokens": usage.input_tokens + usage.output_tokens,
    }
    if usage.reasoning_tokens:
        body["completion_tokens_details"] = {"reasoning_tokens": usage.reasoning_tokens}
    return body


def read_chat(body: Json) -> Question:
    """A legal body as a Question. Raises Refusal."""
    model = body.get("model")
    if not isinstance(model, str) or not model:
        raise _invalid("you must provide a model parameter")
    if model not in MODELS:
        raise refusal("openai", "model_not_found", model)
    for name, low, high in (("temperature", 0, 2), ("top_p", 0, 1), ("presence_penalty", -2, 2)):
        value = body.get(name)
        if value is not None and (
            isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high
        ):
            raise _invalid(f"Invalid value for '{name}': must be between {low} and {high}.")
    limit = body.get("max_completion_tokens") or body.get("max_tokens")
    if limit is not None and (isinstance(limit, bool) or not isinstance(limit, int) or limit < 1):
        raise _invalid("Invalid value for 'max_tokens': must be a positive integer.")
    if body.get("stream_options") is not None and not body.get("stream"):
        raise _invalid("The 'stream_options' parameter is only allowed when 'stream' is enabled.")
    question = Question(
        model=model,
        said=_messages(body),
        thinking=model == "deepseek-reasoner",
        tools=_tools(body),
        must_call=body.get("tool_choice") not in (None, "auto", "none"),
        json_object=(body.get("response_format") or {}).get("type") == "json_object",
        seed=body.get("seed") or 0,
        max_tokens=limit or 8_192,
        stop=_stop(body),
    )
    if prompt_usage(question).input_tokens > WINDOW:
        raise refusal("openai", "context_length_exceeded", str(WINDOW))
    return question


def _stop(body: Json) -> tuple[str, ...]:
    stop = body.get("stop") or []
    words = [stop] if isinstance(stop, str) else stop
    if not isinstance(words, list) or len(words) > 4 or not all(isinstance(word, str) for word in words):
        raise _invalid("Invalid 'stop': at most 4 strings.")
    return tuple(words)


def _tools(body: Json) -> dict[str, tuple[str, ...]]:
    functions: dict[str, tuple[str, ...]] = {}
    for tool in body.get("tools") or []:
        function = tool.get("function") if isinstance(tool, dict) and tool.get("type") == "function" else None
        name, parameters = function_of(function) if isinstance(function, dict) else ("", ())
        if not name:
            raise _invalid("Missing required parameter: 'tools[].function.name'.")
        functions[name] = parameters
    return {} if body.get("tool_choice") == "none" else functions


def _messages(body: Json) -> tuple[Said, ...]:
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages:
        raise _invalid("Invalid 'messages': empty array. Expected an array with minimum length 1.")
    said = tuple(_message(message) for message in messages)
    if not tool_pairs_whole(said):
        raise _invalid("An assistant message with 'tool_calls' must be followed by tool messages responding to each.")
    return said


def _message(message: Any) -> Said:
    role = message.get("role") if isinstance(message, dict) else None
    if role not in ("system", "user", "assistant", "tool"):
        raise _invalid(f"Invalid value: {role!r}. Supported values are: 'system', 'assistant', 'user', and 'tool'.")
    calls = read_tool_calls(message.get("tool_calls"))
    if calls is None:
        raise _invalid("Invalid 'messages[].tool_calls'.")
    text, pictures = _content(message.get("content"))
    if message.get("content") is None and not calls:
        raise _invalid("Invalid value for 'content': expected a string, got null.")
    call_id = str(message.get("tool_call_id") or "")
    return Said(role=role, text=text, pictures=pictures, tool_calls=calls, tool_call_id=call_id)


def _content(content: Any) -> tuple[str, tuple[Seen, ...]]:
    if content is None or isinstance(content, str):
        return content or "", ()
    if not isinstance(content, list):
        raise _invalid("Invalid type for 'messages[].content'.")
    texts, pictures = [], []
    for part in content:
        kind = part.get("type") if isinstance(part, dict) else None
        if kind == "text" and isinstance(part.get("text"), str):
            texts.append(part["text"])
        elif kind == "image_url" and isinstance(part.get("image_url"), dict):
            url = part["image_url"].get("url")
            # Unlike GLM, bare base64 is refused here.
            legal = isinstance(url, str) and url.startswith(("data:", "https://", "http://"))
            seen = decode(url, max_bytes=20 * 1024 * 1024) if legal else None
            if seen is None:
                raise _invalid("Invalid image_url: expected a valid URL or a base64 data URL of a picture.")
            pictures.append(seen)
        else:
            raise _invalid(f"Invalid content part type: {kind!r}.")
    return "\n".join(texts), tuple(pictures)


def _call(index: int, call: ToolCall) -> Json:
    function = {"name": call.name, "arguments": call.arguments}
    return {"index": index, "id": call.id, "type": "function", "function": function}


class Events:
    """The stream: a first delta with the role, content, finish_reason, then usage in a chunk without choices if asked for."""

    content_type = "text/event-stream"

    def __init__(self, exchange: Exchange, *, include_usage: bool) -> None:
        self._exchange = exchange
        self._include_usage = include_usage
        self._called: set[int] = set()
        self._begun = False

    def _chunk(self, choices: list[Json], **more: object) -> bytes:
        body: Json = {"id": f"chatcmpl-{self._exchange.id}", "object": "chat.completion.chunk"}
        body |= {"created": int(time.time()), "model": self._exchange.model, "choices": choices, **more}
        return b"data: " + dump(body) + b"\n\n"

    def _step(self, delta: Json, finish: str | None = None) -> bytes:
        null_usage: Json = {"usage": None} if self._include_usage else {}
        return self._chunk([{"index": 0, "delta": delta, "finish_reason": finish}], **null_usage)

    def delta(self, delta: Delta) -> bytes:
        begin = b"" if self._begun else self._step({"role": "assistant", "content": ""})
        self._begun = True
        if delta.kind == "thought":
            return begin + self._step({"reasoning_content": delta.text})
        if delta.kind == "text":
            return begin + self._step({"content": delta.text})
        call: Json = {"index": delta.index, "function": {"arguments": delta.text}}
        if delta.index not in self._called and delta.call:
            self._called.add(delta.index)
            call = _call(delta.index, ToolCall(delta.call.id, delta.call.name, delta.text))
        return begin + self._step({"tool_calls": [call]})

    def end(self, finish: str) -> bytes:
        last = self._step({}, finish)
        if self._include_usage and not (self._exchange.fault and self._exchange.fault.no_usage):
            last += self._chunk([], usage=_usage(self._exchange.usage))
        return last + b"data: [DONE]\n\n"

    def error(self, error: Refusal) -> bytes:
        return b"data: " + dump(error_body(error)) + b"\n\n"


class OpenAIServer:
    """`async with OpenAIServer() as server`: `server.url` ends in /v1; log, say, fail and pace as the Simulator's."""

    def __init__(
        self,
        *,
        port: int = 0,
        api_key: str = "",
        first_token: float = 0.0,
        per_token: float = 0.0,
        script: Script | None = None,
        faults: Sequence[Fault] = (),
        max_in_flight: int | None = None,
    ) -> None:
        self.api_key = api_key
        self._port = port
        self._backend = Backend(
            pace=Pace(first_token=first_token, per_token=per_token),
            script=script,
            faults=tuple(faults),
            max_in_flight=max_in_flight,
        )
        self._runner: web.AppRunner | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}/v1"

    @property
    def log(self) -> list[Call]:
        return [exchange.call for exchange in self._backend.exchanges]

    def say(self, *replies: Reply | str) -> None:
        for reply in replies:
            self._backend.say(Reply(text=reply) if isinstance(reply, str) else reply)

    def fail(self, fault: Fault) -> None:
        self._backend.faults.add(fault)

    async def __aenter__(self) -> Self:
        app = web.Application(client_max_size=MAX_BODY)
        dialect = Dialect(self.api_key)
        app.router.add_get("/v1/models", self._backend.endpoint(dialect, self._models))
        app.router.add_post("/v1/chat/completions", self._backend.endpoint(dialect, self._chat, limited=True))
        self._runner = web.AppRunner(app, handler_cancellation=True, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self._port, backlog=1024).start()
        self._port = self._runner.addresses[0][1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._backend.closing.set()
        if self._runner is not None:
            await self._runner.cleanup()

    async def _models(self, exchange: Exchange) -> web.StreamResponse:
        data = [{"id": name, "object": "model", "created": 1_700_000_000, "owned_by": "library"} for name in MODELS]
        return await send_whole(self._backend, exchange, dump({"object": "list", "data": data}))

    async def _chat(self, exchange: Exchange) -> web.StreamResponse:
        question = read_chat(exchange.body)
        reply = self._backend.answer(question, exchange.fault)
        exchange.usage = prompt_usage(question)
        if exchange.body.get("stream"):
            options = exchange.body.get("stream_options") or {}
            events = Events(exchange, include_usage=bool(options.get("include_usage")))
            return await send_stream(self._backend, exchange, events, reply, tool_fragments=True)
        return await send_whole(self._backend, exchange, dump(self._completion(exchange, reply)))

    def _completion(self, exchange: Exchange, reply: Reply) -> Json:
        deltas = list(reply.deltas())
        thoughts = sum(delta.kind == "thought" for delta in deltas)
        exchange.usage = Usage(exchange.usage.input_tokens, len(deltas), thoughts)
        message: Json = {"role": "assistant", "content": "".join(reply.chunks) or reply.text}
        if reply.thought:
            message["reasoning_content"] = reply.thought
        if reply.tool_calls:
            message |= {
                "content": None,
                "tool_calls": [_call(index, call) for index, call in enumerate(reply.tool_calls)],
            }
        body: Json = {"id": f"chatcmpl-{exchange.id}", "object": "chat.completion", "created": int(time.time())}
        body |= {
            "model": exchange.model,
            "choices": [{"index": 0, "message": message, "finish_reason": reply.finish}],
        }
        if not (exchange.fault and exchange.fault.no_usage):
            body["usage"] = _usage(exchange.usage)
        return body


async def _run(port: int) -> None:
    async with OpenAIServer(port=port, first_token=0.25, per_token=0.02) as server:
        print(server.url)
        await asyncio.Event().wait()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=9102)
    asyncio.run(_run(parser.parse_args().port))
