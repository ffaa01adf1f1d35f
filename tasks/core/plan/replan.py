"""Take into a frozen plan what could not be planned before: rows ``not_found``, and ambiguous or unstable instances.

Rows that were found are never planned again: what arrived under them since is no source of this run.

Public names: ``needs_replan``, ``adopt``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from deidflow.tasks.core.engine.sources import ProblemCode
from deidflow.tasks.core.outcomes import Outcome, ReasonCode
from deidflow.tasks.core.plan.calls import cut_calls
from deidflow.tasks.core.plan.intake import RequestCache

if TYPE_CHECKING:
    from deidflow.tasks.core.ledger.ledger import Ledger

_MAY_BE_MENDED: Final = (f"{ReasonCode.AMBIGUOUS_SOURCE}%", f"{ReasonCode.UNSTABLE}%")
_MAX_NEW_CHUNKS: Final = 100
_SERIES: Final = (
    "patient_id, study_instance_uid, series_instance_uid, frame_of_reference_uid, patient, study, series, person"
)
_TARGET: Final = "patient_id, study_instance_uid, series_instance_uid, patient, study, series"


def needs_replan(ledger: Ledger) -> bool:
    """Whether looking at the source again could find anything."""
    rows = ledger.scalar("SELECT count(*) FROM manifest_row WHERE verdict = ?", (Outcome.NOT_FOUND,))
    instances = ledger.scalar(
        "SELECT count(*) FROM instance WHERE chunk IS NULL AND (reason LIKE ? OR reason LIKE ?)", _MAY_BE_MENDED
    )
    damaged = ledger.scalar("SELECT count(*) FROM source_problem WHERE code = ?", (ProblemCode.DAMAGED,))
    return bool(rows or instances or damaged)


def adopt(ledger: Ledger, fresh: Ledger, chunk_size: int, *, on_server: bool = False) -> int:
    """Take over from a fresh plan of the same manifest what this one lacks.

    Args:
        ledger: Of the run.
        fresh: Prepared from the same manifest and the source as it is now.
        chunk_size: Instances per new chunk, at least.
        on_server: Whether an Orthanc is the engine, so that calls are cut.

    Returns:
        How many instances there are to do now that were not before.

    """
    with ledger.transaction():
        numbers = _adopt_rows(ledger, fresh) + _adopt_mended(ledger, fresh) + _adopt_fetched(ledger, fresh)
        if on_server:
            cut_calls(ledger, RequestCache(ledger), chunk_size, _MAX_NEW_CHUNKS)
            return len(numbers)
        last = ledger.scalar("SELECT coalesce(max(number), 0) FROM chunk")
        for place in range(0, len(numbers), chunk_size):
            last += 1
            part = numbers[place : place + chunk_size]
            ledger.execute("INSERT INTO chunk VALUES (?, ?, ?)", (last, f"c{last:04d}", len(part)))
            ledger.execute_many("UPDATE instance SET chunk = ? WHERE id = ?", [(last, number) for number in part])
    return len(numbers)


def _adopt_rows(ledger: Ledger, fresh: Ledger) -> list[int]:
    numbers = []
    for (line,) in ledger.select("SELECT line FROM manifest_row WHERE verdict = ? ORDER BY line", (Outcome.NOT_FOUND,)):
        found = fresh.select("SELECT level FROM manifest_row WHERE line = ? AND verdict = ''", (line,))
        if not found:
            continue
        ledger.execute(
            "UPDATE manifest_row SET verdict = '', reason = '', level = ? WHERE line = ?", (found[0][0], line)
        )
        for number in [n for (n,) in fresh.select("SELECT id FROM instance WHERE line = ? ORDER BY id", (line,))]:
            adopted = _copy_instance(ledger, fresh, number)
            if adopted is not None:
                numbers.append(adopted)
    return numbers


def _copy_instance(ledger: Ledger, fresh: Ledger, number: int) -> int | None:
    """Copy one instance; return its number here when it is to be done."""
    ((series, target, *values),) = fresh.select(
        "SELECT series, target, sop_instance_uid, orthanc_id, path, size, mtime_ns, line, new_sop_instance_uid,"
        " new_orthanc_id, outcome, reason, sop_class_uid, review FROM instance WHERE id = ?",
        (number,),
    )
    series_here, target_here = (
        _copy_entry(ledger, fresh, "series", _SERIES, series),
        _copy_entry(ledger, fresh, "target", _TARGET, target),
    )
    new_orthanc_id = values[7]
    if (
        not values[8]
        and new_orthanc_id
        and ledger.scalar("SELECT count(*) FROM instance WHERE new_orthanc_id = ?", (new_orthanc_id,))
    ):
        reason = f"{ReasonCode.IDENTIFIER_COLLISION}: another instance of this run has the same new identifiers"
        values[8:10] = [Outcome.FAILED, reason]
    ledger.execute(
        "INSERT INTO instance (series, target, sop_instance_uid, orthanc_id, path, size, mtime_ns, line,"
        " new_sop_instance_uid, new_orthanc_id, outcome, reason, sop_class_uid, review)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (series_here, target_here, *values),
    )
    adopted = int(ledger.scalar("SELECT last_insert_rowid()"))
    ledger.execute("DELETE FROM source_problem WHERE path = ?", (values[2],))  # it is used now
    ledger.execute_many(
        "INSERT INTO copy VALUES (?, ?)",
        [(adopted, path) for (path,) in fresh.select("SELECT path FROM copy WHERE instance = ?", (number,))],
    )
    return None if values[8] else adopted


def _copy_entry(ledger: Ledger, fresh: Ledger, table: str, columns: str, number: int | None) -> int | None:
    if number is None:  # an Orthanc will make its own
        return None
    (values,) = fresh.select(f"SELECT {columns} FROM {table} WHERE id = ?", (number,))  # noqa: S608 (our own names)
    marks = ", ".join("?" for _ in values)
    ledger.execute(f"INSERT OR IGNORE INTO {table} ({columns}) VALUES ({marks})", values)  # noqa: S608
    names: list[Any] = [f"{column} = ?" for column in columns.split(", ")]
    return int(ledger.scalar(f"SELECT id FROM {table} WHERE {' AND '.join(names)}", values))  # noqa: S608


def _adopt_fetched(ledger: Ledger, fresh: Ledger) -> list[int]:
    """Take files that were damaged before their identifiers, and can be read now, for the rows that they belong to."""
    numbers = []
    for (path,) in ledger.select("SELECT path FROM source_problem WHERE code = ?", (ProblemCode.DAMAGED,)):
        if fresh.scalar("SELECT count(*) FROM source_problem WHERE path = ? AND code = ?", (path, ProblemCode.DAMAGED)):
            continue
        for number, orthanc_id in fresh.select("SELECT id, orthanc_id FROM instance WHERE path = ?", (path,)):
            if not ledger.scalar("SELECT count(*) FROM instance WHERE orthanc_id = ?", (orthanc_id,)):
                adopted = _copy_instance(ledger, fresh, number)
                numbers += [adopted] if adopted is not None else []
        ledger.execute("DELETE FROM source_problem WHERE path = ? AND code = ?", (path, ProblemCode.DAMAGED))
    return numbers


def _adopt_mended(ledger: Ledger, fresh: Ledger) -> list[int]:
    numbers = []
    for number, orthanc_id in ledger.select(
        "SELECT id, orthanc_id FROM instance WHERE chunk IS NULL AND (reason LIKE ? OR reason LIKE ?) ORDER BY id",
        _MAY_BE_MENDED,
    ):
        found = fresh.select(
            "SELECT path, size, mtime_ns FROM instance WHERE orthanc_id = ? AND outcome = ''", (orthanc_id,)
        )
        if found:
            ledger.execute(
                "UPDATE instance SET path = ?, size = ?, mtime_ns = ?, outcome = '', reason = '' WHERE id = ?",
                (*found[0], number),
            )
            numbers.append(number)
    return numbers
