"""A server that deletes its oldest patients while a run works: what is done is there, all is accounted for."""

from __future__ import annotations

import contextlib
import json
from typing import TYPE_CHECKING, Any, Final

import pytest

from tests.contract.server import SETTINGS, Server, require_orthanc, write
from tests.dicom_files import instance
from tests.jobs import read_csv
from tests.orthanc_server import OrthancServer

if TYPE_CHECKING:
    from tests.jobs import Job

pytestmark = pytest.mark.timeout(180)

PATIENTS: Final = 4
INSTANCES: Final = 5


def _fill(job: Job, server: Server) -> list[str]:
    job.source.mkdir()
    for patient in range(PATIENTS):
        for number in range(INSTANCES):
            uids: dict[str, Any] = {"StudyInstanceUID": f"1.2.{patient}", "SeriesInstanceUID": f"1.2.{patient}.1"}
            name = f"1.2.{patient}.1.{number}"
            data = instance(PatientID=f"P-{patient}", SOPInstanceUID=name, **uids)
            (job.source / name).write_bytes(data)
    return server.upload(job.source)


@pytest.mark.parametrize("most", [PATIENTS, pytest.param(PATIENTS + 2, marks=pytest.mark.versions)])
def test_patients_are_recycled_during_a_run(job: Job, most: int) -> None:
    """Originals go in favour of results, and results of other results: each row and instance has an outcome that holds.

    1.10.1 tells nobody of its MaximumPatientCount, so that `plan` cannot warn.
    """
    require_orthanc()
    with contextlib.ExitStack() as stack:
        running = stack.enter_context(OrthancServer(settings={**SETTINGS, "MaximumPatientCount": most}))
        server = stack.enter_context(contextlib.closing(Server(running)))
        originals = _fill(job, server)
        job.write_manifest([{"orthanc_id": study} for study in server.get("studies")])
        write(job, server, execution={"retries": 1, "retry_delay_seconds": 0.1})
        run = job("run", "job.yaml", "--run-id", "r")
        held, made = set(server.get("instances")), server.originals()

    folder = job.root / "runs" / "r"
    assert run.code == 1, run.err
    assert "Traceback" not in run.err
    lines = {
        row["original_orthanc_id"]: row for row in read_csv(folder / "crosswalk.csv") if row["level"] == "instance"
    }
    assert set(originals) == set(lines)
    assert PATIENTS == len(read_csv(folder / "reconciliation.csv"))
    leftovers = folder / "leftovers.json"
    named = set(json.loads(leftovers.read_text())["Resources"]) if leftovers.exists() else set()
    done = {row["new_orthanc_id"] for row in lines.values() if row["outcome"] == "done"}
    assert done <= held
    assert {result for results in made.values() for result in results} == done | (named & held)
    summary = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
    assert not summary["reconciled"]


def test_what_was_verified_goes_in_favour_of_what_resume_writes(job: Job) -> None:
    """A destination for one patient: what goes while another is written is missing, however often it was right."""
    require_orthanc()
    job.source.mkdir()
    for patient in ("1", "2"):
        uids: dict[str, Any] = {"StudyInstanceUID": f"1.2.{patient}", "SeriesInstanceUID": f"1.2.{patient}.1"}
        data = instance(PatientID=f"P-{patient}", SOPInstanceUID=f"1.2.{patient}.1.1", **uids)
        (job.source / patient).write_bytes(data)
    job.write_manifest(job.inventory())
    with contextlib.ExitStack() as stack:
        running = stack.enter_context(OrthancServer(settings={**SETTINGS, "MaximumPatientCount": 1}))
        server = stack.enter_context(contextlib.closing(Server(running)))
        job.write_config(destination={"orthanc": server.url})
        codes, done, held = [], [], []
        for command in (("run", "job.yaml", "--run-id", "r"), ("resume", "runs/r")):
            codes.append(job(*command).code)
            rows = read_csv(job.root / "runs" / "r" / "crosswalk.csv")
            done.append([r["new_orthanc_id"] for r in rows if (r["level"], r["outcome"]) == ("instance", "done")])
            held.append(server.get("instances"))

    assert [1, 1] == codes
    assert [1, 1] == [len(names) for names in held]
    assert held == done
