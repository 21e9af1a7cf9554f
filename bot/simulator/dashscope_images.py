"""DashScope's pictures: drawn at once at the multimodal endpoint (qwen-image, z-image, wan2.6), or as tasks (older Wan)."""

import asyncio
import uuid
from datetime import datetime, timedelta
from typing import Any

from aiohttp import web

from bot.simulator import dashscope_rules as rules
from bot.simulator import models
from bot.simulator.backend import Backend, Exchange, Json, Task, dump
from bot.simulator.errors import refusal
from bot.simulator.models import Model
from bot.simulator.shapes import parse_size
from bot.simulator.stream import send_whole
from bot.simulator.words import Usage

_QWEN_SIZES = frozenset(
    {(1664, 928), (1472, 1104), (1328, 1328), (1104, 1472), (928, 1664), (1472, 1140), (1140, 1472)}
)


class Images:
    """The picture endpoints."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    async def draw_at_once(self, exchange: Exchange, model: Model) -> web.StreamResponse:
        headers = exchange.request.headers
        if headers.get("X-DashScope-SSE") == "enable":
            raise rules.invalid("The model does not support streaming output.")
        if headers.get("X-DashScope-Async") == "enable":
            raise refusal("dashscope", "AccessDenied", message="current user api does not support asynchronous calls.")
        prompt = _prompt_of_messages(exchange.body)
        parameters = rules.parameters_of(exchange.body)
        width, height = _size(parameters, model)
        count = _count(parameters, 1 if model.name.startswith(("qwen-image", "z-image")) else 4)
        urls = [self._put(exchange, prompt, width, height, at) for at in range(count)]
        exchange.usage = Usage(images=count)
        choices = [
            {"finish_reason": "stop", "message": {"role": "assistant", "content": [{"image": url}]}} for url in urls
        ]
        body = {
            "output": {"choices": choices},
            "usage": {"image_count": count, "width": width, "height": height},
            "request_id": exchange.id,
        }
        return await send_whole(self._backend, exchange, dump(body).encode(), seconds=self._backend.pace.picture)

    def _put(self, exchange: Exchange, prompt: str, width: int, height: int, variant: int) -> str:
        path = self._backend.shelf.put(prompt, width, height, variant=variant, fault=exchange.fault)
        return str(exchange.request.url.origin()) + path

    async def start_task(self, exchange: Exchange) -> web.StreamResponse:
        if exchange.request.headers.get("X-DashScope-Async") != "enable":
            raise refusal("dashscope", "AccessDenied", message="current user api does not support synchronous calls.")
        name = exchange.body.get("model")
        model = models.DASHSCOPE.get(name) if isinstance(name, str) else None
        if model is None:
            raise refusal("dashscope", "ModelNotFound", message=f"Model can not be found: {name}")
        if not model.task:
            raise rules.invalid("url error, please check url！")
        prompt = rules.input_of(exchange.body).get("prompt")
        if not isinstance(prompt, str) or not prompt.strip():
            raise rules.invalid("Field required: input.prompt")
        parameters = rules.parameters_of(exchange.body)
        width, height = _size(parameters, model)
        count = _count(parameters, 4)
        results = self._results(exchange, prompt, width, height, count)
        drawn = sum("url" in result for result in results)
        exchange.usage = Usage(images=drawn)
        now = asyncio.get_running_loop().time()
        metrics = {"TOTAL": count, "SUCCEEDED": drawn, "FAILED": count - drawn}
        task = Task(
            id=str(uuid.uuid4()),
            model=model.name,
            payload={"results": results, "task_metrics": metrics},
            submitted=now,
            ready=now + self._backend.pace.picture,
            usage=exchange.usage,
            fault=exchange.fault,
        )
        self._backend.add_task(task)
        output = {"task_status": "PENDING", "task_id": task.id}
        return await send_whole(self._backend, exchange, dump({"output": output, "request_id": exchange.id}).encode())

    def _results(self, exchange: Exchange, prompt: str, width: int, height: int, count: int) -> list[Json]:
        """One entry per picture; under the `partial` fault only the first is drawn, under FAILED none."""
        trouble = exchange.fault.task if exchange.fault else None
        error = exchange.fault.refusal("dashscope") if exchange.fault else None
        error = error or refusal(
            "dashscope", "DataInspectionFailed", message="Output data may contain inappropriate content."
        )
        results: list[Json] = []
        for at in range(count):
            if trouble == "FAILED" or (trouble == "partial" and at):
                results.append({"code": error.code, "message": error.message})
            else:
                url = self._put(exchange, prompt, width, height, at)
                results.append({"url": url, "orig_prompt": prompt, "actual_prompt": prompt})
        return results

    async def see_task(self, exchange: Exchange) -> web.StreamResponse:
        """A task's state: PENDING for the first quarter of its time, then RUNNING, then as it ended; else UNKNOWN."""
        task_id = exchange.request.match_info["id"]
        task = self._backend.tasks.get(task_id)
        trouble = task.fault.task if task and task.fault else None
        if task is None or trouble == "UNKNOWN":
            return _state(exchange, {"task_id": task_id, "task_status": "UNKNOWN"})
        now = asyncio.get_running_loop().time()
        output: Json = {"task_id": task.id, "submit_time": _clock(task.submitted - now)}
        if task.cancelled:
            return _state(exchange, output | {"task_status": "CANCELED"})
        if _pending(task, now):
            return _state(exchange, output | {"task_status": "PENDING"})
        output["scheduled_time"] = _clock(_scheduled(task) - now)
        if now < task.ready or trouble == "never":
            return _state(exchange, output | {"task_status": "RUNNING"})
        output["end_time"] = _clock(task.ready - now)
        metrics = {"task_metrics": task.payload["task_metrics"]}
        if not task.usage.images:
            return _state(exchange, output | {"task_status": "FAILED"} | task.payload["results"][0] | metrics)
        output |= {"task_status": "SUCCEEDED"} | task.payload
        return _state(exchange, output, {"image_count": task.usage.images})

    async def cancel_task(self, exchange: Exchange) -> web.StreamResponse:
        task = self._backend.tasks.get(exchange.request.match_info["id"])
        if task is None or not _pending(task, asyncio.get_running_loop().time()):
            raise refusal("dashscope", "UnsupportedOperation")
        task.cancelled = True
        return web.json_response({"request_id": exchange.id})


def _scheduled(task: Task) -> float:
    return task.submitted + (task.ready - task.submitted) / 4


def _pending(task: Task, now: float) -> bool:
    return now < _scheduled(task) and not task.cancelled


def _state(exchange: Exchange, output: Json, usage: Json | None = None) -> web.Response:
    body: Json = {"request_id": exchange.id, "output": output}
    if usage:
        body["usage"] = usage
    return web.json_response(body)


def _clock(seconds_from_now: float) -> str:
    """`2026-01-08 16:03:59.840`."""
    return str(datetime.now() + timedelta(seconds=seconds_from_now))[:23]


def _prompt_of_messages(body: Json) -> str:
    """The one text of the one user message that the synchronous picture models take."""
    messages = rules.input_of(body).get("messages")
    if not isinstance(messages, list) or len(messages) != 1 or not isinstance(messages[0], dict):
        raise rules.invalid("messages should have exactly one user message: input.messages")
    content: Any = messages[0].get("content")
    if messages[0].get("role") != "user" or not isinstance(content, list):
        raise rules.invalid("messages should have exactly one user message: input.messages")
    texts = [part["text"] for part in content if isinstance(part, dict) and isinstance(part.get("text"), str)]
    if len(texts) != 1 or len(content) != 1 or not texts[0].strip():
        raise rules.invalid("content should have exactly one text item: input.messages.content")
    return str(texts[0])


def _count(parameters: Json, most: int) -> int:
    count = parameters.get("n", 1)
    if isinstance(count, bool) or not isinstance(count, int) or not 1 <= count <= most:
        raise rules.invalid(f"n should be in [1, {most}]")
    return count


def _size(parameters: Json, model: Model) -> tuple[int, int]:
    """Width and height in pixels, by each family's own rule."""
    qwen = model.name.startswith("qwen-image") and model.name != "qwen-image-2.0"
    default = "1328*1328" if qwen else "1280*1280" if model.name.startswith("wan2.6") else "1024*1024"
    size = parse_size(parameters.get("size") or default, "*")
    if size is None:
        raise rules.invalid("size must be given as width*height")
    width, height = size
    if qwen:
        fits = size in _QWEN_SIZES
    elif model.name.startswith("wan2.6"):
        fits = 1280 * 1280 <= width * height <= 1440 * 1440 and width <= 4 * height and height <= 4 * width
    elif model.task:
        fits = all(512 <= side <= 1440 for side in size)
    else:
        fits = 512 * 512 <= width * height <= 2048 * 2048
    if not fits:
        raise rules.invalid(f"the size does not match the allowed size: {width}*{height}")
    return size
