"""RLE frames have places that no decoder reads: nothing is left there, the images are the same, the verifier tells."""

from __future__ import annotations

import io
import struct
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.encaps import generate_frames
from pydicom.uid import RLELossless

from deidflow.tasks.core.dicom.identifiers import DicomIdentifiers, Level
from deidflow.tasks.core.errors import InstanceFailed
from deidflow.tasks.core.outcomes import ReasonCode
from deidflow.tasks.core.request.profile_choice import ProfileChoice
from deidflow.tasks.verification.cleaned.frames import frames_fault
from tests.dicom_files import RLE, Element, encapsulated, grey, instance
from tests.local.edits import deidentify, read
from tests.steps.steps import Steps

if TYPE_CHECKING:
    from pathlib import Path

SECRET: Final = b"Smith^John 1960-04-12 "
PIXELS: Final = 30 * 20


def form(bits: int) -> dict[str, Any]:
    """Return what an object says of three frames."""
    return {**grey(30, 20, bits), "NumberOfFrames": "3", "SOPClassUID": "1.2.840.10008.5.1.4.1.1.7.2"}


def frames(bits: int) -> list[bytes]:
    """Return three frames of noise and of runs."""
    noise = np.random.default_rng(7).integers(0, 1 << bits, (3, 30, 20)).astype(f"<u{bits // 8}")
    noise[:, ::3, 4:] = 9
    dataset = dcmread(io.BytesIO(instance(Element(0x7FE00010, "OW", noise.tobytes()), **form(bits))))
    dataset.compress(RLELossless, encoding_plugin="pydicom")
    return list(generate_frames(dataset.PixelData, number_of_frames=3))


def dirty(frame: bytes) -> bytes:
    """Return a frame with a secret in its header, behind it, and behind each segment."""
    count, *offsets = struct.unpack_from("<16L", frame)
    bounds = [*offsets[:count], len(frame)]
    made, starts = SECRET, []
    for start, end in pairwise(bounds):
        starts.append(64 + len(made))
        made += frame[start:end] + SECRET
    header = struct.pack(f"<{count + 1}L", count, *starts) + SECRET
    return header.ljust(64, b"\0") + made


def file_of(bits: int, *fragments: bytes, **values: Any) -> bytes:
    """Return a file with these frames."""
    return instance(encapsulated(*fragments), syntax=RLE, **form(bits), **values)


@pytest.mark.parametrize("bits", [8, 16])
def test_nothing_but_the_images_stays(bits: int) -> None:
    """In each frame; as long as before, and decoded the same."""
    clean = frames(bits)
    data = file_of(bits, dirty(clean[0]), clean[1], dirty(clean[2]))
    result = deidentify(ProfileChoice())(data)
    before, after = read(data), read(result)

    assert 2 * (bits // 8 + 2) == data.count(SECRET)
    assert SECRET[:6] not in result
    assert len(before.PixelData) == len(after.PixelData)
    assert np.array_equal(read(file_of(bits, *clean)).pixel_array, after.pixel_array)
    assert frames_fault(before.PixelData, after.PixelData, little=True, rle_pixels=PIXELS) == ""


@pytest.mark.parametrize("bits", [8, 16])
def test_clean_frames_are_the_same_byte_for_byte(bits: int) -> None:
    """What an encoder writes by itself stays."""
    data = file_of(bits, *frames(bits))

    assert read(data).PixelData == read(deidentify(ProfileChoice())(data)).PixelData


def test_the_verifier_sees_texts_and_other_images() -> None:
    """By its own means: a text that was left, and one octet of the image."""
    clean = frames(16)
    before = read(file_of(16, dirty(clean[0]), *clean[1:])).PixelData
    after = read(deidentify(ProfileChoice())(file_of(16, dirty(clean[0]), *clean[1:]))).PixelData
    middle = after.index(clean[0][100:140]) + 20
    other = after[:middle] + bytes([after[middle] ^ 1]) + after[middle + 1 :]

    assert "text" in frames_fault(before, before, little=True, rle_pixels=PIXELS)
    assert "byte for byte" in frames_fault(before, other, little=True, rle_pixels=PIXELS)


@pytest.mark.parametrize(
    "header", [b"\0" * 64, b"\x10" + b"\0" * 63, struct.pack("<16L", 2, 80, 70, *[0] * 13), b"abc "]
)
def test_what_has_no_header_of_rle_is_refused(header: bytes) -> None:
    """Nobody can say where its image is."""
    with pytest.raises(InstanceFailed) as failed:
        deidentify(ProfileChoice())(file_of(8, header + SECRET))

    assert ReasonCode.UNSAFE_CONTENT is failed.value.code


def test_a_run_verifies_cleaned_frames(tmp_path: Path) -> None:
    """Results are found right by both readers."""
    (tmp_path / "source").mkdir()
    for bits in (8, 16):
        uids: dict[str, Any] = {"StudyInstanceUID": f"1.2.4.{bits}", "SOPInstanceUID": f"1.2.4.{bits}.3"}
        data = file_of(bits, *map(dirty, frames(bits)), PatientID=f"P-{bits}", **uids)
        (tmp_path / "source" / str(bits)).write_bytes(data)
    steps = Steps(tmp_path)
    rows = [DicomIdentifiers(f"P-{bits}", "", "", "").orthanc_id(Level.PATIENT) for bits in (8, 16)]
    steps.plan(rows, options=None, profile="ps3.15-2026d")
    steps.edit()

    assert steps.verify() == 0
    assert steps.report().reconciled
