"""Ctrl-C in the middle of a job on a server, and two runs that write to one server."""

from __future__ import annotations

import signal
import time
from typing import TYPE_CHECKING, Final

import pytest

from benchmarks.generate import Shape, generate
from tests.contract.server import PATIENTLY_S, write
from tests.jobs import stop_limit_s

if TYPE_CHECKING:
    from tests.contract.server import Server
    from tests.jobs import Job

COUNT: Final = 240


@pytest.fixture
def filled(job: Job, server: Server) -> Server:
    """A server with 240 instances, and a job that anonymizes them in one call."""
    generate(job.source, COUNT, 8 << 10, shape=Shape(patients=2))
    server.upload(job.source)
    assert 0 == job("inventory", server.url, "-o", "manifest.csv").code
    write(job, server, execution=None)
    return server


def test_ctrl_c_cancels_the_job(job: Job, filled: Server) -> None:
    """Exit code 130 within seconds, no job goes on, and `resume` leaves every instance done once."""
    process = job.start("run", "job.yaml", "--run-id", "stopped")
    filled.wait_for(COUNT + 20)
    stopped_at = time.monotonic()
    process.send_signal(signal.SIGINT)
    stopped = process.end()
    stopped_s = time.monotonic() - stopped_at

    assert 130 == stopped.code, stopped.err
    assert stopped_s < stop_limit_s()
    assert "deidflow resume" in stopped.err
    assert "Traceback" not in stopped.err
    assert set() == {job["State"] for job in filled.get("jobs?expand")} & {"Running", "Pending", "Paused"}
    made = len(filled.get("instances")) - COUNT
    done = job("resume", job.root / "runs" / "stopped")
    assert 0 == done.code, done.err
    assert 0 == made, "what the cancelled job had made stayed"
    assert {1} == {len(names) for names in filled.originals().values()}
    assert 2 * COUNT == len(filled.get("instances"))


def test_two_runs_do_not_share_a_server(job: Job, filled: Server) -> None:
    """While a run writes to a server, another one says so, exits 3 and touches nothing."""
    process = job.start("run", "job.yaml", "--run-id", "holder")
    filled.wait_for(COUNT + 1)
    process.send_signal(signal.SIGSTOP)
    other = job("run", "job.yaml", "--run-id", "other", "--set", f"source.orthanc={filled.url}/")
    process.send_signal(signal.SIGCONT)
    holder = process.end(PATIENTLY_S)

    assert (3, 0) == (other.code, holder.code), other.err
    assert "in use by another deidflow run" in other.err
    assert not (job.root / "runs" / "other").exists()
    assert 2 * COUNT == len(filled.get("instances"))
