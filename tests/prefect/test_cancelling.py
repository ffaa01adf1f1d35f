"""A run that is cancelled in Prefect ends as one that gets SIGTERM: with its report, and ready to be resumed."""

from __future__ import annotations

import contextlib
import json
import os
import time
from typing import TYPE_CHECKING

import pytest

from benchmarks.generate import Shape, generate
from tests.contract.server import Server
from tests.jobs import Job, files_of, instance_lines, read_csv, stop_limit_s
from tests.orthanc_server import OrthancServer, installed
from tests.prefect.groups import running

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.prefect_api import Api

pytestmark = [pytest.mark.long, pytest.mark.timeout(500)]

COUNT = 20_000
"""Enough that either step goes on for longer than a cancellation takes to be noticed."""
NOTICED_S = 10.0
"""Until a run is told to stop: Prefect's runner asks its server every few seconds, a command each second."""


@pytest.fixture
def served_job(job: Job) -> Job:
    """A job that a schedule would start tomorrow."""
    generate(job.source, COUNT, 6 << 10, shape=Shape(patients=20))
    job.write_config(
        name=f"s{os.getpid()}-{time.monotonic_ns()}",
        schedule={"interval": 86400},
        # One chunk, so that it is verified after the edits.
        execution={"workers": 1, "chunk_size": COUNT},
    )
    job.write_manifest(job.inventory())
    return job


@contextlib.contextmanager
def serving(job: Job, api: Api) -> Iterator[str]:
    """Serve a job; yield the number of its deployment."""
    with running(job.command("serve", "job.yaml"), job.root / "log.txt", job.full_environment(), job.root):
        yield api.deployment(job.config["name"])


def _wait_for_results(folder: Path, count: int) -> None:
    end = time.monotonic() + 120
    while sum(1 for _ in folder.rglob("*.dcm")) < count:
        assert time.monotonic() < end
        time.sleep(0.05)


def _progress(api: Api, run: str) -> list[float]:
    artifacts = api.post("artifacts/filter", artifacts={"flow_run_id": {"any_": [run]}})
    return [float(one["data"]) for one in artifacts if one["key"].endswith("-progress")]


def _wait_for_progress(api: Api, run: str) -> None:
    """Wait until Prefect shows how far a run is, which it does for runs of more than two seconds."""
    end = time.monotonic() + 120
    while not _progress(api, run):
        assert time.monotonic() < end
        time.sleep(0.2)


def _assert_stopped(job: Job, run_dir: Path) -> None:
    """Assert that a report says that the run did not come to its end, and that `resume` brings it there."""
    summary = json.loads((run_dir / "summary.json").read_text(encoding="utf-8"))
    assert not summary["reconciled"]
    assert 0 != summary["exit_code"]
    said = (job.root / "log.txt").read_text() if (job.root / "log.txt").exists() else ""
    for word in ("Traceback", "ProgrammingError", "KeyError"):
        assert word not in said
    rows = instance_lines(run_dir)
    assert COUNT == len(rows)
    done = job("resume", run_dir)
    assert 0 == done.code, done.err
    assert COUNT == len(files_of(job.destination))
    assert {"done"} == {row["outcome"] for row in read_csv(run_dir / "reconciliation.csv")}


@pytest.mark.parametrize("moment", ["editing", "verifying"])
def test_a_served_run_is_cancelled(served_job: Job, api: Api, moment: str) -> None:
    """Cancelled in the middle: state Cancelled, a report that says so, and `resume` finishes what is left."""
    with serving(served_job, api) as deployment:
        run = api.start(deployment)
        if moment == "editing":
            _wait_for_results(served_job.destination, 100)
        else:
            _wait_for_results(served_job.destination, COUNT)
            _wait_for_progress(api, run)
        api.cancel(run)
        cancelled_at = time.monotonic()
        (run_dir,) = (path for path in (served_job.root / "runs").iterdir() if path.is_dir())
        while not (run_dir / "summary.json").exists():
            assert time.monotonic() - cancelled_at < NOTICED_S + stop_limit_s()
            time.sleep(0.1)
        assert "CANCELLED" == api.end_of(run)["type"]
        assert all(0 < share < 100 for share in _progress(api, run))

    _assert_stopped(served_job, run_dir)


def test_a_run_of_the_command_is_cancelled(served_job: Job, api: Api) -> None:
    """The command notices that its run was cancelled in Prefect: exit code 130, with a report."""
    process = served_job.start("run", "job.yaml", "--run-id", "cancelled")
    _wait_for_results(served_job.destination, 100)
    (run,) = api.runs(state={"type": {"any_": ["RUNNING"]}}, name={"any_": [f"{served_job.config['name']}-cancelled"]})
    cancelled_at = time.monotonic()
    api.cancel(run["id"])
    done = process.end()
    stopped_s = time.monotonic() - cancelled_at

    assert 130 == done.code, done.err
    assert stopped_s < NOTICED_S + stop_limit_s()
    assert "deidflow resume" in done.err
    assert "Traceback" not in done.err
    assert "CANCELLED" == api.state(run["id"])["type"]
    _assert_stopped(served_job, served_job.root / "runs" / "cancelled")


@pytest.mark.skipif(not installed(), reason="NO ORTHANC: Debian: apt-get install orthanc")
def test_a_served_run_on_an_orthanc_is_cancelled(job: Job, api: Api) -> None:
    """The job on the server ends with the run, what it made goes, and `resume` leaves every instance done once."""
    generate(job.source, 400, 8 << 10, shape=Shape(patients=2))
    with OrthancServer() as running:
        server = Server(running)
        server.upload(job.source)
        assert 0 == job("inventory", server.url, "-o", "manifest.csv").code
        job.write_config(
            name=f"s{os.getpid()}-{time.monotonic_ns()}",
            engine="orthanc",
            source={"orthanc": server.url},
            destination=None,
            options={"DicomVersion": "2021b"},
            orthanc={"accept_unstable": True},
            schedule={"interval": 86400},
        )
        with serving(job, api) as deployment:
            run = api.start(deployment)
            server.wait_for(420)
            (own,) = server.modifications()
            server.pause(own)
            api.cancel(run)
            assert "CANCELLED" == api.end_of(run)["type"]
            assert set() == {one["State"] for one in server.get("jobs?expand")} & {"Running", "Pending", "Paused"}
            (run_dir,) = (path for path in (job.root / "runs").iterdir() if path.is_dir())
            summary = json.loads((run_dir / "summary.json").read_text(encoding="utf-8"))
            assert not summary["reconciled"]
        assert "Traceback" not in (job.root / "log.txt").read_text()
        done = job("resume", run_dir)
        assert 0 == done.code, done.err
        assert {1} == {len(names) for names in server.originals().values()}
        assert 800 == len(server.get("instances"))
        server.close()
