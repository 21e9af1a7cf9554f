"""Qwen by dashscope's Aio classes: chat with its functions and its own search. What else it offers is in `dashscope_orders`
(pictures, videos) and `dashscope_speech`, what its errors mean in `dashscope_errors`, the tamed SDK in `dashscope_sdk`.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from typing import Any

import aiohttp

from bot.messages import Finish, Finished, Text, Thought, Usage
from bot.models.calls import Calls, offered, told
from bot.models.dashscope_errors import broken, refusal, unsent
from bot.models.dashscope_orders import Orders
from bot.models.dashscope_sdk import SDK_ERRORS, Account, Conversation, Generation
from bot.models.dashscope_speech import Speech
from bot.models.pictures import Kept, data_url
from bot.models.vendor import Linked, Streamed, usage_of
from bot.ports import (
    Hit,
    Line,
    ModelCard,
    Order,
    PicturePrompt,
    Prompt,
    Source,
    Sources,
    SpeechPrompt,
    VideoPrompt,
)

FINISHES: Mapping[str, Finish] = {"stop": Finish.STOP, "length": Finish.LENGTH, "tool_calls": Finish.TOOLS}
# Always searched, since a person asked for it; `[1]` in the text names a source.
SEARCHING = {"forced_search": True, "enable_source": True, "enable_citation": True}


class DashScope:
    """One account. `url` is the root that the vendor documents, `…/api/v1`."""

    def __init__(self, session: aiohttp.ClientSession, files: Kept, *, key: str, url: str) -> None:
        self._account = Account(session, key=key, url=url)
        self._files = files
        self._orders = Orders(self._account, files)
        self._speech = Speech(self._account)

    async def stream(self, prompt: Prompt) -> AsyncGenerator[Streamed, None]:
        card = prompt.card
        options: dict[str, Any] = {"max_tokens": prompt.output, **self._account.always}
        if card.thinks == "switch":
            options["enable_thinking"] = prompt.think
        if card.seed and prompt.seed is not None:
            options["seed"] = prompt.seed % 2**31
        if prompt.tools:
            options["tools"] = offered(prompt.tools)
        if prompt.search:
            options |= {"enable_search": True, "search_options": SEARCHING}
        # The SDK hints its own Message class for what it documents and takes as dictionaries.
        kind: Any = Conversation if card.api == "multimodal" else Generation
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
        except SDK_ERRORS as error:
            raise broken(error, card.name) from error

    async def _message(self, line: Line, card: ModelCard) -> dict[str, Any]:
        message: dict[str, Any] = {"role": line.role, "content": await self._content(line, card)}
        if line.calls:
            message["tool_calls"] = [{"index": at, **call} for at, call in enumerate(told(line.calls))]
        if line.role == "tool":
            message["tool_call_id"] = line.call
        return message

    async def _content(self, line: Line, card: ModelCard) -> str | list[dict[str, str]]:
        if card.api != "multimodal":
            return line.text
        content: list[dict[str, str]] = []
        if card.vision:
            content += [{"image": await data_url(self._files, name)} for name in line.files]
        if line.text or not content:
            content.append({"text": line.text})
        return content

    async def submit(self, order: Order) -> str | Linked:
        match order:
            case PicturePrompt():
                return await self._orders.draw(order)
            case VideoPrompt():
                return await self._orders.film(order)
        raise unsent(order.card.name, "Qwen answers no question later")

    async def look(self, card: ModelCard, task: str) -> Linked | None:
        return await self._orders.look(card, task)

    async def cancel(self, card: ModelCard, task: str) -> None:
        await self._account.cancel(task)

    async def transcribe(self, prompt: SpeechPrompt) -> tuple[str, Finished]:
        return await self._speech.transcribe(prompt)

    async def speak(self, prompt: SpeechPrompt) -> tuple[bytes, Finished]:
        return await self._speech.speak(prompt)

    async def search(self, query: str, count: int) -> Sequence[Hit]:
        raise unsent("", "Qwen searches only for an answer of its own")


async def _parts(answers: AsyncGenerator[Any, None], model: str) -> AsyncGenerator[Streamed, None]:
    """The SDK's answers as parts. Raises ModelError for an error in or instead of the stream."""
    reason: str | None = None
    usage = Usage(estimated=True)
    request_id = ""
    calls = Calls()
    sources: tuple[Source, ...] = ()
    begun = False
    async with aclosing(answers):
        async for answer in answers:
            request_id = answer["request_id"] or request_id
            if answer["status_code"] != 200:
                error = refusal(answer, model, request_id)
                error.unbilled = error.unbilled and not begun  # inside a stream the status is always 400
                raise error
            begun = True
            usage = _usage(answer["usage"]) or usage
            output = answer["output"] or {}
            sources = _sources(output.get("search_info")) or sources
            choices = output.get("choices")
            if not choices:
                continue
            message = choices[0].get("message") or {}
            reason = choices[0].get("finish_reason") or reason
            if thought := message.get("reasoning_content"):
                yield Thought(str(thought))
            if text := _text(message.get("content")):
                yield Text(text)
            calls.feed(message.get("tool_calls"))
    if sources:
        yield Sources(sources)
    known = None if reason == "null" else reason  # the service writes it so while it goes on
    finish = FINISHES.get(known, Finish.STOP) if known else Finish.CUT
    if finish is Finish.TOOLS:
        asked = calls.whole()
        for call in asked:
            yield call
        finish = Finish.TOOLS if asked else Finish.CUT
    yield Finished(reason=finish, usage=usage, model=model, request_id=request_id)


def _text(content: object) -> str:
    """A string at the text endpoint, a list of `{"text": …}` at the multimodal one."""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return ""
    return "".join(str(part.get("text") or "") for part in content if isinstance(part, dict))


def _sources(info: object) -> tuple[Source, ...]:
    """What the vendor found, as it says once it has searched; `index` is the number in the text."""
    results = info.get("search_results") if isinstance(info, dict) else None
    if not isinstance(results, list):
        return ()
    return tuple(
        Source(
            number=at if type(one.get("index")) is not int else one["index"],
            title=str(one.get("title") or one.get("site_name") or ""),
            url=str(one["url"]),
        )
        for at, one in enumerate(results, 1)
        if isinstance(one, dict) and one.get("url")
    )


def _usage(usage: Any) -> Usage | None:
    """Cumulative on every event."""
    if not isinstance(usage, dict):
        return None
    details = usage.get("prompt_tokens_details")
    cached = details.get("cached_tokens") if isinstance(details, dict) else 0
    return usage_of(usage.get("input_tokens"), usage.get("output_tokens"), cached)
