"""Painting frames of RLE: rows outside stay as they are encoded, rows with something to paint are encoded anew.

Source: DICOM PS3.5 annex G (edition 2026d).

Public names: ``painted_rle``, ``encoded_row``.
"""

from __future__ import annotations

import struct
from itertools import groupby, pairwise
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from deidflow.tasks.local.editing.painting.black import stored_word
from deidflow.tasks.local.editing.painting.image_layout import unpaintable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from deidflow.tasks.core.pixels.regions import Region
    from deidflow.tasks.local.editing.painting.image_layout import ImageLayout

    Pixels = np.ndarray[Any, np.dtype[Any]]

_HEADER: Final = struct.Struct("<16L")
_MAX_SEGMENTS: Final = 15
_NO_OPERATION: Final = 128
_LONGEST_RUN: Final = 128
_SHORTEST_RUN: Final = 3
_NOT_RLE: Final = "each of its frames must be RLE of as many segments and pixels as the image has"


def painted_rle(
    frame: bytes, layout: ImageLayout, regions: Sequence[Region], blacks: Sequence[int]
) -> tuple[bytes, Pixels]:
    """Paint one frame.

    Args:
        frame: All its fragments, joined.
        layout: Of the pixels.
        regions: What is painted, inside the frame.
        blacks: Value of each sample of a black pixel.

    Returns:
        The frame, of even length, and the stored words of its pixels, samples one behind the other.

    Raises:
        InstanceFailed: ``unsafe-content``: it is no RLE of such an image.

    """
    width = max(1, layout.allocated // 8)  # a pixel of one bit is a byte here (PS3.5 section 8.2.2)
    segments = _segments(frame)
    if len(segments) != width * layout.samples:
        raise unpaintable(_NOT_RLE)
    painted, planes = [], []
    for index, segment in enumerate(segments):
        word = stored_word(layout, blacks[index // width]).to_bytes(width, "big")
        data, plane = _painted_segment(segment, layout, regions, word[index % width])
        painted.append(data)
        planes.append(plane)
    offsets, at = [], _HEADER.size
    for data in painted:
        offsets.append(at)
        at += len(data)
    header = _HEADER.pack(len(painted), *offsets, *[0] * (_MAX_SEGMENTS - len(offsets)))
    words = np.frombuffer(b"".join(planes), "u1").reshape(layout.samples, width, -1).transpose(0, 2, 1)
    return header + b"".join(painted), np.ascontiguousarray(words).view(f">u{width}").ravel()


def _segments(frame: bytes) -> list[bytes]:
    if len(frame) < _HEADER.size:
        raise unpaintable(_NOT_RLE)
    count, *offsets = _HEADER.unpack_from(frame)
    if not 1 <= count <= _MAX_SEGMENTS:
        raise unpaintable(_NOT_RLE)
    edges = [*offsets[:count], len(frame)]
    if edges[0] < _HEADER.size or edges != sorted(edges):
        raise unpaintable(_NOT_RLE)
    return [frame[start:end] for start, end in pairwise(edges)]


def _painted_segment(
    segment: bytes, layout: ImageLayout, regions: Sequence[Region], fill: int
) -> tuple[bytes, bytearray]:
    """Paint one byte of each pixel's sample; return it encoded and plain."""
    columns, rows = layout.columns, layout.rows
    plane, borders = _decoded(segment, columns, rows * columns)
    black = bytes([fill]) * columns
    touched = set()
    for region in regions:
        for row in range(region.y, region.y + region.height):
            start = row * columns + region.x
            plane[start : start + region.width] = black[: region.width]
            touched.add(row)
    pieces: list[bytes] = []
    kept_from = -1
    for row in range(rows):
        stays = row not in touched and row in borders and row + 1 in borders
        if stays and kept_from < 0:
            kept_from = row
        if not stays:
            if kept_from >= 0:
                pieces.append(segment[borders[kept_from] : borders[row]])
                kept_from = -1
            pieces.append(encoded_row(bytes(plane[row * columns : (row + 1) * columns])))
    if kept_from >= 0:
        pieces.append(segment[borders[kept_from] : borders[rows]])
    data = b"".join(pieces)
    return data + b"\0" * (len(data) % 2), plane


def _decoded(segment: bytes, columns: int, wanted: int) -> tuple[bytearray, dict[int, int]]:
    """Decode a segment; return where it is known that a row begins, too, by its number."""
    plane = bytearray()
    borders = {0: 0}
    at, end = 0, len(segment)
    while len(plane) < wanted:
        if at >= end:
            raise unpaintable(_NOT_RLE)
        control = segment[at]
        if control < _NO_OPERATION:
            plane += segment[at + 1 : at + 2 + control]
            at += 2 + control
        elif control > _NO_OPERATION:
            plane += segment[at + 1 : at + 2] * (257 - control)
            at += 2
        else:
            at += 1
        if not len(plane) % columns:
            borders.setdefault(len(plane) // columns, at)
    if at > end or len(plane) != wanted:
        raise unpaintable(_NOT_RLE)
    return plane, borders


def encoded_row(row: bytes) -> bytes:
    """Encode one row of a segment: runs of three and more equal bytes, and stretches of others (section G.3.1)."""
    out = bytearray()
    literal = bytearray()

    def end_literal() -> None:
        for start in range(0, len(literal), _LONGEST_RUN):
            part = literal[start : start + _LONGEST_RUN]
            out.append(len(part) - 1)
            out.extend(part)
        literal.clear()

    for value, group in groupby(row):
        length = len(list(group))
        if length < _SHORTEST_RUN:
            literal.extend([value] * length)
            continue
        end_literal()
        while length > 1:
            run = min(length, _LONGEST_RUN)
            out += bytes([257 - run, value])
            length -= run
        literal.extend([value] * length)
    end_literal()
    return bytes(out)
