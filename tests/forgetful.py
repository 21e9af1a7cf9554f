"""A build with a planted bug: it never stores the ids of the messages that it sends. `torture/test_kills.py` finds it out."""

from __future__ import annotations

from bot.__main__ import main
from storage.inbox import OUTBOX
from storage.transaction import Statement

OUTBOX["record_preview"] = Statement(
    "record_preview", "SELECT 1 WHERE :chat = :turn AND :slot = :number AND :message = ''"
)

if __name__ == "__main__":
    main()
