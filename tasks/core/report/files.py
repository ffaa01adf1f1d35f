"""The report files of a run folder, written from its ledger alone; writing them again gives the same CSV files.

Public names: ``write_reports``, ``write_crosswalk``.
"""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Any, Final

from deidflow.tasks.core.dicom.identifiers import Level
from deidflow.tasks.core.files.csv_tables import write_records, write_table
from deidflow.tasks.core.files.private_files import replace_file
from deidflow.tasks.core.ledger.run_facts import read_facts
from deidflow.tasks.core.ledger.source_records import source_problems
from deidflow.tasks.core.manifest.columns import REPORT_COLUMNS
from deidflow.tasks.core.outcomes import Outcome, ReasonCode
from deidflow.tasks.core.report.crosswalk import COLUMNS, CrosswalkLine, crosswalk
from deidflow.tasks.core.report.delivered import DELIVERED_COLUMNS, delivered_lines
from deidflow.tasks.core.report.failures import failure_records
from deidflow.tasks.core.report.page import render_page
from deidflow.tasks.core.report.reconciliation import row_results
from deidflow.tasks.core.report.review import REVIEW_COLUMNS, review_lines
from deidflow.tasks.core.report.summary import provenance, summary
from deidflow.tasks.core.report.totals import Totals, TotalsCounter

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from deidflow.tasks.core.ledger.ledger import Ledger
    from deidflow.tasks.core.report.reconciliation import RowResult

RECONCILIATION: Final = "reconciliation.csv"
CROSSWALK: Final = "crosswalk.csv"
DELIVERED: Final = "delivered.csv"
FAILURES: Final = "failures.csv"
SOURCE_PROBLEMS: Final = "source_problems.csv"
REVIEW: Final = "review.csv"
SUMMARY: Final = "summary.json"
PROVENANCE: Final = "provenance.json"
PAGE: Final = "report.html"

_JOINT: Final = ";"


def write_reports(ledger: Ledger, run_dir: Path) -> Totals:
    """Write all report files, each complete or not at all, and remove those that no longer apply.

    Returns:
        The totals that they show.

    Raises:
        InvalidInput: The ledger is damaged.
        OSError: A file cannot be written.

    """
    counter = TotalsCounter()
    free_columns = read_facts(ledger).free_columns
    rows = (_row_cells(result) for result in counter.count(row_results(ledger)))
    write_table(run_dir / RECONCILIATION, (*REPORT_COLUMNS, *free_columns), rows)
    resources: Counter[tuple[str, str]] = Counter()
    write_table(run_dir / CROSSWALK, COLUMNS, _counted(crosswalk(ledger), resources))
    write_table(run_dir / DELIVERED, DELIVERED_COLUMNS, delivered_lines(ledger))
    result = counter.totals(ledger)

    if any(count for outcome, count in result.rows.items() if outcome is not Outcome.DONE):
        write_records(run_dir / FAILURES, failure_records(ledger))
    else:
        (run_dir / FAILURES).unlink(missing_ok=True)
    if result.review or ReasonCode.IDENTIFIER_LEFT in result.instance_reasons:
        write_table(run_dir / REVIEW, REVIEW_COLUMNS, review_lines(ledger))
    else:
        (run_dir / REVIEW).unlink(missing_ok=True)
    if result.source_problems:
        write_table(run_dir / SOURCE_PROBLEMS, ("path", "code"), _source_problems(ledger))
    else:
        (run_dir / SOURCE_PROBLEMS).unlink(missing_ok=True)

    figures = summary(ledger, result, _by_level(resources))
    _write_json(run_dir / SUMMARY, figures)
    _write_json(run_dir / PROVENANCE, provenance(ledger))
    with replace_file(run_dir / PAGE) as stream:
        stream.write(render_page(ledger, result, figures))
    return result


def write_crosswalk(ledger: Ledger, folder: Path) -> Path:
    """Write the crosswalk alone; return its path, and raise as ``write_reports``."""
    write_table(folder / CROSSWALK, COLUMNS, crosswalk(ledger))
    return folder / CROSSWALK


def _row_cells(result: RowResult) -> tuple[str, ...]:
    """Return the cells of ``reconciliation.csv``, in the order of ``REPORT_COLUMNS``."""
    return (
        str(result.line),
        result.orthanc_id,
        result.level,
        result.operation,
        result.outcome,
        "" if result.reason is None else str(result.reason),
        _JOINT.join(result.new_orthanc_ids),
        str(result.instances_expected),
        str(result.instances_done),
        str(result.instances_failed),
        _JOINT.join(result.chunks),
        str(result.attempts),
        *result.free,
    )


def _counted(lines: Iterable[CrosswalkLine], counts: Counter[tuple[str, str]]) -> Iterator[CrosswalkLine]:
    for line in lines:
        counts[line.level, line.outcome] += 1
        yield line


def _by_level(counts: Counter[tuple[str, str]]) -> dict[Level, Counter[Outcome]]:
    by_level: dict[Level, Counter[Outcome]] = {level: Counter() for level in Level}
    for (level, outcome), count in counts.items():
        by_level[Level(level)][Outcome(outcome)] = count
    return by_level


def _source_problems(ledger: Ledger) -> Iterator[tuple[str, str]]:
    for path, code in source_problems(ledger):
        # File names are bytes; those that are not UTF-8 are written with backslashes. The folder itself has no name.
        yield path.decode("utf-8", "backslashreplace") or ".", code


def _write_json(path: Path, data: dict[str, Any]) -> None:
    with replace_file(path) as stream:
        json.dump(data, stream, indent=2, ensure_ascii=False)
        stream.write("\n")
