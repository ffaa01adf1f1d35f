"""Whole runs with a real Orthanc: as engine, as source and as destination."""

from __future__ import annotations

import io
import signal
import subprocess
import time
from typing import TYPE_CHECKING, Any

import httpx
import pydicom
import pytest

from benchmarks.generate import Shape, generate
from tests.jobs import DEMO_DATA, Job, read_csv
from tests.orthanc_server import OrthancServer, installed

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.timeout(180)


class Server:
    """A running Orthanc and what tests ask of it."""

    def __init__(self, running: OrthancServer) -> None:
        """Take a started server."""
        self.running = running
        self.url = running.url

    def get(self, path: str) -> Any:
        """Return the JSON of a GET."""
        return httpx.get(f"{self.url}/{path}", timeout=30).raise_for_status().json()

    def upload(self, folder: Path) -> list[str]:
        """Upload every file of a folder; return the instances' identifiers."""
        names = []
        with httpx.Client(timeout=30) as client:
            for path in sorted(folder.rglob("*")):
                if path.is_file():
                    answer = client.post(f"{self.url}/instances", content=path.read_bytes())
                    names.append(answer.raise_for_status().json()["ID"])
        return names

    def dataset(self, instance: str) -> pydicom.Dataset:
        """Return an instance."""
        content = httpx.get(f"{self.url}/instances/{instance}/file", timeout=30).raise_for_status().content
        return pydicom.dcmread(io.BytesIO(content))

    def originals(self) -> dict[str, list[str]]:
        """Return the results on the server by what they were made from."""
        found: dict[str, list[str]] = {}
        for instance in self.get("instances?expand"):
            origin = instance.get("AnonymizedFrom") or instance.get("ModifiedFrom")
            if origin:
                found.setdefault(origin, []).append(instance["ID"])
        return found


@pytest.fixture
def server() -> Iterator[Server]:
    """An empty server for one test, which may kill it."""
    if not installed():
        pytest.skip("NO ORTHANC: nothing was run with a real server (Debian: apt-get install orthanc)")
    with OrthancServer(settings={"StableAge": 1, "SaveJobs": True}) as running:
        yield Server(running)


def _write(job: Job, server: Server, **changes: Any) -> None:
    settings: dict[str, Any] = {
        "engine": "orthanc",
        "source": {"orthanc": server.url},
        "destination": None,
        "options": {"DicomVersion": "2021b"},
        "orthanc": {"accept_unstable": True},
    }
    job.write_config(**(settings | changes))


def _reports(job: Job, run_id: str) -> tuple[object, object]:
    """Return the report without the identifiers that were generated."""
    run_dir = job.root / "runs" / run_id
    rows = [
        (row["line"], row["level"], row["outcome"], row["instances_expected"], row["instances_done"])
        for row in read_csv(run_dir / "reconciliation.csv")
    ]
    # Strangers without a PatientID are one patient on an Orthanc; the local engine tells them apart, one line each.
    crosswalk = {
        (row["level"], row["original_orthanc_id"], row["original_dicom_id"], row["outcome"])
        for row in read_csv(run_dir / "crosswalk.csv")
    }
    return rows, sorted(crosswalk)


def test_both_engines_give_the_same_report(job: Job, server: Server) -> None:
    """Engine orthanc and engine local (to another server) report the same rows, outcomes and levels."""
    server.upload(DEMO_DATA)
    assert 0 == job("inventory", server.url, "-o", "manifest.csv").code
    with OrthancServer() as other:
        _write(job, server, engine="local", destination={"orthanc": other.url})
        local = job("run", "job.yaml", "--run-id", "local")
        again = job("run", "job.yaml", "--run-id", "again")
        on_other = len(httpx.get(f"{other.url}/instances", timeout=30).json())
        _write(job, server)
        remote = job("run", "job.yaml", "--run-id", "remote")

    assert (0, 0, 0) == (local.code, again.code, remote.code), local.err + again.err + remote.err
    assert _reports(job, "local") == _reports(job, "again") == _reports(job, "remote")
    assert 78 == on_other
    assert {1} == {len(made) for made in server.originals().values()}
    assert 78 == len(server.originals())


def test_the_books_sample_calls(job: Job, server: Server) -> None:
    """The Orthanc Book's modify and anonymize of two instances of unrelated patients, as manifests."""
    ids = server.upload(DEMO_DATA / "CT")[:1] + server.upload(DEMO_DATA / "MR")[:1]
    job.write_manifest([{"orthanc_id": name} for name in ids])
    _write(job, server, operation="modify", options={"Replace": {"SeriesDescription": "HELLO"}})
    parents_before = {level: set(server.get(level)) for level in ("patients", "studies", "series")}

    modified = job("run", "job.yaml", "--run-id", "modified")
    once = server.originals()
    twice = job("run", "job.yaml", "--run-id", "twice")
    parents_after = {level: set(server.get(level)) for level in ("patients", "studies", "series")}
    _write(job, server)
    anonymized = job("run", "job.yaml", "--run-id", "anonymized")

    assert (0, 0, 0) == (modified.code, twice.code, anonymized.code), modified.err + twice.err + anonymized.err
    assert set(ids) == set(once) == set(server.originals())
    assert {"HELLO"} == {server.dataset(made).SeriesDescription for names in once.values() for made in names}
    assert parents_before == parents_after
    lines = read_csv(job.root / "runs" / "anonymized" / "crosswalk.csv")
    assert [2, 2, 2, 2] == [
        sum(row["level"] == level and row["original_orthanc_id"] != row["new_orthanc_id"] for row in lines)
        for level in ("patient", "study", "series", "instance")
    ]
    for row in lines:
        place = {"study": "studies", "series": "series"}.get(row["level"], f"{row['level']}s")
        assert row["original_orthanc_id"] == server.get(f"{place}/{row['new_orthanc_id']}")["AnonymizedFrom"]


def test_a_patient_of_each_own_and_nothing_left(job: Job, server: Server, tmp_path: Path) -> None:
    """Patients with their own PatientID and name: every instance mapped, none split or merged, no identifier left."""
    generate(tmp_path / "made", 120, 8 << 10, shape=Shape(patients=6, studies_per_patient=2))
    server.upload(tmp_path / "made")
    originals = set(server.get("instances"))
    assert 0 == job("inventory", server.url, "-o", "all.csv").code
    rows = read_csv(job.root / "all.csv")
    subjects = {patient: f"SUBJ{number:03}" for number, patient in enumerate(sorted({r["PatientID"] for r in rows}))}
    job.write_manifest([{"orthanc_id": row["orthanc_id"], "subject": subjects[row["PatientID"]]} for row in rows])
    options = {
        "DicomVersion": "2021b",
        "Force": True,
        "Replace": {"PatientID": "{subject}", "PatientName": "{subject}"},
    }
    _write(job, server, options=options, verify="full")

    done = job("run", "job.yaml", "--run-id", "own")

    assert 0 == done.code, done.err
    made = server.originals()
    assert originals == set(made)
    names = {row["PatientName"] for row in rows} | {row["PatientID"] for row in rows}
    for original, (result,) in made.items():
        dataset = server.dataset(result)
        before = server.dataset(original)
        assert subjects[str(before.PatientID)] == dataset.PatientID == dataset.PatientName
        left = [str(e.value) for e in dataset.iterall() if e.keyword in ("PatientName", "PatientID")]
        assert not names & set(left)
    patients = {server.dataset(result).PatientID for (result,) in made.values()}
    assert set(subjects.values()) == patients


def test_one_bad_instance_costs_only_itself(job: Job, server: Server, tmp_path: Path) -> None:
    """One instance that cannot be modified: the others are done, it is failed with its reason, nothing is orphaned."""
    generate(tmp_path / "made", 60, 8 << 10, shape=Shape(patients=1, series_per_study=1))
    names = server.upload(tmp_path / "made")
    attachment = server.get(f"instances/{names[7]}/attachments/dicom/info")["Uuid"]
    storage = server.running._folder / "storage"
    (storage / attachment[:2] / attachment[2:4] / attachment).unlink()
    server.running.kill()  # it would still have the file in its cache
    server.running.start()
    assert 0 == job("inventory", server.url, "-o", "manifest.csv").code
    _write(job, server, verify="identifiers")

    done = job("run", "job.yaml", "--run-id", "bad")

    assert 1 == done.code, done.err
    lines = [row for row in read_csv(job.root / "runs" / "bad" / "crosswalk.csv") if row["level"] == "instance"]
    assert ["done"] * 59 + ["failed"] == sorted(row["outcome"] for row in lines)
    (failed,) = (row for row in lines if row["outcome"] == "failed")
    assert (names[7], "") == (failed["original_orthanc_id"], failed["new_orthanc_id"])
    assert ":" in failed["reason"]
    assert 119 == len(server.get("instances"))


def _start(job: Job, run_id: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        job.command("run", "job.yaml", "--run-id", run_id),
        env=job.full_environment(),
        cwd=job.root,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def _wait_for_results(server: Server, before: int) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and len(server.get("instances")) < before + 20:
        time.sleep(0.02)


def test_a_killed_flow_leaves_no_second_copy(job: Job, server: Server, tmp_path: Path) -> None:
    """Kill -9 of the flow while the job runs, then resume: every instance done once, no second copy on the server."""
    generate(tmp_path / "made", 400, 8 << 10, shape=Shape(patients=2))
    server.upload(tmp_path / "made")
    assert 0 == job("inventory", server.url, "-o", "manifest.csv").code
    _write(job, server, verify="identifiers")

    process = _start(job, "killed")
    _wait_for_results(server, 400)
    process.send_signal(signal.SIGKILL)
    process.wait()
    done = job("resume", job.root / "runs" / "killed")

    assert 0 == done.code, done.err
    assert 800 == len(server.get("instances"))
    assert {1} == {len(made) for made in server.originals().values()}


def test_a_killed_server_leaves_no_second_copy(job: Job, server: Server, tmp_path: Path) -> None:
    """Kill -9 of the server in the middle of a job, started again: the run ends with everything done once."""
    generate(tmp_path / "made", 400, 8 << 10, shape=Shape(patients=2))
    server.upload(tmp_path / "made")
    assert 0 == job("inventory", server.url, "-o", "manifest.csv").code
    _write(job, server, verify="identifiers", execution={"retry_delay_seconds": 1})

    process = _start(job, "server")
    _wait_for_results(server, 400)
    server.running.kill()
    time.sleep(2)
    server.running.start()
    code = process.wait(120)

    assert 0 == code
    assert 800 == len(server.get("instances"))
    assert {1} == {len(made) for made in server.originals().values()}


@pytest.mark.parametrize("trouble", ["password", "port", "not an Orthanc"])
def test_a_server_that_cannot_be_used_is_named(job: Job, trouble: str, prefect_environment: dict[str, str]) -> None:
    """Wrong password, wrong port or something else that answers: a clear message, exit code 3, nothing half done."""
    if not installed():
        pytest.skip("NO ORTHANC: nothing was run with a real server (Debian: apt-get install orthanc)")
    users = {"AuthenticationEnabled": True, "RegisteredUsers": {"someone": "else"}}
    job.write_manifest([{"orthanc_id": "-".join(["12345678"] * 5)}])
    with OrthancServer(settings=users if trouble == "password" else {}) as running:
        url = {
            "password": running.url,
            "port": "http://127.0.0.1:9",
            "not an Orthanc": prefect_environment["PREFECT_API_URL"],
        }[trouble]
        _write(job, Server(running), source={"orthanc": url})
        done = job("run", "job.yaml")

    assert 3 == done.code, done.err
    assert "Traceback" not in done.err
    assert {"password": "password", "port": "no connection", "not an Orthanc": "no Orthanc"}[trouble] in done.err
    assert not (job.root / "runs").exists()
