"""From a list of subjects to a manifest: which patient or study of a source each row of a person's table means.

A row that means none, or more than one, is named by its line and never by what stands in it.

Public names: ``Key``, ``Subjects``, ``Trouble``, ``SubjectProblem``, ``Resolved``, ``KEYWORDS``, ``parse_keys``,
``read_subjects``, ``resolve_subjects``, ``finds_of_subjects``, ``PROBLEM_COLUMNS``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from itertools import islice
from typing import TYPE_CHECKING, Final, NamedTuple

from deidflow.tasks.core.dicom.identifiers import Level
from deidflow.tasks.core.errors import BadText, InvalidInput, Problem
from deidflow.tasks.core.manifest.columns import INSTANCES, LEVEL, ORTHANC_ID, parse_header
from deidflow.tasks.core.manifest.conditions import Find
from deidflow.tasks.core.manifest.inventory import value_of
from deidflow.tasks.core.manifest.spreadsheet_marks import damage
from deidflow.tasks.core.manifest.spreadsheets import of_sheet

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from deidflow.tasks.core.engine.sources import SourceInstance
    from deidflow.tasks.core.manifest.inventory import InventoryRecord
    from deidflow.tasks.core.manifest.spreadsheets import Table, TableRow

KEYWORDS: Final = ("StudyInstanceUID", "AccessionNumber", "PatientID")
"""What rows may be found by; the first ones tell more."""
PROBLEM_COLUMNS: Final = ("line", "column", "problem", "text")
_OWN: Final = (ORTHANC_ID, LEVEL, INSTANCES)
_ASKED_AT_ONCE: Final = 100
_NOT_ASKED: Final = frozenset("*?\\")


class Trouble(StrEnum):
    """Why a row of the table has none in the manifest."""

    NOT_FOUND = "not-found"
    AMBIGUOUS = "ambiguous"
    REPEATED = "repeated"
    EMPTY = "empty"
    SPREADSHEET = "spreadsheet"
    UNREADABLE = "unreadable"


class Key(NamedTuple):
    """What rows are found by: the keyword, and the column that has its value."""

    keyword: str
    column: str


class SubjectProblem(NamedTuple):
    """A row that has none in the manifest: where it stands, and why; the text does not say what stands in it."""

    line: int
    column: str
    trouble: Trouble
    text: str


class _Subject(NamedTuple):
    line: int
    values: tuple[str, ...]
    cells: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Subjects:
    """A table that was read.

    Attributes:
        keys: What its rows are found by.
        level: What each row means: a study, or with PatientID alone a patient.
        columns: Of the table.
        rows: Those that can be looked for.
        problems: Of the others.

    """

    keys: tuple[Key, ...]
    level: Level
    columns: tuple[str, ...]
    rows: tuple[_Subject, ...]
    problems: tuple[SubjectProblem, ...]


class Resolved(NamedTuple):
    """A manifest, and what of the table is not in it, in the order of lines."""

    columns: tuple[str, ...]
    rows: list[tuple[str, ...]]
    problems: list[SubjectProblem]


@dataclass(slots=True)
class _Held:
    """A patient or study of the source that a row may mean."""

    instances: set[str] = field(default_factory=set)


def parse_keys(texts: Iterable[str]) -> tuple[Key, ...]:
    """Read what rows are to be found by.

    Args:
        texts: Each a keyword of ``KEYWORDS``, or ``KEYWORD=COLUMN`` where the column has another name.

    Raises:
        BadText: One is something else, or comes twice.

    """
    keys: list[Key] = []
    for text in texts:
        keyword, equals, column = text.partition("=")
        if keyword.strip() not in KEYWORDS:
            raise BadText(f"must be one of {', '.join(KEYWORDS)}, or KEYWORD=COLUMN where the column has another name")
        if equals and not column.strip():
            raise BadText("must name a column after the =, as in PatientID=MRN, or leave the = out")
        if keyword.strip() in {key.keyword for key in keys}:
            raise BadText(f"{keyword.strip()} must be named once")
        keys.append(Key(keyword.strip(), column.strip() or keyword.strip()))
    return tuple(sorted(keys, key=lambda key: KEYWORDS.index(key.keyword)))


def read_subjects(table: Table, keys: tuple[Key, ...]) -> Subjects:
    """Take from a table what can be looked for.

    Raises:
        InvalidInput: Its columns cannot be those of a manifest, or one of the keys' is not there.

    """
    problems = [
        Problem("must not be a column of the table, since the manifest has its own; rename it", column=column)
        for column in _OWN
        if column in table.columns
    ]
    _, found = parse_header([*_OWN, *(column for column in table.columns if column not in _OWN)])
    problems += found
    lacking = of_sheet("must be a column of the table, to find {0} in; name it as --by {0}=COLUMN", table.sheets)
    problems += [Problem(lacking.format(key.keyword)) for key in keys if key.column not in table.columns]
    if problems:
        raise InvalidInput([Problem(one.text, table.name, table.line, one.column) for one in problems])
    places = [(key.column, table.columns.index(key.column)) for key in keys]
    rows: list[_Subject] = []
    wrong: list[SubjectProblem] = []
    for row in table.rows:
        trouble = _trouble(row, places)
        if trouble is None:
            rows.append(_Subject(row.line, tuple(row.cells[place].strip() for _, place in places), row.cells))
        else:
            wrong.append(trouble)
    is_patient = all(key.keyword == "PatientID" for key in keys)
    return Subjects(keys, Level.PATIENT if is_patient else Level.STUDY, table.columns, tuple(rows), tuple(wrong))


def _trouble(row: TableRow, places: Sequence[tuple[str, int]]) -> SubjectProblem | None:
    if row.fault:
        return SubjectProblem(row.line, "", Trouble.UNREADABLE, row.fault)
    for column, place in places:
        if not row.cells[place].strip():
            return SubjectProblem(row.line, column, Trouble.EMPTY, "must not be empty")
        if text := damage(row.cells[place].strip(), is_name=True):
            return SubjectProblem(row.line, column, Trouble.SPREADSHEET, text)
    return None


def finds_of_subjects(subjects: Subjects) -> Iterator[Find]:
    """Yield what an Orthanc can be asked for, so that it finds at least what the rows mean."""
    keyword = subjects.keys[0].keyword
    values = dict.fromkeys(row.values[0] for row in subjects.rows)
    # In a list of several an asterisk is itself; alone it would be a pattern, and a backslash parts two values.
    plain = iter([value for value in values if _NOT_ASKED.isdisjoint(value) and value.isascii()])
    while batch := list(islice(plain, _ASKED_AT_ONCE)):
        yield Find(Level.STUDY, {keyword: "\\".join(batch)})
    if keyword == "StudyInstanceUID":  # Orthanc refuses patterns of UIDs; what would be one is the UID of nothing
        return
    if values:  # no list finds what has blanks before it
        yield Find(Level.STUDY, {keyword: " *"})
    for value in values:
        if not (_NOT_ASKED.isdisjoint(value) and value.isascii()):
            # For Orthanc ? is one byte, and a letter beyond ASCII has several.
            pattern = "".join("*" if sign == "\\" or not sign.isascii() else sign for sign in value)
            yield Find(Level.STUDY, {keyword: pattern})


def resolve_subjects(subjects: Subjects, instances: Iterable[InventoryRecord | SourceInstance]) -> Resolved:
    """Find what each row means.

    Args:
        subjects: The table.
        instances: What the source holds, in any order: all of each patient or study that a row may mean.

    Returns:
        One row of a manifest for each row of the table that means one patient or study which no row above it means:
        its Orthanc ID, level and number of instances, then the table's own cells.

    """
    held, meant = _index(subjects, instances)
    rows: list[tuple[str, ...]] = []
    problems = list(subjects.problems)
    lines: dict[str, int] = {}
    column = subjects.keys[0].column
    what = "patient" if subjects.level is Level.PATIENT else "study"
    for line, values, cells in subjects.rows:
        names = meant.get(values, set())
        if len(names) != 1:
            several = "patients" if subjects.level is Level.PATIENT else "studies"
            trouble = Trouble.AMBIGUOUS if names else Trouble.NOT_FOUND
            text = f"means {len(names)} {several} of the source" if names else f"the source holds no such {what}"
            problems.append(SubjectProblem(line, column, trouble, text))
            continue
        (name,) = names
        first = lines.setdefault(name, line)
        if first != line:
            problems.append(SubjectProblem(line, column, Trouble.REPEATED, f"means the same {what} as line {first}"))
            continue
        rows.append((name, subjects.level.value, str(len(held[name].instances)), *cells))
    return Resolved((*_OWN, *subjects.columns), rows, sorted(problems))


def _index(
    subjects: Subjects, instances: Iterable[InventoryRecord | SourceInstance]
) -> tuple[dict[str, _Held], dict[tuple[str, ...], set[str]]]:
    """Return what the source holds by Orthanc ID, and which of it has the values of a row."""
    wanted = {row.values for row in subjects.rows}
    keywords = [key.keyword for key in subjects.keys]
    held: dict[str, _Held] = {}
    meant: dict[tuple[str, ...], set[str]] = {}
    for one in instances:
        names = getattr(one, "orthanc_ids", None) or one.identifiers.orthanc_ids()
        name = names[subjects.level.depth]
        held.setdefault(name, _Held()).instances.add(names[-1])
        values = tuple(value_of(one, keyword).strip() for keyword in keywords)
        if values in wanted:
            meant.setdefault(values, set()).add(name)
    return held, meant
