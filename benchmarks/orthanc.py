"""What deidflow adds to the work of a real Orthanc.

    python -m benchmarks.orthanc                 # 3,000 x 64 KiB of 20 patients, three rounds
    python -m benchmarks.orthanc --patients 300 --each-its-own

Starts an Orthanc with its storage in memory, anonymizes the same originals by `deidflow run` (engine orthanc, hardening
on), by turns with `verify: identifiers` and `verify: full`, and compares the seconds of all steps (plan, apply, verify,
report; start-up apart) with the sum of `EffectiveRuntime` of the jobs, and with each other; and those of applying with
that sum divided by the jobs in flight. With `--each-its-own` each patient has a PatientID of its own in the manifest,
and so a call of its own.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

import httpx

from benchmarks.generate import Shape, generate, parse_size
from tests.orthanc_server import OrthancServer

CONFIG = """\
name: benchmark
manifest: manifest.csv
operation: anonymize
engine: orthanc
source: {{orthanc: "{url}"}}
options: {{DicomVersion: "2021b", Force: true}}
orthanc: {{accept_unstable: true, max_parallel_jobs: {jobs}}}
"""
IN_FLIGHT = 2


class Figures(NamedTuple):
    """Seconds of one run: of all steps, of the one that applies, and what its jobs took together."""

    steps: float
    apply: float
    jobs: float


def run(folder: Path, url: str, run_id: str, verify: str) -> Figures:
    """Run once; return its seconds."""
    before = {job["ID"] for job in httpx.get(f"{url}/jobs?expand", timeout=60).json()}
    (folder / "benchmark.yaml").write_text(CONFIG.format(url=url, jobs=IN_FLIGHT), "utf-8")
    command = [sys.executable, "-m", "deidflow.flows", "run", "benchmark.yaml", "--run-id", run_id]
    # Each where no earlier run is: a server would get another copy, which is refused.
    command += ["--set", f"verify={verify}", "--runs-dir", f"runs-{run_id}"]
    subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL, env=os.environ)
    summary = json.loads((folder / f"runs-{run_id}" / run_id / "summary.json").read_text("utf-8"))
    seconds = summary["seconds_by_step"]
    jobs = httpx.get(f"{url}/jobs?expand", timeout=60).json()
    took = sum(job["EffectiveRuntime"] for job in jobs if job["ID"] not in before)
    return Figures(sum(seconds.values()), seconds["apply"], took)


def give_each_its_own(manifest: Path) -> None:
    """Give each patient of a manifest of studies a PatientID, and so a call, of its own."""
    with manifest.open(encoding="utf-8-sig", newline="") as file:
        studies = list(csv.DictReader(file))
    new = {
        patient: f"S{number:04d}" for number, patient in enumerate(dict.fromkeys(row["PatientID"] for row in studies))
    }
    lines = [f"{row['orthanc_id']},{new[row['PatientID']]}" for row in studies]
    manifest.write_text("\n".join(["orthanc_id,Replace.PatientID", *lines, ""]), "utf-8")


def main() -> None:
    """Print the share that deidflow adds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=3000, help="instances (default: 3000)")
    parser.add_argument("--size", default="64K", help="of each instance (default: 64K)")
    parser.add_argument("--patients", type=int, default=20, help="of three studies each (default: 20)")
    parser.add_argument("--each-its-own", action="store_true", help="a call for each patient")
    parser.add_argument("--rounds", type=int, default=3, help="(default: 3)")
    arguments = parser.parse_args()
    settings = {"JobsHistorySize": 100000, "ConcurrentJobs": IN_FLIGHT}
    with tempfile.TemporaryDirectory(dir="/dev/shm") as name, OrthancServer(settings=settings) as server:
        folder = Path(name)
        shape = Shape(patients=arguments.patients, studies_per_patient=3, series_per_study=2)
        generate(folder / "source", arguments.count, parse_size(arguments.size), shape=shape)
        with httpx.Client(base_url=server.url, timeout=60) as client:
            for path in sorted((folder / "source").rglob("*.dcm")):
                client.post("/instances", content=path.read_bytes()).raise_for_status()
        inventory = [sys.executable, "-m", "deidflow.flows", "inventory", server.url, "-o", "manifest.csv"]
        subprocess.run(inventory, cwd=folder, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        if arguments.each_its_own:
            give_each_its_own(folder / "manifest.csv")
        rounds = [
            [run(folder, server.url, f"{verify}{number}", verify) for verify in ("identifiers", "full")]
            for number in range(arguments.rounds)
        ]
    for pair in rounds:
        print("; ".join(f"{one.steps:6.2f} s ({one.apply:6.2f} apply, {one.jobs:6.2f} its jobs)" for one in pair))
    print(f"median added to the jobs: {statistics.median(one.steps / one.jobs - 1 for one, _ in rounds):.1%}")
    at_once = statistics.median(one.apply / (one.jobs / IN_FLIGHT) for one, _ in rounds)
    print(f"applying x the jobs' time by {IN_FLIGHT} in flight: {at_once:.2f}")
    print(f"full x identifiers: {statistics.median(full.steps / one.steps for one, full in rounds):.2f}")


if __name__ == "__main__":
    main()
