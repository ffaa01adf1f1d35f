"""What a server and a run folder hold after an injured run on an Orthanc.

Public names: ``state_of``, ``anonymize_as_a_colleague``, ``left_or_touched``, ``stopped_badly``.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tests.jobs import files_of, read_csv

if TYPE_CHECKING:
    from tests.contract.server import Server
    from tests.jobs import Finished, Job


def anonymize_as_a_colleague(server: Server, study: str) -> set[str]:
    """Anonymize a study in the way of Orthanc Explorer; return the instances that this made."""
    made = server.post(f"studies/{study}/anonymize", {})["ID"]
    return {one["ID"] for one in server.get(f"studies/{made}/instances")}


def left_or_touched(server: Server, foreign: set[str]) -> list[str]:
    """Name jobs that were left, and results of somebody else that are gone; take the others away."""
    missing = foreign - set(server.get("instances"))
    for name in foreign - missing:
        server.delete(f"instances/{name}")
    found = [f"{len(missing)} of a colleague's {len(foreign)} results are gone"] if missing else []
    return [*found, *_jobs_left(server)]


def _jobs_left(server: Server) -> list[str]:
    going_on = {one["State"] for one in server.get("jobs?expand")} & {"Running", "Pending", "Paused"}
    return [f"a job was left on the Orthanc: {going_on}"] if going_on else []


def stopped_badly(done: Finished, server: Server) -> list[str]:
    """Name what is wrong with how a command ended that was told to stop."""
    found = [] if done.code in (130, 0) else [f"exit code {done.code} after a signal: {done.err[-300:]}"]
    return [*found, *_jobs_left(server)]


def state_of(job: Job, server: Server, shape: str, run_id: str) -> dict[str, Any]:
    """Return all that must be equal; on engine orthanc without the identifiers that it generates."""
    run_dir = job.root / "runs" / run_id
    rows = read_csv(run_dir / "reconciliation.csv")
    lines = read_csv(run_dir / "crosswalk.csv")
    generated = {"new_orthanc_id", "new_dicom_id", "attempts"} if shape == "engine orthanc" else {"attempts"}
    summary = json.loads((run_dir / "summary.json").read_text("utf-8"))
    state: dict[str, Any] = {
        "reconciliation.csv": [{name: value for name, value in row.items() if name not in generated} for row in rows],
        "crosswalk.csv": sorted(
            tuple(value for name, value in line.items() if name not in generated) for line in lines
        ),
        "files of the run folder": sorted(path.name for path in run_dir.iterdir()),
        "counts": [summary[name] for name in ("rows", "instances", "crosswalk_by_level", "reconciled")],
        "destination": files_of(job.destination) if job.destination.exists() else {},
    }
    if shape == "engine orthanc":
        state["results"] = _structure(server)
        known = {line["new_orthanc_id"] for line in lines if line["level"] == "instance"}
        made = {name for names in server.originals().values() for name in names}
        state["results that the crosswalk knows"] = known == made
    elif shape == "local to orthanc":
        state["results"] = {name: server.dataset(name).to_json() for name in sorted(server.get("instances"))}
    state["instances"] = len(server.get("instances"))
    return state


def _structure(server: Server) -> list[tuple[str, ...]]:
    """Return for every result what it was made from, and the first original of its series, study and patient."""
    first: dict[str, str] = {}
    found = []
    for series in server.get("series?expand"):
        study = server.get(f"studies/{series['ParentStudy']}")
        for name in series["Instances"]:
            metadata = server.get(f"instances/{name}/metadata?expand")
            origin = metadata.get("AnonymizedFrom")
            if origin:
                parents = (series["ID"], study["ID"], study["ParentPatient"])
                found.append((origin, parents))
                for parent in parents:
                    first[parent] = min(first.get(parent, origin), origin)
    return sorted((origin, *(first[parent] for parent in parents)) for origin, parents in found)
