"""Short commands load no more than they need: what speaks to servers, edits or verifies takes most of a second."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.jobs import Job

_HEAVY = ("httpx", "pandas", "prefect", "deidflow.tasks.local.worker", "deidflow.tasks.verification.verifier")
_SCRIPT = """
import json, sys
from click.testing import CliRunner
from deidflow.flows.cli import cli
result = CliRunner().invoke(cli, sys.argv[1:])
print(json.dumps([result.exit_code, sorted(sys.modules)]))
"""


@pytest.mark.parametrize("command", ["--help", "inventory", "plan", "report"])
def test_a_short_command_loads_little(demo_job: Job, command: str) -> None:
    """With a folder as source and destination."""
    demo_job.write_manifest(demo_job.inventory()[:1])
    if command == "report":
        assert 0 == demo_job("run", "job.yaml", "--run-id", "first").code
    arguments = {
        "--help": ("--help",),
        "inventory": ("inventory", "source", "-o", "new.csv"),
        "plan": ("plan", "job.yaml"),
        "report": ("report", "runs/first"),
    }[command]
    said = subprocess.run(
        [sys.executable, "-c", _SCRIPT, *arguments],
        cwd=demo_job.root,
        env=demo_job.full_environment(),
        check=True,
        capture_output=True,
        text=True,
    )
    code, loaded = json.loads(said.stdout.splitlines()[-1])

    assert 0 == code, said.stdout + said.stderr
    assert [] == [name for name in _HEAVY if name in loaded]


@pytest.mark.parametrize("command", ["run", "inventory"])
def test_too_few_open_files_are_told_before_anything_begins(job: Job, command: str) -> None:
    """A run would wait for ever in one of Python's libraries; ``verify`` would take its key for missing."""
    arguments = ("source", "-o", "new.csv") if command == "inventory" else ("job.yaml",)
    job.source.mkdir()
    job.write_config()
    said = _limited(64, 64, job, "-m", "deidflow.flows", command, *arguments, "--json")

    assert 3 == said.returncode
    assert "the limit of open files must be at least 256, and is 64" in json.loads(said.stdout)["errors"][0]["message"]


def test_a_limit_that_may_be_raised_is_no_trouble(job: Job) -> None:
    """The system's own, as of a shell with ``ulimit -Sn 16``."""
    job.source.mkdir()
    script = _SCRIPT + "import resource; print(resource.getrlimit(resource.RLIMIT_NOFILE)[0])"
    said = _limited(16, 300, job, "-c", script, "inventory", "source", "-o", "new.csv")

    assert "256" == said.stdout.splitlines()[-1], said.stderr


def _limited(soft: int, hard: int, job: Job, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run Python with so many open files."""
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=job.root,
        env=job.full_environment(),
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard)),
    )
