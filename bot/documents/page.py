"""HTML: the text that a reader of the page would see, with headings, lists, tables and links. Runs in the child."""

from __future__ import annotations

import re

from lxml import etree, html  # type: ignore[import-untyped]  # it has no types

from bot.documents.document import Unopened
from bot.documents.gathering import Gathering
from bot.documents.plain import decode
from bot.phrases import documents as phrases


def _words(names: str) -> frozenset[str]:
    return frozenset(names.split())


_CHARSET = re.compile(rb"<meta[^>]+charset\s*=\s*[\"']?\s*([\w.:-]+)", re.IGNORECASE)
_HEAD = 2048  # bytes in which it is looked for; browsers look into 1024, and many pages have it a little later
_UNSEEN = _words("head script style noscript template svg iframe object embed canvas audio video select datalist")
_PARAGRAPHS = _words("p div section article main header footer aside nav blockquote pre ul ol dl form figure")
_LINES = _words("dt dd tr hr figcaption caption address summary details legend fieldset")
_HEADINGS = {f"h{level}": "#" * level + " " for level in range(1, 7)}
_SPACE = re.compile(r"[ \t\r\n\f\u00a0]+")
_LINKS = ("http://", "https://", "mailto:", "tel:")


def read(data: bytes, into: Gathering) -> None:
    # HTML declares no entities, so what `huge_tree` allows is depth alone: without it a page ends in silence at level 256.
    parser = html.HTMLParser(encoding="utf-8", no_network=True, huge_tree=True, remove_comments=True, remove_pis=True)
    try:
        root = html.document_fromstring(_decoded(data).encode("utf-8", "replace"), parser=parser)
    except etree.ParserError as error:
        raise Unopened(phrases.EMPTY) from error
    if any("Excessive depth" in error.message for error in parser.error_log):
        raise Unopened(phrases.DAMAGED, "nested too deep")
    title = root.findtext(".//title")
    if title and title.strip():
        into.add(f"# {' '.join(title.split())}\n\n")
    text = _Walk().text_of(root)
    into.add(text)
    if into.cut:
        into.leave(phrases.STOPPED_AT_SHARE.format(share=max(1, into.limits.characters * 100 // len(text))))
    if pictures := sum(1 for _ in root.iter("img", "svg", "canvas", "video", "iframe")):
        into.leave(phrases.PICTURES.format(count=pictures))


def _decoded(data: bytes) -> str:
    found = _CHARSET.search(data[:_HEAD])
    name = found[1].decode("ascii", "replace").lower() if found else "utf-8"
    try:
        return data.decode({"gb2312": "gb18030", "gbk": "gb18030"}.get(name, name))
    except (LookupError, UnicodeError):  # a page may say anything of itself
        return decode(data)[0]


class _Walk:
    """Over the elements in their order, without recursion: pages nest as deep as they like."""

    def __init__(self) -> None:
        self._out: list[str] = [""]
        self._verbatim = 0  # how many <pre> it is in
        self._cells = 0  # and cells of tables
        self._tables: list[bool] = []  # of each open one: whether it holds data; tables that hold tables are layout
        self._links: list[int] = []  # where the text of each open link begins in `_out`

    def text_of(self, root: etree._Element) -> str:
        walk = etree.iterwalk(root, events=("start", "end"))
        for event, element in walk:
            if event == "start":
                if element.tag in _UNSEEN:
                    walk.skip_subtree()
                else:
                    self._begin(element)
                    self._say(element.text)
            else:
                if element.tag not in _UNSEEN:
                    self._end(element)
                self._say(element.tail)
        return "".join(self._out).strip("\n")

    def _begin(self, element: etree._Element) -> None:
        match element.tag:
            case "br":
                self._out.append(" " if self._cells else "\n")
            case "table":
                self._tables.append(element.find(".//table") is None)
                self._break("\n\n")
            case "pre":
                self._break("\n\n```\n")
                self._verbatim += 1
            case "li":
                self._break("\n- ")
            case "td" | "th" if self._in_data:
                self._cells += 1
            case "a":
                self._links.append(len(self._out))
            case "img":
                self._say(element.get("alt"))
            case tag if tag in _HEADINGS:
                self._break("\n\n" + _HEADINGS[tag])
            case "tr" if self._in_data:
                self._break("\n| ")
            case tag if tag in _PARAGRAPHS:
                self._break("\n\n")
            case tag if tag in _LINES:
                self._break("\n")

    def _end(self, element: etree._Element) -> None:
        match element.tag:
            case "table":
                self._tables.pop()
                self._break("\n\n")
            case "pre":
                self._verbatim -= 1
                self._break("\n```\n\n")
            case "td" | "th" if self._in_data:
                self._cells -= 1
                self._out.append(" | ")
            case "a":
                self._link(self._links.pop(), element.get("href", "").strip())
            case tag if tag in _HEADINGS or tag in _PARAGRAPHS:
                self._break("\n\n")
            case tag if tag in _LINES or tag == "li":
                self._break("\n")

    @property
    def _in_data(self) -> bool:
        return bool(self._tables) and self._tables[-1]

    def _link(self, start: int, target: str) -> None:
        text = "".join(self._out[start:])
        if not target.lower().startswith(_LINKS) or not text.strip() or text.strip() == target:
            return
        if "\n" in text.strip():
            self._out.append(f" ({target})")
        else:
            self._out[start:] = [f"[{text.strip()}]({target})" + text[len(text.rstrip()) :]]

    def _say(self, text: str | None) -> None:
        if not text:
            return
        if not self._verbatim:
            text = _SPACE.sub(" ", text)
            if self._out[-1].endswith(("\n", " ")) or not self._out[-1]:
                text = text.lstrip(" ")
        if text:
            self._out.append(text)

    def _break(self, border: str) -> None:
        """Newlines, as many as are not there yet, and what begins after them; within a cell of a table a space."""
        if self._cells:
            if not self._out[-1].endswith(" "):
                self._out.append(" ")
            return
        while len(self._out) > 1 and not self._out[-1].strip(" "):
            self._out.pop()
        last = self._out[-1] = self._out[-1].rstrip(" ")
        there = len(last) - len(last.rstrip("\n"))
        wanted = len(border) - len(border.lstrip("\n"))
        if rest := border[min(there, wanted) :]:
            self._out.append(rest)
