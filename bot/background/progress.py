"""How far background work is, shown in the message that waits for it: best effort, and never instead of the result."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import replace

from bot.commands.tasks import progress_text
from bot.errors import FencedOut, StorageError, Unreadable
from bot.messages.orders import WorkOrder
from bot.ports import Job, JobState, Platform
from bot.turns.delivery import Delivery

log = logging.getLogger(__name__)

# A question that is answered later is told once, and answered in a message of its own.
KINDS = frozenset({"image", "video"})


class Progress:
    def __init__(
        self, delivery: Delivery, platforms: Mapping[str, Platform], clock: Callable[[], float] = time.time
    ) -> None:
        self._delivery = delivery
        self._platforms = platforms
        self._clock = clock

    async def show(self, job: Job, state: JobState) -> None:
        platform = self._platforms.get(job.chat.platform)
        if platform is None or job.kind not in KINDS:
            return
        try:
            order = WorkOrder.load(job.order, job.chat)
            text = progress_text(replace(job, state=state), self._clock(), order.language)
            await self._delivery.retouch(order.address, job.id, platform.layout(text)[0])
        except (FencedOut, StorageError, Unreadable) as error:
            log.info("How far job %d is could not be shown: %s", job.id, error)
