"""GLM: chat, pictures in and pictures out, by the zhipuai SDK; its errors by business code."""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import Any

import aiohttp
from yarl import URL
from zhipuai import (  # type: ignore[import-untyped]  # the SDK ships no types
    APIConnectionError,
    APIResponseError,
    APIStatusError,
    ZhipuAIError,
)

from bot.errors import ModelError, Trouble
from bot.messages import Finish, Finished, Text, Thought, Usage
from bot.models.marks import Marks
from bot.models.pictures import Kept, encoded
from bot.models.vendor import MALFORMED, Drawn, by_status, retry_after, told, usage_of
from bot.models.zhipu_client import AsyncZhipuAI
from bot.ports import Line, PicturePrompt, Prompt

logging.getLogger("zhipuai").setLevel(logging.WARNING)  # it writes requests at DEBUG

# docs.bigmodel.cn's table of codes (2026) with its older ones. The code decides: "no money" comes with HTTP 429.
TROUBLES: Mapping[str, Trouble] = {
    **dict.fromkeys(("1113",), Trouble.NO_MONEY),
    **dict.fromkeys(("1309",), Trouble.NO_MONEY),  # the coding plan ended
    **dict.fromkeys(("1000", "1001", "1002", "1003", "1004", "1005"), Trouble.BAD_KEY),
    **dict.fromkeys(("1110", "1111", "1112", "1121"), Trouble.BAD_KEY),  # the account is inactive, unknown, locked
    **dict.fromkeys(("1302", "1303"), Trouble.BUSY),
    **dict.fromkeys(("1305", "1312"), Trouble.OVERLOADED),
    **dict.fromkeys(("1304", "1308", "1310", "1313", "1314", "1315"), Trouble.QUOTA),
    **dict.fromkeys(("1301",), Trouble.REFUSED),
    **dict.fromkeys(("1261",), Trouble.TOO_LONG),
    **dict.fromkeys(
        ("1211", "1220", "1221", "1222", "1311"), Trouble.NO_MODEL
    ),  # unknown, not allowed, gone, not in the plan
    **dict.fromkeys(("1210", "1212", "1213", "1214", "1215"), Trouble.BAD_REQUEST),
    **dict.fromkeys(("500", "1120", "1200", "1230", "1234"), Trouble.FAULT),
}
FINISHES: Mapping[str, Finish] = {
    "stop": Finish.STOP,
    "length": Finish.LENGTH,
    "model_context_window_exceeded": Finish.LENGTH,
    "tool_calls": Finish.TOOLS,
    "sensitive": Finish.REFUSED,
    "network_error": Finish.CUT,
}


class Zhipu:
    """One account. `url` is the root that the vendor documents, `…/api/paas/v4`."""

    def __init__(self, session: aiohttp.ClientSession, files: Kept, *, key: str, url: str) -> None:
        self._client = AsyncZhipuAI(session, api_key=key, base_url=url)
        self._files = files
        self._host = URL(url)

    async def stream(self, prompt: Prompt) -> AsyncGenerator[Text | Thought | Finished, None]:
        card = prompt.card
        options: dict[str, Any] = {"max_tokens": prompt.output}
        if card.thinks == "switch":  # left out, most of them think; where there is no switch the field is refused
            options["thinking"] = {"type": "enabled" if prompt.think else "disabled"}
        if card.seed and prompt.seed is not None:
            options["seed"] = prompt.seed
        # A tuple, which JSON writes as a list: of lists the SDK makes two slow passes, one to change them and one to copy them.
        messages = tuple(
            [
                await self._seen(line) if line.files and card.vision else {"role": line.role, "content": line.text}
                for line in prompt.lines
            ]
        )
        try:
            chunks = await self._client.chat.completions.create(
                model=card.name, messages=messages, stream=True, **options
            )
            async with aclosing(_parts(chunks, card.name)) as parts:
                async for part in parts:
                    yield part
        except (ZhipuAIError, aiohttp.ClientError, OSError, *MALFORMED) as error:
            raise _translated(error, card.name) from error

    async def draw(self, prompt: PicturePrompt) -> Drawn:
        name = prompt.card.name
        try:
            size = prompt.size or next(iter(prompt.card.sizes), None)
            answer = await self._client.images.generations(model=name, prompt=prompt.text, size=size)
        except (ZhipuAIError, aiohttp.ClientError, OSError, *MALFORMED) as error:
            raise _translated(error, name) from error
        link = answer.data[0].url if answer.data else None
        if not link:
            raise ModelError(Trouble.FAULT, vendor="glm", model=name, vendor_message="an answer without a picture")
        request_id = str((answer.model_extra or {}).get("request_id") or (answer.model_extra or {}).get("id") or "")
        finished = Finished(reason=Finish.STOP, usage=Usage(pictures=1), model=name, request_id=request_id)
        return Drawn(link, self._host, finished)

    async def _seen(self, line: Line) -> dict[str, Any]:
        """A message with its pictures, as bare base64."""
        content: list[dict[str, Any]] = []
        for name in line.files:
            _, data = await encoded(self._files, name)
            content.append({"type": "image_url", "image_url": {"url": data}})
        if line.text:
            content.append({"type": "text", "text": line.text})
        return {"role": line.role, "content": content}


async def _parts(chunks: AsyncGenerator[Any, None], model: str) -> AsyncGenerator[Text | Thought | Finished, None]:
    """The SDK's chunks as parts. `chunks` is closed by its own end or with this generator."""
    marks = Marks()
    reason: str | None = None
    usage = Usage(estimated=True)
    request_id = ""
    try:
        async for chunk in chunks:
            request_id = request_id or chunk.id or ""
            if chunk.usage:
                usage = _usage(chunk.usage)
            if not chunk.choices:
                continue
            choice = chunk.choices[0]
            reason = choice.finish_reason or reason
            delta = choice.delta
            if delta is None:
                continue
            if delta.reasoning_content:
                yield Thought(str(delta.reasoning_content))
            if delta.content:
                for part in marks.feed(delta.content):
                    yield part
    finally:
        await chunks.aclose()
    for part in marks.end():
        yield part
    finish = FINISHES.get(reason, Finish.STOP) if reason else Finish.CUT
    code = reason or "" if finish in (Finish.REFUSED, Finish.CUT) else ""
    yield Finished(reason=finish, usage=usage, model=model, request_id=request_id, code=code)


def _usage(usage: Any) -> Usage:
    cached = getattr(getattr(usage, "prompt_tokens_details", None), "cached_tokens", 0)
    told = usage_of(getattr(usage, "prompt_tokens", 0), getattr(usage, "completion_tokens", 0), cached)
    return told or Usage(estimated=True)


def _translated(error: Exception, model: str) -> ModelError:
    if isinstance(error, APIStatusError):
        response = error.response
        code, message, found = _read(_json(response.text))
        return ModelError(
            TROUBLES.get(code) or by_status(response.status_code),
            vendor="glm",
            model=model,
            status=response.status_code,
            code=code,
            request_id=found or response.headers.get("x-request-id", "") or response.headers.get("x-log-id", ""),
            vendor_message=message or response.text[:500],
            retry_after=retry_after(response.headers),
        )
    if isinstance(error, APIConnectionError):  # also its APITimeoutError: no connection, so nothing was asked
        why = str(error.__cause__ or error)
        return ModelError(Trouble.UNREACHABLE, vendor="glm", model=model, vendor_message=why)
    if isinstance(error, APIResponseError):
        code, message, found = _read({"error": error.json_data})
        trouble = TROUBLES.get(code, Trouble.CUT)
        return ModelError(
            trouble,
            vendor="glm",
            model=model,
            status=200,
            code=code,
            request_id=found,
            vendor_message=message,
        )
    return ModelError(Trouble.CUT, vendor="glm", model=model, vendor_message=told(error))


def _json(text: str) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _read(body: object) -> tuple[str, str, str]:
    """(code, message, request id) of `{"error": {"code", "message"}, "request_id"}`."""
    if not isinstance(body, dict):
        return "", "", ""
    error = body.get("error")
    if not isinstance(error, dict):
        return "", str(error or "")[:500], str(body.get("request_id") or "")
    found = body.get("request_id") or error.get("request_id") or ""
    return str(error.get("code") or ""), str(error.get("message") or "")[:500], str(found)
