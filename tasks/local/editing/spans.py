"""An edited dataset as spans of its source and new bytes.

Public names: ``Part``, ``MaskedSpan``, ``Output``, ``parts_size``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
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


Part = bytes | tuple[int, int] | MaskedSpan
"""New bytes, or a span of the source's body by start and end."""


def parts_size(parts: list[Part]) -> int:
    """Return the length in bytes of what the parts make up."""
    return sum(len(part) if isinstance(part, bytes) else part[1] - part[0] for part in parts)


class Output:
    """The parts of one dataset, adjacent spans joined, lengths of groups mended where the dataset has them."""

    __slots__ = ("group", "group_at", "group_length", "group_start", "parts")

    def __init__(self) -> None:
        self.parts: list[Part] = []
        self.group = -1
        self.group_at = 0
        self.group_start = 0
        self.group_length = b""

    def span(self, start: int, end: int) -> None:
        """Add bytes of the source's body."""
        parts = self.parts
        if start == end:
            return
        if parts and type(parts[-1]) is tuple and parts[-1][1] == start:
            parts[-1] = (parts[-1][0], end)
        else:
            parts.append((start, end))

    def append(self, tag: int, data: bytes, source_end: int, encoding: Encoding) -> None:
        """Add a new element, behind what the source has up to here."""
        if self.group >= 0 and tag >> 16 != self.group:
            self.close_group(source_end, encoding)
        self.parts.append(data)

    def open_group(self, element: Element, header: bytes, length: bytes) -> None:
        """Remember where the length of a group stands until the group ends."""
        self.parts += [header, length]
        self.group = element[0] >> 16
        self.group_at = len(self.parts) - 1
        self.group_start = element[4]
        self.group_length = length

    def close_group(self, source_end: int, encoding: Encoding) -> None:
        """Mend the length of the group when its size changed; a wrong length of an untouched group stays."""
        size = parts_size(self.parts[self.group_at + 1 :])
        if size != source_end - self.group_start:
            self.parts[self.group_at] = encoding.long_length.pack(size)
        self.group = -1

    def extend(self, parts: list[Part]) -> None:
        """Add parts, the first joined to the last where they are adjacent."""
        if parts and type(parts[0]) is tuple:
            self.span(*parts[0])
            self.parts.extend(parts[1:])
        else:
            self.parts.extend(parts)
