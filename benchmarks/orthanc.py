"""What deidflow adds to the work of a real Orthanc.

    python -m benchmarks.orthanc                 # 3,000 x 64 KiB, three rounds

Starts an Orthanc with its storage in memory, anonymizes the same originals by `deidflow run` (engine orthanc, hardening
on), by turns with `verify: identifiers` and `verify: full`, and compares the seconds of all steps (plan, apply, verify,
report; start-up apart) with the sum of `EffectiveRuntime` of the jobs, and with each other.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import httpx

from benchmarks.generate import Shape, generate, parse_size
from tests.orthanc_server import OrthancServer

CONFIG = """\
name: benchmark
manifest: manifest.csv
operation: anonymize
engine: orthanc
source: {{orthanc: "{url}"}}
options: {{DicomVersion: "2021b"}}
orthanc: {{accept_unstable: true}}
"""


def run(folder: Path, url: str, run_id: str, verify: str) -> tuple[float, float]:
    """Run once; return the seconds of its steps and of its jobs."""
    before = {job["ID"] for job in httpx.get(f"{url}/jobs?expand", timeout=60).json()}
    (folder / "benchmark.yaml").write_text(CONFIG.format(url=url), "utf-8")
    command = [sys.executable, "-m", "deidflow.flows", "run", "benchmark.yaml", "--run-id", run_id]
    # Each where no earlier run is: a server would get another copy, which is refused.
    command += ["--set", f"verify={verify}", "--runs-dir", f"runs-{run_id}"]
    subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL, env=os.environ)
    summary = json.loads((folder / f"runs-{run_id}" / run_id / "summary.json").read_text("utf-8"))
    steps = sum(summary["seconds_by_step"].values())
    jobs = httpx.get(f"{url}/jobs?expand", timeout=60).json()
    return steps, sum(job["EffectiveRuntime"] for job in jobs if job["ID"] not in before)


def main() -> None:
    """Print the share that deidflow adds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=3000, help="instances (default: 3000)")
    parser.add_argument("--size", default="64K", help="of each instance (default: 64K)")
    parser.add_argument("--rounds", type=int, default=3, help="(default: 3)")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir="/dev/shm") as name, OrthancServer() as server:
        folder = Path(name)
        generate(
            folder / "source",
            arguments.count,
            parse_size(arguments.size),
            shape=Shape(patients=20, studies_per_patient=3, series_per_study=2),
        )
        with httpx.Client(base_url=server.url, timeout=60) as client:
            for path in sorted((folder / "source").rglob("*.dcm")):
                client.post("/instances", content=path.read_bytes()).raise_for_status()
        inventory = [sys.executable, "-m", "deidflow.flows", "inventory", server.url, "-o", "manifest.csv"]
        subprocess.run(inventory, cwd=folder, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        rounds = [
            [run(folder, server.url, f"{verify}{number}", verify) for verify in ("identifiers", "full")]
            for number in range(arguments.rounds)
        ]
    for (steps, jobs), (full, full_jobs) in rounds:
        print(f"identifiers {steps:7.2f} s, its jobs {jobs:7.2f} s; full {full:7.2f} s, its jobs {full_jobs:7.2f} s")
    print(f"median added to the jobs: {statistics.median(steps / jobs - 1 for (steps, jobs), _ in rounds):.1%}")
    print(f"full x identifiers: {statistics.median(full / steps for (steps, _), (full, _) in rounds):.2f}")


if __name__ == "__main__":
    main()
