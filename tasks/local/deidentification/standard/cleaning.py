"""What C, clean, means for an element: Table E.1-1a asks for a value of similar meaning, and that depends on the VR.

Public names: ``Cleaning``, ``cleaning_of``.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from deidflow.tasks.core.request.profile_choice import Option
from deidflow.tasks.local.deidentification.standard.date_values import is_shared_constant


class Cleaning(StrEnum):
    """How one element is cleaned."""

    SHIFT_DA = "shift_da"
    """``date_values.shift_da``."""
    SHIFT_DT = "shift_dt"
    """``date_values.shift_dt``."""
    CHECK_TM = "check_tm"
    """``date_values.checked_tm``: times of the day stay."""
    CAP_AS = "cap_as"
    """``date_values.capped_as``."""
    DUMMY_DATE = "dummy_date"
    """A date that many patients share: the VR's dummy (``dummies.dummy_value``)."""
    KEEP = "keep"
    """The VR or the attribute can hold nothing but numbers or terms."""
    TEXT = "text"
    """``text.cleaner``."""
    LABEL = "label"
    """Likewise, but only where the instance names somebody or some place by a part of it: a term, or a short name."""
    MAP_UID = "map_uid"
    """Each UID that is not of the standard is replaced by the keyed one."""
    ITEMS = "items"
    """Each element of each item on its own merits."""
    REMOVE = "remove"
    """Octets, graphics, addresses: what stands there cannot be told, so nothing of it stays."""


_TIMEZONE_OFFSET: Final = 0x00080201
_TEXT: Final = frozenset({"AE", "CS", "LO", "LT", "PN", "SH", "ST", "UC", "UT"})
_NUMBERS: Final = frozenset({"AT", "DS", "FD", "FL", "IS", "OD", "OF", "OL", "OV", "SL", "SS", "SV", "UL", "US", "UV"})
_OCTETS: Final = frozenset({"OB", "OW"})
_DATES: Final = {"DA": Cleaning.SHIFT_DA, "DT": Cleaning.SHIFT_DT, "TM": Cleaning.CHECK_TM, "AS": Cleaning.CAP_AS}


def cleaning_of(tag: int, vr: str, option: Option) -> Cleaning:
    """Return how an element is cleaned.

    Args:
        tag: The plain tag; of a private element too.
        vr: Two characters: of the data set, or of Table E.3.10-1 for a private element that came as UN.
        option: The option whose code C governs.

    Returns:
        For private elements (``retain-safe-private``) octets stay, too: it is what the list vouches for, such as the
        volumes of ultrasound scanners. Everywhere else nobody can look into them, so they go.

    """
    if vr in _DATES:
        return Cleaning.DUMMY_DATE if is_shared_constant(tag) else _DATES[vr]
    if vr == "SQ":
        return Cleaning.ITEMS
    if vr == "UI":
        return Cleaning.MAP_UID
    if tag == _TIMEZONE_OFFSET or vr in _NUMBERS:
        return Cleaning.KEEP
    if vr in _TEXT:
        return Cleaning.LABEL if vr == "CS" and option is Option.CLEAN_DESCRIPTORS else Cleaning.TEXT
    return Cleaning.KEEP if vr in _OCTETS and option is Option.RETAIN_SAFE_PRIVATE else Cleaning.REMOVE
