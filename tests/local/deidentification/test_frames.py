"""Compressed frames through a run: what is no image is blank, and nothing else changes; the verifier tells both."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import imagecodecs
import numpy as np
import pytest
from pydicom import dcmread
from pydicom.encaps import generate_frames

from deidflow.tasks.core.dicom.identifiers import DicomIdentifiers, Level
from deidflow.tasks.core.request.profile_choice import ProfileChoice
from deidflow.tasks.verification.cleaned.frames import frames_fault
from tests.dicom_files import JPEG as JPEG_SYNTAX
from tests.dicom_files import encapsulated, instance
from tests.local.edits import deidentify, read
from tests.steps.steps import Steps

if TYPE_CHECKING:
    from pathlib import Path

SECRET: Final = b"Smith^John 1960-04-12"
IMAGE: Final = (np.arange(32 * 32) % 251).astype("u1").reshape(32, 32)
FORM: Final[dict[str, Any]] = {
    **dict.fromkeys(("Rows", "Columns"), 32),
    **dict.fromkeys(("BitsAllocated", "BitsStored"), 8),
    "HighBit": 7,
    "PixelRepresentation": 0,
    "SamplesPerPixel": 1,
    "PhotometricInterpretation": "MONOCHROME2",
    "SOPClassUID": "1.2.840.10008.5.1.4.1.1.7.2",
}


class Kind(NamedTuple):
    """A way of compression.

    Attributes:
        syntax: Transfer syntax.
        frame: Without anything but an image.
        dirty: The same with a secret in each place where one can be.

    """

    syntax: str
    frame: bytes
    dirty: bytes


def segment(marker: int, content: bytes) -> bytes:
    """Return a segment of a JPEG or a JPEG 2000."""
    return struct.pack(">HH", marker, len(content) + 2) + content


def of_jpeg(frame: bytes) -> bytes:
    """Return a frame with a comment, an application segment, and something behind its end."""
    return frame[:2] + segment(0xFFFE, SECRET) + segment(0xFFE1, b"Exif\0\0" + SECRET) + frame[2:] + SECRET


def of_jpeg_2000(stream: bytes) -> bytes:
    """Return a frame with a comment in its main header, and something behind its end."""
    main = stream.index(b"\xff\x52")
    return stream[:main] + segment(0xFF64, b"\0\1" + SECRET) + stream[main:] + SECRET


_JPEG: Final = bytes(imagecodecs.jpeg8_encode(IMAGE))
_LOSSLESS: Final = bytes(imagecodecs.jpeg8_encode(IMAGE, lossless=True))
_LS: Final = bytes(imagecodecs.jpegls_encode(IMAGE))
_STREAM: Final = bytes(imagecodecs.jpeg2k_encode(IMAGE, codecformat="j2k"))
_JP2: Final = bytes(imagecodecs.jpeg2k_encode(IMAGE, codecformat="jp2"))
_BOX: Final = struct.pack(">I", 8 + len(SECRET)) + b"xml " + SECRET
KINDS: Final = {
    "baseline": Kind("1.2.840.10008.1.2.4.50", _JPEG, of_jpeg(_JPEG)),
    "lossless": Kind("1.2.840.10008.1.2.4.70", _LOSSLESS, of_jpeg(_LOSSLESS)),
    "jpeg-ls": Kind("1.2.840.10008.1.2.4.80", _LS, of_jpeg(_LS)),
    "jpeg 2000": Kind("1.2.840.10008.1.2.4.90", _STREAM, of_jpeg_2000(_STREAM)),
    "jp2": Kind("1.2.840.10008.1.2.4.90", _JP2, _JP2 + _BOX),
}


def even(data: bytes) -> bytes:
    """Return a fragment of even length."""
    return data + b"\0" * (len(data) % 2)


def pieces(data: bytes) -> list[bytes]:
    """Cut a frame into fragments, one of which ends in the middle of a secret."""
    data, cut = even(data), (data.index(SECRET) + 6) // 2 * 2
    return [data[:cut], data[cut:]]


def file_of(kind: Kind, *fragments: bytes, **values: Any) -> bytes:
    """Return a file with these fragments behind an offset table."""
    return instance(encapsulated(*fragments), syntax=JPEG_SYNTAX._replace(uid=kind.syntax), **FORM, **values)


@pytest.mark.parametrize("name", KINDS)
def test_nothing_but_the_images_stays(name: str) -> None:
    """In one fragment or several, in one frame or several; as long as before, and decoded the same."""
    kind = KINDS[name]
    for fragments, frames in (
        ([even(kind.dirty)], 1),
        (pieces(kind.dirty), 1),
        ([even(kind.dirty), even(kind.frame), even(kind.dirty)], 3),
    ):
        data = file_of(kind, *fragments, NumberOfFrames=str(frames))
        result = deidentify(ProfileChoice())(data)
        before, after = (read(one).PixelData for one in (data, result))

        assert SECRET[:6] not in result
        assert len(before) == len(after)
        assert frames_fault(before, after, little=True) == ""
        for old, new in zip(*(generate_frames(one, number_of_frames=frames) for one in (before, after)), strict=True):
            changed = [at for at, (one, other) in enumerate(zip(old, new, strict=True)) if one != other]
            assert np.array_equal(decoded(name, old), decoded(name, new))
            assert len(changed) <= 3 * len(SECRET) + 6


def decoded(name: str, frame: bytes) -> Any:
    """Decode a frame; what stands behind its end is no part of it."""
    if name.startswith("jp"):
        return imagecodecs.jpegls_decode(frame) if name == "jpeg-ls" else imagecodecs.jpeg2k_decode(frame)
    return imagecodecs.jpeg_decode(frame)


def test_clean_frames_are_the_same_byte_for_byte() -> None:
    """What an encoder writes by itself stays."""
    for kind in KINDS.values():
        data = file_of(kind, even(kind.frame))
        assert read(deidentify(ProfileChoice())(data)).PixelData == read(data).PixelData


def test_a_run_verifies_cleaned_frames(tmp_path: Path) -> None:
    """Results are found right; one with another image, or with the text, is found wrong."""
    (tmp_path / "source").mkdir()
    rows = []
    for at, kind in enumerate(KINDS.values()):
        uids = {
            "StudyInstanceUID": f"1.2.4.{at}.1",
            "SeriesInstanceUID": f"1.2.4.{at}.2",
            "SOPInstanceUID": f"1.2.4.{at}.3",
        }
        (tmp_path / "source" / str(at)).write_bytes(file_of(kind, *pieces(kind.dirty), PatientID=f"P-{at}", **uids))
        rows.append(DicomIdentifiers(f"P-{at}", "", "", "").orthanc_id(Level.PATIENT))
    steps = Steps(tmp_path)
    steps.plan(rows, options=None, profile="ps3.15-2026d")
    steps.edit()

    assert steps.verify() == 0
    assert steps.report().reconciled
    for path in (tmp_path / "results").rglob("*.dcm"):
        assert SECRET[:6] not in path.read_bytes()
        assert dcmread(path).PatientIdentityRemoved == "YES"


@pytest.mark.parametrize("name", KINDS)
def test_the_verifier_sees_texts_and_other_images(name: str) -> None:
    """By its own means: a text that was left, one octet of the image, another offset table, other fragments."""
    kind = KINDS[name]
    before = read(file_of(kind, *pieces(kind.dirty))).PixelData
    after = read(deidentify(ProfileChoice())(file_of(kind, *pieces(kind.dirty)))).PixelData
    middle = after.index(kind.frame[-40:-30])
    other = after[: middle + 4] + bytes([after[middle + 4] ^ 1]) + after[middle + 5 :]

    assert frames_fault(before, after, little=True) == ""
    assert "text" in frames_fault(before, before, little=True)
    assert "byte for byte" in frames_fault(before, other, little=True)
    assert "items" in frames_fault(before, b"\xfe\xff\x00\xe0\x02" + after[5:], little=True)
    assert "byte for byte" in frames_fault(before, after + b"\0\0", little=True)


def test_pixel_data_that_goes_is_not_looked_at() -> None:
    """Replacing or removing it is the request's word."""
    kind = KINDS["baseline"]
    data = file_of(kind, even(kind.dirty[: len(kind.dirty) // 2]))
    after = read(deidentify(ProfileChoice(), {"Remove": ["PixelData"]})(data))

    assert "PixelData" not in after
