"""What others make of the same originals at the same time is theirs, whatever becomes of the run."""

from __future__ import annotations

import contextlib
import json
import signal
import time
from typing import TYPE_CHECKING, Any, Final

import httpx
import pytest

from benchmarks.generate import Shape, generate
from tests.contract.server import PATIENTLY_S, SETTINGS, Server, write
from tests.jobs import read_csv
from tests.orthanc_proxy import Hold, OrthancProxy, Run, is_bulk_call, is_poll, is_sent
from tests.orthanc_server import OrthancServer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.jobs import Job

COUNT: Final = 150
MARKED: Final = ("InstanceCreatorUID", "StorageMediaFileSetUID")
KEEPS_USER_DATA: Final = (1, 12, 9)
COLLEAGUE: Final = {"DicomVersion": "2021b", "Replace": {"StudyDescription": "COLLEAGUE"}, "Force": True}


@pytest.fixture
def serve(orthanc_root: Path | None, job: Job) -> Callable[..., contextlib.AbstractContextManager[Server]]:
    """Start a server with one study of one patient, and list it as a manifest."""
    generate(job.source, COUNT, 8 << 10, shape=Shape(patients=1, studies_per_patient=1))

    @contextlib.contextmanager
    def started(**settings: Any) -> Iterator[Server]:
        with OrthancServer(orthanc_root, {**SETTINGS, "MaximumStorageCacheSize": 0, **settings}) as running:
            server = Server(running)
            with contextlib.closing(server):
                server.upload(job.source)
                assert 0 == job("inventory", server.url, "-o", "manifest.csv").code
                yield server

    return started


class Colleague:
    """Somebody who anonymizes the same study in Orthanc's own interface.

    Attributes:
        job: His, once it has begun.

    """

    def __init__(self, server: Server) -> None:
        """Take the server, which holds one study."""
        self._server = server
        (self._study,) = server.get("studies")
        self.job = ""

    def begin(self) -> None:
        """Start, and go on beside whatever else happens."""
        body = {**COLLEAGUE, "Asynchronous": True}
        answer = httpx.post(f"{self._server.url}/studies/{self._study}/anonymize", json=body, timeout=60)
        self.job = answer.raise_for_status().json()["ID"]

    def results(self) -> int:
        """Wait for the end; return how many results there are."""
        end = time.monotonic() + PATIENTLY_S
        while self._server.get(f"jobs/{self.job}")["State"] in ("Pending", "Running"):
            assert time.monotonic() < end
            time.sleep(0.05)
        return len([name for name in _results(self._server) if _is_his(self._server, name)])


def _results(server: Server) -> list[str]:
    return [name for names in server.originals().values() for name in names]


def _is_his(server: Server, name: str) -> bool:
    return b"COLLEAGUE" in server.element(name, "0008-1030")


def _own(server: Server) -> dict[str, list[str]]:
    """Return the results that are not the colleague's, by their originals."""
    found = {origin: [n for n in names if not _is_his(server, n)] for origin, names in server.originals().items()}
    return {origin: names for origin, names in found.items() if names}


def _assert_done_once(server: Server, count: int = COUNT) -> None:
    own = _own(server)
    assert {1} == {len(names) for names in own.values()}
    assert count == len(own)


def _lose_file(server: Server, name: str) -> None:
    uuid = server.get(f"instances/{name}")["FileUuid"]
    (server.running.storage / uuid[:2] / uuid[2:4] / uuid).unlink()


@pytest.mark.parametrize(
    "is_whole", [pytest.param(True, marks=pytest.mark.versions), False], ids=["all-done", "one-fails"]
)
def test_a_colleague_beside_an_ordinary_run(
    job: Job, serve: Callable[..., contextlib.AbstractContextManager[Server]], is_whole: bool
) -> None:
    """He anonymizes the study while the run does: all of his results stay, whether the run ends well or not."""
    with serve() as server, OrthancProxy(server.url) as proxy:
        lost = server.get("instances")[3]
        if not is_whole:
            _lose_file(server, lost)
        colleague = Colleague(server)
        proxy.add(Run(colleague.begin, before=True), is_bulk_call)
        write(job, server, source={"orthanc": proxy.url}, verify="identifiers", execution=None)
        done = job("run", "job.yaml", "--run-id", "beside")

        assert (0 if is_whole else 1) == done.code, done.err
        # His job, which is not permissive, fails where the file is lost; what it made is his all the same.
        his = colleague.results()
        assert COUNT == his if is_whole else his >= 0
        _assert_done_once(server, COUNT if is_whole else COUNT - 1)
        assert not (job.root / "runs" / "beside" / "leftovers.json").exists()


@pytest.mark.versions
@pytest.mark.parametrize("concurrent", [2, 1], ids=["beside", "ahead"])
def test_a_colleague_and_ctrl_c(
    job: Job, serve: Callable[..., contextlib.AbstractContextManager[Server]], concurrent: int
) -> None:
    """The run is stopped while his job runs beside its own, or ahead of it: his results stay, its own go."""
    with serve(ConcurrentJobs=concurrent) as server, OrthancProxy(server.url) as proxy:
        colleague = Colleague(server)
        own: list[str] = []

        def pause() -> None:
            # A job that is over before anybody asks for it is never asked for.
            own.extend(name for name in server.modifications() if name != colleague.job)
            server.pause(own[0])

        proxy.add(Run(colleague.begin, before=True), is_bulk_call)
        proxy.add(Run(pause), is_sent)
        held = proxy.add(Hold(before=True), is_poll)
        write(job, server, source={"orthanc": proxy.url}, verify="identifiers", execution=None)
        process = job.start("run", "job.yaml", "--run-id", "stopped")
        process.reach(held.reached)
        server.go_on(own[0])
        server.wait_for(COUNT + 20)
        process.send_signal(signal.SIGINT)
        held.release()
        stopped = process.end(60)

        assert stopped.code in (130, 0), stopped.err  # 0: it was done before it could be stopped
        assert COUNT == colleague.results()
        done = job("resume", job.root / "runs" / "stopped")
        assert 0 == done.code, done.err
        assert COUNT == colleague.results()
        _assert_done_once(server)


@pytest.mark.versions
def test_another_run_between_kill_and_resume(
    job: Job, serve: Callable[..., contextlib.AbstractContextManager[Server]]
) -> None:
    """Run A is killed, run B does the same originals, A is resumed: B's results are untouched, A has each once."""
    with serve() as server, OrthancProxy(server.url) as proxy:
        held = proxy.add(Hold(), is_sent)
        write(job, server, source={"orthanc": proxy.url}, verify="identifiers", execution=None)
        process = job.start("run", "job.yaml", "--run-id", "a")
        process.reach(held.reached)
        process.kill()
        held.release()
        write(job, server, source={"orthanc": proxy.url}, verify="identifiers", execution=None, name="other")
        other = job("run", "job.yaml", "--run-id", "b")
        lines = read_csv(job.root / "runs" / "b" / "crosswalk.csv")
        theirs = {row["new_orthanc_id"] for row in lines if row["level"] == "instance"}
        done = job("resume", job.root / "runs" / "a")

        assert (0, 0) == (other.code, done.code), other.err + done.err
        assert COUNT == len(theirs)
        assert theirs <= set(server.get("instances"))
        assert {2} == {len(names) for names in server.originals().values()}
        creators = {server.dataset(name)[MARKED[0]].value for name in _results(server)[::10]}
        assert {"2.25."} == {str(creator)[:5] for creator in creators}


@pytest.mark.versions
@pytest.mark.parametrize("moment", ["killed", "forgotten"])
def test_a_server_that_forgets(
    job: Job, serve: Callable[..., contextlib.AbstractContextManager[Server]], moment: str
) -> None:
    """No history of jobs, and the list of changes cleared while the flow is dead: everything is found by its mark."""
    with serve(JobsHistorySize=0) as server, OrthancProxy(server.url) as proxy:
        held = proxy.add(Hold(), is_sent)
        write(job, server, source={"orthanc": proxy.url}, verify="identifiers", execution=None)
        process = job.start("run", "job.yaml", "--run-id", "gone")
        process.reach(held.reached)
        server.wait_for(2 * COUNT)
        if moment == "killed":
            process.kill()
            held.release()
            httpx.delete(f"{server.url}/changes").raise_for_status()
            done = job("resume", job.root / "runs" / "gone")
        else:
            held.release()
            done = process.end()

        assert 0 == done.code, done.err
        _assert_done_once(server)


@pytest.mark.versions
def test_no_retry_over_a_restart(job: Job, serve: Callable[..., contextlib.AbstractContextManager[Server]]) -> None:
    """The server is killed and back, and nothing is tried again: what its job had made does not stay unnamed."""
    with serve(SaveJobs=False) as server:
        write(job, server, verify="identifiers", execution={"retries": 0})
        process = job.start("run", "job.yaml", "--run-id", "blink")
        server.wait_for(COUNT + 10)
        server.running.kill()
        server.running.start()
        ended = process.end()
        lines = read_csv(job.root / "runs" / "blink" / "crosswalk.csv")
        named = {row["new_orthanc_id"] for row in lines if row["level"] == "instance"} - {""}

        assert set(_results(server)) == named
        done = job("resume", job.root / "runs" / "blink") if ended.code else ended
        assert 0 == done.code, done.err
        _assert_done_once(server)


@pytest.mark.versions
def test_without_a_mark_nothing_unproven_is_deleted(
    job: Job, serve: Callable[..., contextlib.AbstractContextManager[Server]]
) -> None:
    """The request names all elements for it itself: what the lost call left stays, and a file names it for a person."""
    options = {"DicomVersion": "2021b", "Keep": list(MARKED)}
    with serve() as server, OrthancProxy(server.url) as proxy:
        held = proxy.add(Hold(), is_sent)
        write(job, server, source={"orthanc": proxy.url}, verify="identifiers", execution=None, options=options)
        process = job.start("run", "job.yaml", "--run-id", "unmarked")
        process.reach(held.reached)
        process.kill()
        held.release()
        server.wait_for(2 * COUNT)
        lost = set(_results(server))
        done = job("resume", job.root / "runs" / "unmarked")

        assert 0 == done.code, done.err
        if tuple(map(int, server.running.version.split("."))) >= KEEPS_USER_DATA:  # which proves whose job it was
            _assert_done_once(server)
            return
        assert lost <= set(server.get("instances"))
        file = job.root / "runs" / "unmarked" / "leftovers.json"
        assert "leftovers.json" in done.out
        body = json.loads(file.read_text())
        assert lost == set(body["Resources"])
        assert 0o600 == file.stat().st_mode & 0o777
        httpx.post(f"{server.url}/tools/bulk-delete", json=body).raise_for_status()
        _assert_done_once(server)
