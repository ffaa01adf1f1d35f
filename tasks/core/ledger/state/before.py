"""What earlier runs have delivered of what a plan is being made for.

While the plan is made the state is attached to its ledger, and the tables ``earlier`` (runs with the same destination
and scope, ``own`` those of the same config), ``asked`` (the requests) and ``latest`` (for each claimed instance the
last run of the same config that delivered it, and whether its source has changed since) hold what the checks ask for.

Public names: ``Before``, ``looking_back``, ``leave_results``, ``find_latest``, ``ChangedRow``, ``changed_rows``,
``repeated_rows``, ``GivenBefore``, ``taken_patient_ids``, ``renamed_patients``, ``reshifted_patients``,
``count_changed``, ``leave_done_before``, ``SplitStudy``, ``split_studies``, ``fail_study``, ``fail_known_patients``,
``DoneBefore``, ``count_done_before``, ``rows_of_results``.
"""

from __future__ import annotations

import contextlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from deidflow.tasks.core.dicom.tags import PATIENT_ID, PATIENT_NAME
from deidflow.tasks.core.ledger.state.loading import request_hash, version_of_source
from deidflow.tasks.core.outcomes import Outcome, ReasonCode
from deidflow.tasks.core.request.profile_choice import Option
from deidflow.tasks.core.request.request import Operation

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from deidflow.tasks.core.ledger.ledger import Ledger
    from deidflow.tasks.core.ledger.state.state import RunPlace
    from deidflow.tasks.core.outcomes import Reason

_PLANNED: Final = "main.instance i JOIN main.series s ON s.id = i.series JOIN main.manifest_row m ON m.line = i.line"
_DELIVERED: Final = "state.pair p JOIN temp.earlier r ON r.number = p.run"


@dataclass(frozen=True, slots=True)
class Before:
    """Earlier runs, as a plan asks about them.

    Attributes:
        state: Path of the state file.
        where: Of the run that is planned.
        exclude: ID of a run that is no earlier one, since it is the one that is planned.
        is_incremental: Whether what they have done is left out.
        redo: Whether rows whose options have changed are done again.
        overwrites: Whether results give way to others in their places.

    """

    state: Path
    where: RunPlace
    exclude: str = ""
    is_incremental: bool = False
    redo: bool = False
    overwrites: bool = False


_DATES: Final = (
    f"iif('{Option.RETAIN_MODIFIED_DATES}' IN (SELECT value FROM json_each(basis, '$.profile_options')),"  # noqa: S608 (constants)
    " coalesce(json_extract(basis, '$.dates.shift_days'), '[1,3650]')"
    " || coalesce(json_extract(basis, '$.dates.whole_weeks'), 0), NULL)"
)
"""What the keyed days of a run depend on, beside key and scope; NULL where it does not move dates."""


@contextlib.contextmanager
def looking_back(ledger: Ledger, before: Before | None) -> Iterator[None]:
    """Attach the state to a prepared ledger while a plan is made."""
    if before is None:
        yield
        return
    ledger.execute("ATTACH ? AS state", (str(before.state),))
    try:
        ledger.execute(
            f"CREATE TEMP TABLE earlier AS SELECT number, run_id, moment, name = ? AS own, {_DATES} AS dates,"  # noqa: S608 (constants)
            " json_extract(basis, '$.dates.column') IS NOT NULL AS by_column"
            " FROM state.run WHERE loaded AND place = ? AND run_id <> ?",
            (before.where.name, before.where.place, before.exclude),
        )
        yield
    finally:
        for table in ("earlier", "asked", "latest", "made"):
            ledger.execute(f"DROP TABLE IF EXISTS temp.{table}")
        ledger.execute("DETACH state")


def leave_results(ledger: Ledger) -> None:
    """Let no row claim what earlier runs made of what it names, where results stand beside their originals.

    An instance that a row names by its own identifier stays; so do a new series, study or patient.
    """
    # A result that stands below something that its original stands below is of the same patient.
    ledger.execute(
        "CREATE TEMP TABLE made AS SELECT d.new_orthanc_id AS name, p.patient, p.study, p.series"  # noqa: S608 (constants)
        f" FROM {_DELIVERED} JOIN state.delivered d ON d.pair = p.id"
        " WHERE p.new_patient = p.patient AND d.new_orthanc_id <> d.orthanc_id"
    )
    ledger.execute("CREATE INDEX temp.made_name ON made (name)")
    ledger.execute(
        "INSERT INTO left_out SELECT DISTINCT c.line, c.instance FROM claim c JOIN main.instance i ON i.id = c.instance"
        " JOIN temp.made f ON f.name = i.orthanc_id JOIN main.manifest_row m ON m.line = c.line"
        " WHERE m.orthanc_id IN (f.patient, f.study, f.series)"
    )
    ledger.execute("DELETE FROM claim WHERE (line, instance) IN (SELECT line, instance FROM left_out)")


_OTHER_SIZE: Final = "(d.size >= 0 AND d.size <> i.size)"
_OTHER_VERSION: Final = f"(d.version <> '' AND d.version <> {version_of_source('i')})"


def find_latest(ledger: Ledger, before: Before, *, by_size: bool = False) -> None:
    """Look up the requests, and what was last delivered of each instance that a row names; expects targets.

    Args:
        ledger: Being planned.
        before: The earlier runs.
        by_size: Whether a source that was stored again with the same size counts as the same.

    """
    ledger.execute(
        "CREATE TEMP TABLE asked (request INTEGER PRIMARY KEY, hash TEXT, gives_id INTEGER, gives_both INTEGER,"
        " shift INTEGER)"
    )
    rows = []
    for number, operation, body in ledger.select("SELECT id, operation, body FROM main.request"):
        request = ledger.requests.get(number)
        given = {path.tag for path in request.edits.replace if not path.is_nested}
        both = {PATIENT_ID, PATIENT_NAME} <= given
        hashed = request_hash(before.where.basis, operation, body)
        rows.append((number, hashed, PATIENT_ID in given, both, request.shift_days))
    ledger.execute_many("INSERT INTO temp.asked VALUES (?, ?, ?, ?, ?)", rows)
    ambiguous = f"i.code = '{ReasonCode.AMBIGUOUS_SOURCE}'"
    changed = " OR ".join([ambiguous, _OTHER_SIZE, *([] if by_size else [_OTHER_VERSION])])
    # SQLite takes the bare columns from the entry that max() found.
    ledger.execute(
        "CREATE TEMP TABLE latest AS SELECT i.id AS instance, max(r.moment) AS moment, r.run_id, p.request,"  # noqa: S608 (constants)
        f" p.id AS pair, d.line, d.new_sop_instance_uid, d.new_orthanc_id, {changed} AS changed FROM main.instance i"
        f" JOIN state.delivered d ON d.orthanc_id = i.orthanc_id JOIN {_DELIVERED} AND p.id = d.pair"
        " WHERE i.line IS NOT NULL AND r.own GROUP BY i.id"
    )
    ledger.execute("CREATE INDEX temp.latest_instance ON latest (instance)")


class ChangedRow(NamedTuple):
    """A row that an earlier run did with other options.

    Attributes:
        line: Here.
        run_id: Of that run.
        its_line: There.
        keeps_place: Whether all results would have the identifiers that they had.

    """

    line: int
    run_id: str
    its_line: int
    keeps_place: bool


def changed_rows(ledger: Ledger) -> list[ChangedRow]:
    """Return the rows whose effective options are not those with which their instances were delivered."""
    rows = ledger.select(
        "SELECT i.line, l.run_id, l.line, min(t.patient_id = p.new_patient_id"  # noqa: S608 (constants)
        " AND t.study_instance_uid = p.new_study_instance_uid AND t.series_instance_uid = p.new_series_instance_uid"
        " AND i.new_sop_instance_uid = l.new_sop_instance_uid)"
        f" FROM {_PLANNED} JOIN temp.latest l ON l.instance = i.id JOIN temp.asked a ON a.request = m.request"
        " JOIN state.pair p ON p.id = l.pair JOIN main.target t ON t.id = i.target WHERE l.request <> a.hash"
        " GROUP BY i.line ORDER BY i.line"
    )
    return [ChangedRow(line, run_id, its_line, bool(keeps)) for line, run_id, its_line, keeps in rows]


def repeated_rows(ledger: Ledger) -> list[tuple[int, str]]:
    """Return the rows of which an earlier run has delivered something with the same options, and its ID."""
    rows = ledger.select(
        f"SELECT i.line, max(l.run_id) FROM {_PLANNED} JOIN temp.latest l ON l.instance = i.id"  # noqa: S608 (constants)
        " JOIN temp.asked a ON a.request = m.request WHERE l.request = a.hash GROUP BY i.line ORDER BY i.line"
    )
    return [(line, run_id) for line, run_id in rows]


def rows_of_results(ledger: Ledger) -> list[tuple[int, str]]:
    """Return the rows whose objects are results of an earlier run, by their series, and its ID."""
    rows = ledger.select(
        f"SELECT i.line, max(r.run_id) FROM {_PLANNED} JOIN {_DELIVERED}"  # noqa: S608 (constants)
        " AND p.new_series_instance_uid = s.series_instance_uid AND p.series_instance_uid <> p.new_series_instance_uid"
        " WHERE m.operation = ? AND p.operation = m.operation GROUP BY i.line ORDER BY i.line",
        (Operation.ANONYMIZE,),
    )
    return [(line, run_id) for line, run_id in rows]


class GivenBefore(NamedTuple):
    """A row, and the earlier run that stands against what it would give its patient."""

    line: int
    run_id: str


_GIVES: Final = (
    f"SELECT i.line, max(r.run_id) FROM {_PLANNED} JOIN main.target t ON t.id = i.target"  # noqa: S608 (constants)
    f" JOIN temp.asked a ON a.request = m.request JOIN {_DELIVERED}"
    " AND {join} WHERE m.operation = '" + Operation.ANONYMIZE + "' AND p.operation = m.operation"
    " AND (a.gives_id OR NOT ?) AND NOT EXISTS (SELECT 1 FROM temp.latest l WHERE l.instance = i.id"
    " AND l.request <> a.hash) AND {and_} GROUP BY i.line ORDER BY i.line"
)
"""Rows that are told as changed are not told again."""
_SAME_PATIENT: Final = (
    "(p.patient_id = s.patient_id AND (p.patient_id <> '' OR p.study_instance_uid = s.study_instance_uid))"
)
"""A patient without a PatientID is known by its study."""


def taken_patient_ids(ledger: Ledger, *, given_only: bool) -> list[GivenBefore]:
    """Return the rows that would give a PatientID which an earlier run gave to another patient.

    Args:
        ledger: Being planned.
        given_only: Whether only PatientIDs that a row gives itself are known now: an Orthanc makes the others.

    """
    query = _GIVES.format(join="p.new_patient_id = t.patient_id", and_=f"t.patient_id <> '' AND NOT {_SAME_PATIENT}")
    return [GivenBefore(*row) for row in ledger.select(query, (given_only,))]


def renamed_patients(ledger: Ledger, *, given_only: bool) -> list[GivenBefore]:
    """Return the rows that would give a patient another PatientID than an earlier run did."""
    query = _GIVES.format(join="p.patient = s.patient", and_=f"p.new_patient_id <> t.patient_id AND {_SAME_PATIENT}")
    return [GivenBefore(*row) for row in ledger.select(query, (given_only,))]


def reshifted_patients(ledger: Ledger, before: Before, *, replaced: bool) -> list[GivenBefore]:
    """Return the rows that would move a patient's dates otherwise than results do that stay beside theirs.

    Of runs whose folders are gone, a state that was taken over does not have the days of a column.

    Args:
        ledger: Being planned.
        before: The earlier runs.
        replaced: Whether results of what is planned again go.

    """
    dates = ledger.scalar(f"SELECT {_DATES} FROM (SELECT ? AS basis)", (before.where.basis,))  # noqa: S608 (constants)
    if not dates:
        return []
    again = "SELECT 1 FROM main.instance o WHERE o.orthanc_id = d.orthanc_id AND o.line IS NOT NULL AND ?"
    later = (
        "SELECT 1 FROM state.delivered l JOIN state.pair q ON q.id = l.pair JOIN temp.earlier e ON e.number = q.run"
        " WHERE l.orthanc_id = d.orthanc_id AND e.moment > c.moment"
    )
    # What stands is asked for each row and pair, not for each instance.
    candidates = (
        f"SELECT DISTINCT i.line, p.id AS pair, r.run_id, r.moment FROM {_PLANNED}"  # noqa: S608 (constants)
        f" JOIN temp.asked a ON a.request = m.request JOIN {_DELIVERED} AND p.patient = s.patient"
        " AND p.operation = m.operation"
        " AND (p.shift IS NOT a.shift AND r.dates <> '' OR a.shift IS NULL AND r.dates <> ?)"
        f" WHERE m.operation = '{Operation.ANONYMIZE}' AND {_SAME_PATIENT} AND NOT (r.by_column AND p.shift IS NULL)"
    )
    rows = ledger.select(
        f"SELECT line, max(run_id) FROM ({candidates}) c WHERE EXISTS (SELECT 1 FROM state.delivered d"  # noqa: S608 (constants)
        f" WHERE d.pair = c.pair AND NOT EXISTS ({again}) AND NOT EXISTS ({later})) GROUP BY line ORDER BY line",
        (dates, replaced),
    )
    return [GivenBefore(*row) for row in rows]


_NEW_AT_LEVEL: Final = (
    "CASE m.level WHEN 'patient' THEN p.new_patient WHEN 'study' THEN p.new_study"
    " WHEN 'series' THEN p.new_series ELSE d.new_orthanc_id END"
)


_LAST_DONE: Final = (
    "temp.latest l JOIN main.instance i ON i.id = l.instance JOIN main.manifest_row m ON m.line = i.line"
)
_AS_ASKED: Final = "JOIN temp.asked a ON a.request = m.request AND a.hash = l.request"


def count_changed(ledger: Ledger) -> int:
    """Count the instances that earlier runs have delivered with the same options, from a source that changed since."""
    return int(ledger.scalar(f"SELECT count(*) FROM {_LAST_DONE} {_AS_ASKED} AND l.changed"))  # noqa: S608 (constants)


def leave_done_before(ledger: Ledger) -> None:
    """Take what earlier runs have delivered with the same options out of the plan, and note it with the rows.

    What has changed in the source since stays in the plan: whether its result does, too, shows when it is made again. A
    row whose source is gone is done when earlier runs have delivered it.
    """
    done, same = _LAST_DONE, f"{_AS_ASKED} AND NOT l.changed"
    ledger.execute(
        "UPDATE main.manifest_row SET done_before = f.count, new_before = f.names FROM"  # noqa: S608 (constants)
        " (SELECT i.line, count(*) AS count,"
        f" json_group_array(DISTINCT {_NEW_AT_LEVEL}) AS names FROM {done} {same} JOIN state.pair p ON p.id = l.pair"
        " JOIN state.delivered d ON d.pair = l.pair AND d.orthanc_id = i.orthanc_id GROUP BY i.line) f"
        " WHERE f.line = manifest_row.line"
    )
    ledger.execute(
        "UPDATE main.instance SET line = NULL, target = NULL, new_sop_instance_uid = '', new_orthanc_id = ''"  # noqa: S608
        f" WHERE id IN (SELECT l.instance FROM {done} {same})"
    )
    for level, column in (("patient", "p.patient"), ("study", "p.study"), ("series", "p.series")):
        _leave_gone(ledger, level, column)
    _leave_gone(ledger, "instance", "d.orthanc_id")


def _leave_gone(ledger: Ledger, level: str, column: str) -> None:
    ledger.execute(
        "UPDATE main.manifest_row SET outcome = '', code = '', text = '', level = ?1, done_before = f.count,"  # noqa: S608 (constants)
        " new_before = f.names FROM (SELECT m.line, count(DISTINCT d.orthanc_id) AS count, json_group_array(DISTINCT"
        f" {_NEW_AT_LEVEL.replace('m.level', '?1')}) AS names FROM main.manifest_row m"
        f" JOIN temp.asked a ON a.request = m.request JOIN {_DELIVERED} AND r.own AND p.request = a.hash"
        f" JOIN state.delivered d ON d.pair = p.id WHERE m.outcome = ?2 AND {column} = m.orthanc_id GROUP BY m.line) f"
        " WHERE f.line = manifest_row.line",
        (level, Outcome.NOT_FOUND),
    )


class SplitStudy(NamedTuple):
    """A study whose StudyInstanceUID stands under two PatientIDs.

    Attributes:
        uid: Its StudyInstanceUID.
        lines: Of the rows that name it here, sorted.
        run_ids: Of the earlier runs that did it under another PatientID, sorted.

    """

    uid: str
    lines: tuple[int, ...]
    run_ids: tuple[str, ...]


def split_studies(ledger: Ledger, *, looks_back: bool) -> list[SplitStudy]:
    """Return the studies to be anonymized that stand under several PatientIDs.

    Args:
        ledger: Being planned; what is left out is left out already.
        looks_back: Whether earlier runs are looked at, too.

    """
    here = f"SELECT DISTINCT s.study_instance_uid AS uid, s.patient_id, i.line FROM {_PLANNED} WHERE m.operation = ?1"  # noqa: S608
    others = f"SELECT DISTINCT p.study_instance_uid, p.patient_id, r.run_id FROM {_DELIVERED} WHERE p.operation = ?1"  # noqa: S608
    earlier = others if looks_back else "SELECT '', '', '' WHERE 0"
    rows = ledger.select(
        f"WITH here AS ({here}), earlier (uid, patient_id, run_id) AS ({earlier})"  # noqa: S608 (constants)
        " SELECT h.uid, json_group_array(DISTINCT h.line), json_group_array(DISTINCT e.run_id) FROM here h"
        " LEFT JOIN earlier e ON e.uid = h.uid AND e.patient_id <> h.patient_id"
        " GROUP BY h.uid HAVING count(DISTINCT h.patient_id) > 1 OR count(e.uid) > 0 ORDER BY min(h.line)",
        (Operation.ANONYMIZE,),
    )
    return [
        SplitStudy(uid, tuple(sorted(json.loads(lines))), tuple(sorted(run for run in json.loads(runs) if run)))
        for uid, lines, runs in rows
    ]


def fail_study(ledger: Ledger, uid: str, reason: Reason) -> None:
    """Fail what is to be anonymized of a study."""
    ledger.execute(
        "UPDATE main.instance SET outcome = ?, code = ?, text = ? WHERE outcome = '' AND line IN"
        " (SELECT line FROM main.manifest_row WHERE operation = ?) AND series IN"
        " (SELECT id FROM main.series WHERE study_instance_uid = ?)",
        (Outcome.FAILED, *reason, Operation.ANONYMIZE, uid),
    )


def fail_known_patients(ledger: Ledger, reason: Reason) -> None:
    """Fail what an Orthanc would give identifiers that do not fit those of an earlier call.

    That is what came later to a known study; and of a known patient what is to be anonymized, unless the row is a whole
    study and gives PatientID and PatientName itself.
    """
    known = f"EXISTS (SELECT 1 FROM {_DELIVERED} WHERE p.study = s.study)"  # noqa: S608 (constants)
    of_known = f"EXISTS (SELECT 1 FROM {_DELIVERED} WHERE p.patient = s.patient)"  # noqa: S608 (constants)
    ledger.execute(
        f"UPDATE main.instance SET outcome = ?, code = ?, text = ? WHERE id IN (SELECT i.id FROM {_PLANNED}"  # noqa: S608 (constants)
        f" JOIN temp.asked a ON a.request = m.request WHERE i.outcome = '' AND ({known} OR (m.operation = 'anonymize'"
        f" AND {of_known} AND NOT (a.gives_both AND m.level = 'study'))))",
        (Outcome.FAILED, *reason),
    )


class DoneBefore(NamedTuple):
    """How many rows earlier runs have done in full, and how many instances in all."""

    rows: int
    instances: int


def count_done_before(ledger: Ledger) -> DoneBefore:
    """Return what earlier runs have done of a plan's rows."""
    ((rows, instances),) = ledger.select(
        "SELECT coalesce(sum(m.done_before > 0 AND NOT EXISTS (SELECT 1 FROM instance i WHERE i.line = m.line)), 0),"
        " coalesce(sum(m.done_before), 0) FROM manifest_row m"
    )
    return DoneBefore(rows, instances)
