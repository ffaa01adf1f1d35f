"""Read a DICOM file into plain elements: tag, VR and value bytes, at every depth; numbers always little endian.

Written for the comparison alone and independent of the engine's scanner and of pydicom, so that neither's mistakes are
compared with themselves. Takes well-formed files only: what Orthanc or the engine wrote, and sources that both
accepted.

Public names: ``Element``, ``Dataset``, ``DicomFile``, ``read_file``, ``read_items``,
``dataset_at``.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from functools import lru_cache

from pydicom.datadict import dictionary_VR

UNDEFINED = 0xFFFFFFFF
ITEM, ITEM_END, SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
IMPLICIT = frozenset({"1.2.840.10008.1.2", "1.2.840.113619.5.2"})
BIG_ENDIAN = "1.2.840.10008.1.2.2"
DEFLATED = frozenset({"1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.4.95", "1.2.840.10008.1.2.4.205"})
_WIDTHS = {"US": 2, "SS": 2, "AT": 2, "OW": 2} | dict.fromkeys(("UL", "SL", "FL", "OF", "OL"), 4)
_WIDTHS |= dict.fromkeys(("UV", "SV", "FD", "OD", "OV"), 8)
_LONG = frozenset({b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV"})


class BadFileError(ValueError):
    """The bytes are no well-formed file."""


@dataclass(frozen=True, slots=True)
class Element:
    """One data element.

    Attributes:
        tag: As a number.
        vr: As written, "" in implicit encodings.
        value: The bytes, those of big endian numbers turned; for encapsulated values the fragments with their headers,
            without the last delimiter.
        items: Of a sequence, else None.
        implicit: Whether the items are written in implicit VR.
        undefined: Whether the length was undefined.
        size: In the file, with header and delimiter.

    """

    tag: int
    vr: str
    value: bytes
    items: list[Dataset] | None = None
    implicit: bool = False
    undefined: bool = False
    size: int = 0


Dataset = dict[int, Element]
"""Elements by tag, in the order of the file."""


@dataclass(frozen=True, slots=True)
class DicomFile:
    """A file.

    Attributes:
        meta: File meta information.
        dataset: All else.
        implicit: Whether the dataset has no VRs.
        little: Its byte order.
        order: Tags at top level as they stand in the file.

    """

    meta: Dataset
    dataset: Dataset
    implicit: bool
    little: bool

    def meta_text(self, tag: int) -> str:
        """Return an element of the meta information as text, "" when it is absent."""
        element = self.meta.get(tag)
        return element.value.decode("latin-1").strip(" \0") if element else ""


@lru_cache(maxsize=8192)
def _is_sequence(tag: int) -> bool:
    try:
        return dictionary_VR(tag) == "SQ"
    except KeyError:
        return False


def _turned(data: bytes, width: int) -> bytes:
    """Return numbers in the other byte order; an incomplete last one stays."""
    whole = len(data) // width * width
    words = (data[start : start + width][::-1] for start in range(0, whole, width))
    return b"".join(words) + data[whole:] if width > 1 else data


class _Reader:
    def __init__(self, data: bytes, *, implicit: bool, little: bool) -> None:
        self.data = data
        self.implicit = implicit
        self.little = little
        prefix = "<" if little else ">"
        self.short = struct.Struct(f"{prefix}HH2sH").unpack_from
        self.item = struct.Struct(f"{prefix}HHL").unpack_from
        self.long = struct.Struct(f"{prefix}L").unpack_from

    def dataset(self, position: int, end: int, *, stop_group: int = 0x10000) -> tuple[Dataset, int]:
        found: Dataset = {}
        while position < end:
            tag, vr, length, value = self._header(position)
            if tag == ITEM_END:
                return found, value
            if tag >> 16 >= stop_group:
                break
            element, position = self._element(tag, vr, length, position, value, end)
            if tag in found:
                raise BadFileError("an element stands twice")
            found[tag] = element
        return found, position

    def _header(self, position: int) -> tuple[int, str, int, int]:
        if self.implicit:
            group, number, length = self.item(self.data, position)
            return group << 16 | number, "", length, position + 8
        group, number, vr, length = self.short(self.data, position)
        if group == 0xFFFE:
            return group << 16 | number, "", self.long(self.data, position + 4)[0], position + 8
        if vr in _LONG:
            return group << 16 | number, vr.decode(), self.long(self.data, position + 8)[0], position + 12
        return group << 16 | number, vr.decode("latin-1"), length, position + 8

    def _element(self, tag: int, vr: str, length: int, start: int, value: int, end: int) -> tuple[Element, int]:
        if length == UNDEFINED:
            if vr in ("SQ", "UN") or (self.implicit and tag != 0x7FE00010):
                reader = self if vr != "UN" else _Reader(self.data, implicit=True, little=True)
                items, stop = reader.items(value, end)
                return Element(tag, vr, b"", items, reader.implicit, undefined=True, size=stop - start), stop
            stop = value
            while self._header(stop)[0] == ITEM:
                stop += 8 + self._header(stop)[2]
            return Element(tag, vr, self.data[value:stop], undefined=True, size=stop + 8 - start), stop + 8
        stop = value + length
        if stop > end:
            raise BadFileError(f"an element ends behind its dataset: {tag:08x}")
        if vr == "SQ" or (self.implicit and _is_sequence(tag)):
            return Element(tag, vr, b"", self.items(value, stop)[0], self.implicit, size=stop - start), stop
        data = self.data[value:stop]
        data = data if self.little else _turned(data, _WIDTHS.get(vr, 1))
        return Element(tag, vr, data, size=stop - start), stop

    def items(self, position: int, end: int) -> tuple[list[Dataset], int]:
        items: list[Dataset] = []
        while position < end:
            group, number, length = self.item(self.data, position)
            tag = group << 16 | number
            position += 8
            if tag == SEQUENCE_END:
                return items, position
            if tag != ITEM:
                raise BadFileError("something else than an item in a sequence")
            stop = end if length == UNDEFINED else position + length
            if stop > end:
                raise BadFileError("an item ends behind its sequence")
            dataset, position = self.dataset(position, stop)
            items.append(dataset)
        return items, position


def dataset_at(file: DicomFile, where: tuple[tuple[int, int], ...]) -> Dataset:
    """Return the dataset at the end of a way through sequences and items, an empty one when it ends before."""
    dataset = file.dataset
    for tag, index in where:
        items = dataset[tag].items if tag in dataset else None
        if items is None or index >= len(items):
            return {}
        dataset = items[index]
    return dataset


def read_items(value: bytes, *, implicit: bool, little: bool) -> list[Dataset] | None:
    """Read bytes as the items of a sequence, or return None when they are none."""
    try:
        return _Reader(value, implicit=implicit, little=little).items(0, len(value))[0]
    except (BadFileError, struct.error, UnicodeDecodeError):
        return None


def read_file(data: bytes) -> DicomFile:
    """Read a whole file, with or without preamble and meta information.

    Raises:
        BadFileError: It is not well-formed.

    """
    start = 132 if data[128:132] == b"DICM" else 0
    try:
        meta: Dataset = {}
        if data[start : start + 2] == b"\2\0":
            meta, start = _Reader(data, implicit=False, little=True).dataset(start, len(data), stop_group=3)
        syntax = meta[0x00020010].value.decode().strip(" \0") if 0x00020010 in meta else ""
        body = data[start:]
        if syntax in DEFLATED:
            body = zlib.decompress(body, -zlib.MAX_WBITS)
        explicit = body[4:6].isalpha() and body[4:6].isupper()
        little = syntax != BIG_ENDIAN and not (not syntax and body[:1] == b"\0")
        dataset, _ = _Reader(body, implicit=not explicit, little=little).dataset(0, len(body))
    except (struct.error, UnicodeDecodeError, zlib.error) as error:
        raise BadFileError(str(error)) from None
    return DicomFile(meta, dataset, not explicit, little)
