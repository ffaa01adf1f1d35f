"""A run that is killed or stopped is finished by resume as if nothing had happened."""

from __future__ import annotations

import json
import os
import shutil
import signal
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from benchmarks.generate import Shape, generate
from deidflow.tasks.core.files.locks import lock_folder
from deidflow.tasks.core.ledger.ledger import FILE_NAME, Ledger
from deidflow.tasks.core.ledger.run_facts import change_facts, read_facts
from tests.jobs import COMMAND_S, files_of, instance_lines, read_csv, stop_limit_s

if TYPE_CHECKING:
    from pathlib import Path

    from tests.jobs import Job, Running


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """2,000 instances."""
    folder = tmp_path_factory.mktemp("corpus") / "source"
    generate(folder, 2000, 16 << 10, shape=Shape(patients=20))
    return folder


@pytest.fixture
def large_job(job: Job, corpus: Path) -> Job:
    """A job of 2,000 instances."""
    shutil.copytree(corpus, job.source, copy_function=os.link)
    job.write_config(verify="identifiers", execution={"chunk_size": 250, "workers": 2})
    job.write_manifest(job.inventory())
    return job


def _start(job: Job, run_id: str, **variables: str) -> Running:
    """Start the command as a user does: it is to be stopped in good order from its first moment on."""
    return job.start("run", "job.yaml", "--run-id", run_id, alone=True, variables=variables)


def _wait_for_results(folder: Path, count: int) -> None:
    deadline = time.monotonic() + COMMAND_S
    while time.monotonic() < deadline:
        if folder.exists() and sum(1 for _ in folder.rglob("*.dcm")) >= count:
            return
        time.sleep(0.02)
    pytest.fail("the run wrote no results in time")


def _undisturbed(job: Job) -> tuple[dict[str, bytes], list[tuple[str, ...]], list[dict[str, str]]]:
    """Run without disturbance; return results and report, and remove the results."""
    assert 0 == job("run", "job.yaml", "--run-id", "calm").code
    state = _state(job, "calm")
    shutil.rmtree(job.destination)
    return state


def _state(job: Job, run_id: str) -> tuple[dict[str, bytes], list[tuple[str, ...]], list[dict[str, str]]]:
    run_dir = job.root / "runs" / run_id
    rows = [row | {"attempts": ""} for row in read_csv(run_dir / "reconciliation.csv")]
    return files_of(job.destination), instance_lines(run_dir), rows


def test_kill_and_resume_equals_an_undisturbed_run(large_job: Job) -> None:
    """Kill -9 in the middle of 2,000 instances, then resume: the same destination and report as without the kill."""
    calm = _undisturbed(large_job)

    process = large_job.start("run", "job.yaml", "--run-id", "killed")
    _wait_for_results(large_job.destination, 300)
    process.kill()
    reached = len(list(large_job.destination.rglob("*.dcm")))
    done = large_job("resume", large_job.root / "runs" / "killed")

    assert 300 <= reached < 2000
    assert 0 == done.code, done.err
    assert calm == _state(large_job, "killed")
    summary = json.loads((large_job.root / "runs" / "killed" / "summary.json").read_text())
    assert 2 == summary["attempts"]


@pytest.mark.parametrize(
    "number",
    [
        pytest.param(signal.SIGHUP, id="closed-terminal"),
        pytest.param(signal.SIGTERM, id="sigterm", marks=pytest.mark.long),
    ],
)
def test_a_signal_stops_cleanly_and_says_how_to_go_on(large_job: Job, number: int) -> None:
    """Exit code 130 within seconds, a report of all rows, nothing in TMPDIR, the command that finishes it; it does.

    A terminal that is closed tells all processes that it started (Ctrl-C, too: tests/flows/test_own_server.py).
    """
    temporary = large_job.root / "temporary"
    temporary.mkdir()
    process = _start(large_job, "stopped", TMPDIR=str(temporary))
    _wait_for_results(large_job.destination, 200)
    stopped_at = time.monotonic()
    if number == signal.SIGHUP:
        os.killpg(process.process.pid, number)
    else:
        process.send_signal(number)
    stopped = process.end()
    stopped_s = time.monotonic() - stopped_at

    assert 130 == stopped.code, stopped.err
    assert stopped_s < stop_limit_s()
    run_dir = large_job.root / "runs" / "stopped"
    assert f"deidflow resume {run_dir}" in stopped.err
    assert "Traceback" not in stopped.err
    assert [] == list(temporary.iterdir())
    outcomes = [row["outcome"] for row in read_csv(run_dir / "crosswalk.csv") if row["level"] == "instance"]
    assert (2000, {"done", "cancelled"}) == (len(outcomes), set(outcomes))
    assert "cancelled" in {row["outcome"] for row in read_csv(run_dir / "reconciliation.csv")}
    done = large_job("resume", run_dir)
    assert 0 == done.code, done.err
    assert 2000 == len(files_of(large_job.destination))


def test_a_second_ctrl_c_stops_at_once(large_job: Job) -> None:
    """Ctrl-C twice: exit code 130 without a report, and `resume` finishes what is left."""
    process = _start(large_job, "stopped")
    _wait_for_results(large_job.destination, 200)
    process.send_signal(signal.SIGINT)
    while "once more stops at once" not in process.err.read_text():
        time.sleep(0.001)
    process.send_signal(signal.SIGINT)
    stopped = process.end()

    assert 130 == stopped.code, stopped.err
    assert "stopped at once" in stopped.err
    assert "Traceback" not in stopped.err
    run_dir = large_job.root / "runs" / "stopped"
    assert not (run_dir / "summary.json").exists()
    assert 0 == large_job("resume", run_dir).code
    assert 2000 == len(files_of(large_job.destination))


def test_ctrl_c_while_planning_changes_nothing(large_job: Job) -> None:
    """Before there is a plan: exit code 130 within seconds, no run folder, no destination."""
    process = _start(large_job, "stopped")
    while "reading the manifest" not in process.err.read_text():
        time.sleep(0.005)
    stopped_at = time.monotonic()
    process.send_signal(signal.SIGINT)
    stopped = process.end()
    stopped_s = time.monotonic() - stopped_at

    assert 130 == stopped.code, stopped.err
    assert stopped_s < stop_limit_s()
    assert "nothing was changed" in stopped.err
    assert "Traceback" not in stopped.err
    assert not (large_job.root / "runs").exists()
    assert not large_job.destination.exists()


def test_two_runs_do_not_share_a_destination(large_job: Job) -> None:
    """A second run with the same destination, or the same run ID, says so and touches nothing."""
    process = large_job.start("run", "job.yaml", "--run-id", "holder")
    _wait_for_results(large_job.destination, 20)
    process.send_signal(signal.SIGSTOP)
    same_destination = large_job("run", "job.yaml", "--run-id", "other")
    same_id = large_job("resume", large_job.root / "runs" / "holder")
    process.kill()

    assert (3, 3) == (same_destination.code, same_id.code), same_destination.err + same_id.err
    assert "in use by another deidflow run" in same_destination.err
    assert "in use by another deidflow run" in same_id.err
    assert ["holder"] == [path.name for path in (large_job.root / "runs").iterdir() if path.is_dir()]


def test_a_run_that_was_killed_behind_its_report(demo_job: Job) -> None:
    """Resume ends it once the destination is free, and takes away what was half-written."""
    demo_job.write_manifest(demo_job.inventory()[:1])
    assert 0 == demo_job("run", "job.yaml", "--run-id", "r").code
    folder = demo_job.root / "runs" / "r"
    left, summary = folder / ".crosswalk.csv.1.part", folder / "summary.json"
    left.touch()
    with Ledger.open(folder / FILE_NAME) as ledger:
        change_facts(ledger, lambda facts: replace(facts, complete=False))
        before = read_facts(ledger)

    with lock_folder(demo_job.destination, "the destination"):
        held = demo_job("resume", folder)
    with Ledger.open(folder / FILE_NAME) as ledger:
        assert (3, before) == (held.code, read_facts(ledger)), held.err
    assert 0 == demo_job("resume", folder).code
    with Ledger.open(folder / FILE_NAME) as ledger:
        assert (True, False) == (read_facts(ledger).complete, left.exists())
    summary.unlink()
    assert (0, True) == (demo_job("resume", folder).code, summary.exists())


def test_a_changed_config_is_not_resumed(demo_job: Job) -> None:
    """Another manifest, option or key under the same run ID is refused by name; other workers go on."""
    rows = demo_job.inventory()
    demo_job.write_manifest(rows[:2])
    assert 0 == demo_job("run", "job.yaml", "--run-id", "same").code

    other_option = demo_job("run", "job.yaml", "--run-id", "same", "--set", "options.Replace.StudyDescription=x")
    other_source = demo_job("run", "job.yaml", "--run-id", "same", "--set", "source.folder=elsewhere")
    other_workers = demo_job("run", "job.yaml", "--run-id", "same", "--set", "execution.workers=1")
    no_id = demo_job("run", "job.yaml", "--run-id", "../same")
    demo_job.key = demo_job.key[::-1]
    other_key = demo_job("run", "job.yaml", "--run-id", "same")
    demo_job.key = demo_job.key[::-1]
    demo_job.write_manifest(rows[:3])
    other_manifest = demo_job("run", "job.yaml", "--run-id", "same")

    assert (2, 0, 2, 2) == (other_option.code, other_workers.code, other_key.code, other_manifest.code)
    assert (2, True) == (other_source.code, "source" in other_source.err), other_source.err
    assert "options" in other_option.err
    assert (2, True) == (no_id.code, "--run-id: a run ID must be" in no_id.err), no_id.err
    assert "key" in other_key.err
    assert "manifest" in other_manifest.err
