"""Whether two values of compressed pixel data differ in nothing but texts that became blank: told by their bytes.

Told again here, apart from the editor: where in a frame no image is. Of JPEG these are comments, application segments
and what stands behind the end (ISO/IEC 10918-1 annex B); of JPEG 2000 comments, and what is around the code stream
(ISO/IEC 15444-1 annexes A and I).

Public names: ``frames_fault``, ``TEXT_BESIDE``.
"""

from __future__ import annotations

import re
import struct
from bisect import bisect_left
from itertools import accumulate
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from deidflow.tasks.verification.cleaned.rle_frames import rle_stretches

if TYPE_CHECKING:
    from collections.abc import Iterator

TEXT_BESIDE: Final = "has a text beside its image"
_ITEM: Final = 0xFFFEE000
_JPEG: Final = b"\xff\xd8\xff"
_CODE_STREAM: Final = b"\xff\x4f\xff\x51"
_JP2: Final = b"\0\0\0\x0cjP  "
_BLANKS: Final = (0x00, 0x20, 0x80)
"""Zeros, blanks, and what decodes to nothing in RLE."""
_MAY_BE_BLANK: Final = 1
_MAY_CHANGE: Final = 2
_FRAME_OF_JPEG: Final = re.compile(rb"\xff+([\xc0-\xcf\xd9-\xfe])", re.DOTALL)
_ENDS_IMAGE: Final = 0xD9
_NO_IMAGE: Final = (*range(0xE0, 0xF0), 0xFE)
_TEXT: Final = re.compile(rb"[A-Za-z]{4}")
_OF_DECODERS: Final = re.compile(rb"JFIF\0|Adobe|mrfx|SPIFF\0|\0\0\0\x01\xff\xd8")
_LONGEST_OF_DECODERS: Final = 32
_OF_ENCODERS: Final = re.compile(
    rb"Created by (GDCM/)?OpenJPEG|Creator: JasPer|Kakadu|LEAD Tech|Kdu-Layer|CREATOR: gd-jpeg"
)
_NEEDED_BOXES: Final = (b"jP  ", b"ftyp", b"jp2c")
_COMMENT_OF_JPEG_2000: Final = b"\xff\x64"
_STARTS_PART: Final = 0x90
_STARTS_DATA: Final = 0x93
_LONGEST_STEP: Final = 10
"""Bytes that tell how long a tile-part is."""


class _Stretch(NamedTuple):
    """Octets that are no image; what is no text, either, is not looked at."""

    start: int
    end: int
    is_text: bool = True


def frames_fault(before: bytes, after: bytes, *, little: bool, rle_pixels: int = 0) -> str:
    """Return what is wrong with the pixel data of a result, going on after "PixelData"; "" for nothing.

    Args:
        before: Value of the source, with its items.
        after: Of the result.
        little: Whether the dataset is little endian.
        rle_pixels: Rows times columns of frames of RLE, 0 for other frames.

    """
    if len(before) != len(after):
        return "is not the source's, byte for byte"
    fragments = list(_fragments(after, little=little))
    joined = b"".join(after[start:end] for start, end in fragments)
    original = b"".join(before[start:end] for start, end in fragments)
    if sum(end - start for start, end in fragments) + _headers(before, after, fragments) != len(after):
        return "has other items than in the source"
    allowed = np.zeros(len(joined), "u1")
    for start, end, is_text in _stretches(original, fragments, rle_pixels):
        allowed[start:end] = _MAY_BE_BLANK if is_text else _MAY_CHANGE
    one, other = np.frombuffer(original, "u1"), np.frombuffer(joined, "u1")
    right = (one == other) | (allowed == _MAY_CHANGE) | ((allowed == _MAY_BE_BLANK) & np.isin(other, _BLANKS))
    if not right.all():
        return "is not the source's, byte for byte"
    for start, end, is_text in _stretches(joined, fragments, rle_pixels):
        text = joined[start:end] if is_text else b""
        if _OF_DECODERS.match(text):
            text = text[_LONGEST_OF_DECODERS:]
        if _TEXT.search(text) and not _OF_ENCODERS.match(text):
            return TEXT_BESIDE
    return ""


def _stretches(data: bytes, fragments: list[tuple[int, int]], rle_pixels: int) -> Iterator[_Stretch]:
    """Yield what is no image in joined fragments."""
    if not rle_pixels:
        starts = [*accumulate((end - start for start, end in fragments), initial=0)]
        yield from _no_image(data, starts)
        return
    at = 0
    for start, end in fragments:
        frame = data[at : at + end - start]
        yield from (_Stretch(at + first, at + last) for first, last in rle_stretches(frame, rle_pixels) if first < last)
        at += len(frame)


def _headers(before: bytes, after: bytes, fragments: list[tuple[int, int]]) -> int:
    """Return how many bytes stand outside the fragments, -1 where they differ."""
    outside, at = 0, 0
    for start, end in [*fragments, (len(after), len(after))]:
        if before[at:start] != after[at:start]:
            return -1
        outside += start - at
        at = end
    return outside


def _fragments(value: bytes, *, little: bool) -> Iterator[tuple[int, int]]:
    """Yield where the fragments behind the offset table begin and end."""
    item = struct.Struct("<HHL" if little else ">HHL")
    at, first = 0, True
    while at + 8 <= len(value):
        group, number, length = item.unpack_from(value, at)
        if group << 16 | number != _ITEM:
            return
        if not first:
            yield at + 8, at + 8 + length
        first, at = False, at + 8 + length


def _no_image(data: bytes, starts: list[int]) -> Iterator[_Stretch]:
    """Yield the stretches of frames, one behind the other, that are no image; contents of segments without headers.

    Args:
        data: All fragments, joined.
        starts: Where each of them begins, in order.

    """
    at = 0
    while at < len(data):
        if data.startswith(_JPEG, at):
            stretches, at = _of_jpeg(data, at, starts)
            yield from stretches
            continue
        if data.startswith((_CODE_STREAM, _JP2), at):
            stretches, at = _of_jpeg_2000(data, at, starts)
            yield from stretches
            continue
        return


def _next_frame(data: bytes, at: int, starts: list[int]) -> int:
    """Return where the next frame begins, which is with a fragment; the end of the data where none does."""
    later = (starts[number] for number in range(bisect_left(starts, at), len(starts)))
    return next((start for start in later if data.startswith((_JPEG, _CODE_STREAM, _JP2), start)), len(data))


def _of_jpeg(data: bytes, start: int, starts: list[int]) -> tuple[list[_Stretch], int]:
    found: list[_Stretch] = []
    at = start + 2
    while (match := _FRAME_OF_JPEG.search(data, at)) is not None:
        marker, at = match[1][0], match.end()
        if marker == _ENDS_IMAGE:
            break
        length = int.from_bytes(data[at : at + 2], "big")
        if marker in _NO_IMAGE:
            found.append(_Stretch(at + 2, at + length))
        at += length
    else:
        return found, len(data)
    behind = _next_frame(data, at, starts)
    return [*found, _Stretch(at, behind)], behind


def _of_jpeg_2000(data: bytes, start: int, starts: list[int]) -> tuple[list[_Stretch], int]:
    begins = data.find(_CODE_STREAM, start)
    if begins < 0:
        return [_Stretch(start, len(data))], len(data)
    end = _next_frame(data, begins + 4, starts)
    last = _end_of_code_stream(data, begins, end)
    found = list(_boxes(data, start, begins)) if begins > start else []
    at = begins
    while (at := data.find(_COMMENT_OF_JPEG_2000, at, last)) >= 0:
        length = int.from_bytes(data[at + 2 : at + 4], "big")
        if data[at + 4 : at + 6] in {b"\0\0", b"\0\1"} and at + 2 + length <= last:
            found.append(_Stretch(at + 6, at + 2 + length))
        at += 2
    behind = list(_boxes(data, last, end)) if begins > start else [_Stretch(last, end)]
    return [*found, *behind], end


def _end_of_code_stream(data: bytes, begins: int, end: int) -> int:
    """Return where a code stream ends: behind the EOC of its last tile-part, whose data holds none."""
    at = begins + 2
    while data[at : at + 1] == b"\xff" and at + _LONGEST_STEP <= end:
        length = int.from_bytes(data[at + 6 : at + 10], "big") if data[at + 1] == _STARTS_PART else 0
        if length:
            at += length
        elif data[at + 1] in {_STARTS_DATA, _ENDS_IMAGE}:
            break
        else:
            at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    found = data.find(b"\xff\xd9", at, end)
    return found + 2 if found >= 0 else end


def _boxes(data: bytes, at: int, end: int) -> Iterator[_Stretch]:
    """Yield the contents of boxes but those that a decoder needs; of the header's all may change that is not text."""
    while at + 8 <= end:
        size, kind = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8]
        behind = min(at + size, end) if size >= 8 else end  # noqa: PLR2004 (its own header)
        if kind not in _NEEDED_BOXES:
            yield _Stretch(at + 8, behind, is_text=kind != b"jp2h")
        at = behind
    if at < end:
        yield _Stretch(at, end)
