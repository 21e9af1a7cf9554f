"""Markdown becomes HTML that can be inserted as it is: complete, safe whatever a model writes, and cheap while it grows."""

from __future__ import annotations

import time
from html.parser import HTMLParser

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bot.messages import Media
from bot.platforms.web import WebPlatform
from bot.platforms.web_render import THOUGHTS_LIMIT, _Growing, figure, fold, render

TAGS = {
    *("p", "br", "hr", "em", "strong", "s", "a", "code", "pre", "div", "span", "ul", "ol", "li", "blockquote"),
    *("h3", "h4", "h5", "h6", "table", "thead", "tbody", "tr", "th", "td"),
}
ATTRIBUTES = {"href", "target", "rel", "class", "start", "scope", "tabindex", "data-lang"}
VOID = {"br", "hr"}

FRAGMENTS = st.sampled_from(
    [
        "# ",
        "- ",
        "1. ",
        "2) ",
        "> ",
        "```",
        "~~~",
        "\n",
        "\n\n",
        "    ",
        "|",
        "|-|-|\n",
        "**",
        "_",
        "~~",
        "`",
        "[a](",
        "](",
        ")",
        "https://x.org",
        "javascript:",
        "<script>",
        "<img src=x onerror=alert(1)>",
        "![",
        '"',
        "'",
        "&",
        "&#x6a;",
        "\\",
        "---\n",
        "===\n",
        "a",
        "字",
        "\t",
        "\r",
        "\0",
        "\u2028",
        "[b]: http://y.z\n",
        "\ud800",
        "#",
        "* ",
        "+",
        "py\n",
        "data:text/html,",
    ]
)
TEXTS = st.lists(FRAGMENTS | st.text(max_size=8), max_size=40).map("".join)


class Checked(HTMLParser):
    """Reads HTML as a browser does and complains about all that is not meant to be there."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.links: list[str] = []
        self.feed(html)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in TAGS, tag
        assert {name for name, _ in attrs} <= ATTRIBUTES, attrs
        given = dict(attrs)
        if tag == "a":
            assert "a" not in self.open
        if given.get("href") is not None:
            target = str(given["href"])
            assert target.lower().startswith(("http://", "https://", "mailto:")), target
            assert given["rel"] == "noopener noreferrer nofollow"
            self.links.append(target)
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_decl(self, decl: str) -> None:
        raise AssertionError(decl)

    def handle_comment(self, data: str) -> None:
        raise AssertionError(data)


@given(TEXTS)
def test_whatever_is_written_only_known_elements_and_attributes_come_out(text: str) -> None:
    Checked(render(text))


@given(TEXTS, st.integers(1, 7))
@example("para\n#foo", 1)  # a heading, as long as its line is not complete
@example("1) a\n\n2) b", 1)  # a paragraph, until it goes on the list
@example("a\n\n- b\n\n  c", 1)
def test_a_growing_text_renders_as_if_it_had_come_at_once(text: str, step: int) -> None:
    growing = _Growing()
    for end in range(0, len(text) + 1, step):
        known = text[:end].replace("\r", "").replace("\0", "")
        if "]:" not in known:
            assert growing.render(known) == _Growing().render(known)


def test_the_usual_markdown_of_a_model_is_shown() -> None:
    html = render("# Title\n\n**b** *i* `c` ~~s~~\n\n- one\n- two\n\n3. three\n\n> quote\n\n---\nline\nbreak")
    for part in (
        "<h3>Title</h3>",
        "<strong>b</strong>",
        "<em>i</em>",
        "<code>c</code>",
        "<s>s</s>",
        '<ol start="3">',
        "<br>",
    ):
        assert part in html
    assert "<blockquote>" in html and "<hr>" in html and "<li>two</li>" in html


def test_code_is_highlighted_with_classes_and_names_its_language() -> None:
    html = render("```python\ndef f():\n    pass\n```")
    assert '<div class="code" data-lang="python">' in html
    assert '<span class="k">def</span>' in html
    assert "style=" not in html


def test_an_unknown_language_and_a_hostile_one_are_plain_code() -> None:
    assert "<code>x &lt; y\n</code>" in render("```nosuchlanguage\nx < y\n```")
    assert 'data-lang=""' in render('```"><script>\nx\n```')


def test_a_code_block_without_its_end_is_a_code_block() -> None:
    assert render("```js\nlet a").count("<pre") == 1


def test_a_table_can_scroll_and_aligns_by_class() -> None:
    html = render("|a|b|\n|-|-:|\n|1|2|")
    assert html.startswith('<div class="table" tabindex="0"><table>')
    assert '<td class="right">2</td>' in html


@pytest.mark.parametrize(
    "target",
    [
        "javascript:alert(1)",
        "JaVaScRiPt:alert(1)",
        "data:text/html,x",
        "vbscript:x",
        "file:///etc/passwd",
        "//evil.org",
        "/logout",
        "&#106;avascript:alert(1)",
        "java\tscript:alert(1)",
        "http:",
        "blob:x",
        "../x",
        "?q",
        "#top",
        "ftp://x.org",
    ],
)
def test_only_web_and_mail_links_are_links(target: str) -> None:
    for text in (f"[x]({target})", f"[x](<{target}>)", f"![x]({target})", f"<{target}>", f"[x]\n\n[x]: {target}"):
        assert Checked(render(text)).links == []


def test_web_and_mail_links_are_links() -> None:
    html = render("[a](https://x.org/?q=1&r=2) <mailto:a@x.org> http://y.org/z. main.py x.org")
    assert Checked(html).links == ["https://x.org/?q=1&r=2", "mailto:a@x.org", "http://y.org/z"]


def test_a_picture_of_another_host_is_a_link_and_never_loaded() -> None:
    assert ">a fox</a>" in render("![a fox](https://canary.example/p.png)")
    assert Checked(render("[![a](https://x.org/p.png)](https://y.org)")).links == ["https://y.org"]


def test_a_kept_picture_has_its_caption_for_those_who_do_not_see_it() -> None:
    assert 'alt="a &quot;fox&quot; &lt;b&gt;"' in figure(Media("abc.png", "image/png", 'a "fox" <b>'))


def test_a_text_beyond_every_answer_is_shown_as_it_is() -> None:
    html = render("<b>" * 100_000)
    assert html.startswith('<p class="plain">&lt;b&gt;') and "<b>" not in html


@pytest.mark.parametrize("prefix", ["|", "", "> |"])
def test_short_rows_under_wide_headers_make_a_page_no_larger_than_the_text_explains(prefix: str) -> None:
    """Each row is filled up to the width of its header, which is the square of what was written."""
    text = "\n".join([prefix + "a|" * 100, prefix + "-|" * 100, *["|1"] * 200])
    assert len(render(text)) < 2 * len(text)


def test_a_long_table_is_one() -> None:
    html = render("\n".join(["|a|b|c|", "|-|-|-|", *["|1|2|3|"] * 1_000]))
    assert html.count("<td>") == 3_000


@pytest.mark.parametrize(
    "unit",
    [
        "*a",
        "[",
        "[a](",
        "![",
        ">",
        "- ",
        "`",
        "|",
        "_a_",
        "~~a",
        "a@",
        "<http://",
        "http://",
        "<",
        "&",
        "\n",
        "**",
        "1. ",
    ],
)
def test_no_text_takes_long(unit: str) -> None:
    began = time.process_time()
    render(unit * (50_000 // len(unit)))
    assert time.process_time() - began < 3  # all take less than 0.5 s on an idle core


def test_an_answer_that_grows_costs_little_each_time() -> None:
    text = "A paragraph with **words** and a [link](https://x.org).\n\n- one\n- two\n\n```python\nx = 1\n```\n\n" * 200
    render(text)
    began = time.process_time()
    for extra in range(100):
        render(text + "word " * extra)
    assert time.process_time() - began < 2  # parsing it anew takes about 5 s


def test_layout_is_one_piece() -> None:
    [piece] = WebPlatform.layout(object.__new__(WebPlatform), "# hi")
    assert piece.body == "<h3>hi</h3>\n" and not piece.buttons


def test_thoughts_stand_folded_above_the_answer_as_plain_text() -> None:
    web = object.__new__(WebPlatform)
    [piece] = web.layout("**yes**", " <b>hm</b> & *so*\n")
    said = '<p dir="auto" tabindex="0">&lt;b&gt;hm&lt;/b&gt; &amp; *so*</p>'
    fold = f'<details class="thoughts"><summary data-t="thoughts"></summary>{said}</details>\n'
    assert piece.body == f"{fold}<p><strong>yes</strong></p>\n"
    [piece] = web.layout("thinking …", "hm", True)
    assert piece.body.startswith('<details class="thoughts" open>')
    assert web.layout("so", " \n")[0].body == "<p>so</p>\n"


@given(st.text())
def test_whatever_is_thought_nothing_of_it_is_html(thoughts: str) -> None:
    inside = fold(thoughts, unfolded=False).replace("</p></details>\n", "").rpartition('tabindex="0">')[2]
    assert not {"<", ">", '"', "\0"} & set(inside)
    assert inside.encode().decode() == inside


def test_very_long_thoughts_keep_their_beginning_and_their_end() -> None:
    html = fold(f"first {'word ' * 10_000}last", unfolded=False)
    assert "first word" in html
    assert "last</p>" in html
    assert THOUGHTS_LIMIT - 200 < len(html) < THOUGHTS_LIMIT + 200


@pytest.mark.parametrize("text", ["a\ud800b", "\udc92", "x" * 100_001 + "\ud83dy"])
def test_half_of_a_surrogate_pair_does_not_keep_an_answer_from_being_sent(text: str) -> None:
    assert "\ufffd" in render(text).encode().decode()
