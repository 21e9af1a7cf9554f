"""GLM by the zhipuai SDK: chat, pictures, videos, speech and searches. Every request is made here.

`zhipu_client` carries them, `zhipu_read` says what the answers mean, `zhipu_errors` what the errors do.
"""

from __future__ import annotations

import logging
import re
from collections.abc import AsyncGenerator, Awaitable, Sequence
from contextlib import aclosing
from typing import Any

import aiohttp
from yarl import URL
from zhipuai.types.chat.async_chat_completion import AsyncTaskStatus  # type: ignore[import-untyped]  # no types

from bot.errors import ModelError, Trouble
from bot.messages import Finish, Finished, Usage
from bot.models import calls
from bot.models.pictures import Kept, encoded
from bot.models.vendor import Linked, Streamed
from bot.models.zhipu_client import AsyncZhipuAI
from bot.models.zhipu_errors import FAILED, RAISED, empty, failed, translated, unsent
from bot.models.zhipu_read import hits, later, links, parts, state
from bot.ports import Hit, Line, ModelCard, Order, PicturePrompt, Prompt, SpeechPrompt, VideoPrompt

logging.getLogger("zhipuai").setLevel(logging.WARNING)  # it writes requests at DEBUG

# The reference's limits of one call; whoever calls converts and cuts.
MOST_SOUND = 25 * 1024 * 1024  # bytes
LONGEST_SOUND = 30.0  # seconds
MOST_SPOKEN = 1_024  # characters
SOUNDS = {
    **dict.fromkeys(("audio/wav", "audio/x-wav", "audio/wave", "audio/vnd.wave"), "wav"),
    **dict.fromkeys(("audio/mpeg", "audio/mp3"), "mp3"),
}
ENGINE = "search_std"  # the cheapest of its search engines
SEARCHES = {"type": "web_search", "web_search": {"enable": True, "search_engine": ENGINE, "search_result": True}}
_TASK = re.compile(r"[A-Za-z0-9_-]{1,200}")  # its ids go into addresses


class Zhipu:
    """One account: `vendor.Offering`. `url` is the root that the vendor documents, `…/api/paas/v4`."""

    def __init__(self, session: aiohttp.ClientSession, files: Kept, *, key: str, url: str) -> None:
        self._client = AsyncZhipuAI(session, api_key=key, base_url=url)
        self._files = files
        self._host = URL(url)

    # --- chat ----------------------------------------------------------------------------------------------------------

    async def stream(self, prompt: Prompt) -> AsyncGenerator[Streamed, None]:
        request = await self._request(prompt)
        try:
            chunks = await self._client.chat.completions.create(stream=True, **request)
            async with aclosing(parts(chunks, prompt.card.name)) as answer:
                async for part in answer:
                    yield part
        except RAISED as error:
            raise translated(error, prompt.card.name) from error

    async def _request(self, prompt: Prompt) -> dict[str, Any]:
        """What a chat model is asked, now or for later."""
        card = prompt.card
        # A tuple, which JSON writes as a list: of lists the SDK makes two slow passes, one to change them and one to copy them.
        messages = tuple([await self._message(line, card) for line in prompt.lines])
        request: dict[str, Any] = {"model": card.name, "messages": messages, "max_tokens": prompt.output}
        if card.thinks == "switch":  # left out, most of them think; where there is no switch the field is refused
            request["thinking"] = {"type": "enabled" if prompt.think else "disabled"}
        if card.seed and prompt.seed is not None:
            request["seed"] = prompt.seed
        if tools := calls.offered(prompt.tools) + ([SEARCHES] if prompt.search else []):
            request["tools"] = tools
        return request

    async def _message(self, line: Line, card: ModelCard) -> dict[str, Any]:
        """A line with its pictures, as bare base64, for a model that sees them."""
        message: dict[str, Any] = {"role": line.role, "content": line.text}
        if line.files and card.vision:
            pictures = [(await encoded(self._files, name))[1] for name in line.files]
            seen: list[dict[str, Any]] = [{"type": "image_url", "image_url": {"url": data}} for data in pictures]
            message["content"] = seen + ([{"type": "text", "text": line.text}] if line.text else [])
        if line.calls:
            message["tool_calls"] = calls.told(line.calls)
        if line.role == "tool":
            message["tool_call_id"] = line.call
        return message

    # --- pictures and videos, now or later -------------------------------------------------------------------------------

    async def _drawn(self, prompt: PicturePrompt) -> tuple[str, Finished]:
        name = prompt.card.name
        answer = await self._asked(
            self._client.images.generations(model=name, prompt=prompt.text, size=_size(prompt)), name
        )
        request_id = str(answer.get("request_id") or answer.get("id") or "")
        found = links(answer, "data")
        if not found:
            raise empty(name, request_id, "an answer without a picture")
        return found[0], Finished(reason=Finish.STOP, usage=Usage(pictures=1), model=name, request_id=request_id)

    async def submit(self, order: Order) -> str | Linked:
        """GLM draws one picture a call: several are drawn one after the other, at once."""
        if isinstance(order, PicturePrompt):
            _check_picture(order)
            if not (order.card.task and order.count == 1):
                return await self._draw_several(order)
        name = order.card.name
        answer = await self._asked(await self._taken(order), name)
        task = str(answer.get("id") or "")
        if answer.get("task_status") == FAILED:
            raise failed(name, task, answer.get("error"))
        if not _TASK.fullmatch(task):
            raise empty(name, str(answer.get("request_id") or ""), "a task without an id")
        return task

    async def _taken(self, order: Order) -> Awaitable[Any]:
        """The call that hands over an order which is done later."""
        name = order.card.name
        if isinstance(order, Prompt):
            call = self._client.chat.asyncCompletions.create(**await self._request(order))
        elif isinstance(order, PicturePrompt):  # newer than the SDK
            body = {"model": name, "prompt": order.text, "size": _size(order)}
            call = self._client.post("/async/images/generations", body=body, cast_type=AsyncTaskStatus)
        else:
            call = self._client.videos.generations(**await self._filmed(order))
        taken: Awaitable[Any] = call
        return taken

    async def _filmed(self, order: VideoPrompt) -> dict[str, Any]:
        asked: dict[str, Any] = {"model": order.card.name}
        if order.text:
            asked["prompt"] = order.text
        if order.picture:
            asked["image_url"] = (await encoded(self._files, order.picture))[1]
        if order.size:
            asked["size"] = order.size
        if order.seconds:
            asked["duration"] = order.seconds
        return asked

    async def _draw_several(self, prompt: PicturePrompt) -> Linked:
        """What was drawn. After a fault the next one may go well; after any other no it would not. Raises the last error where
        nothing was drawn, as `begun` if one before it may have been billed."""
        drawn: list[tuple[str, Finished]] = []
        errors: list[ModelError] = []
        for _ in range(prompt.count):
            try:
                drawn.append(await self._drawn(prompt))
            except ModelError as error:
                errors.append(error)
                if error.trouble not in (Trouble.FAULT, Trouble.CUT):
                    break
        if not drawn:
            *before, last = errors
            if not all(error.unbilled for error in before):
                last.begun, last.unbilled = True, False
            raise last
        request_id = ",".join(filter(None, (finished.request_id for _, finished in drawn)))
        usage = Usage(pictures=len(drawn))
        return Linked(
            finished=Finished(reason=Finish.STOP, usage=usage, model=prompt.card.name, request_id=request_id),
            host=self._host,
            links=tuple(link for link, _ in drawn),
            missing=prompt.count - len(drawn),
            why=errors[0].vendor_message or str(errors[0]) if errors else "",
        )

    async def look(self, card: ModelCard, task: str) -> Linked | None:
        answer = await self._seen(card, task)
        if not state(answer, card.name):
            return None
        if card.kind == "chat":
            try:
                text, sources, finished = later(answer, card.name)
            except RAISED as error:
                raise empty(card.name, task, f"an answer of another shape: {error!r}"[:500]) from error
            return Linked(finished=finished, host=self._host, text=text, sources=sources)
        made = links(answer, "video_result" if card.kind == "video" else "image_result")
        request_id = str(answer.get("request_id") or task)
        if not made:
            raise empty(card.name, request_id, "a task that made nothing")
        usage = Usage(pictures=len(made))
        finished = Finished(reason=Finish.STOP, usage=usage, model=card.name, request_id=request_id)
        return Linked(finished=finished, host=self._host, links=made)

    async def _seen(self, card: ModelCard, task: str) -> dict[str, Any]:
        """How a task stands. `begun` in an error: it knows of no such task (any more)."""
        try:
            if not _TASK.fullmatch(task):
                raise unsent(card.name, "no id of a task")
            if card.kind == "video":
                call = self._client.videos.retrieve_videos_result(task)
            else:
                call = self._client.chat.asyncCompletions.retrieve_completion_result(task)
            return await self._asked(call, card.name)
        except ModelError as error:
            error.begun = error.trouble is Trouble.BAD_REQUEST
            error.unbilled = False  # so says the refusal of this question, not of the order
            raise

    async def cancel(self, card: ModelCard, task: str) -> None:
        """GLM has no such call: what it took on it finishes."""

    # --- speech and searches -----------------------------------------------------------------------------------------------

    async def transcribe(self, prompt: SpeechPrompt) -> tuple[str, Finished]:
        name = prompt.card.name
        ending = SOUNDS.get(prompt.mime.partition(";")[0].strip().lower())
        if ending is None:
            raise unsent(name, f"sound as {prompt.mime[:50]!r}: it takes WAV and MP3")
        if not prompt.audio or len(prompt.audio) > MOST_SOUND or prompt.seconds > LONGEST_SOUND:
            raise unsent(name, f"sound of {prompt.seconds:g} s and {len(prompt.audio)} bytes: it takes 30 s and 25 MB")
        file = (f"voice.{ending}", prompt.audio, "audio/wav" if ending == "wav" else "audio/mpeg")
        answer = await self._asked(self._client.audio.transcriptions.create(model=name, file=file, stream=False), name)
        request_id = str(answer.get("request_id") or answer.get("id") or "")
        text = answer.get("text")
        if not isinstance(text, str):
            raise empty(name, request_id, "an answer without a text")
        return text.strip(), Finished(reason=Finish.STOP, model=name, request_id=request_id)

    async def speak(self, prompt: SpeechPrompt) -> tuple[bytes, Finished]:
        name = prompt.card.name
        if not prompt.text.strip() or len(prompt.text) > MOST_SPOKEN:
            raise unsent(name, f"{len(prompt.text)} characters: it speaks 1 to {MOST_SPOKEN}")
        voice = prompt.voice or next(iter(prompt.card.voices), None)
        call = self._client.audio.speech(
            model=name, input=prompt.text, voice=voice, response_format="wav", encode_format=None
        )
        try:
            answer = await call
        except RAISED as error:
            raise translated(error, name) from error
        sound: bytes = answer.content
        request_id = str(answer.response.headers.get("x-request-id") or answer.response.headers.get("x-log-id") or "")
        if not (sound[:4] == b"RIFF" and sound[8:12] == b"WAVE"):
            raise empty(name, request_id, "an answer that is no WAV")
        return sound, Finished(reason=Finish.STOP, model=name, request_id=request_id)

    async def search(self, query: str, count: int) -> Sequence[Hit]:
        call = self._client.web_search.web_search(search_engine=ENGINE, search_query=query, count=count)
        answer = await self._asked(call, "web_search")
        return hits(answer.get("search_result"))[:count]

    async def _asked(self, call: Awaitable[Any], model: str) -> dict[str, Any]:
        """A whole JSON answer, as it came. Raises ModelError."""
        try:
            answer = await call
            if not isinstance(answer, dict):
                raise ValueError(f"an answer that is no object: {answer!r:.200}")
        except RAISED as error:
            raise translated(error, model) from error
        return answer


def _size(prompt: PicturePrompt) -> str | None:
    return prompt.size or next(iter(prompt.card.sizes), None)


def _check_picture(prompt: PicturePrompt) -> None:
    if prompt.pictures:
        raise unsent(prompt.card.name, "GLM draws from words alone: it changes no pictures")
