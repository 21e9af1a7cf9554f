"""What a run leaves behind for the checker: what people did, what the stand-ins saw, what the store holds. No judgement here.

The words of a run carry its bookkeeping, so that any text tells where it came from (`Names`): each chat has a canary, each
conversation between two resets a mark, each question a name, and the words of its answer are numbered.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

Kind = Literal["question", "edit", "command", "later", "picture", "video", "reset", "stop", "other"]

NAME = re.compile(r"\bc\d+q\d+\b")
MARK = re.compile(r"\bc\d+e\d+\b")
CANARY = re.compile(r"\bmagpie\d+nest\b")
WORD = re.compile(r"\b(c\d+q\d+)(?:w(\d+)|z)\b")


def canary(chat: int) -> str:
    return f"magpie{chat}nest"


def mark(chat: int, epoch: int) -> str:
    return f"c{chat}e{epoch}"


def name(chat: int, question: int) -> str:
    return f"c{chat}q{question}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One thing that a person did, in the order of its chat.

    chat     as the store names it
    message  the platform's id of the message said or edited, "" for presses
    name     of a question, of an order, or of the unknown command whose reply must quote it
    mark     of the conversation in which it was said
    replaces the name that the message bore before this edit
    """

    chat: str
    kind: Kind
    message: str = ""
    name: str = ""
    mark: str = ""
    replaces: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """A message of the bot as it stands in the end. `writing`: a preview that was never finished; `waiting`: it can be
    cancelled; `at`: when it was first sent, by time.monotonic(), 0 where nobody knows."""

    chat: str
    id: str
    text: str
    writing: bool = False
    picture: bool = False
    video: bool = False
    waiting: bool = False
    at: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Called:
    """A call as the vendor saw it, with what it bills: seconds of a video or a recording, characters that were spoken.
    `complete`: the caller got the answer to its end. `looked`: when somebody first asked after the task that it began, 0 for
    never."""

    model: str
    prompt: str
    began: float
    complete: bool
    prompt_tokens: int = 0
    completion_tokens: int = 0
    pictures: int = 0
    seconds: float = 0.0
    characters: int = 0
    looked: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """A row of the inbox, with how its turn ended ("" for none)."""

    id: int
    chat: str
    message: str
    state: str
    error: str = ""
    turn: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Booked:
    """A row of the ledger; cost in millionths of a CNY."""

    chat: str
    model: str
    cost: int
    state: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Queued:
    """A row of the outbox."""

    chat: str
    turn: int
    state: str
    error: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Worked:
    """Work in the background: what was ordered, in which words, and how it ended."""

    chat: str
    kind: str
    model: str
    state: str
    order: str
    task: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """What the store holds when everything has come to rest. `leftovers`: what is still under way, in words."""

    accepted: tuple[Accepted, ...] = ()
    booked: tuple[Booked, ...] = ()
    queued: tuple[Queued, ...] = ()
    worked: tuple[Worked, ...] = ()
    leftovers: tuple[str, ...] = ()
    text: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """`kills` are the instants (time.monotonic()) at which a process was killed or paused; `canaries` name each chat's own
    word; `secrets` the settings that nobody may read anywhere in `places`, which are texts and files by name."""

    asked: Sequence[Asked]
    shown: Sequence[Shown]
    called: Sequence[Called]
    stored: Stored
    kills: Sequence[float] = ()
    canaries: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, str] = field(default_factory=dict)
    places: Mapping[str, bytes] = field(default_factory=dict)
