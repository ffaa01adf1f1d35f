"""What stands in pixel data beside pixel values: comments and application segments, bytes behind an image.

Source: ISO/IEC 10918-1 annex B (JPEG), 14495-1 annex C (JPEG-LS), 15444-1 annex A (JPEG 2000); DICOM PS3.5 section A.4
(edition 2026c).

Public names: ``beside_pixels``, ``beside_fragments``, ``native_length``,
``has_more_than_frames``.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from deidflow.tasks.verification.cleaned.native_frames import MAX_SIZE_BYTES, SIZE_TAGS, frames_length

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from deidflow.tasks.verification.reader import Element, Read

    ValueOf = Callable[[int, int], bytes]

_ITEM: Final = b"\xfe\xff\x00\xe0"
_ITEM_HEADER_BYTES: Final = 8
_JPEG: Final = b"\xff\xd8\xff"
_CODE_STREAM: Final = b"\xff\x4f"
_JP2: Final = b"\0\0\0\x0cjP  "
_STARTS_BYTES: Final = len(_JP2)
_MARKER: Final = re.compile(rb"\xff([\xc0-\xcf\xd9-\xfe])")
"""Of what has a length, and of the end; none stands in coded data, where FF is followed by 00 or a restart."""
_NO_IMAGE: Final = frozenset({*range(0xE0, 0xF0), 0xFE})
"""Application segments and comments."""
_STARTS_SCAN: Final = 0xDA
_ENDS_IMAGE: Final = 0xD9
_COMMENT_2000: Final = 0x64
_LATER_2000: Final = re.compile(rb"\xff([\x64\xd9])")
"""A comment in the header of a tile-part, and the end, which never stands in coded data."""
_REGISTRATIONS: Final = (b"\0\0", b"\0\1")
"""What follows the length of a comment: of what is not where it must be only that tells it from coded data."""
_STARTS_DATA: Final = frozenset({0x90, 0x93, 0xD9})
"""Start of tile-part, start of data, end of code stream."""
_ENDS_BYTES: Final = 1 << 12
"""What is searched of a fragment whose inside is not known, at either end."""


def beside_pixels(read: Read, pixels: Element) -> Iterator[tuple[int, int]]:
    """Yield where in an element of pixel data something else stands, from and to which byte of the dataset.

    Args:
        read: The file.
        pixels: Pixel data at top level.

    """
    _, _, start, end, _ = pixels
    if read.value(start, min(end, start + 4)) == _ITEM:
        yield from beside_fragments(read.value, start, end)
        return
    if has_more_than_frames(read, pixels):
        yield start + native_length(read, end - start), end


def beside_fragments(value: ValueOf, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Yield the same of pixel data in fragments.

    Args:
        value: Reads bytes by start and end; fewer at the end of the file.
        start: Of the first fragment.
        end: Behind the last.

    """
    position, goes_on = start, -1
    while position + _ITEM_HEADER_BYTES <= end and value(position, position + 4) == _ITEM:
        length = int.from_bytes(value(position + 4, position + 8), "little")
        first = position + _ITEM_HEADER_BYTES
        position = first + length
        stop = min(position, end)
        kind = value(first, min(stop, first + _STARTS_BYTES))
        if kind.startswith(_JPEG) or goes_on >= 0:
            spans, goes_on = _in_jpeg(value(first, stop), 2 if kind.startswith(_JPEG) else goes_on)
        elif kind.startswith((_CODE_STREAM, _JP2)):
            spans = list(_in_jpeg_2000(value(first, stop)))
        else:
            spans = _ends_of(stop - first)
        for one, other in spans:
            yield first + one, first + other


def _ends_of(length: int) -> list[tuple[int, int]]:
    """An offset table, a frame in runs, a film, the rest of a frame: what was written into it stands at its ends."""
    return [
        (0, min(length, _ENDS_BYTES)),
        *([(max(_ENDS_BYTES, length - _ENDS_BYTES), length)] * (length > _ENDS_BYTES)),
    ]


def _in_jpeg(data: bytes, at: int) -> tuple[list[tuple[int, int]], int]:
    """Return what is no image in a fragment of JPEG, before, between and behind its scans.

    Args:
        data: The fragment.
        at: Where a marker may stand: behind what the fragment before ends in.

    Returns:
        From and to which byte, and where the next fragment goes on; -1 where the image ends.

    """
    found = [(0, min(at, len(data)))]
    is_coded = not data.startswith(_JPEG)  # what follows up to the next marker
    while (match := _MARKER.search(data, at)) is not None:
        if not is_coded and at < match.start():
            found.append((at, match.start()))
        marker, at = match[1][0], match.end()
        if marker == _ENDS_IMAGE:
            return [*found, *_behind(data, at)], -1
        is_coded, length = marker == _STARTS_SCAN, int.from_bytes(data[at : at + 2], "big")
        if marker in _NO_IMAGE:
            found.append((at + 2, max(at + 2, min(at + length, len(data)))))  # a digit before it would go with it
        at += length
    return found, max(0, at - len(data))


def _in_jpeg_2000(data: bytes) -> Iterator[tuple[int, int]]:
    """Yield what is no image in a frame of JPEG 2000: boxes around it, comments in all headers, what is behind."""
    begins = data.find(_CODE_STREAM)
    if begins:
        yield 0, begins if begins > 0 else len(data)
    position = begins + 2
    while data[position : position + 1] == b"\xff" and position + 4 <= len(data):
        marker = data[position + 1]
        if marker in _STARTS_DATA:
            break
        stop = position + 2 + int.from_bytes(data[position + 2 : position + 4], "big")
        if marker == _COMMENT_2000:
            yield position + 4, min(stop, len(data))
        position = stop
    for match in _LATER_2000.finditer(data, position):
        at = match.end()
        if match[1][0] == _ENDS_IMAGE:
            yield from _behind(data, at)
            return
        if data[at + 2 : at + 4] in _REGISTRATIONS:
            yield at + 2, min(at + int.from_bytes(data[at : at + 2], "big"), len(data))


def _behind(data: bytes, at: int) -> list[tuple[int, int]]:
    """Return what stands behind an image, more than a byte that pads it."""
    return [(at, len(data))] if at + 1 < len(data) else []


def has_more_than_frames(read: Read, pixels: Element) -> bool:
    """Whether pixel data that is not compressed goes on behind its frames, by more than a byte that pads it."""
    size = pixels[3] - pixels[2]
    return 0 < native_length(read, size) < size - 1


def native_length(read: Read, size: int = 0) -> int:
    """Return how many bytes the pixels of an image take that are not compressed; 0 where that is not told.

    Args:
        read: The file.
        size: See ``frames_length``; 0 for the least that they may take.

    """
    found: dict[int, bytes] = {}
    for tag, _, start, end, items in read.elements:
        if tag in SIZE_TAGS:
            if items is not None or end - start > MAX_SIZE_BYTES:
                return 0
            found[tag] = read.value(start, end)
    return frames_length(found, little=read.little, size=size)
