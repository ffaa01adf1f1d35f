"""Comments of a JPEG 2000 or HTJ2K frame, and boxes around it (ISO/IEC 15444-1 annexes A and I).

DICOM wants the code stream alone (PS3.5 section 8.2.4); a JP2 file around it is met all the same, and its boxes can
hold anything: XML, UUID boxes with Exif or XMP, URLs.

Public names: ``jpeg2000_ranges``.
"""

from __future__ import annotations

from typing import Final

from deidflow.tasks.local.deidentification.content.icc import icc_ranges
from deidflow.tasks.local.deidentification.content.ranges import (
    Range,
    UnsafeContentError,
    is_encoder_note,
    is_padding,
)

_SOC: Final = b"\xff\x4f"
_SOT: Final = 0xFF90
_SOD: Final = 0xFF93
_EOC: Final = 0xFFD9
_COM: Final = 0xFF64
_FIRST_MARKER: Final = 0xFF30
_LAST_WITHOUT_SEGMENT: Final = 0xFF3F
_JP2_SIGNATURE: Final = b"\0\0\0\x0cjP  "
_BLANK: Final = 0x20

# What a decoder needs; the contents of all other boxes are blanked.
_NEEDED_BOXES: Final = frozenset({b"jP  ", b"ftyp", b"jp2h", b"jp2c"})
_BOX_HEADER: Final = 8
_LONG_BOX_HEADER: Final = 16
_COLR_ICC: Final = (2, 3)
_COLR_HEADER: Final = 3


def jpeg2000_ranges(data: bytes) -> list[Range]:
    """Return what to blank in one frame.

    Args:
        data: All fragments of the frame, joined.

    Raises:
        UnsafeContentError: It is no JPEG 2000 that can be followed to its end.

    """
    if data.startswith(_JP2_SIGNATURE):
        return _boxes(data, 0, len(data))
    return _code_stream(data, 0, len(data))


def _number(data: bytes, at: int, size: int, end: int) -> int:
    if at + size > end:
        raise UnsafeContentError("the JPEG 2000 code stream ends too early")
    return int.from_bytes(data[at : at + size], "big")


def _code_stream(data: bytes, start: int, end: int) -> list[Range]:
    if data[start : start + 2] != _SOC:
        raise UnsafeContentError("the JPEG 2000 code stream must begin with SOC")
    ranges: list[Range] = []
    at, part_end = start + 2, 0
    while True:
        marker = _number(data, at, 2, end)
        if marker == _EOC:
            at += 2
            break
        if marker == _SOD:
            at = part_end or _end_of_data(data, at, end)
            continue
        if marker < _FIRST_MARKER:
            raise UnsafeContentError("the JPEG 2000 code stream has no marker where one must be")
        if marker <= _LAST_WITHOUT_SEGMENT:
            at += 2
            continue
        size = _number(data, at + 2, 2, end)
        behind = at + 2 + size
        if size < 2 or behind > end:  # noqa: PLR2004 the size counts itself
            raise UnsafeContentError("a segment of the JPEG 2000 code stream is longer than the stream")
        comment = data[at + 6 : behind]
        if marker == _COM and comment.strip(b" ") and not is_encoder_note(comment):
            ranges.append(Range(at + 6, behind, _BLANK))
        if marker == _SOT:
            part_end = _part_end(data, at, end)
        at = behind
    if not is_padding(data[at:end]):
        ranges.append(Range(at, end))
    return ranges


def _part_end(data: bytes, at: int, end: int) -> int:
    """Return where a tile-part ends; 0 where its length is left out, which it may be of the last one."""
    length = _number(data, at + 6, 4, end)
    if at + length > end:
        raise UnsafeContentError("a tile-part of the JPEG 2000 code stream is longer than the stream")
    return at + length if length else 0


def _end_of_data(data: bytes, at: int, end: int) -> int:
    """Return where the coded data of the last tile-part ends: at the first EOC, since no data holds one."""
    found = data.find(_EOC.to_bytes(2, "big"), at, end)
    if found < 0:
        raise UnsafeContentError("the JPEG 2000 code stream ends before EOC")
    return found


def _boxes(data: bytes, start: int, end: int) -> list[Range]:
    ranges: list[Range] = []
    at = start
    while at < end:
        if end - at < _BOX_HEADER:  # padding, or what is too short for a box
            return [*ranges, Range(at, end)] if any(data[at:end]) else ranges
        size, kind, content = _number(data, at, 4, end), data[at + 4 : at + 8], at + _BOX_HEADER
        if size == 1:
            size, content = _number(data, at + 8, 8, end), at + _LONG_BOX_HEADER
        behind = at + size if size else end
        if behind < content or behind > end:
            raise UnsafeContentError("a box of the JP2 file is longer than the file")
        if kind == b"jp2c":
            ranges += _code_stream(data, content, behind)
        elif kind == b"jp2h":
            ranges += _header(data, content, behind)
        elif kind not in _NEEDED_BOXES and any(data[content:behind]):
            ranges.append(Range(content, behind))
        at = behind
    return ranges


_NEEDED_IN_HEADER: Final = frozenset({b"ihdr", b"bpcc", b"colr", b"pclr", b"cmap", b"cdef", b"res "})


def _inner_boxes(data: bytes, start: int, end: int) -> list[tuple[bytes, int, int]]:
    found, at = [], start
    while at < end:
        size = _number(data, at, 4, end)
        if size < _BOX_HEADER or at + size > end:
            raise UnsafeContentError("a box of the JP2 header is longer than the header")
        found.append((data[at + 4 : at + 8], at + _BOX_HEADER, at + size))
        at += size
    return found


def _header(data: bytes, start: int, end: int) -> list[Range]:
    ranges: list[Range] = []
    for kind, content, behind in _inner_boxes(data, start, end):
        if kind == b"colr" and _number(data, content, 1, behind) in _COLR_ICC:
            profile = content + _COLR_HEADER
            found = icc_ranges(data[profile:behind])
            ranges += [Range(profile + one.start, profile + one.end, one.fill) for one in found]
        elif kind not in _NEEDED_IN_HEADER and any(data[content:behind]):
            ranges.append(Range(content, behind))
    return ranges
