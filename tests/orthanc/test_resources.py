"""Identifiers of all levels lead to their instances, with few requests; what the server lacks leads to none."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest

from deidflow.tasks.core.dicom.identifiers import Level
from deidflow.tasks.core.request.request import Operation
from deidflow.tasks.orthanc.jobs.jobs import submit, wait
from deidflow.tasks.orthanc.resources.resources import inventory, resolve, still_there
from tests.orthanc.shelf import UNKNOWN, ids_of, make, new_uid, store

if TYPE_CHECKING:
    from deidflow.tasks.orthanc.connection.client import OrthancClient


def test_four_levels_in_one_list(client: OrthancClient) -> None:
    """A patient, a study, a series and an instance, overlapping and repeated: every instance below them comes once."""
    uploads = [store(client, studies=2, series=2, instances=2) for _ in range(4)]
    wanted = [
        *(uploads[0][0].orthanc_ids[0], uploads[0][0].orthanc_ids[1], uploads[0][7].orthanc_ids[3]),
        *(uploads[1][0].orthanc_ids[1], uploads[2][4].orthanc_ids[2], uploads[3][7].orthanc_ids[3]),
        *(UNKNOWN, uploads[1][0].orthanc_ids[1]),
    ]
    expected = [*uploads[0], *uploads[1][:4], *uploads[2][4:6], uploads[3][7]]
    client.counts.clear()

    found = list(resolve(client, wanted))

    assert sorted(upload.orthanc_ids for upload in expected) == sorted(one.orthanc_ids or () for one in found)
    assert {"POST tools/bulk-content": 4} == client.counts


@pytest.mark.parametrize("patient_id", ["", None, "  leading", "A\\B", "Ünïcode", "trailing "])
def test_identifiers_are_the_servers(client: OrthancClient, patient_id: str | None) -> None:
    """Orthanc's identifiers are the hashes of the DICOM identifiers that come with them, odd PatientIDs included."""
    upload = client.upload(make(PatientID=patient_id, SpecificCharacterSet="ISO_IR 100"))

    (found,) = resolve(client, [upload.orthanc_ids[3]])

    assert upload.orthanc_ids == found.orthanc_ids
    assert upload.orthanc_ids == found.identifiers.orthanc_ids()


def test_nothing_known(client: OrthancClient) -> None:
    """Thousands of unknown identifiers cost one request for each thousand."""
    unknown = ["-".join(f"{uuid4().int:040x}"[-40:][at : at + 8] for at in range(0, 40, 8)) for _ in range(2500)]

    assert [] == list(resolve(client, unknown))
    assert 3 == client.counts.total()


def test_study_that_grows(client: OrthancClient) -> None:
    """A study is not stable right after its last instance, and is a while later."""
    upload = store(client)[0]
    (fresh,) = resolve(client, [upload.orthanc_ids[1]])
    end = time.monotonic() + 60
    while time.monotonic() < end and not next(resolve(client, [upload.orthanc_ids[1]])).stable:
        time.sleep(0.1)

    assert not fresh.stable
    assert next(resolve(client, [upload.orthanc_ids[1]])).stable


def test_presence(client: OrthancClient) -> None:
    """After a deletion only what is left is there."""
    uploads = store(client, instances=2)

    client.delete(f"instances/{uploads[0].orthanc_ids[3]}")

    assert {uploads[1].orthanc_ids[3]} == still_there(client, ids_of(uploads))


def test_inventory_shows_what_people_recognise(client: OrthancClient) -> None:
    """Attributes of all levels, and which instances an edit on the server made."""
    study = {"StudyInstanceUID": new_uid(), "StudyDate": "20240131", "Modality": "CT", "InstanceNumber": "7"}
    upload = client.upload(make(PatientName="Doe^Jane", **study))
    job = wait(client, submit(client, Operation.MODIFY, {}, [upload.orthanc_ids[3]]), 30)

    records = {record.orthanc_ids: record for record in inventory(client, Level.INSTANCE)}
    source = records.pop(upload.orthanc_ids)
    (result,) = (record for ids, record in records.items() if ids and ids[3] in job.output_instances)

    expected = {"PatientName": "Doe^Jane", **study, "SOPClassUID": "1.2.840.10008.5.1.4.1.1.2"}
    del expected["StudyInstanceUID"]
    assert expected == source.attributes
    assert (False, ()) == (source.is_result, source.origins)
    assert (True, (upload.orthanc_ids[3],)) == (result.is_result, result.origins)


def test_what_was_edited_in_its_own_place_is_no_result(client: OrthancClient) -> None:
    """It names itself as what it was made from (``OverwriteInstances``), and is all that there is of it."""
    upload = client.upload(make(StudyInstanceUID=new_uid()))
    body = {"Keep": ["SOPInstanceUID"], "Replace": {"SeriesDescription": "corrected"}, "Force": True}
    job = wait(client, submit(client, Operation.MODIFY, body, [upload.orthanc_ids[3]]), 30)

    assert (upload.orthanc_ids[3],) == job.output_instances
    assert upload.orthanc_ids[3] == client.get(f"instances/{upload.orthanc_ids[3]}")["ModifiedFrom"]
    (found,) = (record for record in inventory(client, Level.INSTANCE) if record.orthanc_ids == upload.orthanc_ids)
    assert (False, ()) == (found.is_result, found.origins)
