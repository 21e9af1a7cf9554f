"""DOCX."""

import io

import docx
import pytest
from docx.opc.constants import RELATIONSHIP_TYPE
from docx.oxml import parse_xml
from docx.oxml.ns import nsdecls

from bot.documents import Limits, Unopened, read_document
from bot.phrases import documents as phrases
from tests.documents.files import part, picture, saved, with_parts, word, workbook

MAIN = "word/document.xml"


async def test_headings_lists_and_tables_in_their_order() -> None:
    document = docx.Document()
    document.add_heading("The title", 0)
    document.add_paragraph("Before 之前")
    table = document.add_table(2, 2)
    for cell, text in zip(
        (cell for row in table.rows for cell in row.cells), ("a|b", "c", "two\nlines", "d"), strict=True
    ):
        cell.text = text
    document.add_heading("Below", 2)
    document.add_paragraph("one", style="List Bullet")
    document.add_paragraph("two", style="List Number")

    read = await read_document(saved(document), "a.docx", "")

    assert read.text == (
        "# The title\n\nBefore 之前\n\n| a\\|b | c |\n| --- | --- |\n| two lines | d |\n\n## Below\n\n- one\n- two"
    )
    assert read.left_out == ()


async def test_what_python_docx_itself_passes_over() -> None:
    """Content controls (as in templates), insertions of a reviewer, text boxes; and not what was deleted."""
    document = docx.Document()
    last = document.add_paragraph("Dear ")
    space = nsdecls("w")
    last._p.append(parse_xml(f"<w:ins {space}><w:r><w:t>inserted</w:t></w:r></w:ins>"))
    last._p.append(parse_xml(f"<w:del {space}><w:r><w:delText>deleted</w:delText></w:r></w:del>"))
    control = f"<w:sdt {space}><w:sdtContent><w:p><w:r><w:t>controlled</w:t></w:r></w:p></w:sdtContent></w:sdt>"
    last._p.addnext(parse_xml(control))
    box = f"<w:txbxContent {space}><w:p><w:r><w:t>boxed</w:t></w:r></w:p></w:txbxContent>"
    document.add_paragraph("with")._p.append(parse_xml(f"<w:r {space}><w:pict>{box}</w:pict></w:r>"))

    read = await read_document(saved(document), "a.docx", "")

    assert read.text.split() == ["Dear", "inserted", "controlled", "with", "boxed"]


async def test_a_table_within_a_cell_is_text_of_that_cell_once() -> None:
    document = docx.Document()
    cell = document.add_table(1, 2).cell(0, 0)
    cell.text = "outer"
    cell.add_table(1, 2).cell(0, 1).text = "inner"

    read = await read_document(saved(document), "a.docx", "")

    assert " ".join(read.text.splitlines()[0].split()) == "| outer inner | |"


async def test_links_and_footnotes() -> None:
    document = docx.Document()
    paragraph = document.add_paragraph("See ")
    rid = document.part.relate_to("https://example.com/a", RELATIONSHIP_TYPE.HYPERLINK, is_external=True)
    space = nsdecls("w", "r")
    paragraph._p.append(parse_xml(f'<w:hyperlink {space} r:id="{rid}"><w:r><w:t>this</w:t></w:r></w:hyperlink>'))
    paragraph._p.append(parse_xml(f'<w:r {space}><w:footnoteReference w:id="2"/></w:r>'))
    data = saved(document)
    rels, types = "word/_rels/document.xml.rels", "[Content_Types].xml"
    office = "http://schemas.openxmlformats.org/officeDocument/2006/relationships/footnotes"
    relation = f'<Relationship Id="rIdF" Type="{office}" Target="footnotes.xml"/></Relationships>'.encode()
    kind = "application/vnd.openxmlformats-officedocument.wordprocessingml.footnotes+xml"
    override = f'<Override PartName="/word/footnotes.xml" ContentType="{kind}"/></Types>'.encode()
    notes = (
        f'<w:footnotes {nsdecls("w")}><w:footnote w:id="0" w:type="separator"><w:p><w:r><w:t>-</w:t></w:r></w:p></w:footnote>'
        '<w:footnote w:id="2"><w:p><w:r><w:t>Below the line.</w:t></w:r></w:p></w:footnote></w:footnotes>'
    )
    data = with_parts(
        data,
        {
            rels: part(data, rels).replace(b"</Relationships>", relation),
            types: part(data, types).replace(b"</Types>", override),
            "word/footnotes.xml": notes.encode(),
        },
    )

    read = await read_document(data, "a.docx", "")

    assert read.text == "See [this](https://example.com/a)[^f2]\n\n[^f2]: Below the line."


async def test_what_is_left_out_is_said() -> None:
    document = docx.Document()
    paragraph = document.add_paragraph("Text")
    document.add_picture(io.BytesIO(picture()))
    document.sections[0].header.paragraphs[0].text = "Confidential"
    document.add_comment(paragraph.runs[0], "Really?")

    read = await read_document(saved(document), "a.docx", "")

    assert read.text == "Text"
    assert read.left_out == (phrases.PICTURES.format(count=1), phrases.HEADERS, phrases.COMMENTS.format(count=1))


async def test_a_long_one_is_read_as_far_as_it_fits() -> None:
    read = await read_document(word(*["x" * 98] * 100), "a.docx", "", limits=Limits(characters=2_500))

    assert len(read.text) <= 2_500
    assert read.left_out == (phrases.STOPPED_AT_SHARE.format(share=26),)


async def test_an_empty_one() -> None:
    with pytest.raises(Unopened) as caught:
        await read_document(word(), "a.docx", "")

    assert caught.value.phrase == phrases.EMPTY


@pytest.mark.parametrize(("data", "found"), [(picture(), "a picture"), (b"Dear Sir", "something else")])
async def test_what_is_none(data: bytes, found: str) -> None:
    with pytest.raises(Unopened) as caught:
        await read_document(data, "a.docx", "")

    assert "a Word document" in caught.value.phrase.en
    assert found in caught.value.phrase.en


async def test_a_workbook_named_as_one() -> None:
    with pytest.raises(Unopened) as caught:
        await read_document(workbook(A=[[1]]), "a.docx", "")

    assert "inside it is a workbook" in caught.value.phrase.en


async def test_the_old_format_and_a_password() -> None:
    container = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 600
    encrypted = container + "EncryptedPackage".encode("utf-16-le") + b"\0" * 100

    with pytest.raises(Unopened) as old:
        await read_document(container, "a.docx", "")
    with pytest.raises(Unopened) as locked:
        await read_document(encrypted, "a.docx", "")

    assert old.value.phrase == phrases.OLD_FORMAT
    assert locked.value.phrase == phrases.PASSWORD


@pytest.mark.parametrize("share", [0.05, 0.5, 0.95])
async def test_a_truncated_one(share: float) -> None:
    whole = word("Hello")
    with pytest.raises(Unopened) as caught:
        await read_document(whole[: int(len(whole) * share)], "a.docx", "")

    assert caught.value.phrase == phrases.DAMAGED


async def test_a_part_that_is_not_closed() -> None:
    whole = word("Hello")
    with pytest.raises(Unopened) as caught:
        await read_document(with_parts(whole, {MAIN: part(whole, MAIN)[:-40]}), "a.docx", "")

    assert caught.value.phrase == phrases.DAMAGED
    assert "Hello" not in str(caught.value)
