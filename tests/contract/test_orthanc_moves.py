"""A study filed under the wrong patient is moved to the right one, who is on the server already."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pytest

from tests.contract.server import write
from tests.dicom_files import instance
from tests.jobs import Job, read_csv

if TYPE_CHECKING:
    from tests.contract.server import Server

UIDS: Final = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")
LOOSER: Final = (1, 11, 3)
"""The first version that takes a PatientID at level Study."""


@pytest.mark.parametrize(
    "options",
    [
        pytest.param({"Keep": list(UIDS)}, id="same-uids"),
        pytest.param({}, id="new-uids"),
        pytest.param({"Level": "Study"}, id="level-study", marks=pytest.mark.versions),
    ],
)
def test_a_study_is_moved_to_a_patient_who_exists(job: Job, server: Server, options: dict[str, Any]) -> None:
    """It lands in that patient, whose other studies stay as they are, or the refusal says what to do."""
    job.source.mkdir(exist_ok=True)
    for number, (patient, name) in enumerate([("WRONG-1", "Wrong^A"), ("RIGHT-2", "Right^B"), ("RIGHT-2", "Right^B")]):
        uids: dict[str, Any] = {uid: f"2.25.{number + 1}{place}" for place, uid in enumerate(UIDS)}
        (job.source / f"{number}.dcm").write_bytes(instance(PatientID=patient, PatientName=name, **uids))
    names = server.upload(job.source)
    moved = server.get(f"instances/{names[0]}/study")["ID"]
    row = {"orthanc_id": moved, "Replace.PatientID": "RIGHT-2", "Replace.PatientName": "Right^B"}
    job.write_manifest([row])
    write(job, server, operation="modify", options={"Force": True, **options}, verify="full")

    done = job("run", "job.yaml", "--run-id", "moved")

    if "Level" in options and tuple(map(int, server.running.version.split("."))) < LOOSER:
        assert 2 == done.code
        assert "use Level: Patient" in done.err
        return
    assert 0 == done.code, done.err
    (line,) = (r for r in read_csv(job.root / "runs" / "moved" / "crosswalk.csv") if r["level"] == "instance")
    dataset = server.dataset(line["new_orthanc_id"])
    assert ("RIGHT-2", "Right^B") == (dataset.PatientID, dataset.PatientName)
    assert ("Keep" in options) == (dataset.StudyInstanceUID == "2.25.10")
    right = server.get(f"instances/{names[1]}/patient")
    assert right["ID"] == server.get(f"instances/{line['new_orthanc_id']}/patient")["ID"]
    assert 3 == len(right["Studies"])
    assert set(names) <= set(server.get("instances"))
