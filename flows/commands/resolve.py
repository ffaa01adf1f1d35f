"""``resolve``: make a manifest from a person's list of subjects.

Public names: ``resolve_spreadsheet``.
"""

from __future__ import annotations

import sys
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from deidflow.flows.commands.manifest_files import print_added, require_csv_name, unwritable
from deidflow.tasks.core.engine.sources import SourceProblem
from deidflow.tasks.core.errors import BadText, InvalidInput, printable
from deidflow.tasks.core.files.csv_tables import write_table
from deidflow.tasks.core.manifest.additions import add_rows
from deidflow.tasks.core.manifest.spreadsheets import read_table
from deidflow.tasks.core.manifest.subjects import (
    PROBLEM_COLUMNS,
    finds_of_subjects,
    parse_keys,
    read_subjects,
    resolve_subjects,
)
from deidflow.tasks.steps.access.choice import inventory_of
from deidflow.tasks.steps.run.progress import make_progress

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from deidflow.tasks.core.engine.sources import SourceInstance
    from deidflow.tasks.core.manifest.subjects import Key, Resolved, SubjectProblem

_SHOWN: Final = 50


def resolve_spreadsheet(
    spreadsheet: Path,
    by: tuple[str, ...],
    source: str,
    output: Path,
    *,
    include_results: bool,
    follow_links: bool,
    overwrite: bool,
) -> int:
    """Write a manifest of what each row means, and say which rows mean nothing, or several.

    Args:
        spreadsheet: CSV or XLSX.
        by: What rows are found by, see ``parse_keys``.
        source: A folder, or the address of an Orthanc.
        output: The manifest; an existing one keeps its rows.
        include_results: Whether results of earlier runs count.
        follow_links: Whether symbolic links in a folder are followed.
        overwrite: Whether an existing one is written anew.

    Returns:
        0, or 1 when rows are missing in the manifest.

    Raises:
        InvalidInput: The table, the keys or the source cannot be used.
        Unusable: The manifest cannot be written, or the Orthanc cannot be used.

    """
    require_csv_name(output)
    keys = _keys(by)
    table = read_table(spreadsheet, keys[0].column)
    subjects = read_subjects(table, keys)
    with make_progress() as progress:
        finds = finds_of_subjects(subjects)
        found = inventory_of(source, subjects.level, progress, finds, follow_links=follow_links)
        resolved = resolve_subjects(subjects, _instances(found, include_results=include_results))
    if table.sheets > 1:
        _warn(f"{spreadsheet} has {table.sheets} sheets; the first was read")
    problems = output.with_name(f"{output.name}.problems.csv")
    try:
        _write(output, resolved, overwrite=overwrite)
        _write_problems(problems, resolved.problems)
    except OSError as error:
        raise unwritable(output, error) from None
    return _say(spreadsheet, len(table.rows), resolved.problems, problems)


def _keys(by: Iterable[str]) -> tuple[Key, ...]:
    try:
        return parse_keys(by)
    except BadText as error:
        raise InvalidInput([replace(error.problem, file="--by")]) from None


def _instances(found: Iterable[SourceInstance | SourceProblem], *, include_results: bool) -> Iterator[SourceInstance]:
    for item in found:
        if not isinstance(item, SourceProblem) and (include_results or not item.is_result):
            yield item


def _write(output: Path, resolved: Resolved, *, overwrite: bool) -> None:
    if output.is_file() and not overwrite:
        print_added(output, add_rows(output, resolved.columns, resolved.rows), names_left_out=True)
        return
    rows = write_table(output, resolved.columns, resolved.rows)
    print(f"{rows} rows written to {output}")  # noqa: T201


def _write_problems(path: Path, problems: list[SubjectProblem]) -> None:
    """Write what is missing; a file of an earlier time that says otherwise goes."""
    if not problems:
        path.unlink(missing_ok=True)
        return
    write_table(path, PROBLEM_COLUMNS, ((str(one.line), *one[1:]) for one in problems))


def _say(spreadsheet: Path, rows: int, problems: list[SubjectProblem], listed_in: Path) -> int:
    for one in problems[:_SHOWN]:
        column = f", column {one.column}" if one.column else ""
        _warn(f"{spreadsheet}, line {one.line}{column}: {one.text}")
    if len(problems) > _SHOWN:
        _warn(f"... and {len(problems) - _SHOWN} more")
    if not problems:
        return 0
    counts = Counter(one.trouble for one in problems)
    kinds = ", ".join(f"{count} {trouble}" for trouble, count in sorted(counts.items()))
    print(f"{len(problems)} of {rows} rows are not in the manifest ({kinds}): {listed_in}")  # noqa: T201
    return 1


def _warn(text: str) -> None:
    print(printable(text, lines=False), file=sys.stderr)  # noqa: T201 (the user's terminal)
