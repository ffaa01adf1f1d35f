"""A server that converts what it stores (``IngestTranscoding``): done where nothing is lost, else failed and named."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, Final

import pytest

from tests.contract.server import SETTINGS, Server, write
from tests.contract.test_what_plan_says import image, version_of
from tests.jobs import read_csv
from tests.orthanc_proxy import Hold, OrthancProxy
from tests.orthanc_server import OrthancServer

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.jobs import Job

pytestmark = pytest.mark.timeout(180)

BITS: Final = (8, 16, 8, 16)
JPEG_BASELINE: Final = "1.2.840.10008.1.2.4.50"
JPEG_LOSSLESS: Final = "1.2.840.10008.1.2.4.70"
EXPLICIT: Final = "1.2.840.10008.1.2.1"
"""Of the images: a server that converts to it leaves them as they are."""

IMPLICIT: Final = "1.2.840.10008.1.2"
KEEPS_LINKS: Final = (1, 11, 3)


@pytest.fixture
def serve(
    job: Job, orthanc_root: Path | None
) -> Callable[[str], contextlib.AbstractContextManager[tuple[Server, OrthancServer]]]:
    """Start a server that holds images as they came and converts everything from now on."""
    job.source.mkdir(exist_ok=True)
    for number, bits in enumerate(BITS, 1):
        (job.source / str(number)).write_bytes(image(number, bits))

    @contextlib.contextmanager
    def started(target: str) -> Any:
        with OrthancServer(orthanc_root, SETTINGS) as running, contextlib.closing(Server(running)) as server:
            server.upload(job.source)
            assert 0 == job("inventory", server.url, "-o", "manifest.csv").code
            running.kill()
            running.configure(IngestTranscoding=target)
            running.start()
            yield server, running

    return started


def _rows(job: Job, run_id: str) -> list[dict[str, str]]:
    return [row for row in read_csv(job.root / "runs" / run_id / "crosswalk.csv") if row["level"] == "instance"]


@pytest.mark.versions
@pytest.mark.parametrize(
    "target",
    [
        pytest.param(JPEG_LOSSLESS, id="compressed"),
        pytest.param(IMPLICIT, id="implicit"),
    ],
)
@pytest.mark.parametrize("operation", ["anonymize", "modify"])
def test_conversion_without_loss(job: Job, serve: Any, operation: str, target: str) -> None:
    """1.11.3 on: all done, verified by their pixels. Before: failed with what to do, nothing stays, however often."""
    options = {"DicomVersion": "2021b"} if operation == "anonymize" else {"Replace": {"StudyDescription": "Trial 7"}}
    with serve(target) as (server, _):
        write(job, server, operation=operation, options=options)
        run = job("run", "job.yaml", "--run-id", "converted")
        resumed = job("resume", "runs/converted")
        verified = job("verify", "runs/converted")
        rows, made = _rows(job, "converted"), server.originals()
        held = len(server.get("instances"))
        if version_of(server) < KEEPS_LINKS:
            assert (1, 1) == (run.code, resumed.code), run.err
            assert len(BITS) == held
            assert all(row["reason"].startswith("transcoding-failed: the Orthanc converts") for row in rows)
            assert all("set options.Transcode to the same transfer syntax" in row["reason"] for row in rows)
            write(job, server, operation=operation, options={**options, "Transcode": target})
            run = job("run", "job.yaml", "--run-id", "again")
            rows, made = _rows(job, "again"), server.originals()
            held = len(server.get("instances"))
        else:
            assert 0 == resumed.code == verified.code, resumed.err + verified.err
        assert 0 == run.code, run.err
        assert {"done"} == {row["outcome"] for row in rows}
        assert (len(BITS), {1}) == (len(made), {len(names) for names in made.values()})
        assert 2 * len(BITS) == held
        for (name,) in made.values():
            assert target == server.get(f"instances/{name}/metadata?expand")["TransferSyntax"]


@pytest.mark.versions
def test_a_flow_killed_while_results_have_no_link(job: Job, serve: Any) -> None:
    """What an earlier attempt left is known by its mark, also where it tells nothing of its original."""
    with serve(JPEG_LOSSLESS) as (server, _), OrthancProxy(server.url) as proxy:
        write(job, server, source={"orthanc": proxy.url})
        held = proxy.add(
            Hold(), lambda request, answer: answer is not None and request.path.startswith("/tools/bulk-anonymize")
        )
        process = job.start("run", "job.yaml", "--run-id", "killed")
        process.reach(held.reached)
        server.wait_for(2 * len(BITS))
        process.kill()
        held.release()
        stranger = server.post("tools/create-dicom", {"Tags": {"PatientName": "Stranger"}})["ID"]
        resumed = job("resume", "runs/killed")
        names = set(server.get("instances"))
        keeps = version_of(server) >= KEEPS_LINKS

    assert (0 if keeps else 1) == resumed.code, resumed.err
    assert stranger in names
    assert (2 if keeps else 1) * len(BITS) + 1 == len(names)


def test_conversion_with_loss_that_begins_after_the_plan(job: Job, serve: Any) -> None:
    """Such a server is refused by `plan` (1.11.0 on); one that becomes it under a run has its results taken out."""
    with serve(JPEG_BASELINE) as (server, running), OrthancProxy(server.url) as proxy:
        refused = job("plan", write_job(job, server))
        running.kill()
        running.configure(IngestTranscoding=EXPLICIT)
        running.start()
        write(job, server, source={"orthanc": proxy.url})
        held = proxy.add(Hold(before=True), lambda request, _: request.path.startswith("/tools/bulk-anonymize"))
        process = job.start("run", "job.yaml", "--run-id", "lossy")
        process.reach(held.reached)
        running.kill()
        running.configure(IngestTranscoding=JPEG_BASELINE)
        running.start()
        held.release()
        ended = process.end()
        rows, made = _rows(job, "lossy"), server.originals()
        version = version_of(server)

    assert (0 if version < (1, 11, 0) else 2) == refused.code
    assert 1 == ended.code, ended.err
    outcomes = [row["outcome"] for row in rows]
    assert {"done": 2, "failed": 2} == {name: outcomes.count(name) for name in set(outcomes)}
    failed = [row["reason"] for row in rows if row["outcome"] == "failed"]
    told = "with loss" if version >= KEEPS_LINKS else "lose the link"
    assert all(reason.startswith("transcoding-failed: the Orthanc converts") for reason in failed)
    assert all(told in reason and "options.Transcode" in reason for reason in failed), failed
    assert 2 == len(made)


@pytest.mark.parametrize(
    "others",
    [
        pytest.param({}, id="default"),
        pytest.param({"StoreMD5ForAttachments": False}, id="no-md5", marks=pytest.mark.versions),
    ],
)
def test_a_destination_that_converts(job: Job, orthanc_root: Path | None, others: dict[str, Any]) -> None:
    """Engine local: what is not stored as it was written fails and is not left there; switched off, resume is done.

    A server that tells its IngestTranscoding (1.11.0 on) is refused before that, and converts from a restart on only.
    """
    job.source.mkdir()
    for number, bits in enumerate(BITS, 1):
        (job.source / str(number)).write_bytes(image(number, bits))
    job.write_manifest(job.inventory())
    settings = {**SETTINGS, **others, "IngestTranscoding": JPEG_LOSSLESS}
    with (
        OrthancServer(orthanc_root, settings) as running,
        contextlib.closing(Server(running)) as server,
        OrthancProxy(server.url) as proxy,
    ):
        job.write_config(destination={"orthanc": proxy.url})
        tells = version_of(server) >= (1, 11, 0)
        assert tells == (job("plan", "job.yaml").code == 2)
        if tells:
            running.kill()
            running.configure(IngestTranscoding=None)
            running.start()
        held = proxy.add(Hold(before=True), lambda request, _: (request.method, request.path) == ("POST", "/instances"))
        process = job.start("run", "job.yaml", "--run-id", "converted")
        process.reach(held.reached)
        if tells:
            running.kill()
            running.configure(IngestTranscoding=JPEG_LOSSLESS)
            running.start()
        held.release()
        run = process.end()
        rows, left = _rows(job, "converted"), server.get("instances")
        running.kill()
        running.configure(IngestTranscoding=EXPLICIT)
        running.start()
        resumed = job("resume", "runs/converted")
        held = server.get("instances")

    assert (1, 0) == (run.code, resumed.code), run.err + resumed.err
    assert [] == left
    assert {("failed", "")} == {(row["outcome"], row["new_orthanc_id"]) for row in rows}
    assert all(row["reason"].startswith("transcoding-failed: the Orthanc converts") for row in rows)
    assert len(BITS) == len(held)


def write_job(job: Job, server: Server) -> str:
    """Write the config of an anonymization and return its name."""
    write(job, server)
    return "job.yaml"
