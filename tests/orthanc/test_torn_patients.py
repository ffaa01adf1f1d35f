"""Which studies would contradict their patient's others, by what a real server holds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from uuid import uuid4

import pytest

from deidflow.tasks.core.dicom.identifiers import DicomIdentifiers
from deidflow.tasks.core.engine.protocol import Call, PlannedInstance
from deidflow.tasks.core.request.request import Operation, parse_request
from deidflow.tasks.orthanc.resources.torn_patients import torn_patients
from tests.orthanc.shelf import make, new_uid

if TYPE_CHECKING:
    from collections.abc import Mapping

    from deidflow.tasks.orthanc.connection.client import OrthancClient

ANNA: Final = {"PatientName": "Anna", "PatientSex": "F"}


def _studies(client: OrthancClient, count: int, **attributes: str) -> list[PlannedInstance]:
    """Upload a new patient with studies of one instance each."""
    patient, made = str(uuid4()), []
    for number in range(count):
        own = DicomIdentifiers(patient, new_uid(), new_uid(), new_uid())
        names = ("PatientID", "StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")
        upload = client.upload(make(**dict(zip(names, own, strict=True)), **attributes))
        made.append(PlannedInstance(number, b"", 0, 0, own, own, upload.orthanc_ids[3]))
    return made


def _torn(client: OrthancClient, instances: list[PlannedInstance], replace: Mapping[str, str]) -> int:
    request = parse_request(Operation.MODIFY, {"Replace": dict(replace), "Level": "Study", "Force": True})
    return len(torn_patients(client, Call(request, instances)))


@pytest.mark.parametrize(
    ("replace", "torn"),
    [
        ({"StudyDescription": "x"}, 0),
        ({"PatientName": "Anna"}, 0),
        ({"PatientName": "Berta"}, 1),
        ({"PatientBirthDate": "19700101"}, 1),
        ({"PatientSex": ""}, 1),
    ],
)
def test_one_of_two_studies(client: OrthancClient, replace: dict[str, str], torn: int) -> None:
    """It may say what the other one says; both together may say anything."""
    both = _studies(client, 2, **ANNA)

    assert torn == _torn(client, both[:1], replace)
    assert 0 == _torn(client, both, replace)


def test_the_only_study(client: OrthancClient) -> None:
    """Nothing contradicts it, in its patient or in one that nobody has."""
    (alone,) = _studies(client, 1, **ANNA)

    assert 0 == _torn(client, [alone], {"PatientName": "Berta"})
    assert 0 == _torn(client, [alone], {"PatientName": "Berta", "PatientID": str(uuid4())})


def test_a_study_for_another_patient(client: OrthancClient) -> None:
    """It must become what he is: by all of his attributes in Replace, or because it says the same already."""
    (his,) = _studies(client, 1, **ANNA)
    strangers = [*_studies(client, 1, PatientName="Berta", PatientSex="M"), *_studies(client, 1, **ANNA)]
    to_him = {"PatientID": his.original.patient_id}

    assert 1 == _torn(client, strangers, to_him)
    assert 0 == _torn(client, strangers, to_him | ANNA)
    assert 2 == _torn(client, strangers, to_him | ANNA | {"OtherPatientIDs": "7"})
