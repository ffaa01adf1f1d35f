"""What a result says of its own de-identification: codes of CID 7050 and the attributes that go with them.

A code is claimed only where what it stands for was done in full (PS3.15 section E.1.1 and E.3, edition 2026d; the codes
are those of PS3.16 CID 7050).

Public names: ``Applied``, ``applied_codes``, ``method_text``, ``longitudinal_information``,
``deidentifying_equipment``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from deidflow.tasks.core.request.profile_choice import PROFILE_EDITION, Option
from deidflow.tasks.local.deidentification.standard.code_items import CodeItem
from deidflow.tasks.local.deidentification.standard.profile import load_profile

if TYPE_CHECKING:
    from collections.abc import Collection

    from deidflow.tasks.core.request.edits import Item

_BASIC_PROFILE: Final = CodeItem("113100", "Basic Application Confidentiality Profile")
_OF_OPTIONS: Final = {
    Option.CLEAN_PIXEL_DATA: CodeItem("113101", "Clean Pixel Data Option"),
    Option.CLEAN_GRAPHICS: CodeItem("113103", "Clean Graphics Option"),
    Option.CLEAN_STRUCTURED_CONTENT: CodeItem("113104", "Clean Structured Content Option"),
    Option.CLEAN_DESCRIPTORS: CodeItem("113105", "Clean Descriptors Option"),
    Option.RETAIN_FULL_DATES: CodeItem("113106", "Retain Longitudinal Temporal Information Full Dates Option"),
    Option.RETAIN_MODIFIED_DATES: CodeItem("113107", "Retain Longitudinal Temporal Information Modified Dates Option"),
    Option.RETAIN_PATIENT_CHARACTERISTICS: CodeItem("113108", "Retain Patient Characteristics Option"),
    Option.RETAIN_DEVICE_IDENTITY: CodeItem("113109", "Retain Device Identity Option"),
    Option.RETAIN_UIDS: CodeItem("113110", "Retain UIDs Option"),
    Option.RETAIN_SAFE_PRIVATE: CodeItem("113111", "Retain Safe Private Option"),
    Option.RETAIN_INSTITUTION_IDENTITY: CodeItem("113112", "Retain Institution Identity Option"),
}

_PURPOSE_OF_REFERENCE: Final = 0x0040A170
_MANUFACTURER: Final = 0x00080070
_DEIDENTIFYING_EQUIPMENT: Final = CodeItem("109104", "De-identifying Equipment")


@dataclass(frozen=True, slots=True)
class Applied:
    """What was done to one instance.

    Attributes:
        options: The options that were asked for.
        departs: Whether the request or the site kept something that the basic profile asks to be protected and no
            option of the standard lets stay.
        present: Tags, as in the rows of Table E.1-1, that the source has at any depth; None if nobody looked, which
            counts as if it had all of them.
        pixels_are_clean: Whether Clean Pixel Data was carried out, or shown to be needless.

    """

    options: frozenset[Option]
    departs: bool = False
    present: Collection[str] | None = None
    pixels_are_clean: bool = False

    def claims(self, option: Option) -> bool:
        """Whether the result may say that an option was applied."""
        if option not in self.options:
            return False
        if option is Option.CLEAN_PIXEL_DATA and not self.pixels_are_clean:
            return False
        overruled = load_profile().conflicts(self.options).get(option, frozenset())
        return not overruled if self.present is None else overruled.isdisjoint(self.present)


def applied_codes(applied: Applied) -> tuple[CodeItem, ...]:
    """Return the codes for De-identification Method Code Sequence (0012,0064), in the order of their values.

    Basic Application Confidentiality Profile (113100) stands for the profile with whatever options are named beside it;
    it is left out when something departs from it that no named option covers.
    """
    # An option that was overruled protects more, not less: the basic profile holds all the same.
    codes = [_BASIC_PROFILE] if not applied.departs else []
    codes += [code for option, code in _OF_OPTIONS.items() if applied.claims(option)]
    return tuple(sorted(codes, key=lambda code: code.value))


def method_text(applied: Applied) -> str:
    """Return the value of De-identification Method (0012,0063): values of at most 64 characters (LO)."""
    codes = applied_codes(applied)
    profile = "Basic Profile" if _BASIC_PROFILE in codes else "adapted"
    values = [f"deidflow - PS 3.15-{PROFILE_EDITION} Table E.1-1 {profile}"]
    values += [code.meaning for code in codes if code != _BASIC_PROFILE]
    return "\\".join(values)


def longitudinal_information(options: Collection[Option]) -> str:
    """Return the value of Longitudinal Temporal Information Modified (0028,0303): E.2 and E.3.6."""
    if Option.RETAIN_FULL_DATES in options:
        return "UNMODIFIED"
    return "MODIFIED" if Option.RETAIN_MODIFIED_DATES in options else "REMOVED"


def deidentifying_equipment() -> Item:
    """Return the item that Contributing Equipment Sequence (0018,A001) gets: who de-identified, by no clock or version.

    Purpose of Reference is of CID 7005 (PS3.16); Manufacturer is the one attribute besides that PS3.3 section C.12.1
    asks for. Nothing else is there, since some programs take a model in an item for the scanner's.
    """
    return (
        (_MANUFACTURER, "deidflow"),
        (_PURPOSE_OF_REFERENCE, (_DEIDENTIFYING_EQUIPMENT.as_item(),)),
    )
