"""What rules about pixels ask of a source, read by the verifier's own reader.

Public names: ``facts_of``.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final

from pydicom.charset import convert_encodings, decode_bytes

from deidflow.tasks.core.dicom.tags import SPECIFIC_CHARACTER_SET, dictionary_vr
from deidflow.tasks.core.pixels.facts import (
    PIXEL_ELEMENTS,
    REGION_LOCATION,
    REGION_SPATIAL_FORMAT,
    ULTRASOUND_REGIONS,
    KeptRegion,
    PixelFacts,
)

if TYPE_CHECKING:
    from collections.abc import Collection

    from deidflow.tasks.verification.reader import Element, Item, Read

_NUMBERS: Final = {b"US": "H", b"SS": "h", b"UL": "L", b"SL": "l", b"UV": "Q", b"SV": "q", b"FL": "f", b"FD": "d"}
_CONTROLS: Final = {0x09, 0x0A, 0x0C, 0x0D}
"""Behind which a text is in the first character set again (PS3.5 section 6.1.2.5.3)."""
_MAX_BYTES: Final = 1 << 14


def facts_of(read: Read, tags: Collection[int]) -> PixelFacts:
    """Return what is asked of a source.

    Args:
        read: To its end.
        tags: Of the elements of the top level that are asked for.

    """
    named = read.first(SPECIFIC_CHARACTER_SET) or b""
    terms = [term.strip(" \0") for term in named.decode("latin-1").split("\\")]
    encodings = convert_encodings(terms if len(terms) > 1 else terms[0])
    texts: dict[int, str] = {}
    regions: tuple[KeptRegion, ...] | None = None
    for element in read.elements:
        tag, _, start, end, items = element
        if items is not None:
            if tag == ULTRASOUND_REGIONS and regions is None:
                regions = tuple(_region(read, item) for item in items)
        elif tag in tags and tag not in texts and end - start <= _MAX_BYTES:
            texts[tag] = _text(read, element, encodings)
    has_pixels = any(element[0] in PIXEL_ELEMENTS for element in read.elements)
    return PixelFacts(texts, regions or (), has_pixels)


def _text(read: Read, element: Element, encodings: list[str]) -> str:
    tag, vr, start, end, _ = element
    data = read.value(start, end)
    if vr in {b"", b"UN"}:
        vr = (dictionary_vr(tag) or "")[:2].encode()
    form = _NUMBERS.get(vr)
    if form is not None:
        count = len(data) // struct.calcsize(f"={form}")
        numbers = struct.unpack_from(f"{'<' if read.little else '>'}{count}{form}", data)
        return "\\".join(map(str, numbers))
    decoded = decode_bytes(data, encodings, _CONTROLS)
    return "\\".join(value.strip(" \0") for value in decoded.split("\\"))


def _region(read: Read, item: Item) -> KeptRegion:
    order = "<" if read.little else ">"
    found: dict[int, int] = {}
    for tag, _, start, end, _ in item:
        form = {2: "H", 4: "L"}.get(end - start, "")
        if (tag == REGION_SPATIAL_FORMAT and form == "H") or (tag in REGION_LOCATION and form == "L"):
            found.setdefault(tag, struct.unpack(order + form, read.value(start, end))[0])
    return KeptRegion(found.get(REGION_SPATIAL_FORMAT), *(found.get(tag) for tag in REGION_LOCATION))
