"""Frames of encapsulated pixel data: which fragments are whose, and the offset tables of new ones.

Source: DICOM PS3.5 section A.4 and PS3.3 section C.7.6.3.1.8 (edition 2026d).

Public names: ``Fragment``, ``frames_of``, ``BEGINNINGS``, ``OFFSET_TABLE_TAGS``, ``basic_table``, ``extended_tables``.
"""

from __future__ import annotations

import struct
from itertools import accumulate
from typing import TYPE_CHECKING, Final, NamedTuple

from deidflow.tasks.local.dicom_file.encoding import EXPLICIT_LITTLE, ITEM, item_header
from deidflow.tasks.local.editing.painting.image_layout import unpaintable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from deidflow.tasks.local.dicom_file.elements import Element
    from deidflow.tasks.local.dicom_file.source_file import SourceFile

EXTENDED_OFFSETS: Final = 0x7FE00001
EXTENDED_LENGTHS: Final = 0x7FE00002
OFFSET_TABLE_TAGS: Final = (EXTENDED_OFFSETS, EXTENDED_LENGTHS)
ITEM_HEADER_BYTES: Final = 8

BEGINNINGS: Final = (b"\xff\xd8\xff", b"\xff\x4f\xff\x51", b"\0\0\0\x0cjP  ")
"""Of JPEG and JPEG-LS, of a JPEG 2000 code stream, of a JP2 file."""
_LONGEST_BEGINNING: Final = 12
_MAX_BASIC_OFFSET: Final = (1 << 32) - 1
_SPLIT: Final = "its fragments must make as many frames as NumberOfFrames says"


class Fragment(NamedTuple):
    """Where the bytes of a fragment begin and end in the source's body."""

    start: int
    end: int


def frames_of(
    source: SourceFile, element: Element, frames: int, extended: Sequence[int]
) -> tuple[list[list[Fragment]], bool]:
    """Return the fragments of each frame, and whether the basic offset table is filled.

    An offset table tells; where there is none, one fragment is one frame, or all are the only one, or a frame begins
    where a fragment begins as code streams do.

    Args:
        source: The open file.
        element: Its encapsulated pixel data.
        frames: How many there are.
        extended: Offsets of the extended table, none where there is none.

    Raises:
        InstanceFailed: ``unsafe-content``: nobody can tell, or there are more or fewer.

    """
    table, fragments = _items(source, element)
    offsets = list(extended) or [one for (one,) in struct.iter_unpack("<L", table[: len(table) // 4 * 4])]
    if not fragments:
        raise unpaintable(_SPLIT)
    if offsets:
        return _by_offsets(fragments, offsets, frames), bool(table)
    if frames == 1:
        return [fragments], False
    if len(fragments) == frames:
        return [[one] for one in fragments], False
    grouped: list[list[Fragment]] = []
    for one in fragments:
        if source.read(one.start, min(one.end, one.start + _LONGEST_BEGINNING)).startswith(BEGINNINGS):
            grouped.append([one])
        elif grouped:
            grouped[-1].append(one)
        else:
            raise unpaintable(_SPLIT)
    if len(grouped) != frames:
        raise unpaintable(_SPLIT)
    return grouped, False


def _by_offsets(fragments: list[Fragment], offsets: list[int], frames: int) -> list[list[Fragment]]:
    """Group fragments by where frames begin, counted from the first fragment's item."""
    first = fragments[0].start
    starts = {one.start - first: index for index, one in enumerate(fragments)}
    places = [starts.get(offset) for offset in offsets]
    found = [place for place in places if place is not None]
    if len(found) != len(offsets) or len(offsets) != frames or found[0] != 0 or found != sorted(set(found)):
        raise unpaintable("its offset table must name where each of its frames begins")
    return [fragments[place:stop] for place, stop in zip(found, [*found[1:], len(fragments)], strict=True)]


def _items(source: SourceFile, element: Element) -> tuple[bytes, list[Fragment]]:
    """Return the basic offset table, and the fragments that are not empty."""
    _, _, _, at, end, _ = element
    unpack = EXPLICIT_LITTLE.tag_length.unpack
    table: bytes | None = None
    fragments: list[Fragment] = []
    while at + ITEM_HEADER_BYTES <= end:
        group, number, length = unpack(source.read(at, at + ITEM_HEADER_BYTES))
        at += ITEM_HEADER_BYTES
        if group << 16 | number != ITEM:
            break
        if table is None:
            table = source.read(at, at + length)
        else:
            fragments.append(Fragment(at, at + length))
        at += length
    return table or b"", fragments


def basic_table(sizes: Sequence[int]) -> bytes:
    """Return the basic offset table of frames of one fragment each, with its item header; empty where it cannot hold.

    Args:
        sizes: Of the frames in bytes, padded.

    """
    offsets = _offsets(sizes)
    if offsets and offsets[-1] > _MAX_BASIC_OFFSET:
        offsets = []
    return item_header(ITEM, 4 * len(offsets), EXPLICIT_LITTLE) + struct.pack(f"<{len(offsets)}L", *offsets)


def extended_tables(sizes: Sequence[int]) -> tuple[bytes, bytes]:
    """Return the values of the extended offset table and of its lengths, without padding counted."""
    offsets = _offsets([size + size % 2 for size in sizes])
    return struct.pack(f"<{len(sizes)}Q", *offsets), struct.pack(f"<{len(sizes)}Q", *sizes)


def _offsets(sizes: Sequence[int]) -> list[int]:
    """Return where items begin, from the first one on."""
    return list(accumulate((size + ITEM_HEADER_BYTES for size in sizes), initial=0))[: len(sizes)]
