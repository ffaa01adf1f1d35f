"""The sound files that are mutated: pydicom's small ones and some built in code, patients' data replaced by markers.

Public names: ``Seed``, ``Header``, ``seeds``, ``MARKERS``, ``ITEM_HEADER``, ``UNDEFINED``.
"""

from __future__ import annotations

import struct
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from deidflow.tasks.core.errors import InstanceFailed
from deidflow.tasks.local.dicom_file.encoding import LONG_VRS
from deidflow.tasks.local.dicom_file.source_file import SourceFile
from deidflow.tasks.local.folder.index import identify
from tests.dicom_files import (
    BIG,
    DEFLATED,
    EXPLICIT,
    IMPLICIT,
    JPEG,
    Element,
    Item,
    Syntax,
    elements,
    encapsulated,
    instance,
    private_block,
)
from tests.local.edits import PACKAGE, all_files, modify

if TYPE_CHECKING:
    from deidflow.tasks.local.dicom_file.elements import Element as Scanned
    from deidflow.tasks.local.dicom_file.encoding import Encoding

MARKERS: Final = (b"ZQXNAME", b"ZQXIDEN", b"ZQXBORN")
"""In PatientName, PatientID and PatientBirthDate, at any depth; nothing else holds such letters."""

UNDEFINED: Final = 0xFFFFFFFF
ITEM_HEADER: Final = 0xFFFEE000

_SMALL_BYTES: Final = 40_000
_MOST_STRANGERS: Final = 4
"""Files without the identifiers of an instance, which the index refuses whatever else is wrong with them."""

_LARGE: Final = ("SC_rgb_jpeg_dcmd.dcm", "examples_jpeg2k.dcm")
_PATIENT: Final[dict[str, Any]] = {
    "PatientName": "ZQXNAME^Jane",
    "PatientID": "ZQXIDEN-1",
    "PatientBirthDate": "ZQXBORN1",
}
_INNER: Final[dict[str, Any]] = {**_PATIENT, "StudyInstanceUID": "1.2.3.1", "ReferencedSOPInstanceUID": "1.2.3.1.1.1"}


class Header(NamedTuple):
    """Where one element or item of a seed stands.

    Attributes:
        start: Of its header.
        length_at: Of the length field.
        length_bytes: 2 or 4.
        value: Of its value.
        end: Behind it and its delimiter.
        has_vr: Whether a VR stands behind the tag.
        little: Byte order.

    """

    start: int
    length_at: int
    length_bytes: int
    value: int
    end: int
    has_vr: bool
    little: bool


class Seed(NamedTuple):
    """A sound file and where its elements stand.

    Attributes:
        name: For people.
        data: The file.
        headers: Of all elements and items at any depth, in the order of the file; none inside a deflated dataset.
        sibling: The same file as another instance of its series.

    """

    name: str
    data: bytes
    headers: tuple[Header, ...]
    sibling: bytes


@lru_cache(maxsize=1)
def seeds() -> tuple[Seed, ...]:
    """Return all seeds, the same ones in the same order in every process."""
    found = [_seed(f"built-{number}", data) for number, data in enumerate(_built())]
    names = set()
    strangers = 0
    for path in all_files():
        small = path.stat().st_size <= _SMALL_BYTES or path.name in _LARGE
        # One of the many slices of the same few series is enough.
        family = (path.parent.name, path.stat().st_size // 1000, path.suffix) if not path.suffix else path.name
        if not small or family in names:
            continue
        data = path.read_bytes()
        try:
            marked = modify({"Replace": dict(_PATIENT), "Force": True, "Keep": _KEPT})(data)
            with SourceFile.of_bytes(marked) as source:
                identified = all(identify(source, source.scan())[0])
        except InstanceFailed:
            continue
        strangers += not identified
        if not identified and strangers > _MOST_STRANGERS:
            continue
        names.add(family)
        found.append(_seed(str(path.relative_to(PACKAGE)), marked))
    return tuple(found)


_KEPT: Final = ["SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID"]


def _built() -> list[bytes]:
    syntaxes: tuple[Syntax, ...] = (EXPLICIT, IMPLICIT, BIG, DEFLATED)
    made = [_rich(syntax, undefined=undefined) for syntax in syntaxes for undefined in (False, True)]
    pixels = encapsulated(bytes(range(200)), b"\xff\xd8\xff\xd9" * 50)
    made += [
        instance(pixels, syntax=JPEG, **_PATIENT),
        instance(Element(0x7FE00010, "OW", bytes(3000)), SpecificCharacterSet="\\ISO 2022 IR 87", **_PATIENT),
        instance(preamble=None, SpecificCharacterSet="ISO_IR 192", **_PATIENT),
        instance(meta={"PrivateInformationCreatorUID": "1.2.3", "PrivateInformation": bytes(12_000)}, **_PATIENT),
        instance(*_towers(EXPLICIT), **_PATIENT),
    ]
    return made


def _rich(syntax: Syntax, *, undefined: bool) -> bytes:
    """Return a file with sequences of every kind, private blocks, overlays and pixels."""
    inner = tuple(elements(_INNER, syntax))
    un_inner = tuple(elements(_INNER, IMPLICIT))
    made: list[Element] = [
        Element(0x00081140, "SQ", (Item(inner, undefined), Item(inner)), undefined),
        Element(0x00081115, "UN", (Item(un_inner, undefined),), undefined),
        Element(0x00101002, "SQ", (Item((*inner, Element(0x0040A730, "SQ", (Item(inner),))), undefined),), undefined),
        Element(0x0040A730, "SQ", (Item(inner, undefined), Item(())), undefined),
        # One that the profiles keep, with one inside it.
        Element(0x00540016, "SQ", (Item((*inner, Element(0x00540300, "SQ", (Item(inner),))), undefined),), undefined),
        Element(0x00080000, "UL", struct.pack(f"{syntax.prefix}L", 180)),
        Element(0x60003000, "OW", bytes(40)),
        Element(0x7FE00010, "OW", bytes(600)),
        Element(0xFFFCFFFC, "OB", bytes(20)),
        *private_block(0x0009, Element(0x00091001, "LO", b"ZQXNAME^private "), Element(0x00091002, "SQ", ())),
    ]
    values: dict[str, Any] = {
        **_PATIENT,
        "SpecificCharacterSet": "ISO_IR 100",
        "StudyDate": "20240101",
        "StudyDescription": "a description",
        "SeriesDescription": "another",
        "FrameOfReferenceUID": "1.2.3.5",
        "Rows": 10,
        "Columns": 30,
    }
    return instance(*made, syntax=syntax, **values)


def _towers(syntax: Syntax) -> list[Element]:
    """Return sequences nested 30 deep, names at the bottom."""
    data = Element(0x0040A730, "SQ", (Item(tuple(elements(_INNER, syntax))),))
    for level in range(29):
        data = Element(0x0040A730, "SQ", (Item((data,), bool(level % 2)),), bool(level % 3))
    return [data]


def _seed(name: str, data: bytes) -> Seed:
    headers: list[Header] = []
    with SourceFile.of_bytes(data) as source:
        layout = source.layout
        found = source.scan()
        _collect(headers, [(element, data) for element in layout.meta], None)
        if not layout.deflated:
            _collect(headers, [(element, data) for element in found], layout.encoding)
        uid = next((data[value:end] for tag, _, _, value, end, _ in found if tag == 0x00080018), b"")
    sibling = data
    if uid.rstrip(b"\0") and not layout.deflated:
        digit = uid.rstrip(b"\0")[-1:]
        other = uid.rstrip(b"\0")[:-1] + (b"2" if digit != b"2" else b"3") + uid[len(uid.rstrip(b"\0")) :]
        sibling = data.replace(uid, other)
    return Seed(name, data, tuple(sorted(headers)), sibling)


def _collect(headers: list[Header], found: list[tuple[Scanned, bytes]], encoding: Encoding | None) -> None:
    """Note all headers; without an encoding those of file meta information."""
    for (_, _, start, value, end, sequence), data in found:
        has_vr = encoding is None or encoding.explicit
        little = encoding is None or encoding.little
        short = has_vr and data[start + 4 : start + 6] not in LONG_VRS
        length_bytes = 2 if short else 4
        headers.append(Header(start, value - length_bytes, length_bytes, value, end, has_vr, little))
        if sequence is None:
            continue
        inner, items = sequence
        for first, content, _, last, inside in items:
            headers.append(Header(first, content - 4, 4, content, last, has_vr=False, little=inner.little))
            _collect(headers, [(element, data) for element in inside], inner)
