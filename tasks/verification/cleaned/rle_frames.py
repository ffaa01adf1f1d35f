"""Which octets of RLE frames are no image, told again apart from the editor (PS3.5 annex G, edition 2026d).

Public names: ``pixels_of_rle``, ``rle_stretches``.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

    from deidflow.tasks.verification.reader import Read

_RLE: Final = "1.2.840.10008.1.2.5"
_HEADER_BYTES: Final = 64
_ROWS: Final = 0x00280010
_COLUMNS: Final = 0x00280011
_NO_OPERATION: Final = 128


def pixels_of_rle(source: Read) -> int:
    """Return the pixels of a frame of an RLE file, 0 for other files."""
    sides = {tag: source.value(start, end) for tag, _, start, end, _ in source.elements if tag in (_ROWS, _COLUMNS)}
    if source.syntax != _RLE or len(sides) != 2:  # noqa: PLR2004 (both)
        return 0
    return int.from_bytes(sides[_ROWS], "little") * int.from_bytes(sides[_COLUMNS], "little")


def rle_stretches(frame: bytes, pixels: int) -> Iterator[tuple[int, int]]:
    """Yield where the octets of a frame stand that no decoder needs, by start and end.

    Args:
        frame: One fragment.
        pixels: Rows times columns.

    """
    words = [int.from_bytes(frame[at : at + 4], "little") for at in range(0, _HEADER_BYTES, 4)]
    used = min(words[0], 15)
    yield 4 * (used + 1), _HEADER_BYTES
    bounds = [*(min(word, len(frame)) for word in words[1 : used + 1]), len(frame)]
    yield _HEADER_BYTES, bounds[0]
    for begin, end in pairwise(bounds):
        position, left = begin, pixels
        while left > 0 and position < end:
            control = frame[position]
            length = control + 1 if control < _NO_OPERATION else (257 - control) % 129
            position += 1 + (length if control < _NO_OPERATION else int(length > 0))
            left -= length
        yield min(position, end), end
