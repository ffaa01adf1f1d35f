"""How much faster two workers of a Dask cluster are than one: reading headers, editing, verifying.

    python -m benchmarks.cluster                        # 3,000 x 512 KiB, three rounds by turns
    python -m benchmarks.cluster --count 20000 --size 64K

A scheduler and its workers on this machine, each a process with one thread. The rates are those that the commands
print for each step: `run` with `verify: none` for headers and edits, `verify` for the rest. The flow, the scheduler and
the workers share the cores, so on a machine with two of them the flow's own work is missing from twice.

Public names: ``Cluster``.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from benchmarks.generate import Shape, generate, parse_size

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

_START_S: Final = 60
_STEPS: Final = ("reading headers", "editing", "verifying")


class Cluster:
    """A scheduler with workers, each a process with a log of its own."""

    def __init__(
        self, folder: Path, environment: dict[str, str] | None = None, *, workers: int = 2, hidden: Path | None = None
    ) -> None:
        """Start a scheduler on a free port, and workers.

        Args:
            folder: For logs, not there yet.
            workers: How many.
            environment: Of the processes, that of this one by default.
            hidden: A folder that looks empty to the second worker.

        """
        folder.mkdir()
        self._folder = folder
        self._environment = environment
        self._hidden = hidden
        self.processes: list[subprocess.Popen[bytes]] = []
        self._start("scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard")
        self.address = self._find("scheduler", r"(tcp://127\.0\.0\.1:\d+)")
        for number in range(1, workers + 1):
            self.start_worker(f"worker-{number}")

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End all."""
        self.stop()

    def start_worker(self, name: str) -> subprocess.Popen[bytes]:
        """Start a worker, and wait until the scheduler knows it."""
        self._start(name, self.address, "--nworkers", "1", "--nthreads", "1", "--no-nanny", "--no-dashboard")
        self._find(name, r"(Registered to)")
        return self.processes[-1]

    def _start(self, name: str, *arguments: str) -> None:
        command = [sys.executable, "-m", "dask", name.partition("-")[0], *arguments]
        if self._hidden is not None and name == "worker-2":
            (self._folder / "empty").mkdir()
            script = 'mount --bind "$0" "$1" && shift && exec "$@"'
            there = [str(self._folder / "empty"), str(self._hidden)]
            command = ["unshare", "--mount", "sh", "-c", script, *there, *command]
        with (self._folder / f"{name}.log").open("wb") as log:
            process = subprocess.Popen(command, stdout=log, stderr=log, cwd=self._folder, env=self._environment)
        self.processes.append(process)

    def _find(self, name: str, pattern: str) -> str:
        deadline = time.monotonic() + _START_S
        while time.monotonic() < deadline:
            found = re.search(pattern, self.log(name))
            if found:
                return found[1]
            time.sleep(0.1)
        raise RuntimeError(self.log(name))

    def log(self, name: str) -> str:
        """Return what a process has said."""
        return (self._folder / f"{name}.log").read_text("utf-8", "replace")

    def stop(self) -> None:
        """End all that still runs."""
        for process in reversed(self.processes):
            process.kill()
            process.wait()


def _rates(folder: Path, *arguments: str) -> dict[str, float]:
    """Run a command; return the instances or files per second of each step that it tells of."""
    done = subprocess.run(
        [sys.executable, "-m", "deidflow.flows", *arguments], cwd=folder, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(f"deidflow {arguments[0]} failed:\n{done.stderr[-2000:]}")
    found = re.findall(rf"({'|'.join(_STEPS)}): [\d /]+, ([\d,]+)/s", done.stderr)
    return {step: float(rate.replace(",", "")) for step, rate in found}


def _round(folder: Path, workers: int, number: int) -> dict[str, float]:
    logs = folder / f"cluster-{workers}-{number}"
    shutil.rmtree(folder / "results", ignore_errors=True)
    with Cluster(logs, workers=workers) as cluster:
        runner = ("--set", "execution.runner=dask", "--set", f"execution.dask_address={cluster.address}")
        run = f"run-{workers}-{number}"
        rates = _rates(folder, "run", "benchmark.yaml", "--run-id", run, "--set", "verify=none", *runner)
        return rates | _rates(folder, "verify", f"runs/{run}")


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=3000, help="instances (default: 3000)")
    parser.add_argument("--size", type=parse_size, default=parse_size("512K"), help="of each (default: 512K)")
    parser.add_argument("--rounds", type=int, default=3, help="(default: 3)")
    parser.add_argument("--folder", default="/dev/shm", help="(default: in memory)")  # noqa: S108 (private below it)
    arguments = parser.parse_args()
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    with tempfile.TemporaryDirectory(dir=arguments.folder) as name:
        folder = Path(name)
        generate(folder / "source", arguments.count, arguments.size, shape=Shape(patients=20))
        config = {
            "name": "benchmark",
            "operation": "anonymize",
            "engine": "local",
            "manifest": "manifest.csv",
            "source": {"folder": "source"},
            "destination": {"folder": "results"},
            "options": {"DicomVersion": "2023b"},
            "report": {"runs_dir": "runs"},
            "pseudonyms": {"key_file": "key"},
        }
        (folder / "key").write_text(bytes(range(32)).hex(), "ascii")
        (folder / "key").chmod(0o600)
        (folder / "benchmark.yaml").write_text(json.dumps(config), "utf-8")
        _rates(folder, "inventory", "source", "-o", "manifest.csv")
        found: dict[int, list[dict[str, float]]] = {1: [], 2: []}
        for number in range(arguments.rounds):
            for workers, rates in found.items():
                rates.append(_round(folder, workers, number))
                print(f"round {number}, {workers} worker(s):", json.dumps(rates[-1]), file=sys.stderr)
    print(f"{'per second':18}{'one worker':>12}{'two':>10}{'ratio':>8}")
    for step in _STEPS:
        one, two = (statistics.median(rates[step] for rates in found[workers]) for workers in (1, 2))
        print(f"{step:18}{one:12,.0f}{two:10,.0f}{two / one:8.2f}")


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    main()
