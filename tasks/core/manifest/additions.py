"""Rows that are added to a manifest which somebody may have filled in: what stands there stays as it is, byte for byte.

Public names: ``Added``, ``add_rows``.
"""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING, Final, NamedTuple

from deidflow.tasks.core.errors import InvalidInput, Problem
from deidflow.tasks.core.files.csv_cells import guard_cells
from deidflow.tasks.core.files.plain_files import read_plain_file
from deidflow.tasks.core.files.private_files import replace_file
from deidflow.tasks.core.manifest.columns import INSTANCES, LEVEL, ORTHANC_ID
from deidflow.tasks.core.manifest.csv_text import ManifestText

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

_ANEW: Final = "or make it anew with --overwrite"


class Added(NamedTuple):
    """What became of a manifest.

    Attributes:
        rows: How many were added.
        lines: Of each row that was to be in it, by Orthanc ID.
        changed: Lines of rows that were there already, and say another number of instances.
        left_out: Columns of the added rows that the manifest does not have.

    """

    rows: int
    lines: Mapping[str, int]
    changed: tuple[int, ...]
    left_out: tuple[str, ...]


class _Known(NamedTuple):
    line: int
    level: str
    instances: str


def add_rows(path: Path, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> Added:
    """Add rows that a manifest does not have yet, behind all others; a file without new ones is not touched.

    Args:
        path: Of the manifest.
        columns: Of the rows, ``orthanc_id``, ``level`` and ``instances`` among them.
        rows: All of one level; each Orthanc ID once.

    Raises:
        InvalidInput: It is no manifest, has a row that cannot be read, or rows of another level.
        OSError: It cannot be read or written.

    """
    content, _ = read_plain_file(path)
    text = ManifestText(content, str(path), ORTHANC_ID)
    header, known = _read(text, path)
    place = {name: columns.index(name) for name in (ORTHANC_ID, LEVEL, INSTANCES)}
    rows = list(rows)
    _require_level({row[place[LEVEL]] for row in rows}, known, path)
    new: list[list[str]] = []
    lines: dict[str, int] = {}
    changed: list[int] = []
    next_line = content.count(b"\n") + (1 if content.endswith(b"\n") else 2)
    for row in rows:
        name = row[place[ORTHANC_ID]]
        there = known.get(name)
        if there is None:
            cells = dict(zip(columns, row, strict=True))
            new.append([cells.get(column, "") for column in header])
            lines[name] = next_line + len(new) - 1
            continue
        lines[name] = there.line
        if there.instances and there.instances != row[place[INSTANCES]]:
            changed.append(there.line)
    if new:
        _write(path, content, new, text.separator)
    return Added(len(new), lines, tuple(changed), tuple(name for name in columns if name not in header))


def _read(text: ManifestText, path: Path) -> tuple[list[str], dict[str, _Known]]:
    """Return the header of a manifest and its rows by Orthanc ID.

    Raises:
        InvalidInput: It is none, or a row cannot be read.

    """
    records = text.records()
    first = next(records)
    header = [cell.strip() for cell in first.cells]
    if ORTHANC_ID not in header:
        message = f"must be a manifest, with a column {ORTHANC_ID}, for rows to be added; name another file, {_ANEW}"
        raise InvalidInput([Problem(message, str(path), first.line)])
    known: dict[str, _Known] = {}
    for line, cells, fault in records:
        if fault or len(cells) != len(header):
            message = fault or f"the row has {len(cells)} cells, the header {len(header)}; mend it, {_ANEW}"
            raise InvalidInput([Problem(message, str(path), line)])
        row = dict(zip(header, (cell.strip() for cell in cells), strict=True))
        known.setdefault(row[ORTHANC_ID], _Known(line, row.get(LEVEL, ""), row.get(INSTANCES, "")))
    return header, known


def _require_level(levels: set[str], known: Mapping[str, _Known], path: Path) -> None:
    for row in known.values():
        if levels and row.level and row.level not in levels:
            message = f"must hold rows of the level asked for; add --level {row.level}, name another file, {_ANEW}"
            raise InvalidInput([Problem(message, str(path), row.line)])


def _write(path: Path, content: bytes, rows: Iterable[Sequence[str]], separator: str) -> None:
    end = "\r\n" if b"\r\n" in content else "\n"
    added = io.StringIO(newline="")
    csv.writer(added, delimiter=separator, lineterminator=end).writerows(map(guard_cells, rows))
    with replace_file(path) as stream:  # the byte order mark, if any, is a part of the text
        stream.write(content.decode("utf-8"))
        stream.write("" if content.endswith(b"\n") else end)
        stream.write(added.getvalue())
