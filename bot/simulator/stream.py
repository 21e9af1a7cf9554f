"""Sends answers at the set pace, as server-sent events or whole, and lets the scripted faults strike on the way."""

import asyncio
import itertools
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Protocol

from aiohttp import web

from bot.simulator.backend import Backend, Exchange, cut
from bot.simulator.faults import Fault
from bot.simulator.words import Delta, Refusal, Reply

BURST = 32  # frames of one write at most, when the simulator runs late; each stays an event of its own


class Encoder(Protocol):
    """Turns steps into one vendor's complete events. It keeps what its protocol accumulates."""

    content_type: str

    def delta(self, delta: Delta) -> bytes: ...

    def end(self, finish: str) -> bytes: ...

    def error(self, error: Refusal) -> bytes: ...


class _Cut(Exception):
    """The scripted number of bytes is out."""


class _Pipe:
    """Writes to the response, mangled as the fault says: never in content, except where it is cut."""

    def __init__(self, response: web.StreamResponse, fault: Fault | None) -> None:
        self._response = response
        self._fault = fault
        self._left = None if fault is None else fault.after_bytes

    async def write(self, data: bytes) -> None:
        fault = self._fault
        if fault is None:
            await self._response.write(data)
            return
        if fault.comments:
            data = b": keep-alive\n\n" + data
        if fault.crlf:
            data = data.replace(b"\n", b"\r\n")
        over = self._left is not None and len(data) >= self._left
        if self._left is not None:
            data, self._left = data[: self._left], self._left - len(data)
        if fault.bytewise or fault.drip is not None:
            for byte in data:
                await self._response.write(bytes((byte,)))
                await asyncio.sleep(fault.drip or 0)
        elif data:
            await self._response.write(data)
        if over:
            raise _Cut


async def send_stream(
    backend: Backend, exchange: Exchange, encoder: Encoder, reply: Reply, *, tool_fragments: bool = False
) -> web.StreamResponse:
    """Stream a reply. `exchange.usage` grows with each step: a call cut short is billed as far as it came."""
    fault = exchange.fault
    response = web.StreamResponse(headers={"Content-Type": encoder.content_type, "Cache-Control": "no-cache"})
    exchange.status = 200
    await response.prepare(exchange.request)
    pipe = _Pipe(response, fault)
    deltas: Iterator[Delta] = reply.deltas(tool_fragments=tool_fragments)
    if fault and fault.endless:
        deltas = itertools.cycle(reply.deltas())
    strikes = fault if fault and (fault.cut or fault.hang or fault.code or fault.finish) else None
    if strikes and strikes.after_chunks is not None:
        deltas = itertools.islice(deltas, strikes.after_chunks)
    try:
        await _send_deltas(backend, exchange, encoder, pipe, deltas)
        if strikes and await _strike(backend, exchange, encoder, pipe, strikes):
            return response
        await pipe.write(encoder.end(reply.finish))
        exchange.complete = True
    except _Cut:
        return await _end_at_byte(backend, exchange, response)
    await response.write_eof()
    return response


async def _send_deltas(
    backend: Backend, exchange: Exchange, encoder: Encoder, pipe: _Pipe, deltas: Iterable[Delta]
) -> None:
    loop = asyncio.get_running_loop()
    pace = backend.pace
    due = loop.time() + pace.first_token
    waiting: list[bytes] = []
    thoughts = 0
    for count, delta in enumerate(deltas, 1):
        delay = due - loop.time()
        if waiting and (delay > 0 or len(waiting) >= BURST):
            await pipe.write(b"".join(waiting))
            waiting.clear()
        if delay > 0:
            await asyncio.sleep(delay)
        elif not count % BURST:
            await asyncio.sleep(0)  # an endless stream without a pace must not starve the loop
        due += pace.per_token
        thoughts += delta.kind == "thought"
        exchange.chunks = count
        exchange.usage = replace(exchange.usage, output_tokens=count, reasoning_tokens=thoughts)
        waiting.append(encoder.delta(delta))
    if not exchange.chunks:
        await asyncio.sleep(pace.first_token)
    if waiting:
        await pipe.write(b"".join(waiting))


async def _strike(backend: Backend, exchange: Exchange, encoder: Encoder, pipe: _Pipe, fault: Fault) -> bool:
    """Do what the fault says at this place; True if the stream is over with it."""
    if fault.after_bytes is not None:
        return False  # the pipe strikes
    if fault.hang:
        await backend.closing.wait()
    if fault.hang or fault.cut:
        cut(exchange)
        return True
    if error := fault.refusal(exchange.vendor):
        exchange.code = error.code
        await pipe.write(encoder.error(error))
        return True
    return False


async def _end_at_byte(backend: Backend, exchange: Exchange, response: web.StreamResponse) -> web.StreamResponse:
    if exchange.fault and exchange.fault.hang:
        await backend.closing.wait()
    cut(exchange)
    return response


async def send_whole(
    backend: Backend, exchange: Exchange, body: bytes, *, seconds: float = 0, content_type: str = "application/json"
) -> web.StreamResponse:
    """Send a complete JSON body after `seconds`."""
    await asyncio.sleep(seconds)
    fault = exchange.fault
    if fault is None or not (fault.later or fault.bytewise or fault.drip is not None):
        return web.Response(body=body, content_type=content_type, charset="utf-8")
    if error := fault.refusal(exchange.vendor):
        raise error
    headers = {"Content-Type": content_type, "Content-Length": str(len(body))}
    response = web.StreamResponse(headers=headers)
    exchange.status = 200
    await response.prepare(exchange.request)
    if fault.after_chunks is not None and (fault.hang or fault.cut):
        fault = replace(fault, after_bytes=0)
    pipe = _Pipe(response, fault)
    try:
        await pipe.write(body)
    except _Cut:
        return await _end_at_byte(backend, exchange, response)
    await response.write_eof()
    return response
