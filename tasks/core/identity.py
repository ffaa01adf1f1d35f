"""Which identifiers the result of an instance has: a pure function of the original ones, the request and the key.

Knowing them before anything is written lets the planner find collisions, and lets chunks be cut anywhere.

Public names: ``new_identifiers``, ``new_patient_name``, ``as_stored_text``, ``as_stored_uid``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tasks.core.edits import decode_data_uri
from tasks.core.identifiers import DicomIdentifiers, Level
from tasks.core.request import Operation
from tasks.core.tags import PATIENT_ID, SERIES_INSTANCE_UID, SOP_INSTANCE_UID, STUDY_INSTANCE_UID, Path

if TYPE_CHECKING:
    from tasks.core.pseudonyms import Pseudonyms
    from tasks.core.request import Request

PATIENT_NAME_PREFIX: Final = "Anonymized^"
_NAME_CHARACTERS: Final = 8


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
    level = request.level()
    anonymize = request.operation is Operation.ANONYMIZE

    def given(tag: int, level_of_tag: Level, original_value: str) -> str | None:
        path = Path((), tag)
        if path in request.edits.keep:
            return original_value
        replacement = request.edits.replace.get(path)
        if isinstance(replacement, str):
            return as_stored_text(replacement) if tag == PATIENT_ID else as_stored_uid(replacement)
        return original_value if level_of_tag.depth < level.depth else None

    patient_id = given(PATIENT_ID, Level.PATIENT, original.patient_id)
    if patient_id is None:
        # Modify never regenerates a PatientID: level Patient without a new one gives new studies of the same patient.
        patient_id = (
            pseudonyms.patient_id(original.patient_id or original.study_instance_uid)
            if anonymize
            else original.patient_id
        )
    uids = (
        (STUDY_INSTANCE_UID, Level.STUDY, original.study_instance_uid),
        (SERIES_INSTANCE_UID, Level.SERIES, original.series_instance_uid),
        (SOP_INSTANCE_UID, Level.INSTANCE, original.sop_instance_uid),
    )
    new_uids = [given(tag, at, value) for tag, at, value in uids]
    study, series, instance = (
        pseudonyms.uid(value) if new is None else new for new, (_, _, value) in zip(new_uids, uids, strict=True)
    )
    return DicomIdentifiers(patient_id, study, series, instance)


def new_patient_name(new_patient_id: str) -> str:
    """Return the PatientName that goes with a generated or given PatientID."""
    return PATIENT_NAME_PREFIX + new_patient_id[:_NAME_CHARACTERS]
