"""Octets of an RLE frame that are no image: unused offsets, gaps, what stands behind the last run of a segment.

Source: DICOM PS3.5 annex G (edition 2026d): a header of sixteen numbers, then up to fifteen segments of byte runs, each
of which decodes to one byte of each pixel.

Public names: ``rle_ranges``.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final

from deidflow.tasks.local.deidentification.content.ranges import Range, UnsafeContentError

if TYPE_CHECKING:
    from collections.abc import Iterator

_HEADER: Final = struct.Struct("<16L")
_MAX_SEGMENTS: Final = 15
_NOTHING: Final = 0x80
"""A byte of a segment that decodes to nothing (G.3.1), so that a decoder that goes on makes no more pixels."""
_LONGEST_LITERAL: Final = 127


def rle_ranges(frame: bytes, pixels: int) -> list[Range]:
    """Return the octets to blank.

    Args:
        frame: Its fragment.
        pixels: Of a frame: rows times columns.

    Raises:
        UnsafeContentError: It has no header of RLE.

    """
    return list(_ranges(frame, pixels))


def _ranges(frame: bytes, pixels: int) -> Iterator[Range]:
    if len(frame) < _HEADER.size:
        raise UnsafeContentError
    count, *offsets = _HEADER.unpack_from(frame)
    starts = offsets[:count]
    ends = [*starts[1:], len(frame)]
    if not 1 <= count <= _MAX_SEGMENTS or starts[0] < _HEADER.size or starts != sorted(starts) or starts[-1] > ends[-1]:
        raise UnsafeContentError
    if any(offsets[count:]):
        yield Range(4 + 4 * count, _HEADER.size)
    if frame[_HEADER.size : starts[0]].strip(b"\0"):
        yield Range(_HEADER.size, starts[0])
    for start, end in zip(starts, ends, strict=True):
        behind = _end_of_runs(frame, start, end, pixels)
        if frame[behind:end].strip(b"\0\x80"):
            yield Range(behind, end, _NOTHING)


def _end_of_runs(frame: bytes, at: int, end: int, pixels: int) -> int:
    """Return where the run ends that makes the last pixel."""
    made = 0
    while made < pixels and at < end:
        kind = frame[at]
        if kind <= _LONGEST_LITERAL:
            at, made = at + kind + 2, made + kind + 1
        elif kind == _NOTHING:
            at += 1
        else:
            at, made = at + 2, made + 257 - kind
    return min(at, end)
