"""HTML as text for a model: headings, lists, tables and links kept, what people do not see left out. No fetching here."""

from __future__ import annotations

import re
from itertools import islice
from typing import Any
from urllib.parse import urljoin

MOST_TEXT = 150_000  # characters of one page
MOST_ELEMENTS = 50_000  # of one page: what comes after them is not looked at
_SPACE = re.compile(r"\s+")
_SKIPPED = frozenset(
    """head script style noscript template svg math iframe object embed canvas audio video nav footer aside dialog select button
    input textarea""".split()  # noqa: SIM905 - a list of words is read as one
)
_BLOCKS = frozenset(
    """address article blockquote body caption dd details div dl dt fieldset figcaption figure form h1 h2 h3 h4 h5 h6 header hr
    li main ol p pre section summary table tbody tfoot thead tr ul""".split()  # noqa: SIM905 - likewise
)
_HEADINGS = {f"h{level}": "\n" + "#" * level + " " for level in range(1, 7)}
_ENOUGH = 200  # characters: with fewer a <main> or <article> is not what the page is about


def readable(html: str, base: str) -> str:
    """The title and what can be read; `base` is the page's address, to which its links are relative. Slow for large pages (0.1
    s for a megabyte): for a thread."""
    from lxml import etree  # type: ignore[import-untyped]  # it has no types; 15 ms, which only a page's reader pays

    # Bytes, since texts that declare an encoding are refused. Its parser bounds depth and entities by itself.
    parser = etree.HTMLParser(encoding="utf-8", remove_comments=True, remove_pis=True)
    page = etree.fromstring(html.encode("utf-8", "replace"), parser) if html.strip() else None
    if page is None:
        return ""
    title = _SPACE.sub(" ", page.findtext(".//title") or "").strip()
    about = page.xpath("string(//meta[@name='description' or @property='og:description']/@content)")
    writer = _Writer(base)
    walk = etree.iterwalk(_body(page), events=("start", "end"))
    for event, element in islice(walk, 2 * MOST_ELEMENTS):
        if event == "end":
            writer.end(element)
        elif _hidden(element):
            walk.skip_subtree()
            writer.skipped = element
        else:
            writer.start(element)
        if writer.full:
            break
    text = writer.text() or f"(No text without its scripts.) {_SPACE.sub(' ', str(about))}".strip()
    return f"Title: {title[:300]}\n\n{text}" if title else text


def _body(page: Any) -> Any:
    """Where the page's own text is: <main> or <article> if there is something in it."""
    for tag in ("main", "article"):
        for found in page.iter(tag):
            if len("".join(found.itertext()).strip()) >= _ENOUGH:
                return found
    body = page.find("body")
    return page if body is None else body


def _hidden(element: Any) -> bool:
    """What nobody sees is not read, either: it is a place to hide what only models are to read."""
    style = element.get("style", "").replace(" ", "").lower()
    return (
        element.tag in _SKIPPED
        or element.get("hidden") is not None
        or element.get("aria-hidden") == "true"
        or "display:none" in style
        or "visibility:hidden" in style
    )


class _Writer:
    """Lines of text from elements that begin and end. `skipped` is one whose end comes without a beginning."""

    def __init__(self, base: str) -> None:
        self.skipped: Any = None
        self._base = base
        self._lines: list[str] = []
        self._size = 0
        self._line: list[str] = []
        self._prefix = ""
        self._link: tuple[Any, int] | None = None  # the link that is open, and where in the line it began
        self._pre = 0

    @property
    def full(self) -> bool:
        return self._size > MOST_TEXT

    def text(self) -> str:
        self._link = None
        self._break()
        return "\n".join(self._lines).strip()[:MOST_TEXT]

    def start(self, element: Any) -> None:
        tag = element.tag
        if tag in _BLOCKS:
            self._break()
            self._prefix = _HEADINGS.get(tag, "- " if tag == "li" else self._prefix)
        elif tag == "br":
            self._line.append("\n")
        elif tag == "img" and element.get("alt", "").strip():
            self._line.append(f"[picture: {_SPACE.sub(' ', element.get('alt')).strip()[:200]}]")
        elif tag == "a" and element.get("href") and self._link is None:
            self._link = (element, len(self._line))
        self._pre += tag == "pre"
        self._write(element.text)

    def end(self, element: Any) -> None:
        tag = element.tag
        if element is self.skipped:
            self.skipped = None
        elif tag in _BLOCKS:
            self._break()
            self._prefix = ""
            self._pre -= tag == "pre"
        elif tag in ("td", "th"):
            self._line.append(" | ")
        elif self._link is not None and self._link[0] is element:
            self._close_link(self._link[1], element.get("href").strip())
        self._write(element.tail)

    def _write(self, text: str | None) -> None:
        if text:
            self._line.append(text if self._pre else _SPACE.sub(" ", text))

    def _close_link(self, begin: int, href: str) -> None:
        """What was written since the link began becomes the link, if it leads to another page."""
        self._link = None
        written = _SPACE.sub(" ", "".join(self._line[begin:]))
        text = written.strip()
        if not text or href.startswith("#"):
            return
        try:
            address = urljoin(self._base, href)
        except ValueError:
            return
        if address.startswith(("http://", "https://")) and len(address) <= 500:
            self._line[begin:] = [f"[{text}]({address})", " " * written.endswith(" ")]

    def _break(self) -> None:
        if self._link is not None:  # a card: blocks inside a link stay on its line
            self._line.append(" ")
            return
        text = "".join(self._line)
        if not self._pre:
            text = re.sub(r" *\n *", "\n", re.sub(r" {2,}", " ", text)).strip().removesuffix(" |")
        if text.strip():
            self._lines.append(self._prefix + text)
            self._size += len(self._lines[-1]) + 1
            self._prefix = ""
        self._line.clear()
