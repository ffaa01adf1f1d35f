"""The engine, other de-identifiers and a plain pydicom loop on the same files, one core each, beside `cp -r`.

    make bench-peers                                     # 1,000 x 512 KiB and 10,000 x 64 KiB
    python -m benchmarks.peers --count 500 --size 64K    # with the packages of the dependency group `bench`

Each contender gets the list of files and writes its results into an empty folder, in a process of its own that is held
to one core; importing and starting are not counted. What they do differs: the engine follows a whole profile at every
depth, checks each file to its end, and flushes to the disk; dcmodify changes five elements. The slow ones get a part of
the files (`files` tells how many), the time is per instance.
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
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from benchmarks.engine import KEY, SCOPE, plan_of, run_copy, run_engine
from benchmarks.generate import Shape, generate, parse_size

if TYPE_CHECKING:
    from collections.abc import Callable

FIELDS: Final = (
    "PatientName", "PatientID", "PatientBirthDate", "PatientAddress", "PatientTelephoneNumbers", "InstitutionName",
    "InstitutionAddress", "ReferringPhysicianName", "OperatorsName", "AccessionNumber", "StudyID", "StationName",
)  # fmt: skip
UIDS: Final = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "FrameOfReferenceUID")
SLOW_FILES: Final = 300


def dicognito(files: list[Path], results: Path) -> None:
    """Anonymize with dicognito."""
    import pydicom  # noqa: PLC0415
    from dicognito.anonymizer import Anonymizer  # noqa: PLC0415

    anonymizer = Anonymizer(seed="benchmark")
    for number, path in enumerate(files):
        dataset = pydicom.dcmread(path)
        anonymizer.anonymize(dataset)
        dataset.save_as(results / f"{number}.dcm")


def dicom_anonymizer(files: list[Path], results: Path) -> None:
    """Anonymize with dicom-anonymizer."""
    from dicomanonymizer import anonymize_dicom_file  # noqa: PLC0415

    for number, path in enumerate(files):
        anonymize_dicom_file(str(path), str(results / f"{number}.dcm"))


def dcmanon(files: list[Path], results: Path) -> None:
    """Anonymize with dcmanon, which is written in Rust."""
    from dcmanon import Anonymizer  # noqa: PLC0415

    anonymizer = Anonymizer()
    for number, path in enumerate(files):
        (results / f"{number}.dcm").write_bytes(anonymizer.anonymize(str(path)))


def fw_file_rs(files: list[Path], results: Path) -> None:
    """De-identify headers with fw-file-rs, which is written in Rust, and copy what follows."""
    from fw_file_rs.dcm import Context  # noqa: PLC0415

    fields = [f"    - name: {name}\n      replace-with: REDACTED" for name in FIELDS if "Date" not in name]
    fields += [f"    - name: {name}\n      hashuid: true" for name in UIDS]
    fields.append("    - name: PatientBirthDate\n      remove: true")
    profile = "version: 1\nname: benchmark\ndicom:\n  fields:\n" + "\n".join(fields) + "\n"
    context = Context().deid_profile(profile)
    for number, path in enumerate(files):
        header = context.read_until_pixels(str(path))
        changed = context.deid_header(header)
        with path.open("rb") as source, (results / f"{number}.dcm").open("wb") as result:
            result.write(changed)
            source.seek(len(header))
            shutil.copyfileobj(source, result, 1 << 20)


def pydicom_loop(files: list[Path], results: Path) -> None:
    """Read, change five elements, write: what most scripts do."""
    import pydicom  # noqa: PLC0415

    for number, path in enumerate(files):
        dataset = pydicom.dcmread(path)
        dataset.PatientName, dataset.PatientID = "Anonymous", "1"
        for keyword in UIDS[:3]:
            setattr(dataset, keyword, f"{getattr(dataset, keyword)}.1")
        dataset.save_as(results / f"{number}.dcm")


def dcmodify(files: list[Path], results: Path) -> None:
    """Copy, then change five elements in place with DCMTK's dcmodify, all files in one call."""
    copies = [results / f"{number}.dcm" for number in range(len(files))]
    for path, copy in zip(files, copies, strict=True):
        shutil.copyfile(path, copy)
    change = ["-nb", "-gst", "-gse", "-gin", "-m", "PatientName=Anonymous", "-m", "PatientID=1"]
    for start in range(0, len(copies), 500):
        subprocess.run(["dcmodify", *change, *copies[start : start + 500]], check=True)  # noqa: S607


CONTENDERS: Final[dict[str, Callable[[list[Path], Path], None]]] = {
    "fw-file-rs": fw_file_rs,
    "dcmanon": dcmanon,
    "dcmodify": dcmodify,
    "pydicom loop": pydicom_loop,
    "dicom-anonymizer": dicom_anonymizer,
    "dicognito": dicognito,
}
SLOW: Final = ("pydicom loop", "dicom-anonymizer", "dicognito")


def measure_engine(source: Path, results: Path) -> tuple[float, int]:
    """Return the seconds and the number of files of the engine, its process started before."""
    from deidflow.tasks.core.processes.workers import LocalWorkers, Role  # noqa: PLC0415 (imported where it is measured)
    from deidflow.tasks.local.engine import LocalEngine  # noqa: PLC0415
    from deidflow.tasks.local.folder.source import FolderSource  # noqa: PLC0415
    from deidflow.tasks.local.folder.store import FolderStore  # noqa: PLC0415
    from deidflow.tasks.local.worker import WorkerSettings, start_worker  # noqa: PLC0415

    chunk = plan_of(source)
    settings = WorkerSettings(FolderSource(os.fsencode(source)), FolderStore(str(results)), KEY, SCOPE, hardening=True)
    with LocalWorkers(1, [Role(start_worker, settings)]) as workers:
        local_engine = LocalEngine(workers)
        run_engine(local_engine, chunk, results)
        return run_engine(local_engine, chunk, results), len(chunk.calls[0].instances)


def measure_one(name: str, source: Path, results: Path) -> None:
    """Print seconds and files of one contender as JSON; runs in its own process."""
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    if name == "engine":
        seconds, count = measure_engine(source, results)
    else:
        files = sorted(source.rglob("*.dcm"))
        files = files[: SLOW_FILES if name in SLOW else None]
        run, count = CONTENDERS[name], len(files)
        warm_up = results / "warm-up"
        warm_up.mkdir(parents=True)
        run(files[:5], warm_up)
        shutil.rmtree(results)
        results.mkdir()
        started = time.perf_counter()
        run(files, results)
        seconds = time.perf_counter() - started
    print(json.dumps([seconds, count]))


def measure_apart(name: str, source: Path, results: Path) -> tuple[float, int] | str:
    """Return a contender's seconds per instance and its number of files, or why there are none."""
    shutil.rmtree(results, ignore_errors=True)
    command = [sys.executable, "-m", "benchmarks.peers", "--one", name, str(source), str(results)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        return (done.stderr.strip().splitlines() or ["no output"])[-1][:90]
    seconds, count = json.loads(done.stdout.splitlines()[-1])
    return seconds / count, count


def main() -> None:
    """Print the ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=1000, help="instances (default: 1000)")
    parser.add_argument("--size", default="512K", help="of each instance (default: 512K)")
    parser.add_argument("--rounds", type=int, default=5, help="(default: 5)")
    parser.add_argument("--folder", type=Path, default=Path("/dev/shm"), help="(default: in memory)")  # noqa: S108
    parser.add_argument("--json", action="store_true", help="print JSON only")
    parser.add_argument("--one", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        name, source, results = arguments.one
        measure_one(name, Path(source), Path(results))
        return
    seconds: dict[str, list[float]] = {"cp -r": []}
    counts, missing = {"cp -r": arguments.count}, {}
    with tempfile.TemporaryDirectory(dir=arguments.folder) as scratch:
        source = Path(scratch) / "source"
        generate(source, arguments.count, parse_size(arguments.size), shape=Shape(patients=10))
        for _ in range(arguments.rounds):
            seconds["cp -r"].append(run_copy(source, Path(scratch) / "copy") / arguments.count)
            for name in ("engine", *CONTENDERS):
                measured = measure_apart(name, source, Path(scratch) / "results")
                if isinstance(measured, str):
                    missing[name] = measured
                else:
                    seconds.setdefault(name, []).append(measured[0])
                    counts[name] = measured[1]
    base = statistics.median(seconds["cp -r"])
    rows = {
        name: {
            "ms per instance": round(1000 * statistics.median(found), 4),
            "x cp -r": round(statistics.median(found) / base, 2),
            "files": counts[name],
        }
        for name, found in seconds.items()
    }
    if arguments.json:
        result = {"count": arguments.count, "size": arguments.size, "results": rows, "missing": missing}
        print(json.dumps(result, indent=2))
        return
    print(f"{arguments.count} instances of {arguments.size}, one core each, medians of {arguments.rounds} rounds")
    for name, row in rows.items():
        per_instance, ratio, files = row.values()
        print(f"  {name:<18} {per_instance:>9} ms per instance {ratio:>8} x cp -r   {files} files")
    for name, reason in missing.items():
        print(f"  {name:<18} not run: {reason}")


if __name__ == "__main__":
    main()
