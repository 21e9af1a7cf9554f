"""The protocols: what each room needs of its neighbours, by who uses them, 1 to 6 methods each.

Rims (`platforms/`, `models/`, `storage/`) implement them; the hub uses them and knows nothing else of a rim. The values
that only one port speaks of stand beside it; those that walk through the house are in `messages.py`.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Protocol

from bot.messages import Change, Part, Turn
from bot.ports.models import (
    ChatModel,
    ImageModel,
    Line,
    ModelCard,
    Models,
    Picture,
    PicturePrompt,
    Prompt,
    Unknown,
)
from bot.ports.platforms import (
    Confiding,
    Drafting,
    Duties,
    Gatekeeper,
    Hearing,
    Intake,
    MenuEntry,
    Platform,
    Traits,
)
from bot.ports.store import (
    Beat,
    Board,
    ButtonRow,
    Card,
    Claim,
    Control,
    Cursors,
    Entry,
    Exchange,
    Files,
    Final,
    History,
    Inbox,
    Ledger,
    Outbox,
    Outcome,
    Overtaken,
    Replying,
    Report,
    Row,
    SharedFiles,
    Topic,
    Workers,
)

__all__ = [
    "Beat",
    "Board",
    "ButtonRow",
    "Card",
    "ChatModel",
    "Claim",
    "Confiding",
    "Control",
    "Cursors",
    "Drafting",
    "Duties",
    "Entry",
    "Exchange",
    "Files",
    "Final",
    "Gatekeeper",
    "Handler",
    "Hearing",
    "History",
    "ImageModel",
    "Inbox",
    "Intake",
    "Ledger",
    "Line",
    "MenuEntry",
    "ModelCard",
    "Models",
    "Outbox",
    "Outcome",
    "Overtaken",
    "Picture",
    "PicturePrompt",
    "Platform",
    "Prompt",
    "Replying",
    "Report",
    "Row",
    "SharedFiles",
    "Topic",
    "Traits",
    "Unknown",
    "Workers",
]


class Handler(Protocol):
    def answer(self, turn: Turn) -> AsyncGenerator[Part | Change, None]:
        """What to show and what to change; the last Part is Finished. Writes nothing itself. Raises MagpieError."""
