"""Schedules on a real Prefect server: by `deidflow serve`, and by a deployment with a process worker."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from ruamel.yaml import YAML

from tests.jobs import DEMO_DATA, Job

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.long, pytest.mark.timeout(240)]
PREFECT = Path(sys.executable).parent / "prefect"
PROJECT = Path(__file__).parents[2]


@pytest.fixture
def scheduled(tmp_path: Path, prefect_environment: dict[str, str]) -> Job:
    """A small job on a schedule of five seconds."""
    job = Job(tmp_path, prefect_environment)
    job.write_config(name="everyfive", source={"folder": str(DEMO_DATA)}, schedule={"interval": 5}, verify="none")
    done = job("inventory", DEMO_DATA, "-o", "manifest.csv")
    assert 0 == done.code, done.err
    return job


def _ended_runs(job: Job) -> Iterator[dict[str, object]]:
    for path in sorted((job.root / "runs").glob("*/summary.json")):
        yield json.loads(path.read_text(encoding="utf-8"))


def _wait_for_runs(job: Job, count: int, seconds: float) -> list[dict[str, object]]:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        runs = list(_ended_runs(job))
        if len(runs) >= count:
            return runs
        time.sleep(0.5)
    return list(_ended_runs(job))


def _start(job: Job, *command: object) -> subprocess.Popen[bytes]:
    log = (job.root / "log.txt").open("wb")
    try:
        return subprocess.Popen(
            list(map(str, command)),
            env=job.full_environment(),
            cwd=job.root,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    finally:
        log.close()


def _stop(process: subprocess.Popen[bytes]) -> None:
    os.killpg(process.pid, signal.SIGINT)
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def test_serve_runs_twice_by_itself(scheduled: Job) -> None:
    """Served with an interval of 5 s a config runs twice by itself, each run reconciled."""
    process = _start(scheduled, *scheduled.command("serve", "job.yaml"))
    try:
        runs = _wait_for_runs(scheduled, 2, 90)
    finally:
        _stop(process)

    assert len(runs) >= 2, (scheduled.root / "log.txt").read_text()
    assert all(run["reconciled"] for run in runs)


def test_the_deployment_runs_with_a_process_worker(scheduled: Job) -> None:
    """The deployment of prefect.yaml, on a schedule of 5 s, is run twice by a process worker."""
    text = YAML(typ="safe").load((PROJECT / "prefect.yaml").read_text(encoding="utf-8"))
    (deployment,) = text["deployments"]
    deployment["parameters"]["config"] = str(scheduled.root / "job.yaml")
    deployment["schedules"] = [{"interval": 5}]
    with (scheduled.root / "prefect.yaml").open("w", encoding="utf-8") as stream:
        YAML(typ="safe").dump(text, stream)
    environment = scheduled.full_environment()
    for command in (
        ["work-pool", "create", "--type", "process", "deidflow", "--overwrite"],
        ["--no-prompt", "deploy", "--all"],
    ):
        subprocess.run([PREFECT, *command], env=environment, cwd=scheduled.root, check=True, capture_output=True)
    process = _start(scheduled, PREFECT, "worker", "start", "--pool", "deidflow")
    try:
        runs = _wait_for_runs(scheduled, 2, 120)
    finally:
        _stop(process)

    assert len(runs) >= 2, (scheduled.root / "log.txt").read_text()
    assert all(run["reconciled"] for run in runs)
