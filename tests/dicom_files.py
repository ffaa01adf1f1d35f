"""DICOM files built in code, byte by byte, so that the code under test is not its own witness.

Public names: ``Syntax`` and the syntaxes, ``Element``, ``Item``, ``encode``, ``elements``, ``file_bytes``, ``instance``,
``encapsulated``, ``private_block``.
"""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from pydicom.datadict import dictionary_VR, tag_for_keyword

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence


class Syntax(NamedTuple):
    """A transfer syntax and how its elements are written."""

    uid: str
    explicit: bool = True
    little: bool = True
    deflated: bool = False

    @property
    def prefix(self) -> str:
        """Byte order for the struct module."""
        return "<" if self.little else ">"


IMPLICIT: Final = Syntax("1.2.840.10008.1.2", explicit=False)
EXPLICIT: Final = Syntax("1.2.840.10008.1.2.1")
BIG: Final = Syntax("1.2.840.10008.1.2.2", little=False)
DEFLATED: Final = Syntax("1.2.840.10008.1.2.1.99", deflated=True)
JPEG: Final = Syntax("1.2.840.10008.1.2.4.50")
RLE: Final = Syntax("1.2.840.10008.1.2.5")
UNCOMPRESSED: Final = (IMPLICIT, EXPLICIT, BIG, DEFLATED)

CT_STORAGE: Final = "1.2.840.10008.5.1.4.1.1.2"
_UNDEFINED: Final = 0xFFFFFFFF
_LONG_VRS: Final = frozenset({"OB", "OD", "OF", "OL", "OV", "OW", "SQ", "SV", "UC", "UN", "UR", "UT", "UV"})
_NUMBERS: Final = {"US": "H", "SS": "h", "UL": "L", "SL": "l", "FL": "f", "FD": "d", "UV": "Q", "SV": "q", "OW": "H"}


class Element(NamedTuple):
    """One element: raw bytes, items of a sequence (``Item``), or fragments of an encapsulated value (``bytes``)."""

    tag: int
    vr: str
    value: bytes | tuple[Item, ...] | tuple[bytes, ...]
    undefined: bool = False


class Item(NamedTuple):
    """One item of a sequence."""

    elements: tuple[Element, ...]
    undefined: bool = False


def encode(dataset: Iterable[Element], syntax: Syntax) -> bytes:
    """Write elements in the order given."""
    return b"".join(_encode(element, syntax) for element in dataset)


def _encode(element: Element, syntax: Syntax) -> bytes:
    tag, vr, value, undefined = element
    if isinstance(value, bytes):
        data, length = value, len(value)
    elif value and isinstance(value[0], bytes):
        data = b"".join(_pack(0xFFFEE000, len(part), syntax) + part for part in value if isinstance(part, bytes))
        data, length = data + _pack(0xFFFEE0DD, 0, syntax), _UNDEFINED
    else:
        # A sequence sent as UN is written in implicit VR little endian (PS3.5 6.2.2 note 2).
        inner = IMPLICIT if vr == "UN" else syntax
        data = b"".join(_encode_item(item, inner) for item in value if isinstance(item, Item))
        length = len(data)
        if undefined:
            data, length = data + _pack(0xFFFEE0DD, 0, inner), _UNDEFINED
    return _header(tag, vr, length, syntax) + data


def _encode_item(item: Item, syntax: Syntax) -> bytes:
    data = encode(item.elements, syntax)
    if item.undefined:
        return _pack(0xFFFEE000, _UNDEFINED, syntax) + data + _pack(0xFFFEE00D, 0, syntax)
    return _pack(0xFFFEE000, len(data), syntax) + data


def _header(tag: int, vr: str, length: int, syntax: Syntax) -> bytes:
    if not syntax.explicit:
        return _pack(tag, length, syntax)
    start = struct.pack(f"{syntax.prefix}HH2s", tag >> 16, tag & 0xFFFF, vr.encode())
    if vr in _LONG_VRS:
        return start + struct.pack(f"{syntax.prefix}HL", 0, length)
    return start + struct.pack(f"{syntax.prefix}H", length)


def _pack(tag: int, length: int, syntax: Syntax) -> bytes:
    return struct.pack(f"{syntax.prefix}HHL", tag >> 16, tag & 0xFFFF, length)


def elements(values: Mapping[str, Any], syntax: Syntax = EXPLICIT, charset: str = "latin-1") -> list[Element]:
    """Return elements in the order of their tags.

    Args:
        values: By keyword: text, bytes, a number or several, a list of such mappings for a sequence; None leaves it out.
        syntax: Whose byte order numbers take.
        charset: Python's codec for text.

    Raises:
        KeyError: The dictionary has no such keyword.

    """
    made = [_element(keyword, value, syntax, charset) for keyword, value in values.items() if value is not None]
    return sorted(made)


def _element(keyword: str, value: Any, syntax: Syntax, charset: str) -> Element:
    tag = tag_for_keyword(keyword)
    if tag is None:
        raise KeyError(keyword)
    vr = dictionary_VR(tag).split(" or ")[0]
    if vr == "SQ":
        return Element(tag, vr, tuple(Item(tuple(elements(item, syntax, charset))) for item in value))
    if isinstance(value, str):
        data = value.encode(charset)
        return Element(tag, vr, data + (b"\0" if vr == "UI" else b" ") * (len(data) % 2))
    if isinstance(value, int | float):
        value = [value]
    if isinstance(value, bytes):
        return Element(tag, vr, value)
    return Element(tag, vr, struct.pack(f"{syntax.prefix}{len(value)}{_NUMBERS[vr]}", *value))


def encapsulated(*fragments: bytes, tag: int = 0x7FE00010) -> Element:
    """Return pixel data in fragments behind an empty offset table."""
    return Element(tag, "OB", (b"", *fragments))


def private_block(group: int, *data: Element, creator: bytes = b"TEST BLOCK") -> list[Element]:
    """Return a private creator (block 10) and its elements."""
    return [Element(group << 16 | 0x10, "LO", creator), *data]


def file_bytes(
    dataset: Sequence[Element],
    syntax: Syntax = EXPLICIT,
    *,
    preamble: bytes | None = bytes(128),
    meta: Mapping[str, Any] | None = None,
    bare: bool = False,
) -> bytes:
    """Return a whole file: preamble, meta information with its group length, dataset.

    Args:
        dataset: Its elements, in the order in which they are written.
        syntax: How.
        preamble: 128 bytes, None for a file that starts with its meta information.
        meta: Elements of group 0002 beside the usual ones, by keyword; None as a value leaves one out.
        bare: The dataset alone, without preamble and meta information.

    """
    body = encode(dataset, syntax)
    if bare:
        return body
    if syntax.deflated:
        deflater = zlib.compressobj(wbits=-zlib.MAX_WBITS)
        body = deflater.compress(body) + deflater.flush()
        body += b"\0" * (len(body) % 2)
    known = {element.tag: element.value for element in dataset}
    values = {
        "FileMetaInformationVersion": b"\0\1",
        "MediaStorageSOPClassUID": known.get(0x00080016),
        "MediaStorageSOPInstanceUID": known.get(0x00080018),
        "TransferSyntaxUID": syntax.uid,
        "ImplementationClassUID": "1.2.3.4",
        **(meta or {}),
    }
    group = encode(elements(values), EXPLICIT)
    length = encode([Element(0x00020000, "UL", len(group).to_bytes(4, "little"))], EXPLICIT)
    return (b"" if preamble is None else preamble + b"DICM") + length + group + body


IDENTIFIERS: Final = {
    "SOPClassUID": CT_STORAGE,
    "SOPInstanceUID": "1.2.3.1.1.1",
    "PatientName": "Doe^Jane",
    "PatientID": "P-1",
    "StudyInstanceUID": "1.2.3.1",
    "SeriesInstanceUID": "1.2.3.1.1",
}


def instance(
    *extra: Element,
    syntax: Syntax = EXPLICIT,
    charset: str = "latin-1",
    preamble: bytes | None = bytes(128),
    meta: Mapping[str, Any] | None = None,
    **keywords: Any,
) -> bytes:
    """Return a file with the identifiers of one patient and whatever else is given.

    Args:
        extra: Further elements, sorted in by their tags.
        syntax: How it is written.
        charset: Python's codec for text.
        preamble: See ``file_bytes``.
        meta: See ``file_bytes``.
        keywords: Values by keyword; None leaves an identifier out.

    """
    made = [*elements({**IDENTIFIERS, **keywords}, syntax, charset), *extra]
    return file_bytes(sorted(made, key=lambda element: element.tag), syntax, preamble=preamble, meta=meta)
