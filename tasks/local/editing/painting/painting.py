"""Paint regions of all frames of an edited dataset black; nothing else of its pixel data changes.

What is painted, and why, is decided elsewhere. Uncompressed pixels are overwritten where they stand while the result is
written; frames of RLE and sequential JPEG are changed in their coded form; others are decoded and encoded without loss,
one at a time.

Public names: ``Painting``, ``prepare``, ``painted``, ``PAINTING_TAGS``.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from deidflow.tasks.local.dicom_file.encoding import GE_BIG_ENDIAN_PIXELS, ITEM, SEQUENCE_DELIMITER, item_header
from deidflow.tasks.local.editing.painting.black import black_samples, stored_word
from deidflow.tasks.local.editing.painting.coded_frames import CODED, painted_by_codec
from deidflow.tasks.local.editing.painting.extremes import EXTREME_TAGS, Extremes
from deidflow.tasks.local.editing.painting.fragments import (
    EXTENDED_LENGTHS,
    OFFSET_TABLE_TAGS,
    basic_table,
    extended_tables,
    frames_of,
)
from deidflow.tasks.local.editing.painting.image_layout import LAYOUT_TAGS, PIXEL_TAGS, image_layout, unpaintable
from deidflow.tasks.local.editing.painting.jpeg_frames import painted_jpeg
from deidflow.tasks.local.editing.painting.native_painting import native_painting
from deidflow.tasks.local.editing.painting.palette import PALETTE_TAGS
from deidflow.tasks.local.editing.painting.rle_frames import painted_rle
from deidflow.tasks.local.editing.painting.spool import FrameSpool
from deidflow.tasks.local.editing.spans import MaskedSpan, PaintedSpan, spans_size, with_replaced

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from deidflow.tasks.core.pixels.regions import Region
    from deidflow.tasks.local.dicom_file.elements import Element
    from deidflow.tasks.local.dicom_file.source_file import SourceFile
    from deidflow.tasks.local.editing.painting.image_layout import ImageLayout
    from deidflow.tasks.local.editing.painting.native_painting import NativePainting
    from deidflow.tasks.local.editing.spans import Span

    Blanks = Callable[[str, bytes, int], Sequence[tuple[int, int, int]]]
    Pixels = np.ndarray[Any, np.dtype[Any]]

PAINTING_TAGS: Final = LAYOUT_TAGS | PALETTE_TAGS | EXTREME_TAGS | frozenset(OFFSET_TABLE_TAGS)
"""Elements of the top level, beside the pixel data, that painting reads or changes."""

_SEQUENTIAL_JPEG: Final = frozenset({"1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.51"})
_GROUP_LENGTH: Final = 0x7FE00000
_RLE: Final = "1.2.840.10008.1.2.5"
_READ_BYTES: Final = 1 << 20
_WORD_BITS: Final = 16
_LENGTH: Final = "its length must be what Rows, Columns, NumberOfFrames and BitsAllocated come to"
_MISSING: Final = "it must stand in the result as it does in the source"


@dataclass(frozen=True, slots=True)
class Painting:
    """What is painted in the pixel data of an instance, and of all others with the same ``PAINTING_TAGS``.

    Attributes:
        layout: Of the pixels; None where there are none.
        regions: What is painted, inside the frame.
        blacks: Value of each sample of a black pixel; none where it depends on the pixels.
        passes_over: Whether a region lies wholly outside the frame.

    """

    layout: ImageLayout | None
    regions: tuple[Region, ...] = ()
    blacks: tuple[int, ...] = ()
    passes_over: bool = False


def prepare(source: SourceFile, elements: Sequence[Element], regions: Sequence[Region]) -> Painting:
    """Find out what painting comes to.

    Args:
        source: The open file.
        elements: All elements of its top level.
        regions: What is to be painted; they may reach over the edge of the frame.

    Raises:
        InstanceFailed: ``unsafe-content``: the form of the pixels is not said, or impossible.

    """
    tags = [element[0] for element in elements if element[0] in PIXEL_TAGS and element[4] > element[3]]
    if not tags:
        return Painting(None)
    if len(set(tags)) > 1:
        raise unpaintable("there must be one kind of it")
    layout = image_layout(source, elements, tags[0])
    inside = [region.clipped(layout.columns, layout.rows) for region in regions]
    blacks = () if layout.is_float else black_samples(layout, source, elements)
    found = tuple(region for region in inside if region is not None)
    return Painting(layout, found, blacks, passes_over=len(found) < len(regions))


def painted(
    source: SourceFile, elements: Sequence[Element], spans: list[Span], painting: Painting, blanks: Blanks | None
) -> list[Span]:
    """Return the spans of an edited dataset with what is black in its pixel data.

    Args:
        source: The open file.
        elements: Those of its top level that have ``PAINTING_TAGS`` and ``PIXEL_TAGS``.
        spans: What became of all elements.
        painting: What is painted.
        blanks: See ``Table.frame_blanks``: of a new frame; None where nobody asks.

    Raises:
        InstanceFailed: ``unsafe-content``: the pixels cannot be painted here; the text says what must be.

    """
    layout = painting.layout
    if layout is None or not painting.regions:
        return spans
    for element in elements:
        tag, _, _, value, end, _ = element
        if tag not in PIXEL_TAGS or end == value:
            continue
        work = _Work(source, elements, element, layout, painting)
        spans = work.compressed(spans, blanks) if source.layout.is_compressed else work.native(spans)
    return spans


@dataclass(slots=True)
class _Work:
    """Painting of one element of pixel data."""

    source: SourceFile
    elements: Sequence[Element]
    element: Element
    layout: ImageLayout
    painting: Painting

    def native(self, spans: list[Span]) -> list[Span]:
        """Paint uncompressed pixels."""
        _, vr, _, value, end, _ = self.element
        source, layout = self.source, self.layout
        syntax = source.layout.transfer_syntax
        little = source.layout.encoding.little and syntax != GE_BIG_ENDIAN_PIXELS
        if syntax == GE_BIG_ENDIAN_PIXELS and layout.allocated != _WORD_BITS:
            raise unpaintable("pixels of 16 bits alone are told apart in its transfer syntax")
        # Bytes of a word change places in big endian, so that pixels of a byte do (PS3.5 section 7.3).
        swaps = not little and layout.allocated < _WORD_BITS and vr == "OW"
        words = self._float_word(little=little) if layout.is_float else self._words()
        if not little and layout.allocated > _WORD_BITS and not layout.is_float and not _are_uniform(words, layout):
            raise unpaintable("words of 32 bits and more of big endian files are read in two ways")
        plan = native_painting(layout, self.painting.regions, tuple(words), little=little, swaps=swaps)
        if not plan.size <= end - value <= plan.size + plan.size % 2:
            raise unpaintable(_LENGTH)
        if not layout.is_float:
            found = self._extremes()
            if found.asks:
                self._add_native(found, plan, little=little)
            spans = self._patched(spans, found)
        done = 0

        def cut(part: Span) -> list[Span]:
            nonlocal done
            pieces = _pieces(part, value, end, plan)
            done += sum(piece.end - piece.start for piece in pieces if isinstance(piece, PaintedSpan))
            return pieces

        spans = list(with_replaced(spans, value, end, cut))
        if done < sum(min(end - value, stop) - start for start, stop in plan.stretches):
            raise unpaintable(_MISSING)
        return spans

    def _words(self) -> list[int]:
        return [stored_word(self.layout, black) for black in self.painting.blacks]

    def _float_word(self, *, little: bool) -> list[int]:
        """Return the lowest number in the pixels, or the highest where that is black."""
        _, _, _, value, end, _ = self.element
        order, width = "<" if little else ">", self.layout.allocated // 8
        found: list[float] = []
        choose = max if self.layout.photometric == "MONOCHROME1" else min
        for at in range(value, end, _READ_BYTES):
            data = self.source.read(at, min(end, at + _READ_BYTES))
            numbers = np.frombuffer(data[: len(data) // width * width], f"{order}f{width}")
            finite = numbers[np.isfinite(numbers)]
            if len(finite):
                found.append(float(choose(finite.min(), finite.max())))
        black = np.array([choose(found, default=0.0)], f"<f{width}")
        return [int.from_bytes(black.tobytes(), "little")]

    def _add_native(self, found: Extremes, plan: NativePainting, *, little: bool) -> None:
        _, _, _, value, _, _ = self.element
        width = self.layout.allocated // 8
        for at in range(0, plan.size if width else 0, _READ_BYTES):
            stop = min(plan.size, at + _READ_BYTES)
            data = plan.paint(at, self.source.read(value + at, value + stop))
            found.add(np.frombuffer(data, f"{'<' if little else '>'}u{width}"))

    def compressed(self, spans: list[Span], blanks: Blanks | None) -> list[Span]:
        """Paint compressed frames."""
        _, _, _, value, end, _ = self.element
        source, layout = self.source, self.layout
        extended = self._extended()
        frames, has_table = frames_of(source, self.element, layout.frames, extended)
        spool = FrameSpool()
        found = self._extremes()
        for fragments in frames:
            frame = b"".join(source.read(*fragment) for fragment in fragments)
            new, pixels = self._frame(frame)
            if blanks is not None:
                new = _blanked(new, blanks(source.layout.transfer_syntax, new, layout.rows * layout.columns))
            if found.asks and pixels is not None:
                found.add(pixels.ravel())
            spool.add(new)
        spans = self._patched(spans, found)
        encoding = source.layout.encoding
        table = basic_table(spool.sizes) if has_table and not extended else item_header(ITEM, 0, encoding)
        if extended:
            spans = self._with_extended(spans, spool.sizes)
        items: list[Span] = [table, spool.span(), item_header(SEQUENCE_DELIMITER, 0, encoding)]
        return self._with_length(_replaced(spans, value, end, items), spans_size(items) - (end - value))

    def _with_length(self, spans: list[Span], more: int) -> list[Span]:
        """Return spans with the length of the group of the pixels (7FE0,0000) true again, where it stands there."""
        pack = self.source.layout.encoding.long_length
        for tag, _, start, value, end, _ in self.elements:
            if tag != _GROUP_LENGTH or end - value != pack.size:
                continue
            header = self.source.read(start, value)
            for place, (one, other) in enumerate(pairwise(spans)):
                if one == header and isinstance(other, bytes) and len(other) == pack.size:
                    length = pack.pack((pack.unpack(other)[0] + more) % (1 << 32))
                    return [*spans[: place + 1], length, *spans[place + 2 :]]
        return spans

    def _frame(self, frame: bytes) -> tuple[bytes, Pixels | None]:
        syntax, layout, painting = self.source.layout.transfer_syntax, self.layout, self.painting
        if syntax == _RLE:
            return painted_rle(frame, layout, painting.regions, painting.blacks)
        if syntax in _SEQUENTIAL_JPEG:
            return painted_jpeg(frame, layout, painting.regions), None
        if syntax in CODED:
            return painted_by_codec(frame, syntax, layout, painting.regions, painting.blacks)
        raise unpaintable("its transfer syntax must be one whose frames can be encoded here; convert it, and try again")

    def _extended(self) -> tuple[int, ...]:
        values = [one for one in self.elements if one[0] == OFFSET_TABLE_TAGS[0] and one[4] > one[3]]
        if not values:
            return ()
        _, _, _, value, end, _ = values[0]
        if end - value != 8 * self.layout.frames:
            raise unpaintable("its extended offset table must name where each of its frames begins")
        return tuple(np.frombuffer(self.source.read(value, end), "<u8").tolist())

    def _with_extended(self, spans: list[Span], sizes: list[int]) -> list[Span]:
        tables = dict(zip(OFFSET_TABLE_TAGS, extended_tables(sizes), strict=True))
        for tag, _, _, value, end, _ in self.elements:
            if tag in tables and end > value:
                if tag == EXTENDED_LENGTHS and end - value != len(tables[tag]):
                    raise unpaintable("its extended offset table must name the length of each of its frames")
                spans = _replaced(spans, value, end, [tables[tag]])
        return spans

    def _extremes(self) -> Extremes:
        return Extremes(self.source, self.elements, self.layout, self.painting.blacks[0])

    def _patched(self, spans: list[Span], found: Extremes) -> list[Span]:
        for start, end, new in found.changes():
            spans = _instead(spans, start, end, [new])  # gone where the request says so
        return spans


def _are_uniform(words: Sequence[int], layout: ImageLayout) -> bool:
    """Whether each word is the same in any order of its bytes."""
    return all(len(set(word.to_bytes(layout.allocated // 8, "little"))) == 1 for word in words)


def _pieces(part: Span, value: int, end: int, plan: NativePainting) -> list[Span]:
    """Return a part of the pixel data, cut around what is painted; bits that are to be clear are so there, too."""
    at, stop = int(part[0]), int(part[1])  # no bytes: what is left of the source
    pieces: list[Span] = []

    def paint(start: int, data: bytes | memoryview) -> bytes | bytearray:
        new = plan.paint(start - value, data)
        return part.applied(start, new) if isinstance(part, MaskedSpan) else new

    def keep(first: int, last: int) -> None:
        if first < last:
            pieces.append(part.part(first, last) if isinstance(part, MaskedSpan) else (first, last))

    for start, last in plan.stretches:
        first, behind = max(at, value + start), min(stop, end, value + last)
        if first < behind:
            keep(at, first)
            pieces.append(PaintedSpan(first, behind, paint))
            at = behind
    keep(at, stop)
    return pieces


def _replaced(spans: list[Span], start: int, end: int, new: list[Span]) -> list[Span]:
    """Return spans with new ones for a stretch of the body, which must be there in one piece."""
    pieces = [span for span in spans if not isinstance(span, bytes) and span[0] <= start and end <= span[1]]
    if not any(type(span) is tuple for span in pieces):
        raise unpaintable(_MISSING)
    return _instead(spans, start, end, new)


def _instead(spans: list[Span], start: int, end: int, new: list[Span]) -> list[Span]:
    return list(with_replaced(spans, start, end, lambda _: new))


def _blanked(frame: bytes, ranges: Sequence[tuple[int, int, int]]) -> bytes:
    """Return a frame with what is no image in it blank."""
    octets = bytearray(frame)
    for start, end, fill in ranges:
        octets[start:end] = bytes([fill]) * (end - start)
    return bytes(octets)
