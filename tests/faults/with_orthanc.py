"""Moments with a real Orthanc: which request is struck by what, and what a run must be afterwards.

Public names: ``OrthancMoment``, ``OrthancRunner``, ``INJURIES``, ``ENGINES``.
"""

from __future__ import annotations

import contextlib
import random
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

import httpx

from benchmarks.generate import Shape, generate
from tests.contract.server import SETTINGS, Server, write
from tests.faults.command import CANCELLED, Verdict, again, cancel, kept, note, remove_but, untrue
from tests.faults.local import STOPS
from tests.faults.servers_state import anonymize_as_a_colleague, left_or_touched, state_of, stopped_badly
from tests.jobs import COMMAND_S, Finished, Job, OtherMachine, Running, read_csv
from tests.orthanc_proxy import Answer, Cut, Hang, OrthancProxy, Reset, Run
from tests.orthanc_server import OrthancServer
from tests.zygote import Zygote

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from tests.orthanc_proxy import Fault, Request, Response, Rule

RUN_ID: Final = "run"
COUNT: Final = 160
PATIENTS: Final = 4
_DOWN_S: Final = 1.0
_HANG_S: Final = 3.0
_NOTICED_S: Final = 1.5
"""A run asks every second whether it is cancelled; the Orthanc may be silent for two."""

_MAX_RESUMES: Final = 6
_KILLS: Final = ("kill -9 flow", "kill -9 Orthanc")
_EDITS: Final = ("/tools/bulk-anonymize", "/tools/bulk-modify")
_STOPS: Final = ("Ctrl-C", "SIGTERM", CANCELLED)

ENGINES: Final = ("engine orthanc", "local to orthanc", "orthanc to local")
_WEIGHTS: Final = (4, 1, 1)

# Name, weight.
INJURIES: Final = {
    "kill -9 flow": 12,
    "kill -9 Orthanc": 12,
    "Ctrl-C": 5,
    "SIGTERM": 3,
    "connection refused": 4,
    "reset before the request": 4,
    "reset after the request": 8,
    "answer cut off": 6,
    "502": 3,
    "503 with Retry-After": 4,
    "429 with Retry-After": 3,
    "hang": 4,
    CANCELLED: 8,
}


@dataclass(frozen=True)
class OrthancMoment:
    """One injury of one run.

    Attributes:
        seed: Draws it again.
        shape: Which engine, from where to where.
        injury: Its name.
        request: Which request to the Orthanc is struck, from 1 on.
        before: Whether the Orthanc has not seen it yet.
        times: How many requests in a row.
        colleague: Whether somebody else anonymizes one of the studies before the run is taken up again, or as soon as a
            killed Orthanc is back.
        twin: Whether a run of another project on another machine does all of the originals then.

    """

    seed: int
    shape: str
    injury: str
    request: int
    before: bool
    times: int = 1
    colleague: bool = False
    twin: bool = False


@dataclass
class _Calm:
    state: dict[str, Any]
    requests: int
    edits_from: int


class OrthancRunner:
    """Runs moments, each with a fresh Orthanc behind a proxy; a context manager, safe for threads."""

    def __init__(self, environment: dict[str, str], orthanc: Path | None = None) -> None:
        """Take the environment of a client of a Prefect server, and the system root of another Orthanc, if any."""
        self._environment = environment
        self._orthanc = orthanc
        self._root = Path(tempfile.mkdtemp(prefix="deidflow-faults-"))
        self._lock = threading.Lock()
        self._calm: dict[str, _Calm] = {}
        self._zygote = Zygote(environment)
        self._manifests: dict[str, bytes] = {}
        self._kept: set[Path] = set()
        self._made = self._root / "made"
        generate(self._made, COUNT, 8 << 10, shape=Shape(patients=PATIENTS))

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Remove everything but the folders of moments that were not equal."""
        self._zygote.__exit__()
        remove_but(self._root, self._kept)

    def draw(self, seed: int, only: Collection[str] = ()) -> OrthancMoment:
        """Return the moment of a seed."""
        dice = random.Random(f"orthanc {seed}")  # noqa: S311 (chooses moments)
        known = {name: weight for name, weight in INJURIES.items() if not only or name in only}
        (injury,) = dice.choices(tuple(known), tuple(known.values()))
        (shape,) = dice.choices(ENGINES, _WEIGHTS)
        request = dice.randint(1, self.calm(shape).requests)
        times = dice.choice((1, 1, 2, 3)) if injury[0] in "45" or "cut" in injury or "reset" in injury else 1
        return OrthancMoment(seed, shape, injury, request, before=dice.random() < 0.4, times=times)

    def draw_stop(self, seed: int) -> OrthancMoment:
        """Return a moment between the first edit and the last request; three in a row have all ``STOPS``."""
        dice = random.Random(f"orthanc stop {seed}")  # noqa: S311 (chooses moments)
        calm = self.calm(ENGINES[0])
        request = dice.randint(calm.edits_from, calm.requests)
        injury = STOPS[seed % len(STOPS)]
        return OrthancMoment(seed, ENGINES[0], injury, request, before=dice.random() < 0.4, colleague=True)

    def draw_kill(self, seed: int) -> OrthancMoment:
        """Return a moment between the first edit and the last request; the next seed kills the other of the two."""
        dice = random.Random(f"orthanc kill {seed}")  # noqa: S311 (chooses moments)
        calm = self.calm(ENGINES[0])
        request = dice.randint(calm.edits_from, calm.requests)
        has_twin = OtherMachine.is_possible() and dice.random() < 0.5
        return OrthancMoment(
            seed,
            ENGINES[0],
            _KILLS[seed % len(_KILLS)],
            request,
            before=dice.random() < 0.4,
            colleague=not has_twin,
            twin=has_twin,
        )

    def calm(self, shape: str) -> _Calm:
        """Return the undisturbed run of a shape."""
        with self._lock:
            if shape not in self._calm:
                root = Path(tempfile.mkdtemp(dir=self._root))
                with self._served(Job(root, self._environment, self._zygote), shape) as (job, server, proxy):
                    seen = len(proxy.requests)
                    done = job("run", "job.yaml", "--run-id", RUN_ID)
                    assert done.code == 0, done.err
                    requests = [one.path for one in proxy.requests[seen:]]
                    edits_from = next((n for n, path in enumerate(requests, 1) if path.endswith(_EDITS)), 1)
                    self._calm[shape] = _Calm(state_of(job, server, shape, RUN_ID), len(requests), edits_from)
            return self._calm[shape]

    @contextlib.contextmanager
    def _served(self, job: Job, shape: str) -> Any:
        with OrthancServer(self._orthanc, SETTINGS) as running:
            server = Server(running)
            with contextlib.closing(server), OrthancProxy(running.url) as proxy:
                source: dict[str, Any] = {"orthanc": proxy.url}
                if shape == "local to orthanc":
                    shutil.copytree(self._made, job.source)
                    source = {"folder": "source"}
                else:
                    server.upload(self._made)
                self._write_manifest(job, str(self._made) if shape == "local to orthanc" else server.url, shape)
                shapes: dict[str, dict[str, Any]] = {
                    "engine orthanc": {"engine": "orthanc", "destination": None, "verify": "full"},
                    "local to orthanc": {"engine": "local", "destination": {"orthanc": proxy.url}},
                    "orthanc to local": {"engine": "local", "destination": {"folder": "results"}},
                }
                changes = shapes[shape]
                access: dict[str, Any] = {"accept_unstable": True, "timeout_seconds": 2}
                execution: dict[str, Any] = {"chunk_size": 50, "retry_delay_seconds": 0.2}
                write(job, server, source=source, execution=execution, orthanc=access, **changes)
                yield job, server, proxy

    def _write_manifest(self, job: Job, where: str, shape: str) -> None:
        """List what there is; it is the same each time."""
        if shape not in self._manifests:
            assert job("inventory", where, "-o", "manifest.csv").code == 0
            self._manifests[shape] = job.manifest.read_bytes()
        job.manifest.write_bytes(self._manifests[shape])

    def run(self, moment: OrthancMoment) -> Verdict:
        """Injure a run, finish it, compare it."""
        calm = self.calm(moment.shape)
        verdict = Verdict(moment)
        root = Path(tempfile.mkdtemp(prefix=f"moment-{moment.seed}-", dir=self._root))
        try:
            with self._served(Job(root, self._environment, self._zygote), moment.shape) as (job, server, proxy):
                foreign: set[str] = set()
                study = min(server.get("studies"), default="")  # none where the server is the destination

                def others() -> None:
                    if moment.colleague:
                        foreign.update(anonymize_as_a_colleague(server, study))
                    if moment.twin:
                        foreign.update(self._twin(job, server))

                self._injure(job, server, proxy, moment, verdict, others)
                if not foreign:
                    others()
                done = Finished(-1, "", "")
                for _ in range(_MAX_RESUMES):
                    done = job(*again(job, _run_id(moment)))
                    note(verdict, done.code, done.err)
                    if done.code == 0:
                        break
                if done.code:
                    verdict.problems.append(f"ends with exit code {done.code}: {done.out[-300:]} {done.err[-300:]}")
                else:
                    verdict.problems += left_or_touched(server, foreign)
                    state = state_of(job, server, moment.shape, _run_id(moment))
                    verdict.problems += [
                        f"{name}: {str(calm.state[name])[:300]} {str(state[name])[:300]}"
                        for name in state
                        if state[name] != calm.state[name]
                    ]
        except (AssertionError, OSError, RuntimeError, subprocess.TimeoutExpired) as error:
            verdict.problems.append(f"{type(error).__name__}: {error}")
        if verdict.problems:
            self._kept |= kept(root, verdict)
        else:
            shutil.rmtree(root, ignore_errors=True)
        return verdict

    def _twin(self, job: Job, server: Server) -> set[str]:
        """Let a run of another project do the same originals; return the instances that it made."""
        twin = OtherMachine(job.root / "twin", self._environment)
        twin.root.mkdir()
        twin.manifest.write_bytes(job.manifest.read_bytes())
        write(twin, server, name="twin", orthanc={"accept_unstable": True})
        run_id = f"twin-{threading.get_ident()}-{time.monotonic_ns()}"
        done = twin("run", "job.yaml", "--run-id", run_id)
        assert done.code == 0, f"the twin ends with exit code {done.code}: {done.err}"
        lines = read_csv(twin.root / "runs" / run_id / "crosswalk.csv")
        return {line["new_orthanc_id"] for line in lines if line["level"] == "instance"}

    def _injure(
        self,
        job: Job,
        server: Server,
        proxy: OrthancProxy,
        moment: OrthancMoment,
        verdict: Verdict,
        others: Callable[[], None],
    ) -> None:
        counter = threading.Lock()
        seen = [0]

        def is_it(_: Request, answer: Response | None) -> bool:
            """Count on the way that the fault strikes on; the proxy asks for both."""
            if (answer is None) != fault.before:
                return False
            with counter:
                seen[0] += 1
                return moment.request <= seen[0] < moment.request + moment.times

        process: list[Running] = []
        known = threading.Event()

        def send(number: int) -> Callable[[], None]:
            def act() -> None:
                known.wait(10)
                process[0].send_signal(number)

            return act

        revive: list[threading.Thread] = []
        told: list[bool] = []
        run_id = _run_id(moment)  # the proxy has threads of its own, by which it would be another

        def cancel_it() -> None:
            told.append(cancel(job, run_id))
            time.sleep(_NOTICED_S)

        fault = self._fault(moment, server, proxy, send, revive, cancel_it, _noted(others, verdict))
        rule = proxy.add(fault, is_it, times=moment.times)
        process.append(job.start("run", "job.yaml", "--run-id", run_id))
        known.set()
        struck_at = _watch(process[0], rule)
        if moment.injury == "hang" and rule.hits:
            time.sleep(_HANG_S)
            rule.release()
        done = process[0].end()
        if rule.hits and moment.injury in _STOPS:
            verdict.stopped_s = time.monotonic() - struck_at
            verdict.problems += stopped_badly(done, server)
        verdict.problems += untrue(job, run_id, done.code)
        for thread in revive:
            thread.join()
        proxy.clear()
        if not server.running.is_running:
            server.running.start()
        verdict.struck = rule.hits > 0 and (moment.injury != CANCELLED or any(told))
        note(verdict, done.code, done.err)

    def _fault(
        self,
        moment: OrthancMoment,
        server: Server,
        proxy: OrthancProxy,
        send: Callable[[int], Callable[[], None]],
        revive: list[threading.Thread],
        cancel_it: Callable[[], None],
        go_on: Callable[[], None],
    ) -> Fault:
        """Return what happens."""

        def kill_server() -> None:
            server.running.kill()

            def start_again() -> None:
                time.sleep(_DOWN_S)
                server.running.start()
                go_on()

            thread = threading.Thread(target=start_again)
            revive.append(thread)
            thread.start()

        def refuse() -> None:
            def down() -> None:
                with proxy.down():
                    time.sleep(_DOWN_S)

            thread = threading.Thread(target=down)
            revive.append(thread)
            thread.start()

        faults: dict[str, Fault] = {
            "kill -9 flow": Run(send(signal.SIGKILL), before=moment.before),
            "Ctrl-C": Run(send(signal.SIGINT), before=moment.before),
            "SIGTERM": Run(send(signal.SIGTERM), before=moment.before),
            "kill -9 Orthanc": Run(kill_server, before=moment.before),
            "connection refused": Run(refuse, before=moment.before),
            "reset before the request": Reset(before=True),
            "reset after the request": Reset(),
            "answer cut off": Cut(),
            "502": Answer(502),
            "503 with Retry-After": Answer(503, {"Retry-After": "1"}),
            "429 with Retry-After": Answer(429, {"Retry-After": "1"}),
            "hang": Hang(),
            CANCELLED: Run(cancel_it, before=moment.before),
        }
        return faults[moment.injury]


def _watch(process: Running, rule: Rule) -> float:
    """Wait until the rule struck or the command ended; return when."""
    limit = time.monotonic() + COMMAND_S
    while process.poll() is None and not rule.hits and time.monotonic() < limit:
        time.sleep(0.01)
    return time.monotonic()


def _noted(others: Callable[[], None], verdict: Verdict) -> Callable[[], None]:
    """Return the work of others for a thread of its own: what goes wrong in it stands in the verdict."""

    def act() -> None:
        try:
            others()
        except (AssertionError, httpx.HTTPError, subprocess.TimeoutExpired) as error:
            verdict.problems.append(f"beside the run: {type(error).__name__}: {error}")

    return act


def _run_id(moment: OrthancMoment) -> str:
    """Return a name that no other moment's run has, by which Prefect finds it."""
    return f"{RUN_ID}-{moment.seed}-{threading.get_ident()}"
