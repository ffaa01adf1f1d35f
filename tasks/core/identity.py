"""Which identifiers the result of an instance has: a pure function of the original ones, the request and the key.

Knowing them before anything is written lets the planner find collisions, and lets chunks be cut anywhere.

Public names: ``new_identifiers``, ``new_sop_instance_uid``, ``new_patient_name``, ``as_stored_text``,
``as_stored_uid``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tasks.core.edits import decode_data_uri
from tasks.core.identifiers import DicomIdentifiers, Level
from tasks.core.request import Operation
from tasks.core.tags import IDENTIFIERS, PATIENT_ID, SERIES_INSTANCE_UID, SOP_INSTANCE_UID, STUDY_INSTANCE_UID, Path

if TYPE_CHECKING:
    from tasks.core.pseudonyms import Pseudonyms
    from tasks.core.request import Request

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
    """Return a UID as it reads back: Orthanc drops blanks anywhere (reference 2.1)."""
    return "".join(as_stored_text(value).split())


def new_identifiers(original: DicomIdentifiers, request: Request, pseudonyms: Pseudonyms) -> DicomIdentifiers:
    """Compute the identifiers of the result of one instance.

    A replaced identifier takes the given value and a kept one stays; the others are regenerated from the request's
    level down (reference 2.1). PatientID is keyed by StudyInstanceUID when the source has none, so that strangers do
    not merge.

    Args:
        original: As decoded from the source.
        request: The effective options of the row.
        pseudonyms: For the request's operation.

    """
    patient_id = _given(PATIENT_ID, Level.PATIENT, original.patient_id, request)
    if patient_id is None:
        # Modify never regenerates a PatientID: level Patient without a new one gives new studies of the same patient.
        patient_id = (
            pseudonyms.patient_id(original.patient_id or original.study_instance_uid)
            if request.operation is Operation.ANONYMIZE
            else original.patient_id
        )
    study = _given(STUDY_INSTANCE_UID, Level.STUDY, original.study_instance_uid, request)
    series = _given(SERIES_INSTANCE_UID, Level.SERIES, original.series_instance_uid, request)
    return DicomIdentifiers(
        patient_id,
        pseudonyms.uid(original.study_instance_uid) if study is None else study,
        pseudonyms.uid(original.series_instance_uid) if series is None else series,
        new_sop_instance_uid(original.sop_instance_uid, request, pseudonyms),
    )


def new_sop_instance_uid(original: str, request: Request, pseudonyms: Pseudonyms) -> str:
    """Compute the SOPInstanceUID of a result, which depends on that of its source only; see ``new_identifiers``."""
    given = _given(SOP_INSTANCE_UID, Level.INSTANCE, original, request)
    return pseudonyms.uid(original) if given is None else given


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
