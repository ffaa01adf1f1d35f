"""The frames of an image, decoded by pydicom's codecs, each pixel with all its samples and in words of BitsAllocated.

What pydicom decodes in another way, or not at all, is told apart here: frames of one bit a pixel that begin within a
byte, or stand in words of big endian; PlanarConfiguration of compressed frames, about which it says nothing; lossless
JPEG of one byte a sample where two are allocated, RLE of one byte where one bit is.

Source: DICOM PS3.3 section C.7.6.3.1.2, PS3.5 sections 8.1.1, 8.2 and D (edition 2026d).

Public names: ``decoded_frames``, ``can_decode``, ``has_codec``, ``halves``, ``plain``.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from pydicom.encaps import generate_frames
from pydicom.pixels.decoders.base import get_decoder
from pydicom.uid import UID, RLELossless

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydicom import Dataset

    Frame = np.ndarray[Any, np.dtype[Any]]

_COLOURS: Final = 3
_LOSSLESS_JPEG: Final = ("1.2.840.10008.1.2.4.57", "1.2.840.10008.1.2.4.70")
_FRAME_HEADER: Final = re.compile(rb"\xff\xc3\0.(.)", re.DOTALL)


def decoded_frames(dataset: Dataset, *, in_rgb: bool = False) -> Iterator[Frame]:
    """Yield the frames: rows, columns and samples, no colour converted.

    Args:
        dataset: Read in full, with its file meta information.
        in_rgb: Whether what a codec gives as YBR_FULL is to be red, green and blue all the same.

    Raises:
        Exception: The codecs' own; their texts may hold values.

    """
    if halves(dataset):
        yield from _of_pairs(dataset)
    elif dataset.get("BitsAllocated") == 1 and not _is_compressed(dataset):
        yield from _of_bits(dataset)
    else:
        yield from _of_codec(dataset, in_rgb=in_rgb)


def can_decode(dataset: Dataset) -> bool:
    """Whether all frames can be decoded here.

    Args:
        dataset: As above.

    """
    try:
        for _ in decoded_frames(dataset):
            pass
    except Exception:  # noqa: BLE001 (the codecs' own)
        return False
    return True


def has_codec(dataset: Dataset) -> bool:
    """Whether something is installed that decodes its transfer syntax.

    Args:
        dataset: Likewise; one without a transfer syntax has none.

    """
    try:
        return bool(get_decoder(UID(str(dataset.file_meta.get("TransferSyntaxUID")))).is_available)
    except (AttributeError, NotImplementedError):
        return False


def plain(frame: Frame) -> Frame:
    """Return a frame in this machine's byte order."""
    return np.ascontiguousarray(frame.astype(frame.dtype.newbyteorder("=")))


def halves(dataset: Dataset) -> bool:
    """Whether two pixels of a row share their colour as they stand in the file."""
    return str(dataset.get("PhotometricInterpretation", "")).endswith("_422") and not _is_compressed(dataset)


def _is_compressed(dataset: Dataset) -> bool:
    return bool(UID(dataset.file_meta.TransferSyntaxUID).is_encapsulated)


def _of_codec(dataset: Dataset, *, in_rgb: bool) -> Iterator[Frame]:
    decoder = get_decoder(UID(dataset.file_meta.TransferSyntaxUID))
    said = _what_it_does_not_say(dataset) if _is_compressed(dataset) else {}
    size = max(1, int(dataset.BitsAllocated) // 8)
    for frame, _ in decoder.iter_array(dataset, raw=not in_rgb, correct_unused_bits=False, **said):
        wide = frame if frame.dtype.itemsize == size else frame.astype(f"{frame.dtype.kind}{size}")
        yield wide if wide.ndim == _COLOURS else wide[..., None]


def _what_it_does_not_say(dataset: Dataset) -> dict[str, Any]:
    """Return options of pydicom's decoders for compressed frames that they would take for others."""
    said: dict[str, Any] = {"planar_configuration": 0} if dataset.get("SamplesPerPixel", 1) > 1 else {}
    syntax, allocated = str(dataset.file_meta.TransferSyntaxUID), dataset.BitsAllocated
    is_narrow = syntax in _LOSSLESS_JPEG and _precision(dataset) <= 8 < allocated  # noqa: PLR2004 (bits)
    if is_narrow or (syntax == RLELossless and allocated == 1):
        said["bits_allocated"] = 8
    return said


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
