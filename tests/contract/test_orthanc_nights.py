"""Nights with an Orthanc as engine: no second copy of anything, and nothing that tears a patient apart."""

from __future__ import annotations

import contextlib
import json
from typing import TYPE_CHECKING, Any

import pytest

from deidflow.tasks.core.dicom.identifiers import DicomIdentifiers, Level
from tests.contract.server import Server, write
from tests.dicom_files import instance
from tests.jobs import read_csv
from tests.orthanc_server import OrthancServer

if TYPE_CHECKING:
    from pathlib import Path

    from tests.jobs import Job

GIVEN = {
    "DicomVersion": "2021b",
    "Replace": {"PatientID": "{subject}", "PatientName": "{subject}"},
    "Force": True,
}


def _put(job: Job, server: Server, patient: str, study: str, *numbers: int) -> Path:
    folder = job.root / f"{patient}-{study}-{len(numbers)}-{max(numbers)}"
    folder.mkdir()
    for number in numbers:
        uid = f"1.2.{study}"
        names: dict[str, Any] = {"StudyInstanceUID": uid, "SeriesInstanceUID": f"{uid}.1"}
        content = instance(PatientID=patient, SOPInstanceUID=f"{uid}.1.{number}", **names)
        (folder / str(number)).write_bytes(content)
    server.upload(folder)
    return folder


def _listed(job: Job, server: Server) -> list[dict[str, str]]:
    assert 0 == job("inventory", server.url, "-o", "all.csv", "--overwrite").code
    listed = read_csv(job.root / "all.csv")
    return [{"orthanc_id": row["orthanc_id"], "subject": f"S{row['PatientID']}"} for row in listed]


def _night(job: Job, server: Server, run_id: str) -> tuple[int, list[tuple[str, str]]]:
    """List the server's originals and run; return the exit code, outcome and reason's code of each row, by patient."""
    job.write_manifest(_listed(job, server))
    code = job("run", "job.yaml", "--run-id", run_id).code
    rows = read_csv(job.root / "runs" / run_id / "reconciliation.csv") if (job.root / "runs" / run_id).exists() else []
    return code, [(row["outcome"], row["reason"].partition(":")[0]) for row in rows]


def test_a_second_night_makes_no_second_copy(job: Job, server: Server) -> None:
    """Without incremental it is refused, and says why; with it new patients are done, and a known one fails.

    Under whatever address the server is named.
    """
    _put(job, server, "A", "1", 1, 2)
    write(job, server)
    assert (0, [("done", "")]) == _night(job, server, "n1")
    held = len(server.get("instances"))
    refused = job("run", "job.yaml", "--run-id", "n2")

    assert (2, held) == (refused.code, len(server.get("instances")))
    assert "the run n1 has done it" in refused.err
    assert "incremental: true" in refused.err
    by_name = {"orthanc": server.url.replace("127.0.0.1", "localhost")}
    write(job, server, source=by_name)
    assert "the run n1 has done it" in job("plan", "job.yaml").err
    write(job, server, source=by_name, incremental=True)
    assert (0, [("done", "")]) == _night(job, server, "n3")
    assert held == len(server.get("instances"))
    _put(job, server, "A", "3", 1)  # another study of a known patient
    _put(job, server, "B", "2", 1)
    assert (1, [("done", ""), ("failed", "known-patient"), ("done", "")]) == _night(job, server, "n4")
    assert held + 3 == len(server.get("instances"))
    withdrawn = job("withdraw", "runs/n1", "--row", "2")
    assert (0, held + 1) == (withdrawn.code, len(server.get("instances")))


def test_a_server_that_was_sent_a_result_has_not_made_the_others(job: Job, server: Server) -> None:
    """A config that goes on with another server does there what was done on the first."""
    write(job, server, incremental=True)
    folders = [_put(job, server, "A", "1", 1), _put(job, server, "B", "2", 1)]
    assert (0, [("done", "")] * 2) == _night(job, server, "n1")
    (sent, *_), *_ = server.originals().values()
    with OrthancServer() as running, contextlib.closing(Server(running)) as other:
        for folder in folders:
            other.upload(folder)
        write(job, other, incremental=True)
        listed = _listed(job, other)
        server.dataset(sent).save_as(folders[0] / "sent")
        other.upload(folders[0])
        job.write_manifest(listed)
        assert 0 == job("run", "job.yaml", "--run-id", "n2").code
        assert 2 == len(other.originals())


@pytest.mark.parametrize("engine", ["orthanc", "local"])
@pytest.mark.parametrize("keep_source", [True, pytest.param(False, marks=pytest.mark.versions)])
def test_results_beside_their_originals_are_no_sources(
    job: Job, server: Server, engine: str, keep_source: bool
) -> None:
    """What modify put into the same study is not edited again the next night, nor counted, nor in anybody's way."""
    _put(job, server, "A", "1", 1, 2)
    options = {"Replace": {"StudyDescription": "Trial 7"}, "KeepSource": keep_source}
    others = {"operation": "modify", "options": options, "incremental": True}
    write(job, server, engine=engine, destination={"orthanc": server.url} if engine == "local" else None, **others)
    job.write_manifest([{"orthanc_id": server.get("studies")[0], "instances": "2"}])
    first = job("run", "job.yaml", "--run-id", "n1")
    held = set(server.get("instances"))
    second = job("run", "job.yaml", "--run-id", "n2")

    assert (0, 0) == (first.code, second.code), first.err + second.err
    assert (4 if keep_source else 2) == len(held)
    assert held == set(server.get("instances"))
    assert "nothing to do" in second.out
    (row,) = read_csv(job.root / "runs" / "n2" / "reconciliation.csv")
    assert ("done", "2", "2") == (row["outcome"], row["instances_expected"], row["instances_done"])


@pytest.mark.parametrize("engine", ["orthanc", pytest.param("local", marks=pytest.mark.versions)])
def test_what_another_config_put_beside_the_originals_is_no_source(job: Job, server: Server, engine: str) -> None:
    """A row means its originals, as many as a fresh inventory counts; a copy that is named itself is edited."""
    _put(job, server, "A", "1", 1, 2)
    originals = set(server.get("instances"))
    write(job, server, operation="modify", options={"Replace": {"SeriesDescription": "corrected"}})
    job.write_manifest([{"orthanc_id": server.get("studies")[0]}])
    assert 0 == job("run", "job.yaml", "--run-id", "m").code
    (copy, *_) = sorted(set(server.get("instances")) - originals)
    write(job, server, name="other", engine=engine, destination={"folder": "out"} if engine == "local" else None)
    assert 0 == job("inventory", server.url, "-o", "cohort.csv", "--level", "patient", "--overwrite").code
    (listed,) = read_csv(job.root / "cohort.csv")
    planned = job("plan", "job.yaml")
    first = job("run", "job.yaml", "--run-id", "n1")
    job.write_manifest([{"orthanc_id": copy}])
    write(job, server, name="third", engine=engine, destination={"folder": "new"} if engine == "local" else None)
    second = job("run", "job.yaml", "--run-id", "n2")

    assert (0, 0, 0, "2") == (planned.code, first.code, second.code, listed["instances"]), first.err + second.err
    assert "2 instances are left out: they are edited copies" in planned.out
    for run, sources in (("n1", originals), ("n2", {copy})):
        pairs = read_csv(job.root / "runs" / run / "crosswalk.csv")
        assert sources == {pair["original_orthanc_id"] for pair in pairs if pair["level"] == "instance"}


@pytest.mark.versions
def test_results_on_the_server_of_their_originals_are_no_originals(job: Job, server: Server) -> None:
    """Engine local leaves no mark there, so that an inventory lists its results; such a row costs only itself."""
    _put(job, server, "A", "1", 1, 2)
    write(job, server, engine="local", destination={"orthanc": server.url}, incremental=True, skip_invalid=True)
    assert (0, [("done", "")]) == _night(job, server, "n1")
    _put(job, server, "B", "2", 1)
    code, rows = _night(job, server, "n2")

    assert (1, [("done", ""), ("done", ""), ("invalid", "invalid-row")]) == (code, sorted(rows))
    assert 3 + 3 == len(server.get("instances"))


def test_given_identifiers_let_new_studies_of_a_patient_in(job: Job, server: Server) -> None:
    """A whole study whose row gives PatientID and PatientName lands in the same patient; a study that grew does not."""
    _put(job, server, "A", "1", 1)
    write(job, server, incremental=True, options=GIVEN)
    assert (0, [("done", "")]) == _night(job, server, "n1")
    _put(job, server, "A", "1", 2)
    _put(job, server, "A", "3", 1)
    code, rows = _night(job, server, "n2")

    assert (1, [("failed", "known-patient"), ("done", "")]) == (code, rows)
    # Inside a sequence they are not the patient's.
    _put(job, server, "A", "4", 1)
    nested = {f"ReferencedPatientSequence[*].{keyword}": "{subject}" for keyword in ("PatientID", "PatientName")}
    write(job, server, incremental=True, options={"DicomVersion": "2021b", "Replace": nested})
    job.write_manifest(
        [
            row
            for row in _listed(job, server)
            if row["orthanc_id"] == DicomIdentifiers("A", "1.2.4", "", "").orthanc_id(Level.STUDY)
        ]
    )
    plan = json.loads(job("plan", "job.yaml", "--json").out)
    assert ["known-patient"] == [one["code"] for one in plan["will_fail"]], plan
    patients = [patient["MainDicomTags"]["PatientID"] for patient in server.get("patients?expand")]
    assert ["A", "SA"] == sorted(patients)
