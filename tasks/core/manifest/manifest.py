"""The manifest: a CSV file of Orthanc identifiers and edits, read row by row.

Public names: ``Manifest``, ``ManifestRow``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from deidflow.tasks.core.dicom.identifiers import Level, is_orthanc_id
from deidflow.tasks.core.errors import InvalidInput, Problem
from deidflow.tasks.core.manifest.columns import INSTANCES, LEVEL, OPERATION, ORTHANC_ID, parse_header
from deidflow.tasks.core.manifest.csv_text import ManifestText
from deidflow.tasks.core.manifest.row_requests import Defaults, RequestBuilder
from deidflow.tasks.core.manifest.spreadsheet_marks import damage
from deidflow.tasks.core.request.request import Operation, Request

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence
    from pathlib import Path as FilePath

_LEVELS: Final = {str(level): level for level in Level}
_OPERATIONS: Final = {str(operation): operation for operation in Operation}
_COUNT: Final = re.compile(r"[1-9][0-9]{0,8}")
_GOOD_ID: Final = (
    "an Orthanc ID: five groups of eight digits and letters a to f, joined by -; from PatientIDs, AccessionNumbers or "
    "StudyInstanceUIDs `deidflow resolve` makes a manifest, of all that is there `deidflow inventory`"
)


@dataclass(frozen=True, slots=True)
class ManifestRow:
    """One row.

    Attributes:
        line: Line of the file in which it begins, from 1.
        orthanc_id: Trimmed; of the right form unless there are problems.
        level: What the source must hold under that identifier, None when the manifest does not say.
        operation: The row's own, or the config's; None when its cell is wrong.
        instances: How many the row must hold, None when the manifest does not say.
        request: The effective one: the config's edits merged with the row's, filled and normalised; None when there are
            problems. Rows with the same constant edits share one object.
        free: Cells of the free columns, unchanged.
        problems: Everything that is wrong with the row itself, each with file, line and column.

    """

    line: int
    orthanc_id: str
    level: Level | None
    operation: Operation | None
    instances: int | None
    request: Request | None
    free: tuple[str, ...]
    problems: tuple[Problem, ...] = ()


class Manifest:
    """A manifest whose header is sound.

    Attributes:
        name: As the user gave it.
        free_columns: Names of the columns that have no meaning of their own.
        sha256: Hash of the file, in hex.
        separator: The one that the header showed.

    """

    def __init__(self, source: FilePath | bytes, defaults: Defaults, name: str = "") -> None:
        """Check encoding and header.

        Args:
            source: The file, or its content (from a ledger).
            defaults: What the config says for every row; the values of its Replace are templates.
            name: As the user gave it, for problems; the path when left out.

        Raises:
            InvalidInput: With every problem of the header, and of the rows as far as it lets them be read.

        """
        self.name = name or ("manifest" if isinstance(source, bytes) else str(source))
        self._text = ManifestText(source, self.name, ORTHANC_ID)
        self.sha256 = self._text.sha256
        self.separator = self._text.separator
        header = next(self._text.records())
        if header.fault:
            raise InvalidInput([Problem(header.fault, self.name, header.line)])
        self._columns, found = parse_header(header.cells)
        problems = [Problem(problem.text, self.name, header.line, problem.column) for problem in found]
        self.free_columns = tuple(name for _, name in self._columns.free)
        self._defaults = defaults
        self._builder = RequestBuilder(defaults, self._columns)
        for column, users in self._builder.template_columns.items():
            if column not in self.free_columns:
                text = (
                    f"must be a free column of the manifest, since the config's Replace of {', '.join(users)} uses it"
                )
                problems.append(Problem(text, self.name, header.line, column))
        shift = defaults.shift_column
        if shift and shift not in self.free_columns:
            text = "must be a free column of the manifest, since the config's dates.column names it"
            problems.append(Problem(text, self.name, header.line, shift))
        if problems:
            raise InvalidInput([*problems, *self._problems_of_rows({problem.column for problem in problems})])

    def _problems_of_rows(self, wrong: Collection[str]) -> Iterator[Problem]:
        """Yield what is wrong with the rows under a header that is wrong itself, but for what follows from that."""
        if self._columns.orthanc_id >= 0:
            for row in self.rows():
                yield from (problem for problem in row.problems if problem.column not in wrong)

    def rows(self) -> Iterator[ManifestRow]:
        """Read the rows from the first; those with problems are among them.

        Raises:
            InvalidInput: The file cannot be read any more.

        """
        first_lines: dict[str, int] = {}
        columns = self._columns
        records = self._text.records()
        next(records)
        for line, cells, fault in records:
            if fault:
                yield self._broken_row(line, cells, fault)
            elif len(cells) != columns.count:
                text = (
                    f"the row has {len(cells)} cell{'s'[: len(cells) != 1]}, the header {columns.count}; "
                    f'a cell with {_SEPARATOR_NAMES[self.separator]} in it stands in quotes: "like this"'
                )
                yield self._broken_row(line, cells, text)
            else:
                yield self._row(line, cells, first_lines)

    def _row(self, line: int, cells: list[str], first_lines: dict[str, int]) -> ManifestRow:
        columns = self._columns
        problems: list[Problem] = []
        orthanc_id = cells[columns.orthanc_id].strip()
        if not is_orthanc_id(orthanc_id):
            problems.append(Problem(damage(orthanc_id) or f"must be {_GOOD_ID}", column=ORTHANC_ID))
        elif first_lines.setdefault(orthanc_id, line) != line:
            problems.append(Problem(f"appears in line {first_lines[orthanc_id]} already", column=ORTHANC_ID))
        level = None
        text = cells[columns.level].strip() if columns.level >= 0 else ""
        if text:
            level = _LEVELS.get(text)
            if level is None:
                problems.append(Problem(f"must be one of {', '.join(_LEVELS)}, or empty", column=LEVEL))
        operation: Operation | None = self._defaults.operation
        text = cells[columns.operation].strip() if columns.operation >= 0 else ""
        if text:
            operation = _OPERATIONS.get(text)
            if operation is None:
                problems.append(
                    Problem(f"must be one of {', '.join(_OPERATIONS)}, or empty for the config's", column=OPERATION)
                )
        instances = None
        text = cells[columns.instances].strip() if columns.instances >= 0 else ""
        if _COUNT.fullmatch(text):
            instances = int(text)
        elif text:
            problems.append(Problem("must be a whole number from 1, without separators, or empty", column=INSTANCES))
        request, more = self._builder.build(operation or self._defaults.operation, cells)
        free = tuple([cells[index] for index, _ in columns.free])
        if not problems and not more:
            return ManifestRow(line, orthanc_id, level, operation, instances, request, free)
        found = self._problems(line, [*problems, *more])
        return ManifestRow(line, orthanc_id, level, operation, instances, None, free, found)

    def _broken_row(self, line: int, cells: Sequence[str], text: str) -> ManifestRow:
        """Return a row whose cells cannot be told apart; the first places are taken for what they should be."""
        columns = self._columns
        padded = [*cells, *[""] * columns.count]
        free = tuple(padded[index] for index, _ in columns.free)
        orthanc_id = padded[columns.orthanc_id].strip()
        return ManifestRow(line, orthanc_id, None, None, None, None, free, self._problems(line, [Problem(text)]))

    def _problems(self, line: int, problems: Sequence[Problem]) -> tuple[Problem, ...]:
        return tuple(replace(problem, file=self.name, line=line) for problem in problems)


_SEPARATOR_NAMES: Final = {",": "a comma", ";": "a semicolon", "\t": "a tab"}
