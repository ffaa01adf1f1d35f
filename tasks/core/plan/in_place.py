"""Results that would stand in the place of an original: on one server the same four identifiers are one object.

Public names: ``check_in_place``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from deidflow.tasks.core.plan.checks import Finding

if TYPE_CHECKING:
    from collections.abc import Iterator

    from deidflow.tasks.core.ledger.ledger import Ledger

_COLUMN: Final = "SOPInstanceUID"

# By the identifiers too: the Orthanc identifier of an odd PatientID is the server's, not that of the text it shows.
_OWN: Final = """
SELECT DISTINCT n.line FROM instance n JOIN series s ON s.id = n.series JOIN target t ON t.id = n.target
WHERE n.line IS NOT NULL AND (n.orthanc_id = n.new_orthanc_id OR (t.patient_id = s.patient_id
AND t.study_instance_uid = s.study_instance_uid AND t.series_instance_uid = s.series_instance_uid
AND n.new_sop_instance_uid = n.sop_instance_uid)) ORDER BY n.line
"""
_ANOTHER: Final = """
SELECT DISTINCT n.line FROM instance n JOIN instance i ON i.orthanc_id = n.new_orthanc_id AND i.id <> n.id
WHERE n.line IS NOT NULL AND n.target IS NOT NULL ORDER BY n.line
"""


def check_in_place(ledger: Ledger) -> Iterator[Finding]:
    """Find rows whose results would take the place of originals, for runs that write to the server they read from.

    Expects the targets of all planned instances. What counts is the identifiers that results get, not how the request
    spells them: a kept SOPInstanceUID is no matter where the patient, study or series is another one.
    """
    own = _lines(ledger, _OWN)
    if own:
        yield Finding(
            own,
            _COLUMN,
            "results would have all identifiers of their originals, and so take their place on the server; leave "
            "SOPInstanceUID out of Keep and Replace, or write the results to another destination (engine local)",
        )
    others = _lines(ledger, _ANOTHER)
    if others:
        yield Finding(
            others,
            _COLUMN,
            "results would have the identifiers of other originals of this manifest, and so take their place on the "
            "server; give other identifiers, or write the results to another destination (engine local)",
        )


def _lines(ledger: Ledger, query: str) -> tuple[int, ...]:
    return tuple(line for (line,) in ledger.select(query))
