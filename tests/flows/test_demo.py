"""The whole job on the demo's data: from inventory to reconciled report."""

from __future__ import annotations

import json
import stat
from typing import TYPE_CHECKING

import pandas as pd
import pydicom
import pytest

from tests.jobs import files_of, instance_lines, read_csv

if TYPE_CHECKING:
    from pathlib import Path

    from tests.jobs import Job


def test_every_row_and_instance_is_accounted_for(demo_job: Job) -> None:
    """Inventory, run, verify and report of at least 60 instances end with exit code 0 and agree with each other."""
    sources = files_of(demo_job.source)
    rows = demo_job.inventory()
    demo_job.write_manifest(rows)

    done = demo_job("run", "job.yaml", "--run-id", "first")

    assert (0, True) == (done.code, len(sources) >= 60), done.err
    run_dir = demo_job.root / "runs" / "first"
    assert f"instances:       {len(sources)} done" in done.out
    assert str(run_dir / "report.html") in done.out.splitlines()[-1]
    report = read_csv(run_dir / "reconciliation.csv")
    assert [row["orthanc_id"] for row in rows] == [row["orthanc_id"] for row in report]
    assert {"done"} == {row["outcome"] for row in report}
    assert len(sources) == sum(int(row["instances_done"]) for row in report)
    assert len(sources) == len(instance_lines(run_dir))
    assert len(sources) == len(files_of(demo_job.destination))
    assert sources == files_of(demo_job.source)
    summary = json.loads((run_dir / "summary.json").read_text())
    provenance = json.loads((run_dir / "provenance.json").read_text())
    assert summary["reconciled"] is True
    assert 1 == summary["attempts"] == provenance["attempts"]
    assert summary["started"] == provenance["started"] <= provenance["created"] <= summary["ended"]
    # What compresses, too: its bytes differ between releases.
    assert {"python", "pydicom", "prefect", "zlib", "imagecodecs", "pylibjpeg-rle"} <= provenance["versions"].keys()
    assert 0 <= summary["seconds"] < 600

    _check_private(run_dir)
    _check_again(demo_job, run_dir)


def _check_private(run_dir: Path) -> None:
    """Run folder and files are for their owner only, and stay out of repositories."""
    assert 0o700 == stat.S_IMODE(run_dir.stat().st_mode)
    assert {0o600} == {stat.S_IMODE(path.stat().st_mode) for path in run_dir.iterdir()}
    assert "*" in (run_dir.parent / ".gitignore").read_text().splitlines()


def _check_again(job: Job, run_dir: Path) -> None:
    """Verify, report, resume and a second run with the same ID change nothing."""
    results = files_of(job.destination)
    tables = {path.name: path.read_bytes() for path in run_dir.glob("*.csv")}

    killed = run_dir / "scratch-killed" / "crosswalk.csv"  # as `verify` leaves it that was killed
    killed.parent.mkdir()
    killed.touch()
    assert 0 == job("verify", run_dir, "--deep").code
    assert not killed.parent.exists()
    assert 0 == job("report", run_dir).code
    assert 0 == job("resume", run_dir).code
    assert 0 == job("run", "job.yaml", "--run-id", "first").code
    assert "this ID exists already" in job("plan", "job.yaml", "--run-id", "first").err

    assert results == files_of(job.destination)
    assert tables == {path.name: path.read_bytes() for path in run_dir.glob("*.csv")}


def test_pandas_reads_the_report(demo_job: Job) -> None:
    """The report opens in pandas with all its columns as text, and results open in pydicom.

    The run folder is made in ``report.runs_dir``, and its name begins with the config's.
    """
    demo_job.write_manifest([row | {"subject": "=1+1"} for row in demo_job.inventory("patient")])
    demo_job.write_config(name="nightly", report={"runs_dir": "reports"})

    run_dir = demo_job("run", "job.yaml").run_dir

    assert (demo_job.root / "reports", "nightly") == (run_dir.parent, run_dir.name.split("-")[0])
    table = pd.read_csv(run_dir / "reconciliation.csv", dtype=str, keep_default_na=False)
    assert {"'=1+1"} == set(table["subject"])
    assert {"done"} == set(table["outcome"])
    for path in demo_job.destination.rglob("*.dcm"):
        result = pydicom.dcmread(path)
        assert ("YES", path.stem) == (result.PatientIdentityRemoved, result.SOPInstanceUID)


@pytest.mark.parametrize("command", ["run", "resume", "plan", "verify", "report", "inventory"])
def test_a_missing_argument_is_explained(demo_job: Job, command: str) -> None:
    """A command without its argument says what is missing, exits 2 and shows no traceback."""
    done = demo_job(command)

    assert 2 == done.code
    assert "Missing argument" in done.err
    assert "Traceback" not in done.err
