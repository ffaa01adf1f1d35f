"""``resolve``: make a manifest from a person's list of subjects.

Public names: ``resolve_spreadsheet``, ``ResolveAnswer``.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from deidflow.flows.answers.answer import Answer, give, most_shown, plain, say, warn
from deidflow.flows.manifest_files import Written, is_added_to, require_csv_place, require_outside, unwritable
from deidflow.tasks.core.engine.sources import SourceProblem
from deidflow.tasks.core.errors import BadText, InvalidInput, Problem, listed_problems
from deidflow.tasks.core.files.csv_tables import write_table
from deidflow.tasks.core.files.standard_streams import given_output
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


@dataclass(frozen=True, slots=True)
class ResolveAnswer(Answer):
    """What became of the rows of a spreadsheet.

    Attributes:
        manifest: What became of it.
        rows: How many rows the spreadsheet has.
        problems: Why rows are not in the manifest: their line, column, and what is wrong, as code and as text.
        problems_file: That lists them, too; null where there are none, or the manifest goes to standard output.

    """

    manifest: Written
    rows: int
    problems: tuple[SubjectProblem, ...]
    problems_file: Path | None

    def document(self) -> dict[str, Any]:
        """Return what programs read."""
        problems = [
            {"code": str(one.trouble), "message": one.text, "line": one.line, "column": one.column or None}
            for one in self.problems
        ]
        return {**plain(self), "problems": problems}

    def lines(self) -> Iterator[str]:
        """Yield what people read."""
        yield self.manifest.line()
        if self.problems:
            counts = Counter(str(one.trouble) for one in self.problems)
            kinds = ", ".join(f"{count} {trouble}" for trouble, count in sorted(counts.items()))
            where = f": {self.problems_file}" if self.problems_file is not None else ""
            yield f"{len(self.problems)} of {self.rows} rows are not in the manifest ({kinds}){where}"


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
    require_csv_place(output)
    require_outside(source, output)
    _require_another(spreadsheet, output)
    keys = _keys(by)
    table = read_table(spreadsheet, keys[0].column)
    subjects = read_subjects(table, keys)
    with make_progress() as progress:
        finds = finds_of_subjects(subjects)
        found = inventory_of(source, subjects.level, progress, finds, follow_links=follow_links)
        resolved = resolve_subjects(subjects, _instances(found, include_results=include_results))
    if table.sheets > 1:
        warn(f"{spreadsheet} has {table.sheets} sheets; the first that is visible was read")
    if table.hidden:
        lines = ", ".join(map(str, table.hidden[:20])) + (", ..." if table.hidden[20:] else "")
        text = "rows that are hidden or filtered away were read, too; delete those that are not meant"
        warn(f"{spreadsheet}: {text}: line {lines}")
    found_wrong = resolved.problems
    listed_in = output.with_name(f"{output.name}.problems.csv") if given_output(output) is None else None
    try:
        written = _write(output, resolved, overwrite=overwrite)
        if listed_in is not None:
            _write_problems(listed_in, found_wrong)
    except OSError as error:
        raise unwritable(output, error) from None
    written.warn(of_columns=True)
    told = [Problem(one.text, str(spreadsheet), one.line, one.column) for one in found_wrong]
    for line in listed_problems(told, most=most_shown()):
        say(line)
    give(ResolveAnswer(written, len(table.rows), tuple(found_wrong), listed_in if found_wrong else None))
    return 1 if found_wrong else 0


def _require_another(spreadsheet: Path, output: Path) -> None:
    """Refuse to write the manifest over the list: it may be the only copy.

    Raises:
        InvalidInput: Both are one file.

    """
    if given_output(output) is None and output.is_file() and spreadsheet.is_file() and output.samefile(spreadsheet):
        raise InvalidInput([Problem("must be another file than the spreadsheet", "-o")])


def _keys(by: Iterable[str]) -> tuple[Key, ...]:
    try:
        return parse_keys(by)
    except BadText as error:
        raise InvalidInput([replace(error.problem, file="--by")]) from None


def _instances(found: Iterable[SourceInstance | SourceProblem], *, include_results: bool) -> Iterator[SourceInstance]:
    for item in found:
        if not isinstance(item, SourceProblem) and (include_results or not item.is_result):
            yield item


def _write(output: Path, resolved: Resolved, *, overwrite: bool) -> Written:
    if is_added_to(output, overwrite=overwrite):
        return Written.by_adding(output, add_rows(output, resolved.columns, resolved.rows))
    return Written(output, write_table(output, resolved.columns, resolved.rows))


def _write_problems(path: Path, problems: list[SubjectProblem]) -> None:
    """Write what is missing; a file of an earlier time that says otherwise goes."""
    if not problems:
        path.unlink(missing_ok=True)
        return
    write_table(path, PROBLEM_COLUMNS, ((str(one.line), *one[1:]) for one in problems))
