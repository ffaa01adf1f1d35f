"""How many leaks of a fresh draw the search finds.

python -m tests.verification.blind --seed 3141            # 300 of each profile
python -m tests.verification.blind --seed 3141 --beyond   # and what no search is expected to find
python -m tests.verification.blind --seed 3141 --alarms 2000   # clean results of ordinary patients
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections import Counter
from pathlib import Path

from tests.verification.blind.profiles import PROFILES, RUNS
from tests.verification.blind.tries import alarmed, leaks_of, tried


def _alarms(count: int, seed: int, profiles: list[str]) -> None:
    for profile in profiles:
        with tempfile.TemporaryDirectory(dir="/dev/shm") as root:
            results, failed = alarmed(Path(root), count, seed, **PROFILES[profile])
        sys.stdout.write(f"{profile}, seed {seed}: {len(failed)} alarms in {results} results\n")
        for name, reason in failed:
            sys.stdout.write(f"  {name} {reason}\n")


def main() -> None:
    """Print what was found and each leak that was not; values are made up."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--count", type=int, default=300)
    parser.add_argument("--beyond", action="store_true")
    parser.add_argument("--profile", action="append", choices=list({**RUNS, **PROFILES}))
    parser.add_argument("--alarms", type=int, default=0, help="patients whose clean results are searched instead")
    given = parser.parse_args()
    if given.alarms:
        _alarms(given.alarms, given.seed, given.profile or list(PROFILES))
        return
    for profile in given.profile or RUNS:
        tallies = []
        parts = [(False, given.count - given.count // 4), (True, given.count // 4)]
        for private, count in parts:
            leaks = leaks_of(profile, count, given.seed, private=private, beyond=given.beyond)
            with tempfile.TemporaryDirectory(dir="/dev/shm") as root:
                tallies += tried(Path(root), leaks, given.seed, **RUNS[profile][private])
        says = Counter("named" if one.is_named else one.reason.partition(":")[0] or "MISSED" for one in tallies)
        brought = sum(one.brought for one in tallies)
        sys.stdout.write(
            f"{profile}, seed {given.seed}: {dict(says)} of {len(tallies)}, {brought} brought by the source\n"
        )
        for one in tallies:
            if not one.is_named:
                sys.stdout.write(f"  {one}\n")


if __name__ == "__main__":
    main()
