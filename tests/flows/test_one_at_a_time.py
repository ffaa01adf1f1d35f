"""One run of a served config at a time, without the limits of Prefect's server; a run that was killed is settled."""

from __future__ import annotations

import contextlib
import socket
import time
from typing import TYPE_CHECKING

import pytest
from prefect.settings import PREFECT_API_URL, temporary_settings

from deidflow.flows.serve import deployment_of
from deidflow.tasks.core.errors import Interrupted
from deidflow.tasks.one_at_a_time import alone, settle_killed
from deidflow.tasks.steps.run.settings import load_config

if TYPE_CHECKING:
    from collections.abc import Iterator

    from deidflow.tasks.core.config.config import Config
    from tests.jobs import Job
    from tests.prefect_api import Api


@pytest.fixture
def config(job: Job) -> Config:
    """A config on a schedule."""
    return load_config(job.write_config(schedule={"interval": 5}))


@pytest.fixture(autouse=True)
def server(job: Job) -> Iterator[None]:
    """The suite's server, which this process uses, too."""
    with temporary_settings({PREFECT_API_URL: job.environment["PREFECT_API_URL"]}):
        yield


def _running(api: Api) -> str:
    """Return a flow run that is at work, by what its server knows."""
    flow = api.post("flows/", name=f"killed-{time.monotonic_ns()}")["id"]
    run = str(api.post("flow_runs/", flow_id=flow, state={"type": "PENDING"})["id"])
    api.post(f"flow_runs/{run}/set_state", state={"type": "RUNNING"})
    return run


def _leave(config: Config, run: str, machine: str) -> None:
    """Leave behind what a run that was killed does."""
    config.report.runs_dir.mkdir()
    (config.report.runs_dir / f".{config.name}.served").write_text(f"{machine} {run}\n")


def test_a_second_run_is_told_what_to_do(config: Config) -> None:
    """It does not wait, and the first one keeps its place; when that has ended nothing is left behind."""
    with alone(config, None):
        with pytest.raises(Interrupted, match="an earlier run of this config is still at work"), alone(config, None):
            pass
        with pytest.raises(Interrupted), alone(config, None):
            pass
    with alone(config, None):
        pass
    assert [] == list(config.report.runs_dir.iterdir())


def test_prefect_has_no_limit(config: Config) -> None:
    """Its lease breaks a run off when the server was started again, and cancels every night after a power cut."""
    assert deployment_of(config)["concurrency_limit"] is None


def test_a_killed_run_is_crashed(config: Config, api: Api) -> None:
    """When its config is served again Prefect shows it as such, with what to do."""
    run = _running(api)
    _leave(config, run, socket.gethostname())

    settle_killed(config)

    state = api.state(run)
    assert "CRASHED" == state["type"]
    assert "deidflow resume" in state["message"]
    assert [] == list(config.report.runs_dir.iterdir())


def test_a_run_that_has_reported_stays_as_it_is(config: Config, api: Api) -> None:
    """It was killed behind its last word."""
    run = _running(api)
    api.post(f"flow_runs/{run}/set_state", state={"type": "COMPLETED"})
    _leave(config, run, socket.gethostname())

    settle_killed(config)

    assert "COMPLETED" == api.state(run)["type"]


@pytest.mark.parametrize("whose", ["at-work", "of-another-machine"])
def test_others_are_left_alone(config: Config, api: Api, whose: str) -> None:
    """A run that outlived its service, and one of a machine whose locks may not be seen here."""
    run = _running(api)
    _leave(config, run, "elsewhere" if whose == "of-another-machine" else socket.gethostname())
    with contextlib.ExitStack() as held:
        if whose == "at-work":
            (config.report.runs_dir / f".{config.name}.served").unlink()
            held.enter_context(alone(config, None))
            (config.report.runs_dir / f".{config.name}.served").write_text(f"{socket.gethostname()} {run}\n")

        settle_killed(config)

    assert "RUNNING" == api.state(run)["type"]


def test_nothing_is_made_where_nothing_was_left(config: Config) -> None:
    """The file system of the run folders may not be mounted yet."""
    settle_killed(config)

    assert not config.report.runs_dir.exists()
