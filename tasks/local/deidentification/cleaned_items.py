"""Rules inside the items of a sequence that is cleaned: every text in them is, whether the table names it or not.

What codes say can be anybody's words (PS3.3 section 8, edition 2026d): meanings are cleaned like other texts, values of
schemes that a site keeps, too. The values of the standard's own schemes stay.

Public names: ``text_rules``, ``by_scheme``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pydicom._dicom_dict import DicomDictionary

from deidflow.tasks.local.deidentification.content.structured_content import is_standard_scheme
from deidflow.tasks.local.deidentification.standard.profile import EDITION
from deidflow.tasks.local.editing.actions import Action, Rule

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from deidflow.tasks.local.deidentification.cleaning_rules import CleaningRules
    from deidflow.tasks.local.editing.table import TextAt

_TEXTS: Final = frozenset({"LO", "LT", "SH", "ST", "UC", "UT"})
_CODE_VALUE: Final = 0x00080100
_DESIGNATOR: Final = 0x00080102
_VERSION: Final = 0x00080103
_MEANING: Final = 0x00080104
_LONG_CODE_VALUE: Final = 0x00080119
_ORIGIN: Final = f"ps3.15-{EDITION}: C, text in a sequence that is cleaned"


def text_rules(cleaning: CleaningRules) -> dict[int, Rule]:
    """Return the rules for all texts of the dictionary that no row of the table names."""
    plain, required = cleaning.text(_ORIGIN), cleaning.text(_ORIGIN, needs_value=True)
    rules = {tag: plain for tag, (vr, *_, keyword) in DicomDictionary.items() if vr in _TEXTS and keyword}
    rules |= dict.fromkeys((_CODE_VALUE, _LONG_CODE_VALUE, _MEANING, _DESIGNATOR), required)
    return rules


def by_scheme() -> Callable[[TextAt], Mapping[int, Rule]]:
    """Return what chooses the rules for a code by its coding scheme."""
    keep = Rule(Action.KEEP, f"ps3.15-{EDITION}: K, a code of the standard's schemes")
    of_standard = dict.fromkeys((_CODE_VALUE, _DESIGNATOR, _VERSION, _LONG_CODE_VALUE), keep)
    of_site: dict[int, Rule] = {}

    def choose(text_at: TextAt) -> Mapping[int, Rule]:
        return of_standard if is_standard_scheme(text_at(_DESIGNATOR)) else of_site

    return choose
