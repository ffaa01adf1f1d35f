"""A result never takes the place of an original, or of anybody's object, on the server that it is written to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pytest

from deidflow.tasks.core.dicom.identifiers import DicomIdentifiers, Level
from tests.contract.server import Server, write
from tests.dicom_files import instance
from tests.jobs import Job, instance_lines, read_csv

if TYPE_CHECKING:
    from collections.abc import Mapping

UIDS: Final = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")
FIRST: Final = {"PatientID": "P1", "StudyInstanceUID": "2.25.1", "SeriesInstanceUID": "2.25.11"}
TWO: Final = [FIRST | {"SOPInstanceUID": "2.25.111"}, FIRST | {"SOPInstanceUID": "2.25.112"}]


def _name(identifiers: Mapping[str, str]) -> str:
    return DicomIdentifiers(*(identifiers[keyword] for keyword in ("PatientID", *UIDS))).orthanc_id(Level.INSTANCE)


def _file(patient_name: str, identifiers: Mapping[str, Any]) -> bytes:
    return instance(PatientName=patient_name, **identifiers)


def _hold(job: Job, server: Server) -> list[str]:
    job.source.mkdir(exist_ok=True)
    for number, identifiers in enumerate(TWO):
        (job.source / f"{number}.dcm").write_bytes(_file("One^Patient", identifiers))
    return server.upload(job.source)


def _write(job: Job, server: Server, engine: str, url: str, options: Mapping[str, Any], operation: str) -> None:
    version = {"DicomVersion": "2021b"} if operation == "anonymize" else {}
    destination = {"orthanc": url, "overwrite": True} if engine == "local" else None
    options = {"Force": True, **version, **options}
    write(job, server, engine=engine, destination=destination, options=options, operation=operation)


ENGINES: Final = pytest.mark.parametrize("engine", ["local", "orthanc"])
IN_PLACE: Final[dict[str, tuple[str, dict[str, Any], dict[str, str]]]] = {
    "kept": ("modify", {"Keep": ["SOPInstanceUID"], "Replace": {"StudyDescription": "x"}}, {}),
    "kept at level patient": ("modify", {"Keep": list(UIDS), "Replace": {"PatientID": "P1"}, "Level": "Patient"}, {}),
    "kept by anonymize": ("anonymize", {"Keep": ["PatientID", *UIDS]}, {}),
    "equal values": ("modify", {"Replace": TWO[0], "Level": "Patient"}, {}),
    "equal values, one kept": ("modify", {"Replace": {"SOPInstanceUID": "2.25.111"}}, {}),
    "equal values in the row": ("modify", {}, {"Replace.SOPInstanceUID": "2.25.111"}),
    "of another original": ("modify", {}, {"Replace.SOPInstanceUID": "2.25.112"}),
}


@ENGINES
@pytest.mark.parametrize("case", IN_PLACE)
def test_in_the_place_of_an_original(job: Job, server: Server, engine: str, case: str) -> None:
    """Refused before anything starts, with the rows; however the request says it, by whichever address."""
    operation, options, cells = IN_PLACE[case]
    first, second = _hold(job, server)
    before = [server.element(name, "0020-000d") + server.element(name, "0010-0010") for name in (first, second)]
    rows = [{"orthanc_id": first, **cells}]
    if case == "of another original":
        rows.append({"orthanc_id": second, "Replace.SOPInstanceUID": "2.25.113"})
    job.write_manifest(rows)
    # The same server by another name.
    _write(job, server, engine, server.url.replace("127.0.0.1", "localhost"), options, operation)

    done = job("run", "job.yaml", "--run-id", "in-place")

    assert 2 == done.code, done.err
    if (case, engine) == ("kept by anonymize", "orthanc") and server.running.version.startswith("1.10."):
        assert "line 2, column Keep: PatientID in Keep needs Orthanc 1.11.3" in done.err
    else:
        assert "line 2, column SOPInstanceUID" in done.err
        assert "take their place on the server" in done.err
    assert not (job.root / "runs" / "in-place").exists()
    assert {first, second} == set(server.get("instances"))
    assert before == [server.element(name, "0020-000d") + server.element(name, "0010-0010") for name in (first, second)]


@ENGINES
@pytest.mark.parametrize("keyword", ["PatientID", *(pytest.param(one, marks=pytest.mark.versions) for one in UIDS)])
def test_other_identifiers_go_on(job: Job, server: Server, engine: str, keyword: str) -> None:
    """One identifier that differs makes another object."""
    first, second = _hold(job, server)
    job.write_manifest([{"orthanc_id": first}])
    keep = [uid for uid in UIDS if uid != keyword]
    replaced = {"PatientID": "P1", keyword: "2.25.999"}
    options = {"Keep": keep, "Replace": replaced, "Level": "Patient"}
    _write(job, server, engine, server.url, options, "modify")

    done = job("run", "job.yaml", "--run-id", "other")

    assert 0 == done.code, done.err
    assert {first, second, _name(TWO[0] | {keyword: "2.25.999"})} == set(server.get("instances"))


def test_in_the_place_of_somebodys_object(job: Job, server: Server) -> None:
    """An object that no row names stays what it is on a server that overwrites; the others are done, and so is resume.

    Of two rows one result would take its place.
    """
    first, second = _hold(job, server)
    job.write_manifest(
        [
            {"orthanc_id": first, "Replace.SOPInstanceUID": "2.25.777"},
            {"orthanc_id": second, "Replace.SOPInstanceUID": "2.25.778"},
        ]
    )
    taken = FIRST | {"SOPInstanceUID": "2.25.777"}
    (job.source / "taken.dcm").write_bytes(_file("Some^Body", taken))
    (job.source / "0.dcm").unlink()
    (job.source / "1.dcm").unlink()
    (name,) = server.upload(job.source)
    write(job, server, operation="modify", options={"Force": True})

    done = job("run", "job.yaml", "--run-id", "conflict")

    assert 1 == done.code, done.err
    assert b"Some^Body" in server.element(name, "0010-0010")
    run_dir = job.root / "runs" / "conflict"
    assert 1 == len(read_csv(run_dir / "failures.csv"))
    reasons = [row["reason"] for row in read_csv(run_dir / "crosswalk.csv") if row["level"] == "instance"]
    assert ["", "destination-conflict"] == sorted(reason.partition(":")[0] for reason in reasons)
    server.delete(f"instances/{name}")
    resumed = job("resume", run_dir)
    assert 0 == resumed.code, resumed.err
    assert 2 == len(instance_lines(run_dir))
