"""`deidflow runs` says how each run ended; `-q` shows no progress."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.jobs import Job


def test_runs_of_a_config_and_of_a_folder(demo_job: Job) -> None:
    """Those that ended, and one of which nobody knows; as a table and as JSON."""
    job = demo_job
    assert "no runs in" in job("runs", "job.yaml").out
    rows = job.inventory()[:2]
    job.write_manifest([*rows, {**rows[0], "orthanc_id": "0" * 8 + ("-" + "0" * 8) * 4, "instances": ""}])
    done = job("-q", "run", "job.yaml", "--run-id", "partly")
    assert 1 == done.code
    assert "editing" not in done.err
    killed = job.root / "runs" / "killed"
    killed.mkdir()
    (killed / "ledger.db").touch()
    for folder in ("unreadable", "lost+found"):  # as that of another user is, also for root
        unreadable = job.root / "runs" / folder
        unreadable.mkdir()
        for name in ("ledger.db", "summary.json"):
            (unreadable / name).symlink_to(name)

    header, partly, other, loop = job("runs", "job.yaml").out.splitlines()
    assert header.startswith("begun (UTC)")
    assert " some rows are not done  2 done, 1 not_found " in partly
    assert partly.endswith("runs/partly")
    assert " not finished " in other
    assert " cannot be read " in loop
    listed = {run["run_id"]: run for run in json.loads(job("runs", "runs", "--json").out)}
    assert {"partly", "killed", "unreadable"} == listed.keys()
    assert (1, 2, None) == (listed["partly"]["exit_code"], listed["partly"]["rows"]["done"], listed["killed"]["report"])
    summary = job.root / "runs" / "partly" / "summary.json"
    before_verdicts = {name: value for name, value in json.loads(summary.read_text()).items() if name != "verdict"}
    summary.write_text(json.dumps(before_verdicts))  # as deidflow 0.1.0 wrote it
    assert "not reconciled" in {run["verdict"] for run in json.loads(job("runs", "runs", "--json").out)}
    (job.root / "wrong.yaml").write_text("- a list")
    wrong = job("runs", "wrong.yaml")
    assert (2, True) == (wrong.code, "must be a group of keys" in wrong.err)
    lost = job("runs", "elsewhere")
    assert (2, True) == (lost.code, "not found: elsewhere" in lost.err)
