"""Markdown as Discord shows it, in messages of at most 2,000 characters. Pure.

Discord knows neither tables nor headings below the third level, nor fences other than three backticks. Each piece is
rendered from its own part of the text alone, which keeps `layout` as prefix-stable as `bot.text.split` is.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache

from bot.messages import Piece
from bot.text import abridged, columns, fence_after, split, tables, well_formed

LIMIT = 2000  # code points, as Discord's API counts them
WIDEST = 56  # columns of a code block that a desktop shows without wrapping; phones show about 40
NOTHING = "…"  # Discord refuses an empty message
THOUGHTS = 1200  # characters of a message that thoughts may take, marks included
SUBTEXT = "-# "

_HEADING = re.compile(r"( {0,3})#{4,6}(?= )")
_PICTURE = re.compile(r"!(?=\[[^\]\n]+\]\()")
_CELL = re.compile(r"(?<!\\)\|")
_SPECIAL = re.compile(r"[\\`*_~|<>@#:\[\]-]")  # formats, mentions, links, emoji
_MARKUP = re.compile(r"\*\*|__|`|(?<!\w)\*(?=\w)|(?<=\w)\*(?!\w)")


def layout(markdown: str, thoughts: str = "") -> tuple[Piece, ...]:
    """At least one piece, each fit to be sent."""
    text, above = well_formed(markdown).lstrip(), subtext(thoughts) if thoughts else ""
    room = LIMIT - len(above)
    first, *rest = [str(fragment) for fragment in split(text, LIMIT, room)]
    bodies = [above + render(first, room), *map(render, rest)]
    return tuple(Piece(body.rstrip()) for body in bodies if body.strip()) or (Piece(NOTHING),)


@lru_cache(maxsize=64)  # they are the same all the time while the answer below them grows
def subtext(thoughts: str) -> str:
    """The lines above an answer: small and grey, and nothing in them formats, mentions or links. "" where nothing is said."""
    lines = [line.strip() for line in well_formed(thoughts).split("\n")]
    said = "\n".join(line for line in lines if line)
    if not said:
        return ""
    room = THOUGHTS - len(SUBTEXT) - 3
    shown = _SPECIAL.sub(r"\\\g<0>", abridged(said, room, _cost)).replace("\n", f"\n{SUBTEXT}")
    return f"{SUBTEXT}💭 {shown}\n"


def _cost(character: str) -> int:
    """What it takes in subtext."""
    return 1 + len(SUBTEXT) if character == "\n" else 2 if _SPECIAL.match(character) else 1


def render(text: str, limit: int = LIMIT) -> str:
    """One message's Markdown, of at most `limit` characters, for Discord, and no longer than that."""
    if "|" not in text:
        rendered = "\n".join(_lines(text.split("\n")))
        return rendered if len(rendered) <= limit else text
    lines = text.split("\n")
    size = len(text)
    blocks: list[list[str]] = []
    done = 0
    for start, end in tables(lines):
        table, spare = lines[start:end], limit - size
        shown = next(form for form in _forms(table) if _size(form) - _size(table) <= spare)
        size += _size(shown) - _size(table)
        blocks += [list(_lines(lines[done:start])), shown]
        done = end
    blocks.append(list(_lines(lines[done:])))
    rendered = "\n".join(line for block in blocks for line in block)
    return rendered if len(rendered) <= limit else text


def _size(lines: list[str]) -> int:
    return sum(map(len, lines)) + len(lines)


def _lines(lines: list[str]) -> Iterator[str]:
    """Everything but tables. Grows only where code in a longer fence has three backticks of its own."""
    fence = ""
    for line in lines:
        before, fence = fence, fence_after(fence, line)
        if before and fence:
            yield line.replace("```", "`\u200b``") if before[:3] != "```" or before[:4] == "````" else line
        elif before or fence:
            yield "```" + fence.lstrip("`~")
        else:
            line = _HEADING.sub(r"\1###", line) if "####" in line else line
            yield _PICTURE.sub("", line) if "![" in line else line


# --- tables ------------------------------------------------------------------------------------------------------------


def _forms(table: list[str]) -> Iterator[list[str]]:
    """A table's ways to be shown, best first; the last is no longer than its source."""
    header, *rows = [_cells(line) for line in (table[0], *table[2:])]
    if not any("](" in line or "://" in line for line in table):
        aligned = _aligned([[_MARKUP.sub("", cell) for cell in row] for row in (header, *rows)])
        if max(map(columns, aligned)) <= WIDEST:
            yield ["```", *aligned, "```"]
    if rows:
        yield [_labelled(header, row) for row in rows]
    yield table


def _cells(line: str) -> list[str]:
    inner = line.strip().removeprefix("|")
    inner = inner[:-1] if inner.endswith("|") and not inner.endswith("\\|") else inner
    return [cell.strip().replace("\\|", "|") for cell in _CELL.split(inner)]


def _aligned(rows: list[list[str]]) -> list[str]:
    count = max(map(len, rows))
    rows = [row + [""] * (count - len(row)) for row in rows]
    widths = [max(columns(row[place]) for row in rows) for place in range(count)]
    lines = [
        "  ".join(cell + " " * (width - columns(cell)) for cell, width in zip(row, widths, strict=True)) for row in rows
    ]
    return [
        lines[0].rstrip(),
        "  ".join("─" * max(width, 1) for width in widths),
        *(line.rstrip() for line in lines[1:]),
    ]


def _labelled(header: list[str], row: list[str]) -> str:
    """`- **first** · head: cell · head: cell`, for tables too wide to stand in columns."""
    names = header + [""] * len(row)
    rest = [f"{name}: {cell}" if name else cell for name, cell in zip(names[1:], row[1:], strict=False) if cell]
    first = f"**{row[0]}**" if row[0] and "**" not in row[0] else row[0]
    return "- " + " · ".join([first, *rest] if first else rest)
