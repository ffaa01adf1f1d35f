"""Hundreds of injured runs, each compared with an undisturbed one: ``python -m tests.faults --help``."""

# ruff: noqa: T201 (a script speaks by printing)

from __future__ import annotations

import argparse
import itertools
import os
import signal
import sys
import tempfile
import time
from collections import Counter, defaultdict
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from pathlib import Path
from typing import TYPE_CHECKING

from tests.conftest import start_prefect_server
from tests.faults.injector import why_not
from tests.faults.runner import Runner
from tests.faults.with_orthanc import ENGINES, OrthancRunner
from tests.memory import IN_MEMORY
from tests.orthanc_server import BINARY, installed

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.faults.command import Verdict

_FAILED = 1
_SEEDS_APART = 100_000


def main() -> int:
    """Run as many moments as are asked for; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--seed", type=int, default=1, help="chooses all moments")
    parser.add_argument("--local", type=int, default=300, help="moments on the local engine that are to strike")
    parser.add_argument("--orthanc", type=int, default=60, help="the same with a real Orthanc")
    parser.add_argument("--jobs", type=int, default=2, help="runs at a time")
    parser.add_argument("--injury", action="append", default=[], help="this injury only; may be repeated")
    parser.add_argument("--stops", action="store_true", help="stop runs that work, between first edit and last report")
    parser.add_argument("--kills", action="store_true", help="kill flow or Orthanc beside a twin run or a colleague")
    parser.add_argument(
        "--root", type=Path, default=None, help="system root of another Orthanc, as for the contract tests"
    )
    parser.add_argument("--only", default="", metavar="ENGINE:NUMBER", help="repeat one moment, as the table names it")
    options = parser.parse_args()
    # What runs in the background of a script ignores Ctrl-C, and so would all that it starts.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    print(f"python -m tests.faults --seed {options.seed}", flush=True)
    missing = why_not()
    if missing:
        print(missing, file=sys.stderr)
        return _FAILED
    with tempfile.TemporaryDirectory(prefix="deidflow-prefect-", dir=IN_MEMORY) as folder:
        home = Path(folder) / "home"
        home.mkdir()
        process, port = start_prefect_server(home).split()
        environment = {"PREFECT_HOME": str(home), "PREFECT_API_URL": f"http://127.0.0.1:{port}/api"}
        try:
            return _run(options, environment)
        finally:
            os.kill(int(process), signal.SIGTERM)


def _run(options: argparse.Namespace, environment: dict[str, str]) -> int:
    first = options.seed * _SEEDS_APART
    failed = 0
    engine, _, number = options.only.partition(":")
    if engine == "local" or (not engine and options.local):
        with Runner(environment) as runner:

            def on_folders(seed: int) -> Verdict:
                drawn = runner.draw_stop(seed) if options.stops else runner.draw(seed, options.injury)
                return runner.run(drawn)

            if number:
                return _only("local", on_folders(int(number)))
            times = ", ".join(f"{name} {runner.calm(name).seconds:.1f} s" for name in runner.profiles())
            print(f"undisturbed runs: {times}", flush=True)
            failed |= _many("local", options.local, options.jobs, first, on_folders)
    if engine == "orthanc" or (not engine and options.orthanc):
        if not installed():
            print(
                f"NO ORTHANC at {BINARY}: nothing was injured there (Debian: apt-get install orthanc)", file=sys.stderr
            )
            return _FAILED
        with OrthancRunner(environment, options.root) as servers:

            def on_servers(seed: int) -> Verdict:
                if options.kills:
                    return servers.run(servers.draw_kill(seed))
                drawn = servers.draw_stop(seed) if options.stops else servers.draw(seed, options.injury)
                return servers.run(drawn)

            if number:
                return _only("orthanc", on_servers(int(number)))
            counts = ", ".join(
                f"{name} {servers.calm(name).requests} requests"
                for name in ENGINES[: 1 if options.stops or options.kills else None]
            )
            print(f"undisturbed runs: {counts}", flush=True)
            failed |= _many("orthanc", options.orthanc, options.jobs, first, on_servers)
    return failed


def _only(engine: str, verdict: Verdict) -> int:
    _show(verdict)
    return _table(engine, [verdict], 0.0)


def _show(verdict: Verdict) -> None:
    print(f"{'NOT EQUAL' if verdict.problems else 'equal'} {verdict.moment}\n   codes {verdict.codes}", flush=True)
    for problem in verdict.problems:
        print(f"   {problem}", flush=True)


def _many(engine: str, target: int, jobs: int, first: int, run: Callable[[int], Verdict]) -> int:
    started = time.monotonic()
    verdicts = _until(target, jobs, first, run)
    return _table(engine, verdicts, time.monotonic() - started)


def _until(target: int, jobs: int, first: int, run: Callable[[int], Verdict]) -> list[Verdict]:
    """Run moments until so many of them struck."""
    verdicts: list[Verdict] = []
    seeds = itertools.count(first)
    started = time.monotonic()
    with ThreadPoolExecutor(jobs) as pool:
        waiting = {pool.submit(run, next(seeds)) for _ in range(min(jobs, target))}
        while waiting:
            done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
            for future in done:
                verdict = future.result()
                verdicts.append(verdict)
                struck = sum(one.struck for one in verdicts)
                if verdict.problems:
                    _show(verdict)
                elif struck % 20 == 0:
                    print(f"{struck} of {target} struck, {time.monotonic() - started:.0f} s", flush=True)
                if struck + len(waiting) < target:
                    waiting.add(pool.submit(run, next(seeds)))
    return verdicts


def _table(engine: str, verdicts: list[Verdict], seconds: float) -> int:
    """Print what struck and what was equal; return the exit code."""
    by_injury: dict[str, list[Verdict]] = defaultdict(list)
    for verdict in verdicts:
        by_injury[verdict.moment.injury].append(verdict)
    print(f"\n{'injury (' + engine + ')':<34}{'tried':>7}{'struck':>8}{'equal':>8}{'slowest stop':>14}   exit codes")
    for injury, some in sorted(by_injury.items()):
        struck = [one for one in some if one.struck]
        codes = Counter(one.codes[0] for one in struck if one.codes)
        stop = max((one.stopped_s for one in struck), default=0.0)
        said = ", ".join(f"{code}: {count}" for code, count in sorted(codes.items()))
        equal = sum(not one.problems for one in struck)
        print(f"{injury:<34}{len(some):>7}{len(struck):>8}{equal:>8}{f'{stop:.1f} s' if stop else '':>14}   {said}")
    struck = [one for one in verdicts if one.struck]
    bad = [one for one in verdicts if one.problems]
    print(f"{'all':<34}{len(verdicts):>7}{len(struck):>8}{sum(not one.problems for one in struck):>8}")
    print(f"{seconds / 60:.1f} minutes")
    for one in bad:
        print(f"repeat it with the same other options: --only {engine}:{one.moment.seed}")
    return _FAILED if bad else 0


if __name__ == "__main__":
    sys.exit(main())
