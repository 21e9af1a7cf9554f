"""What the three formats of Office share: a ZIP archive of XML parts, checked here before a library unpacks it.

Their libraries read each part whole and keep it; none of them minds how much comes out. Entities are not resolved by the
parsers of python-docx and python-pptx, but openpyxl reads sheets with the standard library's, which does. Since the
standard for these packages (ECMA-376, part 2) forbids document types altogether, one that declares any is not read.
"""

from __future__ import annotations

import io
import re
import zipfile
from xml.parsers import expat

from bot.documents.document import Limits, Unopened
from bot.documents.kinds import NAMED, Kind, misnamed
from bot.phrases import documents as phrases

MOST_PARTS = 20_000
MOST_RATIO = 200  # of sizes; deflate can reach 1032, an honest sheet of repeated rows about 100
SMALL = 20_000_000  # bytes unpacked, below which the ratio does not matter
_ENCRYPTED = 0x1  # the flag of a part
_CHUNK = 16_384
_MAIN_TYPES = {  # with macros they have types of their own
    Kind.WORD: re.compile(rb"wordprocessingml\.document\.main"),
    Kind.WORKBOOK: re.compile(rb"spreadsheetml\.sheet\.main|ms-excel\.sheet\.macroEnabled\.main"),
    Kind.SLIDES: re.compile(rb"presentationml\.presentation\.main|ms-powerpoint\.presentation\.macroEnabled\.main"),
}


def check(data: bytes, kind: Kind, limits: Limits) -> None:
    """Raises Unopened for a package that is no package of its `kind`, or harmful."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            _check_sizes(archive, len(data), limits)
            _check_kind(archive, kind)
            for part in archive.infolist():
                _check_entities(archive, part)
    except (zipfile.BadZipFile, EOFError, NotImplementedError) as error:
        raise Unopened(phrases.DAMAGED, type(error).__name__) from error


def _check_sizes(archive: zipfile.ZipFile, packed: int, limits: Limits) -> None:
    """The sizes that an archive tells of itself can be trusted so far: no more than that is unpacked of any part."""
    parts = archive.infolist()
    unpacked = sum(part.file_size for part in parts)
    if len(parts) > MOST_PARTS or unpacked > limits.unpacked or (unpacked > SMALL and unpacked > MOST_RATIO * packed):
        raise Unopened(phrases.TOO_LARGE_INSIDE, f"{packed} bytes unpack to {unpacked} in {len(parts)} parts")
    if any(part.flag_bits & _ENCRYPTED for part in parts):
        raise Unopened(phrases.PASSWORD)


def _check_kind(archive: zipfile.ZipFile, kind: Kind) -> None:
    try:
        types = archive.read("[Content_Types].xml")
    except KeyError:
        raise misnamed(kind, phrases.AN_ARCHIVE) from None
    found = [other for other, mark in _MAIN_TYPES.items() if mark.search(types)]
    if kind not in found:
        raise misnamed(kind, NAMED[found[0]] if found else phrases.AN_ARCHIVE)


def _check_entities(archive: zipfile.ZipFile, part: zipfile.ZipInfo) -> None:
    """A document type can stand only before the first element, so no more than that is read."""
    begun = False

    def begin(*_: object) -> None:
        nonlocal begun
        begun = True

    def refuse(*_: object) -> None:
        raise Unopened(phrases.DAMAGED, "a part declares a document type")

    parser = expat.ParserCreate()
    parser.StartElementHandler = begin
    parser.StartDoctypeDeclHandler = refuse
    with archive.open(part) as file:
        while not begun and (chunk := file.read(_CHUNK)):
            try:
                parser.Parse(chunk)
            except expat.ExpatError:  # a picture, or broken: its reader will say
                return
