"""Cut planned instances into calls to an Orthanc, and calls into chunks.

Orthanc keeps its maps of identifiers inside one call only: a patient is never split over two calls of one request, and
patients who would get one PatientID never share a call, since they would merge: those to whom a request gives one, and
those whose PatientIDs differ in blanks at the beginning only, which the map drops (docs/orthanc.md, Several calls).

Public names: ``cut_calls``, ``note_separate_calls``.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

from deidflow.tasks.core.dicom.tags import PATIENT_ID, Path
from deidflow.tasks.core.ledger.planning import AssignedCall, add_calls, last_numbers, patients_to_call
from deidflow.tasks.core.ledger.run_facts import change_facts
from deidflow.tasks.core.request.request import Operation

if TYPE_CHECKING:
    from deidflow.tasks.core.ledger.ledger import Ledger
    from deidflow.tasks.core.ledger.manifest_rows import RequestCache


def cut_calls(ledger: Ledger, requests: RequestCache, chunk_size: int, max_chunks: int) -> None:
    """Give every planned instance its call and its chunk.

    Args:
        ledger: With a plan; instances whose outcome is known already are passed over.
        requests: Of that ledger.
        chunk_size: Instances per chunk, at least, and per call that several patients share.
        max_chunks: Chunks of a run, at most.

    """
    groups = patients_to_call(ledger)
    total = sum(group.instances for group in groups)
    size = max(chunk_size, -(-total // max_chunks))
    call, chunk = last_numbers(ledger)
    in_call = in_chunk = 0
    last_request = None
    mapped: set[str] = set()
    assigned: list[AssignedCall] = []
    for request, patient, patient_id, count in groups:
        alone = Path((), PATIENT_ID) in requests.get(request).edits.replace
        in_map = patient_id.strip()
        if request != last_request or alone or in_call >= chunk_size or in_map in mapped:
            if in_chunk >= size or not assigned:
                chunk += 1
                in_chunk = 0
            call += 1
            in_call = 0
            mapped.clear()
        last_request = request
        mapped.add(in_map)
        in_call += count
        in_chunk += count
        assigned.append(AssignedCall(call, chunk, request, patient))
    add_calls(ledger, assigned)


def note_separate_calls(ledger: Ledger, requests: RequestCache) -> None:
    """Note how many patients are anonymized in several calls, which share no identifiers; before calls are cut.

    Args:
        ledger: With a plan that has no calls yet.
        requests: Of that ledger.

    """
    patients = Counter(
        group.patient
        for group in patients_to_call(ledger)
        if requests.get(group.request).operation is Operation.ANONYMIZE
    )
    if torn := sum(count > 1 for count in patients.values()):
        text = (
            f"the rows of {torn} {'patient' if torn == 1 else 'patients'} have different options, so the Orthanc does "
            "them in separate calls: references between them no longer match; use engine: local where they must"
        )
        change_facts(ledger, lambda facts: replace(facts, notes=(*facts.notes, text)))
