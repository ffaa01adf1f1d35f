"""Objects with thousands of items: what remembering shapes of items saves, in one interleaved run.

    python -m benchmarks.items                          # 100 files of each kind
    python -m benchmarks.items --count 20 --profile     # the PS3.15 profile instead of DicomVersion

Kinds: the enhanced MR image of benchmarks.engine (1 MiB, 1,000 frames, 8,000 nested items); the same with values of any
length, so that items are of many shapes; a structure set of 2,000 contours; a report of 3,000 content items. Measured:
scanning and editing one file in memory, time on a processor. Every file is edited twice in a row: with what is known
of files before, and without; the results must be equal.
"""

from __future__ import annotations

import argparse
import random
import statistics
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from pydicom.uid import ComprehensiveSRStorage, RTStructureSetStorage

from benchmarks.engine import KEY, SCOPE, plan_of
from benchmarks.generate import Shape, generate
from benchmarks.kinds import Origin, code, enhanced_mr, make, new_series, reference
from deidflow.tasks.core.pseudonyms.kept_identifiers import GivenIdentifiers
from deidflow.tasks.core.pseudonyms.original_uids import OriginalUids
from deidflow.tasks.core.request.profile_choice import ProfileChoice
from deidflow.tasks.local.dicom_file.source_file import SourceFile
from deidflow.tasks.local.worker import Compiled, Compiler, edit_source

if TYPE_CHECKING:
    from collections.abc import Callable

    from pydicom import Dataset

    from deidflow.tasks.core.engine.protocol import PlannedInstance


def _number(chance: random.Random) -> str:
    return f"{chance.uniform(-300, 300):.{chance.randint(0, 6)}f}"


def varied(origin: Origin, chance: random.Random) -> Dataset:
    """Return an enhanced MR image in which many values differ in length from frame to frame."""
    dataset = enhanced_mr(origin, 1000)
    for frame in dataset.PerFrameFunctionalGroupsSequence:
        frame.PlanePositionSequence[0].ImagePositionPatient = [_number(chance) for _ in range(3)]
        frame.FrameContentSequence[0].FrameComments = "x" * chance.randint(0, 9)
        frame.FrameVOILUTSequence[0].WindowCenter = _number(chance)
    return dataset


def structure_set(origin: Origin, chance: random.Random) -> Dataset:
    """Return a structure set of 20 regions with a hundred contours of any number of points each."""
    dataset = new_series(origin, "RTSTRUCT", RTStructureSetStorage)
    dataset.ROIContourSequence = [
        make(
            ReferencedROINumber=region,
            ContourSequence=[
                make(
                    ContourImageSequence=[reference("1.2.840.10008.5.1.4.1.1.2", f"{origin.uid}.9.{slice_}")],
                    ContourGeometricType="CLOSED_PLANAR",
                    NumberOfContourPoints=12,
                    ContourData=[_number(chance) for _ in range(36)],
                )
                for slice_ in range(100)
            ],
        )
        for region in range(20)
    ]
    return dataset


def report(origin: Origin, chance: random.Random) -> Dataset:
    """Return a report of a thousand measurements, three content items each, with codes and references."""
    dataset = new_series(origin, "SR", ComprehensiveSRStorage)

    def measurement(number: int) -> Dataset:
        found = make(
            RelationshipType="CONTAINS", ValueType="NUM", ConceptNameCodeSequence=code("G-D705", "SRT", "Volume")
        )
        value = make(NumericValue=_number(chance), MeasurementUnitsCodeSequence=code("mm3", "UCUM", "mm3"))
        found.MeasuredValueSequence = [value]
        site = make(
            RelationshipType="HAS CONCEPT MOD", ValueType="CODE", ConceptCodeSequence=code("T-71000", "SRT", "Kidney")
        )
        site.ConceptNameCodeSequence = code("G-C0E3", "SRT", "Finding Site")
        image = make(RelationshipType="INFERRED FROM", ValueType="IMAGE")
        image.ReferencedSOPSequence = [reference("1.2.840.10008.5.1.4.1.1.2", f"{origin.uid}.9.{number}")]
        found.ContentSequence = [site, image]
        return found

    dataset.ContentSequence = [measurement(number) for number in range(1000)]
    return dataset


KINDS: dict[str, Callable[[Origin, random.Random], Dataset]] = {
    "varied enhanced-mr": varied,
    "structure set": structure_set,
    "report": report,
}


def write(folder: Path, kind: str, count: int) -> None:
    """Write files of a kind, half of them in each of two series."""
    if kind == "enhanced-mr":
        generate(folder, count, 1 << 20, kind=kind, shape=Shape(1, 1, 2))
        return
    folder.mkdir()
    for number in range(count):
        chance = random.Random(number)
        dataset = KINDS[kind](Origin(1, 1, 1, 1 + number % 2), chance)
        dataset.SOPInstanceUID = f"{dataset.SeriesInstanceUID}.7.{number}"
        dataset.save_as(folder / f"{number}.dcm", enforce_file_format=True)


def measure(folder: Path, profile: ProfileChoice | None) -> tuple[list[float], list[float]]:
    """Edit every file with a memory and without; return the milliseconds of each.

    Raises:
        SystemExit: The results differ.

    """
    call = plan_of(folder, has_profile=profile is not None).calls[0]
    compilers = [
        Compiler(KEY, SCOPE, GivenIdentifiers(), OriginalUids(), hardening=True, profile=profile) for _ in range(2)
    ]
    remembering, plain = (compiler.compile(call.request) for compiler in compilers)
    plain = plain._replace(items=None)
    times: tuple[list[float], list[float]] = ([], [])
    for instance in call.instances:
        results = []
        for milliseconds, compiled in zip(times, (remembering, plain), strict=True):
            started = time.process_time()
            results.append(_edit(folder, instance, compiled))
            milliseconds.append(1000 * (time.process_time() - started))
        if results[0] != results[1]:
            message = "the results differ"
            raise SystemExit(message)
    return times


def _edit(folder: Path, instance: PlannedInstance, compiled: Compiled) -> bytes:
    with SourceFile.open(folder / instance.path.decode()) as source:
        return edit_source(source, instance, compiled).to_bytes()


def main() -> None:
    """Print milliseconds and ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=100, help="files of each kind (default: 100)")
    parser.add_argument("--profile", action="store_true", help="the profile ps3.15-2026d")
    parser.add_argument("--folder", type=Path, default=Path("/dev/shm"), help="where to work (default: in memory)")  # noqa: S108
    arguments = parser.parse_args()
    print(f"{arguments.count} files of each kind, ms each: remembering items, each item for itself, ratio of medians")
    for kind in ("enhanced-mr", *KINDS):
        with tempfile.TemporaryDirectory(dir=arguments.folder) as scratch:
            folder = Path(scratch) / "files"
            write(folder, kind, arguments.count)
            kib = next(folder.rglob("*.dcm")).stat().st_size >> 10
            new, plain = measure(folder, ProfileChoice() if arguments.profile else None)
        means = f"mean {statistics.mean(new):7.1f} {statistics.mean(plain):7.1f}"
        ratio = statistics.median(plain) / statistics.median(new)
        print(f"  {kind:<20} {kib:>5} KiB  {means}  median ratio {ratio:5.1f}  slowest {max(new):6.1f}")


if __name__ == "__main__":
    main()
