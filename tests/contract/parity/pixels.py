"""Compare images by their decoded pixels, as pydicom and its codecs read them.

Public names: ``is_same_image``, ``can_decode``, ``LOSSY_JPEG``, ``TOLERANCE``.
"""

from __future__ import annotations

import io
import warnings
from typing import TYPE_CHECKING, Final

import numpy as np
from pydicom import dcmread
from pydicom.pixels.utils import pixel_array

if TYPE_CHECKING:
    import numpy.typing as npt
    from pydicom import Dataset

LOSSY_JPEG: Final = frozenset({"1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.51"})
"""Syntaxes whose decoders may differ: the standard leaves the inverse transform open (ISO 10918-2)."""

TOLERANCE: Final = 3
"""Of lossy JPEG: decoders differ by 1 in each of Y, Cb and Cr, and 1 in Cb is up to 1.8 in blue. 3 is what was seen."""


def can_decode(data: bytes) -> bool:
    """Whether the installed codecs read an image."""
    return _decoded(data) is not None


def is_same_image(one: bytes, other: bytes, *, tolerance: int) -> bool:
    """Whether two files hold an image of the same shape whose pixels differ by no more than a tolerance."""
    first, second = _decoded(one), _decoded(other)
    if first is None or second is None or first.shape != second.shape:
        return False
    return int(np.abs(first - second).max(initial=0)) <= tolerance


def _decoded(data: bytes) -> npt.NDArray[np.int64] | None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return pixel_array(_in_order(dcmread(io.BytesIO(data), force=True))).astype(np.int64)
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException:  # noqa: BLE001 (codecs raise anything, panics of Rust among them)
        return None


def _in_order(dataset: Dataset) -> Dataset:
    """Return a dataset whose pixels of one bit are in the order that pydicom takes: it does not turn words of OW."""
    if dataset.get("BitsAllocated") == 1 and not dataset.original_encoding[1] and dataset["PixelData"].VR == "OW":
        words = dataset.PixelData[: len(dataset.PixelData) // 2 * 2]
        dataset.PixelData = np.frombuffer(words, "u2").byteswap().tobytes()
    return dataset
