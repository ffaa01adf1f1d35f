"""Painting pixels that stand uncompressed: stretches of bytes are overwritten where they stand, frame by frame.

Public names: ``Stripe``, ``NativePainting``, ``native_painting``.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from deidflow.tasks.local.editing.painting.image_layout import unpaintable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from deidflow.tasks.core.pixels.regions import Region
    from deidflow.tasks.local.editing.painting.image_layout import ImageLayout

_JOINED_BYTES: Final = 1 << 16
"""Stretches with no more than this between them are read and written together."""


class Stripe(NamedTuple):
    """Consecutive units of a frame that are painted; units are bytes, or bits where a pixel is one bit.

    Attributes:
        start: In the frame.
        length: Of it.
        fill: What is written over and over from its start.

    """

    start: int
    length: int
    fill: bytes


@dataclass(frozen=True, slots=True, eq=False)
class NativePainting:
    """What is painted in a value of native pixel data.

    Attributes:
        frame_units: Length of a frame.
        frames: How many there are.
        stripes: Of one frame, in order, none over another.
        in_bits: Whether units are bits, the first of a byte being its lowest.
        swaps: Whether the bytes of each word of two change places before anything is counted.
        stretches: The stretches of bytes that painting may change, in order, those close to each other joined.

    """

    frame_units: int
    frames: int
    stripes: tuple[Stripe, ...]
    in_bits: bool = False
    swaps: bool = False
    stretches: tuple[tuple[int, int], ...] = field(init=False, repr=False)
    _starts: list[int] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Note where stripes begin, and what they come to."""
        object.__setattr__(self, "_starts", [stripe.start for stripe in self.stripes])
        object.__setattr__(self, "stretches", tuple(self._stretches()))

    @property
    def size(self) -> int:
        """How many bytes the value has, without a byte of padding."""
        units = self.frame_units * self.frames
        return -(-units // 8) if self.in_bits else units

    def _stretches(self) -> Iterator[tuple[int, int]]:
        unit = 8 if self.in_bits else 1
        start = end = -1
        for frame in range(self.frames):
            for first, length, _ in self.stripes:
                at = frame * self.frame_units + first
                begin, stop = at // unit // 2 * 2, (-(-(at + length) // unit) + 1) // 2 * 2
                if end >= 0 and begin - end <= _JOINED_BYTES:
                    end = max(end, stop)
                    continue
                if end >= 0:
                    yield start, end
                start, end = begin, stop
        if end >= 0:
            yield start, end

    def paint(self, at: int, data: bytes | memoryview) -> bytes | bytearray:
        """Return bytes of the value with what is black in them.

        Args:
            at: Where in the value they stand; even.
            data: The bytes, any number.

        """
        painted = bytearray(_swapped(data) if self.swaps else data)
        if self.in_bits:
            for left, right, fill in self.overwrites(8 * at, 8 * (at + len(data))):
                _fill_bits(painted, left, right, ones=bool(fill[0]))
        else:
            for left, right, new in _all_new(self, at, at + len(data)):
                painted[left:right] = new
        return _swapped(painted) if self.swaps else painted

    def overwrites(self, first: int, last: int) -> Iterator[tuple[int, int, bytes]]:
        """Yield where something is painted in a part of the value, counted in units from its start, and with what."""
        for frame in range(first // self.frame_units, min(self.frames, -(-last // self.frame_units))):
            base = frame * self.frame_units
            begin = max(0, bisect_right(self._starts, first - base) - 1)
            for start, length, fill in self.stripes[begin:]:
                if base + start >= last:
                    break
                left, right = max(base + start, first), min(base + start + length, last)
                if left < right:
                    phase = (left - base - start) % len(fill)
                    yield left - first, right - first, fill[phase:] + fill[:phase]


@lru_cache(maxsize=8)
def _all_new(painting: NativePainting, first: int, last: int) -> tuple[tuple[int, int, bytes], ...]:
    """Return the new bytes of a part of the value: of a series of single frames they are the same again and again."""
    return tuple(
        (left, right, (fill * ((right - left) // len(fill) + 1))[: right - left])
        for left, right, fill in painting.overwrites(first, last)
    )


def _swapped(data: bytes | bytearray | memoryview) -> bytes:
    whole = len(data) // 2 * 2
    return np.frombuffer(bytes(data[:whole]), "u2").byteswap().tobytes() + bytes(data[whole:])


def _fill_bits(data: bytearray, start: int, end: int, *, ones: bool) -> None:
    """Set or clear bits of data, the first of a byte being its lowest."""
    first, last = start // 8, -(-end // 8)
    bits = np.unpackbits(np.frombuffer(bytes(data[first:last]), "u1"), bitorder="little")
    bits[start - 8 * first : end - 8 * first] = ones
    data[first:last] = np.packbits(bits, bitorder="little").tobytes()


@lru_cache(maxsize=16)
def native_painting(
    layout: ImageLayout, regions: tuple[Region, ...], words: tuple[int, ...], *, little: bool, swaps: bool
) -> NativePainting:
    """Return what is to be painted; the last ones are kept, since those of a series are the same.

    Args:
        layout: Of the pixels.
        regions: What is painted of each frame, inside it.
        words: Of each sample of a black pixel, as it is stored.
        little: Whether words are.
        swaps: See ``NativePainting``.

    Raises:
        InstanceFailed: ``unsafe-content``: such pixels are not told apart.

    """
    order = "little" if little else "big"
    size = max(1, layout.allocated // 8)
    fills = [word.to_bytes(size, order) for word in words]  # type: ignore[arg-type]
    pixels = layout.rows * layout.columns
    if layout.allocated == 1:
        whole = [(box.y, box.x, box.width, box.height, 0, 1, fills[0]) for box in regions]
        return NativePainting(pixels, layout.frames, _stripes(layout, whole), in_bits=True, swaps=swaps)
    if layout.is_halved:
        if layout.columns % 2 or layout.planar:
            raise unpaintable("Columns must be even where two pixels share a colour, and samples stand pixel by pixel")
        pair = fills[0] * 2 + fills[1] + fills[2]
        whole = [_pairs(box, size, pair) for box in regions]
        return NativePainting(pixels * 2 * size, layout.frames, _stripes(layout, whole, halved=True), swaps=swaps)
    if layout.planar and layout.samples > 1:
        whole = [
            (box.y, box.x, box.width, box.height, plane * pixels * size, size, fill)
            for plane, fill in enumerate(fills)
            for box in regions
        ]
    else:
        pixel = b"".join(fills)
        whole = [(box.y, box.x, box.width, box.height, 0, len(pixel), pixel) for box in regions]
    return NativePainting(pixels * layout.samples * size, layout.frames, _stripes(layout, whole), swaps=swaps)


def _pairs(box: Region, size: int, pair: bytes) -> tuple[int, int, int, int, int, int, bytes]:
    """Return a box in pairs of pixels."""
    left, right = box.x // 2, -(-(box.x + box.width) // 2)
    return box.y, left, right - left, box.height, 0, 4 * size, pair


def _stripes(
    layout: ImageLayout, boxes: list[tuple[int, int, int, int, int, int, bytes]], *, halved: bool = False
) -> tuple[Stripe, ...]:
    """Return the stripes of boxes: row, column, width, height, where their plane begins, size and fill of a pixel."""
    columns = layout.columns // 2 if halved else layout.columns
    found: list[Stripe] = []
    for y, x, width, height, plane, size, fill in boxes:
        if width == columns:
            found.append(Stripe(plane + y * columns * size, height * columns * size, fill))
        else:
            found += [Stripe(plane + (row * columns + x) * size, width * size, fill) for row in range(y, y + height)]
    found.sort()
    joined: list[Stripe] = []
    for stripe in found:
        last = joined[-1] if joined else None
        # Stripes over each other are of one plane, and begin at whole pixels.
        if last is not None and stripe.fill == last.fill and stripe.start <= last.start + last.length:
            end = max(last.start + last.length, stripe.start + stripe.length)
            joined[-1] = Stripe(last.start, end - last.start, last.fill)
        else:
            joined.append(stripe)
    return tuple(joined)
