"""What only the source and all rows together show, for the checks of a plan that is being made.

Those up to ``patients_of_several_requests`` read what rows claim (``deidflow.tasks.core.ledger.planning``); the others
need the targets of all instances.

Public names: ``LineLevels``, ``LineCounts``, ``PatientRow``, ``SharedPatient``, ``RowRequest``, ``RowPerson``,
``wrong_levels``, ``wrong_counts``, ``overlapping_rows``, ``rows_of_patients``, ``patient_ids_of_several_persons``,
``persons_under``, ``patients_of_several_requests``, ``rows_with_persons``, ``patient_ids_that_join``,
``rows_becoming``, ``rows_taking_another_patient_id``, ``rows_in_their_own_place``, ``rows_in_the_place_of_others``.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final, NamedTuple

from deidflow.tasks.core.dicom.identifiers import Level

if TYPE_CHECKING:
    from collections.abc import Iterable

    from deidflow.tasks.core.ledger.ledger import Ledger
    from deidflow.tasks.core.request.request import Operation

_CLAIMED: Final = "claim c JOIN instance i ON i.id = c.instance JOIN series s ON s.id = i.series"
"""What rows claim, before each instance is given to one of them."""
_PLANNED: Final = "instance i JOIN series s ON s.id = i.series"
_ROW: Final = "JOIN manifest_row m ON m.line"


class LineLevels(NamedTuple):
    """A row, the level that it says, and the one that the source has under its identifier."""

    line: int
    said: str
    held: str


class LineCounts(NamedTuple):
    """A row, the number of instances that it says, and that which the source holds."""

    line: int
    said: int
    held: int


class PatientRow(NamedTuple):
    """A row, the number of its request, and a patient under it, by the original PatientID or else by the study."""

    patient: str
    line: int
    request: int


class RowRequest(NamedTuple):
    """A row and the number of its request."""

    line: int
    request: int


class SharedPatient(NamedTuple):
    """A patient whose rows have several requests.

    Attributes:
        lines: Of the rows, sorted.
        requests: The numbers of the requests.
        has_parts: Whether one of the rows names a series or an instance.

    """

    lines: tuple[int, ...]
    requests: tuple[int, ...]
    has_parts: bool


def wrong_levels(ledger: Ledger) -> list[LineLevels]:
    """Return the rows that say another level than the source has."""
    rows = ledger.select(
        "SELECT DISTINCT m.line, m.level, c.level FROM manifest_row m JOIN claim c USING (line)"
        " WHERE m.level <> '' AND m.level <> c.level ORDER BY m.line"
    )
    return [LineLevels(*row) for row in rows]


def wrong_counts(ledger: Ledger) -> list[LineCounts]:
    """Return the rows that say another number of instances than the source holds, with or without what is left out."""
    rows = ledger.select(
        "SELECT m.line, m.declared, count(*) AS held FROM manifest_row m JOIN claim c USING (line)"
        " WHERE m.declared IS NOT NULL GROUP BY m.line HAVING m.declared <> held AND m.declared <>"
        " held + (SELECT count(*) FROM left_out l WHERE l.line = m.line) ORDER BY m.line"
    )
    return [LineCounts(*row) for row in rows]


def overlapping_rows(ledger: Ledger) -> list[tuple[int, int]]:
    """Return the pairs of rows that name the same instances."""
    rows = ledger.select(
        "SELECT DISTINCT a.line, b.line FROM claim a JOIN claim b ON a.instance = b.instance AND a.line < b.line"
        " ORDER BY a.line, b.line"
    )
    return [(first, second) for first, second in rows]


def rows_of_patients(ledger: Ledger) -> list[PatientRow]:
    """Return the rows of each patient, by patient, then by line; one without a PatientID is known by the study."""
    rows = ledger.select(
        "SELECT DISTINCT CASE WHEN s.patient_id <> '' THEN 'p' || s.patient_id"  # noqa: S608 (constants)
        f" ELSE 's' || s.study_instance_uid END AS patient, m.line, m.request FROM {_CLAIMED} {_ROW} = c.line"
        " ORDER BY patient, m.line"
    )
    return [PatientRow(*row) for row in rows]


def patient_ids_of_several_persons(ledger: Ledger) -> list[str]:
    """Return the PatientIDs under which the source has several persons, in the order of their first rows."""
    rows = ledger.select(
        f"SELECT s.patient_id FROM {_CLAIMED}"  # noqa: S608 (constants)
        " WHERE s.patient_id <> '' AND s.person <> '' GROUP BY s.patient_id HAVING count(DISTINCT s.person) > 1"
        " ORDER BY min(c.line)"
    )
    return [patient_id for (patient_id,) in rows]


def persons_under(ledger: Ledger, patient_id: str) -> list[tuple[int, str]]:
    """Return the rows of a PatientID, each with whose it says it is, see ``deidflow.tasks.core.dicom.persons``."""
    rows = ledger.select(
        f"SELECT DISTINCT c.line, s.person FROM {_CLAIMED} WHERE s.patient_id = ? ORDER BY c.line",  # noqa: S608
        (patient_id,),
    )
    return [(line, person) for line, person in rows]


def patients_of_several_requests(ledger: Ledger) -> list[SharedPatient]:
    """Return the patients whose rows have several requests, in the order of their first rows."""
    rows = ledger.select(
        "SELECT json_group_array(DISTINCT m.line), json_group_array(DISTINCT m.request), max(c.level IN (?, ?))"  # noqa: S608
        f" FROM {_CLAIMED} {_ROW} = c.line GROUP BY s.patient HAVING count(DISTINCT m.request) > 1"
        " ORDER BY min(m.line)",
        (Level.SERIES, Level.INSTANCE),
    )
    return [
        SharedPatient(tuple(sorted(json.loads(lines))), tuple(json.loads(requests)), bool(has_parts))
        for lines, requests, has_parts in rows
    ]


class RowPerson(NamedTuple):
    """A row, and whose objects it names.

    Attributes:
        line: Of the manifest.
        request: Its number.
        patient_id: The original one, "" when absent.
        person: See ``deidflow.tasks.core.dicom.persons``; "" when nobody looked.

    """

    line: int
    request: int
    patient_id: str
    person: str


def rows_with_persons(ledger: Ledger, operation: Operation) -> list[RowPerson]:
    """Return the rows of an operation, each with whose objects it names."""
    rows = ledger.select(
        f"SELECT DISTINCT i.line, m.request, s.patient_id, s.person FROM {_PLANNED} {_ROW} = i.line"  # noqa: S608
        " WHERE m.operation = ? ORDER BY i.line",
        (operation,),
    )
    return [RowPerson(*row) for row in rows]


def patient_ids_that_join(ledger: Ledger) -> list[str]:
    """Return the new PatientIDs that several patients of the source would get, in the order of their first rows."""
    # A patient without PatientID is known by its study.
    rows = ledger.select(
        f"SELECT t.patient_id FROM {_PLANNED} JOIN target t ON t.id = i.target"  # noqa: S608 (constants)
        " WHERE i.line IS NOT NULL GROUP BY t.patient_id HAVING count(DISTINCT CASE WHEN s.patient_id <> ''"
        " THEN 'p' || s.patient_id WHEN t.patient_id = '' THEN '' ELSE 's' || s.study_instance_uid END) > 1"
        " ORDER BY min(i.line)"
    )
    return [patient_id for (patient_id,) in rows]


def rows_becoming(ledger: Ledger, patient_id: str) -> tuple[int, ...]:
    """Return the rows whose results get a PatientID."""
    rows = ledger.select(
        "SELECT DISTINCT i.line FROM instance i JOIN target t ON t.id = i.target WHERE i.line IS NOT NULL"
        " AND t.patient_id = ? ORDER BY i.line",
        (patient_id,),
    )
    return _lines(rows)


def rows_taking_another_patient_id(ledger: Ledger) -> list[RowRequest]:
    """Return the rows whose results get the original PatientID of another patient of the source."""
    rows = ledger.select(
        f"SELECT DISTINCT i.line, m.request FROM {_PLANNED}"  # noqa: S608 (constants)
        f" JOIN target t ON t.id = i.target {_ROW} = i.line"
        " WHERE i.line IS NOT NULL AND t.patient_id <> s.patient_id AND t.patient_id <> ''"
        " AND t.patient_id IN (SELECT patient_id FROM series) ORDER BY i.line"
    )
    return [RowRequest(*row) for row in rows]


def rows_in_their_own_place(ledger: Ledger) -> tuple[int, ...]:
    """Return the rows of which a result would have all identifiers of its original."""
    # By the identifiers too: the Orthanc identifier of an odd PatientID is the server's, not that of the text it shows.
    rows = ledger.select(
        "SELECT DISTINCT n.line FROM instance n JOIN series s ON s.id = n.series JOIN target t ON t.id = n.target"
        " WHERE n.line IS NOT NULL AND (n.orthanc_id = n.new_orthanc_id OR (t.patient_id = s.patient_id"
        " AND t.study_instance_uid = s.study_instance_uid AND t.series_instance_uid = s.series_instance_uid"
        " AND n.new_sop_instance_uid = n.sop_instance_uid)) ORDER BY n.line"
    )
    return _lines(rows)


def rows_in_the_place_of_others(ledger: Ledger) -> tuple[int, ...]:
    """Return the rows of which a result would have all identifiers of another original."""
    rows = ledger.select(
        "SELECT DISTINCT n.line FROM instance n JOIN instance i ON i.orthanc_id = n.new_orthanc_id AND i.id <> n.id"
        " WHERE n.line IS NOT NULL AND n.target IS NOT NULL ORDER BY n.line"
    )
    return _lines(rows)


def _lines(rows: Iterable[tuple[int]]) -> tuple[int, ...]:
    return tuple(line for (line,) in rows)
