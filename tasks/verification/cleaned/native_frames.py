"""Whether two values of uncompressed pixel data differ in nothing but what is behind their frames, which is blank.

Source: DICOM PS3.5 section 8.1.1 and annex D, PS3.3 section C.7.6.3.1.2 (edition 2026d).

Public names: ``native_fault``, ``frames_length``, ``SIZE_TAGS``, ``MAX_SIZE_BYTES``, ``OCTETS_BEHIND``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

OCTETS_BEHIND: Final = "has octets behind its frames"
_PADDING_BYTES: Final = 1
"""That makes a length even (PS3.5 section 7.1.1)."""


_PHOTOMETRIC: Final = 0x00280004
_FRAMES: Final = 0x00280008
_NUMBERS: Final = (0x00280010, 0x00280011, 0x00280002, 0x00280100)
"""Rows, Columns, SamplesPerPixel, BitsAllocated."""
SIZE_TAGS: Final = frozenset({*_NUMBERS, _PHOTOMETRIC, _FRAMES})
"""Which tell how long the frames are."""
MAX_SIZE_BYTES: Final = 16
"""Of each of them: a number, or the name of colours."""


def frames_length(values: Mapping[int, bytes], *, little: bool, size: int) -> int:
    """Return how many bytes the frames of an image take that are not compressed; 0 where that is not told.

    Args:
        values: Of the elements that tell it, as they stand in the file.
        little: Whether numbers are little endian.
        size: Bytes of the pixel data: where these are enough for the colours of each pixel, none are left out.

    """
    photometric, frames = (values.get(tag, b"").strip(b" \0") for tag in (_PHOTOMETRIC, _FRAMES))
    numbers = [values.get(tag, b"") for tag in _NUMBERS]
    is_odd = any(len(raw) != 2 for raw in numbers) or any(len(raw) > MAX_SIZE_BYTES for raw in values.values())  # noqa: PLR2004 (US)
    if is_odd or not photometric or not (frames or b"1").isdigit():
        return 0
    order: Literal["little", "big"] = "little" if little else "big"
    rows, columns, samples, allocated = (int.from_bytes(raw, order) for raw in numbers)
    if allocated % 8 and allocated != 1:
        return 0
    bits = rows * columns * allocated * (int(frames or b"1") or 1)
    if not photometric.endswith(b"_422"):
        return (bits * samples + 7) // 8
    whole = (bits * max(2, samples) + 7) // 8
    return whole if size >= whole else (bits * 2 + 7) // 8


def native_fault(before: bytes, after: bytes, length: int) -> str:
    """Return what is wrong with the pixel data of a result, going on after "PixelData"; "" for nothing.

    Args:
        before: Value of the source.
        after: Of the result.
        length: Bytes of all frames; 0 where that is not told.

    """
    behind = after[length:] if length and len(before) > length + _PADDING_BYTES else b""
    same = len(before) == len(after) and before[: len(before) - len(behind)] == after[: len(after) - len(behind)]
    if not same:
        return "is not the source's, byte for byte"
    return OCTETS_BEHIND if behind.strip(b"\0") else ""
