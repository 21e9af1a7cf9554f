"""XLSX."""

import datetime
import io

import openpyxl  # type: ignore[import-untyped]  # it has no types
import pytest
from openpyxl.chart import BarChart  # type: ignore[import-untyped]  # likewise
from openpyxl.comments import Comment  # type: ignore[import-untyped]  # likewise
from openpyxl.drawing.image import Image  # type: ignore[import-untyped]  # likewise

from bot.documents import Limits, Unopened, read_document
from bot.phrases import documents as phrases
from tests.documents.files import UNHURRIED, part, picture, saved, with_parts, workbook, workbook_of_excel

SHEET = "xl/worksheets/sheet1.xml"


async def test_values_under_the_names_of_their_sheets() -> None:
    day, moment = datetime.datetime(2026, 3, 1), datetime.datetime(2026, 3, 1, 13, 30)
    data = workbook(Costs=[["item", "price"], ["tea", 0.1 + 0.2], [day, moment]], 备注=[[True, None, "a|b"]])

    document = await read_document(data, "a.xlsx", "")

    assert document.text == (
        "[sheet Costs]\n| item | price |\n| tea | 0.3 |\n| 2026-03-01 | 2026-03-01 13:30:00 |\n\n"
        "[sheet 备注]\n| TRUE |  | a\\|b |"
    )
    assert document.left_out == ()


async def test_a_formula_without_a_result_is_shown_itself() -> None:
    document = await read_document(workbook(A=[[1, 2, "=A1+B1"], ["=SUM(A1:B1)"]]), "a.xlsx", "")

    assert document.text == "[sheet A]\n| 1 | 2 | =A1+B1 |\n| =SUM(A1:B1) |"
    assert document.left_out == (phrases.FORMULAS.format(count=2),)


async def test_as_excel_writes_it_a_formula_has_a_result() -> None:
    document = await read_document(workbook_of_excel(A=[["tea", 1, "=B1-1"], ["喜鹊"]]), "a.xlsx", "")

    assert document.text == "[sheet A]\n| tea | 1 | 0 |\n| 喜鹊 |"
    assert document.left_out == ()


async def test_what_is_left_out_is_said() -> None:
    book = openpyxl.Workbook()
    sheet = book.active
    sheet["A1"] = "seen"
    sheet["A1"].comment = Comment("why?", "me")
    sheet.add_image(Image(io.BytesIO(picture())), "B2")
    sheet.add_chart(BarChart(), "B9")
    book.create_sheet("Secret").sheet_state = "hidden"
    book.create_sheet("More").sheet_state = "veryHidden"

    document = await read_document(saved(book), "a.xlsx", "")

    assert document.text == "[sheet Sheet]\n| seen |"
    assert set(document.left_out) == {
        phrases.HIDDEN_SHEETS.format(sheets="Secret, More"),
        phrases.PICTURES.format(count=1),
        phrases.CHARTS.format(count=1),
        phrases.COMMENTS.format(count=1),
    }


async def test_a_million_empty_rows_and_a_size_that_is_a_lie() -> None:
    book = openpyxl.Workbook()
    book.active["A1"] = "first"
    book.active["A1048576"] = "last"
    data = saved(book)
    lie = part(data, SHEET).replace(b'ref="A1:A1048576"', b'ref="A1:XFD1048576"')
    assert b"XFD" in lie

    document = await read_document(with_parts(data, {SHEET: lie}), "a.xlsx", "", limits=UNHURRIED)

    assert document.text == "[sheet Sheet]\n| first |\n\n| last |"
    assert document.left_out == ()


async def test_a_row_beyond_all_rows() -> None:
    data = workbook(A=[["first"], ["last"]])
    far = part(data, SHEET).replace(b'r="2"', b'r="999999999999"').replace(b'r="A2"', b"")

    document = await read_document(with_parts(data, {SHEET: far}), "a.xlsx", "", limits=UNHURRIED)

    assert document.text == "[sheet A]\n| first |"


async def test_a_lonely_cell_far_to_the_right_tells_its_column() -> None:
    book = openpyxl.Workbook()
    book.active["XFD2"] = "far"

    assert (await read_document(saved(book), "a.xlsx", "")).text.endswith("| XFD: far |")


async def test_a_long_one_is_read_as_far_as_it_fits() -> None:
    rows: list[list[object]] = [["x" * 90]] * 100
    document = await read_document(
        workbook(A=[["short"]], B=rows, C=rows, D=rows), "a.xlsx", "", limits=Limits(characters=1_000)
    )

    assert len(document.text) <= 1_000
    assert document.left_out == (
        phrases.STOPPED_AT_ROW.format(row=11, sheet="B"),
        phrases.SHEETS_UNREAD.format(sheets="C, D"),
    )


async def test_what_takes_too_long_is_read_as_far_as_there_is_patience() -> None:
    document = await read_document(workbook(A=[["one"], ["two"]]), "a.xlsx", "", limits=Limits(patience=0))

    assert document.text == "[sheet A]\n| one |"
    assert document.left_out == (phrases.STOPPED_AT_ROW.format(row=1, sheet="A"),)


async def test_a_sheet_cannot_break_out_of_its_mark() -> None:
    data = workbook(A=[["x"]])
    book = part(data, "xl/workbook.xml").replace(b'name="A"', b'name="A]&#10;[page 9"')

    document = await read_document(with_parts(data, {"xl/workbook.xml": book}), "a.xlsx", "")

    assert document.text.splitlines()[0] == "[sheet A] [page 9]"


@pytest.mark.parametrize("share", [0.1, 0.6])
async def test_a_truncated_one(share: float) -> None:
    whole = workbook(A=[[1]])
    with pytest.raises(Unopened) as caught:
        await read_document(whole[: int(len(whole) * share)], "a.xlsx", "")

    assert caught.value.phrase == phrases.DAMAGED


async def test_numbers_that_are_none() -> None:
    data = workbook(A=[[1]])
    with pytest.raises(Unopened) as caught:
        await read_document(with_parts(data, {SHEET: part(data, SHEET).replace(b"<v>1<", b"<v>one<")}), "a.xlsx", "")

    assert caught.value.phrase == phrases.DAMAGED
