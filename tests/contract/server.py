"""A real Orthanc in the hands of a test of whole runs.

Public names: ``Server``, ``write``, ``report_of``, ``reads_files``, ``require_orthanc``, ``SETTINGS``,
``PATIENTLY_S``.
"""

from __future__ import annotations

import io
import time
from typing import TYPE_CHECKING, Any, Final

import httpx
import pydicom
import pytest

from tests.jobs import read_csv
from tests.orthanc_server import BINARY, installed

if TYPE_CHECKING:
    from pathlib import Path

    from tests.jobs import Job
    from tests.orthanc_proxy import Request
    from tests.orthanc_server import OrthancServer

SETTINGS: Final = {"StableAge": 1, "SaveJobs": True}
"""Of the servers here: a study is stable after a second, jobs survive a restart."""

PATIENTLY_S: Final = 120.0
"""Longer than anything takes on a busy machine, where a command alone needs half a minute to start."""


def reads_files(request: Request) -> bool:
    """Whether a request is for DICOM files, one or many."""
    return request.path == "/tools/create-archive" or request.path.endswith("/file")


def require_orthanc() -> None:
    """Skip loudly where this system has no Orthanc."""
    if not installed():
        pytest.skip(f"NO ORTHANC at {BINARY}: nothing was tried on a real server (Debian: apt-get install orthanc)")


class Server:
    """A running Orthanc and what tests ask of it."""

    def __init__(self, running: OrthancServer) -> None:
        """Take a started server."""
        self.running = running
        self.url = running.url
        # A connection of its own for each request: Orthanc closes one that waits, at whatever moment.
        limits = httpx.Limits(max_keepalive_connections=0)
        self._http = httpx.Client(base_url=f"{self.url}/", timeout=60, verify=False, limits=limits)  # noqa: S501 (plain HTTP)

    def close(self) -> None:
        """Give back the connection; the server goes on."""
        self._http.close()

    def get(self, path: str) -> Any:
        """Return the JSON of a GET."""
        return self._http.get(path).raise_for_status().json()

    def post(self, path: str, body: dict[str, Any]) -> Any:
        """Return the JSON that a POST is answered with."""
        return self._http.post(path, json=body).raise_for_status().json()

    def delete(self, path: str) -> None:
        """Delete a resource."""
        self._http.delete(path).raise_for_status()

    def upload(self, folder: Path) -> list[str]:
        """Upload every file of a folder; return the instances' identifiers."""
        names = []
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                answer = self._http.post("instances", content=path.read_bytes())
                names.append(answer.raise_for_status().json()["ID"])
        return names

    def dataset(self, instance: str) -> pydicom.Dataset:
        """Return an instance."""
        content = self._http.get(f"instances/{instance}/file").raise_for_status().content
        return pydicom.dcmread(io.BytesIO(content))

    def element(self, instance: str, tag: str) -> bytes:
        """Return the value of an element (``gggg-eeee``), b"" when there is none."""
        answer = self._http.get(f"instances/{instance}/content/{tag}")
        return answer.content if answer.is_success else b""

    def wait_for(self, instances: int) -> None:
        """Wait until the server holds so many."""
        deadline = time.monotonic() + PATIENTLY_S
        while time.monotonic() < deadline:
            if len(self.get("instances")) >= instances:
                return
            time.sleep(0.01)
        pytest.fail("the job made no results in time")

    def modifications(self) -> list[str]:
        """Return the jobs that modify or anonymize."""
        return [job["ID"] for job in self.get("jobs?expand") if job["Type"] == "ResourceModification"]

    def pause(self, job: str) -> None:
        """Keep a job from coming to its end; 1.12 goes on writing all the same."""
        self.post(f"jobs/{job}/pause", {})
        while self.get(f"jobs/{job}")["State"] == "Running":
            time.sleep(0.02)

    def go_on(self, job: str) -> None:
        """Let a job that was paused go on."""
        self.post(f"jobs/{job}/resume", {})

    def originals(self) -> dict[str, list[str]]:
        """Return the results on the server by what they were made from."""
        found: dict[str, list[str]] = {}
        for instance in self.get("instances?expand"):
            origin = instance.get("AnonymizedFrom") or instance.get("ModifiedFrom")
            if origin:
                found.setdefault(origin, []).append(instance["ID"])
        return found


def write(job: Job, server: Server, **changes: Any) -> None:
    """Write job.yaml: an anonymization on a server by itself, but for the changes."""
    settings: dict[str, Any] = {
        "engine": "orthanc",
        "source": {"orthanc": server.url},
        "destination": None,
        "options": {"DicomVersion": "2021b"},
        "orthanc": {"accept_unstable": True},
    }
    job.write_config(**(settings | changes))


def report_of(job: Job, run_id: str) -> tuple[object, object]:
    """Return the report without the identifiers that were generated."""
    run_dir = job.root / "runs" / run_id
    rows = [
        (row["line"], row["level"], row["outcome"], row["instances_expected"], row["instances_done"])
        for row in read_csv(run_dir / "reconciliation.csv")
    ]
    # Strangers without a PatientID are one patient on an Orthanc; the local engine tells them apart, one line each.
    crosswalk = {
        (row["level"], row["original_orthanc_id"], row["original_dicom_id"], row["outcome"])
        for row in read_csv(run_dir / "crosswalk.csv")
    }
    return rows, sorted(crosswalk)
