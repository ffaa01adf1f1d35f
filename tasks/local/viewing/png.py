"""Pictures as PNG (ISO/IEC 15948), with rectangles drawn on them.

Public names: ``to_png``, ``with_rectangles``, ``reduced``.
"""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable

    from deidflow.tasks.core.pixels.regions import Region
    from deidflow.tasks.local.viewing.rendering import Picture

_SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"
_RGB: Final = 2
_LEVEL: Final = 6


def to_png(picture: Picture) -> bytes:
    """Return a picture as a PNG file; the same bytes each time.

    Args:
        picture: Rows x columns x 3, RGB, eight bits.

    """
    rows, columns, _ = picture.shape
    lines = np.zeros((rows, 1 + 3 * columns), np.uint8)  # filter 0 in front of each line
    lines[:, 1:] = picture.reshape(rows, 3 * columns)
    header = struct.pack(">IIBBBBB", columns, rows, 8, _RGB, 0, 0, 0)
    data = zlib.compress(lines.tobytes(), _LEVEL)
    return _SIGNATURE + _chunk(b"IHDR", header) + _chunk(b"IDAT", data) + _chunk(b"IEND", b"")


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def with_rectangles(picture: Picture, regions: Iterable[Region], colour: tuple[int, int, int]) -> Picture:
    """Return a picture with the frames of rectangles drawn on it, and what is in them tinted.

    Args:
        picture: Stays as it is.
        regions: In pixels of the picture; what lies beside it is not drawn.
        colour: Red, green, blue.

    """
    drawn = picture.copy()
    rows, columns, _ = picture.shape
    for region in regions:
        inside = region.clipped(columns, rows)
        if inside is None:
            continue
        part = drawn[inside.y : inside.y + inside.height, inside.x : inside.x + inside.width]
        tint = np.array(colour, np.uint16)
        part[:] = ((part.astype(np.uint16) * 3 + tint) // 4).astype(np.uint8)
        part[:2] = part[-2:] = colour
        part[:, :2] = part[:, -2:] = colour
    return drawn


def reduced(picture: Picture, longest: int) -> Picture:
    """Return a picture made smaller by a whole number, so that no side is longer than so many pixels.

    Args:
        picture: Stays as it is.
        longest: In pixels, at least 1.

    """
    rows, columns, _ = picture.shape
    step = -(-max(rows, columns) // longest)
    if step <= 1:
        return picture
    height, width = max(1, rows // step), max(1, columns // step)
    part = picture[: height * step, : width * step]
    if part.shape[:2] != (height * step, width * step):  # a side shorter than the step
        return picture[::step, ::step]
    means = part.reshape(height, step, width, step, 3).mean(axis=(1, 3))
    smaller: Picture = means.astype(np.uint8)
    return smaller
