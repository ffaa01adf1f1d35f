"""An edited dataset as spans of its source and new bytes.

Public names: ``Span``, ``MaskedSpan``, ``PaintedSpan``, ``SpooledSpan``, ``with_replaced``, ``Output``,
``is_no_group_length``, ``spans_size``.
"""

from __future__ import annotations

from typing import IO, TYPE_CHECKING, Final, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from deidflow.tasks.local.dicom_file.elements import Element
    from deidflow.tasks.local.dicom_file.encoding import Encoding


class MaskedSpan(NamedTuple):
    """A span of the source's body of which some bits are cleared.

    Attributes:
        start: In the body.
        end: Likewise.
        mask: Of the bits that stay, for the first bytes and repeated for all others.

    """

    start: int
    end: int
    mask: bytes

    def part(self, start: int, end: int) -> MaskedSpan:
        """Return a part of it."""
        turn = (start - self.start) % len(self.mask)
        return MaskedSpan(start, end, self.mask[turn:] + self.mask[:turn])

    def applied(self, start: int, data: bytes | bytearray | memoryview) -> bytes:
        """Return bytes with the bits cleared.

        Args:
            start: Where in the body they stand, inside the span.
            data: The bytes.

        """
        turn = (start - self.start) % len(self.mask)
        mask = np.frombuffer(self.mask[turn:] + self.mask[:turn], "u1")
        return (np.frombuffer(data, "u1") & np.resize(mask, len(data))).tobytes()


class PaintedSpan(NamedTuple):
    """A span of the source's body of which some bytes are overwritten.

    Attributes:
        start: In the body.
        end: Likewise.
        paint: Makes the new bytes out of where old ones stand in the body, and of these.

    """

    start: int
    end: int
    paint: Callable[[int, bytes | memoryview], bytes | bytearray]


class SpooledSpan(NamedTuple):
    """New bytes that are kept in a file of their own.

    Attributes:
        start: In that file.
        end: Likewise.
        file: Open for reading.

    """

    start: int
    end: int
    file: IO[bytes]


_GROUP_LENGTH_BYTES: Final = 4
_GROUP_LENGTH_VRS: Final = ("UL", "UN")
"""Those of explicit files, and of implicit ones, whose dictionary has no private group."""

Span = bytes | tuple[int, int] | MaskedSpan | PaintedSpan | SpooledSpan
"""New bytes, or a span of the source's body by start and end."""


def spans_size(spans: list[Span]) -> int:
    """Return the length in bytes of what the spans make up."""
    return sum(len(span) if isinstance(span, bytes) else span[1] - span[0] for span in spans)


def is_no_group_length(element: Element) -> bool:
    """Whether an element has the tag of a group's length and is no 32-bit number (PS3.5 section 7.2)."""
    tag, vr, _, value, end, _ = element
    return not tag & 0xFFFF and (end - value != _GROUP_LENGTH_BYTES or vr not in _GROUP_LENGTH_VRS)


def with_replaced(spans: Sequence[Span], start: int, end: int, new: Callable[[Span], list[Span]]) -> Iterator[Span]:
    """Yield spans, a stretch of the source's body replaced as far as it is still there.

    Args:
        spans: Of a dataset.
        start: Where the stretch begins in the body.
        end: Where it ends.
        new: Makes of each span that lies in the stretch what stands in its place.

    """
    for span in spans:
        if isinstance(span, bytes | PaintedSpan | SpooledSpan) or span[1] <= start or span[0] >= end:
            yield span
            continue
        first, last = max(span[0], start), min(span[1], end)
        if span[0] < first:
            yield _part(span, span[0], first)
        yield from new(_part(span, first, last))
        if last < span[1]:
            yield _part(span, last, span[1])


def _part(span: tuple[int, int] | MaskedSpan, start: int, end: int) -> tuple[int, int] | MaskedSpan:
    return span.part(start, end) if isinstance(span, MaskedSpan) else (start, end)


class Output:
    """The spans of one dataset, adjacent spans joined, lengths of groups mended where the dataset has them."""

    __slots__ = ("group", "group_at", "group_start", "mends", "spans")

    def __init__(self, *, mends: bool = False) -> None:
        """Take whether wrong lengths of untouched groups are mended, too: any four bytes may stand there."""
        self.mends = mends
        self.spans: list[Span] = []
        self.group = -1
        self.group_at = 0
        self.group_start = 0

    def span(self, start: int, end: int) -> None:
        """Add bytes of the source's body."""
        spans = self.spans
        if start == end:
            return
        if spans and type(spans[-1]) is tuple and spans[-1][1] == start:
            spans[-1] = (spans[-1][0], end)
        else:
            spans.append((start, end))

    def append(self, tag: int, data: bytes, source_end: int, encoding: Encoding) -> None:
        """Add a new element, behind what the source has up to here."""
        if self.group >= 0 and tag >> 16 != self.group:
            self.close_group(source_end, encoding)
        self.spans.append(data)

    def open_group(self, element: Element, header: bytes, length: bytes) -> None:
        """Remember where the length of a group stands until the group ends."""
        self.spans += [header, length]
        self.group = element[0] >> 16
        self.group_at = len(self.spans) - 1
        self.group_start = element[4]

    def close_group(self, source_end: int, encoding: Encoding) -> None:
        """Mend the length of the group when its size changed; a wrong length of an untouched group stays."""
        size = spans_size(self.spans[self.group_at + 1 :])
        if self.mends or size != source_end - self.group_start:
            self.spans[self.group_at] = encoding.long_length.pack(size)
        self.group = -1

    def extend(self, spans: list[Span]) -> None:
        """Add spans, the first joined to the last where they are adjacent."""
        if spans and type(spans[0]) is tuple:
            self.span(*spans[0])
            self.spans.extend(spans[1:])
        else:
            self.spans.extend(spans)
