"""The bytes of a result that are searched, which is all but pixel values, and which element each of them is in.

Public names: ``Region``, ``Leaf``, ``regions_of``, ``leaf_at``, ``leaves_of``.
"""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING, Final, NamedTuple

from deidflow.tasks.core.dicom.tags import PIXEL_DATA
from deidflow.tasks.verification.leaks.segments import beside_pixels

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from deidflow.tasks.verification.reader import Item, Read

PIXELS: Final = frozenset({PIXEL_DATA, 0x7FE00008, 0x7FE00009})
_PIECE_BYTES: Final = 1 << 23
_OVERLAP_BYTES: Final = 1 << 10


class Leaf(NamedTuple):
    """An element that holds a value.

    Attributes:
        start: Where its value begins.
        end: Where it ends.
        path: Tags from the top level on.
        vr: As the file has it.

    """

    start: int
    end: int
    path: tuple[int, ...]
    vr: bytes


class Region(NamedTuple):
    """Bytes to search.

    Attributes:
        base: Where they begin, in the file or in the dataset.
        data: The bytes.
        in_dataset: Whether they belong to the dataset, rather than stand before it.
        leaf: The element whose value they were decoded from; None where they are bytes of the file.

    """

    base: int
    data: bytes
    in_dataset: bool
    leaf: Leaf | None = None


def regions_of(result: Read) -> Iterator[Region]:
    """Yield everything but pixel values, in pieces that overlap."""
    head = result.head()
    if head:
        yield Region(0, head, in_dataset=False)
    for start, end in _spans(result):
        at = start
        while at < end:
            stop = min(end, at + _PIECE_BYTES)
            yield Region(at, result.value(at, stop), in_dataset=True)
            at = stop if stop == end else stop - _OVERLAP_BYTES


def _spans(result: Read) -> Iterator[tuple[int, int]]:
    position = result.start
    for element in result.elements:
        if element[0] in PIXELS:
            yield position, element[2]
            yield from beside_pixels(result, element)
            position = element[3]
    if position < result.size:
        yield position, result.size


def leaves_of(result: Read) -> tuple[list[Leaf], list[Leaf]]:
    """Return the elements before the dataset, and those of the dataset, each list in the order of the file."""
    before = [Leaf(start, end, (tag,), vr) for tag, vr, start, end, _ in result.meta]
    return before, list(_walk(result.elements, ()))


def _walk(elements: Item, above: tuple[int, ...]) -> Iterator[Leaf]:
    for tag, vr, start, end, items in elements:
        if items is None:
            yield Leaf(start, end, (*above, tag), vr)
        else:
            for item in items:
                yield from _walk(item, (*above, tag))


def leaf_at(leaves: Sequence[Leaf], start: int, end: int) -> Leaf | None:
    """Return the element whose value holds some bytes; None where they stand elsewhere, or reach over an end."""
    index = bisect_right(leaves, start, key=lambda leaf: leaf.start) - 1
    if index < 0:
        return None
    leaf = leaves[index]
    return leaf if end <= leaf.end else None
