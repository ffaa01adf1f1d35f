"""Identifiers that a request keeps or replaces, for the whole run: what refers to them must follow.

Generated identifiers need no table: they follow from the key. Kept and replaced ones are known only where they are
named.

Public names: ``GivenIdentifiers``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from deidflow.tasks.core.dicom.tags import (
    FRAME_OF_REFERENCE_UID,
    PATIENT_ID,
    SERIES_INSTANCE_UID,
    SOP_INSTANCE_UID,
    STUDY_INSTANCE_UID,
    Path,
)
from deidflow.tasks.core.pseudonyms.new_identifiers import as_stored_uid
from deidflow.tasks.core.request.request import Operation

if TYPE_CHECKING:
    from deidflow.tasks.core.dicom.identifiers import DicomIdentifiers
    from deidflow.tasks.core.request.request import Request


@dataclass(slots=True)
class GivenIdentifiers:
    """New values by original ones.

    Attributes:
        uids: Of studies, series, instances and frames of reference.
        patient_ids: Of patients.
        names: What objects of the run call one patient, where they differ; by original PatientID, or by
            StudyInstanceUID where that is empty. No new values, but known, too, only where the whole run is.

    """

    uids: dict[str, str] = field(default_factory=dict)
    patient_ids: dict[str, str] = field(default_factory=dict)
    names: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def add(self, original: DicomIdentifiers, frame_of_reference: str, request: Request, new: DicomIdentifiers) -> None:
        """Note what one instance's request gives; modify is passed over, since it changes no references.

        Where two requests give one original different values the smaller one counts, whatever the order of the rows.
        A frame of reference that has the UID of its study, series or instance gives nothing: what names that object
        elsewhere is to follow the object, and a kept frame of reference would let the original through.
        """
        if request.operation is Operation.MODIFY:
            return
        if _is_named(request, PATIENT_ID) and original.patient_id:
            _note(self.patient_ids, original.patient_id, new.patient_id)
        pairs = (
            (STUDY_INSTANCE_UID, original.study_instance_uid, new.study_instance_uid),
            (SERIES_INSTANCE_UID, original.series_instance_uid, new.series_instance_uid),
            (SOP_INSTANCE_UID, original.sop_instance_uid, new.sop_instance_uid),
        )
        for tag, old_uid, new_uid in pairs:
            if _is_named(request, tag):
                _note(self.uids, old_uid, new_uid)
        if frame_of_reference and frame_of_reference not in original[1:]:
            path = Path((), FRAME_OF_REFERENCE_UID)
            value = request.edits.replace.get(path)
            if path in request.edits.keep:
                _note(self.uids, frame_of_reference, frame_of_reference)
            elif isinstance(value, str) and value:
                _note(self.uids, frame_of_reference, as_stored_uid(value))


def _is_named(request: Request, tag: int) -> bool:
    path = Path((), tag)
    return path in request.edits.keep or path in request.edits.replace


def _note(table: dict[str, str], original: str, new: str) -> None:
    known = table.get(original)
    if known is None or new < known:
        table[original] = new
