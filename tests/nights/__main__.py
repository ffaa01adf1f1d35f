"""Four nights of one incremental config, killed at seeded moments and resumed: ``python -m tests.nights --help``."""

# ruff: noqa: T201 (a script speaks by printing)

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Final

from tests.conftest import start_prefect_server
from tests.dicom_files import instance
from tests.faults.command import again
from tests.jobs import Job, files_of, read_csv
from tests.memory import IN_MEMORY

NIGHTS: Final = ("n1", "n2", "n3", "n4")
STUDIES: Final = 40
PER_STUDY: Final = 2
NEW_STUDIES: Final = 5
GROWN: Final = 3
GROWN_BY: Final = 10
SUBJECTS: Final = {"DicomVersion": "2023b", "Replace": {"PatientID": "{subject}"}, "Force": True}
OWN_TIME_S: Final = 10.0


class Nights:
    """A job in a folder of its own, and what arrives in it from night to night."""

    def __init__(self, root: Path, environment: dict[str, str]) -> None:
        """Take an empty folder."""
        self.job = Job(root, environment)
        self.job.source.mkdir()
        self.seconds: dict[str, float] = {}
        self.codes: dict[str, list[int]] = {}
        self.job.write_config(incremental=True, skip_invalid=True, options=SUBJECTS)

    def _put(self, patient: str, study: int, first: int, count: int) -> None:
        for number in range(first, first + count):
            uid = f"1.2.{study}"
            names: dict[str, Any] = {"StudyInstanceUID": uid, "SeriesInstanceUID": f"{uid}.1"}
            content = instance(PatientID=patient, SOPInstanceUID=f"{uid}.1.{number}", Modality="CT", **names)
            (self.job.source / f"{study}-{number}.dcm").write_bytes(content)

    def arrive(self, night: str) -> None:
        """Bring what is new, and write the night's manifest."""
        if night == "n1":
            for study in range(STUDIES):
                self._put(f"P{study // 2}", study, 0, PER_STUDY)
        elif night == "n2":
            for study in range(STUDIES, STUDIES + NEW_STUDIES):  # two of known patients
                self._put(f"P{study - STUDIES}" if study < STUDIES + 2 else f"Q{study}", study, 0, PER_STUDY)
            for study in range(GROWN):
                self._put(f"P{study // 2}", study, PER_STUDY, GROWN_BY)
        elif night == "n4":
            self._put("R", 99, 0, PER_STUDY)
        rows = [
            {"orthanc_id": row["orthanc_id"], "subject": "S-P0" if row["PatientID"] == "R" else f"S-{row['PatientID']}"}
            for row in self.job.inventory()
        ]
        self.job.write_manifest(rows)

    def run(self, night: str, kill_after_s: float | None = None) -> None:
        """Do a night to its end, killed once on the way where that is asked for."""
        self.arrive(night)
        begun = time.monotonic()
        self.codes[night] = []
        if kill_after_s is not None:
            running = self.job.start("run", "job.yaml", "--run-id", night)
            try:
                running.process.wait(kill_after_s)
            except subprocess.TimeoutExpired:
                assert isinstance(running.process, subprocess.Popen)
                os.killpg(running.process.pid, signal.SIGKILL)
                running.process.wait()
                self.codes[night].append(-signal.SIGKILL)
        done = self.job(*again(self.job, night))
        self.codes[night].append(done.code)
        self.seconds[night] = time.monotonic() - begun

    def state(self) -> dict[str, object]:
        """Return what must be the same, however often somebody pulled the plug."""
        assert 0 == self.job("crosswalk", "job.yaml", "-o", "pairs.csv").code
        reports = {
            night: [
                {name: cell for name, cell in row.items() if name != "attempts"}
                for row in read_csv(self.job.root / "runs" / night / "reconciliation.csv")
            ]
            for night in NIGHTS
        }
        return {"results": files_of(self.job.destination), "pairs": read_csv(self.job.root / "pairs.csv"), **reports}


def _problems_of_calm(nights: Nights) -> list[str]:
    """Return what is not as it should be in nights that nobody disturbed."""
    runs = nights.job.root / "runs"
    summaries = {night: json.loads((runs / night / "summary.json").read_text("utf-8")) for night in NIGHTS}
    made = {night: summaries[night]["instances"]["done"] for night in NIGHTS}
    before = {night: summaries[night]["done_before"]["instances"] for night in NIGHTS}
    first = STUDIES * PER_STUDY
    second = NEW_STUDIES * PER_STUDY + GROWN * GROWN_BY
    rows = read_csv(runs / "n4" / "reconciliation.csv")
    patients: dict[str, set[str]] = {}
    for row in read_csv(nights.job.root / "pairs.csv"):
        if row["level"] == "patient":
            patients.setdefault(row["original_dicom_id"], set()).add(row["new_dicom_id"])
    expected: list[tuple[str, object, object]] = [
        ("done", {"n1": first, "n2": second, "n3": 0, "n4": 0}, made),
        ("done before", {"n1": 0, "n2": first, "n3": first + second, "n4": first + second}, before),
        ("exit codes", [[0], [0], [0], [1]], list(nights.codes.values())),
        ("night 4", {"invalid": 1, "done": STUDIES + NEW_STUDIES}, _counted(rows)),
        ("one pseudonym each", {name: {f"S-{name}"} for name in patients}, patients),
    ]
    problems = [f"{what}: expected {one}, found {other}" for what, one, other in expected if one != other]
    if nights.seconds["n3"] > OWN_TIME_S:
        problems.append(f"night 3 took {nights.seconds['n3']:.1f} s")
    return problems


def _counted(rows: list[dict[str, str]]) -> dict[str, int]:
    outcomes = [row["outcome"] for row in rows]
    return {outcome: outcomes.count(outcome) for outcome in sorted(set(outcomes), reverse=True)}


def main() -> int:
    """Compare disturbed nights with calm ones; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.nights", description=__doc__)
    parser.add_argument("--seed", type=int, default=1, help="chooses all moments")
    parser.add_argument("--kills", type=int, default=20, help="moments")
    options = parser.parse_args()
    dice = random.Random(options.seed)  # noqa: S311 (no secret)
    failed = 0
    with tempfile.TemporaryDirectory(prefix="deidflow-nights-", dir=IN_MEMORY) as folder:
        home = Path(folder) / "home"
        home.mkdir()
        process, port = start_prefect_server(home).split()
        environment = {"PREFECT_API_URL": f"http://127.0.0.1:{port}/api", "PREFECT_HOME": str(home)}
        try:
            calm = Nights(_made(folder, "calm"), environment)
            for night in NIGHTS:
                calm.run(night)
            expected = calm.state()
            problems = _problems_of_calm(calm)
            seconds = ", ".join(f"{night} {value:.1f}" for night, value in calm.seconds.items())
            print(f"calm: {len(problems)} problems; seconds: {seconds}", *problems, sep="\n  ", flush=True)
            failed += bool(problems)
            killed = equal = 0
            while killed < options.kills:
                disturbed = Nights(_made(folder, f"killed{killed}"), environment)
                for night in NIGHTS:
                    is_left = killed < options.kills and night != "n3"
                    disturbed.run(night, dice.uniform(0.05, 1.0) * calm.seconds[night] if is_left else None)
                    killed += disturbed.codes[night][0] < 0
                state = disturbed.state()
                different = [name for name in expected if state[name] != expected[name]]
                equal += not different
                failed += bool(different)
                print(f"{killed} kills: {disturbed.codes}, {different or 'equal'}", flush=True)
        finally:
            os.kill(int(process), signal.SIGTERM)
    print(f"{killed} moments, {'all equal' if not failed else f'{failed} FAILED'}")
    return 1 if failed else 0


def _made(folder: str, name: str) -> Path:
    path = Path(folder) / name
    path.mkdir()
    return path


if __name__ == "__main__":
    sys.exit(main())
