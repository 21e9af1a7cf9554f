"""Files that are made to harm who opens them."""

import io
import zipfile
import zlib

import pytest

from bot.documents import Limits, Unopened, read_document
from bot.phrases import documents as phrases
from tests.documents.files import part, pdf, slides, with_parts, word, workbook, workbook_of_excel

BOMB = (
    b'<!DOCTYPE x [<!ENTITY a "ha">'
    + b"".join(b'<!ENTITY %c "%s">' % (98 + n, b"&%c;" % (97 + n) * 10) for n in range(9))
    + b"]>"
)
TO_A_FILE = b'<!DOCTYPE x [<!ENTITY j SYSTEM "file:///etc/passwd">]>'
PLACES = [  # each read by another parser
    (word("Hello"), "a.docx", "word/document.xml", b"Hello"),
    (word("Hello"), "a.docx", "word/_rels/document.xml.rels", b""),
    (slides("Hello"), "a.pptx", "ppt/slides/slide1.xml", b"Hello"),
    (workbook_of_excel(A=[["Hello"]]), "a.xlsx", "xl/sharedStrings.xml", b"Hello"),
    (workbook(A=[["Hello"]]), "a.xlsx", "xl/worksheets/sheet1.xml", b""),
]


async def refused(data: bytes, name: str) -> Unopened:
    with pytest.raises(Unopened) as caught:
        await read_document(data, name, "")
    return caught.value


@pytest.mark.parametrize("doctype", [BOMB, TO_A_FILE])
@pytest.mark.parametrize("place", PLACES, ids=lambda place: place[2])
async def test_entities_in_a_part(place: tuple[bytes, str, str, bytes], doctype: bytes) -> None:
    package, name, path, hello = place
    declaration, end, rest = part(package, path).partition(b"?>")
    xml = declaration + end + doctype + rest if end else doctype + declaration
    if hello:
        xml = xml.replace(hello, b"&j;")

    error = await refused(with_parts(package, {path: xml}), name)

    assert error.phrase == phrases.DAMAGED
    assert "document type" in str(error)


async def test_entities_that_hide_in_another_encoding_behind_a_long_comment() -> None:
    package = word("Hello")
    rest = part(package, "word/document.xml").partition(b"?>")[2].decode()
    xml = f'<?xml version="1.0" encoding="utf-16"?><!--{" " * 50_000}-->{BOMB.decode()}{rest}'

    error = await refused(with_parts(package, {"word/document.xml": xml.encode("utf-16")}), "a.docx")

    assert "document type" in str(error)


async def test_a_zip_bomb() -> None:
    bomb = with_parts(word("Hello"), {"word/media/zeros.bin": bytes(210_000_000)})
    assert len(bomb) < 1_000_000

    assert (await refused(bomb, "a.docx")).phrase == phrases.TOO_LARGE_INSIDE


async def test_one_of_few_bytes_is_known_by_its_ratio() -> None:
    bomb = with_parts(workbook(A=[[1]]), {"xl/media/zeros.bin": bytes(30_000_000)})

    assert (await refused(bomb, "a.xlsx")).phrase == phrases.TOO_LARGE_INSIDE


async def test_one_that_lies_about_its_size() -> None:
    whole = with_parts(word("Hello"), {"word/document.xml": b"<a>" + b" " * 50_000_000 + b"</a>"})
    lie = whole.replace((50_000_007).to_bytes(4, "little"), (100).to_bytes(4, "little"))
    assert lie != whole

    assert (await refused(lie, "a.docx")).phrase == phrases.DAMAGED


async def test_one_with_more_parts_than_any_document() -> None:
    out = io.BytesIO(word("Hello"))
    with zipfile.ZipFile(out, "a") as archive:
        for number in range(20_001):
            archive.writestr(f"p{number}", b"")

    assert (await refused(out.getvalue(), "a.docx")).phrase == phrases.TOO_LARGE_INSIDE


async def test_one_with_a_password() -> None:
    whole = bytearray(word("Hello"))
    entry = whole.index(b"PK\x01\x02")
    whole[entry + 8] |= 1

    assert (await refused(bytes(whole), "a.docx")).phrase == phrases.PASSWORD


async def test_an_archive_named_as_a_document() -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("readme.txt", b"hello")

    assert "a packed archive" in (await refused(out.getvalue(), "a.docx")).phrase.en


async def test_a_stream_in_a_pdf_that_unpacks_to_far_more_than_any_page() -> None:
    packer = zlib.compressobj(9)
    packed = b"".join(packer.compress(bytes(10_000_000)) for _ in range(15)) + packer.flush()
    whole = pdf(["Hello", "x"])
    begin, end = whole.rindex(b"<< /Length "), whole.rindex(b"\nendobj")
    bomb = (
        whole[:begin]
        + b"<< /Filter /FlateDecode /Length %d >>\nstream\n%s\nendstream" % (len(packed), packed)
        + whole[end:]
    )

    document = await read_document(bomb, "a.pdf", "")

    assert document.text == "[page 1]\nHello"
    assert len(document.left_out) == 1
    assert " 2." in document.left_out[0].en


async def test_more_memory_than_there_is() -> None:
    """Half the sizes that the check lets through, and still more than the parser may have."""
    paragraphs = b"<w:p><w:r><w:t>x</w:t></w:r></w:p>" * 500_000
    package = word("Hello")
    xml = part(package, "word/document.xml").replace(b"<w:sectPr", paragraphs + b"<w:sectPr")
    data = with_parts(package, {"word/document.xml": xml})

    with pytest.raises(Unopened) as caught:
        await read_document(data, "a.docx", "", limits=Limits(memory=200_000_000))

    assert caught.value.phrase == phrases.TOO_LARGE_INSIDE
