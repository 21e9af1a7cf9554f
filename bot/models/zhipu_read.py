"""What GLM's answers mean: a stream's chunks, and whole answers, as parts of ours. No requests here."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Iterable, Iterator, Mapping
from typing import Any

from bot.errors import ModelError, Trouble
from bot.messages import Finish, Finished, Text, Thought, Usage
from bot.models.calls import Calls
from bot.models.marks import Marks
from bot.models.vendor import Streamed, usage_of
from bot.models.zhipu_errors import FAILED, failed
from bot.ports import Hit, Source, Sources

FINISHES: Mapping[str, Finish] = {
    "stop": Finish.STOP,
    "length": Finish.LENGTH,
    "model_context_window_exceeded": Finish.LENGTH,
    "tool_calls": Finish.TOOLS,
    "sensitive": Finish.REFUSED,
    "network_error": Finish.CUT,
}
MOST_PAGES = 50  # the most that a search may be asked for


async def parts(chunks: AsyncGenerator[Any, None], model: str) -> AsyncGenerator[Streamed, None]:
    """The SDK's chunks as parts. `chunks` is closed by its own end or with this generator."""
    text = _Written()
    calls, pages = Calls(), _Pages()
    reason: str | None = None
    usage = Usage(estimated=True)
    request_id = ""
    try:
        async for chunk in chunks:
            request_id = request_id or chunk.id or ""
            if chunk.usage:
                usage = _usage(chunk.usage)
            if found := getattr(chunk, "web_search", None):
                pages.feed(found)
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
                for part in text.feed(delta.content):
                    yield part
            if delta.tool_calls:
                calls.feed(_functions(delta.tool_calls))
    finally:
        await chunks.aclose()
    for part in text.end():
        yield part
    if sources := pages.sources():
        yield Sources(sources)
    finish = FINISHES.get(reason, Finish.STOP) if reason else Finish.CUT
    asked = calls.whole() if finish is Finish.TOOLS else []
    if finish is Finish.TOOLS and not asked:  # half a call: nothing may run
        finish = Finish.CUT
    for call in asked:
        yield call
    code = reason or "" if finish in (Finish.REFUSED, Finish.CUT) else ""
    yield Finished(reason=finish, usage=usage, model=model, request_id=request_id, code=code)


def later(body: Mapping[str, Any], model: str) -> tuple[str, tuple[Source, ...], Finished]:
    """The text of an answer that was asked for earlier, and what it rests on. Raises ModelError where there is none, and
    MALFORMED."""
    request_id = str(body.get("request_id") or body.get("id") or "")
    choice = body["choices"][0]
    message = choice.get("message") or {}
    written = _Written()
    said = [*written.feed(str(message.get("content") or "")), *written.end()]
    text = "".join(part.delta for part in said if isinstance(part, Text))
    reason = str(choice.get("finish_reason") or "")
    finish = FINISHES.get(reason, Finish.STOP)
    if finish is Finish.REFUSED:
        refused = ModelError(Trouble.REFUSED, vendor="glm", model=model, status=200, code=reason, request_id=request_id)
        refused.begun = True
        raise refused
    if finish in (Finish.CUT, Finish.TOOLS) or not text.strip():
        nothing = failed(model, request_id, reason)
        nothing.unbilled = False
        raise nothing
    usage = body.get("usage") or {}
    cached = (usage.get("prompt_tokens_details") or {}).get("cached_tokens")
    counted = usage_of(usage.get("prompt_tokens"), usage.get("completion_tokens"), cached)
    finished = Finished(reason=finish, usage=counted or Usage(estimated=True), model=model, request_id=request_id)
    pages = _Pages()
    pages.feed(body.get("web_search"))
    return text, pages.sources(), finished


def state(body: Mapping[str, Any], model: str) -> bool:
    """Whether a task is done. Raises its failure; a state that nobody knows is not its end."""
    status = body.get("task_status")
    request_id = str(body.get("request_id") or body.get("id") or "")
    if status == FAILED:
        raise failed(model, request_id, body.get("error"))
    if not (status and isinstance(status, str)):
        raise ModelError(
            Trouble.FAULT,
            vendor="glm",
            model=model,
            status=200,
            request_id=request_id,
            vendor_message="a task without a state",
        )
    return status == "SUCCESS"


def links(body: Mapping[str, Any], field: str) -> tuple[str, ...]:
    """The addresses of what a task made (`video_result`, `image_result`)."""
    made = body.get(field)
    urls = [one.get("url") for one in made if isinstance(one, dict)] if isinstance(made, list) else []
    return tuple(url for url in urls if url and isinstance(url, str))


def hits(results: object) -> list[Hit]:
    """Of the search by itself."""
    return [
        Hit(
            title=_line(page.get("title")),
            url=str(page["link"]),
            text=str(page.get("content") or ""),
            site=_line(page.get("media")),
            date=_line(page.get("publish_date")),
        )
        for page in _pages(results)
    ]


class _Written:
    """The text of an answer, without marks, and with the footnotes of its sources as `[1]` where GLM writes `[ref_1]`."""

    _WHOLE = re.compile(r"\[ref_(\d{1,3})\]")
    _BEGUN = re.compile(r"\[(?:r(?:e(?:f(?:_\d{0,3})?)?)?)?\Z")

    def __init__(self) -> None:
        self._marks = Marks()
        self._held = ""

    def feed(self, delta: str) -> Iterator[Text | Thought]:
        for part in self._marks.feed(delta):
            if isinstance(part, Thought) or not (self._held or "[" in part.delta):
                yield part
            else:
                yield from self._told(self._held + part.delta, last=False)

    def end(self) -> Iterator[Text | Thought]:
        for part in self._marks.end():
            if isinstance(part, Thought):
                yield part
            else:
                self._held += part.delta
        yield from self._told(self._held, last=True)

    def _told(self, text: str, *, last: bool) -> Iterator[Text]:
        begun = None if last else self._BEGUN.search(text)
        self._held = text[begun.start() :] if begun else ""
        told = self._WHOLE.sub(r"[\1]", text[: begun.start()] if begun else text)
        if told:
            yield Text(told)


class _Pages:
    """What the vendor's search found, wherever in the stream it is told, and however often."""

    def __init__(self) -> None:
        self._found: dict[str, Source] = {}

    def feed(self, results: object) -> None:
        for page in _pages(results):
            url = str(page["link"])
            if url in self._found or len(self._found) >= MOST_PAGES:
                continue
            told = re.search(r"\d{1,3}\Z", str(page.get("refer") or ""))
            number = int(told[0]) if told else len(self._found) + 1
            title = _line(page.get("title")) or _line(page.get("media")) or url
            self._found[url] = Source(number, title, url)

    def sources(self) -> tuple[Source, ...]:
        return tuple(sorted(self._found.values(), key=lambda one: one.number))


def _pages(results: object) -> Iterator[Mapping[str, Any]]:
    """Those of a search's results that have an address which people can open."""
    for page in results if isinstance(results, list) else ():
        link = page.get("link") if isinstance(page, dict) else None
        if isinstance(link, str) and link.startswith(("https://", "http://")) and len(link) <= 2_000:
            yield page


def _line(text: object) -> str:
    return " ".join(str(text or "").split())[:200]


def _functions(fragments: Iterable[Any]) -> list[dict[str, Any]]:
    """The calls of functions among a delta's tool calls: those of the vendor's own tools are its own affair."""
    raw = [one if isinstance(one, dict) else _plain(one) for one in fragments]
    return [one for one in raw if one.get("type") in (None, "", "function")]


def _plain(fragment: Any) -> dict[str, Any]:
    """One of the SDK's objects, which may lack what it did not check."""
    function = getattr(fragment, "function", None)
    told = {name: getattr(fragment, name, None) for name in ("index", "id", "type")}
    return told | {"function": {name: getattr(function, name, None) for name in ("name", "arguments")}}


def _usage(usage: Any) -> Usage:
    cached = getattr(getattr(usage, "prompt_tokens_details", None), "cached_tokens", 0)
    told = usage_of(getattr(usage, "prompt_tokens", 0), getattr(usage, "completion_tokens", 0), cached)
    return told or Usage(estimated=True)
