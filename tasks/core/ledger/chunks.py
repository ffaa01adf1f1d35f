"""The work on a run, chunk by chunk: what is to be done, and what became of it.

Public names: ``ChunkRow``, ``IdentifierChange``, ``INSTANCE_COLUMNS``, ``planned_instances``, ``parents_of``,
``open_chunks``, ``count_planned``, ``instances_to_do``, ``bytes_to_do``, ``instances_without_outcome``, ``chunk_key``,
``chunk_rows``, ``begin_attempt``, ``record_results``, ``fail_rest``, ``reopen``, ``torn_calls``, ``redo_call``,
``reopen_patients``, ``identifier_changes``, ``original_uids``, ``names_of_patients``, ``call_and_request``.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from deidflow.tasks.core.dicom.identifiers import DicomIdentifiers
from deidflow.tasks.core.dicom.persons import Person
from deidflow.tasks.core.engine.protocol import CallState, PlannedInstance
from deidflow.tasks.core.engine.review import ReviewCode
from deidflow.tasks.core.outcomes import Outcome

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from deidflow.tasks.core.engine.protocol import InstanceResult
    from deidflow.tasks.core.ledger.ledger import Ledger
    from deidflow.tasks.core.outcomes import Reason

INSTANCE_COLUMNS: Final = (
    "i.series, i.target, i.id, i.path, i.size, i.mtime_ns, i.orthanc_id, i.sop_instance_uid, i.new_sop_instance_uid"
)
"""What ``planned_instances`` is given of instances ``i`` of a query."""

# A result that is taken over as it is keeps what was noted when it was verified.
_RECORD: Final = """
UPDATE instance SET outcome = ?1, code = ?2, text = ?3, verified = '', is_there = is_there OR ?1 = 'done',
    evidence = CASE WHEN ?4 <> '' AND new_orthanc_id = ?4 THEN evidence ELSE ?5 END,
    content = CASE WHEN ?6 <> '' THEN ?6 ELSE content END, removed = ?9,
    review = CASE WHEN ?8 = '' OR instr(review, ?8) THEN review WHEN review = '' THEN ?8 ELSE review || ';' || ?8 END
WHERE id = ?7
"""


_LOOK_AT: Final = """
UPDATE instance SET review = CASE WHEN review = '' THEN ?1 ELSE review || ';' || ?1 END
WHERE id = ?2 AND NOT instr(review, ?1)
"""
_UNKNOWN: Final = """
INSERT INTO unknown_word VALUES (?, ?) ON CONFLICT (word) DO UPDATE SET instance = min(instance, excluded.instance)
"""


class ChunkRow(NamedTuple):
    """A planned instance, the call that it is in (0: none) and the number of its request."""

    call: int
    request: int
    instance: PlannedInstance


class IdentifierChange(NamedTuple):
    """The identifiers of an instance before and after, under a request.

    Attributes:
        request: Its number.
        frame_of_reference_uid: Original, "" when absent.
        original: Of the source.
        new: Of the result.

    """

    request: int
    frame_of_reference_uid: str
    original: DicomIdentifiers
    new: DicomIdentifiers


def planned_instances(ledger: Ledger, rows: Sequence[Sequence[Any]]) -> list[PlannedInstance]:
    """Make planned instances of what the ledger holds; those of a series share the texts above them.

    Args:
        ledger: Of a plan or run.
        rows: ``INSTANCE_COLUMNS``, behind whatever else was asked for.

    """
    # Asked once for each series: with each instance it would cost as much as all else of it.
    width = len(INSTANCE_COLUMNS.split(","))
    above = parents_of(ledger, "series", {row[-width] for row in rows})
    below = {None: ("", "", ""), **parents_of(ledger, "target", {row[1 - width] for row in rows})}
    return [
        PlannedInstance(
            *(number, path, size, mtime_ns),
            DicomIdentifiers(*above[series], uid),
            DicomIdentifiers(*below[target], new_uid),
            orthanc_id,
        )
        for *_, series, target, number, path, size, mtime_ns, orthanc_id, uid, new_uid in rows
    ]


def parents_of(ledger: Ledger, table: str, numbers: set[int | None]) -> dict[int | None, tuple[str, str, str]]:
    """Return PatientID, StudyInstanceUID and SeriesInstanceUID of some entries of ``series`` or ``target``."""
    rows = ledger.select(
        f"SELECT id, patient_id, study_instance_uid, series_instance_uid FROM {table}"  # noqa: S608 (constants)
        " WHERE id IN (SELECT value FROM json_each(?))",
        (json.dumps(list(numbers)),),
    )
    return {number: (patient_id, study, series) for number, patient_id, study, series in rows}


def open_chunks(ledger: Ledger) -> list[int]:
    """Return the numbers of the chunks that hold something to do, in order."""
    rows = ledger.select("SELECT DISTINCT chunk FROM instance WHERE chunk IS NOT NULL AND outcome = '' ORDER BY chunk")
    return [number for (number,) in rows]


def count_planned(ledger: Ledger) -> int:
    """Return how many instances are in chunks, done or not."""
    return int(ledger.scalar("SELECT count(*) FROM instance WHERE chunk IS NOT NULL"))


def instances_to_do(ledger: Ledger) -> int:
    """Return how many instances are still to be done."""
    return int(ledger.scalar("SELECT count(*) FROM instance WHERE chunk IS NOT NULL AND outcome = ''"))


def bytes_to_do(ledger: Ledger) -> int:
    """Return how large the source files are that are still to be done, together."""
    return int(ledger.scalar("SELECT coalesce(sum(size), 0) FROM instance WHERE chunk IS NOT NULL AND outcome = ''"))


def instances_without_outcome(ledger: Ledger) -> int:
    """Return how many planned instances have no outcome yet, in a chunk or not."""
    return int(ledger.scalar("SELECT count(*) FROM instance WHERE outcome = ''"))


def chunk_key(ledger: Ledger, number: int) -> str:
    """Return the key of a chunk, the name by which people know it."""
    return str(ledger.scalar("SELECT key FROM chunk WHERE number = ?", (number,)))


def chunk_rows(ledger: Ledger, number: int) -> list[ChunkRow]:
    """Return what is still to be done of a chunk, by call, request, row and series."""
    rows = ledger.select(
        f"SELECT coalesce(i.call, 0), m.request, {INSTANCE_COLUMNS}"  # noqa: S608 (constants)
        " FROM instance i JOIN manifest_row m ON m.line = i.line WHERE i.chunk = ? AND i.outcome = ''"
        " ORDER BY i.call, m.request, i.line, i.series, i.id",
        (number,),
    )
    return [ChunkRow(row[0], row[1], one) for row, one in zip(rows, planned_instances(ledger, rows), strict=True)]


def begin_attempt(ledger: Ledger, number: int) -> None:
    """Count another attempt at what is still to be done of a chunk."""
    ledger.execute("UPDATE instance SET attempts = attempts + 1 WHERE chunk = ? AND outcome = ''", (number,))


def record_results(ledger: Ledger, results: Sequence[InstanceResult]) -> None:
    """Note what became of instances, and the identifiers of results that only the server could know."""
    with ledger.transaction():
        ledger.execute_many(
            _RECORD,
            [
                (
                    # Of what is no plain text Python asks each time how SQLite is to have it.
                    *(one.outcome.value, one.code.value if one.code else "", one.text if one.code else ""),
                    *("" if one.new_orthanc_ids is None else one.new_orthanc_ids[-1], one.evidence, one.content),
                    *(one.id, one.review, one.removed),
                )
                for one in results
            ],
        )
        with_words = [one for one in results if one.unknown_words]
        ledger.execute_many(_LOOK_AT, [(ReviewCode.UNKNOWN_WORDS, one.id) for one in with_words])
        ledger.execute_many(_UNKNOWN, [(word, one.id) for one in with_words for word in one.unknown_words])
        for one in results:
            if one.new is not None and one.new_orthanc_ids is not None:
                _record_found(ledger, one.id, one.new, one.new_orthanc_ids)


def _record_found(ledger: Ledger, number: int, new: DicomIdentifiers, names: tuple[str, str, str, str]) -> None:
    ledger.execute(
        "INSERT OR IGNORE INTO target (patient_id, study_instance_uid, series_instance_uid, patient, study, series)"
        " VALUES (?, ?, ?, ?, ?, ?)",
        (*new[:3], *names[:3]),
    )
    ledger.execute(
        "UPDATE instance SET new_sop_instance_uid = ?, new_orthanc_id = ?, target = (SELECT id FROM target WHERE"
        " patient_id = ? AND study_instance_uid = ? AND series_instance_uid = ?) WHERE id = ?",
        (new.sop_instance_uid, names[3], *new[:3], number),
    )


def fail_rest(ledger: Ledger, number: int, reason: Reason, in_doubt: Reason) -> None:
    """Fail what is left of a chunk.

    Args:
        ledger: Of a run.
        number: Of the chunk.
        reason: Why.
        in_doubt: Why, for instances of calls that may have results on the server.

    """
    doubtful = "SELECT number FROM call WHERE state IN (?, ?)"
    for condition, why in (
        (f"call IN ({doubtful})", in_doubt),
        (f"call IS NULL OR call NOT IN ({doubtful})", reason),
    ):
        ledger.execute(
            f"UPDATE instance SET outcome = ?, code = ?, text = ? WHERE chunk = ? AND outcome = '' AND ({condition})",  # noqa: S608
            (Outcome.FAILED, *why, number, CallState.INTENDED, CallState.SENT),
        )


def reopen(ledger: Ledger) -> None:
    """Give everything that has a chunk and is not done another try."""
    ledger.execute(
        "UPDATE instance SET outcome = '', code = '', text = '' WHERE chunk IS NOT NULL AND outcome NOT IN ('', ?)",
        (Outcome.DONE,),
    )


def torn_calls(ledger: Ledger) -> list[tuple[int, int]]:
    """Return the calls that ended and are not done in full, each with the number of its request."""
    rows = ledger.select(
        "SELECT c.number, min(m.request) FROM call c JOIN instance i ON i.call = c.number"
        " JOIN manifest_row m ON m.line = i.line WHERE c.state NOT IN (?, ?)"
        " GROUP BY c.number HAVING sum(i.outcome = '') > 0 AND (c.state <> ? OR sum(i.outcome = ?) > 0)",
        (CallState.INTENDED, CallState.SENT, CallState.PLANNED, Outcome.DONE),
    )
    return [(call, request) for call, request in rows]


def redo_call(ledger: Ledger, call: int) -> None:
    """Note that a call ended and has to be done again."""
    ledger.execute("UPDATE call SET state = ? WHERE number = ?", (CallState.REDO, call))


def reopen_patients(ledger: Ledger, call: int) -> None:
    """Give a call's patients of whom something is to be done another try as a whole."""
    ledger.execute(
        "UPDATE instance SET outcome = '', code = '', text = '' WHERE call = ?1 AND series IN ("
        "SELECT id FROM series WHERE patient IN ("
        "SELECT s.patient FROM instance i JOIN series s ON s.id = i.series WHERE i.call = ?1 AND i.outcome = ''))",
        (call,),
    )


def identifier_changes(ledger: Ledger) -> Iterator[IdentifierChange]:
    """Yield the identifiers of all planned instances whose new ones are known, by request."""
    rows = ledger.stream(
        "SELECT m.request, s.frame_of_reference_uid, s.patient_id, s.study_instance_uid, s.series_instance_uid,"
        " i.sop_instance_uid, t.patient_id, t.study_instance_uid, t.series_instance_uid, i.new_sop_instance_uid"
        " FROM instance i JOIN series s ON s.id = i.series JOIN target t ON t.id = i.target"
        " JOIN manifest_row m ON m.line = i.line ORDER BY m.request"
    )
    for number, frame_of_reference, *names in rows:
        yield IdentifierChange(number, frame_of_reference, DicomIdentifiers(*names[:4]), DicomIdentifiers(*names[4:]))


def original_uids(ledger: Ledger) -> Iterator[str]:
    """Yield the original UIDs of everything that is planned: studies, series, instances and frames of reference."""
    rows = ledger.stream(
        "SELECT study_instance_uid FROM series UNION SELECT series_instance_uid FROM series"
        " UNION SELECT frame_of_reference_uid FROM series UNION ALL SELECT sop_instance_uid FROM instance"
    )
    for (uid,) in rows:
        yield uid


def names_of_patients(ledger: Ledger) -> Iterator[tuple[str, str]]:
    """Yield PatientID (StudyInstanceUID where that is empty) and PatientName, each pair once, sorted."""
    rows = ledger.stream(
        "SELECT DISTINCT iif(patient_id = '', study_instance_uid, patient_id) AS patient, person FROM series"
        " ORDER BY patient, person"
    )
    for patient, person in rows:
        yield patient, Person.from_text(person).name


def call_and_request(ledger: Ledger, number: int) -> tuple[int, int]:
    """Return the numbers of an instance's call and request."""
    ((call, request),) = ledger.select(
        "SELECT i.call, m.request FROM instance i JOIN manifest_row m ON m.line = i.line WHERE i.id = ?", (number,)
    )
    return call, request
