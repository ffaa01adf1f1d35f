"""Compress pixel data: pydicom's encoders, and imagecodecs (libjpeg-turbo 3) for JPEG lossless, which has none there.

Source: DICOM PS3.5 sections 8.2.1 and A.4.1 (edition 2026c): one frame is one JPEG stream with the first-order
predictor, which both lossless syntaxes allow.

Public names: ``can_write``, ``why_not``, ``compress``, ``NATIVE``, ``NOT_TAKEN``.
"""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from pydicom.encaps import encapsulate
from pydicom.pixels.encoders.base import get_encoder
from pydicom.uid import (
    JPEG2000,
    UID,
    JPEG2000Lossless,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
    RLELossless,
)

from deidflow.tasks.core.errors import InstanceFailed
from deidflow.tasks.core.outcomes import ReasonCode
from deidflow.tasks.local.dicom_file.encoding import (
    DEFLATED,
    EXPLICIT_VR_BIG_ENDIAN,
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
)
from deidflow.tasks.local.editing.painting.coded_frames import lossless_jpeg

if TYPE_CHECKING:
    from pydicom import Dataset

NATIVE: Final = frozenset({IMPLICIT_VR_LITTLE_ENDIAN, EXPLICIT_VR_LITTLE_ENDIAN, EXPLICIT_VR_BIG_ENDIAN, DEFLATED})

_JPEG_LOSSLESS: Final = frozenset({str(JPEGLossless), str(JPEGLosslessSV1)})
_WITH_EXTRA: Final = frozenset({*_JPEG_LOSSLESS, str(JPEGLSLossless), str(JPEGLSNearLossless), str(JPEG2000Lossless)})
_BY_WORDS: Final = frozenset({str(RLELossless), str(JPEGLSLossless), str(JPEGLSNearLossless)})
_OF_BITS: Final = frozenset({str(RLELossless), str(JPEG2000Lossless)})
"""What takes pixels of one bit (PS3.5 sections 8.2.2 and 8.2.4)."""
NOT_TAKEN: Final = (
    "pixels of this PhotometricInterpretation, BitsAllocated, BitsStored and PixelRepresentation, or so few Rows and "
    "Columns, cannot be written in the transfer syntax that options.Transcode asks for; ask for an uncompressed or "
    "deflated one"
)


def can_write(transfer_syntax: str) -> bool:
    """Whether a transfer syntax can be written here: uncompressed, deflated, or by an installed encoder.

    JPEG-LS near-lossless is written without loss. Not JPEG 2000 with loss, whose encoder wants a compression ratio that
    no argument of Orthanc's gives.
    """
    if transfer_syntax in NATIVE:
        return True
    if transfer_syntax in _JPEG_LOSSLESS:
        return importlib.util.find_spec("imagecodecs") is not None
    try:
        return transfer_syntax != JPEG2000 and bool(get_encoder(UID(transfer_syntax)).is_available)
    except NotImplementedError:
        return False


def why_not(transfer_syntax: str) -> str:
    """Return what to do about one that ``can_write`` refuses, for people."""
    if transfer_syntax in _WITH_EXTRA:
        return 'needs the codecs that come with `pip install "deidflow[codecs]"`; or use engine: orthanc'
    return (
        "must be one that the local engine writes: uncompressed (implicit and explicit VR), deflated and RLE, "
        "with the extra `codecs` also JPEG lossless (.57, .70), JPEG-LS (.80, .81) and JPEG 2000 lossless (.90); for "
        "others use engine: orthanc"
    )


def compress(dataset: Dataset, transfer_syntax: str) -> None:
    """Compress the pixel data of a dataset, samples pixel by pixel, in place.

    Args:
        dataset: Explicit VR little endian, with all that describes its pixels.
        transfer_syntax: One that ``can_write`` accepts.

    Raises:
        InstanceFailed: ``transcoding-failed``: no codec here takes such pixels.

    """
    try:
        _compress(dataset, transfer_syntax)
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException:  # noqa: BLE001 (codecs raise anything, that of RLE panics; the texts may hold values)
        raise InstanceFailed(ReasonCode.TRANSCODING_FAILED, NOT_TAKEN) from None


def _compress(dataset: Dataset, transfer_syntax: str) -> None:
    if int(dataset.BitsAllocated) == 1 and transfer_syntax in _OF_BITS:
        dataset.PixelData, dataset.BitsAllocated = _unpacked(dataset), 8
        dataset.compress(UID(transfer_syntax), generate_instance_uid=False)
        dataset.BitsAllocated = 1
        return
    if transfer_syntax not in _JPEG_LOSSLESS:
        stored = dataset.BitsStored
        # pydicom 3.0 would leave the upper byte of each word out of RLE, and DCMTK reads no JPEG-LS without it.
        needs_words = transfer_syntax in _BY_WORDS and stored <= dataset.BitsAllocated - 8
        if needs_words or not _are_numbers(dataset, _frames(dataset)):
            dataset.BitsStored = dataset.BitsAllocated
        dataset.compress(UID(transfer_syntax), generate_instance_uid=False)
        dataset.BitsStored = stored
        return
    frames = _frames(dataset)
    precision = _precision(dataset, frames)
    is_rgb = str(dataset.PhotometricInterpretation) == "RGB"
    dataset.PixelData = encapsulate([lossless_jpeg(frame, precision, is_rgb=is_rgb) for frame in frames])


def _unpacked(dataset: Dataset) -> bytes:
    """Return pixels of one bit, each in a byte."""
    count = int(dataset.get("NumberOfFrames") or 1) * int(dataset.Rows) * int(dataset.Columns)
    bits = np.unpackbits(np.frombuffer(dataset.PixelData, "u1"), bitorder="little")[:count]
    return bits.tobytes() + b"\0" * (count % 2)


def _frames(dataset: Dataset) -> np.ndarray[Any, np.dtype[Any]]:
    """Return the frames of native pixel data, one after the other, as unsigned words."""
    samples = int(dataset.SamplesPerPixel)
    shape = (int(dataset.get("NumberOfFrames") or 1), int(dataset.Rows), int(dataset.Columns))
    words = np.frombuffer(dataset.PixelData, f"<u{int(dataset.BitsAllocated) // 8}")
    whole = words[: shape[0] * shape[1] * shape[2] * samples]
    return whole.reshape((*shape, samples) if samples > 1 else shape)


def _are_numbers(dataset: Dataset, words: np.ndarray[Any, np.dtype[Any]]) -> bool:
    """Whether words are the numbers of BitsStored bits that an encoder takes them for, and other bits hold nothing."""
    stored, allocated = int(dataset.BitsStored), int(dataset.BitsAllocated)
    if int(dataset.HighBit) != stored - 1:
        return False
    if stored == allocated:
        return True
    others = words >> stored
    if int(dataset.PixelRepresentation) == 0:
        return not np.any(others)
    return bool(np.array_equal(others, (words >> stored - 1 & 1) * others.dtype.type((1 << allocated - stored) - 1)))


def _precision(dataset: Dataset, frames: np.ndarray[Any, np.dtype[Any]]) -> int:
    """Return how many bits of each word count: those that are stored, or all where others are set, as by a sign.

    All, too, where one byte would do for words of two, which decoders read as they are allocated.
    """
    stored, allocated = int(dataset.BitsStored), int(dataset.BitsAllocated)
    in_use = int(dataset.PixelRepresentation) == 0 and not np.any(frames >> stored)
    is_fit = int(dataset.HighBit) == stored - 1 and stored > allocated - 8
    return stored if in_use and is_fit else allocated
