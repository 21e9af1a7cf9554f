"""Cutting a long text into parts that are answered one by one. Pure."""

from __future__ import annotations

import re

# Where to cut, best first: before a mark or a heading, between paragraphs, lines, sentences, words.
_BORDERS = (
    re.compile(r"\n(?=\[(?:page|sheet|slide) )"),
    re.compile(r"\n(?=#{1,3} )"),
    re.compile(r"\n[ \t]*\n"),
    re.compile(r"\n"),
    re.compile(r"(?<=[.!?])(?=\s)|(?<=[。！？；])"),
    re.compile(r"\s"),
)
_FULL = 0.5  # a part is at least so full: better a cut at a paragraph than one page of three lines


def parts(text: str, size: int) -> list[str]:
    """`text` in parts of at most `size` characters, cut at the best border of each. Only white space at the cuts is lost;
    no part is empty. Raises ValueError when `size` is no size."""
    if size < 1:
        raise ValueError(f"parts of {size} characters")
    found = []
    rest = text.strip()
    while len(rest) > size:
        cut = _cut(rest[: size + 1], size)
        found.append(rest[:cut].rstrip())
        rest = rest[cut:].lstrip()
    return [*found, rest] if rest else found


def _cut(window: str, size: int) -> int:
    """Where to cut `window`, which is one character longer than a part."""
    least = max(1, int(size * _FULL))
    for border in _BORDERS:
        places = [match.start() for match in border.finditer(window, least) if match.start() <= size]
        if places:
            return places[-1]
    return size
