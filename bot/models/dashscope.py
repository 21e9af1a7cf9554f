"""Qwen: chat, pictures in and pictures out, by dashscope's Aio classes; its errors by business code.

Two things are always given to the SDK and never left to its globals: key and address, and the shared session. And nothing a
person wrote may ever open a file here: see `_Conversation`.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import Any

import aiohttp
from dashscope.aigc.generation import AioGeneration
from dashscope.aigc.image_synthesis import AioImageSynthesis
from dashscope.aigc.multimodal_conversation import AioMultiModalConversation
from dashscope.client.base_api import BaseAsyncAioApi
from dashscope.common.error import DashScopeException
from yarl import URL

from bot.errors import ModelError, Trouble
from bot.messages import Finish, Finished, Text, Thought, Usage
from bot.models.pictures import Kept, data_url
from bot.models.vendor import MALFORMED, Drawn, by_status, retry_after, told, usage_of
from bot.ports import Line, ModelCard, PicturePrompt, Prompt

# It logs every failure with its traceback and the vendor's words, which may quote people; we report failures ourselves.
logging.getLogger("dashscope").setLevel(logging.CRITICAL + 1)

# help.aliyun.com's error page. The code decides: "no money" comes with HTTP 400. A longer code falls back on its first part.
TROUBLES: Mapping[str, Trouble] = {
    **dict.fromkeys(
        ("Arrearage", "CommodityNotPurchased", "PrepaidBillOverdue", "PostpaidBillOverdue"), Trouble.NO_MONEY
    ),
    **dict.fromkeys(
        ("InvalidApiKey", "invalid_api_key", "AccessDenied", "WorkSpaceNotFound", "Workspace"), Trouble.BAD_KEY
    ),
    **dict.fromkeys(("Throttling", "LimitRequests", "limit_requests"), Trouble.BUSY),
    **dict.fromkeys(("ModelServingError", "ServiceUnavailable", "ModelUnavailable"), Trouble.OVERLOADED),
    **dict.fromkeys(("AllocationQuota", "insufficient_quota"), Trouble.QUOTA),
    **dict.fromkeys(
        ("DataInspectionFailed", "data_inspection_failed", "InvalidParameter.DataInspection", "IPInfringementSuspect"),
        Trouble.REFUSED,
    ),
    **dict.fromkeys(("RequestEntityTooLarge",), Trouble.TOO_LONG),
    **dict.fromkeys(
        ("ModelNotFound", "model_not_found", "Model", "UnsupportedModel", "model_not_supported"), Trouble.NO_MODEL
    ),
    **dict.fromkeys(
        ("InvalidParameter", "InvalidURL", "InvalidFile", "BadRequest", "UnsupportedOperation"), Trouble.BAD_REQUEST
    ),
    **dict.fromkeys(
        ("InternalError", "SystemError", "ResponseTimeout", "RequestTimeOut", "APIConnectionError", "Conflict"),
        Trouble.FAULT,
    ),
}
# Codes that mean several things are told apart by their (English, documented) message.
_TOO_LONG = re.compile(r"range of input length|input (?:token )?length|maximum context", re.IGNORECASE)
_FREE_USED_UP = re.compile(r"free (?:allocated quota|tier)", re.IGNORECASE)
_REFUSED = re.compile(r"inappropriate content", re.IGNORECASE)

FINISHES: Mapping[str, Finish] = {"stop": Finish.STOP, "length": Finish.LENGTH, "tool_calls": Finish.TOOLS}
IDLE = 300  # seconds, the SDK's own limit on a silent connection; `guarded.py` is stricter and knows what a token is
TASK = 300.0  # seconds for a picture that is drawn as a task; they take 10 to 60
# It lets aiohttp's errors pass, and stumbles over error bodies that lack a field.
_SDK_ERRORS = (DashScopeException, aiohttp.ClientError, OSError, *MALFORMED)


class _Generation(AioGeneration):
    """Answers as the SDK received them: its copy into response objects costs 26 µs per chunk and fails on a null output."""

    @classmethod
    async def _stream_responses(cls, response: Any) -> AsyncGenerator[Any, None]:
        async with aclosing(response):
            async for one in response:
                yield one


class _Conversation(AioMultiModalConversation):
    """The multimodal class without its uploads.

    As it comes, it takes any text of a user message that is a path (`/etc/hosts`, `~/.env`, a file's name) or starts with
    `file://`, opens that file and sends it to the vendor's storage; `oss://…` switches on the resolution of stored files.
    Everything we send is text or a data URL, so the step is left out, and texts reach the model as they were written.
    """

    @classmethod
    def _preprocess_messages(cls, model: str, messages: list[dict[Any, Any]], api_key: str) -> bool:
        return False

    @classmethod
    async def _stream_responses(cls, response: Any) -> AsyncGenerator[Any, None]:
        async with aclosing(response):
            async for one in response:
                yield one


for _name in ("_preprocess_messages", "_stream_responses"):
    if not hasattr(AioMultiModalConversation, _name) or not hasattr(AioGeneration, "_stream_responses"):
        raise ImportError(f"this dashscope has no {_name}: install the version that Magpie pins")


class DashScope:
    """One account. `url` is the root that the vendor documents, `…/api/v1`."""

    def __init__(self, session: aiohttp.ClientSession, files: Kept, *, key: str, url: str) -> None:
        self._always: dict[str, Any] = {
            "api_key": key,
            "base_address": url.rstrip("/"),
            "session": session,
            "request_timeout": IDLE,
        }
        self._files = files
        self._host = URL(url)

    async def stream(self, prompt: Prompt) -> AsyncGenerator[Text | Thought | Finished, None]:
        card = prompt.card
        options: dict[str, Any] = {"max_tokens": prompt.output, **self._always}
        if card.thinks == "switch":
            options["enable_thinking"] = prompt.think
        if card.seed and prompt.seed is not None:
            options["seed"] = prompt.seed % 2**31
        # The SDK hints its own Message class for what it documents and takes as dictionaries.
        kind: Any = _Conversation if card.api == "multimodal" else _Generation
        messages = [await self._message(line, card) for line in prompt.lines]
        try:
            answers = await kind.call(
                model=card.name,
                messages=messages,
                stream=True,
                result_format="message",
                incremental_output=True,
                **options,
            )
            async with aclosing(_parts(answers, card.name)) as parts:
                async for part in parts:
                    yield part
        except _SDK_ERRORS as error:
            raise _broken(error, card.name) from error

    async def _message(self, line: Line, card: ModelCard) -> dict[str, Any]:
        if card.api != "multimodal":
            return {"role": line.role, "content": line.text}
        content: list[dict[str, str]] = []
        if card.vision:
            content += [{"image": await data_url(self._files, name)} for name in line.files]
        if line.text or not content:
            content.append({"text": line.text})
        return {"role": line.role, "content": content}

    async def draw(self, prompt: PicturePrompt) -> Drawn:
        card = prompt.card
        size = prompt.size or next(iter(card.sizes), "")
        options: dict[str, Any] = {"n": 1, "watermark": False}
        if size:
            options["size"] = size.replace("x", "*")
        if card.seed and prompt.seed is not None:
            options["seed"] = prompt.seed % 2**31
        draw = self._drawn_by_task if card.api == "task" else self._drawn_at_once
        try:
            answer, link = await draw(prompt, options)
        except _SDK_ERRORS as error:
            raise _broken(error, card.name) from error
        if not link:
            raise ModelError(
                Trouble.FAULT,
                vendor="qwen",
                model=card.name,
                request_id=answer.request_id or "",
                vendor_message="an answer without a picture",
            )
        finished = Finished(
            reason=Finish.STOP, usage=Usage(pictures=1), model=card.name, request_id=answer.request_id or ""
        )
        return Drawn(link, self._host, finished)

    async def _drawn_at_once(self, prompt: PicturePrompt, options: Mapping[str, Any]) -> tuple[Any, str]:
        messages = [{"role": "user", "content": [{"text": prompt.text}]}]
        answer: Any = await _Conversation.call(model=prompt.card.name, messages=messages, **options, **self._always)
        _check(answer, prompt.card.name)
        choices = answer.output.get("choices") or [{}]
        return answer, _link((choices[0].get("message") or {}).get("content"))

    async def _drawn_by_task(self, prompt: PicturePrompt, options: Mapping[str, Any]) -> tuple[Any, str]:
        """Submit, then ask with growing waits. A task that nobody needs any more is cancelled while it is still queued."""
        model = prompt.card.name
        submitted = await AioImageSynthesis.async_call(model=model, prompt=prompt.text, **options, **self._always)
        _check(submitted, model)
        task = str(submitted.output["task_id"])
        done = False
        try:
            async with asyncio.timeout(TASK):
                answer = await self._wait(task, model)
            done = True
        except ModelError as error:
            error.begun = True
            raise
        except TimeoutError:
            raise ModelError(
                Trouble.SILENT, vendor="qwen", model=model, request_id=task, vendor_message=f"task {task} does not end"
            ) from None
        finally:
            if not done:
                await self._cancel(task)
        results = answer.output.get("results") or [{}]
        return answer, str(next((one["url"] for one in results if one.get("url")), ""))

    async def _wait(self, task: str, model: str) -> Any:
        wait = 1.0
        while True:
            answer = await self._asked_for(task)
            if answer is None:
                pass
            elif answer.status_code != 200:
                error = _refusal(answer, model)
                if error.trouble not in (Trouble.BUSY, Trouble.OVERLOADED, Trouble.FAULT):
                    raise error
            else:
                output = answer.output or {}
                status = output.get("task_status")
                if status == "SUCCEEDED":
                    return answer
                if status not in ("PENDING", "RUNNING", "SUSPENDED"):
                    raise _refused(model, 200, output.get("code") or status or "", output.get("message") or "", task)
            await asyncio.sleep(wait)
            wait = min(wait * 1.5, 5.0)

    async def _asked_for(self, task: str) -> Any:
        """What the vendor says of the task; None when it was not reached. It draws on: to submit once more would pay twice."""
        try:
            # The picture class itself forgets address and session here; its base does not.
            return await BaseAsyncAioApi.fetch(task, **self._always)
        except _SDK_ERRORS as error:
            logging.getLogger(__name__).info("could not ask for the picture task %s: %s", task, type(error).__name__)
            return None

    async def _cancel(self, task: str) -> None:
        """Best effort, and it may be the last thing that happens: a vendor that does not answer must not hold it up."""
        try:
            async with asyncio.timeout(2):
                await BaseAsyncAioApi.cancel(task, **self._always)
        except (TimeoutError, *_SDK_ERRORS):
            logging.getLogger(__name__).info("could not cancel the picture task %s", task)


async def _parts(answers: AsyncGenerator[Any, None], model: str) -> AsyncGenerator[Text | Thought | Finished, None]:
    """The SDK's answers as parts. Raises ModelError for an error in or instead of the stream."""
    reason: str | None = None
    usage = Usage(estimated=True)
    request_id = ""
    async with aclosing(answers):
        async for answer in answers:
            request_id = answer["request_id"] or request_id
            if answer["status_code"] != 200:
                raise _refusal(answer, model, request_id)
            usage = _usage(answer["usage"]) or usage
            choices = (answer["output"] or {}).get("choices")
            if not choices:
                continue
            message = choices[0].get("message") or {}
            reason = choices[0].get("finish_reason") or reason
            if thought := message.get("reasoning_content"):
                yield Thought(str(thought))
            if text := _text(message.get("content")):
                yield Text(text)
    known = None if reason == "null" else reason  # the service writes it so while it goes on
    finish = FINISHES.get(known, Finish.STOP) if known else Finish.CUT
    yield Finished(reason=finish, usage=usage, model=model, request_id=request_id)


def _text(content: object) -> str:
    """A string at the text endpoint, a list of `{"text": …}` at the multimodal one."""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return ""
    return "".join(str(part.get("text") or "") for part in content if isinstance(part, dict))


def _link(content: object) -> str:
    if not isinstance(content, list):
        return ""
    return next((str(part["image"]) for part in content if isinstance(part, dict) and part.get("image")), "")


def _usage(usage: Any) -> Usage | None:
    """Cumulative on every event."""
    if not isinstance(usage, dict):
        return None
    details = usage.get("prompt_tokens_details")
    cached = details.get("cached_tokens") if isinstance(details, dict) else 0
    return usage_of(usage.get("input_tokens"), usage.get("output_tokens"), cached)


def _check(answer: Any, model: str) -> None:
    if answer.status_code != 200:
        raise _refusal(answer, model)


def _refusal(answer: Any, model: str, request_id: str = "") -> ModelError:
    """An answer that says no. A piece of broken JSON in a stream arrives as the code "Unknown" with HTTP 500."""
    code = str(answer["code"] or "")
    status = int(answer["status_code"])
    headers = answer["headers"] or {}
    found = str(answer["request_id"] or request_id)
    return _refused(model, status, code, str(answer["message"] or ""), found, retry_after(headers))


def _refused(
    model: str, status: int, code: str, message: str, request_id: str, wait: float | None = None
) -> ModelError:
    return ModelError(
        trouble_of(code, message) or by_status(status),
        vendor="qwen",
        model=model,
        status=status,
        code=code,
        request_id=request_id,
        vendor_message=message[:500],
        retry_after=wait,
    )


def trouble_of(code: str, message: str) -> Trouble | None:
    """None for a code that nobody knows. Tried whole first, then without its last parts: `InternalError.Algo.X`."""
    if _REFUSED.search(message):
        return Trouble.REFUSED
    if code.startswith("InvalidParameter") and _TOO_LONG.search(message):
        return Trouble.TOO_LONG
    if "AllocationQuota" in code and (_FREE_USED_UP.search(message) or "FreeTier" in code):
        return Trouble.QUOTA  # else it is the limit of tokens per minute
    while code:
        if code in TROUBLES:
            return TROUBLES[code]
        code = code.rpartition(".")[0]
    return None


def _broken(error: Exception, model: str) -> ModelError:
    """What the SDK raises, nearly always aiohttp's own errors: no connection, or one that broke."""
    if isinstance(error, aiohttp.ClientConnectorError | aiohttp.ConnectionTimeoutError | aiohttp.InvalidURL):
        trouble = Trouble.UNREACHABLE
    else:
        trouble = Trouble.CUT
    return ModelError(trouble, vendor="qwen", model=model, vendor_message=told(error))
