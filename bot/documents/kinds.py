"""Which kinds of files we read: by their names, else by what their sender says of them; and what bytes look like."""

from __future__ import annotations

from enum import StrEnum

from bot.documents.document import Unopened
from bot.phrases import Phrase
from bot.phrases import documents as phrases


class Kind(StrEnum):
    TEXT = "text"
    PDF = "pdf"
    WORD = "word"
    WORKBOOK = "workbook"
    SLIDES = "slides"
    PAGE = "page"


# Prose, data, settings and logs; then code.
TEXT_ENDINGS = """
    txt text md markdown mdx rst adoc org tex bib log out err csv tsv psv json jsonl ndjson json5 geojson ipynb yaml yml
    toml xml xsd xsl xslt svg rss atom plist ini cfg conf cnf properties env editorconfig gitignore gitattributes
    dockerignore lock srt vtt ass lrc po pot ics vcf eml diff patch
    py pyi pyx rb pl pm php js mjs cjs jsx ts tsx mts cts vue svelte css scss sass less c h cc cpp cxx hh hpp hxx ino m mm
    java kt kts scala groovy gradle clj cljs edn go rs swift dart lua r jl hs lhs ml mli fs fsx fsi elm erl hrl ex exs nim
    zig d pas f f90 f95 for asm s v sv vhd vhdl cs csx vb vbs bas sql graphql gql proto thrift tf hcl nix bazel bzl cmake
    make mk mak dockerfile sh bash zsh fish ps1 psm1 bat cmd awk sed tcl el lisp scm rkt sol wat glsl hlsl cu cuh gd
    jinja j2 tmpl mustache hbs ejs haml pug erb http rest csproj sln vcxproj
"""
ENDINGS: dict[str, Kind] = {
    **dict.fromkeys(TEXT_ENDINGS.split(), Kind.TEXT),
    "pdf": Kind.PDF,
    "docx": Kind.WORD,
    **dict.fromkeys(("xlsx", "xlsm"), Kind.WORKBOOK),
    **dict.fromkeys(("pptx", "pptm"), Kind.SLIDES),
    **dict.fromkeys(("html", "htm", "xhtml"), Kind.PAGE),
}
NAMES = "makefile dockerfile readme license licence changelog authors todo jenkinsfile gemfile rakefile"  # without an ending

_OFFICE = "application/vnd.openxmlformats-officedocument."
MIMES: dict[str, Kind] = {
    "application/pdf": Kind.PDF,
    "application/x-pdf": Kind.PDF,
    _OFFICE + "wordprocessingml.document": Kind.WORD,
    _OFFICE + "spreadsheetml.sheet": Kind.WORKBOOK,
    "application/vnd.ms-excel.sheet.macroenabled.12": Kind.WORKBOOK,
    _OFFICE + "presentationml.presentation": Kind.SLIDES,
    "application/vnd.ms-powerpoint.presentation.macroenabled.12": Kind.SLIDES,
    "text/html": Kind.PAGE,
    "application/xhtml+xml": Kind.PAGE,
    **dict.fromkeys(
        (
            "application/json",
            "application/xml",
            "application/toml",
            "application/yaml",
            "application/x-yaml",
            "application/javascript",
            "application/x-javascript",
            "application/typescript",
            "application/sql",
            "application/x-sh",
            "application/x-shellscript",
            "application/x-python",
            "application/x-httpd-php",
            "application/csv",
            "application/x-ndjson",
        ),
        Kind.TEXT,
    ),
}
NAMED: dict[Kind, Phrase] = {
    Kind.TEXT: phrases.A_TEXT,
    Kind.PDF: phrases.A_PDF,
    Kind.WORD: phrases.A_WORD,
    Kind.WORKBOOK: phrases.A_WORKBOOK,
    Kind.SLIDES: phrases.A_PRESENTATION,
    Kind.PAGE: phrases.A_PAGE,
}


def kind_of(name: str, mime: str) -> Kind | None:
    """The ending of a name says more than a MIME type, which many senders guess; None: nothing that we read."""
    stem, dot, ending = name.strip().lower().rpartition(".")
    if dot and ending in ENDINGS:
        return ENDINGS[ending]
    if not stem and ending in NAMES.split():
        return Kind.TEXT
    mime = mime.partition(";")[0].strip().lower()
    if found := MIMES.get(mime):
        return found
    return Kind.TEXT if mime.startswith("text/") or mime.endswith(("+xml", "+json")) else None


def is_document(name: str, mime: str) -> bool:
    return kind_of(name, mime) is not None


# --- what bytes look like ----------------------------------------------------------------------------------------------

OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"  # the container of old Office files, and of new ones that are encrypted
ZIP = b"PK\x03\x04"
_BEGINNINGS: tuple[tuple[bytes, Phrase], ...] = (
    (b"%PDF-", phrases.A_PDF),
    *((start, phrases.A_PICTURE) for start in (b"\x89PNG\r\n", b"\xff\xd8\xff", b"GIF87a", b"GIF89a", b"II*\0")),
    *(
        (start, phrases.AN_ARCHIVE)
        for start in (ZIP, b"PK\x05\x06", b"Rar!\x1a\x07", b"7z\xbc\xaf", b"\x1f\x8b\x08", b"BZh91AY")
    ),
    *((start, phrases.A_RECORDING) for start in (b"OggS", b"ID3\x03", b"ID3\x04", b"fLaC", b"\x1aE\xdf\xa3")),
    *((start, phrases.A_PROGRAM) for start in (b"\x7fELF", b"MZ\x90", b"\xca\xfe\xba\xbe", b"\0asm")),
)


def looks_like(data: bytes) -> Phrase | None:
    """What surely is no text, by how it begins."""
    if data.startswith(b"RIFF") and data[8:12] in (b"WEBP", b"WAVE", b"AVI "):
        return phrases.A_PICTURE if data[8:12] == b"WEBP" else phrases.A_RECORDING
    if data.startswith(b"\0\0") and data[4:8] == b"ftyp":
        return phrases.A_RECORDING
    return next((found for start, found in _BEGINNINGS if data.startswith(start)), None)


def misnamed(kind: Kind, found: Phrase | None) -> Unopened:
    named, found = NAMED[kind], found or phrases.SOMETHING_ELSE
    sentence = phrases.NOT_ITS_NAME
    return Unopened(
        Phrase(sentence.en.format(named=named.en, found=found.en), sentence.zh.format(named=named.zh, found=found.zh)),
        f"named as {kind}, is {found.en}",
    )


def check_beginning(kind: Kind, data: bytes) -> None:
    """Raises Unopened when `data` cannot be of its `kind`, or says by how it begins why it cannot be read."""
    if not data.strip():
        raise Unopened(phrases.EMPTY)
    if kind is Kind.PDF:
        if b"%PDF-" not in data[:1024]:  # readers of PDF allow for so much before it
            raise misnamed(kind, looks_like(data))
    elif kind in (Kind.WORD, Kind.WORKBOOK, Kind.SLIDES):
        if data.startswith(OLE):
            encrypted = "EncryptedPackage".encode("utf-16-le") in data
            raise Unopened(phrases.PASSWORD if encrypted else phrases.OLD_FORMAT)
        if not data.startswith(ZIP):
            raise misnamed(kind, looks_like(data))
    elif found := looks_like(data):
        raise misnamed(kind, found)
