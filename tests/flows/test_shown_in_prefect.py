"""What Prefect's API tells of a run: name, tags, log, artifacts, state; and what a calling flow gets."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest

from tests.jobs import DEMO_DATA, Job, read_csv

if TYPE_CHECKING:
    from tests.prefect_api import Api

UNKNOWN = "0" * 8 + ("-" + "0" * 8) * 4


@pytest.fixture
def partial(job: Job) -> Job:
    """A job whose last row names something that is not there."""
    job.write_config(name=f"Shown_{time.monotonic_ns()}", source={"folder": str(DEMO_DATA)})
    assert 0 == job("inventory", DEMO_DATA, "-o", "manifest.csv").code
    rows = read_csv(job.manifest)[:3]
    job.write_manifest([*rows, {**rows[0], "orthanc_id": UNKNOWN, "instances": ""}])
    return job


def _logged(api: Api, run: str, count: int) -> list[str]:
    """Wait for the lines of a run's log, which are sent now and then."""
    end = time.monotonic() + 60
    while True:
        lines = [line["message"] for line in api.post("logs/filter", logs={"flow_run_id": {"any_": [run]}}, limit=200)]
        if len(lines) >= count or time.monotonic() > end:
            return lines
        time.sleep(0.2)


def test_a_run_of_the_command(partial: Job, api: Api) -> None:
    """Name, tags, a line for each chunk, verdict, counts by outcome; no identifier."""
    name = partial.config["name"]
    partial.environment = partial.environment | {"PREFECT_LOGGING_LEVEL": "INFO"}
    done = partial("run", "job.yaml", "--run-id", "first")
    assert 1 == done.code, done.err

    (run,) = api.runs(name={"any_": [f"{name}-first"]})
    assert {"deidflow", name, "local", "anonymize"} == set(run["tags"])
    assert ("FAILED", "Partial") == (run["state"]["type"], run["state"]["name"])
    instances = sum(int(row["instances"] or 0) for row in read_csv(partial.manifest))
    wanted = f"run first: some rows are not done; rows: 3 done, 1 not_found; instances: {instances} done"
    assert wanted in run["state"]["message"]

    artifacts = {
        artifact["key"]: artifact
        for artifact in api.post("artifacts/filter", artifacts={"flow_run_id": {"any_": [run["id"]]}})
    }
    key = f"deidflow-{name.lower().replace('_', '-')}"
    assert {f"{key}-{what}" for what in ("result", "done", "not-found")} <= set(artifacts)
    assert "| not_found | 1 | 0 |" in artifacts[f"{key}-result"]["data"]
    table: list[dict[str, Any]] = json.loads(artifacts[f"{key}-not-found"]["data"])
    assert [("not-found", 1, 0)] == [(line["reason"], line["rows"], line["instances"]) for line in table]

    lines = _logged(api, run["id"], 4)
    assert any(line.startswith("chunk 1: ") and line.endswith(" done") for line in lines), lines
    assert any(line.startswith("report written; run first: some rows") for line in lines), lines
    stored = json.dumps([run, list(artifacts.values()), lines])
    assert not [row["orthanc_id"] for row in read_csv(partial.manifest) if row["orthanc_id"] in stored]
    assert "Finished in state" not in done.err  # Prefect's own lines are for its server


CALLER = """
from prefect import flow
from deidflow.flows.bulk_edit import bulk_edit
from deidflow.flows.parameters import Overrides
from deidflow.tasks.shown import NotReconciled

@flow
def pipeline():
    whole = bulk_edit("job.yaml", manifest="whole.csv", overrides=Overrides(chunk_size=2))
    state = bulk_edit("job.yaml", skip_invalid=True, return_state=True)
    try:
        bulk_edit("job.yaml", skip_invalid=True)
    except NotReconciled as ended:
        assert "some rows are not done" in str(ended)
        return whole, state.name, state.result(raise_on_failure=False).record, ended.record

if __name__ == "__main__":
    import json
    print(json.dumps(pipeline()))
"""


@pytest.mark.long
def test_a_flow_that_calls_ours_gets_a_record(partial: Job) -> None:
    """Of a run that is reconciled as the return value; of one that is not with its state, or with what is raised."""
    rows = read_csv(partial.manifest)
    (partial.root / "whole.csv").write_bytes(partial.manifest.read_bytes())
    partial.write_manifest(rows[:3])
    partial.manifest.rename(partial.root / "whole.csv")
    partial.write_manifest([*rows[:2], {**rows[2], "orthanc_id": "not-an-id"}])
    partial.write_config(**partial.config | {"destination": {"folder": "results", "overwrite": True}})
    (partial.root / "caller.py").write_text(CALLER)
    done = subprocess.run(
        [sys.executable, "caller.py"],
        cwd=partial.root,
        env=partial.full_environment() | {"PREFECT_LOGGING_LEVEL": "CRITICAL"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert 0 == done.returncode, done.stderr[-3000:]
    whole, name, rest, raised = json.loads(done.stdout.strip().splitlines()[-1])
    assert ("reconciled", 0, 3) == (whole["verdict"], whole["exit_code"], whole["rows"]["done"])
    assert json.loads((partial.root / whole["run_dir"] / "summary.json").read_text())["run_id"] == whole["run_id"]
    for record in (rest, raised):
        assert ("Partial", 1, 2, 1) == (name, record["exit_code"], record["rows"]["done"], record["rows"]["invalid"])
