"""A name beside compressed pixels is found wherever a frame has room for it, in every instance of a series."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final

import pytest

from deidflow.tasks.core.outcomes import ReasonCode
from tests.dicom_files import EXPLICIT, JPEG, Element, Item, Syntax, encapsulated, instance
from tests.verification.test_series_memory import COUNT, FIXED, STANDARD, noted, series_of

if TYPE_CHECKING:
    from pathlib import Path

JPEG_LS: Final = Syntax("1.2.840.10008.1.2.4.80")
JPEG_2000: Final = Syntax("1.2.840.10008.1.2.4.90")
NAME: Final = b"Kowalczyk^Bronislaw"
CODED: Final = bytes(range(1, 64)) * 200
"""Longer than what is searched at both ends of any fragment."""


def segment(marker: int, data: bytes) -> bytes:
    """Return a marker with what belongs to it."""
    return struct.pack(">BBH", 0xFF, marker, len(data) + 2) + data


def part(header: bytes, length: int, coded: bytes = CODED) -> bytes:
    """Return a tile-part of JPEG 2000; 0 where its length is left out."""
    return b"\xff\x90\0\x0a\0\0" + struct.pack(">L", length) + b"\0\1" + header + b"\xff\x93" + coded


HEAD: Final = b"\xff\xd8" + segment(0xE0, b"JFIF\0\1\1\0\0\1\0\1\0\0")
SCAN: Final = segment(0xDA, bytes(8)) + CODED
END: Final = b"\xff\xd9"
MAIN: Final = b"\xff\x4f" + segment(0x51, bytes(45))
COMMENT: Final = segment(0x64, b"\0\1" + NAME)
FRAMES: Final[dict[str, tuple[Syntax, tuple[bytes, ...]]]] = {
    "a comment between scans": (JPEG, (HEAD + SCAN + segment(0xFE, NAME) + SCAN + END,)),
    "an application segment between scans": (JPEG, (HEAD + SCAN + segment(0xE5, NAME) + SCAN + END,)),
    "a comment behind fill bytes": (JPEG, (HEAD + b"\xff\xff" + segment(0xFE, NAME) + SCAN + END,)),
    "between segments": (JPEG, (HEAD + NAME + SCAN + END,)),
    "between two ends": (JPEG, (HEAD + SCAN + END + NAME + END,)),
    "in a second image": (JPEG, (HEAD + SCAN + END + HEAD + segment(0xFE, NAME) + SCAN + END,)),
    "in the middle of a second fragment": (JPEG, (HEAD + SCAN, CODED + segment(0xFE, NAME) + CODED + END)),
    "over two fragments": (JPEG, (HEAD + SCAN + b"\xff\xfe\0\x20", NAME + CODED + CODED + END)),
    "a comment of JPEG-LS between scans": (JPEG_LS, (HEAD + SCAN + segment(0xFE, NAME) + SCAN + END,)),
    "in the header of a tile-part": (JPEG_2000, (MAIN + part(COMMENT, 0) + END,)),
    "in that of the second": (JPEG_2000, (MAIN + part(b"", 14 + len(CODED)) + part(COMMENT, 0) + END,)),
    "between two ends of JPEG 2000": (JPEG_2000, (MAIN + part(b"", 0) + END + NAME + END,)),
    "behind the end of JPEG 2000": (JPEG_2000, (MAIN + part(b"", 14 + len(CODED)) + END + NAME + END,)),
}
REFUSED: Final = frozenset({"between segments", "in the middle of a second fragment", "over two fragments"})
"""What the engine does not clean, since it cannot follow the frame to its end."""


@pytest.mark.parametrize("name", FRAMES)
def test_a_name_in_a_frame(tmp_path: Path, name: str) -> None:
    """An Orthanc's profile leaves it, so it is reported; the standard's blanks it, so that nothing is."""
    syntax, fragments = FRAMES[name]
    even = [one + b"\0" * (len(one) % 2) for one in fragments]
    files = [
        instance(encapsulated(*even), syntax=syntax, SOPInstanceUID=f"1.2.9.{100 + number}", **FIXED)
        for number in range(COUNT)
    ]
    left = series_of(tmp_path / "left", files, "2023b")
    assert [ReasonCode.IDENTIFIER_LEFT] * COUNT == [one.code for one in left.together()]
    if name in REFUSED:
        return

    gone = series_of(tmp_path / "gone", files, STANDARD)
    results = gone.together()
    assert noted(gone.one_by_one()) == noted(results)
    assert [None] * COUNT == [one.code for one in results]
    assert NAME not in gone.result(0).read_bytes()


def test_a_uid_behind_a_length_that_is_a_digit(tmp_path: Path) -> None:
    """The bytes of a comment's length belong to no number in it, whatever they mean in its character set."""
    study = "1.2.826.0.1.3680043.99.82.1"
    comment = study.encode("utf-16-be")
    assert b"\x008" == segment(0xFE, comment)[2:4]
    pixels = encapsulated(HEAD + segment(0xFE, comment) + SCAN + END)
    of_study = {**FIXED, "StudyInstanceUID": study}
    files = [instance(pixels, syntax=JPEG, SOPInstanceUID=f"1.2.9.{number}", **of_study) for number in range(COUNT)]

    results = series_of(tmp_path, files, "2023b").together()
    assert [ReasonCode.IDENTIFIER_LEFT] * COUNT == [one.code for one in results]


@pytest.mark.parametrize("tag", [0x7FE00008, 0x7FE00010])
def test_a_name_in_pixel_data_of_an_item(tmp_path: Path, tag: int) -> None:
    """Nothing compares these with an image, so they are searched like any bytes."""
    pixels = Element(tag, "OF" if tag == 0x7FE00008 else "OB", b"\1\2\3\4" + NAME + b"\5")
    files = [
        instance(Element(0x00540220, "SQ", (Item((pixels,)),)), SOPInstanceUID=f"1.2.9.{number}", **FIXED)
        for number in range(2)
    ]
    for mode in ("2023b", STANDARD):
        results = series_of(tmp_path / mode, files, mode).together()
        assert [ReasonCode.IDENTIFIER_LEFT] * 2 == [one.code for one in results]


@pytest.mark.parametrize("syntax", [JPEG, EXPLICIT], ids=["fragments", "native"])
def test_a_segment_that_ends_behind_the_file(tmp_path: Path, syntax: Syntax) -> None:
    """Of a frame that tells a wrong length as much is searched as there is."""
    frame = HEAD + b"\xff\xfe\xff\xf0" + bytes(20)
    pixels = encapsulated(frame) if syntax is JPEG else Element(0x7FE00010, "OB", bytes(64))
    files = [instance(pixels, syntax=syntax, SOPInstanceUID=f"1.2.9.{number}", **FIXED) for number in range(COUNT)]

    assert [None] * COUNT == [one.code for one in series_of(tmp_path, files, "2023b").together()]
