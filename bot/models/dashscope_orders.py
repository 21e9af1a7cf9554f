"""Qwen's pictures and videos: drawn while we wait at the multimodal endpoint, or as tasks that are asked after.

A picture model is one or the other, and editing is the same with pictures before the words; videos always are tasks. Every
picture of ours goes along as a data URL, so that nothing has to be uploaded. Links live for 24 hours, and so do task ids.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from bot.errors import ModelError, Trouble
from bot.messages import Finish, Finished, Usage
from bot.models.dashscope_errors import empty, refusal, refused, unsent
from bot.models.dashscope_sdk import SDK_ERRORS, Account
from bot.models.pictures import Kept, data_url
from bot.models.vendor import Linked, told
from bot.ports import ModelCard, PicturePrompt, VideoPrompt

DRAWING = ("text2image", "image-synthesis")
EDITING = ("image2image", "image-synthesis")
FILMING = ("video-generation", "video-synthesis")
WAITING = ("PENDING", "RUNNING", "SUSPENDED")
UNPAID = ("FAILED", "CANCELED")  # ends of a task that are not billed: only what was made is
_TASK = re.compile(r"[\w-]{1,128}")  # it becomes part of an address


class Orders:
    """Of one account."""

    def __init__(self, account: Account, files: Kept) -> None:
        self._account = account
        self._files = files

    async def draw(self, prompt: PicturePrompt) -> str | Linked:
        """A task's id, or the links; of several pictures those that were drawn. Raises ModelError."""
        card = prompt.card
        if len(prompt.pictures) > card.edits:
            raise unsent(card.name, f"it takes {card.edits} pictures to change, not {len(prompt.pictures)}")
        if not (card.task or card.api == "task"):
            return await self._drawn_at_once(prompt)
        if not 1 <= prompt.count <= card.most:
            raise unsent(card.name, f"it draws 1 to {card.most} pictures, not {prompt.count}")
        given: dict[str, Any] = {"prompt": prompt.text}
        if prompt.pictures:
            given["images"] = [await data_url(self._files, name) for name in prompt.pictures]
        service = EDITING if prompt.pictures else DRAWING
        return _task_id(await self._account.begin(card.name, service, given, _how(prompt)), card)

    async def _drawn_at_once(self, prompt: PicturePrompt) -> Linked:
        """As many calls, one after the other, as it takes. One that fails ends it; what was drawn before is kept."""
        content = [{"image": await data_url(self._files, name)} for name in prompt.pictures]
        given = {"messages": [{"role": "user", "content": [*content, {"text": prompt.text}]}]}
        links: list[str] = []
        why, request_id = "", ""
        while len(links) < prompt.count:
            part = replace(prompt, count=min(prompt.count - len(links), prompt.card.most))
            if prompt.seed is not None:
                part = replace(part, seed=prompt.seed + len(links))
            try:
                answer = await self._account.ask(prompt.card.name, given, _how(part))
                drawn = _links(answer, prompt.card)
            except ModelError as error:
                if not links:
                    raise
                why = error.vendor_message or str(error)
                break
            links += drawn[: part.count]
            request_id = answer.request_id or request_id
        return self._linked(prompt.card, tuple(links), request_id, missing=prompt.count - len(links), why=why)

    async def film(self, prompt: VideoPrompt) -> str:
        """A task's id. What begins with a picture keeps its shape, and takes no size but a resolution. Raises ModelError."""
        card = prompt.card
        if prompt.picture and not card.animates:
            raise unsent(card.name, "it begins with no picture")
        given: dict[str, Any] = {"prompt": prompt.text}
        options: dict[str, Any] = {"watermark": False}
        size = prompt.size or next(iter(card.sizes), "")
        if prompt.picture:
            given["img_url"] = await data_url(self._files, prompt.picture)
            if size:
                options["resolution"] = f"{min(map(int, size.split('x')))}P"
        elif size:
            options["size"] = size.replace("x", "*")
        if seconds := prompt.seconds or next(iter(card.seconds), 0):
            options["duration"] = seconds
        return _task_id(await self._account.begin(card.name, FILMING, given, options), card)

    async def look(self, card: ModelCard, task: str) -> Linked | None:
        """None while it is being made. Raises ModelError: the task's own end with `begun`, any other one says nothing of it."""
        try:
            answer = await self._account.task(task)
        except SDK_ERRORS as error:
            raise _not_seen(card, task, told(error)) from error
        if answer.status_code != 200:
            said_no = refusal(answer, card.name)
            said_no.unbilled = False  # so says the refusal of this question, not of the order
            raise said_no
        output = answer.output
        if not isinstance(output, dict) or not isinstance(output.get("task_status"), str):
            raise _not_seen(card, task, "an answer that tells no state")
        if output["task_status"] in WAITING:
            return None
        if output["task_status"] != "SUCCEEDED":
            raise _ended(card, task, output)
        try:
            return self._made(card, task, output)
        except (KeyError, TypeError, AttributeError) as error:
            raise empty(card.name, task, f"a result of another shape: {told(error)}") from error

    def _made(self, card: ModelCard, task: str, output: dict[str, Any]) -> Linked:
        if card.kind == "video":
            link = output.get("video_url")
            if not link:
                raise empty(card.name, task, "a video without a link")
            return self._linked(card, (str(link),), task)
        results = output["results"]
        links = tuple(str(one["url"]) for one in results if one.get("url"))
        lost = [one for one in results if not one.get("url")]
        why = "; ".join(dict.fromkeys(str(one.get("message") or one.get("code") or "") for one in lost))
        if not links:
            raise empty(card.name, task, why or "no picture")
        return self._linked(card, links, task, missing=len(lost), why=why)

    def _linked(
        self, card: ModelCard, links: tuple[str, ...], request_id: str, *, missing: int = 0, why: str = ""
    ) -> Linked:
        """Only what was made is billed."""
        usage = Usage(pictures=len(links))
        finished = Finished(reason=Finish.STOP, usage=usage, model=card.name, request_id=request_id)
        return Linked(finished=finished, host=self._account.host, links=links, missing=missing, why=why[:500])


def _how(prompt: PicturePrompt) -> dict[str, Any]:
    """The `parameters` of a drawing."""
    card = prompt.card
    options: dict[str, Any] = {"n": prompt.count, "watermark": False}
    if size := prompt.size or next(iter(card.sizes), ""):
        options["size"] = size.replace("x", "*")
    if card.seed and prompt.seed is not None:
        options["seed"] = prompt.seed % 2**31
    return options


def _links(answer: Any, card: ModelCard) -> list[str]:
    """Of an answer at the multimodal endpoint: a choice for each picture, or one whose content has several."""
    try:
        links = [
            str(part["image"])
            for choice in answer.output["choices"]
            for part in choice["message"]["content"]
            if part.get("image")
        ]
    except (KeyError, TypeError, AttributeError) as error:
        raise empty(card.name, answer.request_id or "", f"another shape: {told(error)}") from error
    if not links:
        raise empty(card.name, answer.request_id or "", "an answer without a picture")
    return links


def _task_id(answer: Any, card: ModelCard) -> str:
    output = answer.output
    task = output.get("task_id") if isinstance(output, dict) else None
    if not (isinstance(task, str) and _TASK.fullmatch(task)):
        raise empty(card.name, answer.request_id or "", "a task without an id")
    return task


def _not_seen(card: ModelCard, task: str, why: str) -> ModelError:
    """The question went wrong, whatever becomes of the task."""
    return ModelError(Trouble.UNREACHABLE, vendor="qwen", model=card.name, request_id=task, vendor_message=why)


def _ended(card: ModelCard, task: str, output: dict[str, Any]) -> ModelError:
    """FAILED with its code, CANCELED, or UNKNOWN: more than 24 hours old, or never heard of."""
    status = output["task_status"]
    error = refused(card.name, 200, str(output.get("code") or status), str(output.get("message") or ""), task)
    error.begun = True
    error.unbilled = status in UNPAID
    return error
