"""What each step of a run takes of a processor for one more instance, all of it in one process and without Prefect.

    python -m benchmarks.steps                             # from 1,000 and 9,000 x 64 KiB, `verify: identifiers`
    python -m benchmarks.steps --verify full --size 512K --small 300 --large 1500

What the worker processes of a run do is done at once, and told by the function that they call (``edit_in_worker``...),
with pickling it there and back; the other steps are those of the flow's process. Of each step the least time of all
rounds counts: what else a machine does only adds to it. Other code is measured by turns with PYTHONPATH.
"""

from __future__ import annotations

import argparse
import json
import pickle
import shutil
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.generate import parse_size
from benchmarks.pipeline import prepare as write_sources
from deidflow.tasks.core.ledger.chunks import open_chunks
from deidflow.tasks.core.processes import workers as processes
from deidflow.tasks.core.processes.collector import relax_collector
from deidflow.tasks.steps.access.engines import open_work
from deidflow.tasks.steps.apply import apply_chunk
from deidflow.tasks.steps.load import load_checked
from deidflow.tasks.steps.plan import prepare
from deidflow.tasks.steps.publish import publish_reports
from deidflow.tasks.steps.run.progress import make_progress
from deidflow.tasks.steps.run.run import create_run
from deidflow.tasks.steps.verify import VERIFYING, Verification

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class Account:
    """Seconds on a processor by step, those of work apart."""

    def __init__(self) -> None:
        """Begin with none."""
        self.seconds: defaultdict[str, float] = defaultdict(float)
        self._apart = 0.0

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Count what the block takes, without the work in it."""
        started, apart = time.process_time(), self._apart
        yield
        self.seconds[name] += time.process_time() - started - (self._apart - apart)

    @contextmanager
    def work(self, name: str) -> Iterator[None]:
        """Count what the block takes as work."""
        started = time.process_time()
        yield
        taken = time.process_time() - started
        self.seconds[name] += taken
        self._apart += taken


class Pool:
    """A pool of no processes; see ``concurrent.futures.ProcessPoolExecutor``."""

    def __init__(self, account: Account, start: Callable[..., None], arguments: tuple[Any, ...]) -> None:
        """Start nothing yet."""
        self._account, self._start, self._arguments = account, start, arguments
        self._is_started = False

    def submit(self, function: Callable[[Any], Any], work: Any) -> Future[Any]:
        """Do it at once, as if it travelled."""
        sent = pickle.dumps((function, work))
        called = getattr(function, "func", function)  # of a partial one
        with self._account.work(called.__name__):
            function, work = pickle.loads(sent)  # noqa: S301 (our own)
            if not self._is_started:
                self._is_started = True
                self._start(*self._arguments)
            answer = pickle.dumps(function(work))
        future: Future[Any] = Future()
        future.set_result(pickle.loads(answer))  # noqa: S301 (likewise)
        return future


def measure(folder: Path, verify: str) -> dict[str, float]:
    """Run the job in a folder of ``benchmarks.pipeline.prepare``; return the seconds of each step."""
    relax_collector()
    account = Account()
    patched: Any = processes
    patched.make_pool = lambda _, start, *arguments: Pool(account, start, arguments)
    patched.stop_pool = lambda *_: None
    patched.prepare_process = lambda: None  # it would end this one with its parent
    with make_progress(quiet=True) as progress:
        with account.step("config"):
            config = load_checked(folder / "benchmark.yaml", (f"verify={verify}",), manifest=None, runs_dir=None)
        with account.step("plan"):
            planned = prepare(config, progress)
        with account.step("store"):
            run = create_run(planned.ledger, config, planned.key, folder / "run", planned.new_key_text)
        with open_work(run) as work:
            with account.step("apply"):
                for number in open_chunks(run.ledger):
                    apply_chunk(run, number, work.engine, progress)
            if verify != "none":
                with account.step("verify"):
                    verification = Verification(run, work.workers, progress, full=verify == "full")
                    verification.edits_are_done()
                    progress.start(VERIFYING, verification.count())
                    verification.verify()
        with account.step("report"):
            totals = publish_reports(run, progress)
        run.close()
    if not totals.reconciled:
        raise SystemExit(f"the run is not reconciled: {totals.verdict}")
    return dict(account.seconds)


def main() -> None:
    """Measure two sizes by turns, each in a process of its own, and print what one more instance takes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--small", type=int, default=1000)
    parser.add_argument("--large", type=int, default=9000)
    parser.add_argument("--size", type=parse_size, default=parse_size("64K"))
    parser.add_argument("--kind", default="ct")
    parser.add_argument("--verify", default="identifiers", choices=("full", "identifiers", "none"))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--one", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one is not None:
        print(json.dumps(measure(arguments.one, arguments.verify)))
        return
    arguments.workers = 2
    least: dict[int, dict[str, float]] = {}
    with tempfile.TemporaryDirectory(dir="/dev/shm") as name:
        for count in (arguments.small, arguments.large):
            write_sources(Path(name) / str(count), count, arguments.size, arguments)
        for count in (arguments.small, arguments.large) * arguments.rounds:
            folder = Path(name) / str(count)
            for made in ("results", "run"):
                shutil.rmtree(folder / made, ignore_errors=True)
            command = [sys.executable, "-m", "benchmarks.steps", "--one", str(folder), "--verify", arguments.verify]
            steps = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
            before = least.setdefault(count, steps)
            least[count] = {step: min(seconds, before[step]) for step, seconds in steps.items()}
    total = 0.0
    for step, seconds in least[arguments.large].items():
        one = (seconds - least[arguments.small].get(step, 0.0)) / (arguments.large - arguments.small)
        total += one
        print(f"{step:24}{one * 1e6:8.1f} us")
    print(f"{'all':24}{total * 1e6:8.1f} us")


if __name__ == "__main__":
    main()
