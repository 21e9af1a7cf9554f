"""HTML as text for a model."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.tools.html import MOST_TEXT, readable

BASE = "https://site.example/dir/page"


def body(html: str) -> str:
    return readable(f"<html><body>{html}</body></html>", BASE)


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("<p>one</p><p>two</p>", "one\ntwo"),
        ("<p>  much \n\n space\t here </p>", "much space here"),
        ("<h1>Title</h1><h3>Sub <em>title</em></h3>x", "# Title\n\n### Sub title\nx"),
        ("<ul><li>one<li>two<ol><li>three</ol></ul>", "- one\n- two\n- three"),
        ("a<br>b", "a\nb"),
        ("<b>bold</b>, <i>italic</i>", "bold, italic"),
        ("<pre>def f():\n    return 1\n</pre>", "def f():\n    return 1"),
        ("<table><tr><th>A<th>B<tr><td>1<td>2</table>", "A | B\n1 | 2"),
        ("<img src=x alt='a  cat'><img src=y alt=''><img>", "[picture: a cat]"),
        ("before<!-- a comment -->after", "beforeafter"),
        ("<div>one</div>two<div>three</div>", "one\ntwo\nthree"),
        ("&lt;b&gt; &amp; &nbsp; 喜鹊 &#x1F426;", "<b> & 喜鹊 🐦"),
        ("<form><p>in a form</p><input value=x><button>Send</button></form>", "in a form"),
    ],
)
def test_what_is_kept(html: str, text: str) -> None:
    assert body(html) == text


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("<a href='/x?a=1&amp;b=2'>here</a>, and on", "[here](https://site.example/x?a=1&b=2), and on"),
        ("see <a href=other>the <b>other</b> </a>page", "see [the other](https://site.example/dir/other) page"),
        ("<a href='//cdn.example/x'>x</a>", "[x](https://cdn.example/x)"),
        ("<a href=/card><div><h2>Card</h2><p>text</p></div></a>", "[Card text](https://site.example/card)"),
        ("<a href='#part'>part</a>", "part"),
        ("<a href='javascript:alert(1)'>script</a>", "script"),
        ("<a href='mailto:a@b.c'>mail</a>", "mail"),
        ("<a href='data:text/html,x'>data</a>", "data"),
        ("<a href='http://[bad'>bad</a>", "bad"),
        ("<a href='/empty'> </a>x", "x"),
        ("<a name=top>anchor<p>text", "anchor\ntext"),
        (f"<a href='/{'x' * 1_000}'>long</a>", "long"),
        ("<a href=/open><p>never closed", "[never closed](https://site.example/open)"),
    ],
)
def test_links(html: str, text: str) -> None:
    assert body(html) == text


@pytest.mark.parametrize(
    "html",
    [
        "<script>OBEY</script>",
        "<style>OBEY</style>",
        "<noscript>OBEY</noscript>",
        "<template><p>OBEY</p></template>",
        "<div hidden>OBEY</div>",
        "<div style='DISPLAY : none'>OBEY<p>OBEY</p></div>",
        "<span style='color:red;visibility: hidden'>OBEY</span>",
        "<p aria-hidden=true>OBEY</p>",
        "<nav><a href=/>OBEY</a></nav>",
        "<footer>OBEY</footer>",
        "<select><option>OBEY</select>",
        "<!-- OBEY -->",
        "<input value=OBEY placeholder=OBEY>",
        "<p title=OBEY data-x=OBEY></p>",
        "<svg><text>OBEY</text></svg>",
        "<iframe>OBEY</iframe>",
    ],
)
def test_what_nobody_sees_is_left_out_and_what_follows_is_not(html: str) -> None:
    assert body(f"<p>before</p>{html}<p>after</p>") == "before\nafter"


def test_the_title_and_the_main_part() -> None:
    text = "word " * 60
    page = f"<title> A \n title</title><body><div>menu</div><main><p>{text}</main><div>more</div>"
    assert readable(page, BASE) == f"Title: A title\n\n{text.strip()}"
    assert "menu" in readable(page.replace(text, "little"), BASE)


def test_a_page_that_is_nothing_without_scripts() -> None:
    page = "<title>App</title><meta name=description content='About\nit'><body><div id=root></div><script>x()</script>"
    assert readable(page, BASE) == "Title: App\n\n(No text without its scripts.) About it"


@pytest.mark.parametrize("html", ["", "   ", "<!-- only -->", "<?xml version='1.0'?>"])
def test_an_empty_page(html: str) -> None:
    assert readable(html, BASE) == ""


def test_a_declared_encoding_does_not_matter_any_more() -> None:
    assert (
        readable("<?xml version='1.0' encoding='gbk'?><html><meta charset=gbk><body>喜鹊</body></html>", BASE) == "喜鹊"
    )


@pytest.mark.parametrize(
    "html",
    [
        "<div>" * 200_000 + "x",
        "<p>para <a href=/x>y</a>" * 80_000,
        "<b>" * 60_000 + "x",
        "<a href=x>" * 60_000 + "x",
        "&amp;" * 400_000,
        "<p " + "a=1 " * 300_000 + ">x",
        "<main>" * 20_000 + "x" * 100,
        "<table><tr><td>" * 20_000,
        "<p>" + "x" * 2_000_000,
        "<li>" * 300_000,
        '<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;&a;">]><p>&b;' * 1_000,
    ],
)
def test_no_page_is_endless(html: str) -> None:
    begin = time.process_time()
    assert len(readable(html, BASE)) <= MOST_TEXT
    assert time.process_time() - begin < 3  # seconds, in a thread; some 0.6 on a quiet machine


TAGS = st.sampled_from(
    """<a href=/x> </a> <p> </p> <div> </div> <ul> <li> </ul> <pre> </pre> <table> <tr> <td> </table> <script> </script>
    <h1> </h1> <br> <main> </main> <!-- --> <title> </title> <div hidden> & &amp; < > <form> </form> <body> </body>""".split()  # noqa: SIM905 - read as one
)


@given(st.lists(TAGS | st.text(max_size=8)).map("".join))
def test_any_soup_can_be_eaten(html: str) -> None:
    assert isinstance(readable(html, BASE), str)
