"""Any OpenAI-compatible service (Ollama, vLLM, DeepSeek …): chat with functions and pictures in, over plain HTTP; no SDK is
worth it here."""

from __future__ import annotations

import ipaddress
import json
import re
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import Any

import aiohttp
from yarl import URL

from bot.errors import ModelError, Trouble
from bot.messages import Finish, Finished, Thought, Usage
from bot.models.calls import Calls, offered
from bot.models.calls import told as told_calls
from bot.models.marks import Marks
from bot.models.pictures import Kept, data_url
from bot.models.sse import data_lines
from bot.models.vendor import MALFORMED, Streamed, by_status, retry_after, told, usage_of
from bot.ports import Line, ModelCard, Prompt

PREFIX = "openai/"
WINDOW, OUTPUT = 32_768, 4_096  # tokens, for a model of which nothing is known
PRICE = (20.0, 80.0)  # CNY per million tokens for a service elsewhere whose price nobody told: as the dearest known
CONNECT = 10.0  # seconds

TROUBLES: Mapping[str, Trouble] = {
    "insufficient_quota": Trouble.NO_MONEY,
    "insufficient_balance": Trouble.NO_MONEY,
    "invalid_api_key": Trouble.BAD_KEY,
    "authentication_error": Trouble.BAD_KEY,
    "rate_limit_exceeded": Trouble.BUSY,
    "overloaded": Trouble.OVERLOADED,
    "content_filter": Trouble.REFUSED,
    "content_policy_violation": Trouble.REFUSED,
    "context_length_exceeded": Trouble.TOO_LONG,
    "model_not_found": Trouble.NO_MODEL,
    "server_error": Trouble.FAULT,
}
_TOO_LONG = re.compile(r"context (?:length|window|size)|maximum.{0,20}tokens|too long", re.IGNORECASE)
FINISHES: Mapping[str, Finish] = {
    "stop": Finish.STOP,
    "length": Finish.LENGTH,
    "tool_calls": Finish.TOOLS,
    "content_filter": Finish.REFUSED,
    "insufficient_system_resource": Finish.CUT,  # DeepSeek
}


def card_for(name: str, url: str, window: int = WINDOW) -> ModelCard:
    """A model that no catalogue knows. On this machine or network it costs nothing, elsewhere it is counted as dear."""
    price = () if _is_near(URL(url).host or "") else ((window, *PRICE),)
    note = "" if not price else "price unknown: counted high until CATALOG_FILE tells it"
    output = min(OUTPUT, window // 2)
    return ModelCard(
        name=PREFIX + name,
        vendor="openai",
        kind="chat",
        window=window,
        output=output,
        price=price,
        seed=True,
        note=note,
    )


def _is_near(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_private
    except ValueError:
        return "." not in host or host.endswith((".local", ".internal", ".lan"))  # localhost, a container's name


class OpenAI:
    """`url` is the root that such services document, `…/v1`. The key may be empty: Ollama has none."""

    def __init__(self, session: aiohttp.ClientSession, files: Kept, *, key: str, url: str) -> None:
        self._session = session
        self._files = files
        self._url = url.rstrip("/")
        self._headers = {"Authorization": f"Bearer {key}"} if key else {}

    async def models(self) -> list[ModelCard]:
        """What the service says it has. Raises ModelError."""
        try:
            async with self._session.get(
                f"{self._url}/models",
                headers=self._headers,
                allow_redirects=False,
                timeout=aiohttp.ClientTimeout(total=CONNECT),
            ) as response:
                text = await response.text(errors="replace")
                if response.status != 200:
                    raise _refusal(response, text, "")
                entries = json.loads(text)["data"]
                return [self._listed(entry) for entry in entries if isinstance(entry.get("id"), str)]
        except (aiohttp.ClientError, OSError, *MALFORMED) as error:
            raise _broken(error, "") from error

    def _listed(self, entry: Mapping[str, Any]) -> ModelCard:
        window = entry.get("max_model_len")  # vLLM tells
        return card_for(entry["id"], self._url, window if isinstance(window, int) and window > 0 else WINDOW)

    async def stream(self, prompt: Prompt) -> AsyncGenerator[Streamed, None]:
        card = prompt.card
        body: dict[str, Any] = {
            "model": card.name.removeprefix(PREFIX),
            "messages": [await self._message(line, vision=card.vision) for line in prompt.lines],
            "max_tokens": prompt.output,
            "stream": True,
            "stream_options": {"include_usage": True},
        }
        if card.seed and prompt.seed is not None:
            body["seed"] = prompt.seed
        if prompt.tools:
            body["tools"] = offered(prompt.tools)
        try:
            async with self._session.post(
                f"{self._url}/chat/completions",
                json=body,
                headers=self._headers,
                allow_redirects=False,
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT),
            ) as response:
                if response.status != 200:
                    raise _refusal(response, await response.text(errors="replace"), card.name)
                async with aclosing(_parts(response, card.name)) as parts:
                    async for part in parts:
                        yield part
        except (aiohttp.ClientError, OSError, *MALFORMED) as error:
            raise _broken(error, card.name) from error

    async def _message(self, line: Line, *, vision: bool) -> dict[str, Any]:
        if line.role == "tool":
            return {"role": "tool", "content": line.text, "tool_call_id": line.call}
        if line.calls:
            return {"role": line.role, "content": line.text, "tool_calls": told_calls(line.calls)}
        if not (line.files and vision):
            return {"role": line.role, "content": line.text}
        content: list[dict[str, Any]] = [
            {"type": "image_url", "image_url": {"url": await data_url(self._files, name)}} for name in line.files
        ]
        if line.text:
            content.append({"type": "text", "text": line.text})
        return {"role": line.role, "content": content}


async def _parts(response: aiohttp.ClientResponse, model: str) -> AsyncGenerator[Streamed, None]:
    """Usage comes in a chunk of its own, after the finish reason and without choices."""
    marks = Marks()
    calls = Calls()
    reason: str | None = None
    usage = Usage(estimated=True)
    request_id = response.headers.get("x-request-id", "")
    async with aclosing(data_lines(response)) as lines:
        async for data in lines:
            chunk = json.loads(data)
            if not isinstance(chunk, dict):
                raise ValueError("a chunk that is no object")
            if chunk.get("error"):
                raise _error(chunk, 200, request_id, model, fallback=Trouble.CUT)
            request_id = request_id or str(chunk.get("id") or "")
            usage = _usage(chunk.get("usage")) or usage
            choices = chunk.get("choices")
            if not choices:
                continue
            reason = choices[0].get("finish_reason") or reason
            delta = choices[0].get("delta") or {}
            if thought := delta.get("reasoning_content") or delta.get("reasoning"):  # DeepSeek and vLLM; Ollama
                yield Thought(str(thought))
            if text := delta.get("content"):
                for part in marks.feed(text):
                    yield part
            calls.feed(delta.get("tool_calls"))
    for part in marks.end():
        yield part
    finish = FINISHES.get(reason, Finish.STOP) if reason else Finish.CUT
    if finish is Finish.TOOLS:
        asked = calls.whole()
        for call in asked:
            yield call
        finish = Finish.TOOLS if asked else Finish.CUT
    code = reason or "" if finish in (Finish.REFUSED, Finish.CUT) else ""
    yield Finished(reason=finish, usage=usage, model=model, request_id=request_id, code=code)


def _usage(usage: Any) -> Usage | None:
    if not isinstance(usage, dict):
        return None
    details = usage.get("prompt_tokens_details")
    cached = details.get("cached_tokens") if isinstance(details, dict) else 0
    return usage_of(usage.get("prompt_tokens"), usage.get("completion_tokens"), cached)


def _refusal(response: aiohttp.ClientResponse, text: str, model: str) -> ModelError:
    try:
        body = json.loads(text)
    except (ValueError, RecursionError):
        body = {"error": text[:500]}
    error = _error(
        body if isinstance(body, dict) else {},
        response.status,
        response.headers.get("x-request-id", ""),
        model,
        fallback=by_status(response.status),
    )
    error.retry_after = retry_after(response.headers)
    return error


def _error(body: Mapping[str, Any], status: int, request_id: str, model: str, *, fallback: Trouble) -> ModelError:
    """From `{"error": {"code", "type", "message"}}`, or vLLM's older form without the outer object. Only the telling codes
    decide: many services put the same general one, or the HTTP status, into each refusal."""
    error = body.get("error", body)
    given: Mapping[str, Any] = error if isinstance(error, dict) else {"message": error}
    message, code = str(given.get("message") or ""), str(given.get("code") or given.get("type") or "")
    trouble = TROUBLES.get(str(given.get("code"))) or TROUBLES.get(str(given.get("type"))) or fallback
    if trouble is Trouble.BAD_REQUEST and _TOO_LONG.search(message):
        trouble = Trouble.TOO_LONG
    return ModelError(
        trouble,
        vendor="openai",
        model=model,
        status=status,
        code=code,
        request_id=request_id,
        vendor_message=message[:500],
    )


def _broken(error: Exception, model: str) -> ModelError:
    unreachable = aiohttp.ClientConnectorError | aiohttp.ConnectionTimeoutError | aiohttp.InvalidURL
    trouble = Trouble.UNREACHABLE if isinstance(error, unreachable) else Trouble.CUT
    return ModelError(trouble, vendor="openai", model=model, vendor_message=told(error))
