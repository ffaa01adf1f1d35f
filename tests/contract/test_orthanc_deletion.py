"""``KeepSource: false`` with an Orthanc as engine: what is deleted, when, and that nothing is lost by it."""

from __future__ import annotations

import json
import signal
import time
from collections import Counter
from typing import TYPE_CHECKING, Any, Final

import httpx
import pydicom
import pytest

from benchmarks.generate import Shape, generate
from tests.contract.server import Server, reads_files, write
from tests.jobs import read_csv
from tests.orthanc_proxy import Hang, Hold, OrthancProxy, Request, Response, Run

if TYPE_CHECKING:
    from pathlib import Path

    from tests.jobs import Job
    from tests.orthanc_proxy import Fault

DELETING: Final = {"DicomVersion": "2021b", "KeepSource": False}


def _fill(job: Job, server: Server, folder: Path, count: int, shape: Shape) -> dict[str, list[str]]:
    """Upload instances and list their studies; return the instances of each study."""
    generate(folder, count, 8 << 10, shape=shape)
    server.upload(folder)
    assert 0 == job("inventory", server.url, "-o", "manifest.csv").code
    studies = [row["orthanc_id"] for row in read_csv(job.manifest)]
    return {study: [one["ID"] for one in server.get(f"studies/{study}/instances")] for study in studies}


def _held(server: Server) -> set[str]:
    return set(server.get("instances"))


def _crosswalk(job: Job, run_id: str) -> dict[str, str]:
    """Return the result of each instance that is done."""
    lines = read_csv(job.root / "runs" / run_id / "crosswalk.csv")
    return {
        row["original_orthanc_id"]: row["new_orthanc_id"]
        for row in lines
        if row["level"] == "instance" and row["outcome"] == "done"
    }


def _is_deletion(request: Request, answer: Response | None) -> bool:
    return request.path.startswith("/tools/bulk-delete")


def test_only_what_is_done_in_full_goes(job: Job, server: Server, tmp_path: Path) -> None:
    """Of three patients with two studies each one is not in the manifest, and one has an instance that fails.

    The third one's planned instances go, what arrived after the plan stays; when the failed one is mended, it goes too.
    """
    shape = Shape(patients=3, studies_per_patient=2, series_per_study=1)
    studies = _fill(job, server, tmp_path / "made", 36, shape)
    rows = read_csv(job.manifest)
    patients = sorted({row["PatientID"] for row in rows})
    fine, bad, unnamed = ([row["orthanc_id"] for row in rows if row["PatientID"] == one] for one in patients)
    job.write_manifest([{"orthanc_id": study} for study in (*fine, *bad)])
    name = server.get(f"instances/{studies[bad[0]][0]}")["FileUuid"]
    attachment = server.running.storage / name[:2] / name[2:4] / name
    attachment.rename(attachment.with_suffix(".away"))
    late = server.dataset(studies[fine[0]][0])
    late.SOPInstanceUID = late.file_meta.MediaStorageSOPInstanceUID = pydicom.uid.UID("1.2.3.4")
    late.save_as(tmp_path / "late.dcm", enforce_file_format=True)
    arrived: list[str] = []

    def arrive() -> None:
        answer = httpx.post(f"{server.url}/instances", content=(tmp_path / "late.dcm").read_bytes())
        arrived.append(answer.raise_for_status().json()["ID"])

    with OrthancProxy(server.url) as proxy:
        proxy.add(Run(arrive, before=True), lambda request, _: request.path.startswith("/tools/bulk-anonymize"))
        write(job, server, source={"orthanc": proxy.url}, options=DELETING)
        first = job("run", "job.yaml", "--run-id", "deleting")
        done = _crosswalk(job, "deleting")
        left = _held(server) - set(done.values())

        assert 1 == first.code, first.err
        # The other study of the patient whose instance failed is done, and must stay: she is done again as a whole.
        kept = {one for study in (*bad, *unnamed) for one in studies[study]}
        assert kept | set(arrived) == left
        assert 23 == len(done)
        seen = job("verify", job.root / "runs" / "deleting")
        assert 1 == seen.code
        assert "23 as they should be, 0 not" in seen.out

        attachment.with_suffix(".away").rename(attachment)
        second = job("resume", job.root / "runs" / "deleting")
        assert 0 == second.code, second.err
        again = _crosswalk(job, "deleting")
        assert 24 == len(again)
        assert {one for study in unnamed for one in studies[study]} | set(arrived) == _held(server) - set(
            again.values()
        )
        assert {done[one] for study in fine for one in studies[study]} <= set(again.values())
        verified = job("verify", job.root / "runs" / "deleting")
        assert 0 == verified.code, verified.out + verified.err
        summary = json.loads((job.root / "runs" / "deleting" / "summary.json").read_text())
        assert summary["reconciled"] is True


@pytest.mark.versions
@pytest.mark.parametrize(
    ("fault", "reached"),
    [
        pytest.param(Hang(), False, id="before-the-deletion"),
        pytest.param(Hold(), True, id="after-the-deletion"),
    ],
)
def test_killed_between_report_and_deletion(
    job: Job, server: Server, tmp_path: Path, fault: Fault, reached: bool
) -> None:
    """The report is written before anything is deleted; resume deletes the rest, makes nothing anew, verify works."""
    studies = _fill(job, server, tmp_path / "made", 20, Shape(patients=2, series_per_study=1))
    originals = {one for instances in studies.values() for one in instances}
    with OrthancProxy(server.url) as proxy:
        write(job, server, source={"orthanc": proxy.url}, options=DELETING)
        rule = proxy.add(fault, _is_deletion)
        process = job.start("run", "job.yaml", "--run-id", "killed")
        process.reach(rule.reached)
        process.kill()
        rule.release()
        before = _crosswalk(job, "killed")
        assert originals == set(before)
        assert (set() if reached else originals) == originals & _held(server)

        done = job("resume", job.root / "runs" / "killed")
        assert 0 == done.code, done.err
        assert before == _crosswalk(job, "killed")
        assert set(before.values()) == _held(server)
        finished = job("resume", job.root / "runs" / "killed")
        verified = job("verify", job.root / "runs" / "killed")
    assert (0, 0) == (finished.code, verified.code), finished.err + verified.out + verified.err
    assert "20 as they should be, 0 not" in verified.out


def test_an_interrupted_run_deletes_nothing(job: Job, server: Server, tmp_path: Path) -> None:
    """Ctrl-C when one call is done and the next runs: nothing was verified yet, so nothing is deleted."""
    studies = _fill(job, server, tmp_path / "made", 20, Shape(patients=2, series_per_study=1))
    calls: Counter[str] = Counter()

    def second_call(request: Request, answer: Response | None) -> bool:
        calls[request.path] += request.path == "/tools/bulk-anonymize"
        return calls[request.path] == 2

    with OrthancProxy(server.url) as proxy:
        access = {"accept_unstable": True, "max_parallel_jobs": 1}
        write(
            job,
            server,
            source={"orthanc": proxy.url},
            options=DELETING,
            orthanc=access,
            execution={"chunk_size": 10, "retry_delay_seconds": 0.1},
        )
        held = proxy.add(Hold(), second_call)
        process = job.start("run", "job.yaml", "--run-id", "stopped")
        process.reach(held.reached)
        process.send_signal(signal.SIGINT)
        time.sleep(1)
        assert process.poll() is None
        held.release()
        assert 130 == process.end().code

        originals = {one for instances in studies.values() for one in instances}
        assert originals <= _held(server)
        resumed = job("resume", job.root / "runs" / "stopped")
    assert 0 == resumed.code, resumed.err
    assert set(_crosswalk(job, "stopped").values()) == _held(server)
    assert 20 == len(_held(server))


REFUSED: Final[dict[str, dict[str, Any]]] = {
    "without verify": {"options": DELETING, "verify": "identifiers"},
    "permissive": {"options": {**DELETING, "Permissive": True}},
    "kept UID": {"options": {**DELETING, "Keep": ["SOPInstanceUID"], "Force": True}},
    "given UID": {"options": {**DELETING, "Replace": {"SOPInstanceUID": "1.2.3"}, "Force": True}},
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_could_lose_the_only_copy_is_refused(job: Job, case: str) -> None:
    """Without reading results back, with Permissive, or when a result could be its own source: exit code 2."""
    job.write_manifest([{"orthanc_id": "-".join(["12345678"] * 5)}])
    nobody = {"orthanc": "http://127.0.0.1:9"}
    job.write_config(engine="orthanc", source=nobody, destination=None, **REFUSED[case])

    done = job("run", "job.yaml")

    assert 2 == done.code, done.err
    assert "KeepSource" in done.err
    assert "Traceback" not in done.err
    assert not (job.root / "runs").exists()


@pytest.mark.parametrize(
    "moment",
    [pytest.param("before the edit", marks=pytest.mark.versions), "before the verification", "before the deletion"],
)
def test_a_corrected_upload_stays(job: Job, server: Server, tmp_path: Path, moment: str) -> None:
    """One original is uploaded again with other content under its UIDs: it is never deleted, the others are."""
    _fill(job, server, tmp_path / "made", 4, Shape(patients=1, studies_per_patient=1, series_per_study=1))
    path = next(path for path in sorted((tmp_path / "made").rglob("*")) if path.is_file())
    corrected = pydicom.dcmread(path)
    corrected.ImageComments = "corrected"
    (tmp_path / "corrected").mkdir()
    corrected.save_as(tmp_path / "corrected" / "1")
    originals, files = _held(server), Counter[str]()

    def is_now(request: Request, _: Response | None) -> bool:
        files["read"] += reads_files(request)
        if moment == "before the edit":
            return request.path == "/tools/bulk-anonymize"
        if moment == "before the verification":
            return reads_files(request)
        return request.path == "/tools/bulk-content" and files["read"] >= 2  # archives, of originals and of results

    with OrthancProxy(server.url) as proxy:
        rule = proxy.add(Run(lambda: server.upload(tmp_path / "corrected"), before=True), is_now)
        write(job, server, source={"orthanc": proxy.url}, options=DELETING)
        done = job("run", "job.yaml", "--run-id", "corrected")
    assert rule.hits

    assert done.code in (0, 1), done.err
    made = _crosswalk(job, "corrected")
    left = originals & _held(server)
    (name,) = (one for one in left if b"corrected" in server.element(one, "0020-4000"))
    assert set(made.values()) <= _held(server)
    assert originals - left <= set(made)
    if moment == "before the deletion":
        assert {name} == left
