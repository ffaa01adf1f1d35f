"""Read the element headers of a DICOM file by nothing but the rules of the standard: where each element stands.

Written apart from the editor's scanner, so that a fault of the one is seen by the other. It takes only what the
standard has; of a file that is written otherwise it says what is wrong, and makes no guess.

Source: DICOM PS3.5 sections 6.2.2 (UN), 7.1, 7.5 and A.4, and PS3.10 section 7.1 (edition 2026c).

Public names: ``Element``, ``Item``, ``Read``, ``read_dicom``, ``SHORT_VRS``.
"""

from __future__ import annotations

import os
import struct
import zlib
from dataclasses import dataclass, field
from io import BytesIO
from typing import TYPE_CHECKING, Final

from deidflow.tasks.core.dicom.tags import PIXEL_DATA, dictionary_vr

if TYPE_CHECKING:
    from typing import BinaryIO

Element = tuple[int, bytes, int, int, "list[Item] | None"]
"""Tag, VR (b"" where none is written), where its value begins and ends (of undefined length: behind its delimiter), and
the items of a sequence."""

Item = list[Element]
"""The elements of one item."""

_FIRST_BYTES: Final = 1 << 20
"""What is read at once; of larger files only what stands around the headers is."""
_WINDOW_BYTES: Final = 1 << 14
_MAX_INFLATED_BYTES: Final = 1 << 30
_MAX_DEPTH: Final = 100
"""No real object nests deeper, and each level costs a frame of Python's own stack."""
_MAX_ELEMENTS: Final = 1 << 20

_UNDEFINED: Final = 0xFFFFFFFF
_ITEM: Final = 0xFFFEE000
_ITEM_END: Final = 0xFFFEE00D
_SEQUENCE_END: Final = 0xFFFEE0DD
_DELIMITER_GROUP: Final = 0xFFFE
_META_GROUP: Final = 0x0002
_TRANSFER_SYNTAX_UID: Final = 0x00020010
_IMPLICIT: Final = frozenset({"1.2.840.10008.1.2", "1.2.840.113619.5.2"})
_BIG_ENDIAN: Final = "1.2.840.10008.1.2.2"
_OF_UIDS: Final = "0123456789."
_DEFLATED: Final = frozenset(
    {"1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.4.95", "1.2.840.10008.1.2.4.205", "1.2.840.10008.1.2.8.1"}
)
_LONG_VRS: Final = frozenset(b"OB OD OF OL OV OW SQ SV UC UN UR UT UV".split())
SHORT_VRS: Final = frozenset(b"AE AS AT CS DA DS DT FL FD IS LO LT PN SH SL SS ST TM UI UL US".split())
"""Value representations with a length of 16 bits (PS3.5 table 7.1-2); the others have one of 32."""
_HEADER_BYTES: Final = 8
_LONG_HEADER_BYTES: Final = 12
_TAIL: Final = "has bytes behind its last element"


class _FaultError(Exception):
    """What is wrong with a file; the text goes on after "the result"."""


@dataclass(slots=True)
class Read:
    """What was read of one file.

    Attributes:
        preamble: What stands before ``DICM``, b"" where there is none.
        meta: Elements of the file meta information; their values stand in the file.
        syntax: Transfer syntax, "" where none is named, or what is no UID.
        explicit: Whether the dataset has explicit VR.
        little: Whether it is little endian.
        elements: Of the dataset.
        start: Where the dataset begins in its stream: the file, or what was inflated of it.
        size: Where that stream ends.
        fault: What is wrong with it, going on after "the result"; "" when it was read to its last byte.
        is_whole: Whether all elements were read, whatever stands behind them.
        passed_over: Whether one of them is a sequence whose items are not written as the standard has it, and are not
            among the elements.

    """

    preamble: bytes = b""
    meta: Item = field(default_factory=list)
    syntax: str = ""
    explicit: bool = True
    little: bool = True
    elements: Item = field(default_factory=list)
    start: int = 0
    size: int = 0
    fault: str = ""
    is_whole: bool = False
    passed_over: bool = False
    _file: BinaryIO | None = None
    _dataset: BinaryIO | None = None
    _data: bytes = b""
    _base: int = 0

    @property
    def is_as_declared(self) -> bool:
        """Whether the dataset has the kind of VR that its transfer syntax says."""
        return bool(self.syntax) and self.explicit == (self.syntax not in _IMPLICIT)

    def meta_value(self, element: Element) -> bytes:
        """Return the value of an element of the file meta information."""
        assert self._file is not None  # noqa: S101 (it was read)
        return _bytes(self._file, element[2], element[3])

    def head(self) -> bytes:
        """Return what stands before the dataset: preamble and file meta information."""
        assert self._file is not None  # noqa: S101 (it was read)
        end = self.meta[-1][3] if self.meta else 132 if self.preamble else 0
        return _bytes(self._file, 0, end)

    def first(self, tag: int) -> bytes | None:
        """Return the value of the first element of a tag at top level, None where there is none."""
        return next((self.value(start, end) for own, _, start, end, _ in self.elements if own == tag), None)

    def value(self, start: int, end: int) -> bytes:
        """Return bytes of the dataset."""
        if start >= self._base and end <= self._base + len(self._data):
            return self._data[start - self._base : end - self._base]
        assert self._dataset is not None  # noqa: S101 (it was read)
        return _bytes(self._dataset, start, end)


def read_dicom(file: BinaryIO) -> Read:
    """Read a file, from its preamble to its last byte.

    Args:
        file: Open; where it stands does not matter.

    """
    read = Read(_file=file)
    try:
        _read(file, read)
    except _FaultError as error:
        read.fault = str(error)
        read.is_whole = read.is_whole or read.fault == _TAIL
    return read


def _read(file: BinaryIO, read: Read) -> None:
    size = file.seek(0, os.SEEK_END)
    head = _bytes(file, 0, _FIRST_BYTES)
    if head[128:132] == b"DICM":
        read.preamble = head[:128]
    has_tail = False
    start = _read_meta(_Walk(file, size, head, little=True), size, read)
    if read.syntax in _DEFLATED:
        file.seek(start)
        head, has_tail = _inflated(file.read())
        file, start, size = BytesIO(head), 0, len(head)
    read.start, read.size = start, size
    read.explicit, read.little = _encoding(head[start : start + _HEADER_BYTES], read.syntax)
    read._dataset = file  # noqa: SLF001 (made here)
    walk = _Walk(file, size, head, little=read.little)
    try:
        walk.dataset(read.elements, start, size, explicit=read.explicit)
    finally:
        read._data, read._base = walk.data, walk.base  # noqa: SLF001 (likewise)
        read.passed_over = walk.passed_over
    read.is_whole = True
    if not read.syntax or has_tail:
        raise _FaultError(_TAIL if has_tail else "has no file meta information")


def _bytes(file: BinaryIO, start: int, end: int) -> bytes:
    file.seek(start)
    return file.read(end - start)


def _read_meta(walk: _Walk, size: int, read: Read) -> int:
    """Read group 0002, which is explicit little endian (PS3.10 section 7.1); return where the dataset begins."""
    position = 132 if read.preamble else 0
    while position + _HEADER_BYTES <= size:
        tag, vr, value, length = walk.header(position, explicit=True)
        if tag >> 16 != _META_GROUP:
            break
        if vr not in SHORT_VRS and vr not in _LONG_VRS:
            break  # an element of a dataset in implicit VR
        if length == _UNDEFINED or value + length > size:
            raise _FaultError("is cut off")
        position = value + length
        read.meta.append((tag, vr, value, position, None))
        if tag == _TRANSFER_SYNTAX_UID and not read.syntax:
            syntax = read.meta_value(read.meta[-1]).decode("latin-1").strip(" \0")
            read.syntax = "" if syntax.strip(_OF_UIDS) else syntax
    return position


def _encoding(first: bytes, syntax: str) -> tuple[bool, bool]:
    """Return explicit and little, by the first element where that contradicts the transfer syntax."""
    explicit = first[4:6] in SHORT_VRS or first[4:6] in _LONG_VRS
    if syntax:
        return explicit, syntax != _BIG_ENDIAN
    return explicit, not explicit or first[:2] != b"\0\x08"


def _inflated(data: bytes) -> tuple[bytes, bool]:
    """Return a dataset, and whether anything but zero bytes stands behind its deflate stream."""
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        dataset = inflater.decompress(data, _MAX_INFLATED_BYTES)
    except zlib.error:
        raise _FaultError("cannot be inflated") from None
    if not inflater.eof:
        raise _FaultError("is cut off")
    return dataset, bool(inflater.unused_data.strip(b"\0"))


class _Walk:
    """Steps from element to element of one file; values are passed over."""

    def __init__(self, file: BinaryIO, size: int, head: bytes, *, little: bool) -> None:
        order = "<" if little else ">"
        self.data, self.base, self.count = head, 0, 0
        self.passed_over = False  # a sequence whose items are not written as the standard has it
        self._file, self._size, self._little = file, size, little
        self._explicit = struct.Struct(f"{order}HH2sH").unpack_from
        self._implicit = struct.Struct(f"{order}HHL").unpack_from
        self._long = struct.Struct(f"{order}L").unpack_from

    def header(self, position: int, *, explicit: bool) -> tuple[int, bytes, int, int]:
        """Return tag, VR (b"" for implicit VR, items and delimiters), where the value begins, and its length."""
        offset = position - self.base
        if offset < 0 or (offset + _LONG_HEADER_BYTES > len(self.data) and self.base + len(self.data) < self._size):
            self.data, self.base, offset = _bytes(self._file, position, position + _WINDOW_BYTES), position, 0
        data = self.data
        if len(data) - offset < _HEADER_BYTES:
            raise _FaultError(_TAIL if not data[offset:].strip(b"\0") else "is cut off")
        if explicit:
            group, number, vr, length = self._explicit(data, offset)
            if vr in SHORT_VRS:
                return group << 16 | number, vr, position + 8, length
            if group != _DELIMITER_GROUP:
                if len(data) - offset < _LONG_HEADER_BYTES:
                    raise _FaultError("is cut off")
                return group << 16 | number, vr, position + 12, self._long(data, offset + 8)[0]
        group, number, length = self._implicit(data, offset)
        return group << 16 | number, b"", position + 8, length

    def dataset(self, elements: Item, position: int, end: int, *, explicit: bool) -> None:
        """Read the elements of the file's dataset."""
        self._elements(elements, position, end, 0, explicit=explicit, delimited=False)

    def _elements(self, elements: Item, position: int, end: int, depth: int, *, explicit: bool, delimited: bool) -> int:
        """Read the elements of a dataset up to its end, or to the delimiter of its item; return where it ends."""
        header, append = self.header, elements.append
        while position < end or delimited:
            tag, vr, value, length = header(position, explicit=explicit)
            self.count += 1
            if tag >= _ITEM and tag >> 16 == _DELIMITER_GROUP:
                # Some converters leave the delimiter at the end where they wrote a length.
                if tag == _ITEM_END and not length and (delimited or (depth and value == end)):
                    return value
                raise self._misplaced(position, depth)
            if explicit and vr not in SHORT_VRS and vr not in _LONG_VRS:
                raise self._unknown_vr(position, tag, depth)
            if self.count > _MAX_ELEMENTS:
                raise _FaultError("has more elements than are read")
            stop = value + length
            if length != _UNDEFINED:
                if stop > end:
                    raise _FaultError("is cut off" if not depth else "has an element longer than the item it is in")
                items = None
                if vr not in SHORT_VRS and length and self._may_be_sequence(tag, vr, value):
                    items = self._known_items(value, stop, depth, vr, explicit=explicit)
            else:
                items, stop = self._delimited(tag, vr, value, end, depth, explicit=explicit)
            append((tag, vr, value, stop, items))
            position = stop
        return position

    def _may_be_sequence(self, tag: int, vr: bytes, value: int) -> bool:
        said = vr.decode("latin-1") or dictionary_vr(tag) or "UN"
        if said != "UN":
            return said == "SQ"
        offset = value - self.base
        start = self.data[offset : offset + 4] if 0 <= offset <= len(self.data) - 4 else self._peek(value)
        return start == (b"\xfe\xff\x00\xe0" if self._little or vr == b"UN" else b"\xff\xfe\xe0\x00")

    def _peek(self, value: int) -> bytes:
        return _bytes(self._file, value, value + 4)

    def _known_items(self, value: int, stop: int, depth: int, vr: bytes, *, explicit: bool) -> list[Item] | None:
        """Return the items of a value of known length, None where it holds something else."""
        for inner in (False, True) if vr == b"UN" else (explicit,):
            before, walk = self.count, self._unknown_or_own(vr)
            try:
                return walk.items(value, stop, depth, explicit=inner, delimited=False)[0]
            except _FaultError:
                if walk.count - before > _MAX_ELEMENTS >> 4:
                    raise
            finally:
                self.count = walk.count
                self.passed_over = self.passed_over or walk.passed_over
        self.passed_over = self.passed_over or vr == b"SQ"
        return None

    def _delimited(
        self, tag: int, vr: bytes, value: int, end: int, depth: int, *, explicit: bool
    ) -> tuple[list[Item] | None, int]:
        """Return the items of a value of undefined length, None for fragments, and where it ends."""
        if vr in {b"OB", b"OW"} or (not vr and tag == PIXEL_DATA):
            return None, self._fragments(value)
        if vr and vr not in {b"SQ", b"UN"}:
            raise _FaultError("has an undefined length where none belongs")
        inner = explicit and vr != b"UN"
        walk = self._unknown_or_own(vr)
        try:
            return walk.items(value, end, depth, explicit=inner, delimited=True)
        finally:
            self.count = walk.count

    def _unknown_or_own(self, vr: bytes) -> _Walk:
        """Return a reader of the same file in little endian for what is UN."""
        if vr != b"UN" or self._little:
            return self
        other = _Walk(self._file, self._size, b"", little=True)
        other.count = self.count
        return other

    def items(self, position: int, end: int, depth: int, *, explicit: bool, delimited: bool) -> tuple[list[Item], int]:
        """Read items up to where they end, or to the delimiter of their sequence; return them and where that is."""
        if depth >= _MAX_DEPTH:
            raise _FaultError("nests too deep to be read")
        items: list[Item] = []
        while position < end or delimited:
            tag, _, value, length = self.header(position, explicit=False)
            self.count += 1
            if tag == _SEQUENCE_END and not length and (delimited or value == end):
                return items, value
            if tag != _ITEM:
                raise _FaultError("has something else where an item belongs")
            item: Item = []
            if length == _UNDEFINED:
                position = self._elements(item, value, end, depth + 1, explicit=explicit, delimited=True)
            elif value + length > end:
                raise _FaultError("is cut off")
            else:
                position = value + length
                self._elements(item, value, position, depth + 1, explicit=explicit, delimited=False)
            items.append(item)
        return items, position

    def _fragments(self, position: int) -> int:
        while True:
            tag, _, value, length = self.header(position, explicit=False)
            if tag == _SEQUENCE_END:
                return value
            if tag != _ITEM or length == _UNDEFINED:
                raise _FaultError("has something else where an item belongs")
            if value + length > self._size:
                raise _FaultError("is cut off")
            position = value + length

    def _misplaced(self, position: int, depth: int) -> _FaultError:
        """Return what is wrong at a delimiter: stray ones at the end are a tail as zero bytes are."""
        rest = _bytes(self._file, position, self._size) if self._size - position <= _WINDOW_BYTES else b"?"
        for delimiter in (b"\xfe\xff\x0d\xe0\0\0\0\0", b"\xfe\xff\xdd\xe0\0\0\0\0"):
            rest = rest.replace(delimiter, b"")
        return _FaultError(_TAIL if not depth and not rest.strip(b"\0") else "has an item where none belongs")

    def _unknown_vr(self, position: int, tag: int, depth: int) -> _FaultError:
        if not depth and not tag and not self.data[position - self.base :].strip(b"\0"):
            return _FaultError(_TAIL)
        return _FaultError("has an element of an unknown value representation")
