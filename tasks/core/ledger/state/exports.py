"""What of a run is given away: results that are done and verified, without what a person should look at first.

Public names: ``ExportedResult``, ``ExportCounts``, ``pages_to_export``, ``count_to_export``,
``fingerprint_of_results``, ``other_exports``.
"""

from __future__ import annotations

import os
from hashlib import sha256
from typing import TYPE_CHECKING, Final, NamedTuple

from deidflow.tasks.core.dicom.identifiers import DicomIdentifiers
from deidflow.tasks.core.ledger.run_facts import read_facts
from deidflow.tasks.core.ledger.state.loading import ENOUGH
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
    """Of the results of a run that are done.

    Attributes:
        sound: How many are verified as the run's config asks.
        to_review: How many of these a person should look at first.
        not_verified: How many are not, and so are not given away.

    """

    sound: int
    to_review: int
    not_verified: int


def count_to_export(ledger: Ledger) -> ExportCounts:
    """Count the results of a run."""
    sound = _sound(ledger)
    (counts,) = ledger.select(
        f"SELECT coalesce(sum({sound}), 0), coalesce(sum({sound} AND {_REVIEWED}), 0), coalesce(sum(NOT {sound}), 0)"  # noqa: S608 (constants)
        " FROM instance i WHERE i.outcome = ?",
        (Outcome.DONE,),
    )
    return ExportCounts(*counts)


def _sound(ledger: Ledger) -> str:
    """Return the SQL for whether a result that is done was found right by as much as the run's config asks for."""
    enough = ENOUGH.get(str(read_facts(ledger).config.get("verify")), ("full",))
    names = ", ".join(f"'{one}'" for one in enough)
    return f"(i.verified IN ({names}))"


def pages_to_export(ledger: Ledger, size: int, *, include_review: bool) -> Iterator[list[ExportedResult]]:
    """Yield what is given away of a run's results, in the order of their identifiers, so many at a time."""
    others = f" AND {_sound(ledger)}" + ("" if include_review else f" AND NOT {_REVIEWED}")
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
    """Return the names of exports that the run or the command has packed, and that may hold other results than now."""
    facts = read_facts(ledger)
    packed = [*facts.exports.items(), *((os.path.basename(path), one) for path, one in facts.given_exports.items())]  # noqa: PTH119
    if not packed:
        return ()
    now = {fingerprint_of_results(ledger, include_review=include_review) for include_review in (False, True)}
    return tuple(dict.fromkeys(name for name, one in packed if one not in now))
