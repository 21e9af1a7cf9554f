"""The log of calls: what tests assert on and a person reads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tests.servers.telegram_rules import Json


@dataclass(frozen=True, slots=True)
class Call:
    """One call of the bot as it was answered; `status` 0: the bot went away before the answer."""

    at: float  # time.monotonic()
    method: str
    params: Json
    status: int
    result: Any = None
    error: str | None = None
    retry_after: int | None = None
    early: bool = False  # made before an earlier RetryAfter for this chat had ended

    @property
    def ok(self) -> bool:
        return self.status == 200

    @property
    def chat_id(self) -> int | None:
        chat_id = self.params.get("chat_id")
        return chat_id if isinstance(chat_id, int) else None

    @property
    def message_id(self) -> int | None:
        """Of the message written, or of the one named."""
        made = self.result.get("message_id") if isinstance(self.result, dict) else None
        message_id = made or self.params.get("message_id")
        return message_id if isinstance(message_id, int) else None


def line(call: Call) -> str:
    """One call for a person's eye."""
    text = str(call.params.get("text") or call.params.get("caption") or "").replace("\n", "⏎")
    where = f" chat {call.chat_id}" if call.chat_id is not None else ""
    which = f" #{call.message_id}" if call.message_id is not None else ""
    got = f" {len(call.result)} updates" if call.method == "getUpdates" and call.ok else ""
    early = " TOO EARLY" if call.early else ""
    problem = f" — {call.error}" if call.error else ""
    return f"{call.method} {call.status or 'gone'}{where}{which}{got}{early}{problem} {text[:80]}".rstrip()
