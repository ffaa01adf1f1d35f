"""Which identifiers the result of an instance has: a pure function of the original ones, the request and the key.

Knowing them before anything is written lets the planner find collisions, and lets chunks be cut anywhere.

Public names: ``new_identifiers``, ``fixed_identifiers``, ``new_parents``, ``sop_instance_uids``, ``new_patient_name``,
``as_stored_text``, ``as_stored_uid``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from deidflow.tasks.core.dicom.identifiers import DicomIdentifiers, Level
from deidflow.tasks.core.dicom.tags import (
    IDENTIFIERS,
    PATIENT_ID,
    SERIES_INSTANCE_UID,
    SOP_INSTANCE_UID,
    STUDY_INSTANCE_UID,
    Path,
)
from deidflow.tasks.core.request.edits import decode_data_uri
from deidflow.tasks.core.request.request import Operation

if TYPE_CHECKING:
    from collections.abc import Callable

    from deidflow.tasks.core.pseudonyms.pseudonyms import Pseudonyms
    from deidflow.tasks.core.request.request import Request

PATIENT_NAME_PREFIX: Final = "Anonymized^"
_NAME_CHARACTERS: Final = 8
_PATHS: Final = {tag: Path((), tag) for tag in IDENTIFIERS}


def as_stored_text(value: str) -> str:
    """Return text as it reads back: it ends at a NUL, trailing blanks are padding (PS3.5 6.2, edition 2026c)."""
    try:
        binary = decode_data_uri(value)
    except ValueError:
        binary = None  # the engine refuses it when it writes
    text = value if binary is None else binary.decode("latin-1")
    return text.split("\0", 1)[0].rstrip(" ")


def as_stored_uid(value: str) -> str:
    """Return a UID as it reads back: Orthanc drops blanks anywhere (docs/orthanc.md, Which identifiers change)."""
    return "".join(as_stored_text(value).split())


def new_identifiers(original: DicomIdentifiers, request: Request, pseudonyms: Pseudonyms) -> DicomIdentifiers:
    """Compute the identifiers of the result of one instance.

    A replaced identifier takes the given value and a kept one stays; the others are regenerated from the request's
    level down (docs/orthanc.md, Which identifiers change). PatientID is keyed by StudyInstanceUID when the source has
    none, so that strangers do not merge.

    Args:
        original: As decoded from the source.
        request: The effective options of the row.
        pseudonyms: For the request's operation.

    """
    parents = new_parents(*original[:3], request, pseudonyms)
    return DicomIdentifiers(*parents, sop_instance_uids(request, pseudonyms)(original.sop_instance_uid))


def fixed_identifiers(original: DicomIdentifiers, request: Request) -> DicomIdentifiers | None:
    """Return the identifiers of the result of one instance where the request fixes all four, None where it does not.

    They are the same by whichever engine, since nothing of them is generated.

    Args:
        original: As decoded from the source.
        request: The effective options of the row.

    """
    found = [_given(tag, level, value, request) for tag, level, value in zip(IDENTIFIERS, Level, original, strict=True)]
    if found[0] is None and request.operation is Operation.MODIFY:
        found[0] = original.patient_id
    fixed = [value for value in found if value is not None]
    return DicomIdentifiers(*fixed) if len(fixed) == len(found) else None


def new_parents(
    patient_id: str, study_instance_uid: str, series_instance_uid: str, request: Request, pseudonyms: Pseudonyms
) -> tuple[str, str, str]:
    """Compute PatientID, StudyInstanceUID and SeriesInstanceUID of all results of a series; see ``new_identifiers``."""
    patient = _given(PATIENT_ID, Level.PATIENT, patient_id, request)
    if patient is None:
        # Modify never regenerates a PatientID: level Patient without a new one gives new studies of the same patient.
        patient = (
            pseudonyms.patient_id(patient_id or study_instance_uid)
            if request.operation is Operation.ANONYMIZE
            else patient_id
        )
    study = _given(STUDY_INSTANCE_UID, Level.STUDY, study_instance_uid, request)
    series = _given(SERIES_INSTANCE_UID, Level.SERIES, series_instance_uid, request)
    return (
        patient,
        pseudonyms.uid(study_instance_uid) if study is None else study,
        pseudonyms.uid(series_instance_uid) if series is None else series,
    )


def sop_instance_uids(request: Request, pseudonyms: Pseudonyms) -> Callable[[str], str]:
    """Return what makes the SOPInstanceUID of a result from that of its source; see ``new_identifiers``."""
    if _given(SOP_INSTANCE_UID, Level.INSTANCE, "", request) is None:
        return pseudonyms.uid
    return lambda original: _given(SOP_INSTANCE_UID, Level.INSTANCE, original, request) or ""


def _given(tag: int, level: Level, original: str, request: Request) -> str | None:
    """Return the value of an identifier that is not generated, None for one that is."""
    path = _PATHS[tag]
    if path in request.edits.keep:
        return original
    replacement = request.edits.replace.get(path)
    if isinstance(replacement, str):
        return as_stored_text(replacement) if tag == PATIENT_ID else as_stored_uid(replacement)
    return original if level.depth < request.level().depth else None


def new_patient_name(new_patient_id: str) -> str:
    """Return the PatientName that goes with a generated or given PatientID."""
    return PATIENT_NAME_PREFIX + new_patient_id[:_NAME_CHARACTERS]
