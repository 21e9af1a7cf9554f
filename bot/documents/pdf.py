"""PDF: the text of each page, and what people filled into its forms. Runs in the child."""

from __future__ import annotations

import io

import pypdf
from pypdf.errors import DependencyError, FileNotDecryptedError, PyPdfError
from pypdf.generic import DictionaryObject

from bot.documents.document import Unopened
from bot.documents.gathering import Gathering, label, ranges
from bot.phrases import documents as phrases


def read(data: bytes, into: Gathering) -> None:
    try:
        reader = pypdf.PdfReader(io.BytesIO(data))
        if reader.is_encrypted and not reader.decrypt(""):  # many are locked against printing only: no password to read
            raise Unopened(phrases.PASSWORD)
        pages = len(reader.pages)
    except (FileNotDecryptedError, DependencyError) as error:
        raise Unopened(phrases.PASSWORD, type(error).__name__) from error
    except PyPdfError as error:
        raise Unopened(phrases.DAMAGED, type(error).__name__) from error
    if not pages:
        raise Unopened(phrases.DAMAGED, "no pages")
    _read_pages(reader, pages, into)
    if not into.cut:
        _read_form(reader, into)


def _read_pages(reader: pypdf.PdfReader, pages: int, into: Gathering) -> None:
    without_text: list[int] = []
    broken: list[int] = []
    pictures = number = 0
    for number in range(1, pages + 1):
        text, whole = "", True
        try:
            page = reader.pages[number - 1]
            text = page.extract_text().strip()
            pictures += _pictures(page) if text else 0
        except Exception:  # noqa: BLE001 - pypdf meets damage with errors of any type, and the other pages may be whole
            whole = False
        if text:
            into.add(f"[page {number}]\n{text}\n\n")
        else:
            (without_text if whole else broken).append(number)
        if into.must_stop(more=number < pages):
            into.leave(phrases.STOPPED_AT_PAGE.format(page=number, pages=pages))
            break
    if len(without_text) + len(broken) == number:
        raise Unopened(phrases.SCANNED if without_text else phrases.DAMAGED)
    if without_text:
        into.leave(phrases.PAGES_WITHOUT_TEXT.format(pages=ranges(without_text)))
    if broken:
        into.leave(phrases.PAGES_BROKEN.format(pages=ranges(broken)))
    if pictures:
        into.leave(phrases.PICTURES.format(count=pictures))


def _pictures(page: pypdf.PageObject) -> int:
    """How many pictures the page may draw, without unpacking any."""
    resources = page.get("/Resources", DictionaryObject()).get_object()
    drawn = resources.get("/XObject", DictionaryObject()).get_object()
    return sum(thing.get_object().get("/Subtype") == "/Image" for thing in drawn.values())


def _read_form(reader: pypdf.PdfReader, into: Gathering) -> None:
    try:
        fields = reader.get_fields() or {}
    except Exception:  # noqa: BLE001 - as above: the pages are read
        return
    filled = [(name, field.get("/V")) for name, field in fields.items()]
    lines = [f"{label(name)}: {value}\n" for name, value in filled if isinstance(value, str) and value.strip()]
    if lines:
        into.add("[form]\n" + "".join(lines))
