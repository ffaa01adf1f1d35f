"""The parts of a sequential Huffman-coded JPEG stream: frame header, tables, scans.

Source: ISO/IEC 10918-1 annex B.

Public names: ``JpegStream``, ``JpegComponent``, ``JpegScan``, ``Segment``, ``HuffmanTable``, ``read_jpeg``,
``NotPaintableJpegError``.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass, field
from typing import Final, NamedTuple

_START: Final = b"\xff\xd8"
_SEQUENTIAL: Final = (0xC0, 0xC1)
"""Baseline and extended sequential DCT with Huffman coding."""
_OTHER_FRAMES: Final = frozenset({*range(0xC2, 0xD0)} - {0xC4, 0xC8})
_HUFFMAN: Final = 0xC4
_END: Final = 0xD9
_SCAN: Final = 0xDA
_QUANTIZATION: Final = 0xDB
_RESTARTS: Final = 0xDD
_ADOBE: Final = 0xEE
_APP0: Final = 0xE0
_MARKER: Final = re.compile(rb"\xff+([\x01-\xfe])")
_END_OF_SCAN: Final = re.compile(rb"\xff+[\x01-\xcf\xd8-\xfe]")
"""Any marker but a restart."""
_PRECISIONS: Final = (8, 12)
_MAX_SAMPLING: Final = 4


class NotPaintableJpegError(Exception):
    """The stream is not sequential Huffman-coded JPEG, or cannot be followed."""


class JpegComponent(NamedTuple):
    """A component of the frame.

    Attributes:
        identifier: By which scans name it.
        across: Horizontal sampling factor.
        down: Vertical one.
        quantization: Number of its quantization table.

    """

    identifier: int
    across: int
    down: int
    quantization: int


class Segment(NamedTuple):
    """A marker segment, or data between two, as it stands in the stream; ``marker`` is 0 for entropy-coded data."""

    marker: int
    data: bytes


class JpegScan(NamedTuple):
    """A scan.

    Attributes:
        place: Of its entropy-coded data among the segments.
        components: Index of each component in the frame, with the numbers of its DC and AC tables.
        restarts: How many MCUs stand between two restarts, 0 for none.
        tables: Huffman tables that hold for it: class and number give the index of their segment and offset in it.

    """

    place: int
    components: tuple[tuple[int, int, int], ...]
    restarts: int
    tables: dict[tuple[int, int], HuffmanTable]


@dataclass(slots=True, eq=False)
class HuffmanTable:
    """A Huffman table as it is specified: may be given more symbols with longer codes.

    Attributes:
        counts: How many codes have 1, 2, ... 16 bits.
        symbols: In the order of their codes.

    """

    counts: list[int]
    symbols: list[int]

    def codes(self) -> dict[int, tuple[int, int]]:
        """Return code and length of each symbol (annex C)."""
        found: dict[int, tuple[int, int]] = {}
        code = at = 0
        for length, count in enumerate(self.counts, 1):
            for symbol in self.symbols[at : at + count]:
                found.setdefault(symbol, (code, length))
                code += 1
            at += count
            code <<= 1
        return found

    def add(self, symbol: int) -> None:
        """Give a symbol a code behind all others, which stay as they are.

        Raises:
            NotPaintableJpegError: No code is left.

        """
        longest = max((length for length, count in enumerate(self.counts, 1) if count), default=0)
        taken = sum(count << 16 - length for length, count in enumerate(self.counts, 1))
        for length in range(max(longest, 1), 17):
            # The code of ones alone stays free (annex C).
            if taken + 2 * (1 << 16 - length) <= 1 << 16 and not taken % (1 << 16 - length):
                self.counts[length - 1] += 1
                self.symbols.append(symbol)
                return
        raise NotPaintableJpegError

    def specification(self) -> bytes:
        """Return counts and symbols as a segment has them."""
        return bytes(self.counts) + bytes(self.symbols)


@dataclass(slots=True)
class JpegStream:
    """A stream that was read.

    Attributes:
        segments: All of it behind the start marker, up to the end marker.
        rows: Of the image.
        columns: Likewise.
        precision: Bits of a sample, 8 or 12.
        components: In the order of the frame header.
        steps: Quantization step of the DC coefficient, by number of the table.
        scans: In their order.
        huffman: Of each segment with Huffman tables, by its index, what it specifies.
        transform: Of an Adobe segment, -1 without one.
        is_jfif: Whether it says so.

    """

    segments: list[Segment] = field(default_factory=list)
    rows: int = 0
    columns: int = 0
    precision: int = 0
    components: list[JpegComponent] = field(default_factory=list)
    steps: dict[int, int] = field(default_factory=dict)
    scans: list[JpegScan] = field(default_factory=list)
    huffman: dict[int, list[tuple[int, HuffmanTable]]] = field(default_factory=dict)
    transform: int = -1
    is_jfif: bool = False

    @property
    def across(self) -> int:
        """The largest horizontal sampling factor."""
        return max(component.across for component in self.components)

    @property
    def down(self) -> int:
        """The largest vertical sampling factor."""
        return max(component.down for component in self.components)

    def to_bytes(self) -> bytes:
        """Return the stream with what was changed in its segments and tables."""
        pieces = [_START]
        for index, (marker, data) in enumerate(self.segments):
            if marker == 0:
                pieces.append(data)
                continue
            content = data
            if index in self.huffman:
                content = b"".join(bytes([name]) + table.specification() for name, table in self.huffman[index])
            pieces.append(bytes([0xFF, marker]) + struct.pack(">H", len(content) + 2) + content)
        return b"".join([*pieces, bytes([0xFF, _END])])


def read_jpeg(data: bytes) -> JpegStream:
    """Read a stream.

    Args:
        data: From its start marker on; what stands behind its end marker is left out.

    Raises:
        NotPaintableJpegError: It is not sequential Huffman-coded JPEG, or cannot be followed.

    """
    stream = JpegStream()
    try:
        _read(data, stream)
    except (IndexError, struct.error, KeyError, ValueError):
        raise NotPaintableJpegError from None
    if not stream.scans or not stream.rows or not stream.columns:
        raise NotPaintableJpegError
    return stream


def _read(data: bytes, stream: JpegStream) -> None:
    if not data.startswith(_START):
        raise NotPaintableJpegError
    at, restarts = 2, 0
    tables: dict[tuple[int, int], HuffmanTable] = {}
    while (found := _MARKER.match(data, at)) is not None and found[1][0] != _END:
        marker = found[1][0]
        (length,) = struct.unpack_from(">H", data, found.end())
        content = data[found.end() + 2 : found.end() + length]
        at = found.end() + length
        if length < 2 or at > len(data) or marker in _OTHER_FRAMES:  # noqa: PLR2004 (the length itself)
            raise NotPaintableJpegError
        stream.segments.append(Segment(marker, content))
        if marker == _HUFFMAN:
            stream.huffman[len(stream.segments) - 1] = specified = _huffman(content)
            tables.update({(name >> 4, name & 15): table for name, table in specified})
        elif marker == _RESTARTS:
            (restarts,) = struct.unpack(">H", content)
        elif marker == _SCAN:
            end = _END_OF_SCAN.search(data, at)
            if end is None:
                raise NotPaintableJpegError
            stream.segments.append(Segment(0, data[at : end.start()]))
            stream.scans.append(_scan(content, stream, restarts, dict(tables)))
            at = end.start()
        else:
            _describe(marker, content, stream)
    if found is None:
        raise NotPaintableJpegError


def _describe(marker: int, content: bytes, stream: JpegStream) -> None:
    """Read what a segment says of the image."""
    if marker in _SEQUENTIAL:
        _frame_header(content, stream)
    elif marker == _QUANTIZATION:
        _quantization(content, stream)
    elif marker == _ADOBE and content.startswith(b"Adobe"):
        stream.transform = content[11]
    elif marker == _APP0 and content.startswith(b"JFIF\0"):
        stream.is_jfif = True


def _frame_header(content: bytes, stream: JpegStream) -> None:
    if stream.components:
        raise NotPaintableJpegError
    stream.precision, stream.rows, stream.columns, count = struct.unpack_from(">BHHB", content)
    for index in range(count):
        name, sampling, table = content[6 + 3 * index : 9 + 3 * index]
        stream.components.append(JpegComponent(name, sampling >> 4, sampling & 15, table))
    factors = [factor for one in stream.components for factor in (one.across, one.down)]
    if stream.precision not in _PRECISIONS or not all(1 <= factor <= _MAX_SAMPLING for factor in factors):
        raise NotPaintableJpegError


def _quantization(content: bytes, stream: JpegStream) -> None:
    at = 0
    while at < len(content):
        size = 2 if content[at] >> 4 else 1
        stream.steps[content[at] & 15] = int.from_bytes(content[at + 1 : at + 1 + size], "big")
        at += 1 + 64 * size


def _huffman(content: bytes) -> list[tuple[int, HuffmanTable]]:
    tables, at = [], 0
    while at < len(content):
        counts = list(content[at + 1 : at + 17])
        end = at + 17 + sum(counts)
        if len(counts) < 16 or end > len(content):  # noqa: PLR2004 (lengths of codes)
            raise NotPaintableJpegError
        tables.append((content[at], HuffmanTable(counts, list(content[at + 17 : end]))))
        at = end
    return tables


def _scan(content: bytes, stream: JpegStream, restarts: int, tables: dict[tuple[int, int], HuffmanTable]) -> JpegScan:
    count = content[0]
    places = {component.identifier: index for index, component in enumerate(stream.components)}
    named = [(places[content[1 + 2 * one]], content[2 + 2 * one]) for one in range(count)]
    # Spectral selection and approximation behind them are not looked at, since some encoders write them wrong and
    # decoders pass them over.
    if len(places) != len(stream.components) or not count:
        raise NotPaintableJpegError
    components = tuple((index, names >> 4, names & 15) for index, names in named)
    return JpegScan(len(stream.segments) - 1, components, restarts, tables)
