"""What happens to a content item of a structured report under Clean Structured Content (PS3.15 section E.3.4).

The value type says what kind of value stands in an item, and the concept's name says whose: observers, devices and
subjects have concepts of their own (PS3.16 TID 1002 to 1010; ``content_concepts.csv``). The same holds for acquisition
context and specimen preparation.

Public names: ``ContentRule``, ``content_rule``.
"""

from __future__ import annotations

import csv
from functools import lru_cache
from importlib.resources import files
from typing import TYPE_CHECKING, Final, NamedTuple

from deidflow.tasks.core.request.profile_choice import Option
from deidflow.tasks.local.deidentification.content.standard_terms import is_standard_scheme
from deidflow.tasks.local.deidentification.standard.cleaning import Cleaning
from deidflow.tasks.local.deidentification.standard.codes import Action

if TYPE_CHECKING:
    from collections.abc import Collection

_PACKAGE: Final = "deidflow.tasks.local.deidentification.content"
_NO_VALUE: Final = frozenset({"CONTAINER", "IMAGE", "COMPOSITE", "WAVEFORM", "SCOORD", "SCOORD3D", "NUM", "TABLE"})
"""Numbers, or references whose attributes Table E.1-1 names."""
_DATES: Final = {"DATE": Cleaning.SHIFT_DA, "DATETIME": Cleaning.SHIFT_DT, "TCOORD": Cleaning.SHIFT_DT}


class ContentRule(NamedTuple):
    """What happens to the value of one content item.

    Attributes:
        action: Remove takes out the whole item with all beneath it.
        cleaning: How, where the action is clean.
        kind: Why: the concept's kind in ``content_concepts.csv``, empty where the value type decided.

    """

    action: Action
    cleaning: Cleaning | None = None
    kind: str = ""


@lru_cache
def _kinds() -> dict[str, str]:
    text = files(_PACKAGE).joinpath("content_concepts.csv").read_text(encoding="utf-8")
    return {row["code"]: row["kind"] for row in csv.DictReader(text.splitlines())}


_LOCATION: Final = "location"
_RETAINED_BY: Final = {
    "device": Option.RETAIN_DEVICE_IDENTITY,
    _LOCATION: Option.RETAIN_DEVICE_IDENTITY,
    "organization": Option.RETAIN_INSTITUTION_IDENTITY,
    "characteristic": Option.RETAIN_PATIENT_CHARACTERISTICS,
}


def content_rule(
    value_type: str, concept: tuple[str, str], options: Collection[Option], *, code_scheme: str = ""
) -> ContentRule:
    """Return what happens to a content item.

    Args:
        value_type: Value Type (0040,A040).
        concept: Code value and coding scheme designator of the concept's name.
        options: The profile's options. Asked only where ``clean-structured-content`` is among them; without it the
            whole Content Sequence is a dummy.
        code_scheme: For CODE: the coding scheme designator of the value.

    Returns:
        The rule for the value itself; items beneath it have their own. An age over 89 years in a NUM is up to
        the caller (concept 121033, ``kind`` is "characteristic").

    """
    kind = _kinds().get(concept[0].strip(" "), "") if concept[1].strip(" ") == "DCM" else ""
    if value_type == "UIDREF":
        # Retain UIDs has no K for it in Table E.1-1 (0040,A124).
        return ContentRule(Action.REPLACE_UID, None, kind)
    if value_type == "PNAME":
        return ContentRule(Action.DUMMY, None, kind)
    if kind and value_type not in _NO_VALUE - {"NUM"}:
        retained_by = _RETAINED_BY.get(kind)
        if retained_by is None or retained_by not in options:
            return ContentRule(Action.REMOVE if value_type == "NUM" else Action.DUMMY, None, kind)
        # Where a device stands may name the institution, which has an option of its own.
        is_cleaned = kind == _LOCATION and Option.RETAIN_INSTITUTION_IDENTITY not in options
        if value_type not in _DATES and not is_cleaned:
            return ContentRule(Action.KEEP, None, kind)
    return _by_type(value_type, options, code_scheme)


def _by_type(value_type: str, options: Collection[Option], code_scheme: str) -> ContentRule:
    if value_type in _DATES or value_type == "TIME":
        return _of_date(_DATES.get(value_type, Cleaning.CHECK_TM), options)
    # Meaning and value of a code that a site made up can say anything.
    if value_type in _NO_VALUE or (value_type == "CODE" and is_standard_scheme(code_scheme)):
        return ContentRule(Action.KEEP)
    return ContentRule(Action.CLEAN, Cleaning.TEXT) if value_type in ("TEXT", "CODE") else ContentRule(Action.REMOVE)


def _of_date(cleaning: Cleaning, options: Collection[Option]) -> ContentRule:
    if Option.RETAIN_FULL_DATES in options:
        return ContentRule(Action.KEEP)
    return ContentRule(Action.CLEAN, cleaning) if Option.RETAIN_MODIFIED_DATES in options else ContentRule(Action.DUMMY)
