"""What the whole of `deidflow run` costs per instance, beside what its engine and its index cost.

    python -m benchmarks.pipeline                          # 5,000 and 50,000 x 64 KiB, two workers
    python -m benchmarks.pipeline --small 1000 --large 5000
    python -m benchmarks.pipeline --instances 1000000      # beside a tenth of them, 4 KiB each, verified, one round
    python -m benchmarks.pipeline --json

Each run is the real command on new files, by turns with `verify: none` and `verify: full`; from two sizes follows what
one more instance costs, without the start of Python, Prefect and the worker processes; also the time of all processes
on a processor, which says more on a machine that does other work, and how many cores that work took meanwhile: where it
took any, seconds by the clock say little. In the same rounds: the engine
and the index of the larger folder with as many workers. Peak memory is that of the largest process of a run, which is
the flow's. In the end `plan`, `report` and `verify` of the larger run; the last beside what the engine took.
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
from typing import NamedTuple

from benchmarks.engine import KEY, SCOPE, plan_of, run_engine
from benchmarks.generate import Shape, generate, parse_size
from deidflow.tasks.core.processes.workers import LocalWorkers, Role
from deidflow.tasks.local.engine import LocalEngine
from deidflow.tasks.local.folder.source import FolderSource
from deidflow.tasks.local.folder.store import FolderStore
from deidflow.tasks.local.worker import WorkerSettings, start_worker
from deidflow.tasks.steps.access.folder_contents import read_source
from deidflow.tasks.steps.run.progress import Progress

CONFIG = """\
name: benchmark
manifest: manifest.csv
operation: anonymize
engine: local
source: {{folder: source}}
destination: {{folder: results}}
options: {{DicomVersion: "2023b"}}
pseudonyms: {{key_file: pseudonym.key}}
execution: {{workers: {workers}}}
"""

_FREE_S = 8.0
"""How long the memory of the last results is free before a run writes again: while Prefect starts and the plan is made.
A virtual machine may give it back to its host meanwhile, and getting it again made writing a third slower here."""


class Used(NamedTuple):
    """What one command took.

    Attributes:
        seconds: By the clock.
        cpu_seconds: Of all its processes on a processor.
        peak_bytes: Memory of its largest process.
        others_cores: How many cores everything else on the machine used meanwhile.

    """

    seconds: float
    cpu_seconds: float
    peak_bytes: int
    others_cores: float

    def __str__(self) -> str:
        """Return it for people."""
        told = f"{self.seconds:.1f} s, {self.cpu_seconds:.1f} s on a processor, {self.peak_bytes / 1e6:.0f} MB"
        return f"{told} (beside {self.others_cores:.1f} cores of others)"


@dataclass
class Run:
    """One run of the whole job."""

    used: Used
    steps: dict[str, float]


Runs = dict[tuple[str, int], list[Run]]
"""By what verified, and how many instances."""


class Alone(NamedTuple):
    """Seconds that engine, index and `deidflow verify` took for the larger folder, by themselves."""

    engine_s: float
    index_s: float
    verify_s: float


def busy_seconds() -> float:
    """Return how long all cores of the machine have worked since it started (Linux: proc_stat(5))."""
    user, nice, system, _idle, _waiting, irq, soft, stolen = map(
        int, Path("/proc/stat").read_text("ascii").split("\n", 1)[0].split()[1:9]
    )
    return (user + nice + system + irq + soft + stolen) / os.sysconf("SC_CLK_TCK")


def command(folder: Path, *arguments: str) -> Used:
    """Run deidflow."""
    busy = busy_seconds()
    child = os.posix_spawn(
        sys.executable,
        [sys.executable, "-m", "benchmarks.accounted", str(folder / "used"), *arguments],
        os.environ,
        file_actions=[
            (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0),
            (os.POSIX_SPAWN_OPEN, 2, str(folder / "log"), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600),
        ],
    )
    _, status = os.waitpid(child, 0)
    if status:
        raise SystemExit(f"deidflow {arguments[0]} failed:\n{(folder / 'log').read_text('utf-8')[-2000:]}")
    others = busy_seconds() - busy
    seconds, used, peak = (folder / "used").read_text("ascii").split()
    return Used(float(seconds), float(used), int(peak), max(0.0, others - float(used)) / float(seconds))


def run_pipeline(folder: Path, name: str, verify: str) -> Run:
    """Run the whole job into an empty destination."""
    shutil.rmtree(folder / "results", ignore_errors=True)
    used = command(folder, "run", str(folder / "benchmark.yaml"), "--run-id", name, "--set", f"verify={verify}")
    run_dir = folder / "runs" / name
    summary = json.loads((run_dir / "summary.json").read_text("utf-8"))
    if not summary["reconciled"]:
        raise SystemExit(f"{name} is not reconciled: {summary['instances']}")
    return Run(used, summary["seconds_by_step"])


def other_commands(folder: Path, name: str) -> tuple[dict[str, str], float]:
    """Return what the other commands on a finished run took, and the seconds of the last, `verify`."""
    run_dir = str(folder / "runs" / name)
    taken, seconds = {}, 0.0
    for arguments in (("plan", str(folder / "benchmark.yaml")), ("report", run_dir), ("verify", run_dir)):
        used = command(folder, *arguments)
        taken[arguments[0]], seconds = str(used), used.seconds
    return taken, seconds


def prepare(folder: Path, count: int, size: int, arguments: argparse.Namespace) -> None:
    """Write sources, manifest and config."""
    folder.mkdir()
    generate(folder / "source", count, size, kind=arguments.kind, shape=Shape(patients=max(10, count // 500)))
    command(folder, "inventory", str(folder / "source"), "-o", str(folder / "manifest.csv"))
    key = folder / "pseudonym.key"
    key.touch(0o600)
    key.write_text(f"{bytes(range(32)).hex()}\n", "ascii")
    (folder / "benchmark.yaml").write_text(CONFIG.format(workers=arguments.workers), "utf-8")


class EngineAndIndex:
    """The engine and the index by themselves, for the sources of a folder."""

    def __init__(self, folder: Path, workers: int) -> None:
        """Plan, and start the engine's processes."""
        self.engine_seconds: list[float] = []
        self.index_seconds: list[float] = []
        self._folder, self._workers = folder, workers
        self._chunk = plan_of(folder / "source")
        source, store = FolderSource(os.fsencode(folder / "source")), FolderStore(str(folder / "results"))
        settings = WorkerSettings(source, store, KEY, SCOPE, hardening=True)
        self._pool = LocalWorkers(workers, [Role(start_worker, settings)])
        self._engine = LocalEngine(self._pool)
        run_engine(self._engine, self._chunk, folder / "results")

    def close(self) -> None:
        """End the processes."""
        self._pool.close()

    def run(self) -> None:
        """Measure both once, the engine under the conditions of a run."""
        shutil.rmtree(self._folder / "results", ignore_errors=True)
        time.sleep(_FREE_S)
        self.engine_seconds.append(run_engine(self._engine, self._chunk, self._folder / "results"))
        started = time.perf_counter()
        with LocalWorkers(self._workers, ()) as readers:
            for _entry in read_source(str(self._folder / "source"), readers, Progress()):
                pass
        self.index_seconds.append(time.perf_counter() - started)


def measure(arguments: argparse.Namespace, size: int) -> tuple[Runs, Alone, dict[str, str]]:
    """Run everything; return the runs by what verified and how many instances, engine and index, and other commands."""
    with tempfile.TemporaryDirectory(dir=arguments.folder) as scratch:
        folders = {count: Path(scratch) / str(count) for count in (arguments.small, arguments.large)}
        for count, folder in folders.items():
            prepare(folder, count, size, arguments)
        runs: Runs = {(how, count): [] for how in arguments.verify for count in folders}
        with contextlib.closing(EngineAndIndex(folders[arguments.large], arguments.workers)) as alone:
            for number in range(arguments.rounds):
                alone.run()
                # Not counted: meanwhile the machine has taken back what commands hold in memory, a quarter of a second.
                how, count = next(iter(runs))
                shutil.rmtree(folders[count] / "runs", ignore_errors=True)
                run_pipeline(folders[count], "first", how)
                for (how, count), found in runs.items():
                    shutil.rmtree(folders[count] / "runs", ignore_errors=True)
                    found.append(run_pipeline(folders[count], f"round{number}", how))
                    told = f"round {number}, verify: {how}, {count} instances: {found[-1].used}"
                    print(told, file=sys.stderr, flush=True)
        others, verify_s = other_commands(folders[arguments.large], f"round{arguments.rounds - 1}")
    engine_s, index_s = statistics.median(alone.engine_seconds), statistics.median(alone.index_seconds)
    return runs, Alone(engine_s, index_s, verify_s), others


def of_one(how: str, runs: Runs, counts: tuple[int, int]) -> tuple[float, float, dict[str, object]]:
    """Return what one more instance costs, by the clock and on a processor, in seconds, and all that is told of it."""
    small, large = counts
    found = {count: runs[how, count] for count in counts}
    seconds = {count: statistics.median(run.used.seconds for run in found[count]) for count in counts}
    used = {count: statistics.median(run.used.cpu_seconds for run in found[count]) for count in counts}
    marginal = (seconds[large] - seconds[small]) / (large - small)
    on_processor = (used[large] - used[small]) / (large - small)
    told: dict[str, object] = {
        "seconds": {str(count): round(value, 2) for count, value in seconds.items()},
        "marginal ms per instance": round(1000 * marginal, 4),
        "on a processor, ms per instance": round(1000 * on_processor, 4),
        "peak MB": {str(count): round(max(run.used.peak_bytes for run in found[count]) / 1e6) for count in counts},
        "steps": {str(count): found[count][-1].steps for count in counts},
    }
    return marginal, on_processor, told


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--small", type=int, default=5000, help="instances of the smaller run (default: 5000)")
    parser.add_argument("--large", type=int, default=50_000, help="instances of the larger run (default: 50000)")
    parser.add_argument("--instances", type=int, help="large; small is a tenth; small-ct, 4K, verify full, one round")
    parser.add_argument("--size", default="64K", help="of each instance (default: 64K)")
    parser.add_argument("--kind", default="ct", choices=["ct", "small-ct"], help="of instance (default: ct)")
    parser.add_argument("--workers", type=int, default=2, help="(default: 2)")
    parser.add_argument("--verify", nargs="+", default=["none", "full"], choices=["identifiers", "full", "none"])
    parser.add_argument("--rounds", type=int, default=3, help="(default: 3)")
    parser.add_argument("--folder", type=Path, default=Path("/dev/shm"), help="(default: in memory)")  # noqa: S108
    parser.add_argument("--json", action="store_true", help="print JSON only")
    arguments = parser.parse_args()
    if arguments.instances:
        parser.set_defaults(small=arguments.instances // 10, large=arguments.instances)
        parser.set_defaults(size="4K", kind="small-ct", verify=["full"], rounds=1)
        arguments = parser.parse_args()
    return arguments


def main() -> None:
    """Print what one more instance costs."""
    arguments = parse_arguments()
    runs, alone, others = measure(arguments, parse_size(arguments.size))
    base = (alone.engine_s + alone.index_s) / arguments.large
    result: dict[str, object] = {
        "size": arguments.size,
        "workers": arguments.workers,
        "engine ms per instance": round(1000 * alone.engine_s / arguments.large, 4),
        "index ms per instance": round(1000 * alone.index_s / arguments.large, 4),
    }
    marginal: dict[str, float] = {}
    on_processor: dict[str, float] = {}
    for how in arguments.verify:
        marginal[how], on_processor[how], told = of_one(how, runs, (arguments.small, arguments.large))
        result[f"verify: {how}"] = {**told, "x engine plus index": round(marginal[how] / base, 2)}
    if {"full", "none"} <= marginal.keys():
        result["full x none"] = round(marginal["full"] / marginal["none"], 2)
        result["full x none, on a processor"] = round(on_processor["full"] / on_processor["none"], 2)
    result["of the larger run"] = others
    result["`verify` x engine"] = round(alone.verify_s / alone.engine_s, 2)
    if arguments.json:
        print(json.dumps(result, indent=2))
        return
    for name, value in result.items():
        print(f"{name:<26} {value}")


if __name__ == "__main__":
    main()
