"""What short commands take by themselves: on the demo data, wall time and time of all processes on a processor.

    python -m benchmarks.startup                        # five rounds, by turns
    python -m benchmarks.startup --json

Each command is the real one, on a copy of the demo. Python compiles modules to byte code once, in a round that does not
count (where PYTHONDONTWRITEBYTECODE is set it would do so every time; it is unset here). `run` has no Prefect server
but its own. Medians.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

_CONFIGS = Path(__file__).parent.parent / "configs"
_COMMANDS = ("--help", "inventory", "plan", "run", "report", "verify")


def _arguments(command: str, number: int) -> tuple[str, ...]:
    return {
        "--help": ("--help",),
        "inventory": ("inventory", "configs/demo-data", "-o", "again.csv", "--overwrite"),
        "plan": ("plan", "configs/demo.yaml"),
        "run": ("run", "configs/demo.yaml", "--run-id", f"round{number}"),
        "report": ("report", f"demo-output/runs/round{number}"),
        "verify": ("verify", f"demo-output/runs/round{number}"),
    }[command]


def _timed(folder: Path, arguments: tuple[str, ...]) -> tuple[float, float]:
    """Run a command; return its seconds, and those of all its processes on a processor."""
    variables = {name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "PYTHONDONT"))}
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.accounted", str(folder / "used"), *arguments],
        cwd=folder,
        env={**variables, "PYTHONPATH": str(_CONFIGS.parent), "XDG_STATE_HOME": str(folder / "state")},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"deidflow {' '.join(arguments)} failed:\n{done.stderr[-2000:]}")
    seconds, used, _ = (folder / "used").read_text("ascii").split()
    return float(seconds), float(used)


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5, help="(default: 5)")
    parser.add_argument("--json", action="store_true", help="print JSON only")
    arguments = parser.parse_args()
    taken: dict[str, list[tuple[float, float]]] = {command: [] for command in _COMMANDS}
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        shutil.copytree(_CONFIGS, folder / "configs")
        for number in range(arguments.rounds + 1):
            shutil.rmtree(folder / "demo-output", ignore_errors=True)
            (folder / "demo-output").mkdir()
            _timed(folder, ("inventory", "configs/demo-data", "-o", "demo-output/inventory.csv"))
            for command in _COMMANDS:
                taken[command].append(_timed(folder, _arguments(command, number)))
    medians = {
        command: [round(statistics.median(values), 2) for values in zip(*found[1:], strict=True)]
        for command, found in taken.items()
    }
    medians["run above plan"] = [
        round(run - plan, 2) for run, plan in zip(medians["run"], medians["plan"], strict=True)
    ]
    if arguments.json:
        print(json.dumps(medians, indent=2))
        return
    print(f"{'':<16}{'wall':>8}{'on a processor':>18}")
    for command, (wall, used) in medians.items():
        print(f"{command:<16}{wall:>7.2f}s{used:>17.2f}s")


if __name__ == "__main__":
    main()
