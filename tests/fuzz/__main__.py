"""Damaged DICOM files, manifests and configs, counted by what becomes of them.

``python -m tests.fuzz --count 200000 --seed 1`` runs many, ``python -m tests.fuzz --seed 1 --only 4711`` repeats one.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
import time
from pathlib import Path

from tests.fuzz.runner import MAX_CPU_SECONDS, MAX_RSS_BYTES, Tally, dump, run_all, run_batch


def _table(tally: Tally) -> str:
    kinds = sorted({kind for kind, _ in tally.outcomes})
    lines = [f"{'input':<28}{'all':>8}{'accepted':>10}{'refused':>10}{'FAULT':>7}"]
    for kind in [*kinds, ""]:
        counts = {name: n for (of, name), n in tally.outcomes.items() if kind in ("", of)} if kind else _total(tally)
        every, done, fault = sum(counts.values()), counts.get("done", 0), counts.get("FAULT", 0)
        lines.append(f"{kind or 'all':<28}{every:>8}{done:>10}{every - done - fault:>10}{fault:>7}")
    lines.append("")
    for reason in ("dicom", "manifest", "config"):
        refused = _total(tally, reason)
        lines += [f"{reason} {name}: {count}" for name, count in sorted(refused.items()) if name.startswith("refused")]
    return "\n".join(lines)


def _total(tally: Tally, prefix: str = "") -> dict[str, int]:
    counts: dict[str, int] = {}
    for (kind, outcome), count in tally.outcomes.items():
        if kind.startswith(prefix):
            counts[outcome] = counts.get(outcome, 0) + count
    return counts


def main() -> int:
    """Run what the arguments ask for; 1 when something does not hold."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=200_000)
    parser.add_argument("--only", type=int, help="repeat one input")
    parser.add_argument("--dump", type=Path, help="with --only: write the input to this file, too")
    given = parser.parse_args()
    start, tally = time.monotonic(), Tally()
    if given.only is not None:
        if given.dump:
            dump(given.seed, given.only, given.dump)
        tally = run_batch(given.seed, range(given.only, given.only + 1))
    else:
        with contextlib.suppress(KeyboardInterrupt):  # then what was counted until now is shown
            for number, part in enumerate(run_all(given.seed, given.count), 1):
                tally.add(part)
                for fault in part.faults:
                    print("FAULT", *fault, flush=True)  # noqa: T201 (a command)
                if number % 10 == 0:
                    print(f"{number},000 inputs, {time.monotonic() - start:.0f} s", file=sys.stderr, flush=True)  # noqa: T201
    seconds, slowest, kind = tally.slowest
    print(_table(tally))  # noqa: T201
    print(  # noqa: T201
        f"\nfaults: {len(tally.faults)}\nslowest: {seconds:.2f} s of CPU time (input {slowest}, {kind})\n"
        f"peak memory: {tally.peak_bytes / 1e6:.0f} MB\ntime: {time.monotonic() - start:.0f} s"
    )
    for fault in tally.faults:
        print("FAULT", *fault)  # noqa: T201
    sound = not tally.faults and seconds < MAX_CPU_SECONDS and tally.peak_bytes < MAX_RSS_BYTES
    return 0 if sound else 1


if __name__ == "__main__":
    raise SystemExit(main())
