"""A service whose nights overlap, or that is killed with its run, on a real Prefect server."""

from __future__ import annotations

import os
import signal
import time
from typing import TYPE_CHECKING, Any

import pytest

from deidflow.tasks.core.files.locks import lock_folder
from tests.jobs import DEMO_DATA, Job
from tests.prefect.groups import start, stop

if TYPE_CHECKING:
    import subprocess

    from tests.prefect_api import Api

pytestmark = [pytest.mark.long, pytest.mark.timeout(500)]
PATIENCE_S = 60.0


@pytest.fixture
def scheduled(job: Job) -> Job:
    """A small job on a schedule of five seconds."""
    job.write_config(
        name=f"alone-{os.getpid()}-{time.monotonic_ns()}",
        source={"folder": str(DEMO_DATA)},
        schedule={"interval": 5},
        verify="none",
    )
    assert 0 == job("inventory", DEMO_DATA, "-o", "manifest.csv").code
    return job


def _serve(job: Job) -> subprocess.Popen[bytes]:
    return start(job.command("serve", "job.yaml"), job.root / "log.txt", job.full_environment(), job.root)


def _state(api: Api, deployment: str, kind: str) -> dict[str, Any]:
    """Wait for a run of a deployment in a type of state; return the run."""
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        if found := api.runs(state={"type": {"any_": [kind]}}, deployment_id={"any_": [deployment]}):
            return found[0]
        time.sleep(0.3)
    raise TimeoutError(kind)


def test_nights_that_overlap_and_a_killed_service(scheduled: Job, api: Api) -> None:
    """The second run is cancelled with what to do; a service and its run that are killed break no later night."""
    scheduled.destination.mkdir()
    with lock_folder(scheduled.destination, "the destination"):  # the run waits for it
        process = _serve(scheduled)
        deployment = api.deployment(scheduled.config["name"])
        refused = _state(api, deployment, "CANCELLED")
        _, at_work = next((scheduled.root / "runs").glob(".*.served")).read_text().split()
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    process = _serve(scheduled)
    try:
        killed = api.end_of(at_work)
        done = _state(api, deployment, "COMPLETED")
    finally:
        stop(process)

    assert "an earlier run of this config is still at work" in refused["state"]["message"]
    assert ("CRASHED", True) == (killed["type"], "deidflow resume" in killed["message"])
    assert "reconciled" in done["state"]["message"]
    assert "Traceback" not in (scheduled.root / "log.txt").read_text()
