"""Write realistic synthetic DICOM sets: the same bytes for the same arguments, on any machine.

python -m benchmarks.generate FOLDER --count 1000 --size 512K --patients 10 --seed 1

- generate: one set, as a function.
- Shape: how its instances are spread over patients, studies and series.
- parse_size: sizes as people write them.

The kinds are those of benchmarks/kinds.py. Every file has exactly the size asked for; pixel data is written in pieces,
so that memory stays flat.
"""

import argparse
import io
import random
import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from pydicom import Dataset, dcmwrite

from benchmarks.kinds import (
    CURRENT_MARK,
    EXPOSURE_MARK,
    KINDS,
    LOCATION_MARK,
    MOMENT_MARK,
    NUMBER_MARK,
    POSITION_MARK,
    SOP_MARK,
    TABLE_MARK,
    TIME_MARK,
    Origin,
)

PIECE_BYTES: Final = 4 << 20  # pixel data is written in pieces of at most this
NOISE_BYTES: Final = PIECE_BYTES + (1 << 16)  # so that each instance starts elsewhere in the noise
NOISE_STEP_BYTES: Final = 7918
LONG_HEADER_BYTES: Final = 12  # of an element of VR OB or OW in explicit VR
MAX_VALUE_BYTES: Final = 0xFFFFFFFE
MAX_ROWS: Final = 0xFFFF
SLACK_BYTES: Final = 64  # by which an instance's own values are longer than their marks at most


@dataclass(frozen=True)
class Shape:
    """How the instances are spread: evenly and in order over all series of all studies of all patients."""

    patients: int = 10
    studies_per_patient: int = 1
    series_per_study: int = 2

    def series(self) -> Iterator[tuple[int, int, int]]:
        """Yield the numbers of patient, study and series of each series, from 1."""
        for patient in range(1, self.patients + 1):
            for study in range(1, self.studies_per_patient + 1):
                for series in range(1, self.series_per_study + 1):
                    yield patient, study, series


def generate(
    folder: Path,
    count: int,
    size: int,
    *,
    kind: str = "ct",
    shape: Shape | None = None,
    frames: int = 1000,
    seed: int = 1,
) -> None:
    """Write `count` files of exactly `size` bytes into a new or empty folder.

    `frames` counts for `enhanced-mr` only. Raises ValueError for a folder that is not empty
    and for a size that is odd, or too small or too large for the kind.
    """
    if folder.exists() and any(folder.iterdir()):
        raise ValueError(f"{folder} is not empty")
    noise = (np.frombuffer(random.Random(seed).randbytes(NOISE_BYTES), "<u2") & 0x0FFF).tobytes()
    series = list((shape or Shape()).series())
    for at, numbers in enumerate(series):
        instances = (at + 1) * count // len(series) - at * count // len(series)
        if not instances:
            continue
        template = Template(KINDS[kind](Origin(seed, *numbers), frames), size)
        home = folder / "PAT{:05}/ST{:03}/SE{:03}".format(*numbers)
        home.mkdir(parents=True)
        for number in range(1, instances + 1):
            start = (at + number) * NOISE_STEP_BYTES % (NOISE_BYTES - PIECE_BYTES)
            template.write(home / f"IM{number:06}.dcm", number, memoryview(noise)[start:])


class Template:
    """One series' header, encoded once with marks in it, and the lay-out of the pixel data behind it."""

    def __init__(self, dataset: Dataset, size: int) -> None:
        """Choose as many rows (frames, where the rows are given) as fit into `size`; padding takes up the rest."""
        free = "NumberOfFrames" if dataset.Rows else "Rows"
        unit = 2 * dataset.Columns * int(dataset.Rows or dataset.get("NumberOfFrames") or 1)
        header = encode(dataset)
        # The header of the padding is always there, and the marks are about as long as what they stand for.
        cells = (size - len(header) - 2 * LONG_HEADER_BYTES - SLACK_BYTES) // unit
        if cells < 1 or size % 2:
            raise ValueError(f"size is {size}: it must be even and hold the header and {unit} bytes of pixels")
        if cells * unit > MAX_VALUE_BYTES or (free == "Rows" and cells > MAX_ROWS):
            raise ValueError(f"size is {size}: too large for this kind; multiframe goes up to 4G")
        setattr(dataset, free, cells)
        marks = b"|".join(re.escape(padded(mark)) for mark in values_of(1))
        pattern = b"(" + re.escape(SOP_MARK.encode()) + b")|..(" + marks + b")"
        self.parts = [part for part in re.split(pattern, encode(dataset), flags=re.DOTALL) if part is not None]
        self.size = size
        self.pixel_bytes = cells * unit
        self.pixel_header = long_header(0x7FE0, 0x0010, b"OW", self.pixel_bytes)

    def write(self, path: Path, number: int, noise: memoryview) -> None:
        """Write the series' instance of that number, with pixel data taken from the noise over and over."""
        marks = {SOP_MARK.encode(): f".{100_000 + number}".encode()}
        for mark, value in values_of(number).items():
            marks[padded(mark)] = struct.pack("<H", len(padded(value))) + padded(value)
        header = b"".join([marks.get(part, part) for part in self.parts]) + self.pixel_header
        padding = self.size - len(header) - self.pixel_bytes - LONG_HEADER_BYTES
        with path.open("xb") as file:
            file.write(header)
            left = self.pixel_bytes
            while left:
                left -= file.write(noise[: min(left, PIECE_BYTES)])
            file.write(long_header(0xFFFC, 0xFFFC, b"OB", padding) + bytes(padding))


def values_of(number: int) -> dict[str, str]:
    """Return what stands in the place of each mark but the first, in the instance of that number."""
    location = f"{(number * 1250 % 900_000) / 1000 - 300:g}"
    seconds = number * 0.137 % 60
    moment = f"1030{seconds:06.3f}" if number % 7 else f"1030{seconds:02.0f}"
    return {
        NUMBER_MARK: str(number),
        POSITION_MARK: f"-250.5\\-250.5\\{location}",
        LOCATION_MARK: location,
        TIME_MARK: moment,
        MOMENT_MARK: f"20240315{moment}",
        CURRENT_MARK: str(60 + number * 7 % 400),
        EXPOSURE_MARK: str(20 + number * 3 % 150),
        TABLE_MARK: f"{number * 0.6:g}",
    }


def padded(value: str) -> bytes:
    """Return a text value with an even length."""
    data = value.encode("ascii")
    return data + b" " * (len(data) % 2)


def long_header(group: int, element: int, vr: bytes, length: int) -> bytes:
    """Return the header of an element of VR OB or OW."""
    return struct.pack("<HH2sHI", group, element, vr, 0, length)


def encode(dataset: Dataset) -> bytes:
    """Return the file up to its pixel data."""
    buffer = io.BytesIO()
    dcmwrite(buffer, dataset, enforce_file_format=True)
    return buffer.getvalue()


def parse_size(text: str) -> int:
    """Return the bytes that `65536`, `64K`, `512M` or `1G` stands for."""
    match = re.fullmatch(r"(\d+)([KMG]?)", text)
    if match is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no size; good ones are 65536, 64K, 512M, 1G")
    return int(match[1]) << {"": 0, "K": 10, "M": 20, "G": 30}[match[2]]


def main() -> None:
    """Write the set that the command line describes."""
    parser = argparse.ArgumentParser(description="Write a realistic synthetic DICOM set.")
    parser.add_argument("folder", type=Path, help="where to write; new or empty")
    parser.add_argument("--count", type=int, default=1000, help="number of files (%(default)s)")
    parser.add_argument(
        "--size", type=parse_size, default="512K", help="of each file: bytes, or with K, M, G (%(default)s)"
    )
    parser.add_argument("--patients", type=int, default=10, help="(%(default)s)")
    parser.add_argument("--studies-per-patient", type=int, default=1, help="(%(default)s)")
    parser.add_argument("--series-per-study", type=int, default=2, help="(%(default)s)")
    parser.add_argument("--kind", choices=sorted(KINDS), default="ct", help="(%(default)s)")
    parser.add_argument("--frames", type=int, default=1000, help="of an enhanced-mr file (%(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="another seed gives other patients (%(default)s)")
    args = parser.parse_args()
    shape = Shape(args.patients, args.studies_per_patient, args.series_per_study)
    try:
        generate(args.folder, args.count, args.size, kind=args.kind, shape=shape, frames=args.frames, seed=args.seed)
    except ValueError as error:
        parser.error(str(error))
    print(f"{args.count} files of {args.size} bytes in {args.folder}")


if __name__ == "__main__":
    main()
