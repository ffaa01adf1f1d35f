"""Find every data element of a dataset: tag, VR, where it starts, where its value lies, and what is nested in it.

Nothing is decoded and nothing is guessed: a dataset that cannot be read to its end with certainty is refused with the
reason and the offset. The loop over elements is the hottest code of the local engine, hence plain tuples and few calls.

Source: DICOM PS3.5 section 7 (edition 2026c): 7.1.2 and 7.1.3 element structures, 7.5 sequences, A.4 encapsulation,
6.2.2 note 2 (sequences sent as UN are implicit VR little endian).

Public names: ``Element``, ``Item``, ``Sequence``, ``Scanner``, ``ScanError``, ``changed_tags``, ``MAX_DEPTH``.
"""

from __future__ import annotations

from struct import error as StructError  # noqa: N812 (an exception class with a lower-case name)
from typing import TYPE_CHECKING, Final

from deidflow.tasks.core.errors import InstanceFailed
from deidflow.tasks.core.outcomes import ReasonCode
from deidflow.tasks.core.tags import describe_tag, dictionary_vr
from deidflow.tasks.local.encoding import (
    DELIMITER_GROUP,
    IMPLICIT_LITTLE,
    ITEM,
    ITEM_DELIMITER,
    LONG_VRS,
    SEQUENCE_DELIMITER,
    SHORT_VRS,
    UNDEFINED,
    Encoding,
)

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_DEPTH: Final = 64
"""Sequences within sequences; real objects stay below 20, and pydicom and DCMTK overflow the stack soon after."""

Item = tuple[int, int, int, int, list["Element"]]
"""Start of the item, start and end of its content, end of the item with its delimiter, its elements."""

Sequence = tuple[Encoding, list[Item]]
"""How the items are written (implicit little endian inside UN, else as the dataset), and the items."""

Element = tuple[int, str, int, int, int, "Sequence | None"]
"""Tag, VR, start of the header, start of the value, end of the element with its delimiter, sequence or None."""

_ENCAPSULATED: Final = frozenset({"OB", "OW", "OV", "OL", "OF", "OD"})
"""VRs whose value of undefined length is a list of fragments; the dictionary's ``OB or OW`` counts by its first."""


class ScanError(InstanceFailed):
    """The dataset cannot be read to its end with certainty."""

    def __init__(self, text: str, offset: int, code: ReasonCode = ReasonCode.DAMAGED) -> None:
        """Take what is wrong and at which byte of the file (of the inflated dataset, where it is deflated)."""
        super().__init__(code, f"{text} at byte {offset}")


class _OutOfWindow(Exception):
    """An element goes on behind the bytes at hand."""


class Scanner:
    """Scanner of one stretch of bytes of a file.

    Attributes:
        data: The bytes at hand.
        base: Offset of their first byte in the file.
        file_end: Length of the file; elements may end behind the bytes at hand but not behind this.
        stopped_at_tag: Whether the last scan ended at an element behind ``stop_after``.

    """

    __slots__ = ("base", "data", "file_end", "read", "stopped_at_tag")

    def __init__(self, data: bytes, base: int, file_end: int, read: Callable[[int, int], bytes]) -> None:
        """Take the bytes and a function that reads any other bytes of the file by start and end."""
        self.data = data
        self.base = base
        self.file_end = file_end
        self.read = read
        self.stopped_at_tag = False

    def top(self, elements: list[Element], position: int, encoding: Encoding, stop_after: int = UNDEFINED) -> int:
        """Scan elements at top level from an offset in the bytes at hand.

        Args:
            elements: Where to append them, with offsets in the file.
            position: Where the first element starts, relative to the bytes at hand.
            encoding: Of the dataset.
            stop_after: Stop before the first element with a greater tag.

        Returns:
            The offset in the file where scanning stopped: its end, the first element behind ``stop_after``, or the
            first element that needs other bytes.

        Raises:
            ScanError: They cannot be read with certainty; ``elements`` holds those before.

        """
        found = elements if not self.base else []
        known = len(found)
        try:
            stop = self._elements(found, position, len(self.data), encoding, 0, stop_after=stop_after)
        except _OutOfWindow:
            stop = found[-1][4] if len(found) > known else position
        if self.base:
            elements += [_shifted(element, self.base) for element in found]
        return stop + self.base

    def _elements(
        self,
        elements: list[Element],
        start: int,
        end: int,
        encoding: Encoding,
        depth: int,
        *,
        delimited: bool = False,
        stop_after: int = UNDEFINED,
    ) -> int:
        """Append the elements of one dataset; return where its content ends (before the delimiter of an item)."""
        known = len(elements)
        try:
            position, complete = self._loop(elements, start, end, encoding, depth, stop_after)
        except StructError:
            self._need_more()
            where = elements[-1][4] if len(elements) > known else start
            raise self._error("the file ends inside an element", where) from None
        if complete and delimited:
            return position
        if complete:
            raise self._error("a delimiter in the wrong place", position)
        if delimited:
            self._need_more()
            raise self._error("an item without its delimiter", position)
        if position > end and depth:
            self._need_more()
            raise self._error("an element is longer than the item that holds it", position)
        return position

    def _loop(
        self, elements: list[Element], position: int, end: int, encoding: Encoding, depth: int, stop_after: int
    ) -> tuple[int, bool]:
        """Read element after element; return where that ended, and whether at an item's delimiter."""
        data = self.data
        explicit = encoding.explicit
        unpack_explicit = encoding.tag_vr_length.unpack_from
        unpack_implicit = encoding.tag_length.unpack_from
        short_vr = SHORT_VRS.get
        append = elements.append
        while position < end:
            if explicit:
                group, number, raw_vr, length = unpack_explicit(data, position)
                tag: int = group << 16 | number
                vr = short_vr(raw_vr)
                value = position + 8
                plain = vr is not None
                if vr is None:
                    if group == DELIMITER_GROUP:
                        return self._delimiter(tag, position)
                    vr = LONG_VRS.get(raw_vr)
                    if vr is None:
                        raise self._error(f"unknown VR in {describe_tag(tag)}", position)
                    length = encoding.long_length.unpack_from(data, value)[0]
                    value += 4
            else:
                group, number, length = unpack_implicit(data, position)
                tag = group << 16 | number
                if group == DELIMITER_GROUP:
                    return self._delimiter(tag, position)
                vr = dictionary_vr(tag) or "UN"
                value = position + 8
                plain = False
            if tag > stop_after:
                self.stopped_at_tag = True
                return position, False
            if not plain and (
                vr == "SQ" or length == UNDEFINED or (vr == "UN" and length and dictionary_vr(tag) == "SQ")
            ):
                append(self._nested(tag, vr, position, value, length, end, encoding, depth))
                position = elements[-1][4]
                continue
            stop: int = value + length
            if stop > end:
                self._check_end(tag, position, stop, depth, end)
            append((tag, vr, position, value, stop, None))
            position = stop
        return position, False

    def _need_more(self) -> None:
        """Ask for other bytes when those at hand are not the last of the file."""
        if self.base + len(self.data) < self.file_end:
            raise _OutOfWindow

    def _nested(  # noqa: PLR0913, PLR0917 (the loop's state)
        self, tag: int, vr: str, start: int, value: int, length: int, end: int, encoding: Encoding, depth: int
    ) -> Element:
        """Read a sequence, a sequence sent as UN, or an encapsulated value."""
        if length == UNDEFINED and vr[:2] in _ENCAPSULATED:
            return tag, vr, start, value, self._fragments(value, encoding), None
        if vr not in ("SQ", "UN"):
            raise self._error(f"undefined length in {describe_tag(tag)} of VR {vr}", start)
        if depth >= MAX_DEPTH:
            text = f"sequences are nested more than {MAX_DEPTH} deep"
            raise ScanError(text, self.base + start, ReasonCode.NESTING_TOO_DEEP)
        inner = IMPLICIT_LITTLE if vr == "UN" else encoding
        if length == UNDEFINED:
            items, stop = self._items(value, end, inner, depth, delimited=True)
        else:
            stop = value + length
            if stop > end:
                self._check_end(tag, start, stop, depth, end)
                raise _OutOfWindow
            items, _ = self._items(value, stop, inner, depth, delimited=False)
        return tag, vr, start, value, stop, (inner, items)

    def _items(
        self, position: int, end: int, encoding: Encoding, depth: int, *, delimited: bool
    ) -> tuple[list[Item], int]:
        """Read the items of a sequence; return them and where the sequence ends, with its delimiter."""
        items: list[Item] = []
        while position < end or delimited:
            tag, length = self._item_header(position, end, encoding)
            content = position + 8
            if tag == SEQUENCE_DELIMITER and delimited:
                return items, content
            if tag != ITEM:
                raise self._error("something else than an item in a sequence", position)
            elements: list[Element] = []
            if length == UNDEFINED:
                stop = self._elements(elements, content, end, encoding, depth + 1, delimited=True)
                item_end = stop + 8
            else:
                item_end = stop = content + length
                if stop > end:
                    self._check_end(tag, position, stop, depth + 1, end)
                    raise _OutOfWindow
                self._elements(elements, content, stop, encoding, depth + 1)
            items.append((position, content, stop, item_end, elements))
            position = item_end
        return items, position

    def _item_header(self, position: int, end: int, encoding: Encoding) -> tuple[int, int]:
        if position + 8 > end:
            if end == len(self.data):
                self._need_more()
            raise self._error("a sequence without its delimiter", position)
        group, number, length = encoding.tag_length.unpack_from(self.data, position)
        return group << 16 | number, length

    def _fragments(self, position: int, encoding: Encoding) -> int:
        """Step over the fragments of an encapsulated value; return where its delimiter ends."""
        data, unpack = self.data, encoding.tag_length.unpack_from
        while True:
            # Fragments may lie far behind the bytes at hand; only their headers are read.
            if 0 <= position <= len(data) - 8:
                group, number, length = unpack(data, position)
            else:
                header = self.read(self.base + position, self.base + position + 8)
                if len(header) < 8:  # noqa: PLR2004 (an item header)
                    raise self._error("encapsulated data without its delimiter", position)
                group, number, length = unpack(header, 0)
            tag = group << 16 | number
            position += 8
            if tag == SEQUENCE_DELIMITER:
                return position
            if tag != ITEM or length == UNDEFINED:
                raise self._error("something else than a fragment in encapsulated data", position - 8)
            position += length
            if self.base + position > self.file_end:
                raise self._error("the file ends inside a fragment", position)

    def _delimiter(self, tag: int, position: int) -> tuple[int, bool]:
        if tag == ITEM_DELIMITER:
            return position, True
        raise self._error("a delimiter in the wrong place", position)

    def _check_end(self, tag: int, position: int, stop: int, depth: int, end: int) -> None:
        """Refuse an element that ends behind the file or behind the item that holds it."""
        if self.base + stop > self.file_end:
            raise self._error(f"the file ends inside {describe_tag(tag)}", position)
        if end == len(self.data):
            if depth:
                raise _OutOfWindow
            return
        raise self._error(f"{describe_tag(tag)} is longer than the item that holds it", position)

    def _error(self, text: str, position: int) -> ScanError:
        return ScanError(text, self.base + position)


def changed_tags(old: list[Element], old_body: bytes, new: list[Element], new_body: bytes) -> set[int]:
    """Return the tags whose bytes differ between two datasets with the same list of tags."""
    return {
        after[0]
        for before, after in zip(old, new, strict=True)
        if old_body[before[2] : before[4]] != new_body[after[2] : after[4]]
    }


def _shifted(element: Element, base: int) -> Element:
    """Return an element with offsets in the file."""
    tag, vr, start, value, end, sequence = element
    if sequence is not None:
        encoding, items = sequence
        moved = [
            (first + base, content + base, stop + base, last + base, [_shifted(inner, base) for inner in elements])
            for first, content, stop, last, elements in items
        ]
        sequence = (encoding, moved)
    return tag, vr, start + base, value + base, end + base, sequence
