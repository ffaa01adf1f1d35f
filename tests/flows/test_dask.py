"""The same run on a real Dask cluster: a scheduler and two worker processes, one of which is killed on the way.

The workers of the cluster read headers, edit, and verify what is done; the flow's machine does what one of them did not
see.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import time
from typing import TYPE_CHECKING, Any

import pytest

from benchmarks.cluster import Cluster
from benchmarks.generate import Shape, generate
from deidflow.tasks.core.processes.cluster import ClusterWorkers
from deidflow.tasks.local.folder.source import FolderSource
from deidflow.tasks.steps.access.folder_contents import index_role
from tests.jobs import COMMAND_S, Job, files_of, instance_lines

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

COUNT = 1500
FEW = 1000


@pytest.fixture
def cluster(tmp_path: Path, job: Job) -> Iterator[Cluster]:
    """A running cluster."""
    with Cluster(tmp_path / "cluster", job.full_environment()) as made:
        yield made


def test_a_cluster_that_loses_a_worker(job: Job, cluster: Cluster) -> None:
    """One of two workers killed in the middle: destination and report are those of a run on threads, all verified."""
    generate(job.source, COUNT, 16 << 10, shape=Shape(patients=10))
    job.write_manifest([{"orthanc_id": row["orthanc_id"]} for row in job.inventory()])
    job.write_config()
    here = job("run", "job.yaml", "--run-id", "threads")
    expected = files_of(job.destination)
    job.destination.rename(job.root / "results-of-threads")

    execution = {"runner": "dask", "dask_address": cluster.address, "chunk_size": 250}
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
    assert {"checks": "full", "verified": COUNT, "not_verified": 0, "read_back": COUNT} == _summary(job)["verified"]
    assert instance_lines(job.root / "runs" / "threads") == instance_lines(job.root / "runs" / "dask")
    patients = {row["PatientID"] for row in job.inventory()}
    for name in ("scheduler", "worker-1", "worker-2"):
        assert not [patient for patient in patients if patient in cluster.log(name)]


def test_what_was_given_up_ends_before_the_run(cluster: Cluster, tmp_path: Path) -> None:
    """A worker goes on with what is cancelled, so that files would be written after a run has left its destination."""
    begun, ended = tmp_path / "begun", tmp_path / "ended"
    workers = ClusterWorkers(cluster.address, [index_role(FolderSource(os.fsencode(tmp_path)))])
    pending = workers.submit(subprocess.call, ["sh", "-c", 'touch "$0" && sleep 2 && touch "$1"', begun, ended])
    deadline = time.monotonic() + COMMAND_S
    while not begun.exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    pending.cancel()
    assert not ended.exists()
    workers.close()

    assert ended.exists()


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
    with Cluster(tmp_path / "cluster", job.full_environment(), workers=4) as cluster:
        job.write_config(execution={"runner": "dask", "dask_address": cluster.address, "chunk_size": 250})
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


@pytest.mark.long
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can hide files from a process")
def test_a_worker_that_does_not_see_all_files(job: Job, tmp_path: Path) -> None:
    """As with caches of a share: what one worker cannot read or find is done and verified all the same."""
    generate(job.source, FEW, 8 << 10, shape=Shape(patients=10))
    job.write_manifest([{"orthanc_id": row["orthanc_id"]} for row in job.inventory()])
    one = next(folder for folder in sorted(job.source.iterdir()) if folder.is_dir())
    with Cluster(tmp_path / "cluster", job.full_environment(), hidden=one) as cluster:
        job.write_config(execution={"runner": "dask", "dask_address": cluster.address, "chunk_size": 250})
        done = job("run", "job.yaml", "--run-id", "dask")
        assert 0 == done.code, done.err + done.out
        _assert_same_export(job)

    assert {"checks": "full", "verified": FEW, "not_verified": 0, "read_back": FEW} == _summary(job)["verified"]
    assert FEW == len(files_of(job.destination))


def _assert_same_export(job: Job) -> None:
    """Assert that the cluster packs what this machine does."""
    packing = ("export", job.root / "runs" / "dask", "--archive", "zip")
    far = job(*packing, "-o", job.root / "far")
    near = job(*packing, "-o", job.root / "near", "--set", "execution.runner=threads")
    assert (0, 0) == (far.code, near.code), far.err + near.err
    assert files_of(job.root / "near") == files_of(job.root / "far")


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
