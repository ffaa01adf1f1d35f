"""What of a run is given away: results that are done, with what a person should look at first set apart.

Public names: ``ExportedResult``, ``ExportCounts``, ``pages_to_export``, ``count_to_export``,
``fingerprint_of_results``, ``other_exports``.
"""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, Final, NamedTuple

from deidflow.tasks.core.dicom.identifiers import DicomIdentifiers
from deidflow.tasks.core.ledger.run_facts import read_facts
from deidflow.tasks.core.outcomes import Outcome

if TYPE_CHECKING:
    from collections.abc import Iterator

    from deidflow.tasks.core.ledger.ledger import Ledger

_TOGETHER: Final = 1024
_REVIEWED: Final = "(i.review <> '' OR i.id IN (SELECT instance FROM unknown_word))"


class ExportedResult(NamedTuple):
    """A result: its identifiers, Orthanc's form of the last, and the SHA-256 that it was found right with, or ""."""

    names: DicomIdentifiers
    orthanc_id: str
    evidence: str


class ExportCounts(NamedTuple):
    """How many results are done, and how many of these a person should look at first."""

    done: int
    to_review: int


def count_to_export(ledger: Ledger) -> ExportCounts:
    """Count the results of a run."""
    ((done, reviewed),) = ledger.select(
        f"SELECT count(*), coalesce(sum({_REVIEWED}), 0) FROM instance i WHERE i.outcome = ?",  # noqa: S608 (constants)
        (Outcome.DONE,),
    )
    return ExportCounts(done, reviewed)


def pages_to_export(ledger: Ledger, size: int, *, include_review: bool) -> Iterator[list[ExportedResult]]:
    """Yield the results of a run in the order of their identifiers, so many at a time."""
    others = "" if include_review else f" AND NOT {_REVIEWED}"
    page: list[ExportedResult] = []
    for *names, name, evidence in ledger.stream(
        "SELECT t.patient_id, t.study_instance_uid, t.series_instance_uid, i.new_sop_instance_uid, i.new_orthanc_id,"  # noqa: S608
        f" i.evidence FROM instance i JOIN target t ON t.id = i.target WHERE i.outcome = ?{others} ORDER BY 1, 2, 3, 4",
        (Outcome.DONE,),
    ):
        page.append(ExportedResult(DicomIdentifiers(*names), name, evidence))
        if len(page) >= size:
            yield page
            page = []
    if page:
        yield page


def fingerprint_of_results(ledger: Ledger, *, include_review: bool) -> str:
    """Return what is the same for the same results only."""
    digest = sha256()
    for page in pages_to_export(ledger, _TOGETHER, include_review=include_review):
        for one in page:
            digest.update(f"{one.orthanc_id} {one.evidence}\n".encode())
    return digest.hexdigest()


def other_exports(ledger: Ledger) -> tuple[str, ...]:
    """Return the names of exports that the run has packed, and that may hold other results than are done now."""
    facts = read_facts(ledger)
    if not facts.exports:
        return ()
    include_review = bool((facts.config.get("export") or {}).get("include_review"))
    now = fingerprint_of_results(ledger, include_review=include_review)
    return tuple(name for name, packed in facts.exports.items() if packed != now)
