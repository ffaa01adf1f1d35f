"""What a run leaves behind, and how two runs differ in it.

Public names: ``State``, ``state_of``, ``difference``, ``difference_but_one``.
"""

from __future__ import annotations

import contextlib
import csv
import io
import json
import sqlite3
from typing import TYPE_CHECKING, Any, Final

from tests.jobs import files_of, read_csv

if TYPE_CHECKING:
    from tests.jobs import Job

_TIMES: Final = {"run_id", "attempts", "started", "ended", "seconds", "seconds_by_step", "instances_per_second"}
"""Keys of summary.json that tell the time, how often a run was tried, or its name."""

_TABLES: Final = ("crosswalk.csv", "failures.csv", "source_problems.csv")

State = dict[str, Any]


def state_of(job: Job, run_id: str) -> State:
    """Return all that must be equal after an injury and without one, by what it is."""
    run_dir = job.root / "runs" / run_id
    state: State = {
        "destination": files_of(job.destination),
        "folders of the destination": sorted(
            str(path.relative_to(job.destination)) for path in job.destination.rglob("*") if path.is_dir()
        ),
        "source": files_of(job.source),
        "times of the source": {
            str(path.relative_to(job.source)): path.stat().st_mtime_ns
            for path in job.source.rglob("*")
            if path.is_file()
        },
        "files of the run folder": sorted(path.name for path in run_dir.iterdir()),
        "runs": sorted(path.name for path in run_dir.parent.iterdir() if path != run_dir),
        "reconciliation.csv": [row | {"attempts": ""} for row in read_csv(run_dir / "reconciliation.csv")],
        # The sockets of Python's own worker processes hold nothing.
        "temporary files": [path.name for path in (job.root / "tmp").iterdir() if not path.name.startswith("pymp-")],
    }
    for name in _TABLES:
        path = run_dir / name
        state[name] = path.read_bytes() if path.exists() else None
    state["summary.json"] = _counts(json.loads((run_dir / "summary.json").read_text("utf-8")))
    with contextlib.closing(sqlite3.connect(run_dir / "ledger.db")) as connection:
        state["ledger"] = connection.execute("PRAGMA integrity_check").fetchall()
    return state


def _counts(summary: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in summary.items() if name not in _TIMES}


def difference(calm: State, state: State) -> list[str]:
    """Name what differs, with some of it."""
    return [f"{name}: {_some(calm[name], state[name])}" for name in calm if calm[name] != state[name]]


def difference_but_one(calm: State, state: State) -> list[str]:
    """Name what differs beyond one instance that failed since its source changed."""
    problems = difference({"ledger": calm["ledger"], "runs": calm["runs"]}, state)
    lost = calm["destination"].keys() - state["destination"].keys()
    more = {name for name, data in state["destination"].items() if calm["destination"].get(name) != data}
    if len(lost) != 1 or more:
        problems.append(f"destination: {len(lost)} lost, {len(more)} more or other")
    before, after = (
        {row["original_orthanc_id"]: row for row in _instances(one["crosswalk.csv"])} for one in (calm, state)
    )
    changed = [row for name, row in after.items() if row != before.get(name)]
    if [("failed", "source-changed")] != [(row["outcome"], row["reason"].partition(":")[0]) for row in changed]:
        problems.append(f"crosswalk: {_short(changed)}")
    rows = [row for row in state["reconciliation.csv"] if row not in calm["reconciliation.csv"]]
    same_length = len(calm["reconciliation.csv"]) == len(state["reconciliation.csv"])
    if not same_length or [("failed", "1")] != [(row["outcome"], row["instances_failed"]) for row in rows]:
        problems.append(f"reconciliation: {_short(rows)}")
    if state["temporary files"] or set(state["files of the run folder"]) != {
        *calm["files of the run folder"],
        "failures.csv",
    }:
        problems.append(f"leftovers: {state['temporary files']} {state['files of the run folder']}")
    return problems


def _instances(crosswalk: bytes) -> list[dict[str, str]]:
    rows = csv.DictReader(io.StringIO(crosswalk.decode("utf-8-sig"), newline=""))
    return [row for row in rows if row["level"] == "instance"]


def _some(expected: Any, actual: Any) -> str:
    if isinstance(expected, dict) and isinstance(actual, dict):
        names = sorted(name for name in expected.keys() | actual.keys() if expected.get(name) != actual.get(name))
        some = {name: (_short(expected.get(name)), _short(actual.get(name))) for name in names[:4]}
        return f"{len(names)} differ, of {len(expected)} and {len(actual)}: {some}"
    if isinstance(expected, list) and isinstance(actual, list):
        lost = [one for one in expected if one not in actual]
        more = [one for one in actual if one not in expected]
        return f"{len(lost)} lost, {len(more)} more: {_short(lost[:2])} {_short(more[:2])}"
    return f"{_short(expected)} {_short(actual)}"


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 400 else text[:400] + "..."
