"""What GLM does later: it takes an order, keeps it for a while, and tells how it stands at /async-result/{id}."""

import asyncio

from aiohttp import web

from bot.simulator.backend import Backend, Exchange, Json, Task, dump
from bot.simulator.errors import refusal
from bot.simulator.stream import send_whole


async def start(backend: Backend, exchange: Exchange, payload: Json) -> web.StreamResponse:
    """Take an order whose result will be this. A fault that strikes later than the response begins leaves it taken."""
    now = asyncio.get_running_loop().time()
    task = Task(
        id=exchange.id,
        model=exchange.model,
        payload=payload,
        submitted=now,
        ready=now + backend.pace.task,
        usage=exchange.usage,
        fault=exchange.fault,
    )
    backend.add_task(task)
    return await send_whole(backend, exchange, dump(_state(task, "PROCESSING")).encode())


async def see(backend: Backend, exchange: Exchange) -> web.StreamResponse:
    """How a task stands. The reference shows no reason beside FAIL; a fault with a `code` puts that error there."""
    task = backend.tasks.get(exchange.request.match_info["id"])
    if task is None:
        raise refusal("glm", "1214", "id")
    trouble = task.fault.task if task.fault else None
    if trouble == "never" or asyncio.get_running_loop().time() < task.ready:
        body = _state(task, "PROCESSING")
    elif trouble in {"FAILED", "UNKNOWN"}:
        body = _state(task, "FAIL")
        if task.fault and (error := task.fault.refusal("glm")):
            body["error"] = {"code": error.code, "message": error.message}
    else:
        body = task.payload | _state(task, "SUCCESS")
    return await send_whole(backend, exchange, dump(body).encode("utf-8", "backslashreplace"))


def _state(task: Task, status: str) -> Json:
    return {"id": task.id, "request_id": task.id, "model": task.model, "task_status": status}
