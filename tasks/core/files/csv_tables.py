"""The CSV files that deidflow writes: separator ``,``, UTF-8 with byte order mark, CRLF, guarded cells.

Spreadsheets open them as they are, and ``pandas.read_csv(dtype=str, keep_default_na=False)`` reads them back.

Public names: ``write_table``, ``write_records``.
"""

from __future__ import annotations

import csv
from itertools import islice
from typing import TYPE_CHECKING, Final

from deidflow.tasks.core.files.csv_cells import guard_cells
from deidflow.tasks.core.files.private_files import replace_file

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

_ENCODING: Final = "utf-8-sig"
_LINE_END: Final = "\r\n"
_CHUNK_ROWS: Final = 10_000


def write_table(path: Path, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> int:
    """Write a table whose rows all have a cell for each column, some thousands at a time; return how many rows.

    Raises:
        OSError: The file cannot be written.

    """
    import pandas as pd  # noqa: PLC0415 (a second to load, and worker processes that import a server's module need none)

    count = 0
    source = iter(rows)
    with replace_file(path, encoding=_ENCODING) as stream:
        frame = pd.DataFrame(columns=list(guard_cells(columns)))
        frame.to_csv(stream, index=False, lineterminator=_LINE_END)
        while chunk := [guard_cells(row) for row in islice(source, _CHUNK_ROWS)]:
            # dtype=object: pandas neither converts a cell nor looks for a better type.
            frame = pd.DataFrame(chunk, dtype=object)
            frame.to_csv(stream, index=False, header=False, lineterminator=_LINE_END)
            count += len(chunk)
    return count


def write_records(path: Path, records: Iterable[Sequence[str]]) -> None:
    """Write records that may differ in length, the header among them.

    Raises:
        OSError: The file cannot be written.

    """
    with replace_file(path, encoding=_ENCODING) as stream:
        writer = csv.writer(stream, lineterminator=_LINE_END)
        writer.writerows(map(guard_cells, records))
