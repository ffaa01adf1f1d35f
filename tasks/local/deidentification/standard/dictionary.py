"""The data dictionary of the profile's edition: pydicom's, and what the edition has that pydicom does not know yet.

Attributes outside it are unknown: nothing tells what their values are, so nobody can say that they are harmless
(PS3.15 section E.1.1, edition 2026d: what is not of the standard is the application's duty).

Public names: ``vr_of``, ``is_known``.
"""

from __future__ import annotations

import csv
from functools import lru_cache
from importlib.resources import files
from typing import Final

from pydicom._dicom_dict import DicomDictionary
from pydicom.datadict import dictionary_VR, keyword_for_tag, repeater_has_tag

_TABLES: Final = "deidflow.tasks.local.deidentification.tables"
_CURVES: Final = 0x5000
_OVERLAYS: Final = 0x6000


@lru_cache
def _additions() -> dict[int, str]:
    text = files(_TABLES).joinpath("vr_additions.csv").read_text(encoding="utf-8")
    return {int(row["tag"].replace(",", ""), 16): row["vr"] for row in csv.DictReader(text.splitlines())}


@lru_cache(maxsize=8192)
def vr_of(tag: int) -> str | None:
    """Return the value representation of a public attribute, None where the edition's dictionary does not have it.

    Group lengths (gggg,0000) are UL. Of the repeating groups only curves (50xx) and overlays (60xx) are known; the
    other retired ones, such as Source Image IDs (0020,31xx), are in no current IOD and in no row of Table E.1-1.

    Args:
        tag: The plain tag, with an even group.

    Returns:
        Two characters, or what PS3.6 allows as alternatives: ``US or SS``, ``OB or OW``.

    """
    if not tag & 0xFFFF:
        return "UL"
    if tag in _additions():
        return _additions()[tag]
    if tag not in DicomDictionary and repeater_has_tag(tag) and tag >> 16 & 0xFF00 not in (_CURVES, _OVERLAYS):
        return None
    # Numbers that PS3.6 lists without a name were given back before they meant anything.
    return dictionary_VR(tag) if keyword_for_tag(tag) else None


def is_known(tag: int) -> bool:
    """Whether a public attribute is in the edition's dictionary."""
    return vr_of(tag) is not None
