"""Bring the manifest's rows and the source's instances into the ledger.

Public names: ``add_rows``, ``add_instances``, ``RequestCache``.
"""

from __future__ import annotations

import json
from itertools import islice
from typing import TYPE_CHECKING, Final, TypeVar

from deidflow.tasks.core.engine.sources import SourceInstance, SourceProblem
from deidflow.tasks.core.ledger.ledger import SOURCE_INDEXES
from deidflow.tasks.core.outcomes import Outcome, ReasonCode, reason_text
from deidflow.tasks.core.request.request import Operation, Request, parse_request

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from deidflow.tasks.core.errors import Problem
    from deidflow.tasks.core.ledger.ledger import Ledger
    from deidflow.tasks.core.manifest.manifest import Manifest, ManifestRow

_T = TypeVar("_T")
_BATCH: Final = 2000
_CACHED_REQUESTS: Final = 2048


class RequestCache:
    """Requests of a ledger by their number; the ones used last are kept parsed."""

    def __init__(self, ledger: Ledger) -> None:
        """Take the ledger they are in."""
        self._ledger = ledger
        self._cache: dict[int, Request] = {}

    def get(self, number: int) -> Request:
        """Return a request."""
        request = self._cache.get(number)
        if request is None:
            if len(self._cache) >= _CACHED_REQUESTS:
                self._cache.clear()
            ((operation, body),) = self._ledger.select("SELECT operation, body FROM request WHERE id = ?", (number,))
            request = self._cache[number] = parse_request(Operation(operation), json.loads(body))
        return request


def add_rows(ledger: Ledger, manifest: Manifest) -> list[Problem]:
    """Read all rows of a manifest.

    Returns:
        The problems of all rows, in the order of lines. Rows with problems have the verdict ``invalid``.

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
                body = json.dumps(request.body(), sort_keys=True, ensure_ascii=False)
                ledger.execute("INSERT INTO request VALUES (?, ?, ?)", (last_number, request.operation, body))
        return last_number

    def entry(row: ManifestRow) -> tuple[object, ...]:
        problems.extend(row.problems)
        verdict = reason = ""
        if row.problems:
            columns = ", ".join(sorted({problem.column for problem in row.problems if problem.column}))
            verdict = Outcome.INVALID
            reason = reason_text(ReasonCode.INVALID_ROW, f"see {columns}" if columns else "the row cannot be read")
        return (
            row.line,
            row.orthanc_id,
            row.level or "",
            row.operation or "",
            number_of(row.request),
            row.instances,
            json.dumps(row.free, ensure_ascii=False),
            verdict,
            reason,
        )

    for batch in _batched(manifest.rows()):
        entries = [entry(row) for row in batch]
        ledger.execute_many("INSERT INTO manifest_row VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", entries)
    ledger.set_meta("free_columns", manifest.free_columns)
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
        instances = []
        problems = []
        series = []
        for item in batch:
            if isinstance(item, SourceProblem):
                problems.append((item.path, item.code))
                continue
            identifiers = item.identifiers
            name = (*identifiers[:3], item.frame_of_reference_uid, item.person)
            number = series_numbers.get(name)
            patient, study, series_id, instance = item.orthanc_ids or identifiers.orthanc_ids()
            unstable = not (item.stable or accept_unstable)
            if number is None:
                number = series_numbers[name] = len(series_numbers) + 1
                series.append((number, *name[:4], patient, study, series_id, item.person))
            verdict = (Outcome.FAILED, reason_text(ReasonCode.UNSTABLE)) if unstable else ("", "")
            facts = (identifiers.sop_instance_uid, instance, item.path, item.size, item.mtime_ns, item.content)
            instances.append((number, *facts, item.sop_class_uid, item.review, *verdict))
        with ledger.transaction():
            ledger.execute_many("INSERT INTO series VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", series)
            ledger.execute_many(
                "INSERT INTO instance (series, sop_instance_uid, orthanc_id, path, size, mtime_ns, content,"
                " sop_class_uid, review, outcome, reason) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                instances,
            )
            ledger.execute_many("INSERT INTO source_problem VALUES (?, ?)", problems)
    ledger.create_indexes(SOURCE_INDEXES)
