"""The bot's queue of updates: what is confirmed, who polls, which kinds are wanted."""

from __future__ import annotations

import asyncio
import json
import random
from collections import deque
from collections.abc import Collection
from dataclasses import dataclass
from enum import Enum
from itertools import islice

from tests.servers.telegram_rules import Json, Refusal

CONFLICT = "Conflict: terminated by other getUpdates request; make sure that only one bot instance is running"
CONFLICT_WEBHOOK = (
    "Conflict: can't use getUpdates method while webhook is active; use deleteWebhook to delete the webhook first"
)
CONFLICT_SET = "Conflict: terminated by setWebhook request"

MAX_POLL = 50.0  # seconds; the Bot API server waits no longer whatever `timeout` says
# Kinds that have to be asked for by name.
ON_REQUEST = frozenset({"chat_member", "message_reaction", "message_reaction_count"})
REPLAYABLE = 2_000  # confirmed updates that are kept for replay()


class Wake(Enum):
    """Why a waiting poll ends before its time."""

    UPDATE = "update"
    OTHER_POLL = "other poll"
    WEBHOOK = "webhook"


@dataclass(frozen=True, slots=True)
class Update:
    """One update, already as JSON text: it may be handed out many times. A webhook gets those of one `queue` in order."""

    id: int
    body: str
    queue: str = ""


def _queue(update: Json) -> str:
    """A chat's messages and their edits are one queue, a person's presses another; what is neither waits for nobody."""
    for kind in ("message", "edited_message", "my_chat_member"):
        body = update.get(kind)
        if isinstance(body, dict) and isinstance(body.get("chat"), dict):
            return f"{'member' if kind == 'my_chat_member' else 'chat'} {body['chat'].get('id')}"
    press = update.get("callback_query")
    if isinstance(press, dict) and isinstance(press.get("from"), dict):
        return f"press {press['from'].get('id')}"
    return f"update {update['update_id']}"


class UpdateQueue:
    def __init__(self) -> None:
        self.pending: deque[Update] = deque()
        self.confirmed: int | None = None  # the highest offset seen: all ids below it are done
        self.webhook_active = False
        self._done: deque[Update] = deque(maxlen=REPLAYABLE)
        self._last_id = random.randrange(10**8, 9 * 10**8)
        self._allowed: frozenset[str] | None = None
        self._poll: asyncio.Future[Wake] | None = None
        self.arrived = asyncio.Event()  # for the webhook's delivery

    def push(self, kind: str, payload: Json) -> int | None:
        """Queues an update; None when the bot did not ask for this kind."""
        wanted = kind not in ON_REQUEST if self._allowed is None else kind in self._allowed
        return self.push_raw({kind: payload}) if wanted else None

    def push_raw(self, update: Json) -> int:
        """Queues exactly this; an update_id is added where there is none. Ids rise, but with gaps."""
        update = {"update_id": self._last_id + random.randint(1, 3), **update}
        update_id = int(update["update_id"])
        self._last_id = max(self._last_id, update_id)
        self.pending.append(Update(update_id, json.dumps(update), _queue(update)))
        self.arrived.set()
        self._wake(Wake.UPDATE)
        return update_id

    def replay(self) -> int:
        """All that was confirmed comes again, as after a restart of the platform; returns how many."""
        count = len(self._done)
        self.pending.extendleft(reversed(self._done))
        self._done.clear()
        self.confirmed = None
        self.arrived.set()
        self._wake(Wake.UPDATE)
        return count

    def allow(self, kinds: Collection[str] | None) -> None:
        """allowed_updates: left out means as before, empty means all but those of ON_REQUEST."""
        if kinds is not None:
            self._allowed = frozenset(kinds) or None

    @property
    def allowed(self) -> list[str]:
        return sorted(self._allowed or ())

    async def poll(self, offset: int, limit: int, timeout: float) -> list[Update]:
        """getUpdates: ends an earlier poll, confirms, waits up to `timeout` seconds for updates."""
        if self.webhook_active:
            raise Refusal(409, CONFLICT_WEBHOOK)
        self._wake(Wake.OTHER_POLL)
        self.confirm(offset)
        if not self.pending and timeout > 0:
            await self._wait(min(timeout, MAX_POLL))
        return list(islice(self.pending, limit))

    async def _wait(self, timeout: float) -> None:
        mine = self._poll = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(timeout):
                woken = await mine
        except TimeoutError:
            return
        finally:
            if self._poll is mine:
                self._poll = None
        if woken is Wake.OTHER_POLL:
            raise Refusal(409, CONFLICT)
        if woken is Wake.WEBHOOK:
            raise Refusal(409, CONFLICT_SET)

    def confirm(self, offset: int) -> None:
        """Forgets what is below `offset`; a negative one keeps only the last -offset; one from the future
        does nothing."""
        if offset < 0:
            offset = self.pending[max(offset, -len(self.pending))].id if self.pending else 0
        if offset <= 0 or offset > self._last_id + 1:
            return
        while self.pending and self.pending[0].id < offset:
            self._done.append(self.pending.popleft())
        self.confirmed = max(self.confirmed or 0, offset)

    def taken(self, update: Update) -> None:
        """By the webhook, in whatever order."""
        if update in self.pending:
            self.pending.remove(update)
            self._done.append(update)
            self.confirmed = max(self.confirmed or 0, update.id + 1)
        self.arrived.set()

    def start_webhook(self) -> None:
        self.webhook_active = True
        self._wake(Wake.WEBHOOK)

    def _wake(self, why: Wake) -> None:
        if self._poll is not None and not self._poll.done():
            self._poll.set_result(why)
