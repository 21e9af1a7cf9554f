"""DOCX: paragraphs, headings, lists and tables in their order, with footnotes and text boxes. Runs in the child.

python-docx opens the package and knows the styles. Its paragraphs and tables pass over what stands in content controls,
tracked insertions and text boxes, so the text itself is taken from the XML.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from zipfile import BadZipFile

import docx
from docx.document import Document as Word
from docx.opc.exceptions import PackageNotFoundError
from docx.oxml import parse_xml
from docx.oxml.ns import qn
from docx.oxml.xmlchemy import BaseOxmlElement as Element

from bot.documents.document import Unopened
from bot.documents.gathering import Gathering, row
from bot.documents.kinds import Kind
from bot.documents.package import check
from bot.phrases import documents as phrases

_COMPATIBILITY = "{http://schemas.openxmlformats.org/markup-compatibility/2006}"
_MATH = "{http://schemas.openxmlformats.org/officeDocument/2006/math}"
_VML = "{urn:schemas-microsoft-com:vml}"
_CHART = "{http://schemas.openxmlformats.org/drawingml/2006/chart}chart"
_DIAGRAM = "{http://schemas.openxmlformats.org/drawingml/2006/diagram}relIds"

P, TABLE, ROW, CELL, TEXT = qn("w:p"), qn("w:tbl"), qn("w:tr"), qn("w:tc"), qn("w:t")
# What holds blocks or rows without being one.
WRAPPERS = frozenset(map(qn, ("w:sdt", "w:sdtContent", "w:ins", "w:moveTo", "w:customXml", "w:smartTag")))
# Properties, what was deleted, and the second form of a drawing that older programs show.
PASSED_OVER = frozenset(
    (*map(qn, ("w:pPr", "w:rPr", "w:sdtPr", "w:del", "w:moveFrom", "w:instrText")), _COMPATIBILITY + "Fallback")
)
SIGNS = {qn("w:tab"): "\t", qn("w:br"): "\n", qn("w:cr"): "\n", qn("w:noBreakHyphen"): "-"}
NOTES = {qn("w:footnoteReference"): "footnote", qn("w:endnoteReference"): "endnote"}
_NO_NOTE = ("separator", "continuationSeparator", "continuationNotice")


def read(data: bytes, into: Gathering) -> None:
    check(data, Kind.WORD, into.limits)
    try:
        document = docx.Document(io.BytesIO(data))
    except (PackageNotFoundError, BadZipFile, KeyError, ValueError) as error:
        raise Unopened(phrases.DAMAGED, type(error).__name__) from error
    body = document.element.body
    styles = {style.style_id: (style.name or "").lower() for style in document.styles}
    blocks = list(_within(body, (P, TABLE)))
    for number, block in enumerate(blocks, 1):
        into.add(_paragraph(block, document, styles) if block.tag == P else _table(block, document))
        if into.must_stop(more=number < len(blocks)):
            into.leave(phrases.STOPPED_AT_SHARE.format(share=max(1, number * 100 // len(blocks))))
            break
    else:
        _notes(document, into)
    _leave_out(document, into)


def _within(parent: Element, tags: tuple[str, ...]) -> Iterator[Element]:
    """Children with one of the tags, also those in wrappers, in order."""
    for child in parent:
        if child.tag in tags:
            yield child
        elif child.tag in WRAPPERS:
            yield from _within(child, tags)


def _paragraph(paragraph: Element, document: Word, styles: dict[str, str]) -> str:
    text = "".join(_words(paragraph, document)).strip(" \n")
    if not text:
        return "\n"
    named = paragraph.find(f"{qn('w:pPr')}/{qn('w:pStyle')}")
    style = styles.get(str(named.get(qn("w:val"))), "") if named is not None else ""
    if style == "title":
        return f"# {text}\n\n"
    if style.startswith("heading ") and style[8:].isdigit():
        return f"\n{'#' * min(int(style[8:]), 6)} {text}\n\n"
    level = paragraph.find(f"{qn('w:pPr')}/{qn('w:numPr')}/{qn('w:ilvl')}")
    if level is not None or style.startswith("list"):
        depth = str(level.get(qn("w:val"))) if level is not None else "0"
        return f"{'  ' * min(int(depth), 9) if depth.isdigit() else ''}- {text}\n"
    return f"{text}\n\n"


def _table(table: Element, document: Word) -> str:
    """In Markdown; a table within a cell becomes text of that cell."""
    rows = [[" ".join(_flat(cell, document)) for cell in _within(line, (CELL,))] for line in _within(table, (ROW,))]
    if not rows:
        return ""
    ruler = "|" + " --- |" * max(len(rows[0]), 1) + "\n"
    return "\n" + row(rows[0]) + ruler + "".join(map(row, rows[1:])) + "\n"


def _flat(parent: Element, document: Word) -> Iterator[str]:
    """The paragraphs in a cell, and in tables within it."""
    for block in _within(parent, (P, TABLE, ROW, CELL)):
        if block.tag == P:
            yield "".join(_words(block, document))
        else:
            yield from _flat(block, document)


def _words(element: Element, document: Word) -> Iterator[str]:
    for child in element:
        tag = child.tag
        if tag in PASSED_OVER:
            continue
        if tag == TEXT or tag == _MATH + "t":
            yield child.text or ""
        elif tag in SIGNS:
            yield SIGNS[tag]
        elif tag in NOTES:
            yield f"[^{NOTES[tag][0]}{child.get(qn('w:id'))}]"
        elif tag == qn("w:hyperlink"):
            yield _link("".join(_words(child, document)), child, document)
        elif tag == P:  # in a text box
            yield "\n"
            yield from _words(child, document)
        else:
            yield from _words(child, document)


def _link(text: str, element: Element, document: Word) -> str:
    relation = document.part.rels.get(str(element.get(qn("r:id"))))
    if relation is None or not relation.is_external or not text or relation.target_ref == text:
        return text
    return f"[{text}]({relation.target_ref})"


def _notes(document: Word, into: Gathering) -> None:
    for kind in ("footnote", "endnote"):
        for relation in document.part.rels.values():
            if relation.is_external or not relation.reltype.endswith(f"/{kind}s"):
                continue
            for note in parse_xml(relation.target_part.blob).iter(qn(f"w:{kind}")):
                text = " ".join("".join(_words(note, document)).split())
                if text and note.get(qn("w:type")) not in _NO_NOTE:
                    into.add(f"[^{kind[0]}{note.get(qn('w:id'))}]: {text}\n")


def _leave_out(document: Word, into: Gathering) -> None:
    body = document.element.body
    pictures = sum(1 for _ in body.iter(qn("a:blip")))
    pictures += sum(1 for old in body.iter(_VML + "imagedata") if not _has_newer_form(old))
    if pictures:
        into.leave(phrases.PICTURES.format(count=pictures))
    if charts := sum(1 for _ in body.iter(_CHART, _DIAGRAM)):
        into.leave(phrases.CHARTS.format(count=charts))
    others = [relation for relation in document.part.rels.values() if not relation.is_external]
    edges = [other for other in others if other.reltype.endswith(("/header", "/footer"))]
    if any((words.text or "").strip() for edge in edges for words in parse_xml(edge.target_part.blob).iter(TEXT)):
        into.leave(phrases.HEADERS)
    remarks = [parse_xml(other.target_part.blob) for other in others if other.reltype.endswith("/comments")]
    if count := sum(1 for part in remarks for _ in part.iter(qn("w:comment"))):
        into.leave(phrases.COMMENTS.format(count=count))


def _has_newer_form(element: Element) -> bool:
    return any(True for _ in element.iterancestors(_COMPATIBILITY + "Fallback"))
