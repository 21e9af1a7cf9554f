"""HTML."""

import pytest

from bot.documents import Limits, Unopened, read_document
from bot.phrases import documents as phrases


async def text(page: str) -> str:
    return (await read_document(page.encode(), "a.html", "")).text


async def test_what_a_reader_sees() -> None:
    page = """<!doctype html><html><head><title>A  page</title><style>p { color: red }</style></head><body>
    <h2>News</h2> <script>steal()</script> <!-- hidden -->
    <p>One <b>bold</b>
       word.<br>A line.</p><ul><li>one<li>two</ul><pre>  kept
    as it is</pre><noscript>turn it on</noscript></body></html>"""

    assert await text(page) == (
        "# A page\n\n## News\n\nOne bold word.\nA line.\n\n- one\n- two\n\n```\n  kept\n    as it is\n```"
    )


async def test_links_are_kept_as_text() -> None:
    page = (
        '<p>See <a href="https://example.com/a?b=1">this <b>page</b></a> or <a href="https://x.org">https://x.org</a>, '
        '<a href="javascript:steal()">not</a> <a href="#top">these</a>.</p>'
    )

    assert await text(page) == "See [this page](https://example.com/a?b=1) or https://x.org, not these."


async def test_tables_of_data_are_rows_and_those_of_layout_are_not() -> None:
    data = "<table><tr><th>A</th><th>B</th></tr><tr><td><p>1</p><p>2</p></td><td>3</td></tr></table>"

    assert [" ".join(line.split()) for line in (await text(data)).splitlines()] == ["| A | B |", "| 1 2 | 3 |"]
    assert "| 1 2" in " ".join((await text(f"<table><tr><td><p>Beside</p>{data}</td></tr></table>")).split())
    assert (await text(f"<table><tr><td><p>Beside</p>{data}</td></tr></table>")).startswith("Beside\n")


@pytest.mark.parametrize(
    ("meta", "encoding"),
    [
        ('<meta charset="gb2312">', "gb18030"),
        ('<meta charset="windows-1252">', "cp1252"),
        ("", "utf-8"),
        ("", "utf-16"),
    ],
)
async def test_the_encoding_is_the_one_that_the_page_tells(meta: str, encoding: str) -> None:
    words = "café" if encoding == "cp1252" else "喜鹊"
    document = await read_document(f"<html><head>{meta}</head><p>{words}</p></html>".encode(encoding), "a.html", "")

    assert document.text == words


@pytest.mark.parametrize("charset", ["no-such-thing", "hex", "utf-32"])
async def test_a_page_that_tells_a_wrong_one(charset: str) -> None:
    assert await text(f'<meta charset="{charset}"><p>喜鹊</p>') == "喜鹊"


async def test_entities_and_documents_from_elsewhere_stay_outside() -> None:
    page = '<!DOCTYPE html [<!ENTITY x SYSTEM "file:///etc/passwd">]><p>a &x; b &amp; c</p>'

    assert "root:" not in await text(page)


async def test_pictures_are_counted_and_their_descriptions_kept() -> None:
    document = await read_document(b'<p>Look: <img src="a.png" alt="a magpie"><img src="b.png"></p>', "a.html", "")

    assert document.text == "Look: a magpie"
    assert document.left_out == (phrases.PICTURES.format(count=2),)


async def test_a_page_as_deep_as_no_honest_one() -> None:
    assert await text("<div>" * 1000 + "deep") == "deep"
    with pytest.raises(Unopened) as caught:
        await text("<div>" * 100_000 + "deep")

    assert caught.value.phrase == phrases.DAMAGED


async def test_a_long_one_is_read_as_far_as_it_fits() -> None:
    page = b"<p>" + b"word " * 1000

    document = await read_document(page, "a.html", "", limits=Limits(characters=1_000))

    assert len(document.text) <= 1_000
    assert document.left_out == (phrases.STOPPED_AT_SHARE.format(share=20),)


@pytest.mark.parametrize("page", ["<html></html>", "<script>x</script>", "<!-- -->"])
async def test_a_page_of_nothing(page: str) -> None:
    with pytest.raises(Unopened) as caught:
        await text(page)

    assert caught.value.phrase == phrases.EMPTY
