"""The turn that is made of what was claimed."""

from __future__ import annotations

import time

import pytest

from bot.messages import Address, Author, ChatKey, Ended
from bot.ports import Claim, Row
from bot.turns.reading import turn_of

CHAT = ChatKey("web", "1")
ENDED = Ended(job=7, author=Author("1", "Ann"), address=Address(CHAT), language="en")


@pytest.mark.parametrize(("stopped", "voice"), [(False, "tongtong"), (True, "")])
def test_what_was_stopped_before_a_crash_is_told_but_not_spoken(stopped: bool, voice: str) -> None:
    claim = Claim(
        chat=CHAT, turn=9, seq=2, fence=3, epoch=0, attempt=2, stop_key="stop.x", model="", system="", think="",
        voice="tongtong", head=None, rows=(Row(1, "web", "{}", time.time()),), shown=(), stopped=stopped,
    )  # fmt: skip
    assert turn_of(claim, (ENDED,)).voice == voice
