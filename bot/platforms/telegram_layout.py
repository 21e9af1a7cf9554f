"""Markdown as Telegram shows it: plain text with entities, in messages of at most 4096 UTF-16 units. Pure.

The source is cut first (`bot.text.split`, prefix-stable), then each part is rendered by itself, so that more text at the
end changes no message but the last. Rendering is telegramify-markdown's, with what it gets wrong put right around it;
whatever fails shows its source as plain text. Entities are the one way of formatting that Telegram never refuses to parse.
"""

from __future__ import annotations

import json
import logging
import re
from bisect import bisect_left
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import urlsplit

from telegramify_markdown import MessageEntity, RenderConfig, convert

from bot.messages import Piece
from bot.platforms.telegram_text import narrowed, units, widened
from bot.text import abridged, cells, columns, split, tables, well_formed

LIMIT = 4096  # UTF-16 units in a text, after parsing
CAPTION = 1024  # the same under a picture
MAX_ENTITIES = 100  # Telegram drops further ones without a word
THOUGHTS = 2500  # UTF-16 units of a text that thoughts may take

_CLOSING = 8  # characters that `split` keeps for a closing fence, which takes no room once it is rendered
_SPLIT = LIMIT + _CLOSING
_DECIDED = 16  # what is counted for entities must end so far before the place where the length alone would cut
_ENOUGH = 2 * MAX_ENTITIES - 10  # half-entities (opening or closing marks) after which a message is full

# Telegram makes spaces of control characters and drops line separators and direction overrides; offsets would shift.
_CONTROL = re.compile("[\x01-\x08\x0b\x0c\x0e-\x1f]")
_DROPPED = re.compile("[\u2028-\u202e]")
_SPACE = re.compile(r"\n[ \t]*(?:\n[ \t]*)+")  # between paragraphs
_BLANK = re.compile("[\\s\u200b-\u200f\u2060\u2800\ufeff\u3164]*")

# Stand-ins while the Markdown is parsed, so that these characters stay text. Noncharacters, one UTF-16 unit each.
_LESS, _BRACKET = "\ufdd0", "\ufdd1"
_SECOND = "\ufdd2"  # the second column that a letter takes in a table
_RESERVED = re.compile(f"[{_LESS}{_BRACKET}{_SECOND}]")
_TAG = re.compile(r"<(?!https?://[^\s<>]*>)")
_DEFINITION = re.compile(r"^([ \t>]*)\[(?=[^\[\]\n]+\]:)", re.MULTILINE)

_MARKUP = re.compile(r"[\\`*_~|<\[#$&]|^[ \t]*(?:[-+=>]|\d{1,9}[.)])|^(?:\t| {2})", re.MULTILINE)
_BOLD = re.compile(r"(\*{2,3})(?![\s*])([^*\n]+)(?<!\s)\1")
_HALF = re.compile(
    r"^[ \t]*(?P<fence>`{3,}|~{3,})[^\n]*\n(?s:.*?)(?:^[ \t]*(?P=fence)|\Z)|`[^`\n]+`|\]\(|^[ \t]*#{1,6} |^[ \t]*>"
    r"|(?P<half>\*+(?! )|(?<!\w)_+|_+(?!\w)|~~|\|\||\$)",
    re.MULTILINE,
)
_KINDS = frozenset(
    ["bold", "italic", "strikethrough", "spoiler", "code", "pre", "blockquote", "expandable_blockquote", "text_link"]
)  # no underline: headings are bold, and that is enough
_VERBATIM = frozenset({"code", "pre"})

_log = logging.getLogger(__name__)


def layout(markdown: str, thoughts: str = "", thinking: bool = False) -> tuple[Piece, ...]:
    """The messages that show this Markdown; see `Platform.layout`."""
    above = _thoughts(thoughts) if thoughts else ""
    room = LIMIT - units(above)
    first, *rest = _sources(_clean(markdown), room)
    pieces = [_under(above, _render(first, room), thinking), *map(_render, rest)]
    return tuple(piece for piece in pieces if piece is not None) or (Piece("…"),)


def plain(piece: Piece) -> Piece:
    """The same message without its formatting."""
    return Piece(piece.body, "", piece.media, piece.buttons)


def caption(piece: Piece) -> tuple[str, str]:
    """Text and entities as they fit under a picture; what is too long ends in an ellipsis."""
    if piece.media is not None and not piece.media.caption.strip():
        return "", ""
    if units(piece.body) <= CAPTION:
        return piece.body, piece.marks
    body = narrowed(widened(piece.body)[: CAPTION - 1]) + "…"
    inside = [entity for found in _entities(piece) if (entity := _within(found, 0, CAPTION)) is not None]
    return body, _marks(inside)


# --- thoughts ----------------------------------------------------------------------------------------------------------


@lru_cache(maxsize=64)  # they are the same all the time while the answer below them grows
def _thoughts(said: str) -> str:
    """What is quoted above an answer, with the line's end after it; "" where nothing is to be seen."""
    text = _SPACE.sub("\n\n", _clean(said)).strip()
    return "" if _BLANK.fullmatch(text) else abridged(f"💭 {text}", THOUGHTS - 1, units) + "\n"


def _under(above: str, piece: Piece | None, thinking: bool) -> Piece | None:
    """The first message with the thoughts above it: folded, or as they come."""
    if not above:
        return piece
    kind = "blockquote" if thinking else "expandable_blockquote"
    quote, shift = MessageEntity(kind, 0, units(above) - 1), units(above)
    if piece is None:
        return Piece(above.rstrip("\n"), _marks([quote]))
    below = [entity.copy_with(offset=entity.offset + shift) for entity in _entities(piece)]
    return Piece(above + piece.body, _marks([quote, *below][:MAX_ENTITIES]))


# --- cutting -----------------------------------------------------------------------------------------------------------


def _clean(markdown: str) -> str:
    """What Telegram would change by itself, changed before offsets are counted."""
    text = _RESERVED.sub("\ufffd", _DROPPED.sub("", _CONTROL.sub(" ", well_formed(markdown))))
    return re.sub(r"\A(?:[ \t]*\n)+", "", text)


@dataclass(frozen=True, slots=True)
class _Source:
    """The Markdown of one message, and the same without the closing fence that a cut may have added."""

    markdown: str
    bare: str


def _sources(text: str, room: int) -> list[_Source]:
    """The Markdown message by message, the first in `room` units. Where one ends depends on the first `_SPLIT` characters of
    the rest alone."""
    sources: list[_Source] = []
    rest, opening = widened(text), ""
    while True:
        window = opening + rest[: _SPLIT + 2]
        fragments = split(window, _limit(window, LIMIT if sources else room))
        first = fragments[0]
        cut = len(first.body) - len(opening)
        if cut <= 0 and len(fragments) > 1:
            opening = ""  # the opening took all the room: go on without it
            continue
        sources.append(_Source(narrowed(str(first)), narrowed(first.body)))
        if len(fragments) == 1:
            return sources
        rest, opening = rest[cut:], fragments[1].opening


def _limit(window: str, room: int) -> int:
    """The length at which a message is cut: its room, or less where its entities would become too many. Whole lines
    only, since a mark at the very end may still become another."""
    certain = window[: room - _DECIDED]
    halves = 0
    for found in _HALF.finditer(certain[: certain.rfind("\n") + 1]):
        halves += len(found["half"]) // 3 + 1 if found["half"] else 2
        if halves >= _ENOUGH:
            return found.end()
    return room + _CLOSING


# --- rendering ---------------------------------------------------------------------------------------------------------


def _configured() -> RenderConfig:
    config = RenderConfig.isolated()
    symbol = config.markdown_symbol
    for level in range(1, 7):
        setattr(symbol, f"heading_level_{level}", "")
    symbol.unordered_list_item = "•"
    symbol.horizontal_rule = "———"  # no longer than its source
    return config


_CONFIG = _configured()


@lru_cache(maxsize=128)  # a growing answer is laid out again and again, and only its last message changes
def _render(source: _Source, room: int = LIMIT) -> Piece | None:
    """One message in `room` units; None if nothing can be seen of it."""
    too_wide = cells(source.bare) > LIMIT  # so many fit no message once they are drawn, which takes seconds
    if too_wide or not _MARKUP.search(source.bare):
        return _as_text(source.bare)
    try:
        text, entities = _narrowed(*convert(_prepared(source.markdown), config=_CONFIG))
        piece = _finished(_restored(text), entities)
    except Exception as error:  # noqa: BLE001 -- whatever a library of parsers stumbles over, the text is shown
        _log.warning("could not render Markdown: %s", type(error).__name__)
        piece = None
    return piece if piece is not None and units(piece.body) <= room else _as_text(source.bare)


def _as_text(text: str) -> Piece | None:
    body = text.strip(" \n\t")
    return None if _BLANK.fullmatch(body) else Piece(body)


def _prepared(markdown: str) -> str:
    """The Markdown with what CommonMark would lose or misread put out of its way: HTML tags and link definitions stay
    text, and bold text with its punctuation inside is bold also next to Chinese."""
    text = _TAG.sub(_LESS, markdown) if "<" in markdown else markdown
    if "]:" in text:
        text = _DEFINITION.sub(rf"\1{_BRACKET}", text)
    if "**" in text and not text.isascii():
        text = _BOLD.sub(_spaced, text)
    return _widened_tables(text) if "|" in text and not text.isascii() else text


def _widened_tables(text: str) -> str:
    """The converter pads cells by characters, but fixed-width fonts give East Asian ones two columns: each is two characters
    until the cells are padded."""
    lines = text.split("\n")
    for start, end in tables(lines):
        for at in range(start, end):
            lines[at] = "".join(one + _SECOND if columns(one) > 1 else one for one in lines[at])
    return "\n".join(lines)


def _narrowed(text: str, entities: list[MessageEntity]) -> tuple[str, list[MessageEntity]]:
    """The same without the second columns."""
    if _SECOND not in text:
        return text, entities
    seconds = [at for at, unit in enumerate(widened(text)) if unit == _SECOND]
    moved: list[MessageEntity] = []
    for entity in entities:
        first, last = (at - bisect_left(seconds, at) for at in (entity.offset, entity.offset + entity.length))
        moved.append(entity.copy_with(offset=first, length=last - first))
    return text.replace(_SECOND, ""), moved


def _spaced(bold: re.Match[str]) -> str:
    """`**重点：**这是` closes nothing in CommonMark: a hair space beside the mark makes it close, and open likewise."""
    before = bold.string[bold.start() - 1 : bold.start()]
    after = bold.string[bold.end() : bold.end() + 1]
    opens = "\u200a" if before.isalnum() and not bold[2][0].isalnum() else ""
    closes = "\u200a" if after.isalnum() and not bold[2][-1].isalnum() else ""
    return opens + bold[0] + closes


def _restored(text: str) -> str:
    return text.replace(_LESS, "<").replace(_BRACKET, "[").replace(_SECOND, "")


def _finished(text: str, entities: list[MessageEntity]) -> Piece | None:
    """Trimmed as Telegram would, with entities that it takes as they are."""
    wide = widened(text)
    kept = [entity for entity in entities if entity.type in _KINDS and _shows(entity, wide) and _allowed(entity)]
    total = len(wide.rstrip(" \n\t"))
    lead = min([len(wide) - len(wide.lstrip(" \n\t")), *(entity.offset for entity in kept)])
    inside = [entity for found in kept if (entity := _within(found, lead, total)) is not None]
    wide = wide[lead:total]
    body = narrowed(wide)
    nested = [entity for entity in _nested(inside) if _shows(entity, wide)]
    return None if _BLANK.fullmatch(body) else Piece(body, _marks(nested[:MAX_ENTITIES]))


def _shows(entity: MessageEntity, wide: str) -> bool:
    """Telegram drops a format of nothing but white space."""
    return bool(wide[entity.offset : entity.offset + entity.length].strip())


def _allowed(entity: MessageEntity) -> bool:
    return entity.type != "text_link" or _is_link(_restored(entity.url or ""))


def _is_link(url: str) -> bool:
    """http(s) with a dotted host, or mailto:. Telegram takes tg: as well, which calls a person (tg://user?id=) or acts in the
    app: a model has no business with either."""
    if not url.isprintable() or re.search(r"\s", url):
        return False
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError:
        return False
    return parts.scheme == "mailto" or (parts.scheme in ("http", "https") and "." in host.strip("."))


def _within(entity: MessageEntity, start: int, end: int) -> MessageEntity | None:
    """The part of the entity between two offsets, counted from the first."""
    first, last = max(entity.offset, start), min(entity.offset + entity.length, end)
    return entity.copy_with(offset=first - start, length=last - first) if first < last else None


def _nested(entities: list[MessageEntity]) -> list[MessageEntity]:
    """Entities that cross are cut at the border of the outer one; nothing lies inside code."""
    waiting = sorted(entities, key=lambda one: (one.offset, -one.length), reverse=True)
    done: list[MessageEntity] = []
    around: list[MessageEntity] = []
    while waiting:
        entity = waiting.pop()
        end = entity.offset + entity.length
        while around and around[-1].offset + around[-1].length <= entity.offset:
            around.pop()
        if around and (border := around[-1].offset + around[-1].length) < end:
            rest = entity.copy_with(offset=border, length=end - border)
            waiting.append(rest)
            waiting.sort(key=lambda one: (one.offset, -one.length), reverse=True)
            entity = entity.copy_with(length=border - entity.offset)
        if any(one.type in _VERBATIM or one.type == entity.type for one in around):
            continue
        around.append(entity)
        done.append(entity)
    return sorted(done, key=lambda one: (one.offset, -one.length))


def _entities(piece: Piece) -> list[MessageEntity]:
    return [MessageEntity(**one) for one in json.loads(piece.marks)] if piece.marks else []


def _marks(entities: list[MessageEntity]) -> str:
    return _restored(json.dumps([entity.to_dict() for entity in entities], ensure_ascii=False)) if entities else ""
