"""Results in another transfer syntax than their source's: the pixels decide, not the bytes."""

from __future__ import annotations

import contextlib
import copy
import io
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from pydicom import Dataset, dcmread
from pydicom.uid import UID, ExplicitVRLittleEndian, ImplicitVRLittleEndian, JPEGBaseline8Bit, RLELossless

from deidflow.tasks.core.errors import InstanceFailed
from deidflow.tasks.core.outcomes import ReasonCode
from deidflow.tasks.verification.by_pydicom.decoded_pixels import check_interpretation
from deidflow.tasks.verification.by_pydicom.pixels import check_pixels, check_recoded

if TYPE_CHECKING:
    from collections.abc import Callable

FRAMES, ROWS, COLUMNS = 2, 5, 7


def _image(bits: int, *, signed: bool = False, stored: int | None = None, samples: int = 1) -> Dataset:
    made = Dataset()
    made.file_meta = Dataset()  # type: ignore[assignment]
    made.SOPClassUID, made.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.7.3", "1.2.3"
    made.Rows, made.Columns, made.NumberOfFrames, made.SamplesPerPixel = ROWS, COLUMNS, FRAMES, samples
    made.PhotometricInterpretation = "RGB" if samples > 1 else "MONOCHROME2"
    if samples > 1:
        made.PlanarConfiguration = 0
    made.BitsAllocated, made.BitsStored, made.PixelRepresentation = bits, stored or bits, int(signed)
    made.HighBit = made.BitsStored - 1
    dice = np.random.default_rng(1)
    values = dice.integers(0, 1 << made.BitsStored, FRAMES * ROWS * COLUMNS * samples).astype(f"<u{bits // 8}")
    made.PixelData = values.tobytes()
    made["PixelData"].VR = "OW"
    return made


def _file(dataset: Dataset, syntax: UID) -> io.BytesIO:
    dataset = copy.deepcopy(dataset)
    dataset.file_meta = Dataset()  # type: ignore[assignment]
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    if syntax == RLELossless:
        dataset.compress(RLELossless, generate_instance_uid=False)
    dataset.file_meta.TransferSyntaxUID = syntax
    stream = io.BytesIO()
    dataset.save_as(stream, enforce_file_format=True)
    stream.seek(0)
    return stream


def _check(source: Dataset, result: Dataset, syntaxes: tuple[UID, UID], hidden: int = 0) -> None:
    source_file, result_file = (_file(*one) for one in zip((source, result), syntaxes, strict=True))
    _compare(source_file, result_file, hidden)


def _compare(source_file: io.BytesIO, result_file: io.BytesIO, hidden: int = 0) -> None:
    read = dcmread(source_file, stop_before_pixels=True), dcmread(result_file, stop_before_pixels=True)
    check_pixels(read, (source_file, result_file), hidden)


COMPRESSED, EXPANDED = (ExplicitVRLittleEndian, RLELossless), (RLELossless, ImplicitVRLittleEndian)
IMAGES: list[dict[str, Any]] = [
    {"bits": 8},
    {"bits": 16, "stored": 12},
    {"bits": 16, "signed": True},
    {"bits": 8, "samples": 3},
]


@pytest.mark.parametrize("syntaxes", [COMPRESSED, EXPANDED], ids=["compressed", "expanded"])
@pytest.mark.parametrize("form", IMAGES)
def test_the_same_pixels(form: dict[str, Any], syntaxes: tuple[UID, UID]) -> None:
    """Whatever their form, converted without loss they are the source's; with one bit changed they are not."""
    source, changed = _image(**form), _image(**form)
    data = bytearray(source.PixelData)
    data[-2] ^= 1
    changed.PixelData = bytes(data)

    _check(source, source, syntaxes)
    with pytest.raises(InstanceFailed, match="decoded pixels") as failed:
        _check(source, changed, syntaxes)
    assert ReasonCode.PIXEL_DATA_DIFFERS == failed.value.code


def _shorter(image: Dataset) -> None:
    image.NumberOfFrames = 1
    image.PixelData = image.PixelData[: len(image.PixelData) // FRAMES]


def _hidden(image: Dataset) -> None:
    words = np.frombuffer(image.PixelData, "<u2") | np.uint16(1 << 15)
    image.PixelData = words.tobytes()


@pytest.mark.parametrize(
    ("change", "code"),
    [(_shorter, ReasonCode.PIXEL_DATA_DIFFERS), (_hidden, ReasonCode.IDENTIFIER_LEFT)],
    ids=["a-frame-less", "an-overlay-bit"],
)
def test_what_a_result_must_not_be(change: Callable[[Dataset], None], code: ReasonCode) -> None:
    """A frame that is gone, or a bit beside the image that was to be cleared."""
    source, result = _image(16, stored=12), _image(16, stored=12)
    change(result)
    _check(source, source, EXPANDED, hidden=1 << 15)
    with pytest.raises(InstanceFailed) as failed:
        _check(source, result, EXPANDED, hidden=1 << 15)
    assert code == failed.value.code


def test_a_result_that_alone_cannot_be_decoded() -> None:
    """With `Transcode`, too: it is passed over only where the source cannot be decoded either."""
    source = _image(16, stored=8)
    right, half = _file(source, ExplicitVRLittleEndian), _file(source, RLELossless)  # pydicom writes a byte of two
    check_recoded(right, copy.copy(right), 0)
    check_recoded(half, copy.copy(half), 0)
    with pytest.raises(InstanceFailed, match="of the result cannot be decoded") as failed:
        check_recoded(right, half, 0)
    assert ReasonCode.PIXEL_DATA_DIFFERS == failed.value.code


@pytest.mark.parametrize(
    ("before", "after", "is_right"),
    [
        ("YBR_FULL_422", "YBR_FULL", True),
        ("YBR_RCT", "RGB", True),
        ("YBR_FULL", "RGB", False),
        ("MONOCHROME1", "MONOCHROME2", False),
    ],
)
def test_how_samples_are_to_be_read(before: str, after: str, is_right: bool) -> None:
    """Equal numbers that are read in another way are another image; lossy ones may have been converted."""
    source, result = _image(8, samples=3), _image(8, samples=3)
    source.PhotometricInterpretation, result.PhotometricInterpretation = before, after
    for syntax, fails in ((RLELossless, not is_right), (JPEGBaseline8Bit, False)):
        source.file_meta.TransferSyntaxUID = syntax
        with pytest.raises(InstanceFailed, match="how its pixels are") if fails else contextlib.nullcontext():
            check_interpretation(source, result)


def test_pixels_that_nobody_can_decode() -> None:
    """They are not taken for the source's."""
    source = _image(8)
    unknown = _file(source, RLELossless).getvalue().replace(b"1.2.840.10008.1.2.5", b"1.2.840.10008.1.2.7")
    source_file, result_file = _file(source, ExplicitVRLittleEndian), io.BytesIO(unknown)
    with pytest.raises(InstanceFailed, match="cannot be decoded here") as failed:
        _compare(source_file, result_file)
    assert ReasonCode.TRANSCODING_FAILED == failed.value.code
