"""The pairs of all runs of a config: original and new identifiers, at every level.

Public names: ``PAIR_COLUMNS``, ``pairs_of_runs``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from deidflow.tasks.core.dicom.identifiers import DicomIdentifiers, Level
from deidflow.tasks.core.engine.result_paths import relative_path

if TYPE_CHECKING:
    from collections.abc import Iterator

    from deidflow.tasks.core.ledger.state.state import RunPlace, State

PAIR_COLUMNS: Final = (
    *("level", "original_orthanc_id", "new_orthanc_id", "original_dicom_id", "new_dicom_id"),
    *("run_id", "line", "file"),
)
_OWN: Final = "pair p JOIN run r ON r.number = p.run WHERE r.name = ? AND r.place = ?"
_PARENTS: Final = {
    Level.PATIENT: ("patient", "patient_id"),
    Level.STUDY: ("study", "study_instance_uid"),
    Level.SERIES: ("series", "series_instance_uid"),
}


def pairs_of_runs(state: State, where: RunPlace, *, are_files: bool) -> Iterator[tuple[str, ...]]:
    """Yield the lines of a crosswalk of all runs of a config: patients, studies, series, instances.

    Args:
        state: Brought up to date.
        where: The config puts its results.
        are_files: Whether each result is a file, which is named then.

    Returns:
        The cells of ``PAIR_COLUMNS``: above the instance ``run_id`` has all runs that touched the pair, joined by
        ``;``, and line and file are empty; an instance that several runs delivered has the last of them.

    """
    given = (where.name, where.place)
    for level, (name, identifier) in _PARENTS.items():
        for *cells, runs in state.stream(
            f"SELECT p.{name}, p.new_{name}, p.{identifier}, p.new_{identifier}, group_concat(DISTINCT r.run_id)"  # noqa: S608
            f" FROM {_OWN} AND EXISTS (SELECT 1 FROM delivered d WHERE d.pair = p.id)"
            f" GROUP BY p.{name}, p.new_{name} ORDER BY p.{name}, p.new_{name}",
            given,
        ):
            yield (level.value, *map(str, cells), ";".join(sorted(str(runs).split(","))), "", "")
    for original, new_id, uid, new_uid, run_id, line, patient_id, study_uid, series_uid, _ in state.stream(
        "SELECT d.orthanc_id, d.new_orthanc_id, d.sop_instance_uid, d.new_sop_instance_uid, r.run_id, d.line,"  # noqa: S608
        " p.new_patient_id, p.new_study_instance_uid, p.new_series_instance_uid, max(r.moment)"
        f" FROM delivered d JOIN {_OWN.replace('WHERE', 'AND p.id = d.pair WHERE')}"
        " GROUP BY d.orthanc_id, d.new_orthanc_id ORDER BY d.orthanc_id, d.new_orthanc_id",
        given,
    ):
        new = DicomIdentifiers(str(patient_id), str(study_uid), str(series_uid), str(new_uid))
        file = relative_path(new) if are_files else ""
        yield (Level.INSTANCE.value, str(original), str(new_id), str(uid), str(new_uid), str(run_id), str(line), file)
