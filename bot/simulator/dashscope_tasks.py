"""DashScope's tasks, whatever is made: submitted with the asynchronous header, asked after, cancelled while they wait."""

import asyncio
import uuid
from datetime import datetime, timedelta

from aiohttp import web

from bot.simulator import dashscope_rules as rules
from bot.simulator import models
from bot.simulator.backend import Backend, Exchange, Json, Task, dump
from bot.simulator.errors import refusal
from bot.simulator.models import Kind, Model
from bot.simulator.stream import send_whole
from bot.simulator.words import Refusal, Usage


def model_of(exchange: Exchange, kind: Kind) -> Model:
    """The model, if it makes this as a task, and the call says that it wants one. Raises Refusal."""
    if exchange.request.headers.get("X-DashScope-Async") != "enable":
        raise refusal("dashscope", "AccessDenied", message="current user api does not support synchronous calls.")
    name = exchange.body.get("model")
    model = models.DASHSCOPE.get(name) if isinstance(name, str) else None
    if model is None:
        raise refusal("dashscope", "ModelNotFound", message=f"Model can not be found: {name}")
    if not model.task or model.kind != kind:
        raise rules.invalid("url error, please check url！")
    return model


def failure(exchange: Exchange) -> Refusal:
    """What a task ends with that the fault lets fail, in whole or in part."""
    error = exchange.fault.refusal("dashscope") if exchange.fault else None
    return error or refusal(
        "dashscope", "DataInspectionFailed", message="Output data may contain inappropriate content."
    )


class Tasks:
    """The endpoints under /tasks, and what begins a task."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    async def begin(
        self, exchange: Exchange, model: Model, output: Json, usage: Json, billed: Usage, seconds: float
    ) -> web.StreamResponse:
        """`output` and `usage` are those of its success, in so many seconds; `billed` nothing: it fails."""
        exchange.usage = billed
        now = asyncio.get_running_loop().time()
        task = Task(
            id=str(uuid.uuid4()),
            model=model.name,
            payload={"output": output, "usage": usage},
            submitted=now,
            ready=now + seconds,
            usage=billed,
            fault=exchange.fault,
        )
        self._backend.add_task(task)
        begun = {"task_status": "PENDING", "task_id": task.id}
        return await send_whole(self._backend, exchange, dump({"output": begun, "request_id": exchange.id}).encode())

    async def see(self, exchange: Exchange) -> web.StreamResponse:
        """A task's state: PENDING for the first quarter of its time, then RUNNING, then as it ended; else UNKNOWN."""
        task_id = exchange.request.match_info["id"]
        task = self._backend.tasks.get(task_id)
        trouble = task.fault.task if task and task.fault else None
        if task is None or trouble == "UNKNOWN":
            return await self._state(exchange, {"task_id": task_id, "task_status": "UNKNOWN"})
        now = asyncio.get_running_loop().time()
        output: Json = {"task_id": task.id, "submit_time": _clock(task.submitted - now)}
        if task.cancelled:
            return await self._state(exchange, output | {"task_status": "CANCELED"})
        if _pending(task, now):
            return await self._state(exchange, output | {"task_status": "PENDING"})
        output["scheduled_time"] = _clock(_scheduled(task) - now)
        if now < task.ready or trouble == "never":
            return await self._state(exchange, output | {"task_status": "RUNNING"})
        output["end_time"] = _clock(task.ready - now)
        if task.usage == Usage():
            return await self._state(exchange, output | {"task_status": "FAILED"} | task.payload["output"])
        output |= {"task_status": "SUCCEEDED"} | task.payload["output"]
        return await self._state(exchange, output, task.payload["usage"])

    async def _state(self, exchange: Exchange, output: Json, usage: Json | None = None) -> web.StreamResponse:
        body: Json = {"request_id": exchange.id, "output": output}
        if usage:
            body["usage"] = usage
        return await send_whole(self._backend, exchange, dump(body).encode())

    async def cancel(self, exchange: Exchange) -> web.StreamResponse:
        task = self._backend.tasks.get(exchange.request.match_info["id"])
        if task is None or not _pending(task, asyncio.get_running_loop().time()):
            raise refusal("dashscope", "UnsupportedOperation")
        task.cancelled = True
        return web.json_response({"request_id": exchange.id})


def _scheduled(task: Task) -> float:
    return task.submitted + (task.ready - task.submitted) / 4


def _pending(task: Task, now: float) -> bool:
    return now < _scheduled(task) and not task.cancelled


def _clock(seconds_from_now: float) -> str:
    """`2026-01-08 16:03:59.840`."""
    return str(datetime.now() + timedelta(seconds=seconds_from_now))[:23]
