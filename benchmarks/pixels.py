"""Painting regions of pixels against `cp -r` of the same files, and the memory of a long ultrasound.

    python -m benchmarks.pixels                          # 1,000 x 512 KiB, uncompressed, 5 rounds
    python -m benchmarks.pixels --frames 500             # one ultrasound of so many frames, in three transfer syntaxes

A band of 40 rows at the top and a corner are painted in every frame. Measured as in benchmarks.engine, and beside the
time on the clock the CPU time (user and system) of one process, which other work on the machine changes less; of the
ultrasound (1024 x 768 RGB) the seconds and the peak memory of the process that edits it, by the kernel's count.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import statistics
import tempfile
import time
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from pydicom.encaps import encapsulate
from pydicom.pixels.encoders.base import get_encoder
from pydicom.uid import UID, JPEGBaseline8Bit, JPEGLSLossless, RLELossless

from benchmarks.engine import KEY, SCOPE, measure, plan_of, run_copy
from benchmarks.generate import Shape, generate
from deidflow.tasks.core.pixels.choice import PixelChoice
from deidflow.tasks.core.pixels.conditions import All
from deidflow.tasks.core.pixels.decision import PixelRule, PixelRules
from deidflow.tasks.core.pixels.regions import Region
from deidflow.tasks.core.request.profile_choice import ProfileChoice
from deidflow.tasks.local.folder.source import FolderSource
from deidflow.tasks.local.folder.store import FolderStore
from deidflow.tasks.local.worker import Worker, WorkerSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

COUNT = 1000
SIZE = 512 << 10
ROWS, COLUMNS = 768, 1024
REGIONS = (Region(0, 0, 4096, 40), Region(0, 300, 100, 100))


def choice() -> ProfileChoice:
    """Return the profile with one rule that paints everything."""
    rules = PixelRules((PixelRule("benchmark", All(()), regions=REGIONS),), ())
    return ProfileChoice(frozenset({"clean-pixel-data"}), pixels=PixelChoice(rules))


def write_ultrasound(path: Path, frames: int, syntax: str) -> None:
    """Write a file of many frames, a few different ones over and over."""
    from pydicom import Dataset  # noqa: PLC0415 (beside what it is about)
    from pydicom.dataset import FileMetaDataset  # noqa: PLC0415

    random = np.random.default_rng(1)
    image = random.integers(0, 40, (ROWS, COLUMNS, 3), "u1")
    image[100:700, 200:900] = (np.add.outer(np.arange(600), np.arange(700)) // 8 % 200)[..., None]
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = UID(syntax)
    dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = UID("1.2.840.10008.5.1.4.1.1.3.1")
    dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = UID("1.2.3.4")
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID, dataset.PatientID = "1.2.3.1", "1.2.3.2", "P"
    dataset.Modality, dataset.NumberOfFrames = "US", frames
    dataset.Rows, dataset.Columns, dataset.SamplesPerPixel, dataset.PlanarConfiguration = ROWS, COLUMNS, 3, 0
    dataset.BitsAllocated = dataset.BitsStored = 8
    dataset.HighBit, dataset.PixelRepresentation = 7, 0
    dataset.PhotometricInterpretation = "YBR_FULL_422" if syntax == JPEGBaseline8Bit else "RGB"
    if syntax == JPEGBaseline8Bit:
        from imagecodecs import jpeg8_encode  # noqa: PLC0415 (of the extra `codecs`)

        coded = bytes(jpeg8_encode(image, level=85, subsampling="422"))
    else:
        coded = get_encoder(UID(syntax)).encode(
            image.tobytes(),
            rows=ROWS,
            columns=COLUMNS,
            samples_per_pixel=3,
            photometric_interpretation="RGB",
            bits_allocated=8,
            bits_stored=8,
            pixel_representation=0,
            planar_configuration=0,
            number_of_frames=1,
        )
    dataset.PixelData = encapsulate([coded] * frames)
    dataset.save_as(path, enforce_file_format=True)


def edit_alone(source: str, destination: str) -> tuple[float, int]:
    """Paint one file, and return seconds and peak memory in bytes of this process."""
    edit = editing(Path(source), Path(destination), choice())
    started = time.perf_counter()
    edit()
    seconds = time.perf_counter() - started
    return seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def editing(source: Path, destination: Path, profile: ProfileChoice) -> Callable[[], None]:
    """Return what edits a folder in this process."""
    folders = FolderSource(os.fsencode(source)), FolderStore(str(destination))
    worker = Worker(WorkerSettings(*folders, KEY, SCOPE, hardening=True, profile=profile))
    call = plan_of(source, has_profile=True).calls[0]

    def edit() -> None:
        wrong = [result.text for result in worker.edit([(call.request, call.instances)]) if result.code is not None]
        if wrong:
            raise SystemExit(wrong[0])

    return edit


def cpu_seconds(source: Path, scratch: Path, rounds: int) -> dict[str, list[float]]:
    """Return the CPU seconds of `cp -r`, of the profile and of painting, each in one process, by turns."""
    destination = scratch / "alone"
    profiles = {"profile": ProfileChoice(), "painting": choice()}
    edits = {name: editing(source, destination, profile) for name, profile in profiles.items()}
    found: dict[str, list[float]] = {}
    for number in range(rounds + 1):
        before = _cpu(resource.RUSAGE_CHILDREN)
        run_copy(source, destination)
        taken = {"cp -r": _cpu(resource.RUSAGE_CHILDREN) - before}
        for name, edit in edits.items():
            shutil.rmtree(destination)
            destination.mkdir()
            before = _cpu(resource.RUSAGE_SELF)
            edit()
            taken[name] = _cpu(resource.RUSAGE_SELF) - before
        if number:  # the first time everything is new
            for name, seconds in taken.items():
                found.setdefault(name, []).append(seconds)
    shutil.rmtree(destination)
    return found


def _cpu(whose: int) -> float:
    usage = resource.getrusage(whose)
    return usage.ru_utime + usage.ru_stime


def _print(seconds: Mapping[str, list[float]]) -> None:
    """Print medians, and their ratios to the first, which is `cp -r`."""
    medians = {name: statistics.median(taken) for name, taken in seconds.items()}
    copied = next(iter(medians.values()))
    for name, median in medians.items():
        rounds = len(seconds[name])
        print(f"{name:20} {1000 * median / COUNT:.3f} ms, {median / copied:.2f} x cp -r, {rounds} rounds")


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5, help="at least (default: 5)")
    parser.add_argument("--frames", type=int, default=0, help="of one ultrasound, instead of single frames")
    parser.add_argument("--folder", type=Path, default=Path("/dev/shm"), help="where to work (default: in memory)")  # noqa: S108
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.folder) as scratch_name:
        scratch = Path(scratch_name)
        source = scratch / "source"
        if not arguments.frames:
            generate(source, COUNT, SIZE, kind="ct", shape=Shape())
            measurement = measure(source, scratch, arguments.rounds, choice())
            _print(measurement.seconds)
            _print({f"CPU: {name}": taken for name, taken in cpu_seconds(source, scratch, arguments.rounds).items()})
            return
        source.mkdir()
        for syntax in (JPEGBaseline8Bit, JPEGLSLossless, RLELossless):
            with get_context("spawn").Pool(1) as pool:  # a process inherits the peak memory of the one that starts it
                pool.apply(write_ultrasound, (source / "us.dcm", arguments.frames, syntax))
            destination = scratch / syntax
            destination.mkdir()
            with get_context("spawn").Pool(1) as pool:
                taken, peak = pool.apply(edit_alone, (str(source), str(destination)))
            print(f"{syntax.name:40} {taken:.1f} s, peak {peak >> 20} MiB", flush=True)


if __name__ == "__main__":
    main()
