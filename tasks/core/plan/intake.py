"""Bring the manifest's rows and the source's instances into the ledger.

Public names: ``add_rows``, ``add_instances``.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING, Final, TypeVar

from deidflow.tasks.core.engine.sources import SourceInstance, SourceProblem
from deidflow.tasks.core.ledger import manifest_rows, source_records
from deidflow.tasks.core.ledger.manifest_rows import RowRecord
from deidflow.tasks.core.ledger.run_facts import change_facts
from deidflow.tasks.core.ledger.source_records import SeriesRecord, SourceRecord
from deidflow.tasks.core.outcomes import Outcome, ReasonCode

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from deidflow.tasks.core.errors import Problem
    from deidflow.tasks.core.ledger.ledger import Ledger
    from deidflow.tasks.core.manifest.manifest import Manifest, ManifestRow
    from deidflow.tasks.core.request.request import Request

_T = TypeVar("_T")
_BATCH: Final = 2000


def add_rows(ledger: Ledger, manifest: Manifest) -> list[Problem]:
    """Read all rows of a manifest.

    Returns:
        The problems of all rows, in the order of lines. Rows with problems have the outcome ``invalid``.

    """
    problems: list[Problem] = []
    numbers: dict[str, int] = {}
    last_request: Request | None = None
    last_number: int | None = None

    def number_of(request: Request | None) -> int | None:
        nonlocal last_request, last_number
        if request is None:
            return None
        if request is not last_request:
            name = request.canonical()
            last_request, last_number = request, numbers.get(name)
            if last_number is None:
                last_number = numbers[name] = len(numbers) + 1
                ledger.requests.add(last_number, request)
        return last_number

    def record(row: ManifestRow) -> RowRecord:
        problems.extend(row.problems)
        outcome: tuple[str, str, str] = ("", "", "")
        if row.problems:
            columns = ", ".join(sorted({problem.column for problem in row.problems if problem.column}))
            text = f"see {columns}" if columns else "the row cannot be read"
            outcome = (Outcome.INVALID, ReasonCode.INVALID_ROW, text)
        named = (row.line, row.orthanc_id, row.level or "", row.operation or "")
        return RowRecord(*named, number_of(row.request), row.instances, row.free, *outcome)

    for batch in _batched(manifest.rows()):
        manifest_rows.add_rows(ledger, [record(row) for row in batch])
    change_facts(ledger, lambda facts: replace(facts, free_columns=manifest.free_columns))
    return problems


def _batched(values: Iterable[_T]) -> Iterator[list[_T]]:
    iterator = iter(values)
    while batch := list(islice(iterator, _BATCH)):
        yield batch


def add_instances(
    ledger: Ledger, found: Iterable[SourceInstance | SourceProblem], *, accept_unstable: bool = True
) -> None:
    """Bring what the source holds into the ledger; the planner joins instances that repeat.

    Args:
        ledger: Prepared.
        found: In any order.
        accept_unstable: Whether instances of studies that may still be arriving are taken, or else ``failed``.

    """
    series_numbers: dict[tuple[str, ...], int] = {}
    for batch in _batched(found):
        instances: list[SourceRecord] = []
        problems: list[SourceProblem] = []
        series: list[SeriesRecord] = []
        origins: list[tuple[str, str]] = []
        for item in batch:
            if isinstance(item, SourceProblem):
                problems.append(item)
                continue
            identifiers = item.identifiers
            name = (*identifiers[:3], item.frame_of_reference_uid, item.person)
            number = series_numbers.get(name)
            patient, study, series_id, instance = item.orthanc_ids or identifiers.orthanc_ids()
            if number is None:
                number = series_numbers[name] = len(series_numbers) + 1
                series.append(SeriesRecord(number, *identifiers[:3], name[3], patient, study, series_id, item.person))
            facts = (identifiers.sop_instance_uid, instance, item.path, item.size, item.mtime_ns, item.content)
            unstable = not (item.stable or accept_unstable)
            outcome = (Outcome.FAILED, ReasonCode.UNSTABLE) if unstable else ("", "")
            origins += [(instance, origin) for origin in item.origins]
            instances.append(SourceRecord(number, *facts, item.sop_class_uid, item.review, *outcome, item.modality))
        source_records.add_sources(ledger, series, instances, problems)
        source_records.add_origins(ledger, origins)
    source_records.sources_are_complete(ledger)
