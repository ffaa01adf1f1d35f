"""A script of somebody else's that calls the library runs once, however it is written."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.dicom_files import instance
from tests.jobs import files_of

if TYPE_CHECKING:
    from tests.jobs import Job

SCRIPT = """
print("the script runs", flush=True)
from deidflow.flows.bulk_edit import bulk_edit

state = bulk_edit("job.yaml", return_state=True)
print(state.name)
"""


@pytest.mark.parametrize("way", ["file", pytest.param("standard input", marks=pytest.mark.long)])
def test_without_a_main_guard(job: Job, way: str) -> None:
    """Worker processes do not run it again, and what pydicom says, which repeats values of a file, is not shown."""
    job.source.mkdir()
    (job.source / "a.dcm").write_bytes(instance(SpecificCharacterSet="ZQXMARKER"))
    export = {"folder": "packed"}
    job.write_config(operation="modify", options={"Replace": {"InstitutionName": "x"}}, export=export)
    job.write_manifest(job.inventory())
    script = job.root / "pipeline.py"
    script.write_text(SCRIPT)

    done = subprocess.run(
        [sys.executable, script] if way == "file" else [sys.executable],
        env=job.full_environment(),
        cwd=job.root,
        input=None if way == "file" else SCRIPT,
        capture_output=True,
        text=True,
        check=False,
    )

    assert 0 == done.returncode, done.stderr
    assert ["the script runs", "Completed"] == done.stdout.splitlines()
    assert "ZQXMARKER" not in done.stderr
    (summary,) = (job.root / "runs").glob("*/summary.json")
    assert json.loads(summary.read_text(encoding="utf-8"))["reconciled"]
    assert files_of(job.destination)
