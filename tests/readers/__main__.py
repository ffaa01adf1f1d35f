"""Files about which readers may disagree, counted by what becomes of them.

``python -m tests.readers --count 20000 --seed 1`` checks many; ``--only 4711 --dump FILE`` writes one of them.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from pathlib import Path

from tests.readers.check import Tally, check_all
from tests.readers.drawn import ODDITIES, draw


def main() -> int:
    """Run what the arguments ask for; 1 when a result holds a name."""
    parser = argparse.ArgumentParser(prog="python -m tests.readers")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=20_000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--only", type=int, help="check one file")
    parser.add_argument("--dump", type=Path, help="with --only: write the file here, too")
    given = parser.parse_args()
    numbers = range(given.count) if given.only is None else range(given.only, given.only + 1)
    if given.only is not None and given.dump:
        given.dump.write_bytes(draw(given.seed, given.only).data)
    tally = Tally()
    for part in check_all(given.seed, numbers, with_dcmdump=True, workers=given.workers):
        tally.add(part)
        for fault in part.faults:
            print("FAULT", *fault, flush=True)  # noqa: T201 (a command)
    for oddity in (*ODDITIES, ""):
        counts = Counter({outcome: n for (of, outcome), n in tally.outcomes.items() if of == oddity})
        shown = ", ".join(f"{outcome} {n}" for outcome, n in counts.most_common())
        print(f"{oddity or 'all':<28}{shown}")  # noqa: T201
    return 1 if tally.faults else 0


if __name__ == "__main__":
    sys.exit(main())
