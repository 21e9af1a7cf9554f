"""What reading a file gives, why it may fail, and how much may be spent on it."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass

from bot.errors import MagpieError
from bot.messages import MAX_FILE
from bot.phrases import Phrase

LONGEST_NAME = 80  # characters


@dataclass(frozen=True, slots=True)
class Document:
    """`name` is fit for display; `text` is Markdown with marks where a page, sheet or slide begins: "[page 3]",
    "[sheet Costs]", "[slide 2]"; `left_out` are sentences about what of the file is not in the text."""

    name: str
    text: str
    left_out: tuple[Phrase, ...] = ()


class Unopened(MagpieError):
    """A file that cannot be read. `phrase` says why; `why` is for the owner's log and holds nothing of the content."""

    def __init__(self, phrase: Phrase, why: str = "") -> None:
        super().__init__(why or phrase.en)
        self.phrase = phrase


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Sizes in bytes, times in seconds. Within `patience` a reader stops by itself and keeps what it has; the harder limits
    are for files that hold it up where it cannot."""

    size: int = MAX_FILE
    unpacked: int = 200_000_000  # of an Office file; honest ones unpack to 5 to 30 times their size
    characters: int = 400_000  # of text: as much as the widest windows take, in English
    memory: int = 512 * 1024 * 1024  # of the child's addresses; the libraries alone take 100 to 200 MB of them
    patience: float = 15.0
    cpu: int = 20
    wall: float = 30.0


def display_name(name: str) -> str:
    """`name` without its path and without characters that hide or turn text around, at most 80 characters long."""
    last = name.replace("\\", "/").rstrip("/").rpartition("/")[2]
    clean = " ".join("".join(c if unicodedata.category(c)[0] not in "CZ" else " " for c in last).split())
    if len(clean) > LONGEST_NAME:
        stem, dot, ending = clean.rpartition(".")
        tail = dot + ending if stem and len(ending) <= 10 else ""
        clean = clean[: LONGEST_NAME - 1 - len(tail)] + "…" + tail
    return clean or "document"
