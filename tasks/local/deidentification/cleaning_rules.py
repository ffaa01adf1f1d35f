"""C, clean, as rules that editing can carry out: one for each way in which a value is cleaned.

Source: PS3.15 Table E.1-1a and sections E.3.5 to E.3.10 (edition 2026d).

Public names: ``CleaningRules``, ``dummy_text``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from deidflow.tasks.local.deidentification.standard.cleaning import Cleaning, cleaning_of
from deidflow.tasks.local.deidentification.standard.date_values import capped_as, checked_tm, shift_da, shift_dt
from deidflow.tasks.local.deidentification.standard.dummies import dummy_value
from deidflow.tasks.local.deidentification.text.own_values import OwnValues
from deidflow.tasks.local.editing.actions import Action, Rule

if TYPE_CHECKING:
    from collections.abc import Callable

    from deidflow.tasks.core.request.edits import Value
    from deidflow.tasks.core.request.profile_choice import Option
    from deidflow.tasks.local.deidentification.text.cleaner import TextCleaner
    from deidflow.tasks.local.editing.actions import NewValue, Original
    from deidflow.tasks.local.editing.references import InstanceIdentifiers

_MOST_CHARACTERS: Final = {"AE": 16, "CS": 16, "LO": 64, "SH": 16}
"""Of one value (PS3.5 section 6.2); the others hold more than any moved date adds."""
_NUMBERS: Final = {
    "DS": re.compile(r" *[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)? *", re.ASCII),
    "IS": re.compile(r" *[+-]?\d{1,10} *", re.ASCII),
}
_OFFSET: Final = re.compile(r"[+-](?:0\d|1[0-4])[0-5]\d", re.ASCII)
_TIMEZONE_OFFSET: Final = 0x00080201


@dataclass(frozen=True, slots=True)
class CleaningRules:
    """Makes the rules of one choice of options.

    Attributes:
        texts: Cleans texts.
        dummy: Gives a value that tells nothing.
        days_of: The days to add to each date of an instance's patient.
        moves_dates: Whether dates inside texts move, too; else they go.

    """

    texts: TextCleaner
    dummy: NewValue
    days_of: Callable[[InstanceIdentifiers], int]
    moves_dates: bool

    def rule(self, tag: int, vr: str, option: Option, origin: str, *, needs_value: bool = False) -> Rule | None:
        """Return how an element is cleaned; None where nothing of it can be told, so that nothing may stay.

        Args:
            tag: The plain tag; of a private element too.
            vr: Two characters: of the dictionary, or of Table E.3.10-1 for a private element.
            option: The option whose code C governs.
            origin: What decided, for people.
            needs_value: Whether the IOD needs a value, so that a dummy stands where nothing is left of a text.

        """
        cleaning = cleaning_of(tag, vr, option)
        if cleaning is Cleaning.REMOVE:
            return None
        if cleaning is Cleaning.TEXT:
            return self.text(origin, needs_value=needs_value)
        if cleaning is Cleaning.LABEL:
            return self.text_but_own(origin)
        check = _CHECKS.get(cleaning) or (_check_of_number(tag, vr) if cleaning is Cleaning.KEEP else None)
        if check is not None:
            return Rule(Action.CLEAN, origin, _checks(check))
        return {
            Cleaning.ITEMS: Rule(Action.CLEAN, origin, _no_items, cleans_items=True),
            Cleaning.MAP_UID: Rule(Action.REPLACE_UID, origin, spares_registered=True),
            Cleaning.DUMMY_DATE: Rule(Action.DUMMY, origin, self.dummy),
            Cleaning.SHIFT_DA: Rule(Action.SHIFT, origin, self._shifts(shift_da)),
            Cleaning.SHIFT_DT: Rule(Action.SHIFT, origin, self._shifts(shift_dt)),
            Cleaning.KEEP: Rule(Action.KEEP, origin),
        }[cleaning]

    def text(self, origin: str, *, needs_value: bool = False) -> Rule:
        """Return the rule that takes out of a text what identifies.

        Args:
            origin: What decided, for people.
            needs_value: Whether a dummy stands where nothing is left.

        """

        def cleaned(original: Original, identifiers: InstanceIdentifiers) -> Value | None:
            if original.is_given:
                return None
            text = self.cleaned_text(original, identifiers) if original.is_whole else ""
            if text == original.text and original.is_whole:
                return None  # byte for byte
            return text or (dummy_text(original) if needs_value else "")

        return Rule(Action.CLEAN, origin, cleaned)

    def text_but_own(self, origin: str) -> Rule:
        """Return the rule for a text that stays, unless the instance names somebody or some place by a part of it."""
        other = self.text(origin, needs_value=True).new_value
        assert other is not None  # noqa: S101 (a rule that cleans makes values)

        def cleaned(original: Original, identifiers: InstanceIdentifiers) -> Value | None:
            own = identifiers.own if isinstance(identifiers.own, OwnValues) else None
            return other(original, identifiers) if self.texts.may_name(original.text, own) else None

        return Rule(Action.CLEAN, origin, cleaned)

    def cleaned_text(self, original: Original, identifiers: InstanceIdentifiers) -> str:
        """Return what may stay of a text, and note how much went."""
        own = identifiers.own if isinstance(identifiers.own, OwnValues) else None
        days = self.days_of(identifiers) if self.moves_dates else None
        cleaned = self.texts.clean(original.text, own, days)
        most = _MOST_CHARACTERS.get(original.vr)
        if days is not None and most is not None and any(len(one) > most for one in cleaned.text.split("\\")):
            cleaned = self.texts.clean(original.text, own, None)  # 4.3.2019 is longer as 01.12.2018
        identifiers.notes.removed += cleaned.removed
        identifiers.notes.unknown.update(cleaned.to_review)
        return cleaned.text

    def _shifts(self, shift: Callable[[str, int], str]) -> NewValue:
        def shifted(original: Original, identifiers: InstanceIdentifiers) -> Value | None:
            return None if original.is_given else shift(original.text, self.days_of(identifiers))

        return shifted


def dummy_text(original: Original) -> str:
    """Return what stands where nothing is left of a text that must have a value."""
    value = dummy_value(original.tag, "LO" if original.vr in ("UN", "PN") else original.vr)
    return value if isinstance(value, str) else "REMOVED"


def _no_items(original: Original, _: InstanceIdentifiers) -> Value | None:
    """What should be a sequence and is none has nothing that can be cleaned."""
    return None if original.is_given else ()


def _checks(check: Callable[[str], str]) -> NewValue:
    def checked(original: Original, _: InstanceIdentifiers) -> Value | None:
        text = check(original.text)
        return None if original.is_given or text == original.text else text

    return checked


_CHECKS: Final = {Cleaning.CHECK_TM: checked_tm, Cleaning.CAP_AS: capped_as}


def _check_of_number(tag: int, vr: str) -> Callable[[str], str] | None:
    """Return what empties a text that should be a number and is none."""
    pattern = _OFFSET if tag == _TIMEZONE_OFFSET else _NUMBERS.get(vr)
    if pattern is None:
        return None
    return lambda text: text if all(not one or pattern.fullmatch(one) for one in text.split("\\")) else ""
