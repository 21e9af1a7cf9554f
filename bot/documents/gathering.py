"""What the readers of all formats put their text into: it keeps the limits of length and of time."""

from __future__ import annotations

import re
import time

from bot.documents.document import Limits
from bot.phrases import Phrase
from bot.text import well_formed

# What a terminal or a store would choke on; form feeds and escapes, too, say nothing to a model.
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ufdd0-\ufdef\ufffe\uffff]")
_BLANK_LINES = re.compile(r"\n[ \t]*\n(?:[ \t]*\n)+")
_AFTER_OPENING = 3.0  # seconds: a sheet is read in one, what it lists may take ten
_BORDER = 400  # characters before a cut in which a better place for it is looked for


def readable(text: str) -> str:
    """`text` with LF for newlines, without controls and halves of surrogate pairs."""
    return _CONTROL.sub("", well_formed(text + "\n")[:-1])  # a half at the very end is replaced, not awaited


class Gathering:
    """The text so far and the sentences about what it lacks."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.cut = False  # something did not fit
        self._room = limits.characters
        self._until = time.monotonic() + limits.patience
        self._pieces: list[str] = []
        self._left_out: list[Phrase] = []

    def add(self, text: str) -> None:
        """Takes as much of `text` as there is room for."""
        text = readable(text)
        if len(text) > self._room:
            self.cut = True
            text = text[: self._room]
            border = max(text.rfind("\n", -_BORDER), text.rfind(" ", -_BORDER)) if len(text) > _BORDER else -1
            text = text[:border] if border > 0 else text
            self._room = 0
        else:
            self._room -= len(text)
        self._pieces.append(text)

    def must_stop(self, *, more: bool) -> bool:
        """Whether to read no further: something did not fit, or time is up and there is `more`."""
        return self.cut or (more and time.monotonic() > self._until)

    def opened(self) -> None:
        """Called after a library took its time to open a file, of which at least something should then be read."""
        self._until = max(self._until, time.monotonic() + min(_AFTER_OPENING, self.limits.patience))

    def leave(self, sentence: Phrase) -> None:
        self._left_out.append(sentence)

    @property
    def text(self) -> str:
        return _BLANK_LINES.sub("\n\n", "".join(self._pieces)).strip("\n")

    @property
    def left_out(self) -> tuple[Phrase, ...]:
        return tuple(self._left_out)


def label(text: str, most: int = 60) -> str:
    """A name from inside a file, in one short line."""
    line = " ".join(readable(text).split())
    return line if len(line) <= most else line[: most - 1] + "…"


def listed(names: list[str], most: int = 8) -> str:
    return ", ".join(label(name) for name in names[:most]) + (" …" if len(names) > most else "")


def ranges(numbers: list[int], most: int = 12) -> str:
    """Ascending numbers as people write them: "1-3, 7"."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][1] + 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    shown = [str(first) if first == last else f"{first}-{last}" for first, last in runs[:most]]
    return ", ".join(shown) + (" …" if len(runs) > most else "")


def row(cells: list[str]) -> str:
    """A row of a table, as Markdown writes it; a bar or a newline inside a cell would end it."""
    return "| " + " | ".join(" ".join(cell.split()).replace("|", "\\|") for cell in cells) + " |\n"
