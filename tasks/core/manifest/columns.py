"""The header of a manifest: which column means what.

Public names: ``Columns``, ``EditColumn``, ``parse_header``, ``ORTHANC_ID``, ``MANIFEST_COLUMNS``, ``REPORT_COLUMNS``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from deidflow.tasks.core.dicom.tags import Path, TagSyntaxError, parse_path
from deidflow.tasks.core.errors import Problem
from deidflow.tasks.core.request.value_checks import check_path

if TYPE_CHECKING:
    from collections.abc import Sequence

ORTHANC_ID: Final = "orthanc_id"
LEVEL: Final = "level"
OPERATION: Final = "operation"
INSTANCES: Final = "instances"
REMOVE: Final = "Remove"
KEEP: Final = "Keep"
REPLACE_PREFIX: Final = "Replace."
CLEAR_PREFIX: Final = "Clear."

_PLAIN_COLUMNS: Final = (ORTHANC_ID, LEVEL, OPERATION, INSTANCES, REMOVE, KEEP)
MANIFEST_COLUMNS: Final = (
    *_PLAIN_COLUMNS[:4],
    f"{REPLACE_PREFIX}<tag or path>",
    f"{CLEAR_PREFIX}<tag or path>",
    REMOVE,
    KEEP,
)
"""Every column that has a meaning, as the documentation writes it."""

REPORT_COLUMNS: Final = (
    "line",
    "orthanc_id",
    "level",
    "operation",
    "outcome",
    "reason",
    "new_orthanc_id",
    "instances_expected",
    "instances_done",
    "instances_failed",
    "chunk",
    "attempts",
)
"""Columns of ``reconciliation.csv``; the manifest's free columns stand behind them, so none may be named like one."""

_SQUEEZED: Final = {name.replace("_", "").lower(): name for name in _PLAIN_COLUMNS}
_OTHER_IDENTIFIERS: Final = frozenset({"patientid", "accessionnumber", "studyinstanceuid"})
_NOT_ALPHANUMERIC: Final = re.compile(r"[\W_]+")
_EDIT_PREFIX: Final = re.compile(r"(replace|clear)\s*[.:]\s*(.*)|(replace|clear)", re.IGNORECASE | re.DOTALL)
_LIST_PREFIX: Final = re.compile(r"(remove|keep)\s*[.:].*", re.IGNORECASE | re.DOTALL)


@dataclass(frozen=True, slots=True)
class EditColumn:
    """A ``Replace.`` or ``Clear.`` column.

    Attributes:
        index: Place in the record, from 0.
        header: As the manifest spells it.
        path: The element.

    """

    index: int
    header: str
    path: Path


@dataclass(frozen=True, slots=True)
class Columns:
    """Where each column of a manifest stands; places count from 0, -1 for a column that it lacks."""

    count: int
    orthanc_id: int
    level: int
    operation: int
    instances: int
    remove: int
    keep: int
    replace: tuple[EditColumn, ...]
    clear: tuple[EditColumn, ...]
    free: tuple[tuple[int, str], ...]


def parse_header(cells: Sequence[str]) -> tuple[Columns, list[Problem]]:
    """Read the header record.

    Args:
        cells: Names of the columns; blanks around them do not count.

    Returns:
        The columns, and what is wrong with them, each problem under its column's name.

    """
    names = [cell.strip() for cell in cells]
    problems: list[Problem] = []
    plain: dict[str, int] = {}
    edits: dict[str, dict[Path, EditColumn]] = {REPLACE_PREFIX: {}, CLEAR_PREFIX: {}}
    free: dict[str, int] = {}
    for index, name in enumerate(names):
        prefix = next((prefix for prefix in edits if name.startswith(prefix)), None)
        if name and (name in plain or name in free):
            problems.append(Problem("appears twice in the header", column=name))
        elif name in _PLAIN_COLUMNS:
            plain[name] = index
        elif prefix:
            problem = _take_edit(edits[prefix], prefix, index, name)
            problems += [Problem(problem, column=name)] if problem else []
        elif not name:
            problems.append(Problem("must have a name; name it, or delete the column", column=f"number {index + 1}"))
        else:
            problem = _check_free(name)
            problems += [Problem(problem, column=name)] if problem else []
            free[name] = index
    if ORTHANC_ID not in plain:
        problems = _without_id(names, problems)
    columns = Columns(
        count=len(names),
        orthanc_id=plain.get(ORTHANC_ID, -1),
        level=plain.get(LEVEL, -1),
        operation=plain.get(OPERATION, -1),
        instances=plain.get(INSTANCES, -1),
        remove=plain.get(REMOVE, -1),
        keep=plain.get(KEEP, -1),
        replace=tuple(edits[REPLACE_PREFIX].values()),
        clear=tuple(edits[CLEAR_PREFIX].values()),
        free=tuple((index, name) for name, index in free.items()),
    )
    return columns, problems


def _take_edit(columns: dict[Path, EditColumn], prefix: str, index: int, name: str) -> str:
    try:
        path = parse_path(name.removeprefix(prefix))
    except TagSyntaxError as error:
        return str(error)
    problem = check_path(path)
    if problem:
        return problem
    if path in columns:
        return f"must name another element than column {columns[path].header}"
    columns[path] = EditColumn(index, name, path)
    return ""


def _check_free(name: str) -> str:
    """Return why a name is no good for a free column, "" when it is."""
    if name in REPORT_COLUMNS:
        return "must not have the name of a column of reconciliation.csv, to which free columns are added; rename it"
    known = _near_miss(name)
    if known:
        return f"must be written {known} (rename it if it is meant as a free column)"
    if _LIST_PREFIX.fullmatch(name):
        return "must be a column Remove or Keep with the tags in its cells, separated by ;"
    match = _EDIT_PREFIX.fullmatch(name)
    if match:
        return f"must be written {(match[1] or match[3]).capitalize()}.<tag or path>, for example Replace.PatientID"
    return ""


def _near_miss(name: str) -> str | None:
    """Return the column that a name differs from only in case, blanks and punctuation."""
    return _SQUEEZED.get(_NOT_ALPHANUMERIC.sub("", name).lower())


def _without_id(names: list[str], problems: list[Problem]) -> list[Problem]:
    """Return the problems of a header without the required column.

    When nothing looks like a header, the first line may well be a row: then its cells must not be printed.
    """
    text = f"the first line must name the columns, {ORTHANC_ID} among them{_remedy(names)}"
    looks_like_a_header = any(name in _PLAIN_COLUMNS or _EDIT_PREFIX.fullmatch(name) for name in names)
    if any(_near_miss(name) == ORTHANC_ID for name in names):
        return problems
    return [Problem(text), *(problems if looks_like_a_header else [])]


def _remedy(names: list[str]) -> str:
    """Say what makes a manifest of a list of subjects, which has other identifiers."""
    if not {_NOT_ALPHANUMERIC.sub("", name).lower() for name in names} & _OTHER_IDENTIFIERS:
        return ""
    return (
        "; `deidflow resolve` makes a manifest from a list of PatientIDs, AccessionNumbers or StudyInstanceUIDs, "
        "`deidflow inventory` one of all that is there"
    )
