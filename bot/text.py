"""Markdown in pieces: what platforms with a limit of characters per message share. Pure.

`split` cuts at the best border that fits (block, line, row of a table or line of code, sentence, word, character) and
makes each piece whole in itself: a code fence that a cut goes through is closed and opened again with its language, a
table goes on under its header. How Markdown is rendered is each platform's own matter.

Pieces are prefix-stable by construction: where a piece ends is decided by the first `room + 1` characters of what is left,
and only once there are that many, so that more text at the end changes no piece but the last.
"""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_left
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import IntEnum

MAX_FENCE = 7  # a longer row of backticks is text to us
_CLOSING = MAX_FENCE + 1  # room kept for a closing fence and its newline, needed or not: the need may come and go
LONGEST_CHARACTER = 64  # code points joined into one; what claims to be longer (a tower of accents) may be cut
_SMALLEST = 128  # below this a piece could not hold its own openings
_GAP = "\n[…]\n"  # what is left out of the middle of a text
_WORD_REACH = 40  # characters: so far from where a text is cut short a border of words is looked for

_FENCE = re.compile(rf"[ \t]*(`{{3,{MAX_FENCE}}}|~{{3,{MAX_FENCE}}})(?![`~])[ \t]*([^\s`]*)(?![^\s`])[^`\n]*$")
_DELIMITER = re.compile(r"[ \t]*\|?[ \t]*:?-+:?[ \t]*(\|[ \t]*:?-+:?[ \t]*)*\|?[ \t]*$")
_DELIMITER_ANYWHERE = re.compile(r"[\s>*+\d.)|:-]*")  # also in quotations and lists, and without a pipe at its start
_HEADING = re.compile(r" {0,3}#{1,6} ")
_SENTENCE = re.compile(r"[。！？；…]+[”’」』）]*|[.!?;:][)\"'*_]*(?=\s)")
_WORD = re.compile(r"[ \t\u3000]+")
# What a cut inside a line spares: links, addresses, mentions, short code and bold text. Also when the window ends in them.
_WHOLE = re.compile(
    r"!?\[[^\[\]\n]{0,200}(?:\](?:\([^)\n]{0,500}(?:\)|\Z))?|\Z)|https?://[!-~]*|<[@#:/!&\w.?=%-]{1,200}(?:>|\Z)"
    r"|h(?:t(?:t(?:ps?(?::/?)?)?)?)?\Z"
    r"|`[^`\n]{1,200}(?:`|\Z)|\*\*[^*\n]{1,200}(?:\*\*?|\Z)"
)


def well_formed(text: str) -> str:
    """`text` without NUL and with halves of surrogate pairs joined or replaced; newlines are LF. A half at the very end is
    held back, since its other half may still come."""
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    if "\0" in text:
        text = text.replace("\0", "")
    try:
        text.encode()
    except UnicodeEncodeError:
        text = text[:-1] if "\ud800" <= text[-1] <= "\udbff" else text
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text


def clean(text: str) -> str:
    """With U+FFFD for what neither databases nor vendors take, as models cut it and people paste it: half of a surrogate pair,
    and NUL. No message is to be lost for it. What needs nothing comes back as it is, the same object."""
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            text = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text.replace("\0", "\ufffd")


@dataclass(frozen=True, slots=True)
class Fragment:
    """A part of a text that stands for itself: the bodies of all fragments together are the text; `opening` and `closing`
    complete this one (the fence or the table's header that a cut went through)."""

    opening: str
    body: str
    closing: str = ""

    def __str__(self) -> str:
        body = self.body.rstrip("\n") if self.closing else self.body
        return self.opening + body + self.closing


def split(text: str, limit: int, first: int = 0) -> tuple[Fragment, ...]:
    """`text` in fragments of at most `limit` code points each, `limit` being 128 or more; `first` is the limit of the first one
    where something else stands before it. At least one, maybe empty."""
    rest, limit = max(limit, _SMALLEST), max(first or limit, _SMALLEST)
    fragments: list[Fragment] = []
    start, opening = 0, ""
    while True:
        room = limit - len(opening) - _CLOSING
        if len(text) - start <= room:
            body = text[start:]
            fragments.append(Fragment(opening, body, _closing(opening + body)))
            return tuple(fragments)
        cut, following = _cut(opening, text[start : start + room + 1], limit)
        body = text[start : start + cut]
        fragments.append(Fragment(opening, body, _closing(opening + body)))
        start, opening, limit = start + cut, following, rest


def abridged(text: str, limit: int, size: Callable[[str], int] = len) -> str:
    """`text`, or its beginning and its end with a gap between them, in at most `limit` as `size` counts each character."""
    if len(text) <= limit and sum(map(size, text)) <= limit:
        return text
    half = (limit - sum(map(size, _GAP))) // 2
    head, tail = text[: _reach(text[:half], half, size)], text[-half:]
    tail = tail[len(tail) - _reach(tail[::-1], half, size) :]
    return f"{_without_half_word(head[::-1])[::-1].rstrip()}{_GAP}{_without_half_word(tail).lstrip()}"


def newest(text: str, limit: int) -> str:
    """The end of `text`, at most `limit` characters of it."""
    return text if len(text) <= limit else f"… {_without_half_word(text[-limit:]).lstrip()}"


def _reach(text: str, limit: int, size: Callable[[str], int]) -> int:
    """How many characters from the start fit."""
    total = 0
    for number, character in enumerate(text):
        total += size(character)
        if total > limit:
            return number
    return len(text)


def _without_half_word(text: str) -> str:
    """From the first border of words on, where one is near."""
    border = next((at for at, character in enumerate(text[:_WORD_REACH]) if character.isspace()), 0)
    return text[border:]


def tables(lines: list[str]) -> Iterator[tuple[int, int]]:
    """Where tables outside of code stand in `lines`: (first line, the one after the last). Rows begin with a pipe."""
    number, fence = 0, ""
    while number < len(lines):
        was, fence = fence, fence_after(fence, lines[number])
        if not was and not fence and _starts_table(lines, number):
            end = number + 2
            while end < len(lines) and _is_row(lines[end]):
                end += 1
            yield number, end
            number = end
        else:
            number += 1


def cells(markdown: str) -> int:
    """How many cells its tables have at most once short rows are filled up, as renderers do: that grows with the square of the
    text. Whether a line belongs to a table is the parser's to say, so all from its second line to a blank one are counted."""
    total = width = 0
    for line in re.split(r"\r\n?|\n", markdown) if "|" in markdown else ():
        if not line.strip(" \t"):  # what else is white space is blank to some parsers alone
            width = 0
        elif "|" in line and "-" in line and _DELIMITER_ANYWHERE.fullmatch(line):
            width = max(width, line.count("|") + 1)
        total += width
    return total


def columns(text: str) -> int:
    """How wide a fixed-width font shows `text`: East Asian letters take two columns, combining marks none."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.category(one) in ("Mn", "Me", "Cf") else 2 if unicodedata.east_asian_width(one) in "WF" else 1
        for one in text
    )


def fence_after(fence: str, line: str) -> str:
    """The code fence that is open after `line` when `fence` was open before it, "" for none. A fence is named by its opening
    without what follows the language ("```python")."""
    if fence:
        return "" if _closes(fence, line) else fence
    found = _FENCE.match(line) if "```" in line or "~~~" in line else None
    return found[1] + found[2] if found else ""


# --- borders -----------------------------------------------------------------------------------------------------------


class _Rank(IntEnum):
    """The kinds of border between lines, best first."""

    BLOCK = 0
    LINE = 1
    INSIDE = 2  # between two lines of code or rows of a table


def _cut(opening: str, window: str, limit: int) -> tuple[int, str]:
    """Where to cut `window`, at latest before its last character, and what the next fragment opens with."""
    last, room = len(window) - 1, limit // 4
    latest: dict[_Rank, tuple[int, str]] = {}
    for at, rank, following in _line_borders(opening, window, room):
        latest[rank] = at, following
    borders = [latest[rank] for rank in sorted(latest)]
    spared: list[tuple[int, int]] = []
    if not any(at >= last // 2 for at, _ in borders):
        spared = [match.span() for match in _WHOLE.finditer(window)]
        inside = [_latest(pattern, window, spared) for pattern in (_SENTENCE, _WORD)]
        borders += [(at, _reopening(_open_fence(opening + window[:at]), room)) for at in inside]
    for least in (last // 2, last // 8):  # rather a good border half way than a bad one at the end
        for at, following in borders:
            if at >= least:
                return at, following
    at = _character_border(window, spared)
    return at, _reopening(_open_fence(opening + window[:at]), room)


def _line_borders(opening: str, window: str, room: int) -> Iterator[tuple[int, _Rank, str]]:
    """Each start of a line in `window` where a cut may go, with what must be opened again after it."""
    lines = (opening + window).split("\n")
    at, fence, opened, head, above = -len(opening), "", False, -1, ""
    for number, line in enumerate(lines):
        previous = lines[number - 1] if number else ""
        if head >= 0 and not _is_row(line):
            head = -1
        if head < 0 and not fence and _starts_table(lines, number):
            head = number
        if 0 < at < len(window):
            if fence:
                if not opened and not _closes(fence, line):
                    yield at, _Rank.INSIDE, _reopening(fence, room)
            elif 0 <= head < number:
                if number > head + 2:  # not without a row under the header
                    yield at, _Rank.INSIDE, _header(lines[head : head + 2], room)
            elif _is_row(previous) and _is_row(line):
                yield at, _Rank.INSIDE, ""  # maybe a table whose second line is not all here
            elif not _HEADING.match(above):
                new_block = not previous.strip() or _HEADING.match(line) or _FENCE.match(line)
                yield at, _Rank.BLOCK if new_block and line.strip() else _Rank.LINE, ""
        before, fence = fence, fence_after(fence, line)
        opened = bool(fence) and not before
        above = line if line.strip() else above
        at += len(line) + 1


def _latest(pattern: re.Pattern[str], window: str, spared: list[tuple[int, int]]) -> int:
    """The last end of a match that leaves room and is not inside what must stay whole; 0 for none."""
    for match in reversed(list(pattern.finditer(window))):
        at = match.end()
        place = bisect_left(spared, (at, 0)) - 1
        if at < len(window) and (place < 0 or at >= spared[place][1]):
            return at
    return 0


def _character_border(window: str, spared: list[tuple[int, int]]) -> int:
    """The last place where a cut hurts no character, nor a link unless that is longer than most of the window."""
    last = len(window) - 1
    if spared and spared[-1][1] > last >= spared[-1][0] >= last // 8:
        last = spared[-1][0]
    for at in range(last, max(0, last - LONGEST_CHARACTER), -1):
        if not _joined(window, at):
            return at
    return last


def _joined(text: str, at: int) -> bool:
    """Whether the characters around `at` are seen as one. Fewer rules than Unicode's, and never fewer joins that matter."""
    before, after = text[at - 1], text[at]
    if before.isascii() and after.isascii():
        return before == "\r" and after == "\n"
    if before == "\u200d" or after == "\u200d" or unicodedata.category(after) in ("Mn", "Mc", "Me"):
        return True
    if "\U0001f3fb" <= after <= "\U0001f3ff" or "\U000e0020" <= after <= "\U000e007f":
        return True  # skin tones, and the tags of regional flags
    if "\ud800" <= before <= "\udbff" and "\udc00" <= after <= "\udfff":
        return True
    if "\u1160" <= after <= "\u11ff":
        return True  # Hangul vowels and finals in their single letters
    if "\U0001f1e6" <= before <= "\U0001f1ff" and "\U0001f1e6" <= after <= "\U0001f1ff":
        run = at
        while run and "\U0001f1e6" <= text[run - 1] <= "\U0001f1ff":
            run -= 1
        return (at - run) % 2 == 1  # flags are pairs
    return False


# --- fences and tables -------------------------------------------------------------------------------------------------


def _closes(fence: str, line: str) -> bool:
    mark = line.strip()
    return len(mark) >= 3 and not mark.strip(fence[0]) and len(mark) >= len(_mark(fence))


def _mark(fence: str) -> str:
    return fence[: len(fence) - len(fence.lstrip(fence[0]))]


def _open_fence(text: str) -> str:
    if "```" not in text and "~~~" not in text:
        return ""
    fence = ""
    for line in text.split("\n"):
        fence = fence_after(fence, line)
    return fence


def _closing(text: str) -> str:
    fence = _open_fence(text)
    return "\n" + _mark(fence) if fence else ""


def _reopening(fence: str, room: int) -> str:
    if not fence:
        return ""
    return (fence if len(fence) < room else _mark(fence)) + "\n"


def _header(lines: list[str], room: int) -> str:
    header = "\n".join(lines) + "\n"
    return header if len(header) <= room else ""


def _is_row(line: str) -> bool:
    return line.lstrip(" \t").startswith("|")


def _is_delimiter(line: str) -> bool:
    return "-" in line and "|" in line and _DELIMITER.match(line) is not None


def _starts_table(lines: list[str], number: int) -> bool:
    return (
        _is_row(lines[number])
        and number + 1 < len(lines)
        and _is_row(lines[number + 1])
        and _is_delimiter(lines[number + 1])
    )
