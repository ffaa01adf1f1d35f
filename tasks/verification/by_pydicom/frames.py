"""The frames of an image, decoded by pydicom's codecs, each pixel with all its samples and in words of BitsAllocated.

What pydicom decodes in another way, or not at all, is told apart here: frames of one bit a pixel that begin within a
byte, or stand in words of big endian; PlanarConfiguration of compressed frames, about which it says nothing; lossless
JPEG of one byte a sample where two are allocated.

Source: DICOM PS3.3 section C.7.6.3.1.2, PS3.5 sections 8.1.1, 8.2 and D (edition 2026d).

Public names: ``decoded_frames``, ``halves``.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from pydicom.encaps import generate_frames
from pydicom.pixels.decoders.base import get_decoder
from pydicom.uid import UID

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydicom import Dataset

    Frame = np.ndarray[Any, np.dtype[Any]]

_COLOURS: Final = 3
_LOSSLESS_JPEG: Final = ("1.2.840.10008.1.2.4.57", "1.2.840.10008.1.2.4.70")
_FRAME_HEADER: Final = re.compile(rb"\xff\xc3\0.(.)", re.DOTALL)


def decoded_frames(dataset: Dataset) -> Iterator[Frame]:
    """Yield the frames: rows, columns and samples, no colour converted.

    Args:
        dataset: Read in full, with its file meta information.

    Raises:
        Exception: The codecs' own; their texts may hold values.

    """
    if halves(dataset):
        yield from _of_pairs(dataset)
    elif dataset.get("BitsAllocated") == 1 and not _is_compressed(dataset):
        yield from _of_bits(dataset)
    else:
        yield from _of_codec(dataset)


def halves(dataset: Dataset) -> bool:
    """Whether two pixels of a row share their colour as they stand in the file."""
    return str(dataset.get("PhotometricInterpretation", "")).endswith("_422") and not _is_compressed(dataset)


def _is_compressed(dataset: Dataset) -> bool:
    return bool(UID(dataset.file_meta.TransferSyntaxUID).is_encapsulated)


def _of_codec(dataset: Dataset) -> Iterator[Frame]:
    decoder = get_decoder(UID(dataset.file_meta.TransferSyntaxUID))
    has_order = _is_compressed(dataset) and dataset.get("SamplesPerPixel", 1) > 1
    said: dict[str, Any] = {"planar_configuration": 0} if has_order else {}
    if dataset.file_meta.TransferSyntaxUID in _LOSSLESS_JPEG and _precision(dataset) <= 8 < dataset.BitsAllocated:  # noqa: PLR2004
        said["bits_allocated"] = 8
    size = max(1, int(dataset.BitsAllocated) // 8)
    for frame, _ in decoder.iter_array(dataset, raw=True, correct_unused_bits=False, **said):
        wide = frame if frame.dtype.itemsize == size else frame.astype(f"{frame.dtype.kind}{size}")
        yield wide if wide.ndim == _COLOURS else wide[..., None]


def _precision(dataset: Dataset) -> int:
    """Return the bits of a sample in the first frame of lossless JPEG, 16 where it does not say."""
    frame = next(generate_frames(dataset.PixelData, number_of_frames=int(dataset.get("NumberOfFrames") or 1)))
    header = _FRAME_HEADER.search(frame)
    return header[1][0] if header else 16


def _of_pairs(dataset: Dataset) -> Iterator[Frame]:
    rows, pairs, count = int(dataset.Rows), int(dataset.Columns) // 2, int(dataset.get("NumberOfFrames") or 1)
    form = np.dtype(f"{'<' if dataset.original_encoding[1] else '>'}u{int(dataset.BitsAllocated) // 8}")
    words = np.frombuffer(_in_order(dataset), form, count * rows * pairs * 4).reshape(count, rows, pairs, 4)
    for frame in words:
        shared = frame[:, :, None, 2:].repeat(2, axis=2)
        yield np.concatenate([frame[:, :, :2, None], shared], axis=3).reshape(rows, 2 * pairs, 3)


def _of_bits(dataset: Dataset) -> Iterator[Frame]:
    rows, columns, count = int(dataset.Rows), int(dataset.Columns), int(dataset.get("NumberOfFrames") or 1)
    bits = np.unpackbits(np.frombuffer(_in_order(dataset), "u1"), bitorder="little")
    yield from bits[: count * rows * columns].reshape(count, rows, columns, 1)


def _in_order(dataset: Dataset) -> bytes:
    """Return the pixel data, with pixels of up to a byte in their order: as OW they change places in big endian."""
    element = dataset["PixelData"]
    data: bytes = element.value
    if dataset.original_encoding[1] or element.VR != "OW" or dataset.BitsAllocated > 8:  # noqa: PLR2004 (bits)
        return data
    return np.frombuffer(data[: len(data) // 2 * 2], "u2").byteswap().tobytes()
