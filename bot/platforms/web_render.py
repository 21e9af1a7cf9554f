"""Markdown → the HTML that the page may insert as it is. Pure to its callers; nothing here knows of chats or of HTTP.

Safe by construction: raw HTML is text (markdown-it's `html` is off), links lead only to http, https and mailto, pictures
of other hosts become links, and no attribute comes from the text but `href`, `start` and `data-lang`. The page's CSP
forbids inline styles, so alignment is a class.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Sequence
from functools import lru_cache
from html import escape

from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token
from markdown_it.utils import EnvType, OptionsDict

from bot.messages import Media
from bot.text import abridged, cells, well_formed

MARKDOWN_LIMIT = 100_000  # characters; beyond, a text is shown as it is: no model answers at such length
THOUGHTS_LIMIT = 20_000  # characters
QUOTED = 120  # characters of what an answer replies to
MARKS_LIMIT = {"[": 4_000, "://": 500}  # the parser looks at pairs of these: its time grows with the square
CELLS_LIMIT = 10_000  # of tables whose short rows are filled up: each takes the parser more than 1 kB
HIGHLIGHT_LIMIT = 8_000  # characters of one code block: 10 to 20 ms for Pygments
REMEMBERED = 64  # texts that are growing at the same time
LINK = re.compile(r"(https?://[^\s/]|mailto:\S)", re.IGNORECASE)
LANGUAGE = re.compile(r"[\w+#.-]{1,30}", re.ASCII)
# A line that may begin the definition of a link, which then changes how *earlier* text reads. It never looks beyond its own
# line: from each of many blank ones to the last would take minutes.
DEFINITION = re.compile(r"^(?:[^\S\n]|[>*+\-\d.)])*\[", re.MULTILINE)


def render(markdown: str) -> str:
    """The HTML of an answer; "" for a blank one. Of a text that grows from call to call only the new end is parsed."""
    text = well_formed(markdown.replace("\0", "\ufffd"))
    too_many = any(text.count(mark) > limit for mark, limit in MARKS_LIMIT.items()) or cells(text) > CELLS_LIMIT
    if len(text) > MARKDOWN_LIMIT or too_many:
        return f'<p class="plain">{escape(text)}</p>\n'
    if "]:" in text and DEFINITION.search(text):
        return _html(_MARKDOWN.parse(text))
    return _GROWING.render(text)


def figure(media: Media) -> str:
    """A kept picture with its caption for those who do not see it, or a player for sound or a video."""
    source, caption = f"/files/{escape(media.file)}", escape(media.caption)
    if media.voice:
        return f'<figure><audio controls preload="metadata" src="{source}"></audio></figure>\n'
    if media.mime.startswith("video/"):
        player = f'<video controls playsinline preload="metadata" src="{source}" aria-label="{caption}"></video>'
        return f"<figure>{player}</figure>\n"
    image = f'<img src="{source}" alt="{caption}" decoding="async">'
    return f'<figure><a href="{source}" target="_blank" rel="noopener">{image}</a></figure>\n'


def quotation(text: str) -> str:
    """The first words of the message that an answer replies to, as plain text; "" for none."""
    words = " ".join(well_formed(text).split())
    short = words if len(words) <= QUOTED else f"{words[:QUOTED].rstrip()}…"
    return f'<blockquote class="replied" dir="auto">{escape(short)}</blockquote>\n' if words else ""


def fold(thoughts: str, *, unfolded: bool) -> str:
    """What a model thought, as plain text behind a line that the page names and the reader opens; "" for nothing."""
    said = well_formed(thoughts).strip()
    if not said:
        return ""
    text = f'<p dir="auto" tabindex="0">{escape(abridged(said, THOUGHTS_LIMIT))}</p>'  # reachable, since it may have to scroll
    fold = '<details class="thoughts" open>' if unfolded else '<details class="thoughts">'
    return f'{fold}<summary data-t="thoughts"></summary>{text}</details>\n'


class _Growing:
    """Remembers the closed beginnings of recent texts, so that a longer version costs only its end.

    The cut is sound for CommonMark without link definitions: before a top-level block that follows a blank line and whose
    own first line is complete, nothing changes whatever comes later.
    """

    def __init__(self) -> None:
        self._closed: OrderedDict[str, str] = OrderedDict()

    def render(self, text: str) -> str:
        known = max((start for start in self._closed if text.startswith(start)), key=len, default="")
        html = self._closed.get(known, "")
        rest = text[len(known) :]
        tokens = _MARKDOWN.parse(rest)
        cut, offset = _last_boundary(tokens, rest)
        if cut:
            html += _html(tokens[:cut])
            self._closed.pop(known, None)
            self._closed[known + rest[:offset]] = html
            while len(self._closed) > REMEMBERED:
                self._closed.popitem(last=False)
        return html + _html(tokens[cut:])


def _html(tokens: Sequence[Token]) -> str:
    return str(_MARKDOWN.renderer.render(tokens, _MARKDOWN.options, {}))


def _last_boundary(tokens: Sequence[Token], text: str) -> tuple[int, int]:
    """(index of the token, offset in the text) of the last block that may be parsed apart from what stands before it."""
    lines = [0]
    while found := text.find("\n", lines[-1]) + 1:
        lines.append(found)
    for index in range(len(tokens) - 1, 0, -1):
        token = tokens[index]
        if token.level or token.nesting < 0 or token.map is None:
            continue
        line = token.map[0]
        if 0 < line < len(lines) - 1 and not text[lines[line - 1] : lines[line]].strip():
            return index, lines[line]
    return 0, 0


class _Renderer(RendererHTML):
    """markdown-it's own HTML, except where the page's safety or its readers ask for other."""

    def link_open(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType) -> str:
        return _anchor(str(tokens[idx].attrGet("href") or ""))

    def image(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType) -> str:
        token = tokens[idx]
        source = str(token.attrGet("src") or "")
        name = escape(self.renderInlineAsText(token.children, options, env) or source)
        inside_link = sum(t.nesting for t in tokens[:idx] if t.type in ("link_open", "link_close")) > 0
        return name if inside_link else f"{_anchor(source)}{name}</a>"

    def fence(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType) -> str:
        language = LANGUAGE.match(tokens[idx].info.strip())
        return _code(tokens[idx].content, language[0] if language else "")

    def code_block(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType) -> str:
        return _code(tokens[idx].content, "")

    def heading_open(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType) -> str:
        return f"<{_heading(tokens[idx])}>"

    def heading_close(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType) -> str:
        return f"</{_heading(tokens[idx])}>\n"

    def table_open(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType) -> str:
        return '<div class="table" tabindex="0"><table>\n'  # reachable by keyboard, since it may have to scroll

    def table_close(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType) -> str:
        return "</table></div>\n"

    def th_open(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType) -> str:
        return f'<th scope="col"{_alignment(tokens[idx])}>'

    def td_open(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType) -> str:
        return f"<td{_alignment(tokens[idx])}>"


def _anchor(target: str) -> str:
    if not LINK.match(target):  # `[a]()` is a link without a target, which the parser does not ask about
        return "<a>"
    return f'<a href="{escape(target)}" target="_blank" rel="noopener noreferrer nofollow">'


def _heading(token: Token) -> str:
    return f"h{min(int(token.tag[1]) + 2, 6)}"  # below the page's own headings


def _alignment(token: Token) -> str:
    style = str(token.attrGet("style") or "")
    return next((f' class="{side}"' for side in ("center", "right") if side in style), "")


def _code(content: str, language: str) -> str:
    code = f'<pre tabindex="0"><code>{_marked(content, language)}</code></pre>'
    return f'<div class="code" data-lang="{escape(language)}">{code}</div>\n'


@lru_cache(maxsize=64)
def _marked(content: str, language: str) -> str:
    """Code with Pygments' short classes; as it is when the language is unknown or the block is long."""
    if not language or len(content) > HIGHLIGHT_LIMIT:
        return escape(content)
    # Imported at the first block of code: 0.1 s that most starts can do without. It publishes no types.
    from pygments import highlight  # type: ignore[import-untyped]
    from pygments.formatters import HtmlFormatter  # type: ignore[import-untyped]
    from pygments.lexers import get_lexer_by_name  # type: ignore[import-untyped]
    from pygments.util import ClassNotFound  # type: ignore[import-untyped]

    try:
        lexer = get_lexer_by_name(language, stripnl=False)
    except ClassNotFound:
        return escape(content)
    return str(highlight(content, lexer, HtmlFormatter(nowrap=True)))


def _parser() -> MarkdownIt:
    """`breaks`: in a chat a new line is meant. Only whole URLs become links: `main.py` is no address in Paraguay."""
    parser = MarkdownIt(
        "commonmark", {"html": False, "xhtmlOut": False, "linkify": True, "breaks": True}, renderer_cls=_Renderer
    )
    parser.enable(["table", "strikethrough", "linkify"])
    assert parser.linkify is not None
    parser.linkify.set({"fuzzy_link": False, "fuzzy_email": False, "fuzzy_ip": False})
    parser.validateLink = lambda url: LINK.match(url) is not None  # type: ignore[method-assign] # its documented hook
    return parser


_MARKDOWN = _parser()
_GROWING = _Growing()
