"""Many instances on a real Orthanc: every one mapped, with few requests, and nothing of the patients left."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

import pydicom
import pytest
from pydicom.dataset import Dataset

from benchmarks.generate import Shape, generate
from tests.contract.server import SETTINGS, Server, write
from tests.jobs import Job, read_csv
from tests.orthanc_server import OrthancServer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PATIENTS = 20
STUDIES_EACH = 3
RUN_S = 600.0
"""The jobs of the 3,000 take 1.12.7 a hundred seconds on a free machine."""

AT_ITS_ENDS = 12
"""Requests of a run of whatever size: what the server is (plan, lock, engine), what rows name, what results are."""

FREQUENT_S = 5
MOST_AT_FIRST = 60

OVERLAY = b"burned-in name of the patient.."


def _make(folder: Path, instances: int) -> dict[str, tuple[str, str]]:
    """Write the originals; return each patient's PatientID and PatientName.

    In each study the first instance of the second series refers to one of the first series, and holds an overlay and a
    nested name and ID in a sequence that Orthanc's profile keeps.
    """
    shape = Shape(PATIENTS, STUDIES_EACH, 2)
    generate(folder, instances, 8 << 10, shape=shape)
    patients = {}
    for patient, study, _ in {(p, s, 1) for p, s, _ in shape.series()}:
        home = folder / f"PAT{patient:05}/ST{study:03}"
        image = pydicom.dcmread(next((home / "SE001").iterdir()), stop_before_pixels=True)
        path = next((home / "SE002").iterdir())
        dataset = pydicom.dcmread(path)
        item = Dataset()
        item.ReferencedSOPClassUID = image.SOPClassUID
        item.ReferencedSOPInstanceUID = image.SOPInstanceUID
        item.PatientName, item.PatientID = image.PatientName, image.PatientID
        dataset.SourceImageSequence = [item]
        for element, vr, value in ((0x10, "US", 8), (0x11, "US", 31), (0x3000, "OW", OVERLAY + b"\0")):
            dataset.add_new((0x6000, element), vr, value)
        dataset.save_as(path)
        patients[str(image.PatientID)] = (str(image.PatientID), str(image.PatientName))
    return patients


@pytest.fixture
def logging_server(orthanc_root: Path | None) -> Iterator[Server]:
    """A server that logs each request."""
    with OrthancServer(orthanc_root, SETTINGS, ("--verbose-http",)) as running:
        made = Server(running)
        yield made
        made.close()


class Traffic(NamedTuple):
    """What came in at a server.

    Attributes:
        requests: All but the polls.
        calls: Bulk calls among them.
        polls: Moments in seconds, of each job.

    """

    requests: int
    calls: int
    polls: list[list[float]]


def _traffic(log: str) -> Traffic:
    """Read a server's log: ``I1123 21:04:52.319075 HTTP-1 HttpServer.cpp:1263] (http) GET /patients``.

    1.13.0 also has a line for the end of each request, with the time it took behind the path.
    """
    lines = re.findall(r"^I\d+ (\d\d):(\d\d):([\d.]+) .*\(http\) (GET|POST|PUT|DELETE) (\S+)$", log, re.MULTILINE)
    polls: dict[str, list[float]] = {}
    for hour, minute, second, method, path in lines:
        if method == "GET" and path.startswith("/jobs/"):
            polls.setdefault(path, []).append(int(hour) * 3600 + int(minute) * 60 + float(second))
    calls = sum(line[-1] == "/tools/bulk-anonymize" for line in lines)
    return Traffic(len(lines) - sum(map(len, polls.values())), calls, list(polls.values()))


@pytest.mark.parametrize(
    "instances",
    [
        pytest.param(600, marks=pytest.mark.versions),
        pytest.param(3000, marks=[pytest.mark.versions, pytest.mark.timeout(1200)]),
    ],
)
def test_twenty_patients(job: Job, logging_server: Server, tmp_path: Path, instances: int) -> None:
    """Each patient with its own PatientID and PatientName: all mapped, none split or merged, references hold."""
    server = logging_server
    patients = _make(tmp_path / "made", instances)
    originals = set(server.upload(tmp_path / "made"))
    assert (instances, PATIENTS) == (len(originals), len(patients))
    assert 0 == job("inventory", server.url, "-o", "all.csv").code
    rows = read_csv(job.root / "all.csv")
    assert PATIENTS * STUDIES_EACH == len(rows)
    subjects = {patient: f"SUBJ{number:03}" for number, patient in enumerate(sorted(patients))}
    job.write_manifest([{"orthanc_id": row["orthanc_id"], "subject": subjects[row["PatientID"]]} for row in rows])
    both = {"PatientID": "{subject}", "PatientName": "{subject}"}
    write(job, server, verify="identifiers", options={"DicomVersion": "2021b", "Force": True, "Replace": both})
    logged, before = len(server.running.log), set(server.running.storage.glob("*/*/*"))

    done = job.start("run", "job.yaml", "--run-id", "many").end(RUN_S)

    assert 0 == done.code, done.err
    traffic = _traffic(server.running.log[logged:])
    assert PATIENTS == traffic.calls == len(traffic.polls)
    # Of each study of results one, for names that hardening does not reach.
    names = PATIENTS * STUDIES_EACH
    # 1.10.1 may have run jobs again: their list, and all changes in pages of 1,000, of which each instance is one.
    again = 2 + instances / 500 if server.running.version.startswith("1.10.") else 0
    assert traffic.requests <= AT_ITS_ENDS + instances / 40 + 4 * traffic.calls + names + again
    for moments in traffic.polls:  # some 50 in the first five seconds, then twice a second
        later = [moment for moment in moments if moment - moments[0] > FREQUENT_S]
        assert len(moments) - len(later) <= MOST_AT_FIRST
        assert all(third - first >= 1 for first, third in zip(later, later[2:], strict=False))

    made = server.originals()
    assert originals == set(made)
    assert {1} == {len(names) for names in made.values()}
    lines = read_csv(job.root / "runs" / "many" / "crosswalk.csv")
    _check_patients(lines, subjects, instances)
    _check_references(server, lines)

    verified = job("verify", job.root / "runs" / "many")
    assert 0 == verified.code, verified.err
    _check_nothing_left(set(server.running.storage.glob("*/*/*")) - before, patients, instances)


def _check_patients(lines: list[dict[str, str]], subjects: dict[str, str], instances: int) -> None:
    """Every patient is one new patient, every study one new study of it."""
    pairs = {
        level: {(row["original_dicom_id"], row["new_dicom_id"]) for row in lines if row["level"] == level}
        for level in ("patient", "study", "series", "instance")
    }
    assert set(subjects.items()) == pairs["patient"]
    for level, expected in (("study", 60), ("series", 120), ("instance", instances)):
        assert (expected, expected) == (len({old for old, _ in pairs[level]}), len({new for _, new in pairs[level]}))


def _check_references(server: Server, lines: list[dict[str, str]]) -> None:
    """A result refers to the result of what its original referred to."""
    instances = [row for row in lines if row["level"] == "instance"]
    new_uid = {row["original_dicom_id"]: row["new_dicom_id"] for row in instances}
    new_name = {row["original_orthanc_id"]: row["new_orthanc_id"] for row in instances}
    found = 0
    for series in (row["original_orthanc_id"] for row in lines if row["level"] == "series"):
        for name, tags in server.get(f"series/{series}/instances-tags?simplify").items():
            if "OverlayRows" in tags:
                (item,) = tags["SourceImageSequence"]
                (referred,) = server.dataset(new_name[name]).SourceImageSequence
                assert new_uid[item["ReferencedSOPInstanceUID"]] == referred.ReferencedSOPInstanceUID
                found += 1
    assert PATIENTS * STUDIES_EACH == found


def _check_nothing_left(files: set[Path], patients: dict[str, tuple[str, str]], instances: int) -> None:
    """No byte string of a patient's identifiers, nor the overlay, stands in a result, at whatever depth."""
    assert len(files) >= instances
    texts = b"|".join(re.escape(text.encode()) for pair in patients.values() for text in pair)
    # Seven digits of a PatientID stand somewhere in thousands of UIDs by chance.
    secret = re.compile(rb"(?<![\d.])(?:" + texts + rb")(?![\d.])|" + OVERLAY)
    assert 0 == sum(bool(secret.search(path.read_bytes())) for path in files)
