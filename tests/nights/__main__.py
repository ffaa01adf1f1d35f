"""Four nights of one incremental config, killed at seeded moments and resumed: ``python -m tests.nights --help``."""

# ruff: noqa: T201 (a script speaks by printing)

from __future__ import annotations

import argparse
import json
import os
import random
import resource
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
from tests.jobs import STOP_S, Job, files_of, read_csv, stop_limit_s
from tests.memory import IN_MEMORY

NIGHTS: Final = ("n1", "n2", "n3", "n4")
STUDIES: Final = 40
PER_STUDY: Final = 2
NEW_STUDIES: Final = 5
GROWN: Final = 3
GROWN_BY: Final = 10
SUBJECTS: Final = {"DicomVersion": "2023b", "Replace": {"PatientID": "{subject}"}, "Force": True}
OWN_TIME_S: Final = 10.0
"""Of a night that has nothing to do, on a machine that is not busy otherwise."""
_REPORTS: Final = ("reconciliation.csv", "crosswalk.csv", "delivered.csv", "failures.csv", "source_problems.csv")
_COUNTED: Final = ("rows", "instances", "done_before", "reconciled", "exit_code", "source_problems")


class Nights:
    """A job in a folder of its own, and what arrives in it from night to night."""

    def __init__(self, root: Path, environment: dict[str, str]) -> None:
        """Take an empty folder."""
        self.job = Job(root, environment)
        self.job.source.mkdir()
        self.seconds: dict[str, float] = {}
        self.cpu_seconds: dict[str, float] = {}
        self.wrong = ""
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
        found = self.job.inventory()
        self.wrong = "".join(row["orthanc_id"] for row in found if row["PatientID"] == "R")
        rows = [
            {"orthanc_id": row["orthanc_id"], "subject": "S-P0" if row["PatientID"] == "R" else f"S-{row['PatientID']}"}
            for row in found
        ]
        self.job.write_manifest(rows)

    def run(self, night: str, kill_after_s: float | None = None) -> None:
        """Do a night to its end, killed once on the way where that is asked for."""
        self.arrive(night)
        begun, cpu = time.monotonic(), _cpu_seconds()
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
        self.seconds[night], self.cpu_seconds[night] = time.monotonic() - begun, _cpu_seconds() - cpu

    def run_idle(self, server: str | None) -> str:
        """Do night 3 once more, with another Prefect server or none; return what is not as it should be."""
        known, self.job.environment = self.job.environment, dict(self.job.environment)
        self.job.environment.pop("PREFECT_API_URL")
        if server is not None:
            self.job.environment["PREFECT_API_URL"] = server
        run_id = f"idle-{len(list((self.job.root / 'runs').glob('idle-*')))}"
        begun, cpu = time.monotonic(), _cpu_seconds()
        done = self.job("run", "job.yaml", "--run-id", run_id)
        seconds, cpu = time.monotonic() - begun, _cpu_seconds() - cpu
        self.job.environment = known
        summary = json.loads((self.job.root / "runs" / run_id / "summary.json").read_text("utf-8"))
        print(f"nothing to do, Prefect's server {server or 'none'}: {seconds:.1f} s, {cpu:.1f} s of CPU", flush=True)
        found = (done.code, "nothing to do" in done.out, summary["reconciled"], seconds <= _allowed_s())
        return "" if found == (0, True, True, True) else f"nothing to do, server {server}: {found}"

    def state(self) -> dict[str, object]:
        """Return what must be the same, however often somebody pulled the plug."""
        assert 0 == self.job("crosswalk", "job.yaml", "-o", "pairs.csv").code
        reports = {
            f"{night} {name}": [
                {column: cell for column, cell in row.items() if column != "attempts"} for row in read_csv(path)
            ]
            for night in NIGHTS
            for name in _REPORTS
            if (path := self.job.root / "runs" / night / name).exists()
        }
        counts = {f"{night} counts": {name: self.summary(night)[name] for name in _COUNTED} for night in NIGHTS}
        pairs = read_csv(self.job.root / "pairs.csv")
        return {"results": files_of(self.job.destination), "pairs": pairs, **reports, **counts}

    def summary(self, night: str) -> dict[str, Any]:
        """Return the summary of a night."""
        found: dict[str, Any] = json.loads((self.job.root / "runs" / night / "summary.json").read_text("utf-8"))
        return found

    def originals(self, night: str) -> dict[str, set[str]]:
        """Return the original identifiers that a night's crosswalk lists, by level."""
        found: dict[str, set[str]] = {}
        for row in read_csv(self.job.root / "runs" / night / "crosswalk.csv"):
            found.setdefault(row["level"], set()).add(row["original_dicom_id"])
        return found


def _problems_of_calm(nights: Nights) -> list[str]:
    """Return what is not as it should be in nights that nobody disturbed."""
    runs = nights.job.root / "runs"
    summaries = {night: nights.summary(night) for night in NIGHTS}
    made = {night: summaries[night]["instances"]["done"] for night in NIGHTS}
    before = {night: summaries[night]["done_before"]["instances"] for night in NIGHTS}
    first = STUDIES * PER_STUDY
    second = NEW_STUDIES * PER_STUDY + GROWN * GROWN_BY
    rows = read_csv(runs / "n4" / "reconciliation.csv")
    new_of: dict[str, dict[str, set[str]]] = {}
    for row in read_csv(nights.job.root / "pairs.csv"):
        new_of.setdefault(row["level"], {}).setdefault(row["original_dicom_id"], set()).add(row["new_dicom_id"])
    arrived = {f"1.2.{study}.1.{number}" for study in range(STUDIES, STUDIES + NEW_STUDIES) for number in range(2)}
    arrived |= {f"1.2.{study}.1.{number}" for study in range(GROWN) for number in range(2, 2 + GROWN_BY)}
    # Of a series that has grown, the results of both nights stand in one folder.
    folders = {path.parent for path in nights.job.destination.rglob("*.dcm")}
    expected: list[tuple[str, object, object]] = [
        ("done", {"n1": first, "n2": second, "n3": 0, "n4": 0}, made),
        ("done before", {"n1": 0, "n2": first, "n3": first + second, "n4": first + second}, before),
        ("exit codes", [[0], [0], [0], [1]], list(nights.codes.values())),
        ("night 4", {"invalid": 1, "done": STUDIES + NEW_STUDIES}, _counted(rows)),
        ("worked on in night 2", arrived, nights.originals("n2")["instance"]),
        ("one pseudonym each", {name: {f"S-{name}"} for name in new_of["patient"]}, new_of["patient"]),
        ("one new study each", {1}, {len(new) for new in new_of["study"].values()}),
        ("studies", STUDIES + NEW_STUDIES, len(new_of["study"])),
        ("folders of series", STUDIES + NEW_STUDIES, len(folders)),
        ("files", first + second, len(files_of(nights.job.destination))),
        ("invalid in night 4", [nights.wrong], [row["orthanc_id"] for row in rows if row["outcome"] == "invalid"]),
    ]
    problems = [f"{what}: expected {one}, found {other}" for what, one, other in expected if one != other]
    if nights.seconds["n3"] > _allowed_s():
        problems.append(f"night 3 took {nights.seconds['n3']:.1f} s")
    return problems


def _cpu_seconds() -> float:
    """Return the CPU time of all commands that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _allowed_s() -> float:
    """Return how long a night with nothing to do may take on a machine that is as busy as this one is now."""
    return OWN_TIME_S * stop_limit_s() / STOP_S


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
            idle = []
            for night in NIGHTS:
                calm.run(night)
                if night == "n3":
                    dead = "http://127.0.0.1:9/api"
                    idle = [calm.run_idle(server) for server in (environment["PREFECT_API_URL"], None, dead)]
            expected = calm.state()
            problems = _problems_of_calm(calm) + list(filter(None, idle))
            seconds = ", ".join(
                f"{night} {calm.seconds[night]:.1f} ({calm.cpu_seconds[night]:.1f} of CPU)" for night in NIGHTS
            )
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
