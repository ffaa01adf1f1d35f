"""Flow or server killed at the worst moments of a call: everything is done once, and the report is the same."""

from __future__ import annotations

import contextlib
import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import httpx
import pytest

from benchmarks.generate import Shape, generate
from tests.contract.server import SETTINGS, Server, report_of, write
from tests.jobs import Job
from tests.orthanc_proxy import Hit, Hold, OrthancProxy, Request, Response, Run, is_poll, is_sent
from tests.orthanc_server import OrthancServer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.zygote import Zygote

COUNT: Final = 240
PATIENTS: Final = 2

_ATTEMPTS: Final = 5
"""At a kill of the server in the tenth of a second before it stores that a job has ended."""

NOT_SAVED_AND_SAVED: Final = [
    pytest.param(False, id="jobs-not-saved"),
    pytest.param(True, id="jobs-saved", marks=pytest.mark.versions),
]


def _jobs_saved(*, save: bool) -> dict[str, Any]:
    return {**SETTINGS, "SaveJobs": save}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of every test here."""
    folder = tmp_path_factory.mktemp("made")
    generate(folder, COUNT, 8 << 10, shape=Shape(patients=PATIENTS))
    return folder


@pytest.fixture(scope="module")
def calm(
    made: Path, tmp_path_factory: pytest.TempPathFactory, prefect_environment: dict[str, str], zygote: Zygote
) -> tuple[object, object]:
    """The report of an undisturbed run."""
    job = Job(tmp_path_factory.mktemp("calm"), prefect_environment, zygote)
    with OrthancServer(settings=SETTINGS) as running:
        server = Server(running)
        server.upload(made)
        _prepare(job, server, server.url)
        done = job("run", "job.yaml", "--run-id", "calm")
        assert 0 == done.code, done.err
        assert 2 * COUNT == len(server.get("instances"))
        server.close()
    return report_of(job, "calm")


@pytest.fixture
def served(orthanc_root: Path | None, made: Path) -> Callable[[bool], contextlib.AbstractContextManager[Server]]:
    """Start a server that holds the files and does or does not save its jobs."""

    @contextlib.contextmanager
    def serve(save: bool) -> Iterator[Server]:
        with OrthancServer(orthanc_root, _jobs_saved(save=save)) as running:
            server = Server(running)
            server.upload(made)
            with contextlib.closing(server):
                yield server

    return serve


def _prepare(job: Job, server: Server, url: str) -> None:
    """List what the server holds, and configure a run that talks to an address of it."""
    assert 0 == job("inventory", server.url, "-o", "manifest.csv").code
    write(job, server, source={"orthanc": url}, verify="identifiers", execution=None)


def _has_ended_well(request: Request, answer: Response | None) -> bool:
    return is_poll(request, answer) and answer is not None and json.loads(answer.body)["State"] == "Success"


def _assert_done_once(server: Server) -> None:
    results = server.originals()
    assert {1} == {len(names) for names in results.values()}
    assert COUNT == len(results)
    assert 2 * COUNT == len(server.get("instances"))
    assert 2 * PATIENTS == len(server.get("patients"))


@pytest.mark.parametrize("save", NOT_SAVED_AND_SAVED)
@pytest.mark.parametrize(
    ("hold", "moment", "paused"),
    [
        pytest.param(Hold(), is_sent, False, id="before-the-job-id", marks=pytest.mark.versions),
        pytest.param(Hold(), is_sent, True, id="before-the-job-id-still-running", marks=pytest.mark.versions),
        pytest.param(Hold(before=True), is_poll, True, id="while-the-job-runs"),
        pytest.param(Hold(before=True), is_poll, False, id="while-the-job-runs-on", marks=pytest.mark.versions),
        pytest.param(Hold(), _has_ended_well, False, id="before-the-result-is-recorded", marks=pytest.mark.versions),
    ],
)
def test_a_killed_flow(
    job: Job,
    served: Callable[[bool], contextlib.AbstractContextManager[Server]],
    calm: tuple[object, object],
    hold: Hold,
    moment: Callable[[Request, Response | None], bool],
    paused: bool,
    save: bool,
) -> None:
    """Kill -9 of the flow, then resume: every instance done once, no second copy, the report of an undisturbed run."""
    with served(save) as server, OrthancProxy(server.url) as proxy:
        _prepare(job, server, proxy.url)

        def pause() -> None:
            server.wait_for(COUNT + 10)
            (own,) = server.modifications()
            server.pause(own)

        if paused and moment is is_poll:
            # Before the flow knows the job: one that is over by then is never asked about again.
            proxy.add(Run(pause), is_sent)
        held = proxy.add(hold, moment)
        process = job.start("run", "job.yaml", "--run-id", "killed")
        process.reach(held.reached)
        if paused and moment is not is_poll:
            pause()
        process.kill()
        held.release()
        done = job("resume", job.root / "runs" / "killed")

        assert 0 == done.code, done.err
        _assert_done_once(server)
    assert calm == report_of(job, "killed")


@pytest.mark.versions
def test_a_killed_flow_whose_call_had_shrunk(
    job: Job,
    served: Callable[[bool], contextlib.AbstractContextManager[Server]],
    made: Path,
    calm: tuple[object, object],
) -> None:
    """An original leaves while the call is sent and is back before ``resume``: the lost job is known by what it got."""
    with served(False) as server, OrthancProxy(server.url) as proxy:
        _prepare(job, server, proxy.url)
        victim = server.get("instances")[7]

        def leave() -> None:
            httpx.delete(f"{server.url}/instances/{victim}").raise_for_status()

        proxy.add(Run(leave, before=True), lambda request, _: request.path == "/changes?last=")
        held = proxy.add(Hold(), is_sent)
        process = job.start("run", "job.yaml", "--run-id", "shrunk")
        process.reach(held.reached)
        server.wait_for(COUNT + 10)
        (own,) = server.modifications()
        server.pause(own)
        process.kill()
        held.release()
        server.upload(made)  # those that are there stay as they are
        done = job("resume", job.root / "runs" / "shrunk")

        assert 0 == done.code, done.err
        sent = [json.loads(one.body)["Resources"] for one in proxy.requests if "bulk-anonymize" in one.path]
        # 1.13.0 takes a call that names an instance which it does not hold, and leaves that one out.
        refused = [COUNT - 1] if server.running.version.startswith(("1.10.", "1.12.")) else []
        assert [COUNT, *refused, COUNT] == [len(names) for names in sent]
        _assert_done_once(server)
    assert calm == report_of(job, "shrunk")


@pytest.mark.versions
@pytest.mark.parametrize("save", NOT_SAVED_AND_SAVED)
@pytest.mark.parametrize("down_s", [2.0, 10.0])
def test_a_killed_server(
    job: Job,
    served: Callable[[bool], contextlib.AbstractContextManager[Server]],
    calm: tuple[object, object],
    down_s: float,
    save: bool,
) -> None:
    """Kill -9 of the server in the middle of a job, started again some seconds later: the same run does all once."""
    with served(save) as server:
        _prepare(job, server, server.url)
        process = job.start("run", "job.yaml", "--run-id", "server")
        server.wait_for(COUNT + 20)
        server.running.kill()
        time.sleep(down_s)
        server.running.start()

        assert 0 == process.end().code
        _assert_done_once(server)
    assert calm == report_of(job, "server")


@pytest.mark.parametrize("save", [False, True], ids=["jobs-not-saved", "jobs-saved"])
@pytest.mark.versions
def test_a_server_that_is_back_before_anybody_asks(
    job: Job,
    served: Callable[[bool], contextlib.AbstractContextManager[Server]],
    calm: tuple[object, object],
    save: bool,
) -> None:
    """The server is killed and back between two polls: that it began its job anew is noticed all the same."""
    with served(save) as server, OrthancProxy(server.url) as proxy:
        _prepare(job, server, proxy.url)
        held = proxy.add(Hold(before=True), is_poll)
        process = job.start("run", "job.yaml", "--run-id", "blink")
        process.reach(held.reached)
        server.wait_for(COUNT + 20)
        server.running.kill()
        server.running.start()
        held.release()

        assert 0 == process.end().code
        _assert_done_once(server)
    assert calm == report_of(job, "blink")


@pytest.mark.versions
def test_a_copy_that_the_job_does_not_list(
    job: Job,
    served: Callable[[bool], contextlib.AbstractContextManager[Server]],
    calm: tuple[object, object],
) -> None:
    """What a 1.10.1 leaves behind that was killed and runs its job again to a good end: it is removed."""
    with served(False) as server, OrthancProxy(server.url) as proxy:
        _prepare(job, server, proxy.url)
        victim = server.get("instances")[7]

        def leave_copy() -> None:
            own = json.loads(proxy.requests[-1].body)
            call = {**own, "Resources": [victim], "Asynchronous": False}
            httpx.post(f"{server.url}/tools/bulk-anonymize", json=call).raise_for_status()
            server.running.kill()
            server.running.start()

        proxy.add(Run(leave_copy, before=True), lambda request, _: request.path.startswith("/tools/bulk-anonymize"))
        done = job("run", "job.yaml", "--run-id", "copied")

        assert 0 == done.code, done.err
        _assert_done_once(server)
    assert calm == report_of(job, "copied")


@dataclass
class _KilledBehindItsJob:
    """Kills the server right when it has told that its job has ended, starts it, and passes on what it told.

    Attributes:
        server: That one.
        state: Of the job when the server is back: Success when it was stored in time.

    """

    server: Server
    state: str = ""
    before: bool = True

    def strike(self, hit: Hit) -> bool:
        (own,) = self.server.modifications()
        told: dict[str, Any] = {}
        while told.get("State") != "Success":
            told = self.server.get(f"jobs/{own}")
        self.server.running.kill()
        self.server.running.start()
        self.state = self.server.get(f"jobs/{own}")["State"]
        hit.wire.send(Response(200, {"Content-Type": "application/json"}, json.dumps(told).encode()))
        return False


@pytest.mark.versions
@pytest.mark.parametrize("resumed", [False, True], ids=["in-one-go", "resumed"])
def test_a_job_that_runs_again_behind_its_results(
    job: Job,
    served: Callable[[bool], contextlib.AbstractContextManager[Server]],
    calm: tuple[object, object],
    resumed: bool,
) -> None:
    """Killed before it stores that a job has ended, a 1.10.1 does it again under the run's eyes: its copies go."""
    for attempt in range(_ATTEMPTS):
        with served(True) as server, OrthancProxy(server.url) as proxy:
            if not server.running.version.startswith("1.10."):
                pytest.skip("it does not run jobs again")
            _prepare(job, server, proxy.url)
            killed = _KilledBehindItsJob(server)
            proxy.add(killed, is_poll)
            held = proxy.add(Hold(before=True), lambda request, _: request.path == "/jobs?expand=")
            process = job.start("run", "job.yaml", "--run-id", f"again-{attempt}")
            process.reach(held.reached)
            if killed.state == "Success":
                process.kill()
                held.release()
                continue
            server.wait_for(2 * COUNT + 20)
            if resumed:
                process.kill()
            held.release()
            done = job("resume", job.root / "runs" / f"again-{attempt}") if resumed else process.end()

            assert 0 == done.code, done.err
            _assert_done_once(server)
        assert calm == report_of(job, f"again-{attempt}")
        return
    pytest.fail("the server never ran its job again")
