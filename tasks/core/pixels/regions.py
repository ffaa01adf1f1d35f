"""Rectangles of a frame, in pixels.

Public names: ``Region``, ``outside``.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


@dataclass(frozen=True, slots=True, order=True)
class Region:
    """A rectangle of every frame of an instance; it may reach over the edge of the frame, where nothing is.

    Attributes:
        x: Of its upper left pixel: columns from the left edge of the frame, from 0.
        y: Of its upper left pixel: rows from the upper edge of the frame, from 0.
        width: In pixels, at least 1.
        height: In pixels, at least 1.

    """

    x: int
    y: int
    width: int
    height: int

    def clipped(self, columns: int, rows: int) -> Region | None:
        """Return what of it lies in a frame of so many columns and rows; None for nothing."""
        left, top = max(self.x, 0), max(self.y, 0)
        width, height = min(self.x + self.width, columns) - left, min(self.y + self.height, rows) - top
        return Region(left, top, width, height) if width > 0 and height > 0 else None


def outside(kept: Iterable[Region], columns: int, rows: int) -> tuple[Region, ...]:
    """Return the rest of a frame, as rectangles that do not overlap, from top to bottom and left to right.

    Args:
        kept: What is not part of the rest; what lies outside the frame does not count.
        columns: Of the frame.
        rows: Of the frame.

    """
    inside = [region for one in kept if (region := one.clipped(columns, rows)) is not None]
    edges = sorted({0, rows, *(one.y for one in inside), *(one.y + one.height for one in inside)})
    rest: list[Region] = []
    open_above: dict[tuple[int, int], int] = {}  # columns from and to: index of the rectangle that ends above
    for top, bottom in pairwise(edges):
        here: dict[tuple[int, int], int] = {}
        for left, right in _gaps([one for one in inside if one.y <= top < one.y + one.height], columns):
            index = open_above.get((left, right))
            if index is None:
                here[left, right] = len(rest)
                rest.append(Region(left, top, right - left, bottom - top))
            else:
                here[left, right] = index
                above = rest[index]
                rest[index] = Region(above.x, above.y, above.width, bottom - above.y)
        open_above = here
    return tuple(sorted(rest, key=lambda one: (one.y, one.x)))


def _gaps(kept: Iterable[Region], columns: int) -> list[tuple[int, int]]:
    """Return the columns that no rectangle of a band of rows takes, from and to (exclusive)."""
    gaps, left = [], 0
    for one in sorted(kept):
        if one.x > left:
            gaps.append((left, one.x))
        left = max(left, one.x + one.width)
    return [*gaps, (left, columns)] if left < columns else gaps
