"""Comments and application segments of a JPEG or JPEG-LS frame (ISO/IEC 10918-1 annex B, 14495-1 annex C).

What a decoder needs stays: the headers of JFIF and SPIFF, Adobe's colour transform (APP14), and HP's for JPEG-LS
(APP8). Everything else in APPn and COM, thumbnails, and whatever stands behind the end of the image is blanked; notes
that an encoder writes into all of its files stay.

Public names: ``jpeg_ranges``.
"""

from __future__ import annotations

from typing import Final

from deidflow.tasks.local.deidentification.content.ranges import (
    Range,
    UnsafeContentError,
    is_encoder_note,
    is_padding,
)

_SOI: Final = 0xD8
_EOI: Final = 0xD9
_SOS: Final = 0xDA
_COM: Final = 0xFE
_APP: Final = range(0xE0, 0xF0)
_RST: Final = range(0xD0, 0xD8)
_STANDALONE: Final = (0x01, *_RST)
_FIRST_MARKER: Final = 0xC0

# What of an application segment a decoder reads, by marker and identifier: so many octets of its content stay.
_NEEDED: Final = (
    (0xE0, b"JFIF\0", 14),  # up to the size of the thumbnail, whose pixels follow
    (0xEE, b"Adobe", 12),
    (0xE8, b"mrfx", 5),
    (0xE8, b"SPIFF\0", 30),
    (0xE8, b"\0\0\0\x01\xff\xd8", 6),  # the end of SPIFF's directory
)


def jpeg_ranges(data: bytes) -> list[Range]:
    """Return what to blank in one frame.

    Args:
        data: All fragments of the frame, joined.

    Raises:
        UnsafeContentError: It is no JPEG that can be followed from marker to marker to its end.

    """
    if data[:2] != bytes((0xFF, _SOI)):
        raise UnsafeContentError("the JPEG frame must begin with SOI")
    ranges: list[Range] = []
    at = 2
    while True:
        marker, at = _marker(data, at)
        if marker == _EOI:
            break
        if marker in _STANDALONE:
            continue
        end = _segment_end(data, at)
        if marker == _COM or marker in _APP:
            ranges += _blank_content(data, marker, at + 2, end)
        at = _behind_entropy_data(data, end) if marker == _SOS else end
    if not is_padding(data[at:]):
        ranges.append(Range(at, len(data)))
    return ranges


def _marker(data: bytes, at: int) -> tuple[int, int]:
    """Return the marker at a place, fill octets skipped, and where what follows begins."""
    if data[at : at + 1] != b"\xff":
        raise UnsafeContentError("the JPEG frame has no marker where one must be")
    while data[at : at + 1] == b"\xff":
        at += 1
    if at >= len(data) or not data[at]:
        raise UnsafeContentError("the JPEG frame ends before EOI")
    return data[at], at + 1


def _segment_end(data: bytes, at: int) -> int:
    end = at + int.from_bytes(data[at : at + 2], "big")
    if len(data) < at + 2 or end < at + 2 or end > len(data):
        raise UnsafeContentError("a segment of the JPEG frame is longer than the frame")
    return end


def _behind_entropy_data(data: bytes, at: int) -> int:
    """Return where the first marker behind entropy-coded data is; restart markers belong to the data."""
    while True:
        at = data.find(b"\xff", at)
        if at < 0 or at + 1 >= len(data):
            raise UnsafeContentError("the JPEG frame ends before EOI")
        code = data[at + 1]
        if code >= _FIRST_MARKER and code not in _RST:
            if code == 0xFF:  # noqa: PLR2004 a fill octet
                at += 1
                continue
            return at
        at += 2


def _blank_content(data: bytes, marker: int, start: int, end: int) -> list[Range]:
    keep = start
    for needed, identifier, size in _NEEDED:
        if marker == needed and data.startswith(identifier, start):
            keep = min(start + size, end)
    if marker == _COM and is_encoder_note(data[start:end]):
        return []
    return [Range(keep, end)] if any(data[keep:end]) else []
