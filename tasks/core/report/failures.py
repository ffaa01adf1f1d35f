"""What is not done, as the records of a manifest that can be run as it is.

Public names: ``failure_records``.
"""

from __future__ import annotations

import io
from itertools import chain, islice, pairwise
from typing import TYPE_CHECKING

from deidflow.tasks.core.dicom.identifiers import Level
from deidflow.tasks.core.ledger.report_queries import instances_not_done
from deidflow.tasks.core.ledger.run_facts import read_facts, read_manifest
from deidflow.tasks.core.manifest.columns import INSTANCES, LEVEL, ORTHANC_ID
from deidflow.tasks.core.manifest.csv_text import ManifestText, Record
from deidflow.tasks.core.outcomes import Outcome
from deidflow.tasks.core.report.reconciliation import row_results
from deidflow.tasks.core.request.request import Operation

if TYPE_CHECKING:
    from collections.abc import Iterator

    from deidflow.tasks.core.ledger.ledger import Ledger
    from deidflow.tasks.core.report.reconciliation import RowResult


def failure_records(ledger: Ledger) -> Iterator[list[str]]:
    """Yield the manifest's header, then the rows that are not done, in manifest order and with all their columns.

    Of a partly done row only the instances that are not done are listed, each as a row of its own; with anonymize on an
    Orthanc the whole row, since a server gives the same patient other identifiers in another call.

    Raises:
        InvalidInput: The ledger does not hold the manifest.

    """
    facts, manifest = read_facts(ledger), read_manifest(ledger)
    text = ManifestText(manifest, facts.manifest_name, ORTHANC_ID)
    records = text.records()
    header = next(records).cells
    yield header
    keeps_rows_whole = facts.engine == "orthanc"
    results = row_results(ledger)
    result = next(results, None)
    for record, following in pairwise(chain(records, [None])):
        while result is not None and record is not None and result.line < record.line:
            result = next(results, None)
        if record is None or result is None or result.line != record.line or result.outcome is Outcome.DONE:
            continue
        if record.fault:
            yield [_raw_text(manifest, record, following)]
        elif not result.is_partly_done or (keeps_rows_whole and result.operation == Operation.ANONYMIZE):
            yield record.cells
        else:
            yield from _instance_records(ledger, header, record, result)


def _instance_records(ledger: Ledger, header: list[str], record: Record, result: RowResult) -> Iterator[list[str]]:
    names = [name.strip() for name in header]
    for orthanc_id in instances_not_done(ledger, result.line):
        own = {ORTHANC_ID: orthanc_id, LEVEL: Level.INSTANCE.value, INSTANCES: ""}
        yield [own.get(name, cell) for name, cell in zip(names, record.cells, strict=True)]


def _raw_text(manifest: bytes, record: Record, following: Record | None) -> str:
    """Return the lines of a record whose quotes do not match; as one cell they stay visible, and wrong."""
    lines = io.StringIO(manifest.decode("utf-8-sig"), newline="")
    stop = None if following is None else following.line - 1
    return "".join(islice(lines, record.line - 1, stop)).rstrip("\r\n")
