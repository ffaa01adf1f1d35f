"""What a result of the PS3.15 profile says of its own de-identification.

Source: PS3.15 sections E.1.1, E.2 and E.3.6, PS3.3 sections C.7.1.1 and C.12.1 (edition 2026d).

Public names: ``profile_record``, ``record_where_overruled``, ``APPENDED``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from deidflow.tasks.core.dicom.tags import BURNED_IN_ANNOTATION, DEIDENTIFICATION_METHOD, PATIENT_IDENTITY_REMOVED
from deidflow.tasks.core.request.profile_choice import Option
from deidflow.tasks.local.deidentification.standard.method_codes import (
    Applied,
    applied_codes,
    deidentifying_equipment,
    longitudinal_information,
    method_text,
)
from deidflow.tasks.local.deidentification.standard.profile import load_profile
from deidflow.tasks.local.editing.table import WherePresent

if TYPE_CHECKING:
    from deidflow.tasks.core.request.edits import Value

_METHOD_CODES: Final = 0x00120064
_LONGITUDINAL: Final = 0x00280303
_CONTRIBUTING_EQUIPMENT: Final = 0x0018A001
APPENDED: Final = frozenset({_METHOD_CODES, _CONTRIBUTING_EQUIPMENT})
"""Sequences that keep the items of earlier steps."""


def profile_record(options: frozenset[Option], *, departs: bool, pixels_are_clean: bool = False) -> dict[int, Value]:
    """Return the values of the attributes that tell of the de-identification, by tag; see ``record_where_overruled``.

    Args:
        options: That were applied to every instance.
        departs: Whether the request keeps what the profile does not.
        pixels_are_clean: Whether text in the pixels was painted over, or a rule says that there is none.

    """
    return _record(options, departs=departs, present=frozenset(), pixels_are_clean=pixels_are_clean)


def record_where_overruled(
    options: frozenset[Option], *, departs: bool, pixels_are_clean: bool = False
) -> WherePresent | None:
    """Return what is said otherwise of instances in which one option overrules another; None where none ever does.

    Eleven attributes stay by Retain Device Identity and move by Modified Dates. Where both are asked for they move, so
    an instance that has one of them does not have the first option in full.

    Args:
        options: See ``profile_record``.
        departs: See ``profile_record``.
        pixels_are_clean: See ``profile_record``.

    """
    tags = {int(tag.replace(",", ""), 16) for found in load_profile().conflicts(options).values() for tag in found}
    usual, other = (
        _record(options, departs=departs, present=present, pixels_are_clean=pixels_are_clean)
        for present in (frozenset[str](), None)
    )
    values = {tag: value for tag, value in other.items() if usual.get(tag) != value}
    return WherePresent(frozenset(tags), values) if values else None


def _record(
    options: frozenset[Option], *, departs: bool, present: frozenset[str] | None, pixels_are_clean: bool
) -> dict[int, Value]:
    # What an option keeps that is not claimed nobody would know of, so that the basic profile is not claimed either.
    keeping = options - {Option.CLEAN_PIXEL_DATA}
    departs = departs or not all(map(Applied(options, present=present).claims, keeping))
    applied = Applied(options, departs, present=present, pixels_are_clean=pixels_are_clean)
    codes = applied_codes(applied)
    record: dict[int, Value] = {
        PATIENT_IDENTITY_REMOVED: "YES",
        DEIDENTIFICATION_METHOD: method_text(applied),
        _LONGITUDINAL: longitudinal_information(options),
        _CONTRIBUTING_EQUIPMENT: (deidentifying_equipment(),),
    }
    if applied.claims(Option.CLEAN_PIXEL_DATA):
        record[BURNED_IN_ANNOTATION] = "NO"
    if codes:
        record[_METHOD_CODES] = tuple(code.as_item() for code in codes)
    return record
