"""Score ``configs/research-tcia.yaml`` on a set in MIDI-B's form.

.venv/bin/python -m tests.midi --count 200
"""

from __future__ import annotations

import argparse
import sys

from tests.midi.run import scored


def main() -> None:
    """Print the figures and the misses."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=200, help="instances (default: 200)")
    scores = scored(parser.parse_args().count)
    write = sys.stdout.write
    for action, met in sorted(scores.met.items()):
        missed = sum(count for (name, _), count in scores.missed.items() if name == action)
        write(f"{action:<18} {met:>7} of {met + missed}\n")
    write(f"{'all':<18} {100 * scores.share:.2f} % of {scores.met.total() + scores.missed.total()}\n")
    for (action, keyword), count in scores.missed.most_common():
        write(f"  missed: {action} {keyword}: {count}\n")


if __name__ == "__main__":
    main()
