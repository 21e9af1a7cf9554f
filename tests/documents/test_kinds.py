"""Which files are read as documents."""

import pytest

from bot.documents import is_document
from bot.documents.document import LONGEST_NAME, display_name
from bot.documents.kinds import Kind, kind_of


@pytest.mark.parametrize(
    ("name", "mime", "kind"),
    [
        ("notes.txt", "", Kind.TEXT),
        ("MAIN.PY", "application/octet-stream", Kind.TEXT),
        ("Makefile", "application/octet-stream", Kind.TEXT),
        ("data.csv", "application/vnd.ms-excel", Kind.TEXT),
        ("report.pdf", "application/octet-stream", Kind.PDF),
        ("letter.docx", "application/zip", Kind.WORD),
        ("costs.xlsx", "", Kind.WORKBOOK),
        ("talk.pptx", "", Kind.SLIDES),
        ("page.html", "text/plain", Kind.PAGE),
        ("no ending", "application/pdf", Kind.PDF),
        ("", "text/html; charset=utf-8", Kind.PAGE),
        ("notes.unheard-of", "text/x-something", Kind.TEXT),
        ("feed", "application/atom+xml", Kind.TEXT),
    ],
)
def test_the_ending_decides_else_the_type(name: str, mime: str, kind: Kind) -> None:
    assert kind_of(name, mime) is kind
    assert is_document(name, mime)


@pytest.mark.parametrize(
    ("name", "mime"),
    [
        ("photo.jpg", "image/jpeg"),
        ("song.mp3", "audio/mpeg"),
        ("archive.zip", "application/zip"),
        ("letter.doc", "application/msword"),
        ("setup.exe", "application/octet-stream"),
        ("", ""),
    ],
)
def test_other_files_are_not_ours(name: str, mime: str) -> None:
    assert not is_document(name, mime)


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("/etc/../notes.txt", "notes.txt"),
        ("C:\\temp\\notes.txt", "notes.txt"),
        ("two\nlines\x00.txt", "two lines .txt"),
        ("harmless\u202etxt.exe", "harmless txt.exe"),
        ("报告 2026.pdf", "报告 2026.pdf"),
        ("", "document"),
        ("\u200b/", "document"),
    ],
)
def test_a_name_is_made_fit_for_display(name: str, shown: str) -> None:
    assert display_name(name) == shown


def test_a_long_name_keeps_its_ending() -> None:
    shown = display_name("x" * 300 + ".pdf")

    assert len(shown) == LONGEST_NAME
    assert shown.endswith("….pdf")
