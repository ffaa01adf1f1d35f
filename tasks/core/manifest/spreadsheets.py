"""Tables that people keep, as CSV or as an XLSX workbook: columns, and rows of text with the lines they stand in.

openpyxl reads workbooks (docs/decisions/0074-subject-lists.md).

Public names: ``Table``, ``TableRow``, ``read_table``, ``of_sheet``.
"""

from __future__ import annotations

import io
import re
from collections import deque
from datetime import datetime, time
from heapq import nlargest
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from xml.etree.ElementTree import iterparse
from zipfile import ZipFile

from deidflow.tasks.core.errors import BadText, InvalidInput, Problem
from deidflow.tasks.core.files.plain_files import read_plain_file, trouble_with
from deidflow.tasks.core.manifest.csv_text import ManifestText

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path
    from typing import IO

_WORKBOOK: Final = b"PK\x03\x04"
_OLD_WORKBOOK: Final = b"\xd0\xcf\x11\xe0"
_EXACT_BELOW: Final = 10**15
"""Spreadsheets keep 15 digits of a number."""
_PARTS: Final = re.compile(r'0|[-/ ()]|"[^"]*"|\\.')
"""Of a number format (ECMA-376 Part 1, 18.8.31): a digit that is always shown, and texts."""
_NAMED: Final = 5
"""Cells that a message names at most."""
_MAX_UNPACKED_BYTES: Final = 1 << 27
"""Of a part, as a sheet is: 40,000 rows of 20 columns take a quarter. Packed, it may be a thousandth of that."""
_MAX_PARTS_BYTES: Final = 1 << 30
"""Of all parts, most of which are not read: a workbook may have a sheet for each year, and pictures."""
_MAX_ROWS: Final = 1_048_576
"""Of a sheet (ECMA-376 Part 1, 18.3.1.73, and every program): the rows before one that has a number are all read."""
_MAX_CELLS: Final = 1 << 24
"""Of a sheet, with those that are left out before the last one of a row."""
_TOO_LARGE: Final = (
    "must be a workbook of which no sheet has more than 128 MiB when unpacked (all parts 1 GiB), or more than 16 "
    "million cells; save the sheet as CSV UTF-8"
)


class TableRow(NamedTuple):
    """One row.

    Attributes:
        line: Of the CSV file, or number of the row in the sheet; from 1.
        cells: As many as there are columns; empty where something is wrong.
        fault: What is wrong with the row as a whole, "" for nothing.

    """

    line: int
    cells: tuple[str, ...]
    fault: str = ""


class Table(NamedTuple):
    """A table.

    Attributes:
        name: Of the file, as the user gave it.
        line: Of the header.
        columns: Their names, without blanks around them.
        rows: All that are not blank.
        sheets: How many sheets the workbook has, the first visible one of which was read; 1 for CSV.
        hidden: Lines of rows that the sheet does not show, since they are hidden or filtered away; they are read.

    """

    name: str
    line: int
    columns: tuple[str, ...]
    rows: list[TableRow]
    sheets: int
    hidden: tuple[int, ...] = ()


def read_table(path: Path, column: str) -> Table:
    """Read a table.

    Args:
        path: Of a CSV file (UTF-8; comma, semicolon or tab) or an XLSX workbook, told apart by their first bytes.
        column: One that it should have: a CSV file's separator is the one that lets it be found.

    Raises:
        InvalidInput: It cannot be read, or holds nothing.

    """
    name = str(path)
    try:
        content, _ = read_plain_file(path)
    except OSError as error:
        raise InvalidInput([Problem(trouble_with(path, error), name)]) from None
    if content.startswith(_OLD_WORKBOOK):
        raise InvalidInput([Problem("must be XLSX or CSV, not an XLS workbook or one with a password", name)])
    sheets, hidden = 1, frozenset[int]()
    if content.startswith(_WORKBOOK):
        sheets, hidden, records = _workbook(content, name)
    else:
        records = _csv(content, name, column)
    header = next(records, None)
    if header is None:
        text = f"must not be empty: its first row names the columns, {column} among them"
        raise InvalidInput([Problem(of_sheet(text, sheets), name)])
    if header.fault:
        raise InvalidInput([Problem(of_sheet(header.fault, sheets), name, header.line)])
    columns = [cell.strip() for cell in header.cells]
    while columns and not columns[-1]:
        columns.pop()
    rows = [_fitted(row, len(columns)) for row in records]
    kept = _columns_in_use(columns, rows)
    if nameless := [index for index in kept if not columns[index]]:
        text = of_sheet("must have a name; name it, or delete the column", sheets)
        raise InvalidInput([Problem(text, name, header.line, f"number {index + 1}") for index in nameless])
    rows = [row._replace(cells=tuple(row.cells[index] for index in kept if row.cells)) for row in rows]
    not_shown = tuple(row.line for row in rows if row.line in hidden)
    return Table(name, header.line, tuple(columns[index] for index in kept), rows, sheets, not_shown)


def of_sheet(text: str, sheets: int) -> str:
    """Add to what is wrong with a table as a whole in which sheet that is, where a workbook has several.

    Its name is not told: it may be a patient's, where each has a sheet.
    """
    read = f"of {sheets} sheets, the first that is visible was read; move the sheet with the table before it, and save"
    return text if sheets == 1 else f"{text} ({read})"


def _columns_in_use(columns: Sequence[str], rows: Iterable[TableRow]) -> list[int]:
    """Return the places of columns that have a name or a cell, from 0: a table need not begin in the first one."""
    blank = {index for index, name in enumerate(columns) if not name}
    for row in rows:
        if not blank:
            break
        blank -= {index for index in blank if row.cells and row.cells[index].strip()}
    return [index for index in range(len(columns)) if index not in blank]


def _fitted(row: TableRow, count: int) -> TableRow:
    """Return a row with as many cells as there are columns; blank ones at its end do not count."""
    if row.fault:
        return row
    cells = list(row.cells)
    while len(cells) > count and not cells[-1].strip():
        cells.pop()
    if len(cells) > count:
        return TableRow(row.line, (), f"the row has {len(cells)} cells, the header {count}")
    return TableRow(row.line, (*cells, *[""] * (count - len(cells))))


def _csv(content: bytes, name: str, column: str) -> Iterator[TableRow]:
    for line, cells, fault in ManifestText(content, name, column).records():
        yield TableRow(line, tuple(cells), fault)


def _workbook(content: bytes, name: str) -> tuple[int, frozenset[int], Iterator[TableRow]]:
    """Return how many sheets a workbook has, the hidden rows of the first visible one, and its rows."""
    from openpyxl import load_workbook  # noqa: PLC0415 (half a second, and few commands read workbooks)

    try:
        with ZipFile(io.BytesIO(content)) as archive:
            # No part gives more bytes than it says that it has: the reader of archives cuts it off.
            sizes = [part.file_size for part in archive.infolist()]
            if max(sizes, default=0) > _MAX_UNPACKED_BYTES or sum(sizes) > _MAX_PARTS_BYTES:
                raise BadText(_TOO_LARGE)  # noqa: TRY301 (told apart from damage below)
        book = load_workbook(io.BytesIO(content), read_only=True, data_only=True)
        sheet: Any = next((one for one in book.worksheets if one.sheet_state == "visible"), book.worksheets[0])
        sheet.reset_dimensions()  # which other programs get wrong
        with ZipFile(io.BytesIO(content)) as archive, archive.open(sheet._worksheet_path) as stream:  # noqa: SLF001
            marks = _marks(stream)
        rows = list(_rows(sheet.iter_rows(), marks))
    except BadText as error:
        raise InvalidInput([Problem(str(error), name)]) from None
    except Exception:  # noqa: BLE001 (a damaged archive shows in many ways, with texts of its own)
        text = "must be an XLSX workbook, or a CSV file; open it in a spreadsheet and save it again"
        raise InvalidInput([Problem(text, name)]) from None
    return len(book.worksheets), marks.hidden, iter(rows)


class _Marks(NamedTuple):
    """What openpyxl does not tell of a sheet that it reads row by row.

    Attributes:
        hidden: Numbers of hidden rows.
        without_value: Cells whose formula nobody has computed, by the number of their row.
        merged: Ranges of merged cells, with the first and the last row in which cells of theirs have no value of
            their own; sorted by the first.

    """

    hidden: frozenset[int]
    without_value: dict[int, list[str]]
    merged: list[tuple[int, int, str]]


def _marks(sheet: IO[bytes]) -> _Marks:
    """Read the XML of a sheet (ECMA-376 Part 1, 18.3.1.4, 18.3.1.54 and 18.3.1.73)."""
    hidden: set[int] = set()
    without_value: dict[int, list[str]] = {}
    merged: list[str] = []
    number = 0
    for event, element in iterparse(sheet, ("start", "end")):  # noqa: S314 (as openpyxl reads it; expat bounds entities)
        name = element.tag.rpartition("}")[2]
        if name == "row" and event == "start":
            number = int(element.get("r") or number + 1)
            if number > _MAX_ROWS:
                raise BadText(_TOO_LARGE)
            if element.get("hidden") in ("1", "true"):
                hidden.add(number)
        elif name == "c" and event == "end":
            parts = {part.tag.rpartition("}")[2]: part.text for part in element}
            # A formula may well come to an empty text.
            if "f" in parts and not parts.get("v") and not ("v" in parts and element.get("t") == "str"):
                without_value.setdefault(number, []).append(element.get("r") or "?")
        elif name == "mergeCell" and event == "end":
            merged.append(element.get("ref") or "")
        elif name == "row":
            element.clear()
    return _Marks(frozenset(hidden), without_value, sorted(_rows_of(cells) for cells in merged))


def _rows_of(cells: str) -> tuple[int, int, str]:
    """Return the rows in which merged cells lack values: the one at the top left has that of all, others are empty."""
    from openpyxl.worksheet.cell_range import CellRange  # noqa: PLC0415 (see above)

    place = CellRange(cells)
    return place.min_row if place.max_col > place.min_col else place.min_row + 1, place.max_row, cells


class _Merged:
    """Says of rows, one after the other, which merged cells lie in them; of many it keeps those that reach farthest."""

    def __init__(self, ranges: Iterable[tuple[int, int, str]]) -> None:
        """Take ranges as in ``_Marks``."""
        self._ahead = deque(ranges)
        self._here: list[tuple[int, int, str]] = []

    def of(self, number: int) -> list[str]:
        """Return some of a row's, at most as many as a message names."""
        while self._ahead and self._ahead[0][0] <= number:
            self._here = nlargest(_NAMED, [*self._here, self._ahead.popleft()], key=itemgetter(1))
        self._here = [one for one in self._here if one[1] >= number]
        return [cells for _, _, cells in sorted(self._here)]


def _rows(rows: Iterable[Sequence[Any]], marks: _Marks) -> Iterator[TableRow]:
    merged = _Merged(marks.merged)
    count = 0
    for number, row in enumerate(rows, 1):
        count += len(row)
        if count > _MAX_CELLS:
            raise BadText(_TOO_LARGE)
        merged_here = merged.of(number)
        if number in marks.without_value:
            where = ", ".join(marks.without_value[number][:_NAMED])
            text = f"must have its values, but a formula has none stored ({where}); open the workbook in a spreadsheet"
            yield TableRow(number, (), f"{text} program and save it again")
            continue
        cells = tuple(_text(cell.value, getattr(cell, "number_format", None) or "") for cell in row)
        if not any(cell.strip() for cell in cells):
            continue
        if merged_here:
            where = ", ".join(merged_here)
            text = f"must have a cell of its own in each column, but cells are merged ({where}); unmerge them and write"
            yield TableRow(number, (), f"{text} the value into each")
            continue
        yield TableRow(number, cells)


def _text(value: object, number_format: str) -> str:
    """Return a cell as the sheet shows it, as far as that is what was meant."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).upper()
    if isinstance(value, int | float):
        return _number(value, number_format)
    if isinstance(value, datetime):
        return value.date().isoformat() if value.time() == time() else value.isoformat(" ", "seconds")
    return value if isinstance(value, str) else str(value)


def _number(value: float, number_format: str) -> str:
    if abs(value) >= _EXACT_BELOW:  # whatever was typed, its last digits are gone
        return f"{value:.5E}"
    if not float(value).is_integer():
        return repr(value)
    return _in_format(str(int(value)), number_format)


def _in_format(digits: str, number_format: str) -> str:
    """Return a whole number as a format shows it that has nothing but zeros and texts, such as ``"MRN"000-00``.

    >>> _in_format("7", "0000"), _in_format("12345", '"MRN"000-0'), _in_format("7", "#,##0")
    ('0007', 'MRN1234-5', '7')
    """
    parts = _PARTS.findall(number_format)
    places = sum(part == "0" for part in parts)
    if not places or "".join(parts) != number_format or not digits.isdigit():
        return digits
    digits = digits.zfill(places)
    first, rest = digits[: len(digits) - places + 1], iter(digits[len(digits) - places + 1 :])
    shown = []
    for part in parts:
        if part == "0":
            shown.append(first or next(rest))
            first = ""
        else:
            shown.append(part[1:] if part.startswith("\\") else part.strip('"'))
    return "".join(shown)
