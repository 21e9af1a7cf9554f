"""Trying a commit again until the store takes it: for what must not be given up because a disk is full for a while."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import TypeVar

from bot.errors import StorageError

T = TypeVar("T")
log = logging.getLogger(__name__)

RETRY = (0.5, 10.0)  # seconds between tries: the first wait and the longest


async def insist(commit: Callable[[], Awaitable[T]]) -> T:
    """The result of the first try that does not end in a StorageError; all other errors pass."""
    wait = RETRY[0]
    while True:
        try:
            return await commit()
        except StorageError as error:
            log.error("The store does not commit: %s", error)
            await asyncio.sleep(wait)
            wait = min(wait * 2, RETRY[1])
