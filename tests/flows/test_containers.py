"""In a container: any user, no home, a read-only root, and one folder for everything that is written."""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.containers import contained, why_not
from tests.jobs import DEMO_DATA, KEY, Job, files_of

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.skipif(bool(why_not()), reason=why_not())

OTHER_KEY = KEY[::-1]
"""It stands on a command line here, where another test looks for the usual one meanwhile (test_secrets.py)."""


@pytest.fixture
def small_job(prefect_environment: dict[str, str]) -> Iterator[Job]:
    """A job in a folder of its own."""
    with tempfile.TemporaryDirectory() as name:
        job = Job(Path(name), prefect_environment)
        shutil.copytree(DEMO_DATA / "MR", job.source)
        job.write_config()
        yield job


def _run(job: Job, *arguments: object) -> subprocess.CompletedProcess[str]:
    variables = {"PREFECT_API_URL": job.environment["PREFECT_API_URL"], "TEST_DEIDFLOW_KEY": OTHER_KEY}
    command = contained(job.root, job.command(*arguments), variables)
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.long
def test_inventory_run_and_verify(small_job: Job) -> None:
    """Without a home Prefect's is in the folder of the runs, and all is done and verified."""
    for command in (
        ("inventory", "source", "-o", "manifest.csv"),
        ("run", "job.yaml", "--run-id", "one"),
        ("verify", "runs/one"),
    ):
        done = _run(small_job, *command)
        assert 0 == done.returncode, (command, done.stderr)
    summary = json.loads((small_job.root / "runs/one/summary.json").read_text(encoding="utf-8"))
    assert summary["reconciled"]
    assert len(files_of(small_job.source)) == len(files_of(small_job.destination))
    assert 0o700 == (small_job.root / "runs" / ".prefect").stat().st_mode & 0o777


def test_a_home_that_cannot_be_used_is_named(small_job: Job) -> None:
    """PREFECT_HOME as the user gave it, and what to do."""
    small_job.write_manifest(small_job.inventory()[:1])
    command = contained(
        small_job.root,
        small_job.command("run", "job.yaml"),
        {"PREFECT_HOME": "/nowhere/home", "TEST_DEIDFLOW_KEY": OTHER_KEY, "HOME": "/"},
    )

    done = subprocess.run(command, capture_output=True, text=True, check=False)

    assert 3 == done.returncode, done.stderr
    assert "set PREFECT_HOME to a folder that can be written" in done.stderr
    assert "Traceback" not in done.stderr
