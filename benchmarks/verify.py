"""What verifying a result costs beside making it, in one process.

    python -m benchmarks.verify                          # 2,000 x 64 KiB, three rounds
    python -m benchmarks.verify --count 400 --size 512K
    python -m benchmarks.verify --profile                # under the PS3.15 profile
    python -m benchmarks.verify --research               # with the options of configs/research-tcia.yaml, too
    python -m benchmarks.verify --where                  # where the time of one more round goes

By turns `Worker.edit` and `Verifier.verify` of the same instances, in batches as in a run: time on a processor. The
index of the folder and the start are apart; pool, ledger and Prefect are in `benchmarks.pipeline`.
"""

from __future__ import annotations

import argparse
import cProfile
import os
import pstats
import shutil
import statistics
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from benchmarks.engine import KEY, RESEARCH, SCOPE, plan_of
from benchmarks.generate import Shape, generate, parse_size
from deidflow.tasks.core.engine.protocol import Expected, VerifyWork
from deidflow.tasks.core.ledger.uid_map import UidKind, write_uid_map
from deidflow.tasks.core.outcomes import Outcome
from deidflow.tasks.core.request.profile_choice import ProfileChoice
from deidflow.tasks.local.folder.source import FolderSource
from deidflow.tasks.local.folder.store import FolderStore
from deidflow.tasks.local.worker import Worker, WorkerSettings
from deidflow.tasks.steps.run.settings import load_config
from deidflow.tasks.verification.verifier import Verifier, VerifierSettings

if TYPE_CHECKING:
    from deidflow.tasks.core.engine.protocol import InstanceResult, PlannedInstance
    from deidflow.tasks.core.request.request import Request

_BATCH: Final = 250
_SLOWEST: Final = 45
"""Calls that are listed, by their time."""


def edit(
    folder: Path, request: Request, plan: list[PlannedInstance], profile: ProfileChoice | None
) -> tuple[float, dict[int, str]]:
    """Make all results anew; return the seconds on a processor, and the evidence of each."""
    shutil.rmtree(folder / "results", ignore_errors=True)
    (folder / "results").mkdir()
    source, store = FolderSource(os.fsencode(folder / "source")), FolderStore(str(folder / "results"))
    worker = Worker(WorkerSettings(source, store, KEY, SCOPE, hardening=True, profile=profile))
    started = time.process_time()
    results: list[InstanceResult] = []
    for first in range(0, len(plan), _BATCH):
        results += worker.edit([(request, plan[first : first + _BATCH])])
    seconds = time.process_time() - started
    _require_done(results)
    return seconds, {result.id: result.evidence for result in results}


def verify(
    folder: Path, request: Request, plan: list[PlannedInstance], profile: ProfileChoice | None, evidence: dict[int, str]
) -> float:
    """Verify all results by a new verifier; return the seconds on a processor."""
    ends: dict[str, list[int]] = {}
    for one in plan:
        ends.setdefault(one.original.series_instance_uid, []).append(one.id)
    outer = {number for numbers in ends.values() for number in (numbers[0], numbers[-1])}
    expected = [Expected(one, evidence[one.id], ends_series=one.id in outer) for one in plan]
    source, store = FolderSource(os.fsencode(folder / "source")), FolderStore(str(folder / "results"))
    uid_map = str(folder / "uids")
    verifier = Verifier(VerifierSettings(source, store, hardening=True, profile=profile, uid_map=uid_map))
    started = time.process_time()
    results: list[InstanceResult] = []
    for first in range(0, len(plan), _BATCH):
        results += verifier.verify(VerifyWork([(request, expected[first : first + _BATCH])]))
    seconds = time.process_time() - started
    _require_done(results)
    return seconds


def _require_done(results: list[InstanceResult]) -> None:
    bad = [result for result in results if result.outcome is not Outcome.DONE or result.code is not None]
    if bad:
        raise SystemExit(f"{len(bad)} instances were not done or not right, the first of them: {bad[0].code}")


def main() -> None:
    """Print what an instance takes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=2000, help="instances (default: 2000)")
    parser.add_argument("--size", default="64K", help="of each instance (default: 64K)")
    parser.add_argument("--rounds", type=int, default=3, help="(default: 3)")
    parser.add_argument("--folder", type=Path, default=Path("/dev/shm"), help="(default: in memory)")  # noqa: S108
    parser.add_argument("--profile", action="store_true", help="by the profile ps3.15-2026d")
    parser.add_argument("--research", action="store_true", help="by that with the options of research-tcia.yaml")
    parser.add_argument("--where", action="store_true", help="then verify once more and print where its time goes")
    arguments = parser.parse_args()
    profile = ProfileChoice() if arguments.profile else None
    if arguments.research:
        profile = load_config(RESEARCH).profile_choice
    with tempfile.TemporaryDirectory(dir=arguments.folder) as name:
        folder = Path(name)
        shape = Shape(patients=max(1, arguments.count // 500))
        generate(folder / "source", arguments.count, parse_size(arguments.size), shape=shape)
        (call,) = plan_of(folder / "source", has_profile=profile is not None).calls
        request, plan = call.request, sorted(call.instances, key=lambda one: one.path)
        pairs = ((UidKind.ANY, *pair) for one in plan for pair in zip(one.original[1:], one.new[1:], strict=True))
        write_uid_map(folder / "uids", pairs)
        edited, verified = [], []
        evidence: dict[int, str] = {}
        for _ in range(arguments.rounds):
            seconds, evidence = edit(folder, request, plan, profile)
            edited.append(seconds)
            verified.append(verify(folder, request, plan, profile, evidence))
        if arguments.where:
            measured = cProfile.Profile(time.process_time)
            measured.runcall(verify, folder, request, plan, profile, evidence)
            pstats.Stats(measured).sort_stats("cumtime").print_stats(_SLOWEST)
    for what, taken in (("edited", edited), ("verified", verified)):
        print(f"{what:<10}{1000 * statistics.median(taken) / len(plan):.3f} ms an instance, on a processor")
    ratios = [after / before for before, after in zip(edited, verified, strict=True)]
    print(f"verified x edited, median of rounds: {statistics.median(ratios):.2f}")


if __name__ == "__main__":
    main()
