"""Text in ICC profiles (ICC.1:2022, also v2): descriptions, copyrights, makers, dates, private tags.

Public names: ``icc_ranges``.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final

from deidflow.tasks.local.deidentification.content.ranges import Range, UnsafeContentError

if TYPE_CHECKING:
    from collections.abc import Iterator

_HEADER: Final = 128
_ENTRY: Final = 12
_TYPE_HEADER: Final = 8
_BLANK: Final = 0x20
_MOST_TAGS: Final = 1000

# Fields of the header that say when and by whom: date, platform, flags, maker, model, attributes; creator, profile ID.
_SIGNATURE_PLACE: Final = 36
_DATE: Final = (24, 36)
_MAKER_AND_MODEL: Final = (48, 56)
_CREATOR_AND_ID: Final = (80, 100)
_RESERVED: Final = (100, 128)
# A date must be one: 1 January 2000, 0:00.
_DUMMY_DATE: Final = struct.pack(">6H", 2000, 1, 1, 0, 0, 0)

# Types that hold nothing but numbers and fixed signatures.
_NUMERIC: Final = frozenset(
    {
        *(b"curv", b"para", b"XYZ ", b"sf32", b"uf32", b"ui08", b"ui16", b"ui32", b"ui64", b"mft1", b"mft2", b"mAB "),
        *(b"mBA ", b"mpet", b"chrm", b"meas", b"view", b"sig ", b"cicp"),
    }
)


def icc_ranges(data: bytes) -> list[Range]:
    """Return what to blank in a profile.

    Blanked are texts, every tag whose type is not known to hold numbers only, what no tag points
    to, and the header's date, maker, model, creator and identifier (a profile without identifier is valid).

    Args:
        data: The value of ICC Profile (0028,2000), without its padding octet or with it.

    Raises:
        UnsafeContentError: It is no profile whose tags all lie inside it.

    """
    if len(data) < _HEADER + 4 or data[_SIGNATURE_PLACE : _SIGNATURE_PLACE + 4] != b"acsp":
        raise UnsafeContentError("the ICC profile must have its signature")
    (count,) = struct.unpack_from(">I", data, _HEADER)
    table_end = _HEADER + 4 + count * _ENTRY
    if count > _MOST_TAGS or table_end > len(data):
        raise UnsafeContentError("the ICC profile's table of tags is longer than the profile")
    ranges = [Range(*field) for field in (_MAKER_AND_MODEL, _CREATOR_AND_ID, _RESERVED)]
    ranges += [Range(_DATE[0] + place, _DATE[0] + place + 1, octet) for place, octet in enumerate(_DUMMY_DATE)]
    used = [(0, table_end)]
    for number in range(count):
        start, size = struct.unpack_from(">II", data, _HEADER + 4 + number * _ENTRY + 4)
        if start < table_end or start + size > len(data) or size < _TYPE_HEADER:
            raise UnsafeContentError("a tag of the ICC profile lies outside the profile")
        used.append((start, start + size))
        ranges += _tag(data, start, start + size)
    ranges += _gaps(used, len(data))
    return [one for one in ranges if any(octet != one.fill for octet in data[one.start : one.end])]


def _gaps(used: list[tuple[int, int]], end: int) -> Iterator[Range]:
    """Yield what lies between and behind all tags."""
    at = 0
    for start, behind in sorted(used):
        if start > at:
            yield Range(at, start)
        at = max(at, behind)
    if end > at:
        yield Range(at, end)


def _tag(data: bytes, start: int, end: int) -> list[Range]:
    kind = data[start : start + 4]
    if kind in _NUMERIC:
        return [Range(start + 4, start + _TYPE_HEADER)]  # reserved, must be zero
    if kind == b"text":
        text = data[start + _TYPE_HEADER : end].rstrip(b"\0")
        return [Range(start + _TYPE_HEADER, start + _TYPE_HEADER + len(text), _BLANK)]
    if kind == b"mluc":
        return _localized(data, start, end)
    if kind == b"desc":
        return _description(data, start, end)
    # Of a type that nobody knows the contents are nobody's: as a text of blanks it stays readable.
    return [Range(start + _TYPE_HEADER, end)]


def _localized(data: bytes, start: int, end: int) -> list[Range]:
    if start + 16 > end:
        raise UnsafeContentError("a text of the ICC profile lies outside its tag")
    count, size = struct.unpack_from(">II", data, start + 8)
    if size < _ENTRY or start + 16 + count * size > end:
        raise UnsafeContentError("a text of the ICC profile lies outside its tag")
    texts = [(start + 16, start + 16 + count * size)]
    ranges: list[Range] = []
    for number in range(count):
        length, offset = struct.unpack_from(">II", data, start + 16 + number * size + 4)
        first, last = start + offset, start + offset + length
        if first < texts[0][1] or last > end:
            raise UnsafeContentError("a text of the ICC profile lies outside its tag")
        texts.append((first, last))
        ranges += [Range(place, place + 1, _BLANK * (place - first & 1)) for place in range(first, last)]
    return ranges + [gap for gap in _gaps([(0, start + 16), *texts], end) if gap.start >= start]


def _description(data: bytes, start: int, end: int) -> list[Range]:
    """Blank a description of version 2: blanks for its ASCII part, zeros for the rest."""
    if start + 12 > end:
        raise UnsafeContentError("a text of the ICC profile lies outside its tag")
    (length,) = struct.unpack_from(">I", data, start + 8)
    first, last = start + 12, start + 12 + length
    if last > end:
        raise UnsafeContentError("a text of the ICC profile lies outside its tag")
    text = data[first:last].rstrip(b"\0")
    return [Range(first, first + len(text), _BLANK), Range(last, end)]
