"""Cut planned instances into calls to an Orthanc, and calls into chunks.

Orthanc keeps its maps of identifiers inside one call only: a patient is never split over two calls of one request, and
patients to whom a request gives one PatientID never share a call, since they would merge (reference 9).

Public names: ``cut_calls``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from deidflow.tasks.core.dicom.tags import PATIENT_ID, Path

if TYPE_CHECKING:
    from deidflow.tasks.core.ledger.ledger import Ledger
    from deidflow.tasks.core.plan.intake import RequestCache


def cut_calls(ledger: Ledger, requests: RequestCache, chunk_size: int, max_chunks: int) -> None:
    """Give every planned instance its call and its chunk.

    Args:
        ledger: With a plan; instances whose outcome is known already are passed over.
        requests: Of that ledger.
        chunk_size: Instances per chunk, at least, and per call that several patients share.
        max_chunks: Chunks of a run, at most.

    """
    groups = ledger.select(
        "SELECT m.request, s.patient, count(*) FROM instance i JOIN series s ON s.id = i.series"
        " JOIN manifest_row m ON m.line = i.line WHERE i.outcome = '' AND i.call IS NULL"
        " GROUP BY m.request, s.patient ORDER BY m.request, min(i.line), s.patient"
    )
    total = sum(count for _, _, count in groups)
    size = max(chunk_size, -(-total // max_chunks))
    call = ledger.scalar("SELECT coalesce(max(number), 0) FROM call")
    chunk = ledger.scalar("SELECT coalesce(max(number), 0) FROM chunk")
    in_call = in_chunk = 0
    last_request = None
    assigned: list[tuple[int, int, int, str]] = []
    for request, patient, count in groups:
        alone = Path((), PATIENT_ID) in requests.get(request).edits.replace
        if request != last_request or alone or in_call >= chunk_size:
            if in_chunk >= size or not assigned:
                chunk += 1
                in_chunk = 0
            call += 1
            in_call = 0
        last_request = request
        in_call += count
        in_chunk += count
        assigned.append((call, chunk, request, patient))
    _store(ledger, assigned)


def _store(ledger: Ledger, assigned: list[tuple[int, int, int, str]]) -> None:
    ledger.execute("CREATE TEMP TABLE place (call INTEGER, chunk INTEGER, request INTEGER, patient TEXT)")
    ledger.execute_many("INSERT INTO place VALUES (?, ?, ?, ?)", assigned)
    ledger.execute("CREATE INDEX temp.place_patient ON place (patient, request)")
    ledger.execute("INSERT INTO chunk SELECT DISTINCT chunk, printf('c%04d', chunk), 0 FROM place ORDER BY chunk")
    ledger.execute("INSERT INTO call (number) SELECT DISTINCT call FROM place ORDER BY call")
    ledger.execute(
        "UPDATE instance SET call = p.call, chunk = p.chunk FROM place p, series s, manifest_row m"
        " WHERE s.id = instance.series AND m.line = instance.line AND p.patient = s.patient AND p.request = m.request"
        " AND instance.outcome = '' AND instance.call IS NULL"
    )
    ledger.execute(
        "UPDATE chunk SET instances = (SELECT count(*) FROM instance i WHERE i.chunk = chunk.number)"
        " WHERE number IN (SELECT chunk FROM place)"
    )
    ledger.execute("DROP TABLE place")
