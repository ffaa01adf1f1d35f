"""Dates, times and ages under the date options of PS3.15 (E.3.6), value by value.

A value is the text of an element, several values joined by backslashes, as PS3.5 section 6.2 (edition 2026d) has it.
What is no complete, possible date is emptied: nobody can say what it means, so nobody can move it.

Public names: ``shift_da``, ``shift_dt``, ``checked_tm``, ``capped_as``, ``is_shared_constant``.
"""

from __future__ import annotations

import re
from datetime import date, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from deidflow.tasks.local.deidentification.standard.dummies import DUMMY_DATE, DUMMY_TIME

if TYPE_CHECKING:
    from collections.abc import Callable

_DA: Final = re.compile(r"(\d{4})(\.?)(\d{2})\2(\d{2})", re.ASCII)
"""With points as ACR-NEMA wrote it, which PS3.5 lets readers accept."""

_TIME_PART: Final = r"(?:[01]\d|2[0-3])(?:[0-5]\d(?:(?:[0-5]\d|60)(?:\.\d{1,6})?)?)?"
_DT: Final = re.compile(rf"(\d{{8}})({_TIME_PART})?([+-](?:0\d|1[0-4])[0-5]\d)?", re.ASCII)
_TM: Final = re.compile(rf"{_TIME_PART}|(?:[01]\d|2[0-3]):[0-5]\d(?::(?:[0-5]\d|60)(?:\.\d{{1,6}})?)?", re.ASCII)
_AS: Final = re.compile(r"(\d{3})([DWMY])", re.ASCII)

_PADDING: Final = " \0"
_OLDEST_AGE: Final = 89
_CAPPED: Final = "090Y"

# Nobody was examined before X-rays were known, or will be for long: what stands there is the beginning or the end of
# somebody's calendar (00010101, 20380119, 20991231, 99991231) or was typed in, and is the same in the files of
# many patients, so that its shifted form would tell the shift of each.
_FIRST_YEAR: Final = 1895
_LAST_YEAR: Final = 2037

# Likewise the first of a year was typed in, or is where a clock begins (1900, 1904 of Mac OS, 1970 of Unix,
# 1980 of DOS), in years of which hardly anybody has images.
_NEW_YEAR: Final = "0101"
_FIRST_YEAR_OF_IMAGES: Final = 1981

_EPOCHS: Final = frozenset(
    {
        "18991230",  # OLE
        "18991231",
        "19031231",  # Mac OS, Unix, GPS: seen from time zones west of Greenwich
        "19691231",
        "19800105",
        "19800106",  # GPS
        "20000101",  # many a clock without a battery, and the dummy of an earlier de-identification
        "20371231",
    }
)

# Attributes whose dates belong to a vocabulary, a trial, a product or a device, not to the patient: likewise the same
# for many.
_SHARED: Final = frozenset(
    {
        0x00080106,  # ContextGroupVersion
        0x00080107,  # ContextGroupLocalVersion
        0x00120086,  # EthicsCommitteeApprovalEffectivenessStartDate
        0x00120087,  # EthicsCommitteeApprovalEffectivenessEndDate
        0x00181204,  # DateOfManufacture
        0x00181205,  # DateOfInstallation
        0x0040DB06,  # TemplateVersion
        0x0040DB07,  # TemplateLocalVersion
        0x0044000B,  # ProductExpirationDateTime
        0x00686226,  # EffectiveDateTime
        0x00686270,  # InformationIssueDateTime
        0x0072000A,  # HangingProtocolCreationDateTime
    }
)


def is_shared_constant(tag: int) -> bool:
    """Whether an attribute's dates are the same for many patients and get a fixed dummy instead of a shift."""
    return tag in _SHARED


def _is_shared(digits: str) -> bool:
    """Whether many patients have a date."""
    year = int(digits[:4])
    if not _FIRST_YEAR <= year <= _LAST_YEAR:
        return True
    return digits in _EPOCHS or (year < _FIRST_YEAR_OF_IMAGES and digits[4:] == _NEW_YEAR)


@lru_cache(maxsize=16384)
def _moved(digits: str, days: int) -> str | None:
    """Return eight digits moved, a dummy for a date that many patients have, None where they are no date."""
    try:
        here = date(int(digits[:4]), int(digits[4:6]), int(digits[6:]))
    except ValueError:
        return None
    if _is_shared(digits):
        return DUMMY_DATE
    there = here + timedelta(days)
    return f"{there.year:04d}{there.month:02d}{there.day:02d}"


def _each(value: str, change: Callable[[str], str]) -> str:
    """Change each of several values; if nothing is left the element is empty."""
    values = [change(one.strip(_PADDING)) for one in value.split("\\")]
    return "\\".join(values) if any(values) else ""


def shift_da(value: str, days: int) -> str:
    """Return the values of a DA, moved.

    Args:
        value: One or more dates; old ones with points (``1995.07.04``) keep them.
        days: To add.

    Returns:
        As many values; those that were partial (``199507``), impossible (``19950230``) or no dates are empty.

    """

    def change(one: str) -> str:
        match = _DA.fullmatch(one)
        moved = match and _moved(match[1] + match[3] + match[4], days)
        if not match or not moved:
            return ""
        if _is_shared(match[1] + match[3] + match[4]):
            return moved
        return match[2].join((moved[:4], moved[4:6], moved[6:]))

    return _each(value, change)


def shift_dt(value: str, days: int) -> str:
    """Return the values of a DT, moved; time of the day, fraction and offset from UTC stay.

    Args:
        value: One or more; ``20240229``, ``2024022923``, ``20240229235959.999999+0100``.
        days: To add.

    Returns:
        As many values; those without a day (``2024``, ``202402+0100``), impossible ones and texts are empty, and of
        dates that many patients have nothing is left, the time neither.

    """

    def change(one: str) -> str:
        match = _DT.fullmatch(one)
        moved = match and _moved(match[1], days)
        if not match or not moved:
            return ""
        if _is_shared(match[1]):  # nobody's date has nobody's time
            return moved + DUMMY_TIME if match[2] else moved
        return moved + one[8:]

    return _each(value, change)


def checked_tm(value: str) -> str:
    """Return the values of a TM as they are, those that are no times emptied, since anything could stand in them.

    Args:
        value: One or more; ``1530``, ``153000.25``, and ``15:30:00`` as ACR-NEMA wrote it.

    """
    return _each(value, lambda one: one if _TM.fullmatch(one) else "")


def capped_as(value: str) -> str:
    """Return the ages of an AS with those over 89 years as 090Y, so that the very old are not told apart.

    Args:
        value: One or more; ``034Y``, ``018M``, ``003W``, ``012D``. What is no age is emptied.

    """

    def change(one: str) -> str:
        match = _AS.fullmatch(one)
        if not match:
            return ""
        return _CAPPED if match[2] == "Y" and int(match[1]) > _OLDEST_AGE else one

    return _each(value, change)
