"""Rules inside the items of a sequence that is cleaned: every text in them is, whether the table names it or not.

What codes say can be anybody's words (PS3.3 section 8, edition 2026d): meanings are cleaned like other texts, values of
schemes that a site keeps, too. The values of the standard's own schemes stay, and so does a meaning that is the
standard's own for its code, unless the instance itself names somebody by it. Of content items the concept's name says
whose value theirs is: names of observers, numbers of specimens and the like give way, also where the vocabulary knows
their words (PS3.15 section E.3.4).

Public names: ``text_rules``, ``ItemRules``.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from pydicom._dicom_dict import DicomDictionary

from deidflow.tasks.core.request.profile_choice import PROFILE_NAME, Option
from deidflow.tasks.local.deidentification.content.standard_terms import is_standard_scheme, is_standard_term
from deidflow.tasks.local.deidentification.content.structured_content import stays_by_concept
from deidflow.tasks.local.editing.actions import Action, Rule

if TYPE_CHECKING:
    from collections.abc import Mapping

    from deidflow.tasks.local.deidentification.cleaning_rules import CleaningRules
    from deidflow.tasks.local.editing.table import TextAt

_TEXTS: Final = frozenset({"LO", "LT", "SH", "ST", "UC", "UT"})
_CODE_VALUE: Final = 0x00080100
_DESIGNATOR: Final = 0x00080102
_VERSION: Final = 0x00080103
_MEANING: Final = 0x00080104
_LONG_CODE_VALUE: Final = 0x00080119
_VALUE_TYPE: Final = 0x0040A040
_NUMBER_TYPE: Final = "NUM"
_CONCEPT_NAME: Final = 0x0040A043
_DATES: Final = (0x0040A120, 0x0040A121, 0x0040A122)
"""DateTime, Date, Time."""
_TEXT_VALUE: Final = 0x0040A160
_CONCEPT_CODE: Final = 0x0040A168
_MEASURED_VALUES: Final = 0x0040A300
_UNITS: Final = 0x004008EA
_NUMERIC_VALUE: Final = 0x0040A30A
_UNFORMATTED_TEXT: Final = 0x00700006

_SUBJECT_AGE: Final = ("121033", "DCM")
_OLDEST_AGE: Final = 89
_IN_A_YEAR: Final = {"a": 1, "mo": 12, "wk": 52, "d": 365}
"""By UCUM, the scheme of units (PS3.16 CID 7456)."""
_NUMBER: Final = re.compile(r"[+-]?\d{1,9}(?:\.\d*)?(?:[Ee][+-]?\d{1,2})?")
_ORIGIN: Final = f"{PROFILE_NAME}: C, text in a sequence that is cleaned"
_TERM: Final = f"{PROFILE_NAME}: C, the standard's own meaning of a code"


def text_rules(cleaning: CleaningRules, options: frozenset[Option]) -> dict[int, Rule]:
    """Return the rules for all texts of the dictionary that no row of the table names.

    Args:
        cleaning: Makes them.
        options: Of the profile; what stands in graphics and in annotations of waveforms has a row, whose dummy gives
            way to a cleaned text where an option cleans the sequence around it.

    """
    plain, required = cleaning.text(_ORIGIN), cleaning.text(_ORIGIN, needs_value=True)
    rules = {tag: plain for tag, (vr, *_, keyword) in DicomDictionary.items() if vr in _TEXTS and keyword}
    rules |= dict.fromkeys((_CODE_VALUE, _LONG_CODE_VALUE, _MEANING, _DESIGNATOR, _TEXT_VALUE), required)
    if not options.isdisjoint({Option.CLEAN_GRAPHICS, Option.CLEAN_STRUCTURED_CONTENT}):
        rules[_UNFORMATTED_TEXT] = required
    return rules


class ItemRules:
    """Chooses the rules for an item by what stands in it."""

    def __init__(self, options: frozenset[Option], cleaning: CleaningRules) -> None:
        """Make the rules of all cases.

        Args:
            options: Of the profile.
            cleaning: Makes those that clean, and knows the values that tell nothing.

        """
        keep = Rule(Action.KEEP, f"{PROFILE_NAME}: K, a code of the standard's schemes")
        retained = f"{PROFILE_NAME}: K, by the name of its concept"
        dummy = Rule(Action.DUMMY, f"{PROFILE_NAME}: D, by the name of its concept", cleaning.dummy)
        empty = Rule(Action.EMPTY, f"{PROFILE_NAME}: Z, by the name of its concept")
        self._options: Final = options
        self._of_standard: Final = dict.fromkeys((_CODE_VALUE, _DESIGNATOR, _VERSION, _LONG_CODE_VALUE), keep)
        self._of_term: Final = {**self._of_standard, _MEANING: cleaning.text_but_own(_TERM)}
        self._plain: Final[dict[int, Rule]] = {}
        # A device that is called by its hospital or patient names what no option for devices keeps.
        self._retained: Final = {
            _TEXT_VALUE: cleaning.text_but_own(retained),
            _CONCEPT_CODE: Rule(Action.KEEP, retained),
        }
        self._identifying: Final = {
            **dict.fromkeys((*_DATES, _TEXT_VALUE, _CONCEPT_CODE), dummy),
            _MEASURED_VALUES: empty,
        }

    def __call__(self, text_at: TextAt) -> Mapping[int, Rule]:
        """Return the rules for one item that are others than those for all."""
        value_type = text_at(_VALUE_TYPE)
        if not value_type:
            return self._of_code(text_at)
        concept = text_at(_CONCEPT_NAME, _CODE_VALUE), text_at(_CONCEPT_NAME, _DESIGNATOR)
        stays = stays_by_concept(value_type, concept, self._options)
        is_age = stays is True and concept == _SUBJECT_AGE
        if (is_age or value_type == _NUMBER_TYPE) and _is_over_89(text_at, is_age=is_age):
            return self._identifying
        if stays is None:
            return self._plain
        return self._retained if stays else self._identifying

    def _of_code(self, text_at: TextAt) -> Mapping[int, Rule]:
        """Return the rules for an item that is no content item: mostly a code."""
        scheme = text_at(_DESIGNATOR)
        if not is_standard_scheme(scheme):
            return self._plain
        value = text_at(_CODE_VALUE) or text_at(_LONG_CODE_VALUE)
        return self._of_term if is_standard_term(scheme, value, text_at(_MEANING)) else self._of_standard


def _is_over_89(text_at: TextAt, *, is_age: bool) -> bool:
    """Whether a measurement is an age that may tell the very old apart: by its unit, or in years if it is one."""
    in_a_year = _IN_A_YEAR.get(text_at(_MEASURED_VALUES, _UNITS, _CODE_VALUE), 1 if is_age else 0)
    if not in_a_year:
        return False
    text = text_at(_MEASURED_VALUES, _NUMERIC_VALUE)
    return _NUMBER.fullmatch(text) is None or float(text) > _OLDEST_AGE * in_a_year
