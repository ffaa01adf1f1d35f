"""The same run on a real Dask cluster: a scheduler and two worker processes, one of which is killed on the way.

The workers of the cluster read headers, edit, and verify what is done; the flow's machine does what one of them did not
see.
"""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest

from benchmarks.generate import Shape, generate
from tests.jobs import COMMAND_S, Job, files_of, instance_lines

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

COUNT = 3000
START_S = 60


class Cluster:
    """A scheduler with workers, each a process."""

    def __init__(self, folder: Path, environment: dict[str, str], hidden: Path | None = None, workers: int = 2) -> None:
        """Start a scheduler on a free port, and workers; the second does not see what is in a folder."""
        self._folder = folder
        self._environment = environment
        self._hidden = hidden
        self.processes: list[subprocess.Popen[bytes]] = []
        self._start("scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard")
        self.address = self._find("scheduler", r"(tcp://127\.0\.0\.1:\d+)")
        for number in range(1, workers + 1):
            self.start_worker(f"worker-{number}")

    def start_worker(self, name: str) -> subprocess.Popen[bytes]:
        """Start a worker, and wait until the scheduler knows it."""
        self._start(name, self.address, "--nworkers", "1", "--nthreads", "1", "--no-nanny", "--no-dashboard")
        self._find(name, r"(Registered to)")
        return self.processes[-1]

    def _start(self, name: str, *arguments: str) -> None:
        command = [sys.executable, "-m", "dask", name.partition("-")[0], *arguments]
        if self._hidden is not None and name == "worker-2":
            (self._folder / "empty").mkdir()
            script = 'mount --bind "$0" "$1" && shift && exec "$@"'
            there = [str(self._folder / "empty"), str(self._hidden)]
            command = ["unshare", "--mount", "sh", "-c", script, *there, *command]
        with (self._folder / f"{name}.log").open("wb") as log:
            process = subprocess.Popen(command, stdout=log, stderr=log, cwd=self._folder, env=self._environment)
        self.processes.append(process)

    def _find(self, name: str, pattern: str) -> str:
        deadline = time.monotonic() + START_S
        while time.monotonic() < deadline:
            found = re.search(pattern, self.log(name))
            if found:
                return found[1]
            time.sleep(0.1)
        raise RuntimeError(self.log(name))

    def log(self, name: str) -> str:
        """Return what a process has said."""
        return (self._folder / f"{name}.log").read_text("utf-8", "replace")

    def stop(self) -> None:
        """End all that still runs."""
        for process in reversed(self.processes):
            process.kill()
            process.wait()


@pytest.fixture
def cluster(tmp_path: Path, job: Job) -> Iterator[Cluster]:
    """A running cluster."""
    folder = tmp_path / "cluster"
    folder.mkdir()
    made = Cluster(folder, job.full_environment())
    yield made
    made.stop()


def test_a_cluster_that_loses_a_worker(job: Job, cluster: Cluster) -> None:
    """One of two workers killed in the middle: destination and report are those of a run on threads, all verified."""
    generate(job.source, COUNT, 16 << 10, shape=Shape(patients=10))
    job.write_manifest([{"orthanc_id": row["orthanc_id"]} for row in job.inventory()])
    job.write_config()
    here = job("run", "job.yaml", "--run-id", "threads")
    expected = files_of(job.destination)
    job.destination.rename(job.root / "results-of-threads")

    execution = {"runner": "dask", "dask_address": cluster.address, "chunk_size": 500}
    job.write_config(execution=execution)
    process = job.start("run", "job.yaml", "--run-id", "dask")
    _wait_for_results(job)
    cluster.processes[2].send_signal(signal.SIGKILL)
    done_when_killed = _results(job)
    there = process.end()

    assert (0, 0) == (here.code, there.code), here.err + there.err
    assert done_when_killed < COUNT
    assert COUNT == len(expected)
    assert expected == files_of(job.destination)
    assert {"checks": "full", "verified": COUNT, "not_verified": 0} == _summary(job)["verified"]
    assert instance_lines(job.root / "runs" / "threads") == instance_lines(job.root / "runs" / "dask")
    patients = {row["PatientID"] for row in job.inventory()}
    for name in ("scheduler", "worker-1", "worker-2"):
        assert not [patient for patient in patients if patient in cluster.log(name)]


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_a_worker_killed_at_any_moment(job: Job, tmp_path: Path) -> None:
    """One of four, at twenty moments from the first header to the last result: destination and report stay the same."""
    generate(job.source, COUNT, 16 << 10, shape=Shape(patients=10))
    job.write_manifest([{"orthanc_id": row["orthanc_id"]} for row in job.inventory()])
    job.write_config()
    assert 0 == job("run", "job.yaml", "--run-id", "threads").code
    expected = files_of(job.destination)
    shutil.rmtree(job.destination)
    (tmp_path / "cluster").mkdir()
    cluster = Cluster(tmp_path / "cluster", job.full_environment(), workers=4)
    try:
        job.write_config(execution={"runner": "dask", "dask_address": cluster.address, "chunk_size": 500})
        begun = time.monotonic()
        assert 0 == job("run", "job.yaml", "--run-id", "calm").code
        lasts_s = time.monotonic() - begun
        shutil.rmtree(job.destination)
        for seed in range(20):
            chance = random.Random(seed)  # noqa: S311 (the same moments each time)
            process = job.start("run", "job.yaml", "--run-id", f"killed-{seed}")
            time.sleep(chance.uniform(0, lasts_s))
            victim = chance.choice(cluster.processes[-4:])
            victim.kill()
            done = process.end()

            assert 0 == done.code, (seed, done.err)
            assert expected == files_of(job.destination), seed
            assert instance_lines(job.root / "runs" / "threads") == instance_lines(job.root / "runs" / f"killed-{seed}")
            shutil.rmtree(job.destination)
            victim.wait()
            cluster.processes.remove(victim)
            cluster.start_worker(f"worker-{5 + seed}")
    finally:
        cluster.stop()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can hide files from a process")
def test_a_worker_that_does_not_see_all_files(job: Job, tmp_path: Path) -> None:
    """As with caches of a share: what one worker cannot read or find is done and verified all the same."""
    generate(job.source, COUNT, 8 << 10, shape=Shape(patients=10))
    job.write_manifest([{"orthanc_id": row["orthanc_id"]} for row in job.inventory()])
    (tmp_path / "cluster").mkdir()
    one = next(folder for folder in sorted(job.source.iterdir()) if folder.is_dir())
    cluster = Cluster(tmp_path / "cluster", job.full_environment(), hidden=one)
    try:
        job.write_config(execution={"runner": "dask", "dask_address": cluster.address, "chunk_size": 500})
        done = job("run", "job.yaml", "--run-id", "dask")
    finally:
        cluster.stop()

    assert 0 == done.code, done.err + done.out
    assert {"checks": "full", "verified": COUNT, "not_verified": 0} == _summary(job)["verified"]
    assert COUNT == len(files_of(job.destination))


def _summary(job: Job) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((job.root / "runs" / "dask" / "summary.json").read_text("utf-8"))
    return found


def _results(job: Job) -> int:
    return len(list(job.destination.glob("*/*/*/*.dcm")))


def _wait_for_results(job: Job) -> None:
    deadline = time.monotonic() + COMMAND_S
    while time.monotonic() < deadline:
        if job.destination.exists() and _results(job) >= 200:
            return
        time.sleep(0.01)
    pytest.fail("no results on the cluster")


@pytest.mark.parametrize(
    ("address", "code", "said"),
    [
        ("tcp://127.0.0.1:9", 3, "no Dask scheduler answers"),
        ("tcp://nobody.invalid:8786", 3, "no Dask scheduler answers"),
        ("scheduler", 2, "execution.dask_address"),
    ],
)
def test_no_cluster_there(demo_job: Job, address: str, code: int, said: str) -> None:
    """An address where nobody answers, or none at all: what to do, and nothing done."""
    demo_job.write_manifest([{"orthanc_id": row["orthanc_id"]} for row in demo_job.inventory()])
    demo_job.write_config(execution={"runner": "dask", "dask_address": address})

    done = demo_job("run", "job.yaml")

    assert code == done.code, done.err
    assert said in done.err
    assert "Traceback" not in done.err
    assert not demo_job.destination.exists() or not files_of(demo_job.destination)
