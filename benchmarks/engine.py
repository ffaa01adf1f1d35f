"""The local engine against `cp -r` of the same files, in one interleaved run.

    python -m benchmarks.engine                          # 1,000 x 512 KiB, 5 rounds
    python -m benchmarks.engine --count 10000 --size 64K
    python -m benchmarks.engine --count 3 --size 1G --kind multiframe
    python -m benchmarks.engine --count 500 --size 1M --kind enhanced-mr
    python -m benchmarks.engine --profile                # the PS3.15 profile, by turns with DicomVersion
    python -m benchmarks.engine --research               # the same with the options of configs/research-tcia.yaml
    python -m benchmarks.engine --sync --folder FOLDER   # on a disk, until the copies are on it, too
    python -m benchmarks.engine --json

Measured: from the list of planned files to the renamed results, flushed as in production; the header scan is part of
it. Apart: the index of the folder, the plan, verification, and the start of the worker processes, which do not depend
on how often the engine runs. Ratios of medians; when `cp -r` itself spreads by more than 20 %, rounds are added. Peak
memory is that of the largest worker process.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import statistics
import subprocess
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.generate import Shape, generate, parse_size
from benchmarks.kinds import KINDS
from deidflow.tasks.core.engine.protocol import Call, Chunk, PlannedInstance
from deidflow.tasks.core.engine.sources import SourceInstance
from deidflow.tasks.core.outcomes import Outcome
from deidflow.tasks.core.processes.workers import LocalWorkers, Role
from deidflow.tasks.core.pseudonyms.new_identifiers import new_identifiers
from deidflow.tasks.core.pseudonyms.pseudonyms import Key, Pseudonyms
from deidflow.tasks.core.request.profile_choice import ProfileChoice
from deidflow.tasks.core.request.request import Operation, parse_request
from deidflow.tasks.local.engine import LocalEngine
from deidflow.tasks.local.folder.index import find_files, read_index_entries
from deidflow.tasks.local.folder.source import FolderSource
from deidflow.tasks.local.folder.store import FolderStore
from deidflow.tasks.local.worker import WorkerSettings, start_worker
from deidflow.tasks.steps.run.settings import load_config

KEY = Key(bytes(range(32)))
SCOPE = "benchmark"
RESEARCH = Path(__file__).parents[1] / "configs" / "research-tcia.yaml"
MAX_SPREAD = 0.2
MAX_ROUNDS = 15
BODY = {
    "DicomVersion": "2023b",
    "Replace": {"StudyDescription": "Trial 7"},
    "Keep": ["SeriesDescription"],
}


@dataclass
class Measurement:
    """Seconds of each contender, round by round."""

    seconds: dict[str, list[float]] = field(default_factory=dict)
    peak_bytes: int = 0

    def note(self, name: str, seconds: float) -> None:
        """Add one round."""
        self.seconds.setdefault(name, []).append(seconds)

    def median(self, name: str) -> float:
        """Return the median of a contender."""
        return statistics.median(self.seconds[name])

    def spread(self, name: str) -> float:
        """Return how far the middle half of the rounds lies apart, as a share of the median."""
        ordered = sorted(self.seconds[name])
        middle = ordered[len(ordered) // 4 : len(ordered) - len(ordered) // 4]
        return (middle[-1] - middle[0]) / self.median(name)


def plan_of(source: Path, *, has_profile: bool = False) -> Chunk:
    """Index a folder and plan all of it as one anonymization."""
    body = {key: value for key, value in BODY.items() if key != "DicomVersion" or not has_profile}
    request = parse_request(Operation.ANONYMIZE, body)
    pseudonyms = Pseudonyms(KEY, SCOPE)
    folder = os.fsencode(source)
    paths = [path for path in find_files(folder) if isinstance(path, bytes)]
    entries = [entry for entry in read_index_entries(folder, paths) if isinstance(entry, SourceInstance)]
    instances = [
        PlannedInstance(
            number,
            entry.path,
            entry.size,
            entry.mtime_ns,
            entry.identifiers,
            new_identifiers(entry.identifiers, request, pseudonyms),
        )
        for number, entry in enumerate(entries)
    ]
    return Chunk("benchmark", [Call(request, instances)])


def run_engine(engine: LocalEngine, chunk: Chunk, destination: Path) -> float:
    """Edit everything into an empty folder and return the seconds."""
    shutil.rmtree(destination, ignore_errors=True)
    destination.mkdir()
    done = 0

    def record(results: object) -> None:
        nonlocal done
        done += sum(result.outcome is Outcome.DONE for result in results)  # type: ignore[attr-defined]

    started = time.perf_counter()
    engine.apply(chunk, record, lambda: False)
    seconds = time.perf_counter() - started
    expected = sum(len(call.instances) for call in chunk.calls)
    if done != expected:
        message = f"only {done} of {expected} instances were done"
        raise SystemExit(message)
    return seconds


def run_copy(source: Path, destination: Path, *, sync: bool = False) -> float:
    """Copy everything with `cp -r`, bring it to the disk if that is asked, and return the seconds."""
    shutil.rmtree(destination, ignore_errors=True)
    started = time.perf_counter()
    subprocess.run(["cp", "-r", str(source), str(destination)], check=True)  # noqa: S607
    if sync:
        subprocess.run(["sync", "-f", str(destination)], check=True)  # noqa: S607
    return time.perf_counter() - started


def measure(
    source: Path, scratch: Path, rounds: int, profile: ProfileChoice | None = None, *, sync: bool = False
) -> Measurement:
    """Run `cp -r` and the engine with one and two workers by turns; with a profile the engine with that, too."""
    destination = scratch / "results"
    engines, chunks = {}, {}
    pools: list[LocalWorkers] = []
    for choice in dict.fromkeys((None, profile)):
        for workers in (1, 2):
            settings = WorkerSettings(
                *(FolderSource(os.fsencode(source)), FolderStore(str(destination)), KEY, SCOPE),
                hardening=True,
                profile=choice,
            )
            name = f"{'profile' if choice else 'engine'}, {workers} worker{'s'[: workers > 1]}"
            pools.append(LocalWorkers(workers, [Role(start_worker, settings)]))
            engines[name] = LocalEngine(pools[-1])
            chunks[name] = plan_of(source, has_profile=choice is not None)
    measurement = Measurement()
    try:
        for name, engine in engines.items():  # start the processes, fill the page cache
            run_engine(engine, chunks[name], destination)
        while True:
            measurement.note("cp -r", run_copy(source, destination, sync=sync))
            for name, engine in engines.items():
                measurement.note(name, run_engine(engine, chunks[name], destination))
            done = len(measurement.seconds["cp -r"])
            if done >= MAX_ROUNDS or (done >= rounds and measurement.spread("cp -r") <= MAX_SPREAD):
                return measurement
    finally:
        for pool in pools:
            measurement.peak_bytes = max(measurement.peak_bytes, *_peaks(pool))
            pool.close()


def _peaks(pool: LocalWorkers) -> list[int]:
    """Return the peak memory of an engine's processes; each answers at least once of so many times."""
    answers = [pool.submit(resource.getrusage, resource.RUSAGE_SELF) for _ in range(50)]
    return [answer.result().ru_maxrss * 1024 for answer in answers]


def main() -> None:
    """Print the ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=1000, help="instances (default: 1000)")
    parser.add_argument("--size", default="512K", help="of each instance (default: 512K)")
    parser.add_argument("--kind", choices=sorted(KINDS), default="ct", help="of instance (default: ct)")
    parser.add_argument("--rounds", type=int, default=5, help="at least (default: 5)")
    parser.add_argument("--folder", type=Path, default=Path("/dev/shm"), help="where to work (default: in memory)")  # noqa: S108
    parser.add_argument("--sync", action="store_true", help="`cp -r` and `sync -f`: the engine flushes, too")
    parser.add_argument("--profile", action="store_true", help="also the engine with the profile ps3.15-2026d")
    parser.add_argument("--research", action="store_true", help="the profile with the options of research-tcia.yaml")
    parser.add_argument("--json", action="store_true", help="print JSON only")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.folder) as scratch_name:
        scratch = Path(scratch_name)
        source = scratch / "source"
        shape = Shape(patients=min(10, arguments.count))
        generate(source, arguments.count, parse_size(arguments.size), kind=arguments.kind, shape=shape)
        profile = ProfileChoice() if arguments.profile else None
        if arguments.research:
            profile = load_config(RESEARCH).profile_choice
        measurement = measure(source, scratch, arguments.rounds, profile, sync=arguments.sync)
    base = measurement.median("cp -r")
    rows = {
        name: {
            "ms per instance": round(1000 * measurement.median(name) / arguments.count, 4),
            "x cp -r": round(measurement.median(name) / base, 2),
            "rounds": len(seconds),
        }
        for name, seconds in measurement.seconds.items()
    }
    if arguments.json:
        facts = {"count": arguments.count, "size": arguments.size, "kind": arguments.kind}
        print(json.dumps({**facts, "peak MB": round(measurement.peak_bytes / 1e6), "results": rows}, indent=2))
        return
    rounds = len(measurement.seconds["cp -r"])
    print(f"{arguments.count} instances ({arguments.kind}) of {arguments.size}, medians of {rounds} rounds")
    print(f"(`cp -r` spreads by {measurement.spread('cp -r'):.0%})")
    print(f"peak memory of a worker process: {measurement.peak_bytes / 1e6:.0f} MB")
    for name, row in rows.items():
        print(f"  {name:<20} {row['ms per instance']:>8} ms per instance {row['x cp -r']:>6} x cp -r")


if __name__ == "__main__":
    main()
