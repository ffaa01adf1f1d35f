"""Pairs of original and new identifiers for other programs: ``uid_mapping.csv`` and ``patid_mapping.csv``.

Plain CSV as such programs read it, also the validation script of the MIDI-B benchmark: without byte order mark, and
every identifier as it is in the files.

Public names: ``write_mappings``, ``UID_MAPPING``, ``PATIENT_MAPPING``.
"""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING, Final

from deidflow.tasks.core.dicom.identifiers import Level
from deidflow.tasks.core.files.private_files import replace_file
from deidflow.tasks.core.report.crosswalk import crosswalk

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from deidflow.tasks.core.ledger.ledger import Ledger

UID_MAPPING: Final = "uid_mapping.csv"
PATIENT_MAPPING: Final = "patid_mapping.csv"
_HEADER: Final = ("id_old", "id_new")


def write_mappings(ledger: Ledger, folder: Path) -> int:
    """Write the pairs of everything that has a result; return how many there are.

    A patient without a PatientID has none: each such study has a new one of its own, and nobody can look it up by "".

    Args:
        ledger: Of a run.
        folder: That the files go to, which is there.

    Raises:
        OSError: They cannot be written.

    """
    uids: dict[tuple[str, str], None] = {}
    patients: dict[tuple[str, str], None] = {}
    for line in crosswalk(ledger):
        if line.new_orthanc_id and line.original_dicom_id:
            pairs = patients if line.level == Level.PATIENT else uids
            pairs[line.original_dicom_id, line.new_dicom_id] = None
    _write(folder / UID_MAPPING, uids)
    _write(folder / PATIENT_MAPPING, patients)
    return len(uids) + len(patients)


def _write(path: Path, pairs: Iterable[tuple[str, str]]) -> None:
    with replace_file(path) as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(_HEADER)
        writer.writerows(sorted(pairs))
