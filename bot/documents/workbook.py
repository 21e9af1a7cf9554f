"""XLSX: the values of each visible sheet, row by row. Runs in the child.

openpyxl tells of a formula either its text or its last result. Most programs but Excel save formulas without any result;
where a file has such, a second look at it takes their texts, which would else be silent gaps.
"""

from __future__ import annotations

import datetime
import io
import itertools
import re
import zipfile
from collections.abc import Iterator

import openpyxl  # type: ignore[import-untyped]  # it has no types
from openpyxl.utils import get_column_letter  # type: ignore[import-untyped]  # likewise

from bot.documents.document import Unopened
from bot.documents.gathering import Gathering, label, listed, row
from bot.documents.kinds import Kind
from bot.documents.package import check
from bot.phrases import documents as phrases

Value = str | int | float | bool | datetime.datetime | datetime.date | datetime.time | datetime.timedelta | None
Row = tuple[Value, ...]

LAST_ROW = 1_048_576  # of Excel; a file may number its rows as it likes
# A cell with a formula and no result.
_UNSOLVED = re.compile(rb"<f\b[^<>]*(?:/>|>[^<]*</f>)\s*(?:<v\s*/>\s*|<v\s*></v>\s*)?</c>")
_CHUNK = 1_000_000
_LONGEST_FORMULA = 20_000  # bytes: Excel allows 8,192 characters


def read(data: bytes, into: Gathering) -> None:
    check(data, Kind.WORKBOOK, into.limits)
    try:
        values = openpyxl.load_workbook(io.BytesIO(data), read_only=True, data_only=True, keep_links=False)
        unsolved = _has_unsolved(data)
        formulas = openpyxl.load_workbook(io.BytesIO(data), read_only=True, keep_links=False) if unsolved else None
    except (zipfile.BadZipFile, KeyError, ValueError, OSError) as error:
        raise Unopened(phrases.DAMAGED, type(error).__name__) from error
    into.opened()
    visible = [sheet.title for sheet in values.worksheets if sheet.sheet_state == "visible"]
    hidden = [sheet.title for sheet in values.worksheets if sheet.sheet_state != "visible"]
    shown = 0
    for number, title in enumerate(visible, 1):
        into.add(f"[sheet {label(title)}]\n")
        sheet = _Sheet(_rows(values[title]), _rows(formulas[title]) if formulas else None)
        for line in sheet.lines():
            into.add(line)
            if into.must_stop(more=True):
                break
        shown += sheet.shown
        if into.must_stop(more=not sheet.at_end or number < len(visible)):
            into.leave(phrases.STOPPED_AT_ROW.format(row=sheet.row, sheet=label(title)))
            if number < len(visible):
                into.leave(phrases.SHEETS_UNREAD.format(sheets=listed(visible[number:])))
            break
        into.add("\n")
    if shown:
        into.leave(phrases.FORMULAS.format(count=shown))
    if hidden:
        into.leave(phrases.HIDDEN_SHEETS.format(sheets=listed(hidden)))
    _leave_out(data, into)


def _rows(sheet: openpyxl.worksheet._read_only.ReadOnlyWorksheet) -> Iterator[Row]:
    sheet.reset_dimensions()  # what a file says of its size need not be so
    return itertools.islice(sheet.iter_rows(values_only=True), LAST_ROW)


class _Sheet:
    """`row` is the number of the last row that was read, `shown` how many formulas for want of a result."""

    def __init__(self, values: Iterator[Row], formulas: Iterator[Row] | None) -> None:
        self.row = self.shown = 0
        self.at_end = False
        self._values = values
        self._formulas = formulas

    def lines(self) -> Iterator[str]:
        """A line for each row; of empty rows on end one blank line, and "" for the others."""
        blank = True
        for self.row, values in enumerate(self._values, 1):  # noqa: B020 - where a reader stops is wanted
            line = _line([_written(value) for value in self._solved(values)])
            yield line or ("" if blank else "\n")
            blank = not line
        self.at_end = True

    def _solved(self, values: Row) -> list[Value]:
        cells = list(values)
        for column, formula in enumerate(next(self._formulas, ())) if self._formulas else ():
            if cells[column] is None and formula is not None:
                cells[column] = formula if isinstance(formula, str) else f"={getattr(formula, 'text', '') or '?'}"
                self.shown += 1
        return cells


def _line(cells: list[str]) -> str:
    while cells and not cells[-1]:
        cells.pop()
    filled = sum(map(bool, cells))
    if len(cells) > 20 + 4 * filled:  # nearly empty: where each stands says more than hundreds of bars
        cells = [f"{get_column_letter(column)}: {cell}" for column, cell in enumerate(cells, 1) if cell]
    return row(cells) if cells else ""


def _written(value: Value) -> str:
    match value:
        case None:
            return ""
        case bool():
            return str(value).upper()
        case float():
            return f"{value:.15g}"  # as many digits as Excel keeps
        case datetime.datetime() if value.time() == datetime.time():
            return value.date().isoformat()
        case datetime.datetime():
            return value.isoformat(" ", "seconds")
        case _:
            return str(value)


def _has_unsolved(data: bytes) -> bool:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        for part in archive.namelist():
            if not part.startswith("xl/worksheets/"):
                continue
            with archive.open(part) as file:
                tail = b""
                while chunk := file.read(_CHUNK):
                    if _UNSOLVED.search(tail + chunk):
                        return True
                    tail = chunk[-_LONGEST_FORMULA:]
    return False


def _leave_out(data: bytes, into: Gathering) -> None:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        names = archive.namelist()
        comments = sum(
            archive.read(name).count(b"<comment ")
            for name in names
            if re.fullmatch(r"xl/(comments/)?comments?\d*\.xml", name)
        )
    if pictures := sum(name.startswith("xl/media/") for name in names):
        into.leave(phrases.PICTURES.format(count=pictures))
    if charts := sum(name.startswith("xl/charts/chart") for name in names):
        into.leave(phrases.CHARTS.format(count=charts))
    if comments:
        into.leave(phrases.COMMENTS.format(count=comments))
