"""Patients of whom a server would show one thing and hold another: their studies do not agree on who they are.

From 1.11.3 on an Orthanc refuses to modify a study at level Study when Replace names an attribute that it keeps of the
patient, and the patient that the result belongs to has other studies which say something else. The check wants study
identifiers, which deidflow does not send (rule 2 of the contract: the frozen list of instances), so it is made here.

Source: ``/studies/{id}/modify`` of 1.12.7 and 1.13.0, asserted by tests/contract/upstream.

Public names: ``torn_patients``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from deidflow.tasks.core.dicom.identifiers import Level, orthanc_id
from deidflow.tasks.core.dicom.tags import PATIENT_ID, PATIENT_NAME, Path
from deidflow.tasks.core.pseudonyms.new_identifiers import as_stored_text
from deidflow.tasks.orthanc.resources.bulk_content import read_content

if TYPE_CHECKING:
    from collections.abc import Mapping

    from deidflow.tasks.core.engine.protocol import Call
    from deidflow.tasks.orthanc.connection.client import OrthancClient

_KEPT_OF_PATIENTS: Final = {
    PATIENT_ID: "PatientID",
    PATIENT_NAME: "PatientName",
    0x00100030: "PatientBirthDate",
    0x00100040: "PatientSex",
    0x00101000: "OtherPatientIDs",
}
"""What every Orthanc shows of a patient (its main DICOM tags)."""


def torn_patients(client: OrthancClient, call: Call) -> set[str]:
    """Find the originals of a call whose results would belong to a patient whose other studies contradict them.

    Results are taken where Replace gives all that the patient has, and nothing more, or where they have by themselves
    what the patient has. No request when Replace names nothing of the patient, else one for every 1,000 patients.

    Args:
        client: The server.
        call: About to be sent, at level Study; what earlier attempts at it left is gone.

    Returns:
        Orthanc's identifiers of the originals.

    Raises:
        DeidflowError: See ``deidflow.tasks.orthanc.connection.errors``.

    """
    given = {
        keyword: as_stored_text(value).strip()
        for tag, keyword in _KEPT_OF_PATIENTS.items()
        if isinstance(value := call.request.edits.replace.get(Path((), tag)), str)
    }
    if not given:
        return set()
    source_of = {one.orthanc_id: one.original.orthanc_id(Level.PATIENT) for one in call.instances}
    moved_to = orthanc_id(given["PatientID"]) if "PatientID" in given else ""
    found = {item.id: item for item in read_content(client, {moved_to, *source_of.values()} - {""})}
    edited = {one.original.orthanc_id(Level.STUDY) for one in call.instances}
    torn = set()
    for source in set(source_of.values()):
        target = found.get(moved_to or source)
        if target is None or edited.issuperset(target.children):
            continue
        has = _shown(target.tags)
        own = _shown(found[source].tags) if source in found else {}
        if has not in (given, own | given):
            torn.add(source)
    return {name for name, source in source_of.items() if source in torn}


def _shown(tags: Mapping[str, str]) -> dict[str, str]:
    return {keyword: tags[keyword].strip() for keyword in _KEPT_OF_PATIENTS.values() if keyword in tags}
