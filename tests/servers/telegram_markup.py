"""Text with markup into text with entities: what parse_mode means, and what a user's client finds by itself.

A checker as strict as the Bot API's parsers, for HTML and MarkdownV2; legacy Markdown is refused like an unknown mode,
because nothing here should use it.
"""

from __future__ import annotations

import html
import re
from dataclasses import dataclass

from tests.servers.telegram_rules import Json, Refusal, bad, utf16

_TAGS = {
    "b": "bold",
    "strong": "bold",
    "i": "italic",
    "em": "italic",
    "u": "underline",
    "ins": "underline",
    "s": "strikethrough",
    "strike": "strikethrough",
    "del": "strikethrough",
    "tg-spoiler": "spoiler",
    "span": "spoiler",
    "a": "text_link",
    "code": "code",
    "pre": "pre",
    "blockquote": "blockquote",
    "tg-emoji": "custom_emoji",
}
_TOKEN = re.compile(r"<(/?)([A-Za-z][\w-]*)([^<>]*)>|(<)|&(?:#\d+|#x[0-9a-fA-F]+|lt|gt|amp|quot);|[^<&]+|&")
_ATTRIBUTE = re.compile(r"""([\w-]+)\s*(?:=\s*("[^"]*"|'[^']*'|[^\s"'>]+))?""")

_FOUND = re.compile(
    r"(?P<bot_command>(?<![\w/@])/[A-Za-z0-9_]{1,64}(?:@[A-Za-z0-9_]{3,32})?(?![\w/]))"
    r"|(?P<mention>(?<!\w)@[A-Za-z0-9_]{3,32})"
    r"|(?P<url>https?://[^\s<>]*[^\s<>.,!?)])"
    r"|(?P<hashtag>(?<![\w&#])#\w*[^\W\d]\w*)"
)


def found(text: str) -> tuple[Json, ...]:
    """Commands, mentions, links and hashtags, as Telegram finds them in what a user types."""
    return tuple(
        {"offset": utf16(text[: match.start()]), "length": utf16(match.group()), "type": str(match.lastgroup)}
        for match in _FOUND.finditer(text)
    )


def parse(text: str, mode: str) -> tuple[str, list[Json]]:
    """The bare text and its entities, or 400 as Telegram words it."""
    if mode.lower() == "html":
        return _parse_html(text)
    if mode.lower() == "markdownv2":
        return _parse_markdown_v2(text)
    raise Refusal(400, "Bad Request: unsupported parse_mode")


@dataclass(slots=True)
class _Open:
    """An entity whose end was not seen yet; `mark` is the tag's name or the Markdown sign."""

    mark: str
    kind: str
    offset: int
    at: int
    attributes: Json


def _entity(opened: _Open, end: int, extra: Json | None = None) -> Json:
    return {
        "type": opened.kind,
        "offset": opened.offset,
        "length": end - opened.offset,
        **opened.attributes,
        **(extra or {}),
    }


def _parse_html(text: str) -> tuple[str, list[Json]]:
    plain: list[str] = []
    length = 0
    stack: list[_Open] = []
    entities: list[Json] = []
    for token in _TOKEN.finditer(text):
        at = len(text[: token.start()].encode())
        slash, name = token[1], (token[2] or "").lower()
        if token[4]:
            bad(f"can't parse entities: Unclosed start tag at byte offset {at}")
        if name and not slash:
            stack.append(_html_start(name, token[3], length, at))
        elif name:
            if not stack:
                bad(f"can't parse entities: Unexpected end tag at byte offset {at}")
            opened = stack.pop()
            if opened.mark != name:
                want = f'expected "</{opened.mark}>", found "</{name}>"'
                bad(f"can't parse entities: Unmatched end tag at byte offset {at}, {want}")
            if length > opened.offset and not (opened.kind == "text_link" and not opened.attributes):
                entities.append(_entity(opened, length))
        else:
            piece = html.unescape(token[0])
            plain.append(piece)
            length += utf16(piece)
    if stack:
        bad(f"can't parse entities: Can't find end tag corresponding to start tag \"{stack[-1].mark}\"")
    return "".join(plain), _code_blocks(entities)


def _html_start(name: str, source: str, length: int, at: int) -> _Open:
    if name not in _TAGS:
        bad(f'can\'t parse entities: Unsupported start tag "{name}" at byte offset {at}')
    given = {key.lower(): html.unescape(value.strip("\"'")) for key, value in _ATTRIBUTE.findall(source)}
    kind, attributes = _TAGS[name], dict[str, str]()
    match name:
        case "span" if given.get("class") != "tg-spoiler":
            bad(f'can\'t parse entities: Tag "span" must have class "tg-spoiler" at byte offset {at}')
        case "a" if given.get("href"):
            attributes["url"] = given["href"]
        case "code" if given.get("class", "").startswith("language-"):
            attributes["language"] = given["class"].removeprefix("language-")
        case "tg-emoji":
            attributes["custom_emoji_id"] = given.get("emoji-id", "")
        case "blockquote" if "expandable" in given:
            kind = "expandable_blockquote"
        case _:
            pass
    return _Open(name, kind, length, at, attributes)


def _code_blocks(entities: list[Json]) -> list[Json]:
    """<pre><code class=language-x> is one entity with a language; <code> alone has none."""
    spans = {(e["offset"], e["length"]): e for e in entities if e["type"] == "pre"}
    kept = []
    for entity in entities:
        if entity["type"] == "code" and (outer := spans.get((entity["offset"], entity["length"]))):
            if "language" in entity:
                outer["language"] = entity["language"]
            continue
        if entity["type"] == "code":
            entity.pop("language", None)
        kept.append(entity)
    return kept


_RESERVED = set("_*[]()~`>#+-=|{}.!")
_SIGNS = {
    "*": ("bold", "Bold"),
    "_": ("italic", "Italic"),
    "__": ("underline", "Underline"),
    "~": ("strikethrough", "Strikethrough"),
    "||": ("spoiler", "Spoiler"),
    "[": ("text_link", "TextUrl"),
}


def _parse_markdown_v2(text: str) -> tuple[str, list[Json]]:
    plain: list[str] = []
    length = 0
    stack: list[_Open] = []
    entities: list[Json] = []
    quote: int | None = None
    index = 0
    while index < len(text):
        line_start = index == 0 or text[index - 1] == "\n"
        char = text[index]
        if line_start and (char == ">" or text.startswith("**>", index)):
            quote = length if quote is None else quote
            index += 1 if char == ">" else 3
            continue
        if line_start and quote is not None:
            entities.append({"type": "blockquote", "offset": quote, "length": length - quote})
            quote = None
        if char == "\\" and index + 1 < len(text) and ord(text[index + 1]) < 127:
            piece, index = text[index + 1], index + 2
        elif char == "`":
            piece, entity, index = _code(text, index, length)
            entities.append(entity)
        elif sign := _sign(text, index, stack):
            index = _turn(text, index, sign, stack, entities, length)
            continue
        elif char in _RESERVED:
            bad(f"can't parse entities: Character '{char}' is reserved and must be escaped with the preceding '\\'")
        else:
            piece, index = char, index + 1
        plain.append(piece)
        length += utf16(piece)
    if stack:
        _unfinished(_SIGNS[stack[-1].mark][1], stack[-1].at)
    if quote is not None:
        entities.append({"type": "blockquote", "offset": quote, "length": length - quote})
    return "".join(plain), [entity for entity in entities if entity["length"]]


def _unfinished(name: str, at: int) -> None:
    bad(f"can't parse entities: Can't find end of {name} entity at byte offset {at}")


def _sign(text: str, index: int, stack: list[_Open]) -> str:
    """The sign that begins or ends an entity here; '' where the character is only itself."""
    if text[index] == "]":
        return "]" if any(opened.mark == "[" for opened in stack) else ""
    for sign in ("__", "||", "*", "_", "~", "["):
        if text.startswith(sign, index):
            return sign
    return ""


def _turn(text: str, index: int, sign: str, stack: list[_Open], entities: list[Json], length: int) -> int:
    """Opens or closes an entity; returns where reading goes on."""
    at = len(text[:index].encode())
    mark = "[" if sign == "]" else sign
    if sign != "[" and stack and stack[-1].mark == mark:
        opened = stack.pop()
        if sign != "]":
            entities.append(_entity(opened, length))
            return index + len(sign)
        link = re.compile(r"\]\(((?:\\.|[^)\\])*)\)").match(text, index)
        if link is None:
            _unfinished("a URL", at)
            return index
        url = re.sub(r"\\(.)", r"\1", link[1])
        if url:
            entities.append(_entity(opened, length, {"url": url}))
        return link.end()
    if any(opened.mark == mark for opened in stack):
        _unfinished(_SIGNS[stack[-1].mark][1], stack[-1].at)
    stack.append(_Open(mark, _SIGNS[mark][0], length, at, {}))
    return index + len(sign)


def _code(text: str, index: int, length: int) -> tuple[str, Json, int]:
    """`code` or a ```block``` that begins at `index`: its text, its entity, and where it ends."""
    fence = "```" if text.startswith("```", index) else "`"
    end = re.compile(rf"((?:\\.|[^`\\]{'|`(?!``)' if fence == '```' else ''})*){fence}", re.S).match(
        text, index + len(fence)
    )
    if end is None:
        _unfinished("Pre" if fence == "```" else "Code", len(text[:index].encode()))
        return "", {}, index
    body, kind, extra = end[1], "code", dict[str, str]()
    if fence == "```":
        kind = "pre"
        head, newline, rest = body.partition("\n")
        if newline and re.fullmatch(r"\S*", head):
            body, extra = rest, {"language": head} if head else {}
    body = re.sub(r"\\(.)", r"\1", body, flags=re.S)
    return body, {"type": kind, "offset": length, "length": utf16(body), **extra}, end.end()
