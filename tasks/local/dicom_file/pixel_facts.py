"""The attributes of an open file that rules about its pixels ask for.

Public names: ``pixel_facts``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from deidflow.tasks.core.dicom.tags import SPECIFIC_CHARACTER_SET, dictionary_vr
from deidflow.tasks.core.pixels.facts import (
    PIXEL_ELEMENTS,
    REGION_LOCATION,
    REGION_SPATIAL_FORMAT,
    ULTRASOUND_REGIONS,
    KeptRegion,
    PixelFacts,
)
from deidflow.tasks.local.dicom_file.character_sets import DEFAULT, character_set

if TYPE_CHECKING:
    from collections.abc import Collection

    from deidflow.tasks.local.dicom_file.character_sets import CharacterSet
    from deidflow.tasks.local.dicom_file.elements import Element, Read
    from deidflow.tasks.local.dicom_file.encoding import Encoding
    from deidflow.tasks.local.dicom_file.source_file import SourceFile

_NUMBERS: Final = {"US": "u2", "SS": "i2", "UL": "u4", "SL": "i4", "UV": "u8", "SV": "i8", "FL": "f4", "FD": "f8"}
_MAX_BYTES: Final = 1 << 14
"""What is longer is no attribute that a rule asks for."""


def pixel_facts(elements: Collection[Element], source: SourceFile, tags: Collection[int]) -> PixelFacts:
    """Read what rules ask of an instance.

    Args:
        elements: Of the top level; of several with one tag the first counts.
        source: Their file, open.
        tags: Of the elements that are asked for.

    """
    read = source.read
    charset = next(
        (character_set(read(value, end)) for tag, _, _, value, end, _ in elements if tag == SPECIFIC_CHARACTER_SET),
        DEFAULT,
    )
    texts: dict[int, str] = {}
    regions: tuple[KeptRegion, ...] = ()
    has_pixels = False
    for tag, vr, _, value, end, sequence in elements:
        has_pixels = has_pixels or tag in PIXEL_ELEMENTS
        if sequence is not None:
            if tag == ULTRASOUND_REGIONS and not regions:
                regions = tuple(_region(item[4], read, sequence[0]) for item in sequence[1])
        elif tag in tags and tag not in texts and end - value <= _MAX_BYTES:
            texts[tag] = _text(tag, vr, read(value, end), charset, source.layout.encoding)
    return PixelFacts(texts, regions, has_pixels)


def _text(tag: int, vr: str, data: bytes, charset: CharacterSet, encoding: Encoding) -> str:
    """Return the values of an element, joined by a backslash."""
    if vr in {"UN", ""} or " or " in vr:
        vr = (dictionary_vr(tag) or vr)[:2]
    form = _NUMBERS.get(vr)
    if form is not None:
        whole = len(data) // int(form[1]) * int(form[1])
        return "\\".join(str(one) for one in np.frombuffer(data[:whole], encoding.prefix + form).tolist())
    text = charset.decode(data, is_person_name=vr == "PN")
    return "\\".join(value.strip(" \0") for value in text.split("\\"))


def _region(elements: Collection[Element], read: Read, encoding: Encoding) -> KeptRegion:
    """Return an item of SequenceOfUltrasoundRegions."""
    found: dict[int, int] = {}
    for tag, _, _, value, end, sequence in elements:
        wanted = 2 if tag == REGION_SPATIAL_FORMAT else 4
        if (tag == REGION_SPATIAL_FORMAT or tag in REGION_LOCATION) and sequence is None and end - value == wanted:
            found.setdefault(tag, int(np.frombuffer(read(value, end), f"{encoding.prefix}u{wanted}")[0]))
    return KeptRegion(found.get(REGION_SPATIAL_FORMAT), *(found.get(tag) for tag in REGION_LOCATION))
