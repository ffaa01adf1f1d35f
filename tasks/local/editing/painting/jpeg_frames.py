"""Painting frames of baseline and extended JPEG in their entropy-coded data: no other block is decoded or encoded anew.

Blocks in the regions get a black DC coefficient and no other; the bits of all other blocks stay, but for the DC
difference of a block behind a painted one. So there is no second loss, and no codec is needed. Regions are widened to
whole MCUs. Source: ISO/IEC 10918-1 annexes A, C and F.

Public names: ``painted_jpeg``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from deidflow.tasks.local.editing.painting.image_layout import unpaintable
from deidflow.tasks.local.editing.painting.jpeg_stream import NotPaintableJpegError, Segment, read_jpeg

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from deidflow.tasks.core.pixels.regions import Region
    from deidflow.tasks.local.editing.painting.image_layout import ImageLayout
    from deidflow.tasks.local.editing.painting.jpeg_stream import HuffmanTable, JpegScan, JpegStream

    Bits = np.ndarray[Any, np.dtype[np.uint8]]

_RESTART: Final = re.compile(rb"\xff+[\xd0-\xd7]")
_BLOCK: Final = 8
_END_OF_BLOCK: Final = 0x00
_ZERO_RUN: Final = 0xF0
_COEFFICIENTS: Final = 64
_NO_CODE: Final = 255
_WINDOW_BITS: Final = 1 << 20
"""How much of an interval is looked up at a time."""
_MAX_MCU_BYTES: Final = 1 << 13
"""Ten blocks of 64 coefficients, with at most 32 bits each."""
_NOT_SEQUENTIAL: Final = (
    "its frames must be sequential Huffman-coded JPEG with as many pixels as the image has; convert it, and try again"
)
_RGB_NAMES: Final = [82, 71, 66]


def painted_jpeg(frame: bytes, layout: ImageLayout, regions: Sequence[Region]) -> bytes:
    """Paint one frame.

    Args:
        frame: All its fragments, joined.
        layout: Of the pixels.
        regions: What is painted, inside the frame.

    Returns:
        The frame, of even length.

    Raises:
        InstanceFailed: ``unsafe-content``: it is no such JPEG, or not of such an image.

    """
    try:
        stream = read_jpeg(frame)
        _check_size(stream, layout)
        blacks = _black_coefficients(stream, layout)
        cells = _cells(stream, regions)
        for scan in stream.scans:
            painted = _painted_scan(stream, scan, cells, blacks)
            stream.segments[scan.place] = Segment(0, painted)
        data = stream.to_bytes()
    except (NotPaintableJpegError, IndexError, KeyError):
        raise unpaintable(_NOT_SEQUENTIAL) from None
    return data + b"\0" * (len(data) % 2)


def _check_size(stream: JpegStream, layout: ImageLayout) -> None:
    size = (stream.rows, stream.columns, len(stream.components))
    if size != (layout.rows, layout.columns, layout.samples) or layout.photometric == "PALETTE COLOR":
        raise NotPaintableJpegError


def _black_coefficients(stream: JpegStream, layout: ImageLayout) -> list[int]:
    """Return the quantized DC coefficient of a black block of each component, beyond black where steps are coarse."""
    centre = 1 << stream.precision - 1
    levels = [-centre] * len(stream.components)
    if layout.photometric == "MONOCHROME1":
        levels = [centre - 1]
    elif len(levels) > 1 and not _is_rgb(stream, layout):
        levels[1:] = [0] * (len(levels) - 1)
    found = []
    for level, component in zip(levels, stream.components, strict=True):
        step = stream.steps[component.quantization]
        steps = -(-abs(_BLOCK * level) // step)
        found.append(-steps if level < 0 else steps)
    return found


def _is_rgb(stream: JpegStream, layout: ImageLayout) -> bool:
    """Whether components are red, green and blue, as decoders tell it."""
    if stream.transform >= 0:
        return stream.transform == 0
    if stream.is_jfif:
        return False
    return layout.photometric == "RGB" or [one.identifier for one in stream.components] == _RGB_NAMES


def _cells(stream: JpegStream, regions: Sequence[Region]) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Return which MCUs are painted, row by row, as if all components were in one scan."""
    width, height = _BLOCK * stream.across, _BLOCK * stream.down
    cells = np.zeros((-(-stream.rows // height), -(-stream.columns // width)), bool)
    for region in regions:
        bottom, right = region.y + region.height, region.x + region.width
        cells[region.y // height : -(-bottom // height), region.x // width : -(-right // width)] = True
    return cells


@dataclass(slots=True)
class _Block:
    """A block of an MCU: whose it is, and how it is coded."""

    component: int
    dc: _DcCodes
    ac: _AcCodes


def _painted_scan(
    stream: JpegStream, scan: JpegScan, cells: np.ndarray[Any, np.dtype[np.bool_]], blacks: list[int]
) -> bytes:
    """Return the entropy-coded data of a scan with what is black in it."""
    data = stream.segments[scan.place].data
    blocks: list[_Block] = []
    for index, dc, ac in scan.components:
        component = stream.components[index]
        count = component.across * component.down if len(scan.components) > 1 else 1
        blocks += [_Block(index, _DcCodes(scan.tables[0, dc]), _AcCodes(scan.tables[1, ac]))] * count
    if len(scan.components) == 1:
        cells = _own_blocks(stream, scan.components[0][0], cells)
    flat = cells.ravel()
    step = scan.restarts or len(flat)
    pieces, at = [], 0
    for start in range(0, len(flat), step):
        found = _RESTART.search(data, at)
        is_last = start + step >= len(flat)
        if (found is None) is not is_last:
            raise NotPaintableJpegError
        end = found.start() if found is not None else len(data)
        part = flat[start : start + step]
        interval = data[at:end]
        pieces.append(_Interval(interval, blocks, blacks).painted(part) if part.any() else interval)
        if found is not None:
            pieces.append(data[found.end() - 2 : found.end()])
            at = found.end()
    return b"".join(pieces)


def _own_blocks(
    stream: JpegStream, index: int, cells: np.ndarray[Any, np.dtype[np.bool_]]
) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Return which blocks of a component are painted that has a scan to itself: only those that hold its pixels."""
    component = stream.components[index]
    columns = -(-stream.columns * component.across // stream.across)
    rows = -(-stream.rows * component.down // stream.down)
    spread = cells.repeat(component.down, axis=0).repeat(component.across, axis=1)
    return spread[: -(-rows // _BLOCK), : -(-columns // _BLOCK)]


class _DcCodes:
    """Codes of DC differences."""

    def __init__(self, table: HuffmanTable) -> None:
        self.table = table
        self.lengths = np.full(1 << 16, _NO_CODE, np.uint8)
        self.categories = np.zeros(1 << 16, np.uint8)
        for symbol, code, length in _codes(table):
            first, last = code << 16 - length, (code + 1) << 16 - length
            self.lengths[first:last], self.categories[first:last] = length, symbol

    def bits(self, difference: int) -> str:
        """Return a difference in bits (F.1.2.1)."""
        category = abs(difference).bit_length()
        rest = difference if difference > 0 else difference + (1 << category) - 1
        return _code_of(self.table, category) + (f"{rest:0{category}b}" if category else "")


class _AcCodes:
    """Codes of AC coefficients."""

    def __init__(self, table: HuffmanTable) -> None:
        self.table = table
        self.advance = np.full(1 << 16, _NO_CODE, np.uint8)
        """Bits of code and value."""
        self.run = np.zeros(1 << 16, np.uint8)
        """How many coefficients it stands for; all for the end of a block."""
        for symbol, code, length in _codes(table):
            first, last = code << 16 - length, (code + 1) << 16 - length
            run, category = symbol >> 4, symbol & 15
            self.advance[first:last] = length + category
            ends = not category and symbol != _ZERO_RUN
            self.run[first:last] = _COEFFICIENTS if ends else run + 1

    def end(self) -> str:
        """Return the end of a block in bits."""
        return _code_of(self.table, _END_OF_BLOCK)


def _codes(table: HuffmanTable) -> Iterator[tuple[int, int, int]]:
    for symbol, (code, length) in table.codes().items():
        if code >= 1 << length:
            raise NotPaintableJpegError
        yield symbol, code, length


def _code_of(table: HuffmanTable, symbol: int) -> str:
    """Return the code of a symbol in bits; a table that lacks it gets one more."""
    if symbol not in table.symbols:
        table.add(symbol)
    code, length = table.codes()[symbol]
    return f"{code:0{length}b}"


@dataclass(slots=True)
class _Interval:
    """Entropy-coded data between two restarts.

    Attributes:
        data: As it stands in the stream.
        blocks: Of an MCU.
        blacks: DC coefficient of a black block of each component.

    """

    data: bytes
    blocks: list[_Block]
    blacks: list[int]

    def painted(self, cells: np.ndarray[Any, np.dtype[np.bool_]]) -> bytes:
        """Return the interval with some of its MCUs black.

        Args:
            cells: Which of them, in their order.

        """
        plain = self.data.replace(b"\xff\x00", b"\xff")
        source = np.unpackbits(np.frombuffer(plain, "u1"))
        pieces = [
            source[one[0] : one[1]] if isinstance(one, tuple) else one for one in self._pieces(plain, cells.tolist())
        ]
        bits = np.concatenate(pieces)
        filled = np.concatenate([bits, np.ones(-len(bits) % 8, np.uint8)])
        return np.packbits(filled).tobytes().replace(b"\xff", b"\xff\x00")

    def _pieces(self, plain: bytes, flags: list[bool]) -> list[Bits | tuple[int, int]]:
        """Return what the interval becomes: stretches of its bits, and new ones, but for what fills the last byte."""
        before = [0] * len(self.blacks)  # DC coefficient of the block before, in the source
        after = list(before)  # and in the result
        pieces: list[Bits | tuple[int, int]] = []
        codes: dict[tuple[int, int], str] = {}
        new: list[str] = []
        at = kept_from = base = 0
        end, steps = 8 * len(plain), _Steps.of(plain, 0, self.blocks)

        def keep(stop: int) -> None:
            """Add the new bits at hand, and behind them those of the source up to here."""
            if kept_from < stop:
                if new:
                    pieces.append(np.frombuffer("".join(new).encode(), "u1") - ord("0"))
                    new.clear()
                pieces.append((kept_from, stop))

        for is_black in flags:
            if at - base > _WINDOW_BITS:
                base = at // 8 * 8
                steps = _Steps.of(plain, base // 8, self.blocks)
            for place, block in enumerate(self.blocks):
                component, start = block.component, at
                difference, behind, at = steps[place].block(at - base)
                behind, at = behind + base, at + base
                predicted = before[component]
                value = before[component] = predicted + difference
                if is_black:
                    keep(start)
                    wanted = self.blacks[component]
                    key = (place, wanted - after[component])
                    if key not in codes:
                        codes[key] = block.dc.bits(key[1]) + block.ac.end()
                    new.append(codes[key])
                    kept_from, after[component] = at, wanted
                    continue
                if after[component] != predicted:
                    keep(start)
                    new.append(block.dc.bits(value - after[component]))
                    kept_from = behind
                after[component] = value
            if at > end:
                raise NotPaintableJpegError
        keep(at)
        if new:
            pieces.append(np.frombuffer("".join(new).encode(), "u1") - ord("0"))
        return pieces


@dataclass(frozen=True, slots=True)
class _Steps:
    """Codes as they stand at each bit of an interval, for one block of an MCU."""

    windows: memoryview
    lengths: bytes
    categories: bytes
    advance: bytes
    run: bytes

    @classmethod
    def of(cls, plain: bytes, start: int, blocks: list[_Block]) -> list[_Steps]:
        """Return those of all blocks for a window of the data that begins at a byte; equal ones once."""
        part = plain[start : start + _WINDOW_BITS // 8 + _MAX_MCU_BYTES]
        octets = np.frombuffer(part + b"\xff\xff\xff\xff", "u1").astype("u4")
        words = octets[:-2] << 16 | octets[1:-1] << 8 | octets[2:]
        windows = (words[:, None] >> np.arange(8, 0, -1, dtype="u4") & 0xFFFF).astype("u2").ravel()
        found: dict[tuple[int, int], _Steps] = {}
        for block in blocks:
            name = id(block.dc), id(block.ac)
            if name not in found:
                looked_up = (block.dc.lengths, block.dc.categories, block.ac.advance, block.ac.run)
                found[name] = cls(memoryview(windows), *(table[windows].tobytes() for table in looked_up))
        return [found[id(block.dc), id(block.ac)] for block in blocks]

    def block(self, at: int) -> tuple[int, int, int]:
        """Return the DC difference of the block that begins at a bit, where its AC codes begin and where it ends."""
        length, category = self.lengths[at], self.categories[at]
        if length == _NO_CODE:
            raise NotPaintableJpegError
        difference = 0
        if category:
            difference = self.windows[at + length] >> 16 - category
            if not difference >> category - 1:
                difference -= (1 << category) - 1
        at = behind = at + length + category
        advance, run, count = self.advance, self.run, 1
        while count < _COEFFICIENTS:
            step = run[at]
            if not step:
                raise NotPaintableJpegError
            count += step
            at += advance[at]
        return difference, behind, at
