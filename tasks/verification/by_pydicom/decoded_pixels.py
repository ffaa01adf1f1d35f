"""Whether a result in another transfer syntax than its source's has the same pixels: both decoded by pydicom's codecs.

An Orthanc converts what it stores when its ``IngestTranscoding`` says so (1.11.3 on, results of jobs, too).

Public names: ``check_decoded``, ``check_interpretation``, ``stored_bits``, ``LOSSY``, ``PIXEL_KEYWORDS``.
"""

from __future__ import annotations

from itertools import zip_longest
from typing import TYPE_CHECKING, Final

import numpy as np
from pydicom.tag import BaseTag

from deidflow.tasks.core.errors import InstanceFailed
from deidflow.tasks.core.outcomes import ReasonCode
from deidflow.tasks.verification.by_pydicom.frames import decoded_frames, plain
from deidflow.tasks.verification.by_pydicom.raw import first_number

if TYPE_CHECKING:
    from pydicom import Dataset

    from deidflow.tasks.verification.by_pydicom.frames import Frame

PIXEL_KEYWORDS: Final = ("PixelData", "FloatPixelData", "DoubleFloatPixelData")
_DICOM: Final = "1.2.840.10008.1.2"
LOSSY: Final = frozenset(f"{_DICOM}.4.{end}" for end in ("50", "51", "81", "91", "93"))
"""Transfer syntaxes that may lose pixels (PS3.5 section 10, edition 2026c)."""

_CONVERTS: Final = "the Orthanc converts what it stores (IngestTranscoding)"
_BITS_STORED: Final = BaseTag(0x00280101)
_HIGH_BIT: Final = BaseTag(0x00280102)
_READ_AS: Final = {"YBR_FULL_422": "YBR_FULL", "YBR_RCT": "RGB", "YBR_ICT": "RGB"}
"""What samples are once each pixel has its own, and no transform of a codec is left (PS3.5 section 8.2.4)."""
_REMEDY: Final = "switch it off there, or set options.Transcode"


def check_decoded(source: Dataset, result: Dataset, hidden: int) -> None:
    """Compare frame by frame, of each pixel the bits that are stored.

    Args:
        source: Read in full.
        result: Likewise.
        hidden: Bits of each pixel that must be clear in the result.

    Raises:
        InstanceFailed: Pixels differ, one of those bits is set, or one of the two cannot be decoded here.

    """
    if not any(keyword in source for keyword in PIXEL_KEYWORDS):
        return
    try:
        frames = list(zip_longest(decoded_frames(source), decoded_frames(result)))
    except Exception:  # noqa: BLE001 (the codecs' own; their texts may hold values)
        text = f"{_CONVERTS}, and the pixels cannot be decoded here to compare them; {_REMEDY}"
        raise InstanceFailed(ReasonCode.TRANSCODING_FAILED, text) from None
    mask = stored_bits(source) & ~hidden
    for before, after in frames:
        if before is None or after is None or not _same(before, after, mask):
            raise _difference(result)
        if hidden and np.any(_words(after) & _words(after).dtype.type(hidden)):
            text = "an overlay is left in unused bits of the pixel data"
            raise InstanceFailed(ReasonCode.IDENTIFIER_LEFT, text)


def check_interpretation(source: Dataset, result: Dataset) -> None:
    """Compare how the samples of both are to be read, where neither transfer syntax loses any.

    Args:
        source: Read up to its pixel data or further.
        result: Likewise.

    Raises:
        InstanceFailed: ``result-differs``: the result says otherwise.

    """
    if {str(getattr(one, "file_meta", {}).get("TransferSyntaxUID")) for one in (source, result)} & LOSSY:
        return
    names = [str(one.get("PhotometricInterpretation", "")) for one in (source, result)]
    if len({_READ_AS.get(name, name) for name in names}) > 1:
        text = "PhotometricInterpretation of the result does not say how its pixels are to be read"
        raise InstanceFailed(ReasonCode.RESULT_DIFFERS, text)


def _difference(result: Dataset) -> InstanceFailed:
    if result.file_meta.TransferSyntaxUID in LOSSY:
        return InstanceFailed(ReasonCode.TRANSCODING_FAILED, f"{_CONVERTS} with loss; {_REMEDY} to a lossless one")
    return InstanceFailed(ReasonCode.PIXEL_DATA_DIFFERS, "the decoded pixels are not the source's")


def stored_bits(dataset: Dataset) -> int:
    """Return the mask of a pixel's bits that count; a codec is free to leave the others out, or to extend a sign.

    Args:
        dataset: With its image pixel module; -1 is the answer for floating point pixels.

    """
    stored = first_number(dataset, _BITS_STORED)
    if not stored:  # floating point
        return -1
    return ((1 << stored) - 1) << ((first_number(dataset, _HIGH_BIT) or stored - 1) + 1 - stored)


def _same(before: Frame, after: Frame, mask: int) -> bool:
    if before.shape != after.shape or before.dtype.itemsize != after.dtype.itemsize:
        return False
    if before.dtype.kind == "f" or mask == -1:
        return before.tobytes() == after.tobytes()
    one, other = _words(before), _words(after)
    bits = one.dtype.type(mask & ((1 << 8 * one.dtype.itemsize) - 1))
    return bool(np.array_equal(one & bits, other & bits))


def _words(frame: Frame) -> Frame:
    """Return a frame as unsigned numbers of this machine's byte order."""
    return plain(frame).view(f"u{frame.dtype.itemsize}")
