"""What the whole of `deidflow run` costs per instance, beside what its engine and its index cost.

    python -m benchmarks.pipeline                          # 5,000 and 50,000 x 64 KiB, two workers
    python -m benchmarks.pipeline --small 1000 --large 5000
    python -m benchmarks.pipeline --json

Each run is the real command on new files; from two sizes follows what one more instance costs, without the start of
Python, Prefect and the worker processes. In the same rounds: the engine and the index of the larger folder with as many
workers. Peak memory is that of the largest process of a run, which is the flow's. In the end `plan`, `report` and
`verify` of the larger run.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks.engine import KEY, SCOPE, plan_of, run_engine
from benchmarks.generate import Shape, generate, parse_size
from deidflow.tasks.local.engine import LocalEngine
from deidflow.tasks.local.folder.source import FolderSource
from deidflow.tasks.local.folder.store import FolderStore
from deidflow.tasks.local.worker import WorkerSettings
from deidflow.tasks.steps.access.sources import read_source
from deidflow.tasks.steps.run.progress import Progress

CONFIG = """\
name: benchmark
manifest: manifest.csv
operation: anonymize
engine: local
source: {{folder: source}}
destination: {{folder: results}}
options: {{DicomVersion: "2023b"}}
verify: {verify}
execution: {{workers: {workers}}}
"""

_FREE_S = 8.0
"""How long the memory of the last results is free before a run writes again: while Prefect starts and the plan is made.
A virtual machine may give it back to its host meanwhile, and getting it again made writing a third slower here."""


@dataclass
class Run:
    """One run of the command."""

    seconds: float
    peak_bytes: int
    steps: dict[str, float]


def command(folder: Path, *arguments: str) -> tuple[float, int]:
    """Run deidflow; return its seconds and the peak memory of its largest process."""
    started = time.perf_counter()
    child = os.posix_spawn(
        sys.executable,
        [sys.executable, "-m", "deidflow.flows", *arguments],
        os.environ,
        file_actions=[
            (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0),
            (os.POSIX_SPAWN_OPEN, 2, str(folder / "log"), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600),
        ],
    )
    _, status, usage = os.wait4(child, 0)
    if status:
        raise SystemExit(f"deidflow {arguments[0]} failed:\n{(folder / 'log').read_text('utf-8')[-2000:]}")
    return time.perf_counter() - started, usage.ru_maxrss * 1024


def run_pipeline(folder: Path, name: str) -> Run:
    """Run the whole job into an empty destination."""
    shutil.rmtree(folder / "results", ignore_errors=True)
    seconds, peak = command(folder, "run", str(folder / "benchmark.yaml"), "--run-id", name)
    run_dir = folder / "runs" / name
    summary = json.loads((run_dir / "summary.json").read_text("utf-8"))
    if not summary["reconciled"]:
        raise SystemExit(f"{name} is not reconciled: {summary['instances']}")
    return Run(seconds, peak, summary["seconds_by_step"])


def other_commands(folder: Path, name: str) -> dict[str, str]:
    """Return what the other commands on a finished run took."""
    run_dir = str(folder / "runs" / name)
    taken = {}
    for arguments in (("plan", str(folder / "benchmark.yaml")), ("report", run_dir), ("verify", run_dir)):
        seconds, peak = command(folder, *arguments)
        taken[arguments[0]] = f"{seconds:.1f} s, {peak / 1e6:.0f} MB"
    return taken


def prepare(folder: Path, count: int, size: int, verify: str, workers: int) -> None:
    """Write sources, manifest and config."""
    folder.mkdir()
    generate(folder / "source", count, size, shape=Shape(patients=max(10, count // 500)))
    command(folder, "inventory", str(folder / "source"), "-o", str(folder / "manifest.csv"))
    (folder / "benchmark.yaml").write_text(CONFIG.format(verify=verify, workers=workers), "utf-8")


class EngineAndIndex:
    """The engine and the index by themselves, for the sources of a folder."""

    def __init__(self, folder: Path, workers: int) -> None:
        """Plan, and start the engine's processes."""
        self.engine_seconds: list[float] = []
        self.index_seconds: list[float] = []
        self._folder, self._workers = folder, workers
        self._chunk = plan_of(folder / "source")
        source, store = FolderSource(os.fsencode(folder / "source")), FolderStore(str(folder / "results"))
        self._engine = LocalEngine(WorkerSettings(source, store, KEY, SCOPE, hardening=True), workers)
        run_engine(self._engine, self._chunk, folder / "results")

    def close(self) -> None:
        """End the processes."""
        self._engine.close()

    def run(self) -> None:
        """Measure both once, the engine under the conditions of a run."""
        shutil.rmtree(self._folder / "results", ignore_errors=True)
        time.sleep(_FREE_S)
        self.engine_seconds.append(run_engine(self._engine, self._chunk, self._folder / "results"))
        started = time.perf_counter()
        for _entry in read_source(str(self._folder / "source"), self._workers, Progress()):
            pass
        self.index_seconds.append(time.perf_counter() - started)


def main() -> None:
    """Print what one more instance costs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--small", type=int, default=5000, help="instances of the smaller run (default: 5000)")
    parser.add_argument("--large", type=int, default=50_000, help="instances of the larger run (default: 50000)")
    parser.add_argument("--size", default="64K", help="of each instance (default: 64K)")
    parser.add_argument("--workers", type=int, default=2, help="(default: 2)")
    parser.add_argument("--verify", default="identifiers", choices=["identifiers", "full", "none"])
    parser.add_argument("--rounds", type=int, default=3, help="(default: 3)")
    parser.add_argument("--folder", type=Path, default=Path("/dev/shm"), help="(default: in memory)")  # noqa: S108
    parser.add_argument("--json", action="store_true", help="print JSON only")
    arguments = parser.parse_args()
    size = parse_size(arguments.size)
    with tempfile.TemporaryDirectory(dir=arguments.folder) as scratch:
        folders = {count: Path(scratch) / str(count) for count in (arguments.small, arguments.large)}
        for count, folder in folders.items():
            prepare(folder, count, size, arguments.verify, arguments.workers)
        runs: dict[int, list[Run]] = {count: [] for count in folders}
        with contextlib.closing(EngineAndIndex(folders[arguments.large], arguments.workers)) as alone:
            for number in range(arguments.rounds):
                alone.run()
                for count, folder in folders.items():
                    shutil.rmtree(folder / "runs", ignore_errors=True)
                    runs[count].append(run_pipeline(folder, f"round{number}"))
        others = other_commands(folders[arguments.large], f"round{arguments.rounds - 1}")
    engine, index = statistics.median(alone.engine_seconds), statistics.median(alone.index_seconds)
    seconds = {count: statistics.median(run.seconds for run in found) for count, found in runs.items()}
    marginal = (seconds[arguments.large] - seconds[arguments.small]) / (arguments.large - arguments.small)
    base = (engine + index) / arguments.large
    result = {
        "size": arguments.size,
        "workers": arguments.workers,
        "verify": arguments.verify,
        "seconds": {str(count): round(value, 2) for count, value in seconds.items()},
        "marginal ms per instance": round(1000 * marginal, 4),
        "engine ms per instance": round(1000 * engine / arguments.large, 4),
        "index ms per instance": round(1000 * index / arguments.large, 4),
        "x engine plus index": round(marginal / base, 2),
        "peak MB": {str(count): round(max(run.peak_bytes for run in found) / 1e6) for count, found in runs.items()},
        "of the larger run": others,
        "steps": {str(count): found[-1].steps for count, found in runs.items()},
    }
    if arguments.json:
        print(json.dumps(result, indent=2))
        return
    for name, value in result.items():
        print(f"{name:<26} {value}")


if __name__ == "__main__":
    main()
