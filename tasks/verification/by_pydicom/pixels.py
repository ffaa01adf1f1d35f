"""Whether the pixel data of a result is its source's, bit for bit (see ``decoded_pixels`` for converted ones).

Public names: ``check_pixels``, ``check_recoded``, ``hidden_bits``.
"""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, BinaryIO, Final

import numpy as np
from pydicom import dcmread
from pydicom.filereader import read_dataset
from pydicom.tag import BaseTag
from pydicom.uid import RLELossless

from deidflow.tasks.core.dicom.tags import is_overlay
from deidflow.tasks.core.errors import InstanceFailed
from deidflow.tasks.core.outcomes import ReasonCode
from deidflow.tasks.verification.by_pydicom.decoded_pixels import LOSSY, PIXEL_KEYWORDS, check_decoded
from deidflow.tasks.verification.by_pydicom.frames import can_decode, has_codec
from deidflow.tasks.verification.by_pydicom.raw import first_number, undecoded
from deidflow.tasks.verification.cleaned.frames import frames_fault
from deidflow.tasks.verification.cleaned.native_frames import OCTETS_BEHIND, SIZE_TAGS, frames_length, native_fault

if TYPE_CHECKING:
    from pydicom import Dataset

    from deidflow.tasks.core.request.request import Request

_DEFLATED: Final = frozenset({"1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.4.95", "1.2.840.10008.1.2.4.205"})
_BIG_ENDIAN: Final = frozenset({"1.2.840.10008.1.2.2", "1.2.840.113619.5.2"})
_COMPARED_BYTES: Final = 1 << 20
_BITS: Final = tuple(map(BaseTag, (0x00280100, 0x00280101, 0x00280102)))
"""BitsAllocated, BitsStored, HighBit."""
_SIDES: Final = (BaseTag(0x00280010), BaseTag(0x00280011))
"""Rows, Columns."""
_PIXEL_TAGS: Final = tuple(map(BaseTag, (0x7FE00010, 0x7FE00008, 0x7FE00009)))
_TRANSFER_SYNTAX: Final = BaseTag(0x00020010)


def check_pixels(
    datasets: tuple[Dataset, Dataset], files: tuple[BinaryIO, BinaryIO], hidden: int, *, cleans_frames: bool = False
) -> None:
    """Compare from the pixel data on; when what stands behind it differs, the pixel data alone, decoded where needed.

    Args:
        datasets: Source and result, each read up to its pixel data, where its file stands.
        files: Likewise, open.
        hidden: Bits of each pixel that must be clear in the result.
        cleans_frames: Whether what stands beside frames is gone, so that only their images are the same.

    Raises:
        InstanceFailed: It differs, or one of those bits is set.

    """
    source, result = datasets
    syntax = _syntax(source)
    if not hidden and not syntax & _DEFLATED:
        places = [file.tell() for file in files]
        if _same_rest(*files):
            return
        if syntax == _syntax(result) and "None" not in syntax:
            rests = [_rest(*one) for one in zip(datasets, files, places, strict=True)]
            for tag in _PIXEL_TAGS:
                one, other = (undecoded(rest, tag) for rest in rests)
                _check_same(source, files[0], one and one.value, other and other.value, cleans_frames=cleans_frames)
            return
    for file in files:
        file.seek(0)
    before, after = (dcmread(file, force=True) for file in files)
    if _is_converted(before, after):
        check_decoded(before, after, hidden)
        return
    for keyword in PIXEL_KEYWORDS:
        old, new = before.get(keyword), after.get(keyword)
        if hidden and keyword == "PixelData" and isinstance(old, bytes):
            if new == old and _cleared(old, before, hidden) != old:
                text = "an overlay is left in unused bits of the pixel data"
                raise InstanceFailed(ReasonCode.IDENTIFIER_LEFT, text)
            old = _cleared(old, before, hidden)
        _check_same(before, files[0], old, new, cleans_frames=cleans_frames)


def _rest(dataset: Dataset, file: BinaryIO, place: int) -> Dataset:
    """Read a file on from its pixel data."""
    file.seek(place)
    return read_dataset(file, *dataset.original_encoding)


def _rle_pixels(dataset: Dataset) -> int:
    """Return how many pixels a frame of RLE has, 0 for other syntaxes."""
    if RLELossless not in _syntax(dataset):
        return 0
    return prod(first_number(dataset, tag) for tag in _SIDES)


def _frames_length(file: BinaryIO, size: int) -> int:
    """Return how many bytes frames take that are not compressed, 0 where that is not told; of a file read anew."""
    file.seek(0)
    dataset = dcmread(file, force=True, stop_before_pixels=True)
    found = {tag: undecoded(dataset, BaseTag(tag)) for tag in SIZE_TAGS}
    values = {tag: one.value or b"" for tag, one in found.items() if one is not None}  # pydicom decodes what is empty
    if not all(isinstance(value, bytes) for value in values.values()):
        return 0  # a sequence
    return frames_length(values, little=dataset.original_encoding[1] is not False, size=size)


def _check_same(source: Dataset, file: BinaryIO, old: object, new: object, *, cleans_frames: bool) -> None:
    if cleans_frames and isinstance(old, bytes) and isinstance(new, bytes):
        if _is_compressed(source):
            fault = frames_fault(old, new, little=True, rle_pixels=_rle_pixels(source))
        else:
            fault = native_fault(old, new, _frames_length(file, len(old)))
        if not fault:
            return
        if fault == OCTETS_BEHIND:
            raise InstanceFailed(ReasonCode.IDENTIFIER_LEFT, f"PixelData {fault}")
    if old is not None and old != new:
        raise InstanceFailed(ReasonCode.PIXEL_DATA_DIFFERS, "the pixel data is not the source's, bit for bit")


def check_recoded(source_file: BinaryIO, result_file: BinaryIO, hidden: int) -> None:
    """Compare decoded pixels where the request asked for another transfer syntax, and none of the two loses any.

    Args:
        source_file: Open; where it stands does not matter.
        result_file: Likewise.
        hidden: Bits of each pixel that must be clear in the result.

    Raises:
        InstanceFailed: Pixels differ, or those of the result alone cannot be decoded. What no codec here decodes is
            passed over.

    """
    for file in (source_file, result_file):
        file.seek(0)
    before, after = dcmread(source_file, force=True), dcmread(result_file, force=True)
    if (_syntax(before) | _syntax(after)) & LOSSY:
        return
    try:
        check_decoded(before, after, hidden)
    except InstanceFailed as problem:
        if problem.code is not ReasonCode.TRANSCODING_FAILED:
            raise
        if has_codec(after) and can_decode(before) and not can_decode(after):
            text = "the pixels of the result cannot be decoded, and those of the source can"
            raise InstanceFailed(ReasonCode.PIXEL_DATA_DIFFERS, text) from None


def hidden_bits(source: Dataset, request: Request) -> int:
    """Return the bits of each pixel that overlays use beside the image, those apart that the request keeps.

    All that the image does not use where an overlay without data does not tell its bit.
    """
    allocated, stored, high = (first_number(source, tag) for tag in _BITS)
    image = ((1 << stored) - 1) << max(0, high + 1 - stored)
    kept = {path.tag >> 16 for path in request.edits.keep if not path.is_nested}
    hidden = 0
    tags = source.keys()  # no values wanted
    for group in {tag >> 16 for tag in tags if is_overlay(tag) and not tag.is_private} - kept:
        position = source[group, 0x0102].value if (group, 0x0102) in source else None
        has_data = (group, 0x3000) in source and bool(source[group, 0x3000].value)
        if not isinstance(position, int) or position >= allocated:
            hidden |= 0 if has_data else ((1 << allocated) - 1) & ~image
        elif not (has_data and position == 0) and not (image >> position & 1 and (has_data or position == 0)):
            hidden |= 1 << position
    return hidden


def _cleared(data: bytes, dataset: Dataset, hidden: int) -> bytes:
    order = ">" if _syntax(dataset) & _BIG_ENDIAN else "<"
    width = first_number(dataset, _BITS[0]) // 8
    whole = len(data) // width * width
    words = np.frombuffer(data[:whole], f"{order}u{width}")
    mask = ((1 << 8 * width) - 1) ^ hidden
    return bytes((words & words.dtype.type(mask)).astype(words.dtype).tobytes()) + data[whole:]


def _is_converted(before: Dataset, after: Dataset) -> bool:
    """Whether both have a transfer syntax, not the same, and not the same bytes in their pixel data either."""
    known = "None" not in _syntax(before) | _syntax(after)
    same = all(before.get(keyword) == after.get(keyword) for keyword in PIXEL_KEYWORDS)
    return known and _syntax(before) != _syntax(after) and not same


def _is_compressed(dataset: Dataset) -> bool:
    return any(uid.startswith("1.2.840.10008.1.2.4.") or uid == RLELossless for uid in _syntax(dataset) - _DEFLATED)


def _syntax(dataset: Dataset) -> set[str]:
    return {str(dataset.file_meta[_TRANSFER_SYNTAX].value if _TRANSFER_SYNTAX in dataset.file_meta else None)}


def _same_rest(first: BinaryIO, second: BinaryIO) -> bool:
    while True:
        one, other = first.read(_COMPARED_BYTES), second.read(_COMPARED_BYTES)
        if one != other:
            return False
        if not one:
            return True
