"""What stands in pixel data beside pixel values: comments and application segments, bytes behind an image.

Source: ISO/IEC 10918-1 annex B (JPEG), 14495-1 annex C (JPEG-LS), 15444-1 annex A (JPEG 2000); DICOM PS3.5 section A.4
(edition 2026c).

Public names: ``beside_pixels``, ``native_length``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from deidflow.tasks.verification.reader import Element, Read

    ValueOf = Callable[[int, int], bytes]

_ITEM: Final = b"\xfe\xff\x00\xe0"
_ITEM_HEADER_BYTES: Final = 8
_JPEG: Final = b"\xff\xd8"
_JPEG_2000: Final = b"\xff\x4f"
_COMMENT: Final = 0xFE
_APPLICATION: Final = range(0xE0, 0xF0)
_COMMENT_2000: Final = 0x64
_STARTS_DATA: Final = frozenset({0xDA, 0x90, 0x93, 0xD9})
"""Start of scan, start of tile-part, start of data, end of image."""
_END: Final = b"\xff\xd9"
_MAX_SEGMENTS: Final = 1000
_TAIL_BYTES: Final = 1 << 16
_ENDS_BYTES: Final = 1 << 12
"""What is searched of a fragment whose inside is not known, at either end."""
_ROWS: Final = 0x00280010
_COLUMNS: Final = 0x00280011
_SAMPLES: Final = 0x00280002
_BITS_ALLOCATED: Final = 0x00280100
_FRAMES: Final = 0x00280008


def beside_pixels(read: Read, pixels: Element) -> Iterator[tuple[int, int]]:
    """Yield where in an element of pixel data something else stands, from and to which byte of the dataset.

    Args:
        read: The file.
        pixels: Pixel data at top level.

    """
    _, _, start, end, _ = pixels
    value = read.value
    if value(start, min(end, start + 4)) != _ITEM:
        expected = native_length(read)
        if expected and start + expected + 1 < end:
            yield start + expected, end
        return
    position = start
    while position + _ITEM_HEADER_BYTES <= end and value(position, position + 4) == _ITEM:
        length = int.from_bytes(value(position + 4, position + 8), "little")
        first = position + _ITEM_HEADER_BYTES
        position = first + length
        yield from _of_fragment(value, first, min(position, end))


def _of_fragment(value: ValueOf, start: int, end: int) -> Iterator[tuple[int, int]]:
    kind = value(start, start + 2)
    if kind not in {_JPEG, _JPEG_2000}:
        # An offset table, a frame in runs, a film, the rest of a frame: what was written into it stands at its ends.
        yield start, min(end, start + _ENDS_BYTES)
        if end - start > _ENDS_BYTES:
            yield max(start + _ENDS_BYTES, end - _ENDS_BYTES), end
        return
    position = start + 2
    for _ in range(_MAX_SEGMENTS):
        header = value(position, position + 4)
        if len(header) < 4 or header[0] != 0xFF or header[1] in _STARTS_DATA or position >= end:  # noqa: PLR2004 (a marker)
            break
        stop = position + 2 + int.from_bytes(header[2:], "big")
        if header[1] in _APPLICATION or header[1] == (_COMMENT if kind == _JPEG else _COMMENT_2000):
            yield position + 4, min(stop, end)
        position = stop
    tail = max(start, end - _TAIL_BYTES)
    last = value(tail, end).rfind(_END)
    if last >= 0 and tail + last + 3 < end:
        yield tail + last + 2, end


def native_length(read: Read) -> int:
    """Return how many bytes the pixels of an image take that are not compressed; 0 where that is not told."""
    found: dict[int, bytes] = {}
    for tag, _, start, end, _ in read.elements:
        if tag in {_ROWS, _COLUMNS, _SAMPLES, _BITS_ALLOCATED, _FRAMES} and end - start <= 16:  # noqa: PLR2004 (one number)
            found[tag] = read.value(start, end)
    bits = 1
    for tag in (_ROWS, _COLUMNS, _SAMPLES, _BITS_ALLOCATED):
        raw = found.get(tag, b"")
        if len(raw) != 2:  # noqa: PLR2004 (US)
            return 0
        bits *= int.from_bytes(raw, "little" if read.little else "big")
    frames = found.get(_FRAMES, b"1").strip(b" \0")
    return (bits * int(frames) + 7) // 8 if frames.isdigit() else 0
