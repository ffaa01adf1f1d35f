"""A result that takes the place of another object on an Orthanc: one of the two always stands there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import httpx
import pytest

from tests.contract.server import Server
from tests.jobs import DEMO_DATA, Job, read_csv
from tests.orthanc_proxy import Answer, Hang, OrthancProxy
from tests.orthanc_server import OrthancServer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.orthanc_proxy import Request, Response

OLD: Final = {"Replace": {"StudyDescription": "OLD"}, "Keep": ["SOPInstanceUID"], "Force": True}
NEW: Final = {"Replace": {"StudyDescription": "NEW"}, "Keep": ["SOPInstanceUID"], "Force": True}


@pytest.fixture(
    params=[pytest.param(True, id="overwrites", marks=pytest.mark.versions), pytest.param(False, id="does-not")]
)
def destination(request: pytest.FixtureRequest, orthanc_root: Path | None, job: Job) -> Iterator[Server]:
    """A server that does or does not overwrite, with an object where a result belongs, and a job that overwrites."""
    with OrthancServer(orthanc_root, {"OverwriteInstances": request.param}) as running:
        server = Server(running)
        job.source.mkdir(exist_ok=True)
        (job.source / "one.dcm").write_bytes(_file("CT"))
        assert 0 == job("inventory", job.source, "-o", "manifest.csv").code
        _configure(job, server.url, OLD)
        assert 0 == job("run", "job.yaml", "--run-id", "old").code
        yield server
        server.close()


def _file(modality: str) -> bytes:
    return next(path for path in sorted((DEMO_DATA / modality).rglob("*")) if path.is_file()).read_bytes()


def _configure(job: Job, url: str, options: dict[str, object]) -> None:
    job.write_config(
        operation="modify",
        options=options,
        destination={"orthanc": url, "overwrite": True},
        execution={"workers": 1, "retries": 0},
        verify="full",
    )


def _description(server: Server) -> str:
    (name,) = server.get("instances")
    return str(server.dataset(name).StudyDescription)


class _Uploads:
    """Tells uploads of the run from others: the last ones before anything can be put back."""

    def __init__(self, server: Server) -> None:
        self._server = server

    def refused(self, request: Request, _: Response | None) -> bool:
        """Whether it is the upload of the new object that would be stored."""
        is_new = request.method == "POST" and request.path == "/instances" and b"NEW" in request.body
        overwrites = bool(self._server.running.settings["OverwriteInstances"])
        return is_new and (overwrites or not self._server.get("instances"))


def test_a_refused_result_leaves_the_old_one(job: Job, destination: Server) -> None:
    """The server does not take the result: it fails, what stood there stands there, and the report says so."""
    with OrthancProxy(destination.url) as proxy:
        refused = proxy.add(Answer(400), _Uploads(destination).refused, times=None)
        _configure(job, proxy.url, NEW)
        done = job("run", "job.yaml", "--run-id", "new")
        assert (1, "OLD") == (done.code, _description(destination)), done.err
        assert refused.hits
        (row,) = (r for r in read_csv(job.root / "runs" / "new" / "crosswalk.csv") if r["level"] == "instance")
        assert "the object that stood there is back" in row["reason"]
        proxy.clear()
        resumed = job("resume", job.root / "runs" / "new")

    assert (0, "NEW") == (resumed.code, _description(destination)), resumed.err
    assert not (job.root / "runs" / "new" / "replaced").exists()


@pytest.mark.versions
@pytest.mark.parametrize("ends", ["resumed", "refused"])
def test_killed_between_the_two(job: Job, destination: Server, ends: str) -> None:
    """Kill -9 while the place is empty: resume puts the result there, or the old object when the server refuses."""
    with OrthancProxy(destination.url) as proxy:
        held = proxy.add(Hang(), _Uploads(destination).refused)
        _configure(job, proxy.url, NEW)
        process = job.start("run", "job.yaml", "--run-id", "new")
        process.reach(held.reached)
        process.kill()
        if not destination.running.settings["OverwriteInstances"]:
            assert [] == destination.get("instances")
        proxy.clear()
        if ends == "refused":
            proxy.add(Answer(400), _Uploads(destination).refused, times=None)
        resumed = job("resume", job.root / "runs" / "new")

    if ends == "resumed":
        assert (0, "NEW") == (resumed.code, _description(destination)), resumed.err
    else:
        assert (1, "OLD") == (resumed.code, _description(destination)), resumed.err
    assert not (job.root / "runs" / "new" / "replaced").exists()


def test_nothing_else_is_touched(job: Job, destination: Server) -> None:
    """An object that is not in the way stays as it is."""
    other = httpx.post(f"{destination.url}/instances", content=_file("MR"))
    name = other.json()["ID"]
    _configure(job, destination.url, NEW)
    assert 0 == job("run", "job.yaml", "--run-id", "new").code
    assert name in destination.get("instances")
    assert 2 == len(destination.get("instances"))
