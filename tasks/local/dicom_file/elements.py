"""The elements of a dataset as a scan finds them: where they stand, not what they hold.

Public names: ``Element``, ``Item``, ``Sequence``, ``Read``, ``MAX_DEPTH``, ``ScanError``, ``OutOfWindow``,
``TooManyElementsError``, ``changed_tags``, ``headers_at``, ``end_of_fragments``, ``is_padding``.
"""

from __future__ import annotations

from collections import abc
from collections.abc import Callable
from typing import Final

from deidflow.tasks.core.errors import InstanceFailed
from deidflow.tasks.core.outcomes import ReasonCode
from deidflow.tasks.local.dicom_file.encoding import ITEM, SEQUENCE_DELIMITER, UNDEFINED, Encoding

_DELIMITERS: Final = (b"\xfe\xff\x0d\xe0\0\0\0\0", b"\xfe\xff\xdd\xe0\0\0\0\0")

Item = tuple[int, int, int, int, abc.Sequence["Element"]]
"""Start of the item, start and end of its content, end of the item with its delimiter, its elements."""

Sequence = tuple[Encoding, list[Item]]
"""How the items are written (implicit little endian inside UN, else as the dataset), and the items."""

Element = tuple[int, str, int, int, int, "Sequence | None"]
"""Tag, VR, start of the header, start of the value, end of the element with its delimiter, sequence or None."""


Read = Callable[[int, int], bytes]
"""Reads bytes of a file by start and end; fewer behind its end."""


MAX_DEPTH: Final = 64
"""Sequences within sequences; real objects stay below 20, and pydicom and DCMTK overflow the stack soon after."""


class OutOfWindow(Exception):
    """An element goes on behind the bytes at hand."""


class ScanError(InstanceFailed):
    """The dataset cannot be read to its end with certainty.

    Attributes:
        offset: At which byte of the file (of the inflated dataset, where it is deflated).

    """

    def __init__(self, text: str, offset: int, code: ReasonCode = ReasonCode.DAMAGED) -> None:
        """Take what is wrong and where."""
        super().__init__(code, f"{text} at byte {offset}")
        self.offset = offset


class TooManyElementsError(ScanError):
    """The file has more elements than are held in memory, in whatever encoding it is read."""

    def __init__(self, offset: int) -> None:
        """Take the byte where reading stopped."""
        super().__init__("more elements than a real object of this size has", offset)


def changed_tags(old: list[Element], old_body: bytes, new: list[Element], new_body: bytes) -> set[int]:
    """Return the tags whose bytes differ between two datasets with the same list of tags."""
    return {
        after[0]
        for before, after in zip(old, new, strict=True)
        if old_body[before[2] : before[4]] != new_body[after[2] : after[4]]
    }


def is_padding(tail: bytes) -> bool:
    """Whether bytes behind a dataset are nothing but stray delimiters, and then zeros."""
    while tail.startswith(_DELIMITERS):
        tail = tail[8:]
    return not tail.strip(b"\0")


def headers_at(data: bytes, base: int, read: Read) -> Callable[[int], bytes]:
    """Return a reader of the headers of fragments, which may lie far behind the bytes at hand.

    Args:
        data: The bytes at hand.
        base: Offset of their first byte in the file; positions are relative to it.
        read: Reads bytes of the file.

    """

    def header(start: int) -> bytes:
        if 0 <= start <= len(data) - 8:
            return data[start : start + 8]
        return read(base + start, base + start + 8)

    return header


def end_of_fragments(
    position: int, encoding: Encoding, base: int, file_end: int, header: Callable[[int], bytes], most: int
) -> int:
    """Step over the fragments of an encapsulated value (PS3.5 A.4); return where its delimiter ends.

    Args:
        position: Of the first fragment.
        encoding: Of the dataset.
        base: What positions are relative to, in the file.
        file_end: Length of the file.
        header: Reads eight bytes at a position.
        most: How many fragments there may be.

    Raises:
        ScanError: They do not end as they should.

    """
    unpack = encoding.tag_length.unpack
    for _ in range(most + 1):
        data = header(position)
        if len(data) < 8:  # noqa: PLR2004 (an item header)
            text = "encapsulated data without its delimiter"
            raise ScanError(text, base + position)
        group, number, length = unpack(data)
        tag = group << 16 | number
        position += 8
        if tag == SEQUENCE_DELIMITER:
            return position
        if tag != ITEM or length == UNDEFINED:
            text = "something else than a fragment in encapsulated data"
            raise ScanError(text, base + position - 8)
        position += length
        if base + position > file_end:
            text = "the file ends inside a fragment"
            raise ScanError(text, base + position)
    raise TooManyElementsError(base + position)
