"""The protocols: what each room needs of its neighbours, by who uses them, a handful of methods each.

Rims (`platforms/`, `models/`, `storage/`) implement them; the hub uses them and knows nothing else of a rim. The values
that only one port speaks of stand beside it; those that walk through the house are in `messages/`.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Protocol

from bot.messages import Change, Part, Turn
from bot.ports.files import Files, SharedFiles
from bot.ports.jobs import Job, Jobs, JobState, Works
from bot.ports.models import (
    Background,
    ChatModel,
    Fetched,
    Hit,
    Kind,
    Line,
    Made,
    ModelCard,
    Models,
    Offers,
    Order,
    PicturePrompt,
    Prompt,
    Said,
    SearchModel,
    Sources,
    SpeechModel,
    SpeechPrompt,
    Submitted,
    ToolCall,
    Unknown,
    VideoPrompt,
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
    Topic,
    Workers,
)
from bot.ports.tools import MOST_RESULT, Source, Toolbox, ToolCard, ToolContext, ToolResult, ToolRun, ToolRuns

__all__ = [
    "MOST_RESULT",
    "Background",
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
    "Fetched",
    "Files",
    "Final",
    "Gatekeeper",
    "Handler",
    "Hearing",
    "History",
    "Hit",
    "Inbox",
    "Intake",
    "Job",
    "JobState",
    "Jobs",
    "Kind",
    "Ledger",
    "Line",
    "Made",
    "MenuEntry",
    "ModelCard",
    "Models",
    "Offers",
    "Order",
    "Outbox",
    "Outcome",
    "Overtaken",
    "PicturePrompt",
    "Platform",
    "Prompt",
    "Replying",
    "Report",
    "Row",
    "Said",
    "SearchModel",
    "SharedFiles",
    "Source",
    "Sources",
    "SpeechModel",
    "SpeechPrompt",
    "Submitted",
    "ToolCall",
    "ToolCard",
    "ToolContext",
    "ToolResult",
    "ToolRun",
    "ToolRuns",
    "Toolbox",
    "Topic",
    "Traits",
    "Unknown",
    "VideoPrompt",
    "Workers",
    "Works",
]


class Handler(Protocol):
    def answer(self, turn: Turn) -> AsyncGenerator[Part | Change, None]:
        """What to show and what to change; the last Part is Finished. Writes nothing itself. Raises MagpieError."""
