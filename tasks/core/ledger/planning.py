"""Making a plan: which instance belongs to which row, what it becomes, in which call and chunk it is done.

While a plan is made the table ``claim`` (line, instance, level) holds what each row names, see ``claim_sources``, and
``left_out`` (line, instance) what it names and does not claim.
Everything is done by whole sets, so that 100,000 instances are planned in seconds.

Public names: ``PlannedRow``, ``TargetRecord``, ``NewIdentifiers``, ``PatientGroup``, ``AssignedCall``,
``join_duplicates``, ``claim_sources``, ``leave_edited_copies``, ``note_what_rows_name``, ``set_row_aside``,
``assign_claims``, ``planned_pages``, ``add_targets``, ``drop_unplanned``, ``forget_targets``, ``fail_collisions``,
``cut_chunks``, ``patients_to_call``, ``last_numbers``, ``add_calls``, ``add_chunk``, ``plan_is_complete``,
``forget_review``, ``forget_review_code``, ``kinds_of_objects``, ``note_review``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from deidflow.tasks.core.dicom.identifiers import Level
from deidflow.tasks.core.ledger.schema import PLAN_INDEXES, ROW_INDEXES
from deidflow.tasks.core.ledger.source_records import add_origins
from deidflow.tasks.core.outcomes import Outcome

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from deidflow.tasks.core.ledger.ledger import Ledger
    from deidflow.tasks.core.outcomes import Reason
    from deidflow.tasks.core.request.request import Operation

_PAGE: Final = 5000


class PlannedRow(NamedTuple):
    """An instance that a row names, with its original identifiers.

    Attributes:
        id: Its number.
        line: Of its row.
        request: The number of that row's request.

    """

    id: int
    line: int
    request: int
    patient_id: str
    study_instance_uid: str
    series_instance_uid: str
    sop_instance_uid: str


class TargetRecord(NamedTuple):
    """What a series becomes: its new identifiers, and Orthanc's forms of them."""

    number: int
    patient_id: str
    study_instance_uid: str
    series_instance_uid: str
    patient: str
    study: str
    series: str


class NewIdentifiers(NamedTuple):
    """What an instance becomes: the number of its target, its SOPInstanceUID, Orthanc's identifier; then its number."""

    target: int
    sop_instance_uid: str
    orthanc_id: str
    id: int


class PatientGroup(NamedTuple):
    """The instances of one patient that have one request and no call yet: how many they are."""

    request: int
    patient: str
    patient_id: str
    instances: int


class AssignedCall(NamedTuple):
    """The call and the chunk of one patient's instances under one request."""

    call: int
    chunk: int
    request: int
    patient: str


def join_duplicates(ledger: Ledger) -> None:
    """Make one entry of files with one Orthanc identifier: the first path; whether they are equal was marked before."""
    # In two steps: which identifiers repeat, the index alone tells. CROSS JOIN: they are few, as SQLite cannot know.
    ledger.execute(
        "CREATE TEMP TABLE first AS SELECT orthanc_id, min(path) AS path FROM instance WHERE orthanc_id IN"
        " (SELECT orthanc_id FROM instance GROUP BY orthanc_id HAVING count(*) > 1) GROUP BY orthanc_id"
    )
    ledger.execute(
        "INSERT INTO copy SELECT k.id, i.path FROM first f CROSS JOIN instance i USING (orthanc_id)"
        " JOIN instance k ON k.orthanc_id = f.orthanc_id AND k.path = f.path WHERE i.path <> f.path"
    )
    ledger.execute(
        "DELETE FROM instance WHERE id IN (SELECT i.id FROM first f CROSS JOIN instance i USING (orthanc_id)"
        " WHERE i.path <> f.path)"
    )
    ledger.execute("DROP TABLE first")


def claim_sources(ledger: Ledger) -> None:
    """Find what each row names, at whatever level."""
    ledger.execute("CREATE TEMP TABLE claim (line INTEGER, instance INTEGER, level TEXT)")
    ledger.execute("CREATE TEMP TABLE left_out (line INTEGER, instance INTEGER)")
    claim = "INSERT INTO claim SELECT m.line, i.id, '{}' FROM manifest_row m JOIN {} WHERE m.outcome = ''"
    ledger.execute(claim.format(Level.INSTANCE, "instance i ON i.orthanc_id = m.orthanc_id"))
    for level in (Level.SERIES, Level.STUDY, Level.PATIENT):
        ledger.execute(claim.format(level, f"series s ON s.{level} = m.orthanc_id JOIN instance i ON i.series = s.id"))
    ledger.execute("CREATE INDEX temp.claim_line ON claim (line)")
    ledger.execute("CREATE INDEX temp.claim_instance ON claim (instance)")


def leave_edited_copies(ledger: Ledger) -> int:
    """Let no row claim what an edit on the server made from something else that the row claims.

    Of two that were made from each other neither counts as a copy. One that a row names by its own identifier stays; so
    does a copy whose original is gone, or belongs to another row.

    Returns:
        How many instances are left out.

    """
    add_origins(ledger, ())  # a source without any has no table yet
    ledger.execute("CREATE INDEX temp.origin_made ON origin (made)")
    # CROSS JOIN: most often there are few or none, as SQLite cannot know; by its own order it pairs all instances.
    ledger.execute(
        "INSERT INTO left_out SELECT DISTINCT c.line, c.instance FROM temp.origin o"
        " CROSS JOIN instance i ON i.orthanc_id = o.made CROSS JOIN claim c ON c.instance = i.id"
        " CROSS JOIN instance k ON k.orthanc_id = o.origin CROSS JOIN claim d ON d.instance = k.id AND d.line = c.line"
        " WHERE NOT EXISTS (SELECT 1 FROM temp.origin b WHERE b.made = o.origin AND b.origin = o.made)"
    )
    ledger.execute("DELETE FROM claim WHERE (line, instance) IN (SELECT line, instance FROM left_out)")
    ledger.execute("DROP TABLE temp.origin")
    ((count,),) = ledger.select("SELECT count(DISTINCT instance) FROM left_out")
    return int(count)


def note_what_rows_name(ledger: Ledger, nothing: Reason) -> None:
    """Note the level of what rows claim; those that claim nothing are ``not_found`` for this reason."""
    ledger.execute(
        "UPDATE manifest_row SET outcome = ?, code = ?, text = ? WHERE outcome = ''"
        " AND line NOT IN (SELECT line FROM claim)",
        (Outcome.NOT_FOUND, *nothing),
    )
    ledger.execute(
        "UPDATE manifest_row SET level = c.level FROM (SELECT line, min(level) AS level FROM claim GROUP BY line) c"
        " WHERE c.line = manifest_row.line AND manifest_row.level = ''"
    )


def set_row_aside(ledger: Ledger, line: int, reason: Reason) -> None:
    """Make a row ``invalid``; nothing that it names is planned."""
    ledger.execute(
        "UPDATE manifest_row SET outcome = ?, code = ?, text = ? WHERE line = ?", (Outcome.INVALID, *reason, line)
    )
    ledger.execute("DELETE FROM claim WHERE line = ?", (line,))
    ledger.execute("UPDATE instance SET line = NULL, target = NULL WHERE line = ?", (line,))


def assign_claims(ledger: Ledger) -> None:
    """Give each instance to the row that names it."""
    ledger.execute("UPDATE instance SET line = c.line FROM claim c WHERE c.instance = instance.id")
    ledger.create_indexes(ROW_INDEXES)


def planned_pages(ledger: Ledger) -> Iterator[list[PlannedRow]]:
    """Yield the planned instances page by page, in the order of lines, so that they may be changed meanwhile."""
    line = number = 0
    while True:
        page = ledger.select(
            "SELECT i.id, i.line, m.request, s.patient_id, s.study_instance_uid, s.series_instance_uid,"
            " i.sop_instance_uid FROM instance i JOIN manifest_row m ON m.line = i.line"
            " JOIN series s ON s.id = i.series WHERE (i.line, i.id) > (?, ?) ORDER BY i.line, i.id LIMIT ?",
            (line, number, _PAGE),
        )
        if not page:
            return
        number, line = page[-1][:2]
        yield [PlannedRow._make(row) for row in page]


def add_targets(ledger: Ledger, targets: Sequence[TargetRecord], instances: Sequence[NewIdentifiers]) -> None:
    """Add targets under numbers that are new, and note what instances become."""
    ledger.execute_many("INSERT INTO target VALUES (?, ?, ?, ?, ?, ?, ?)", targets)
    ledger.execute_many(
        "UPDATE instance SET target = ?, new_sop_instance_uid = ?, new_orthanc_id = ? WHERE id = ?", instances
    )


def drop_unplanned(ledger: Ledger) -> None:
    """Forget what no row names; the claims are settled then."""
    ledger.execute("DELETE FROM copy WHERE instance IN (SELECT id FROM instance WHERE line IS NULL)")
    ledger.execute("DELETE FROM instance WHERE line IS NULL")
    ledger.execute("DELETE FROM series WHERE id NOT IN (SELECT series FROM instance)")
    ledger.execute("DELETE FROM target WHERE id NOT IN (SELECT target FROM instance WHERE target IS NOT NULL)")
    ledger.execute("DROP TABLE claim")
    ledger.execute("DROP TABLE left_out")


def forget_targets(ledger: Ledger) -> None:
    """Drop the identifiers that were computed for the checks: on an Orthanc the server makes its own."""
    ledger.execute("UPDATE instance SET target = NULL, new_sop_instance_uid = '', new_orthanc_id = ''")
    ledger.execute("DELETE FROM target")


def fail_collisions(ledger: Ledger, reason: Reason) -> None:
    """Fail all instances that would get one identifier: which of them would survive must not depend on chance."""
    ledger.execute(
        "UPDATE instance SET outcome = ?, code = ?, text = ? WHERE new_orthanc_id IN"
        " (SELECT new_orthanc_id FROM instance WHERE outcome = '' GROUP BY new_orthanc_id HAVING count(*) > 1)"
        " AND outcome = ''",
        (Outcome.FAILED, *reason),
    )


def cut_chunks(ledger: Ledger, size: int) -> None:
    """Cut the instances that are to be done, ordered by request and row, into chunks of so many."""
    ledger.execute("CREATE TEMP TABLE series_place (id INTEGER PRIMARY KEY, place INTEGER NOT NULL)")
    ledger.execute(
        "INSERT INTO series_place SELECT id, row_number() OVER (ORDER BY patient, study, series, id) FROM series"
    )
    ledger.execute("CREATE TEMP TABLE place (id INTEGER PRIMARY KEY, chunk INTEGER NOT NULL)")
    ledger.execute(
        "INSERT INTO place SELECT i.id, (row_number() OVER (ORDER BY m.request, i.line, s.place, i.orthanc_id) - 1) / ?"
        " + 1 FROM instance i JOIN series_place s ON s.id = i.series JOIN manifest_row m ON m.line = i.line"
        " WHERE i.outcome = ''",
        (size,),
    )
    ledger.execute(
        "INSERT INTO chunk SELECT chunk, printf('c%04d', chunk), count(*) FROM place GROUP BY chunk ORDER BY chunk"
    )
    ledger.execute("UPDATE instance SET chunk = p.chunk FROM place p WHERE p.id = instance.id")
    ledger.execute("DROP TABLE series_place")
    ledger.execute("DROP TABLE place")


def patients_to_call(ledger: Ledger) -> list[PatientGroup]:
    """Return the patients that have no call yet, by request, then by their first row."""
    rows = ledger.select(
        "SELECT m.request, s.patient, min(s.patient_id), count(*) FROM instance i JOIN series s ON s.id = i.series"
        " JOIN manifest_row m ON m.line = i.line WHERE i.outcome = '' AND i.call IS NULL"
        " GROUP BY m.request, s.patient ORDER BY m.request, min(i.line), s.patient"
    )
    return [PatientGroup(*row) for row in rows]


def last_numbers(ledger: Ledger) -> tuple[int, int]:
    """Return the highest number of a call and of a chunk, 0 when there is none."""
    ((call, chunk),) = ledger.select(
        "SELECT (SELECT coalesce(max(number), 0) FROM call), (SELECT coalesce(max(number), 0) FROM chunk)"
    )
    return call, chunk


def add_calls(ledger: Ledger, assigned: Sequence[AssignedCall]) -> None:
    """Add calls and chunks under numbers that are new, and give them the instances of these patients."""
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


def add_chunk(ledger: Ledger, number: int, instances: Sequence[int]) -> None:
    """Add a chunk under a number that is new, with these instances."""
    ledger.execute("INSERT INTO chunk VALUES (?, printf('c%04d', ?1), ?)", (number, len(instances)))
    ledger.execute_many("UPDATE instance SET chunk = ? WHERE id = ?", [(number, one) for one in instances])


def plan_is_complete(ledger: Ledger) -> None:
    """Sort what the steps of a run ask for."""
    ledger.create_indexes(PLAN_INDEXES)


def forget_review(ledger: Ledger, kept: Operation) -> None:
    """Forget what a person should look at of all rows of other operations."""
    ledger.execute(
        "UPDATE instance SET review = '' WHERE line IN (SELECT line FROM manifest_row WHERE operation <> ?)", (kept,)
    )


def forget_review_code(ledger: Ledger, code: str, operation: Operation) -> None:
    """Forget one reason to look at instances, as far as it is the only one, of all rows of an operation."""
    ledger.execute(
        "UPDATE instance SET review = '' WHERE review = ?"
        " AND line IN (SELECT line FROM manifest_row WHERE operation = ?)",
        (code, operation),
    )


def kinds_of_objects(ledger: Ledger, operation: Operation) -> list[tuple[int, str]]:
    """Return the SOPClassUIDs of the objects of an operation, with the number of each request that they have."""
    rows = ledger.select(
        "SELECT DISTINCT m.request, i.sop_class_uid FROM instance i JOIN manifest_row m ON m.line = i.line"
        " WHERE m.operation = ? AND i.sop_class_uid <> ''",
        (operation,),
    )
    return [(request, sop_class_uid) for request, sop_class_uid in rows]


def note_review(ledger: Ledger, code: str, request: int, sop_class_uid: str) -> None:
    """Note that a person should look at all objects of a kind under a request."""
    ledger.execute(
        "UPDATE instance SET review = CASE WHEN review = '' THEN ?1 ELSE review || ';' || ?1 END"
        " WHERE sop_class_uid = ?2 AND line IN (SELECT line FROM manifest_row WHERE request = ?3)",
        (code, sop_class_uid, request),
    )
