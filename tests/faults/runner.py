"""Injure a run of the real command, resume it until it ends, and compare it with an undisturbed one.

Public names: ``Runner``, ``Victim``.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

from tests.conftest import start_prefect_server
from tests.faults.command import CANCELLED, UNKIND, Verdict, again, cancel, kept, remove_but, untrue
from tests.faults.injector import Injector, Profile, library
from tests.faults.local import EDITED_SOURCE_CHANGES, SHAPES, SOURCE_CHANGES, Moment, Shape, draw, draw_stop
from tests.faults.state import State, difference, difference_but_one, state_of
from tests.jobs import COMMAND_S, Finished, Job, Running, stop_limit_s
from tests.memory import IN_MEMORY
from tests.zygote import Zygote

if TYPE_CHECKING:
    from collections.abc import Collection

RUN_ID: Final = "run"
_MAX_RESUMES: Final = 6
_SECOND_SIGNAL_S: Final = 0.3
_KILLED: Final = -signal.SIGKILL
_ENDED: Final = (0, 1)
_OF_THE_SOURCE: Final = ("source", "times of the source")


@dataclass
class Calm:
    """An undisturbed run.

    Attributes:
        folder: With source, config and manifest, to be copied.
        state: What it left.
        code: How it ended.
        seconds: How long it took.
        profile: Its calls.

    """

    folder: Path
    state: State
    code: int
    seconds: float
    profile: Profile


class Victim:
    """A Prefect server that may be killed; one moment at a time has it."""

    def __init__(self, home: Path) -> None:
        """Start it when it is needed."""
        self._home = home
        self.lock = threading.Lock()
        self.process = 0
        self._port = 0

    def start(self) -> dict[str, str]:
        """Start it, unless it runs; return the environment of its clients."""
        if not self.process:
            self._home.mkdir(exist_ok=True)
            process, port = start_prefect_server(self._home, self._port).split()
            self.process, self._port = int(process), int(port)
        return {"PREFECT_HOME": str(self._home), "PREFECT_API_URL": f"http://127.0.0.1:{self._port}/api"}

    def kill(self) -> None:
        """End it."""
        if self.process:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.process, signal.SIGKILL)
        self.process = 0


class Runner:
    """Runs moments; several threads may call ``run`` at a time. A context manager."""

    def __init__(self, environment: dict[str, str], shapes: tuple[Shape, ...] = tuple(SHAPES)) -> None:
        """Take the environment of a client of a Prefect server, and the kinds of jobs to have."""
        self._shapes = shapes
        self._environment = environment
        self._root = Path(tempfile.mkdtemp(prefix="deidflow-faults-", dir=IN_MEMORY))
        self._lock = threading.Lock()
        self._calm: dict[Shape, Calm] = {}
        self._kept: set[Path] = set()
        self.victim = Victim(self._root / "prefect-victim")
        self._zygote = Zygote(environment | {"LD_PRELOAD": str(library())})

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Remove everything but the folders of moments that were not equal."""
        self.victim.kill()
        self._zygote.__exit__()
        remove_but(self._root, self._kept)

    def profiles(self) -> dict[Shape, Profile]:
        """Return the calls of undisturbed runs."""
        return {shape: self.calm(shape).profile for shape in self._shapes}

    def calm(self, shape: Shape) -> Calm:
        """Return the undisturbed run of a shape."""
        with self._lock:
            if shape not in self._calm:
                self._calm[shape] = self._run_calm(shape)
            return self._calm[shape]

    def _run_calm(self, shape: Shape) -> Calm:
        made = self._root / f"{shape}-made"
        made.mkdir()
        SHAPES[shape](Job(made, self._environment, self._zygote))
        job = self._job(made, f"{shape}-calm")
        with Injector(job.root, job.root) as counter:
            started = time.monotonic()
            done = job.start("run", "job.yaml", "--run-id", RUN_ID, variables=counter.environment, alone=True).end()
            seconds = time.monotonic() - started
            profile = counter.profile
        assert done.code in _ENDED, done.err
        # A run that did not reconcile is resumed after an injury, so this one is, too.
        assert done.code == job("resume", job.root / "runs" / RUN_ID).code
        return Calm(made, state_of(job, RUN_ID), done.code, seconds, profile)

    def _job(self, made: Path, name: str) -> Job:
        root = self._root / name
        shutil.copytree(made, root)
        (root / "tmp").mkdir()
        temporary = {"TMPDIR": str(root / "tmp"), "SQLITE_TMPDIR": str(root / "tmp")}
        return Job(root, self._environment | temporary, self._zygote)

    def draw(self, seed: int, only: Collection[str] = ()) -> Moment:
        """Return the moment of a seed."""
        return draw(seed, self.profiles(), only)

    def draw_stop(self, seed: int) -> Moment:
        """Return a moment at which a run that works is stopped."""
        return draw_stop(seed, self.profiles())

    def run(self, moment: Moment) -> Verdict:
        """Injure a run, finish it, compare it."""
        calm = self.calm(moment.shape)
        job = self._job(calm.folder, f"moment-{moment.seed}-{threading.get_ident()}")
        verdict = Verdict(moment)
        try:
            if moment.injury == "kill -9 Prefect server":
                with self.victim.lock:
                    job.environment |= self.victim.start()
                    self._injure_prefect(job, moment, verdict)
            else:
                self._injure(job, moment, calm, verdict)
            self._finish(job, moment, calm, verdict)
        except (AssertionError, OSError, subprocess.TimeoutExpired) as error:
            verdict.problems.append(f"{type(error).__name__}: {error}")
        if not verdict.problems:
            shutil.rmtree(job.root)
        else:
            self._kept |= kept(job.root, verdict)
        return verdict

    def _injure_prefect(self, job: Job, moment: Moment, verdict: Verdict) -> None:
        assert moment.harm is not None
        harm = replace(moment.harm, other=self.victim.process)
        with Injector(job.root, job.root, harm) as injector:
            done = job.start("run", "job.yaml", "--run-id", _run_id(moment), variables=injector.environment).end()
            verdict.struck = injector.struck > 0
        self._note(verdict, done)
        if verdict.struck:
            # Nobody is there: that is said, and nothing is lost by it.
            self.victim.process = 0
            self._note(verdict, job(*again(job, _run_id(moment))))
            self.victim.start()

    def _injure(self, job: Job, moment: Moment, calm: Calm, verdict: Verdict) -> None:
        harm, told = moment.harm, True
        with Injector(job.root, job.root, harm) as injector:
            process = job.start(
                "run", "job.yaml", "--run-id", _run_id(moment), variables=injector.environment, alone=harm is None
            )
            if harm is None:
                time.sleep(calm.seconds * moment.seconds)
                verdict.struck = process.poll() is None
                sent = time.monotonic()
                process.send_signal(signal.SIGKILL if "kill" in moment.injury else _signal_of(moment))
            else:
                sent = _watch(process, injector)
                if moment.injury.startswith("source file") and injector.struck:
                    _change_source(job, moment)
                    process.send_signal(signal.SIGCONT)
                elif moment.injury == CANCELLED and injector.struck:
                    told = cancel(job, _run_id(moment))
                    process.send_signal(signal.SIGCONT)
                elif moment.signals > 1 and injector.struck:
                    time.sleep(_SECOND_SIGNAL_S)
                    process.send_signal(signal.SIGINT)
            done = process.end()
            stopped_s = time.monotonic() - sent
            limit_s = stop_limit_s()
            verdict.early = not done.err  # Python itself was still starting
            if harm is not None:
                verdict.struck = injector.struck > 0 and told
        self._note(verdict, done)
        if verdict.struck and ("SIGTERM" in moment.injury or "Ctrl-C" in moment.injury):
            verdict.stopped_s = stopped_s
            if done.code not in (130, calm.code) and not _too_early(verdict, done):
                verdict.problems.append(f"exit code {done.code} after a signal: {done.err[-300:]}")
            if done.code == 130 and moment.signals == 1 and "interrupted" not in done.err:
                verdict.problems.append(f"does not say how to go on: {done.err[-300:]}")
            if stopped_s > limit_s:
                verdict.problems.append(f"took {stopped_s:.1f} s to stop, more than {limit_s:.1f} s")
        if verdict.struck and moment.injury == CANCELLED and done.code not in (130, calm.code):
            verdict.problems.append(f"exit code {done.code} when cancelled: {done.err[-300:]}")
        verdict.problems += untrue(job, _run_id(moment), done.code)
        if moment.again is not None:
            with Injector(job.root, job.root, moment.again) as injector:
                self._note(verdict, job.start(*again(job, _run_id(moment)), variables=injector.environment).end())

    def _finish(self, job: Job, moment: Moment, calm: Calm, verdict: Verdict) -> None:
        """Resume undisturbed until it ends, twice at least if it is not all done."""
        expected, code = calm.state, calm.code
        if moment.injury == EDITED_SOURCE_CHANGES and verdict.codes[0] == calm.code:
            state = state_of(job, _run_id(moment))
            expected = expected | {name: state[name] for name in _OF_THE_SOURCE}
            # Else the result was verified before: its chunk was not the last one.
            verdict.struck = bool(difference(expected, state))
        if verdict.struck and moment.injury in (SOURCE_CHANGES, EDITED_SOURCE_CHANGES):
            verdict.problems += _not_told(job, moment, calm, verdict.codes[0])
            expected = self._as_it_is_now(job, moment, calm)
        elif verdict.struck and moment.injury.startswith("source file"):
            code = 1
        done = Finished(-1, "", "")
        for _ in range(_MAX_RESUMES):
            done = job(*again(job, _run_id(moment)))
            self._note(verdict, done)
            if done.code in _ENDED:
                break
        if done.code != code:
            verdict.problems.append(
                f"ends with exit code {done.code} instead of {code}: {done.out[-300:]} {done.err[-300:]}"
            )
            return
        state = state_of(job, _run_id(moment))
        if code != calm.code:
            verdict.problems += difference_but_one(expected, state)
        else:
            if moment.injury.endswith(", source"):
                expected, state = _without_chunks(expected), _without_chunks(state)
            verdict.problems += difference(expected, state)

    def _as_it_is_now(self, job: Job, moment: Moment, calm: Calm) -> State:
        """Return what an undisturbed run makes of the source as a job has it now."""
        fresh = self._job(calm.folder, f"{job.root.name}-fresh")
        shutil.rmtree(fresh.source)
        shutil.copytree(job.source, fresh.source)
        done = fresh("run", "job.yaml", "--run-id", _run_id(moment))
        assert done.code == calm.code, done.err
        state = state_of(fresh, _run_id(moment))
        shutil.rmtree(fresh.root)
        return state

    def _note(self, verdict: Verdict, done: Finished) -> None:
        verdict.codes.append(done.code)
        said = done.err + done.out
        verdict.problems += [f"says {text!r}: {done.err[-3000:]}" for text in UNKIND if text in said]
        if done.code not in (_KILLED, 0, 1, 2, 3, 130) and not _too_early(verdict, done):
            verdict.problems.append(f"exit code {done.code}: {done.err[-600:]}")


def _not_told(job: Job, moment: Moment, calm: Calm, code: int) -> list[str]:
    """Name what a run does not say, whose source changed before or after that was edited."""
    found = [] if code == 1 else [f"exit code {code}, though a source changed"]
    state = state_of(job, _run_id(moment))
    if moment.injury == SOURCE_CHANGES:
        return found + difference_but_one(calm.state, state)
    verified = state["summary.json"]["verified"]
    return found if verified["not_verified"] == 1 else [*found, f"one result cannot be verified: {verified}"]


def _run_id(moment: Moment) -> str:
    """Return the name of a moment's run; one that is to be cancelled is found by it among those of other moments."""
    return f"{RUN_ID}-{moment.seed}-{threading.get_ident()}" if moment.injury == CANCELLED else RUN_ID


def _too_early(verdict: Verdict, done: Finished) -> bool:
    """Whether a signal came before the command was there to hear it."""
    return verdict.early and done.code in (-signal.SIGINT, -signal.SIGTERM)


def _without_chunks(state: State) -> State:
    """Drop the numbers of chunks: a row whose only file could not be read is found later, in a chunk of its own."""
    rows = [row | {"chunk": ""} for row in state["reconciliation.csv"]]
    return state | {"reconciliation.csv": rows, "summary.json": state["summary.json"] | {"chunks": 0}}


def _signal_of(moment: Moment) -> signal.Signals:
    return signal.SIGTERM if "SIGTERM" in moment.injury else signal.SIGINT


def _watch(process: Running, injector: Injector) -> float:
    """Wait until the harm struck or the command ended; return when."""
    end = time.monotonic() + COMMAND_S
    while process.poll() is None and not injector.struck and time.monotonic() < end:
        time.sleep(0.01)
    return time.monotonic()


def _change_source(job: Job, moment: Moment) -> None:
    files = sorted(path for path in job.source.rglob("*") if path.is_file())
    victim = files[int(moment.file * len(files))]
    if "vanishes" in moment.injury:
        victim.unlink()
        return
    data = bytearray(victim.read_bytes())
    data[-1] ^= 1
    victim.write_bytes(bytes(data))
