"""Reading a web page, as a tool: fetched by the rules for foreign addresses, shown as text, part by part."""

from __future__ import annotations

import asyncio
import re
from typing import Annotated

from bot.foreign import BadLink, Fetched, Rules, fetch
from bot.tools.html import readable
from bot.tools.registry import ToolError
from bot.tools.results import framed

RULES = Rules(
    limit=2_000_000,
    seconds=15.0,
    schemes=("https", "http"),
    types=(
        "text/*",
        "application/xhtml+xml",
        "application/json",
        "application/ld+json",
        "application/xml",
        "application/rss+xml",
        "application/atom+xml",
    ),
)
PART = 15_000  # characters; with its frame a part is one result
_HTML = ("text/html", "application/xhtml+xml")
_META = re.compile(rb"<meta[^>]{0,200}charset\s*=\s*[\"']?([\w-]{1,40})", re.IGNORECASE)
_MARKS = ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"))
# Charsets of the web. Python knows others, some of which take ages (idna) or are none (base64).
_CHARSET = re.compile(
    r"utf-?8|utf-16(le|be)?|us-ascii|gb-?(k|2312|18030)|big5(-hkscs)?|euc-(jp|kr)|shift[-_]jis|iso-2022-jp|"
    r"iso-8859-\d+|windows-\d+|koi8-[ru]"
)


class Pages:
    """The tool `read_web_page`. Rules other than `RULES` are for fake-IP proxies and for tests."""

    def __init__(self, rules: Rules = RULES) -> None:
        self._rules = rules

    async def read_web_page(
        self,
        url: Annotated[str, "the whole address, https:// included"],
        part: Annotated[int, "long pages come in parts: which one"] = 1,
    ) -> str:
        """Reads a web page, or a text, JSON or feed behind an address, with its headings and links. It cannot log in,
        press buttons or fill in forms."""
        link = url.strip()
        try:
            fetched = await fetch(link if "://" in link else f"https://{link}", self._rules)
        except BadLink as error:
            again = " Once more may help." if error.again else " Trying again will not help."
            raise ToolError(f"this page cannot be read: {error.reason[:200]!r}.{again}") from error
        text = await asyncio.to_thread(_text, fetched)  # a large page takes a quarter of a second
        parts = [text[at : at + PART] for at in range(0, len(text), PART)] or ["(The page has no text.)"]
        if not 1 <= part <= len(parts):
            raise ToolError(f"this page has {len(parts)} part{'s' if len(parts) > 1 else ''}")
        which = f", part {part} of {len(parts)}" if len(parts) > 1 else ""
        return framed(f"a web page, {fetched.url[:300]}{which}", parts[part - 1])


def _text(fetched: Fetched) -> str:
    text = decoded(fetched.data, fetched.charset)
    if fetched.mime not in _HTML:
        return text
    return readable(text, fetched.url)


def decoded(data: bytes, charset: str) -> str:
    """By the charset of the server's header, of the text's first bytes, of its <meta>, or else the first that fits."""
    meta = _META.search(data, 0, 4_096)
    for mark, name in _MARKS:
        if data.startswith(mark):
            return data.decode(name, "replace")
    for name in (charset, meta[1].decode() if meta else ""):
        if _CHARSET.fullmatch(name.lower()):
            wide = {"gbk": "gb18030", "gb2312": "gb18030", "iso-8859-1": "windows-1252"}
            try:
                return data.decode(wide.get(name.lower(), name), "replace")
            except LookupError:  # a number that is no charset
                continue
    for name in ("utf-8", "gb18030"):
        try:
            return data.decode(name)
        except UnicodeDecodeError:
            continue
    return data.decode("windows-1252", "replace")
