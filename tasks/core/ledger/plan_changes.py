"""What a frozen plan takes over from a fresh one of the same manifest.

Public names: ``lacks_something``, ``lines_not_found``, ``found_level``, ``adopt_row``, ``instances_of_row``,
``copy_instance``, ``files_mended``, ``forget_problem``, ``mendable_instances``, ``adopt_file``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from deidflow.tasks.core.engine.sources import ProblemCode
from deidflow.tasks.core.outcomes import Outcome, ReasonCode

if TYPE_CHECKING:
    from deidflow.tasks.core.ledger.ledger import Ledger
    from deidflow.tasks.core.outcomes import Reason

_SERIES: Final = (
    "patient_id, study_instance_uid, series_instance_uid, frame_of_reference_uid, patient, study, series, person"
)
_TARGET: Final = "patient_id, study_instance_uid, series_instance_uid, patient, study, series"
_MENDABLE: Final = "chunk IS NULL AND code IN (?, ?)"
_MENDABLE_CODES: Final = (ReasonCode.AMBIGUOUS_SOURCE, ReasonCode.UNSTABLE)


def lacks_something(ledger: Ledger) -> bool:
    """Whether looking at the source again could find anything."""
    rows = ledger.scalar("SELECT count(*) FROM manifest_row WHERE outcome = ?", (Outcome.NOT_FOUND,))
    instances = ledger.scalar(f"SELECT count(*) FROM instance WHERE {_MENDABLE}", _MENDABLE_CODES)  # noqa: S608 (ours)
    damaged = ledger.scalar("SELECT count(*) FROM source_problem WHERE code = ?", (ProblemCode.DAMAGED,))
    return bool(rows or instances or damaged)


def lines_not_found(ledger: Ledger) -> list[int]:
    """Return the rows that the source did not hold."""
    rows = ledger.select("SELECT line FROM manifest_row WHERE outcome = ? ORDER BY line", (Outcome.NOT_FOUND,))
    return [line for (line,) in rows]


def found_level(fresh: Ledger, line: int) -> str | None:
    """Return what the source holds under a row that is planned there, None when it is not."""
    level = fresh.scalar("SELECT level FROM manifest_row WHERE line = ? AND outcome = ''", (line,))
    return None if level is None else str(level)


def adopt_row(ledger: Ledger, fresh: Ledger, line: int, level: str) -> None:
    """Make a row a planned one, of this level; what earlier runs have done of it is noted, too."""
    (before,) = fresh.select("SELECT done_before, new_before FROM manifest_row WHERE line = ?", (line,))
    ledger.execute(
        "UPDATE manifest_row SET outcome = '', code = '', text = '', level = ?, done_before = ?, new_before = ?"
        " WHERE line = ?",
        (level, *before, line),
    )


def instances_of_row(ledger: Ledger, line: int) -> list[int]:
    """Return the numbers of a row's instances."""
    return [number for (number,) in ledger.select("SELECT id FROM instance WHERE line = ? ORDER BY id", (line,))]


def copy_instance(ledger: Ledger, fresh: Ledger, number: int, collision: Reason) -> int | None:
    """Copy one instance of a fresh plan.

    Args:
        ledger: Of the run.
        fresh: Where the instance is.
        number: Of the instance there.
        collision: Why it fails when another instance of the run has its new identifiers.

    Returns:
        Its number here when it is to be done, else None.

    """
    ((series, target, path, outcome, code, text, new_orthanc_id, *values),) = fresh.select(
        "SELECT series, target, path, outcome, code, text, new_orthanc_id, sop_instance_uid, orthanc_id, size,"
        " mtime_ns, line, new_sop_instance_uid, sop_class_uid, review, modality FROM instance WHERE id = ?",
        (number,),
    )
    series_here = _copy_entry(ledger, fresh, "series", _SERIES, series)
    target_here = _copy_entry(ledger, fresh, "target", _TARGET, target)
    taken = "SELECT count(*) FROM instance WHERE new_orthanc_id = ?"
    if not outcome and new_orthanc_id and ledger.scalar(taken, (new_orthanc_id,)):
        outcome, code, text = (Outcome.FAILED, *collision)
    ledger.execute(
        "INSERT INTO instance (series, target, path, outcome, code, text, new_orthanc_id, sop_instance_uid, orthanc_id,"
        " size, mtime_ns, line, new_sop_instance_uid, sop_class_uid, review, modality)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (series_here, target_here, path, outcome, code, text, new_orthanc_id, *values),
    )
    adopted = int(ledger.scalar("SELECT last_insert_rowid()"))
    ledger.execute("DELETE FROM source_problem WHERE path = ?", (path,))  # it is used now
    ledger.execute_many(
        "INSERT INTO copy VALUES (?, ?)",
        [(adopted, copy) for (copy,) in fresh.select("SELECT path FROM copy WHERE instance = ?", (number,))],
    )
    return None if outcome else adopted


def _copy_entry(ledger: Ledger, fresh: Ledger, table: str, columns: str, number: int | None) -> int | None:
    if number is None:  # an Orthanc will make its own
        return None
    (values,) = fresh.select(f"SELECT {columns} FROM {table} WHERE id = ?", (number,))  # noqa: S608 (our own names)
    marks = ", ".join("?" for _ in values)
    ledger.execute(f"INSERT OR IGNORE INTO {table} ({columns}) VALUES ({marks})", values)  # noqa: S608
    names: list[Any] = [f"{column} = ?" for column in columns.split(", ")]
    return int(ledger.scalar(f"SELECT id FROM {table} WHERE {' AND '.join(names)}", values))  # noqa: S608


def files_mended(ledger: Ledger, fresh: Ledger) -> list[tuple[bytes, list[int]]]:
    """Return the files that were damaged and are not any more.

    Returns:
        The path of each, and the numbers in the fresh plan of its instances that the run does not have.

    """
    damaged = "SELECT path FROM source_problem WHERE code = ?"
    still = {path for (path,) in fresh.select(damaged, (ProblemCode.DAMAGED,))}
    mended = []
    for (path,) in ledger.select(damaged, (ProblemCode.DAMAGED,)):
        if path in still:
            continue
        found = fresh.select("SELECT id, orthanc_id FROM instance WHERE path = ?", (path,))
        known = "SELECT count(*) FROM instance WHERE orthanc_id = ?"
        mended.append((path, [number for number, name in found if not ledger.scalar(known, (name,))]))
    return mended


def forget_problem(ledger: Ledger, path: bytes) -> None:
    """Forget that a file is damaged."""
    ledger.execute("DELETE FROM source_problem WHERE path = ? AND code = ?", (path, ProblemCode.DAMAGED))


def mendable_instances(ledger: Ledger) -> list[tuple[int, str]]:
    """Return the instances that were ambiguous or unstable: number and Orthanc identifier."""
    rows = ledger.select(f"SELECT id, orthanc_id FROM instance WHERE {_MENDABLE} ORDER BY id", _MENDABLE_CODES)  # noqa: S608 (ours)
    return [(number, name) for number, name in rows]


def adopt_file(ledger: Ledger, fresh: Ledger, number: int, orthanc_id: str) -> bool:
    """Take the file of an instance as a fresh plan has it.

    Returns:
        Whether the instance is to be done now: the fresh plan has it, and without fault.

    """
    found = fresh.select(
        "SELECT path, size, mtime_ns FROM instance WHERE orthanc_id = ? AND outcome = ''", (orthanc_id,)
    )
    if found:
        ledger.execute(
            "UPDATE instance SET path = ?, size = ?, mtime_ns = ?, outcome = '', code = '', text = '' WHERE id = ?",
            (*found[0], number),
        )
    return bool(found)
