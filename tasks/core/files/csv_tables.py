"""The CSV files that deidflow writes: separator ``,``, UTF-8 with byte order mark, CRLF, guarded cells.

Spreadsheets open them as they are, and ``pandas.read_csv(dtype=str, keep_default_na=False)`` reads them back.

Public names: ``write_table``, ``write_records``.
"""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING, Final

from deidflow.tasks.core.files.csv_cells import guard_cells
from deidflow.tasks.core.files.private_files import replace_file

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

_ENCODING: Final = "utf-8-sig"
_LINE_END: Final = "\r\n"


def write_table(path: Path, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> int:
    """Write a table whose rows all have a cell for each column, row by row; return how many.

    Raises:
        OSError: The file cannot be written.

    """
    count = 0
    with replace_file(path, encoding=_ENCODING) as stream:
        writer = csv.writer(stream, lineterminator=_LINE_END)
        writer.writerow(guard_cells(columns))
        for row in rows:
            writer.writerow(guard_cells(row))
            count += 1
    return count


def write_records(path: Path, records: Iterable[Sequence[str]]) -> None:
    """Write records that may differ in length, the header among them.

    Raises:
        OSError: The file cannot be written.

    """
    with replace_file(path, encoding=_ENCODING) as stream:
        writer = csv.writer(stream, lineterminator=_LINE_END)
        writer.writerows(map(guard_cells, records))
