"""The end of ``make branches``: how many branches of each room the tests' own process has taken, against a floor.

The commands that tests start, and worker processes, are not counted: what is measured is what can be tried without
them. ``python -m tests.branches`` reads ``.coverage``, prints a line for each room, and ends with 1 below a floor.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from pathlib import Path
from typing import Final

import coverage

FLOORS: Final = {"core": 90, "local": 90, "orthanc": 85, "steps": 80}
"""Per cent of statements and branches, by the folder of ``tasks/``."""

ROOT: Final = Path(__file__).parents[1]


def measure() -> dict[str, tuple[int, int]]:
    """Return for each room how many statements and branches it has, and how many were taken."""
    data = coverage.Coverage()
    data.load()
    found: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    for room in FLOORS:
        for path in (ROOT / "tasks" / room).rglob("*.py"):
            numbers = data._analyze(str(path)).numbers
            there, missing = numbers.n_statements + numbers.n_branches, numbers.n_missing + numbers.n_missing_branches
            found[room][0] += there
            found[room][1] += there - missing
    return {room: (there, taken) for room, (there, taken) in found.items()}


def main() -> int:
    """Print the figures; return 1 when one of them is below its floor."""
    low = False
    for room, (there, taken) in measure().items():
        share = 100 * taken / there
        is_low = share < FLOORS[room]
        low |= is_low
        remedy = "  TOO LOW: add a test of what is not tried (coverage report -m)" if is_low else ""
        print(f"branches taken in tasks/{room:<8} {share:5.1f} % (at least {FLOORS[room]}){remedy}")  # noqa: T201
    return int(low)


if __name__ == "__main__":
    sys.exit(main())
