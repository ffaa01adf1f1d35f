"""Short commands load no more than they need: what speaks to servers, edits or verifies takes most of a second."""

from __future__ import annotations

import json
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
