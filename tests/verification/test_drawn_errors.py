"""Errors drawn from a seed and planted into results of a real run, wherever in the file they fall: each is found."""

from __future__ import annotations

import io
import random
import struct
from typing import TYPE_CHECKING, Any, Final

import pytest
from pydicom import dcmread
from pydicom.dataelem import RawDataElement

from deidflow.tasks.core.dicom.identifiers import DicomIdentifiers, Level
from tests.dicom_files import BIG, EXPLICIT, IMPLICIT, Element, Syntax, encode
from tests.steps.steps import Steps
from tests.verification.leaks import KINDS, Leak, Patient, source_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

FEW, ALL, SEED = 24, 100, 15
SYNTAXES: Final = (EXPLICIT, IMPLICIT, BIG)
KEPT: Final = (0x00280002, 0x00280004, 0x00280010, 0x00280011, 0x00280100, 0x00280101, 0x00280102, 0x00280103)
PIXELS: Final = 0x7FE00010


class Result:
    """A result and what may be done to it."""

    def __init__(self, data: bytes, other: bytes, syntax: Syntax, draw: random.Random) -> None:
        """Take a result and that of another patient."""
        self.data, self.other, self.syntax, self.draw = data, other, syntax, draw
        dataset = dcmread(io.BytesIO(data))
        raw: dict[int, Any] = {int(tag): dataset.get_item(tag) for tag in dataset.keys()}  # noqa: SIM118 (undecoded elements)
        self.at = {tag: (one.value_tell, one.length) for tag, one in raw.items() if isinstance(one, RawDataElement)}

    def header(self, tag: int) -> int:
        """Return how many bytes stand before the value of an element."""
        return 8 if not self.syntax.explicit or tag != PIXELS else 12

    def patch(self, start: int, end: int, new: bytes) -> bytes:
        """Return the data with other bytes there."""
        return self.data[:start] + new + self.data[end:]

    def flip(self, tag: int) -> bytes:
        """Flip a bit of a value."""
        start, length = self.at[tag]
        at = start + self.draw.randrange(length)
        return self.patch(at, at + 1, bytes([self.data[at] ^ 1 << self.draw.randrange(8)]))

    def untouched(self) -> bytes:
        """Flip a bit of an element that no rule names."""
        return self.flip(self.draw.choice(KEPT))

    def pixel(self) -> bytes:
        """Flip a bit of a pixel."""
        return self.flip(PIXELS)

    def swapped(self) -> bytes:
        """Exchange two pixels."""
        start, length = self.at[PIXELS]
        one, two = sorted(self.draw.sample(range(start, start + length), 2))
        data = bytearray(self.data)
        data[one], data[two] = data[two], data[one]
        return bytes(data)

    def lost(self) -> bytes:
        """Drop an element."""
        tag = self.draw.choice(KEPT)
        start, length = self.at[tag]
        return self.patch(start - self.header(tag), start + length, b"")

    def twice(self) -> bytes:
        """Write an element twice."""
        tag = self.draw.choice(KEPT)
        start, length = self.at[tag]
        return self.patch(start + length, start + length, self.data[start - self.header(tag) : start + length])

    def shifted(self) -> bytes:
        """Write a wrong length."""
        tag = self.draw.choice(KEPT)
        start, length = self.at[tag]
        form, size = (f"{self.syntax.prefix}L", 4) if not self.syntax.explicit else (f"{self.syntax.prefix}H", 2)
        return self.patch(start - size, start, struct.pack(form, length + self.draw.choice((-2, 2))))

    def cut(self) -> bytes:
        """Cut the file off."""
        start = min(where for where, _ in self.at.values())
        return self.data[: self.draw.randrange(start, len(self.data) - 1)]

    def merged(self) -> bytes:
        """Give the result another patient's ID."""
        theirs = Result(self.other, b"", self.syntax, self.draw)
        (start, length), (where, many) = self.at[0x00100020], theirs.at[0x00100020]
        assert length == many
        return self.patch(start, start + length, self.other[where : where + many])

    def original(self) -> bytes:
        """Put an original UID back."""
        start, length = self.at[0x00200052]
        uid = f"1.2.826.0.1.3680043.99.{self.draw.randrange(90)}.4".encode().ljust(length, b"\0")
        return self.patch(start, start + length, uid)

    def private(self) -> bytes:
        """Put a private element without its creator before the pixels."""
        start, _ = self.at[PIXELS]
        own = encode([Element(0x00751001, "LO", b"of nobody ")], self.syntax)
        at = start - self.header(PIXELS)
        return self.patch(at, at, own)


CHANGES: Final[tuple[Callable[[Result], bytes], ...]] = (
    *(Result.untouched, Result.pixel, Result.swapped, Result.lost, Result.twice, Result.shifted, Result.cut),
    *(Result.merged, Result.original, Result.private),
)


@pytest.mark.parametrize("count", [FEW, pytest.param(ALL, marks=pytest.mark.long)])
def test_each_error_is_found(tmp_path: Path, count: int) -> None:
    """Every result is changed in one way, and every one fails."""
    draw = random.Random(SEED)  # noqa: S311 (no secret)
    values = {kind.keyword: kind.value for kind in KINDS}
    (tmp_path / "source").mkdir()
    rows, syntaxes = [], {}
    for number in range(count):
        of = Patient(number, "Kowalczyk", "Bronislaw", "", "ascii")
        syntax = SYNTAXES[number % len(SYNTAXES)]
        source = source_of(Leak(of, syntax, "", b"", "text", 0, by_source=False))
        (tmp_path / "source" / str(number)).write_bytes(source)
        own = (values["PatientID"](of), values["StudyInstanceUID"](of), values["SeriesInstanceUID"](of))
        rows.append(DicomIdentifiers(*own, f"{own[1][:-2]}.3").orthanc_id(Level.STUDY))
        syntaxes[f"{own[1][:-2]}.3"] = number
    steps = Steps(tmp_path)
    steps.plan(rows)
    steps.edit()
    steps.report()
    paths = {path.stem: path for path in (tmp_path / "results").rglob("*.dcm")}
    results = {syntaxes[line["original_dicom_id"]]: paths[line["new_dicom_id"]] for line in steps.crosswalk()}
    sound = {number: path.read_bytes() for number, path in results.items()}
    for number, path in results.items():
        syntax, other = SYNTAXES[number % len(SYNTAXES)], sound[(number + len(SYNTAXES)) % count]
        path.write_bytes(CHANGES[number % len(CHANGES)](Result(sound[number], other, syntax, draw)))
    steps.verify()

    steps.report()
    missed = [
        CHANGES[number % len(CHANGES)].__name__
        for line in steps.crosswalk()
        for number in [syntaxes[line["original_dicom_id"]]]
        if line["outcome"] != "failed"
    ]
    assert [] == missed
