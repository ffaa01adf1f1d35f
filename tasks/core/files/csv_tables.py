"""The CSV files that deidflow writes: separator ``,``, UTF-8 with byte order mark, CRLF, guarded cells.

Spreadsheets open them as they are, and ``pandas.read_csv(dtype=str, keep_default_na=False)`` reads them back.

Public names: ``write_table``, ``write_records``.
"""

from __future__ import annotations

import csv
import io
from itertools import chain
from typing import TYPE_CHECKING, Final

from deidflow.tasks.core.files.csv_cells import guard_cells
from deidflow.tasks.core.files.private_files import replace_file

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

_MARK: Final = "\ufeff"
"""The byte order mark, written by itself: Python's codec for both is several times as slow as that for UTF-8 alone."""
_SEPARATOR: Final = ","
_LINE_END: Final = "\r\n"


def write_table(path: Path, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> int:
    """Write a table whose rows all have a cell for each column, row by row; return how many.

    Raises:
        OSError: The file cannot be written.

    """
    lines = 0

    def counted() -> Iterator[Sequence[str]]:
        nonlocal lines
        for row in rows:
            lines += 1
            yield row

    write_records(path, chain([columns], counted()))
    return lines


def write_records(path: Path, records: Iterable[Sequence[str]]) -> None:
    """Write records that may differ in length, the header among them.

    Raises:
        OSError: The file cannot be written.

    """
    with replace_file(path) as stream:
        stream.write(_MARK)
        stream.writelines(_lines(records))


def _lines(records: Iterable[Sequence[str]]) -> Iterator[str]:
    """Yield lines as ``csv.writer`` writes them; it looks at each character by itself, and most rows need no quotes."""
    quoted = io.StringIO(newline="")
    writer = csv.writer(quoted, lineterminator=_LINE_END)
    for record in records:
        cells = guard_cells(record)
        line = _SEPARATOR.join(cells)
        # A cell by itself is quoted when it is empty.
        has_mark = '"' in line or "\r" in line or "\n" in line or "\0" in line or len(cells) == 1
        if not has_mark and line.count(_SEPARATOR) == len(cells) - 1:
            yield f"{line}{_LINE_END}"
        else:
            writer.writerow(cells)
            yield quoted.getvalue()
            quoted.seek(0)
            quoted.truncate()
