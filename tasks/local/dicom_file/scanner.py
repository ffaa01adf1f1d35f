"""Find every data element of a dataset: tag, VR, where it starts, where its value lies, and what is nested in it.

Nothing is decoded or guessed: a dataset that cannot be read to its end with certainty is refused with reason and
offset. What DCMTK reads although the standard has it otherwise is read so, and noted (``findings``). The loop over
elements is the engine's hottest code, hence plain tuples and few calls.

Source: DICOM PS3.5 section 7 (edition 2026c): 7.1.2 and 7.1.3 element structures, 7.5 sequences, A.4 encapsulation,
6.2.2 note 2 (sequences sent as UN are implicit VR little endian).

Public names: ``Scanner``.
"""

from __future__ import annotations

from struct import error as StructError  # noqa: N812 (an exception class with a lower-case name)
from typing import TYPE_CHECKING, Final

from deidflow.tasks.core.dicom.tags import PIXEL_DATA, describe_tag, dictionary_vr
from deidflow.tasks.core.outcomes import ReasonCode
from deidflow.tasks.local.dicom_file.elements import (
    MAX_DEPTH,
    OutOfWindow,
    ScanError,
    TooManyElementsError,
    end_of_fragments,
    headers_at,
    is_padding,
)
from deidflow.tasks.local.dicom_file.encoding import (
    DELIMITER_GROUP,
    EXPLICIT_LITTLE,
    IMPLICIT_LITTLE,
    ITEM,
    ITEM_DELIMITER,
    LONG_VRS,
    SEQUENCE_DELIMITER,
    SHORT_VRS,
    UNDEFINED,
    Encoding,
)
from deidflow.tasks.local.dicom_file.findings import MAX_ELEMENTS, MAX_IN_ONE_DATASET, Findings, Irregularity, Reading
from deidflow.tasks.local.dicom_file.item_shapes import ITEM_STARTS, ItemShapes, may_be_items, shifted

if TYPE_CHECKING:
    from deidflow.tasks.local.dicom_file.elements import Element, Item, Read

_ENCAPSULATED: Final = frozenset({"OB", "OW", "OV", "OL", "OF", "OD"})
"""VRs whose value of undefined length is a list of fragments; the dictionary's ``OB or OW`` counts by its first."""
_SMALLEST_ELEMENT: Final = 8
_MAX_TAIL_BYTES: Final = 1 << 20
"""What may stand behind a dataset: some writers fill up a block of their disk."""
_MAX_IRREGULAR: Final = 10_000
_MAX_RETRIED: Final = 4
"""So many times the bytes of the file may be read anew, in another encoding."""


class Scanner:
    """Scanner of one stretch of bytes of a file.

    Attributes:
        data: The bytes at hand.
        base: Offset of their first byte in the file.
        file_end: Length of the file; elements may end behind the bytes at hand but not behind this.
        stopped_at_tag: Whether the last scan ended at an element behind ``stop_after``, or where only padding follows.
        findings: What is noted on the way.

    """

    __slots__ = ("base", "data", "file_end", "findings", "read", "shapes", "stopped_at_tag")

    def __init__(
        self, data: bytes, base: int, file_end: int, read: Read, findings: Findings, shapes: ItemShapes | None = None
    ) -> None:
        """Take the bytes, a function that reads any other bytes of the file by start and end, and known items."""
        self.data, self.base, self.file_end = data, base, file_end
        self.read = read
        self.findings, self.shapes = findings, shapes
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
        except OutOfWindow:
            stop = found[-1][4] if len(found) > known else position
        while len(found) > known and not found[-1][0] and found[-1][3] == found[-1][4]:
            del found[-1]  # zero bytes behind an implicit dataset, which read as empty elements
        if self.base:
            elements += [shifted(element, self.base) for element in found]
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
            if not depth and self._only_padding_from(where):
                return end
            raise self._error("the file ends inside an element", where) from None
        if complete and delimited:
            return position
        if complete:
            if position + 8 == end and depth:  # an item of defined length that ends with a delimiter all the same
                self.findings.note(self.base + position, Irregularity.DELIMITER)
                return position
            raise self._error("a delimiter in the wrong place", position)
        if delimited:
            self._need_more()
            raise self._error("an item without its delimiter", position)
        if position > end and depth:
            self._need_more()
            raise self._error("an element is longer than the item that holds it", position)
        return position

    def _loop(  # noqa: C901, PLR0912 (the hottest loop: a call per element would double its time)
        self, elements: list[Element], position: int, end: int, encoding: Encoding, depth: int, stop_after: int
    ) -> tuple[int, bool]:
        """Read element after element; return where that ended, and whether at an item's delimiter."""
        data = self.data
        explicit = encoding.explicit
        unpack_explicit = encoding.tag_vr_length.unpack_from
        unpack_implicit = encoding.tag_length.unpack_from
        short_vr = SHORT_VRS.get
        append = elements.append
        counted, limit = self._account(elements, len(elements), position, end)
        while position < limit:
            if explicit:
                group, number, raw_vr, length = unpack_explicit(data, position)
                tag: int = group << 16 | number
                vr = short_vr(raw_vr)
                value = position + 8
                plain = vr is not None
                if vr is None:
                    if group == DELIMITER_GROUP:
                        return self._delimiter(tag, position, depth)
                    vr = LONG_VRS.get(raw_vr)
                    if vr is not None:
                        length = encoding.long_length.unpack_from(data, value)[0]
                        value += 4
                    elif not tag and not depth and self._only_padding_from(position):
                        return end, False
                    else:
                        value, length = self._of_unknown_vr(raw_vr, tag, position, length, encoding)
                        vr, plain = "UN", True
            else:
                group, number, length = unpack_implicit(data, position)
                tag = group << 16 | number
                if group == DELIMITER_GROUP:
                    return self._delimiter(tag, position, depth)
                vr = dictionary_vr(tag) or "UN"
                value = position + 8
                plain = False
            if tag > stop_after:
                self.stopped_at_tag = True
                return position, False
            if not plain and (
                vr == "SQ" or length == UNDEFINED or (vr == "UN" and length and may_be_items(data, tag, value))
            ):
                self.findings.count += len(elements) - counted
                append(self._nested(tag, vr, position, value, length, end, encoding, depth))
                position = elements[-1][4]
                counted, limit = self._account(elements, len(elements) - 1, position, end)
                continue
            stop: int = value + length
            if stop > end:
                self._check_end(tag, position, stop, depth, end)
            append((tag, vr, position, value, stop, None))
            position = stop
            if position >= limit:
                counted, limit = self._account(elements, counted, position, end)
        if position < end:
            raise TooManyElementsError(self.base + position)
        self.findings.count += len(elements) - counted
        return position, False

    def _account(self, elements: list[Element], counted: int, position: int, end: int) -> tuple[int, int]:
        """Count the elements behind the first ``counted`` ones; return their number, and how far there is room."""
        findings, known = self.findings, len(elements)
        findings.count += known - counted
        room = min(findings.limit - findings.count, MAX_IN_ONE_DATASET - known)
        return known, min(end, position + _SMALLEST_ELEMENT * room)

    def _of_unknown_vr(
        self, raw_vr: bytes, tag: int, position: int, length: int, encoding: Encoding
    ) -> tuple[int, int]:
        """Return where the value of an element starts whose VR is none, and its length, as DCMTK 3.6.7 reads it."""
        where, value = self.base + position, position + 8
        if raw_vr.isalpha() and raw_vr.isupper():
            # A VR of a later edition has a 32-bit length (PS3.5 7.1.2, edition 2026c); pydicom 3.0 reads 16 bits.
            length = encoding.long_length.unpack_from(self.data, value)[0]
            value += 4
            if length == UNDEFINED:
                raise self._error(f"undefined length in {describe_tag(tag)} of an unknown VR", position)
        elif not tag or (raw_vr != b"\0\0" and not (raw_vr.isascii() and raw_vr.decode("ascii").isprintable())):
            raise self._error(f"unknown VR in {describe_tag(tag)}", position)
        if len(self.findings.irregular) >= _MAX_IRREGULAR:
            raise self._error(f"more than {_MAX_IRREGULAR} elements of unknown VR", position)
        self.findings.note(where, Irregularity.UNKNOWN_VR)
        # pydicom takes such an element for one of implicit VR.
        self.findings.doubt(where, encoding, Reading.AS_PYDICOM, Reading.IMPLICIT)
        return value, length

    def _only_padding_from(self, position: int) -> bool:
        """Whether nothing but stray delimiters and then zero bytes follow to the end of the file."""
        start = self.base + position
        if self.file_end - start > _MAX_TAIL_BYTES or not is_padding(self.read(start, self.file_end)):
            return False
        self.stopped_at_tag = True
        return True

    def _need_more(self) -> None:
        """Ask for other bytes when those at hand are not the last of the file."""
        if self.base + len(self.data) < self.file_end:
            raise OutOfWindow

    def _nested(  # noqa: PLR0913, PLR0917 (the loop's state)
        self, tag: int, vr: str, start: int, value: int, length: int, end: int, encoding: Encoding, depth: int
    ) -> Element:
        """Read a sequence, a sequence sent as UN, or an encapsulated value."""
        if length == UNDEFINED and vr[:2] in _ENCAPSULATED:
            if tag != PIXEL_DATA:
                # pydicom takes it for bytes, DCMTK for items or fragments (PS3.5 A.4 has it in pixel data only).
                text = f"undefined length in {describe_tag(tag)} of VR {vr[:2]}"
                raise ScanError(text, self.base + start, ReasonCode.AMBIGUOUS_ENCODING)
            self.findings.has_fragments = True
            return tag, vr, start, value, self._end_of_fragments(value, encoding), None
        if vr not in ("SQ", "UN"):
            raise self._error(f"undefined length in {describe_tag(tag)} of VR {vr}", start)
        stop = value + length
        if length != UNDEFINED:
            if vr == "UN" and self.read(self.base + value, self.base + value + 4) != ITEM_STARTS[0]:
                return self._opaque(tag, vr, start, value, stop, end, encoding, depth)
            if stop > end:
                self._check_end(tag, start, stop, depth, end)
                raise OutOfWindow
        if depth >= MAX_DEPTH:
            text = f"sequences are nested more than {MAX_DEPTH} deep"
            raise ScanError(text, self.base + start, ReasonCode.NESTING_TOO_DEEP)
        count, retried = self.findings.count, self.findings.retried
        try:
            if vr == "UN":
                return self._unknown(tag, start, value, length, end, depth)
            if length == UNDEFINED:
                items, stop = self._items(value, end, encoding, depth, delimited=True)
            else:
                items, _ = self._items(value, stop, encoding, depth, delimited=False)
        except OutOfWindow:
            self.findings.count, self.findings.retried = count, retried  # it is read again, from more bytes
            raise
        return tag, vr, start, value, stop, (encoding, items)

    def _opaque(  # noqa: PLR0913, PLR0917 (the loop's state)
        self, tag: int, vr: str, start: int, value: int, stop: int, end: int, encoding: Encoding, depth: int
    ) -> Element:
        """Return a value of unknown VR that is no sequence, whatever its tag says."""
        if stop > end:
            self._check_end(tag, start, stop, depth, end)
        is_item = self.read(self.base + value, self.base + value + 4) == ITEM_STARTS[1]
        if encoding.explicit and (dictionary_vr(tag) == "SQ" or is_item):
            self.findings.note(self.base + start, Irregularity.OPAQUE)
        return tag, vr, start, value, stop, None

    def _unknown(self, tag: int, start: int, value: int, length: int, end: int, depth: int) -> Element:
        """Read a value of unknown VR that starts with an item: implicit VR, explicit VR, or none of both."""
        findings, undefined = self.findings, length == UNDEFINED
        stop = value + length
        fault: ScanError | None = None
        for inner in (IMPLICIT_LITTLE, EXPLICIT_LITTLE):
            before = findings.copy()
            try:
                items, stop = self._items(value, end if undefined else stop, inner, depth, delimited=undefined)
            except ScanError as error:
                if error.code is not ReasonCode.DAMAGED or isinstance(error, TooManyElementsError):
                    raise
                fault = fault or error
                findings.restore(before)
                findings.retried += error.offset - (self.base + value)
                if findings.retried > _MAX_RETRIED * self.file_end:
                    raise
                continue
            is_read = undefined or dictionary_vr(tag) == "SQ"
            if is_read and inner is EXPLICIT_LITTLE and items:
                findings.note(self.base + start, Irregularity.EXPLICIT_ITEMS)
            findings.doubt_items(
                [(self.base + item[1], self.data[item[1] : item[2]][4:6]) for item in items], explicit=inner.explicit
            )
            return tag, "UN", start, value, stop, (inner, items)
        if undefined:
            assert fault is not None  # noqa: S101 (both failed)
            raise fault
        findings.note(self.base + start, Irregularity.OPAQUE)
        return tag, "UN", start, value, value + length, None

    def _items(
        self, position: int, end: int, encoding: Encoding, depth: int, *, delimited: bool
    ) -> tuple[list[Item], int]:
        """Read the items of a sequence; return them and where the sequence ends, with its delimiter."""
        items: list[Item] = []
        data, findings, shapes = self.data, self.findings, self.shapes
        while position < end or delimited:
            known = shapes and shapes.find(data, position, end, encoding, depth, findings)
            if known:
                items.append(known)
                position = known[3]
                continue
            tag, length, content = self._item_header(position, end, encoding)
            if tag == SEQUENCE_DELIMITER and (delimited or content == end):
                if length or not delimited:
                    self.findings.note(self.base + position, Irregularity.DELIMITER)
                return items, content
            if tag != ITEM:
                raise self._error("something else than an item in a sequence", position)
            elements: list[Element] = []
            count = findings.count
            findings.count += 1
            if findings.count > findings.limit:
                raise TooManyElementsError(self.base + position)
            if length == UNDEFINED:
                stop = self._elements(elements, content, end, encoding, depth + 1, delimited=True)
                item_end = stop + 8
                if data[stop + 4 : item_end] != b"\0\0\0\0":
                    findings.note(self.base + stop, Irregularity.DELIMITER)
            else:
                item_end = content + length
                if item_end > end:
                    self._check_end(tag, position, item_end, depth + 1, end)
                    raise OutOfWindow
                stop = self._elements(elements, content, item_end, encoding, depth + 1)
            findings.note_foreign(elements, self.base)
            items.append((position, content, stop, item_end, elements))
            if shapes is not None:
                shapes.learn(data, items[-1], encoding, depth, findings, findings.count - count)
            position = item_end
        return items, position

    def _item_header(self, position: int, end: int, encoding: Encoding) -> tuple[int, int, int]:
        if position + 8 > end:
            if end == len(self.data):
                self._need_more()
            raise self._error("a sequence without its delimiter", position)
        group, number, length = encoding.tag_length.unpack_from(self.data, position)
        return group << 16 | number, length, position + 8

    def _end_of_fragments(self, position: int, encoding: Encoding) -> int:
        limit = self.findings.limit
        most = limit if limit < MAX_ELEMENTS else self.file_end  # only what is inflated has more than its file holds
        header = headers_at(self.data, self.base, self.read)
        return end_of_fragments(position, encoding, self.base, self.file_end, header, most)

    def _delimiter(self, tag: int, position: int, depth: int) -> tuple[int, bool]:
        if not depth and self._only_padding_from(position):
            return len(self.data), False
        if tag == ITEM_DELIMITER:
            return position, True
        raise self._error("a delimiter in the wrong place", position)

    def _check_end(self, tag: int, position: int, stop: int, depth: int, end: int) -> None:
        """Refuse an element that ends behind the file or behind the item that holds it."""
        if self.base + stop > self.file_end:
            raise self._error(f"the file ends inside {describe_tag(tag)}", position)
        if end == len(self.data):
            if depth:
                raise OutOfWindow
            return
        raise self._error(f"{describe_tag(tag)} is longer than the item that holds it", position)

    def _error(self, text: str, position: int) -> ScanError:
        return ScanError(text, self.base + position)
