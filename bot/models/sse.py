"""Server-Sent Events as GLM and the OpenAI-compatible services send them: the `data:` lines of a response, nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

import aiohttp

MAX_LINE = 8 * 1024 * 1024  # bytes; no real event comes near it, an endless line must not fill the memory
_DRAIN = 0.5  # seconds for the end of the response after `[DONE]`: with it, the connection can be used again


async def data_lines(response: aiohttp.ClientResponse) -> AsyncGenerator[bytes, None]:
    """The payload of each `data:` line, up to `[DONE]`.

    Comments and other fields are skipped; a payload is never spread over lines by these services. Bytes are split here and not
    by aiohttp's `readline`, which costs a coroutine per line and has a limit of its own. Raises aiohttp's errors, and
    ValueError for a line that never ends.
    """
    rest = b""
    async for block in response.content.iter_any():
        *lines, rest = (rest + block).split(b"\n")
        for line in lines:
            if line.startswith(b"data:"):
                payload = line[5:].strip()
                if payload == b"[DONE]":
                    await _drain(response)
                    return
                yield payload
        if len(rest) > MAX_LINE:
            raise ValueError(f"a line of more than {MAX_LINE} bytes")


async def _drain(response: aiohttp.ClientResponse) -> None:
    try:
        async with asyncio.timeout(_DRAIN):
            while not response.content.at_eof():
                await response.content.readany()
    except (TimeoutError, aiohttp.ClientError):
        return  # the answer is whole; the connection will be closed instead of kept
