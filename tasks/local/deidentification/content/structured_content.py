"""Whose the value of a content item is, by the name of its concept (PS3.15 section E.3.4, Clean Structured Content).

Observers, devices and subjects have concepts of their own (PS3.16 TID 1002 to 1010; ``content_concepts.csv``). The same
holds for acquisition context and specimen preparation.

Public names: ``stays_by_concept``.
"""

from __future__ import annotations

import csv
from functools import lru_cache
from importlib.resources import files
from typing import TYPE_CHECKING, Final

from deidflow.tasks.core.request.profile_choice import Option

if TYPE_CHECKING:
    from collections.abc import Collection

_PACKAGE: Final = "deidflow.tasks.local.deidentification.content"
_BY_VALUE_TYPE: Final = frozenset(
    {"PNAME", "UIDREF", "CONTAINER", "IMAGE", "COMPOSITE", "WAVEFORM", "SCOORD", "SCOORD3D", "TABLE"}
)
"""Names and UIDs, which have rules of their own, and references whose attributes Table E.1-1 names."""
_DATES: Final = frozenset({"DATE", "DATETIME", "TCOORD"})
_LOCATION: Final = "location"
_PRODUCT: Final = "product"
"""Maker, model and algorithm, which Table E.1-1 leaves where they are attributes, too (Manufacturer, AlgorithmName)."""
_RETAINED_BY: Final = {
    "device": Option.RETAIN_DEVICE_IDENTITY,
    _LOCATION: Option.RETAIN_DEVICE_IDENTITY,
    "organization": Option.RETAIN_INSTITUTION_IDENTITY,
    "characteristic": Option.RETAIN_PATIENT_CHARACTERISTICS,
}


@lru_cache
def _kinds() -> dict[str, str]:
    text = files(_PACKAGE).joinpath("content_concepts.csv").read_text(encoding="utf-8")
    return {row["code"]: row["kind"] for row in csv.DictReader(text.splitlines())}


def stays_by_concept(value_type: str, concept: tuple[str, str], options: Collection[Option]) -> bool | None:
    """Return whether the value of a content item stays, by whose it is; None where the concept does not say whose.

    Args:
        value_type: Value Type (0040,A040).
        concept: Code value and coding scheme designator of the concept's name.
        options: The profile's options, ``clean-structured-content`` among them; without it the whole Content Sequence
            is a dummy.

    Returns:
        For the value itself; items beneath it are judged by their own concepts. An age over 89 years is up to the
        caller.

    """
    kind = _kinds().get(concept[0].strip(" ")) if concept[1].strip(" ") == "DCM" else None
    if kind is None or value_type in _BY_VALUE_TYPE:
        return None
    if kind != _PRODUCT and _RETAINED_BY.get(kind) not in options:
        return False
    # Where a device stands may name the institution, which has an option of its own.
    is_cleaned = kind == _LOCATION and Option.RETAIN_INSTITUTION_IDENTITY not in options
    return None if value_type in _DATES or is_cleaned else True
