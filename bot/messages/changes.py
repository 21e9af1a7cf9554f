"""What a turn changes, committed together with its answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """The question enters the history under `parent`. It becomes part of the conversation only when an `Answered` follows;
    alone (failed, refused, late) it can be asked again but is in nobody's way. `stored` names the entry of a question that is
    asked once more: nothing new enters then. `model` is asked; it tells of a turn that is stopped before it has finished. A
    later one in the same turn takes its place: the question as it was made fit for the model."""

    text: str
    author: str
    parent: int | None
    files: tuple[str, ...] = ()
    stored: int | None = None
    model: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """The answer enters the history and the chat's head moves to it. `question` is the stored question that it answers, None
    for the `Asked` of the same turn. With `text` None it is the answer as delivered (slot 0). `moves`: the head moves to it;
    else it is a sibling that a reply, or a button, may go on from."""

    text: str | None = None
    question: int | None = None
    files: tuple[str, ...] = ()
    moves: bool = True


@dataclass(frozen=True, slots=True)
class Rewound:
    """The chat's head moves to this message of the history: back (`/undo`), or to another answer."""

    head: int | None


@dataclass(frozen=True, slots=True)
class Configured:
    """A setting of this chat; "" restores the default."""

    name: Literal["model", "system", "think", "voice"]
    value: str


@dataclass(frozen=True, slots=True)
class Spent:
    """A button did its work: it never works again."""

    button: str


@dataclass(frozen=True, slots=True)
class Replaces:
    """This turn takes over the messages of an earlier one and edits them (an edited question). Only before the first part."""

    turn: int


@dataclass(frozen=True, slots=True)
class Closes:
    """The buttons of this earlier turn have nothing more to do: they go."""

    turn: int


@dataclass(frozen=True, slots=True)
class LeftOut:
    """These messages of the history are shown to no model any more: a vendor refuses what they say."""

    entries: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ordered:
    """Work in the background begins once this is committed. It bears the turn's number, and its order as
    `bot/messages/orders.py` writes it; `patience` is in seconds: then it ends, however far it is."""

    kind: Literal["chat", "image", "video"]
    model: str
    order: str
    patience: float


@dataclass(frozen=True, slots=True)
class Cancelled:
    """Nobody wants this work any more."""

    job: int


Change = Asked | Answered | Rewound | Configured | Spent | Closes | Replaces | LeftOut | Ordered | Cancelled
# The same, for isinstance.
CHANGES = (Asked, Answered, Rewound, Configured, Spent, Closes, Replaces, LeftOut, Ordered, Cancelled)
