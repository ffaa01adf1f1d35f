"""Pixel data as an encoder takes it: decoded, sample by sample, as many for each pixel as SamplesPerPixel says.

No colour is converted where that would lose anything: what was coded without loss keeps its samples and their
interpretation. YBR_FULL_422 becomes YBR_FULL, in which the two pixels that shared a colour have it both, so that each
can be told from the other form again; no transfer syntax but JPEG with loss has halved colours in its frames.

Source: DICOM PS3.3 section C.7.6.3.1.2, PS3.5 sections 8.1.1, 8.2 and D (edition 2026d).

Public names: ``decode``, ``expand``, ``LOSSY_JPEG``.
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from pydicom.encaps import generate_frames
from pydicom.pixels.decoders.base import get_decoder
from pydicom.uid import (
    UID,
    ExplicitVRLittleEndian,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    RLELossless,
)

from deidflow.tasks.core.errors import InstanceFailed
from deidflow.tasks.core.outcomes import ReasonCode

if TYPE_CHECKING:
    from pydicom import Dataset

    Frame = np.ndarray[Any, np.dtype[Any]]

_LOSSLESS_JPEG: Final = frozenset({str(JPEGLossless), str(JPEGLosslessSV1)})
_LOSSLESS_HEADER: Final = re.compile(rb"\xff\xc3\0.(.)", re.DOTALL)
"""Of a frame (SOF3): its precision."""
LOSSY_JPEG: Final = frozenset({str(JPEGBaseline8Bit), str(JPEGExtended12Bit)})
"""Their colours become RGB when they are decoded, as in Orthanc."""

_HALVED: Final = "YBR_FULL_422"
_WHOLE: Final = "YBR_FULL"
_RETIRED: Final = ("YBR_PARTIAL_422", "YBR_PARTIAL_420")
_TRANSFORMED: Final = ("YBR_RCT", "YBR_ICT")
_NO_NAME: Final = (
    "PhotometricInterpretation must be one that holds when each pixel has its own samples; leave options.Transcode out"
)
_NO_PAIRS: Final = (
    "pixels of YBR_FULL_422 must stand pixel by pixel and in pairs, with an even number of Columns (PS3.3 C.7.6.3.1.2)"
)


def decode(dataset: Dataset) -> None:
    """Decode compressed pixel data, in place: PixelData, and what says how its samples stand.

    Args:
        dataset: Compressed, with its file meta information.

    Raises:
        InstanceFailed: ``transcoding-failed``: its samples would have no name any more.
        Exception: The codec's own; it cannot read these frames.

    """
    syntax, before = str(dataset.file_meta.TransferSyntaxUID), str(dataset.get("PhotometricInterpretation", ""))
    if before in _RETIRED:
        raise InstanceFailed(ReasonCode.TRANSCODING_FAILED, _NO_NAME)
    loses = syntax in LOSSY_JPEG
    if int(dataset.SamplesPerPixel) > 1:
        dataset.PlanarConfiguration = 0  # of compressed frames it says nothing, and pydicom would believe it
    frames: list[Frame] = []
    interpretation = before
    decoder = get_decoder(UID(syntax))
    for frame, said in decoder.iter_array(dataset, as_rgb=loses, correct_unused_bits=False, **_widths(dataset)):
        frames.append(_in_words(frame, dataset))
        if loses:
            interpretation = str(said["photometric_interpretation"])
    if interpretation in _TRANSFORMED:
        interpretation = "RGB"  # as the codec gives them (PS3.5 section 8.2.4)
    elif interpretation == _HALVED:
        interpretation = _WHOLE  # a decoder gives each pixel its colour
    dataset.PixelData = _joined(frames, int(dataset.BitsAllocated))
    dataset["PixelData"].is_undefined_length = False
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.PhotometricInterpretation = interpretation
    if "NumberOfFrames" in dataset:
        dataset.NumberOfFrames = len(frames)


def _widths(dataset: Dataset) -> dict[str, Any]:
    """Return what has to be said where code streams have one byte a sample, and other bits are allocated."""
    syntax, allocated = str(dataset.file_meta.TransferSyntaxUID), int(dataset.BitsAllocated)
    if syntax == RLELossless and allocated == 1:
        return {"bits_allocated": 8}
    if syntax not in _LOSSLESS_JPEG or allocated <= 8:  # noqa: PLR2004 (bits)
        return {}
    frame = next(generate_frames(dataset.PixelData, number_of_frames=int(dataset.get("NumberOfFrames") or 1)))
    found = _LOSSLESS_HEADER.search(frame)
    return {"bits_allocated": 8} if found and found[1][0] <= 8 else {}  # noqa: PLR2004 (likewise)


def _in_words(frame: Frame, dataset: Dataset) -> Frame:
    """Return a frame in words of BitsAllocated, as one uncompressed has them.

    Codecs give as few bytes as the precision of a code stream needs, and of numbers with a sign the lowest bits alone.
    What stands in bits beside those of the image stays.
    """
    size, stored = max(1, int(dataset.BitsAllocated) // 8), int(dataset.BitsStored)
    wide = frame if frame.dtype.itemsize == size else frame.astype(f"<{frame.dtype.kind}{size}")
    has_words = str(dataset.file_meta.TransferSyntaxUID) == RLELossless
    if dataset.PixelRepresentation == 0 or has_words or int(dataset.HighBit) != stored - 1 or stored == 8 * size:
        return wide
    words = wide.view(f"<u{size}")
    if np.any(words >> stored):
        return wide
    negative = words >> stored - 1 == 1
    return np.where(negative, words | words.dtype.type((1 << 8 * size) - (1 << stored)), words)


def _joined(frames: list[Frame], allocated: int) -> bytes:
    if allocated == 1:  # a frame begins where the one before it ends, within a byte, too
        return _even(np.packbits(np.concatenate([one.ravel() & 1 for one in frames]), bitorder="little").tobytes())
    return _even(b"".join(one.tobytes() for one in frames))


def _even(data: bytes) -> bytes:
    return data + b"\0" * (len(data) % 2)


def expand(dataset: Dataset) -> None:
    """Bring uncompressed pixel data into the order of pixels, each with all its samples, in place.

    Args:
        dataset: Explicit VR little endian.

    Raises:
        InstanceFailed: ``transcoding-failed``: there is no such order, or no name for it.

    """
    if int(dataset.SamplesPerPixel) == 1:
        return
    interpretation = str(dataset.get("PhotometricInterpretation", ""))
    if interpretation in _RETIRED:
        raise InstanceFailed(ReasonCode.TRANSCODING_FAILED, _NO_NAME)
    is_planar = dataset.get("PlanarConfiguration") == 1
    frames, rows, columns = int(dataset.get("NumberOfFrames") or 1), int(dataset.Rows), int(dataset.Columns)
    form = f"<u{int(dataset.BitsAllocated) // 8}"
    if interpretation == _HALVED:
        if is_planar or columns % 2:
            raise InstanceFailed(ReasonCode.TRANSCODING_FAILED, _NO_PAIRS)
        pairs = _words(dataset.PixelData, form, (frames * rows * columns // 2, 4))
        dataset.PixelData = _even(pairs[:, [0, 2, 3, 1, 2, 3]].tobytes())
        dataset.PhotometricInterpretation = _WHOLE
    elif is_planar:
        planes = _words(dataset.PixelData, form, (frames, int(dataset.SamplesPerPixel), rows * columns))
        dataset.PixelData = _even(planes.transpose(0, 2, 1).tobytes())
        dataset.PlanarConfiguration = 0


def _words(data: bytes, form: str, shape: tuple[int, ...]) -> Frame:
    return np.frombuffer(data, form)[: math.prod(shape)].reshape(shape)
